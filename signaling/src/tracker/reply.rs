//! What clients are sent, written straight into the text (protocol.md §1.4).
//!
//! Invariant: the core's `ServerMessage::parse` reads all of it back; no member is null, numbers are integers.

use std::fmt::Write;
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Action, ServerMessage, Tally};

use super::request::Sdp;

/// Bytes of a message besides its description, at most: three ids of which every byte is escaped, and the keys.
const AROUND_SDP: usize = 3 * 20 * 6 + 128;

/// The reply to an announce.
pub(super) fn response(info_hash: &InfoHash, tally: Tally, interval: Duration, warning: Option<&str>) -> String {
    let message = ServerMessage::Response {
        info_hash: *info_hash,
        interval: Some(u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)),
        min_interval: None,
        complete: tally.complete,
        incomplete: tally.incomplete,
        warning: warning.map(str::to_owned),
    };
    message.write()
}

/// A peer's offer, for another.
pub(super) fn offer(info_hash: &InfoHash, peer_id: &PeerId, offer_id: &OfferId, sdp: &Sdp<'_>) -> String {
    relayed("offer", info_hash, peer_id, offer_id, sdp)
}

/// A peer's answer, for the offerer.
pub(super) fn answer(info_hash: &InfoHash, peer_id: &PeerId, offer_id: &OfferId, sdp: &Sdp<'_>) -> String {
    relayed("answer", info_hash, peer_id, offer_id, sdp)
}

/// The reply to a scrape.
pub(super) fn scrape(tallies: Vec<(InfoHash, Tally)>) -> String {
    ServerMessage::Scrape(tallies).write()
}

/// A message was refused.
pub(super) fn failure(info_hash: Option<InfoHash>, action: Option<Action>, reason: &str) -> String {
    ServerMessage::Failure { info_hash, action, reason: reason.to_owned() }.write()
}

fn relayed(name: &str, info_hash: &InfoHash, peer_id: &PeerId, offer_id: &OfferId, sdp: &Sdp<'_>) -> String {
    let mut text = String::with_capacity(sdp.as_json().len() + AROUND_SDP);
    text.push_str(r#"{"action":"announce","info_hash":""#);
    push_id(&mut text, &info_hash.0);
    text.push_str(r#"","peer_id":""#);
    push_id(&mut text, &peer_id.0);
    text.push_str(r#"","offer_id":""#);
    push_id(&mut text, &offer_id.0);
    for part in [r#"",""#, name, r#"":{"type":""#, name, r#"","sdp":""#, sdp.as_json(), r#""}}"#] {
        text.push_str(part);
    }
    text
}

/// 20 bytes as the characters of those code points, escaped (protocol.md §1.2).
fn push_id(text: &mut String, id: &[u8; 20]) {
    for &byte in id {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            0..=0x1f => write!(text, "\\u{byte:04x}").expect("a String takes everything"),
            _ => text.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_whatever_the_ids() {
        for first in 0..=255 {
            let id = std::array::from_fn(|at| (first + at) as u8);
            let (info_hash, peer_id, offer_id) = (InfoHash(id), PeerId(id), OfferId(id));
            let sdp = "v=0\r\n\"\\\u{1}é\u{1f600}".to_owned();
            let escaped = Sdp::escape(&sdp);
            let text = offer(&info_hash, &peer_id, &offer_id, &escaped);
            assert!(text.len() <= escaped.as_json().len() + AROUND_SDP);
            let message = ServerMessage::Offer { info_hash, peer_id, offer_id, sdp: sdp.clone() };
            assert_eq!(ServerMessage::parse(&text), Ok(message));
            let text = answer(&info_hash, &peer_id, &offer_id, &escaped);
            assert_eq!(ServerMessage::parse(&text), Ok(ServerMessage::Answer { info_hash, peer_id, offer_id, sdp }));
        }
    }
}

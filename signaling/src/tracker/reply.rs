//! What clients are sent, written straight into the text (protocol.md §1.4).
//!
//! Invariant: the core's `ServerMessage::parse` reads all of it back; no member is null, numbers are integers.

use std::fmt::Write;
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Action, ServerMessage, Tally};

use super::sdp::Sdp;

/// The reply to an announce.
pub(super) fn response(info_hash: &InfoHash, tally: Tally, interval: Duration, warning: Option<&str>) -> String {
    let Tally { complete, incomplete, .. } = tally;
    let interval = interval.as_secs();
    let mut text = String::with_capacity(256);
    text.push_str(r#"{"action":"announce","info_hash":""#);
    push_id(&mut text, &info_hash.0);
    write!(text, r#"","complete":{complete},"incomplete":{incomplete},"interval":{interval}"#).expect(TAKEN);
    if let Some(warning) = warning {
        write!(text, r#","warning message":"{warning}""#).expect(TAKEN);
    }
    text.push('}');
    text
}

/// The reply to a scrape.
pub(super) fn scrape(tallies: Vec<(InfoHash, Tally)>) -> String {
    ServerMessage::Scrape(tallies).write()
}

/// A message was refused.
pub(super) fn failure(info_hash: Option<InfoHash>, action: Option<Action>, reason: &str) -> String {
    ServerMessage::Failure { info_hash, action, reason: reason.to_owned() }.write()
}

/// What is the same in all that is relayed for one peer of one torrent.
pub(super) struct Relay(String);

impl Relay {
    /// Of this peer's offers or answers.
    pub(super) fn of(info_hash: &InfoHash, peer_id: &PeerId) -> Self {
        let mut text = String::with_capacity(64 + 2 * ID_BYTES_MAX);
        text.push_str(r#"{"action":"announce","info_hash":""#);
        push_id(&mut text, &info_hash.0);
        text.push_str(r#"","peer_id":""#);
        push_id(&mut text, &peer_id.0);
        text.push_str(r#"","offer_id":""#);
        Self(text)
    }

    /// An offer, for another peer.
    pub(super) fn offer(&self, offer_id: &OfferId, sdp: &Sdp<'_>) -> String {
        self.message(offer_id, r#"","offer":{"type":"offer","sdp":""#, sdp)
    }

    /// An answer, for the offerer.
    pub(super) fn answer(&self, offer_id: &OfferId, sdp: &Sdp<'_>) -> String {
        self.message(offer_id, r#"","answer":{"type":"answer","sdp":""#, sdp)
    }

    fn message(&self, offer_id: &OfferId, middle: &str, sdp: &Sdp<'_>) -> String {
        let sdp = sdp.as_json();
        let mut text = String::with_capacity(self.0.len() + ID_BYTES_MAX + middle.len() + sdp.len() + END.len());
        text.push_str(&self.0);
        push_id(&mut text, &offer_id.0);
        for part in [middle, sdp, END] {
            text.push_str(part);
        }
        text
    }
}

const TAKEN: &str = "a String takes everything";
const END: &str = r#""}}"#;
/// Bytes of an id in JSON, at most: each an escape of six.
const ID_BYTES_MAX: usize = 6 * 20;

/// 20 bytes as the characters of those code points, escaped (protocol.md §1.2).
fn push_id(text: &mut String, id: &[u8; 20]) {
    for &byte in id {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            0..=0x1f => {
                text.push_str(if byte < 0x10 { "\\u000" } else { "\\u001" });
                text.push(char::from(b"0123456789abcdef"[usize::from(byte & 0xf)]));
            }
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
            let relay = Relay::of(&info_hash, &peer_id);
            let message = ServerMessage::Offer { info_hash, peer_id, offer_id, sdp: sdp.clone() };
            assert_eq!(ServerMessage::parse(&relay.offer(&offer_id, &escaped)), Ok(message));
            let message = ServerMessage::Answer { info_hash, peer_id, offer_id, sdp };
            assert_eq!(ServerMessage::parse(&relay.answer(&offer_id, &escaped)), Ok(message));
            for warning in [None, Some("hm")] {
                let tally = Tally { complete: 1, incomplete: first as u32, downloaded: 1 };
                let text = response(&info_hash, tally, Duration::from_secs(90), warning);
                let message = ServerMessage::Response {
                    info_hash,
                    interval: Some(90),
                    min_interval: None,
                    complete: 1,
                    incomplete: first as u32,
                    warning: warning.map(str::to_owned),
                };
                assert_eq!(ServerMessage::parse(&text), Ok(message));
            }
        }
    }
}

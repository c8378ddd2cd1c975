//! Target 8: what a client says to a tracker, read in one pass by the server and as a tree by the core. Both say the same of
//! it, and what passes through unread is what was sent.

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{self, ClientMessage, MessageError, Problem, ServerMessage};
use swarmreel_signaling::{Incoming, Sdp};

use crate::driver::SDP;
use crate::heap;

/// The longest description.
const LONG: usize = message::SDP_BYTES_MAX;

/// The text is a message, in which `%id%`, `%sdp%`, `%long%` and `%deep%` stand for a 20-byte id with every kind of escape, for
/// a description, for the longest one, and for the deepest value.
pub fn tracker_json_server(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = fill_in(text);
    heap::bounded(3 * text.len(), || {
        let (read, reference) = (Incoming::parse(&text), ClientMessage::parse(&text));
        if let Ok(message) = &reference {
            // The same message in the core's own hand.
            let written = message.write();
            assert!(same(&Incoming::parse(&written), &reference), "{written}");
        }
        assert!(same(&read, &reference), "{read:?}\n{reference:?}");
    });
}

fn fill_in(text: &str) -> String {
    let text = text.replace("%id%", "\\u0000\\u00ff\\\"\\\\\\n\\/\u{7f}\u{80}\u{ff}bcdefghijkl");
    let text = text.replace("%sdp%", &SDP.replace("\r\n", "\\r\\n")).replace("%deep%", "[[[[[[[0]]]]]]]");
    // One is enough to be too long.
    text.replacen("%long%", &"\\n".repeat(LONG), 1)
}

fn same(read: &Result<Incoming<'_>, MessageError>, reference: &Result<ClientMessage, MessageError>) -> bool {
    match (read, reference) {
        (Ok(read), Ok(reference)) => same_message(read, reference),
        (Err(read), Err(reference)) => {
            let json = |error: &MessageError| matches!(error.problem, Problem::Json(_));
            (read.action, read.info_hash) == (reference.action, reference.info_hash)
                && (read.problem == reference.problem || json(read) && json(reference))
        }
        _ => false,
    }
}

fn same_message(read: &Incoming<'_>, reference: &ClientMessage) -> bool {
    match (read, reference) {
        (
            Incoming::Announce { info_hash, peer_id, event, left, numwant, offers },
            ClientMessage::Announce(announce),
        ) => {
            let offers: Vec<_> = offers.iter().map(|offer| (offer.offer_id, plain(&offer.sdp))).collect();
            (info_hash, peer_id, event, left)
                == (&announce.info_hash, &announce.peer_id, &announce.event, &announce.left)
                && (numwant, &offers) == (&announce.numwant, &announce.offers)
        }
        (Incoming::Answer { info_hash, peer_id, to_peer_id, offer_id, sdp }, ClientMessage::Answer(answer)) => {
            (info_hash, peer_id, to_peer_id) == (&answer.info_hash, &answer.peer_id, &answer.to_peer_id)
                && (offer_id, plain(sdp)) == (&answer.offer_id, answer.sdp.clone())
        }
        (Incoming::Scrape(hashes), ClientMessage::Scrape(reference)) => hashes == reference,
        _ => false,
    }
}

/// What a client reads of a description that was passed on.
fn plain(sdp: &Sdp<'_>) -> String {
    let (info_hash, peer_id, offer_id) = (InfoHash([b'h'; 20]), PeerId([b'p'; 20]), OfferId([b'o'; 20]));
    let message = ServerMessage::Offer { info_hash, peer_id, offer_id, sdp: "%".to_owned() };
    let text = message.write().replace('%', sdp.as_json());
    match ServerMessage::parse(&text) {
        Ok(ServerMessage::Offer { sdp, .. }) => sdp,
        other => panic!("{other:?} is passed on: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages with every value at every place.
    fn texts() -> Vec<String> {
        let values = [
            "null",
            "true",
            "0",
            "5",
            "-1",
            "-0.5",
            "1.5",
            "1e30",
            "1e400",
            "18446744073709551616",
            "\"\"",
            "\"%id%\"",
            "\"%id%x\"",
            "\"\u{4e00}\u{4e00}\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"started\"",
            "\"offer\"",
            "\"%long%\"",
            "\"%long%x\"",
            "[]",
            "[\"%id%\"]",
            "[5]",
            "[null]",
            "{}",
            "{\"a\":1,\"\\u0061\":1}",
            "%deep%",
            "[%deep%]",
            "nul",
        ];
        let description = |name: &str| format!(r#"{{"type":"{name}","sdp":"%sdp%"}}"#);
        let offers = |offer_id: &str, offer: &str| format!(r#"[{{"offer_id":{offer_id},"offer":{offer},"x":[1]}}]"#);
        let mut texts =
            vec![String::new(), "[]".to_owned(), "5".to_owned(), "{} {}".to_owned(), "\u{feff}{}".to_owned()];
        for value in values {
            for name in ["action", "info_hash", "peer_id", "to_peer_id", "offer_id", "event", "left", "uploaded"] {
                texts.push(with(name, value, None));
                texts.push(with(name, value, Some(&description("answer"))));
                texts.push(with(name, value, None).replace("announce", "scrape"));
            }
            for name in ["downloaded", "numwant", "offers", "answer", "x"] {
                texts.push(with(name, value, None));
            }
            texts.push(with("offers", &offers(value, &description("offer")), None));
            texts.push(with("offers", &offers("\"%id%\"", value), None));
            for name in ["offer", "answer"] {
                for member in ["type", "sdp", "x"] {
                    let wrong = description(name).replacen(
                        &format!("\"{member}\":"),
                        &format!("\"{member}\":{value},\"y\":"),
                        1,
                    );
                    texts.push(with("offers", &offers("\"%id%\"", &wrong), None));
                    texts.push(with("left", "1", Some(&wrong)));
                }
            }
        }
        for count in [0, 1, 10, 11, 64, 65] {
            texts.push(with("offers", &format!("[{}]", vec!["5"; count].join(",")), None));
            let hashes = format!("[{}]", vec!["\"%id%\""; count].join(","));
            texts.push(with("info_hash", &hashes, None).replace("announce", "scrape"));
        }
        texts
    }

    /// An announce in which one member has this value, or an answer.
    fn with(name: &str, value: &str, answer: Option<&str>) -> String {
        let members =
            [("action", "\"announce\""), ("info_hash", "\"%id%\""), ("peer_id", "\"%id%\""), ("left", "null")];
        let others = [("to_peer_id", "\"%id%\""), ("offer_id", "\"%id%\""), ("answer", answer.unwrap_or("null"))];
        let mut text: Vec<_> = members.into_iter().chain(others).filter(|(other, _)| *other != name).collect();
        text.push((name, value));
        let text: Vec<_> = text.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", text.join(","))
    }

    #[test]
    fn s1_s2_both_readers_say_the_same_of_every_value_at_every_place() {
        let texts = texts();
        assert!(texts.len() > 1000, "{}", texts.len());
        let read = |text: &&String| ClientMessage::parse(&fill_in(text)).is_ok();
        let accepted = texts.iter().filter(read).count();
        assert!(accepted > 100 && accepted < texts.len() / 2, "{accepted} of {}", texts.len());
        texts.iter().for_each(|text| tracker_json_server(text.as_bytes()));
    }
}

//! Target 12: the upgrade to a WebSocket, and the frames behind it. Heads get the verdict of a slow reference; streams
//! say the same to tungstenite, and the same however they are cut.

use std::io::{self, Read, Write};

use swarmreel::time::Moment;
use swarmreel_signaling::websocket::{Decoder, Event, Limits, Upgrade, Violation, judge};
use tungstenite::error::Error;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use crate::heap;

/// Header lines and bytes of a head, as the server takes them (threat-model §1).
const HEAD_LINES_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Without the counts of frames, which tungstenite does not know.
const LIMITS: Limits = Limits { message_bytes: 600, fragments: u16::MAX, controls_per_second: u16::MAX };

/// So few frames that short inputs have more (threat-model S4).
const COUNTED: Limits = Limits { fragments: 3, controls_per_second: 3, ..LIMITS };

/// A head, if the bytes begin with one, and the stream behind it; else all of them are the stream.
pub fn ws_upgrade(bytes: &[u8]) {
    heap::bounded(bytes.len(), || {
        let mut lines = [httparse::EMPTY_HEADER; HEAD_LINES_MAX];
        let mut head = httparse::Request::new(&mut lines);
        let beginning = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let stream = match head.parse(beginning) {
            Ok(httparse::Status::Complete(length)) => {
                check_verdict(&head);
                &bytes[length..]
            }
            _ => bytes,
        };
        check_stream(stream);
    });
}

fn check_verdict(head: &httparse::Request<'_, '_>) {
    let method = head.method.expect("a whole head has one");
    let headers: Vec<_> = head.headers.iter().map(|header| (header.name, header.value)).collect();
    let verdict = judge(method, &headers);
    let status = match &verdict {
        Upgrade::Absent => 200,
        Upgrade::Broken(_) => 400,
        Upgrade::Version => 426,
        Upgrade::Accept(_) => 101,
    };
    let values = |name: &str| -> Vec<String> {
        let found = headers.iter().filter(|(found, _)| found.to_lowercase() == name);
        found.map(|(_, value)| value.iter().map(|&byte| char::from(byte)).collect::<String>()).collect()
    };
    assert_eq!(status, reference(method, values), "{method} {headers:?}");
    if let Upgrade::Accept(accept) = verdict {
        let key = values("sec-websocket-key").concat();
        assert_eq!(accept, derive_accept_key(key.trim_matches([' ', '\t']).as_bytes()));
    }
}

/// The status of the response, by RFC 6455 §4.2.1 and RFC 9112 §6 read word for word.
fn reference(method: &str, values: impl Fn(&str) -> Vec<String>) -> u16 {
    let trim = |text: &str| text.trim_matches([' ', '\t', '\n', '\r', '\x0c']).to_owned();
    let tokens = |name| values(name).join(",").split(',').map(|token| trim(token).to_lowercase()).collect::<Vec<_>>();
    if !tokens("upgrade").contains(&"websocket".to_owned()) {
        return 200;
    }
    let without_body =
        values("transfer-encoding").is_empty() && values("content-length").iter().all(|length| trim(length) == "0");
    if method != "GET" || !tokens("connection").contains(&"upgrade".to_owned()) || !without_body {
        return 400;
    }
    if values("sec-websocket-version").iter().map(|value| trim(value)).collect::<Vec<_>>() != ["13"] {
        return 426;
    }
    match &values("sec-websocket-key")[..] {
        [key] if is_nonce(&trim(key)) => 101,
        _ => 400,
    }
}

/// 22 digits of base64, of which the last has four bits of padding, then two equals signs.
fn is_nonce(key: &str) -> bool {
    let Some(digits) = key.strip_suffix("==").filter(|digits| digits.chars().count() == 22) else { return false };
    let is_digit = |letter: char| letter.is_ascii_alphanumeric() || letter == '+' || letter == '/';
    digits.chars().all(is_digit) && digits.ends_with(['A', 'Q', 'g', 'w'])
}

/// Of a control frame that is kept beside a message, or of a frame's head.
const FRAME_BYTES_MORE: usize = 14 + 125;

/// What was said, and how it ended: kept bytes or a violation.
type Said = (Vec<Message>, Result<usize, Violation>);

fn check_stream(stream: &[u8]) {
    let (ours, end) = decode_however_cut(stream, &LIMITS);
    let (counted, _) = decode_however_cut(stream, &COUNTED);
    assert_eq!(counted, ours[..counted.len()], "the counts end a stream, and change nothing before");
    let (theirs, their_end) = oracle(stream);
    let common = ours.len().min(theirs.len());
    assert_eq!(ours[..common], theirs[..common]);
    match (end, their_end) {
        // Fragments are looked at by tungstenite as they come, so that control frames behind bad text are ours alone.
        (_, Err(Violation::NotUtf8)) => assert!(ours[common..].iter().all(is_control)),
        // A frame with two faults has two right verdicts; a close with a code that is not allowed is a message there.
        (Err(_), Err(_)) | (Err(Violation::Protocol), Ok(())) => assert!(ours.len() <= theirs.len()),
        // We refuse a frame by its head, tungstenite when all of it is there.
        (Err(_), Ok(())) => assert_eq!(ours.len(), theirs.len()),
        (Ok(_), their_end) => assert_eq!((ours.len(), Ok(())), (theirs.len(), their_end)),
    }
}

fn decode_however_cut(stream: &[u8], limits: &Limits) -> Said {
    let whole = decode(stream, stream.len().max(1), limits);
    for cut in [1, 2, 3, 7, 64] {
        assert_eq!(decode(stream, cut, limits), whole, "in pieces of {cut}");
    }
    whole
}

fn is_control(message: &Message) -> bool {
    matches!(message, Message::Ping(_) | Message::Pong(_) | Message::Close(_))
}

fn decode(stream: &[u8], cut: usize, limits: &Limits) -> Said {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    for piece in stream.chunks(cut) {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            match decoder.next(limits, Moment(0), &mut rest) {
                Ok(Some(Event::Message(text))) => said.push(Message::text(text.into_owned())),
                Ok(Some(Event::Ping(payload))) => said.push(Message::Ping(payload.into_owned().into())),
                Ok(Some(Event::Pong)) => said.push(Message::Pong(Vec::new().into())),
                Ok(Some(Event::Close(_))) => {
                    said.push(Message::Close(None));
                    return (said, Ok(0));
                }
                Ok(None) => break,
                Err(violation) => return (said, Err(violation)),
            }
        }
        assert!(rest.is_empty() && decoder.kept() <= LIMITS.message_bytes + FRAME_BYTES_MORE);
    }
    (said, Ok(decoder.kept()))
}

/// Reads from the stream, and forgets what is written.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(into) }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite reads, with the contents that we don't look at taken out.
fn oracle(stream: &[u8]) -> (Vec<Message>, Result<(), Violation>) {
    let limit = Some(LIMITS.message_bytes);
    let config = WebSocketConfig::default().read_buffer_size(1024).max_message_size(limit).max_frame_size(limit);
    let mut socket = WebSocket::from_raw_socket(Wire(stream), Role::Server, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Binary(bytes)) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => Message::text(text),
                Err(_) => return (said, Err(Violation::NotUtf8)),
            },
            Ok(Message::Pong(_)) => Message::Pong(Vec::new().into()),
            Ok(Message::Close(_)) => {
                said.push(Message::Close(None));
                return (said, Ok(()));
            }
            Ok(message) => message,
            Err(error) => return (said, end(&error)),
        });
    }
}

fn end(error: &Error) -> Result<(), Violation> {
    match error {
        Error::Capacity(_) => Err(Violation::TooBig),
        Error::Utf8(_) => Err(Violation::NotUtf8),
        Error::Protocol(_) => Err(Violation::Protocol),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmreel::rng::Rng;

    /// A frame that is mostly in order.
    fn frame(rng: &mut Rng) -> Vec<u8> {
        let opcode = [0, 0, 0, 1, 1, 2, 8, 9, 9, 10, 3, 11][rng.below(12) as usize];
        let fin = if opcode >= 8 || rng.below(2) == 0 { 0x80 } else { 0 };
        let oddity = if rng.below(40) == 0 { 1 << rng.below(8) } else { 0 };
        let length = [0, 1, 2, 5, 124, 125, 126, 200, 599, 601][rng.below(if opcode >= 8 { 6 } else { 10 }) as usize];
        let mask = if rng.below(40) == 0 { 0 } else { 0x80 };
        let head = match length {
            short @ 0..126 => vec![mask | short as u8],
            medium => [&[mask | 126][..], &(medium as u16).to_be_bytes()].concat(),
        };
        let text = "Ä ä €, 𝄞 and plain words. ".repeat(24).into_bytes();
        let start = rng.below(20) as usize;
        let mut payload = text[start..start + length].to_vec();
        if opcode == 8 && length >= 2 && rng.below(4) > 0 {
            payload[..2].copy_from_slice(&[1000_u16, 1005, 1012, 2999, 4000][rng.below(5) as usize].to_be_bytes());
        }
        [&[fin | opcode ^ oddity][..], &head, &[0; 4], &payload].concat()
    }

    #[test]
    fn drawn_streams_say_the_same_to_tungstenite() {
        let mut rng = Rng::new([12; 32]);
        for _ in 0..20_000 {
            let frames = (0..1 + rng.below(8)).map(|_| frame(&mut rng));
            let mut stream = frames.collect::<Vec<_>>().concat();
            stream.truncate(stream.len() - (rng.below(4) as usize).saturating_sub(2).min(stream.len()));
            check_stream(&stream);
        }
    }
}

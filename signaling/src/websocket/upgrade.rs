//! Whether a request becomes a WebSocket (RFC 6455 §4.2).
//!
//! Invariant: what is upgraded is a bare GET with exactly one key and one version, so that no proxy in between can have
//! seen another request in the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1_smol::Sha1;

/// What is appended to the key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It asks for no WebSocket: an ordinary request.
    Absent,
    /// It asks for one and is broken: 400, with a sentence.
    Broken(&'static str),
    /// It asks for a version other than 13: 426.
    Version,
    /// It becomes a WebSocket: 101, with this as `Sec-WebSocket-Accept`.
    Accept(String),
}

/// The verdict on a request. Names of headers are compared without case. Extensions that the client offers are not
/// looked at: none is taken up, so a compressed bomb cannot be sent (threat-model S18).
pub fn judge(method: &str, headers: &[(&str, &[u8])]) -> Upgrade {
    let values = |name: &'static str| {
        headers.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    };
    let lists = |name: &'static str, item: &str| values(name).any(|value| list_has(value, item));
    if !lists("upgrade", "websocket") {
        return Upgrade::Absent;
    }
    if method != "GET" || !lists("connection", "upgrade") {
        return Upgrade::Broken("This is no WebSocket handshake.\n");
    }
    let has_body = values("content-length").any(|value| value.trim_ascii() != b"0");
    if has_body || values("transfer-encoding").next().is_some() {
        return Upgrade::Broken("A WebSocket handshake has no body.\n");
    }
    if only(values("sec-websocket-version")) != Some(b"13") {
        return Upgrade::Version;
    }
    match only(values("sec-websocket-key")).filter(|key| is_key(key)) {
        Some(key) => Upgrade::Accept(accept(key)),
        None => Upgrade::Broken("The WebSocket handshake has no proper key.\n"),
    }
}

/// The value of a header that is there once.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    values.next().filter(|_| values.next().is_none()).map(<[u8]>::trim_ascii)
}

/// Whether a comma-separated header has this item, in any case.
fn list_has(value: &[u8], item: &str) -> bool {
    value.split(|byte| *byte == b',').any(|found| found.trim_ascii().eq_ignore_ascii_case(item.as_bytes()))
}

/// 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24 && STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::from(key);
    hash.update(GUID);
    STANDARD.encode(hash.digest().bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a GET with the RFC's headers after these changes: a value of none takes a header out.
    fn verdict(method: &str, changes: &[(&'static str, Option<&'static str>)]) -> Upgrade {
        let mut headers = vec![
            ("Host", "server.example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        for (name, value) in changes {
            headers.retain(|(found, _)| value.is_some() || found != name);
            headers.extend(value.map(|value| (*name, value)));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        judge(method, &headers)
    }

    #[test]
    fn the_example_of_the_rfc() {
        let accepted = Upgrade::Accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
        assert_eq!(verdict("GET", &[]), accepted, "RFC 6455 §1.3");
        for honest in [
            &[("Connection", None), ("connection", Some("keep-alive, UPGRADE"))][..],
            &[("Upgrade", None), ("UPGRADE", Some("WebSocket"))],
            &[("Sec-WebSocket-Extensions", Some("permessage-deflate"))],
            &[("Content-Length", Some("0"))],
        ] {
            assert_eq!(verdict("GET", honest), accepted, "{honest:?}");
        }
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let kind = |verdict| match verdict {
            Upgrade::Absent => 200,
            Upgrade::Broken(_) => 400,
            Upgrade::Version => 426,
            Upgrade::Accept(_) => 101,
        };
        assert_eq!(kind(verdict("POST", &[])), 400);
        for (name, value, status) in [
            ("Upgrade", None, 200),
            ("Connection", None, 400),
            ("Sec-WebSocket-Key", None, 400),
            ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ=="), 400), // twice
            ("Sec-WebSocket-Version", None, 426),
            ("Sec-WebSocket-Version", Some("13"), 426), // twice
            ("Content-Length", Some("5"), 400),
            ("Transfer-Encoding", Some("chunked"), 400),
        ] {
            assert_eq!(kind(verdict("GET", &[(name, value)])), status, "{name}: {value:?}");
        }
        for (key, status) in [
            ("x", 400),
            ("", 400),
            ("dGhlIHNhbXBsZSBub25jZQ", 400),
            ("dGhlIHNhbXBsZSBub25jZQ=!", 400),
            ("dGhlIHNhbXBsZSBub25jZVh4", 400),
            (" dGhlIHNhbXBsZSBub25jZQ== ", 101),
        ] {
            let changes = [("Sec-WebSocket-Key", None), ("Sec-WebSocket-Key", Some(key))];
            assert_eq!(kind(verdict("GET", &changes)), status, "{key:?}");
        }
        for version in ["8", "0", "130", ""] {
            let changes = [("Sec-WebSocket-Version", None), ("Sec-WebSocket-Version", Some(version))];
            assert_eq!(kind(verdict("GET", &changes)), 426, "{version:?}");
        }
    }
}

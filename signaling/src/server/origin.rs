//! Which web pages may use the tracker (threat-model S16).
//!
//! Invariant: under a list, a WebSocket is opened only by pages of the origins on it. No cookie or other ambient
//! authority exists here that a foreign page could borrow, so that the default is open.

use hyper::Uri;
use hyper::header::{self, HeaderMap};

/// The origin of a page as browsers send it (RFC 6454 §6.2), from what an operator writes: `https://example.org`.
/// `None` if it is something else.
pub fn parse(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let default = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@');
    let host = bare.then(|| authority.host().to_ascii_lowercase()).filter(|host| !host.is_empty())?;
    Some(match authority.port_u16() {
        Some(port) if port != default => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

/// Whether a request comes from a page on the list; without a list every request does. A list refuses clients that are
/// no browsers too, since they send no origin.
pub(super) fn is_allowed(headers: &HeaderMap, origins: &[String]) -> bool {
    let mut values = headers.get_all(header::ORIGIN).into_iter();
    let origin = values.next().filter(|_| values.next().is_none());
    origins.is_empty() || origin.is_some_and(|origin| origins.iter().any(|known| origin.as_bytes() == known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for (text, expected) in [
            ("https://Example.org", Some("https://example.org")),
            ("https://example.org/", Some("https://example.org")),
            ("https://example.org:443", Some("https://example.org")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("https://example.org/page", None),
            ("https://example.org/?q", None),
            ("https://user@example.org", None),
            ("wss://example.org", None),
            ("example.org", None),
            ("null", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(parse(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn s16_under_a_list_only_its_origins() {
        let list = ["https://example.org".to_owned()];
        let sent = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ORIGIN, HeaderValue::from_static(value));
            }
            headers
        };
        for (values, allowed) in [
            (&["https://example.org"][..], true),
            (&["https://example.org.attacker.test"], false),
            (&["http://example.org"], false),
            (&["null"], false),
            (&["https://example.org", "https://attacker.test"], false),
            (&[], false),
        ] {
            assert_eq!(is_allowed(&sent(values), &list), allowed, "{values:?}");
            assert!(is_allowed(&sent(values), &[]), "without a list everybody may");
        }
    }
}

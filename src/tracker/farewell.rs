//! What a tracker says when it closes a connection (RFC 6455 §7.4).
//!
//! Invariant: words that are not exactly a hint are no hint.

use std::time::Duration;

/// Service Restart and Try Again Later, of the registry that RFC 6455 §11.7 sets up.
const CODES: [u16; 2] = [1012, 1013];

/// How long a tracker wants us to stay away: it closes with `retry in 7 s`, whole seconds from 1 up, a delay drawn for
/// this client, so that not all return at once.
pub fn retry_after(code: u16, reason: &str) -> Option<Duration> {
    let seconds = reason.strip_prefix("retry in ")?.strip_suffix(" s").filter(|_| CODES.contains(&code))?;
    // `parse` would take a sign.
    let seconds: u64 = seconds.parse().ok().filter(|_| seconds.bytes().all(|byte| byte.is_ascii_digit()))?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hint_is_a_hint() {
        assert_eq!(retry_after(1012, "retry in 7 s"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(1013, "retry in 120 s"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(1012, "retry in 18446744073709551615 s"), Some(Duration::from_secs(u64::MAX)));
        for (code, reason) in [
            (1001, "retry in 7 s"),
            (1006, ""),
            (1012, ""),
            (1012, "the server stops"),
            (1012, "retry in 0 s"),
            (1012, "retry in  s"),
            (1012, "retry in -7 s"),
            (1012, "retry in +7 s"),
            (1012, "retry in 7.5 s"),
            (1012, "retry in 7 s "),
            (1012, "retry in 7 seconds"),
            (1012, "Retry in 7 s"),
            (1012, "retry in 18446744073709551616 s"),
            (1012, "retry in \u{0667} s"),
        ] {
            assert_eq!(retry_after(code, reason), None, "{code} {reason:?}");
        }
    }
}

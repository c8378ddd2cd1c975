//! A look at a session description before a browser gets it (threat-model W3).
//!
//! Invariant: what passes describes one data channel and nothing else.

use super::message::SDP_BYTES_MAX;

/// Candidates in one description: a host with many interfaces has about ten.
const CANDIDATES_MAX: usize = 32;

/// Does this describe exactly one data channel, within bounds, with a certificate fingerprint?
pub fn is_data_channel(sdp: &str) -> bool {
    let count = |prefix: &str| sdp.lines().filter(|line| line.starts_with(prefix)).count();
    sdp.len() <= SDP_BYTES_MAX
        && sdp.starts_with("v=0")
        && count("m=") == 1
        && count("m=application ") == 1
        && count("a=fingerprint:") >= 1
        && count("a=candidate:") <= CANDIDATES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
                        a=fingerprint:sha-256 AA:BB\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";

    #[test]
    fn one_data_channel_passes() {
        assert!(is_data_channel(GOOD));
    }

    #[test]
    fn anything_else_does_not() {
        assert!(!is_data_channel(""));
        assert!(!is_data_channel(&GOOD.replace("fingerprint", "thumbprint")));
        assert!(!is_data_channel(&format!("{GOOD}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n")));
        assert!(!is_data_channel(&format!("{GOOD}{}", "a=candidate:1\r\n".repeat(40))));
        assert!(!is_data_channel(&format!("{GOOD}{}", "x".repeat(SDP_BYTES_MAX))));
    }
}

//! Descriptions as Chromium, Firefox and libdatachannel write them, and as a villain would.

use super::*;

const FINGERPRINT: &str =
    "0B:8E:B6:5C:02:5B:F6:00:AA:31:1F:9B:4C:F2:66:0F:A1:5D:AD:3A:7E:DF:22:46:33:57:0D:09:9C:01:C5:9F";

fn chromium() -> String {
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP4 0.0.0.0\r\n\
         a=candidate:2999745851 1 udp 2113937151 5a2a5e1c-2f4e-4a52-a5bc-8c4b1a5f0d11.local 51032 typ host generation 0 network-cost 999\r\n\
         a=candidate:842163049 1 udp 1677729535 203.0.113.7 51032 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n\
         a=ice-ufrag:Yk3+\r\na=ice-pwd:q2Zs0cXv9tLr3mJk1hGf8dAa\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n\
         a=max-message-size:262144\r\n"
    )
}

fn firefox() -> String {
    format!(
        "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 3456789012345678901 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
         a=fingerprint:sha-256 {FINGERPRINT}\r\na=group:BUNDLE 0\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n\
         m=application 46154 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.1\r\n\
         a=candidate:0 1 UDP 2122252543 192.168.1.17 46154 typ host\r\n\
         a=candidate:1 1 TCP 2105524479 192.168.1.17 9 typ host tcptype active\r\n\
         a=candidate:2 1 UDP 1686052863 198.51.100.4 46154 typ srflx raddr 192.168.1.17 rport 46154\r\n\
         a=sendrecv\r\na=end-of-candidates\r\na=ice-pwd:0c8dcc1d4eba2f5a1c1c4a1c2d3e4f50\r\na=ice-ufrag:5a6b7c8d\r\n\
         a=mid:0\r\na=setup:active\r\na=sctp-port:5000\r\na=max-message-size:1073741823\r\n"
    )
}

/// Without the lines that simple-peer strips and libdatachannel may leave out.
fn bare() -> String {
    let dropped = ["a=ice-options", "a=max-message-size", "a=sctp-port", "a=extmap", "a=msid"];
    chromium().lines().filter(|line| !dropped.iter().any(|start| line.starts_with(start))).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        },
    )
}

fn hint(address: &str) -> Option<AddressHint> {
    Candidate::parse(&format!("1 1 udp 1 {address} 9 typ host")).and_then(|candidate| candidate.address_hint())
}

#[test]
fn what_is_written_is_read_back_as_it_was() {
    for text in [chromium(), firefox(), bare()] {
        let description = Description::parse(&text).unwrap();
        let written = description.to_string();
        assert_eq!(Description::parse(&written), Ok(description), "{written}");
    }
}

#[test]
fn what_a_connection_needs_is_kept_and_nothing_else() {
    let written = Description::parse(&chromium()).unwrap().to_string();
    for line in chromium().lines().filter(|line| line.starts_with("a=")) {
        let kept = written.lines().any(|other| line.starts_with(other));
        assert_eq!(kept, !line.starts_with("a=extmap") && !line.starts_with("a=msid"), "{line}");
    }
    let written = Description::parse(&firefox()).unwrap().to_string();
    for kept in ["tcptype active", "a=end-of-candidates", "a=setup:active", "raddr 192.168.1.17 rport 46154"] {
        assert!(written.contains(kept), "{kept} is lost: {written}");
    }
    assert!(!written.contains("mozilla"));
    let written = Description::parse(&bare()).unwrap().to_string();
    assert!(!written.contains("trickle") && !written.contains("max-message-size"));
    assert!(written.contains("a=sctp-port:5000"));
}

#[test]
fn a_description_of_anything_else_is_refused() {
    let refused = |text: String| Description::parse(&text).unwrap_err();
    let good = chromium();
    assert_eq!(refused(String::new()), SdpError::Syntax);
    assert_eq!(refused(good.replace("v=0", "v=1")), SdpError::Syntax);
    assert_eq!(refused(format!("{good}hello\r\n")), SdpError::Syntax);
    assert_eq!(refused(format!("{good}a=x:{}", "y".repeat(SDP_BYTES_MAX))), SdpError::TooLong);
    assert_eq!(refused(format!("{good}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n")), SdpError::Media);
    assert_eq!(refused(format!("{good}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")), SdpError::Media);
    assert_eq!(refused(good.replace("m=application 9", "m=application 0")), SdpError::Media);
    assert_eq!(refused(good.replace("m=application", "a=application")), SdpError::Media);
    assert_eq!(refused(good.replace("a=ice-pwd", "a=ice-pass")), SdpError::Credentials);
    assert_eq!(refused(good.replace("a=ice-ufrag:Yk3+", "a=ice-ufrag:Y k3")), SdpError::Credentials);
    assert_eq!(refused(good.replace("sha-256", "sha-1")), SdpError::Fingerprint);
    assert_eq!(refused(good.replace(":C5:9F", ":C5")), SdpError::Fingerprint);
    assert_eq!(refused(good.replace("actpass", "holdconn")), SdpError::Setup);
    let many = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(1000 / 4);
    assert_eq!(refused(format!("{good}{many}")), SdpError::Candidates);
}

#[test]
fn candidates_that_make_no_sense_are_left_out() {
    let kept = |candidate: &str| Candidate::parse(candidate).map(|candidate| candidate.to_string());
    let good = "1 1 udp 99 192.0.2.1 9 typ host";
    assert_eq!(kept(good), Some(format!("candidate:{good}")));
    for bad in [
        "1 1 udp 99 victim.example 9 typ host",
        "1 1 udp 99 0.0.0.0 9 typ host",
        "1 1 udp 99 239.1.2.3 9 typ host",
        "1 1 udp 99 192.0.2.1 70000 typ host",
        "1 1 udp 4294967296 192.0.2.1 9 typ host",
        "1 1 quic 99 192.0.2.1 9 typ host",
        "1 1 tcp 99 192.0.2.1 9 typ host",
        "1 1 udp 99 a.b.local 9 typ host",
        "1 0 udp 99 192.0.2.1 9 typ host",
        "1 1 udp 99 192.0.2.1 9 typ",
        "1 1 udp 99 192.0.2.1 9 kind host",
        "",
    ] {
        assert_eq!(kept(bad), None, "{bad}");
    }
    assert_eq!(
        kept("1 1 UDP 9 2001:db8::1 9 typ srflx ufrag x\0y evil").as_deref(),
        Some("candidate:1 1 udp 9 2001:db8::1 9 typ srflx raddr 0.0.0.0 rport 0")
    );
}

#[test]
fn nothing_of_a_stranger_s_text_slips_through() {
    let hostile = chromium().replace("a=mid:0", "a=mid:0\u{2028}a=x").replace("Yk3+", "Yk3+'\"<");
    assert_eq!(Description::parse(&hostile), Err(SdpError::Credentials));
    let odd = chromium().replace("a=mid:0", "a=mid:0 \"<x>\" ");
    let written = Description::parse(&odd).unwrap().to_string();
    assert!(!written.contains("a=mid") && !written.contains("BUNDLE"), "{written}");
}

#[test]
fn the_hint_is_the_public_address_and_never_a_hidden_one() {
    let of = |text: &str| Description::parse(text).unwrap().address_hint();
    assert_eq!(of(&chromium()), hint("203.0.113.7"));
    assert_eq!(of(&firefox()), hint("198.51.100.4"));
    assert_eq!(of(&firefox().replace("typ srflx", "typ relay")), hint("192.168.1.17"));
    assert_eq!(of(&chromium().replace("typ srflx", "typ relay")), None);
    assert_eq!(hint("2001:db8:1:2:3::4"), hint("2001:db8:1:2::9"));
    assert_ne!(hint("2001:db8:1:2::"), hint("2001:db8:1:3::"));
    assert_eq!(hint("::ffff:192.0.2.1"), hint("192.0.2.1"));
}

#[test]
fn who_hides_behind_a_relay_says_nothing_else() {
    let description = |text: String| Description::parse(&text).unwrap();
    assert_eq!(description(chromium()).into_relayed(), None);
    let relayed: String = firefox().split_inclusive("\r\n").filter(|line| !line.contains("typ host")).collect();
    assert_eq!(description(relayed.clone()).into_relayed(), None);
    let relayed = description(relayed.replace("typ srflx", "typ relay")).into_relayed().unwrap().to_string();
    assert!(relayed.contains("198.51.100.4 46154 typ relay raddr 0.0.0.0 rport 0"), "{relayed}");
    assert!(!relayed.contains("192.168") && !relayed.contains("192.0.2.1"), "{relayed}");
    assert_eq!(description(chromium().replace("a=candidate", "a=nothing")).into_relayed(), None);
}

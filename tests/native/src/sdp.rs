//! Session descriptions (RFC 8866) of connections that are TCP: what the engine checks of one, and an address as its
//! only candidate (RFC 6544).
//!
//! Invariant: what [`address`] reads is what [`write`] was given.

use std::net::SocketAddr;

/// The description of an end at this address.
pub fn write(address: SocketAddr) -> String {
    format!(
        "v=0\r\n\
         o=- 1 2 IN IP4 127.0.0.1\r\n\
         s=-\r\n\
         t=0 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 tcp 1 {ip} {port} typ host tcptype passive\r\n\
         a=ice-ufrag:tcp0\r\n\
         a=ice-pwd:thereisnoiceoverplaintcp\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:actpass\r\n\
         a=mid:0\r\n\
         a=sctp-port:5000\r\n",
        ip = address.ip(),
        port = address.port(),
        fingerprint = ["00"; 32].join(":"),
    )
}

/// The address of whoever wrote this.
pub fn address(sdp: &str) -> Option<SocketAddr> {
    let mut words = sdp.lines().find_map(|line| line.strip_prefix("a=candidate:"))?.split(' ').skip(4);
    let (ip, port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmreel::tracker::sdp::Description;

    #[test]
    fn the_address_survives() {
        for text in ["127.0.0.1:6881", "[::1]:65535"] {
            let end = text.parse().unwrap();
            let read = Description::parse(&write(end)).expect("the engine takes it").to_string();
            assert_eq!(address(&read), Some(end), "{read}");
        }
        assert_eq!(address("v=0\r\na=candidate:1 1 tcp 1 here 9 typ host\r\n"), None);
    }
}

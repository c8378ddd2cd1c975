//! Who a client is when a proxy stands in between (threat-model S15).
//!
//! Invariant: what a header says of the address counts only as far as trusted proxies wrote it; nobody else's word
//! does.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the connection's, unless that is a trusted proxy. Then it is the rightmost address of
/// `X-Forwarded-For` that is not a trusted proxy's. Each proxy appends the address it sees, so that whatever stands left
/// of that one is the client's own invention.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).into_iter().map(|line| line.to_str().unwrap_or(""));
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    for hop in hops.into_iter().rev() {
        if !is_within(address, trusted) {
            break;
        }
        // No address: the proxy that wrote it is the last whose place is known.
        let Some(before) = parse(hop.trim()) else { break };
        address = before.to_canonical();
    }
    address
}

/// Whether the address is in one of the networks.
pub fn is_within(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// An address, perhaps with a port: some proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn client(peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn s15_a_header_counts_only_as_far_as_trusted_proxies_wrote_it() {
        for (peer, lines, expected, why) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9", "no proxy of ours: forged"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1", "through the proxy"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1", "the client's own header before the proxy's word"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1", "the same in two lines"),
            ("10.0.0.1", &["198.51.100.1, 10.2.3.4, 127.0.0.1"], "198.51.100.1", "through three proxies"),
            ("10.0.0.1", &["10.9.9.9, 10.2.3.4"], "10.9.9.9", "a client inside"),
            ("10.0.0.1", &[], "10.0.0.1", "the proxy itself asks"),
            ("10.0.0.1", &["unknown"], "10.0.0.1", "no address"),
            ("10.0.0.1", &["198.51.100.1, <script>, 10.2.3.4"], "10.2.3.4", "nothing beyond what is no address"),
            ("10.0.0.1", &["198.51.100.1, "], "10.0.0.1", "an empty item"),
            ("10.0.0.1", &["1.2.3.4, \u{fc}"], "10.0.0.1", "not ASCII"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1", "IPv4 in IPv6 clothes"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7", "IPv6"),
            ("fd00::1", &["[2001:db8::7]:4711"], "2001:db8::7", "IPv6 with a port"),
            ("fd00::1", &["[2001:db8::7]"], "2001:db8::7", "IPv6 in brackets"),
            ("10.0.0.1", &["198.51.100.1:80"], "198.51.100.1", "IPv4 with a port"),
            ("10.0.0.1", &["198.51.100.1:port"], "10.0.0.1", "no port"),
            ("10.0.0.1", &["198.51.100.256"], "10.0.0.1", "no IPv4 address"),
        ] {
            assert_eq!(client(peer, lines), expected, "{why}");
        }
    }

    #[test]
    fn s15_without_trusted_proxies_the_header_is_ignored() {
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"))]);
        let peer = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(client_address(peer, &headers, &[]), peer);
    }
}

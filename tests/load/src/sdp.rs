//! Session descriptions in the shape of Chromium's for a data channel, as they stand inside JSON.
//!
//! Invariant: no two are the same (ufrag, password and fingerprint are drawn), all have the same length, and the
//! session id in the `o=` line is the moment the message was meant to leave.

use std::ops::Range;

/// In front of a session id, as a server relays it.
pub(crate) const ORIGIN: &[u8] = b"o=- ";
/// Session ids have 19 digits, like Chromium's.
const SESSION_BASE: u64 = 4_000_000_000_000_000_000;
const SESSION_DIGITS: usize = 19;

/// A description with places to fill in.
pub(crate) struct Sdp {
    json: Vec<u8>,
    session: usize,
    /// Drawn hexadecimal digits.
    drawn: Vec<usize>,
}

impl Sdp {
    /// An offer or an answer of about so many bytes: as many ICE candidates as that takes.
    pub(crate) fn new(setup: &str, bytes: usize) -> Self {
        let fingerprint = ["~~"; 32].join(":");
        let head = format!(
            "v=0\r\n{}{SESSION_BASE} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n\
             a=msid-semantic: WMS\r\nm=application 56712 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 203.0.113.7\r\n",
            String::from_utf8_lossy(ORIGIN)
        );
        let tail = format!(
            "a=ice-ufrag:~~~~\r\na=ice-pwd:~~~~~~~~~~~~~~~~~~~~~~~~\r\na=ice-options:trickle\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\na=mid:0\r\na=sctp-port:5000\r\n\
             a=max-message-size:262144\r\n"
        );
        let mut candidates = String::new();
        for number in 0.. {
            let candidate = candidate(number);
            if head.len() + candidates.len() + candidate.len() / 2 + tail.len() > bytes {
                break;
            }
            candidates += &candidate;
        }
        let json = format!("{head}{candidates}{tail}").replace("\r\n", "\\r\\n").into_bytes();
        let session = memchr::memmem::find(&json, ORIGIN).expect("every description has an origin") + ORIGIN.len();
        let drawn = json.iter().enumerate().filter(|(_, byte)| **byte == b'~').map(|(at, _)| at).collect();
        Self { json, session, drawn }
    }

    /// Appends one, meant to leave at `moment` (µs).
    pub(crate) fn write(&self, out: &mut Vec<u8>, moment: u64, chance: &mut Chance) {
        let start = out.len();
        out.extend_from_slice(&self.json);
        let text = &mut out[start..];
        decimal(&mut text[self.session..self.session + SESSION_DIGITS], SESSION_BASE + moment);
        for places in self.drawn.chunks(16) {
            let mut digits = chance.next();
            for place in places {
                text[*place] = b"0123456789ABCDEF"[(digits & 15) as usize];
                digits >>= 4;
            }
        }
    }
}

/// The moment in a relayed description's session id.
pub(crate) fn moment(session: &[u8]) -> Option<u64> {
    let digits = session.get(..SESSION_DIGITS)?;
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_sub(SESSION_BASE)
}

fn candidate(number: u32) -> String {
    match number % 3 {
        0 => format!(
            "a=candidate:{} 1 udp 2113937151 192.168.1.{} {} typ host generation 0 network-cost 999\r\n",
            3_021_904_512 + number,
            10 + number,
            50_000 + number
        ),
        1 => format!(
            "a=candidate:{} 1 udp 1677729535 203.0.113.{} {} typ srflx raddr 192.168.1.7 rport 50000 generation 0 network-cost 999\r\n",
            842_163_049 + number,
            7 + number,
            40_000 + number
        ),
        _ => format!(
            "a=candidate:{} 1 tcp 1518280447 192.168.1.{} 9 typ host tcptype active generation 0 network-cost 999\r\n",
            1_853_887_674 + number,
            10 + number
        ),
    }
}

fn decimal(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Quick chance from a seed (SplitMix64): a generator must cost little, and be the same for every server.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from a range that is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// Evenly from [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_the_wanted_size_and_differ() {
        for bytes in [1024, 3072] {
            let sdp = Sdp::new("actpass", bytes);
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let mut chance = Chance::new(1);
            sdp.write(&mut one, 7, &mut chance);
            sdp.write(&mut other, 7, &mut chance);
            assert_ne!(one, other);
            assert_eq!(one.len(), other.len());
            let plain: String = serde_json::from_str(&format!("\"{}\"", String::from_utf8(one).unwrap())).unwrap();
            assert!(plain.len().abs_diff(bytes) < 80, "{} of {bytes}", plain.len());
            assert!(!plain.contains('~') && plain.ends_with("\r\n"));
        }
    }

    #[test]
    fn the_session_id_is_the_moment() {
        let mut text = Vec::new();
        Sdp::new("active", 1024).write(&mut text, 123_456_789, &mut Chance::new(1));
        let at = memchr::memmem::find(&text, ORIGIN).unwrap() + ORIGIN.len();
        assert_eq!(moment(&text[at..]), Some(123_456_789));
        assert_eq!(moment(b"46117"), None);
        assert_eq!(moment(b"1234567890123456789"), None);
    }
}

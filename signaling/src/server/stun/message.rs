//! What a STUN packet is answered with (RFC 8489, Binding only).
//!
//! Invariant: nothing but a well-formed Binding request is answered, with at most 24 bytes more than it has: 2.2 times
//! as long at the worst, 1.4 times with the headers of IP and UDP.

use std::net::SocketAddr;

use stun_types::attribute::{
    Attribute, AttributeStaticType, AttributeType, ErrorCode, Fingerprint, UnknownAttributes, XorMappedAddress,
};
use stun_types::message::{
    BINDING, Message, MessageClass, MessageHeader, MessageWrite, MessageWriteExt, MessageWriteVec, StunWriteError,
};

/// Bytes of the longest packet that is looked at: what fits any path without being cut up (RFC 8489 §6.1).
const PACKET_MAX: usize = 548;

/// The attributes of RFC 8489 among those that must be understood. Where no password is asked for, and in a request,
/// none of them means anything (§6.3.1).
const UNDERSTOOD: [u16; 11] = [0x0001, 0x0006, 0x0008, 0x0009, 0x000a, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0020];

/// Why a packet gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No STUN message of RFC 5389 or later, or a broken one.
    Malformed,
    /// A response, an indication, or a request of another method.
    NotBinding,
    /// No one can be at the port it says it came from.
    BadSource,
}

/// The answer to a packet: where it came from, or error 420 if it asks for something that this server does not know.
pub(super) fn answer(packet: &[u8], from: SocketAddr) -> Result<Vec<u8>, Unanswered> {
    if from.port() == 0 {
        return Err(Unanswered::BadSource);
    }
    let request = parse(packet)?;
    if !request.has_class(MessageClass::Request) || !request.has_method(BINDING) {
        return Err(Unanswered::NotBinding);
    }
    let unknown: Vec<_> =
        request.iter_attributes().map(|(_, attribute)| attribute.get_type()).filter(is_unknown).collect();
    let mut answer = if unknown.is_empty() { located(&request, from) } else { refused(&request, &unknown) }
        .expect("a new message has room for different attributes");
    if request.has_attribute(Fingerprint::TYPE) {
        answer.add_fingerprint().expect("it has none yet");
    }
    Ok(answer.finish())
}

/// A packet is one message: it ends where its header says.
fn parse(packet: &[u8]) -> Result<Message<'_>, Unanswered> {
    let header = MessageHeader::from_bytes(packet).map_err(|_| Unanswered::Malformed)?;
    let length = MessageHeader::LENGTH + usize::from(header.data_length());
    if length != packet.len() || length > PACKET_MAX {
        return Err(Unanswered::Malformed);
    }
    Message::from_bytes(packet).map_err(|_| Unanswered::Malformed)
}

fn is_unknown(attribute: &AttributeType) -> bool {
    attribute.comprehension_required() && !UNDERSTOOD.contains(&attribute.value())
}

fn located(request: &Message<'_>, from: SocketAddr) -> Result<MessageWriteVec, StunWriteError> {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    // A socket for both IP versions calls 192.0.2.1 ::ffff:192.0.2.1.
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    answer.add_attribute(&XorMappedAddress::new(from, request.transaction_id()))?;
    Ok(answer)
}

/// Without a phrase for people, so that it is hardly longer than the request.
fn refused(request: &Message<'_>, unknown: &[AttributeType]) -> Result<MessageWriteVec, StunWriteError> {
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    answer.add_attribute(&ErrorCode::new(420, "")?)?;
    answer.add_attribute(&UnknownAttributes::new(unknown))?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.1: a request with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY and FINGERPRINT.
    const REQUEST: [u8; 108] = *b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
        \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
        \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
        \x80\x28\x00\x04\xe5\x7a\x3b\xcf";
    /// The header that both sample responses answer, and the address that each names (§2.2, §2.3).
    const HEADER: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
    const MAPPED_4: &[u8] = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    const MAPPED_6: &[u8] =
        b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";
    const FROM_6: &str = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// A request with these attributes, each of four bytes.
    fn request(attributes: &[u16]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        attributes.iter().for_each(|kind| bytes.extend([&kind.to_be_bytes()[..], &[0, 4, 0, 0, 0, 0]].concat()));
        bytes[3] = (bytes.len() - 20) as u8;
        bytes
    }

    fn with_fingerprint(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[3] += 8;
        let sum = Fingerprint::compute(&[&bytes]);
        let sum = sum.iter().zip(b"STUN").map(|(byte, mask)| byte ^ mask);
        [bytes, b"\x80\x28\x00\x04".to_vec(), sum.collect()].concat()
    }

    #[test]
    fn rfc_5769_addresses() {
        for (address, mapped) in
            [("192.0.2.1:32853", MAPPED_4), ("[::ffff:192.0.2.1]:32853", MAPPED_4), (FROM_6, MAPPED_6)]
        {
            let answer = answer(&HEADER, from(address)).unwrap();
            assert_eq!(answer[..4], [1, 1, 0, mapped.len() as u8], "{address}");
            assert_eq!((&answer[4..20], &answer[20..]), (&HEADER[4..], mapped), "{address}");
        }
    }

    #[test]
    fn rfc_5769_request_asks_for_more_than_a_stun_server_knows() {
        let answer = answer(&REQUEST, from("192.0.2.1:32853")).unwrap();
        let parsed = Message::from_bytes(&answer).unwrap();
        assert!(parsed.has_class(MessageClass::Error) && parsed.has_attribute(Fingerprint::TYPE));
        assert_eq!(parsed.attribute::<ErrorCode>().unwrap().code(), 420);
        // PRIORITY: it is a check between two peers that went astray.
        assert_eq!(answer[28..36], *b"\x00\x0a\x00\x02\x00\x24\x00\x00");
        assert_eq!(answer[4..20], REQUEST[4..20]);
    }

    #[test]
    fn attributes_that_mean_nothing_here_are_passed_over() {
        for attributes in [&[0x8022][..], &[0x0006, 0x0014, 0x0015], &[0xc001, 0x001e, 0x802a]] {
            let answer = answer(&request(attributes), from("192.0.2.1:32853")).unwrap();
            assert_eq!(&answer[20..], MAPPED_4, "{attributes:x?}");
        }
        // CHANGE-REQUEST and RESPONSE-PORT (RFC 5780) would make others the receivers.
        for attribute in [0x0003, 0x0027, 0x7fff] {
            let answer = answer(&request(&[attribute]), from("192.0.2.1:32853")).unwrap();
            assert_eq!(answer[1], 0x11, "{attribute:x}");
        }
    }

    #[test]
    fn an_answer_is_hardly_longer_than_its_request() {
        let mut most = 0.0_f64;
        for count in 0..=20 {
            let plain = request(&vec![0x7777; count]);
            for (request, has_fingerprint) in [(plain.clone(), false), (with_fingerprint(plain), true)] {
                for from in [from("192.0.2.1:9"), from(FROM_6)] {
                    let answer = answer(&request, from).unwrap();
                    assert!(answer.len() <= request.len() + 24);
                    let parsed = Message::from_bytes(&answer).expect("a message, and its checksum is right");
                    assert_eq!(parsed.has_attribute(Fingerprint::TYPE), has_fingerprint);
                    most = most.max(answer.len() as f64 / request.len() as f64);
                }
            }
        }
        assert_eq!(most, 2.2);
    }

    #[test]
    fn anything_else_is_not_answered() {
        let malformed =
            |packet: &[u8]| assert_eq!(answer(packet, from("192.0.2.1:9")), Err(Unanswered::Malformed), "{packet:x?}");
        for length in 0..REQUEST.len() {
            malformed(&REQUEST[..length]);
        }
        for at in 0..8 {
            let mut packet = REQUEST;
            packet[at] ^= 0x80;
            assert!(answer(&packet, from("192.0.2.1:9")).is_err(), "byte {at}");
        }
        malformed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        malformed(&[0; 548]);
        malformed(&[&REQUEST[..], &[0]].concat());
        malformed(&[HEADER.to_vec(), vec![0; 4]].concat());
        // RFC 3489 knows no cookie, and a checksum may be wrong.
        malformed(&[&HEADER[..4], &[7; 16]].concat());
        malformed(&[&REQUEST[..107], &[0]].concat());
        // An attribute that goes on after the end, and more than a path takes.
        malformed(&[&[0, 1, 0, 4], &HEADER[4..], &[0x80, 0x22, 0, 5]].concat());
        malformed(&[&[0, 1, 2, 20], &HEADER[4..], &[0x80, 0x22, 2, 16], &[0; 528]].concat());
        for kind in [0x0101_u16, 0x0111, 0x0011, 0x0003, 0x0002] {
            let packet = [&kind.to_be_bytes(), &HEADER[2..]].concat();
            assert_eq!(answer(&packet, from("192.0.2.1:9")), Err(Unanswered::NotBinding), "{kind:x}");
        }
        assert_eq!(answer(&HEADER, from("192.0.2.1:0")), Err(Unanswered::BadSource));
    }

    #[test]
    fn no_bytes_make_it_panic_or_answer_at_length() {
        let mut rng = swarmreel::rng::Rng::new([3; 32]);
        for _ in 0..20_000 {
            let mut packet = REQUEST.to_vec();
            for _ in 0..1 + rng.below(4) {
                let at = rng.below(packet.len() as u64) as usize;
                packet[at] = rng.below(256) as u8;
            }
            packet.truncate(rng.below(REQUEST.len() as u64 + 30) as usize);
            if let Ok(answer) = answer(&packet, from(FROM_6)) {
                assert!(answer.len() <= packet.len() + 24);
            }
        }
    }
}

//! The decoder on the RFC's examples, on hostile streams, and on every way to cut them.

use super::*;

const LIMITS: Limits = Limits { message_bytes: 300, fragments: 4, controls_per_second: 3 };

/// A client's frame under a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut masked = payload.to_vec();
    unmask(&mut masked, mask);
    let length = match payload.len() {
        short @ 0..126 => vec![0x80 | short as u8],
        medium => [&[0xfe][..], &(medium as u16).to_be_bytes()].concat(),
    };
    [&[first][..], &length, &mask, &masked].concat()
}

/// What a stream says and how it ends, in short: `text`, `?ping`, `!`, `#code`.
fn read(stream: &[u8], cut: usize) -> (Vec<String>, Result<usize, Violation>) {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    for piece in stream.chunks(cut) {
        let mut bytes = piece.to_vec();
        let mut piece = &mut bytes[..];
        loop {
            match decoder.next(&LIMITS, Moment(0), &mut piece) {
                Ok(Some(Event::Message(text))) => said.push(text.into_owned()),
                Ok(Some(Event::Ping(payload))) => said.push(format!("?{}", payload.escape_ascii())),
                Ok(Some(Event::Pong)) => said.push("!".to_owned()),
                Ok(Some(Event::Close(code))) => said.push(format!("#{}", code.unwrap_or(0))),
                Ok(None) => break,
                Err(violation) => return (said, Err(violation)),
            }
        }
        assert!(piece.is_empty(), "what is not kept is read");
        assert!(decoder.kept() <= LIMITS.message_bytes + HEAD_BYTES_MAX);
    }
    (said, Ok(decoder.kept()))
}

#[track_caller]
fn expect(stream: &[u8], said: &[&str], end: Result<usize, Violation>) {
    let said: Vec<String> = said.iter().map(|&word| word.to_owned()).collect();
    for cut in [stream.len().max(1), 1, 2, 3, 5, 7, 100] {
        assert_eq!(read(stream, cut), (said.clone(), end), "in pieces of {cut}");
    }
}

#[test]
fn the_examples_of_the_rfc() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(frame(0x81, b"Hello"), hello, "RFC 6455 §5.7");
    expect(&hello, &["Hello"], Ok(0));
    expect(&[frame(0x01, b"Hel"), frame(0x80, b"lo")].concat(), &["Hello"], Ok(0));
    expect(&[frame(0x89, b"Hello"), frame(0x8a, b"Hello")].concat(), &["?Hello", "!"], Ok(0));
    expect(&frame(0x82, &[b'x'; 256]), &["x".repeat(256).as_str()], Ok(0));
}

#[test]
fn fragments_with_control_frames_between_them() {
    let stream = [frame(0x01, b"a"), frame(0x89, b"1"), frame(0x00, b""), frame(0x8a, b""), frame(0x80, b"b")].concat();
    expect(&stream, &["?1", "!", "ab"], Ok(0));
    expect(&[stream.clone(), frame(0x81, b"c")].concat(), &["?1", "!", "ab", "c"], Ok(0));
    expect(&[frame(0x02, "ä".as_bytes()[..1].as_ref()), frame(0x80, &"ä".as_bytes()[1..])].concat(), &["ä"], Ok(0));
    expect(&[frame(0x81, b""), frame(0x01, b""), frame(0x80, b"")].concat(), &["", ""], Ok(0));
}

#[test]
fn what_is_incomplete_is_kept_and_nothing_else() {
    expect(&[frame(0x81, b"a"), vec![0x81]].concat(), &["a"], Ok(1));
    expect(&frame(0x81, b"abc")[..8], &[], Ok(8));
    expect(&[&frame(0x01, b"abc")[..], &frame(0x80, b"d")[..6]].concat(), &[], Ok(3 + 6));
    let mut decoder = Decoder::default();
    let mut bytes = frame(0x81, &[b'x'; 200]);
    let (first, second) = bytes.split_at_mut(100);
    assert_eq!(decoder.next(&LIMITS, Moment(0), &mut &mut *first), Ok(None));
    assert!(decoder.next(&LIMITS, Moment(0), &mut &mut *second).unwrap().is_some());
    assert_eq!((decoder.frame.capacity(), decoder.message.capacity()), (0, 0), "an idle client costs nothing");
}

#[test]
fn broken_messages_end_the_stream() {
    use Violation::*;
    let whole = |first, payload: &[u8]| [frame(0x81, b"ok"), frame(first, payload), frame(0x81, b"never")].concat();
    for (first, payload, violation) in [
        (0x80, &b"x"[..], Protocol),
        (0x00, b"x", Protocol),
        (0x81, b"\xff", NotUtf8),
        (0x82, b"\xed\xa0\x80", NotUtf8),
        (0xc1, b"x", Protocol),
        (0x88, b"x", Protocol),
        (0x88, b"\x03\xed", Protocol),
        (0x88, b"\x03\xe7", Protocol),
        (0x88, b"\x13\x88", Protocol),
        (0x88, b"\x03\xe8\xff", NotUtf8),
        (0x81, &[b'x'; 301], TooBig),
    ] {
        expect(&whole(first, payload), &["ok"], Err(violation));
    }
    expect(&[frame(0x01, b"a"), frame(0x81, b"b")].concat(), &[], Err(Protocol));
    expect(&[frame(0x01, &[b'x'; 300]), frame(0x80, b"x")].concat(), &[], Err(TooBig));
    expect(&[frame(0x01, b"\xc3"), frame(0x80, b"x")].concat(), &[], Err(NotUtf8));
}

#[test]
fn closes_with_and_without_a_code() {
    for (payload, said) in [(&b""[..], "#0"), (b"\x03\xe8", "#1000"), (b"\x03\xf4bye", "#1012"), (b"\x0f\xa0", "#4000")]
    {
        expect(&frame(0x88, payload), &[said], Ok(0));
    }
}

#[test]
fn s3_a_message_too_big_is_refused_by_its_head() {
    for length in [301_u64, 1 << 20, 1 << 63, u64::MAX] {
        expect(&[&[0x81, 0xff][..], &length.to_be_bytes()].concat(), &[], Err(Violation::TooBig));
    }
    expect(&[&frame(0x01, &[b'x'; 299])[..], &[0x80, 0x82, 0, 0, 0, 0]].concat(), &[], Err(Violation::TooBig));
}

#[test]
fn s4_fragments_and_controls_are_counted_apart() {
    let (first, more, last, ping) = (frame(0x01, b""), frame(0x00, b""), frame(0x80, b""), frame(0x89, b""));
    let message = [&first[..], &more, &more, &last].concat();
    expect(&message.repeat(3), &["", "", ""], Ok(0));
    expect(&[&first[..], &more, &more, &more, &last].concat(), &[], Err(Violation::TooManyFrames));
    expect(&[&message[..], &ping, &ping, &ping].concat(), &["", "?", "?", "?"], Ok(0));
    expect(&[&ping[..], &ping, &first, &ping, &ping].concat(), &["?", "?", "?"], Err(Violation::TooManyFrames));

    let mut decoder = Decoder::default();
    let mut pings = |now: u64, count: usize| {
        let mut stream = ping.repeat(count);
        let mut rest = &mut stream[..];
        (0..count).try_for_each(|_| decoder.next(&LIMITS, Moment(now), &mut rest).map(drop))
    };
    assert_eq!(pings(5_000_000, 3), Ok(()));
    assert_eq!(pings(6_000_000, 3), Ok(()), "a second later");
    assert_eq!(pings(6_999_999, 1), Err(Violation::TooManyFrames));
}

#[test]
fn masks_of_all_lengths_come_off() {
    let mask = [1, 20, 40, 80];
    for length in 0..40 {
        let plain: Vec<u8> = (0..length).collect();
        let mut masked: Vec<u8> = plain.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        unmask(&mut masked, mask);
        assert_eq!(masked, plain);
    }
}

//! The client's side of WebSocket frames (RFC 6455 §5), as little of it as a tracker's messages need.
//!
//! Invariant: a frame is read where it lies, and only whole.

/// What frames carry (RFC 6455 §5.2).
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Longer than any message of a tracker.
const PAYLOAD_MAX: u64 = 1 << 20;

/// One whole frame of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
    /// What it takes in the stream, header included.
    pub(crate) length: usize,
}

/// A frame that no tracker sends: masked, fragmented, compressed or huge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// The first frame of `input`; `None` while it is not whole.
pub(crate) fn read(input: &[u8]) -> Result<Option<Frame<'_>>, Broken> {
    let &[first, second, ref rest @ ..] = input else { return Ok(None) };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err(Broken);
    }
    let (length, header) = match second {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    if length > PAYLOAD_MAX {
        return Err(Broken);
    }
    let end = header + length as usize;
    Ok(input.get(header..end).map(|payload| Frame { opcode: first & 0x0f, payload, length: end }))
}

/// Appends one whole frame, masked as a client must.
pub(crate) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: u32) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    let mask = mask.to_ne_bytes();
    out.extend(mask);
    let start = out.len();
    out.extend_from_slice(payload);
    let word = u64::from_ne_bytes([mask, mask].concat().try_into().expect("eight bytes"));
    let (words, rest) = out[start..].as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    for (byte, mask) in rest.iter_mut().skip(4).zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whole() {
        for (header, payload) in
            [(vec![0x81, 3], 3), (vec![0x81, 126, 1, 0], 256), (vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65536)]
        {
            let mut stream = header;
            let head = stream.len();
            stream.extend(vec![b'x'; payload]);
            for cut in [0, 1, head - 1, head, stream.len() - 1] {
                assert_eq!(read(&stream[..cut]), Ok(None), "{cut} of {}", stream.len());
            }
            let frame = read(&stream).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload.len(), frame.length), (TEXT, payload, stream.len()));
        }
    }

    #[test]
    fn what_no_tracker_sends_is_refused() {
        for stream in [&[0x01, 0][..], &[0xc1, 0], &[0x81, 0x80, 0, 0, 0, 0], &[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(read(stream), Err(Broken), "{stream:x?}");
        }
    }

    #[test]
    fn payloads_are_masked_to_the_last_byte() {
        for length in [0, 1, 4, 5, 7, 8, 9, 125, 126, 1000, 70_000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut out = Vec::new();
            write(&mut out, TEXT, &payload, u32::from_ne_bytes([1, 2, 3, 4]));
            let at = out.len() - length;
            assert_eq!(out[at - 4..at], [1, 2, 3, 4]);
            let plain: Vec<u8> =
                out[at..].iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(plain, payload);
        }
    }
}

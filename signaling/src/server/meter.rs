//! Counts the WebSocket frames of a stream as they are read, since the WebSocket library shows messages only.
//!
//! Invariant: a client's bytes pass unchanged until it has cut a message into too many fragments, or sent too many
//! control frames within a second; from then on every read fails (threat-model S4).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// The error inside the `io::Error` of a failed read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyFrames;

impl fmt::Display for TooManyFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many frames")
    }
}

impl std::error::Error for TooManyFrames {}

/// A stream whose incoming frames are counted.
pub(super) struct Meter<S> {
    stream: S,
    frames: Frames,
    counts: Counts,
}

impl<S> Meter<S> {
    /// At most `fragments` frames a message and `controls` control frames a second.
    pub(super) fn new(stream: S, fragments: u32, controls: u32) -> Self {
        let counts =
            Counts { fragments: 0, fragments_max: fragments, controls: 0, controls_max: controls, since: None };
        Self { stream, frames: Frames::default(), counts }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        let mut bytes = &into.filled()[before..];
        while let Some(first) = this.frames.next(&mut bytes) {
            this.counts.count(first).map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

struct Counts {
    /// Frames of the message being received.
    fragments: u32,
    fragments_max: u32,
    /// Control frames since `since`.
    controls: u32,
    controls_max: u32,
    since: Option<Instant>,
}

impl Counts {
    /// Counts a frame by its first byte: FIN flag and opcode (RFC 6455 §5.2).
    fn count(&mut self, first: u8) -> Result<(), TooManyFrames> {
        let (fin, control) = (first & 0x80 != 0, first & 0x08 != 0);
        if control {
            let now = Instant::now();
            if self.since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
                (self.since, self.controls) = (Some(now), 0);
            }
            self.controls += 1;
        } else {
            self.fragments += 1;
        }
        if self.controls > self.controls_max || self.fragments > self.fragments_max {
            return Err(TooManyFrames);
        }
        if fin && !control {
            self.fragments = 0;
        }
        Ok(())
    }
}

/// Finds where frames begin in a stream of bytes that comes in any pieces.
#[derive(Default)]
struct Frames {
    /// The head of the frame being read, as far as it is here: flags, lengths, mask.
    head: [u8; 14],
    head_len: usize,
    /// Bytes of its payload still to come, once the head is complete.
    payload: u64,
}

impl Frames {
    /// Takes bytes up to the end of the next head, and returns that head's first byte; `None` when more are needed.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<u8> {
        let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
        self.payload -= skipped as u64;
        *bytes = &bytes[skipped..];
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            if let Some(payload) = payload_of(&self.head[..self.head_len]) {
                (self.payload, self.head_len) = (payload, 0);
                return Some(self.head[0]);
            }
        }
        None
    }
}

/// The length of the payload, if the head is complete.
fn payload_of(head: &[u8]) -> Option<u64> {
    let &[_, second, ref rest @ ..] = head else { return None };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let length_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        length => return (rest.len() == mask).then_some(length.into()),
    };
    (rest.len() == length_bytes + mask)
        .then(|| rest[..length_bytes].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | payload as u8),
            126..65536 => bytes.extend([&[0xfe][..], &(payload as u16).to_be_bytes()].concat()),
            _ => bytes.extend([&[0xff][..], &(payload as u64).to_be_bytes()].concat()),
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + payload, 0x89); // looks like pings
        bytes
    }

    #[test]
    fn heads_are_found_however_the_bytes_are_cut() {
        let sizes = [0, 1, 125, 126, 300, 65_535, 65_536, 3];
        let stream: Vec<u8> = sizes.iter().flat_map(|&size| frame(0x81, size)).collect();
        for cut in [1, 2, 3, 7, 100, 4096, stream.len()] {
            let mut frames = Frames::default();
            let mut found = 0;
            for mut piece in stream.chunks(cut) {
                while let Some(first) = frames.next(&mut piece) {
                    assert_eq!(first, 0x81);
                    found += 1;
                }
            }
            assert_eq!((found, frames.head_len, frames.payload), (sizes.len(), 0, 0), "pieces of {cut}");
        }
    }

    #[test]
    fn a_length_of_2_to_the_63_is_only_a_number() {
        let mut head = &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5][..];
        let mut frames = Frames::default();
        assert_eq!(frames.next(&mut head), Some(0x82));
        assert_eq!(frames.next(&mut head), None);
        assert_eq!(frames.payload, (1 << 63) - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn s4_fragments_and_controls_are_counted_apart() {
        let mut counts = Counts { fragments: 0, fragments_max: 3, controls: 0, controls_max: 2, since: None };
        let (first, more, last, ping) = (0x01, 0x00, 0x80, 0x89);
        let mut count = |firsts: &[u8]| firsts.iter().try_for_each(|&byte| counts.count(byte));
        assert_eq!(count(&[first, ping, more, last, first, ping, last, 0x81, 0x81, 0x81, 0x81]), Ok(()));
        assert_eq!(count(&[ping]), Err(TooManyFrames));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(count(&[ping, ping, first, more, more]), Ok(()));
        assert_eq!(count(&[more]), Err(TooManyFrames));
    }
}

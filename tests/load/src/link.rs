//! One connection of the generator: TCP, TLS where wanted, the WebSocket handshake, frames.
//!
//! Invariant: nothing here waits. A socket that takes no more keeps what is left until it does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::frame::{self, Frame};
use crate::target::Target;

/// What is left of a handshake response that is longer than this is not one.
const HEAD_MAX: usize = 16 << 10;

enum Wire {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How the other side ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The handshake got another status than 101.
    Refused {
        /// The HTTP status.
        status: u16,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// A close frame.
    Closed {
        /// Its code (RFC 6455 §7.4.1); 1005 if it had none.
        code: u16,
        /// When to come back: a reason like `retry in 7 s`.
        retry_after: Option<Duration>,
    },
    /// Nobody listens.
    Absent,
    /// The connection broke, or never came about.
    Broken,
}

impl End {
    pub(crate) fn of(error: &io::Error) -> Self {
        if error.kind() == ErrorKind::ConnectionRefused { Self::Absent } else { Self::Broken }
    }
}

/// What reading came to.
pub(crate) enum Status {
    /// Nothing new.
    Same,
    /// The handshake is over.
    Opened,
}

pub(crate) struct Link {
    wire: Wire,
    is_open: bool,
    /// What came and is not whole.
    input: Vec<u8>,
    /// What the socket has not taken yet.
    output: Vec<u8>,
}

impl Link {
    /// Begins to connect from this address, and to shake hands.
    pub(crate) fn connect(target: &Target, from: Ipv4Addr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if target.address.is_ipv4() {
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        match socket.connect(&target.address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let stream = TcpStream::from(socket);
        let wire = match &target.tls {
            None => Wire::Plain(stream),
            Some(tls) => {
                let client = ClientConnection::new(tls.config.clone(), tls.name.clone()).map_err(io::Error::other)?;
                Wire::Secure(Box::new(StreamOwned::new(client, stream)))
            }
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            target.path, target.host
        );
        Ok(Self { wire, is_open: false, input: Vec::new(), output: request.into_bytes() })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Bytes the socket has not taken yet.
    pub(crate) fn backlog(&self) -> usize {
        self.output.len()
    }

    /// Sends whole frames.
    pub(crate) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        if !self.output.is_empty() {
            self.output.extend_from_slice(frames);
            return Ok(());
        }
        let taken = write(&mut self.wire, frames)?;
        self.output.extend_from_slice(&frames[taken..]);
        Ok(())
    }

    /// Sends what is left; to be called whenever the socket is ready.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            let taken = write(&mut self.wire, &self.output)?;
            self.output.drain(..taken);
            if self.output.is_empty() {
                self.output = Vec::new();
            }
        }
        // TLS keeps records of its own that the socket has not taken.
        match self.wire.flush() {
            Err(error) if is_waiting(&error) => Ok(()),
            flushed => flushed,
        }
    }

    /// Reads all there is and hands every frame on. `through` is room that all connections share; `is_ending` says that
    /// the other side sends no more after that.
    pub(crate) fn read(
        &mut self,
        through: &mut [u8],
        is_ending: bool,
        mut each: impl FnMut(&Frame<'_>),
    ) -> Result<Status, End> {
        let mut status = Status::Same;
        loop {
            let count = match self.wire.read(through) {
                Ok(0) => return Err(End::Broken),
                Ok(count) => count,
                Err(error) if is_waiting(&error) => return Ok(status),
                Err(error) => return Err(End::of(&error)),
            };
            if self.take(&through[..count], &mut each)? {
                status = Status::Opened;
            }
            // A TCP socket that fills less than the room is empty (epoll(7)): no need to ask once more.
            if matches!(self.wire, Wire::Plain(_)) && count < through.len() && !is_ending {
                return Ok(status);
            }
        }
    }

    /// Whether these bytes end the handshake.
    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(&Frame<'_>)) -> Result<bool, End> {
        let mut kept = std::mem::take(&mut self.input);
        let mut rest = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept[..]
        };
        let was_open = self.is_open;
        if !was_open {
            match handshake(rest)? {
                Some(length) => {
                    self.is_open = true;
                    rest = &rest[length..];
                }
                None => {
                    self.input = rest.to_vec();
                    return Ok(false);
                }
            }
        }
        while let Some(frame) = frame::read(rest).map_err(|_| End::Broken)? {
            if frame.opcode == frame::CLOSE {
                return Err(farewell(frame.payload));
            }
            each(&frame);
            rest = &rest[frame.length..];
        }
        if !rest.is_empty() {
            self.input = rest.to_vec();
        }
        Ok(!was_open)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.wire {
            Wire::Plain(stream) => stream.as_fd(),
            Wire::Secure(stream) => stream.sock.as_fd(),
        }
    }
}

impl Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Secure(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

/// How much the socket takes.
fn write(wire: &mut Wire, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match wire.write(&bytes[taken..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => taken += count,
            Err(error) if is_waiting(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// `NotConnected`: the socket is still connecting.
fn is_waiting(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}

/// The length of a whole handshake response that opens the WebSocket; `None` while it is not whole.
fn handshake(bytes: &[u8]) -> Result<Option<usize>, End> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Err(End::Broken) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    if status == 101 {
        return Ok(Some(end + 4));
    }
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let retry = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
        .find_map(|(_, value)| value.trim().parse().ok());
    Err(End::Refused { status, retry_after: retry.map(Duration::from_secs) })
}

/// A close frame's code and hint.
fn farewell(payload: &[u8]) -> End {
    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
    let retry_after = reason
        .strip_prefix("retry in ")
        .and_then(|rest| rest.strip_suffix(" s"))
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    End::Closed { code, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_open_or_say_when_to_return() {
        assert_eq!(handshake(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x00"), Ok(Some(56)));
        assert_eq!(handshake(b"HTTP/1.1 101 Switching Pro"), Ok(None));
        let refused =
            |status, seconds: Option<u64>| Err(End::Refused { status, retry_after: seconds.map(Duration::from_secs) });
        assert_eq!(handshake(b"HTTP/1.1 503 Busy\r\nretry-after: 12\r\n\r\n"), refused(503, Some(12)));
        assert_eq!(handshake(b"HTTP/1.1 429 Too Many Requests\r\n\r\n"), refused(429, None));
        assert_eq!(handshake(b"hello\r\n\r\n"), refused(0, None));
        assert_eq!(handshake(&[b'x'; HEAD_MAX + 1]), Err(End::Broken));
    }

    #[test]
    fn farewells_say_when_to_return() {
        let closed = |code, seconds: Option<u64>| End::Closed { code, retry_after: seconds.map(Duration::from_secs) };
        assert_eq!(farewell(b"\x03\xf4retry in 7 s"), closed(1012, Some(7)));
        assert_eq!(farewell(b"\x03\xf4"), closed(1012, None));
        assert_eq!(farewell(b"\x03\xe8retry in many s"), closed(1000, None));
        assert_eq!(farewell(b""), closed(1005, None));
    }
}

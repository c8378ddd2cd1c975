//! One WebSocket: a future that writes what waits for the client, then reads what came from it.
//!
//! Invariant: it holds no buffer of its own but an incomplete message; a client that takes nothing is not read from; and
//! the worker forgets the client when this is dropped, whatever for.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use swarmreel::time::Moment;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::admission::Permit;
use super::counters::Count;
use super::exchange::Exchange;
use super::worker::Present;
use crate::ConnId;
use crate::websocket::{Decoder, Event, Opcode};

/// Reads in a row before other sockets have their turn.
const READS: usize = 4;
/// Bytes that are still taken from a client that was closed, so that it sees the close and no reset.
const DISCARDED_MAX: usize = 256 << 10;

/// The connection is over.
struct Over;

/// What a poll works with.
struct Turn<'a, 'c> {
    exchange: &'a mut Exchange,
    /// The worker's, for all its sockets.
    buffer: &'a mut [u8],
    now: Moment,
    context: &'a mut Context<'c>,
}

/// See the module.
pub(super) struct Socket<S> {
    worker: Present,
    conn: ConnId,
    stream: S,
    decoder: Decoder,
    /// What came with the handshake.
    early: Vec<u8>,
    discarded: usize,
    is_shut: bool,
    _permit: Permit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(worker: Present, stream: S, early: Vec<u8>, address: IpAddr, permit: Permit) -> Self {
        let conn = worker.exchange().open(worker.now(), address);
        let decoder = Decoder::default();
        Self { worker, conn, stream, decoder, early, discarded: 0, is_shut: false, _permit: permit }
    }

    /// Writes and reads until there is nothing more to do, or others should have their turn.
    fn work(&mut self, turn: &mut Turn<'_, '_>) -> Poll<Over> {
        for _ in 0..READS {
            if turn.exchange.client(self.conn).has_ended() {
                return Poll::Ready(Over);
            }
            match self.write(turn) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(over)) => return Poll::Ready(over),
                Poll::Pending => {
                    turn.exchange.stuck(turn.now, self.conn);
                    return Poll::Pending;
                }
            }
            if let Err(over) = ready!(self.read(turn)) {
                return Poll::Ready(over);
            }
        }
        turn.context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes until nothing waits.
    fn write(&mut self, turn: &mut Turn<'_, '_>) -> Poll<Result<(), Over>> {
        let mut stream = Pin::new(&mut self.stream);
        loop {
            let outbox = &turn.exchange.client(self.conn).outbox;
            if outbox.is_empty() {
                break;
            }
            let count = outbox.peek(turn.buffer);
            match ready!(stream.as_mut().poll_write(turn.context, &turn.buffer[..count])) {
                Ok(sent @ 1..) => turn.exchange.sent(self.conn, sent),
                _ => return Poll::Ready(Err(Over)),
            }
        }
        let done = if turn.exchange.client(self.conn).outbox.is_closing() && !self.is_shut {
            ready!(stream.poll_shutdown(turn.context)).inspect(|()| self.is_shut = true)
        } else {
            ready!(stream.poll_flush(turn.context))
        };
        // TLS keeps bytes of its own, so only a flush shows that the client takes them.
        turn.exchange.client(self.conn).unstuck();
        Poll::Ready(done.map_err(|_| Over))
    }

    /// Reads once, and handles what came.
    fn read(&mut self, turn: &mut Turn<'_, '_>) -> Poll<Result<(), Over>> {
        if turn.exchange.is_congested(turn.context.waker()) {
            return Poll::Pending;
        }
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            return Poll::Ready(self.receive(turn.exchange, turn.now, &mut early));
        }
        let mut into = ReadBuf::new(turn.buffer);
        let read = ready!(Pin::new(&mut self.stream).poll_read(turn.context, &mut into));
        if read.is_err() || into.filled().is_empty() {
            return Poll::Ready(Err(Over));
        }
        Poll::Ready(self.receive(turn.exchange, turn.now, into.filled_mut()))
    }

    fn receive(&mut self, exchange: &mut Exchange, now: Moment, mut bytes: &mut [u8]) -> Result<(), Over> {
        let (conn, limits) = (self.conn, exchange.limits().websocket);
        exchange.heard(now, conn, bytes.len());
        while !exchange.client(conn).outbox.is_closing() {
            match self.decoder.next(&limits, now, &mut bytes) {
                Ok(Some(Event::Message(text))) => exchange.message(now, conn, &text),
                Ok(Some(Event::Ping(payload))) => {
                    exchange.client(conn).outbox.control(Opcode::Pong, payload.into_owned());
                }
                Ok(Some(Event::Pong)) => {}
                Ok(Some(Event::Close(code))) => exchange.close(now, conn, code.unwrap_or(1000), ""),
                Ok(None) => return Ok(()),
                Err(violation) => {
                    exchange.counters().add(Count::Violations, 1);
                    exchange.close(now, conn, violation.code(), violation.reason());
                }
            }
        }
        self.discarded += bytes.len();
        if self.discarded > DISCARDED_MAX { Err(Over) } else { Ok(()) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Socket<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let worker = Rc::clone(&this.worker);
        let (exchange, buffer, now) = (&mut *worker.exchange(), &mut **worker.buffer(), worker.now());
        exchange.client(this.conn).rouse();
        let mut turn = Turn { exchange, buffer, now, context };
        if let Poll::Ready(Over) = this.work(&mut turn) {
            return Poll::Ready(());
        }
        turn.exchange.client(this.conn).sleep(turn.context.waker());
        Poll::Pending
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        self.worker.exchange().remove(self.worker.now(), self.conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Socket<tokio::net::TcpStream>>() <= 256, "{}", size_of::<Socket<tokio::net::TcpStream>>());
        assert!(size_of::<super::super::client::Client>() <= 192, "{}", size_of::<super::super::client::Client>());
    }
}

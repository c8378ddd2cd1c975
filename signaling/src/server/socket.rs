//! One WebSocket: a future that writes what waits for the client, then reads what came from it.
//!
//! Invariant: it holds no buffer of its own but an incomplete message; a client that takes nothing is not read from; and
//! the worker forgets the client when this is dropped, whatever for.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use swarmreel::time::Moment;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::admission::Permit;
use super::counters::Count;
use super::exchange::Exchange;
use super::worker::Worker;
use crate::ConnId;
use crate::websocket::{Decoder, Event, Opcode};

/// Reads in a row before other sockets have their turn.
const READS: usize = 4;
/// Bytes that are still taken from a client that was closed, so that it sees the close and no reset.
const DISCARDED_MAX: usize = 256 << 10;

/// The connection is over.
struct Over;

/// See the module.
pub(super) struct Socket<S> {
    worker: Rc<Worker>,
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
    pub(super) fn new(worker: Rc<Worker>, stream: S, early: Vec<u8>, address: IpAddr, permit: Permit) -> Self {
        let conn = worker.exchange().open(worker.now(), address);
        Self {
            worker,
            conn,
            stream,
            decoder: Decoder::default(),
            early,
            discarded: 0,
            is_shut: false,
            _permit: permit,
        }
    }

    /// Writes until nothing waits. False if the client takes no more now.
    fn write(&mut self, exchange: &mut Exchange, now: Moment, context: &mut Context<'_>) -> Result<bool, Over> {
        let mut buffer = std::mem::take(&mut exchange.buffer);
        let written = loop {
            let outbox = &exchange.client(self.conn).outbox;
            if outbox.is_empty() {
                break self.flush(exchange, context);
            }
            let count = outbox.peek(&mut buffer);
            match Pin::new(&mut self.stream).poll_write(context, &buffer[..count]) {
                Poll::Ready(Ok(sent @ 1..)) => {
                    let client = exchange.client(self.conn);
                    client.unstuck();
                    let frames = client.outbox.advance(sent);
                    exchange.counters().add(Count::FramesOut, frames);
                    exchange.counters().add(Count::BytesOut, sent as u64);
                }
                Poll::Ready(_) => break Err(Over),
                Poll::Pending => break Ok(false),
            }
        };
        exchange.buffer = buffer;
        if let Ok(false) = written {
            let limits = exchange.limits().blocked;
            exchange.client(self.conn).stuck(now + limits);
        }
        written
    }

    /// Hands on what the stream holds back; behind the close, ends our side.
    fn flush(&mut self, exchange: &mut Exchange, context: &mut Context<'_>) -> Result<bool, Over> {
        let stream = Pin::new(&mut self.stream);
        let done = if exchange.client(self.conn).outbox.is_closing() && !self.is_shut {
            let shut = stream.poll_shutdown(context);
            self.is_shut = shut.is_ready();
            shut
        } else {
            stream.poll_flush(context)
        };
        match done {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(_)) => Err(Over),
            Poll::Pending => Ok(false),
        }
    }

    /// Reads once, and handles what came.
    fn read(&mut self, exchange: &mut Exchange, now: Moment, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if exchange.is_congested(context.waker()) {
            return Poll::Pending;
        }
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            return Poll::Ready(self.receive(exchange, now, &mut early));
        }
        let mut buffer = std::mem::take(&mut exchange.buffer);
        let mut into = ReadBuf::new(&mut buffer);
        let outcome = match Pin::new(&mut self.stream).poll_read(context, &mut into) {
            Poll::Ready(Ok(())) if !into.filled().is_empty() => {
                Poll::Ready(self.receive(exchange, now, into.filled_mut()))
            }
            Poll::Ready(_) => Poll::Ready(Err(Over)),
            Poll::Pending => Poll::Pending,
        };
        exchange.buffer = buffer;
        outcome
    }

    fn receive(&mut self, exchange: &mut Exchange, now: Moment, mut bytes: &mut [u8]) -> Result<(), Over> {
        let (conn, limits) = (self.conn, exchange.limits().websocket);
        let pong = exchange.limits().pong;
        exchange.counters().add(Count::BytesIn, bytes.len() as u64);
        exchange.client(conn).heard(now + pong);
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

    fn turn(&mut self, exchange: &mut Exchange, now: Moment, context: &mut Context<'_>) -> Poll<Over> {
        for _ in 0..READS {
            if exchange.client(self.conn).has_ended() {
                return Poll::Ready(Over);
            }
            match self.write(exchange, now, context) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(over) => return Poll::Ready(over),
            }
            match self.read(exchange, now, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(over)) => return Poll::Ready(over),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Socket<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let worker = this.worker.clone();
        let mut exchange = worker.exchange();
        let outcome = this.turn(&mut exchange, worker.now(), context);
        if outcome.is_pending() {
            exchange.client(this.conn).sleep(context.waker());
        }
        outcome.map(|Over| ())
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        self.worker.exchange().remove(self.worker.now(), self.conn);
    }
}

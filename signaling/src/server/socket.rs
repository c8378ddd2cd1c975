//! One WebSocket: messages to the hub, errands from it, and its pulse.
//!
//! Invariant: the tracker hears of the connection's end before its farewell, so a dying socket is offered to nobody.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::limits::ServerLimits;
use super::meter::{Meter, TooManyFrames};
use super::outbox::{Errand, Outbox};
use super::{Shared, Stopped};
use crate::ConnId;

/// Our last words: close code (RFC 6455 §7.4.1) and reason. `None` when nobody is there to hear them.
type Farewell = Option<(u16, &'static str)>;

/// Serves one upgraded connection until it ends.
pub(super) async fn run<S>(stream: S, address: IpAddr, shared: Arc<Shared>, stopped: Stopped)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = &shared.limits;
    let stream = Meter::new(stream, limits.fragments, limits.controls_per_second);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config(limits))).await;
    let (conn, outbox) = shared.hub.open(address);
    let farewell = converse(&mut socket, conn, &outbox, &shared, stopped).await;
    shared.hub.closed(conn);
    if let Some((code, reason)) = farewell {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let _ = timeout(limits.farewell, async {
            socket.close(Some(frame)).await?;
            while socket.next().await.transpose()?.is_some() {}
            Ok::<_, Error>(())
        })
        .await;
    }
}

/// The defaults of the library cost 134 KiB per connection; these, 6 KiB.
fn config(limits: &ServerLimits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.message_bytes))
}

async fn converse<S>(
    socket: &mut WebSocketStream<S>,
    conn: ConnId,
    outbox: &Outbox,
    shared: &Shared,
    mut stopped: Stopped,
) -> Farewell
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pulse = Pulse::new(&shared.limits);
    loop {
        let sent = tokio::select! {
            () = stopped.wait() => return Some((1001, "the server stops")),
            message = socket.next() => match message? {
                Ok(message) => {
                    pulse.heard();
                    if let Err(farewell) = receive(&message, conn, shared) {
                        return farewell;
                    }
                    Ok(())
                }
                Err(error) => return farewell_after(&error),
            },
            errand = outbox.next() => match errand {
                Errand::Send(text) => socket.send(Message::text(text)).await,
                Errand::Probe => {
                    pulse.probed();
                    socket.send(Message::Ping("".into())).await
                }
                Errand::Close(code, reason) => return Some((code, reason)),
            },
            () = sleep_until(pulse.due()) => {
                if pulse.is_dead() {
                    return None;
                }
                pulse.pinged();
                socket.send(Message::Ping("".into())).await
            }
        };
        if sent.is_err() {
            return None;
        }
    }
}

fn receive(message: &Message, conn: ConnId, shared: &Shared) -> Result<(), Farewell> {
    match message {
        Message::Text(text) => shared.hub.message(conn, text),
        // Some clients send their JSON as binary (protocol.md §1.1).
        Message::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => shared.hub.message(conn, text),
            Err(_) => return Err(Some((1007, "not UTF-8"))),
        },
        // The library answers pings and closes.
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
    }
    Ok(())
}

fn farewell_after(error: &Error) -> Farewell {
    match error {
        Error::Capacity(_) => Some((1009, "message too big")),
        Error::Utf8(_) => Some((1007, "not UTF-8")),
        Error::Protocol(_) => Some((1002, "not the WebSocket protocol")),
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooManyFrames>()) => {
            Some((1008, "too many frames"))
        }
        _ => None,
    }
}

/// Whether the client still lives.
struct Pulse<'a> {
    limits: &'a ServerLimits,
    ping_at: Instant,
    dead_at: Instant,
}

impl<'a> Pulse<'a> {
    fn new(limits: &'a ServerLimits) -> Self {
        let now = Instant::now();
        Self { limits, ping_at: now + limits.ping, dead_at: now + limits.pong }
    }

    /// When there is something to do if nothing is heard.
    fn due(&self) -> Instant {
        self.ping_at.min(self.dead_at)
    }

    fn is_dead(&self) -> bool {
        Instant::now() >= self.dead_at
    }

    fn heard(&mut self) {
        self.dead_at = Instant::now() + self.limits.pong;
    }

    fn pinged(&mut self) {
        self.ping_at = Instant::now() + self.limits.ping;
    }

    fn probed(&mut self) {
        self.pinged();
        self.dead_at = self.dead_at.min(Instant::now() + self.limits.probe);
    }
}

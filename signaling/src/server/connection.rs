//! One connection from its first byte: HTTP until it ends, or becomes a WebSocket in a task of its own.
//!
//! Invariant: a connection holds its permit as long as its socket is open; an upgraded one keeps nothing of HTTP.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};

use super::admission::{Permit, Refused};
use super::counters::Count;
use super::patience::Patience;
use super::socket::Socket;
use super::tls::Tls;
use super::worker::Present;
use super::{client_address, http, is_within};

/// Who is at the other end of a connection, and what it comes to.
pub(super) struct Visitor {
    pub(super) worker: Present,
    /// As the socket has it: perhaps a proxy's.
    pub(super) peer: IpAddr,
    permit: RefCell<Permit>,
    answered: Cell<bool>,
    /// The address of a client whose request became a WebSocket.
    upgraded: Cell<Option<IpAddr>>,
}

impl Visitor {
    pub(super) fn new(worker: Present, peer: IpAddr, permit: Permit) -> Self {
        Self { worker, peer, permit: permit.into(), answered: false.into(), upgraded: None.into() }
    }

    /// The client's address, by what trusted proxies say.
    pub(super) fn client(&self, headers: &HeaderMap) -> IpAddr {
        client_address(self.peer, headers, &self.worker.shared.options.trusted_proxies)
    }

    /// Lets the connection go on as a WebSocket, once the response is sent, if its client may have one more.
    pub(super) fn upgrade(&self, address: IpAddr) -> Result<(), Refused> {
        let shared = &self.worker.shared;
        if self.worker.is_draining() {
            return Err(Refused::Stopping);
        }
        self.permit.borrow_mut().claim(address)?;
        // Others have come through the door.
        if is_within(self.peer, &shared.options.trusted_proxies) && !shared.may_arrive(address) {
            return Err(Refused::Rate);
        }
        self.upgraded.set(Some(address));
        Ok(())
    }
}

/// As [`converse`], once TLS is agreed on. What that took is off the time for heads.
pub(super) async fn converse_by_tls(stream: TcpStream, tls: Arc<Tls>, visitor: Visitor) {
    let worker = visitor.worker.clone();
    let (limit, began) = (worker.shared.options.sockets.handshake, Instant::now());
    let agreed = tokio::select! {
        agreed = timeout(limit, tls.acceptor().accept(stream)) => agreed,
        () = worker.stopping() => return,
    };
    match agreed {
        Ok(Ok(stream)) => converse(stream, visitor, limit.saturating_sub(began.elapsed())).await,
        Ok(Err(_)) | Err(_) => worker.exchange().counters().add(Count::HandshakesFailed, 1),
    }
}

/// See the module. The head of each request has so much time.
pub(super) async fn converse<S>(stream: S, visitor: Visitor, head: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let worker = visitor.worker.clone();
    let limits = &worker.shared.options.sockets;
    let visitor = Rc::new(visitor);
    let guest = visitor.clone();
    let service = service_fn(move |request| {
        let visitor = guest.clone();
        Box::pin(async move {
            visitor.answered.set(true);
            Ok::<_, Infallible>(http::respond(&request, &visitor).await)
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(limits.head_lines)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Patience::new(stream, limits.blocked)), service);
    let served = tokio::select! {
        served = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(served),
        () = worker.stopping() => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    let parts = connection.into_parts();
    drop(parts.service);
    let Some(visitor) = Rc::into_inner(visitor) else { return };
    leave_http(parts.io.into_inner(), parts.read_buf.to_vec(), visitor, served.is_ok()).await;
}

async fn leave_http<S>(mut stream: Patience<S>, early: Vec<u8>, visitor: Visitor, served: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    match visitor.upgraded.get() {
        Some(address) if served => {
            let (worker, permit) = (visitor.worker, visitor.permit.into_inner());
            spawn_local(Socket::new(worker, stream.into_inner(), early, address, permit));
        }
        _ => {
            // A client that breaks off, is too slow or sends nonsense is its own problem.
            if !served && !visitor.answered.get() {
                visitor.worker.exchange().counters().add(Count::HandshakesFailed, 1);
            }
            let _ = stream.shutdown().await;
        }
    }
}

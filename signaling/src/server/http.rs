//! HTTP: the site, a few JSON pages, and the way in to the WebSocket tracker.
//!
//! Invariant: every response carries the security headers; nothing a client sends is written back.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Guest, site, socket};

pub(super) type Page = Response<Full<Bytes>>;

/// What the page may load and do; threat-model B. `connect-src` is open because trackers, web seeds and `.torrent`
/// addresses are the user's choice.
const SECURITY: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
         media-src blob:; connect-src 'self' ws: wss: http: https:; worker-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Answers one request; an upgrade goes on as a WebSocket in a task of its own.
pub(super) fn respond(request: Request<Incoming>, guest: &Arc<Guest>) -> Page {
    let mut page = if header_has(request.headers(), header::UPGRADE, "websocket") {
        upgrade(request, guest)
    } else {
        plain(&request, guest)
    };
    for (name, value) in SECURITY {
        page.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    page
}

fn plain(request: &Request<Incoming>, guest: &Guest) -> Page {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut page = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
        page.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return page;
    }
    match request.uri().path() {
        "/health" => text(StatusCode::OK, "ok\n"),
        "/stats.json" => json(guest.shared.hub.stats_json()),
        "/config.json" => match guest.shared.ice.body(guest.address) {
            Some(body) => json(body),
            None => too_often(),
        },
        path => match site::find(guest.shared.site, path) {
            Some(file) => site::respond(file, request.headers()),
            None => text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        },
    }
}

fn upgrade(mut request: Request<Incoming>, guest: &Arc<Guest>) -> Page {
    let headers = request.headers();
    if request.method() != Method::GET || !header_has(headers, header::CONNECTION, "upgrade") {
        return text(StatusCode::BAD_REQUEST, "This is no WebSocket handshake.\n");
    }
    if !header_has(headers, header::SEC_WEBSOCKET_VERSION, "13") {
        let mut page = text(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here.\n");
        page.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return page;
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return text(StatusCode::BAD_REQUEST, "The WebSocket handshake has no key.\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn({
        let (guest, upgraded) = (guest.clone(), hyper::upgrade::on(&mut request));
        async move {
            if let Ok(stream) = upgraded.await {
                socket::run(TokioIo::new(stream), guest.address, guest.shared.clone(), guest.stopped.clone()).await;
            }
        }
    });
    // No extension is taken up, so a compressed bomb cannot be sent (threat-model S18).
    let mut page = Page::default();
    *page.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = page.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is a header value"));
    page
}

/// Whether a comma-separated header has this item, in any case.
fn header_has(headers: &HeaderMap, name: HeaderName, item: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(item))
}

fn too_often() -> Page {
    let mut page = text(StatusCode::TOO_MANY_REQUESTS, "This address asks too often.\n");
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    page
}

fn text(status: StatusCode, words: &'static str) -> Page {
    page(status, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

fn json(body: String) -> Page {
    page(StatusCode::OK, "application/json", body.into())
}

fn page(status: StatusCode, kind: &'static str, body: Bytes) -> Page {
    let mut page = Page::new(Full::new(body));
    *page.status_mut() = status;
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

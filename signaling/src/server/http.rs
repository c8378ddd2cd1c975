//! HTTP: the site, a few JSON pages, and the way in to the WebSocket tracker.
//!
//! Invariant: every response carries the security headers; nothing a client sends is written back.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::connection::Visitor;
use super::{origin, site};
use crate::websocket::{self, Upgrade};

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

/// Answers one request.
pub(super) async fn respond(request: &Request<Incoming>, visitor: &Visitor) -> Page {
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let mut page = match websocket::judge(request.method().as_str(), &headers) {
        Upgrade::Absent => plain(request, visitor).await,
        Upgrade::Broken(sentence) => text(StatusCode::BAD_REQUEST, sentence),
        Upgrade::Version => {
            let mut page = text(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here.\n");
            page.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            page
        }
        Upgrade::Accept(accept) => upgrade(request, visitor, accept),
    };
    for (name, value) in SECURITY {
        page.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    page
}

async fn plain(request: &Request<Incoming>, visitor: &Visitor) -> Page {
    let shared = &visitor.worker.shared;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut page = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
        page.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return page;
    }
    match request.uri().path() {
        "/health" => match &shared.link {
            Some(link) if !link.stats().up() => text(StatusCode::OK, "degraded: the cluster cannot be reached\n"),
            _ => text(StatusCode::OK, "ok\n"),
        },
        "/stats.json" => json(visitor.worker.stats_json().await),
        "/config.json" => config(request.headers(), visitor),
        path => match site::find(shared.site, path) {
            Some(file) => site::respond(file, request.headers()),
            None => text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        },
    }
}

/// What our own pages may use; a browser names the origin of any other page (threat-model S16).
fn config(headers: &HeaderMap, visitor: &Visitor) -> Page {
    let shared = &visitor.worker.shared;
    if headers.contains_key(header::ORIGIN) && !origin::is_allowed(headers, &shared.options.origins) {
        return text(StatusCode::FORBIDDEN, "This is not for pages of that origin.\n");
    }
    match shared.ice.body(visitor.client(headers)) {
        Some(body) => json(body),
        None => later(StatusCode::TOO_MANY_REQUESTS, "This address asks too often.\n", "1"),
    }
}

/// Lets the client in as a WebSocket, if it may have one more and the server stays.
fn upgrade(request: &Request<Incoming>, visitor: &Visitor, accept: String) -> Page {
    if visitor.worker.is_stopping() {
        return later(StatusCode::SERVICE_UNAVAILABLE, "The server stops.\n", "5");
    }
    if visitor.upgrade(visitor.client(request.headers())).is_err() {
        return later(StatusCode::TOO_MANY_REQUESTS, "This address has too many connections.\n", "30");
    }
    let mut page = Page::default();
    *page.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = page.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is a header value"));
    page
}

/// A refusal, with the seconds after which the client may try again.
fn later(status: StatusCode, words: &'static str, seconds: &'static str) -> Page {
    let mut page = text(status, words);
    page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
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

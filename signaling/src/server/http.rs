//! HTTP: the site, the pages for operators, scrape, and the way in to the WebSocket tracker.
//!
//! Invariant: every response carries the security headers; nothing a client sends is written back.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::admission::Refused;
use super::connection::Visitor;
use super::page::{Page, fresh, later, secure, text};
use super::{is_within, metrics, origin, scrape, stats_page};
use crate::websocket::{self, Upgrade};

/// Answers one request.
pub(super) async fn respond(request: &Request<Incoming>, visitor: &Visitor) -> Page {
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let options = &visitor.worker.shared.options;
    let address = visitor.client(request.headers());
    let mut page = match websocket::judge(request.method().as_str(), &headers) {
        Upgrade::Absent => plain(request, visitor, address).await,
        Upgrade::Broken(sentence) => text(StatusCode::BAD_REQUEST, sentence),
        Upgrade::Version => {
            let mut page = text(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here.\n");
            page.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            page
        }
        Upgrade::Accept(_) if !origin::is_allowed(request.headers(), &options.origins) => foreign(),
        Upgrade::Accept(accept) => upgrade(visitor, address, accept),
    };
    secure(&mut page, options.tls.is_some() && !is_localhost(request.headers()));
    page
}

/// Whether the client came by that name, which it shares with all other servers of its machine.
fn is_localhost(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    host.split(|byte| *byte == b':').next() == Some(b"localhost")
}

async fn plain(request: &Request<Incoming>, visitor: &Visitor, address: IpAddr) -> Page {
    let (worker, headers) = (&visitor.worker, request.headers());
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut page = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
        page.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return page;
    }
    match request.uri().path() {
        "/health" => match &worker.shared.link {
            Some(link) if !link.stats().up() => text(StatusCode::OK, "degraded: the cluster cannot be reached\n"),
            _ => text(StatusCode::OK, "ok\n"),
        },
        "/ready" if !worker.is_ready() => text(StatusCode::SERVICE_UNAVAILABLE, "The server stops.\n"),
        "/ready" => text(StatusCode::OK, "ready\n"),
        "/stats" if !accepts_json(headers) => {
            let stats = worker.stats().await;
            fresh("text/html; charset=utf-8", stats_page::html(&stats, worker.shared.started.elapsed()))
        }
        "/stats" | "/stats.json" => json(serde_json::to_string(&*worker.stats().await)),
        "/stats.css" => fresh("text/css; charset=utf-8", stats_page::STYLE),
        "/metrics" if may_see_metrics(visitor, headers, address) => {
            fresh(metrics::CONTENT_TYPE, metrics::page(&worker.readings().await))
        }
        "/scrape" => tally(request.uri().query().unwrap_or(""), visitor, address).await,
        "/config.json" => config(visitor, headers, address),
        path => {
            let page = worker.shared.site.respond(path, headers);
            page.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "There is nothing here.\n"))
        }
    }
}

/// Credentials for TURN are for our own page, which sends no origin, and for those that may use the tracker.
fn config(visitor: &Visitor, headers: &HeaderMap, address: IpAddr) -> Page {
    let shared = &visitor.worker.shared;
    if headers.contains_key(header::ORIGIN) && !origin::is_allowed(headers, &shared.options.origins) {
        return foreign();
    }
    match shared.ice.body(address) {
        Some(body) => fresh("application/json", body),
        None => too_often(),
    }
}

/// Counts of torrents over HTTP (BEP 48). A refusal is an ordinary answer there.
async fn tally(query: &str, visitor: &Visitor, address: IpAddr) -> Page {
    let worker = &visitor.worker;
    if !worker.shared.may_scrape(address) {
        return too_often();
    }
    let body = match scrape::parse(query) {
        Ok(hashes) => {
            let answer = worker.exchange().tally(worker.now(), hashes);
            answer.await.map_or_else(|_| scrape::failure("the server stops"), |tallies| scrape::response(&tallies))
        }
        Err(reason) => scrape::failure(reason),
    };
    fresh("text/plain", body)
}

/// Whether the client is in a network that metrics are for. Behind a proxy that we were not told of, everybody comes
/// from its address: whom somebody forwarded is not believed to be near.
fn may_see_metrics(visitor: &Visitor, headers: &HeaderMap, address: IpAddr) -> bool {
    const FORWARDED: [HeaderName; 3] = [header::FORWARDED, header::VIA, HeaderName::from_static("x-forwarded-for")];
    let options = &visitor.worker.shared.options;
    let is_plain = !FORWARDED.iter().any(|name| headers.contains_key(name));
    (is_plain || is_within(visitor.peer, &options.trusted_proxies)) && is_within(address, &options.metrics_from)
}

/// Counts a refused client, and tells it when to come again.
fn refusal(visitor: &Visitor, why: Refused) -> Page {
    let (count, status, wait) = why.terms();
    let mut exchange = visitor.worker.exchange();
    exchange.counters().add(count, 1);
    let seconds = exchange.draw(wait);
    let words = match why {
        Refused::Address => "This address has too many connections.\n",
        Refused::Full | Refused::Rate => "Too many come at once.\n",
        Refused::Stopping => "The server stops.\n",
    };
    later(status, words, seconds)
}

/// Lets the client in as a WebSocket, if it may have one more and the server stays.
fn upgrade(visitor: &Visitor, address: IpAddr, accept: String) -> Page {
    if let Err(why) = visitor.upgrade(address) {
        return refusal(visitor, why);
    }
    let mut page = Page::default();
    *page.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = page.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is a header value"));
    page
}

fn foreign() -> Page {
    text(StatusCode::FORBIDDEN, "This tracker is not for that page.\n")
}

fn too_often() -> Page {
    later(StatusCode::TOO_MANY_REQUESTS, "This address asks too often.\n", 1)
}

fn json(body: serde_json::Result<String>) -> Page {
    fresh("application/json", body.expect("counts with string keys are JSON"))
}

/// Whether the client is a program that wants JSON, as bittorrent-tracker's `/stats` has it.
fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split([',', ';']).any(|kind| kind.trim() == "application/json"))
}

//! Responses, and the headers that all of them carry.
//!
//! Invariant: what a page of ours may do is said here once; every response goes through [`secure`].

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// A response whose body is at hand.
pub(super) type Page = Response<Full<Bytes>>;

/// What the page may load and do; threat-model B. Scripts are the files of the site, by `'self'`: they import each other,
/// which neither nonces nor hashes allow for, and nothing that a user brings is ever served from here. `connect-src` is open because trackers, web seeds and `.torrent`
/// addresses are the user's choice. Of the browser's powers the page has those that a player's buttons need.
const SECURITY: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
         media-src blob:; connect-src 'self' ws: wss: http: https:; worker-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types swarmreel",
    ),
    (
        "permissions-policy",
        "accelerometer=(), autoplay=(self), bluetooth=(), camera=(), clipboard-read=(), clipboard-write=(self), \
         display-capture=(), encrypted-media=(), fullscreen=(self), geolocation=(), gyroscope=(), hid=(), \
         idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), \
         picture-in-picture=(self), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), \
         web-share=(self), xr-spatial-tracking=()",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// A year, in which browsers come to us by TLS only.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Puts the security headers on.
pub(super) fn secure(page: &mut Page, tls: bool) {
    let headers = page.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
}

/// A sentence.
pub(super) fn text(status: StatusCode, words: &'static str) -> Page {
    let mut page = fresh("text/plain; charset=utf-8", words);
    *page.status_mut() = status;
    page
}

/// A sentence to one who may come again, after so many seconds.
pub(super) fn later(status: StatusCode, words: &'static str, seconds: u64) -> Page {
    let mut page = text(status, words);
    page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    page
}

/// A body of this content type, which is another one every time.
pub(super) fn fresh(kind: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Page::new(Full::new(body.into()));
    page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

//! The site's files, embedded and compressed when the server was built (`build.rs`).
//!
//! Invariant: a file is cached without asking only below the folder that is called after the hash of the whole site,
//! where nothing ever changes; elsewhere it is asked for every time, and answered with 304 while it is the same.

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::page::Page;

/// The files, at their paths and below `/<version>/`. The pages name them there; the plain paths are for whoever
/// imports the library into a page of their own.
pub(super) struct Site {
    /// Hash of the whole site.
    version: &'static str,
    files: &'static [File],
}

/// One file of the site.
struct File {
    /// As requested: `/index.html`.
    path: &'static str,
    /// MIME type.
    kind: &'static str,
    /// Hash of the contents, as an entity tag. Weak, since it is that of all encodings.
    etag: &'static str,
    plain: &'static [u8],
    /// Compressed, where that is worth it.
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/site.rs"));

impl Site {
    /// A server that is a tracker only.
    pub(super) const NONE: Self = Self { version: "", files: &[] };

    /// What is at a request's path; a path that ends in `/` is a folder's `index.html`.
    pub(super) fn respond(&self, path: &str, request: &HeaderMap) -> Option<Page> {
        let versioned = path.strip_prefix('/').and_then(|path| path.strip_prefix(self.version));
        let versioned = versioned.filter(|path| path.starts_with('/') && !self.version.is_empty());
        let path = versioned.unwrap_or(path);
        let index = path.ends_with('/').then(|| format!("{path}index.html"));
        let path = index.as_deref().unwrap_or(path);
        let file = self.files.iter().find(|file| file.path == path)?;
        let caching = if versioned.is_some() { "public, max-age=31536000, immutable" } else { "no-cache" };
        Some(file.respond(caching, request))
    }
}

impl File {
    /// The file in the best encoding the client takes, or 304 if the client has it.
    fn respond(&self, caching: &'static str, request: &HeaderMap) -> Page {
        let (encoding, body) = self.encoded(request);
        let mut page = Page::default();
        let headers = page.headers_mut();
        let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::ETAG, self.etag);
        set(header::VARY, "accept-encoding");
        set(header::CACHE_CONTROL, caching);
        if lists(request, header::IF_NONE_MATCH, |item| item == self.etag || item == "*") {
            *page.status_mut() = StatusCode::NOT_MODIFIED;
            return page;
        }
        set(header::CONTENT_TYPE, self.kind);
        if let Some(encoding) = encoding {
            set(header::CONTENT_ENCODING, encoding);
        }
        *page.body_mut() = Full::new(Bytes::from_static(body));
        page
    }

    fn encoded(&self, request: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
        for (encoding, body) in [("br", self.brotli), ("gzip", self.gzip)] {
            let is_taken = || lists(request, header::ACCEPT_ENCODING, |item| accepts(item, encoding));
            if let Some(body) = body.filter(|_| is_taken()) {
                return (Some(encoding), body);
            }
        }
        (None, self.plain)
    }
}

/// Whether an item like `br;q=0.5` takes the encoding: any weight but zero.
fn accepts(item: &str, encoding: &str) -> bool {
    let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
    let weight = weight.trim().trim_start_matches("q=");
    name.trim().eq_ignore_ascii_case(encoding) && weight.parse().is_ok_and(|weight: f32| weight > 0.0)
}

fn lists(headers: &HeaderMap, name: HeaderName, wanted: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| wanted(item.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Site = Site {
        version: "0123abcd",
        files: &[
            File {
                path: "/app.wasm",
                kind: "application/wasm",
                etag: "W/\"1\"",
                plain: b"plain",
                brotli: Some(b"br"),
                gzip: Some(b"gz"),
            },
            File {
                path: "/help/index.html",
                kind: "text/html; charset=utf-8",
                etag: "W/\"2\"",
                plain: b"help",
                brotli: None,
                gzip: None,
            },
        ],
    };

    fn get(path: &str, name: HeaderName, value: &'static str) -> Page {
        let request = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        EXAMPLE.respond(path, &request).expect("a file of the site")
    }

    fn header(page: &Page, name: HeaderName) -> &str {
        page.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_best_encoding_that_is_taken() {
        for (accept, encoding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gzip"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("BR; q=0.1", "br"),
            ("br;q=0", ""),
            ("br;q=x", ""),
            ("identity", ""),
            ("", ""),
        ] {
            let page = get("/app.wasm", header::ACCEPT_ENCODING, accept);
            assert_eq!(header(&page, header::CONTENT_ENCODING), encoding, "{accept}");
            assert_eq!(header(&page, header::CONTENT_TYPE), "application/wasm");
            assert_eq!(header(&page, header::VARY), "accept-encoding");
        }
        assert_eq!(header(&get("/help/", header::ACCEPT_ENCODING, "br"), header::CONTENT_ENCODING), "");
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for (tags, status) in [("W/\"1\"", 304), ("\"0\", W/\"1\"", 304), ("*", 304), ("W/\"2\"", 200), ("", 200)] {
            assert_eq!(get("/app.wasm", header::IF_NONE_MATCH, tags).status(), status, "{tags}");
        }
    }

    #[test]
    fn only_what_lies_below_the_version_is_cached_unasked() {
        let caching = |path: &str| header(&get(path, header::ACCEPT, ""), header::CACHE_CONTROL).to_owned();
        for path in ["/app.wasm", "/help/"] {
            assert_eq!(caching(path), "no-cache");
            assert!(caching(&format!("/0123abcd{path}")).ends_with("immutable"));
        }
    }

    #[test]
    fn only_what_is_there_is_found() {
        for path in [
            "/",
            "/app",
            "/help",
            "//app.wasm",
            "/../app.wasm",
            "/%61pp.wasm",
            "",
            "/0123abcd",
            "/0123abcd/",
            "/0123abcdapp.wasm",
            "/0123abcc/app.wasm",
        ] {
            assert!(EXAMPLE.respond(path, &HeaderMap::new()).is_none(), "{path}");
        }
        for path in ["//app.wasm", "/app.wasm", "/"] {
            assert!(Site::NONE.respond(path, &HeaderMap::new()).is_none(), "{path}");
        }
    }
}

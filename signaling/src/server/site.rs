//! The site's files, embedded and compressed when the server was built (`build.rs`).
//!
//! Invariant: a file is cached without asking only if its name changes with its contents; all others are asked for
//! every time, and answered with 304 while they are the same.

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::page::Page;

/// One file of the site.
pub(super) struct File {
    /// As requested: `/index.html`.
    path: &'static str,
    /// MIME type.
    kind: &'static str,
    /// Hash of the contents, as an entity tag. Weak, since it is that of all encodings.
    etag: &'static str,
    /// The name holds a hash of the contents.
    immutable: bool,
    plain: &'static [u8],
    /// Compressed, where that is worth it.
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// The file at a request's path; a path that ends in `/` is a folder's `index.html`.
pub(super) fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    let index = path.ends_with('/').then(|| format!("{path}index.html"));
    let path = index.as_deref().unwrap_or(path);
    files.iter().find(|file| file.path == path)
}

/// The file in the best encoding the client takes, or 304 if the client has it.
pub(super) fn respond(file: &File, request: &HeaderMap) -> Page {
    let (encoding, body) = encoded(file, request);
    let mut page = Page::default();
    let headers = page.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::ETAG, file.etag);
    set(header::VARY, "accept-encoding");
    set(header::CACHE_CONTROL, if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" });
    if lists(request, header::IF_NONE_MATCH, |item| item == file.etag || item == "*") {
        *page.status_mut() = StatusCode::NOT_MODIFIED;
        return page;
    }
    set(header::CONTENT_TYPE, file.kind);
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    *page.body_mut() = Full::new(Bytes::from_static(body));
    page
}

fn encoded(file: &File, request: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    for (encoding, body) in [("br", file.brotli), ("gzip", file.gzip)] {
        if let Some(body) = body.filter(|_| lists(request, header::ACCEPT_ENCODING, |item| accepts(item, encoding))) {
            return (Some(encoding), body);
        }
    }
    (None, file.plain)
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

    const FILES: &[File] = &[
        File {
            path: "/app.wasm",
            kind: "application/wasm",
            etag: "W/\"1\"",
            immutable: false,
            plain: b"plain",
            brotli: Some(b"br"),
            gzip: Some(b"gz"),
        },
        File {
            path: "/help/index.html",
            kind: "text/html; charset=utf-8",
            etag: "W/\"2\"",
            immutable: true,
            plain: b"help",
            brotli: None,
            gzip: None,
        },
    ];

    fn get(path: &str, name: HeaderName, value: &'static str) -> Page {
        let request = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        respond(find(FILES, path).expect("a file of the site"), &request)
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
    fn only_hashed_names_are_cached_unasked() {
        let caching = |path| header(&get(path, header::ACCEPT, ""), header::CACHE_CONTROL).to_owned();
        assert_eq!(caching("/app.wasm"), "no-cache");
        assert!(caching("/help/").ends_with("immutable"));
    }

    #[test]
    fn only_what_is_there_is_found() {
        for path in ["/", "/app", "/help", "//app.wasm", "/../app.wasm", "/%61pp.wasm", ""] {
            assert!(find(FILES, path).is_none(), "{path}");
        }
    }
}

//! HTTP: web seeds, and `.torrent` files that a link names.
//!
//! Invariant: a fetch that the engine cancelled, or that has reported its end, says nothing more. A body is read on only
//! when the engine has taken what came before, so no more than the browser's own buffers is ever ahead of it.

use std::collections::BTreeMap;
use std::ops::Range;

use js_sys::{Reflect, Uint8Array};
use swarmreel::engine::{Answer, FetchFailure, Input};
use swarmreel::ids::FetchId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortController, DedicatedWorkerGlobalScope, Headers, ReadableStreamDefaultReader, ReferrerPolicy, RequestCache,
    RequestCredentials, RequestInit, Response,
};

use crate::driver::{self, Driver};

/// Every fetch under way.
#[derive(Default)]
pub(crate) struct Fetches {
    open: BTreeMap<FetchId, AbortController>,
}

impl Fetches {
    /// Starts to fetch; what comes of it is told in later turns.
    pub(crate) fn begin(&mut self, id: FetchId, url: &str, range: Option<Range<u64>>) {
        let abort = AbortController::new().expect("a worker can abort what it fetches");
        let init = request(&abort, range);
        self.open.insert(id, abort);
        let response = (!is_mixed_content(url)).then(|| scope().fetch_with_str_and_init(url, &init));
        spawn_local(async move {
            let end = match response {
                None => Input::FetchFailed(id, FetchFailure::Blocked),
                Some(response) => match read(id, response.into()).await {
                    Ok(()) => Input::FetchEnded(id),
                    Err(_) => Input::FetchFailed(id, FetchFailure::Network),
                },
            };
            tell(id, |driver| {
                driver.fetches.open.remove(&id);
                driver.input(end);
            });
        });
    }

    /// Aborts a fetch.
    pub(crate) fn cancel(&mut self, id: FetchId) {
        if let Some(abort) = self.open.remove(&id) {
            abort.abort();
        }
    }
}

/// No header but `Range`, which needs no preflight; nothing that tells who asks or from where.
fn request(abort: &AbortController, range: Option<Range<u64>>) -> RequestInit {
    let init = RequestInit::new();
    init.set_signal(Some(&abort.signal()));
    init.set_cache(RequestCache::NoStore);
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    if let (Some(range), Ok(headers)) = (range, Headers::new()) {
        let _ = headers.set("Range", &format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        init.set_headers(&headers);
    }
    init
}

async fn read(id: FetchId, response: JsFuture) -> Result<(), JsValue> {
    let response: Response = response.await?.dyn_into()?;
    tell(id, |driver| driver.fetch_answered(id, &response));
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into()?;
    loop {
        // Of an aborted fetch this fails.
        let chunk = JsFuture::from(reader.read()).await?;
        if Reflect::get(&chunk, &"done".into())?.is_truthy() {
            return Ok(());
        }
        let bytes: Uint8Array = Reflect::get(&chunk, &"value".into())?.dyn_into()?;
        tell(id, |driver| driver.input_bytes(&bytes, |copy| Input::FetchData(id, copy)));
    }
}

impl Driver {
    fn fetch_answered(&mut self, id: FetchId, response: &Response) {
        let header = |name| response.headers().get(name).ok().flatten();
        let content_range = header("Content-Range");
        let content_length = header("Content-Length").filter(|_| header("Content-Encoding").is_none());
        let answer = Answer {
            status: response.status(),
            content_range: content_range.as_deref(),
            content_length: content_length.and_then(|length| length.parse().ok()),
            url: &response.url(),
        };
        self.input(Input::FetchAnswered { fetch: id, answer });
    }
}

/// Lets a fetch act on the driver, unless it was cancelled.
fn tell(id: FetchId, act: impl FnOnce(&mut Driver)) {
    driver::enter(|driver| {
        if driver.fetches.open.contains_key(&id) {
            act(driver);
        }
    });
}

/// Browsers fetch nothing by `http:` for an `https:` page, but from the same machine.
fn is_mixed_content(url: &str) -> bool {
    let host = url.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http"));
    let is_loopback = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") || name == "[::1]"
    };
    scope().location().protocol() == "https:" && host.is_some_and(|(_, rest)| !is_loopback(rest))
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

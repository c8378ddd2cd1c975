//! The engine's worker: everything of Swarmreel in the browser that a worker may own.
//!
//! Invariant: no protocol decision is made here. Facts go into `swarmreel::engine::Engine`, what it says is carried
//! out, and the page does only what exists nowhere else: `RTCPeerConnection`, MediaSource, the interface.

mod act;
mod driver;
mod facts;
mod fetch;
mod link;
mod page;
mod protocol;
mod seed;
mod socket;
mod store;

use wasm_bindgen::prelude::*;

/// Starts the engine. `seed` is 32 random bytes; `trackers` are connected to ahead of the first torrent;
/// `persistent` asks for stored files where the browser has them; `relay_only` lets no candidate out that is not a relay's. Answers with the bytes of `bufferedAmount` at and
/// below which the page reports a channel that it forwards for.
#[wasm_bindgen]
pub fn start(seed: &[u8], trackers: Vec<String>, persistent: bool, relay_only: bool) -> usize {
    console_error_panic_hook::set_once();
    let seed = seed.try_into().expect("the worker seeds the engine with 32 bytes");
    driver::start(seed, &trackers, persistent, relay_only)
}

/// Takes one message of the page. One that is not of `js/protocol.js` is a mistake in the page, and is thrown back.
#[wasm_bindgen]
pub fn receive(message: JsValue) -> Result<(), JsError> {
    let message = serde_wasm_bindgen::from_value(message)?;
    driver::enter(|driver| driver.heed(message));
    Ok(())
}

//! WebSockets to trackers.
//!
//! Invariant: a socket that the engine closed, or that has reported its end, says nothing more: its listeners go
//! with it.

use std::collections::BTreeMap;

use swarmreel::engine::Input;
use swarmreel::ids::SocketId;
use wasm_bindgen::prelude::*;
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

use crate::driver;

type Listener = Closure<dyn FnMut(Event)>;

/// Every open or opening socket.
#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeMap<SocketId, Socket>,
    /// Connected ahead of the first torrent, by URL, so that its announce need not wait for round trips.
    warm: BTreeMap<String, WebSocket>,
}

struct Socket {
    socket: WebSocket,
    _listeners: [Listener; 3],
}

impl Sockets {
    /// Connects to a tracker that will probably be asked for.
    pub(crate) fn warm_up(&mut self, url: &str) {
        if let Ok(socket) = WebSocket::new(url) {
            self.warm.insert(url.to_owned(), socket);
        }
    }

    /// Connects. `Err` where the browser refuses the URL itself, e.g. `ws:` from an `https:` page.
    pub(crate) fn open(&mut self, id: SocketId, url: &str) -> Result<(), JsValue> {
        let warm = self.warm.remove(url).filter(|socket| socket.ready_state() <= WebSocket::OPEN);
        let socket = warm.map_or_else(|| WebSocket::new(url), Ok)?;
        let is_open = socket.ready_state() == WebSocket::OPEN;
        self.open.insert(id, Socket::listen(id, socket));
        if is_open {
            driver::later(move |driver| driver.input(Input::SocketOpened(id)));
        }
        Ok(())
    }

    /// Sends a text message; nothing if the socket is gone, as its end has been or will be reported.
    pub(crate) fn send(&self, id: SocketId, text: &str) {
        if let Some(open) = self.open.get(&id) {
            let _ = open.socket.send_with_str(text);
        }
    }

    /// Forgets a socket, closing it if need be.
    pub(crate) fn close(&mut self, id: SocketId) {
        self.open.remove(&id);
    }
}

impl Socket {
    fn listen(id: SocketId, socket: WebSocket) -> Self {
        let opened = Closure::new(move |_| driver::enter(|driver| driver.input(Input::SocketOpened(id))));
        let text = Closure::new(move |event: Event| {
            let event: MessageEvent = event.unchecked_into();
            if let Some(text) = event.data().as_string() {
                driver::enter(|driver| driver.input(Input::SocketText(id, &text)));
            }
        });
        let closed = Closure::new(move |event: Event| {
            let event: CloseEvent = event.unchecked_into();
            let (code, reason) = (event.code(), event.reason());
            driver::enter(|driver| {
                driver.sockets.close(id);
                driver.input(Input::SocketClosed { socket: id, code, reason: &reason });
            });
        });
        set_listeners(&socket, Some([&opened, &text, &closed]));
        Self { socket, _listeners: [opened, text, closed] }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        set_listeners(&self.socket, None);
        let _ = self.socket.close();
    }
}

fn set_listeners(socket: &WebSocket, listeners: Option<[&Listener; 3]>) {
    let [opened, text, closed] = listeners.map_or([None; 3], |all| all.map(|one| Some(one.as_ref().unchecked_ref())));
    socket.set_onopen(opened);
    socket.set_onmessage(text);
    socket.set_onclose(closed);
}

//! A server on a loopback port as a [`World`].
//!
//! Invariant: everything that is waited for comes within [`PATIENCE`], or the test fails.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Client, PATIENCE, Server};
use crate::script::{World, fit};

pub(crate) struct Live<'a> {
    server: &'a Server,
    clients: BTreeMap<String, Client>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self { server, clients: BTreeMap::new() }
    }

    fn client(&mut self, client: &str) -> &mut Client {
        self.clients.get_mut(client).unwrap_or_else(|| panic!("{client} is not connected"))
    }

    /// Sends what need not be text.
    pub(crate) async fn send_bytes(&mut self, client: &str, bytes: Vec<u8>) {
        self.client(client).0.send(Message::binary(bytes)).await.expect("the connection is open");
    }
}

impl World for Live<'_> {
    async fn open(&mut self, client: &str) {
        self.clients.insert(client.to_owned(), self.server.join().await);
    }

    async fn close(&mut self, client: &str) {
        self.clients.remove(client).expect("it is connected");
    }

    async fn lose(&mut self, _client: &str) {
        panic!("what follows takes time, and a live server has its own clock");
    }

    async fn send(&mut self, client: &str, text: String) {
        self.client(client).0.send(Message::text(text)).await.expect("the connection is open");
    }

    async fn pass_to(&mut self, _seconds: u64) {
        panic!("a live server has its own clock");
    }

    async fn next(&mut self, client: &str) -> Value {
        let socket = &mut self.client(client).0;
        loop {
            match timeout(PATIENCE, socket.next()).await.expect("a message").expect("an open connection").unwrap() {
                Message::Text(text) => return fit(&text),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{client} got {other:?}"),
            }
        }
    }

    async fn waiting(&mut self, client: &str, scrape: &str) -> Vec<Value> {
        self.send(client, scrape.to_owned()).await;
        let mut waiting = Vec::new();
        loop {
            match self.next(client).await {
                message if message["action"] == "scrape" => return waiting,
                message => waiting.push(message),
            }
        }
    }

    async fn closed(&mut self, client: &str) -> u16 {
        self.client(client).close_code().await.unwrap_or_else(|| panic!("{client} was cut off without a code"))
    }
}

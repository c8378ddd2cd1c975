//! The published test vectors of the tracker protocol (tests/vectors/tracker, docs/PROTOCOL.md §13), once against the
//! pure tracker in virtual time and once against a server over loopback sockets.
//!
//! Invariant: whatever the tracker says in any of them is fit for every client that is known.

#[path = "../common/mod.rs"]
mod common;
mod live;
#[path = "../../../tests/tracker_vectors/load.rs"]
mod load;
mod pure;
mod script;

use serde_json::{Value, json};
use swarmreel_signaling::server::Options;

use common::Server;
use live::Live;
use pure::Pure;
use script::{World, exchanges, play};

#[tokio::test]
async fn the_pure_tracker_keeps_to_every_exchange() {
    for exchange in &exchanges() {
        play(exchange, &mut Pure::new()).await;
    }
}

#[tokio::test]
async fn the_server_keeps_to_every_exchange_that_needs_no_clock() {
    let exchanges = exchanges();
    let timeless = exchanges.iter().filter(|exchange| exchange["virtual_time"] != true);
    for exchange in timeless {
        let server = Server::start(Options::default()).await;
        play(exchange, &mut Live::new(&server)).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn the_tracker_takes_and_refuses_what_the_vectors_say() {
    for vector in load::vectors("client_to_server") {
        let Ok(text) = String::from_utf8(vector.bytes) else { continue };
        let mut world = Pure::new();
        world.open("A").await;
        world.send("A", text).await;
        let said = world.waiting("A", "").await;
        let [reply] = said.as_slice() else { panic!("{}: {said:?}", vector.name) };
        let context: serde_json::Map<_, _> = ["action", "info_hash"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), reply.get(name)?.clone())))
            .collect();
        match vector.expected.get("refused") {
            Some(expected) => assert_eq!(Value::Object(context), replied(expected), "{}", vector.name),
            // Nobody offered anything, so an answer is read, and then refused as one that comes too late.
            None if vector.expected["means"]["kind"] == "answer" => {
                assert_eq!(reply["failure reason"], "this answers no offer that is open", "{}", vector.name);
            }
            None => assert_eq!(reply.get("failure reason"), None, "{}", vector.name),
        }
    }
}

/// The context of a refusal as the reply has it: the hash as text, and no action about nothing.
fn replied(refused: &Value) -> Value {
    let (action, hash) = (&refused["action"], refused["info_hash"].as_str());
    assert!(hash.is_none_or(|hash| hash == "61".repeat(20)), "all that is refused here is about one torrent");
    match (action.as_str(), hash) {
        (Some(action), Some(_)) => json!({ "action": action, "info_hash": "a".repeat(20) }),
        (None, Some(_)) => json!({ "info_hash": "a".repeat(20) }),
        (Some("scrape"), None) => json!({ "action": "scrape" }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn the_server_closes_when_the_vectors_say_so() {
    let server = Server::start(Options::default()).await;
    let mut closing = load::vectors("client_to_server");
    closing.retain(|vector| vector.expected.get("closes").is_some());
    assert!(closing.len() >= 2);
    for vector in closing {
        let mut world = Live::new(&server);
        world.open("A").await;
        world.send_bytes("A", vector.bytes).await;
        assert_eq!(json!(world.closed("A").await), vector.expected["closes"], "{}", vector.name);
    }
    server.stop().await;
}

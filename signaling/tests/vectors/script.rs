//! Plays the conversations of exchanges.json (docs/PROTOCOL.md §13) in a [`World`].
//!
//! Invariant: every member of a step is known and heeded; a step that asks for nothing ends the test.

use serde_json::{Map, Value};

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// A tracker and clients of it, each known by a name.
pub(crate) trait World {
    async fn open(&mut self, client: &str);
    async fn close(&mut self, client: &str);
    /// The client's machine loses its network.
    async fn lose(&mut self, client: &str);
    async fn send(&mut self, client: &str, text: String);
    /// Lets the clock run to this many seconds since the beginning.
    async fn pass_to(&mut self, seconds: u64);
    /// The next message that the client got.
    async fn next(&mut self, client: &str) -> Value;
    /// All that the client got and nobody looked at yet. `scrape` is a message that a live server answers after
    /// everything before it.
    async fn waiting(&mut self, client: &str, scrape: &str) -> Vec<Value>;
    /// The code with which the tracker closes the connection, as the next thing it does to this client.
    async fn closed(&mut self, client: &str) -> u16;
}

pub(crate) fn exchanges() -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/tracker/exchanges.json")).expect("JSON");
    file["exchanges"].as_array().expect("a list").clone()
}

/// Plays one exchange to its end.
pub(crate) async fn play(exchange: &Value, world: &mut impl World) {
    let name = text(exchange, "name").expect("a name");
    assert!(["protocol", "policy"].contains(&text(exchange, "level").expect("a level")), "{name}");
    let scrape = marker(exchange);
    for (index, step) in exchange["steps"].as_array().expect("steps").iter().enumerate() {
        let place = format!("{name}, step {index}");
        if let Some(seconds) = step.get("at") {
            world.pass_to(seconds.as_u64().expect("seconds")).await;
        }
        take(step, world, &scrape, &place).await;
    }
}

/// A scrape of the first torrent that is spoken of.
fn marker(exchange: &Value) -> String {
    let hash = exchange["steps"].as_array().expect("steps").iter().find_map(|step| match &step["send"]["info_hash"] {
        Value::String(hash) => Some(hash.as_str()),
        _ => None,
    });
    let hash = hash.unwrap_or("aaaaaaaaaaaaaaaaaaaa");
    serde_json::json!({ "action": "scrape", "info_hash": hash }).to_string()
}

async fn take(step: &Value, world: &mut impl World, scrape: &str, place: &str) {
    let times = step.get("times").map_or(1, |times| times.as_u64().expect("a count"));
    if let Some(client) = text(step, "open") {
        world.open(client).await;
    } else if let Some(client) = text(step, "close") {
        world.close(client).await;
    } else if let Some(client) = text(step, "gone") {
        world.lose(client).await;
    } else if let Some(client) = text(step, "from") {
        for _ in 0..times {
            world.send(client, sent(step)).await;
        }
    } else if let Some(client) = text(step, "eventually") {
        eventually(step, world, client, place).await;
    } else if let Some(among) = step.get("among") {
        let mut found = Vec::new();
        for client in among.as_array().expect("names") {
            found.extend(world.waiting(client.as_str().expect("a name"), scrape).await);
        }
        found.iter().for_each(|message| check(step, message, place));
        assert_eq!(found.len() as u64, step["count"].as_u64().expect("a count"), "{place}: {found:?}");
    } else {
        let client = text(step, "to").unwrap_or_else(|| panic!("{place}: nothing is asked"));
        receive(step, world, client, times, scrape, place).await;
    }
}

async fn receive(step: &Value, world: &mut impl World, client: &str, times: u64, scrape: &str, place: &str) {
    if let Some(code) = step.get("closed") {
        assert_eq!(code.as_u64(), Some(world.closed(client).await.into()), "{place}");
    } else if step["nothing"] == true {
        let said = world.waiting(client, scrape).await;
        assert!(said.is_empty(), "{place}: {said:?}");
    } else {
        for _ in 0..times {
            check(step, &world.next(client).await, place);
        }
    }
}

/// Asks again until the answer is right.
async fn eventually(step: &Value, world: &mut impl World, client: &str, place: &str) {
    let mut last = Value::Null;
    for _ in 0..8 {
        world.send(client, sent(step)).await;
        last = world.next(client).await;
        if step["expect"].as_object().expect("members").iter().all(|(name, value)| last.get(name) == Some(value)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    check(step, &last, place);
}

fn sent(step: &Value) -> String {
    match (step.get("send"), text(step, "text")) {
        (Some(message), None) => message.to_string(),
        (None, Some(text)) => text.to_owned(),
        _ => panic!("a step sends one of send and text: {step}"),
    }
}

/// Whether a message is what the step expects, and fit to be sent at all.
fn check(step: &Value, message: &Value, place: &str) {
    let names = |key: &str| step.get(key).map_or(Vec::new(), |names| names.as_array().expect("names").clone());
    let expected = step.get("expect").map_or_else(Map::new, |expected| expected.as_object().expect("members").clone());
    let (present, absent) = (names("present"), names("absent"));
    assert!(!expected.is_empty() || !present.is_empty() || !absent.is_empty(), "{place}: nothing is expected");
    for (name, value) in &expected {
        assert_eq!(message.get(name), Some(value), "{place}: {name} of {message}");
    }
    for name in present {
        assert!(message.get(name.as_str().expect("a name")).is_some(), "{place}: {name} is absent: {message}");
    }
    for name in absent {
        assert!(message.get(name.as_str().expect("a name")).is_none(), "{place}: {name} is present: {message}");
    }
}

/// Parses what a tracker sent, and holds it to what every client can read (docs/PROTOCOL.md §6).
pub(crate) fn fit(text: &str) -> Value {
    let message: Value = serde_json::from_str(text).expect("a server sends JSON");
    let members = message.as_object().unwrap_or_else(|| panic!("an object: {text}"));
    assert!(members.values().all(|value| !value.is_null()), "no null: {text}");
    assert!(members.values().all(|value| !value.is_f64()), "integers only: {text}");
    let about = members.contains_key("info_hash");
    assert!(about || message["action"] != "announce", "an announce is about a torrent: {text}");
    if let Some(reason) = message.get("failure reason") {
        let reason = reason.as_str().expect("a sentence");
        assert!(documented(reason), "docs/PROTOCOL.md §9 lists the reason {reason:?}");
    }
    message
}

/// Whether the document has the reason: as it is, up to the parser's words, or for any member's name.
fn documented(reason: &str) -> bool {
    let known = reason.split_once(": ").map_or(reason, |(known, _)| known);
    let (_, of_member) = known.split_once(' ').expect("a reason has several words");
    DOCUMENT.contains(&format!("`{known}")) || DOCUMENT.contains(&format!("`… {of_member}`"))
}

fn text<'a>(json: &'a Value, member: &str) -> Option<&'a str> {
    json.get(member).map(|value| value.as_str().expect("a text"))
}

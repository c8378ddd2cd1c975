//! The published test vectors of single tracker messages (tests/vectors/tracker/messages.json, docs/PROTOCOL.md §13),
//! read by our parsers; and the examples of the document itself.
//!
//! Invariant: a vector that does not say what it expects is a failure of the test, not a pass.

mod load;

use serde_json::{Map, Value, json};
use swarmreel::tracker::message::{Action, Announce, Answer, ClientMessage, Event, MessageError, ServerMessage, Tally};

use load::{Vector, assembled, vectors};

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

/// Compares what a parser made of the bytes with what the vector says.
fn check<M>(vector: &Vector, parse: fn(&str) -> Result<M, MessageError>, meaning: fn(&M) -> Value) {
    let Vector { name, bytes, expected } = vector;
    let found = match std::str::from_utf8(bytes).map(parse) {
        Err(_) => json!({ "refused": {} }),
        Ok(Ok(message)) => json!({ "means": meaning(&message) }),
        Ok(Err(error)) => json!({ "refused": context(&error) }),
    };
    let wanted: Map<_, _> =
        ["means", "refused"].into_iter().filter_map(|key| Some((key.to_owned(), expand(expected.get(key)?)))).collect();
    assert_eq!(found, Value::Object(wanted), "{name}");
}

/// The meaning with its repetitions written out.
fn expand(meaning: &Value) -> Value {
    match meaning {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = if name == "sdp" { assembled(value).into() } else { expand(value) };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(expand).collect(),
        other => other.clone(),
    }
}

/// What a refusal knows of the message.
fn context(error: &MessageError) -> Value {
    let mut context = Map::new();
    context.extend(error.action.map(|action| ("action".to_owned(), action_name(action).into())));
    context.extend(error.info_hash.map(|hash| ("info_hash".to_owned(), hex(&hash.0).into())));
    Value::Object(context)
}

fn client_meaning(message: &ClientMessage) -> Value {
    match message {
        ClientMessage::Announce(Announce {
            info_hash,
            peer_id,
            event,
            left,
            uploaded,
            downloaded,
            numwant,
            offers,
        }) => {
            let offers: Vec<_> = offers.iter().map(|(id, sdp)| json!({ "offer_id": hex(&id.0), "sdp": sdp })).collect();
            json!({
                "kind": "announce", "info_hash": hex(&info_hash.0), "peer_id": hex(&peer_id.0),
                "event": event.map(event_name), "left": left, "uploaded": uploaded, "downloaded": downloaded,
                "numwant": numwant, "offers": offers
            })
        }
        ClientMessage::Answer(Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, left }) => json!({
            "kind": "answer", "info_hash": hex(&info_hash.0), "peer_id": hex(&peer_id.0),
            "to_peer_id": hex(&to_peer_id.0), "offer_id": hex(&offer_id.0), "sdp": sdp, "left": left
        }),
        ClientMessage::Scrape(hashes) => {
            let hashes: Vec<_> = hashes.iter().map(|hash| hex(&hash.0)).collect();
            json!({ "kind": "scrape", "info_hashes": hashes })
        }
    }
}

fn server_meaning(message: &ServerMessage) -> Value {
    let relayed = |kind: &str, info_hash: &[u8], peer_id: &[u8], offer_id: &[u8], sdp: &str| {
        json!({
            "kind": kind, "info_hash": hex(info_hash), "peer_id": hex(peer_id), "offer_id": hex(offer_id), "sdp": sdp
        })
    };
    match message {
        ServerMessage::Response { info_hash, interval, min_interval, complete, incomplete, warning } => json!({
            "kind": "response", "info_hash": hex(&info_hash.0), "interval": interval, "min_interval": min_interval,
            "complete": complete, "incomplete": incomplete, "warning": warning
        }),
        ServerMessage::Offer { info_hash, peer_id, offer_id, sdp } => {
            relayed("offer", &info_hash.0, &peer_id.0, &offer_id.0, sdp)
        }
        ServerMessage::Answer { info_hash, peer_id, offer_id, sdp } => {
            relayed("answer", &info_hash.0, &peer_id.0, &offer_id.0, sdp)
        }
        ServerMessage::Scrape(files) => {
            let files: Map<_, _> = files.iter().map(|(hash, tally)| (hex(&hash.0), tally_json(*tally))).collect();
            json!({ "kind": "scrape", "files": files })
        }
        ServerMessage::Failure { info_hash, action, reason } => json!({
            "kind": "failure", "info_hash": info_hash.map(|hash| hex(&hash.0)), "action": action.map(action_name),
            "reason": reason
        }),
    }
}

fn tally_json(Tally { complete, incomplete, downloaded }: Tally) -> Value {
    json!({ "complete": complete, "incomplete": incomplete, "downloaded": downloaded })
}

fn event_name(event: Event) -> &'static str {
    match event {
        Event::Started => "started",
        Event::Stopped => "stopped",
        Event::Completed => "completed",
    }
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Announce => "announce",
        Action::Scrape => "scrape",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_clients_say_means_what_the_vectors_say() {
    let vectors = vectors("client_to_server");
    assert!(vectors.len() > 150, "{} vectors", vectors.len());
    vectors.iter().for_each(|vector| check(vector, ClientMessage::parse, client_meaning));
}

#[test]
fn what_servers_say_means_what_the_vectors_say() {
    let vectors = vectors("server_to_client");
    assert!(vectors.len() > 25, "{} vectors", vectors.len());
    vectors.iter().for_each(|vector| check(vector, ServerMessage::parse, server_meaning));
}

#[test]
fn the_document_s_examples_are_messages() {
    let mut examples = DOCUMENT.split("```json ").skip(1).map(|rest| {
        let (kind, rest) = rest.split_once('\n').expect("a line");
        (kind, rest.split_once("\n```").expect("the end of the example").0)
    });
    let mut counts = [0; 2];
    for (kind, example) in &mut examples {
        match kind {
            "client" => ClientMessage::parse(example).map(drop),
            "server" => ServerMessage::parse(example).map(drop),
            other => panic!("an example is of a client or of a server, not of {other}"),
        }
        .unwrap_or_else(|error| panic!("{error}: {example}"));
        counts[usize::from(kind == "server")] += 1;
    }
    assert!(counts.iter().all(|&count| count >= 3), "{counts:?}");
}

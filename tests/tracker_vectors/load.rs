//! Reads tests/vectors/tracker/messages.json: every vector as bytes, with what they mean (docs/PROTOCOL.md §13).
//!
//! Invariant: a file of another shape than the document describes ends the test.

use serde_json::Value;

/// One message and what is expected of a reader.
pub(crate) struct Vector {
    /// Says which one failed.
    pub(crate) name: String,
    /// On the wire.
    pub(crate) bytes: Vec<u8>,
    /// With `means` or `refused`, and perhaps `closes`.
    pub(crate) expected: Value,
}

/// All vectors of one direction, `client_to_server` or `server_to_client`.
pub(crate) fn vectors(direction: &str) -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("../vectors/tracker/messages.json")).expect("JSON");
    let whole = list(&file[direction]);
    let mut vectors: Vec<Vector> = whole.iter().map(vector).collect();
    for substitution in list(&file[&format!("{direction}_substitutions")]) {
        let of = whole.iter().find(|vector| vector["name"] == substitution["of"]).expect("a vector of that name");
        vectors.extend(substituted(of, substitution));
    }
    vectors
}

fn vector(json: &Value) -> Vector {
    Vector { name: string(&json["name"]), bytes: bytes(json), expected: json.clone() }
}

/// The message that a vector is about, as the bytes on the wire.
fn bytes(vector: &Value) -> Vec<u8> {
    match (vector.get("message"), vector.get("text"), vector.get("hex")) {
        (Some(message), None, None) => message.to_string().into_bytes(),
        (None, Some(text), None) => assembled(text).into_bytes(),
        (None, None, Some(hex)) => unhex(hex.as_str().expect("hexadecimal digits")),
        _ => panic!("a vector has one of message, text and hex: {vector}"),
    }
}

/// A text, or a list of texts and repetitions.
pub(crate) fn assembled(text: &Value) -> String {
    match text {
        Value::Array(parts) => parts.iter().map(assembled).collect(),
        Value::Object(part) => string(&part["repeat"]).repeat(part["times"].as_u64().expect("a count") as usize),
        text => string(text),
    }
}

/// The vectors in which one member of another vector's message is replaced, or left out.
fn substituted(of: &Value, substitution: &Value) -> Vec<Vector> {
    let member = string(&substitution["member"]);
    let message = of["message"].as_object().expect("substitutions are made in messages");
    let with = |value: Option<&Value>| {
        let mut message = message.clone();
        message.remove(&member);
        message.extend(value.map(|value| (member.clone(), value.clone())));
        Value::Object(message).to_string()
    };
    let mut expected = substitution.clone();
    if let Some(changes) = substitution.get("means") {
        let mut means = of["means"].clone();
        means.as_object_mut().expect("members").extend(changes.as_object().expect("changes").clone());
        expected["means"] = means;
    }
    let without = (substitution["without"] == true).then_some(None);
    let values = list(&substitution["values"]).iter().map(Some);
    let texts = values.chain(without).map(with);
    texts.map(|text| Vector { name: text.clone(), bytes: text.into_bytes(), expected: expected.clone() }).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn list(json: &Value) -> &[Value] {
    json.as_array().expect("a list")
}

fn string(json: &Value) -> String {
    json.as_str().expect("a text").to_owned()
}

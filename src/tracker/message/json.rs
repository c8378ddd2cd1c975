//! JSON from strangers: a value tree with its depth capped and every key unique.
//!
//! Invariant: a [`Json`] holds no more values than its text has bytes, nests at most [`DEPTH_MAX`] deep, and no object
//! has lost a member to a later one of the same name (threat-model S2).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Objects and lists inside each other, counting the outermost: a tracker message needs 4.
pub(super) const DEPTH_MAX: u32 = 8;

/// A JSON value.
pub(super) enum Json {
    Null,
    Bool,
    /// An integer from 0 to 2^64 - 1.
    Count(u64),
    /// Any other number; finite.
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads exactly one value. The error is a sentence that quotes nothing of the input.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Nested { depth: 0 }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// The member of that name; `None` if it is absent, null, or this is no object.
    pub(super) fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(name).filter(|value| !matches!(value, Json::Null)),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number rounded up, if this is one and not negative.
    pub(super) fn count(&self) -> Option<u64> {
        match *self {
            Json::Count(count) => Some(count),
            Json::Number(number) if number >= 0.0 => Some(number.ceil() as u64), // `as` saturates
            _ => None,
        }
    }
}

/// Reads one value that stands inside `depth` lists and objects.
#[derive(Clone, Copy)]
struct Nested {
    depth: u32,
}

impl Nested {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Count(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let inner = self.deeper()?;
        let mut members = BTreeMap::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("the same key twice in one object"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Json::parse(text).err().unwrap_or_else(|| panic!("accepted {text:.40}")).to_string()
    }

    #[test]
    fn s2_depth_is_capped() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&nested(DEPTH_MAX as usize)).is_ok());
        assert!(refused(&nested(DEPTH_MAX as usize + 1)).starts_with("nested too deep"));
        assert!(refused(&"[".repeat(60_000)).starts_with("nested too deep"));
        assert!(refused(&"{\"a\":".repeat(10_000)).starts_with("nested too deep"));
    }

    #[test]
    fn s2_keys_are_unique() {
        assert!(refused(r#"{"a":1,"b":2,"a":3}"#).starts_with("the same key twice"));
        assert!(refused(r#"{"x":{"a":1,"\u0061":1}}"#).starts_with("the same key twice"));
        assert!(Json::parse(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn s2_text_is_unicode_and_one_value() {
        for text in ["\u{feff}{}", r#""\ud800""#, r#""\udc00\ud800""#, "1 2", "", "{", "1e400", "nul", "\"a\nb\""] {
            refused(text);
        }
    }

    #[test]
    fn counts() {
        let count = |text: &str| Json::parse(text).unwrap().count();
        assert_eq!(count("0"), Some(0));
        assert_eq!(count("-0"), Some(0));
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        assert_eq!(count("1e30"), Some(u64::MAX));
        assert_eq!(count("0.5"), Some(1));
        assert_eq!(count("-1"), None);
        assert_eq!(count("\"1\""), None);
    }
}

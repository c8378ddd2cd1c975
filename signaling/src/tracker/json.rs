//! JSON from strangers, read in one pass into what is wanted of it, with no tree of values.
//!
//! Invariant: all of the text is checked, wanted or not: it nests at most [`DEPTH_MAX`] deep, no object has a key twice, and
//! every string is Unicode (threat-model S2). Nothing is kept but what a [`Reader`] takes.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Objects and lists inside each other, counting the outermost, as in the core's reader.
const DEPTH_MAX: u32 = 8;

/// A value, looked at from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Null,
    /// An integer from 0 to 2^64 - 1.
    Count(u64),
    /// Any other number; finite.
    Number(f64),
    Text(&'v str),
    /// `true`, `false`, a list or an object.
    Other,
}

/// Makes something of one value.
pub(super) trait Reader<'de>: Sized {
    /// What it makes.
    type Made;

    /// The value is no list and no object, or nothing was wanted of its contents.
    fn value(self, value: Value<'_>) -> Self::Made;

    /// The value is a list.
    fn list<A: SeqAccess<'de>>(self, mut items: A, inside: Inside) -> Result<Self::Made, A::Error> {
        while items.next_element_seed(inside.read(Skip))?.is_some() {}
        Ok(self.value(Value::Other))
    }

    /// The value is an object.
    fn object<A: MapAccess<'de>>(self, mut members: A, inside: Inside) -> Result<Self::Made, A::Error> {
        let mut names = Names::new(&[]);
        while members.next_key_seed(&mut names)?.is_some() {
            members.next_value_seed(inside.read(Skip))?;
        }
        Ok(self.value(Value::Other))
    }
}

/// Takes nothing.
pub(super) struct Skip;

impl Reader<'_> for Skip {
    type Made = ();

    fn value(self, _: Value<'_>) {}
}

/// A function of values whose contents are not wanted.
impl<T> Reader<'_> for fn(Value<'_>) -> T {
    type Made = T;

    fn value(self, value: Value<'_>) -> T {
        self(value)
    }
}

/// How many lists and objects a value stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside(u32);

impl Inside {
    /// In none.
    pub(super) const NOTHING: Self = Self(0);

    /// A value that stands there, to be read.
    pub(super) fn read<R>(self, reader: R) -> Reading<R> {
        Reading { inside: self, reader }
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.0 == DEPTH_MAX {
            return Err(E::custom("nested too deep"));
        }
        Ok(Self(self.0 + 1))
    }
}

/// A reader and its place.
pub(super) struct Reading<R> {
    inside: Inside,
    reader: R,
}

impl<'de, R: Reader<'de>> DeserializeSeed<'de> for Reading<R> {
    type Value = R::Made;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<R::Made, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Reader<'de>> Visitor<'de> for Reading<R> {
    type Value = R::Made;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Null))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Other))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Count(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Number(number as f64)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Number(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<R::Made, E> {
        Ok(self.reader.value(Value::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<R::Made, A::Error> {
        let inside = self.inside.deeper()?;
        self.reader.list(items, inside)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<R::Made, A::Error> {
        let inside = self.inside.deeper()?;
        self.reader.object(members, inside)
    }
}

/// The keys of one object, read one by one: each gives its place among the known names, or their number if it is none
/// of them. A key that comes again is an error.
pub(super) struct Names {
    known: &'static [&'static str],
    /// One bit a known name.
    seen: u32,
    others: BTreeSet<String>,
}

impl Names {
    pub(super) fn new(known: &'static [&'static str]) -> Self {
        Self { known, seen: 0, others: BTreeSet::new() }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Names {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Names {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let place = self.known.iter().position(|known| *known == name);
        let again = match place {
            Some(place) => self.seen & 1 << place != 0,
            None => !self.others.insert(name.to_owned()),
        };
        self.seen |= place.map_or(0, |place| 1 << place);
        if again { Err(E::custom("the same key twice in one object")) } else { Ok(place.unwrap_or(self.known.len())) }
    }
}

//! Target 1: bencode against a slow reference reader, and back through the writer.

use swarmreel::bencode::{self, DEPTH_MAX, Encoded, Value};

use crate::heap;

/// Reads the bytes; whatever the reference reader makes of them, ours makes too, without allocating.
pub fn bencode_decode(bytes: &[u8]) {
    let (decoded, held) = heap::peak(|| bencode::decode_prefix(bytes));
    assert_eq!(held, 0, "a value is a view");
    let mut reference = Reference { bytes, at: 0, canonical: true };
    match (decoded, reference.value(0)) {
        (Ok((value, used)), Some(tree)) => {
            assert_eq!((value.raw(), used), (&bytes[..reference.at], reference.at));
            assert_eq!(view(value), tree);
            assert_eq!(bencode::decode(bytes).is_ok(), used == bytes.len());
            write_again(&tree, value.raw(), reference.canonical);
        }
        (Err(error), None) => {
            assert!(error.at <= bytes.len());
            assert!(bencode::decode(bytes).is_err());
        }
        (ours, reference) => panic!("ours: {ours:?}, the reference: {reference:?}"),
    }
}

/// What the writer makes of a canonical value is the value itself.
fn write_again(tree: &Tree, raw: &[u8], canonical: bool) {
    let Some(written) = tree.write().map(Encoded::into_bytes) else { return };
    bencode::decode(&written).expect("what we write can be read");
    if canonical {
        assert_eq!(written, raw);
    }
}

#[derive(Debug, PartialEq)]
enum Tree {
    /// Digits with their sign.
    Int(Vec<u8>),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(Vec<(Vec<u8>, Tree)>),
}

impl Tree {
    /// Encoded anew; `None` where the writer has no words: numbers over 64 bits, keys that are not text.
    fn write(&self) -> Option<Encoded> {
        Some(match self {
            Tree::Int(digits) => bencode::int(std::str::from_utf8(digits).ok()?.parse().ok()?),
            Tree::Bytes(bytes) => bencode::bytes(bytes),
            Tree::List(items) => bencode::list(items.iter().map(Tree::write).collect::<Option<Vec<_>>>()?),
            Tree::Dict(entries) => {
                let entry =
                    |(key, value): &'_ (Vec<u8>, Tree)| Some((String::from_utf8(key.clone()).ok()?, value.write()?));
                let entries: Vec<(String, Encoded)> = entries.iter().map(entry).collect::<Option<_>>()?;
                bencode::dict(entries.iter().map(|(key, value)| (key.as_str(), value.clone())))
            }
        })
    }
}

/// A value taken apart by its own accessors, which agree with each other.
fn view(value: Value<'_>) -> Tree {
    let kinds = [value.bytes().is_some(), value.list().is_some(), value.dict().is_some()];
    assert!(kinds.iter().filter(|kind| **kind).count() <= 1);
    if let Some(bytes) = value.bytes() {
        return Tree::Bytes(bytes.to_vec());
    }
    if let Some(items) = value.list() {
        return Tree::List(items.map(view).collect());
    }
    if let Some(entries) = value.dict() {
        for (key, found) in
            entries.clone().filter_map(|(key, _)| Some((key, value.get(std::str::from_utf8(key).ok()?))))
        {
            let first = entries.clone().find(|(other, _)| *other == key).map(|(_, first)| first);
            assert_eq!(found, first, "the first of equal keys counts");
        }
        return Tree::Dict(entries.map(|(key, value)| (key.to_vec(), view(value))).collect());
    }
    let digits = &value.raw()[1..value.raw().len() - 1];
    assert_eq!(value.int(), std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()));
    Tree::Int(digits.to_vec())
}

/// A reader that recurses and copies, written from BEP 3 and the leniencies that `swarmreel::bencode` names.
struct Reference<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Everything read so far is as the writer would write it.
    canonical: bool,
}

impl Reference<'_> {
    fn value(&mut self, depth: usize) -> Option<Tree> {
        match self.peek()? {
            b'i' => self.int(),
            b'0'..=b'9' => self.string().map(Tree::Bytes),
            b'l' if depth < DEPTH_MAX => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.ends()? {
                    items.push(self.value(depth + 1)?);
                }
                Some(Tree::List(items))
            }
            b'd' if depth < DEPTH_MAX => {
                self.at += 1;
                self.entries(depth).map(Tree::Dict)
            }
            _ => None,
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Vec<(Vec<u8>, Tree)>> {
        let mut entries: Vec<(Vec<u8>, Tree)> = Vec::new();
        while !self.ends()? {
            let key = self.string()?;
            self.canonical &= entries.last().is_none_or(|(last, _)| *last < key);
            entries.push((key, self.value(depth + 1)?));
        }
        Some(entries)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes the end mark, if it is next.
    fn ends(&mut self) -> Option<bool> {
        let ends = self.peek()? == b'e';
        self.at += usize::from(ends);
        Some(ends)
    }

    fn digits(&mut self) -> &[u8] {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn int(&mut self) -> Option<Tree> {
        let start = self.at + 1;
        self.at = start;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let digits = self.digits();
        let sound = match digits {
            [] => false,
            [b'0'] => !negative,
            [first, ..] => *first != b'0',
        };
        let text = self.bytes[start..self.at].to_vec();
        (sound && self.ends()?).then_some(Tree::Int(text))
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let digits = self.digits().to_vec();
        self.canonical &= digits == b"0" || digits.first() != Some(&b'0');
        let length: usize = std::str::from_utf8(&digits).ok()?.parse().ok()?;
        if self.peek()? != b':' {
            return None;
        }
        let start = self.at + 1;
        let text = self.bytes.get(start..start.checked_add(length)?)?.to_vec();
        self.at = start + length;
        Some(text)
    }
}

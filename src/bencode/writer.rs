//! The writer: small functions that compose into one value. Dictionary keys come out sorted, as BEP 3 asks.

use std::collections::BTreeMap;

use super::Value;

/// One well-formed encoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(Vec<u8>);

impl Encoded {
    /// The encoded bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A decoded value goes out again byte by byte as it came in.
impl From<Value<'_>> for Encoded {
    fn from(value: Value<'_>) -> Self {
        Self(value.raw().to_vec())
    }
}

/// An integer.
pub fn int(value: i64) -> Encoded {
    Encoded(format!("i{value}e").into_bytes())
}

/// A string of bytes.
pub fn bytes(value: &[u8]) -> Encoded {
    let mut out = Vec::with_capacity(value.len() + 8);
    push_string(&mut out, value);
    Encoded(out)
}

/// A string of text, as UTF-8.
pub fn text(value: &str) -> Encoded {
    bytes(value.as_bytes())
}

/// A list.
pub fn list(items: impl IntoIterator<Item = Encoded>) -> Encoded {
    let mut out = vec![b'l'];
    items.into_iter().for_each(|item| out.extend_from_slice(&item.0));
    out.push(b'e');
    Encoded(out)
}

/// A dictionary. The entries may come in any order; of two with the same key the later counts.
pub fn dict<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, Encoded)>) -> Encoded {
    let entries: Vec<(K, Encoded)> = entries.into_iter().collect();
    let sorted: BTreeMap<&[u8], &Encoded> = entries.iter().map(|(key, value)| (key.as_ref(), value)).collect();
    let mut out = vec![b'd'];
    for (key, value) in sorted {
        push_string(&mut out, key);
        out.extend_from_slice(&value.0);
    }
    out.push(b'e');
    Encoded(out)
}

fn push_string(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(value.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn composes_and_sorts() {
        let value = dict([("spam", list([text("a"), int(-3)])), ("cow", bytes(b"\x00\xff"))]);
        assert_eq!(value.into_bytes(), b"d3:cow2:\x00\xff4:spaml1:ai-3eee");
        assert_eq!(dict([(b"\xff", int(1)), (b"a", int(2))]).into_bytes(), b"d1:ai2e1:\xffi1ee");
        assert_eq!(list([]).into_bytes(), b"le");
    }

    #[test]
    fn a_decoded_value_is_passed_through() {
        let unsorted = b"d1:bi1e1:ai2ee";
        let wrapped = dict([("info", decode(unsorted).unwrap().into())]);
        assert_eq!(decode(&wrapped.into_bytes()).unwrap().get("info").unwrap().raw(), unsorted);
    }
}

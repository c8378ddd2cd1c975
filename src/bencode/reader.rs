//! The reader: one pass checks the whole input without recursion or allocation; a [`Value`] is then a view into it.
//!
//! Strict where BEP 3 is: no leading zeros and no `-0` in integers, keys are strings. Lenient where deployed writers
//! err: keys may be unsorted or repeated (the first counts), string lengths may have leading zeros, and an integer
//! may be of any size ([`Value::int`] is `None` when it does not fit).

use std::fmt;

/// How deep lists and dictionaries may nest.
pub const DEPTH_MAX: usize = 32;
/// How many tokens (integers, strings, opening and closing marks) an input may have.
pub const TOKENS_MAX: usize = 1_000_000;

/// One well-formed value inside the decoded bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// Why bytes are not bencode, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Byte offset.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ends inside a value.
    Truncated,
    /// A byte that can't stand there.
    Unexpected,
    /// Not an integer: empty, a leading zero, `-0`, or something other than digits.
    Integer,
    /// A dictionary's key is not a string.
    Key,
    /// Nested deeper than [`DEPTH_MAX`].
    Depth,
    /// More than [`TOKENS_MAX`] tokens.
    Tokens,
    /// Bytes follow the value.
    Trailing,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Truncated => "it ends too early",
            Reason::Unexpected => "an unexpected byte",
            Reason::Integer => "a malformed number",
            Reason::Key => "a dictionary key that is not a string",
            Reason::Depth => "it is nested too deeply",
            Reason::Tokens => "it has too many parts",
            Reason::Trailing => "something follows the end",
        };
        write!(f, "not valid bencode at byte {}: {reason}", self.at)
    }
}

impl std::error::Error for DecodeError {}

/// Reads one value that fills `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, DecodeError> {
    match decode_prefix(bytes)? {
        (value, used) if used == bytes.len() => Ok(value),
        (_, used) => Err(DecodeError { at: used, reason: Reason::Trailing }),
    }
}

/// Reads one value at the start of `bytes`, and says how many bytes it takes: a `ut_metadata` message is a
/// dictionary followed by raw data (BEP 9).
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value<'_>, usize), DecodeError> {
    let end = scan(bytes)?;
    Ok((Value(&bytes[..end]), end))
}

impl<'a> Value<'a> {
    /// The value's own bytes, as they came.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// An integer that fits; `None` for anything else.
    pub fn int(self) -> Option<i64> {
        match self.first_token() {
            Token::Int(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// A string's bytes; `None` for anything else.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self.first_token() {
            Token::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A string's text, with U+FFFD for what is not UTF-8; `None` for anything but a string.
    pub fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A list's items; `None` for anything but a list.
    pub fn list(self) -> Option<Items<'a>> {
        matches!(self.first_token(), Token::List).then(|| Items(&self.0[1..]))
    }

    /// A dictionary's entries, in their order; `None` for anything but a dictionary.
    pub fn dict(self) -> Option<Entries<'a>> {
        matches!(self.first_token(), Token::Dict).then(|| Entries(Items(&self.0[1..])))
    }

    /// The first entry with this key; `None` if there is none, or this is not a dictionary.
    pub fn get(self, key: &str) -> Option<Value<'a>> {
        self.dict()?.find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    fn first_token(self) -> Token<'a> {
        token(self.0, 0).expect("a value is well-formed").0
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value(\"{}\")", self.0.escape_ascii())
    }
}

/// The items of a list. Holds what follows the last item given, up to and including the list's end mark.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.0 == b"e" {
            return None;
        }
        let (value, used) = decode_prefix(self.0).expect("a value is well-formed");
        self.0 = &self.0[used..];
        Some(value)
    }
}

/// The entries of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?.bytes().expect("a key is a string");
        Some((key, self.0.next().expect("a key has a value")))
    }
}

enum Token<'a> {
    Int(&'a [u8]),
    Bytes(&'a [u8]),
    List,
    Dict,
    End,
}

/// What an open list or dictionary waits for.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Item,
    Key,
    Value,
}

/// Checks the value at the start of `bytes`; gives its length.
fn scan(bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut open = [Open::Item; DEPTH_MAX];
    let (mut depth, mut at) = (0usize, 0);
    for _ in 0..TOKENS_MAX {
        let fail = |reason| Err(DecodeError { at, reason });
        let (token, next) = token(bytes, at)?;
        match (depth.checked_sub(1).map(|inner| open[inner]), &token) {
            (None | Some(Open::Value), Token::End) => return fail(Reason::Unexpected),
            (Some(_), Token::End) => depth -= 1,
            (Some(Open::Key), Token::Bytes(_)) => open[depth - 1] = Open::Value,
            (Some(Open::Key), _) => return fail(Reason::Key),
            (Some(Open::Value), _) => open[depth - 1] = Open::Key,
            (None | Some(Open::Item), _) => {}
        }
        if let Token::List | Token::Dict = token {
            let Some(state) = open.get_mut(depth) else { return fail(Reason::Depth) };
            *state = if matches!(token, Token::List) { Open::Item } else { Open::Key };
            depth += 1;
        }
        at = next;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(DecodeError { at, reason: Reason::Tokens })
}

/// The token at `at`, and where the next one starts.
fn token(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), DecodeError> {
    match bytes.get(at) {
        None => Err(DecodeError { at, reason: Reason::Truncated }),
        Some(b'l') => Ok((Token::List, at + 1)),
        Some(b'd') => Ok((Token::Dict, at + 1)),
        Some(b'e') => Ok((Token::End, at + 1)),
        Some(b'i') => integer(bytes, at),
        Some(b'0'..=b'9') => string(bytes, at),
        Some(_) => Err(DecodeError { at, reason: Reason::Unexpected }),
    }
}

fn integer(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), DecodeError> {
    let rest = &bytes[at + 1..];
    let fail = |reason| Err(DecodeError { at, reason });
    let sign = usize::from(rest.first() == Some(&b'-'));
    let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(sign + digits) {
        None => return fail(Reason::Truncated),
        Some(b'e') => {}
        Some(_) => return fail(Reason::Integer),
    }
    let zero = rest[sign] == b'0';
    if digits == 0 || (zero && (digits > 1 || sign == 1)) {
        return fail(Reason::Integer);
    }
    Ok((Token::Int(&rest[..sign + digits]), at + 2 + sign + digits))
}

fn string(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), DecodeError> {
    let truncated = DecodeError { at, reason: Reason::Truncated };
    let mut length = 0usize;
    for (index, &byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'0'..=b'9' => {
                let digit = usize::from(byte - b'0');
                length = length.checked_mul(10).and_then(|tens| tens.checked_add(digit)).ok_or(truncated)?;
            }
            b':' => {
                let end = (index + 1).checked_add(length).ok_or(truncated)?;
                let text = bytes.get(index + 1..end).ok_or(truncated)?;
                return Ok((Token::Bytes(text), end));
            }
            _ => return Err(DecodeError { at: index, reason: Reason::Unexpected }),
        }
    }
    Err(truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> Reason {
        decode(bytes).expect_err("must not decode").reason
    }

    #[test]
    fn reads_every_kind() {
        assert_eq!(decode(b"i-42e").unwrap().int(), Some(-42));
        assert_eq!(decode(b"4:spam").unwrap().bytes(), Some(&b"spam"[..]));
        let list = decode(b"l4:spami7ee").unwrap();
        let items: Vec<_> = list.list().unwrap().collect();
        assert_eq!((items.len(), items[1].int()), (2, Some(7)));
        let dict = decode(b"d3:cow3:moo4:spaml1:a1:bee").unwrap();
        assert_eq!(dict.get("cow").and_then(Value::text).as_deref(), Some("moo"));
        assert_eq!(dict.get("spam").unwrap().raw(), b"l1:a1:be");
        assert_eq!(dict.get("pig"), None);
        assert_eq!((dict.int(), dict.bytes(), list.dict().is_none()), (None, None, true));
    }

    #[test]
    fn keeps_unsorted_and_repeated_keys_as_they_came() {
        let raw = b"d1:bi1e1:ai2e1:bi3ee";
        let dict = decode(raw).unwrap();
        assert_eq!(dict.raw(), raw);
        assert_eq!(dict.get("b").unwrap().int(), Some(1));
        let keys: Vec<_> = dict.dict().unwrap().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"b", b"a", b"b"]);
    }

    #[test]
    fn integers_are_strict_and_of_any_size() {
        for bad in [&b"i03e"[..], b"i-0e", b"i00e", b"ie", b"i-e", b"i1.5e", b"i+1e", b"i 1e"] {
            assert_eq!(reason(bad), Reason::Integer, "{}", bad.escape_ascii());
        }
        assert_eq!(decode(b"i9223372036854775807e").unwrap().int(), Some(i64::MAX));
        assert_eq!(decode(b"i-9223372036854775808e").unwrap().int(), Some(i64::MIN));
        assert_eq!(decode(b"i9223372036854775808e").unwrap().int(), None);
    }

    #[test]
    fn refuses_what_is_cut_or_malformed() {
        for bad in [&b""[..], b"i4", b"i-", b"4:spa", b"4", b"l", b"d1:a", b"d1:ai1e", b"99999999999999999999999:a"] {
            assert_eq!(reason(bad), Reason::Truncated, "{}", bad.escape_ascii());
        }
        for bad in [&b"e"[..], b"x", b"-1:a", b"d1:ae", b"4spam", b"1x:a"] {
            assert_eq!(reason(bad), Reason::Unexpected, "{}", bad.escape_ascii());
        }
        assert_eq!(reason(b"di1ei2ee"), Reason::Key);
        assert_eq!(decode(b"i1ei2e"), Err(DecodeError { at: 3, reason: Reason::Trailing }));
        assert_eq!(decode(b"004:spam").unwrap().bytes(), Some(&b"spam"[..]));
    }

    #[test]
    fn a_prefix_leaves_the_rest() {
        let (value, used) = decode_prefix(b"d8:msg_typei1ee\x00\x01raw").unwrap();
        assert_eq!((value.get("msg_type").unwrap().int(), used), (Some(1), 15));
    }

    #[test]
    fn depth_and_tokens_are_bounded() {
        let nested = |depth: usize| [vec![b'l'; depth], vec![b'e'; depth]].concat();
        assert!(decode(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(reason(&nested(DEPTH_MAX + 1)), Reason::Depth);
        assert_eq!(reason(&vec![b'l'; 500_000]), Reason::Depth);
        let wide = |items: usize| [b"l".to_vec(), b"0:".repeat(items), b"e".to_vec()].concat();
        assert!(decode(&wide(TOKENS_MAX - 2)).is_ok());
        assert_eq!(reason(&wide(TOKENS_MAX)), Reason::Tokens);
    }
}

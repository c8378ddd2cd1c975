//! EBML (RFC 8794): elements out of bytes, and into bytes.
//!
//! Invariant: whatever the bytes, a child lies wholly inside its parent, every step forward consumes at least two
//! bytes, and nothing is allocated or recursed into on the word of a size. Callers descend by name, one level per
//! call, so nesting is bounded by the grammar they follow (at most five levels), not by the input.

/// What is wrong with the bytes, as the end of a sentence that begins with where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Most children one buffered element may have (threat-model.md M5).
const CHILDREN_MAX: usize = 50_000;

/// The start of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// See `ids`.
    pub(super) id: u32,
    /// Bytes of the header itself, 2 to 12.
    pub(super) len: usize,
    /// Bytes of the body; `None` is EBML's unknown size.
    pub(super) size: Option<u64>,
}

/// Reads an element's header; `None` when more bytes are needed to tell.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return Err(Malformed("an element's ID is longer than 4 bytes"));
    }
    let Some(id) = bytes.get(..id_len) else { return Ok(None) };
    let id = id.iter().fold(0, |id, &byte| id << 8 | u32::from(byte));
    let Some((size, size_len)) = vint(&bytes[id_len..])? else { return Ok(None) };
    Ok(Some(Header { id, len: id_len + size_len, size }))
}

/// Reads a variable-size integer and its length in bytes. All value bits set is no number: `None` inside.
pub(super) fn vint(bytes: &[u8]) -> Result<Option<(Option<u64>, usize)>, Malformed> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return Err(Malformed("a size is longer than 8 bytes"));
    }
    let Some(raw) = bytes.get(..len) else { return Ok(None) };
    let mask = (1_u64 << (7 * len)) - 1;
    let value = raw.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)) & mask;
    Ok(Some(((value != mask).then_some(value), len)))
}

/// An element inside a buffered parent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    /// See `ids`.
    pub(super) id: u32,
    /// What it holds.
    pub(super) body: &'a [u8],
    /// Header and body, for copying it as it is.
    pub(super) whole: &'a [u8],
}

/// The children of a buffered element, given its body. Ends after the first error.
pub(super) fn children(body: &[u8]) -> Children<'_> {
    Children { rest: body, left: CHILDREN_MAX }
}

/// See [`children`].
pub(super) struct Children<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Children<'a> {
    fn read(&mut self) -> Result<Child<'a>, Malformed> {
        self.left = self.left.checked_sub(1).ok_or(Malformed("an element has too many children"))?;
        let header = header(self.rest)?.ok_or(Malformed("an element ends inside a header"))?;
        let size = header.size.ok_or(Malformed("an element that needs a size has none"))?;
        let end = usize::try_from(size).ok().and_then(|size| size.checked_add(header.len));
        let whole = end.and_then(|end| self.rest.get(..end)).ok_or(Malformed("an element runs past its parent"))?;
        self.rest = &self.rest[whole.len()..];
        Ok(Child { id: header.id, body: &whole[header.len..], whole })
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<Child<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let child = self.read();
        if child.is_err() {
            self.rest = &[];
        }
        Some(child)
    }
}

/// An unsigned integer element's body: 0 to 8 bytes, big-endian.
pub(super) fn unsigned(body: &[u8]) -> Result<u64, Malformed> {
    if body.len() > 8 {
        return Err(Malformed("a number is longer than 8 bytes"));
    }
    Ok(body.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// A float element's body: 0, 4 or 8 bytes.
pub(super) fn float(body: &[u8]) -> Result<f64, Malformed> {
    match *body {
        [] => Ok(0.0),
        [a, b, c, d] => Ok(f64::from(f32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(Malformed("a float is neither 4 nor 8 bytes")),
    }
}

/// A string element's body, up to its first NUL; what isn't UTF-8 is replaced.
pub(super) fn text(body: &[u8]) -> String {
    let end = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
    String::from_utf8_lossy(&body[..end]).into_owned()
}

/// Writes an element with a known size.
pub(super) fn write(out: &mut Vec<u8>, id: u32, body: &[u8]) {
    write_id(out, id);
    write_vint(out, body.len() as u64);
    out.extend_from_slice(body);
}

/// Writes an unsigned integer element.
pub(super) fn write_unsigned(out: &mut Vec<u8>, id: u32, value: u64) {
    let skip = (value.leading_zeros() as usize / 8).min(7);
    write(out, id, &value.to_be_bytes()[skip..]);
}

/// Writes a master element of unknown size; what follows is inside it.
pub(super) fn write_unsized(out: &mut Vec<u8>, id: u32) {
    write_id(out, id);
    out.extend_from_slice(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
}

/// Writes a variable-size integer in as few bytes as it fits. `value` is below 2⁵⁶ − 1.
pub(super) fn write_vint(out: &mut Vec<u8>, value: u64) {
    let len = (1..8).find(|len| value < (1 << (7 * len)) - 1).unwrap_or(8);
    out.extend_from_slice(&(value | 1 << (7 * len)).to_be_bytes()[8 - len..]);
}

fn write_id(out: &mut Vec<u8>, id: u32) {
    out.extend_from_slice(&id.to_be_bytes()[id.leading_zeros() as usize / 8..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_length() {
        assert_eq!(header(&[0xA3, 0x81]), Ok(Some(Header { id: 0xA3, len: 2, size: Some(1) })));
        assert_eq!(header(&[0xA3, 0x01, 0, 0, 0, 0, 0, 0, 5]), Ok(Some(Header { id: 0xA3, len: 9, size: Some(5) })));
        assert_eq!(
            header(&[0x1F, 0x43, 0xB6, 0x75, 0xFF]),
            Ok(Some(Header { id: super::super::ids::CLUSTER, len: 5, size: None }))
        );
        assert_eq!(header(&[0x1F, 0x43, 0xB6, 0x75]), Ok(None));
        assert_eq!(header(&[0x1F, 0x43]), Ok(None));
        assert_eq!(header(&[]), Ok(None));
        assert!(header(&[0x08, 0, 0, 0]).is_err());
        assert!(header(&[0xA3, 0x00]).is_err());
    }

    #[test]
    fn a_vint_survives_the_way_out_and_in() {
        for value in [0, 1, 126, 127, 128, 16_382, 16_383, 1 << 21, (1 << 49) - 1, (1 << 56) - 2] {
            let mut out = Vec::new();
            write_vint(&mut out, value);
            assert_eq!(vint(&out), Ok(Some((Some(value), out.len()))));
        }
        assert_eq!(vint(&[0xFF]), Ok(Some((None, 1))));
    }

    #[test]
    fn a_number_survives_the_way_out_and_in() {
        for value in [0, 255, 256, 1_000_000, u64::MAX] {
            let mut out = Vec::new();
            write_unsigned(&mut out, 0x2A_D7B1, value);
            let child = children(&out).next().expect("one child").expect("well formed");
            assert_eq!((child.id, unsigned(child.body)), (0x2A_D7B1, Ok(value)));
        }
    }

    #[test]
    fn a_child_stays_inside_its_parent() {
        assert!(children(&[0xA3, 0x82, 0]).any(|child| child.is_err()));
        assert!(children(&[0xA3, 0xFF, 0]).any(|child| child.is_err()));
        assert!(children(&[0xA3, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]).any(|child| child.is_err()));
        assert_eq!(children(&[0xEC, 0x80, 0xA3, 0x81, 7]).filter(|child| child.is_ok()).count(), 2);
    }

    #[test]
    fn children_are_counted() {
        let many = [0xEC, 0x80].repeat(CHILDREN_MAX + 1);
        assert_eq!(children(&many).last().expect("an item").err(), Some(Malformed("an element has too many children")));
    }
}

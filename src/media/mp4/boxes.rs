//! Boxes and big-endian numbers in borrowed bytes (ISO/IEC 14496-12 §4.2).
//!
//! Invariant: a box is only read inside its parent, and each step goes forward by at least 8 bytes. Nothing here
//! recurses: each caller descends into the boxes that it names, so the depth is that of the code.

use super::MediaError;

/// A box's type.
pub(super) type FourCc = [u8; 4];

/// A box header's bytes at most.
pub(super) const HEADER_BYTES_MAX: u64 = 16;

/// What a box header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FourCc,
    /// Bytes of the header itself: 8 or 16.
    pub(super) header: u64,
    /// Bytes of the whole box, header included.
    pub(super) size: u64,
}

/// Reads the header that `bytes` begin with, of a box that has `room` bytes up to the end of its parent.
///
/// # Errors
/// The header is cut off, or its size is less than itself. The size may exceed `room`: what that means depends on
/// the box.
pub(super) fn header(bytes: &[u8], room: u64) -> Result<Header, MediaError> {
    let mut reader = Reader(bytes);
    let size = reader.u32()?;
    let kind = reader.array()?;
    let (header, size) = match size {
        0 => (8, room),
        1 => (16, reader.u64()?),
        size => (8, u64::from(size)),
    };
    if size < header {
        return Err(MediaError::Broken("a box is smaller than its own header"));
    }
    Ok(Header { kind, header, size })
}

/// A box inside its parent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom<'a> {
    pub(super) kind: FourCc,
    /// The whole box, header included.
    pub(super) whole: &'a [u8],
    /// What follows the header.
    pub(super) body: &'a [u8],
}

impl<'a> Atom<'a> {
    /// Reads the body of a full box: its version and flags, and what follows.
    pub(super) fn full(&self) -> Result<(u8, u32, Reader<'a>), MediaError> {
        let mut reader = Reader(self.body);
        let word = reader.u32()?;
        Ok(((word >> 24) as u8, word & 0x00FF_FFFF, reader))
    }
}

/// The boxes that fill `bytes`. Ends after the first error, and before a rest too short to hold a header.
pub(super) fn children(bytes: &[u8]) -> Children<'_> {
    Children(bytes)
}

/// See `children`.
#[derive(Clone, Debug)]
pub(super) struct Children<'a>(&'a [u8]);

impl<'a> Iterator for Children<'a> {
    type Item = Result<Atom<'a>, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.len() < 8 {
            return None;
        }
        let header = match header(bytes, bytes.len() as u64) {
            Ok(header) => header,
            Err(error) => return Some(Err(error)),
        };
        let Some((whole, rest)) = usize::try_from(header.size).ok().and_then(|size| bytes.split_at_checked(size))
        else {
            return Some(Err(MediaError::Broken("a box is larger than its parent")));
        };
        self.0 = rest;
        Some(Ok(Atom { kind: header.kind, whole, body: &whole[header.header as usize..] }))
    }
}

/// The first box of a kind in `bytes`, if there is one.
pub(super) fn find<'a>(bytes: &'a [u8], kind: &FourCc) -> Result<Option<Atom<'a>>, MediaError> {
    children(bytes).find(|atom| atom.as_ref().map_or(true, |atom| atom.kind == *kind)).transpose()
}

/// Numbers off the front of borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], MediaError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MediaError::Broken("a box is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(MediaError::Broken("a box is cut off"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(self.array::<1>()?[0])
    }

    /// The next 2 bytes.
    pub(super) fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// The next 4 bytes.
    pub(super) fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// The next 8 bytes.
    pub(super) fn u64(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The next 8 bytes in version 1 of a box, 4 in version 0.
    pub(super) fn versioned(&mut self, version: u8) -> Result<u64, MediaError> {
        if version == 0 { Ok(u64::from(self.u32()?)) } else { self.u64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes 0, 1, below 8, 64-bit zero, past the parent, 2^63 (threat-model M1).
    #[test]
    fn odd_sizes_are_errors_or_stay_inside() {
        let boxed = |size: u32, large: Option<u64>| {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend(b"free");
            bytes.extend(large.map(u64::to_be_bytes).into_iter().flatten());
            bytes.resize(24, 0);
            bytes
        };
        let count = |bytes: &[u8]| children(bytes).collect::<Result<Vec<_>, _>>().map(|all| all.len());
        assert_eq!(count(&boxed(0, None)), Ok(1), "to the end of its parent");
        assert_eq!(count(&boxed(24, None)), Ok(1));
        assert_eq!(count(&boxed(1, Some(24))), Ok(1));
        for (size, large) in [(4, None), (7, None), (25, None), (u32::MAX, None)] {
            assert!(count(&boxed(size, large)).is_err(), "{size}");
        }
        for large in [0, 8, 15, 25, 1 << 63, u64::MAX] {
            assert!(count(&boxed(1, Some(large))).is_err(), "{large}");
        }
        assert!(count(&[0, 0, 0, 1, b'f', b'r', b'e', b'e', 0, 0]).is_err(), "a cut-off header");
        assert_eq!(count(&[0; 7]), Ok(0));
    }
}

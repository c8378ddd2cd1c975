//! A set of pieces in BEP 3's layout: most significant bit first, spare bits zero.

/// Which pieces somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Vec<u8>,
    length: u32,
    count: u32,
}

impl Bitfield {
    /// No piece of `length`.
    pub fn none(length: u32) -> Self {
        Self { bytes: vec![0; length.div_ceil(8) as usize], length, count: 0 }
    }

    /// Every piece of `length`.
    pub fn all(length: u32) -> Self {
        let mut bytes = vec![0xff; length.div_ceil(8) as usize];
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), length.wrapping_neg() % 8) {
            *last <<= spare;
        }
        Self { bytes, length, count: length }
    }

    /// From a message. `None` if the byte length is wrong or a spare bit is set (BEP 3; threat-model P3).
    pub fn from_bytes(bytes: &[u8], length: u32) -> Option<Self> {
        let spare = length.wrapping_neg() % 8;
        let spare_set = bytes.last().is_some_and(|last| last & ((1u8 << spare) - 1) != 0);
        (bytes.len() == length.div_ceil(8) as usize && !spare_set).then(|| Self {
            bytes: bytes.to_vec(),
            length,
            count: bytes.iter().map(|byte| byte.count_ones()).sum(),
        })
    }

    /// Its bytes, for a message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of pieces in all.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Number of pieces in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Every piece is in the set.
    pub fn is_full(&self) -> bool {
        self.count == self.length
    }

    /// Is this piece in the set? False for indices out of range.
    pub fn has(&self, index: u32) -> bool {
        index < self.length && self.bytes[index as usize / 8] & (0x80 >> (index % 8)) != 0
    }

    /// Adds a piece; false if it was in the set, or is out of range.
    pub fn insert(&mut self, index: u32) -> bool {
        let new = index < self.length && !self.has(index);
        if new {
            self.bytes[index as usize / 8] |= 0x80 >> (index % 8);
            self.count += 1;
        }
        new
    }

    /// Takes a piece out; false if it was not in the set.
    pub fn remove(&mut self, index: u32) -> bool {
        let had = self.has(index);
        if had {
            self.bytes[index as usize / 8] &= !(0x80 >> (index % 8));
            self.count -= 1;
        }
        had
    }

    /// The pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(|(at, byte)| {
            (0..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| at as u32 * 8 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_bits_stay_zero() {
        assert_eq!(Bitfield::all(11).as_bytes(), [0xff, 0xe0]);
        assert_eq!(Bitfield::all(16).as_bytes(), [0xff, 0xff]);
        assert_eq!(Bitfield::all(0).as_bytes(), [0u8; 0]);
        assert!(Bitfield::from_bytes(&[0xff, 0xe0], 11).unwrap().is_full());
        assert!(Bitfield::from_bytes(&[0xff, 0xf0], 11).is_none());
        assert!(Bitfield::from_bytes(&[0xff], 11).is_none());
        assert!(Bitfield::from_bytes(&[0xff, 0xff], 16).is_some());
    }

    #[test]
    fn counts_what_it_holds() {
        let mut set = Bitfield::none(20);
        assert!(set.insert(19) && set.insert(0) && !set.insert(19) && !set.insert(20));
        assert_eq!((set.count(), set.iter().collect::<Vec<_>>()), (2, vec![0, 19]));
        assert!(set.remove(0) && !set.remove(0) && set.has(19) && !set.has(20));
        assert_eq!(set.count(), 1);
    }
}

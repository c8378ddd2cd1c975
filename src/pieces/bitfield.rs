//! A set of pieces in BEP 3's layout: most significant bit first, spare bits zero.

use std::ops::Range;

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

    /// The pieces `64 * index ..` as the bits of a word, the first one highest.
    fn word(&self, index: usize) -> u64 {
        let rest = self.bytes.get(index * 8..).unwrap_or_default();
        if let Some(whole) = rest.first_chunk() {
            return u64::from_be_bytes(*whole);
        }
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    /// The pieces of a range that are in this set and in `any` of the others, in order: 64 are looked at in one go.
    pub fn common<'a, const N: usize>(&'a self, any: [&'a Bitfield; N], range: Range<u32>) -> Common<'a, N> {
        let end = if any.iter().all(|other| other.count == 0) { range.start } else { range.end.min(self.length) };
        Common { set: self, any, next: range.start, end }
    }

    /// The pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(|(at, byte)| {
            (0..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| at as u32 * 8 + bit)
        })
    }
}

/// What a set shares with others, from `Bitfield::common`.
#[derive(Clone, Debug)]
pub struct Common<'a, const N: usize> {
    set: &'a Bitfield,
    any: [&'a Bitfield; N],
    next: u32,
    end: u32,
}

impl<const N: usize> Iterator for Common<'_, N> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.next < self.end {
            let (word, bit) = (self.next / 64, self.next % 64);
            let any = self.any.iter().fold(0, |any, other| any | other.word(word as usize));
            let left = (self.set.word(word as usize) & any) << bit;
            if left != 0 {
                let found = self.next + left.leading_zeros();
                self.next = found + 1;
                return (found < self.end).then_some(found);
            }
            self.next = (word + 1) * 64;
        }
        None
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

    #[test]
    fn what_two_sets_share_is_found_in_any_range() {
        let set = |step: usize| {
            let mut set = Bitfield::none(200);
            (0..200).step_by(step).for_each(|index| assert!(set.insert(index)));
            set
        };
        let (twos, threes, fives) = (set(2), set(3), set(5));
        for range in [0..200, 6..7, 7..8, 63..65, 64..128, 190..200, 50..50] {
            let shared = |index: &u32| index.is_multiple_of(2) && (index.is_multiple_of(3) || index.is_multiple_of(5));
            let expected: Vec<u32> = range.clone().filter(shared).collect();
            assert_eq!(twos.common([&threes, &fives], range).collect::<Vec<_>>(), expected);
        }
    }
}

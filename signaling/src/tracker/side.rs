//! The seeders of a swarm, or its leechers, by network: whoever walks over them meets each network as soon as any other,
//! however many peers it has (threat-model S10).
//!
//! Invariant: every network here has a peer, and every peer stands in its network at the place it was told.

use smallvec::SmallVec;

use super::keyed::Keyed;
use super::request::Network;
use super::tight::{self, Table};

/// Where a peer is among the peers of the swarm.
pub(super) type Slot = u32;

/// Most networks have few peers.
type Members = SmallVec<[Slot; 4]>;

#[derive(Debug)]
pub(super) struct Side {
    networks: Table<Network, Members>,
    len: u32,
}

impl Side {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { networks: Table::with_hasher(keyed), len: 0 }
    }

    /// How many peers.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// How many networks.
    pub(super) fn networks(&self) -> usize {
        self.networks.len()
    }

    /// How many peers of a network.
    pub(super) fn len_of(&self, network: Network) -> usize {
        self.networks.get(&network).map_or(0, SmallVec::len)
    }

    /// Adds a peer, and tells it its place.
    pub(super) fn insert(&mut self, network: Network, slot: Slot) -> u32 {
        self.len += 1;
        tight::reserve(&mut self.networks);
        let members = self.networks.entry(network).or_default();
        members.push(slot);
        members.len() as u32 - 1
    }

    /// Removes the peer at this place. The peer that has the place from now on, if one has.
    pub(super) fn remove(&mut self, network: Network, place: u32) -> Option<Slot> {
        self.len -= 1;
        let members = self.members(network);
        members.swap_remove(place as usize);
        let moved = members.get(place as usize).copied();
        if members.is_empty() {
            self.networks.swap_remove(&network);
            tight::shrink(&mut self.networks);
        } else if members.len() <= members.capacity() / 4 {
            members.shrink_to_fit();
        }
        moved
    }

    /// The peer at this place has another slot now.
    pub(super) fn moved(&mut self, network: Network, place: u32, slot: Slot) {
        self.members(network)[place as usize] = slot;
    }

    /// Walks from network to network, one peer of each, then another of each that has more, so many `laps`. The draw says
    /// in which order; at most so many `steps` are gone.
    pub(super) fn walk(&self, draw: u64, laps: usize, steps: usize) -> impl Iterator<Item = (Network, Slot)> {
        let count = self.networks.len();
        let [first, stride, turn] = [draw >> 40, draw >> 16 & 0xff_ffff, draw & 0xffff].map(|part| part as usize);
        let stride = coprime(stride, count);
        (0..steps.min(laps * count)).filter_map(move |step| {
            let (network, members) = self.networks.get_index((first + step * stride) % count)?;
            let lap = step / count;
            (lap < members.len()).then(|| (*network, members[(turn + lap) % members.len()]))
        })
    }

    /// The peers of one network, each once. The draw says where to begin.
    pub(super) fn within(&self, network: Network, draw: u64) -> impl Iterator<Item = Slot> {
        let members = self.networks.get(&network).map_or(&[][..], SmallVec::as_slice);
        let (last, first) = members.split_at(draw as usize % members.len().max(1));
        first.iter().chain(last).copied()
    }

    /// The peer at a place.
    pub(super) fn at(&self, network: Network, place: u32) -> Option<Slot> {
        self.networks.get(&network)?.get(place as usize).copied()
    }

    /// Panics if the counts disagree.
    pub(super) fn check(&self) {
        assert!(self.networks.values().all(|members| !members.is_empty()), "every network has a peer");
        assert_eq!(self.len as usize, self.networks.values().map(SmallVec::len).sum::<usize>(), "all are counted");
    }

    fn members(&mut self, network: Network) -> &mut Members {
        self.networks.get_mut(&network).expect("a peer's network is here")
    }
}

/// A stride that leads through all of `count` places: the next from here that has no divisor in common with it. With the same
/// stride for all, neighbours in the table would always be chosen together.
fn coprime(from: usize, count: usize) -> usize {
    let common = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (from % count.max(1)..).find(|stride| common(*stride, count) <= 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_leads_through_every_network_once() {
        for count in 0..30 {
            let mut side = Side::new(Keyed::new([1; 16]));
            for number in 0..count {
                side.insert(Network(number.into()), number);
            }
            for draw in 0..50u64 {
                let draw = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut met: Vec<_> = side.walk(draw, 1, 100).map(|(_, slot)| slot).collect();
                assert_eq!(met, side.walk(draw, 5, 100).map(|(_, slot)| slot).collect::<Vec<_>>(), "none has two");
                met.sort_unstable();
                assert_eq!(met, (0..count).collect::<Vec<_>>());
            }
        }
    }
}

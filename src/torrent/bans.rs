//! Who was caught lying, for the session.
//!
//! Invariant: a ban holds for the peer, not for the link: one who left before the proof came is banned all the same, and
//! one who comes back is known again. Anybody can give another one's id, so where addresses are known a ban holds for
//! the id at that address only.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LinkId, PeerId};
use crate::limits::{BANS_MAX, NAMES_MAX};
use crate::tracker::sdp::AddressHint;

/// Who somebody is, as far as can be told.
type Name = (PeerId, Option<AddressHint>);

/// The banned peers of one torrent, and who was at the end of which link.
#[derive(Clone, Debug, Default)]
pub(super) struct Bans {
    names: BTreeMap<LinkId, Name>,
    banned: BTreeSet<Name>,
}

impl Bans {
    /// The peer at the end of a link has said who it is.
    pub(super) fn met(&mut self, link: LinkId, peer: PeerId, address: Option<AddressHint>) {
        self.names.insert(link, (peer, address));
        if self.names.len() > NAMES_MAX {
            // Links are numbered as they come: the lowest is the oldest.
            self.names.pop_first();
        }
    }

    /// Bans who is, or was, at the end of a link. False if nobody knows who that was.
    pub(super) fn ban(&mut self, link: LinkId) -> bool {
        let Some(name) = self.names.get(&link) else { return false };
        if self.banned.len() < BANS_MAX {
            self.banned.insert(*name);
        }
        true
    }

    pub(super) fn contains(&self, peer: PeerId, address: Option<AddressHint>) -> bool {
        let mut same = self.banned.range((peer, None)..).take_while(|(banned, _)| *banned == peer);
        same.any(|(_, banned)| banned.is_none() || address.is_none() || *banned == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: PeerId = PeerId([1; 20]);

    #[test]
    fn a_peer_is_banned_by_any_link_it_ever_had() {
        let mut bans = Bans::default();
        bans.met(LinkId(3), LIAR, None);
        bans.met(LinkId(4), PeerId([2; 20]), None);
        bans.met(LinkId(5), LIAR, None);
        assert!(!bans.contains(LIAR, None));
        assert_eq!((bans.ban(LinkId(3)), bans.ban(LinkId(9))), (true, false));
        assert!(bans.contains(LIAR, None) && !bans.contains(PeerId([2; 20]), None));
    }

    #[test]
    fn who_lies_under_another_ones_id_is_not_taken_for_it() {
        let at = |last: u8| Some(AddressHint::of([203, 0, 113, last].into()));
        let mut bans = Bans::default();
        bans.met(LinkId(1), LIAR, at(1));
        bans.met(LinkId(2), LIAR, at(2));
        bans.ban(LinkId(2));
        assert!(bans.contains(LIAR, at(2)) && !bans.contains(LIAR, at(1)));
        assert!(bans.contains(LIAR, None), "who hides where it is may be the liar");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut bans = Bans::default();
        for link in 0..NAMES_MAX as u32 + 10 {
            bans.met(LinkId(link), LIAR, None);
        }
        assert_eq!((bans.names.len(), bans.ban(LinkId(0))), (NAMES_MAX, false));
    }
}

//! Who was caught lying, for the session.
//!
//! Invariant: a ban holds for the peer, not for the link: one who left before the proof came is banned all the same, and
//! one who comes back is known again.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{LinkId, PeerId};
use crate::limits::{BANS_MAX, NAMES_MAX};

/// The banned peers of one torrent, and who was at the end of which link.
#[derive(Clone, Debug, Default)]
pub(super) struct Bans {
    names: BTreeMap<LinkId, PeerId>,
    banned: BTreeSet<PeerId>,
}

impl Bans {
    /// The peer at the end of a link has said who it is.
    pub(super) fn met(&mut self, link: LinkId, peer: PeerId) {
        self.names.insert(link, peer);
        if self.names.len() > NAMES_MAX {
            // Links are numbered as they come: the lowest is the oldest.
            self.names.pop_first();
        }
    }

    /// Bans who is, or was, at the end of a link. Who that is, if it is known.
    pub(super) fn ban(&mut self, link: LinkId) -> Option<PeerId> {
        let peer = *self.names.get(&link)?;
        if self.banned.len() < BANS_MAX {
            self.banned.insert(peer);
        }
        Some(peer)
    }

    pub(super) fn contains(&self, peer: PeerId) -> bool {
        self.banned.contains(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: PeerId = PeerId([1; 20]);

    #[test]
    fn a_peer_is_banned_by_any_link_it_ever_had() {
        let mut bans = Bans::default();
        bans.met(LinkId(3), LIAR);
        bans.met(LinkId(4), PeerId([2; 20]));
        bans.met(LinkId(5), LIAR);
        assert!(!bans.contains(LIAR));
        assert_eq!((bans.ban(LinkId(3)), bans.ban(LinkId(9))), (Some(LIAR), None));
        assert!(bans.contains(LIAR) && !bans.contains(PeerId([2; 20])));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut bans = Bans::default();
        for link in 0..NAMES_MAX as u32 + 10 {
            bans.met(LinkId(link), LIAR);
        }
        assert_eq!((bans.names.len(), bans.ban(LinkId(0))), (NAMES_MAX, None));
    }
}

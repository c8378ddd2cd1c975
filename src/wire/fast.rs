//! The allowed-fast set of a peer (BEP 6): pieces it may have while it is choked, so that it gets something to give.
//!
//! Invariant: the same peer gets the same pieces at every connection, so that coming back wins nothing.

use std::collections::BTreeSet;

use crate::hash::sha1;
use crate::ids::{InfoHash, PeerId};

/// `count` of a torrent's `pieces`, or all if there are no more. BEP 6 draws them from the peer's IPv4 address, which
/// nobody knows behind WebRTC; its peer id stands in for it here. A peer that tries ids may choose its pieces, which is
/// why each is served only so often.
pub fn allowed_fast_set(info_hash: InfoHash, peer_id: PeerId, pieces: u32, count: usize) -> BTreeSet<u32> {
    if pieces as usize <= count {
        return (0..pieces).collect();
    }
    let mut set = BTreeSet::new();
    let mut draw = [peer_id.0, info_hash.0].concat();
    while set.len() < count {
        let digest = sha1(&draw);
        for number in digest.chunks_exact(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) {
            if set.len() < count {
                set.insert(number % pieces);
            }
        }
        draw = digest.to_vec();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_peers_own() {
        let set = |peer: u8| allowed_fast_set(InfoHash([1; 20]), PeerId([peer; 20]), 1000, 10);
        assert_eq!(set(7), set(7));
        assert_ne!(set(7), set(8));
        assert!(set(7).len() == 10 && set(7).iter().all(|piece| *piece < 1000));
    }

    #[test]
    fn a_small_torrent_is_allowed_whole() {
        let set = allowed_fast_set(InfoHash([1; 20]), PeerId([2; 20]), 3, 10);
        assert_eq!(set, BTreeSet::from([0, 1, 2]));
    }
}

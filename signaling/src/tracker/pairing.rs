//! Who is introduced to whom.
//!
//! Invariant: no seeder meets a seeder, and nobody itself or anyone twice in a round. Of a round at most a quarter goes to one
//! network but the offerer's own, or its part where there are fewer than four; nobody gets more than it answers; and the work
//! does not grow with the swarm (threat-model S7, S10).

use smallvec::SmallVec;
use swarmreel::time::Moment;
use swarmreel::tracker::message::OFFERS_MAX;

use super::ConnId;
use super::request::Network;
use super::side::Slot;
use super::swarm::Swarm;

/// Networks looked at for each offer, before it is given up.
const STEPS_PER_OFFER: usize = 8;

/// Whom one round of offers goes to.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) partners: SmallVec<[Slot; OFFERS_MAX]>,
    /// Somebody more was there, but had enough offers, or enough of this network, or the round of theirs.
    pub(super) spared: bool,
}

/// Who makes the offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offerer {
    /// Its connection, unless it is a peer of another node. While messages are under way that may be two peers of a swarm.
    pub(super) conn: Option<ConnId>,
    pub(super) network: Network,
    pub(super) complete: bool,
}

/// Up to `count` peers for the offers of one. A seeder gets leechers, as two seeders have nothing to trade; a leecher gets a
/// seeder first, then leechers and seeders in turn while there are both. The draws say where to begin.
pub(super) fn pair(swarm: &Swarm, offerer: Offerer, count: usize, now: Moment, draws: [u64; 2]) -> Round {
    let mut round = Round::default();
    pair_abroad(swarm, offerer, count, now, draws, &mut round);
    pair_at_home(swarm, offerer, count, now, draws, &mut round);
    round
}

/// Offers go to all networks, to each its share.
fn pair_abroad(swarm: &Swarm, offerer: Offerer, count: usize, now: Moment, draws: [u64; 2], round: &mut Round) {
    let Offerer { network: own, complete, .. } = offerer;
    let share = share(count, networks(swarm, offerer));
    // Networks that might offer something to a seeder, or to a leecher besides its own.
    let stranger = usize::from(swarm.len_of(own) == 0);
    let sources = [swarm.side(false).networks() + stranger, swarm.networks() + stranger - 1];
    // One lap more than the share: one may be spent on the peer itself.
    let (laps, steps) = (share + 1, STEPS_PER_OFFER * (count + 1));
    let seeders = (!complete).then(|| swarm.side(true).walk(draws[0], laps, steps));
    let mut walks = (seeders.into_iter().flatten(), swarm.side(false).walk(draws[1], laps, steps));
    let mut chosen: SmallVec<[Network; OFFERS_MAX]> = SmallVec::new();
    while round.partners.len() < count {
        let Some((network, slot)) = in_turn(round, &mut walks) else { return };
        let partner = swarm.peer(slot);
        if Some(partner.conn) == offerer.conn {
            continue;
        }
        let taken = chosen.iter().filter(|other| **other == network).count();
        let has_room = taken < share && partner.received.has_room(now);
        if has_room && partner.received.admits(now, own, sources[usize::from(!partner.complete)]) {
            round.partners.push(slot);
            chosen.push(network);
        } else {
            round.spared = true;
        }
    }
}

/// Offers that are left over go to those behind the same address, a class in a school say: shares are there to protect peers
/// from strangers.
fn pair_at_home(swarm: &Swarm, offerer: Offerer, count: usize, now: Moment, draws: [u64; 2], round: &mut Round) {
    let steps = STEPS_PER_OFFER * (count + 1);
    let within =
        |complete: bool| swarm.side(complete).within(offerer.network, draws[usize::from(!complete)]).take(steps);
    let seeders = (!offerer.complete).then(|| within(true));
    let mut walks = (seeders.into_iter().flatten(), within(false));
    while round.partners.len() < count {
        let Some(slot) = in_turn(round, &mut walks) else { return };
        let partner = swarm.peer(slot);
        if Some(partner.conn) == offerer.conn || round.partners.contains(&slot) {
            continue;
        }
        if partner.received.has_room(now) {
            round.partners.push(slot);
        } else {
            round.spared = true;
        }
    }
}

/// The next seeder or leecher, whose turn it is or who is left.
fn in_turn<T>(round: &Round, walks: &mut (impl Iterator<Item = T>, impl Iterator<Item = T>)) -> Option<T> {
    match round.partners.len() % 2 {
        0 => walks.0.next().or_else(|| walks.1.next()),
        _ => walks.1.next().or_else(|| walks.0.next()),
    }
}

/// How many networks have somebody to meet for this peer.
fn networks(swarm: &Swarm, offerer: Offerer) -> usize {
    if offerer.complete {
        return swarm.side(false).networks();
    }
    let alone = offerer.conn.is_some() && swarm.len_of(offerer.network) == 1;
    swarm.networks() - usize::from(alone)
}

/// How many of a round may go to one network.
fn share(count: usize, networks: usize) -> usize {
    match networks {
        0..4 => count.div_ceil(networks.max(1)),
        _ => (count / 4).max(1),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use swarmreel::ids::PeerId;
    use swarmreel::rng::Rng;

    use super::super::keyed::Keyed;
    use super::super::swarm::Peer;
    use super::*;

    /// A swarm of seeders 1, 2, … and leechers 101, 102, …, each on the connection of its number and in the network that
    /// the function gives.
    fn swarm(seeders: u8, leechers: u8, network: fn(u64) -> u64) -> Swarm {
        let mut swarm = Swarm::new(Keyed::new([1; 16]));
        for (first, count, complete) in [(1, seeders, true), (101, leechers, false)] {
            for number in first..first + count {
                let conn = u64::from(number);
                swarm.put(PeerId([number; 20]), ConnId(conn), Network(network(conn)), complete);
            }
        }
        swarm
    }

    fn partners(swarm: &Swarm, of: u8, count: usize, rng: &mut Rng) -> Vec<u64> {
        let slot = swarm.find(&PeerId([of; 20])).unwrap();
        let draws = [rng.below(u64::MAX), rng.below(u64::MAX)];
        let &Peer { conn, network, complete, .. } = swarm.peer(slot);
        let round = pair(swarm, Offerer { conn: Some(conn), network, complete }, count, Moment(1), draws);
        round.partners.iter().map(|slot| swarm.peer(*slot).conn.0).collect()
    }

    /// Everybody at home, or everybody behind one address.
    const APART_AND_TOGETHER: [fn(u64) -> u64; 2] = [|conn| conn, |_| 7];

    #[test]
    fn seeders_meet_leechers_only() {
        let mut rng = Rng::new([1; 32]);
        for network in APART_AND_TOGETHER {
            for _ in 0..20 {
                let found = partners(&swarm(5, 3, network), 1, 10, &mut rng);
                assert_eq!(found.len(), 3);
                assert!(found.iter().all(|&conn| conn > 100), "{found:?}");
            }
            assert!(partners(&swarm(5, 0, network), 1, 10, &mut rng).is_empty());
        }
    }

    #[test]
    fn a_leecher_meets_a_seeder_first_and_nobody_twice() {
        let mut rng = Rng::new([1; 32]);
        for network in APART_AND_TOGETHER {
            for _ in 0..20 {
                let found = partners(&swarm(1, 9, network), 101, 3, &mut rng);
                assert_eq!((found.len(), found[0]), (3, 1));
                let mut all = partners(&swarm(4, 4, network), 101, 10, &mut rng);
                assert_eq!(all.iter().take(6).filter(|&&conn| conn < 100).count(), 3, "in turn: {all:?}");
                all.sort_unstable();
                assert_eq!(all, [1, 2, 3, 4, 102, 103, 104]);
            }
        }
    }

    #[test]
    fn every_partner_gets_a_turn() {
        let mut rng = Rng::new([1; 32]);
        for network in [APART_AND_TOGETHER[0], APART_AND_TOGETHER[1], |conn| conn % 2] {
            let swarm = swarm(0, 6, network);
            let mut met = BTreeMap::new();
            for _ in 0..500 {
                *met.entry(partners(&swarm, 101, 1, &mut rng)[0]).or_insert(0) += 1;
            }
            assert_eq!(met.keys().copied().collect::<Vec<_>>(), [102, 103, 104, 105, 106]);
            assert!(met.values().all(|times| *times > 50), "{met:?}");
        }
    }

    #[test]
    fn s10_a_network_has_its_share_of_a_round() {
        let mut rng = Rng::new([1; 32]);
        // 40 peers of network 0, and so many others, each at home.
        let crowd = |others: u64, count: usize, rng: &mut Rng| {
            let mut swarm = swarm(0, 0, |_| 0);
            for number in 0..40 + others {
                let network = number.saturating_sub(39);
                swarm.put(PeerId([number as u8; 20]), ConnId(number), Network(network), false);
            }
            let found = partners(&swarm, 40, count, rng);
            (found.iter().filter(|conn| **conn < 40).count(), found.len())
        };
        for _ in 0..50 {
            assert_eq!(crowd(1, 10, &mut rng), (10, 10), "nobody else is there");
            assert_eq!(crowd(2, 10, &mut rng), (5, 6), "half");
            assert_eq!(crowd(3, 10, &mut rng), (4, 6), "its part of three");
            assert_eq!(crowd(5, 10, &mut rng), (2, 6), "a quarter");
            assert_eq!(crowd(30, 10, &mut rng).1, 10);
            assert!(crowd(30, 10, &mut rng).0 <= 2);
            assert!(crowd(30, 5, &mut rng).0 <= 1);
        }
    }

    #[test]
    fn s10_who_is_the_only_one_to_make_offers_is_spared_none() {
        let mut swarm = swarm(30, 1, |conn| conn);
        for _ in 0..10 {
            for slot in 0..30 {
                swarm.receives(slot, Moment(1), Network(101));
            }
        }
        let mut rng = Rng::new([1; 32]);
        assert_eq!(partners(&swarm, 101, 10, &mut rng).len(), 10, "seeders make no offers to seeders");
        swarm.put(PeerId([200; 20]), ConnId(200), Network(200), false);
        swarm.put(PeerId([201; 20]), ConnId(201), Network(201), false);
        let found = partners(&swarm, 101, 10, &mut rng);
        assert!(found.iter().all(|conn| *conn >= 200), "now there are others: {found:?}");
    }
}

//! Who is who, and which offers are open: kept without lists, slots or limits.
//!
//! Invariant: it follows the requests in the order in which the shards serve them, and every text they send.

use std::collections::BTreeMap;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::ServerMessage;
use swarmreel_signaling::{ConnId, Delivery, Leave, Refusal, Request, TrackerLimits};

use super::{Seen, spread};

/// A peer of a torrent.
type Name = (InfoHash, PeerId);

/// Whose a name is.
#[derive(Clone, Copy)]
struct Owner {
    conn: ConnId,
    complete: bool,
}

/// Who wants a name that is another's.
#[derive(Clone, Copy)]
struct Claimant {
    owner: Owner,
    at: Moment,
}

/// An offer that was relayed.
struct Relayed {
    offerer: Name,
    from: ConnId,
    to: ConnId,
    offer_id: OfferId,
    at: Moment,
}

pub(super) struct Model {
    limits: TrackerLimits,
    owners: BTreeMap<Name, Owner>,
    claims: BTreeMap<Name, Vec<Claimant>>,
    offers: Vec<Relayed>,
    /// What is being served: whose it is, and the answerer's name if it is an answer.
    turn: Option<(Name, ConnId)>,
    answering: Option<(ConnId, InfoHash, PeerId, OfferId)>,
    /// The shard that was last scraped.
    scraped: Option<usize>,
}

impl Model {
    pub(super) fn new(limits: TrackerLimits) -> Self {
        Self {
            limits,
            owners: BTreeMap::new(),
            claims: BTreeMap::new(),
            offers: Vec::new(),
            turn: None,
            answering: None,
            scraped: None,
        }
    }

    /// A shard is about to serve this.
    pub(super) fn asked(&mut self, now: Moment, request: &Request<'_>) {
        (self.turn, self.answering) = (None, None);
        match request {
            Request::Announce(announce) => {
                let name = (announce.info_hash, announce.peer_id);
                let owner = Owner { conn: announce.conn, complete: announce.complete };
                self.turn = Some((name, announce.conn));
                if self.owners.get(&name).is_none_or(|bound| bound.conn == announce.conn) {
                    self.owners.insert(name, owner);
                } else {
                    let claim = Claimant { owner, at: now };
                    self.claims.entry(name).or_default().push(claim);
                }
            }
            Request::Stop { leave, .. } | Request::Leave(leave) => {
                let name = (leave.info_hash, leave.peer_id);
                self.turn = Some((name, leave.conn));
                if self.owners.get(&name).is_some_and(|bound| bound.conn == leave.conn) {
                    self.owners.remove(&name);
                    self.offers.retain(|offer| offer.offerer != name);
                }
            }
            Request::Answer(answer) => {
                self.turn = Some(((answer.info_hash, answer.peer_id), answer.conn));
                self.answering = Some((answer.conn, answer.info_hash, answer.to_peer_id, answer.offer_id));
            }
            Request::Scrape(_) => self.scraped = Some(request.shard(&spread())),
        }
    }

    /// The shard says this. What a receiver sees of an offer.
    pub(super) fn delivered(&mut self, now: Moment, delivery: &Delivery) -> Option<Seen> {
        match delivery {
            Delivery::Text { conn, text, .. } => return self.text(now, *conn, text),
            Delivery::Admitted { peer, complete, text } => self.admitted(now, peer, *complete, text),
            Delivery::Left { peer, text } => text.iter().for_each(|text| self.counts(peer.info_hash, text)),
            Delivery::Refused { conn, info_hash, peer_id, refusal } => {
                assert_eq!(self.turn, Some(((*info_hash, *peer_id), *conn)), "who asked is refused");
                if *refusal == Refusal::PeerIdInUse {
                    let owner = self.owners.get(&(*info_hash, *peer_id)).expect("S9: somebody has it");
                    assert_ne!(owner.conn, *conn, "S9: nobody is refused their own name");
                }
            }
            Delivery::Probe { conn } => {
                let (name, asker) = self.turn.expect("somebody claims it");
                assert_eq!(self.owners.get(&name).map(|owner| owner.conn), Some(*conn), "the owner is asked");
                assert_ne!(asker, *conn);
            }
        }
        None
    }

    /// Every peer is the one that should be, and nobody else is.
    pub(super) fn check(&self, peers: impl Iterator<Item = (Leave, bool)>) {
        let mut count = 0;
        for (peer, complete) in peers {
            let owner = self.owners.get(&(peer.info_hash, peer.peer_id)).expect("S9: only who announced is a peer");
            assert_eq!((owner.conn, owner.complete), (peer.conn, complete), "S9: it is its own");
            count += 1;
        }
        assert_eq!(count, self.owners.len(), "who announced is a peer");
    }

    fn admitted(&mut self, now: Moment, peer: &Leave, complete: bool, text: &str) {
        let name = (peer.info_hash, peer.peer_id);
        let turn = self.turn.expect("something is served");
        assert_eq!(turn.0, name);
        if turn.1 != peer.conn {
            // Whoever had the name just left it: it goes to one who claimed it of late.
            assert!(!self.owners.contains_key(&name), "S9: the name is free");
            let life = self.limits.claim_life;
            let mut claims = self.claims.remove(&name).unwrap_or_default().into_iter().rev();
            let claim = claims.find(|claim| claim.owner.conn == peer.conn && now.since(claim.at) < life);
            assert_eq!(claim.map(|claim| claim.owner.complete), Some(complete), "S9: it was claimed");
            self.owners.insert(name, Owner { conn: peer.conn, complete });
        }
        self.counts(peer.info_hash, text);
    }

    fn counts(&self, info_hash: InfoHash, text: &str) {
        let Ok(ServerMessage::Response { info_hash: of, complete, incomplete, .. }) = ServerMessage::parse(text) else {
            panic!("no response: {text}")
        };
        assert_eq!((of, self.count(info_hash)), (info_hash, (complete, incomplete)), "counts are true");
    }

    fn count(&self, info_hash: InfoHash) -> (u32, u32) {
        let peers = self.owners.iter().filter(|((hash, _), _)| *hash == info_hash);
        peers.fold((0, 0), |(seeders, leechers), (_, owner)| {
            (seeders + u32::from(owner.complete), leechers + u32::from(!owner.complete))
        })
    }

    fn text(&mut self, now: Moment, conn: ConnId, text: &str) -> Option<Seen> {
        match ServerMessage::parse(text).expect("a client can read it") {
            ServerMessage::Offer { info_hash, peer_id, offer_id, .. } => {
                let offerer = (info_hash, peer_id);
                let from = self.owners[&offerer];
                let mut there =
                    self.owners.iter().filter(|((hash, _), owner)| *hash == info_hash && owner.conn == conn);
                assert!(there.any(|(_, to)| !(from.complete && to.complete)), "a seeder meets leechers");
                assert_ne!(from.conn, conn, "nobody meets itself");
                self.offers.push(Relayed { offerer, from: from.conn, to: conn, offer_id, at: now });
                Some(Seen { to: conn, info_hash, offerer: peer_id, offer_id })
            }
            ServerMessage::Answer { .. } => {
                let (answerer, info_hash, to, offer_id) = self.answering.take().expect("S8: somebody answers");
                let life = self.limits.offer_life;
                let its = |offer: &Relayed| {
                    (offer.offerer, offer.to, offer.offer_id) == ((info_hash, to), answerer, offer_id)
                        && offer.from == conn
                        && now.since(offer.at) <= life
                };
                let index = self.offers.iter().position(its).expect("S8: it was made to the answerer, of late");
                self.offers.remove(index);
                assert_eq!(self.owners[&(info_hash, to)].conn, conn, "S8: the offerer gets it");
                None
            }
            ServerMessage::Scrape(tallies) => {
                // What the other shard said of its torrents may be old.
                for (hash, tally) in tallies.iter().filter(|(hash, _)| Some(spread().shard_of(hash)) == self.scraped) {
                    assert_eq!((tally.complete, tally.incomplete), self.count(*hash), "counts are true");
                }
                None
            }
            other => panic!("a shard says {other:?}"),
        }
    }
}

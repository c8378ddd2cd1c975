//! Several links between the same two peers: in every order of events one stays, the same on both sides (protocol.md
//! §3.11).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarmreel::engine::{Input, Limits, Source};
use swarmreel::ids::{InfoHash, LinkId, PeerId};
use swarmreel::rng::Rng;
use swarmreel::tracker::message::{Announce, ServerMessage};
use swarmreel::wire::{Handshake, Message};

use crate::desk::{Desk, public, sdp};

const HASH: InfoHash = InfoHash([7; 20]);
const URLS: [&str; 2] = ["wss://a.test/", "wss://b.test/"];

/// Which offers meet: from whom, and by which tracker.
const MEETINGS: [&[(usize, usize)]; 5] = [
    &[(0, 0), (1, 0)],
    &[(0, 0), (0, 1)],
    &[(0, 0), (1, 1)],
    &[(0, 0), (0, 1), (1, 0)],
    &[(1, 1), (0, 0), (1, 0), (0, 1)],
];

/// What is on its way to one end of a connection.
enum Parcel {
    Opening,
    Bytes(Vec<u8>),
    Closing,
}

/// Two engines, and the connections between them, which deliver in whatever order the test draws.
struct Pair {
    desks: [Desk; 2],
    /// Both ends of each connection.
    wires: Vec<[LinkId; 2]>,
    /// What is under way, by connection and receiver.
    under_way: BTreeMap<(usize, usize), VecDeque<Parcel>>,
    closed: Vec<[bool; 2]>,
}

impl Pair {
    /// Their offers cross: each gets the other's before any answer.
    fn meet(seeds: [u8; 2], meetings: &[(usize, usize)]) -> Self {
        let mut desks = seeds.map(|seed| {
            let mut desk = Desk::new(seed);
            desk.add(Source::Text(HASH.to_hex()), &URLS);
            desk
        });
        let announce = |desk: &Desk, tracker: usize| -> Announce { desk.announce(desk.socket(URLS[tracker])).clone() };
        let mut answered = Vec::new();
        for &(from, tracker) in meetings {
            let Announce { peer_id, offers, .. } = announce(&desks[from], tracker);
            let (offer_id, sdp) = offers[0].clone();
            let to = &mut desks[1 - from];
            let socket = to.socket(URLS[tracker]);
            to.hear(socket, ServerMessage::Offer { info_hash: HASH, peer_id, offer_id, sdp });
            let link = to.given.last().expect("the offer is taken").0;
            answered.push((from, tracker, link, to.answers.last().expect("and answered").clone()));
        }
        let mut wires = Vec::new();
        for (from, tracker, theirs, answer) in answered {
            let desk = &mut desks[from];
            let socket = desk.socket(URLS[tracker]);
            let (peer_id, offer_id, sdp) = (answer.peer_id, answer.offer_id, answer.sdp);
            desk.hear(socket, ServerMessage::Answer { info_hash: HASH, peer_id, offer_id, sdp });
            let ours = desk.given.last().expect("the answer is taken").0;
            wires.push(if from == 0 { [ours, theirs] } else { [theirs, ours] });
        }
        let opening = (0..wires.len()).flat_map(|wire| [(wire, 0), (wire, 1)]);
        let under_way = opening.map(|way| (way, VecDeque::from([Parcel::Opening]))).collect();
        let closed = vec![[false; 2]; wires.len()];
        Self { desks, wires, under_way, closed }
    }

    /// Delivers everything, in an order drawn from the seed.
    fn settle(&mut self, rng: &mut Rng) {
        loop {
            let ways: Vec<(usize, usize)> =
                self.under_way.iter().filter(|(_, parcels)| !parcels.is_empty()).map(|(way, _)| *way).collect();
            let Some(&(wire, to)) = ways.get(rng.below(ways.len() as u64) as usize) else { return };
            let parcel = self.under_way.get_mut(&(wire, to)).and_then(VecDeque::pop_front).expect("one is under way");
            let (link, desk) = (self.wires[wire][to], &mut self.desks[to]);
            match parcel {
                Parcel::Opening => desk.tell(Input::LinkOpened { link, message_max: 65_536 }),
                Parcel::Bytes(bytes) => desk.tell(Input::LinkData(link, &bytes)),
                Parcel::Closing => {
                    desk.live.remove(&link);
                    desk.tell(Input::LinkClosed(link));
                }
            }
            self.pick_up();
        }
    }

    /// What the engines have sent and closed is put on its way.
    fn pick_up(&mut self) {
        for from in [0, 1] {
            for (link, bytes) in std::mem::take(&mut self.desks[from].sent) {
                let wire =
                    self.wires.iter().position(|wire| wire[from] == link).expect("sent over a link that is there");
                self.under_way.entry((wire, 1 - from)).or_default().push_back(Parcel::Bytes(bytes));
            }
            for wire in 0..self.wires.len() {
                let gone = !self.desks[from].live.contains(&self.wires[wire][from]);
                if gone && !std::mem::replace(&mut self.closed[wire][from], true) {
                    self.under_way.entry((wire, 1 - from)).or_default().push_back(Parcel::Closing);
                }
            }
        }
    }

    /// The connections that are open at both ends; none may be at one only.
    fn open(&self) -> Vec<usize> {
        let ends = |wire: &usize| [0, 1].map(|side| self.desks[side].live.contains(&self.wires[*wire][side]));
        let all = 0..self.wires.len();
        all.clone().for_each(|wire| assert_eq!(ends(&wire)[0], ends(&wire)[1], "connection {wire} is half open"));
        all.filter(|wire| ends(wire)[0]).collect()
    }
}

#[test]
fn one_of_several_links_stays_in_every_order_of_events() {
    for meetings in MEETINGS {
        for draw in 0..100u8 {
            let mut pair = Pair::meet([draw, 255 - draw], meetings);
            pair.settle(&mut Rng::new([draw; 32]));
            assert_eq!(pair.open().len(), 1, "{meetings:?}, draw {draw}: {:?}", pair.open());
            let reasons = pair.desks.iter().flat_map(|desk| &desk.left);
            for reason in reasons {
                assert!(["it is connected already", "the connection closed"].contains(reason), "{reason}");
            }
        }
    }
}

#[test]
fn who_comes_back_takes_the_place_of_the_dead_link() {
    for draw in 0..20u8 {
        let mut pair = Pair::meet([draw, 255 - draw], MEETINGS[1]);
        let late: Vec<_> = [(1, 0), (1, 1)].map(|way| pair.under_way.remove(&way)).into_iter().collect();
        let mut rng = Rng::new([draw; 32]);
        pair.settle(&mut rng);
        // The first connection dies, and only its offerer notices; then the second one opens.
        let first = pair.wires[0];
        pair.desks[0].tell(Input::LinkReachable { link: first[0], reachable: false });
        pair.under_way.extend([(1, 0), (1, 1)].into_iter().zip(late.into_iter().flatten()));
        pair.settle(&mut rng);
        assert_eq!(pair.open(), [1]);
    }
}

fn webtorrent() -> PeerId {
    PeerId(*b"-WW0300-abcdefghijkl")
}

fn shake(desk: &mut Desk, link: LinkId) {
    let handshake = Handshake { info_hash: HASH, peer_id: webtorrent(), extensions: false, fast: true };
    desk.says(link, &Message::Handshake(handshake));
}

#[test]
fn webtorrent_s_two_links_become_one_for_it_does_not_look() {
    let mut desk = Desk::new(1);
    desk.add(Source::Text(HASH.to_hex()), &URLS);
    let sockets = URLS.map(|url| desk.socket(url));
    // By two trackers at once: the second is not known to be the same peer, for its own id is a different one there.
    let mut offers = (0..2).map(|at| {
        let mut id = webtorrent();
        id.0[19] = at;
        desk.offered(sockets[usize::from(at)], HASH, id, sdp(u32::from(at), &public(1)));
        desk.given.last().expect("both are answered").0
    });
    let links = [offers.next().expect("the first"), offers.next().expect("the second")];
    for link in links {
        desk.tell(Input::LinkOpened { link, message_max: 65_536 });
        shake(&mut desk, link);
    }
    assert!(desk.live.contains(&links[0]) && !desk.live.contains(&links[1]), "the first one stays");
}

#[test]
fn of_a_glare_with_webtorrent_the_connection_survives_that_it_answered() {
    let mut desk = Desk::new(1);
    desk.add(Source::Text(HASH.to_hex()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let (offer_id, _) = desk.announce(socket).offers[0];
    // Its offer crosses ours. It answers ours, and gives its own up as soon as our answer to that comes.
    desk.offered(socket, HASH, webtorrent(), sdp(5, &public(1)));
    let given_up = desk.given[0].0;
    let answer = ServerMessage::Answer { info_hash: HASH, peer_id: webtorrent(), offer_id, sdp: sdp(6, &public(1)) };
    desk.hear(socket, answer);
    let link = desk.given[1].0;
    desk.tell(Input::LinkOpened { link, message_max: 65_536 });
    shake(&mut desk, link);
    desk.wait(Limits::default().connect_timeout);
    assert!(desk.live.contains(&link) && !desk.live.contains(&given_up));
    assert_eq!(desk.left, [""; 0]);
}

#[test]
fn of_two_links_that_a_swarmreel_offered_the_newer_is_closed_if_it_does_not_and_a_third_is_refused() {
    let mut desk = Desk::new(1);
    desk.add(Source::Text(HASH.to_hex()), &URLS);
    let sockets = URLS.map(|url| desk.socket(url));
    let handshake =
        Handshake { info_hash: HASH, peer_id: PeerId(*b"-SR0100-abcdefghijkl"), extensions: false, fast: true };
    // Under another id at each tracker, so that only the handshakes tell that they are one.
    let links = [0, 1, 2].map(|at: u8| {
        desk.offered(sockets[usize::from(at) % 2], HASH, PeerId([at; 20]), sdp(u32::from(at), &public(1)));
        desk.given.last().expect("each is answered").0
    });
    for link in links {
        desk.tell(Input::LinkOpened { link, message_max: 65_536 });
        desk.says(link, &Message::Handshake(handshake));
    }
    assert_eq!(links.map(|link| desk.live.contains(&link)), [true, true, false]);
    desk.wait(Limits::default().duplicate_patience + Duration::from_secs(1));
    assert_eq!(links.map(|link| desk.live.contains(&link)), [true, false, false]);
}

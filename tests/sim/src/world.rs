//! The world: a plan comes true, event by event.
//!
//! Invariant: after each step of an engine its own `check` holds, and whatever an honest one did was checked by the
//! oracle. A violation is a panic that names the plan.

mod driver;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use swarmreel::engine::{Command, Input, Limits, Reply, Source as Named};
use swarmreel::hash::Digest;

use crate::chance;
use crate::content::Content;
use crate::film;
use crate::net::Net;
use crate::node::{Node, Reader};
use crate::oracle;
use crate::plan::{Departure, Origin, PeerPlan, Plan, Source};
use crate::queue::{Event, NodeId, Queue};
use crate::screen::{Screen, TICK, Watched};
use crate::signal::{self, Signaling};
use crate::store::Store;
use crate::trace::Trace;

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Over everything that went into and came out of every engine.
    pub trace: Digest,
    /// How many facts and outputs that was.
    pub steps: u64,
    /// Virtual time until everyone was done.
    pub took: Duration,
    /// Each peer of the plan.
    pub peers: Vec<Outcome>,
}

/// How a run went for a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// From opening the page (the last time) to the last piece.
    pub done: Option<Duration>,
    /// How it was to watch, for those who did.
    pub watched: Option<Watched>,
    /// Payload bytes received.
    pub downloaded: u64,
    /// Payload bytes sent.
    pub uploaded: u64,
    /// Bytes received for nothing.
    pub wasted: u64,
    /// Warnings told, by code.
    pub warnings: BTreeMap<&'static str, usize>,
    /// Why peers left, by reason, and how often.
    pub left: BTreeMap<&'static str, usize>,
}

/// A peer of the plan, over all the times it opens the page.
#[derive(Debug)]
struct Person {
    store: Store,
    node: Option<NodeId>,
    visits: u32,
    outcome: Outcome,
}

/// A plan on its way.
#[derive(Debug)]
pub struct World<'p> {
    plan: &'p Plan,
    limits: Limits,
    content: Rc<Content>,
    queue: Queue,
    net: Net,
    signaling: Signaling,
    people: Vec<Person>,
    nodes: BTreeMap<NodeId, Node>,
    /// Whose node it is or was, by `NodeId`.
    owners: Vec<usize>,
    trace: Trace,
}

/// Runs a plan to its end, and says how it went.
///
/// # Panics
/// On every violation; the plan is printed first.
pub fn run(plan: &Plan) -> Report {
    let mut world = World::new(plan);
    world.run_until_all_are_done();
    world.close()
}

impl Drop for World<'_> {
    #[expect(clippy::print_stderr, reason = "a violation is told with its plan")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {:.6} s of {}", self.queue.now().0 as f64 / 1e6, self.plan);
        }
    }
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan) -> Self {
        let trackers: Vec<String> = (0..plan.trackers.len()).map(signal::url).collect();
        let content = match plan.source {
            Source::Random(length) => {
                Content::random(length, plan.piece_length, trackers, &mut chance::stream(plan.seed, "content"))
            }
            Source::Film(name) => Content::new(name, film::bytes(name), plan.piece_length, trackers),
        };
        let limits = Limits::default();
        let mut queue = Queue::default();
        let net = Net::new(limits.link_buffer_low, plan.ice_failures, chance::stream(plan.seed, "net"));
        let signaling = Signaling::new(plan.seed, &plan.trackers, &mut queue);
        let person = |(index, peer): (usize, &PeerPlan)| {
            let rng = chance::stream(plan.seed, &format!("disk of {index}"));
            Person { store: Store::new(peer.disk, rng), node: None, visits: 0, outcome: Outcome::default() }
        };
        let people = plan.peers.iter().enumerate().map(person).collect();
        for (index, peer) in plan.peers.iter().enumerate() {
            queue.after(peer.joins, Event::Join(index));
        }
        let (content, nodes, trace) = (Rc::new(content), BTreeMap::new(), Trace::default());
        Self { plan, limits, content, queue, net, signaling, people, nodes, owners: Vec::new(), trace }
    }

    fn run_until_all_are_done(&mut self) {
        while !self.is_finished() {
            let event = self.queue.advance().expect("a world with engines never runs out of events");
            if self.queue.now().0 > self.plan.patience.as_micros() as u64 {
                panic!("not everyone is done after {:?}: {}", self.plan.patience, self.unfinished());
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join(peer) => self.join(peer),
            Event::Leave(peer) => self.leave_as_planned(peer),
            Event::Wake(id) => self.wake(id),
            Event::Fact(id, fact) => self.tell(id, fact),
            Event::Net(transit) => {
                if let Some((id, fact)) = self.net.step(transit, &mut self.queue) {
                    self.tell(id, fact);
                }
            }
            Event::Signal(signal) => self.signaling.step(signal, &mut self.queue),
            Event::Tick(id) => self.tick(id),
            Event::Seek(id, jump) => self.jump(id, jump),
        }
    }

    fn join(&mut self, peer: usize) {
        let plan = &self.plan.peers[peer];
        let id = NodeId(self.owners.len() as u16);
        self.owners.push(peer);
        self.net.join(id, plan.path);
        self.nodes.insert(id, Node::new(id, peer, plan, self.plan.seed, self.queue.now()));
        let person = &mut self.people[peer];
        (person.node, person.visits) = (Some(id), person.visits + 1);
        if let Some(Departure::After { stay, .. }) = plan.leaves.filter(|_| person.visits == 1) {
            self.queue.after(stay, Event::Leave(peer));
        }
        self.open_page(id, plan);
    }

    /// What the person does first.
    fn open_page(&mut self, id: NodeId, plan: &PeerPlan) {
        let command = match plan.origin {
            Origin::File => Command::Seed {
                metainfo: Box::new(self.content.metainfo.clone()),
                trackers: Vec::new(),
                super_seed: plan.super_seeds,
            },
            Origin::Torrent => add(Named::Torrent(self.content.metainfo.to_torrent())),
            Origin::Magnet => add(Named::Text(self.content.metainfo.magnet().to_string())),
        };
        let Some(Reply::Torrent(torrent)) = self.command(id, command) else { panic!("a torrent is the reply") };
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.torrent = Some(torrent);
        if plan.origin == Origin::File {
            self.people[node.peer].store.seed(torrent, &self.content);
        }
        self.settle(id);
        if plan.watches {
            let reply = self.command(id, Command::Play { torrent, file: Some(0) });
            let Some(Reply::Play(play)) = reply else { panic!("a play is the reply") };
            let screen = Screen::new(play, &self.content, self.queue.now());
            self.nodes.get_mut(&id).expect("it has just come").screen = Some(screen);
            self.queue.after(TICK, Event::Tick(id));
            self.settle(id);
        }
    }

    /// A person's wish. What follows from it waits for `settle`.
    fn command(&mut self, id: NodeId, command: Command) -> Option<Reply> {
        let now = self.queue.now();
        let node = self.nodes.get_mut(&id)?;
        self.trace.note(now, id, &("command", node.peer));
        Some(node.engine.command(now, command).unwrap_or_else(|error| panic!("a good wish was refused: {error:?}")))
    }

    fn wake(&mut self, id: NodeId) {
        let now = self.queue.now();
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.alarm == Some(now)) else { return };
        node.alarm = None;
        self.trace.note(now, id, &"wake");
        node.engine.handle(now, Input::Wake);
        self.settle(id);
    }

    fn tick(&mut self, id: NodeId) {
        let now = self.queue.now();
        let Some(screen) = self.nodes.get_mut(&id).and_then(|node| node.screen.as_mut()) else { return };
        let fact = screen.tick(now);
        self.queue.after(TICK, Event::Tick(id));
        if let Some(fact) = fact {
            self.tell(id, fact);
        }
    }

    fn jump(&mut self, id: NodeId, jump: usize) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (_, percent) = self.plan.peers[node.peer].jumps[jump];
        let now = self.queue.now();
        let fact = node.screen.as_mut().and_then(|screen| screen.jump(f64::from(percent) / 100.0, now));
        if let Some(fact) = fact {
            self.tell(id, fact);
        }
    }

    fn leave_as_planned(&mut self, peer: usize) {
        let (silently, back) = match self.plan.peers[peer].leaves {
            Some(Departure::After { silently, back, .. }) => (silently, back),
            // A villain that vanishes does so without a word.
            None => (true, None),
            Some(Departure::WhenCopied) => (false, None),
        };
        let Some(id) = self.people[peer].node.take() else { return };
        self.note_outcome(id);
        self.nodes.remove(&id);
        self.net.leave(id, silently, &mut self.queue);
        self.signaling.leave(id, silently, &mut self.queue);
        self.people[peer].store.reload();
        if let Some(back) = back {
            self.queue.after(back, Event::Join(peer));
        }
    }

    /// Who wanted to stay until there is a second copy may go when there is one.
    fn let_go_of_copied(&mut self) {
        let waits = |peer: &PeerPlan| peer.leaves == Some(Departure::WhenCopied);
        let Some(peer) = self.plan.peers.iter().position(waits).filter(|peer| self.people[*peer].node.is_some()) else {
            return;
        };
        let hash = self.content.metainfo.info_hash;
        let mut copied = vec![false; self.content.metainfo.pieces.len()];
        for (plan, person) in self.plan.peers.iter().zip(&self.people) {
            if plan.must_finish() && person.node.is_some() {
                person.store.pieces(hash).for_each(|(piece, _)| copied[piece as usize] = true);
            }
        }
        if copied.into_iter().all(|copied| copied) {
            self.queue.after(Duration::ZERO, Event::Leave(peer));
        }
    }

    fn is_finished(&self) -> bool {
        (0..self.people.len()).all(|peer| self.is_content(peer))
    }

    /// Whether a peer has all that it wanted.
    fn is_content(&self, peer: usize) -> bool {
        let (plan, person) = (&self.plan.peers[peer], &self.people[peer]);
        if !plan.must_finish() {
            return true;
        }
        let comes_back = matches!(plan.leaves, Some(Departure::After { back: Some(_), .. }));
        let Some(node) = person.node.map(|id| &self.nodes[&id]).filter(|_| !comes_back || person.visits > 1) else {
            return false;
        };
        let has_all = || {
            let stored = person.store.pieces(self.content.metainfo.info_hash).count();
            node.done && stored == self.content.metainfo.pieces.len()
        };
        (plan.origin == Origin::File || !plan.disk.is_sound() || has_all())
            && node.screen.as_ref().is_none_or(|screen| screen.watched().to_the_end)
            && (!plan.reads || node.reader.as_ref().is_some_and(Reader::is_finished))
    }

    /// Who is not done, for a person to read.
    fn unfinished(&self) -> String {
        let describe = |peer: usize| {
            let node = self.people[peer].node.map(|id| &self.nodes[&id]);
            let stats = node.and_then(|node| node.engine.stats(self.queue.now(), node.torrent?));
            let watched = node.and_then(|node| node.screen.as_ref()).map(Screen::watched);
            format!("peer {peer}: {watched:?} {stats:?} {:?}", self.people[peer].outcome)
        };
        let unfinished = (0..self.people.len()).filter(|peer| !self.is_content(*peer));
        unfinished.map(describe).collect::<Vec<_>>().join("; ")
    }

    fn note_outcome(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let outcome = &mut self.people[node.peer].outcome;
        outcome.watched = node.screen.as_ref().map(Screen::watched);
        if let Some(stats) = node.torrent.and_then(|torrent| node.engine.stats(self.queue.now(), torrent)) {
            outcome.downloaded += stats.downloaded;
            outcome.uploaded += stats.uploaded;
            outcome.wasted += stats.wasted;
        }
    }

    /// Everyone removes the torrent: nothing may be left open. Then the report.
    fn close(mut self) -> Report {
        let took = Duration::from_micros(self.queue.now().0);
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.note_outcome(id);
            let torrent = self.nodes[&id].torrent.expect("every page opens a torrent");
            self.command(id, Command::Remove { torrent, forget: false });
            self.settle(id);
            let node = &self.nodes[&id];
            assert_eq!(self.net.ends_of(id), [], "peer {} left connections behind", node.peer);
            assert!(node.sockets.is_empty(), "peer {} left sockets behind", node.peer);
            assert!(self.people[node.peer].store.is_closed(), "peer {} left its store open", node.peer);
        }
        for (plan, person) in self.plan.peers.iter().zip(&self.people).filter(|(plan, _)| plan.is_honest()) {
            let kept = person.store.pieces(self.content.metainfo.info_hash);
            kept.filter(|_| !plan.disk.rots)
                .for_each(|(piece, bytes)| oracle::check_piece(&self.content, piece, bytes));
        }
        let peers = self.people.iter().map(|person| person.outcome.clone()).collect();
        Report { trace: self.trace.digest(), steps: self.trace.steps(), took, peers }
    }
}

fn add(source: Named) -> Command {
    Command::Add { source, trackers: Vec::new() }
}

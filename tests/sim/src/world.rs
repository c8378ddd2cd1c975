//! The world: a plan comes true, event by event.
//!
//! Invariant: after each step of an engine its own `check` holds, and whatever an honest one did was checked by the
//! oracle. A violation is a panic that names the plan.

mod driver;
mod faults;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use swarmreel::engine::{Command, Input, Limits, Reply, Source as Named, Stats};
use swarmreel::hash::Digest;

use crate::chance;
use crate::content::Content;
use crate::net::Net;
use crate::node::Node;
use crate::oracle;
use crate::plan::{Departure, Origin, PeerPlan, Plan};
use crate::queue::{Event, NodeId, Queue};
use crate::screen::{Screen, TICK, Watched};
use crate::signal::{self, Signaling};
use crate::store::Store;
use crate::trace::Trace;
use crate::villain::Villain;
use crate::web::{self, WebServers};

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

impl Report {
    /// How long a peer took, from opening the page to the last piece.
    ///
    /// # Panics
    /// If it is not done.
    pub fn done(&self, peer: usize) -> Duration {
        self.peers[peer].done.expect("it is done")
    }
}

/// How a run went for a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// From opening the page (the last time) to the last piece.
    pub done: Option<Duration>,
    /// From opening the page (the first time) to the first block.
    pub first_block: Option<Duration>,
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
    contents: Vec<Rc<Content>>,
    queue: Queue,
    net: Net,
    signaling: Signaling,
    web: WebServers,
    people: Vec<Person>,
    nodes: BTreeMap<NodeId, Node>,
    /// Whose node it is or was, by `NodeId`.
    owners: Vec<usize>,
    /// A peer that was not content when we last looked.
    awaited: usize,
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
        let mut rng = chance::stream(plan.seed, "content");
        let sources = std::iter::once(&plan.source).chain(&plan.also);
        let contents = sources.map(|source| Content::of(*source, plan.piece_length, trackers.clone(), &mut rng));
        let contents: Vec<Rc<Content>> = contents.map(Rc::new).collect();
        let limits = Limits::default();
        let mut queue = Queue::default();
        let net = Net::new(limits.link_buffer_low, plan.ice_failures, chance::stream(plan.seed, "net"));
        let signaling = Signaling::new(plan.seed, &plan.trackers, plan.answers, &mut queue);
        let person = |(index, peer): (usize, &PeerPlan)| {
            let rng = chance::stream(plan.seed, &format!("disk of {index}"));
            Person { store: Store::new(peer.disk, rng), node: None, visits: 0, outcome: Outcome::default() }
        };
        let people = plan.peers.iter().enumerate().map(person).collect();
        for (index, peer) in plan.peers.iter().enumerate() {
            queue.after(peer.joins, Event::Join(index));
        }
        let (nodes, owners, trace) = (BTreeMap::new(), Vec::new(), Trace::default());
        let web = WebServers::new(&plan.web, Rc::clone(&contents[0]));
        let mut world =
            Self { plan, limits, contents, queue, net, signaling, web, people, nodes, owners, awaited: 0, trace };
        world.plan_faults();
        world
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
        let mut addressees = event.addressees().into_iter().flatten();
        if let Some(sleeper) = addressees.find(|id| self.nodes.get(id).is_some_and(|node| node.asleep.is_some())) {
            let missed = self.nodes.get_mut(&sleeper).and_then(|node| node.asleep.as_mut());
            return missed.expect("it sleeps").push(event);
        }
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
            Event::Web(delivery) => {
                if let Some((id, fact)) = self.web.step(delivery, &mut self.queue) {
                    self.tell(id, fact);
                }
            }
            Event::Tick(id) => self.tick(id),
            Event::Seek(id, jump) => self.jump(id, jump),
            Event::Vanish(peer, silently) => self.close_page(peer, silently),
            Event::Say((id, link), bytes) => {
                if self.net.is_open((id, link)) {
                    self.net.send((id, link), bytes, &mut self.queue);
                }
            }
            Event::Sleep(id) => self.sleep(id),
            Event::Awake(id) => self.awake(id),
            Event::Partition(apart) => self.partition(apart),
        }
    }

    fn join(&mut self, peer: usize) {
        let plan = &self.plan.peers[peer];
        let id = NodeId(self.owners.len() as u16);
        self.owners.push(peer);
        let is_first_side = self.plan.partition.is_some_and(|partition| peer < partition.first);
        self.net.join(id, plan.path, is_first_side);
        let stream = |what: &str| format!("{what} of node {}", id.0);
        let pieces = self.contents[0].metainfo.pieces.len() as u32;
        let rng = chance::stream(self.plan.seed, &stream("habit"));
        let villain = plan.habit.map(|habit| Villain::new(habit, pieces, rng));
        let seed = chance::seed(self.plan.seed, &stream("engine"));
        self.nodes.insert(id, Node::new(peer, villain, seed, self.queue.now()));
        let person = &mut self.people[peer];
        (person.node, person.visits) = (Some(id), person.visits + 1);
        if let Some(Departure::After { stay, .. }) = plan.leaves.filter(|_| person.visits == 1) {
            self.queue.after(stay, Event::Leave(peer));
        }
        if let Some(sleep) = plan.sleeps.filter(|_| person.visits == 1) {
            self.queue.after(sleep.after, Event::Sleep(id));
        }
        for content in self.contents.clone() {
            self.open_torrent(id, &content);
        }
        if plan.watches {
            self.watch(id);
        }
    }

    /// What the person does first, with each torrent.
    fn open_torrent(&mut self, id: NodeId, content: &Rc<Content>) {
        let peer = self.owners[usize::from(id.0)];
        let PeerPlan { origin, super_seeds: super_seed, .. } = self.plan.peers[peer];
        let command = match origin {
            Origin::File => {
                Command::Seed { metainfo: Box::new(content.metainfo.clone()), trackers: Vec::new(), super_seed }
            }
            Origin::Torrent => self.add(content, Named::Torrent(content.metainfo.to_torrent())),
            Origin::Magnet => self.add(content, Named::Text(content.metainfo.magnet().to_string())),
        };
        let Some(Reply::Torrent(torrent)) = self.command(id, command) else { panic!("a torrent is the reply") };
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.torrents.push(torrent);
        if origin == Origin::File {
            self.people[peer].store.seed(torrent, content);
        }
        self.settle(id);
    }

    fn watch(&mut self, id: NodeId) {
        let Some(&torrent) = self.nodes.get(&id).and_then(|node| node.torrents.first()) else { return };
        let reply = self.command(id, Command::Play { torrent, file: Some(0) });
        let Some(Reply::Play(play)) = reply else { panic!("a play is the reply") };
        let screen = Screen::new(play, &self.contents[0], self.queue.now());
        self.nodes.get_mut(&id).expect("it has just come").screen = Some(screen);
        self.queue.after(TICK, Event::Tick(id));
        self.settle(id);
    }

    /// The web servers have the first content only, and that as one file.
    fn add(&self, content: &Rc<Content>, source: Named) -> Command {
        let has = Rc::ptr_eq(content, &self.contents[0]) && content.metainfo.files.len() == 1;
        let served = if has { self.plan.web.len() } else { 0 };
        let web_seeds = (0..served).map(web::url).collect();
        Command::Add { source, trackers: Vec::new(), web_seeds }
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
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let is_asleep = node.asleep.is_some();
        let Some(screen) = node.screen.as_mut() else { return };
        let fact = if is_asleep { screen.doze(now) } else { screen.tick(now) };
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

    fn is_finished(&mut self) -> bool {
        if self.queue.now().0 < self.plan.lasts.as_micros() as u64 {
            return false;
        }
        let waits = |peer: &usize| !self.is_content(*peer);
        // Whoever was not content a moment ago is asked first: it is, nearly always, still not.
        let found = Some(self.awaited).filter(|peer| *peer < self.people.len() && waits(peer));
        let found = found.or_else(|| (0..self.people.len()).find(waits));
        self.awaited = found.unwrap_or_default();
        found.is_none()
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
        let is_kept = |content: &Rc<Content>| {
            person.store.pieces(content.metainfo.info_hash).count() == content.metainfo.pieces.len()
        };
        let has_all = || node.done.len() == self.contents.len() && self.contents.iter().all(is_kept);
        (plan.origin == Origin::File || !plan.disk.is_sound() || has_all())
            && node.screen.as_ref().is_none_or(|screen| screen.watched().to_the_end)
            && (!plan.reads || node.reader.as_ref().is_some_and(|reader| self.is_read_out(reader)))
    }

    /// Who is not done, for a person to read.
    fn unfinished(&self) -> String {
        let describe = |peer: usize| {
            let node = self.people[peer].node.map(|id| &self.nodes[&id]);
            let stats = node.map(|node| self.stats(node));
            let watched = node.and_then(|node| node.screen.as_ref()).map(Screen::watched);
            format!("peer {peer}: {watched:?} {stats:?} {:?}", self.people[peer].outcome)
        };
        let unfinished = (0..self.people.len()).filter(|peer| !self.is_content(*peer));
        unfinished.map(describe).collect::<Vec<_>>().join("; ")
    }

    fn stats(&self, node: &Node) -> Vec<Stats> {
        node.torrents.iter().filter_map(|torrent| node.engine.stats(self.queue.now(), *torrent)).collect()
    }

    fn note_outcome(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let (peer, watched) = (node.peer, node.screen.as_ref().map(Screen::watched));
        let stats = self.stats(node);
        let outcome = &mut self.people[peer].outcome;
        outcome.watched = watched.or(outcome.watched);
        for stats in stats {
            outcome.downloaded += stats.downloaded;
            outcome.uploaded += stats.uploaded;
            outcome.wasted += stats.wasted;
        }
    }

    /// Everyone leaves. Then the report.
    fn close(mut self) -> Report {
        let took = Duration::from_micros(self.queue.now().0);
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.remove_all(id);
        }
        for (plan, person) in self.plan.peers.iter().zip(&self.people).filter(|(plan, _)| plan.is_honest()) {
            for content in self.contents.iter().filter(|_| !plan.disk.rots) {
                let kept = person.store.pieces(content.metainfo.info_hash);
                kept.for_each(|(piece, bytes)| oracle::check_piece(content, piece, bytes));
            }
        }
        let peers = self.people.iter().map(|person| person.outcome.clone()).collect();
        Report { trace: self.trace.digest(), steps: self.trace.steps(), took, peers }
    }
}

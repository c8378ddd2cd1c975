//! Target 6: metadata from up to five peers that lie, stall and vanish, and an honest one: the honest one wins.

use std::sync::LazyLock;
use std::time::Duration;

use swarmreel::engine::{Action, Command, Event, Input, Limits, Output, Source};
use swarmreel::ids::LinkId;
use swarmreel::wire::extension::{ExtendedHandshake, METADATA_BLOCK, MetadataMessage};
use swarmreel::wire::{Handshake, Message};

use crate::case::{Case, peer_id};
use crate::driver::{Driver, TRACKER};
use crate::far::Far;
use crate::heap;
use crate::script::Script;

/// Info dictionaries of one block, and of two.
static CASES: LazyLock<[Case; 2]> =
    LazyLock::new(|| [0, 17_000].map(|padding| Case::new(&[("a", &[7; 100])], 64, padding)));
/// Things that happen before the honest peer is left to finish.
const STEPS_MAX: usize = 40;
/// The honest peer's number; the others have those below.
const HONEST: usize = 5;
/// So many peers greet anew all the time at the end: a block is asked of two at once, and one may be the honest peer.
const GREETERS: usize = 3;
/// What the honest peer may need at the end: each liar in turn may hold things up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays the script, then waits for the metadata.
pub fn ut_metadata(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (input, held) = heap::peak(|| {
        let mut world = World::new(&mut script);
        for _ in 0..STEPS_MAX {
            if script.is_over() || world.ready {
                break;
            }
            world.step(&mut script);
        }
        world.finish()
    });
    heap::allow(input, held);
}

struct World {
    driver: Driver,
    case: &'static Case,
    fars: Vec<Far>,
    honest: Option<LinkId>,
    ready: bool,
    input: usize,
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let case = &CASES[script.below(2)];
        let mut driver = Driver::new(Limits { metadata_bytes_max: 100_000, ..Limits::default() });
        let source = Source::Text(case.metainfo.info_hash.to_hex());
        driver
            .engine
            .command(driver.now, Command::Add { source, trackers: vec![TRACKER.to_owned()], web_seeds: Vec::new() })
            .expect("added");
        let input = case.metainfo.info.len();
        let mut world = Self { driver, case, fars: Vec::new(), honest: None, ready: false, input };
        let (liars, honest_is_first) = (2 + script.below(4), script.flag());
        if honest_is_first {
            world.connect(HONEST);
        }
        (0..liars).for_each(|peer| world.connect(peer));
        world
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.fars.len());
        match script.below(12) {
            0 => self.connect(script.below(HONEST)),
            1 => self.sleep(Duration::from_millis(u64::from(script.byte()) * 20)),
            2 => self.connect(HONEST),
            3 => self.close(at),
            4..=6 => self.say(at, |far, case| greeting(script, far, case)),
            _ => self.say(at, |far, case| answer(script, far, case)),
        }
        self.settle();
        self.driver.engine.check();
    }

    /// The script is over: the honest peer is there, and nobody else says any more, but that some greet again and again.
    fn finish(mut self) -> usize {
        self.connect(HONEST);
        let end = self.driver.now + PATIENCE;
        while !self.ready && self.driver.now < end {
            self.sleep(Duration::from_millis(500));
            self.settle();
            for at in 0..GREETERS {
                self.say(at, |_, case| greet(Some(case.metainfo.info.len() as u64), 3));
                self.settle();
            }
        }
        assert!(self.ready, "an honest peer gives the metadata within {PATIENCE:?}");
        self.input
    }

    fn connect(&mut self, peer: usize) {
        let liars = self.fars.iter().filter(|far| Some(far.link) != self.honest).count();
        let is_enough = if peer == HONEST { self.honest.is_some() } else { liars >= HONEST };
        if is_enough {
            return;
        }
        let (link, outputs) = self.driver.connect(&self.case.offers[peer]);
        if let Some(link) = link {
            self.fars.push(Far::new(link, self.case.pieces()));
        }
        self.carry_out(outputs);
        let Some(link) = link else { return };
        let info_hash = self.case.metainfo.info_hash;
        let hello = Handshake { info_hash, peer_id: peer_id(peer), extensions: true, fast: true };
        self.data(link, &hello.to_bytes());
        if peer == HONEST {
            self.honest = Some(link);
            self.data(link, &greet(Some(self.case.metainfo.info.len() as u64), 3));
        }
        self.settle();
    }

    /// One of the liars speaks. Nobody puts words into the honest peer's mouth.
    fn say(&mut self, at: usize, words: impl FnOnce(&mut Far, &Case) -> Vec<u8>) {
        let Some(far) = self.fars.get_mut(at).filter(|far| Some(far.link) != self.honest) else { return };
        let (link, bytes) = (far.link, words(far, self.case));
        self.data(link, &bytes);
    }

    fn close(&mut self, at: usize) {
        if self.fars.get(at).is_some_and(|far| Some(far.link) != self.honest) {
            let far = self.fars.remove(at);
            self.driver.handle(Input::LinkClosed(far.link));
        }
    }

    fn sleep(&mut self, span: Duration) {
        self.driver.sleep(span);
        if let Some(link) = self.honest {
            self.data(link, &Message::KeepAlive.to_bytes());
        }
    }

    fn data(&mut self, link: LinkId, bytes: &[u8]) {
        self.input += bytes.len();
        self.driver.handle(Input::LinkData(link, bytes));
    }

    /// Carries everything out; the honest peer answers what it is asked.
    fn settle(&mut self) {
        loop {
            let outputs = self.driver.drain();
            self.carry_out(outputs);
            let honest = self.fars.iter_mut().find(|far| Some(far.link) == self.honest);
            let Some(far) = honest.filter(|far| !far.metadata_asked.is_empty() && !self.ready) else { return };
            let (link, block) = (far.link, far.metadata_asked.remove(0));
            let answer = data(self.case, block);
            self.data(link, &answer);
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Do(Action::Send { link, bytes }) => {
                    let far = self.fars.iter_mut().find(|far| far.link == link).expect("only open links are sent to");
                    far.hear(&bytes, self.case, &[false; 2]);
                }
                Output::Do(Action::CloseLink(link)) => {
                    assert!(Some(link) != self.honest, "an honest peer is dropped");
                    self.fars.retain(|far| far.link != link);
                }
                Output::Tell(Event::Ready(_)) => self.ready = true,
                Output::Tell(Event::Failed { message, .. }) => panic!("{message}"),
                _ => {}
            }
        }
    }
}

fn greet(metadata_size: Option<u64>, ut_metadata: u8) -> Vec<u8> {
    let greeting = ExtendedHandshake { ut_metadata, metadata_size, ..Default::default() };
    Message::Extended { id: 0, payload: &greeting.write() }.to_bytes()
}

fn data(case: &Case, block: u32) -> Vec<u8> {
    let data = case.metainfo.info.chunks(METADATA_BLOCK).nth(block as usize).expect("only blocks there are asked for");
    let payload = MetadataMessage::Data { block, data, total: case.metainfo.info.len() as u64 }.write();
    Message::Extended { id: 1, payload: &payload }.to_bytes()
}

/// A size, right or wrong.
fn greeting(script: &mut Script<'_>, far: &mut Far, case: &Case) -> Vec<u8> {
    let size = case.metainfo.info.len() as u64;
    let sizes =
        [size, size, size, size + 1, size - 1, 1, 90_000, 100_001, u64::MAX >> 1, 16_384, u64::from(script.u16())];
    far.metadata_asked.clear();
    greet(Some(sizes[script.below(sizes.len())]), if script.below(16) == 0 { 0 } else { 3 })
}

/// A liar's answer to what it was asked for first, or to nothing.
fn answer(script: &mut Script<'_>, far: &mut Far, case: &Case) -> Vec<u8> {
    let asked = (!far.metadata_asked.is_empty()).then(|| far.metadata_asked.remove(0));
    let block = asked.unwrap_or(u32::from(script.byte() % 8));
    let mut bytes =
        case.metainfo.info.chunks(METADATA_BLOCK).nth(block as usize).unwrap_or(&[0; METADATA_BLOCK]).to_vec();
    let payload = match script.below(8) {
        0 => MetadataMessage::Reject { block }.write(),
        1 => MetadataMessage::Data { block, data: script.take(8), total: 8 }.write(),
        2 => MetadataMessage::Request { block }.write(),
        3 => MetadataMessage::Data { block, data: &bytes, total: 0 }.write(),
        4 => script.take(12).to_vec(),
        _ => {
            bytes[0] ^= script.byte();
            MetadataMessage::Data { block, data: &bytes, total: bytes.len() as u64 }.write()
        }
    };
    Message::Extended { id: 1, payload: &payload }.to_bytes()
}

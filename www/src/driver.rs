//! The run loop: facts in, drain, one post to the page, one timer.
//!
//! Invariant: never re-entrant. Every browser event enters once and is drained at once: a drain that has nothing to do
//! costs less than one more task. One that takes long goes on in a task of its own, behind the events that wait.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use gloo_timers::callback::{Interval, Timeout};
use js_sys::{ArrayBuffer, Date, Uint8Array};
use swarmreel::engine::{Engine, Input, Limits, Output};
use swarmreel::ids::{LinkId, TorrentId};
use swarmreel::time::Moment;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessagePort, Performance};

use crate::facts;
use crate::fetch::Fetches;
use crate::link::Links;
use crate::protocol::Outbox;
use crate::socket::Sockets;
use crate::store::{Opened, Stores};

/// A drain yields to other events after this long.
const DRAIN_MAX: Duration = Duration::from_millis(8);
/// Statistics go to the page, and idle buffers are looked at, this often, ms.
const TICK: u32 = 250;
/// Ticks between two saves of what is stored: 2 s, the most that a crash may lose (threat-model D3).
const TICKS_PER_SAVE: u32 = 8;

thread_local! {
    /// A worker has one engine; browser events find it here.
    static DRIVER: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// The engine with everything it acts through.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) sockets: Sockets,
    pub(crate) links: Links,
    pub(crate) fetches: Fetches,
    pub(crate) stores: Stores,
    pub(crate) outbox: Outbox,
    pub(crate) torrents: BTreeSet<TorrentId>,
    /// Reused for everything that is copied in.
    scratch: Vec<u8>,
    clock: Clock,
    next_drain: NextDrain,
    alarm: Option<(Moment, Timeout)>,
    ticks: u32,
    _tick: Interval,
}

/// Starts the worker's engine. The limit is what `Limits::link_buffer_low` says.
pub(crate) fn start(seed: [u8; 32], trackers: &[String], persistent: bool, relay_only: bool) -> usize {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let clock = Clock::new(&scope);
    let limits = Limits { relay_only, ..Limits::default() };
    let mut driver = Driver {
        engine: Engine::new(limits.clone(), seed, clock.now()),
        limits,
        sockets: Sockets::default(),
        links: Links::default(),
        fetches: Fetches::default(),
        stores: Stores::new(persistent),
        outbox: Outbox::new(scope),
        torrents: BTreeSet::new(),
        scratch: Vec::new(),
        clock,
        next_drain: NextDrain::new(),
        alarm: None,
        ticks: 0,
        _tick: Interval::new(TICK, || enter(Driver::tick)),
    };
    for tracker in trackers {
        driver.sockets.warm_up(tracker);
    }
    let buffer_low = driver.limits.link_buffer_low;
    DRIVER.set(Some(driver));
    buffer_low
}

/// Lets an event act on the driver.
pub(crate) fn enter(act: impl FnOnce(&mut Driver)) {
    DRIVER.with_borrow_mut(|driver| {
        let driver = driver.as_mut().expect("events come after the start");
        act(driver);
        driver.drain();
    });
}

/// Like `enter`, as soon as the running turn is over.
pub(crate) fn later(act: impl FnOnce(&mut Driver) + 'static) {
    spawn_local(async { enter(act) });
}

impl Driver {
    /// The time.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Tells the engine a fact.
    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.engine.handle(self.clock.now(), input);
    }

    /// Bytes have come over a link.
    pub(crate) fn link_data(&mut self, link: LinkId, bytes: &Uint8Array) {
        self.input_bytes(bytes, |copy| Input::LinkData(link, copy));
    }

    /// Tells the engine bytes, which are copied once, here.
    pub(crate) fn input_bytes(&mut self, bytes: &Uint8Array, input: impl FnOnce(&[u8]) -> Input<'_>) {
        let length = bytes.length() as usize;
        if self.scratch.len() < length {
            self.scratch.resize(length, 0);
        }
        let copy = &mut self.scratch[..length];
        bytes.copy_to(copy);
        self.engine.handle(self.clock.now(), input(copy));
    }

    /// A link's channel is open.
    pub(crate) fn channel_opened(&mut self, link: LinkId) {
        self.links.channel_opened(link);
        self.tell_if_ready(link);
    }

    /// Reports a link that can carry messages from now on.
    pub(crate) fn tell_if_ready(&mut self, link: LinkId) {
        if let Some(message_max) = self.links.newly_ready(link) {
            self.input(Input::LinkOpened { link, message_max });
            for message in self.links.take_early(link) {
                self.link_message(link, message);
            }
        }
    }

    /// A message has come over a channel that is here. It may overtake the channel's own opening, and nothing can be
    /// answered before that.
    pub(crate) fn link_message(&mut self, link: LinkId, message: JsValue) {
        if !self.links.is_told(link) {
            return self.links.hold(link, message);
        }
        match message.dyn_into::<ArrayBuffer>() {
            Ok(buffer) => self.link_data(link, &Uint8Array::new(&buffer)),
            // Some peers send text where they mean bytes.
            Err(text) => self.input(Input::LinkData(link, text.as_string().unwrap_or_default().as_bytes())),
        }
    }

    /// A store that was asked for is there.
    pub(crate) fn store_opened(&mut self, torrent: TorrentId, opened: Opened) {
        let Some(waiting) = self.stores.opened(torrent, opened.store) else { return };
        if opened.fell_back {
            self.outbox.say(&facts::kept_in_memory(torrent));
        }
        self.input(Input::StoreOpened { torrent, info: opened.info.as_deref(), have: opened.have.as_deref() });
        for action in waiting {
            self.act(action);
        }
    }

    /// Reads a piece back for the engine.
    pub(crate) fn load(&mut self, torrent: TorrentId, piece: u32, offset: u64, length: u32) {
        let length = length as usize;
        if self.scratch.len() < length {
            self.scratch.resize(length, 0);
        }
        let bytes = &mut self.scratch[..length];
        let input = match self.stores.load(torrent, piece, offset, bytes) {
            Ok(()) => Input::Loaded(torrent, piece, bytes),
            Err(_) => Input::LoadFailed(torrent, piece),
        };
        self.engine.handle(self.clock.now(), input);
    }

    fn drain(&mut self) {
        self.next_drain.asked = false;
        let until = self.now() + DRAIN_MAX;
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Do(action) => self.act(action),
                Output::Tell(event) => self.tell(event),
            }
            if self.now() > until {
                self.next_drain.ask();
                break;
            }
        }
        self.set_alarm();
        self.outbox.post();
    }

    /// Arms the timer. One that goes off too early is cheaper than one more made anew each turn.
    fn set_alarm(&mut self) {
        let Some(wake_at) = self.engine.wake_at() else { return };
        if self.alarm.as_ref().is_some_and(|(at, _)| *at <= wake_at) {
            return;
        }
        let wait = wake_at.since(self.now()).as_micros().div_ceil(1000);
        let timeout = Timeout::new(u32::try_from(wait).unwrap_or(u32::MAX >> 1), || enter(Driver::wake));
        self.alarm = Some((wake_at, timeout));
    }

    fn wake(&mut self) {
        self.alarm = None;
        if self.engine.wake_at().is_some_and(|at| at <= self.now()) {
            self.input(Input::Wake);
        }
    }

    fn tick(&mut self) {
        if self.clock.has_slept() {
            self.input(Input::NetworkChanged);
        }
        for (link, buffered) in self.links.drained(self.limits.link_buffer_low) {
            self.input(Input::LinkDrained { link, buffered });
        }
        let now = self.now();
        for &torrent in &self.torrents {
            if let Some(stats) = self.engine.stats(now, torrent) {
                self.outbox.say(&facts::stats(torrent, stats));
            }
        }
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_SAVE) {
            self.stores.save();
        }
    }
}

/// Where `performance.now()` stands still in a sleep, the time of day tells of one this long, ms.
const SLEEP_MIN: f64 = 30_000.0;

/// `performance.now()`, as microseconds since the start.
struct Clock {
    performance: Performance,
    start: f64,
    /// Milliseconds by which the time of day is ahead of `performance.now()`, when last looked at.
    ahead: f64,
}

impl Clock {
    fn new(scope: &DedicatedWorkerGlobalScope) -> Self {
        let performance = scope.performance().expect("a worker has a clock");
        let start = performance.now();
        Self { performance, start, ahead: Date::now() - start }
    }

    /// The time of day has left the clock behind since last asked: the machine slept, or somebody set the time.
    fn has_slept(&mut self) -> bool {
        let before = std::mem::replace(&mut self.ahead, Date::now() - self.performance.now());
        self.ahead - before > SLEEP_MIN
    }

    fn now(&self) -> Moment {
        Moment(((self.performance.now() - self.start) * 1000.0) as u64)
    }
}

/// A message to ourselves, which queues behind the events that are waiting already.
struct NextDrain {
    asked: bool,
    port: MessagePort,
    _listener: Closure<dyn FnMut()>,
}

impl NextDrain {
    fn new() -> Self {
        let channel = MessageChannel::new().expect("a worker has message channels");
        let listener = Closure::<dyn FnMut()>::new(|| {
            DRIVER.with_borrow_mut(|driver| driver.as_mut().expect("started").drain());
        });
        channel.port1().set_onmessage(Some(listener.as_ref().unchecked_ref()));
        Self { asked: false, port: channel.port2(), _listener: listener }
    }

    fn ask(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            self.port.post_message(&JsValue::NULL).expect("null can be posted");
        }
    }
}

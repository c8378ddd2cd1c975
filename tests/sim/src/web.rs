//! Web servers with a copy of the file, and what is wrong with them.
//!
//! Invariant: a server sends no faster than its uplink, to all together, and a cancelled fetch hears nothing more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use swarmreel::engine::FetchFailure;
use swarmreel::ids::FetchId;
use swarmreel::time::Moment;

use crate::content::Content;
use crate::fact::Fact;
use crate::queue::{Event, NodeId, Queue};

/// One web server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebPlan {
    /// From a request to the head of its answer.
    pub latency: Duration,
    /// Bytes per second, for all together.
    pub up: u64,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// What may be wrong with a web server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It sends the whole file whatever is asked for.
    NoRanges,
    /// A body ends after so many bytes.
    Truncates(usize),
    /// Of each chunk the first byte is wrong.
    WrongBytes,
    /// It answers 503 until then, from the start of the world.
    BusyUntil(Duration),
    /// Its bodies stop for ever after so many bytes.
    Stalls(usize),
    /// Browsers may not read its answers.
    NoCors,
}

/// A good server not far away.
pub const NEAR: WebPlan = WebPlan { latency: Duration::from_millis(40), up: 4_000_000, fault: None };

/// Bytes that come at a time.
const CHUNK: usize = 32 << 10;

/// The address of a server, by its index in the plan.
pub fn url(server: usize) -> String {
    format!("http://web{server}.test/file")
}

/// The next thing that comes over a fetch.
#[derive(Clone, Copy, Debug)]
pub struct Delivery((NodeId, FetchId));

#[derive(Debug)]
struct Body {
    server: usize,
    /// Of the file.
    rest: Range<usize>,
    sent: usize,
    answered: bool,
    status: u16,
}

/// Every server, and what it is sending.
#[derive(Debug)]
pub struct WebServers {
    plans: Vec<WebPlan>,
    /// When each one's uplink is free.
    free: Vec<Moment>,
    bodies: BTreeMap<(NodeId, FetchId), Body>,
    content: Rc<Content>,
}

impl WebServers {
    /// Servers that all have this file.
    pub fn new(plans: &[WebPlan], content: Rc<Content>) -> Self {
        Self { plans: plans.to_vec(), free: vec![Moment(0); plans.len()], bodies: BTreeMap::new(), content }
    }

    /// A request goes out.
    pub fn fetch(&mut self, fetch: (NodeId, FetchId), address: &str, range: Option<Range<u64>>, queue: &mut Queue) {
        let length = self.content.bytes.len();
        let server =
            (0..self.plans.len()).find(|server| url(*server) == address).expect("only known servers are asked");
        let plan = self.plans[server];
        let asked = range.map_or(0..length, |range| range.start as usize..(range.end as usize).min(length));
        assert!(!asked.is_empty(), "nothing was asked for: {asked:?}");
        let (status, rest) = match plan.fault {
            Some(Fault::NoRanges) => (200, 0..length),
            Some(Fault::BusyUntil(until)) if u128::from(queue.now().0) < until.as_micros() => (503, 0..0),
            _ => (206, asked),
        };
        self.bodies.insert(fetch, Body { server, rest, sent: 0, answered: false, status });
        queue.after(plan.latency, Event::Web(Delivery(fetch)));
    }

    /// A fetch is given up.
    pub fn cancel(&mut self, fetch: (NodeId, FetchId)) {
        self.bodies.remove(&fetch);
    }

    /// A page is closed.
    pub fn leave(&mut self, id: NodeId) {
        self.bodies.retain(|(node, _), _| *node != id);
    }

    /// No bytes are on their way to this page.
    pub fn is_idle(&self, id: NodeId) -> bool {
        !self.bodies.iter().any(|((node, _), body)| *node == id && !body.rest.is_empty())
    }

    /// What comes now.
    pub fn step(&mut self, Delivery(key): Delivery, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        let (id, fetch) = key;
        let body = self.bodies.get_mut(&key)?;
        let plan = self.plans[body.server];
        if plan.fault == Some(Fault::NoCors) {
            self.bodies.remove(&key);
            return Some((id, Fact::FetchFailed(fetch, FetchFailure::Network)));
        }
        let ends = match plan.fault {
            Some(Fault::Truncates(after)) => body.sent >= after,
            Some(Fault::Stalls(after)) if body.sent >= after => return None,
            _ => false,
        };
        if !body.answered {
            body.answered = true;
            queue.after(Duration::ZERO, Event::Web(Delivery(key)));
            let (first, length) = (body.rest.start, body.rest.len());
            let content_range = format!("bytes {first}-{}/{}", body.rest.end.max(1) - 1, self.content.bytes.len());
            let content_range = (body.status == 206).then_some(content_range);
            let content_length = length as u64;
            return Some((id, Fact::FetchAnswered { fetch, status: body.status, content_range, content_length }));
        }
        if ends || body.rest.is_empty() {
            self.bodies.remove(&key);
            return Some((id, Fact::FetchEnded(fetch)));
        }
        let count = body.rest.len().min(CHUNK);
        let mut chunk = self.content.bytes[body.rest.start..body.rest.start + count].to_vec();
        body.rest.start += count;
        body.sent += count;
        if plan.fault == Some(Fault::WrongBytes) {
            chunk[0] ^= 1;
        }
        let free = &mut self.free[body.server];
        *free = (*free).max(queue.now()) + Duration::from_micros(count as u64 * 1_000_000 / plan.up.max(1));
        queue.at(*free, Event::Web(Delivery(key)));
        Some((id, Fact::FetchData(fetch, chunk)))
    }
}

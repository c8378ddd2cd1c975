//! One running hash over everything that goes into and comes out of every engine, in order.
//!
//! Invariant: two runs with equal traces are the same run. Content goes in by its fingerprint, the rest as its `Debug`
//! text, which is the same on every platform.

use std::fmt::{self, Write};

use swarmreel::engine::{Action, Output};
use swarmreel::hash::{Digest, Sha1};
use swarmreel::time::Moment;

use crate::fact::Fact;
use crate::queue::NodeId;

/// Set this variable to see every step of a run, on stderr.
const LOG: &str = "SWARMREEL_SIM_LOG";

/// The hash so far.
#[derive(Debug)]
pub struct Trace {
    hash: Sha1,
    steps: u64,
    logs: bool,
}

impl Default for Trace {
    /// The trace of a run that has not begun.
    fn default() -> Self {
        Self { hash: Sha1::new(), steps: 0, logs: std::env::var_os(LOG).is_some() }
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hash.update(text.as_bytes());
        Ok(())
    }
}

impl Trace {
    /// Notes a fact told to an engine.
    pub fn fact(&mut self, now: Moment, node: NodeId, fact: &Fact) {
        match fact {
            Fact::LinkData(link, bytes) => self.bytes(now, node, &("data", link), bytes),
            Fact::FetchData(fetch, bytes) => self.bytes(now, node, &("fetched", fetch), bytes),
            Fact::Loaded(torrent, piece, bytes) => self.bytes(now, node, &("loaded", torrent, piece), bytes),
            Fact::StoreOpened { torrent, info, have } => {
                self.bytes(now, node, &("opened", torrent, have), info.as_deref().unwrap_or_default());
            }
            _ => self.note(now, node, fact),
        }
    }

    /// Notes what an engine said.
    pub fn output(&mut self, now: Moment, node: NodeId, output: &Output) {
        match output {
            Output::Do(Action::Send { link, bytes }) => self.bytes(now, node, &("send", link), bytes),
            Output::Do(Action::Store { torrent, piece, bytes }) => {
                self.bytes(now, node, &("store", torrent, piece), bytes);
            }
            Output::Do(Action::SizeStore { torrent, info, length, piece_length }) => {
                self.bytes(now, node, &("size", torrent, length, piece_length), info);
            }
            Output::Do(Action::Append { play, generation, bytes, timestamp_offset }) => {
                self.bytes(now, node, &("append", play, generation, timestamp_offset), bytes);
            }
            Output::Do(Action::Deliver { read, bytes, last }) => {
                self.bytes(now, node, &("deliver", read, last), bytes);
            }
            _ => self.note(now, node, output),
        }
    }

    /// Notes anything that has no large part.
    pub fn note(&mut self, now: Moment, node: NodeId, what: &impl fmt::Debug) {
        self.steps += 1;
        if self.logs {
            log(now, node, what);
        }
        writeln!(self, "{} {} {what:?}", now.0, node.0).expect("a hash takes any text");
    }

    fn bytes(&mut self, now: Moment, node: NodeId, what: &impl fmt::Debug, bytes: &[u8]) {
        self.note(now, node, what);
        self.hash.update(&(bytes.len() as u64).to_be_bytes());
        self.hash.update(&fingerprint(bytes).to_be_bytes());
    }

    /// The hash of all so far.
    pub fn digest(&self) -> Digest {
        self.hash.digest()
    }

    /// How many notes went in.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// 64 bits that tell bytes apart, where nobody chooses them to be taken for others: a world copies gigabytes, and
/// hashing them all would take longer than everything else.
fn fingerprint(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder().iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    let words = words.map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    // Multiplying by an odd constant spreads each bit upwards, and the shift brings the spread ones down again.
    words.chain([rest]).fold(0, |sum: u64, word| {
        let sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^ sum >> 32
    })
}

#[expect(clippy::print_stderr, reason = "it was asked for")]
fn log(now: Moment, node: NodeId, what: &impl fmt::Debug) {
    let text = format!("{what:?}").replace("\\\\r\\\\n", " ").replace("\\r\\n", " ");
    eprintln!("{:11.6} {:2} {text:.300}", now.0 as f64 / 1e6, node.0);
}

#[cfg(test)]
mod tests {
    use swarmreel::ids::LinkId;

    use super::*;

    fn digest(facts: &[Fact]) -> Digest {
        let mut trace = Trace::default();
        for fact in facts {
            trace.fact(Moment(1), NodeId(0), fact);
        }
        trace.digest()
    }

    #[test]
    fn a_fingerprint_sees_each_bit_and_its_place() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut seen = std::collections::BTreeSet::from([fingerprint(&bytes)]);
        for bit in 0..800 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(fingerprint(&other)), "bit {bit}");
        }
        assert_ne!(fingerprint(&[[1; 8], [2; 8]].concat()), fingerprint(&[[2; 8], [1; 8]].concat()));
    }

    #[test]
    fn any_byte_and_the_order_count() {
        let (a, b) = (Fact::LinkData(LinkId(1), vec![1, 2]), Fact::LinkData(LinkId(1), vec![1, 3]));
        assert_eq!(digest(&[a.clone(), b.clone()]), digest(&[a.clone(), b.clone()]));
        assert_ne!(digest(&[a.clone(), b.clone()]), digest(&[b.clone(), a.clone()]));
        assert_ne!(digest(&[a]), digest(&[b]));
    }
}

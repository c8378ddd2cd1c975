//! A link over TCP: one thread reads, one writes.
//!
//! Invariant: both end when either side closes, and then the peer hears so once. What is given to `send` leaves in
//! order, and `buffered` counts what has not left.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use swarmreel::engine::Input;
use swarmreel::ids::LinkId;

use crate::peer::Turn;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// All that went over a link, for a test to look at.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Bytes from us.
    pub said: Vec<u8>,
    /// Bytes to us.
    pub heard: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    queue: Sender<Vec<u8>>,
    buffered: Arc<AtomicUsize>,
}

impl Link {
    /// Takes over a connection. What happens on it becomes turns of the peer.
    pub(crate) fn open(id: LinkId, stream: TcpStream, low: usize, turns: Sender<Turn>) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        let (queue, messages) = mpsc::channel();
        let buffered = Arc::new(AtomicUsize::new(0));
        let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
        let (left, reader_turns) = (Arc::clone(&buffered), turns.clone());
        thread::spawn(move || read(id, reading, &reader_turns));
        thread::spawn(move || write(id, writing, &messages, &left, low, &turns));
        Ok(Self { stream, queue, buffered })
    }

    /// Sends a message. One to a link that is closing is lost, as on the network.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        self.buffered.fetch_add(bytes.len(), Ordering::SeqCst);
        self.queue.send(bytes).ok();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stream.shutdown(Shutdown::Both).ok();
    }
}

fn read(id: LinkId, mut stream: TcpStream, turns: &Sender<Turn>) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let bytes = buffer[..length].to_vec();
        let turn = Turn::new(move |peer| peer.heard(id, &bytes));
        if turns.send(turn).is_err() {
            return;
        }
    }
    turns.send(Turn::new(move |peer| peer.hung_up(id))).ok();
}

fn write(
    id: LinkId,
    mut stream: TcpStream,
    messages: &Receiver<Vec<u8>>,
    buffered: &AtomicUsize,
    low: usize,
    turns: &Sender<Turn>,
) {
    for bytes in messages {
        // A failure is the reader's to report.
        if stream.write_all(&bytes).is_err() {
            return;
        }
        let left = buffered.fetch_sub(bytes.len(), Ordering::SeqCst) - bytes.len();
        let drained = move |peer: &mut crate::Peer| peer.tell(Input::LinkDrained { link: id, buffered: left });
        if left <= low && turns.send(Turn::new(drained)).is_err() {
            return;
        }
    }
}

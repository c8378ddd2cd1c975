//! The driver of every engine: facts go in, and what comes out is done, checked and noted.
//!
//! Invariant: outputs are carried out one by one, in order, and `check` follows every turn.

use std::time::Duration;

use swarmreel::engine::{Action, Command, Event as Told, Output, Reply};
use swarmreel::ids::{LinkId, TorrentId};

use super::World;
use crate::fact::Fact;
use crate::frames::Frame;
use crate::node::{CREDIT, Node, Reader};
use crate::oracle;
use crate::queue::{Event, NodeId};
use crate::villain::{Habit, Verdict};

const SPEAKER: &str = "what speaks is there";

impl World<'_> {
    /// Tells an engine a fact, unless its page is closed.
    pub(super) fn tell(&mut self, id: NodeId, fact: Fact) {
        for fact in self.as_heard(id, fact) {
            let now = self.queue.now();
            self.trace.fact(now, id, &fact);
            let Some(node) = self.nodes.get_mut(&id) else { return };
            node.facts += 1;
            let removes = self.plan.peers[node.peer].removes_after == Some(node.facts);
            match fact {
                Fact::SocketClosed { socket, .. } => _ = node.sockets.remove(&socket),
                Fact::LinkClosed(link) => forget(node, link),
                _ => {}
            }
            node.engine.handle(now, fact.input());
            self.note_first_block(id);
            self.settle(id);
            if removes {
                self.remove_all(id);
            }
        }
    }

    fn note_first_block(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let first_block = &mut self.people[node.peer].outcome.first_block;
        let now = self.queue.now();
        let mut stats = node.torrents.iter().filter_map(|torrent| node.engine.stats(now, *torrent));
        if first_block.is_none() && stats.any(|stats| stats.downloaded > 0) {
            *first_block = Some(self.queue.now().since(node.since));
        }
    }

    /// What a peer without the fast extension hears of a fact: whole messages, with nothing of the extension.
    fn as_heard(&mut self, id: NodeId, fact: Fact) -> Vec<Fact> {
        let is_honest = |node: NodeId| self.plan.peers[self.owners[usize::from(node.0)]].is_honest();
        let Some(node) = self.nodes.get_mut(&id) else { return Vec::new() };
        match (fact, &node.villain) {
            (Fact::LinkData(link, bytes), Some(villain)) if villain.hears_otherwise() => {
                let frames = node.heard.entry(link).or_default().push(&bytes);
                if self.net.remote((id, link)).is_some_and(|(remote, _)| is_honest(remote)) {
                    oracle::check_heard_without_fast(&frames);
                }
                frames.into_iter().map(|frame| Fact::LinkData(link, villain.hear(frame))).collect()
            }
            (fact, _) => vec![fact],
        }
    }

    /// Carries out all that an engine says, and looks when it wants to be woken.
    pub(super) fn settle(&mut self, id: NodeId) {
        while let Some(node) = self.nodes.get_mut(&id) {
            let Some(output) = node.engine.poll() else { break };
            self.trace.output(self.queue.now(), id, &output);
            match output {
                Output::Do(action) => self.act(id, action),
                Output::Tell(told) => self.told(id, told),
            }
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.turns += 1;
        if node.turns % self.plan.checks_every == 0 {
            node.engine.check();
        }
        let wanted = node.engine.wake_at();
        if wanted != node.alarm {
            node.alarm = wanted.map(|moment| moment.max(self.queue.now()));
            if let Some(moment) = node.alarm {
                self.queue.at(moment, Event::Wake(id));
            }
        }
    }

    fn act(&mut self, id: NodeId, action: Action) {
        match action {
            Action::OpenSocket { .. } | Action::SendText { .. } | Action::CloseSocket(_) => self.signal(id, action),
            Action::Offer(_) | Action::Answer { .. } | Action::Accept { .. } | Action::CloseLink(_) => {
                self.connect(id, action);
            }
            Action::Send { link, bytes } => self.send(id, link, bytes),
            Action::Fetch { fetch, url, range } => self.web.fetch((id, fetch), &url, range, &mut self.queue),
            Action::CancelFetch(fetch) => self.web.cancel((id, fetch)),
            Action::OpenStore { .. }
            | Action::SizeStore { .. }
            | Action::Store { .. }
            | Action::Load { .. }
            | Action::CloseStore { .. } => self.store(id, action),
            Action::OpenMedia { .. } | Action::OpenBuffer { .. } | Action::Append { .. } | Action::EndMedia { .. } => {
                self.show(id, action);
            }
            Action::Deliver { bytes, last, .. } => self.deliver(id, &bytes, last),
        }
    }

    fn signal(&mut self, id: NodeId, action: Action) {
        let node = self.nodes.get_mut(&id).expect(SPEAKER);
        match action {
            Action::OpenSocket { socket, url } => {
                node.sockets.insert(socket);
                let latency = self.plan.peers[node.peer].path.latency;
                self.signaling.open(id, socket, &url, latency, &mut self.queue);
            }
            Action::SendText { socket, text } => self.signaling.send(id, socket, text, &mut self.queue),
            Action::CloseSocket(socket) => {
                node.sockets.remove(&socket);
                self.signaling.close(id, socket, &mut self.queue);
            }
            other => unreachable!("not for a tracker: {other:?}"),
        }
    }

    fn connect(&mut self, id: NodeId, action: Action) {
        match action {
            Action::Offer(link) => self.net.offer((id, link), &mut self.queue),
            Action::Answer { link, sdp } => self.net.answer((id, link), &sdp, &mut self.queue),
            Action::Accept { link, sdp } => self.net.accept((id, link), &sdp, &mut self.queue),
            Action::CloseLink(link) => {
                forget(self.nodes.get_mut(&id).expect(SPEAKER), link);
                self.net.close((id, link), &mut self.queue);
            }
            other => unreachable!("not for the network: {other:?}"),
        }
        oracle::check_links(&self.limits, self.contents.len(), self.net.ends_of(id).len());
    }

    fn store(&mut self, id: NodeId, action: Action) {
        let peer = self.nodes[&id].peer;
        let writes = matches!(action, Action::Store { .. });
        if let Action::Store { torrent, piece, bytes } = &action
            && self.plan.peers[peer].is_honest()
        {
            let topic = self.nodes[&id].torrents.iter().position(|known| known == torrent);
            oracle::check_piece(&self.contents[topic.expect("a torrent is known before it stores")], *piece, bytes);
        }
        let store = &mut self.people[peer].store;
        let (delay, fact) = (store.latency(), store.act(action));
        self.answer(id, delay, fact);
        if writes {
            self.let_go_of_copied();
        }
    }

    fn show(&mut self, id: NodeId, action: Action) {
        let node = self.nodes.get_mut(&id).expect(SPEAKER);
        let screen = node.screen.as_mut().expect("only a play that was asked for is played");
        let was_dark = screen.watched().first_frame.is_none();
        let fact = screen.act(action, self.queue.now());
        let is_first_light = was_dark && screen.watched().first_frame.is_some();
        let jumps = &self.plan.peers[node.peer].jumps;
        for (index, (delay, _)) in jumps.iter().enumerate().filter(|_| is_first_light) {
            self.queue.after(*delay, Event::Seek(id, index));
        }
        self.answer(id, Duration::ZERO, fact);
    }

    fn deliver(&mut self, id: NodeId, bytes: &[u8], last: bool) {
        let node = self.nodes.get_mut(&id).expect(SPEAKER);
        let reader = node.reader.as_mut().expect("only a read that was asked for is answered");
        let read = reader.read;
        if let Some(credit) = reader.take(bytes, last, &self.contents[0]) {
            self.command(id, Command::ReadMore { read, credit });
        } else if last {
            self.read_next(id);
        }
    }

    fn answer(&mut self, id: NodeId, delay: Duration, fact: Option<Fact>) {
        if let Some(fact) = fact {
            self.queue.after(delay, Event::Fact(id, fact));
        }
    }

    fn send(&mut self, id: NodeId, link: LinkId, bytes: Vec<u8>) {
        let end = (id, link);
        assert!(self.net.is_open(end), "a message to a channel that is not open");
        let node = self.nodes.get_mut(&id).expect(SPEAKER);
        let plan = &self.plan.peers[node.peer];
        let frames = node.said.entry(link).or_default().push(&bytes);
        if let Some(handshake) = frames.first().filter(|frame| frame.is_handshake) {
            node.topics.insert(link, oracle::topic(handshake, &self.contents));
        }
        if plan.is_honest() {
            oracle::check_send(&self.limits, bytes.len(), self.net.message_max(end), self.net.buffered(end));
        }
        if plan.is_honest() && !frames.is_empty() {
            oracle::check_said(&frames, &self.contents[node.topics[&link]], plan.habit != Some(Habit::NoFast));
        }
        if node.villain.is_some() {
            self.misbehave(id, link, frames)
        } else {
            self.net.send(end, bytes, &mut self.queue)
        }
    }

    fn misbehave(&mut self, id: NodeId, link: LinkId, frames: Vec<Frame>) {
        for frame in frames {
            let Some(villain) = self.nodes.get_mut(&id).and_then(|node| node.villain.as_mut()) else { return };
            match villain.tamper(link, frame) {
                Verdict::Say(messages) => {
                    for message in messages {
                        self.net.send((id, link), message, &mut self.queue);
                    }
                }
                Verdict::Drip(messages, rate) => self.drip(id, link, messages, rate),
                Verdict::Vanish(message, silently) => {
                    self.net.send((id, link), message, &mut self.queue);
                    let peer = self.nodes[&id].peer;
                    // Its uplink still gets the half block out.
                    return self.queue.after(Duration::from_millis(200), Event::Vanish(peer, silently));
                }
            }
        }
    }

    /// Says these messages at so many bytes a second, after what it is still to say there.
    fn drip(&mut self, id: NodeId, link: LinkId, messages: Vec<Vec<u8>>, rate: u32) {
        let now = self.queue.now();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let due = node.dripping.entry(link).or_default();
        *due = (*due).max(now);
        for message in messages {
            let pause = Duration::from_micros(message.len() as u64 * 1_000_000 / u64::from(rate));
            self.queue.at(*due, Event::Say((id, link), message));
            *due = *due + pause;
        }
    }

    fn told(&mut self, id: NodeId, told: Told) {
        let now = self.queue.now();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let outcome = &mut self.people[node.peer].outcome;
        match told {
            Told::Ready(torrent) => self.read_if_planned(id, torrent),
            Told::Done(torrent) => {
                node.done.insert(torrent);
                if node.done.len() == self.contents.len() {
                    outcome.done = Some(now.since(node.since));
                }
            }
            Told::Warning { code, .. } => *outcome.warnings.entry(code).or_default() += 1,
            Told::PeerLeft { link, reason, .. } => {
                *outcome.left.entry(reason).or_default() += 1;
                self.parted(id, link, reason);
            }
            Told::Failed { code, message, .. } => panic!("a good torrent can't go on: {code}: {message}"),
            Told::PlayFailed { code, message, .. } => panic!("a good film can't be played: {code}: {message}"),
            Told::PeerJoined { .. } => {}
        }
    }

    fn parted(&self, id: NodeId, link: LinkId, reason: &str) {
        let is_honest = |node: NodeId| self.plan.peers[self.owners[usize::from(node.0)]].is_honest();
        if self.net.remote((id, link)).is_some_and(|(remote, _)| is_honest(id) && is_honest(remote)) {
            oracle::check_parting(reason);
        }
    }

    fn read_if_planned(&mut self, id: NodeId, torrent: TorrentId) {
        let node = &self.nodes[&id];
        // While a torrent is opened, its own name is not known yet: the first is the one.
        let is_first = node.torrents.first().is_none_or(|first| *first == torrent);
        if self.plan.peers[node.peer].reads && node.reader.is_none() && is_first {
            self.read(id, torrent, 0);
        }
    }

    fn read(&mut self, id: NodeId, torrent: TorrentId, file: usize) {
        let range = 0..self.contents[0].metainfo.files[file].length;
        let Some(Reply::Read(read)) = self.command(id, Command::Read { torrent, file, range }) else {
            panic!("a read is the reply");
        };
        self.nodes.get_mut(&id).expect(SPEAKER).reader = Some(Reader::new(read, file));
        self.command(id, Command::ReadMore { read, credit: CREDIT });
    }

    /// A file was read to its end: the next one's turn.
    fn read_next(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let file = node.reader.as_ref().map_or(0, |reader| reader.file + 1);
        if file < self.contents[0].metainfo.files.len() {
            self.read(id, node.torrents[0], file);
        }
    }

    /// The last file was read to its end.
    pub(super) fn is_read_out(&self, reader: &Reader) -> bool {
        reader.is_finished() && reader.file + 1 == self.contents[0].metainfo.files.len()
    }
}

/// A link is gone.
fn forget(node: &mut Node, link: LinkId) {
    node.said.remove(&link);
    node.heard.remove(&link);
    node.topics.remove(&link);
    node.dripping.remove(&link);
}

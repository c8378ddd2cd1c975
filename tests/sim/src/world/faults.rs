//! What goes wrong by plan: pages are closed, laptops sleep, the network falls apart, torrents are removed.
//!
//! Invariant: after a torrent is removed nothing of it is left open, whenever that happens.

use std::time::Duration;

use swarmreel::engine::Command;

use super::World;
use crate::net::CONSENT;
use crate::plan::Departure;
use crate::queue::{Event, NodeId};

impl World<'_> {
    pub(super) fn plan_faults(&mut self) {
        if let Some(partition) = self.plan.partition {
            self.queue.after(partition.from, Event::Partition(true));
            self.queue.after(partition.from + partition.lasts, Event::Partition(false));
        }
    }

    pub(super) fn leave_as_planned(&mut self, peer: usize) {
        let (silently, back) = match self.plan.peers[peer].leaves {
            Some(Departure::After { silently, back, .. }) => (silently, back),
            Some(Departure::WhenCopied) | None => (false, None),
        };
        self.close_page(peer, silently);
        if let Some(back) = back {
            self.queue.after(back, Event::Join(peer));
        }
    }

    pub(super) fn close_page(&mut self, peer: usize, silently: bool) {
        let Some(id) = self.people[peer].node.take() else { return };
        self.note_outcome(id);
        self.nodes.remove(&id);
        self.net.leave(id, silently, &mut self.queue);
        self.signaling.leave(id, silently, &mut self.queue);
        self.web.leave(id);
        self.people[peer].store.reload();
    }

    /// Who wanted to stay until there is a second copy may go when there is one.
    pub(super) fn let_go_of_copied(&mut self) {
        let waits = |peer: usize| {
            self.plan.peers[peer].leaves == Some(Departure::WhenCopied) && self.people[peer].node.is_some()
        };
        let Some(peer) = (0..self.people.len()).find(|peer| waits(*peer)) else { return };
        let copied = |content: &crate::content::Content| {
            let mut copied = vec![false; content.metainfo.pieces.len()];
            for (plan, person) in self.plan.peers.iter().zip(&self.people) {
                if plan.must_finish() && person.node.is_some() {
                    let kept = person.store.pieces(content.metainfo.info_hash);
                    kept.for_each(|(piece, _)| copied[piece as usize] = true);
                }
            }
            copied.into_iter().all(|copied| copied)
        };
        if self.contents.iter().all(|content| copied(content)) {
            self.queue.after(Duration::ZERO, Event::Leave(peer));
        }
    }

    pub(super) fn sleep(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(sleep) = self.plan.peers[node.peer].sleeps else { return };
        assert!(sleep.lasts > CONSENT, "a plan's sleepers are missed");
        node.asleep = Some(Vec::new());
        self.net.sleep(id, &mut self.queue);
        self.signaling.leave(id, true, &mut self.queue);
        self.queue.after(sleep.lasts, Event::Awake(id));
    }

    /// The engine finds itself later. What came in the meantime comes now.
    pub(super) fn awake(&mut self, id: NodeId) {
        let now = self.queue.now();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let missed = node.asleep.take().unwrap_or_default();
        // The alarm is long past: what counts is when it was to ring, so it rings at once.
        node.alarm = Some(now);
        self.queue.at(now, Event::Wake(id));
        missed.into_iter().for_each(|event| self.queue.at(now, event));
        self.net.wake(id, &mut self.queue);
        self.signaling.wake(id);
    }

    pub(super) fn partition(&mut self, apart: bool) {
        if apart { self.net.fall_apart(&mut self.queue) } else { self.net.heal(&mut self.queue) }
    }

    /// The person removes every torrent: nothing of them may be left open.
    pub(super) fn remove_all(&mut self, id: NodeId) {
        self.note_outcome(id);
        let torrents = std::mem::take(&mut self.nodes.get_mut(&id).expect("it has torrents").torrents);
        for torrent in torrents {
            self.command(id, Command::Remove { torrent, forget: false });
            self.settle(id);
        }
        let node = self.nodes.get_mut(&id).expect("its page stays open");
        (node.screen, node.reader) = (None, None);
        assert_eq!(self.net.ends_of(id), [], "peer {} left connections behind", node.peer);
        assert!(node.sockets.is_empty(), "peer {} left sockets behind", node.peer);
        assert!(self.web.is_idle(id), "peer {} left fetches behind", node.peer);
        assert!(self.people[node.peer].store.is_closed(), "peer {} left its store open", node.peer);
        assert_eq!(node.engine.wake_at(), None, "peer {} waits for something", node.peer);
    }
}

//! One byte range being read out by the application, in order.
//!
//! Invariant: never more is delivered than the credit, and only verified bytes.

use std::ops::Range;

use super::content::{Availability, Content};
use super::wishes::Wants;
use crate::ids::{ReadId, TorrentId};
use crate::limits::Limits;
use crate::output::{Action, Output};

/// A reader's place.
#[derive(Clone, Debug)]
pub(super) struct Read {
    id: ReadId,
    /// Content bytes not delivered yet.
    rest: Range<u64>,
    credit: u64,
    /// The last bytes were delivered.
    pub(super) ended: bool,
}

impl Read {
    pub(super) fn new(id: ReadId, range: Range<u64>) -> Self {
        Self { id, rest: range, credit: 0, ended: false }
    }

    pub(super) fn allow(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit);
    }

    /// Delivers as much as is allowed and here, a piece at a time. Stops at what has to be loaded first.
    pub(super) fn advance(
        &mut self,
        torrent: TorrentId,
        content: &mut Content,
        limits: &Limits,
        out: &mut Vec<Output>,
    ) {
        if self.rest.is_empty() && !self.ended {
            self.ended = true;
            out.push(Output::Do(Action::Deliver { read: self.id, bytes: Vec::new(), last: true }));
        }
        while self.credit > 0 && !self.ended {
            let chunk = self.next_chunk(content, limits);
            match content.availability(&chunk) {
                Availability::Here => {}
                Availability::Stored(pieces) => {
                    pieces.iter().for_each(|piece| content.load(torrent, *piece, out));
                    return;
                }
                Availability::Missing => return,
            }
            let Some(bytes) = content.read(&chunk) else { return };
            self.rest.start = chunk.end;
            self.credit -= chunk.end - chunk.start;
            self.ended = self.rest.is_empty();
            out.push(Output::Do(Action::Deliver { read: self.id, bytes, last: self.ended }));
        }
    }

    /// What can come at once: to the end of the piece, within the credit.
    fn next_chunk(&self, content: &Content, limits: &Limits) -> Range<u64> {
        let start = self.rest.start;
        let most = self.credit.min(limits.deliver_bytes_max as u64).min(self.rest.end - start);
        let geometry = content.pieces.geometry();
        let piece_end = geometry.covering(&(start..start + 1)).next().map_or(start, |piece| geometry.range(piece).end);
        start..piece_end.min(start + most)
    }

    /// What it waits for, and what follows.
    pub(super) fn wants(&self, limits: &Limits) -> Wants {
        let end = |bytes: u64| self.rest.start.saturating_add(bytes).min(self.rest.end);
        let waits = self.credit > 0 && !self.ended;
        let urgent = waits.then(|| self.rest.start..end(limits.urgent_bytes));
        let soon = self.rest.start..end(limits.ahead_bytes);
        Wants { urgent: urgent.into_iter().collect(), soon: vec![soon], ..Wants::default() }
    }
}

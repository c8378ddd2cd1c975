//! One connected peer: flags, what it has, its queues and its record.
//!
//! Invariant: what is queued here goes out in order; a handshake and the messages after it each leave in a data-channel
//! message of their own until the peer has answered (protocol.md §3.3).

mod rate;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

pub use rate::Rate;

use crate::geometry::{BLOCK_LENGTH, Block};
use crate::ids::{LinkId, PeerId};
use crate::limits::Limits;
use crate::pieces::Bitfield;
use crate::time::Moment;
use crate::wire::extension::ExtendedHandshake;
use crate::wire::{Decoder, Handshake, Message, Request};

/// What a peer has.
#[derive(Clone, Debug)]
pub enum Has {
    /// It has not said.
    Unknown,
    /// Said before we know how many pieces there are: kept as it came.
    Early {
        /// `have-all`, `have-none` or a bitfield.
        first: EarlyHas,
        /// `have`s after that, at most `EARLY_HAVES_MAX`.
        haves: Vec<u32>,
    },
    /// Known.
    Known(Bitfield),
}

/// The first message about what a peer has, from before the metadata.
#[derive(Clone, Debug)]
pub enum EarlyHas {
    /// Everything.
    All,
    /// Nothing yet.
    None,
    /// A bitfield of unchecked length.
    Bits(Vec<u8>),
}

/// `have`s kept from before the metadata: a peer that sends more is a flooder.
pub const EARLY_HAVES_MAX: usize = 10_000;

/// One connected peer.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol's own flags")]
pub struct Peer {
    /// The link it is at the end of.
    pub link: LinkId,
    /// We made the offer.
    pub offered_by_us: bool,
    /// The largest message the link takes.
    message_max: usize,
    /// Cuts what it sends.
    pub decoder: Decoder,
    /// Its handshake.
    pub handshake: Option<Handshake>,
    /// Its extended handshakes, merged.
    pub extended: ExtendedHandshake,
    /// What it has.
    pub has: Has,
    /// Pieces it has and we lack.
    pub useful: u32,
    /// It does not let us download.
    pub choking_us: bool,
    /// It wants to download.
    pub interested_in_us: bool,
    /// We do not let it download.
    pub choked: bool,
    /// We told it that we want to download.
    pub interesting: bool,
    /// When we last told it so.
    pub interested_at: Moment,
    /// It delivers nothing: its blocks are asked of others too.
    pub snubbed: bool,
    /// Requests it made and we have not answered, oldest first.
    pub uploads: VecDeque<Request>,
    /// Blocks that we asked for and then cancelled: they may still arrive.
    pub cancelled: BTreeSet<Block>,
    /// Payload from it.
    pub down: Rate,
    /// Payload to it.
    pub up: Rate,
    /// Blocks it delivered.
    blocks: usize,
    /// When the first block was asked of an idle link, or the last one came.
    pub progress_at: Moment,
    /// When the channel opened.
    pub opened_at: Moment,
    /// When it last sent anything.
    pub heard_at: Moment,
    /// When we last sent anything.
    pub sent_at: Moment,
    /// Bytes it sent that nobody asked for.
    pub waste: u64,
    /// Requests that made no sense.
    pub invalid_requests: u32,
    /// It rejected a request: nothing is asked of it before this.
    pub pause_until: Moment,
    /// Control messages in the current second (threat-model P4).
    pub control: (u64, u32),
    outgoing: VecDeque<Vec<u8>>,
    /// Messages leave one by one until the peer's own show that its handlers run.
    separate: bool,
    /// `bufferedAmount` as far as we know.
    pub buffered: usize,
}

impl Peer {
    /// A peer whose channel just opened.
    pub fn new(link: LinkId, offered_by_us: bool, message_max: usize, now: Moment) -> Self {
        Self {
            link,
            offered_by_us,
            message_max,
            decoder: Decoder::new(),
            handshake: None,
            extended: ExtendedHandshake::default(),
            has: Has::Unknown,
            useful: 0,
            choking_us: true,
            interested_in_us: false,
            choked: true,
            interesting: false,
            interested_at: now,
            snubbed: false,
            uploads: VecDeque::new(),
            cancelled: BTreeSet::new(),
            down: Rate::default(),
            up: Rate::default(),
            blocks: 0,
            progress_at: now,
            opened_at: now,
            heard_at: now,
            sent_at: now,
            waste: 0,
            invalid_requests: 0,
            pause_until: now,
            control: (0, 0),
            outgoing: VecDeque::new(),
            separate: true,
            buffered: 0,
        }
    }

    /// The id from its handshake.
    pub fn peer_id(&self) -> Option<PeerId> {
        self.handshake.map(|handshake| handshake.peer_id)
    }

    /// Both sides speak the fast extension (BEP 6).
    pub fn is_fast(&self) -> bool {
        self.handshake.is_some_and(|handshake| handshake.fast)
    }

    /// The peer has this piece.
    pub fn has_piece(&self, index: u32) -> bool {
        matches!(&self.has, Has::Known(bits) if bits.has(index))
    }

    /// The peer has everything.
    pub fn is_seed(&self) -> bool {
        matches!(&self.has, Has::Known(bits) if bits.is_full())
            || matches!(&self.has, Has::Early { first: EarlyHas::All, .. })
    }

    /// The part of the content it has, 0 to 1.
    pub fn progress(&self) -> f64 {
        match &self.has {
            Has::Known(bits) if bits.length() > 0 => f64::from(bits.count()) / f64::from(bits.length()),
            Has::Known(_) | Has::Early { first: EarlyHas::All, .. } => 1.0,
            _ => 0.0,
        }
    }

    /// It runs webtorrent.js (BEP 20: `-WW`, and `-WD` for the desktop's).
    pub fn is_webtorrent(&self) -> bool {
        self.peer_id().is_some_and(|id| matches!(&id.0[..3], b"-WW" | b"-WD"))
    }

    /// What it runs: the name it gave, or what its id says (BEP 20).
    pub fn client_name(&self) -> String {
        if let Some(name) = self.extended.client.as_ref().filter(|name| !name.is_empty()) {
            return name.clone();
        }
        let id = self.peer_id().map_or([0; 20], |id| id.0);
        let program = match &id[..3] {
            b"-WW" => "WebTorrent",
            b"-WD" => "WebTorrent Desktop",
            b"-LT" | b"-lt" => "libtorrent",
            b"-GT" => "anacrolix/torrent",
            b"-SR" => "Swarmreel",
            _ => "unknown client",
        };
        program.to_string()
    }

    // ---- what it is asked

    /// A block came.
    pub fn delivered(&mut self, now: Moment, bytes: usize) {
        self.down.add(now, bytes as u64);
        self.blocks += 1;
        self.progress_at = now;
        self.snubbed = false;
    }

    /// How many blocks should be outstanding: doubling a round trip while they come (slow start), then
    /// `pipeline_span` of the measured rate, within what the peer queues.
    pub fn pipeline(&self, limits: &Limits, now: Moment) -> usize {
        let span = limits.pipeline_span.as_secs_f64();
        let by_rate = (self.down.per_second(now) as f64 * span / f64::from(BLOCK_LENGTH)) as usize;
        let queue = self.extended.request_queue.map_or(limits.pipeline_default_max, |queue| queue as usize);
        let grown = (limits.pipeline_first + self.blocks).min(by_rate.max(limits.pipeline_first));
        if self.snubbed { 1 } else { grown.min(queue.max(1)).min(limits.request_queue_max) }
    }

    // ---- what it is sent

    /// Queues a message.
    pub fn send(&mut self, message: &Message<'_>) {
        match self.outgoing.back_mut() {
            Some(last) if !self.separate && last.len() + 13 <= self.message_max => message.write(last),
            _ => self.outgoing.push_back(message.to_bytes()),
        }
    }

    /// Messages may share a data-channel message from now on.
    pub fn coalesce(&mut self) {
        self.separate = false;
    }

    /// Queued bytes that no message has taken yet.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The next data-channel message, if the link's buffer has room.
    pub fn next_message(&mut self, limits: &Limits, now: Moment) -> Option<Vec<u8>> {
        if self.buffered >= limits.link_buffer_high {
            return None;
        }
        let message = self.outgoing.pop_front()?;
        let message = self.cut(message, limits);
        self.buffered += message.len();
        self.sent_at = now;
        Some(message)
    }

    /// The channel is a byte stream: what is longer than a message may be goes on in the next.
    fn cut(&mut self, mut message: Vec<u8>, limits: &Limits) -> Vec<u8> {
        let max = self.message_max.min(limits.message_bytes_max).max(1);
        if message.len() > max {
            self.outgoing.push_front(message.split_off(max));
        }
        message
    }

    /// Queues a block, in a message shared with the blocks before it as far as it stays whole.
    pub fn send_block(&mut self, limits: &Limits, now: Moment, request: Request, data: &[u8]) {
        let max = self.message_max.min(limits.message_bytes_max);
        let block = Message::Piece { piece: request.piece, begin: request.begin, data };
        match self.outgoing.back_mut() {
            Some(last) if !self.separate && last.len() + data.len() + 13 <= max => block.write(last),
            _ => {
                let mut message = Vec::with_capacity(max.max(data.len() + 13));
                block.write(&mut message);
                self.outgoing.push_back(message);
            }
        }
        self.up.add(now, data.len() as u64);
    }

    /// Bytes queued or in the channel's buffer.
    pub fn unsent(&self) -> usize {
        self.buffered + self.outgoing.iter().map(Vec::len).sum::<usize>()
    }

    /// Counts a control message; false if there are too many in this second.
    pub fn admit_control(&mut self, now: Moment, per_second_max: u32) -> bool {
        let second = now.0 / 1_000_000;
        self.control = if self.control.0 == second { (second, self.control.1 + 1) } else { (second, 1) };
        self.control.1 <= per_second_max
    }

    /// Nothing came in answer to the outstanding requests for this long.
    pub fn stalled(&self, now: Moment) -> Duration {
        now.since(self.progress_at)
    }
}

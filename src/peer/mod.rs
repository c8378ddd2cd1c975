//! One connected peer: flags, what it has, its queues and its record.
//!
//! Invariant: what is queued here goes out in order; a handshake and the messages after it each leave in a data-channel
//! message of their own until the peer has answered (protocol.md §3.3).

mod pipeline;
mod rate;
mod slot;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use pipeline::Pipeline;
pub use rate::Rate;
pub use slot::Slot;

use crate::geometry::{BLOCK_LENGTH, Block, Piece};
use crate::ids::{LinkId, PeerId};
use crate::limits::Limits;
use crate::pieces::Bitfield;
use crate::time::Moment;
use crate::tracker::sdp::AddressHint;
use crate::wire::extension::ExtendedHandshake;
use crate::wire::{self, Decoder, Handshake, Message, Request};

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
    /// Where it is, as it says itself.
    pub address: Option<AddressHint>,
    /// The largest message its side of the link takes.
    pub message_max: usize,
    /// Bytes of a data-channel message to it.
    message_bytes: usize,
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
    /// Since when it does not; since it came, if it never did.
    pub choking_since: Moment,
    /// Pieces that it lets us download even so (BEP 6), at most `allowed_fast_heard_max`; unchecked.
    pub allows: BTreeSet<u32>,
    /// It wants to download.
    pub interested_in_us: bool,
    /// We do not let it download.
    pub choked: bool,
    /// Its standing with our upload slots.
    pub slot: Slot,
    /// Pieces that we let it download even so (BEP 6), and how many blocks of each it may still ask for.
    pub granted: BTreeMap<u32, u32>,
    /// We told it that we want to download.
    pub interesting: bool,
    /// When we last told it so.
    pub interested_at: Moment,
    /// It delivers nothing: its blocks are asked of others too.
    pub snubbed: bool,
    /// Requests it made and we have not answered, oldest first.
    pub uploads: VecDeque<Request>,
    /// Blocks that we asked for and then cancelled, and when: they may still arrive, or be rejected.
    pub cancelled: BTreeMap<Block, Moment>,
    /// Payload from it.
    pub down: Rate,
    /// Payload to it.
    pub up: Rate,
    /// How much is asked of it.
    pub pipeline: Pipeline,
    /// The piece it was last asked for.
    pub last_asked: Option<Piece>,
    /// When the first block was asked of an idle link, or the last one came.
    pub progress_at: Moment,
    /// When the channel opened.
    pub opened_at: Moment,
    /// When payload last went either way; at first, when the channel opened.
    pub active_at: Moment,
    /// The network gives no sign of it, and nothing came from it since.
    pub in_doubt: bool,
    /// When it last sent anything.
    pub heard_at: Moment,
    /// When we last sent anything.
    pub sent_at: Moment,
    /// Bytes it sent that nobody asked for.
    pub waste: u64,
    /// Messages that set anew what it has: each costs us work for every piece (threat-model P4).
    pub has_resets: u32,
    /// Requests that made no sense.
    pub invalid_requests: u32,
    /// It rejected a request: nothing is asked of it before this.
    pub pause_until: Moment,
    /// Control messages in the current second (threat-model P4).
    pub control: (u64, u32),
    /// Data-channel messages to be sent, each of at most `message_bytes`.
    outgoing: VecDeque<Vec<u8>>,
    /// News of pieces that the peer has itself: they go with the next message, or with the next tick.
    news: Vec<u32>,
    /// Messages leave one by one until the peer's own show that its handlers run.
    separate: bool,
    /// The last message queued takes nothing more.
    sealed: bool,
    /// Bytes sent in one go, the last time.
    burst: usize,
    /// `bufferedAmount` as far as we know.
    pub buffered: usize,
}

impl Peer {
    /// A peer whose channel just opened.
    pub fn new(link: LinkId, offered_by_us: bool, message_bytes: usize, now: Moment) -> Self {
        Self {
            link,
            offered_by_us,
            address: None,
            message_max: message_bytes,
            message_bytes: message_bytes.max(1),
            decoder: Decoder::new(),
            handshake: None,
            extended: ExtendedHandshake::default(),
            has: Has::Unknown,
            useful: 0,
            choking_us: true,
            choking_since: now,
            allows: BTreeSet::new(),
            interested_in_us: false,
            choked: true,
            slot: Slot::new(now),
            granted: BTreeMap::new(),
            interesting: false,
            interested_at: now,
            snubbed: false,
            uploads: VecDeque::new(),
            cancelled: BTreeMap::new(),
            down: Rate::default(),
            up: Rate::default(),
            pipeline: Pipeline::new(now),
            last_asked: None,
            progress_at: now,
            opened_at: now,
            active_at: now,
            in_doubt: false,
            heard_at: now,
            sent_at: now,
            waste: 0,
            has_resets: 0,
            invalid_requests: 0,
            pause_until: now,
            control: (0, 0),
            outgoing: VecDeque::new(),
            news: Vec::new(),
            separate: true,
            sealed: false,
            burst: 0,
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

    /// It runs what we run, as it says itself.
    pub fn is_swarmreel(&self) -> bool {
        self.extended.client.as_ref().is_some_and(|client| client.starts_with("Swarmreel "))
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

    // ---- what it may have

    /// It wants to download from us: a peer that has everything, or only uploads (BEP 21), takes nobody's slot.
    pub fn is_leeching(&self) -> bool {
        self.interested_in_us && self.extended.upload_only != Some(true) && !self.is_seed()
    }

    /// Lets it download.
    pub fn unchoke(&mut self, now: Moment) {
        self.choked = false;
        self.slot.open(now, self.up.total());
        self.send(&Message::Unchoke);
    }

    /// Stops its downloading. What it has asked for is rejected, but for what it is allowed even so; without the fast
    /// extension a choke says that by itself (BEP 6).
    pub fn choke(&mut self, now: Moment) {
        self.choked = true;
        self.slot.shut(now);
        self.send(&Message::Choke);
        let asked = std::mem::take(&mut self.uploads);
        if self.is_fast() {
            let (kept, dropped): (VecDeque<Request>, VecDeque<Request>) =
                asked.into_iter().partition(|request| self.granted.contains_key(&request.piece));
            dropped.into_iter().for_each(|request| self.send(&Message::Reject(request)));
            self.uploads = kept;
        }
    }

    /// While choked: may it ask for another block of this piece? Counted.
    pub fn spend_grant(&mut self, piece: u32) -> bool {
        let left = self.granted.get_mut(&piece).filter(|left| **left > 0);
        left.is_some_and(|left| {
            *left -= 1;
            true
        })
    }

    // ---- what it is asked

    /// It lets us download, if only the pieces it allows to those it chokes. The latter are asked for when it has been
    /// choking us for a while.
    pub fn may_be_asked(&self, now: Moment, limits: &Limits) -> bool {
        !self.choking_us || !self.allows.is_empty() && now.since(self.choking_since) >= limits.allowed_fast_after
    }

    /// The pieces it would send now.
    pub fn offers(&self) -> Option<Cow<'_, Bitfield>> {
        let Has::Known(has) = &self.has else { return None };
        if !self.choking_us {
            return Some(Cow::Borrowed(has));
        }
        let mut allowed = Bitfield::none(has.length());
        for index in self.allows.iter().filter(|index| has.has(**index)) {
            allowed.insert(*index);
        }
        Some(Cow::Owned(allowed))
    }

    /// A block came that was asked for at this moment, while `span` was asked ahead.
    pub fn delivered(&mut self, now: Moment, bytes: usize, asked_at: Moment, span: Duration, limits: &Limits) {
        self.down.add(now, bytes as u64);
        self.pipeline.delivered(now, asked_at, span, limits);
        self.progress_at = now;
        self.active_at = now;
        self.snubbed = false;
    }

    /// How many blocks should be outstanding: what it delivers in two delays and `span`, within what it queues.
    pub fn depth(&self, now: Moment, span: Duration, limits: &Limits) -> usize {
        if self.snubbed {
            return 1;
        }
        let queue = self.extended.request_queue.map_or(limits.pipeline_default_max, |queue| queue as usize);
        self.pipeline.depth(self.down.per_second(now), span, limits).min(queue.max(1)).min(limits.request_queue_max)
    }

    /// How long it will take to deliver as many blocks as are outstanding; `None` while its rate is unknown.
    pub fn pace(&self, now: Moment, outstanding: usize) -> Option<Duration> {
        let rate = self.down.per_second(now);
        let bytes = outstanding as f64 * f64::from(BLOCK_LENGTH);
        (rate > 0).then(|| self.pipeline.delay() + Duration::from_secs_f64(bytes / rate as f64))
    }

    // ---- what it is sent

    /// Messages to it may be this long from now on.
    pub fn widen(&mut self, message_bytes: usize) {
        self.message_bytes = message_bytes.max(1);
    }

    /// Queues a message.
    pub fn send(&mut self, message: &Message<'_>) {
        if self.separate {
            self.outgoing.push_back(Vec::new());
        }
        self.append(&message.to_bytes());
    }

    /// Queues a block.
    pub fn send_block(&mut self, now: Moment, request: Request, data: &[u8]) {
        self.append(&wire::piece_header(request.piece, request.begin, data.len()));
        self.append(data);
        self.up.add(now, data.len() as u64);
        self.active_at = now;
    }

    /// Queues the news of a piece that the peer has itself, which can wait.
    pub fn send_news(&mut self, piece: u32) {
        self.news.push(piece);
    }

    /// The channel is a byte stream: what does not fit in the last message goes on in the next.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.outgoing.back().map_or(0, |last| self.message_bytes.saturating_sub(last.len()));
            if std::mem::take(&mut self.sealed) || room == 0 {
                // Blocks come in runs: room for a whole message at once spares copying a growing one.
                let capacity = if bytes.len() < 1024 { bytes.len() } else { self.message_bytes.min(1 << 18) };
                self.outgoing.push_back(Vec::with_capacity(capacity));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.outgoing.back_mut().expect("it has room").extend_from_slice(now);
            bytes = later;
        }
    }

    /// Messages may share a data-channel message from now on, though not with those that were apart before.
    pub fn coalesce(&mut self) {
        self.sealed |= std::mem::take(&mut self.separate);
    }

    /// Queued bytes that no message has taken yet.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// News waits no longer.
    pub fn flush_news(&mut self) {
        for piece in std::mem::take(&mut self.news) {
            self.send(&Message::Have(piece));
        }
    }

    /// `bufferedAmount` was looked at. What it holds beyond what was sent last is of before: the link is busy.
    pub fn drained(&mut self, buffered: usize) {
        self.buffered = buffered;
        if self.burst > 0 {
            self.slot.look(buffered > self.burst);
        }
    }

    /// The next data-channel message, if the link's buffer has room.
    pub fn next_message(&mut self, limits: &Limits, now: Moment) -> Option<Vec<u8>> {
        if self.buffered >= limits.link_buffer_high {
            self.slot.look(true);
            return None;
        }
        if self.has_outgoing() {
            self.flush_news();
        }
        let message = self.outgoing.pop_front()?;
        self.burst = message.len() + if now == self.sent_at { self.burst } else { 0 };
        self.buffered += message.len();
        self.sent_at = now;
        Some(message)
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(0);

    fn messages(peer: &mut Peer) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| peer.next_message(&Limits::default(), NOW)).collect()
    }

    #[test]
    fn messages_are_apart_until_the_peer_has_spoken() {
        let mut peer = Peer::new(LinkId(1), true, 65_536, NOW);
        peer.send(&Message::HaveAll);
        peer.send(&Message::Unchoke);
        assert_eq!(messages(&mut peer).len(), 2);
        peer.coalesce();
        peer.send(&Message::HaveAll);
        peer.send(&Message::Unchoke);
        assert_eq!(messages(&mut peer), [[0, 0, 0, 1, 14, 0, 0, 0, 1, 1]]);
    }

    #[test]
    fn blocks_fill_messages_and_go_on_in_the_next() {
        let mut peer = Peer::new(LinkId(1), true, 40_000, NOW);
        peer.coalesce();
        let mut stream = Vec::new();
        for block in 0..5u32 {
            let data = vec![block as u8; 16_384];
            let request = Request { piece: 7, begin: block * BLOCK_LENGTH, length: BLOCK_LENGTH };
            Message::Piece { piece: 7, begin: request.begin, data: &data }.write(&mut stream);
            peer.send_block(NOW, request, &data);
        }
        let sent = messages(&mut peer);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [40_000, 40_000, 5 * 16_397 - 80_000]);
        assert_eq!(sent.concat(), stream);
    }

    #[test]
    fn news_waits_for_company() {
        let mut peer = Peer::new(LinkId(1), true, 65_536, NOW);
        peer.coalesce();
        peer.send_news(3);
        assert!(messages(&mut peer).is_empty());
        peer.send(&Message::Unchoke);
        assert_eq!(messages(&mut peer).concat(), [&[0, 0, 0, 1, 1][..], &[0, 0, 0, 5, 4, 0, 0, 0, 3]].concat());
    }

    #[test]
    fn nothing_is_sent_into_a_full_buffer() {
        let mut peer = Peer::new(LinkId(1), true, 65_536, NOW);
        peer.buffered = Limits::default().link_buffer_high;
        peer.send(&Message::Unchoke);
        assert!(messages(&mut peer).is_empty());
        peer.buffered = 0;
        assert_eq!(messages(&mut peer).len(), 1);
    }
}

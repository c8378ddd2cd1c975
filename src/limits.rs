//! The only home of numbers. Each row: unit, default, and one line of why (threat-model.md §1, protocol.md §3.13).

use std::time::Duration;

/// Bytes of an extent, neighbouring pieces that are fetched in order: a seeder reads its file megabytes at a time, and
/// reading one for each piece of it, in a random order, costs more than sending it.
pub const EXTENT_BYTES: u32 = 4 << 20;
/// Pieces of an extent: however small they are, following one must stay cheap.
pub const EXTENT_PIECES_MAX: u32 = 256;
/// Extents of a torrent at least, so that peers who begin together have something to exchange.
pub const EXTENTS_MIN: u32 = 32;
/// Pieces that are looked at one by one in one pass of a picking: a few µs, and a sample good enough to find a rare one.
pub const PICK_LOOKS_MAX: usize = 512;
/// Begun pieces searched for late blocks in one picking: what is most urgent comes first.
pub const LATE_LOOKS_MAX: usize = 64;
/// Links that are asked for one block at the same time, however late they are.
pub const HOLDERS_MAX: usize = 4;
/// Blocks of failed pieces remembered as evidence, of one torrent: 0.7 MB.
pub const EVIDENCE_MAX: usize = 16 << 10;
/// Links whose peers are remembered by name, of one torrent, so that a proof finds who has left: 0.2 MB.
pub const NAMES_MAX: usize = 4096;
/// Banned peers of one torrent: 0.4 MB. Each has cost a connection and a piece.
pub const BANS_MAX: usize = 10_000;

/// What the engine may use, and how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Torrents at once.
    pub torrents_max: usize,
    /// Links of one torrent, in any state: a page has 500 RTCPeerConnections in Chrome, for everything.
    pub links_per_torrent_max: usize,
    /// Links of all torrents, in any state (threat-model W1).
    pub links_max: usize,
    /// The last so many of `links_max` are kept for torrents that have fewer than `links_first`.
    pub links_reserved: usize,
    /// So many links a torrent gets even where others have taken what is not reserved.
    pub links_first: usize,
    /// Links of one torrent to one address, where others wait: a quarter (threat-model P13).
    pub links_per_address_max: usize,
    /// A link that carried no payload for this long makes room for a newcomer where there is none (threat-model P12).
    pub idle_after: Duration,
    /// A leecher to whom nothing has come for this long looks for others than it has met (threat-model P12).
    pub starving_after: Duration,
    /// A link between two seeds is closed when it has carried nothing for this long.
    pub seed_pair_life: Duration,
    /// Peers remembered as seeds, which are not answered while we are one too.
    pub seeds_remembered_max: usize,
    /// Proven liars at one address after which it gets no more links: a household may have one, or two.
    pub liars_per_address_max: usize,
    /// Addresses of liars remembered, and of closed links, whose peers may yet be proven liars.
    pub addresses_remembered_max: usize,
    /// Remote offers being answered, of one torrent (threat-model W2; libtorrent's number).
    pub answering_per_torrent_max: usize,
    /// Remote offers being answered, of all torrents (threat-model W2).
    pub answering_max: usize,
    /// Remote offers a torrent takes from one tracker at once: all its links may come so.
    pub remote_offers_burst: u32,
    /// And one more each time this has passed: all its links anew in an announce interval.
    pub remote_offer_every: Duration,

    /// Bytes of `bufferedAmount` above which a link is sent nothing more: Chrome closes a channel at 16 MiB.
    pub link_buffer_high: usize,
    /// Bytes of `bufferedAmount` at which the driver reports `LinkDrained`.
    pub link_buffer_low: usize,
    /// Who takes no message of so many bytes, as it says, is not connected to: each block would become thousands.
    pub message_bytes_min: usize,
    /// Bytes of one data-channel message: anacrolix reads through 128 KiB, libtorrent refuses over 64 KiB where the
    /// SDP says nothing, and a bare channel is fastest from 64 KiB on.
    pub message_bytes_max: usize,
    /// The same towards our own kind, which takes what the browser takes: each message less costs both sides time.
    pub message_bytes_max_own: usize,

    /// Only relayed candidates leave us: our address is nobody's business (threat-model V2).
    pub relay_only: bool,
    /// An announced offer may be answered for this long: webtorrent.js gives its own as much.
    pub offer_life: Duration,
    /// An unanswered offer is announced again until it is this old: browsers keep its candidates alive.
    pub offer_age_max: Duration,
    /// An offer that has no answer after this long has probably reached nobody.
    pub offer_hope: Duration,
    /// When nothing was heard of the driver for this long, it slept; background pages are woken once a minute.
    pub sleep_gap: Duration,
    /// Changes of the network within this time are one.
    pub network_change_min: Duration,
    /// After a change of the network, trackers are connected within this time, spread evenly.
    pub network_jitter: Duration,
    /// From an answer to the open channel: webtorrent.js's figure.
    pub connect_timeout: Duration,
    /// Of two links that one peer offered, it closes the newer within this long; else we do.
    pub duplicate_patience: Duration,
    /// From the open channel to the handshake: webtorrent.js's figure.
    pub handshake_timeout: Duration,
    /// A link that sent nothing for this long is dead: keep-alives come every 60 s or so.
    pub silence_timeout: Duration,
    /// A keep-alive is sent after this long without sending: libtorrent drops a silent peer at 120 s.
    pub keep_alive: Duration,

    /// Offers in one announce: webtorrent.js sends 5.
    pub offers_per_announce: usize,
    /// An announce waits this long for offers that are being made: candidates take up to seconds to gather.
    pub offers_patience: Duration,
    /// How long a first announce waits for its offer.
    pub offer_patience: Duration,
    /// Bytes of session descriptions in one announce: aquatic takes frames of 16 KiB.
    pub offers_bytes_max: usize,
    /// Links a torrent strives for; more are accepted up to `links_per_torrent_max`.
    pub links_wanted: usize,
    /// Longest time between announces: proxies cut sockets that are idle for 100 s (protocol.md §1.12).
    pub announce_interval_max: Duration,
    /// Shortest time between announces that nothing urges: the good manners of public trackers.
    pub announce_interval_min: Duration,
    /// The same for a leecher that has lost its last peer, or has met only few, and nobody of use.
    pub announce_again: Duration,
    /// Within this time a tracker is connected again; doubles with each failure, and is spread evenly.
    pub reconnect_min: Duration,
    /// Longest wait before a tracker is connected again.
    pub reconnect_max: Duration,
    /// No tracker can send us away for longer.
    pub reconnect_hint_max: Duration,

    /// Blocks asked of a link before anything came from it.
    pub pipeline_first: usize,
    /// Blocks asked of a link that says nothing of its queue (BEP 10 `reqq`): libtorrent's default.
    pub pipeline_default_max: usize,
    /// Blocks asked of any link, and queued for any: 8 MiB, which fills 80 ms at 100 MB/s. Announced as `reqq`.
    pub request_queue_max: usize,
    /// How much of a link's rate is asked ahead, besides two delays: enough for a tab whose timers the browser slows down.
    pub pipeline_span: Duration,
    /// The same while a film plays: what is under way delays what the next jump needs.
    pub pipeline_span_playing: Duration,
    /// A link's delay is the least in a window of this length and the one before: paths change.
    pub delay_window: Duration,
    /// A request of more bytes than this closes the link (webtorrent.js's figure).
    pub request_bytes_max: u32,
    /// Messages other than blocks, requests and news of pieces, in a second, beyond which a link is closed
    /// (threat-model P4).
    pub control_per_second_max: u32,
    /// Messages that set anew what a peer has: bitfields, have-alls, a seed's losses. Each costs work for every piece.
    pub has_resets_max: u32,
    /// A cancelled block is not asked of the same link again for this long: it may be on its way.
    pub cancelled_life: Duration,
    /// A cancelled block that comes within this long was on its way, however slow the link is: nobody is blamed.
    pub cancelled_memory: Duration,
    /// After an offer could not be made, none is tried for this long.
    pub offer_pause: Duration,
    /// `interested` is said again after this long without an unchoke (protocol.md §3.3).
    pub interested_again: Duration,
    /// A link that rejected a request is asked for nothing for this long.
    pub reject_pause: Duration,
    /// Invalid requests after which a link is closed (libtorrent's number).
    pub invalid_requests_max: u32,
    /// Bytes nobody asked for after which a link is closed (threat-model P6).
    pub waste_max: u64,
    /// A block needed at once is asked of a second link after this long.
    pub urgent_late: Duration,
    /// Or at once, if the first link is expected to bring it later than in twice the second one's time and this.
    pub steal_gain: Duration,
    /// Any block is asked of a second link after this long, when nothing else is left to ask for.
    pub endgame_late: Duration,
    /// A link that delivers nothing it was asked for in this long is snubbed: its blocks are asked of others.
    pub snub_after: Duration,
    /// And dropped after this long. webtorrent.js drops us at 30 s.
    pub stuck_after: Duration,
    /// Peers unchoked at once, at least and at first, if so many want to download: many slots make a slow first piece for
    /// everybody, and so a slow start for a flash crowd.
    pub upload_slots_min: usize,
    /// And at most, however much the links take: each has up to a megabyte in its channel.
    pub upload_slots_max: usize,
    /// Places beyond the slots for peers that are interested for the first time (protocol.md §3.5).
    pub newcomer_slots: usize,
    /// The n-th slot must move n times this many bytes per second: 2 MB/s make 11 slots, 10 MB/s make 25.
    pub slot_rate_step: u64,
    /// Time between two rounds of choking (BEP 3).
    pub rechoke_every: Duration,
    /// Optimistic slots are drawn anew after this long (BEP 3).
    pub optimistic_every: Duration,
    /// Nobody is choked sooner than this after being unchoked: a link needs seconds to come up to speed.
    pub choke_min: Duration,
    /// A seed's slot goes to somebody who waits after this long.
    pub seed_turn: Duration,
    /// Or after this many bytes.
    pub seed_turn_bytes: u64,
    /// Pieces of an allowed-fast set (BEP 6's example).
    pub allowed_fast_pieces: usize,
    /// And no more bytes than this, or one piece: they are served to who is choked.
    pub allowed_fast_bytes: u64,
    /// Allowed-fast pieces remembered of a peer (webtorrent.js's figure).
    pub allowed_fast_heard_max: usize,
    /// What a choking peer allows is asked for after this long: mostly it unchokes us sooner, and then what it happened
    /// to allow would stand before what is wanted first.
    pub allowed_fast_after: Duration,
    /// A super-seeder shows a peer the next piece after this long even if nobody else has got the last one from it.
    pub super_seed_patience: Duration,

    /// Bytes of an info dictionary (threat-model P7).
    pub metadata_bytes_max: u32,
    /// A metadata block is asked of another peer after this long.
    pub metadata_late: Duration,
    /// Until so many pieces are verified, any will do: the rarest come slowly (libtorrent's number).
    pub random_first_pieces: u32,
    /// A suspect piece, which comes from one link alone, is asked of another after this long, and then twice that.
    pub sole_source_patience: Duration,
    /// Failures of one piece after which no good source is thought to be here (threat-model F6).
    pub bad_rounds_max: u32,
    /// The first pause of such a piece; doubles with each further failure.
    pub bad_piece_pause: Duration,
    /// The longest.
    pub bad_piece_pause_max: Duration,
    /// Bytes of partial pieces of one torrent beyond which only urgent pieces are begun.
    pub partial_bytes_max: usize,
    /// Bytes of verified pieces kept in memory for players and peers, of one torrent.
    pub cache_bytes_max: usize,
    /// Bytes of stored pieces hashed in one go after a restart, so that the worker stays responsive.
    pub check_bytes_at_once: usize,

    /// Fetches at once of one web seed (webtorrent.js's number), more than one only for what is urgent.
    pub web_fetches_max: usize,
    /// Bytes of consecutive pieces fetched at a time from a web seed that has yet to show what it can.
    pub web_run_bytes_min: u64,
    /// And from one that is fast: a request is cheap against this, and what is begun stays in memory.
    pub web_run_bytes_max: u64,
    /// Between the two, so much of a web seed's rate is fetched at a time: it can't be turned to something else meanwhile
    /// but by breaking off.
    pub web_run_span: Duration,
    /// The next run begins when this much of a web seed's rate is left of the last: a request takes a round trip.
    pub web_overlap: Duration,
    /// Bytes of a file that are read for nothing to get at what follows, where a server can't serve parts.
    pub web_skip_bytes_max: u64,
    /// Zeros of padding files taken in at once, so that the worker stays responsive: torrents may claim terabytes of them.
    pub web_padding_bytes_at_once: u64,
    /// Bytes begun or not stored yet beyond which only what is urgent is fetched from web seeds.
    pub web_unstored_bytes_max: usize,
    /// A fetch that brings nothing for this long has failed.
    pub web_stall_timeout: Duration,
    /// A web seed that failed rests this long first; doubles, with jitter.
    pub web_rest_min: Duration,
    /// And this long at most.
    pub web_rest_max: Duration,

    /// Media is handed to the player until it is this far ahead.
    pub play_ahead: Duration,
    /// And until this many bytes are ahead: Chrome's SourceBuffers hold 150 MB of video and 12 MB of audio.
    pub play_ahead_bytes: usize,
    /// A player that has less than this ahead waits for what comes next; one that has more leaves it to the usual order.
    pub play_comfort: Duration,
    /// What the player reaches within this time is fetched in order, what it reaches later rarest first.
    pub play_soon: Duration,
    /// A player that has all it may have ahead and has not moved for this long is paused: nothing is fetched for it.
    pub play_paused: Duration,
    /// Bytes behind the wanted ones that are fetched before anything else.
    pub ahead_bytes: u64,
    /// The first of those are as urgent as the wanted ones.
    pub urgent_bytes: u64,
    /// Bytes of one `Deliver`.
    pub deliver_bytes_max: usize,
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            torrents_max: 100,
            links_per_torrent_max: 55,
            links_max: 150,
            links_reserved: 30,
            links_first: 5,
            links_per_address_max: 14,
            idle_after: seconds(120),
            starving_after: seconds(10),
            seed_pair_life: seconds(10),
            seeds_remembered_max: 200,
            liars_per_address_max: 3,
            addresses_remembered_max: 1000,
            answering_per_torrent_max: 10,
            answering_max: 30,
            remote_offers_burst: 55,
            remote_offer_every: Duration::from_millis(1600),
            relay_only: false,
            link_buffer_high: 1 << 20,
            link_buffer_low: 256 << 10,
            message_bytes_min: 1 << 10,
            message_bytes_max: 64 << 10,
            message_bytes_max_own: 256 << 10,
            offer_life: seconds(50),
            offer_age_max: seconds(180),
            offer_hope: seconds(15),
            sleep_gap: seconds(75),
            network_change_min: seconds(5),
            network_jitter: seconds(1),
            connect_timeout: seconds(25),
            duplicate_patience: seconds(5),
            handshake_timeout: seconds(25),
            silence_timeout: seconds(150),
            keep_alive: seconds(55),
            offers_per_announce: 5,
            offers_patience: seconds(2),
            offer_patience: seconds(6),
            offers_bytes_max: 14 << 10,
            links_wanted: 30,
            announce_interval_max: seconds(90),
            announce_interval_min: seconds(20),
            announce_again: seconds(5),
            reconnect_min: seconds(2),
            reconnect_max: seconds(30),
            reconnect_hint_max: seconds(120),
            pipeline_first: 8,
            pipeline_default_max: 250,
            request_queue_max: 512,
            pipeline_span: seconds(1),
            pipeline_span_playing: Duration::from_millis(20),
            delay_window: seconds(10),
            request_bytes_max: 128 << 10,
            control_per_second_max: 2000,
            has_resets_max: 16,
            cancelled_life: seconds(2),
            cancelled_memory: seconds(120),
            offer_pause: seconds(5),
            interested_again: seconds(8),
            reject_pause: Duration::from_millis(500),
            invalid_requests_max: 300,
            waste_max: 1 << 20,
            urgent_late: seconds(1),
            steal_gain: Duration::from_millis(100),
            endgame_late: seconds(2),
            snub_after: seconds(10),
            stuck_after: seconds(60),
            upload_slots_min: 4,
            upload_slots_max: 40,
            newcomer_slots: 4,
            slot_rate_step: 4 << 10,
            rechoke_every: seconds(10),
            optimistic_every: seconds(30),
            choke_min: seconds(10),
            seed_turn: seconds(60),
            seed_turn_bytes: 16 << 20,
            allowed_fast_pieces: 10,
            allowed_fast_bytes: 1 << 20,
            allowed_fast_heard_max: 100,
            allowed_fast_after: seconds(2),
            super_seed_patience: seconds(10),
            metadata_bytes_max: 8 << 20,
            metadata_late: seconds(3),
            random_first_pieces: 4,
            sole_source_patience: seconds(5),
            bad_rounds_max: 3,
            bad_piece_pause: seconds(1),
            bad_piece_pause_max: seconds(60),
            partial_bytes_max: 64 << 20,
            cache_bytes_max: 32 << 20,
            check_bytes_at_once: 8 << 20,
            web_fetches_max: 4,
            web_run_bytes_min: 1 << 20,
            web_run_bytes_max: 16 << 20,
            web_run_span: seconds(4),
            web_overlap: Duration::from_millis(300),
            web_skip_bytes_max: 64 << 20,
            web_padding_bytes_at_once: 4 << 20,
            web_unstored_bytes_max: 32 << 20,
            web_stall_timeout: seconds(20),
            web_rest_min: seconds(2),
            web_rest_max: seconds(300),
            play_ahead: seconds(30),
            play_ahead_bytes: 24 << 20,
            play_comfort: seconds(8),
            play_soon: seconds(10),
            play_paused: seconds(5),
            ahead_bytes: 16 << 20,
            urgent_bytes: 512 << 10,
            deliver_bytes_max: 1 << 20,
        }
    }
}

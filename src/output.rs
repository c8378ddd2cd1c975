//! What comes out of the engine: `Action`s that the driver must carry out, and `Event`s that it may ignore.

use std::ops::Range;
use std::time::Duration;

use crate::ids::{FetchId, InfoHash, LinkId, PeerId, PlayId, ReadId, SocketId, TorrentId};
use crate::media::Track;

/// One thing the engine says. Drained with `Engine::poll` until `None`.
#[derive(Clone, Debug)]
pub enum Output {
    /// Must be done, in order.
    Do(Action),
    /// May be ignored.
    Tell(Event),
}

/// What the driver must do. None of these can fail on the spot: what went wrong comes back as an `Input`.
#[derive(Clone, Debug)]
pub enum Action {
    /// Connect a WebSocket to a tracker. → `SocketOpened` or `SocketClosed`
    OpenSocket {
        /// Its name from now on.
        socket: SocketId,
        /// `ws:` or `wss:`.
        url: String,
    },
    /// Send a text message.
    SendText {
        /// Which socket.
        socket: SocketId,
        /// JSON.
        text: String,
    },
    /// Close a WebSocket. No `SocketClosed` is needed.
    CloseSocket(SocketId),

    /// Make a connection with a data channel and an offer, candidates gathered. → `OfferReady` or `LinkClosed`
    Offer(LinkId),
    /// Make a connection that takes this remote offer. → `AnswerReady` or `LinkClosed`
    Answer {
        /// Its name from now on.
        link: LinkId,
        /// The offer.
        sdp: String,
    },
    /// The remote answer to our offer. → `LinkOpened` or `LinkClosed`
    Accept {
        /// Which link.
        link: LinkId,
        /// The answer.
        sdp: String,
    },
    /// Send one binary message, of at most the link's `message_max` bytes. → later `LinkDrained`
    Send {
        /// Which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close a connection and free it. No `LinkClosed` is needed.
    CloseLink(LinkId),

    /// Fetch over HTTP: GET, no header but `Range`, no cookies, no referrer, no cache. → `FetchAnswered`, `FetchData`…,
    /// `FetchEnded`, or `FetchFailed` at any time. Body bytes are read no faster than the engine takes them.
    Fetch {
        /// Its name from now on.
        fetch: FetchId,
        /// `http:` or `https:`.
        url: String,
        /// Bytes to ask for; `None` for all.
        range: Option<Range<u64>>,
    },
    /// Abort a fetch. No `FetchFailed` is needed.
    CancelFetch(FetchId),

    /// Look for what is stored under this info hash. → `StoreOpened`
    OpenStore {
        /// Its torrent from now on.
        torrent: TorrentId,
        /// The key.
        info_hash: InfoHash,
    },
    /// The metadata is known: keep it, and make room for the content.
    SizeStore {
        /// Which torrent.
        torrent: TorrentId,
        /// The info dictionary's bytes, to be stored.
        info: Vec<u8>,
        /// Bytes of content.
        length: u64,
        /// Bytes per piece (the last may be shorter).
        piece_length: u32,
    },
    /// Store a verified piece, and note it in the stored bitfield after the data. → `Stored` or `StoreFailed`
    Store {
        /// Which torrent.
        torrent: TorrentId,
        /// Piece index.
        piece: u32,
        /// The whole piece.
        bytes: Vec<u8>,
    },
    /// Read a whole piece back. → `Loaded` or `LoadFailed`
    Load {
        /// Which torrent.
        torrent: TorrentId,
        /// Piece index.
        piece: u32,
        /// Byte offset in the content: piece index × piece length.
        offset: u64,
        /// Bytes.
        length: u32,
    },
    /// Close the store.
    CloseStore {
        /// Which torrent.
        torrent: TorrentId,
        /// Also delete what is in it.
        forget: bool,
    },

    /// The file's tracks are known: which can be played? → `MediaSupport`
    OpenMedia {
        /// Which play.
        play: PlayId,
        /// Every track, in file order.
        tracks: Vec<Track>,
        /// Length of the presentation, where the file says.
        duration: Option<Duration>,
    },
    /// Make one SourceBuffer of this type (`video/mp4; codecs="avc1.64001f, mp4a.40.2"`).
    OpenBuffer {
        /// Which play.
        play: PlayId,
        /// For `MediaSource.addSourceBuffer`.
        mime: String,
    },
    /// Append to the SourceBuffer. Appends of an older generation than the newest `Seek` was answered with are stale.
    Append {
        /// Which play.
        play: PlayId,
        /// Counts the seeks; starts at 0. When it grows: abort the parser, drop queued appends.
        generation: u32,
        /// An init segment, or media.
        bytes: Vec<u8>,
        /// Set `SourceBuffer.timestampOffset` to this many microseconds first (raw MP3 after a seek).
        timestamp_offset: Option<i64>,
    },
    /// Everything to the end has been appended: `MediaSource.endOfStream`.
    EndMedia {
        /// Which play.
        play: PlayId,
        /// The generation it belongs to.
        generation: u32,
    },

    /// The next bytes of a read.
    Deliver {
        /// Which read.
        read: ReadId,
        /// In order, never more than the credit.
        bytes: Vec<u8>,
        /// These are the last.
        last: bool,
    },
}

/// What happened, for the user to see.
#[derive(Clone, Debug)]
pub enum Event {
    /// The metadata is known and checked: `Engine::metainfo` answers from now on.
    Ready(TorrentId),
    /// Every piece is verified.
    Done(TorrentId),
    /// A handshake succeeded.
    PeerJoined {
        /// Which torrent.
        torrent: TorrentId,
        /// Which link.
        link: LinkId,
        /// The id from its handshake.
        peer_id: PeerId,
    },
    /// A link is gone.
    PeerLeft {
        /// Which torrent.
        torrent: TorrentId,
        /// Which link.
        link: LinkId,
        /// A word for a person: why.
        reason: &'static str,
    },
    /// Something is wrong, and the torrent goes on.
    Warning {
        /// Which torrent.
        torrent: TorrentId,
        /// For programs, e.g. `tracker-failure`, `storage-full`, `bad-piece`, `no-good-source`.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// The torrent can't go on: its metadata is what the info hash names, and makes no sense.
    Failed {
        /// Which torrent.
        torrent: TorrentId,
        /// For programs: `bad-torrent`.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// A play can't go on. The file can still be saved.
    PlayFailed {
        /// Which play.
        play: PlayId,
        /// For programs, e.g. `unsupported-codec`, `unsupported-container`, `broken-media`.
        code: &'static str,
        /// For a person; names the codec.
        message: String,
    },
}

/// What the driver may show of a torrent; see `Engine::stats`. Bytes and bytes per second.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Verified bytes of the content; 0 while the metadata is unknown.
    pub verified: u64,
    /// Length of the content; 0 while the metadata is unknown.
    pub length: u64,
    /// Verified bytes of each file.
    pub files_verified: Vec<u64>,
    /// Payload bytes received.
    pub downloaded: u64,
    /// Payload bytes sent.
    pub uploaded: u64,
    /// Over the last seconds.
    pub download_speed: u64,
    /// Over the last seconds.
    pub upload_speed: u64,
    /// Bytes received that were not asked for, came twice or failed their hash.
    pub wasted: u64,
    /// Trackers with an open socket that have answered.
    pub trackers_working: usize,
    /// Trackers in all.
    pub trackers: usize,
    /// Links being negotiated.
    pub connecting: usize,
    /// Peers whose handshake succeeded.
    pub peers: Vec<PeerStats>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<WebSeedStats>,
}

/// What the driver may show of a web seed.
#[derive(Clone, Debug)]
pub struct WebSeedStats {
    /// Its address.
    pub url: String,
    /// What it does.
    pub state: WebSeedState,
    /// Payload bytes from it.
    pub downloaded: u64,
    /// Over the last seconds.
    pub download_speed: u64,
}

/// What a web seed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSeedState {
    /// Nothing is asked of it.
    Idle,
    /// It is asked for something.
    Fetching,
    /// It failed, and is left alone for a while.
    Resting,
    /// It sent data that fails its hash, or can't be reached from this page: it is not asked again.
    Off,
}

/// What the driver may show of a peer.
#[derive(Clone, Debug)]
pub struct PeerStats {
    /// Which link.
    pub link: LinkId,
    /// The id from its handshake.
    pub peer_id: PeerId,
    /// What it runs: the name it gave (BEP 10 `v`), or what its id says (BEP 20).
    pub client: String,
    /// The part of the content it has, 0 to 1.
    pub progress: f64,
    /// Payload bytes from it.
    pub downloaded: u64,
    /// Payload bytes to it.
    pub uploaded: u64,
    /// Over the last seconds.
    pub download_speed: u64,
    /// Over the last seconds.
    pub upload_speed: u64,
    /// It lets us download.
    pub unchoked_us: bool,
    /// It wants to download from us.
    pub interested_in_us: bool,
}

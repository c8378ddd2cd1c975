//! What goes into the engine: a user's wishes (`Command`, may be refused) and facts (`Input`, cannot fail).

use std::ops::Range;
use std::time::Duration;

use crate::ids::{FetchId, LinkId, PlayId, ReadId, SocketId, TorrentId};
use crate::metainfo::Metainfo;

/// A user's wish. `Engine::command` answers with a `Reply`, or says in an `Error` why not.
#[derive(Clone, Debug)]
pub enum Command {
    /// Join a swarm. The same info hash twice gives the same torrent, its trackers merged.
    Add {
        /// What names the swarm.
        source: Source,
        /// Announce to these WebSocket trackers (`ws:` or `wss:`) besides those the source names.
        trackers: Vec<String>,
        /// Fetch from these web servers (BEP 19; `http:` or `https:`) besides those the source names.
        web_seeds: Vec<String>,
    },
    /// Serve content that the driver has in full: its store answers every `Load` of this torrent from now on. A
    /// download of the same content becomes complete.
    Seed {
        /// Made by `metainfo::Builder` from the content.
        metainfo: Box<Metainfo>,
        /// Announce to these besides those the metainfo names.
        trackers: Vec<String>,
        /// Show each peer one piece at a time until every piece is somewhere else, too (BEP 16): the first copy then
        /// costs little more than its size. Has no effect on a torrent whose metadata is known already.
        super_seed: bool,
    },
    /// Leave the swarm. Plays and reads of the torrent end.
    Remove {
        /// Which torrent.
        torrent: TorrentId,
        /// Also delete what is stored of it.
        forget: bool,
    },
    /// Play a file from its start. Waits for metadata if there is none yet.
    Play {
        /// Which torrent.
        torrent: TorrentId,
        /// Index in `Metainfo::files`; `None` picks the largest file that looks playable.
        file: Option<usize>,
    },
    /// End a play.
    Stop {
        /// Which play.
        play: PlayId,
    },
    /// Read a byte range of a file, in order, as it becomes available.
    Read {
        /// Which torrent.
        torrent: TorrentId,
        /// Index in `Metainfo::files`.
        file: usize,
        /// Bytes of the file, clamped to its length.
        range: Range<u64>,
    },
    /// Allow a read to deliver this many bytes more. A read starts with no credit.
    ReadMore {
        /// Which read.
        read: ReadId,
        /// Bytes.
        credit: u64,
    },
    /// End a read.
    CloseRead {
        /// Which read.
        read: ReadId,
    },
}

/// What names a swarm.
#[derive(Clone, Debug)]
pub enum Source {
    /// A magnet link, or a bare info hash (40 hex or 32 base32 characters).
    Text(String),
    /// The bytes of a `.torrent` file.
    Torrent(Vec<u8>),
}

/// The answer to a `Command`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Add` and `Seed`.
    Torrent(TorrentId),
    /// To `Play`.
    Play(PlayId),
    /// To `Read`.
    Read(ReadId),
    /// To the others.
    Done,
}

/// A fact from outside. One with an unknown id is late, not wrong, and is dropped.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// `Engine::wake_at` has come.
    Wake,

    /// The machine has another network, or has one again: addresses may have changed, and connections may be dead.
    NetworkChanged,

    /// A tracker's WebSocket is open.
    SocketOpened(SocketId),
    /// A text message from a tracker.
    SocketText(SocketId, &'a str),
    /// A tracker's WebSocket failed or closed.
    SocketClosed {
        /// Which.
        socket: SocketId,
        /// Of the close frame (RFC 6455 §7.1.5); 1006 where there was none.
        code: u16,
        /// Of the close frame (RFC 6455 §7.1.6); empty where there was none.
        reason: &'a str,
    },

    /// Our offer asked for by `Action::Offer`: its SDP, candidates gathered.
    OfferReady(LinkId, &'a str),
    /// Our answer asked for by `Action::Answer`: its SDP, candidates gathered.
    AnswerReady(LinkId, &'a str),
    /// The data channel is open.
    LinkOpened {
        /// Which link.
        link: LinkId,
        /// The largest message the other side takes, bytes (`a=max-message-size`; 65,536 where it says nothing).
        message_max: usize,
    },
    /// A binary message from a data channel: the next bytes of the stream.
    LinkData(LinkId, &'a [u8]),
    /// The channel's `bufferedAmount` is at or below `Limits::link_buffer_low` again, or was when looked at.
    LinkDrained {
        /// Which link.
        link: LinkId,
        /// `bufferedAmount`, bytes.
        buffered: usize,
    },
    /// ICE gets no answers from the other side for now (`disconnected`), or gets them again.
    LinkReachable {
        /// Which link.
        link: LinkId,
        /// It gets answers.
        reachable: bool,
    },
    /// The connection failed or closed, or could not be made.
    LinkClosed(LinkId),

    /// The headers of a fetch's response are here.
    FetchAnswered {
        /// Which fetch.
        fetch: FetchId,
        /// What they say.
        answer: Answer<'a>,
    },
    /// The next bytes of a fetch's body.
    FetchData(FetchId, &'a [u8]),
    /// A fetch's body has ended.
    FetchEnded(FetchId),
    /// A fetch failed: before its answer, or in the middle of its body.
    FetchFailed(FetchId, FetchFailure),

    /// The store asked for by `Action::OpenStore` is there, with what an earlier session left.
    StoreOpened {
        /// Which torrent.
        torrent: TorrentId,
        /// The stored info dictionary's bytes, if any. Checked against the info hash before use.
        info: Option<&'a [u8]>,
        /// The stored bitfield (BEP 3 layout), if any. A hint: every piece is hashed before it counts.
        have: Option<&'a [u8]>,
    },
    /// A piece given by `Action::Store` is stored.
    Stored(TorrentId, u32),
    /// A piece could not be stored: the quota is used up, or the disk failed.
    StoreFailed(TorrentId, u32),
    /// A piece asked for by `Action::Load`, whole.
    Loaded(TorrentId, u32, &'a [u8]),
    /// A piece could not be read back (deleted under us, or a file that changed).
    LoadFailed(TorrentId, u32),

    /// Which tracks of `Action::OpenMedia` the browser can play, in order.
    MediaSupport(PlayId, &'a [bool]),
    /// Where the player stands. Sent at most 4 times a second, and after each append that was waited for.
    Position {
        /// Which play.
        play: PlayId,
        /// `currentTime`.
        time: Duration,
        /// End of the buffered range that holds `time`; `time` itself if none does.
        buffered_to: Duration,
    },
    /// The user jumped to a time that is not buffered. Answered by `Append`s of a new generation.
    Seek {
        /// Which play.
        play: PlayId,
        /// The wanted time.
        to: Duration,
    },
}

/// The headers of an HTTP response, as far as the browser lets them be read.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// E.g. 206.
    pub status: u16,
    /// `Content-Range`, where it can be read.
    pub content_range: Option<&'a str>,
    /// `Content-Length` of a body that is not encoded, where it can be read; bytes.
    pub content_length: Option<u64>,
    /// The address that answered, after redirects.
    pub url: &'a str,
}

/// Why a fetch failed, as far as a browser tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The network, the server, or a server that does not let pages of other origins read (CORS): a browser says not
    /// which.
    Network,
    /// Nothing was tried, nor ever will be: an `http:` address from an `https:` page.
    Blocked,
}

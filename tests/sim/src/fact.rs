//! An engine's `Input` that waits in the queue: the same facts, owning their bytes.

use std::time::Duration;

use swarmreel::engine::{Answer, FetchFailure, Input};
use swarmreel::ids::{FetchId, LinkId, PlayId, SocketId, TorrentId};

/// See `Input`, whose variants these are.
#[expect(missing_docs, reason = "documented at `Input`")]
#[derive(Clone, Debug)]
pub enum Fact {
    SocketOpened(SocketId),
    SocketText(SocketId, String),
    SocketClosed { socket: SocketId, code: u16, reason: String },
    OfferReady(LinkId, String),
    AnswerReady(LinkId, String),
    LinkOpened { link: LinkId, message_max: usize },
    LinkData(LinkId, Vec<u8>),
    LinkDrained { link: LinkId, buffered: usize },
    LinkClosed(LinkId),
    FetchAnswered { fetch: FetchId, status: u16, content_range: Option<String>, content_length: u64 },
    FetchData(FetchId, Vec<u8>),
    FetchEnded(FetchId),
    FetchFailed(FetchId, FetchFailure),
    StoreOpened { torrent: TorrentId, info: Option<Vec<u8>>, have: Option<Vec<u8>> },
    Stored(TorrentId, u32),
    StoreFailed(TorrentId, u32),
    Loaded(TorrentId, u32, Vec<u8>),
    LoadFailed(TorrentId, u32),
    MediaSupport(PlayId, Vec<bool>),
    Position { play: PlayId, time: Duration, buffered_to: Duration },
    Seek { play: PlayId, to: Duration },
}

impl Fact {
    /// A WebSocket ends without a word.
    pub fn socket_lost(socket: SocketId) -> Self {
        Self::SocketClosed { socket, code: 1006, reason: String::new() }
    }

    /// The fact as the engine takes it.
    pub fn input(&self) -> Input<'_> {
        match self {
            Self::SocketOpened(socket) => Input::SocketOpened(*socket),
            Self::SocketText(socket, text) => Input::SocketText(*socket, text),
            Self::SocketClosed { socket, code, reason } => Input::SocketClosed { socket: *socket, code: *code, reason },
            Self::OfferReady(link, sdp) => Input::OfferReady(*link, sdp),
            Self::AnswerReady(link, sdp) => Input::AnswerReady(*link, sdp),
            Self::LinkOpened { link, message_max } => Input::LinkOpened { link: *link, message_max: *message_max },
            Self::LinkData(link, bytes) => Input::LinkData(*link, bytes),
            Self::LinkDrained { link, buffered } => Input::LinkDrained { link: *link, buffered: *buffered },
            Self::LinkClosed(link) => Input::LinkClosed(*link),
            Self::FetchAnswered { fetch, status, content_range, content_length } => {
                let (content_range, content_length) = (content_range.as_deref(), Some(*content_length));
                let answer = Answer { status: *status, content_range, content_length, url: "" };
                Input::FetchAnswered { fetch: *fetch, answer }
            }
            Self::FetchData(fetch, bytes) => Input::FetchData(*fetch, bytes),
            Self::FetchEnded(fetch) => Input::FetchEnded(*fetch),
            Self::FetchFailed(fetch, failure) => Input::FetchFailed(*fetch, *failure),
            Self::StoreOpened { torrent, info, have } => {
                Input::StoreOpened { torrent: *torrent, info: info.as_deref(), have: have.as_deref() }
            }
            Self::Stored(torrent, piece) => Input::Stored(*torrent, *piece),
            Self::StoreFailed(torrent, piece) => Input::StoreFailed(*torrent, *piece),
            Self::Loaded(torrent, piece, bytes) => Input::Loaded(*torrent, *piece, bytes),
            Self::LoadFailed(torrent, piece) => Input::LoadFailed(*torrent, *piece),
            Self::MediaSupport(play, playable) => Input::MediaSupport(*play, playable),
            Self::Position { play, time, buffered_to } => {
                Input::Position { play: *play, time: *time, buffered_to: *buffered_to }
            }
            Self::Seek { play, to } => Input::Seek { play: *play, to: *to },
        }
    }
}

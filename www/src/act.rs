//! What the engine says → what is done.
//!
//! Invariant: every `Action` is carried out at once or handed on in order, and what went wrong comes back as an
//! `Input`.

use swarmreel::engine::{Action, Event, Input};
use swarmreel::ids::{LinkId, TorrentId};

use crate::driver::Driver;
use crate::facts;
use crate::link::Sent;
use crate::protocol::ToPage;

impl Driver {
    /// Carries out an action.
    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::OpenSocket { socket, url } => {
                if self.sockets.open(socket, &url).is_err() {
                    self.input(Input::SocketClosed { socket, code: 1006, reason: "" });
                }
            }
            Action::SendText { socket, text } => self.sockets.send(socket, &text),
            Action::CloseSocket(socket) => self.sockets.close(socket),

            Action::Offer(link) => {
                self.links.begin(link, None);
                self.outbox.say(&ToPage::Offer { link: link.0 });
            }
            Action::Answer { link, sdp } => {
                self.links.begin(link, Some(&sdp));
                self.outbox.say(&ToPage::Answer { link: link.0, sdp });
            }
            Action::Accept { link, sdp } => {
                self.links.described(link, &sdp);
                self.outbox.say(&ToPage::Accept { link: link.0, sdp });
            }
            Action::Send { link, bytes } => self.send(link, &bytes),
            Action::CloseLink(link) => self.close_link(link),

            Action::Fetch { fetch, url, range } => self.fetches.begin(fetch, &url, range),
            Action::CancelFetch(fetch) => self.fetches.cancel(fetch),

            Action::OpenStore { torrent, info_hash } => self.stores.begin(torrent, info_hash),
            Action::SizeStore { torrent, .. } | Action::Store { torrent, .. } if self.stores.is_opening(torrent) => {
                self.stores.postpone(torrent, action);
            }
            Action::SizeStore { torrent, info, length, piece_length } => {
                self.stores.size(torrent, &info, length, piece_length);
            }
            Action::Store { torrent, piece, bytes } => self.store(torrent, piece, &bytes),
            Action::Load { torrent, piece, offset, length } => self.load(torrent, piece, offset, length),
            Action::CloseStore { torrent, forget } => self.stores.close(torrent, forget),

            Action::OpenMedia { play, tracks, duration } => self.outbox.say(&ToPage::OpenMedia {
                play: play.0,
                tracks: tracks.into_iter().map(|track| track.mime).collect(),
                duration: duration.map(|duration| duration.as_secs_f64()),
            }),
            Action::OpenBuffer { play, mime } => self.outbox.say(&ToPage::OpenBuffer { play: play.0, mime }),
            Action::Append { play, generation, bytes, timestamp_offset } => {
                let bytes = self.outbox.carry(&bytes);
                let timestamp_offset = timestamp_offset.map(|micros| micros as f64 / 1e6);
                self.outbox.say(&ToPage::Append { play: play.0, generation, bytes, timestamp_offset });
            }
            Action::EndMedia { play, generation } => self.outbox.say(&ToPage::EndMedia { play: play.0, generation }),
            Action::Deliver { read, bytes, last } => {
                let bytes = self.outbox.carry(&bytes);
                self.outbox.say(&ToPage::Deliver { read: read.0, bytes, last });
            }
        }
    }

    /// Passes an event on to the page.
    pub(crate) fn tell(&mut self, event: Event) {
        let message = match event {
            Event::Ready(torrent) => facts::ready(&self.engine, torrent),
            Event::Done(torrent) => {
                // Who has seen a film to its end may reload within the two seconds between saves.
                self.stores.save();
                Some(ToPage::Done { torrent: torrent.0 })
            }
            Event::PeerJoined { torrent, peer_id, .. } => {
                Some(ToPage::Peer { torrent: torrent.0, id: peer_id.to_hex() })
            }
            Event::PeerLeft { .. } => None,
            Event::Warning { torrent, code, message } => {
                Some(ToPage::Warning { torrent: torrent.0, code: code.to_owned(), message })
            }
            Event::Failed { torrent, code, message } => {
                Some(ToPage::Failed { torrent: torrent.0, code: code.to_owned(), message })
            }
            Event::PlayFailed { play, code, message } => {
                Some(ToPage::PlayFailed { play: play.0, code: code.to_owned(), message })
            }
        };
        if let Some(message) = message {
            self.outbox.say(&message);
        }
    }

    fn send(&mut self, link: LinkId, bytes: &[u8]) {
        match self.links.send(link, bytes) {
            // No `bufferedamountlow` fires for a buffer that was never above the mark.
            Sent::Buffered(buffered) if buffered <= self.limits.link_buffer_low => {
                self.input(Input::LinkDrained { link, buffered });
            }
            Sent::Buffered(_) | Sent::TooLate => {}
            Sent::ByPage => {
                let bytes = self.outbox.carry(bytes);
                self.outbox.say(&ToPage::LinkSend { link: link.0, bytes });
            }
            Sent::Failed => self.link_closed(link),
        }
    }

    /// A link has failed or closed.
    pub(crate) fn link_closed(&mut self, link: LinkId) {
        self.close_link(link);
        self.input(Input::LinkClosed(link));
    }

    fn close_link(&mut self, link: LinkId) {
        self.links.close(link);
        self.outbox.say(&ToPage::CloseLink { link: link.0 });
    }

    fn store(&mut self, torrent: TorrentId, piece: u32, bytes: &[u8]) {
        let input = match self.stores.put(torrent, piece, bytes) {
            Ok(()) => Input::Stored(torrent, piece),
            Err(_) => Input::StoreFailed(torrent, piece),
        };
        self.input(input);
    }
}

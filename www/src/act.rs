//! What the engine says → what is done.
//!
//! Invariant: every `Action` is carried out at once or handed on in order, and what went wrong comes back as an
//! `Input`.

use swarmreel::engine::{Action, Event, Input};
use swarmreel::ids::LinkId;

use crate::driver::Driver;
use crate::facts;
use crate::link::Sent;
use crate::protocol::ToPage;

impl Driver {
    /// Carries out an action.
    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::OpenSocket { .. } | Action::SendText { .. } | Action::CloseSocket(_) => self.act_on_socket(action),
            Action::Offer(_)
            | Action::Answer { .. }
            | Action::Accept { .. }
            | Action::Send { .. }
            | Action::CloseLink(_) => self.act_on_link(action),
            Action::OpenStore { .. }
            | Action::SizeStore { .. }
            | Action::Store { .. }
            | Action::Load { .. }
            | Action::CloseStore { .. } => self.act_on_store(action),
            Action::OpenMedia { .. }
            | Action::OpenBuffer { .. }
            | Action::Append { .. }
            | Action::EndMedia { .. }
            | Action::Deliver { .. } => self.pass_on(action),
        }
    }

    /// Passes an event on to the page.
    pub(crate) fn tell(&mut self, event: Event) {
        let message = match event {
            Event::Ready(torrent) => facts::ready(&self.engine, torrent),
            Event::Done(torrent) => Some(ToPage::Done { torrent: torrent.0 }),
            Event::PeerJoined { torrent, peer_id, .. } => {
                Some(ToPage::Peer { torrent: torrent.0, id: peer_id.to_hex() })
            }
            Event::PeerLeft { .. } => None,
            Event::Warning { torrent, code, message } => {
                Some(ToPage::Warning { torrent: torrent.0, code: code.to_owned(), message })
            }
            Event::PlayFailed { play, code, message } => {
                Some(ToPage::PlayFailed { play: play.0, code: code.to_owned(), message })
            }
        };
        if let Some(message) = message {
            self.outbox.say(&message);
        }
    }

    fn act_on_socket(&mut self, action: Action) {
        match action {
            Action::OpenSocket { socket, url } => {
                if self.sockets.open(socket, &url).is_err() {
                    self.input(Input::SocketClosed(socket));
                }
            }
            Action::SendText { socket, text } => self.sockets.send(socket, &text),
            Action::CloseSocket(socket) => self.sockets.close(socket),
            _ => unreachable!("not about a socket"),
        }
    }

    fn act_on_link(&mut self, action: Action) {
        match action {
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
            Action::CloseLink(link) => {
                self.links.close(link);
                self.outbox.say(&ToPage::CloseLink { link: link.0 });
            }
            _ => unreachable!("not about a link"),
        }
    }

    fn send(&mut self, link: LinkId, bytes: &[u8]) {
        match self.links.send(link, bytes) {
            // No `bufferedamountlow` fires for a buffer that was never above the mark.
            Sent::Buffered(buffered) if buffered <= self.limits.link_buffer_low => {
                self.input(Input::LinkDrained { link, buffered });
            }
            Sent::Buffered(_) => {}
            Sent::ByPage => {
                let bytes = self.outbox.carry(bytes);
                self.outbox.say(&ToPage::LinkSend { link: link.0, bytes });
            }
            Sent::Failed => self.link_closed(link),
        }
    }

    fn act_on_store(&mut self, action: Action) {
        match action {
            // What is seeded has its store from the start.
            Action::OpenStore { torrent, .. } if self.stores.contains(torrent) => {
                self.input(Input::StoreOpened { torrent, info: None, have: None });
            }
            Action::OpenStore { torrent, info_hash } => self.stores.begin(torrent, info_hash),
            Action::SizeStore { torrent, info, length, piece_length } => {
                self.stores.size(torrent, &info, length, piece_length);
            }
            Action::Store { torrent, piece, bytes } => {
                let input = match self.stores.put(torrent, piece, &bytes) {
                    Ok(()) => Input::Stored(torrent, piece),
                    Err(_) => Input::StoreFailed(torrent, piece),
                };
                self.input(input);
            }
            Action::Load { torrent, piece, offset, length } => self.load(torrent, piece, offset, length),
            Action::CloseStore { torrent, forget } => self.stores.close(torrent, forget),
            _ => unreachable!("not about a store"),
        }
    }

    /// What only the page can do.
    fn pass_on(&mut self, action: Action) {
        let message = match action {
            Action::OpenMedia { play, tracks, duration } => ToPage::OpenMedia {
                play: play.0,
                tracks: tracks.into_iter().map(|track| track.mime).collect(),
                duration: duration.map(|duration| duration.as_secs_f64()),
            },
            Action::OpenBuffer { play, mime } => ToPage::OpenBuffer { play: play.0, mime },
            Action::Append { play, generation, bytes, timestamp_offset } => ToPage::Append {
                play: play.0,
                generation,
                bytes: self.outbox.carry(&bytes),
                timestamp_offset: timestamp_offset.map(|micros| micros as f64 / 1e6),
            },
            Action::EndMedia { play, generation } => ToPage::EndMedia { play: play.0, generation },
            Action::Deliver { read, bytes, last } => {
                ToPage::Deliver { read: read.0, bytes: self.outbox.carry(&bytes), last }
            }
            _ => unreachable!("not for the page"),
        };
        self.outbox.say(&message);
    }
}

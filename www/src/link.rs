//! Data channels: transferred into the worker, or left on the page, which then forwards their bytes.
//!
//! Invariant: a link is told `LinkOpened` once, when its channel is open and the other side's message limit is known;
//! what it is sent while it has no channel is lost with it, for the page has then reported its end.

use std::collections::BTreeMap;

use swarmreel::engine::Input;
use swarmreel::ids::LinkId;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

use crate::driver;

type Listener = Closure<dyn FnMut(MessageEvent)>;

/// What a description without `a=max-message-size` stands for (RFC 8841 §6.1).
const MESSAGE_MAX_DEFAULT: usize = 65_536;

/// Every connection, from offer or answer to close.
#[derive(Default)]
pub(crate) struct Links {
    open: BTreeMap<LinkId, Link>,
    /// The channel of the offer that was made ahead.
    spare: Option<RtcDataChannel>,
}

struct Link {
    path: Path,
    /// Known once the other side has described itself.
    message_max: Option<usize>,
    channel_open: bool,
    told: bool,
    /// What came before the channel was open here; the other side's may open first.
    early: Vec<JsValue>,
}

enum Path {
    /// No channel yet.
    None,
    Here(Channel),
    OnPage,
}

struct Channel {
    channel: RtcDataChannel,
    _listeners: [Listener; 4],
}

/// What became of a message.
pub(crate) enum Sent {
    /// It is in the channel's buffer, which now holds so many bytes.
    Buffered(usize),
    /// The page has to send it.
    ByPage,
    /// The channel does not take it.
    Failed,
    /// The link is gone, which the engine has heard.
    TooLate,
}

impl Links {
    /// The engine has asked for a connection. `remote` is the other side's description, if it came first.
    pub(crate) fn begin(&mut self, id: LinkId, remote: Option<&str>) {
        let message_max = remote.map(message_max);
        self.open
            .insert(id, Link { path: Path::None, message_max, channel_open: false, told: false, early: Vec::new() });
    }

    /// The other side has described itself.
    pub(crate) fn described(&mut self, id: LinkId, remote: &str) {
        if let Some(link) = self.open.get_mut(&id) {
            link.message_max = Some(message_max(remote));
        }
    }

    /// Keeps the channel of an offer made ahead.
    pub(crate) fn keep_spare(&mut self, channel: RtcDataChannel) {
        self.spare = Some(channel);
    }

    /// Gives the spare channel to a link.
    pub(crate) fn take_spare(&mut self, id: LinkId, low: usize) {
        if let Some(channel) = self.spare.take() {
            self.attach(id, channel, low);
        }
    }

    /// Gives a link its channel. A link that the engine has closed meanwhile closes it.
    pub(crate) fn attach(&mut self, id: LinkId, channel: RtcDataChannel, low: usize) {
        let Some(link) = self.open.get_mut(&id) else {
            channel.close();
            return;
        };
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(u32::try_from(low).unwrap_or(u32::MAX));
        link.channel_open = channel.ready_state() == RtcDataChannelState::Open;
        link.path = Path::Here(Channel::listen(id, channel));
    }

    /// The page keeps the link's channel.
    pub(crate) fn forward(&mut self, id: LinkId) {
        if let Some(link) = self.open.get_mut(&id) {
            link.path = Path::OnPage;
        }
    }

    /// The link's channel is open.
    pub(crate) fn channel_opened(&mut self, id: LinkId) {
        if let Some(link) = self.open.get_mut(&id) {
            link.channel_open = true;
        }
    }

    /// The link's message limit, bytes, the first time that it is ready to carry messages.
    pub(crate) fn newly_ready(&mut self, id: LinkId) -> Option<usize> {
        let link = self.open.get_mut(&id).filter(|link| link.channel_open && !link.told)?;
        link.told = link.message_max.is_some();
        link.message_max
    }

    /// Whether the link has been reported as ready.
    pub(crate) fn is_told(&self, id: LinkId) -> bool {
        self.open.get(&id).is_some_and(|link| link.told)
    }

    /// Keeps a message until the link is ready.
    pub(crate) fn hold(&mut self, id: LinkId, message: JsValue) {
        if let Some(link) = self.open.get_mut(&id) {
            link.early.push(message);
        }
    }

    /// What came before the link was ready, in order.
    pub(crate) fn take_early(&mut self, id: LinkId) -> Vec<JsValue> {
        self.open.get_mut(&id).map(|link| std::mem::take(&mut link.early)).unwrap_or_default()
    }

    /// Sends one message.
    pub(crate) fn send(&self, id: LinkId, bytes: &[u8]) -> Sent {
        match self.open.get(&id).map(|link| &link.path) {
            Some(Path::Here(Channel { channel, .. })) => match channel.send_with_u8_array(bytes) {
                Ok(()) => Sent::Buffered(channel.buffered_amount() as usize),
                Err(_) => Sent::Failed,
            },
            Some(Path::OnPage) => Sent::ByPage,
            Some(Path::None) => Sent::Failed,
            None => Sent::TooLate,
        }
    }

    /// `bufferedAmount` of every channel here that holds at most `low` bytes. Asked now and then, because
    /// `bufferedamountlow` may not fire (threat-model W4).
    pub(crate) fn drained(&self, low: usize) -> Vec<(LinkId, usize)> {
        let here = self.open.iter().filter_map(|(&id, link)| match &link.path {
            Path::Here(Channel { channel, .. }) if link.told => Some((id, channel.buffered_amount() as usize)),
            _ => None,
        });
        here.filter(|&(_, buffered)| buffered <= low).collect()
    }

    /// Forgets a link, closing its channel. The page closes the connection.
    pub(crate) fn close(&mut self, id: LinkId) {
        self.open.remove(&id);
    }
}

impl Channel {
    fn listen(id: LinkId, channel: RtcDataChannel) -> Self {
        let opened = Closure::new(move |_| driver::enter(|driver| driver.channel_opened(id)));
        let message =
            Closure::new(move |event: MessageEvent| driver::enter(|driver| driver.link_message(id, event.data())));
        let low = {
            let channel = channel.clone();
            Closure::new(move |_| {
                let buffered = channel.buffered_amount() as usize;
                driver::enter(|driver| driver.input(Input::LinkDrained { link: id, buffered }));
            })
        };
        let closed = Closure::new(move |_| driver::enter(|driver| driver.link_closed(id)));
        set_listeners(&channel, Some([&opened, &message, &low, &closed]));
        Self { channel, _listeners: [opened, message, low, closed] }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        set_listeners(&self.channel, None);
        self.channel.close();
    }
}

fn set_listeners(channel: &RtcDataChannel, listeners: Option<[&Listener; 4]>) {
    let [opened, message, low, closed] =
        listeners.map_or([None; 4], |all| all.map(|one| Some(one.as_ref().unchecked_ref())));
    channel.set_onopen(opened);
    channel.set_onmessage(message);
    channel.set_onbufferedamountlow(low);
    channel.set_onclose(closed);
}

/// The largest message that the side described by `sdp` takes, bytes (RFC 8841 §6.1; 0 means any).
fn message_max(sdp: &str) -> usize {
    let value = sdp.lines().find_map(|line| line.trim_end().strip_prefix("a=max-message-size:"));
    match value.map(|digits| digits.trim().parse()) {
        Some(Ok(0)) => usize::MAX,
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) | None => MESSAGE_MAX_DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_limit_of_a_description() {
        let sdp = |line: &str| format!("v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{line}\r\n");
        assert_eq!(message_max(&sdp("a=max-message-size:262144")), 262_144);
        assert_eq!(message_max(&sdp("a=max-message-size:0")), usize::MAX);
        assert_eq!(message_max(&sdp("a=max-message-size:many")), MESSAGE_MAX_DEFAULT);
        assert_eq!(message_max(&sdp("a=sctp-port:5000")), MESSAGE_MAX_DEFAULT);
    }
}

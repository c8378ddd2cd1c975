//! The messages between the page and the worker: one closed enum each way.
//!
//! Invariant: a message is `{ kind: body }` with one key, on both sides (`js/protocol.js` names the same shapes for
//! the type checker). Bytes travel as transferred buffers, so no message costs the page a copy. Times are seconds.

use js_sys::{Array, Uint8Array};
use serde::{Deserialize, Serialize};
use serde_wasm_bindgen::preserve;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, File, RtcDataChannel};

/// What the page says. `call` numbers a wish that is answered by one `Reply` or `Refused`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum FromPage {
    AddText {
        call: u32,
        text: String,
        trackers: Vec<String>,
        web_seeds: Vec<String>,
    },
    AddTorrent {
        call: u32,
        #[serde(with = "preserve")]
        bytes: Uint8Array,
        trackers: Vec<String>,
        web_seeds: Vec<String>,
    },
    Seed {
        call: u32,
        files: Vec<SeedFile>,
        options: SeedOptions,
        trackers: Vec<String>,
    },
    Remove {
        call: u32,
        torrent: u32,
        forget: bool,
    },
    Play {
        call: u32,
        torrent: u32,
        file: usize,
    },
    Stop {
        play: u32,
    },
    Read {
        call: u32,
        torrent: u32,
        file: usize,
        start: f64,
        end: f64,
    },
    ReadMore {
        read: u32,
        credit: f64,
    },
    CloseRead {
        read: u32,
    },
    Destroy {
        call: u32,
    },

    MediaSupport {
        play: u32,
        playable: Vec<bool>,
    },
    Position {
        play: u32,
        time: f64,
        buffered_to: f64,
    },
    Seek {
        play: u32,
        to: f64,
    },

    /// The machine has another network, or has one again.
    NetworkChanged {},

    /// The data channel of a link, transferred.
    Channel {
        link: u32,
        #[serde(with = "preserve")]
        channel: RtcDataChannel,
    },
    /// The data channel of an offer made ahead of any link, transferred.
    Spare {
        #[serde(with = "preserve")]
        channel: RtcDataChannel,
    },
    /// The spare's offer has become this link's.
    SpareTaken {
        link: u32,
    },
    /// The data channel of a link stays on the page, which forwards its bytes.
    Forwarded {
        link: u32,
    },
    LinkOpened {
        link: u32,
    },
    LinkData {
        link: u32,
        #[serde(with = "preserve")]
        bytes: Uint8Array,
    },
    LinkBuffered {
        link: u32,
        buffered: usize,
    },
    LinkReachable {
        link: u32,
        reachable: bool,
    },
    LinkClosed {
        link: u32,
    },
    OfferReady {
        link: u32,
        sdp: String,
    },
    AnswerReady {
        link: u32,
        sdp: String,
    },
}

/// A file to be seeded.
#[derive(Deserialize)]
pub(crate) struct SeedFile {
    /// Components below the torrent's name.
    pub(crate) path: Vec<String>,
    #[serde(with = "preserve")]
    pub(crate) file: File,
}

/// What may be chosen about a new torrent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeedOptions {
    pub(crate) name: Option<String>,
    pub(crate) piece_length: Option<u32>,
    pub(crate) comment: Option<String>,
    pub(crate) web_seeds: Vec<String>,
    #[serde(default)]
    pub(crate) super_seed: bool,
}

/// What the worker says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum ToPage {
    Reply {
        call: u32,
        /// The torrent, play or read that the wish has made.
        id: Option<u32>,
        /// Of a torrent: 40 hex digits.
        info_hash: Option<String>,
        /// Of a torrent.
        magnet: Option<String>,
    },
    Refused {
        call: u32,
        code: String,
        message: String,
    },
    Hashing {
        call: u32,
        fraction: f64,
    },

    Ready(Box<Ready>),
    Done {
        torrent: u32,
    },
    Peer {
        torrent: u32,
        id: String,
    },
    Warning {
        torrent: u32,
        code: String,
        message: String,
    },
    Failed {
        torrent: u32,
        code: String,
        message: String,
    },
    Stats(Box<Stats>),

    OpenMedia {
        play: u32,
        tracks: Vec<String>,
        duration: Option<f64>,
    },
    OpenBuffer {
        play: u32,
        mime: String,
    },
    Append {
        play: u32,
        generation: u32,
        #[serde(with = "preserve")]
        bytes: Uint8Array,
        timestamp_offset: Option<f64>,
    },
    EndMedia {
        play: u32,
        generation: u32,
    },
    PlayFailed {
        play: u32,
        code: String,
        message: String,
    },
    Deliver {
        read: u32,
        #[serde(with = "preserve")]
        bytes: Uint8Array,
        last: bool,
    },

    Offer {
        link: u32,
    },
    Answer {
        link: u32,
        sdp: String,
    },
    Accept {
        link: u32,
        sdp: String,
    },
    LinkSend {
        link: u32,
        #[serde(with = "preserve")]
        bytes: Uint8Array,
    },
    CloseLink {
        link: u32,
    },
}

/// A torrent's metadata.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    pub(crate) torrent: u32,
    pub(crate) name: String,
    pub(crate) length: f64,
    pub(crate) piece_length: u32,
    pub(crate) magnet: String,
    /// Every file in content order, so that an index here is an index in `Metainfo::files`.
    pub(crate) files: Vec<FileFacts>,
}

/// One file of a torrent.
#[derive(Serialize)]
pub(crate) struct FileFacts {
    pub(crate) path: Vec<String>,
    pub(crate) length: f64,
    pub(crate) padding: bool,
}

/// A torrent's numbers: bytes, and bytes per second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    pub(crate) torrent: u32,
    pub(crate) verified: f64,
    pub(crate) length: f64,
    pub(crate) files_verified: Vec<f64>,
    pub(crate) downloaded: f64,
    pub(crate) uploaded: f64,
    pub(crate) download_speed: f64,
    pub(crate) upload_speed: f64,
    pub(crate) wasted: f64,
    pub(crate) trackers_working: usize,
    pub(crate) trackers: usize,
    pub(crate) connecting: usize,
    pub(crate) peers: Vec<PeerStats>,
    pub(crate) web_seeds: Vec<WebSeedStats>,
}

/// A web seed's numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebSeedStats {
    pub(crate) url: String,
    pub(crate) state: &'static str,
    pub(crate) downloaded: f64,
    pub(crate) download_speed: f64,
}

/// A peer's numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PeerStats {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) progress: f64,
    pub(crate) downloaded: f64,
    pub(crate) uploaded: f64,
    pub(crate) download_speed: f64,
    pub(crate) upload_speed: f64,
    pub(crate) unchoked_us: bool,
    pub(crate) interested_in_us: bool,
}

/// What is to be said to the page. Everything of one turn leaves in one post.
pub(crate) struct Outbox {
    page: DedicatedWorkerGlobalScope,
    messages: Array,
    transfer: Array,
}

impl Outbox {
    /// An empty one, to the page that owns this worker.
    pub(crate) fn new(page: DedicatedWorkerGlobalScope) -> Self {
        Self { page, messages: Array::new(), transfer: Array::new() }
    }

    /// Says something when the turn ends.
    pub(crate) fn say(&mut self, message: &ToPage) {
        let serializer = serde_wasm_bindgen::Serializer::new();
        self.messages.push(&message.serialize(&serializer).expect("a message to the page has only plain values"));
    }

    /// Copies bytes out of WebAssembly memory into a buffer that leaves with the next post.
    pub(crate) fn carry(&mut self, bytes: &[u8]) -> Uint8Array {
        let copy = Uint8Array::from(bytes);
        self.transfer.push(&copy.buffer());
        copy
    }

    /// Ends the turn.
    pub(crate) fn post(&mut self) {
        if self.messages.length() == 0 {
            return;
        }
        let messages = std::mem::replace(&mut self.messages, Array::new());
        let transfer = std::mem::replace(&mut self.transfer, Array::new());
        self.page.post_message_with_transfer(&messages, &transfer).expect("the page takes plain messages");
    }
}

/// The sentence of a JavaScript exception.
pub(crate) fn reason(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}

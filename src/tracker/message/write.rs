//! Messages → JSON text.
//!
//! Invariant: an absent member is left out, never null: libtorrent closes the connection on `"offer":null`.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

use super::{Action, Announce, Answer, ClientMessage, Event, ServerMessage, Tally};

/// Every member of every message, in the order written; each message fills its own.
#[derive(Default, Serialize)]
struct Frame<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info_hash: Option<Hashes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_id: Option<Latin1<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_peer_id: Option<Latin1<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    downloaded: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    numwant: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offers: Option<Vec<Offer<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_id: Option<Latin1<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<Description<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Description<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "min interval")]
    min_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "warning message")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<BTreeMap<Latin1<'a>, File>>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "failure reason")]
    failure: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Hashes<'a> {
    One(Latin1<'a>),
    Many(Vec<Latin1<'a>>),
}

#[derive(Serialize)]
struct Offer<'a> {
    offer: Description<'a>,
    offer_id: Latin1<'a>,
}

#[derive(Serialize)]
struct Description<'a> {
    r#type: &'static str,
    sdp: &'a str,
}

#[derive(Serialize)]
struct File {
    complete: u32,
    incomplete: u32,
    downloaded: u32,
}

/// 20 bytes as the 20 characters of those code points (protocol.md §1.2).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Latin1<'a>(&'a [u8; 20]);

impl fmt::Display for Latin1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| f.write_char(char::from(byte)))
    }
}

impl Serialize for Latin1<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn client_message(message: &ClientMessage) -> String {
    text(&match message {
        ClientMessage::Announce(announce) => announce_frame(announce),
        ClientMessage::Answer(answer) => answer_frame(answer),
        ClientMessage::Scrape(hashes) => Frame {
            action: Some("scrape"),
            info_hash: Some(Hashes::Many(hashes.iter().map(|hash| Latin1(&hash.0)).collect())),
            ..Frame::default()
        },
    })
}

pub(super) fn server_message(message: &ServerMessage) -> String {
    text(&match message {
        ServerMessage::Response { info_hash, interval, min_interval, complete, incomplete, warning } => Frame {
            interval: *interval,
            min_interval: *min_interval,
            complete: Some(*complete),
            incomplete: Some(*incomplete),
            warning: warning.as_deref(),
            ..announce_about(&info_hash.0)
        },
        ServerMessage::Offer { info_hash, peer_id, offer_id, sdp } => Frame {
            peer_id: Some(Latin1(&peer_id.0)),
            offer_id: Some(Latin1(&offer_id.0)),
            offer: Some(Description { r#type: "offer", sdp }),
            ..announce_about(&info_hash.0)
        },
        ServerMessage::Answer { info_hash, peer_id, offer_id, sdp } => Frame {
            peer_id: Some(Latin1(&peer_id.0)),
            offer_id: Some(Latin1(&offer_id.0)),
            answer: Some(Description { r#type: "answer", sdp }),
            ..announce_about(&info_hash.0)
        },
        ServerMessage::Scrape(tallies) => Frame {
            action: Some("scrape"),
            files: Some(tallies.iter().map(|(hash, tally)| (Latin1(&hash.0), file(*tally))).collect()),
            ..Frame::default()
        },
        ServerMessage::Failure { info_hash, action, reason } => Frame {
            // webtorrent.js throws on an announce without a hash, and drops the socket on no action at all.
            action: action.filter(|action| *action == Action::Scrape || info_hash.is_some()).map(action_name),
            info_hash: info_hash.as_ref().map(|hash| Hashes::One(Latin1(&hash.0))),
            failure: Some(reason),
            ..Frame::default()
        },
    })
}

fn text(frame: &Frame<'_>) -> String {
    serde_json::to_string(frame).expect("strings, integers and string keys are always JSON")
}

fn announce_about(info_hash: &[u8; 20]) -> Frame<'_> {
    Frame { action: Some("announce"), info_hash: Some(Hashes::One(Latin1(info_hash))), ..Frame::default() }
}

fn announce_frame(announce: &Announce) -> Frame<'_> {
    let offers = announce
        .offers
        .iter()
        .map(|(id, sdp)| Offer { offer: Description { r#type: "offer", sdp }, offer_id: Latin1(&id.0) });
    Frame {
        peer_id: Some(Latin1(&announce.peer_id.0)),
        event: announce.event.map(event_name),
        uploaded: Some(announce.uploaded),
        downloaded: Some(announce.downloaded),
        left: announce.left,
        numwant: announce.numwant,
        offers: (!announce.offers.is_empty()).then(|| offers.collect()),
        ..announce_about(&announce.info_hash.0)
    }
}

fn answer_frame(answer: &Answer) -> Frame<'_> {
    Frame {
        peer_id: Some(Latin1(&answer.peer_id.0)),
        to_peer_id: Some(Latin1(&answer.to_peer_id.0)),
        left: answer.left,
        offer_id: Some(Latin1(&answer.offer_id.0)),
        answer: Some(Description { r#type: "answer", sdp: &answer.sdp }),
        ..announce_about(&answer.info_hash.0)
    }
}

fn event_name(event: Event) -> &'static str {
    match event {
        Event::Started => "started",
        Event::Stopped => "stopped",
        Event::Completed => "completed",
    }
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Announce => "announce",
        Action::Scrape => "scrape",
    }
}

fn file(tally: Tally) -> File {
    File { complete: tally.complete, incomplete: tally.incomplete, downloaded: tally.downloaded }
}

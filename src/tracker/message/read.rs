//! JSON text → messages.
//!
//! Invariant: leniency is per member. `left` and the other numbers, `event` and `offers` may be null or nonsense of the
//! right type; an id or a session description is exactly right or the message is refused.

use super::json::Json;
use super::{
    Action, Announce, Answer, ClientMessage, Event, MESSAGE_BYTES_MAX, MessageError, OFFERS_MAX, Problem, SCRAPE_MAX,
    SDP_BYTES_MAX, ServerMessage, Tally,
};
use crate::ids::{InfoHash, OfferId, PeerId};

pub(super) fn client_message(text: &str) -> Result<ClientMessage, MessageError> {
    let frame = frame(text)?;
    let read = match action(&frame) {
        Some(Action::Announce) if frame.member("answer").is_some() => answer(&frame).map(ClientMessage::Answer),
        Some(Action::Announce) => announce(&frame).map(ClientMessage::Announce),
        Some(Action::Scrape) => scrape(&frame).map(ClientMessage::Scrape),
        None => Err(Problem::Action),
    };
    read.map_err(|problem| in_context(&frame, problem))
}

pub(super) fn server_message(text: &str) -> Result<ServerMessage, MessageError> {
    let frame = frame(text)?;
    if let Some(reason) = frame.member("failure reason") {
        let reason = reason.text().unwrap_or("no reason given").to_owned();
        return Ok(ServerMessage::Failure { info_hash: info_hash(&frame).ok(), action: action(&frame), reason });
    }
    let read = match action(&frame) {
        Some(Action::Announce) if frame.member("offer").is_some() => relayed_offer(&frame),
        Some(Action::Announce) if frame.member("answer").is_some() => relayed_answer(&frame),
        Some(Action::Announce) => response(&frame),
        Some(Action::Scrape) => tallies(&frame).map(ServerMessage::Scrape),
        None => Err(Problem::Action),
    };
    read.map_err(|problem| in_context(&frame, problem))
}

fn frame(text: &str) -> Result<Json, MessageError> {
    let read = if text.len() > MESSAGE_BYTES_MAX {
        Err(Problem::TooLong)
    } else {
        Json::parse(text).map_err(|error| Problem::Json(error.to_string()))
    };
    read.map_err(|problem| MessageError { action: None, info_hash: None, problem })
}

fn in_context(frame: &Json, problem: Problem) -> MessageError {
    MessageError { action: action(frame), info_hash: info_hash(frame).ok(), problem }
}

fn action(frame: &Json) -> Option<Action> {
    match frame.member("action")?.text()? {
        "announce" => Some(Action::Announce),
        "scrape" => Some(Action::Scrape),
        _ => None,
    }
}

fn announce(frame: &Json) -> Result<Announce, Problem> {
    Ok(Announce {
        info_hash: info_hash(frame)?,
        peer_id: id(frame, "peer_id").map(PeerId)?,
        event: event(frame)?,
        left: count(frame, "left")?,
        uploaded: count(frame, "uploaded")?.unwrap_or(0),
        downloaded: count(frame, "downloaded")?.unwrap_or(0),
        numwant: count32(frame, "numwant")?,
        offers: offers(frame)?,
    })
}

fn event(frame: &Json) -> Result<Option<Event>, Problem> {
    let Some(name) = frame.member("event") else { return Ok(None) };
    Ok(match name.text().ok_or(Problem::Member("event"))? {
        "started" => Some(Event::Started),
        "stopped" => Some(Event::Stopped),
        "completed" => Some(Event::Completed),
        _ => None,
    })
}

fn offers(frame: &Json) -> Result<Vec<(OfferId, String)>, Problem> {
    match frame.member("offers") {
        None => Ok(Vec::new()),
        Some(Json::List(items)) => items.iter().take(OFFERS_MAX).map(offer).collect(),
        Some(_) => Err(Problem::Member("offers")),
    }
}

fn offer(item: &Json) -> Result<(OfferId, String), Problem> {
    Ok((offer_id(item)?, description(item, "offer")?))
}

fn answer(frame: &Json) -> Result<Answer, Problem> {
    Ok(Answer {
        info_hash: info_hash(frame)?,
        peer_id: id(frame, "peer_id").map(PeerId)?,
        to_peer_id: id(frame, "to_peer_id").map(PeerId)?,
        offer_id: offer_id(frame)?,
        sdp: description(frame, "answer")?,
        left: count(frame, "left")?,
    })
}

fn scrape(frame: &Json) -> Result<Vec<InfoHash>, Problem> {
    match frame.member("info_hash") {
        None => Err(Problem::ScrapeCount),
        Some(Json::List(items)) if (1..=SCRAPE_MAX).contains(&items.len()) => {
            items.iter().map(|item| latin1(item).map(InfoHash).ok_or(Problem::Id("info_hash"))).collect()
        }
        Some(Json::List(_)) => Err(Problem::ScrapeCount),
        Some(_) => Ok(vec![info_hash(frame)?]),
    }
}

fn response(frame: &Json) -> Result<ServerMessage, Problem> {
    // libtorrent reads the underscore, webtorrent.js the space.
    let min_interval = count32(frame, "min interval")?.or(count32(frame, "min_interval")?);
    Ok(ServerMessage::Response {
        info_hash: info_hash(frame)?,
        interval: count32(frame, "interval")?,
        min_interval,
        complete: count32(frame, "complete")?.unwrap_or(0),
        incomplete: count32(frame, "incomplete")?.unwrap_or(0),
        warning: frame.member("warning message").and_then(Json::text).map(str::to_owned),
    })
}

fn relayed_offer(frame: &Json) -> Result<ServerMessage, Problem> {
    Ok(ServerMessage::Offer {
        info_hash: info_hash(frame)?,
        peer_id: id(frame, "peer_id").map(PeerId)?,
        offer_id: offer_id(frame)?,
        sdp: description(frame, "offer")?,
    })
}

fn relayed_answer(frame: &Json) -> Result<ServerMessage, Problem> {
    Ok(ServerMessage::Answer {
        info_hash: info_hash(frame)?,
        peer_id: id(frame, "peer_id").map(PeerId)?,
        offer_id: offer_id(frame)?,
        sdp: description(frame, "answer")?,
    })
}

fn tallies(frame: &Json) -> Result<Vec<(InfoHash, Tally)>, Problem> {
    let Some(Json::Object(files)) = frame.member("files") else { return Err(Problem::Member("files")) };
    files
        .iter()
        .map(|(name, file)| {
            let number = |name| Ok(count32(file, name)?.unwrap_or(0));
            let tally = Tally {
                complete: number("complete")?,
                incomplete: number("incomplete")?,
                downloaded: number("downloaded")?,
            };
            Ok((latin1_text(name).map(InfoHash).ok_or(Problem::Id("info_hash"))?, tally))
        })
        .collect()
}

fn info_hash(frame: &Json) -> Result<InfoHash, Problem> {
    id(frame, "info_hash").map(InfoHash)
}

fn offer_id(frame: &Json) -> Result<OfferId, Problem> {
    id(frame, "offer_id").map(OfferId)
}

fn id(frame: &Json, name: &'static str) -> Result<[u8; 20], Problem> {
    frame.member(name).and_then(latin1).ok_or(Problem::Id(name))
}

fn latin1(value: &Json) -> Option<[u8; 20]> {
    latin1_text(value.text()?)
}

/// 20 bytes from 20 characters whose code points are the bytes.
fn latin1_text(text: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    let mut characters = text.chars();
    for byte in &mut bytes {
        *byte = u8::try_from(characters.next()?).ok()?;
    }
    characters.next().is_none().then_some(bytes)
}

/// The SDP of a `{"type": name, "sdp": …}` member.
fn description(frame: &Json, name: &'static str) -> Result<String, Problem> {
    let description = frame.member(name).ok_or(Problem::Member(name))?;
    let right_type = description.member("type").and_then(Json::text) == Some(name);
    let sdp = description.member("sdp").and_then(Json::text).filter(|_| right_type).ok_or(Problem::Member(name))?;
    if sdp.len() > SDP_BYTES_MAX {
        return Err(Problem::Sdp);
    }
    Ok(sdp.to_owned())
}

/// A number from 0 up; `None` where it is absent, null or negative.
fn count(frame: &Json, name: &'static str) -> Result<Option<u64>, Problem> {
    match frame.member(name) {
        None => Ok(None),
        Some(number @ (Json::Count(_) | Json::Number(_))) => Ok(number.count()),
        Some(_) => Err(Problem::Member(name)),
    }
}

/// As [`count`], saturating.
fn count32(frame: &Json, name: &'static str) -> Result<Option<u32>, Problem> {
    Ok(count(frame, name)?.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
}

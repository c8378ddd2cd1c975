//! What clients send, read without copying more than ids (protocol.md §1.3).
//!
//! Invariant: the verdict on every text, and what is read from it, are those of the core's `ClientMessage::parse`; a fuzz
//! target compares them. Members are judged after the whole text is read, so their order does not matter.

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Action, Event, MESSAGE_BYTES_MAX, MessageError, OFFERS_MAX, Problem, SCRAPE_MAX};

use super::json::{Inside, Names, Reader, Skip, Value};
use super::request::Offer;
use super::sdp::{ReadSdp, Sdp, SdpMember};

/// A client's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A peer joins, stays or leaves.
    Announce {
        /// The torrent.
        info_hash: InfoHash,
        /// The peer's name in it.
        peer_id: PeerId,
        /// `None` is a periodic update, as is any name the protocol does not know.
        event: Option<Event>,
        /// Bytes missing, if known.
        left: Option<u64>,
        /// Peers wanted at most.
        numwant: Option<u32>,
        /// The first [`OFFERS_MAX`] offers.
        offers: Vec<Offer<'a>>,
    },
    /// A peer answers an offer.
    Answer {
        /// The torrent.
        info_hash: InfoHash,
        /// The answering peer.
        peer_id: PeerId,
        /// The peer that made the offer.
        to_peer_id: PeerId,
        /// The offer.
        offer_id: OfferId,
        /// The description.
        sdp: Sdp<'a>,
    },
    /// Asks for the counts of these torrents: 1 to [`SCRAPE_MAX`].
    Scrape(Vec<InfoHash>),
}

impl<'a> Incoming<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// Those of the core's `ClientMessage::parse`; what is wrong with the JSON may be said in other words.
    pub fn parse(text: &'a str) -> Result<Self, MessageError> {
        let members = read(text).map_err(|problem| MessageError { action: None, info_hash: None, problem })?;
        let (action, info_hash) = (members.action, members.info_hash.one());
        let read = match action {
            Some(Action::Announce) if members.answer.is_some() => members.into_answer(),
            Some(Action::Announce) => members.into_announce(),
            Some(Action::Scrape) => members.info_hash.into_scrape().map(Incoming::Scrape),
            None => Err(Problem::Action),
        };
        read.map_err(|problem| MessageError { action, info_hash: info_hash.map(InfoHash), problem })
    }
}

fn read(text: &str) -> Result<Members<'_>, Problem> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(Problem::TooLong);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Inside::NOTHING.read(Members::default()).deserialize(&mut json);
    read.and_then(|members| json.end().map(|()| members)).map_err(|error| Problem::Json(error.to_string()))
}

/// 20 bytes; `None` if the member is absent or no such id.
type Id = Option<[u8; 20]>;

/// A number from 0 up, which may be absent, null or negative; an error if it is no number.
type Count = Result<Option<u64>, ()>;

/// A description; `None` if the member is absent or null.
type Description<'a> = Option<Result<Sdp<'a>, Problem>>;

/// Every member that is looked at, in a message of whatever kind.
struct Members<'a> {
    action: Option<Action>,
    info_hash: Hashes,
    peer_id: Id,
    to_peer_id: Id,
    offer_id: Id,
    event: Result<Option<Event>, ()>,
    left: Count,
    uploaded: Count,
    downloaded: Count,
    numwant: Count,
    offers: Result<Vec<Offer<'a>>, Problem>,
    answer: Description<'a>,
}

impl Default for Members<'_> {
    fn default() -> Self {
        Self {
            action: None,
            info_hash: Hashes::None,
            peer_id: None,
            to_peer_id: None,
            offer_id: None,
            event: Ok(None),
            left: Ok(None),
            uploaded: Ok(None),
            downloaded: Ok(None),
            numwant: Ok(None),
            offers: Ok(Vec::new()),
            answer: None,
        }
    }
}

impl<'a> Reader<'a> for Members<'a> {
    type Made = Self;

    /// What is no object has no members.
    fn value(self, _: Value<'_>) -> Self {
        self
    }

    fn object<A: MapAccess<'a>>(mut self, mut members: A, inside: Inside) -> Result<Self, A::Error> {
        let mut names = Names::new(&[
            "action",
            "info_hash",
            "peer_id",
            "to_peer_id",
            "offer_id",
            "event",
            "left",
            "uploaded",
            "downloaded",
            "numwant",
            "offers",
            "answer",
        ]);
        while let Some(name) = members.next_key_seed(&mut names)? {
            match name {
                0 => self.action = members.next_value_seed(inside.read(action as fn(Value<'_>) -> _))?,
                1 => self.info_hash = members.next_value_seed(inside.read(Hashes::None))?,
                2 => self.peer_id = members.next_value_seed(inside.read(id as fn(Value<'_>) -> _))?,
                3 => self.to_peer_id = members.next_value_seed(inside.read(id as fn(Value<'_>) -> _))?,
                4 => self.offer_id = members.next_value_seed(inside.read(id as fn(Value<'_>) -> _))?,
                5 => self.event = members.next_value_seed(inside.read(event as fn(Value<'_>) -> _))?,
                6 => self.left = members.next_value_seed(inside.read(count as fn(Value<'_>) -> _))?,
                7 => self.uploaded = members.next_value_seed(inside.read(count as fn(Value<'_>) -> _))?,
                8 => self.downloaded = members.next_value_seed(inside.read(count as fn(Value<'_>) -> _))?,
                9 => self.numwant = members.next_value_seed(inside.read(count as fn(Value<'_>) -> _))?,
                10 => self.offers = members.next_value_seed(inside.read(Offers))?,
                11 => self.answer = members.next_value_seed(inside.read(Described("answer")))?,
                _ => members.next_value_seed(inside.read(Skip))?,
            }
        }
        Ok(self)
    }
}

impl<'a> Members<'a> {
    fn into_announce(self) -> Result<Incoming<'a>, Problem> {
        let member = |count: Count, name| count.map_err(|()| Problem::Member(name));
        let info_hash = self.info_hash.one().map(InfoHash).ok_or(Problem::Id("info_hash"))?;
        let peer_id = self.peer_id.map(PeerId).ok_or(Problem::Id("peer_id"))?;
        let event = self.event.map_err(|()| Problem::Member("event"))?;
        let left = member(self.left, "left")?;
        member(self.uploaded, "uploaded")?;
        member(self.downloaded, "downloaded")?;
        let numwant = member(self.numwant, "numwant")?.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Incoming::Announce { info_hash, peer_id, event, left, numwant, offers: self.offers? })
    }

    fn into_answer(self) -> Result<Incoming<'a>, Problem> {
        let info_hash = self.info_hash.one().map(InfoHash).ok_or(Problem::Id("info_hash"))?;
        let peer_id = self.peer_id.map(PeerId).ok_or(Problem::Id("peer_id"))?;
        let to_peer_id = self.to_peer_id.map(PeerId).ok_or(Problem::Id("to_peer_id"))?;
        let offer_id = self.offer_id.map(OfferId).ok_or(Problem::Id("offer_id"))?;
        let sdp = self.answer.unwrap_or(Err(Problem::Member("answer")))?;
        self.left.map_err(|()| Problem::Member("left"))?;
        Ok(Incoming::Answer { info_hash, peer_id, to_peer_id, offer_id, sdp })
    }
}

fn action(value: Value<'_>) -> Option<Action> {
    match value {
        Value::Text("announce") => Some(Action::Announce),
        Value::Text("scrape") => Some(Action::Scrape),
        _ => None,
    }
}

fn event(value: Value<'_>) -> Result<Option<Event>, ()> {
    match value {
        Value::Text("started") => Ok(Some(Event::Started)),
        Value::Text("stopped") => Ok(Some(Event::Stopped)),
        Value::Text("completed") => Ok(Some(Event::Completed)),
        Value::Text(_) | Value::Null => Ok(None),
        _ => Err(()),
    }
}

fn count(value: Value<'_>) -> Count {
    match value {
        Value::Count(count) => Ok(Some(count)),
        Value::Number(number) => Ok((number >= 0.0).then(|| number.ceil() as u64)), // `as` saturates
        Value::Null => Ok(None),
        _ => Err(()),
    }
}

/// 20 bytes from 20 characters whose code points are the bytes (protocol.md §1.2).
fn id(value: Value<'_>) -> Id {
    let Value::Text(text) = value else { return None };
    let mut bytes = [0; 20];
    let mut characters = text.chars();
    for byte in &mut bytes {
        *byte = u8::try_from(characters.next()?).ok()?;
    }
    characters.next().is_none().then_some(bytes)
}

/// What stands at `info_hash`.
enum Hashes {
    /// Nothing.
    None,
    /// One value.
    One(Id),
    /// A list: how long it is, and its ids, if all are.
    List(usize, Option<Vec<InfoHash>>),
}

impl<'de> Reader<'de> for Hashes {
    type Made = Self;

    fn value(self, value: Value<'_>) -> Self {
        if matches!(value, Value::Null) { Hashes::None } else { Hashes::One(id(value)) }
    }

    fn list<A: SeqAccess<'de>>(self, mut items: A, inside: Inside) -> Result<Self, A::Error> {
        let (mut length, mut hashes) = (0, Some(Vec::new()));
        while let Some(item) = items.next_element_seed(inside.read(id as fn(Value<'_>) -> _))? {
            length += 1;
            hashes = hashes.zip(item).map(|(mut hashes, id)| {
                hashes.push(InfoHash(id));
                hashes
            });
        }
        Ok(Hashes::List(length, hashes))
    }
}

impl Hashes {
    fn one(&self) -> Id {
        if let Hashes::One(id) = self { *id } else { None }
    }

    fn into_scrape(self) -> Result<Vec<InfoHash>, Problem> {
        match self {
            Hashes::One(Some(id)) => Ok(vec![InfoHash(id)]),
            Hashes::List(1..=SCRAPE_MAX, Some(hashes)) => Ok(hashes),
            Hashes::One(None) | Hashes::List(1..=SCRAPE_MAX, None) => Err(Problem::Id("info_hash")),
            Hashes::None | Hashes::List(..) => Err(Problem::ScrapeCount),
        }
    }
}

/// Reads the member `offers`.
struct Offers;

impl<'de> Reader<'de> for Offers {
    type Made = Result<Vec<Offer<'de>>, Problem>;

    fn value(self, value: Value<'_>) -> Self::Made {
        if matches!(value, Value::Null) { Ok(Vec::new()) } else { Err(Problem::Member("offers")) }
    }

    fn list<A: SeqAccess<'de>>(self, mut items: A, inside: Inside) -> Result<Self::Made, A::Error> {
        let mut offers = Ok(Vec::with_capacity(OFFERS_MAX));
        for _ in 0..OFFERS_MAX {
            let Some(item) = items.next_element_seed(inside.read(OneOffer))? else { return Ok(offers) };
            offers = offers.and_then(|mut offers| {
                offers.push(item?);
                Ok(offers)
            });
        }
        while items.next_element_seed(inside.read(Skip))?.is_some() {}
        Ok(offers)
    }
}

/// Reads one of them.
struct OneOffer;

impl<'de> Reader<'de> for OneOffer {
    type Made = Result<Offer<'de>, Problem>;

    fn value(self, _: Value<'_>) -> Self::Made {
        Err(Problem::Id("offer_id"))
    }

    fn object<A: MapAccess<'de>>(self, mut members: A, inside: Inside) -> Result<Self::Made, A::Error> {
        let (mut offer_id, mut description) = (None, None);
        let mut names = Names::new(&["offer_id", "offer"]);
        while let Some(name) = members.next_key_seed(&mut names)? {
            match name {
                0 => offer_id = members.next_value_seed(inside.read(id as fn(Value<'_>) -> _))?,
                1 => description = members.next_value_seed(inside.read(Described("offer")))?,
                _ => members.next_value_seed(inside.read(Skip))?,
            }
        }
        let Some(offer_id) = offer_id.map(OfferId) else { return Ok(Err(Problem::Id("offer_id"))) };
        let sdp = description.unwrap_or(Err(Problem::Member("offer")));
        Ok(sdp.map(|sdp| Offer { offer_id, sdp }))
    }
}

/// Reads a description, `{"type": name, "sdp": …}`, the member of that name.
struct Described(&'static str);

impl<'de> Reader<'de> for Described {
    type Made = Description<'de>;

    fn value(self, value: Value<'_>) -> Self::Made {
        if matches!(value, Value::Null) { None } else { Some(Err(Problem::Member(self.0))) }
    }

    fn object<A: MapAccess<'de>>(self, mut members: A, inside: Inside) -> Result<Self::Made, A::Error> {
        let (mut is_type, mut sdp) = (false, SdpMember::NoText);
        let mut names = Names::new(&["type", "sdp"]);
        while let Some(name) = members.next_key_seed(&mut names)? {
            match name {
                0 => is_type = members.next_value_seed(inside.read(TextIs(self.0)))?,
                1 => sdp = members.next_value_seed(ReadSdp(inside))?,
                _ => members.next_value_seed(inside.read(Skip))?,
            }
        }
        Ok(Some(match sdp {
            SdpMember::Text(sdp) if is_type => Ok(sdp),
            SdpMember::TooLong if is_type => Err(Problem::Sdp),
            _ => Err(Problem::Member(self.0)),
        }))
    }
}

/// Is the value this text?
struct TextIs(&'static str);

impl Reader<'_> for TextIs {
    type Made = bool;

    fn value(self, value: Value<'_>) -> bool {
        matches!(value, Value::Text(text) if text == self.0)
    }
}

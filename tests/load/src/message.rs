//! The tracker's messages: written from prepared parts, and read by looking for keys rather than by parsing JSON, so
//! that the generator costs less than any server (protocol.md §1.3, §1.4).
//!
//! Invariant: all ids are ASCII that JSON leaves alone, so that they can be looked for as they are.

use memchr::memmem::Finder;

use crate::sdp::{self, Chance, Sdp};

/// 20 ASCII characters.
pub(crate) type Id = [u8; 20];

/// One peer of one torrent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) info_hash: Id,
    pub(crate) peer_id: Id,
    /// What `left` says: 0 for a seeder.
    pub(crate) left: u32,
}

/// An offer's id says who offers, and when the announce was meant to leave (µs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfferTag {
    pub(crate) moment: u64,
    pub(crate) peer: u32,
    pub(crate) number: u8,
}

impl OfferTag {
    pub(crate) fn id(self) -> Id {
        let mut id = [0; 20];
        hexadecimal(&mut id[..12], self.moment);
        hexadecimal(&mut id[12..18], self.peer.into());
        hexadecimal(&mut id[18..], self.number.into());
        id
    }

    pub(crate) fn of(id: &Id) -> Option<Self> {
        let number = |digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let (moment, peer, offer) = (number(&id[..12])?, number(&id[12..18])?, number(&id[18..])?);
        Some(Self { moment, peer: peer as u32, number: offer as u8 })
    }
}

/// Writes `number`'s low digits.
pub(crate) fn hexadecimal(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// The event of an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    Update,
    Stopped,
}

/// Writes a client's messages.
pub(crate) struct Writer {
    offer: Sdp,
    answer: Sdp,
    chance: Chance,
}

impl Writer {
    pub(crate) fn new(sdp_bytes: usize, chance: Chance) -> Self {
        Self { offer: Sdp::new("actpass", sdp_bytes), answer: Sdp::new("active", sdp_bytes), chance }
    }

    /// A mask for a frame.
    pub(crate) fn mask(&mut self) -> u32 {
        self.chance.next() as u32
    }

    /// An announce with so many offers.
    pub(crate) fn announce(&mut self, out: &mut Vec<u8>, who: &Identity, event: Event, first: OfferTag, offers: u8) {
        out.extend(b"{\"numwant\":");
        out.extend(offers.to_string().bytes());
        out.extend(b",\"uploaded\":0,\"downloaded\":0,\"left\":");
        out.extend(who.left.to_string().bytes());
        out.extend(match event {
            Event::Started => &b",\"event\":\"started\""[..],
            Event::Update => b"",
            Event::Stopped => b",\"event\":\"stopped\"",
        });
        write_ids(out, who);
        out.extend(b",\"offers\":[");
        for number in 0..offers {
            out.extend(if number == 0 {
                &b"{\"offer\":{\"type\":\"offer\",\"sdp\":\""[..]
            } else {
                b",{\"offer\":{\"type\":\"offer\",\"sdp\":\""
            });
            self.offer.write(out, first.moment, &mut self.chance);
            out.extend(b"\"},\"offer_id\":\"");
            out.extend(OfferTag { number, ..first }.id());
            out.extend(b"\"}");
        }
        out.extend(b"]}");
    }

    /// The answer to a relayed offer, meant to leave at `moment`.
    pub(crate) fn answer(&mut self, out: &mut Vec<u8>, who: &Identity, offer_id: &Id, to: &Id, moment: u64) {
        out.extend(b"{\"left\":");
        out.extend(who.left.to_string().bytes());
        write_ids(out, who);
        out.extend(b",\"to_peer_id\":\"");
        out.extend(to);
        out.extend(b"\",\"answer\":{\"type\":\"answer\",\"sdp\":\"");
        self.answer.write(out, moment, &mut self.chance);
        out.extend(b"\"},\"offer_id\":\"");
        out.extend(offer_id);
        out.extend(b"\"}");
    }
}

fn write_ids(out: &mut Vec<u8>, who: &Identity) {
    out.extend(b",\"action\":\"announce\",\"info_hash\":\"");
    out.extend(who.info_hash);
    out.extend(b"\",\"peer_id\":\"");
    out.extend(who.peer_id);
    out.push(b'"');
}

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// To an announce.
    Response,
    /// `failure reason`.
    Failure,
    /// Somebody's offer.
    Offer { offer_id: Id, from: Id },
    /// The answer to an offer of ours, and when it was meant to leave (µs).
    Answer { offer_id: Id, moment: u64 },
    /// Anything else.
    Other,
}

/// Reads a server's messages.
pub(crate) struct Reader {
    offer_id: Finder<'static>,
    peer_id: Finder<'static>,
    answer: Finder<'static>,
    origin: Finder<'static>,
    interval: Finder<'static>,
    failure: Finder<'static>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            offer_id: Finder::new(b"\"offer_id\":\""),
            peer_id: Finder::new(b"\"peer_id\":\""),
            answer: Finder::new(b"\"answer\":{"),
            origin: Finder::new(sdp::ORIGIN),
            interval: Finder::new(b"\"interval\":"),
            failure: Finder::new(b"\"failure reason\":"),
        }
    }
}

impl Reader {
    pub(crate) fn read(&self, text: &[u8]) -> Incoming {
        if let Some(offer_id) = id_after(&self.offer_id, text) {
            self.relayed(text, offer_id).unwrap_or(Incoming::Other)
        } else if self.interval.find(text).is_some() {
            Incoming::Response
        } else if self.failure.find(text).is_some() {
            Incoming::Failure
        } else {
            Incoming::Other
        }
    }

    fn relayed(&self, text: &[u8], offer_id: Id) -> Option<Incoming> {
        let from = id_after(&self.peer_id, text)?;
        if self.answer.find(text).is_none() {
            return Some(Incoming::Offer { offer_id, from });
        }
        let session = self.origin.find(text)? + self.origin.needle().len();
        Some(Incoming::Answer { offer_id, moment: sdp::moment(&text[session..])? })
    }
}

fn id_after(key: &Finder<'_>, text: &[u8]) -> Option<Id> {
    text[key.find(text)? + key.needle().len()..].first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TAG: OfferTag = OfferTag { moment: 77_000_123, peer: 54_321, number: 0 };
    const WHO: Identity =
        Identity { info_hash: *b"0123456789abcdef0123", peer_id: *b"-SR0001-abcdefghijkl", left: 1000 };

    fn written(write: impl FnOnce(&mut Writer, &mut Vec<u8>)) -> Value {
        let mut text = Vec::new();
        write(&mut Writer::new(1024, Chance::new(3)), &mut text);
        serde_json::from_slice(&text).expect("the generator writes JSON")
    }

    #[test]
    fn announces_are_what_clients_send() {
        let announce = written(|writer, out| writer.announce(out, &WHO, Event::Started, TAG, 5));
        assert_eq!(announce["info_hash"], "0123456789abcdef0123");
        assert_eq!(announce["event"], "started");
        assert_eq!(announce["offers"].as_array().unwrap().len(), 5);
        let id = announce["offers"][4]["offer_id"].as_str().unwrap();
        assert_eq!(OfferTag::of(id.as_bytes().try_into().unwrap()), Some(OfferTag { number: 4, ..TAG }));
        assert!(announce["offers"][0]["offer"]["sdp"].as_str().unwrap().starts_with("v=0\r\n"));
    }

    #[test]
    fn relays_are_recognised_in_any_order_of_keys() {
        let answer = written(|writer, out| writer.answer(out, &WHO, &TAG.id(), &[b'x'; 20], 99));
        let offer_id = TAG.id();
        let id = str::from_utf8(&offer_id).unwrap();
        let sdp = &answer["answer"]["sdp"];
        let reader = Reader::default();
        let read = |text: String| reader.read(text.as_bytes());
        let offer = Incoming::Offer { offer_id, from: WHO.peer_id };
        let (who, hash) = ("-SR0001-abcdefghijkl", "0123456789abcdef0123");
        assert_eq!(
            read(format!(
                r#"{{"action":"announce","offer":{{"type":"offer","sdp":{sdp}}},"offer_id":"{id}","peer_id":"{who}","info_hash":"{hash}"}}"#
            )),
            offer
        );
        assert_eq!(
            read(format!(r#"{{"info_hash":"{hash}","peer_id":"{who}","offer_id":"{id}","offer":{{"sdp":{sdp}}}}}"#)),
            offer
        );
        let relayed =
            json!({"peer_id": who, "info_hash": hash, "offer_id": id, "answer": {"type": "answer", "sdp": sdp}});
        assert_eq!(read(relayed.to_string()), Incoming::Answer { offer_id, moment: 99 });
        assert_eq!(read(json!({"action": "announce", "interval": 120, "complete": 1}).to_string()), Incoming::Response);
        assert_eq!(read(json!({"failure reason": "no"}).to_string()), Incoming::Failure);
        for other in ["{}", r#"{"offer_id":"short"}"#, r#"{"action":"scrape","files":{}}"#] {
            assert_eq!(read(other.to_owned()), Incoming::Other, "{other}");
        }
    }
}

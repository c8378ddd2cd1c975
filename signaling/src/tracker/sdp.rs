//! Session descriptions on their way through.
//!
//! Invariant: an [`Sdp`] is the inside of a JSON string, valid in any other; nothing here reads what it says.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;
use swarmreel::tracker::message::SDP_BYTES_MAX;

use super::json::{Inside, Skip};

/// A session description in the form in which it stands in JSON: between the quotes, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp<'a>(Cow<'a, str>);

impl Sdp<'_> {
    /// Takes plain text and escapes it.
    pub fn escape(text: &str) -> Sdp<'static> {
        let quoted = serde_json::to_string(text).expect("a string is always JSON");
        Sdp(Cow::Owned(quoted[1..quoted.len() - 1].to_owned()))
    }

    /// Takes text in that form; `None` if it is not, or says too much.
    pub fn from_json(text: String) -> Option<Sdp<'static>> {
        let plain: String = serde_json::from_str(&format!("\"{text}\"")).ok()?;
        (plain.len() <= SDP_BYTES_MAX).then_some(Sdp(Cow::Owned(text)))
    }

    /// The text as it stands in JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The same, tied to no message.
    pub fn into_owned(self) -> Sdp<'static> {
        Sdp(Cow::Owned(self.0.into_owned()))
    }
}

/// What stands where a description's text belongs.
#[derive(Debug)]
pub(super) enum SdpMember<'a> {
    Text(Sdp<'a>),
    /// More than [`SDP_BYTES_MAX`] when decoded.
    TooLong,
    /// No string, or nothing at all.
    NoText,
}

/// Reads such a member. It is taken over as it stands, but for `\u` escapes, which may be halves of nothing: those are
/// decoded.
pub(super) struct ReadSdp(pub(super) Inside);

impl<'de> DeserializeSeed<'de> for ReadSdp {
    type Value = SdpMember<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SdpMember<'de>, D::Error> {
        let raw: &RawValue = serde::Deserialize::deserialize(deserializer)?;
        let raw = raw.get();
        let Some(inside) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            // Looked over once more, because raw values may nest as they like.
            self.0.read(Skip).deserialize(&mut serde_json::Deserializer::from_str(raw)).map_err(D::Error::custom)?;
            return Ok(SdpMember::NoText);
        };
        let plain = !inside.contains("\\u");
        if plain && inside.len() <= SDP_BYTES_MAX {
            return Ok(SdpMember::Text(Sdp(Cow::Borrowed(inside))));
        }
        let decoded: String = serde_json::from_str(raw).map_err(D::Error::custom)?;
        Ok(match decoded.len() {
            ..=SDP_BYTES_MAX if plain => SdpMember::Text(Sdp(Cow::Borrowed(inside))),
            ..=SDP_BYTES_MAX => SdpMember::Text(Sdp::escape(&decoded)),
            _ => SdpMember::TooLong,
        })
    }
}

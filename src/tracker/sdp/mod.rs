//! Session descriptions of others: read into fields, and written anew from them (threat-model W3; RFC 8866, RFC 8841).
//!
//! Invariant: a browser never gets a stranger's text. What it gets describes one data channel between known ICE and DTLS
//! parameters and at most 32 candidates, and was written here.

mod candidate;
mod write;

use std::fmt;

use candidate::{Candidate, Kind};

use super::message::SDP_BYTES_MAX;
pub use candidate::AddressHint;

/// Candidates in one description: a host with many interfaces has about ten.
const CANDIDATES_MAX: usize = 32;
/// Characters of an ICE password at least, and of a fragment (RFC 8839 §5.4).
const PASSWORD_MIN: usize = 22;
const FRAGMENT_MIN: usize = 4;
/// Characters of either at most (RFC 8839 §5.4).
const CREDENTIAL_MAX: usize = 256;
/// The SCTP port where none is given, which every browser uses.
const SCTP_PORT: u16 = 5000;

/// One side of a data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    fragment: String,
    password: String,
    /// SHA-256 of the certificate.
    fingerprint: [u8; 32],
    setup: Setup,
    mid: Option<String>,
    sctp_port: u16,
    /// Bytes; `None` where it is not said.
    message_max: Option<u64>,
    bundle: bool,
    ice_lite: bool,
    trickle: bool,
    complete: bool,
    candidates: Vec<Candidate>,
}

/// Who begins the DTLS handshake (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    Either,
    Active,
    Passive,
}

/// Why a description was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// More than 16 KiB.
    TooLong,
    /// A line that is not `letter=value`, or another version than 0.
    Syntax,
    /// Anything but exactly one data channel.
    Media,
    /// No usable ICE fragment and password.
    Credentials,
    /// No SHA-256 fingerprint of a certificate.
    Fingerprint,
    /// No usable DTLS role.
    Setup,
    /// More than 32 candidates.
    Candidates,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the description is longer than 16 KiB",
            Self::Syntax => "not a session description",
            Self::Media => "the description is not of one data channel",
            Self::Credentials => "the description has no ICE credentials",
            Self::Fingerprint => "the description has no SHA-256 fingerprint",
            Self::Setup => "the description has no DTLS role",
            Self::Candidates => "the description has more than 32 candidates",
        })
    }
}

impl std::error::Error for SdpError {}

/// What was read so far. An attribute of the media section overrides the session's of the same name.
#[derive(Default)]
struct Draft<'a> {
    media: usize,
    fragment: Option<&'a str>,
    password: Option<&'a str>,
    fingerprint: Option<[u8; 32]>,
    setup: Option<Setup>,
    mid: Option<&'a str>,
    groups: Vec<&'a str>,
    sctp_port: Option<u16>,
    message_max: Option<u64>,
    ice_lite: bool,
    trickle: bool,
    complete: bool,
    candidate_lines: usize,
    candidates: Vec<Candidate>,
}

impl Description {
    /// Reads a description. What it does not know, it skips; candidates that no browser could use, too.
    ///
    /// # Errors
    /// It is too long, describes something else than one data channel, or lacks what a connection needs.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        if lines.next() != Some("v=0") {
            return Err(SdpError::Syntax);
        }
        let mut draft = Draft::default();
        for line in lines.filter(|line| !line.is_empty()) {
            match line.split_once('=').ok_or(SdpError::Syntax)? {
                ("m", section) => draft.section(section)?,
                ("a", attribute) => draft.attribute(attribute)?,
                (letter, _) if letter.len() == 1 => {}
                _ => return Err(SdpError::Syntax),
            }
        }
        draft.finish()
    }

    /// Where the other side is, as far as it says: its public address, else the first address of its own that is not
    /// hidden. Peers behind one NAT share it, and a liar can make it up: a hint, no more.
    pub fn address_hint(&self) -> Option<AddressHint> {
        let of = |kind: Kind| self.candidates.iter().filter(move |candidate| candidate.kind == kind);
        of(Kind::ServerReflexive).chain(of(Kind::Host)).find_map(Candidate::address_hint)
    }

    /// The description for someone who must not learn where we are: related addresses taken out. `None` if it has any
    /// candidate that is not relayed, or none at all (threat-model V2).
    pub fn into_relayed(mut self) -> Option<Self> {
        if self.candidates.is_empty() || self.candidates.iter().any(|candidate| candidate.kind != Kind::Relayed) {
            return None;
        }
        self.candidates.iter_mut().for_each(Candidate::hide_related);
        Some(self)
    }
}

impl<'a> Draft<'a> {
    fn section(&mut self, section: &str) -> Result<(), SdpError> {
        self.media += 1;
        let words: Vec<&str> = section.split(' ').collect();
        match words[..] {
            // Port 0 is a section refused.
            ["application", port, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP", "webrtc-datachannel"]
                if self.media == 1 && port.parse::<u16>().is_ok_and(|port| port > 0) =>
            {
                Ok(())
            }
            _ => Err(SdpError::Media),
        }
    }

    fn attribute(&mut self, attribute: &'a str) -> Result<(), SdpError> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "ice-ufrag" => self.fragment = Some(value),
            "ice-pwd" => self.password = Some(value),
            "fingerprint" => self.fingerprint = fingerprint(value).or(self.fingerprint),
            "setup" => self.setup = Some(setup(value)?),
            "mid" => self.mid = Some(value),
            "group" => self.groups.extend(value.strip_prefix("BUNDLE ")),
            "sctp-port" => self.sctp_port = value.parse().ok(),
            "max-message-size" => self.message_max = value.trim().parse().ok(),
            "ice-lite" => self.ice_lite = true,
            "ice-options" => self.trickle |= value.split(' ').any(|option| option == "trickle"),
            "end-of-candidates" => self.complete = true,
            "candidate" => {
                self.candidate_lines += 1;
                if self.candidate_lines > CANDIDATES_MAX {
                    return Err(SdpError::Candidates);
                }
                self.candidates.extend(Candidate::parse(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Description, SdpError> {
        if self.media != 1 {
            return Err(SdpError::Media);
        }
        let credential = |value: Option<&str>, least: usize| {
            let sound = |value: &&str| {
                (least..=CREDENTIAL_MAX).contains(&value.len()) && value.bytes().all(is_credential_character)
            };
            value.filter(sound).map(str::to_owned).ok_or(SdpError::Credentials)
        };
        let mid = self.mid.filter(|mid| is_token(mid));
        Ok(Description {
            fragment: credential(self.fragment, FRAGMENT_MIN)?,
            password: credential(self.password, PASSWORD_MIN)?,
            fingerprint: self.fingerprint.ok_or(SdpError::Fingerprint)?,
            setup: self.setup.ok_or(SdpError::Setup)?,
            mid: mid.map(str::to_owned),
            sctp_port: self.sctp_port.filter(|port| *port > 0).unwrap_or(SCTP_PORT),
            message_max: self.message_max,
            bundle: mid.is_some_and(|mid| self.groups.iter().any(|group| group.split(' ').any(|name| name == mid))),
            ice_lite: self.ice_lite,
            trickle: self.trickle,
            complete: self.complete,
            candidates: self.candidates,
        })
    }
}

/// `sha-256 AB:CD:…`, 32 bytes; `None` for every other hash.
fn fingerprint(value: &str) -> Option<[u8; 32]> {
    let (hash, digits) = value.split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = [0; 32];
    let mut pairs = digits.trim().split(':');
    for byte in &mut bytes {
        let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

fn setup(value: &str) -> Result<Setup, SdpError> {
    match value {
        "actpass" => Ok(Setup::Either),
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        _ => Err(SdpError::Setup),
    }
}

/// RFC 8839's `ice-char`, and what else implementations are known to draw from.
fn is_credential_character(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"+/-_=".contains(&c)
}

/// A name that is safe to repeat.
fn is_token(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

#[cfg(test)]
mod tests;

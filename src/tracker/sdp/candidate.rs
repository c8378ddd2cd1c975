//! One ICE candidate: where a peer may be reached (RFC 8839 §5.1).
//!
//! Invariant: an address is a literal one or an mDNS name; no candidate makes a browser ask a name server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A candidate's line, without what only its writer understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    foundation: String,
    component: u16,
    transport: Transport,
    priority: u32,
    address: Address,
    port: u16,
    pub(super) kind: Kind,
    /// What it was derived from; every kind but `Host` names something there.
    related: Option<(IpAddr, u16)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    /// With its role (RFC 6544).
    Tcp(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Literal(IpAddr),
    /// A `.local` name that hides the address (RFC 8828).
    Hidden(String),
}

/// How a candidate came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An interface of the peer.
    Host,
    /// What a STUN server saw: the peer's public address.
    ServerReflexive,
    /// What another peer saw.
    PeerReflexive,
    /// A TURN server's.
    Relayed,
}

/// Where a peer is, as it says itself: an IPv4 address, or the /64 network of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressHint(IpAddr);

impl Candidate {
    /// Reads what follows `candidate:`. `None` for what no browser could use.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let foundation = words
            .next()
            .filter(|word| word.len() <= 32 && word.bytes().all(super::is_credential_character))?
            .to_owned();
        let component = words.next()?.parse().ok().filter(|component| (1..=256).contains(component))?;
        let transport = words.next()?;
        let priority = words.next()?.parse().ok()?;
        let address = Address::parse(words.next()?)?;
        let port = words.next()?.parse().ok()?;
        let kind = Kind::parse(words.next().filter(|word| *word == "typ").and_then(|_| words.next())?)?;
        let (mut related_address, mut related_port, mut role) = (None, None, None);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => related_address = value.parse().ok(),
                "rport" => related_port = value.parse().ok(),
                "tcptype" => role = tcp_role(value),
                _ => {}
            }
        }
        let transport = match transport.to_ascii_lowercase().as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp(role?),
            _ => return None,
        };
        let related = related_address.zip(related_port).or((kind != Kind::Host).then_some(NOWHERE));
        Some(Self { foundation, component, transport, priority, address, port, kind, related })
    }

    /// Where it says the peer is.
    pub(super) fn address_hint(&self) -> Option<AddressHint> {
        match &self.address {
            Address::Literal(address) => Some(AddressHint::of(*address)),
            Address::Hidden(_) => None,
        }
    }

    /// Takes out what it was derived from.
    pub(super) fn hide_related(&mut self) {
        self.related = self.related.map(|_| NOWHERE);
    }
}

/// A related address that says nothing; the form browsers use themselves.
const NOWHERE: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl AddressHint {
    /// A household has one IPv4 address, or one IPv6 network of /64.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            address => Self(address),
        }
    }
}

impl Address {
    fn parse(word: &str) -> Option<Self> {
        if let Ok(address) = word.parse::<IpAddr>() {
            let somewhere = !address.is_unspecified() && !address.is_multicast();
            return somewhere.then_some(Self::Literal(address));
        }
        let label = word.strip_suffix(".local").filter(|label| (1..=63).contains(&label.len()))?;
        let sound = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        sound.then(|| Self::Hidden(word.to_owned()))
    }
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "host" => Some(Self::Host),
            "srflx" => Some(Self::ServerReflexive),
            "prflx" => Some(Self::PeerReflexive),
            "relay" => Some(Self::Relayed),
            _ => None,
        }
    }
}

fn tcp_role(value: &str) -> Option<&'static str> {
    ["active", "passive", "so"].into_iter().find(|role| *role == value)
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.transport == Transport::Udp { "udp" } else { "tcp" };
        write!(f, "candidate:{} {} {transport} {} ", self.foundation, self.component, self.priority)?;
        match &self.address {
            Address::Literal(address) => write!(f, "{address}")?,
            Address::Hidden(name) => f.write_str(name)?,
        }
        let kind = match self.kind {
            Kind::Host => "host",
            Kind::ServerReflexive => "srflx",
            Kind::PeerReflexive => "prflx",
            Kind::Relayed => "relay",
        };
        write!(f, " {} typ {kind}", self.port)?;
        if let Some((address, port)) = self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Transport::Tcp(role) = self.transport {
            write!(f, " tcptype {role}")?;
        }
        Ok(())
    }
}

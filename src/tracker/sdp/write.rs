//! A description as text, in the order that browsers write it (RFC 8829 §5.2).
//!
//! Invariant: what is written here is read back as it was.

use std::fmt;

use super::{Description, Setup};

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing is negotiated a second time, so the session needs no number of its own.
        f.write_str("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")?;
        if let Some(mid) = self.mid.as_ref().filter(|_| self.bundle) {
            write!(f, "a=group:BUNDLE {mid}\r\n")?;
        }
        flag(f, self.ice_lite, "ice-lite")?;
        f.write_str("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n")?;
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        flag(f, self.complete, "end-of-candidates")?;
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", self.fragment, self.password)?;
        flag(f, self.trickle, "ice-options:trickle")?;
        f.write_str("a=fingerprint:sha-256 ")?;
        for (index, byte) in self.fingerprint.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        let setup = match self.setup {
            Setup::Either => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        write!(f, "\r\na=setup:{setup}\r\n")?;
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        write!(f, "a=sctp-port:{}\r\n", self.sctp_port)?;
        self.message_max.map_or(Ok(()), |bytes| write!(f, "a=max-message-size:{bytes}\r\n"))
    }
}

fn flag(f: &mut fmt::Formatter<'_>, set: bool, name: &str) -> fmt::Result {
    if set { write!(f, "a={name}\r\n") } else { Ok(()) }
}

//! The names of things: 20-byte protocol ids, and the small numbers the engine mints for what it owns.
//!
//! Invariant: a small id is minted once by the engine and never reused, so an input that names an unknown one is
//! late, not wrong.

use std::fmt;

macro_rules! bytes20 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 20]);

        impl $name {
            /// Reads the id from exactly 20 bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Reads 40 hexadecimal digits, upper or lower case.
            pub fn from_hex(text: &str) -> Option<Self> {
                let digits = text.as_bytes();
                if digits.len() != 40 {
                    return None;
                }
                let mut bytes = [0; 20];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let high = (pair[0] as char).to_digit(16)?;
                    let low = (pair[1] as char).to_digit(16)?;
                    *byte = (high * 16 + low) as u8;
                }
                Some(Self(bytes))
            }

            /// 40 lower-case hexadecimal digits.
            pub fn to_hex(&self) -> String {
                self.0.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }
    };
}

bytes20!(
    /// SHA-1 of the info dictionary's original bytes (BEP 3).
    InfoHash
);
bytes20!(
    /// A peer's own id (BEP 3, BEP 20), as announced to trackers and sent in handshakes.
    PeerId
);
bytes20!(
    /// Names one WebRTC offer on its way through a tracker (protocol.md §1).
    OfferId
);

macro_rules! minted {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
    };
}

minted!(
    /// One torrent of this engine.
    TorrentId
);
minted!(
    /// One WebRTC connection (or the attempt at one), from offer to close; or a web seed, whom blocks are asked of just
    /// the same. Connections count up from zero, the web seeds of each torrent down from the largest number.
    LinkId
);
minted!(
    /// One WebSocket to a tracker.
    SocketId
);
minted!(
    /// One file being played.
    PlayId
);
minted!(
    /// One byte range being read out by the application.
    ReadId
);

/// One HTTP fetch for a torrent, numbered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId {
    /// What it is for.
    pub torrent: TorrentId,
    /// Counts the torrent's fetches.
    pub number: u32,
}

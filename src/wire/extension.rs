//! The extension protocol (BEP 10) and metadata exchange (BEP 9), on bytes.
//!
//! Invariant: what is written survives webtorrent.js, which looks for the first `ee` of a metadata message to find
//! where its dictionary ends: only the integer keys of BEP 9, none before `total_size` (protocol.md §3.9).

use crate::bencode;

/// The id under which we take metadata messages.
pub const UT_METADATA: u8 = 1;
/// The id under which we take `lt_donthave` messages (BEP 54).
pub const LT_DONTHAVE: u8 = 2;
/// The id of the extended handshake itself.
pub const HANDSHAKE: u8 = 0;
/// Bytes of a metadata block but the last.
pub const METADATA_BLOCK: usize = 16 * 1024;

/// A client's name is shown; no longer than this, in characters.
const CLIENT_NAME_MAX: usize = 64;

/// What a side says of itself. A later one adds to an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// The id under which it takes metadata messages; 0 where it does not.
    pub ut_metadata: u8,
    /// The id under which it takes `lt_donthave`; 0 where it does not.
    pub lt_donthave: u8,
    /// Bytes of the info dictionary, as it says.
    pub metadata_size: Option<u64>,
    /// Requests it queues.
    pub request_queue: Option<u32>,
    /// Its name and version.
    pub client: Option<String>,
    /// It will not download (BEP 21).
    pub upload_only: Option<bool>,
}

impl ExtendedHandshake {
    /// The payload of extended message 0.
    pub fn write(&self) -> Vec<u8> {
        let ids = [("lt_donthave", self.lt_donthave), ("ut_metadata", self.ut_metadata)];
        let offered = ids.into_iter().filter(|(_, id)| *id != 0).map(|(name, id)| (name, bencode::int(id.into())));
        let optional = [
            ("metadata_size", self.metadata_size.map(|size| bencode::int(size as i64))),
            ("reqq", self.request_queue.map(|queue| bencode::int(queue.into()))),
            ("upload_only", self.upload_only.map(|only| bencode::int(only.into()))),
            ("v", self.client.as_deref().map(bencode::text)),
        ];
        let said = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
        bencode::dict(std::iter::once(("m", bencode::dict(offered))).chain(said)).into_bytes()
    }

    /// Adds what a payload says. Nonsense in one key leaves the others; `None` if it is no dictionary.
    pub fn merge(&mut self, payload: &[u8]) -> Option<()> {
        let (dict, _) = bencode::decode_prefix(payload).ok()?;
        dict.dict()?;
        let id = |name: &str, was: u8| match dict.get("m").and_then(|ids| ids.get(name)) {
            Some(id) => id.int().and_then(|id| u8::try_from(id).ok()).unwrap_or(was),
            None => was,
        };
        (self.ut_metadata, self.lt_donthave) =
            (id("ut_metadata", self.ut_metadata), id("lt_donthave", self.lt_donthave));
        let number = |key: &str| dict.get(key).and_then(bencode::Value::int);
        if let Some(size) = number("metadata_size").and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0) {
            self.metadata_size = Some(size);
        }
        if let Some(queue) = number("reqq").and_then(|queue| u32::try_from(queue).ok()).filter(|queue| *queue > 0) {
            self.request_queue = Some(queue);
        }
        if let Some(upload_only) = number("upload_only") {
            self.upload_only = Some(upload_only != 0);
        }
        if let Some(client) = dict.get("v").and_then(bencode::Value::bytes) {
            let shown = String::from_utf8_lossy(client);
            self.client = Some(shown.chars().filter(|c| !c.is_control()).take(CLIENT_NAME_MAX).collect());
        }
        Some(())
    }
}

/// A message under `ut_metadata` (BEP 9). Numbers are as received: unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// 0: send this block.
    Request {
        /// Its index.
        block: u32,
    },
    /// 1: here it is.
    Data {
        /// Its index.
        block: u32,
        /// `METADATA_BLOCK` bytes, or what is left at the end.
        data: &'a [u8],
        /// Bytes of the whole info dictionary.
        total: u64,
    },
    /// 2: I have none, or will not.
    Reject {
        /// Its index.
        block: u32,
    },
}

impl<'a> MetadataMessage<'a> {
    /// The payload of the extended message.
    pub fn write(&self) -> Vec<u8> {
        let (kind, block, total) = match *self {
            Self::Request { block } => (0, block, None),
            Self::Data { block, total, .. } => (1, block, Some(("total_size", bencode::int(total as i64)))),
            Self::Reject { block } => (2, block, None),
        };
        let entries = [("msg_type", bencode::int(kind)), ("piece", bencode::int(block.into()))];
        let mut payload = bencode::dict(entries.into_iter().chain(total)).into_bytes();
        if let Self::Data { data, .. } = self {
            payload.extend_from_slice(data);
        }
        payload
    }

    /// Reads a payload; `None` if it is not one of the three.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (dict, used) = bencode::decode_prefix(payload).ok()?;
        let number = |key: &str| dict.get(key).and_then(bencode::Value::int);
        let block = u32::try_from(number("piece")?).ok()?;
        match number("msg_type")? {
            0 => Some(Self::Request { block }),
            1 => {
                let total = number("total_size").and_then(|total| u64::try_from(total).ok()).unwrap_or(0);
                Some(Self::Data { block, data: &payload[used..], total })
            }
            2 => Some(Self::Reject { block }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_protocol_md_3_12() {
        let ours = ExtendedHandshake { ut_metadata: 1, lt_donthave: 2, metadata_size: Some(285), ..Default::default() };
        assert_eq!(ours.write(), b"d1:md11:lt_donthavei2e11:ut_metadatai1ee13:metadata_sizei285ee");
        assert_eq!(MetadataMessage::Request { block: 0 }.write(), b"d8:msg_typei0e5:piecei0ee");
        let data = MetadataMessage::Data { block: 0, data: b"xyz", total: 285 };
        assert_eq!(data.write(), b"d8:msg_typei1e5:piecei0e10:total_sizei285eexyz");
        assert_eq!(MetadataMessage::parse(&data.write()), Some(data));
    }

    #[test]
    fn a_second_handshake_adds_to_the_first() {
        let mut theirs = ExtendedHandshake::default();
        theirs.merge(b"d1:md11:ut_metadatai3ee4:reqqi2000e1:v7:clientXe").unwrap();
        theirs.merge(b"d13:metadata_sizei99ee").unwrap();
        assert_eq!((theirs.ut_metadata, theirs.metadata_size, theirs.request_queue), (3, Some(99), Some(2000)));
        theirs.merge(b"d1:md11:ut_metadatai0eee").unwrap();
        assert_eq!(theirs.ut_metadata, 0, "0 takes an extension back");
        assert_eq!(theirs.client.as_deref(), Some("clientX"));
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut theirs = ExtendedHandshake::default();
        assert!(theirs.merge(b"li1ee").is_none() && theirs.merge(b"").is_none());
        theirs.merge(b"d1:mi7e13:metadata_sizei-5e4:reqq3:abce").unwrap();
        assert_eq!(theirs, ExtendedHandshake::default());
        for bad in [&b"d8:msg_typei9e5:piecei0ee"[..], b"d8:msg_typei0e5:piecei-1ee", b"de", b"i1e"] {
            assert_eq!(MetadataMessage::parse(bad), None);
        }
    }
}

//! Target 9: what nodes of a cluster say to each other, read and written.

use swarmreel_signaling::cluster::message::{BACKPLANE_BYTES_MAX, Envelope, MessageError};

use crate::heap;

/// Where the version stands, and the only one there is: there is none before the first.
const VERSION_AT: usize = 2;
const VERSION: u8 = 1;

/// Reads the bytes, and writes them again: there is one way to write each message.
pub fn backplane_msg(bytes: &[u8]) {
    read(bytes);
    // Most inputs break off at the first bytes; so they are read behind good ones too.
    let mut dressed = b"SR\x01".to_vec();
    dressed.extend(bytes);
    read(&dressed);
    for version in [0, 2, 0xff] {
        dressed[VERSION_AT] = version;
        assert_eq!(Envelope::decode(&dressed).unwrap_err(), MessageError::UnknownVersion);
    }
}

fn read(bytes: &[u8]) {
    match heap::bounded(bytes.len(), || Envelope::decode(bytes)) {
        Ok(envelope) => {
            assert_eq!(bytes[VERSION_AT], VERSION);
            assert_eq!(envelope.encode().as_deref(), Some(bytes), "what is read is written the same");
            for end in 0..bytes.len() {
                assert!(Envelope::decode(&bytes[..end]).is_err(), "no message is the beginning of another");
            }
        }
        Err(MessageError::TooLong) => assert!(bytes.len() > BACKPLANE_BYTES_MAX),
        Err(MessageError::UnknownVersion) => assert!(!bytes.starts_with(b"SR\x01")),
        Err(MessageError::Malformed) => assert!(bytes.len() <= BACKPLANE_BYTES_MAX),
    }
}

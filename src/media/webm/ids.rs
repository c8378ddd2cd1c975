//! Element IDs of EBML (RFC 8794) and Matroska (RFC 9559), marker bits included, as they stand in a file.

pub(super) const EBML: u32 = 0x1A45_DFA3;
pub(super) const EBML_VERSION: u32 = 0x4286;
pub(super) const EBML_READ_VERSION: u32 = 0x42F7;
pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
pub(super) const DOC_TYPE: u32 = 0x4282;
pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
pub(super) const VOID: u32 = 0xEC;
pub(super) const CRC_32: u32 = 0xBF;

pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const SEEK_HEAD: u32 = 0x114D_9B74;
pub(super) const SEEK: u32 = 0x4DBB;
pub(super) const SEEK_ID: u32 = 0x53AB;
pub(super) const SEEK_POSITION: u32 = 0x53AC;
pub(super) const INFO: u32 = 0x1549_A966;
pub(super) const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
pub(super) const DURATION: u32 = 0x4489;
pub(super) const MUXING_APP: u32 = 0x4D80;
pub(super) const WRITING_APP: u32 = 0x5741;
pub(super) const TAGS: u32 = 0x1254_C367;
pub(super) const CHAPTERS: u32 = 0x1043_A770;
pub(super) const ATTACHMENTS: u32 = 0x1941_A469;

pub(super) const TRACKS: u32 = 0x1654_AE6B;
pub(super) const TRACK_ENTRY: u32 = 0xAE;
pub(super) const TRACK_NUMBER: u32 = 0xD7;
pub(super) const TRACK_TYPE: u32 = 0x83;
pub(super) const CODEC_ID: u32 = 0x86;
pub(super) const CODEC_PRIVATE: u32 = 0x63A2;
pub(super) const DEFAULT_DURATION: u32 = 0x23_E383;
pub(super) const CONTENT_ENCODINGS: u32 = 0x6D80;

pub(super) const CLUSTER: u32 = 0x1F43_B675;
pub(super) const TIMESTAMP: u32 = 0xE7;
pub(super) const POSITION: u32 = 0xA7;
pub(super) const PREV_SIZE: u32 = 0xAB;
pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
pub(super) const BLOCK_GROUP: u32 = 0xA0;
pub(super) const BLOCK: u32 = 0xA1;
pub(super) const BLOCK_DURATION: u32 = 0x9B;
pub(super) const BLOCK_ADDITIONS: u32 = 0x75A1;
pub(super) const REFERENCE_BLOCK: u32 = 0xFB;
pub(super) const CODEC_STATE: u32 = 0xA4;
pub(super) const DISCARD_PADDING: u32 = 0x75A2;

pub(super) const CUES: u32 = 0x1C53_BB6B;
pub(super) const CUE_POINT: u32 = 0xBB;
pub(super) const CUE_TIME: u32 = 0xB3;
pub(super) const CUE_TRACK_POSITIONS: u32 = 0xB7;
pub(super) const CUE_TRACK: u32 = 0xF7;
pub(super) const CUE_CLUSTER_POSITION: u32 = 0xF1;

/// Whether an element stands directly in a Segment: meeting one ends a Cluster of unknown size.
pub(super) fn is_segment_child(id: u32) -> bool {
    matches!(id, CLUSTER | CUES | SEEK_HEAD | INFO | TRACKS | TAGS | CHAPTERS | ATTACHMENTS)
}

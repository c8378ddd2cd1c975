//! Packets → WebM.
//!
//! Invariant: what is written is WebM that MediaSource takes (WebM Byte Stream Format): an init segment ends where the
//! first Cluster would start; in a Cluster time never goes back (Chromium refuses that); and a Cluster starts at a key
//! frame wherever it can (Firefox drops pictures up to the next key frame when one starts before the last frame's end,
//! as sound and pictures always overlap). So Clusters have no size: a portion of bytes goes on where the last ended.

use super::demux::Packet;
use super::ebml;
use super::ids;

/// Flag of a block that is decoded but not shown.
const INVISIBLE: u8 = 0x08;

/// The init segment: EBML header, then a Segment of unknown size with Info and the chosen TrackEntry elements.
pub(super) fn init(scale: u64, ticks: Option<f64>, entries: &[&[u8]]) -> Vec<u8> {
    let mut header = Vec::new();
    ebml::write_unsigned(&mut header, ids::EBML_VERSION, 1);
    ebml::write_unsigned(&mut header, ids::EBML_READ_VERSION, 1);
    ebml::write_unsigned(&mut header, ids::EBML_MAX_ID_LENGTH, 4);
    ebml::write_unsigned(&mut header, ids::EBML_MAX_SIZE_LENGTH, 8);
    ebml::write(&mut header, ids::DOC_TYPE, b"webm");
    ebml::write_unsigned(&mut header, ids::DOC_TYPE_VERSION, 4);
    ebml::write_unsigned(&mut header, ids::DOC_TYPE_READ_VERSION, 2);

    let mut info = Vec::new();
    ebml::write_unsigned(&mut info, ids::TIMESTAMP_SCALE, scale);
    if let Some(ticks) = ticks {
        ebml::write(&mut info, ids::DURATION, &ticks.to_be_bytes());
    }
    ebml::write(&mut info, ids::MUXING_APP, b"swarmreel");
    ebml::write(&mut info, ids::WRITING_APP, b"swarmreel");

    let mut out = Vec::new();
    ebml::write(&mut out, ids::EBML, &header);
    ebml::write_unsized(&mut out, ids::SEGMENT);
    ebml::write(&mut out, ids::INFO, &info);
    ebml::write(&mut out, ids::TRACKS, &entries.concat());
    out
}

/// Writes Clusters in portions of any size.
#[derive(Debug)]
pub(super) struct Muxer {
    lead: u64,
    span: i64,
    open: Option<Open>,
}

/// The Cluster that is being written.
#[derive(Debug)]
struct Open {
    start: i64,
    last: i64,
}

impl Muxer {
    /// A Cluster ends at the first key frame of track `lead` after `span` ticks.
    pub(super) fn new(lead: u64, span: i64) -> Self {
        Self { lead, span, open: None }
    }

    /// Writes on in the Cluster that is open, or begins one.
    pub(super) fn write(&mut self, packets: &[Packet]) -> Vec<u8> {
        let mut out = Vec::with_capacity(packets.iter().map(|packet| packet.bytes.len() + 16).sum());
        for packet in packets {
            let relative = match self.goes_on(packet) {
                Some(relative) => relative,
                None => {
                    ebml::write_unsized(&mut out, ids::CLUSTER);
                    ebml::write_unsigned(&mut out, ids::TIMESTAMP, packet.pts.unsigned_abs());
                    self.open = Some(Open { start: packet.pts, last: packet.pts });
                    0
                }
            };
            block(&mut out, relative, packet);
        }
        out
    }

    /// Ends the Cluster, so that a player doesn't wait for the block behind the last one to know how long it lasts.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            ebml::write(out, ids::CUES, &[]);
        }
    }

    /// Time since the start of the Cluster, if the packet can go into it.
    fn goes_on(&mut self, packet: &Packet) -> Option<i16> {
        let open = self.open.as_mut()?;
        let since = packet.pts.saturating_sub(open.start);
        let is_time = since >= self.span && packet.track == self.lead && packet.is_key();
        if is_time || packet.pts < open.last {
            return None;
        }
        open.last = packet.pts;
        i16::try_from(since).ok()
    }
}

fn block(out: &mut Vec<u8>, relative: i16, packet: &Packet) {
    let grouped = !packet.side.is_empty();
    let mut block = Vec::with_capacity(packet.bytes.len() + 12);
    ebml::write_vint(&mut block, packet.track);
    block.extend_from_slice(&relative.to_be_bytes());
    block.push(if grouped { packet.flags & INVISIBLE } else { packet.flags });
    block.extend_from_slice(&packet.bytes);
    if !grouped {
        return ebml::write(out, ids::SIMPLE_BLOCK, &block);
    }
    let mut group = Vec::with_capacity(block.len() + packet.side.len() + 12);
    ebml::write(&mut group, ids::BLOCK, &block);
    group.extend_from_slice(&packet.side);
    ebml::write(out, ids::BLOCK_GROUP, &group);
}

#[cfg(test)]
mod tests {
    use super::super::block::KEYFRAME;
    use super::*;

    fn packet(pts: i64) -> Packet {
        Packet { track: 1, pts, span: 10, flags: KEYFRAME, side: Vec::new(), bytes: vec![7] }
    }

    /// The number of blocks behind each Cluster's timestamp.
    fn clusters(bytes: &[u8]) -> Vec<(u64, usize)> {
        let mut out: Vec<(u64, usize)> = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = ebml::header(rest).expect("well formed").expect("whole");
            let body = &rest[header.len..];
            let len = header.size.map_or(0, |size| size as usize);
            match (header.id, out.last_mut()) {
                (ids::TIMESTAMP, _) => out.push((ebml::unsigned(&body[..len]).expect("a number"), 0)),
                (ids::SIMPLE_BLOCK, Some(cluster)) => cluster.1 += 1,
                _ => assert_eq!((header.id, header.size), (ids::CLUSTER, None)),
            }
            rest = &body[len..];
        }
        out
    }

    #[test]
    fn a_new_cluster_at_a_late_key_frame_or_where_time_goes_back_or_too_far() {
        let check = |packets: &[(i64, u8)], expected: &[(u64, usize)]| {
            let packets = packets.iter().map(|&(pts, flags)| Packet { flags, ..packet(pts) });
            // In portions of one, and all at once: it makes no difference.
            let packets: Vec<Packet> = packets.collect();
            let mut muxer = Muxer::new(1, 5000);
            let portions: Vec<u8> =
                packets.iter().flat_map(|packet| muxer.write(std::slice::from_ref(packet))).collect();
            assert_eq!(portions, Muxer::new(1, 5000).write(&packets));
            assert_eq!(clusters(&portions), expected);
        };
        check(&[], &[]);
        check(&[(5, KEYFRAME), (5, 0), (40, KEYFRAME), (5004, KEYFRAME)], &[(5, 4)]);
        check(&[(0, KEYFRAME), (5000, 0), (5040, KEYFRAME), (5080, 0)], &[(0, 2), (5040, 2)]);
        check(&[(0, KEYFRAME), (32_767, 0), (32_768, 0)], &[(0, 2), (32_768, 1)]);
        check(&[(10, KEYFRAME), (20, 0), (15, 0), (30, 0)], &[(10, 2), (15, 2)]);
    }

    #[test]
    fn side_data_makes_a_group() {
        let grouped = Packet { side: vec![0x9B, 0x81, 20], ..packet(0) };
        let out = Muxer::new(1, 5000).write(&[packet(0), grouped]);
        assert_eq!(
            out[15..],
            [0xA3, 0x85, 0x81, 0, 0, 0x80, 7, 0xA0, 0x8A, 0xA1, 0x85, 0x81, 0, 0, 0, 7, 0x9B, 0x81, 20][..]
        );
    }
}

//! Packets → WebM.
//!
//! Invariant: what is written is WebM that MediaSource takes (WebM Byte Stream Format): an init segment ends where the
//! first Cluster would start, a media segment is whole Clusters, and in a Cluster time never goes back.

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

/// A media segment: one Cluster, or more where a block's 16 bits of relative time don't reach, or time goes back.
pub(super) fn clusters(packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = packets;
    while let Some(first) = rest.first() {
        let fits = |packet: &&Packet| i16::try_from(packet.pts.saturating_sub(first.pts)).is_ok();
        let rising = rest.windows(2).take_while(|pair| pair[0].pts <= pair[1].pts).count() + 1;
        let count = rest[..rising].iter().take_while(fits).count();
        let (packets, behind) = rest.split_at(count);
        cluster(&mut out, first.pts, packets);
        rest = behind;
    }
    out
}

fn cluster(out: &mut Vec<u8>, start: i64, packets: &[Packet]) {
    let mut body = Vec::with_capacity(packets.iter().map(|packet| packet.bytes.len() + 16).sum());
    ebml::write_unsigned(&mut body, ids::TIMESTAMP, start.unsigned_abs());
    for packet in packets {
        // `clusters` has seen that the difference fits.
        block(&mut body, (packet.pts - start) as i16, packet);
    }
    ebml::write(out, ids::CLUSTER, &body);
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

    fn timestamps(bytes: &[u8]) -> Vec<u64> {
        let stamp =
            |cluster: ebml::Child<'_>| ebml::children(cluster.body).next()?.ok().map(|child| child.body.to_vec());
        let clusters = ebml::children(bytes).map(|child| child.expect("well formed"));
        clusters.map(|cluster| ebml::unsigned(&stamp(cluster).expect("a timestamp")).expect("a number")).collect()
    }

    #[test]
    fn a_new_cluster_where_time_goes_back_or_too_far() {
        let check = |pts: &[i64], expected: &[u64]| {
            let packets: Vec<Packet> = pts.iter().copied().map(packet).collect();
            assert_eq!(timestamps(&clusters(&packets)), expected);
        };
        check(&[], &[]);
        check(&[5, 5, 40, 32_772], &[5]);
        check(&[0, 32_768], &[0, 32_768]);
        check(&[10, 20, 15, 30], &[10, 15]);
    }

    #[test]
    fn side_data_makes_a_group() {
        let grouped = Packet { side: vec![0x9B, 0x81, 20], ..packet(0) };
        let out = clusters(&[packet(0), grouped]);
        assert_eq!(
            out[8..],
            [0xA3, 0x85, 0x81, 0, 0, 0x80, 7, 0xA0, 0x8A, 0xA1, 0x85, 0x81, 0, 0, 0, 7, 0x9B, 0x81, 20][..]
        );
    }
}

//! `Media` on real MP4 and MP3 files: what comes out is what ffprobe reads out of the file, whatever way the file is
//! laid out, and only what was demanded is read.

use std::ops::Range;

use swarmreel::media::{Demand, Kind, Media, MediaError, Opening, Segment};

/// A file of tests/vectors/media.
fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/vectors/media/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A sample as ffprobe or the demuxer below sees it. Times are ticks of the track.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    pts: i64,
    dts: i64,
    sync: bool,
    crc: u32,
}

/// What ffprobe reads out of a file: each stream's timescale and packets.
fn probed(name: &str) -> Vec<(i64, Vec<Packet>)> {
    let text = String::from_utf8(vector(&format!("{name}.packets"))).unwrap();
    let timescales = text.lines().filter_map(|line| line.strip_prefix("1/"));
    let mut streams: Vec<(i64, Vec<Packet>)> =
        timescales.map(|timescale| (timescale.parse().unwrap(), Vec::new())).collect();
    for line in text.lines().filter(|line| line.contains(',')) {
        let fields: Vec<&str> = line.split(',').collect();
        let packet = Packet {
            pts: fields[1].parse().unwrap(),
            dts: fields[2].parse().unwrap(),
            sync: fields[4].starts_with('K'),
            crc: u32::from_str_radix(fields[5], 16).unwrap(),
        };
        streams[fields[0].parse::<usize>().unwrap()].1.push(packet);
    }
    streams
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The boxes in `bytes`: type, place and body.
fn boxes(bytes: &[u8]) -> Vec<(&[u8], usize, &[u8])> {
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let size = word(bytes, at) as usize;
        all.push((&bytes[at + 4..at + 8], at, &bytes[at + 8..at + size]));
        at += size;
    }
    all
}

fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        boxes(bytes).into_iter().find(|(found, ..)| found == &kind.as_slice()).expect("a box").2
    })
}

/// Reads fragments as `Media` writes them: the packets of each track id, decode times as written.
fn demux(segments: &[Segment]) -> Vec<(u32, Vec<Packet>)> {
    let mut tracks: Vec<(u32, Vec<Packet>)> = Vec::new();
    for segment in segments {
        let top = boxes(&segment.bytes);
        assert_eq!(top.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [b"moof", b"mdat"]);
        let mut data = top[1].1 + 8;
        for (_, _, traf) in boxes(top[0].2).into_iter().filter(|(kind, ..)| *kind == b"traf") {
            let tfhd = find(traf, &[b"tfhd"]);
            assert_eq!(word(tfhd, 0), 0x2_0002, "default-base-is-moof, description");
            let tfdt = find(traf, &[b"tfdt"]);
            let mut dts = i64::from(word(tfdt, 4)) << 32 | i64::from(word(tfdt, 8));
            let trun = find(traf, &[b"trun"]);
            assert_eq!(word(trun, 8) as usize, data, "samples follow each other");
            let id = word(tfhd, 4);
            for entry in trun[12..].chunks_exact(16) {
                let size = word(entry, 4) as usize;
                let sync = word(entry, 8) & 0x1_0000 == 0;
                let pts = dts + i64::from(word(entry, 12) as i32);
                let packet = Packet { pts, dts, sync, crc: crc32(&segment.bytes[data..data + size]) };
                (dts, data) = (dts + i64::from(word(entry, 0)), data + size);
                match tracks.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, packets)) => packets.push(packet),
                    None => tracks.push((id, vec![packet])),
                }
            }
            assert_eq!(trun[12..].len(), word(trun, 4) as usize * 16);
        }
        assert_eq!(data, segment.bytes.len(), "nothing else");
    }
    tracks
}

/// A file being played from memory, with a note of what was read.
struct Player {
    file: Vec<u8>,
    media: Media,
    read: Vec<Range<u64>>,
}

impl Player {
    fn open(name: &str, file: Vec<u8>) -> Self {
        Player { media: Media::open(name, file.len() as u64), file, read: Vec::new() }
    }

    /// Answers one demand for bytes; `None` if there is none.
    fn step(&mut self) -> Option<Result<Vec<Segment>, MediaError>> {
        let Demand::Bytes(ranges) = self.media.demand() else { return None };
        assert!(!ranges.is_empty());
        let parts: Vec<&[u8]> = ranges
            .iter()
            .map(|range| {
                assert!(range.start < range.end && range.end <= self.file.len() as u64, "{range:?}");
                &self.file[range.start as usize..range.end as usize]
            })
            .collect();
        let result = self.media.supply(&parts);
        self.read.extend(ranges);
        Some(result)
    }

    /// Up to a choice or the end.
    fn run(&mut self) -> Result<Vec<Segment>, MediaError> {
        let mut segments = Vec::new();
        while let Some(result) = self.step() {
            segments.extend(result?);
        }
        Ok(segments)
    }

    /// Up to the choice, and chooses.
    fn choose(&mut self, playable: impl Fn(Kind, usize) -> bool) -> Opening {
        assert_eq!(self.run(), Ok(Vec::new()));
        assert_eq!(self.media.demand(), Demand::Choice);
        let playable: Vec<bool> =
            self.media.tracks().iter().enumerate().map(|(index, track)| playable(track.kind, index)).collect();
        self.media.select(&playable).unwrap()
    }
}

/// Opens a file and chooses the first of each kind.
fn opened(name: &str) -> (Player, Opening) {
    let mut player = Player::open(name, vector(name));
    let opening = player.choose(|_, _| true);
    (player, opening)
}

/// Packets that come out are those ffprobe sees from `from` on, with decode times that only differ by a constant.
#[track_caller]
fn assert_same(name: &str, out: &[Packet], source: &[Packet], from: usize) {
    assert_eq!(out.len(), source.len() - from, "{name}: number of packets");
    let lead = out[0].dts - source[from].dts;
    assert!(out[0].dts >= 0, "{name}: decode times can't be negative");
    for (at, (out, source)) in out.iter().zip(&source[from..]).enumerate() {
        let expected = Packet { dts: source.dts + lead, ..source.clone() };
        assert_eq!(*out, expected, "{name}: packet {at}");
    }
}

/// Files whose tracks are all of those ffprobe sees, in its order.
const FILES: [&str; 14] = [
    "mp4-moov-first.mp4",
    "mp4-moov-last.mp4",
    "mp4-delay.mp4",
    "mp4-frag.mp4",
    "mp4-frag-sidx.mp4",
    "mp4-frag-bare.mp4",
    "mp4-frag-hybrid.mp4",
    "mp4-frag-separate.mp4",
    "mp4-frag-base.mp4",
    "m4a-aac.m4a",
    "mp4-opus.mp4",
    "mp4-flac.mp4",
    "mp4-hevc.mp4",
    "mov-aac.mov",
];

#[test]
fn every_packet_comes_out_as_ffprobe_sees_it() {
    for name in FILES {
        let (mut player, _) = opened(name);
        let segments = player.run().unwrap();
        assert_eq!(player.media.demand(), Demand::Nothing, "{name}");
        let tracks = demux(&segments);
        let streams = probed(name);
        assert_eq!(tracks.len(), streams.len(), "{name}");
        for ((id, out), index) in tracks.iter().zip(0..) {
            let (_, source) = &streams[*id as usize - 1];
            assert!(out.is_sorted_by_key(|packet| packet.dts), "{name}: track {index} goes back");
            assert_same(name, out, source, 0);
        }
    }
}

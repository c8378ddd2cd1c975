//! `Media` on real MP4 and MP3 files: what comes out is what ffprobe reads out of the file, whatever way the file is
//! laid out, and only what was demanded is read.

mod mp3;

use std::ops::Range;
use std::time::Duration;

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

/// The media time that an init segment gives a track in its edit list.
fn media_time(init: &[u8], id: u32) -> i64 {
    let traks = boxes(find(init, &[b"moov"])).into_iter().filter(|(kind, ..)| *kind == b"trak");
    let (.., trak) = traks.into_iter().find(|(.., trak)| word(find(trak, &[b"tkhd"]), 12) == id).expect("the track");
    if !boxes(trak).iter().any(|(kind, ..)| *kind == b"edts") {
        return 0;
    }
    let elst = find(trak, &[b"edts", b"elst"]);
    assert_eq!((word(elst, 0), word(elst, 4)), (1 << 24, 1), "one edit");
    i64::from(word(elst, 16)) << 32 | i64::from(word(elst, 20))
}

/// Reads fragments as `Media` writes them: the packets of each track id, on the timeline of the presentation.
fn demux(opening: &Opening, segments: &[Segment]) -> Vec<(u32, Vec<Packet>)> {
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
            assert!(dts >= 0);
            dts -= media_time(&opening.init, id);
            for entry in trun[12..].chunks_exact(16) {
                let size = word(entry, 4) as usize;
                let sync = word(entry, 8) & 0x1_0000 == 0;
                let pts = dts + i64::from(word(entry, 12) as i32);
                let packet = Packet { pts, dts, sync, crc: crc32(&segment.bytes[data..data + size]) };
                (dts, data) = (dts + i64::from(word(entry, 0)), data + size);
                match tracks.binary_search_by_key(&id, |(known, _)| *known) {
                    Ok(at) => tracks[at].1.push(packet),
                    Err(at) => tracks.insert(at, (id, vec![packet])),
                }
            }
            assert_eq!(trun[12..].len(), word(trun, 4) as usize * 16);
        }
        assert_eq!(data, segment.bytes.len(), "nothing else");
    }
    tracks
}

/// A file's bytes where they aren't zero: stretches, and the length of it all.
#[derive(Clone)]
struct Sparse {
    stretches: Vec<(u64, Vec<u8>)>,
    length: u64,
}

impl From<Vec<u8>> for Sparse {
    fn from(bytes: Vec<u8>) -> Self {
        Sparse { length: bytes.len() as u64, stretches: vec![(0, bytes)] }
    }
}

impl Sparse {
    fn push(&mut self, at: u64, bytes: Vec<u8>) {
        self.length = self.length.max(at + bytes.len() as u64);
        self.stretches.push((at, bytes));
    }

    fn read(&self, range: &Range<u64>) -> Vec<u8> {
        assert!(range.start < range.end && range.end <= self.length, "{range:?} of {}", self.length);
        let mut out = vec![0; (range.end - range.start) as usize];
        for (at, bytes) in &self.stretches {
            let (from, to) = (range.start.max(*at), range.end.min(at + bytes.len() as u64));
            if from < to {
                out[(from - range.start) as usize..(to - range.start) as usize]
                    .copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            }
        }
        out
    }
}

/// A file being played from memory, with a note of what was read.
struct Player {
    file: Sparse,
    media: Media,
    read: Vec<Range<u64>>,
}

impl Player {
    fn open(name: &str, file: impl Into<Sparse>) -> Self {
        let file = file.into();
        Player { media: Media::open(name, file.length), file, read: Vec::new() }
    }

    /// Answers one demand for bytes; `None` if there is none.
    fn step(&mut self) -> Option<Result<Vec<Segment>, MediaError>> {
        let Demand::Bytes(ranges) = self.media.demand() else { return None };
        assert!(!ranges.is_empty());
        let parts: Vec<Vec<u8>> = ranges.iter().map(|range| self.file.read(range)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
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

/// Packets that come out are those ffprobe sees from `from` on.
#[track_caller]
fn assert_same(name: &str, out: &[Packet], source: &[Packet], from: usize) {
    assert_eq!(out.len(), source.len() - from, "{name}: number of packets");
    for (at, (out, source)) in out.iter().zip(&source[from..]).enumerate() {
        // ffprobe rounds a delay down for decoding, and to the nearest tick for presentation.
        assert!((out.dts - source.dts).abs() <= 1, "{name}: packet {at}: {out:?}, not {source:?}");
        assert_eq!(*out, Packet { dts: out.dts, ..source.clone() }, "{name}: packet {at}");
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
        let (mut player, opening) = opened(name);
        let segments = player.run().unwrap();
        assert_eq!(player.media.demand(), Demand::Nothing, "{name}");
        let tracks = demux(&opening, &segments);
        let streams = probed(name);
        assert_eq!(tracks.len(), streams.len(), "{name}");
        for ((id, out), index) in tracks.iter().zip(0..) {
            let (_, source) = &streams[*id as usize - 1];
            assert!(out.is_sorted_by_key(|packet| packet.dts), "{name}: track {index} goes back");
            assert_same(name, out, source, 0);
        }
    }
}

/// The source's packets of a track id.
fn source(streams: &[(i64, Vec<Packet>)], id: u32) -> (i64, &[Packet]) {
    let (timescale, packets) = &streams[id as usize - 1];
    (*timescale, packets)
}

/// Seeks everywhere: the picture starts at the last key frame that is not behind the wanted time, the sound early
/// enough for it, and both go on to the end.
#[test]
fn seeks_start_at_the_right_key_frame() {
    for name in FILES {
        let streams = probed(name);
        let (mut player, opening) = opened(name);
        let video = player.media.tracks().iter().position(|track| track.kind == Kind::Video);
        player.step().unwrap().unwrap();
        for quarter in [7, 0, 4, 3, 15, 8, 2, 100, 12, 1] {
            let to = quarter as f64 / 4.0;
            player.media.seek(Duration::from_secs_f64(to));
            let segments = player.run().unwrap();
            let seconds = |timescale: i64, pts: i64| pts as f64 / timescale as f64;
            for (id, out) in demux(&opening, &segments) {
                let (timescale, packets) = source(&streams, id);
                let reached = |packet: &&Packet| packet.sync && seconds(timescale, packet.pts) <= to + 1e-6;
                let from = packets.len() - out.len();
                let last = packets.iter().rfind(reached).unwrap_or(&packets[0]);
                if video == Some(id as usize - 1) {
                    assert_eq!(packets[from].pts, last.pts, "{name}: picture at {to}");
                } else {
                    let (start, end) = (seconds(timescale, packets[from].pts), seconds(timescale, last.pts));
                    assert!(start <= end, "{name}: sound at {to} starts at {start}");
                    assert!(video.is_some() || start >= end - 0.3, "{name}: sound at {to} starts at {start}");
                }
                assert_same(name, &out, packets, from);
            }
            assert_eq!(player.media.demand(), Demand::Nothing, "{name}");
        }
    }
}

/// A start position that is set before the tracks are known is where playing starts.
#[test]
fn a_seek_before_the_choice_is_kept() {
    for name in ["mp4-moov-first.mp4", "mp4-frag.mp4"] {
        let mut player = Player::open(name, vector(name));
        player.media.seek(Duration::from_millis(2500));
        let opening = player.choose(|_, _| true);
        let segments = player.run().unwrap();
        let (_, video) = demux(&opening, &segments).swap_remove(0);
        assert_eq!(video[0].pts, 2 * 12288, "{name}");
    }
}

#[test]
fn durations_are_known_before_the_first_frame() {
    for (name, millis) in [
        ("mp4-moov-first.mp4", 4000),
        ("mp4-frag.mp4", 4000),
        ("mp4-frag-sidx.mp4", 4000),
        ("mp4-frag-bare.mp4", 4000),
        ("m4a-aac.m4a", 4000),
        ("mp3-cbr.mp3", 4000),
        ("mp3-vbr.mp3", 4000),
        ("mp3-bare.mp3", 4000),
    ] {
        let (player, opening) = opened(name);
        let duration = player.media.duration().expect(name).as_millis();
        assert!(duration.abs_diff(millis) < 200, "{name}: {duration}");
        if name.contains("frag") {
            assert!(opening.init.windows(4).any(|kind| kind == b"mehd"), "{name}: the player learns it too");
        }
    }
}

#[test]
fn tracks_are_named_for_browsers_and_people() {
    for (name, expected) in [
        ("mp4-moov-first.mp4", "video/mp4; codecs=\"avc1.64000a, mp4a.40.2\""),
        ("m4a-aac.m4a", "audio/mp4; codecs=\"mp4a.40.2\""),
        ("mp4-opus.mp4", "audio/mp4; codecs=\"opus\""),
        ("mp4-flac.mp4", "audio/mp4; codecs=\"flac\""),
        ("mp4-hevc.mp4", "video/mp4; codecs=\"hvc1.1.6.L30.90\""),
        ("mov-aac.mov", "video/mp4; codecs=\"avc1.64000a, mp4a.40.2\""),
        ("mov-pcm.mov", "audio/mp4; codecs=\"sowt\""),
        ("mp3-cbr.mp3", "audio/mpeg"),
    ] {
        assert_eq!(opened(name).1.mime, expected, "{name}");
    }
    let (player, _) = opened("mp4-hevc.mp4");
    assert_eq!(player.media.tracks()[0].codec, "HEVC (hvc1.1.6.L30.90)");
}

#[test]
fn the_first_playable_of_each_kind_is_chosen() {
    let name = "mp4-two-audio.mp4";
    let streams = probed(name);
    for (playable, ids) in
        [([true, true, true], vec![1, 2]), ([true, false, true], vec![1, 3]), ([false, false, true], vec![3])]
    {
        let mut player = Player::open(name, vector(name));
        let opening = player.choose(|_, index| playable[index]);
        let tracks = demux(&opening, &player.run().unwrap());
        assert_eq!(tracks.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
        tracks.iter().for_each(|(id, out)| assert_same(name, out, source(&streams, *id).1, 0));
        let moov = find(&opening.init, &[b"moov"]);
        let traks = boxes(moov).into_iter().filter(|(kind, ..)| *kind == b"trak");
        let described: Vec<u32> = traks.map(|(.., trak)| word(find(trak, &[b"tkhd"]), 12)).collect();
        assert_eq!(described, ids);
    }
    let mut player = Player::open(name, vector(name));
    player.run().unwrap();
    let error = player.media.select(&[false; 3]).unwrap_err();
    assert_eq!(error.code(), "unsupported-codec");
    assert!(error.to_string().contains("H.264 (avc1.64000a) or AAC (mp4a.40.2)"), "{error}");
}

/// The first segment is small, and the later ones are not much larger.
#[test]
fn segments_are_short() {
    for name in FILES {
        let (mut player, _) = opened(name);
        for seek in [0, 2] {
            player.media.seek(Duration::from_secs(seek));
            let segments = player.run().unwrap();
            let lengths: Vec<Duration> = segments.iter().map(|segment| segment.end - segment.start).collect();
            assert!(lengths[0] <= Duration::from_millis(1000), "{name}: {lengths:?}");
            assert!(lengths.iter().all(|length| *length <= Duration::from_millis(1400)), "{name}: {lengths:?}");
            // Where each track has fragments of its own, they come out one after the other.
            assert!(name.contains("separate") || segments.is_sorted_by_key(|segment| segment.end), "{name}");
        }
    }
}

/// What Firefox needs, found by playing: fragments begin with no picture to be shown before those of the last one;
/// and sound from before the time 0 is in no fragment with pictures.
#[test]
fn fragments_suit_firefox() {
    // One file has fragments of its own that don't: where they end, so do ours.
    for name in FILES.iter().filter(|name| **name != "mp4-frag-base.mp4") {
        let (mut player, opening) = opened(name);
        let video = player.media.tracks().iter().position(|track| track.kind == Kind::Video);
        let mut shown = i64::MIN;
        for segment in player.run().unwrap() {
            let tracks = demux(&opening, &[segment]);
            if let Some((_, pictures)) = tracks.iter().find(|(id, _)| video == Some(*id as usize - 1)) {
                assert!(pictures.iter().all(|picture| picture.pts > shown), "{name}: {pictures:?}");
                shown = pictures.iter().map(|picture| picture.pts).max().unwrap();
                assert!(tracks.iter().flat_map(|(_, packets)| packets).all(|packet| packet.pts >= 0), "{name}");
            }
        }
    }
}

type Change<'a> = &'a dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>>;

/// Rebuilds boxes, with `change` applied to those it knows.
fn rebuilt(bytes: &[u8], change: Change<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, _, body) in boxes(bytes) {
        const PARENTS: [&[u8]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];
        let new = match change(kind, body) {
            Some(new) => new,
            None if PARENTS.contains(&kind) => boxed(kind, &rebuilt(body, change)),
            None => boxed(kind, body),
        };
        out.extend(new);
    }
    out
}

fn boxed(kind: &[u8], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), kind, body].concat()
}

/// The chunks of a progressive file, each with 5 GB before it: 64-bit offsets, and 16-bit sizes.
fn scattered(name: &str) -> Sparse {
    const APART: u64 = 5 << 30;
    let file = vector(name);
    let place = |offset: u32| u64::from(offset) * APART;
    let moov = rebuilt(&boxed(b"moov", find(&file, &[b"moov"])), &|kind, body| match kind {
        b"stco" => {
            let longs = body[8..].chunks(4).flat_map(|entry| place(word(entry, 0)).to_be_bytes());
            Some(boxed(b"co64", &body[..8].iter().copied().chain(longs).collect::<Vec<_>>()))
        }
        b"stsz" if word(body, 4) == 0 => {
            let shorts = body[12..].chunks(4).flat_map(|size| [size[2], size[3]]);
            let head = [0, 0, 0, 0, 0, 0, 0, 16].into_iter().chain(body[8..12].iter().copied());
            Some(boxed(b"stz2", &head.chain(shorts).collect::<Vec<_>>()))
        }
        _ => None,
    });
    let mut scattered = Sparse::from([boxed(b"ftyp", b"isom\0\0\0\0"), moov].concat());
    for (_, _, trak) in boxes(find(&file, &[b"moov"])).into_iter().filter(|(kind, ..)| *kind == b"trak") {
        let stco = find(trak, &[b"mdia", b"minf", b"stbl", b"stco"]);
        for entry in stco[8..].chunks(4) {
            // As much as there is: the samples of a chunk are at its beginning.
            let offset = word(entry, 0);
            scattered.push(place(offset), file[offset as usize..].to_vec());
        }
    }
    scattered
}

/// A file of many gigabytes, of which only the samples are read.
#[test]
fn only_what_is_played_is_read() {
    let name = "mp4-two-audio.mp4";
    let streams = probed(name);
    let file = scattered(name);
    let mut player = Player::open("scattered.mp4", file);
    let opening = player.choose(|_, index| index != 1);
    let index_end = player.read.iter().map(|range| range.end).max().unwrap();
    assert!(index_end < 10_000, "the index and no more");
    player.read.clear();
    let tracks = demux(&opening, &player.run().unwrap());
    assert_eq!(tracks.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3]);
    for (id, out) in &tracks {
        let (_, packets) = source(&streams, *id);
        assert_same(name, out, packets, 0);
    }
    let read: u64 = player.read.iter().map(|range| range.end - range.start).sum();
    assert!(read < vector(name).len() as u64, "{read}");
}

/// Fragments with stretches of nothing between them; where each `moof` begins.
fn stretched(name: &str, gap: u64) -> (Sparse, Vec<u64>) {
    let file = vector(name);
    let mut out = Sparse { stretches: Vec::new(), length: 0 };
    let mut moofs = Vec::new();
    for (kind, _, body) in boxes(&file) {
        if kind == b"moof" {
            out.push(out.length, [&1_u32.to_be_bytes()[..], b"free", &gap.to_be_bytes()].concat());
            out.length += gap - 16;
            moofs.push(out.length);
        }
        out.push(out.length, boxed(kind, body));
    }
    (out, moofs)
}

/// Without an index, a seek finds its fragment without reading what lies before.
#[test]
fn a_bare_fragmented_file_is_bisected() {
    let name = "mp4-frag-bare.mp4";
    let streams = probed(name);
    let (file, moofs) = stretched(name, 9 << 20);
    for seconds in [3, 2, 1] {
        let mut player = Player::open(name, file.clone());
        let opening = player.choose(|_, _| true);
        player.media.seek(Duration::from_secs(seconds));
        player.read.clear();
        let first = loop {
            let segments = player.step().unwrap().unwrap();
            if !segments.is_empty() {
                break segments;
            }
        };
        let (id, out) = demux(&opening, &first).swap_remove(0);
        let (timescale, packets) = source(&streams, id);
        let wanted = packets.iter().rfind(|packet| packet.sync && packet.pts <= seconds as i64 * timescale).unwrap();
        assert_eq!(out[0].pts, wanted.pts);
        let read: u64 = player.read.iter().map(|range| range.end - range.start).sum();
        assert!(read < 14 << 20, "{read} of {} to find the one at {}", player.file.length, moofs[seconds as usize]);
    }
}

/// With an index, it goes there at once.
#[test]
fn an_index_saves_the_search() {
    for name in ["mp4-frag.mp4", "mp4-frag-sidx.mp4"] {
        let (mut player, _) = opened(name);
        player.media.seek(Duration::from_secs(3));
        player.read.clear();
        let mut steps = 1;
        while player.step().unwrap().unwrap().is_empty() {
            steps += 1;
        }
        assert!(steps <= 6, "{name}: {steps} reads");
        let first = player.read.iter().map(|range| range.start).min().unwrap();
        assert!(first > 9000, "{name}: nothing before it is read: {first}");
    }
}

/// What will be needed from the end of the file is said before it is.
#[test]
fn hints_name_the_index_at_the_end() {
    let name = "mp4-moov-last.mp4";
    let player = Player::open(name, vector(name));
    let hint = |media: &Media| media.hints().first().cloned();
    assert_eq!(hint(&player.media), Some(0..player.file.length), "a small file is all tail");
    assert_eq!(hint(&Media::open("film.mp4", 4 << 30)), Some((4 << 30) - (2 << 20)..4 << 30));
    assert_eq!(Media::open("notes.txt", 4 << 30).hints(), []);
    let (player, _) = opened("mp4-moov-first.mp4");
    assert_eq!(player.media.hints(), []);
    let (player, _) = opened("mp4-frag-sidx.mp4");
    assert_eq!(player.media.hints(), []);
}

#[test]
fn play_position_maps_to_the_file() {
    for name in FILES.iter().filter(|name| !name.contains("hevc")) {
        let (player, _) = opened(name);
        let places: Vec<u64> = (0..4).map(|at| player.media.byte_at(Duration::from_secs(at)).expect(name)).collect();
        assert!(places.is_sorted() && places[3] < player.file.length, "{name}: {places:?}");
    }
    let (player, _) = opened("mp4-moov-first.mp4");
    let key = player.media.byte_at(Duration::from_millis(2900)).unwrap();
    let (at, later) = (player.media.byte_at(Duration::from_secs(2)), player.media.byte_at(Duration::from_secs(3)));
    assert_eq!(Some(key), at, "of the key frame");
    assert!(at < later);
}

#[test]
fn what_is_not_media_is_named() {
    let check = |name: &str, bytes: &[u8], code: &str, word: &str| {
        let error = Player::open(name, bytes.to_vec()).run().unwrap_err();
        assert_eq!(error.code(), code, "{name}");
        assert!(error.to_string().contains(word), "{name}: {error}");
    };
    let error = opened("mov-pcm.mov").0.media.select(&[false]).unwrap_err();
    assert_eq!(error.code(), "unsupported-codec");
    check("a.avi", b"RIFF\0\0\0\0AVI LIST", "unsupported-container", "AVI");
    check("a.mp4", b"hello, world", "unsupported-container", "look like");
    check("a.mp4", b"\0\0\0\x10ftypisom\0\0\0\0", "broken-media", "no index");
    check("a.mp4", b"\0\0\0\x10ftypisom\0\0\0\0\x10\0\0\0mdat", "broken-media", "cut off");
    let huge = b"\0\0\0\x10ftypisom\0\0\0\0\x10\0\0\0moov";
    let mut huge = Sparse::from(huge.to_vec());
    huge.length = 1 << 32;
    let error = Player::open("a.mp4", huge).run().unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("too large")), ("broken-media", true), "{error}");
    let mut empty = Player::open("a.mp4", Vec::new());
    assert_eq!(empty.media.demand(), Demand::Choice);
    assert_eq!(empty.media.select(&[]).unwrap_err().code(), "unsupported-codec");
}

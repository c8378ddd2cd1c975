//! Films to watch: fixtures of `tests/vectors/media`, built in so that a run reads no files, and longer ones made up
//! here, so that there is something to jump over.

use swarmreel::rng::Rng;

/// Builds files of `tests/vectors/media` in, under their names.
macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        /// Every film, by name.
        pub const NAMES: &[&str] = &["long-cues-first.webm", "long-cues-last.webm", $($name),*];

        fn fixture(name: &str) -> Option<&'static [u8]> {
            match name {
                $($name => Some(include_bytes!(concat!("../../vectors/media/", $name))),)*
                _ => None,
            }
        }
    };
}

fixtures![
    "mp4-moov-first.mp4",
    "mp4-moov-last.mp4",
    "mp4-frag-sidx.mp4",
    "mp4-frag.mp4",
    "m4a-aac.m4a",
    "mp3-cbr.mp3",
    "webm-live.webm",
    "webm-vp9-opus.webm",
];

/// The bytes of a film.
///
/// # Panics
/// If there is no such film.
pub fn bytes(name: &str) -> Vec<u8> {
    match name {
        "long-cues-first.webm" => long_webm(true),
        "long-cues-last.webm" => long_webm(false),
        _ => fixture(name).unwrap_or_else(|| panic!("there is no film called {name}")).to_vec(),
    }
}

const SECONDS: u64 = 20;
const FRAMES_PER_SECOND: u64 = 25;
const FRAME_BYTES: usize = 1_000;

/// 20 seconds of noise at 25 kB/s, a Cluster a second, with its Cues before or after them.
fn long_webm(cues_first: bool) -> Vec<u8> {
    let mut rng = Rng::new([1; 32]);
    let clusters: Vec<Vec<u8>> = (0..SECONDS).map(|second| cluster(second, &mut rng)).collect();
    let head = [info(), tracks()].concat();
    let seek_head_length = seek_head(0).len() as u64;
    let cues_length = cues(&clusters, 0).len() as u64;
    let after_head = seek_head_length + head.len() as u64;
    let clusters_length: usize = clusters.iter().map(Vec::len).sum();
    let (cues_at, clusters_at) = if cues_first {
        (after_head, after_head + cues_length)
    } else {
        (after_head + clusters_length as u64, after_head)
    };
    let mut parts = vec![seek_head(cues_at), head];
    let cues = cues(&clusters, clusters_at);
    if cues_first {
        parts.extend([cues, clusters.concat()]);
    } else {
        parts.extend([clusters.concat(), cues]);
    }
    let header = element(&[0x1A, 0x45, 0xDF, 0xA3], &element(&[0x42, 0x82], b"webm"));
    [header, element(&[0x18, 0x53, 0x80, 0x67], &parts.concat())].concat()
}

/// Where the Cues are, in the Segment.
fn seek_head(cues_at: u64) -> Vec<u8> {
    let seek = [element(&[0x53, 0xAB], &[0x1C, 0x53, 0xBB, 0x6B]), number(&[0x53, 0xAC], cues_at)].concat();
    element(&[0x11, 0x4D, 0x9B, 0x74], &element(&[0x4D, 0xBB], &seek))
}

fn info() -> Vec<u8> {
    let duration = element(&[0x44, 0x89], &((SECONDS * 1000) as f64).to_be_bytes());
    element(&[0x15, 0x49, 0xA9, 0x66], &[number(&[0x2A, 0xD7, 0xB1], 1_000_000), duration].concat())
}

fn tracks() -> Vec<u8> {
    let size = [number(&[0xB0], 320), number(&[0xBA], 180)].concat();
    let entry = [
        number(&[0xD7], 1),
        number(&[0x73, 0xC5], 1),
        number(&[0x83], 1),
        element(&[0x86], b"V_VP8"),
        element(&[0xE0], &size),
    ];
    element(&[0x16, 0x54, 0xAE, 0x6B], &element(&[0xAE], &entry.concat()))
}

/// A cue for each Cluster: they begin at `at` in the Segment.
fn cues(clusters: &[Vec<u8>], mut at: u64) -> Vec<u8> {
    let mut points = Vec::new();
    for (second, cluster) in clusters.iter().enumerate() {
        let position = [number(&[0xF7], 1), number(&[0xF1], at)].concat();
        let point = [number(&[0xB3], second as u64 * 1000), element(&[0xB7], &position)].concat();
        points.extend(element(&[0xBB], &point));
        at += cluster.len() as u64;
    }
    element(&[0x1C, 0x53, 0xBB, 0x6B], &points)
}

/// One second: a key frame, and the others.
fn cluster(second: u64, rng: &mut Rng) -> Vec<u8> {
    let mut body = number(&[0xE7], second * 1000);
    for frame in 0..FRAMES_PER_SECOND {
        let time = (frame * 1000 / FRAMES_PER_SECOND) as u16;
        let flags = if frame == 0 { 0x80 } else { 0 };
        let mut block = vec![0x81, (time >> 8) as u8, time as u8, flags];
        while block.len() < FRAME_BYTES {
            block.extend(rng.bytes20());
        }
        body.extend(element(&[0xA3], &block));
    }
    element(&[0x1F, 0x43, 0xB6, 0x75], &body)
}

/// An EBML element, its length in eight bytes, so that no length depends on a value.
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (1 << 56 | body.len() as u64).to_be_bytes();
    [id, &length, body].concat()
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use swarmreel::media::{Demand, Media};

    use super::*;

    #[test]
    fn every_film_plays_to_its_end() {
        for name in NAMES {
            let film = bytes(name);
            let (mut media, mut end) = (Media::open(name, film.len() as u64), None);
            loop {
                match media.demand() {
                    Demand::Bytes(ranges) => {
                        let part = |range: &std::ops::Range<u64>| &film[range.start as usize..range.end as usize];
                        let parts: Vec<&[u8]> = ranges.iter().map(part).collect();
                        let segments = media.supply(&parts).expect("a good film");
                        end = segments.last().map(|segment| segment.end).or(end);
                    }
                    Demand::Choice => drop(media.select(&vec![true; media.tracks().len()]).expect("it has tracks")),
                    Demand::Nothing => break,
                }
            }
            let seconds = end.expect("it has segments").as_secs_f64();
            assert!(!name.starts_with("long") || (19.9..20.1).contains(&seconds), "{name} ends at {seconds} s");
        }
    }
}

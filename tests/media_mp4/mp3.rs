//! `Media` on MP3 files: every frame comes out, and seeks land on frames.

use std::time::Duration;

use swarmreel::media::Segment;

use super::{opened, vector};

/// The frames of an MP3 file, all but the one that describes the others.
fn mp3_frames(file: &[u8]) -> Vec<&[u8]> {
    let mut at = file.windows(2).position(|pair| pair[0] == 0xFF && pair[1] & 0xE0 == 0xE0).unwrap();
    let mut frames = Vec::new();
    // MPEG-2, 22,050 Hz: the fixtures' own.
    const KILOBITS: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    while file.get(at) == Some(&0xFF) {
        let size = 72 * 1000 * KILOBITS[usize::from(file[at + 2] >> 4)] / 22_050 + usize::from(file[at + 2] >> 1 & 1);
        frames.push(&file[at..at + size]);
        at += size;
    }
    frames.retain(|frame| !frame.windows(4).any(|tag| tag == b"Xing" || tag == b"Info"));
    frames
}

#[test]
fn mp3_comes_out_frame_by_frame() {
    for name in ["mp3-cbr.mp3", "mp3-vbr.mp3", "mp3-bare.mp3"] {
        let file = vector(name);
        let frames = mp3_frames(&file);
        let (mut player, opening) = opened(name);
        assert!(opening.init.is_empty());
        let segments = player.run().unwrap();
        assert_eq!(segments[0].timestamp_offset, Some(0));
        assert_eq!(appended(&segments), frames.concat(), "{name}");
        for millis in [3300, 500, 1700] {
            player.media.seek(Duration::from_millis(millis));
            let segments = player.run().unwrap();
            let bytes = appended(&segments);
            let whole = frames.concat();
            assert!(whole.ends_with(&bytes), "{name}: from a frame on to the end");
            let skipped = frames.iter().scan(0, |at, frame| {
                *at += frame.len();
                Some(*at)
            });
            let first = skipped.take_while(|&at| at <= whole.len() - bytes.len()).count() as u64;
            let (true_start, start) = (first * 576 * 1_000_000 / 22_050, segments[0].timestamp_offset.unwrap() as u64);
            // A Xing table has steps of 1/256 of the file; without it, frames are where they are computed to be.
            let slack = if name.contains("vbr") { 150_000 } else { 0 };
            assert!(start.abs_diff(true_start) <= slack + 1, "{name}: {start}, not {true_start}");
            assert!(start <= millis * 1000 && start + 300_000 >= millis * 1000, "{name}: {start} for {millis}");
        }
    }
}

/// The bytes of all segments.
fn appended(segments: &[Segment]) -> Vec<u8> {
    segments.iter().flat_map(|segment| segment.bytes.iter().copied()).collect()
}

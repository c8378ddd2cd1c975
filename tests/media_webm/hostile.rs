//! Nothing in a file makes it panic, run on without end, or give out much more than was put in (threat-model.md M5,
//! M6). Debug builds trap every overflow.

use std::time::Duration;

use crate::player::{Player, any_webm};
use crate::reference;
use crate::{ALPHA, AUDIO, LIVE, PLAYABLE, VP9, craft};
use swarmreel::media::MediaError;

/// Plays a file as far as it goes, and again after seeks; the size of what came out at most.
fn survive(file: &[u8]) -> Result<usize, MediaError> {
    let mut player = Player::open(file, any_webm)?;
    let mut out = 0;
    let mut play = |player: &mut Player<'_>| {
        let end = player.finish();
        out = out.max(player.segments.iter().map(|segment| segment.bytes.len()).sum::<usize>());
        end
    };
    let mut end = play(&mut player);
    for to in [2500, 600, u64::MAX] {
        player.seek(Duration::from_millis(to));
        player.media.hints();
        player.media.byte_at(Duration::from_millis(to));
        end = end.and(play(&mut player));
    }
    assert!(out <= 8 * file.len() + (1 << 20), "{out} bytes out of {}", file.len());
    end.map(|()| out)
}

#[test]
fn every_truncation() {
    for file in [ALPHA, LIVE, VP9] {
        for len in (0..file.len()).filter(|len| len % 61 == 0 || *len < 800) {
            // What was cut off is missed at most at the end.
            let _ = survive(&file[..len]);
        }
    }
}

#[test]
fn a_file_cut_off_in_its_clusters_plays_up_to_there() {
    for file in PLAYABLE.into_iter().filter(|file| reference::read(file).clusters.len() > 1) {
        let source = reference::read(file);
        let cut = source.clusters.last().expect("a Cluster").0 + 150;
        let mut player = Player::open(&file[..cut], any_webm).expect("it plays");
        player.finish().expect("quietly");
        let whole: Vec<_> = source.frames.into_iter().filter(|frame| frame.track <= 2).collect();
        let frames = reference::read(&player.appended()).frames;
        assert!(!frames.is_empty() && whole.starts_with(&frames));
    }
}

#[test]
fn every_window_overwritten() {
    let words = [[0xFF; 4], [0x10, 0, 0, 0], [0x01, 0xFF, 0xFF, 0xFF], [0x1F, 0x43, 0xB6, 0x75], [0; 4]];
    for (file, step) in [(ALPHA, 1), (LIVE, 1), (AUDIO, 7), (VP9, 7)] {
        let head = reference::read(file).clusters[0].0 + 200;
        let places =
            (0..head).step_by(step).chain((head..file.len() - 4).step_by(257)).chain(file.len() - 100..file.len() - 4);
        let mut damaged = file.to_vec();
        for at in places {
            for word in words {
                damaged[at..at + 4].copy_from_slice(&word);
                let _ = survive(&damaged);
            }
            damaged[at..at + 4].copy_from_slice(&file[at..at + 4]);
        }
    }
}

#[test]
fn cues_that_lie_are_done_without() {
    let honest = {
        let mut player = Player::open(VP9, any_webm).expect("it plays");
        player.seek(Duration::from_millis(2500));
        player.next().expect("well formed").expect("a segment")
    };
    let cues = reference::elements(VP9, 48..VP9.len()).into_iter().find(|element| element.0 == 0x1C53_BB6B);
    let cues = cues.expect("Cues").1;
    let mut file = VP9.to_vec();
    for at in cues.clone() {
        // Every CueClusterPosition (F1 82 …) is moved.
        if file[at] == 0xF1 && file[at + 1] == 0x82 {
            file[at + 3] ^= 0x55;
        }
    }
    assert_ne!(file, VP9);
    let mut player = Player::open(&file, any_webm).expect("it plays");
    player.seek(Duration::from_millis(2500));
    let segment = player.next().expect("well formed").expect("a segment");
    assert_eq!((segment.start, segment.bytes), (honest.start, honest.bytes));
}

#[test]
fn a_search_is_not_led_far_astray() {
    // No Cues; most of the file is one block that holds what looks like Clusters with long blocks in them.
    let bait = [&[0x1F, 0x43, 0xB6, 0x75, 0xFF, 0xE7, 0x81, 1, 0xA3, 0x11, 0xC0, 0, 0][..], &[0; 4083]].concat();
    let long = craft::block(1, 40, 0, &bait.repeat(20 << 8));
    let blocks =
        [craft::block(1, 0, 0x80, b"key"), long.clone(), long.clone(), long, craft::block(1, 80, 0x80, b"end")];
    let file = craft::file(&[craft::tracks(&[]), craft::element(0x1F43_B675, &craft::cluster(0, &blocks))]);
    let mut player = Player::open(&file, any_webm).expect("it plays");
    player.seek(Duration::from_secs(1));
    let mut searched = 0;
    while player.reads.last().is_none_or(|read| read.start > 100) && player.read().expect("well formed") {
        searched = player.bytes_read();
    }
    assert!(searched > 0 && searched < 2 << 20 && file.len() > 60 << 20, "{searched} bytes of {}", file.len());
    let first = player.next().expect("well formed").expect("a segment");
    assert_eq!(first.start, Duration::ZERO);
}

#[test]
fn seek_heads_that_point_at_one_another() {
    let seek = |id: &[u8], position| {
        let body = [craft::element(0x53AB, id), craft::unsigned(0x53AC, position)].concat();
        craft::element(0x114D_9B74, &craft::element(0x4DBB, &body))
    };
    let id = 0x114D_9B74_u32.to_be_bytes();
    let len = seek(&id, 0).len() as u64;
    let cluster = craft::element(0x1F43_B675, &craft::cluster(0, &[craft::block(1, 0, 0x80, b"key")]));
    // The first points at itself and the second, the second at the first.
    let file = craft::file(&[seek(&id, len), seek(&id, 0), craft::tracks(&[]), cluster]);
    let mut player = Player::open(&file, any_webm).expect("it plays");
    player.seek(Duration::from_secs(1));
    player.finish().expect("to the end");
    assert!(player.reads.len() < 20);
    assert_eq!(reference::read(&player.appended()).frames.len(), 1);
}

#[test]
fn depth_and_number_of_children() {
    let refused = |file: &[u8]| survive(file).expect_err("it is refused");
    let nested = [craft::ebml("webm"), craft::unsized_element(0x1853_8067, &[0xB6, 0xFF].repeat(2 << 20))].concat();
    assert!(matches!(refused(&nested), MediaError::Broken(_)));
    let children = craft::file(&[craft::element(0x1654_AE6B, &[0xEC, 0x80].repeat(1 << 20))]);
    assert!(matches!(refused(&children), MediaError::Broken(_)));
    let siblings = craft::file(&[[0xEC, 0x80].repeat(10 << 20)]);
    assert!(matches!(refused(&siblings), MediaError::Broken(_)));
}

#[test]
fn a_claim_is_not_believed_before_it_is_read() {
    // Tracks that claim 2 GB are refused after the first look.
    let mut file = craft::file(&[craft::element(0x1654_AE6B, &vec![0; 100_000])]);
    let at = file.windows(4).position(|window| window == [0x16, 0x54, 0xAE, 0x6B]).expect("Tracks");
    file.splice(at + 4..at + 7, [0x08, 0x80, 0, 0, 0]);
    file.extend(vec![0; 1 << 20]);
    let error = Player::open(&file, any_webm).err().expect("it is refused");
    assert_eq!(error.code(), "broken-media");
}

#[test]
fn lacing_into_the_smallest_frames_stays_in_bounds() {
    let laced = craft::block(2, 0, 0x84, &[&[255], &[1; 256][..]].concat());
    let blocks: Vec<_> = std::iter::repeat_n(laced, 2000).collect();
    let file = craft::file(&[craft::tracks(&[]), craft::element(0x1F43_B675, &craft::cluster(0, &blocks))]);
    let out = survive(&file).expect("it is well formed");
    assert!(out > file.len());
}

//! Seeks start at the right key frame, and read little to find it.

use std::time::Duration;

use crate::player::{Player, any_webm};
use crate::reference::{self, Frame};
use crate::{AUDIO, AV1, CUES_FRONT, LIVE, MATROSKA, PLAYABLE, TWO_AUDIO, VP8, VP9, craft};

const STEP: Duration = Duration::from_millis(130);

/// After a seek: the frames of the leading track that come out, up to the end.
fn lead_after<'a>(player: &mut Player<'a>, to: Duration) -> Vec<Frame> {
    player.seek(to);
    player.finish().expect("to the end");
    reference::read(&player.appended()).of_track(1)
}

#[test]
fn by_cues_it_starts_at_the_last_key_frame_before() {
    for file in [VP9, VP8, AV1, CUES_FRONT, MATROSKA, TWO_AUDIO] {
        let all = reference::read(file).of_track(1);
        let mut player = Player::open(file, any_webm).expect("it plays");
        for to in (0..35).map(|i| i * STEP) {
            let frames = lead_after(&mut player, to);
            let key = all.iter().rposition(|frame| frame.key && frame.ticks <= to.as_millis() as i64).unwrap_or(0);
            assert_eq!(frames, all[key..], "seek to {to:?}");
        }
    }
}

#[test]
fn without_cues_it_starts_at_the_last_cluster_with_a_key_frame_before() {
    let source = reference::read(LIVE);
    let all = source.of_track(1);
    let ends = source.clusters.iter().skip(1).map(|cluster| cluster.1).chain([source.frames.len()]);
    let keys: Vec<i64> = source
        .clusters
        .iter()
        .zip(ends)
        .filter_map(|(cluster, end)| source.frames[cluster.1..end].iter().find(|frame| frame.key && frame.track == 1))
        .map(|frame| frame.ticks)
        .collect();
    assert!(keys.len() >= 4);
    for to in (0..35).map(|i| i * STEP) {
        // Each time from scratch, so that nothing is known from the seek before.
        let mut player = Player::open(LIVE, any_webm).expect("it plays");
        let frames = lead_after(&mut player, to);
        let key = keys.iter().copied().rfind(|&key| key <= to.as_millis() as i64).unwrap_or(keys[0]);
        assert_eq!(frames[0].ticks, key, "seek to {to:?}");
        let from = all.iter().position(|frame| frame.ticks == key).expect("it is in the file");
        assert_eq!(frames, all[from..]);
    }
}

#[test]
fn sound_starts_close_to_where_it_is_wanted() {
    let all = reference::read(AUDIO).frames;
    let mut player = Player::open(AUDIO, any_webm).expect("it plays");
    for to in (0..30).map(|i| i * STEP) {
        let frames = lead_after(&mut player, to);
        let early = to.as_millis() as i64 - frames[0].ticks;
        assert!((0..=100).contains(&early), "seek to {to:?} starts {early} ms before");
        assert!(all.ends_with(&frames));
    }
}

#[test]
fn sound_reaches_over_the_start_of_the_picture() {
    let mut player = Player::open(VP9, any_webm).expect("it plays");
    player.seek(Duration::from_millis(2500));
    player.finish().expect("to the end");
    let frames = reference::read(&player.appended()).frames;
    let start = |track| frames.iter().find(|frame| frame.track == track).expect("a frame").ticks;
    assert!((start(1) - start(2)).abs() <= 100, "picture from {}, sound from {}", start(1), start(2));
}

#[test]
fn a_seek_before_the_choice_sets_where_it_starts() {
    let mut player = Player::open(VP9, any_webm).expect("it plays");
    let mut early = Player::open(VP9, any_webm).expect("it plays");
    early.media = swarmreel::media::Media::open("film.webm", VP9.len() as u64);
    early.read().expect("the first bytes");
    early.media.seek(Duration::from_millis(3500));
    early.finish().expect("up to the choice");
    early.media.select(&[true, true]).expect("it plays");
    assert_eq!(reference::read(&early.appended()).frames.len(), 0);
    early.finish().expect("to the end");
    player.seek(Duration::from_millis(3500));
    player.finish().expect("to the end");
    assert_eq!(early.appended(), player.appended());
}

#[test]
fn the_first_segment_after_a_seek_is_small() {
    for file in PLAYABLE {
        let mut player = Player::open(file, any_webm).expect("it plays");
        player.finish().expect("to the end");
        player.seek(Duration::from_millis(700));
        let first = player.next().expect("well formed").expect("a segment");
        assert!(first.end - first.start <= Duration::from_millis(600));
        assert!(first.start <= Duration::from_millis(700));
    }
}

/// `seconds` of one key frame and 24 pictures of 8 KiB a second, a Cluster each second, without Cues.
fn long_film(seconds: u64, duration: bool) -> Vec<u8> {
    let frame = |second: u64, i: u64| {
        let mut bytes = vec![(second * 31 + i) as u8; 8 << 10];
        // What looks like the start of a Cluster, but isn't.
        bytes[100..105].copy_from_slice(&[0x1F, 0x43, 0xB6, 0x75, 0x84]);
        craft::block(1, i as i16 * 40, if i == 0 { 0x80 } else { 0 }, &bytes)
    };
    let cluster = |second| {
        let blocks: Vec<_> = (0..25).map(|i| frame(second, i)).collect();
        craft::element(0x1F43_B675, &craft::cluster(second * 1000, &blocks))
    };
    let info = match duration {
        true => craft::element(0x1549_A966, &craft::element(0x4489, &(seconds as f64 * 1000.0).to_be_bytes())),
        false => Vec::new(),
    };
    let parts: Vec<_> = [info, craft::tracks(&[])].into_iter().chain((0..seconds).map(cluster)).collect();
    craft::file(&parts)
}

#[test]
fn a_search_in_a_long_file_reads_a_small_part_of_it() {
    for duration in [true, false] {
        let file = long_film(300, duration);
        for second in [1_u64, 37, 150, 298, 299] {
            let mut player = Player::open(&file, any_webm).expect("it plays");
            player.seek(Duration::from_millis(second * 1000 + 999));
            let first = player.next().expect("well formed").expect("a segment");
            assert_eq!(first.start, Duration::from_secs(second));
            assert!(player.reads.len() < 40, "{} reads", player.reads.len());
            assert!(player.bytes_read() < file.len() as u64 / 12, "{} bytes", player.bytes_read());
        }
    }
}

#[test]
fn cues_are_read_when_they_are_needed_and_hinted_at_before() {
    let cues_at = reference::elements(VP9, 48..VP9.len()).into_iter().find(|element| element.0 == 0x1C53_BB6B);
    let cues_at = cues_at.expect("Cues").2 as u64;
    let mut player = Player::open(VP9, any_webm).expect("it plays");
    assert_eq!(player.media.hints(), vec![cues_at..VP9.len() as u64]);
    player.seek(Duration::from_secs(2));
    player.read().expect("the Cues");
    assert_eq!(player.reads, vec![cues_at..VP9.len() as u64]);
    assert_eq!(player.media.hints(), vec![]);
    player.seek(Duration::from_secs(3));
    player.read().expect("the Cluster");
    assert!(player.reads[0].start < cues_at, "they are read once");
}

#[test]
fn byte_at_follows_the_file() {
    let source = reference::read(VP9);
    let mut player = Player::open(VP9, any_webm).expect("it plays");
    let check = |player: &Player<'_>, slack: u64| {
        for &(at, frame) in &source.clusters {
            let time = Duration::from_millis(source.frames[frame].ticks as u64);
            let guess = player.media.byte_at(time).expect("it is known");
            assert!(guess.abs_diff(at as u64) <= slack, "{time:?}: {guess}, is {at}");
        }
    };
    check(&player, 4500);
    player.seek(Duration::from_secs(1));
    player.finish().expect("to the end");
    check(&player, 3500);
    assert_eq!(swarmreel::media::Media::open("film.webm", 1000).byte_at(Duration::ZERO), None);
}

#[test]
fn what_lies_in_front_of_the_pictures_is_jumped_over() {
    let attachments = craft::element(0x1941_A469, &vec![7; 3 << 20]);
    let cluster = craft::element(0x1F43_B675, &craft::cluster(0, &[craft::block(1, 0, 0x80, b"key")]));
    let file = craft::file(&[attachments, craft::tracks(&[]), craft::element(0xEC, &vec![0; 1 << 20]), cluster]);
    let mut player = Player::open(&file, any_webm).expect("it plays");
    player.finish().expect("to the end");
    assert_eq!(reference::read(&player.appended()).frames.len(), 1);
    assert!(player.bytes_read() < 512 << 10, "{} bytes", player.bytes_read());
}

//! What comes out re-parses to the frames that went in.

use std::time::Duration;

use crate::player::{Player, any_webm};
use crate::reference::{self, Frame};
use crate::{ALPHA, AUDIO, AV1, H264, LIVE, MATROSKA, PLAYABLE, TWO_AUDIO, VP8, VP9, craft};
use swarmreel::media::{Kind, MediaError};

fn play(file: &[u8]) -> Player<'_> {
    let mut player = Player::open(file, any_webm).expect("it plays");
    player.finish().expect("to the end");
    player
}

#[test]
fn every_frame_comes_out_once_as_it_was() {
    for file in PLAYABLE {
        let player = play(file);
        let (source, appended) = (reference::read(file), reference::read(&player.appended()));
        let expected: Vec<Frame> = source.frames.into_iter().filter(|frame| frame.track <= 2).collect();
        assert!(expected.len() > 10);
        assert_eq!(appended.frames, expected);
        assert_eq!((appended.scale, appended.duration), (source.scale, source.duration));
        let chosen: Vec<_> = source.tracks.into_iter().filter(|track| track.0 <= 2).collect();
        assert_eq!(appended.tracks, chosen);
    }
}

#[test]
fn types_and_duration() {
    let check = |file: &[u8], mime: &str, codecs: &[&str], millis: Option<u64>| {
        let player = play(file);
        assert_eq!(player.opening.mime, mime);
        assert_eq!(player.media.tracks().iter().map(|track| &track.codec[..]).collect::<Vec<_>>(), codecs);
        assert_eq!(player.media.duration(), millis.map(Duration::from_millis));
    };
    check(VP9, "video/webm; codecs=\"vp9, opus\"", &["VP9 (vp9)", "Opus (opus)"], Some(4008));
    check(VP8, "video/webm; codecs=\"vp8, vorbis\"", &["VP8 (vp8)", "Vorbis (vorbis)"], Some(4003));
    check(AV1, "video/webm; codecs=\"av01.0.00M.08, opus\"", &["AV1 (av01.0.00M.08)", "Opus (opus)"], Some(4008));
    check(AUDIO, "audio/webm; codecs=\"opus\"", &["Opus (opus)"], Some(4008));
    check(ALPHA, "video/webm; codecs=\"vp9\"", &["VP9 (vp9)"], Some(1000));
    check(LIVE, "video/webm; codecs=\"vp9, opus\"", &["VP9 (vp9)", "Opus (opus)"], None);
    check(MATROSKA, "video/webm; codecs=\"vp9, opus\"", &["VP9 (vp9)", "Opus (opus)"], Some(4021));
    let three = ["VP9 (vp9)", "Opus (opus)", "Vorbis (vorbis)"];
    check(TWO_AUDIO, "video/webm; codecs=\"vp9, opus\"", &three, Some(4024));
}

#[test]
fn the_first_playable_track_of_each_kind_is_taken() {
    let mut player = Player::open(TWO_AUDIO, |track| track.mime.contains("vorbis")).expect("it plays");
    player.finish().expect("to the end");
    assert_eq!(player.opening.mime, "audio/webm; codecs=\"vorbis\"");
    let frames = reference::read(&player.appended()).frames;
    assert_eq!(frames, reference::read(TWO_AUDIO).of_track(3));
}

#[test]
fn what_matroska_holds_beyond_webm_is_named() {
    // Even a browser that claims to play everything is given no such WebM.
    let error = Player::open(H264, |_| true).err().expect("it can't be played");
    let names = ["H.264 (V_MPEG4/ISO/AVC)", "AAC (A_AAC)"].map(String::from).to_vec();
    assert_eq!(error, MediaError::UnsupportedCodec(names));
    let other = craft::ebml("diary");
    let error = Player::open(&other, |_| true).err().expect("it can't be played");
    assert_eq!(error.code(), "unsupported-container");
}

#[test]
fn segments_are_small_first_and_follow_one_another() {
    for file in PLAYABLE {
        let player = play(file);
        let first = &player.segments[0];
        assert!(first.end - first.start <= Duration::from_millis(600), "{:?}..{:?}", first.start, first.end);
        for pair in player.segments.windows(2) {
            assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end + Duration::from_millis(1));
            let gap = pair[1].start.saturating_sub(pair[0].end);
            assert!(gap <= Duration::from_millis(100), "{gap:?} of nothing");
        }
    }
}

#[test]
fn clusters_of_unknown_size() {
    let source = reference::read(VP9);
    let first = source.clusters[0].0;
    let mut file = VP9[..first].to_vec();
    // The Segment's size is in its 8-byte form; all ones make it unknown.
    let size_at = file.windows(4).position(|id| id == [0x18, 0x53, 0x80, 0x67]).expect("a Segment") + 4;
    file[size_at..size_at + 8].copy_from_slice(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    for (id, body, at) in reference::elements(VP9, first..VP9.len()) {
        match id {
            0x1F43_B675 => file.extend(craft::unsized_element(id, &VP9[body])),
            _ => file.extend(&VP9[at..body.end]),
        }
    }
    assert_eq!(reference::read(&play(&file).appended()).frames, source.frames);
}

/// `frames` laced into one block's data, in each of the three ways.
fn laced(frames: &[&[u8]]) -> [(u8, Vec<u8>); 3] {
    let (last, all) = (frames.len() as u8 - 1, frames.concat());
    let xiph: Vec<u8> = frames[..last as usize].iter().map(|frame| frame.len() as u8).collect();
    let sizes: Vec<i64> = frames.iter().map(|frame| frame.len() as i64).collect();
    let mut ebml = vec![0x80 | sizes[0] as u8];
    ebml.extend(sizes.windows(2).take(last as usize - 1).map(|pair| 0x80 | (pair[1] - pair[0] + 63) as u8));
    [
        (0x02, [&[last], &xiph[..], &all].concat()),
        (0x04, [&[last], &all[..]].concat()),
        (0x06, [&[last], &ebml[..], &all].concat()),
    ]
}

#[test]
fn laced_blocks_become_one_block_a_frame() {
    let default_duration = craft::unsigned(0x23_E383, 20_000_000);
    for (flags, data) in laced(&[b"first", b"other", b"third"]) {
        let blocks = [
            craft::block(1, 0, 0x80, b"picture"),
            craft::block(2, 0, 0x80 | flags, &data),
            craft::block(2, 60, 0x80, b"single"),
        ];
        let file = craft::file(&[
            craft::tracks(&default_duration),
            craft::element(0x1F43_B675, &craft::cluster(500, &blocks)),
        ]);
        let player = play(&file);
        let frames = reference::read(&player.appended()).of_track(2);
        let seen: Vec<(i64, &[u8])> = frames.iter().map(|frame| (frame.ticks, &frame.bytes[..])).collect();
        assert_eq!(seen, [(500, &b"first"[..]), (520, b"other"), (540, b"third"), (560, b"single")]);
        assert!(frames.iter().all(|frame| frame.key));
        assert_eq!(player.segments.last().map(|segment| segment.end), Some(Duration::from_millis(580)));
    }
}

#[test]
fn lacing_without_a_known_duration_is_spread_by_the_blocks_before() {
    let (flags, data) = laced(&[b"aa", b"bb"])[1].clone();
    let blocks: Vec<_> = [0, 40, 80].map(|at| craft::block(2, at, 0x80 | flags, &data)).to_vec();
    let file = craft::file(&[craft::tracks(&[]), craft::element(0x1F43_B675, &craft::cluster(0, &blocks))]);
    let mut player = Player::open(&file, |track| track.kind == Kind::Audio).expect("it plays");
    player.finish().expect("to the end");
    let ticks: Vec<i64> = reference::read(&player.appended()).frames.iter().map(|frame| frame.ticks).collect();
    // Of the first block nothing is known yet.
    assert_eq!(ticks, [0, 0, 40, 60, 80, 100]);
}

#[test]
fn pictures_wait_for_a_key_frame_and_time_before_zero_is_left_out() {
    let blocks = [
        craft::block(2, -10, 0x80, b"too early"),
        craft::block(1, 0, 0, b"not decodable"),
        craft::block(2, 10, 0x80, b"sound"),
        craft::block(1, 20, 0x80, b"key"),
    ];
    let file = craft::file(&[craft::tracks(&[]), craft::element(0x1F43_B675, &craft::cluster(0, &blocks))]);
    let appended = reference::read(&play(&file).appended());
    let seen: Vec<&[u8]> = appended.frames.iter().map(|frame| &frame.bytes[..]).collect();
    assert_eq!(seen, [&b"sound"[..], b"key"]);
}

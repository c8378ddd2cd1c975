//! Our engine and libtorrent over TCP: an implementation of the wire protocol that shares nothing with ours.
//!
//! Invariant: content that arrives is held against the original's every byte, and libtorrent names no error.

mod frames;
mod theirs;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use frames::{EXTENDED_BIT, FAST_BIT, Frames};
use serde_json::Value;
use swarmreel::engine::Source;
use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::rng::Rng;
use swarmreel_native_tests::Peer;
use theirs::Theirs;

const PATIENCE: Duration = Duration::from_secs(60);
const PIECE_LENGTH: u32 = 64 << 10;
/// 6 MB and a bit, so that the last piece and the last block are short ones.
const LENGTH: usize = 6_000_123;

/// A torrent with its bytes.
struct Content {
    metainfo: Metainfo,
    bytes: Vec<u8>,
}

impl Content {
    /// Random bytes in files of these lengths.
    fn new(files: &[(&str, usize)]) -> Self {
        let mut rng = Rng::new([7; 32]);
        let length = files.iter().map(|(_, length)| length).sum();
        let bytes: Vec<u8> = std::iter::repeat_with(|| rng.bytes20()).flatten().take(length).collect();
        let options = BuilderOptions {
            files: files.iter().map(|(path, length)| (split(path), *length as u64)).collect(),
            piece_length: Some(PIECE_LENGTH),
            ..BuilderOptions::default()
        };
        let mut builder = Builder::new(options).unwrap();
        builder.update(&bytes).unwrap();
        Self { metainfo: builder.finish().unwrap(), bytes }
    }

    fn single() -> Self {
        Self::new(&[("film.bin", LENGTH)])
    }

    /// Files that end inside pieces and blocks, a tiny one, and an empty one.
    fn folder() -> Self {
        Self::new(&[
            ("Two films/a.bin", 3_000_001),
            ("Two films/b/c.bin", 17),
            ("Two films/e", 0),
            ("Two films/z", 777_777),
        ])
    }

    /// Where each file lies on a disk, and what is in it.
    fn files(&self) -> Vec<(PathBuf, &[u8])> {
        let Metainfo { name, files, .. } = &self.metainfo;
        let path = |file: &[String]| match files.len() {
            1 => PathBuf::from(name),
            _ => std::iter::once(name).chain(file).collect(),
        };
        let bytes = |offset: u64, length: u64| &self.bytes[offset as usize..(offset + length) as usize];
        files.iter().map(|file| (path(&file.path), bytes(file.offset, file.length))).collect()
    }

    fn magnet(&self) -> String {
        self.metainfo.magnet().to_string()
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// Lets our side run until the other side says so.
fn until(ours: &mut Peer, theirs: &mut Theirs, met: impl Fn(&Peer, &Value) -> bool) {
    let started = Instant::now();
    loop {
        ours.run_for(Duration::from_millis(20));
        let status = theirs.status();
        if met(ours, &status) {
            return;
        }
        let stats = ours.stats();
        assert!(started.elapsed() < PATIENCE, "ours: {stats:?}, {:?}; theirs: {status}", ours.events());
    }
}

fn downloads(ours: &mut Peer, theirs: &mut Theirs, content: &Content) {
    until(ours, theirs, |ours, _| ours.stats().verified == content.bytes.len() as u64);
    assert!(ours.downloaded() == content.bytes, "what arrived differs");
    assert_eq!(ours.metainfo().map(|metainfo| &metainfo.info), Some(&content.metainfo.info));
    check(&theirs.status());
}

fn uploads(ours: &mut Peer, theirs: &mut Theirs, content: &Content) {
    until(ours, theirs, |_, status| status["done"] == true);
    for (path, bytes) in content.files() {
        assert!(theirs.reads(&path) == bytes, "{} differs", path.display());
    }
    check(&theirs.status());
}

/// libtorrent found nothing wrong with us.
fn check(status: &Value) {
    assert_eq!(status["errors"], Value::Array(Vec::new()), "{status}");
    assert_eq!(status["failed"], 0, "{status}");
    // The only good reason to part is that neither side needs the other any more, whoever says so first.
    let good = ["torrent finished", "upload to upload", "uninteresting", "redundant", "End of file", "reset by peer"];
    for parting in status["partings"].as_array().unwrap() {
        let words = parting.as_str().unwrap();
        assert!(good.iter().any(|reason| words.contains(reason)), "{words}");
    }
}

#[test]
fn libtorrent_seeds_what_our_magnet_names() {
    let content = Content::single();
    let mut theirs = Theirs::seeding(&content.metainfo.to_torrent(), &content.files());
    let mut ours = Peer::adding(Source::Text(content.magnet())).unwrap();
    ours.dial(theirs.address());
    downloads(&mut ours, &mut theirs, &content);
    assert_eq!(ours.stats().wasted, 0);

    let transcript = ours.transcripts().next().unwrap();
    let (said, heard) = (Frames::of(&transcript.said), Frames::of(&transcript.heard));
    for side in [&said, &heard] {
        assert!(side.has(EXTENDED_BIT) && side.has(FAST_BIT));
        assert!(side.extended(0).count() > 0, "an extended handshake");
    }
    assert_eq!((heard.count(frames::HAVE_ALL), said.count(frames::HAVE_ALL)), (1, 0));
    assert!(said.count(frames::REQUEST) >= LENGTH.div_ceil(16 << 10));
    assert!(said.place(frames::INTERESTED) < said.place(frames::REQUEST));
}

#[test]
fn libtorrent_downloads_what_its_magnet_names_from_us() {
    let content = Content::single();
    let mut ours = Peer::seeding(&content.metainfo, content.bytes.clone()).unwrap();
    let mut theirs = Theirs::adding(&content.magnet());
    theirs.dials(ours.address());
    uploads(&mut ours, &mut theirs, &content);

    let transcript = ours.transcripts().next().unwrap();
    let (said, heard) = (Frames::of(&transcript.said), Frames::of(&transcript.heard));
    assert!(said.has(FAST_BIT) && heard.has(FAST_BIT));
    assert_eq!(said.count(frames::HAVE_ALL), 1);
    assert_eq!(said.count(frames::PIECE), LENGTH.div_ceil(16 << 10));
    assert!(heard.count(frames::INTERESTED) > 0 && said.count(frames::UNCHOKE) > 0);
}

#[test]
fn a_folder_comes_from_libtorrent() {
    let content = Content::folder();
    let mut theirs = Theirs::seeding(&content.metainfo.to_torrent(), &content.files());
    let mut ours = Peer::adding(Source::Torrent(content.metainfo.to_torrent())).unwrap();
    theirs.dials(ours.address());
    downloads(&mut ours, &mut theirs, &content);
    let transcript = ours.transcripts().next().unwrap();
    assert_eq!(Frames::of(&transcript.said).count(frames::HAVE_NONE), 1);
}

#[test]
fn a_folder_goes_to_libtorrent() {
    let content = Content::folder();
    let mut ours = Peer::seeding(&content.metainfo, content.bytes.clone()).unwrap();
    let mut theirs = Theirs::adding(&content.magnet());
    ours.dial(theirs.address());
    uploads(&mut ours, &mut theirs, &content);
}

#[test]
fn what_libtorrent_rejects_is_asked_again() {
    let content = Content::single();
    let mut theirs = Theirs::seeding(&content.metainfo.to_torrent(), &content.files());
    theirs.sets("upload_rate_limit", 400_000);
    let mut ours = Peer::adding(Source::Torrent(content.metainfo.to_torrent())).unwrap();
    ours.dial(theirs.address());
    until(&mut ours, &mut theirs, |ours, _| ours.stats().verified > 0);
    theirs.sets("unchoke_slots_limit", 0);
    let rejects = |ours: &Peer| Frames::of(&ours.transcripts().next().unwrap().heard).count(frames::REJECT);
    until(&mut ours, &mut theirs, |ours, _| rejects(ours) > 0);
    theirs.sets("unchoke_slots_limit", 8);
    theirs.sets("upload_rate_limit", 0);
    downloads(&mut ours, &mut theirs, &content);
}

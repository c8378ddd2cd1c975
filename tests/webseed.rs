//! Web seeds (BEP 19), the whole engine against scripted web servers: what is fetched, in which order, and what becomes of
//! servers that misbehave. Bytes are compared with the original when they are stored.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use swarmreel::engine::{Action, Answer, Command, Engine, Event, FetchFailure, Input, Limits, Output, Reply, Source};
use swarmreel::engine::{Stats, WebSeedState};
use swarmreel::ids::{FetchId, TorrentId};
use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::time::Moment;

/// How a server treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// 206 for parts, `Content-Range` readable.
    Good,
    /// The same, but the browser hides the headers.
    Opaque,
    /// 200 and the whole file, whatever was asked for.
    NoRanges,
    /// Every bit flipped.
    Lies,
    /// The body ends after so many bytes.
    Cuts(usize),
    /// An error status.
    Says(u16),
    /// Browsers may not read its answers.
    NoCors,
    /// Browsers do not fetch from there for this page.
    Blocked,
    /// Never answers.
    Silent,
    /// Its file is found elsewhere.
    Redirects,
    /// Another file of the same name.
    OtherLength,
}

/// Web servers, a store, and an engine with one torrent.
struct World {
    engine: Engine,
    torrent: TorrentId,
    now: Moment,
    content: Vec<u8>,
    piece_length: usize,
    /// By URL.
    files: BTreeMap<String, (Range<usize>, Habit)>,
    /// Bodies under way, and how much of each was sent.
    bodies: VecDeque<(FetchId, Vec<u8>, usize)>,
    /// Every request made, as `URL bytes`.
    requests: Vec<String>,
    served: usize,
    stored: BTreeMap<u32, usize>,
    warnings: Vec<&'static str>,
    done: bool,
    /// Pieces are stored at once; else never.
    stores: bool,
}

fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn torrent(files: &[(&str, usize)], piece_length: u32, content: &[u8]) -> Metainfo {
    let path = |path: &str| path.split('/').map(str::to_owned).collect();
    let files = files.iter().map(|(name, length)| (path(name), *length as u64)).collect();
    let options = BuilderOptions { files, piece_length: Some(piece_length), ..BuilderOptions::default() };
    let mut builder = Builder::new(options).unwrap();
    builder.update(content).unwrap();
    builder.finish().unwrap()
}

impl World {
    /// A torrent of files that lie one after the other in the content.
    fn new(files: &[(&str, usize)], piece_length: u32, seeds: &[&str]) -> Self {
        let content = bytes(files.iter().map(|(_, length)| length).sum());
        let metainfo = torrent(files, piece_length, &content);
        Self::with(metainfo.to_torrent(), content, piece_length, seeds)
    }

    fn with(torrent: Vec<u8>, content: Vec<u8>, piece_length: u32, seeds: &[&str]) -> Self {
        Self::add(Source::Torrent(torrent), content, piece_length, seeds)
    }

    fn add(source: Source, content: Vec<u8>, piece_length: u32, seeds: &[&str]) -> Self {
        let mut engine = Engine::new(Limits::default(), [1; 32], Moment(0));
        let web_seeds = seeds.iter().map(|url| url.to_string()).collect();
        let add = Command::Add { source, trackers: Vec::new(), web_seeds };
        let Ok(Reply::Torrent(torrent)) = engine.command(Moment(0), add) else { panic!("a good torrent") };
        Self {
            engine,
            torrent,
            now: Moment(0),
            content,
            piece_length: piece_length as usize,
            files: BTreeMap::new(),
            bodies: VecDeque::new(),
            requests: Vec::new(),
            served: 0,
            stored: BTreeMap::new(),
            warnings: Vec::new(),
            done: false,
            stores: true,
        }
    }

    fn serve(mut self, url: &str, content: Range<usize>, habit: Habit) -> Self {
        self.files.insert(url.to_string(), (content, habit));
        self
    }

    fn stats(&self) -> Stats {
        self.engine.stats(self.now, self.torrent).unwrap()
    }

    /// Runs until everything is here, or for so many virtual seconds. True if it is all here.
    fn run(&mut self, seconds: u64) -> bool {
        let until = Moment(self.now.0 + seconds * 1_000_000);
        loop {
            self.settle();
            if self.done || self.now > until {
                return self.done;
            }
            if let Some((fetch, body, sent)) = self.bodies.pop_front() {
                self.deliver(fetch, body, sent);
            } else {
                self.now = self.engine.wake_at().unwrap().max(Moment(self.now.0 + 1));
                self.engine.handle(self.now, Input::Wake);
            }
        }
    }

    /// The next 10,000 bytes of a body; they take a millisecond.
    fn deliver(&mut self, fetch: FetchId, body: Vec<u8>, sent: usize) {
        self.now = Moment(self.now.0 + 1_000);
        let end = body.len().min(sent + 10_000);
        if sent == end {
            return self.engine.handle(self.now, Input::FetchEnded(fetch));
        }
        self.served += end - sent;
        self.engine.handle(self.now, Input::FetchData(fetch, &body[sent..end]));
        self.bodies.push_back((fetch, body, end));
    }

    fn settle(&mut self) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Do(Action::Fetch { fetch, url, range }) => self.request(fetch, &url, range),
                Output::Do(Action::CancelFetch(fetch)) => self.bodies.retain(|(other, ..)| *other != fetch),
                Output::Do(Action::Store { torrent, piece, bytes }) => {
                    let start = piece as usize * self.piece_length;
                    assert!(self.content[start..].starts_with(&bytes), "piece {piece} is not the original");
                    self.stored.insert(piece, bytes.len());
                    if self.stores {
                        self.engine.handle(self.now, Input::Stored(torrent, piece));
                    }
                }
                Output::Do(Action::OpenStore { torrent, .. }) => {
                    self.engine.handle(self.now, Input::StoreOpened { torrent, info: None, have: None });
                }
                Output::Tell(Event::Done(_)) => self.done = true,
                Output::Tell(Event::Warning { code, .. }) => self.warnings.push(code),
                _ => {}
            }
        }
        self.engine.check();
    }

    fn request(&mut self, fetch: FetchId, url: &str, range: Option<Range<u64>>) {
        let shown = range.as_ref().map_or_else(|| "all".to_string(), |range| format!("{}-{}", range.start, range.end));
        self.requests.push(format!("{url} {shown}"));
        let Some((place, habit)) = self.files.get(url).cloned() else {
            return self.answer(fetch, url, 404, None, 0);
        };
        let total = place.len();
        let range = range.map(|range| range.start as usize..(range.end as usize).min(total));
        let part = range.clone().unwrap_or(0..total);
        let content_range = format!("bytes {}-{}/{total}", part.start, part.end - 1);
        let status = if range.is_some() { 206 } else { 200 };
        match habit {
            Habit::Silent => return,
            Habit::Blocked => return self.engine.handle(self.now, Input::FetchFailed(fetch, FetchFailure::Blocked)),
            Habit::NoCors => return self.engine.handle(self.now, Input::FetchFailed(fetch, FetchFailure::Network)),
            Habit::Says(status) => return self.answer(fetch, url, status, None, 10),
            Habit::OtherLength => return self.answer(fetch, url, 200, None, total as u64 + 1),
            Habit::NoRanges => {
                self.answer(fetch, url, 200, None, total as u64);
                return self.bodies.push_back((fetch, self.content[place].to_vec(), 0));
            }
            Habit::Redirects => {
                let elsewhere = format!("{url}?elsewhere");
                self.answer(fetch, &elsewhere, status, Some(&content_range), part.len() as u64);
            }
            Habit::Opaque => {
                let answer = Answer { status, content_range: None, content_length: None, url };
                self.engine.handle(self.now, Input::FetchAnswered { fetch, answer });
            }
            Habit::Good | Habit::Lies | Habit::Cuts(_) => {
                self.answer(fetch, url, status, Some(&content_range), part.len() as u64);
            }
        }
        let mut body = self.content[place][part].to_vec();
        if habit == Habit::Lies {
            body.iter_mut().for_each(|byte| *byte = !*byte);
        }
        if let Habit::Cuts(length) = habit {
            body.truncate(length);
        }
        self.bodies.push_back((fetch, body, 0));
    }

    fn answer(&mut self, fetch: FetchId, url: &str, status: u16, content_range: Option<&str>, length: u64) {
        let content_range = content_range.filter(|_| status == 206);
        let answer = Answer { status, content_range, content_length: Some(length), url };
        self.engine.handle(self.now, Input::FetchAnswered { fetch, answer });
    }

    fn state(&self, seed: usize) -> WebSeedState {
        self.stats().web_seeds[seed].state
    }
}

const MIB: usize = 1 << 20;

/// One file of 3 MiB and a bit, at one server.
fn single(habit: Habit) -> World {
    let length = 3 * MIB + 5_000;
    World::new(&[("film.mp4", length)], 65_536, &["http://a.test/film.mp4"]).serve(
        "http://a.test/film.mp4",
        0..length,
        habit,
    )
}

#[test]
fn a_web_seed_alone_brings_everything_once() {
    for habit in [Habit::Good, Habit::Opaque] {
        let mut world = single(habit);
        assert!(world.run(60), "{habit:?}: {:?}", world.stats());
        assert_eq!((world.served, world.stats().wasted), (3 * MIB + 5_000, 0), "{habit:?}");
        assert!(world.requests.len() <= 6, "consecutive pieces come in one request: {:?}", world.requests);
        assert!(world.warnings.is_empty());
    }
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let mut world = single(Habit::NoRanges);
    assert!(world.run(60), "{:?}", world.stats());
    assert_eq!(world.served, 3 * MIB + 5_000);
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
}

#[test]
fn many_files_with_odd_names_are_found_where_the_torrent_says() {
    let files =
        [("Fold er/a#1?.bin", 70_000), ("Fold er/empty", 0), ("Fold er/100%.bin", 5), ("Fold er/ü.bin", 200_000)];
    let base = "http://a.test/all/Fold%20er/";
    for habit in [Habit::Good, Habit::NoRanges] {
        let mut world = World::new(&files, 32_768, &["http://a.test/all"])
            .serve(&format!("{base}a%231_.bin"), 0..70_000, habit)
            .serve(&format!("{base}100%25.bin"), 70_000..70_005, habit)
            .serve(&format!("{base}%C3%BC.bin"), 70_005..270_005, habit);
        assert!(world.run(60), "{habit:?}: {:?}", world.requests);
        assert!(world.served == 270_005 || habit == Habit::NoRanges && world.served < 540_010, "{habit:?}");
        assert!(!world.requests.iter().any(|request| request.contains("empty")), "{:?}", world.requests);
    }
}

#[test]
fn a_liar_is_asked_no_more() {
    let mut world = single(Habit::Lies);
    assert!(!world.run(60));
    assert_eq!(world.state(0), WebSeedState::Off);
    assert!(world.warnings.contains(&"web-seed-banned"), "{:?}", world.warnings);
    assert!(world.served <= 200_000, "a liar was asked for {} bytes", world.served);
    assert!(world.stored.is_empty());
}

#[test]
fn another_server_goes_on_where_one_fails() {
    let habits = [
        Habit::Lies,
        Habit::Says(404),
        Habit::Says(503),
        Habit::Says(416),
        Habit::NoCors,
        Habit::Silent,
        Habit::OtherLength,
        Habit::Cuts(30_000),
    ];
    for habit in habits {
        let length = 2 * MIB;
        let mut world = World::new(&[("f", length)], 65_536, &["http://bad.test/f", "http://good.test/f"])
            .serve("http://bad.test/f", 0..length, habit)
            .serve("http://good.test/f", 0..length, Habit::Good);
        assert!(world.run(120), "{habit:?}: {:?}", world.stats());
    }
}

#[test]
fn a_failing_server_is_tried_ever_less_often() {
    for habit in [Habit::Says(503), Habit::NoCors, Habit::Silent, Habit::Says(404)] {
        let mut world = single(habit);
        assert!(!world.run(600));
        let requests = world.requests.len();
        assert!((5..=12).contains(&requests), "{habit:?}: {requests} requests in ten minutes");
        assert_eq!(world.warnings, ["web-seed-failed"], "{habit:?}: one warning for a row of failures");
        let file = world.files.get_mut("http://a.test/film.mp4").unwrap();
        file.1 = Habit::Good;
        assert!(world.run(600), "{habit:?}: it is found well again");
    }
}

#[test]
fn bodies_that_end_early_are_gone_on_with() {
    let mut world = single(Habit::Cuts(400_000));
    assert!(world.run(120), "{:?}", world.stats());
    assert!(world.served < 4 * MIB, "{} bytes for 3 MiB", world.served);
}

#[test]
fn a_server_that_sends_single_bytes_rests_ever_longer() {
    let mut world = single(Habit::Cuts(1));
    let mut asked_at = Vec::new();
    while asked_at.len() < 100 {
        let asked = world.requests.len();
        assert!(!world.run(0));
        if world.requests.len() > asked {
            asked_at.push(world.now);
        }
    }
    let longest = Limits::default().web_rest_max.mul_f64(0.75);
    assert!(asked_at[99].since(asked_at[98]) >= longest, "{:?}", asked_at[99].since(asked_at[98]));
    assert_eq!(world.warnings, ["web-seed-failed"]);
}

#[test]
fn a_folder_holds_the_single_file_or_is_it() {
    let length = 100_000;
    let mut world = World::new(&[("f g", length)], 65_536, &["http://a.test/d/"]).serve(
        "http://a.test/d/f%20g",
        0..length,
        Habit::Good,
    );
    assert!(world.run(10), "{:?}", world.requests);
    let mut world =
        World::new(&[("f g", length)], 65_536, &["http://a.test/d/"]).serve("http://a.test/d/", 0..length, Habit::Good);
    assert!(world.run(10), "{:?}", world.requests);
    assert_eq!(world.requests[0], "http://a.test/d/f%20g 0-100000");
    assert!(world.warnings.is_empty());
}

#[test]
fn a_redirect_is_followed_once() {
    let mut world = single(Habit::Redirects).serve("http://a.test/film.mp4?elsewhere", 0..3 * MIB + 5_000, Habit::Good);
    assert!(world.run(60));
    let asked = world.requests.iter().filter(|request| !request.contains("elsewhere")).count();
    assert_eq!(asked, 1, "{:?}", world.requests);
}

#[test]
fn a_file_that_is_missing_does_not_keep_the_others_away() {
    let files = [("d/a", 200_000), ("d/b", 200_000), ("d/c", 200_000)];
    let mut world = World::new(&files, 32_768, &["http://a.test/"])
        .serve("http://a.test/d/a", 0..200_000, Habit::Good)
        .serve("http://a.test/d/c", 400_000..600_000, Habit::Good);
    assert!(!world.run(60));
    let (lost, piece) = (200_000 / 32_768..400_000usize.div_ceil(32_768), 32_768);
    assert_eq!(world.stored.len(), 600_000usize.div_ceil(piece) - lost.len(), "{:?}", world.stored);
    let b = world.requests.iter().filter(|request| request.contains("/d/b")).count();
    assert_eq!(b, 1, "{:?}", world.requests);
}

#[test]
fn padding_is_not_fetched() {
    let content = [bytes(20_000), vec![0; 12_768], bytes(50_000)].concat();
    let metainfo = padded(&content);
    let mut world = World::with(metainfo, content, 32_768, &["http://a.test/d"])
        .serve("http://a.test/d/t/a", 0..20_000, Habit::Good)
        .serve("http://a.test/d/t/b", 32_768..82_768, Habit::Good);
    assert!(world.run(60), "{:?}", world.requests);
    assert_eq!(world.served, 70_000, "{:?}", world.requests);
}

#[test]
fn padding_without_end_is_taken_in_little_by_little() {
    // The first file takes more than one request, so that it shows whether there are ranges.
    let (a, padding, piece) = (2 * MIB, 24 * MIB, 256 << 10);
    for habit in [Habit::Good, Habit::NoRanges] {
        let content = [bytes(a), vec![0; padding], bytes(50_000)].concat();
        let digests: Vec<u8> = content.chunks(piece).flat_map(swarmreel::hash::sha1).collect();
        let metainfo = [b"d4:info".to_vec(), padded_info(a, padding, piece, &digests), b"e".to_vec()].concat();
        let mut world = World::with(metainfo, content, piece as u32, &["http://a.test/d"])
            .serve("http://a.test/d/t/a", 0..a, habit)
            .serve("http://a.test/d/t/b", a + padding..a + padding + 50_000, habit);
        // So that the padding follows in the stream of the file before it.
        read_from(&mut world, 0);
        let mut most = 0;
        while !world.done && world.now < Moment(60_000_000) {
            let stored = world.stored.len();
            world.run(0);
            most = most.max(world.stored.len() - stored);
        }
        let bound = Limits::default().web_padding_bytes_at_once as usize / piece;
        assert!(world.done && most <= bound + 2, "{habit:?}: {most} pieces in one turn");
        assert_eq!(world.stats().wasted, 0, "{habit:?}");
    }
}

/// Files `a` of 20,000 bytes and `b` of 50,000, padded to a piece's end between them.
fn padded(content: &[u8]) -> Vec<u8> {
    let digests: Vec<u8> = content.chunks(32_768).flat_map(swarmreel::hash::sha1).collect();
    let info = padded_info(20_000, 12_768, 32_768, &digests);
    [b"d4:info".to_vec(), info, b"e".to_vec()].concat()
}

fn padded_info(a: usize, padding: usize, piece: usize, digests: &[u8]) -> Vec<u8> {
    let padding = format!("d4:attr1:p6:lengthi{padding}e4:pathl4:.pad1:0ee");
    let files = format!("ld6:lengthi{a}e4:pathl1:aee{padding}d6:lengthi50000e4:pathl1:beee");
    let head = format!("d5:files{files}4:name1:t12:piece lengthi{piece}e6:pieces{}:", digests.len());
    [head.into_bytes(), digests.to_vec(), b"e".to_vec()].concat()
}

#[test]
fn nothing_is_fetched_from_addresses_that_are_no_web_addresses() {
    let urls = ["file:///etc/passwd", "data:,x", "http://me:pw@a.test/f", "ftp://a.test/f", "javascript:alert(1)"];
    let mut world = World::new(&[("f", 100_000)], 65_536, &urls);
    assert!(!world.run(10));
    assert!(world.requests.is_empty() && world.stats().web_seeds.is_empty());
    let many: Vec<String> = (0..50).map(|n| format!("http://s{n}.test/f")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(World::new(&[("f", 100_000)], 65_536, &many).stats().web_seeds.len(), 10);
}

#[test]
fn an_address_that_this_page_may_not_fetch_is_given_up_with_a_warning() {
    let mut world = single(Habit::Blocked);
    assert!(!world.run(600));
    assert_eq!((world.requests.len(), world.state(0)), (1, WebSeedState::Off));
    assert_eq!(world.warnings, ["web-seed-blocked"]);
}

#[test]
fn an_address_that_becomes_forbidden_is_given_up_with_all_that_is_on_its_way() {
    let mut world = single(Habit::Good);
    world.settle();
    let read = Command::Read { torrent: world.torrent, file: 0, range: 2 << 20..3 << 20 };
    let Ok(Reply::Read(read)) = world.engine.command(world.now, read) else { panic!("a good range") };
    world.engine.command(world.now, Command::ReadMore { read, credit: 1 << 20 }).unwrap();
    world.settle();
    let (forbidden, ..) = world.bodies.pop_front().expect("two are fetched");
    let (other, body, sent) = world.bodies.pop_front().expect("two are fetched");
    world.engine.handle(world.now, Input::FetchFailed(forbidden, FetchFailure::Blocked));
    // What is on its way still arrives, and nothing stays asked of who will not be asked again.
    world.engine.handle(world.now, Input::FetchData(other, &body[sent..]));
    world.settle();
    assert_eq!((world.bodies.len(), world.state(0)), (0, WebSeedState::Off), "{:?}", world.requests);
}

#[test]
fn what_an_earlier_session_stored_is_not_fetched() {
    let length = 4 * 65_536;
    let mut world = World::new(&[("f", length)], 65_536, &["http://a.test/f"]);
    let (mut opened, mut fetched, mut wakes) = (false, 0, 0);
    while !world.done && wakes < 10 {
        while let Some(output) = world.engine.poll() {
            match output {
                Output::Do(Action::Fetch { .. }) => fetched += 1,
                Output::Do(Action::Load { torrent, piece, offset, length }) => {
                    let bytes = &world.content[offset as usize..][..length as usize];
                    world.engine.handle(world.now, Input::Loaded(torrent, piece, bytes));
                }
                Output::Tell(Event::Done(_)) => world.done = true,
                _ => {}
            }
        }
        wakes += 1;
        world.now = world.engine.wake_at().unwrap();
        // The store takes a while to open.
        let (torrent, have) = (world.torrent, Some(&[0xf0][..]));
        if wakes > 3 && !std::mem::replace(&mut opened, true) {
            world.engine.handle(world.now, Input::StoreOpened { torrent, info: None, have });
        } else {
            world.engine.handle(world.now, Input::Wake);
        }
    }
    assert_eq!((world.done, fetched), (true, 0));
}

/// Someone waits for what is at this offset of the first file.
fn read_from(world: &mut World, offset: u64) {
    let read = Command::Read { torrent: world.torrent, file: 0, range: offset..offset + MIB as u64 };
    let Ok(Reply::Read(read)) = world.engine.command(world.now, read) else { panic!("a good read") };
    world.engine.command(world.now, Command::ReadMore { read, credit: MIB as u64 }).unwrap();
}

#[test]
fn what_is_waited_for_does_not_wait_for_what_is_fetched() {
    let length = 48 * MIB;
    let mut world =
        World::new(&[("f", length)], 65_536, &["http://a.test/f"]).serve("http://a.test/f", 0..length, Habit::Good);
    // Runs are long by now: a second and more, at ten megabytes a second.
    world.run(1);
    for offset in [12 * MIB, 5 * MIB, 20 * MIB, 40 * MIB] {
        read_from(&mut world, offset as u64);
        let asked_at = world.now;
        while !world.stored.contains_key(&(offset as u32 / 65_536)) {
            assert!(!world.run(0));
        }
        let waited = world.now.since(asked_at).as_millis();
        assert!(waited < 400, "{waited} ms for what is at {offset}");
    }
    assert!(world.run(60));
    assert!(world.served < length + length / 10, "{} bytes for {length}", world.served);
}

#[test]
fn no_more_is_fetched_than_memory_holds_while_the_disk_is_stuck() {
    let length = 80 * MIB;
    let mut world =
        World::new(&[("f", length)], 1 << 20, &["http://a.test/f"]).serve("http://a.test/f", 0..length, Habit::Good);
    world.stores = false;
    assert!(!world.run(60));
    assert!((32 * MIB..=64 * MIB).contains(&world.served), "{} bytes wait for the disk", world.served);
}

#[test]
fn the_metadata_comes_from_where_the_link_says() {
    let content = bytes(200_000);
    let metainfo = torrent(&[("f", 200_000)], 32_768, &content);
    let other = torrent(&[("g", 200_000)], 32_768, &content).to_torrent();
    let good = Metainfo { web_seeds: vec!["http://a.test/f".to_string()], ..metainfo.clone() }.to_torrent();
    let sources = ["http://x.test/gone", "http://x.test/other", "http://x.test/good"];
    let link = format!("magnet:?xt=urn:btih:{}&xs={}", metainfo.info_hash, sources.join("&xs="));
    // Behind the content lie the torrent files, for the servers to serve.
    let ends = [content.len(), content.len() + other.len(), content.len() + other.len() + good.len()];
    let all = [content, other, good].concat();
    let mut world = World::add(Source::Text(link), all, 32_768, &[])
        .serve("http://x.test/other", ends[0]..ends[1], Habit::Good)
        .serve("http://x.test/good", ends[1]..ends[2], Habit::Good)
        .serve("http://a.test/f", 0..ends[0], Habit::Good);
    assert!(world.run(30), "{:?}", world.requests);
    assert_eq!(world.requests[..3], sources.map(|url| format!("{url} all")));
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
}

#[test]
fn a_silent_source_of_metadata_makes_way_for_the_next() {
    let link = format!("magnet:?xt=urn:btih:{}&xs=http://x.test/t&xs=http://y.test/t", "0123456789".repeat(4));
    let mut world = World::add(Source::Text(link), bytes(10), 32_768, &[])
        .serve("http://x.test/t", 0..10, Habit::Silent)
        .serve("http://y.test/t", 0..10, Habit::Silent);
    assert!(!world.run(15));
    assert_eq!(world.requests, ["http://x.test/t all"]);
    assert!(!world.run(10));
    assert_eq!(world.requests, ["http://x.test/t all", "http://y.test/t all"]);
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
    assert!(!world.run(60));
    assert_eq!((world.requests.len(), world.warnings), (2, vec!["source-failed"]));
}

#[test]
fn a_torrent_file_without_end_is_not_read_to_its_end() {
    let link = format!("magnet:?xt=urn:btih:{}&xs=http://x.test/t", "0123456789".repeat(4));
    let length = 9 * MIB;
    let mut world = World::add(Source::Text(link), vec![b'd'; length], 32_768, &[]).serve(
        "http://x.test/t",
        0..length,
        Habit::Good,
    );
    assert!(!world.run(30));
    assert!(world.served <= 8 * MIB + 20_000, "{}", world.served);
    assert_eq!(world.warnings, ["source-failed"]);
}

#[test]
fn removing_the_torrent_ends_every_fetch() {
    let mut world = single(Habit::Silent);
    world.settle();
    assert_eq!(world.state(0), WebSeedState::Fetching);
    let remove = Command::Remove { torrent: world.torrent, forget: false };
    world.engine.command(world.now, remove).unwrap();
    let mut cancelled = 0;
    while let Some(output) = world.engine.poll() {
        cancelled += usize::from(matches!(output, Output::Do(Action::CancelFetch(_))));
    }
    assert_eq!(cancelled, world.requests.len());
}

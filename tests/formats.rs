//! Torrents and magnets against golden vectors (tests/vectors/torrents, made by make.mjs there), hostile torrents
//! (threat-model P9), and properties over drawn ones.

use swarmreel::bencode;
use swarmreel::ids::InfoHash;
use swarmreel::magnet::Magnet;
use swarmreel::metainfo::{Builder, BuilderOptions, FileEntry, Metainfo, MetainfoError};
use swarmreel::rng::Rng;

use serde_json::Value as Json;

macro_rules! vector {
    ($name:literal) => {
        (
            include_bytes!(concat!("vectors/torrents/", $name, ".torrent")).as_slice(),
            serde_json::from_str::<Json>(include_str!(concat!("vectors/torrents/", $name, ".json"))).expect("JSON"),
        )
    };
}

/// Content as make.mjs makes it.
fn content(length: u64) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn files_of(json: &Json) -> Vec<(String, u64, u64, bool)> {
    let file = |file: &Json| {
        let number = |key: &str| file[key].as_u64().expect("a number");
        let path = file["path"].as_str().expect("a path").to_owned();
        (path, number("length"), number("offset"), file["padding"] == true)
    };
    json["files"].as_array().expect("files").iter().map(file).collect()
}

fn flat(files: &[FileEntry], below: &str) -> Vec<(String, u64, u64, bool)> {
    files
        .iter()
        .map(|file| (format!("{below}{}", file.path.join("/")), file.length, file.offset, file.padding))
        .collect()
}

#[test]
fn reads_what_the_javascript_packages_read() {
    for ((bytes, expected), below) in [(vector!("single"), ""), (vector!("folder"), "Földer & co/")] {
        let torrent = Metainfo::from_torrent(bytes).expect("a torrent");
        assert_eq!(torrent.info_hash.to_hex(), expected["infoHash"]);
        assert_eq!(torrent.name, expected["name"].as_str().unwrap());
        assert_eq!((torrent.length, torrent.piece_length as u64), {
            (expected["length"].as_u64().unwrap(), expected["pieceLength"].as_u64().unwrap())
        });
        let pieces: Vec<String> = torrent.pieces.iter().map(|digest| InfoHash(*digest).to_hex()).collect();
        assert_eq!(pieces, texts(&expected["pieces"]));
        let last = torrent.pieces.len() as u32 - 1;
        assert_eq!(torrent.piece_size(last) as u64, expected["lastPieceLength"].as_u64().unwrap());
        assert_eq!((torrent.piece_size(0), torrent.piece_size(last + 1)), (torrent.piece_length, 0));
        assert_eq!(torrent.private, expected["private"].as_bool().unwrap());
        assert_eq!(torrent.trackers, texts(&expected["announce"]));
        assert_eq!(torrent.web_seeds, texts(&expected["urlList"]));
        assert_eq!(torrent.comment.as_deref(), expected["comment"].as_str());
        assert_eq!(torrent.created_by.as_deref(), expected["createdBy"].as_str());
        assert_eq!(torrent.creation_date, expected["created"].as_i64());
        assert_eq!(flat(&torrent.files, below), files_of(&expected));
        assert_eq!(torrent.magnet().to_string(), expected["magnet"].as_str().unwrap());
    }
}

#[test]
fn builds_what_create_torrent_builds() {
    for (bytes, piece_length) in [(vector!("single").0, None), (vector!("folder").0, Some(32768))] {
        let expected = Metainfo::from_torrent(bytes).expect("a torrent");
        let folder = (expected.files.len() > 1).then(|| expected.name.clone());
        let path = |file: &FileEntry| folder.iter().chain(&file.path).cloned().collect::<Vec<_>>();
        let mut builder = Builder::new(BuilderOptions {
            name: None,
            files: expected.files.iter().map(|file| (path(file), file.length)).collect(),
            piece_length,
            trackers: expected.trackers.clone(),
            web_seeds: expected.web_seeds.clone(),
            comment: expected.comment.clone(),
            created_by: expected.created_by.clone(),
            private: expected.private,
            creation_date: expected.creation_date,
        })
        .expect("options");
        for file in &expected.files {
            builder.update(&content(file.length)).expect("content");
        }
        let built = builder.finish().expect("a torrent");
        assert_eq!(built, expected);
        assert_eq!(built.to_torrent().escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

#[test]
fn reads_odd_torrents_by_their_own_bytes() {
    for (bytes, expected) in
        [vector!("unsorted"), vector!("padded"), vector!("hostile-names"), vector!("utf8-keys"), vector!("hybrid")]
    {
        let torrent = Metainfo::from_torrent(bytes).expect("a torrent");
        assert_eq!(torrent.info_hash.to_hex(), expected["infoHash"]);
        assert_eq!(torrent.name, expected["name"].as_str().unwrap());
        assert_eq!(flat(&torrent.files, ""), files_of(&expected));
        assert_eq!(Metainfo::from_torrent(&torrent.to_torrent()), Ok(torrent));
    }
}

#[test]
fn refuses_v2_with_a_sentence() {
    let (bytes, expected) = vector!("v2-only");
    let error = Metainfo::from_torrent(bytes).expect_err("v2");
    assert_eq!(error, MetainfoError::V2Only);
    assert_eq!(error.to_string(), expected["error"]);
}

/// An info dictionary with these parts; `files` in bencode.
fn info(piece_length: &str, digests: usize, files: &str) -> Vec<u8> {
    let head = format!("d{files}4:name1:a12:piece length{piece_length}6:pieces{}:", digests * 20);
    [head.into_bytes(), vec![1; digests * 20], b"e".to_vec()].concat()
}

#[test]
fn p9_hostile_info_dictionaries_get_their_verdict() {
    use MetainfoError::*;
    let max = i64::MAX;
    let deep = format!("d6:lengthi1e4:pathl{}ee", "1:x".repeat(33));
    for (bytes, error) in [
        (info("i16384e", 1, "6:lengthi0e"), Empty),
        (info("i16384e", 1, "6:lengthi-1e"), Malformed("length")),
        (info("i16384e", 1, "6:length1:5"), Malformed("length")),
        (info("i16384e", 1, "6:lengthi99999999999999999999e"), Malformed("length")),
        (info("i16384e", 1, ""), Missing("length")),
        (info("i0e", 1, "6:lengthi5e"), Malformed("piece length")),
        (info("i-16384e", 1, "6:lengthi5e"), Malformed("piece length")),
        (info("i33554433e", 1, "6:lengthi5e"), Malformed("piece length")),
        (info("i4294967297e", 1, "6:lengthi5e"), Malformed("piece length")),
        (info("i16384e", 2, "6:lengthi5e"), PieceCount { expected: 1, found: 2 }),
        (info("i16384e", 0, "6:lengthi5e"), PieceCount { expected: 1, found: 0 }),
        (info("i1e", 1, &format!("6:lengthi{max}e")), PieceCount { expected: max as u64, found: 1 }),
        (info("i16384e", 1, "5:filesle"), Empty),
        (info("i16384e", 1, "5:filesd1:ai1ee"), Malformed("files")),
        (info("i16384e", 1, "5:filesli1ee"), Missing("length")),
        (info("i16384e", 1, "5:filesld6:lengthi1eee"), Missing("path")),
        (info("i16384e", 1, "5:filesld6:lengthi1e4:path1:aee"), Malformed("path")),
        (info("i16384e", 1, "5:filesld6:lengthi1e4:pathli1eeee"), Malformed("path")),
        (info("i16384e", 1, &format!("5:filesl{deep}e")), Malformed("path")),
        (
            info("i16384e", 1, &format!("5:filesl{}e", format!("d6:lengthi{max}e4:pathl1:aee").repeat(3))),
            Malformed("length"),
        ),
        (b"d4:name1:a12:piece lengthi16384e6:pieces19:aaaaaaaaaaaaaaaaaaa6:lengthi1ee".to_vec(), Malformed("pieces")),
        (b"d4:name1:a12:piece lengthi16384e6:lengthi1ee".to_vec(), Missing("pieces")),
        (b"d12:piece lengthi16384e6:lengthi1ee".to_vec(), Missing("name")),
        (b"le".to_vec(), Missing("name")),
    ] {
        let shown = bytes.escape_ascii().to_string();
        let found = Metainfo::from_info(bytes, vec![], vec![]).expect_err(&shown);
        assert_eq!(found, error, "{shown}");
        assert!(found.to_string().ends_with('.'), "{found}");
    }
    assert!(matches!(Metainfo::from_info(b"nonsense".to_vec(), vec![], vec![]), Err(Bencode(_))));
    assert_eq!(Metainfo::from_info(vec![b'0'; 9 << 20], vec![], vec![]), Err(InfoTooLong));
    let cut = Metainfo::from_torrent(b"d4:info").expect_err("cut").to_string();
    assert_eq!(cut, "This is not a torrent: not valid bencode at byte 7: it ends too early.");
}

#[test]
fn p9_a_hundred_thousand_equal_names_are_told_apart() {
    let files = "d6:lengthi1e4:pathl1:aee".repeat(100_000);
    let torrent = Metainfo::from_info(info("i1048576e", 1, &format!("5:filesl{files}e")), vec![], vec![]).unwrap();
    let mut paths: Vec<_> = torrent.files.iter().map(|file| &file.path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!((torrent.length, paths.len()), (100_000, 100_000));
}

#[test]
fn the_builder_counts_its_content() {
    let options = |length| BuilderOptions { files: vec![(vec!["a".into()], length)], ..Default::default() };
    let mut builder = Builder::new(options(5)).unwrap();
    builder.update(b"abc").unwrap();
    assert_eq!(builder.remaining(), 2);
    assert_eq!(builder.update(b"def"), Err(MetainfoError::Content { expected: 5, given: 6 }));
    assert_eq!(builder.finish(), Err(MetainfoError::Content { expected: 5, given: 3 }));
    let refusal = |options: BuilderOptions| Builder::new(options).expect_err("refused");
    assert_eq!(refusal(options(0)), MetainfoError::Empty);
    assert_eq!(refusal(options(u64::MAX)), MetainfoError::Malformed("length"));
    assert_eq!(refusal(options(1 << 50)), MetainfoError::TooManyPieces);
    assert_eq!(refusal(options(7 << 40)), MetainfoError::InfoTooLong);
    assert_eq!(refusal(BuilderOptions::default()), MetainfoError::Empty);
    for piece_length in [0, 1 << 13, 40_000, 64 << 20] {
        let odd = BuilderOptions { piece_length: Some(piece_length), ..options(5) };
        assert_eq!(refusal(odd), MetainfoError::Malformed("piece length"));
    }
}

#[test]
fn default_piece_lengths_are_create_torrents() {
    use swarmreel::metainfo::piece_length_for;
    for (length, piece_length) in [
        (0, 16 << 10),
        (20_000_000, 16 << 10),
        (100_000_000, 128 << 10),
        (700_000_000, 512 << 10),
        (1 << 30, 1 << 20),
        (4 << 30, 4 << 20),
        (2_000_000_000_000, 4 << 20),
        (u64::MAX, 4 << 20),
    ] {
        assert_eq!(piece_length_for(length), piece_length, "{length}");
    }
}

#[test]
fn drawn_torrents_survive_every_round_trip() {
    let mut rng = Rng::new([5; 32]);
    for round in 0..200 {
        let count = 1 + rng.below(5);
        let files: Vec<_> = (0..count)
            .map(|_| {
                (
                    (0..=rng.below(3)).map(|_| ["a", "B", "ä b", "..", "nul"][rng.below(5) as usize].into()).collect(),
                    1 + rng.below(40_000),
                )
            })
            .filter(|(path, _): &(Vec<String>, u64)| path.iter().any(|name| name != ".."))
            .collect();
        let total: u64 = files.iter().map(|(_, length)| length).sum();
        if total == 0 {
            continue;
        }
        let options = BuilderOptions {
            name: Some(format!("round {round}")),
            files,
            trackers: vec!["wss://a.test".into()],
            ..Default::default()
        };
        let bytes = content(total);
        let mut builder = Builder::new(options).expect("options");
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + rng.below(30_000) as usize));
            builder.update(now).expect("content");
            rest = later;
        }
        let built = builder.finish().expect("a torrent");
        for (piece, digest) in built.pieces.iter().enumerate() {
            let start = piece * built.piece_length as usize;
            let end = start + built.piece_size(piece as u32) as usize;
            assert_eq!(*digest, swarmreel::hash::sha1(&bytes[start..end]));
        }
        assert_eq!(Metainfo::from_torrent(&built.to_torrent()).as_ref(), Ok(&built));
        assert_eq!(built.magnet().to_string().parse::<Magnet>(), Ok(built.magnet()));
    }
}

#[test]
fn no_damage_makes_a_reader_panic() {
    let mut rng = Rng::new([9; 32]);
    let sources = [vector!("folder").0, vector!("padded").0, vector!("hybrid").0, vector!("hostile-names").0];
    let mut read = 0;
    for round in 0..20_000 {
        let mut bytes = sources[round % sources.len()].to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(4) {
                0 => bytes[at] = rng.below(256) as u8,
                1 => bytes[at] = b"0123456789ilde:-"[rng.below(16) as usize],
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at.min(bytes.len() - 1))),
            }
            if bytes.is_empty() {
                bytes.push(b'd');
            }
        }
        if let Ok((value, used)) = bencode::decode_prefix(&bytes) {
            assert_eq!(bencode::decode(&bytes[..used]), Ok(value));
        }
        if let Ok(torrent) = Metainfo::from_torrent(&bytes) {
            read += 1;
            let end = torrent.files.last().map(|file| file.offset + file.length);
            assert_eq!(end, Some(torrent.length));
            assert_eq!(torrent.pieces.len() as u64, torrent.length.div_ceil(u64::from(torrent.piece_length)));
            assert_eq!(
                Metainfo::from_torrent(&torrent.to_torrent()).map(|again| again.info_hash),
                Ok(torrent.info_hash)
            );
        }
    }
    assert!(read > 1000, "only {read} damaged torrents were still readable: the damage is too coarse");
}

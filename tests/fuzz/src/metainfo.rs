//! Target 2: `.torrent` files, as they come and as a script crafts them; all derived sums are checked.

use std::collections::BTreeSet;

use swarmreel::bencode::{self, Encoded};
use swarmreel::geometry::Geometry;
use swarmreel::hash::sha1;
use swarmreel::metainfo::Metainfo;
use swarmreel::names;

use crate::heap;
use crate::script::Script;

/// Reads the bytes as a torrent, or makes one of them whose sums are right or nearly so.
pub fn metainfo(bytes: &[u8]) {
    let crafted =
        bytes.split_first().filter(|(first, _)| **first != b'd').map(|(_, script)| craft(Script::new(script)));
    let torrent = crafted.as_deref().unwrap_or(bytes);
    heap::bounded(torrent.len(), || {
        if let Ok(metainfo) = Metainfo::from_torrent(torrent) {
            is_consistent(&metainfo);
            let again = Metainfo::from_torrent(&metainfo.to_torrent()).expect("what we write can be read");
            assert_eq!(again, metainfo);
        }
        if let Ok(metainfo) = Metainfo::from_info(torrent.to_vec(), Vec::new(), Vec::new()) {
            is_consistent(&metainfo);
        }
    });
}

/// What the type promises.
fn is_consistent(torrent: &Metainfo) {
    assert_eq!(torrent.info_hash.0, sha1(&torrent.info));
    let geometry = Geometry::new(torrent.length, torrent.piece_length);
    assert_eq!(torrent.pieces.len() as u64, u64::from(geometry.pieces()));
    let mut end = 0;
    for file in &torrent.files {
        assert_eq!(file.offset, end, "files lie end to end");
        end += file.length;
    }
    assert_eq!(end, torrent.length);
    assert!(torrent.files.iter().any(|file| !file.padding && file.length > 0));
    pieces_are_parts_of_files(torrent, &geometry);
    names_are_safe(torrent);
    torrent.magnet().to_string().parse::<swarmreel::magnet::Magnet>().expect("its link can be read");
}

/// Each piece's bytes are shared out among the files without gap or overlap.
fn pieces_are_parts_of_files(torrent: &Metainfo, geometry: &Geometry) {
    let (mut file, mut end) = (0, 0);
    for piece in geometry.all() {
        let range = geometry.range(piece);
        assert_eq!((range.start, range.end - range.start), (end, u64::from(torrent.piece_size(piece.index()))));
        end = range.end;
        let mut at = range.start;
        while at < range.end {
            let entry = &torrent.files[file];
            let until = (entry.offset + entry.length).min(range.end);
            assert!(entry.offset <= at && until >= at);
            at = until;
            file += usize::from(at == entry.offset + entry.length && file + 1 < torrent.files.len());
        }
    }
    assert_eq!(end, torrent.length);
}

fn names_are_safe(torrent: &Metainfo) {
    let mut shown = BTreeSet::new();
    let components = torrent.files.iter().flat_map(|file| &file.path).chain([&torrent.name]);
    for name in components {
        assert!(!name.is_empty() && name.len() <= names::NAME_BYTES_MAX && !name.contains(['/', '\\', '\0']));
        assert_ne!(name, "..");
    }
    for file in torrent.files.iter().filter(|file| !file.padding) {
        let path: Vec<String> = file.path.iter().map(|name| name.to_lowercase()).collect();
        assert!(!path.is_empty() && shown.insert(path), "two files share a path: {:?}", file.path);
    }
}

/// A torrent of up to 10 files, with as many digests as its sums ask for, give or take one.
fn craft(mut script: Script<'_>) -> Vec<u8> {
    let piece_length = i64::from(256 + script.u16() % 4096);
    let digests_off = [0, 0, 0, 0, 0, 0, 1, -1][script.below(8)];
    let is_single = script.below(4) == 0;
    let (mut files, mut length) = (Vec::new(), 0i64);
    let name = name(&mut script);
    while files.is_empty() || !script.is_over() && files.len() < 10 {
        let size = i64::from(script.u16() % 4096);
        let components: Vec<Encoded> = (0..script.below(4)).map(|_| self::name(&mut script)).collect();
        let attribute = [None, None, Some("p"), Some("x")][script.below(4)];
        let plain = [("length", bencode::int(size)), ("path", bencode::list(components))];
        files.push(bencode::dict(plain.into_iter().chain(attribute.map(|attr| ("attr", bencode::text(attr))))));
        length += size;
        if is_single {
            break;
        }
    }
    let digests = (length + piece_length - 1) / piece_length + digests_off;
    let what = if is_single { ("length", bencode::int(length)) } else { ("files", bencode::list(files)) };
    let pieces = bencode::bytes(&vec![7; digests.max(0) as usize * 20]);
    let info = [("name", name), ("piece length", bencode::int(piece_length)), ("pieces", pieces), what];
    let urls = ["ws://a.test", "wss://b.test/", "http://c.test/f", "udp://d.test:1", ""].map(bencode::text);
    let outer = [("announce", urls[script.below(5)].clone()), ("url-list", urls[script.below(5)].clone())];
    bencode::dict(outer.into_iter().chain([("info", bencode::dict(info))])).into_bytes()
}

/// A name that is likely to meet another, or a rule.
fn name(script: &mut Script<'_>) -> Encoded {
    const NAMES: [&str; 16] = [
        "a",
        "A",
        "a (2)",
        "a.mp4",
        "a (2).mp4",
        "..",
        ".",
        "con",
        "x/y",
        "\u{202e}a",
        "é",
        "É",
        ".pad",
        "10",
        "",
        "b ",
    ];
    match script.below(20) {
        index @ ..16 => bencode::text(NAMES[index]),
        _ => {
            let length = script.below(64);
            bencode::bytes(script.take(length))
        }
    }
}

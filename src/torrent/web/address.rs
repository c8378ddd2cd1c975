//! Where a torrent's content lies on web servers (BEP 19; protocol.md §5).
//!
//! Invariant: every content byte is in exactly one part, and a part lies within one file. Paths are spelt as the info
//! dictionary has them and percent-encoded byte by byte, so that no name can change what a URL means.

use std::ops::Range;

use crate::magnet::percent_encode;
use crate::metainfo::Metainfo;

/// Content bytes that lie within one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Index in `Metainfo::files`.
    pub(super) file: usize,
    /// Content bytes.
    pub(super) content: Range<u64>,
    /// Where they start in the file.
    pub(super) offset: u64,
    /// Bytes of the file.
    pub(super) file_length: u64,
    /// Zeros, which no server has (BEP 47).
    pub(super) padding: bool,
}

impl Part {
    /// The bytes of the file.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + (self.content.end - self.content.start)
    }

    /// Where the file starts in the content.
    pub(super) fn file_start(&self) -> u64 {
        self.content.start - self.offset
    }
}

#[derive(Clone, Debug)]
struct File {
    content: Range<u64>,
    padding: bool,
    /// Below a web seed's address, percent-encoded.
    path: String,
}

/// A torrent's files, as web servers know them.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    files: Vec<File>,
    /// A web seed's address is that of the file itself, unless it ends in a slash.
    single: bool,
}

impl Layout {
    pub(super) fn new(metainfo: &Metainfo) -> Self {
        let (name, paths) = metainfo.spelling();
        let path = |below: &Vec<&[u8]>| {
            let components = std::iter::once(name).chain(below.iter().copied());
            // A server never sees these: they would name another place, not a file.
            let named = components.filter(|component| !matches!(*component, b"" | b"." | b".."));
            named.map(|component| percent_encode(component, "")).collect::<Vec<_>>().join("/")
        };
        let single = paths.iter().all(Vec::is_empty);
        let file = |(file, below): (&crate::metainfo::FileEntry, &Vec<&[u8]>)| File {
            content: file.offset..file.offset + file.length,
            padding: file.padding,
            path: path(below),
        };
        Self { files: metainfo.files.iter().zip(&paths).map(file).collect(), single }
    }

    /// A web seed's address is that of the file itself, unless it ends in a slash.
    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// The address of a file, given its web seed's. `plain`: that is the file itself, whatever it ends in.
    pub(super) fn url(&self, seed: &str, file: usize, plain: bool) -> String {
        let slash = seed.ends_with('/');
        match self.files.get(file) {
            Some(file) if !self.single || slash && !plain => {
                format!("{seed}{}{}", if slash { "" } else { "/" }, file.path)
            }
            _ => seed.to_string(),
        }
    }

    /// The first bytes of these, as far as they lie in one file. `None` if there are no such bytes.
    pub(super) fn part(&self, content: &Range<u64>) -> Option<Part> {
        let file = self.files.partition_point(|file| file.content.end <= content.start);
        let File { content: whole, padding, .. } = self.files.get(file).filter(|_| !content.is_empty())?;
        Some(Part {
            file,
            content: content.start..content.end.min(whole.end),
            offset: content.start - whole.start,
            file_length: whole.end - whole.start,
            padding: *padding,
        })
    }

    /// All of these, file by file.
    pub(super) fn parts(&self, content: Range<u64>) -> impl Iterator<Item = Part> + '_ {
        let mut rest = content;
        std::iter::from_fn(move || {
            let part = self.part(&rest)?;
            rest.start = part.content.end;
            Some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode;

    fn file(path: &[&str], length: i64, attr: &str) -> bencode::Encoded {
        let path = bencode::list(path.iter().map(|component| bencode::text(component)));
        bencode::dict([("attr", bencode::text(attr)), ("length", bencode::int(length)), ("path", path)])
    }

    fn metainfo(content: (&'static str, bencode::Encoded), length: u64) -> Metainfo {
        let digests = vec![0; 20 * length.div_ceil(16_384) as usize];
        let info = bencode::dict([
            content,
            ("name", bencode::text("A b#c?")),
            ("piece length", bencode::int(16_384)),
            ("pieces", bencode::bytes(&digests)),
        ]);
        Metainfo::from_info(info.into_bytes(), Vec::new(), Vec::new()).unwrap()
    }

    fn several() -> Layout {
        let files = [
            file(&["100%.txt"], 10, ""),
            file(&["empty"], 0, ""),
            file(&[".pad", "6"], 6, "p"),
            file(&["Ü", "..", "x y:z"], 100, ""),
        ];
        Layout::new(&metainfo(("files", bencode::list(files)), 116))
    }

    #[test]
    fn a_single_file_is_the_address_itself_unless_that_is_a_folder() {
        let layout = Layout::new(&metainfo(("length", bencode::int(5)), 5));
        assert_eq!(layout.url("http://a.test/f?k=1", 0, false), "http://a.test/f?k=1");
        assert_eq!(layout.url("http://a.test/", 0, false), "http://a.test/A%20b%23c%3F");
        assert_eq!(layout.url("http://a.test/", 0, true), "http://a.test/");
    }

    #[test]
    fn several_files_are_below_it_spelt_as_the_torrent_spells_them() {
        let layout = several();
        assert_eq!(layout.url("http://a.test/d", 0, false), "http://a.test/d/A%20b%23c%3F/100%25.txt");
        assert_eq!(layout.url("http://a.test/d/", 3, false), "http://a.test/d/A%20b%23c%3F/%C3%9C/x%20y%3Az");
    }

    #[test]
    fn parts_skip_what_is_empty_and_know_what_is_padding() {
        let layout = several();
        let parts: Vec<_> = layout.parts(4..50).map(|part| (part.file, part.range(), part.padding)).collect();
        assert_eq!(parts, [(0, 4..10, false), (2, 0..6, true), (3, 0..34, false)]);
        assert_eq!(layout.part(&(20..21)).unwrap().file_start(), 16);
        assert!(layout.part(&(116..120)).is_none() && layout.part(&(5..5)).is_none());
    }
}

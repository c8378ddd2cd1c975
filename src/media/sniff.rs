//! What kind of file is this? Told from its first bytes.
//!
//! Invariant: the bytes decide. The name is only believed where the bytes are not there yet.

/// How many first bytes `container` wants to see: the longest MP3 frame (1,441 bytes) and the header after it.
pub(super) const SNIFF_BYTES: u64 = 2048;

/// The containers that have a module here, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// ISO base media: MP4, M4A, QuickTime.
    Mp4,
    /// EBML: WebM, Matroska.
    Webm,
    /// MPEG audio frames, maybe behind an ID3 tag.
    Mp3,
    /// Anything else, with its name for a person where it is recognised.
    Other(Option<&'static str>),
}

/// Tells the container from the first bytes of a file (`SNIFF_BYTES` of them, or all there are).
pub(super) fn container(head: &[u8]) -> Container {
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if is_mp4(head) {
        return Container::Mp4;
    }
    if has(0, &[0x1A, 0x45, 0xDF, 0xA3]) {
        return Container::Webm;
    }
    if has(0, b"ID3") || super::mp3::starts_with_frames(head) {
        return Container::Mp3;
    }
    Container::Other(if has(0, b"RIFF") && has(8, b"AVI ") {
        Some("AVI")
    } else if has(0, b"RIFF") && has(8, b"WAVE") {
        Some("WAV")
    } else if has(0, &[0x47]) && has(188, &[0x47]) && has(376, &[0x47]) {
        Some("MPEG-TS")
    } else if has(0, &[0, 0, 1, 0xBA]) {
        Some("MPEG-PS")
    } else if has(0, &[0xFF, 0xF1]) || has(0, &[0xFF, 0xF9]) {
        Some("AAC (ADTS)")
    } else {
        const MAGICS: [(&[u8], &str); 6] = [
            (b"OggS", "Ogg"),
            (b"fLaC", "FLAC"),
            (b"FLV\x01", "FLV"),
            (&[0x30, 0x26, 0xB2, 0x75], "Windows Media"),
            (b".RMF", "RealMedia"),
            (b"#!AMR", "AMR"),
        ];
        MAGICS.iter().find(|(magic, _)| has(0, magic)).map(|&(_, name)| name)
    })
}

/// A first box of a type that files do begin with.
fn is_mp4(head: &[u8]) -> bool {
    const FIRST: [&[u8; 4]; 11] =
        [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx", b"uuid"];
    head.get(4..8).is_some_and(|kind| FIRST.iter().any(|first| kind == first.as_slice()))
}

/// The name ends like an MP4's, whose index may be at the end of the file.
pub(super) fn may_have_tail_index(name: &str) -> bool {
    let extension = name.rsplit('.').next().unwrap_or_default();
    ["mp4", "m4v", "m4a", "mov"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_sees() {
        let check = |head: &[u8], expected: Container| assert_eq!(container(head), expected);
        check(b"\0\0\0\x18ftypisom", Container::Mp4);
        check(&[0x1A, 0x45, 0xDF, 0xA3, 0x9F], Container::Webm);
        check(b"ID3\x04\0\0\0\0\0\0", Container::Mp3);
        check(b"RIFF\0\0\0\0AVI LIST", Container::Other(Some("AVI")));
        check(b"OggS\0", Container::Other(Some("Ogg")));
        check(b"hello", Container::Other(None));
        check(b"", Container::Other(None));
        let mut ts = vec![0xFF; 400];
        for at in [0, 188, 376] {
            ts[at] = 0x47;
        }
        check(&ts, Container::Other(Some("MPEG-TS")));
    }
}

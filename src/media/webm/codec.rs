//! Tracks: what is in them, and what to ask the browser about them.
//!
//! Invariant: only a codec that WebM allows (VP8, VP9, AV1, Opus, Vorbis), unencrypted, is ever called `video/webm` or
//! `audio/webm`; all others carry their Matroska type and name, which no MediaSource plays.

use super::ebml::{self, Child, Malformed};
use super::ids;
use crate::media::{Kind, Track};

/// A video or audio track.
#[derive(Debug)]
pub(super) struct Entry {
    /// What blocks call it.
    pub(super) number: u64,
    /// What the caller sees.
    pub(super) track: Track,
    /// The `codecs` parameter, if WebM can hold it.
    pub(super) codec: Option<String>,
    /// Nanoseconds each frame lasts, where the track says so.
    pub(super) frame: Option<u64>,
    /// The whole TrackEntry element.
    pub(super) raw: Vec<u8>,
}

/// Reads a TrackEntry; `None` if it is neither video nor audio.
pub(super) fn entry(entry: &Child<'_>) -> Result<Option<Entry>, Malformed> {
    let (mut number, mut kind, mut id, mut private, mut frame, mut encoded) =
        (0, 0, String::new(), &[][..], None, false);
    for child in ebml::children(entry.body) {
        let child = child?;
        match child.id {
            ids::TRACK_NUMBER => number = ebml::unsigned(child.body)?,
            ids::TRACK_TYPE => kind = ebml::unsigned(child.body)?,
            ids::CODEC_ID => id = ebml::text(child.body),
            ids::CODEC_PRIVATE => private = child.body,
            ids::DEFAULT_DURATION => frame = Some(ebml::unsigned(child.body)?).filter(|&frame| frame > 0),
            ids::CONTENT_ENCODINGS => encoded = true,
            _ => {}
        }
    }
    let kind = match kind {
        1 => Kind::Video,
        2 => Kind::Audio,
        _ => return Ok(None),
    };
    if number == 0 || number >= 1 << 56 {
        return Err(Malformed("a track has no number"));
    }
    let codec = codec(&id, private).filter(|_| !encoded);
    let track = track(kind, &id, codec.as_deref(), encoded);
    Ok(Some(Entry { number, track, codec, frame, raw: entry.whole.to_vec() }))
}

/// The type of a WebM with these codecs: `video/webm; codecs="vp9, opus"`.
pub(super) fn mime(kind: Kind, codecs: &str) -> String {
    typed(kind, "webm", codecs)
}

fn typed(kind: Kind, container: &str, codecs: &str) -> String {
    let kind = if kind == Kind::Video { "video" } else { "audio" };
    format!("{kind}/{container}; codecs=\"{codecs}\"")
}

fn track(kind: Kind, id: &str, codec: Option<&str>, encoded: bool) -> Track {
    // The ID comes from the file and ends up in a quoted string.
    let id: String = id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).take(64).collect();
    let name = name(&id);
    match codec {
        Some(codec) => Track { kind, mime: mime(kind, codec), codec: format!("{name} ({codec})") },
        None => {
            let remark = if encoded { "encrypted or compressed" } else { &id };
            Track { kind, mime: typed(kind, "x-matroska", &id), codec: format!("{name} ({remark})") }
        }
    }
}

/// The `codecs` parameter for a codec of WebM, from its Matroska ID and CodecPrivate.
fn codec(id: &str, private: &[u8]) -> Option<String> {
    match id {
        "V_VP8" => Some("vp8".into()),
        "V_VP9" => Some(vp9(private).unwrap_or_else(|| "vp9".into())),
        "V_AV1" => Some(av1(private)),
        "A_OPUS" => Some("opus".into()),
        "A_VORBIS" => Some("vorbis".into()),
        _ => None,
    }
}

/// `vp09.PP.LL.DD` (VP Codec ISO Media File Format Binding) from WebM's VP9 CodecPrivate: features as ID, length, value.
fn vp9(private: &[u8]) -> Option<String> {
    let feature = |id: u8| {
        let features = private.chunks_exact(3).take_while(|feature| feature[1] == 1);
        features.into_iter().find(|feature| feature[0] == id).map(|feature| feature[2])
    };
    Some(format!("vp09.{:02}.{:02}.{:02}", feature(1)?, feature(2)?, feature(3)?))
}

/// `av01.P.LLT.DD` (AV1 Codec ISO Media File Format Binding §5) from the av1C record; Main profile where there is none.
fn av1(private: &[u8]) -> String {
    let &[_, profile_level, flags, ..] = private else { return "av01.0.08M.08".into() };
    let (profile, level) = (profile_level >> 5, profile_level & 0x1F);
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (false, _) => 8,
        (true, twelve) => {
            if twelve && profile == 2 {
                12
            } else {
                10
            }
        }
    };
    format!("av01.{profile}.{level:02}{tier}.{depth:02}")
}

/// What people call a Matroska codec ID.
fn name(id: &str) -> &str {
    const NAMES: [(&str, &str); 26] = [
        ("V_VP8", "VP8"),
        ("V_VP9", "VP9"),
        ("V_AV1", "AV1"),
        ("V_MPEG4/ISO/AVC", "H.264"),
        ("V_MPEGH/ISO/HEVC", "HEVC"),
        ("V_MPEGI/ISO/VVC", "VVC"),
        ("V_MPEG4/", "MPEG-4 Part 2"),
        ("V_MPEG2", "MPEG-2"),
        ("V_MPEG1", "MPEG-1"),
        ("V_THEORA", "Theora"),
        ("V_PRORES", "ProRes"),
        ("V_FFV1", "FFV1"),
        ("V_MJPEG", "Motion JPEG"),
        ("V_MS/VFW", "Video for Windows"),
        ("A_OPUS", "Opus"),
        ("A_VORBIS", "Vorbis"),
        ("A_AAC", "AAC"),
        ("A_MPEG/L3", "MP3"),
        ("A_MPEG/L2", "MPEG audio layer 2"),
        ("A_AC3", "AC-3"),
        ("A_EAC3", "E-AC-3"),
        ("A_DTS", "DTS"),
        ("A_TRUEHD", "TrueHD"),
        ("A_FLAC", "FLAC"),
        ("A_PCM", "PCM"),
        ("A_ALAC", "ALAC"),
    ];
    NAMES.iter().find(|(prefix, _)| id.starts_with(prefix)).map_or("an unknown codec", |&(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_strings() {
        let check =
            |id: &str, private: &[u8], expected: Option<&str>| assert_eq!(codec(id, private).as_deref(), expected);
        check("V_VP8", &[], Some("vp8"));
        check("V_VP9", &[], Some("vp9"));
        check("V_VP9", &[1, 1, 2, 2, 1, 41, 3, 1, 10, 4, 1, 1], Some("vp09.02.41.10"));
        check("V_VP9", &[1, 1, 2], Some("vp9"));
        check("V_AV1", &[0x81, 0x04, 0x0C, 0], Some("av01.0.04M.08"));
        check("V_AV1", &[0x81, 0x4D, 0xE0, 0], Some("av01.2.13H.12"));
        check("V_AV1", &[0x81, 0x0C, 0x4C, 0], Some("av01.0.12M.10"));
        check("A_OPUS", &[], Some("opus"));
        check("V_MPEG4/ISO/AVC", &[1, 0x64, 0, 0x1F], None);
    }

    #[test]
    fn a_track_that_webm_cannot_hold_keeps_its_own_name() {
        let avc = track(Kind::Video, "V_MPEG4/ISO/AVC", None, false);
        assert_eq!(avc.mime, "video/x-matroska; codecs=\"V_MPEG4/ISO/AVC\"");
        assert_eq!(avc.codec, "H.264 (V_MPEG4/ISO/AVC)");
        let hostile = track(Kind::Audio, "A_\"; x=\"\n<b>", None, false);
        assert_eq!(hostile.mime, "audio/x-matroska; codecs=\"A_;x=<b>\"");
        assert_eq!(track(Kind::Video, "V_VP9", None, true).codec, "VP9 (encrypted or compressed)");
    }
}

//! A sample description → the codec's name, for browsers (RFC 6381 and each codec's own mapping) and for people.
//!
//! Invariant: what is not known is named by its four characters, so that a browser can say no and a person can look
//! it up; only a description that is cut off is an error.

use super::boxes::{Atom, FourCc, Reader, children, find};
use super::description::{AUDIO_BYTES, VIDEO_BYTES};
use super::{Kind, MediaError};

/// A track's codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// For the `codecs` parameter of a MIME type: `avc1.64001f`.
    pub(super) parameter: String,
    /// For a person: `H.264`.
    pub(super) name: String,
}

impl Codec {
    /// Reads the first description of a normalised `stsd`.
    ///
    /// # Errors
    /// There is none, or it is cut off.
    pub(super) fn read(stsd: &Atom<'_>, kind: Kind) -> Result<Self, MediaError> {
        let (_, _, mut reader) = stsd.full()?;
        reader.u32()?; // how many
        let entry = children(reader.0).next().ok_or(MediaError::Broken("a track without a description"))??;
        let boxes = entry.body.get(if kind == Kind::Video { VIDEO_BYTES } else { AUDIO_BYTES }..);
        let boxes = boxes.ok_or(MediaError::Broken("a track's description is cut off"))?;
        let (parameter, name) = parameter(&entry.kind, boxes)?;
        Ok(Codec { parameter, name: name.map_or_else(|| readable(&entry.kind), str::to_owned) })
    }
}

/// The codec parameter, and a name for people, of a description of type `kind` that holds `boxes`.
fn parameter(kind: &FourCc, boxes: &[u8]) -> Result<(String, Option<&'static str>), MediaError> {
    let fourcc = readable(kind);
    let config = |kind: &FourCc| find(boxes, kind).map(|found| found.map(|atom| atom.body));
    Ok(match kind {
        b"avc1" | b"avc3" => (config(b"avcC")?.and_then(|avcc| avc(&fourcc, avcc)).unwrap_or(fourcc), Some("H.264")),
        b"hvc1" | b"hev1" => (config(b"hvcC")?.and_then(|hvcc| hevc(&fourcc, hvcc)).unwrap_or(fourcc), Some("HEVC")),
        b"vp09" => (config(b"vpcC")?.and_then(vp9).unwrap_or(fourcc), Some("VP9")),
        b"av01" => (config(b"av1C")?.and_then(av1).unwrap_or(fourcc), Some("AV1")),
        b"mp4a" => mpeg4_audio(boxes)?,
        b".mp3" => ("mp3".to_owned(), Some("MP3")),
        b"Opus" => ("opus".to_owned(), Some("Opus")),
        b"fLaC" => ("flac".to_owned(), Some("FLAC")),
        b"ac-3" => (fourcc, Some("Dolby Digital")),
        b"ec-3" => (fourcc, Some("Dolby Digital Plus")),
        b"ac-4" => (fourcc, Some("Dolby AC-4")),
        b"alac" => (fourcc, Some("Apple Lossless")),
        b"dvh1" | b"dvhe" => (fourcc, Some("Dolby Vision")),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" => (fourcc, Some("ProRes")),
        b"mp4v" => (fourcc, Some("MPEG-4 Visual")),
        b"encv" | b"enca" => (fourcc, Some("encrypted content")),
        _ => (fourcc, None),
    })
}

/// Four characters as text that is safe in a MIME type.
fn readable(kind: &FourCc) -> String {
    kind.iter()
        .map(|&byte| if byte.is_ascii_alphanumeric() || b"-.".contains(&byte) { byte as char } else { '_' })
        .collect()
}

/// `avc1.PPCCLL`: profile, compatibility and level, as in the `avcC` (ISO/IEC 14496-15).
fn avc(fourcc: &str, avcc: &[u8]) -> Option<String> {
    let [profile, compatibility, level] = *avcc.get(1..)?.first_chunk()?;
    Some(format!("{fourcc}.{profile:02x}{compatibility:02x}{level:02x}"))
}

/// `hvc1.1.6.L93.B0`: profile space and profile, reversed compatibility flags, tier and level, constraint bytes
/// without the zeros at the end (ISO/IEC 14496-15 annex E).
fn hevc(fourcc: &str, hvcc: &[u8]) -> Option<String> {
    let profile = *hvcc.get(1)?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes(*hvcc.get(2..)?.first_chunk()?).reverse_bits();
    let constraints = hvcc.get(6..12)?;
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let level = *hvcc.get(12)?;
    let mut text = format!("{fourcc}.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1F);
    constraints[..used].iter().for_each(|byte| text += &format!(".{byte:X}"));
    Some(text)
}

/// `vp09.PP.LL.DD`: profile, level and bit depth (VP codec ISO media file format binding).
fn vp9(vpcc: &[u8]) -> Option<String> {
    let [profile, level, depth] = *vpcc.get(4..)?.first_chunk()?;
    Some(format!("vp09.{profile:02}.{level:02}.{:02}", depth >> 4))
}

/// `av01.P.LLT.DD`: profile, level and tier, bit depth (AV1 codec ISO media file format binding).
fn av1(av1c: &[u8]) -> Option<String> {
    let [level, flags] = *av1c.get(1..)?.first_chunk()?;
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match flags >> 5 & 3 {
        0b11 => 12,
        0b10 => 10,
        _ => 8,
    };
    Some(format!("av01.{}.{:02}{tier}.{depth:02}", level >> 5, level & 0x1F))
}

/// `mp4a.OO` or `mp4a.40.A`: object type, and audio object type, as in the `esds` (ISO/IEC 14496-1 and -3).
fn mpeg4_audio(boxes: &[u8]) -> Result<(String, Option<&'static str>), MediaError> {
    let esds = find(boxes, b"esds")?;
    let Some((object, audio)) = esds.and_then(|esds| object_types(esds.body.get(4..)?)) else {
        return Ok(("mp4a".to_owned(), Some("AAC")));
    };
    Ok(match (object, audio) {
        (0x40, Some(34)) => ("mp4a.40.34".to_owned(), Some("MP3")),
        (0x40, Some(audio)) => (format!("mp4a.40.{audio}"), Some("AAC")),
        (0x66..=0x68, _) => (format!("mp4a.{object:02X}"), Some("AAC")),
        (0x69 | 0x6B, _) => (format!("mp4a.{object:02X}"), Some("MP3")),
        (0xA5, _) => ("ac-3".to_owned(), Some("Dolby Digital")),
        (0xA6, _) => ("ec-3".to_owned(), Some("Dolby Digital Plus")),
        _ => (format!("mp4a.{object:02X}"), None),
    })
}

/// The object type and, if there is a decoder-specific info, the audio object type, of an ES descriptor.
fn object_types(descriptors: &[u8]) -> Option<(u8, Option<u8>)> {
    let mut reader = Reader(descriptor(descriptors, 3)?);
    reader.u16().ok()?;
    let flags = reader.u8().ok()?;
    reader.take(if flags & 0x80 != 0 { 2 } else { 0 }).ok()?;
    if flags & 0x40 != 0 {
        let url = reader.u8().ok()?;
        reader.take(usize::from(url)).ok()?;
    }
    reader.take(if flags & 0x20 != 0 { 2 } else { 0 }).ok()?;
    let decoder = descriptor(reader.0, 4)?;
    let audio = decoder.get(13..).and_then(|rest| descriptor(rest, 5)).and_then(|config| match *config {
        [first, second, ..] if first >> 3 == 31 => Some(32 + ((first & 7) << 3 | second >> 5)),
        [first, ..] => Some(first >> 3),
        [] => None,
    });
    Some((*decoder.first()?, audio))
}

/// The body of the descriptor that `bytes` begin with, if its tag is the wanted one.
fn descriptor(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut size = 0;
    for _ in 0..4 {
        let (&byte, after) = rest.split_first()?;
        (size, rest) = (size << 7 | usize::from(byte & 0x7F), after);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (first == tag).then(|| &rest[..size.min(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_their_specs() {
        assert_eq!(avc("avc1", &[1, 0x64, 0, 0x1F]).as_deref(), Some("avc1.64001f"));
        let main = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc("hvc1", &main).as_deref(), Some("hvc1.1.6.L93.90"));
        let high = [1, 0x22, 0x20, 0, 0, 0, 0xB0, 0, 1, 0, 0, 0, 150];
        assert_eq!(hevc("hev1", &high).as_deref(), Some("hev1.2.4.H150.B0.0.1"));
        assert_eq!(vp9(&[1, 0, 0, 0, 2, 31, 0xA2]).as_deref(), Some("vp09.02.31.10"));
        assert_eq!(av1(&[0x81, 0x05, 0x0C]).as_deref(), Some("av01.0.05M.08"));
        assert_eq!(av1(&[0x81, 0x28, 0xC0]).as_deref(), Some("av01.1.08H.10"));
        assert_eq!(avc("avc1", &[1, 0x64]), None);
        assert_eq!(readable(b"a\"; "), "a___");
    }
}

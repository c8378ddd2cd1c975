//! WebM through the public surface of `media`: what comes out is what is in the file (`faithful`), from where it was
//! asked for (`seeking`), and nothing breaks what reads it (`hostile`).

mod craft;
mod faithful;
mod hostile;
mod player;
mod reference;
mod seeking;

/// A committed file: `tests/vectors/media/webm-README.md` tells how it was made.
macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../vectors/media/", $name)).as_slice()
    };
}

const VP9: &[u8] = vector!("webm-vp9-opus.webm");
const VP8: &[u8] = vector!("webm-vp8-vorbis.webm");
const AV1: &[u8] = vector!("webm-av1-opus.webm");
const AUDIO: &[u8] = vector!("webm-audio.webm");
const ALPHA: &[u8] = vector!("webm-alpha.webm");
const CUES_FRONT: &[u8] = vector!("webm-cues-front.webm");
const LIVE: &[u8] = vector!("webm-live.webm");
const TWO_AUDIO: &[u8] = vector!("webm-two-audio.webm");
const MATROSKA: &[u8] = vector!("webm-vp9-opus.mkv");
const H264: &[u8] = vector!("webm-h264.mkv");

/// Every file that plays.
const PLAYABLE: [&[u8]; 9] = [VP9, VP8, AV1, AUDIO, ALPHA, CUES_FRONT, LIVE, TWO_AUDIO, MATROSKA];

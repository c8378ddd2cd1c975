//! Films to watch: the fixtures of `tests/vectors/media`, built in so that a run reads no files.

/// Every film, by name.
pub const NAMES: &[&str] = &["webm-cues-front.webm", "webm-live.webm", "webm-vp9-opus.webm", "webm-audio.webm"];

/// The bytes of a film.
///
/// # Panics
/// If there is no such film.
pub fn bytes(name: &str) -> &'static [u8] {
    match name {
        "webm-cues-front.webm" => include_bytes!("../../vectors/media/webm-cues-front.webm"),
        "webm-live.webm" => include_bytes!("../../vectors/media/webm-live.webm"),
        "webm-vp9-opus.webm" => include_bytes!("../../vectors/media/webm-vp9-opus.webm"),
        "webm-audio.webm" => include_bytes!("../../vectors/media/webm-audio.webm"),
        _ => panic!("there is no film called {name}"),
    }
}

//! Target 3: magnet links, there and back, within their caps.

use swarmreel::magnet::{Magnet, MagnetError, TRACKERS_MAX, WEB_SEEDS_MAX};

use crate::heap;

/// A link whose hash is right.
const HASHED: &str = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&";

/// Reads the text as a link, and as the parameters of a link that names a torrent.
pub fn magnet(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    heap::bounded(text.len(), || {
        match text.parse::<Magnet>() {
            Ok(magnet) => returns(&magnet),
            Err(error) => assert!(error.to_string().ends_with('.')),
        }
        match format!("{HASHED}{text}").parse::<Magnet>() {
            Ok(magnet) => returns(&magnet),
            Err(error) => assert_eq!(error, MagnetError::TooLong, "nothing takes the hash away"),
        }
    });
}

/// A magnet is small, and printing it loses nothing.
fn returns(magnet: &Magnet) {
    assert!(magnet.trackers.len() <= TRACKERS_MAX && magnet.web_seeds.len() <= WEB_SEEDS_MAX);
    assert!(magnet.sources.len() <= 10 && magnet.peers.len() <= 10);
    for pair in magnet.select.windows(2) {
        assert!(pair[0].end().checked_add(1).is_some_and(|next| next < *pair[1].start()), "ranges do not touch");
    }
    assert!(magnet.select.iter().all(|range| range.start() <= range.end()));
    assert_eq!(magnet.selects(7), magnet.select.is_empty() || magnet.select.iter().any(|range| range.contains(&7)));
    let printed = magnet.to_string();
    match printed.parse::<Magnet>() {
        Ok(again) => assert_eq!(again, *magnet, "{printed}"),
        // Encoding makes three bytes of one: a link near the limit may not come back.
        Err(error) => assert!(error == MagnetError::TooLong && printed.len() > 64 << 10, "{printed}: {error}"),
    }
}

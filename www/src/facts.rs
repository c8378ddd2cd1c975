//! What the engine knows, in the page's terms.

use swarmreel::engine::{Engine, PeerStats, Stats, WebSeedState, WebSeedStats};
use swarmreel::ids::TorrentId;

use crate::protocol::{self, FileFacts, Ready, ToPage};

/// A torrent's metadata; `None` for a torrent that is gone.
pub(crate) fn ready(engine: &Engine, torrent: TorrentId) -> Option<ToPage> {
    let metainfo = engine.metainfo(torrent)?;
    let files = metainfo.files.iter().map(|file| FileFacts {
        path: file.path.clone(),
        length: file.length as f64,
        padding: file.padding,
    });
    Some(ToPage::Ready(Box::new(Ready {
        torrent: torrent.0,
        name: metainfo.name.clone(),
        length: metainfo.length as f64,
        piece_length: metainfo.piece_length,
        magnet: engine.magnet(torrent).unwrap_or_default(),
        files: files.collect(),
    })))
}

/// A torrent's numbers.
pub(crate) fn stats(torrent: TorrentId, stats: Stats) -> ToPage {
    ToPage::Stats(Box::new(protocol::Stats {
        torrent: torrent.0,
        verified: stats.verified as f64,
        length: stats.length as f64,
        files_verified: stats.files_verified.iter().map(|&bytes| bytes as f64).collect(),
        downloaded: stats.downloaded as f64,
        uploaded: stats.uploaded as f64,
        download_speed: stats.download_speed as f64,
        upload_speed: stats.upload_speed as f64,
        wasted: stats.wasted as f64,
        trackers_working: stats.trackers_working,
        trackers: stats.trackers,
        connecting: stats.connecting,
        peers: stats.peers.into_iter().map(peer).collect(),
        web_seeds: stats.web_seeds.into_iter().map(web_seed).collect(),
    }))
}

fn peer(peer: PeerStats) -> protocol::PeerStats {
    protocol::PeerStats {
        id: peer.peer_id.to_hex(),
        client: peer.client,
        progress: peer.progress,
        downloaded: peer.downloaded as f64,
        uploaded: peer.uploaded as f64,
        download_speed: peer.download_speed as f64,
        upload_speed: peer.upload_speed as f64,
        unchoked_us: peer.unchoked_us,
        interested_in_us: peer.interested_in_us,
    }
}

fn web_seed(seed: WebSeedStats) -> protocol::WebSeedStats {
    let state = match seed.state {
        WebSeedState::Idle => "idle",
        WebSeedState::Fetching => "fetching",
        WebSeedState::Resting => "resting",
        WebSeedState::Off => "off",
    };
    let (downloaded, download_speed) = (seed.downloaded as f64, seed.download_speed as f64);
    protocol::WebSeedStats { url: seed.url, state, downloaded, download_speed }
}

/// Files were wanted, and the browser has none for us.
pub(crate) fn kept_in_memory(torrent: TorrentId) -> ToPage {
    ToPage::Warning {
        torrent: torrent.0,
        code: "storage-memory".to_owned(),
        message:
            "Nothing can be stored for this page (it is open twice, private, or not on a secure address), so the video is kept in memory and is gone when the tab closes."
                .to_owned(),
    }
}

//! Target 11: what a tracker says, read, written, and given to an engine; what comes of its session descriptions.

use std::sync::LazyLock;
use std::time::Duration;

use swarmreel::engine::{Action, Command, Input, Limits, Output, Source};
use swarmreel::ids::OfferId;
use swarmreel::tracker::message::{ClientMessage, ServerMessage};
use swarmreel::tracker::sdp::Description;

use crate::case::CASES;
use crate::driver::{Driver, SDP, TRACKER};
use crate::heap;

static HASH: LazyLock<String> = LazyLock::new(|| latin1(&CASES[0].metainfo.info_hash.0));
static SDP_IN_JSON: LazyLock<String> = LazyLock::new(|| SDP.replace("\r\n", "\\r\\n"));

/// Messages of one script.
const MESSAGES_MAX: usize = 8;

/// The text is a list of messages, one a line, in which `%hash%`, `%offer%` and `%sdp%` stand for the torrent's info hash,
/// the last offer that the engine made, and a description that a browser takes.
pub fn tracker_json_client(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // What a name stands for is input, too.
    let input = text.len() + 2 * SDP.len() * text.matches("%sdp%").count();
    heap::bounded(input, || {
        let mut driver = Driver::new(Limits::default());
        let source = Source::Text(CASES[0].metainfo.info_hash.to_hex());
        let added = driver
            .engine
            .command(driver.now, Command::Add { source, trackers: vec![TRACKER.to_owned()], web_seeds: Vec::new() });
        assert!(added.is_ok());
        check_actions(driver.drain());
        for line in text.lines().take(MESSAGES_MAX) {
            let message = fill_in(line, &driver);
            read_and_write(&message);
            if let Some(socket) = driver.socket {
                driver.handle(Input::SocketText(socket, &message));
            }
            check_actions(driver.drain());
            driver.engine.check();
            driver.sleep(Duration::from_secs(1));
            check_actions(driver.drain());
        }
    });
}

fn fill_in(line: &str, driver: &Driver) -> String {
    let mut message = line.replace("%hash%", &HASH).replace("%sdp%", &SDP_IN_JSON);
    if message.contains("%offer%") {
        let offer = last_offer(driver).map_or_else(String::new, |offer_id| latin1(&offer_id.0));
        message = message.replace("%offer%", &offer);
    }
    message
}

/// 20 bytes as trackers write them in JSON.
fn latin1(id: &[u8; 20]) -> String {
    id.iter().map(|byte| format!("\\u00{byte:02x}")).collect()
}

/// The last offer of the last announce, which must be readable.
fn last_offer(driver: &Driver) -> Option<OfferId> {
    let announces = driver.said.iter().rev().map(|text| ClientMessage::parse(text).expect("what we say can be read"));
    let mut offers = announces.filter_map(|message| match message {
        ClientMessage::Announce(announce) => announce.offers.last().map(|(offer_id, _)| *offer_id),
        _ => None,
    });
    offers.next()
}

/// What can be read is the same after it was written and read again.
fn read_and_write(text: &str) {
    match ServerMessage::parse(text) {
        // Written without a hash, it has no action either: webtorrent.js throws on the one without the other.
        Ok(ServerMessage::Failure { info_hash: None, reason, .. }) => {
            let written = ServerMessage::Failure { info_hash: None, action: None, reason };
            assert_eq!(ServerMessage::parse(&written.write()).as_ref(), Ok(&written));
        }
        Ok(message) => {
            assert_eq!(ServerMessage::parse(&message.write()).as_ref(), Ok(&message));
            if let ServerMessage::Offer { sdp, .. } | ServerMessage::Answer { sdp, .. } = message {
                describe(&sdp);
            }
        }
        Err(error) => drop(ServerMessage::from(error).write()),
    }
    if let Ok(message) = ClientMessage::parse(text) {
        assert_eq!(ClientMessage::parse(&message.write()).as_ref(), Ok(&message));
    }
}

/// A description written anew says the same, and one without our address only what relays give.
fn describe(sdp: &str) {
    let Ok(description) = Description::parse(sdp) else { return };
    assert_eq!(Description::parse(&description.to_string()).as_ref(), Ok(&description));
    if let Some(relayed) = description.into_relayed() {
        let written = relayed.to_string();
        let candidates = written.lines().filter(|line| line.starts_with("a=candidate:"));
        assert!(
            candidates.clone().count() > 0 && candidates.clone().all(|line| line.contains(" typ relay")),
            "{written}"
        );
    }
}

/// Whatever the tracker relayed, a browser is given descriptions of one data channel and nothing else.
fn check_actions(outputs: Vec<Output>) {
    for output in outputs {
        if let Output::Do(Action::Answer { sdp, .. } | Action::Accept { sdp, .. }) = output {
            let count = |start: &str| sdp.lines().filter(|line| line.starts_with(start)).count();
            assert!(sdp.len() <= 16 << 10 && sdp.starts_with("v=0"), "{sdp}");
            assert_eq!((count("m="), count("m=application ")), (1, 1), "{sdp}");
            assert!(count("a=fingerprint:") >= 1 && count("a=candidate:") <= 32, "{sdp}");
        }
    }
}

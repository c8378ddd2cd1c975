//! HTTP scrape (BEP 48): counts of torrents for clients without a WebSocket.
//!
//! Invariant: the answer is never larger than the question asks for. It has counts of the torrents that were named, at
//! most [`SCRAPE_MAX`], and never a list of all (threat-model S17).

use percent_encoding::percent_decode_str;
use swarmreel::bencode::{self, Encoded};
use swarmreel::ids::InfoHash;
use swarmreel::tracker::message::{SCRAPE_MAX, Tally};

/// The torrents that a query like `info_hash=%01…&info_hash=…` names, each once. Other parameters are ignored.
///
/// # Errors
///
/// The failure reason: no torrent, too many, or a value that is not 20 bytes.
pub(super) fn parse(query: &str) -> Result<Vec<InfoHash>, &'static str> {
    let mut hashes = Vec::new();
    for value in query.split('&').filter_map(|parameter| parameter.strip_prefix("info_hash=")) {
        if hashes.len() == SCRAPE_MAX {
            return Err("too many info hashes");
        }
        let bytes: Vec<u8> = percent_decode_str(value).collect();
        hashes.push(InfoHash::from_slice(&bytes).ok_or("an info_hash is not 20 bytes")?);
    }
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() { Err("an info_hash is needed") } else { Ok(hashes) }
}

/// The response with the counts.
pub(super) fn response(tallies: &[(InfoHash, Tally)]) -> Vec<u8> {
    let counts = |tally: &Tally| -> Encoded {
        bencode::dict([
            ("complete", bencode::int(tally.complete.into())),
            ("downloaded", bencode::int(tally.downloaded.into())),
            ("incomplete", bencode::int(tally.incomplete.into())),
        ])
    };
    let files = bencode::dict(tallies.iter().map(|(hash, tally)| (hash.0, counts(tally))));
    bencode::dict([("files", files)]).into_bytes()
}

/// The response to what cannot be answered.
pub(super) fn failure(reason: &str) -> Vec<u8> {
    bencode::dict([("failure reason", bencode::text(reason))]).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_torrents_each_once() {
        let [a, b] = [InfoHash([b'a'; 20]), InfoHash([0xff; 20])];
        let (plain, escaped) = ("a".repeat(20), "%fF".repeat(20));
        for (query, expected) in [
            (format!("info_hash={plain}"), vec![a]),
            (format!("key=1&info_hash={escaped}&info_hash={plain}&info_hash={plain}"), vec![a, b]),
            (format!("info_hash=%2B{}", "+".repeat(19)), vec![InfoHash([b'+'; 20])]),
        ] {
            assert_eq!(parse(&query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn s17_no_torrent_means_no_answer() {
        let one = format!("info_hash={}&", "%00".repeat(20));
        for (query, reason) in [
            (String::new(), "needed"),
            ("info_hash".to_owned(), "needed"),
            ("info_hash=".to_owned(), "20 bytes"),
            (format!("info_hash={}", "a".repeat(19)), "20 bytes"),
            (format!("info_hash={}", "07".repeat(20)), "20 bytes"),
            (one.repeat(SCRAPE_MAX + 1), "too many"),
        ] {
            let error = parse(&query).unwrap_err();
            assert!(error.contains(reason) && failure(error).len() <= 200, "{query}: {error}");
        }
        assert!(parse(one.repeat(SCRAPE_MAX).trim_end_matches('&')).is_ok());
    }

    #[test]
    fn counts_are_bencoded() {
        let tally = Tally { complete: 2, incomplete: 3, downloaded: 2 };
        let body = response(&[(InfoHash([0xff; 20]), tally), (InfoHash([b'a'; 20]), Tally::default())]);
        let counts = |complete, incomplete| {
            format!("d8:completei{complete}e10:downloadedi{complete}e10:incompletei{incomplete}ee")
        };
        let expected = [
            b"d5:filesd20:",
            &[b'a'; 20][..],
            counts(0, 0).as_bytes(),
            b"20:",
            &[0xff; 20],
            counts(2, 3).as_bytes(),
            b"ee",
        ]
        .concat();
        assert_eq!(body, expected);
        assert_eq!(failure("no"), b"d14:failure reason2:noe");
    }
}

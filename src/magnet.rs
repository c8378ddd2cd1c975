//! Magnet links (BEP 9, BEP 53; protocol.md §4.1 and §4.2).
//!
//! Invariant: whatever a link says, a [`Magnet`] is small: every list has a cap, and nothing is expanded. Printing a
//! magnet and reading it again gives the same magnet.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::ids::InfoHash;

/// Trackers kept of one torrent or link.
pub const TRACKERS_MAX: usize = 20;
/// Web seeds kept of one torrent or link.
pub const WEB_SEEDS_MAX: usize = 10;
/// Torrent sources, and peers, kept of one link.
const OTHERS_MAX: usize = 10;
/// The longest URL kept, bytes.
pub(crate) const URL_BYTES_MAX: usize = 2048;
/// The longest link read, bytes.
const LINK_BYTES_MAX: usize = 64 << 10;
/// Ranges of files kept.
const SELECT_RANGES_MAX: usize = 1000;

/// What a magnet link names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// `xt=urn:btih:`.
    pub info_hash: InfoHash,
    /// `dn`, as written: not sanitised.
    pub name: Option<String>,
    /// `tr`: tracker URLs of any kind, in order, without duplicates. See [`is_tracker_url`].
    pub trackers: Vec<String>,
    /// `ws` and `as`: web seeds (BEP 19), `http:` or `https:`.
    pub web_seeds: Vec<String>,
    /// `xs`: where the `.torrent` may be fetched, `http:` or `https:`.
    pub sources: Vec<String>,
    /// `x.pe`: peers as `host:port`.
    pub peers: Vec<String>,
    /// `so` (BEP 53): indices of the wanted files, as sorted ranges that do not touch; empty means all.
    pub select: Vec<RangeInclusive<u32>>,
}

/// Why a text names no torrent. Its `Display` is a sentence for the person who pasted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagnetError {
    /// Neither `magnet:?…` nor an info hash.
    NotAMagnet,
    /// More than 64 KiB.
    TooLong,
    /// No `xt=urn:btih:`.
    NoHash,
    /// The hash is not 40 hexadecimal or 32 base32 characters.
    BadHash,
    /// Only `xt=urn:btmh:` (BEP 52).
    V2Only,
}

impl fmt::Display for MagnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAMagnet => "This is neither a magnet link nor an info hash.",
            Self::TooLong => "This is too long to be a magnet link.",
            Self::NoHash => "This magnet link names no torrent: it has no “xt=urn:btih:” part.",
            Self::BadHash => "The info hash in this link is damaged: it should have 40 hexadecimal characters.",
            Self::V2Only => {
                "This link names a BitTorrent v2 torrent, which can't be opened here; a v1 or hybrid one can."
            }
        })
    }
}

impl std::error::Error for MagnetError {}

/// Whether a tracker can be reached from a browser: `ws:` or `wss:`. Others are kept in lists, to be passed on.
pub fn is_tracker_url(url: &str) -> bool {
    has_scheme(url, &["ws", "wss"])
}

/// Whether this is an `http:` or `https:` URL.
pub(crate) fn is_web_url(url: &str) -> bool {
    has_scheme(url, &["http", "https"])
}

/// Trackers without duplicates, at most [`TRACKERS_MAX`]. Only where there are more do the usable ones come first.
pub(crate) fn trackers(urls: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept = unique(urls, usize::MAX);
    if kept.len() > TRACKERS_MAX {
        kept.sort_by_key(|url| !is_tracker_url(url));
        kept.truncate(TRACKERS_MAX);
    }
    kept
}

/// Whether a page may fetch this: `http:` or `https:`, and no credentials in it, which browsers refuse (threat-model B10).
fn is_fetchable(url: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '\\', '?', '#']).next());
    is_web_url(url) && authority.is_some_and(|authority| !authority.contains('@'))
}

/// Web seeds without duplicates, at most [`WEB_SEEDS_MAX`].
pub(crate) fn web_seeds(urls: impl IntoIterator<Item = String>) -> Vec<String> {
    unique(urls.into_iter().filter(|url| is_fetchable(url)), WEB_SEEDS_MAX)
}

impl Magnet {
    /// A link that names nothing but a torrent.
    pub fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            sources: Vec::new(),
            peers: Vec::new(),
            select: Vec::new(),
        }
    }

    /// Whether the link asks for the file with this index.
    pub fn selects(&self, file: u32) -> bool {
        self.select.is_empty() || self.select.iter().any(|range| range.contains(&file))
    }

    fn from_query(query: &str) -> Result<Self, MagnetError> {
        let parameters: Vec<(&str, &str)> = query.split('&').filter_map(parameter).collect();
        let values = |keys: &[&str]| -> Vec<String> {
            let wanted = parameters.iter().filter(|(key, _)| keys.contains(key));
            wanted.map(|(_, value)| percent_decode(value)).collect()
        };
        let names = parameters.iter().filter(|(key, _)| *key == "dn");
        let mut names = names.map(|(_, value)| percent_decode(&value.replace('+', " ")));
        Ok(Self {
            info_hash: topic(&values(&["xt"]))?,
            name: names.find(|name| !name.trim().is_empty()),
            trackers: trackers(values(&["tr"])),
            web_seeds: web_seeds(values(&["as", "ws"])),
            sources: unique(values(&["xs"]).into_iter().filter(|url| is_fetchable(url)), OTHERS_MAX),
            peers: unique(values(&["x.pe"]), OTHERS_MAX),
            select: selection(&values(&["so"]).join(",")),
        })
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    /// Reads `magnet:?…`, `stream-magnet:?…`, or a bare info hash, with or without space around it.
    fn from_str(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if text.len() > LINK_BYTES_MAX {
            return Err(MagnetError::TooLong);
        }
        match text.split_once('?') {
            Some((scheme, query)) if is_magnet_scheme(scheme) => Self::from_query(query),
            _ => parse_hash(text).map(Self::new).ok_or(MagnetError::NotAMagnet),
        }
    }
}

/// The canonical link: `xt dn tr ws xs x.pe so`.
impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        if let Some(name) = &self.name {
            write!(f, "&dn={}", percent_encode(name, "").replace("%20", "+"))?;
        }
        for (key, values, plain) in [
            ("tr", &self.trackers, ""),
            ("ws", &self.web_seeds, ""),
            ("xs", &self.sources, ""),
            ("x.pe", &self.peers, ":[]"),
        ] {
            values.iter().try_for_each(|value| write!(f, "&{key}={}", percent_encode(value, plain)))?;
        }
        for (index, range) in self.select.iter().enumerate() {
            f.write_str(if index == 0 { "&so=" } else { "," })?;
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{start}")?,
                (start, end) => write!(f, "{start}-{end}")?,
            }
        }
        Ok(())
    }
}

fn is_magnet_scheme(scheme: &str) -> bool {
    ["magnet:", "stream-magnet:"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

fn has_scheme(url: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let has_host = rest.starts_with(|c: char| c == '[' || c.is_alphanumeric());
    has_host && schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Splits at the first `=` (webtorrent.js drops a value with a second one). `tr.1` counts as `tr`, and the `amp;`
/// that a link copied from HTML source carries is dropped.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.strip_prefix("amp;").unwrap_or(key);
    let key = match key.split_once('.') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => key,
    };
    Some((key, value))
}

/// The info hash among the exact topics.
fn topic(topics: &[String]) -> Result<InfoHash, MagnetError> {
    let with_prefix = |prefix: &str| {
        let rest = topics.iter().filter_map(|topic| topic.split_at_checked(prefix.len()));
        rest.filter(|(start, _)| start.eq_ignore_ascii_case(prefix)).map(|(_, rest)| rest).collect::<Vec<_>>()
    };
    let hashes = with_prefix("urn:btih:");
    match hashes.iter().find_map(|hash| parse_hash(hash)) {
        Some(hash) => Ok(hash),
        None if !hashes.is_empty() => Err(MagnetError::BadHash),
        None if !with_prefix("urn:btmh:").is_empty() => Err(MagnetError::V2Only),
        None => Err(MagnetError::NoHash),
    }
}

/// 40 hexadecimal or 32 base32 characters, in either case.
fn parse_hash(text: &str) -> Option<InfoHash> {
    match text.len() {
        40 => InfoHash::from_hex(text),
        32 => base32(text),
        _ => None,
    }
}

fn base32(text: &str) -> Option<InfoHash> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::with_capacity(20));
    for byte in text.bytes() {
        let digit = match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => letter - b'a',
            number @ b'2'..=b'7' => number - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(digit);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    InfoHash::from_slice(&bytes)
}

/// Ranges such as `0,2-4`, sorted and merged. What is not a range is skipped.
fn selection(text: &str) -> Vec<RangeInclusive<u32>> {
    let range = |part: &str| {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        let (start, end) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        (start <= end).then_some((start, end))
    };
    let mut ranges: Vec<(u32, u32)> = text.split(',').filter_map(range).take(SELECT_RANGES_MAX).collect();
    ranges.sort_unstable();
    let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.end().saturating_add(1) => *last = *last.start()..=end.max(*last.end()),
            _ => merged.push(start..=end),
        }
    }
    merged
}

/// The first `max` different values that are neither empty nor overlong.
fn unique(values: impl IntoIterator<Item = String>, max: usize) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let values = values.into_iter().map(|value| value.trim().to_owned());
    let kept = values.filter(|value| (1..=URL_BYTES_MAX).contains(&value.len()));
    kept.filter(|value| seen.insert(value.clone())).take(max).collect()
}

/// Decodes `%41`; what is not such a sequence stays as it is, and what is not UTF-8 becomes U+FFFD.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes all but unreserved characters (RFC 3986 §2.3) and those in `plain`.
pub(crate) fn percent_encode(text: impl AsRef<[u8]>, plain: &str) -> String {
    let mut out = String::new();
    for &byte in text.as_ref() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "-_.~".contains(c) || plain.contains(c) => out.push(c),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const HEX: &str = "0123456789abcdef0123456789abcdef01234567";
    const BASE32: &str = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";

    fn parse(text: &str) -> Magnet {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn with(query: &str) -> Magnet {
        parse(&format!("magnet:?xt=urn:btih:{HEX}&{query}"))
    }

    #[test]
    fn a_hash_in_every_spelling() {
        let magnet = Magnet::new(InfoHash::from_hex(HEX).unwrap());
        for text in [
            HEX.to_owned(),
            HEX.to_uppercase(),
            BASE32.to_owned(),
            format!(" {} \n", BASE32.to_lowercase()),
            format!("magnet:?xt=urn:btih:{HEX}"),
            format!("MAGNET:?xt=urn:BTIH:{}", HEX.to_uppercase()),
            format!("stream-magnet:?xt=urn:btih:{BASE32}"),
            format!("magnet:?xt.1=urn%3Abtih%3A{HEX}"),
            format!("magnet:?xt=urn:btmh:1220{HEX}{}&amp;xt=urn:btih:{HEX}", &HEX[..24]),
        ] {
            assert_eq!(parse(&text), magnet, "{text}");
        }
    }

    #[test]
    fn errors_are_sentences() {
        for (text, error) in [
            ("", MagnetError::NotAMagnet),
            ("hello", MagnetError::NotAMagnet),
            ("http://example.test/?xt=urn:btih:0123456789abcdef0123456789abcdef01234567", MagnetError::NotAMagnet),
            ("0123456789abcdef0123456789abcdef0123456g", MagnetError::NotAMagnet),
            ("magnet:?", MagnetError::NoHash),
            ("magnet:?dn=x&tr=ws://a", MagnetError::NoHash),
            ("magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C", MagnetError::NoHash),
            ("magnet:?xt=urn:btih:0123", MagnetError::BadHash),
            ("magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGR1H", MagnetError::BadHash),
            ("magnet:?xt=urn:btmh:1220aa", MagnetError::V2Only),
            ("magnet:?xt=片片片片片", MagnetError::NoHash),
        ] {
            assert_eq!(text.parse::<Magnet>(), Err(error), "{text}");
            assert!(error.to_string().ends_with('.'));
        }
        assert_eq!("x".repeat(70_000).parse::<Magnet>(), Err(MagnetError::TooLong));
    }

    #[test]
    fn values_split_at_the_first_equals_sign() {
        let magnet =
            with("tr=wss://a.test/?key=1&tr=udp%3A%2F%2Fb.test%3A80&tr=wss://a.test/?key=1&tr.7=ws://c.test&tr=");
        assert_eq!(magnet.trackers, ["wss://a.test/?key=1", "udp://b.test:80", "ws://c.test"]);
        assert_eq!(magnet.trackers.iter().map(|url| is_tracker_url(url)).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn names_decode_leniently() {
        assert_eq!(with("dn=A+B%20C%2BD").name.as_deref(), Some("A B C+D"));
        assert_eq!(with("dn=100%&x=1").name.as_deref(), Some("100%"));
        assert_eq!(with("dn=%ff%zz").name.as_deref(), Some("\u{fffd}%zz"));
        assert_eq!(with("dn=").name, None);
    }

    #[test]
    fn other_parameters() {
        let magnet = with(
            "ws=http://w.test/f&as=https://a.test&ws=ftp://no&xs=https://t.test/x.torrent&xs=urn:btpk:aa\
            &x.pe=10.0.0.1:80&x.pe=[::1]:6881&kt=ignored&novalue",
        );
        assert_eq!(magnet.web_seeds, ["http://w.test/f", "https://a.test"]);
        let odd =
            with("ws=https://me:pw@a.test/f&ws=http://b.test/@f&ws=file:///etc/passwd&ws=data:,x&ws=javascript:x");
        assert_eq!(odd.web_seeds, ["http://b.test/@f"]);
        assert_eq!(magnet.sources, ["https://t.test/x.torrent"]);
        assert_eq!(magnet.peers, ["10.0.0.1:80", "[::1]:6881"]);
    }

    #[test]
    fn lists_are_capped_and_usable_trackers_survive() {
        let mut query: String = (0..50).map(|n| format!("&tr=udp://t{n}.test")).collect();
        query += "&tr=wss://live.test";
        query += &(0..50).map(|n| format!("&ws=http://w{n}.test&xs=http://x{n}.test&x.pe=h:{n}")).collect::<String>();
        let magnet = with(&query);
        assert_eq!(magnet.trackers.len(), TRACKERS_MAX);
        assert_eq!(magnet.trackers[..2], ["wss://live.test", "udp://t0.test"]);
        assert_eq!((magnet.web_seeds.len(), magnet.sources.len(), magnet.peers.len()), (10, 10, 10));
        assert!(with(&format!("tr=wss://{}", "a".repeat(3000))).trackers.is_empty());
    }

    #[test]
    fn selections_stay_ranges() {
        assert_eq!(with("so=0,2-4,3-7,x,9-8,20-").select, [0..=0, 2..=7]);
        assert_eq!(with("so=0-4294967295").select, [0..=u32::MAX]);
        assert_eq!(with("so=5,4").select, [4..=5]);
        let magnet = with("so=1,3-4");
        assert_eq!((0..6).filter(|&file| magnet.selects(file)).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(with("").selects(9));
    }

    #[test]
    fn printing_and_reading_gives_the_same() {
        let texts = ["Ünï & 片 = 100% + #1?.mp4", "plain", "a/b\\c", "' \"<>\u{202e}"];
        let mut rng = Rng::new([1; 32]);
        for round in 0..500 {
            let mut some = |prefix: &str, max: u64| -> Vec<String> {
                (0..rng.below(max)).map(|n| format!("{prefix}{n}.test/?k={}&v=%", rng.below(9))).collect()
            };
            let magnet = Magnet {
                trackers: some("wss://", 5),
                web_seeds: some("https://", 4),
                sources: some("http://", 4),
                peers: some("[::1]:", 3),
                name: texts.get(round % 6).map(|&text| text.to_owned()),
                select: selection(["", "1", "0,5-9,11"][round % 3]),
                info_hash: InfoHash(rng.bytes20()),
            };
            assert_eq!(parse(&magnet.to_string()), magnet, "{magnet}");
        }
    }

    #[test]
    fn the_canonical_order() {
        let text = format!(
            "magnet:?xt=urn:btih:{HEX}&dn=A+b&tr=wss%3A%2F%2Ft.test&ws=http%3A%2F%2Fw.test%2F&xs=http%3A%2F%2Fx.test\
             &x.pe=1.2.3.4:5&so=0,2-4"
        );
        assert_eq!(parse(&text).to_string(), text);
    }
}

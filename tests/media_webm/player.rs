//! Plays a file from memory: answers every demand, and keeps what was read and what came out.

use std::ops::Range;
use std::time::Duration;

use swarmreel::media::{Demand, Media, MediaError, Opening, Segment, Track};

/// A file being played.
pub(crate) struct Player<'a> {
    pub(crate) file: &'a [u8],
    pub(crate) media: Media,
    pub(crate) reads: Vec<Range<u64>>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) opening: Opening,
}

impl<'a> Player<'a> {
    /// Opens a file, as a browser that plays the tracks that `plays` says.
    pub(crate) fn open(file: &'a [u8], plays: fn(&Track) -> bool) -> Result<Self, MediaError> {
        let media = Media::open("film.webm", file.len() as u64);
        let opening = Opening { mime: String::new(), init: Vec::new() };
        let mut player = Self { file, media, reads: Vec::new(), segments: Vec::new(), opening };
        while player.read()? {}
        assert_eq!(player.media.demand(), Demand::Choice);
        let playable: Vec<bool> = player.media.tracks().iter().map(plays).collect();
        player.opening = player.media.select(&playable)?;
        Ok(player)
    }

    /// Answers one demand; `false` if it isn't one for bytes.
    pub(crate) fn read(&mut self) -> Result<bool, MediaError> {
        let Demand::Bytes(ranges) = self.media.demand() else { return Ok(false) };
        assert!(!ranges.is_empty());
        for range in &ranges {
            assert!(range.start < range.end && range.end <= self.file.len() as u64, "{range:?}");
        }
        assert!(self.reads.len() < 5_000, "it reads without end");
        let parts: Vec<&[u8]> = ranges.iter().map(|r| &self.file[r.start as usize..r.end as usize]).collect();
        self.segments.extend(self.media.supply(&parts)?);
        self.reads.extend(ranges);
        Ok(true)
    }

    /// Reads until the next segment is out, or the end.
    pub(crate) fn next(&mut self) -> Result<Option<Segment>, MediaError> {
        let seen = self.segments.len();
        while self.segments.len() == seen && self.read()? {}
        Ok(self.segments.get(seen).cloned())
    }

    /// Reads to the end.
    pub(crate) fn finish(&mut self) -> Result<(), MediaError> {
        while self.read()? {}
        Ok(())
    }

    /// Forgets what came out, and goes somewhere else.
    pub(crate) fn seek(&mut self, to: Duration) {
        self.segments.clear();
        self.reads.clear();
        self.media.seek(to);
    }

    /// All that was appended since the last seek, as one file.
    pub(crate) fn appended(&self) -> Vec<u8> {
        let segments = self.segments.iter().flat_map(|segment| segment.bytes.iter().copied());
        self.opening.init.iter().copied().chain(segments).collect()
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.reads.iter().map(|range| range.end - range.start).sum()
    }
}

/// A browser that plays all that WebM may hold.
pub(crate) fn any_webm(track: &Track) -> bool {
    track.mime.starts_with("video/webm") || track.mime.starts_with("audio/webm")
}

//! What a file says about itself before its first Cluster: EBML header, SeekHead, Info, Tracks.
//!
//! Invariant: `Head` is complete or an error; it is found within `HEAD_BYTES_MAX` bytes of reading, whatever the file
//! claims (threat-model.md M5, M6). Attachments, tags and chapters in front are jumped over, unread.

use std::time::Duration;

use super::codec::{self, Entry};
use super::ebml::{self, Malformed};
use super::ids;
use super::reader::{Element, Reader, Step};
use crate::media::MediaError;

/// Most bytes read in search of the head, and the longest element in it.
const HEAD_BYTES_MAX: u64 = 8 << 20;
/// Most tracks a file may have.
const TRACKS_MAX: usize = 256;
/// Most places worth looking for the Cues at.
const LEADS_MAX: usize = 16;
/// Nanoseconds per tick where Info doesn't say (RFC 9559 §5.1.2.9).
const SCALE_DEFAULT: u64 = 1_000_000;

/// What a file says about itself.
#[derive(Debug)]
pub(super) struct Head {
    doc_type: Option<String>,
    /// Nanoseconds per tick of every timestamp; not zero.
    pub(super) scale: u64,
    /// Length of the presentation in ticks, finite and positive.
    pub(super) ticks: Option<f64>,
    /// The video and audio tracks, in file order.
    pub(super) entries: Vec<Entry>,
    /// Where the Segment's body starts: positions in SeekHead and Cues count from here.
    pub(super) segment: Option<u64>,
    /// Where the Segment ends, at most the file's length.
    pub(super) segment_end: u64,
    /// Where the first Cluster starts.
    pub(super) clusters: u64,
    /// Where the Cues are, or a SeekHead that may know it.
    pub(super) leads: Vec<u64>,
}

impl Head {
    /// Nothing known yet.
    pub(super) fn new() -> Self {
        Self {
            doc_type: None,
            scale: SCALE_DEFAULT,
            ticks: None,
            entries: Vec::new(),
            segment: None,
            segment_end: 0,
            clusters: 0,
            leads: Vec::new(),
        }
    }

    /// Length of the presentation, where Info says so.
    pub(super) fn duration(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.ticks? * self.scale as f64 / 1e9).ok()
    }

    /// Reads one element.
    pub(super) fn step(&mut self, reader: &mut Reader) -> Result<Step, MediaError> {
        if self.segment.is_some() && reader.at() >= self.segment_end {
            return Ok(Step::Done);
        }
        if reader.taken() > HEAD_BYTES_MAX {
            return Err(MediaError::Broken("its tracks are not described near its beginning"));
        }
        let Some(element) = reader.element()? else { return Ok(Step::Starved) };
        match (self.segment, element.id) {
            (None, ids::EBML) => self.buffered(reader, &element, Self::take_ebml),
            (None, _) if self.doc_type.is_none() => Err(MediaError::Broken("it does not begin with an EBML header")),
            (None, ids::SEGMENT) => {
                self.segment = Some(element.body);
                self.segment_end = element.end.unwrap_or(u64::MAX).min(reader.length());
                reader.jump(element.body);
                Ok(Step::On)
            }
            (Some(_), ids::CLUSTER) => {
                self.clusters = element.at;
                Ok(Step::Done)
            }
            (Some(_), ids::CUES) => {
                self.add_lead(element.at);
                skip(reader, &element)
            }
            (Some(_), ids::SEEK_HEAD) => self.buffered(reader, &element, Self::take_seek_head),
            (Some(_), ids::INFO) => self.buffered(reader, &element, Self::take_info),
            (Some(_), ids::TRACKS) => self.buffered(reader, &element, Self::take_tracks),
            _ => skip(reader, &element),
        }
    }

    fn buffered(
        &mut self,
        reader: &mut Reader,
        element: &Element,
        take: fn(&mut Self, &[u8]) -> Result<(), MediaError>,
    ) -> Result<Step, MediaError> {
        let Some(body) = reader.body(element, HEAD_BYTES_MAX)? else { return Ok(Step::Starved) };
        take(self, body)?;
        skip(reader, element)
    }

    fn take_ebml(&mut self, body: &[u8]) -> Result<(), MediaError> {
        let mut doc_type = String::from("matroska");
        for child in ebml::children(body) {
            let child = child?;
            if child.id == ids::DOC_TYPE {
                doc_type = ebml::text(child.body);
            }
        }
        if doc_type != "webm" && doc_type != "matroska" {
            return Err(MediaError::UnsupportedContainer(None));
        }
        self.doc_type = Some(doc_type);
        Ok(())
    }

    fn take_seek_head(&mut self, body: &[u8]) -> Result<(), MediaError> {
        // It only ever saves time: one that is malformed is as good as none.
        for lead in leads(body, self.segment.unwrap_or(0)).unwrap_or_default() {
            self.add_lead(lead);
        }
        Ok(())
    }

    fn take_info(&mut self, body: &[u8]) -> Result<(), MediaError> {
        for child in ebml::children(body) {
            let child = child?;
            match child.id {
                ids::TIMESTAMP_SCALE => self.scale = ebml::unsigned(child.body)?,
                ids::DURATION => self.ticks = Some(ebml::float(child.body)?).filter(|t| t.is_finite() && *t > 0.0),
                _ => {}
            }
        }
        if self.scale == 0 {
            return Err(MediaError::Broken("its clock stands still (TimestampScale is 0)"));
        }
        Ok(())
    }

    fn take_tracks(&mut self, body: &[u8]) -> Result<(), MediaError> {
        for child in ebml::children(body) {
            let child = child?;
            if child.id == ids::TRACK_ENTRY {
                self.entries.extend(codec::entry(&child)?);
            }
            if self.entries.len() > TRACKS_MAX {
                return Err(MediaError::Broken("it has too many tracks"));
            }
        }
        Ok(())
    }

    fn add_lead(&mut self, at: u64) {
        if self.leads.len() < LEADS_MAX && !self.leads.contains(&at) {
            self.leads.push(at);
        }
    }
}

fn skip(reader: &mut Reader, element: &Element) -> Result<Step, MediaError> {
    reader.jump(element.known_end()?);
    Ok(Step::On)
}

/// Where a SeekHead says that Cues, or another SeekHead, are. `segment` is where the Segment's body starts.
pub(super) fn leads(seek_head: &[u8], segment: u64) -> Result<Vec<u64>, Malformed> {
    let mut leads = Vec::new();
    for seek in ebml::children(seek_head) {
        let seek = seek?;
        let (mut id, mut position) = (0, None);
        for child in ebml::children(seek.body).take_while(|_| seek.id == ids::SEEK) {
            let child = child?;
            match child.id {
                ids::SEEK_ID => id = ebml::unsigned(child.body)?,
                ids::SEEK_POSITION => position = segment.checked_add(ebml::unsigned(child.body)?),
                _ => {}
            }
        }
        if id == u64::from(ids::CUES) || id == u64::from(ids::SEEK_HEAD) {
            leads.extend(position);
        }
    }
    leads.truncate(LEADS_MAX);
    Ok(leads)
}

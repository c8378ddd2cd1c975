//! The `moov` box: what the tracks are, and where their samples are.
//!
//! Invariant: a track that gets out of here has an id, a timescale above zero, a description, and times that fit
//! (`TICKS_MAX`). The boxes that describe it are kept as they were in the file, for the init segment.

use super::boxes::{Atom, FourCc, children, find};
use super::codec::Codec;
use super::description::normalised;
use super::fragment;
use super::lane::{Edit, Lane, Timing};
use super::table::SampleTable;
use super::{Kind, MediaError, TICKS_MAX, nanos};

/// Video and audio tracks that are looked at.
const TRACKS_MAX: usize = 64;

/// What a `moov` says.
#[derive(Debug)]
pub(super) struct Movie {
    /// `mvhd`, whole.
    pub(super) mvhd: Vec<u8>,
    /// There may be fragments: it has an `mvex`.
    pub(super) fragmented: bool,
    /// Ticks per second of `mvhd`.
    pub(super) timescale: u32,
    /// Length of the presentation, where it says so; nanoseconds.
    pub(super) duration: Option<i64>,
    /// The video and audio tracks: what they are, and their samples, at the same index.
    pub(super) traks: Vec<Trak>,
    pub(super) lanes: Vec<Lane>,
}

/// What a track is, with its boxes (whole) for the init segment.
#[derive(Debug)]
pub(super) struct Trak {
    pub(super) id: u32,
    /// See `Edit`.
    pub(super) media_time: i64,
    pub(super) codec: Codec,
    pub(super) tkhd: Vec<u8>,
    pub(super) mdhd: Vec<u8>,
    pub(super) hdlr: Vec<u8>,
    /// `vmhd` or `smhd`.
    pub(super) media_header: Vec<u8>,
    pub(super) dinf: Vec<u8>,
    pub(super) stsd: Vec<u8>,
}

impl Movie {
    /// Reads the body of a `moov` in a file of `length` bytes.
    ///
    /// # Errors
    /// A box that is needed is missing or contradicts itself.
    pub(super) fn read(moov: &[u8], length: u64) -> Result<Self, MediaError> {
        let mvhd = required(moov, b"mvhd")?;
        let (timescale, ticks) = clock(&mvhd)?;
        let mvex = find(moov, b"mvex")?;
        let mehd = mvex.map(|mvex| find(mvex.body, b"mehd")).transpose()?.flatten();
        let fragment_ticks = mehd.as_ref().map(mehd_duration).transpose()?;
        // The movie's own duration leaves out the fragments, which the `mehd` counts, if there is one.
        let ticks = if mvex.is_some() { fragment_ticks.filter(|&ticks| ticks > 0) } else { ticks };
        let mut movie = Movie {
            mvhd: mvhd.whole.to_vec(),
            fragmented: mvex.is_some(),
            timescale,
            duration: ticks.map(|ticks| nanos(i64::try_from(ticks).unwrap_or(i64::MAX), timescale)),
            traks: Vec::new(),
            lanes: Vec::new(),
        };
        for atom in children(moov) {
            let atom = atom?;
            if atom.kind == *b"trak"
                && movie.traks.len() < TRACKS_MAX
                && let Some((trak, lane)) = Trak::read(atom.body, timescale, length)?
            {
                if movie.traks.iter().any(|known| known.id == trak.id) {
                    return Err(MediaError::Broken("two tracks have the same id"));
                }
                movie.traks.push(trak);
                movie.lanes.push(lane);
            }
        }
        if let Some(mvex) = mvex {
            movie.read_defaults(mvex.body)?;
        }
        Ok(movie)
    }

    fn read_defaults(&mut self, mvex: &[u8]) -> Result<(), MediaError> {
        for atom in children(mvex) {
            let atom = atom?;
            if atom.kind == *b"trex" {
                let (id, defaults) = fragment::trex(&atom)?;
                self.lanes.iter_mut().filter(|lane| lane.track == id).for_each(|lane| lane.defaults = defaults);
            }
        }
        Ok(())
    }
}

impl Trak {
    /// Reads a `trak`; `None` if it is neither video nor audio.
    fn read(trak: &[u8], movie_timescale: u32, length: u64) -> Result<Option<(Self, Lane)>, MediaError> {
        let mdia = required(trak, b"mdia")?.body;
        let hdlr = required(mdia, b"hdlr")?;
        let kind = match hdlr.body.get(8..12) {
            Some(b"vide") => Kind::Video,
            Some(b"soun") => Kind::Audio,
            _ => return Ok(None),
        };
        let tkhd = required(trak, b"tkhd")?;
        let mdhd = required(mdia, b"mdhd")?;
        let (timescale, _) = clock(&mdhd)?;
        let minf = required(mdia, b"minf")?.body;
        let stbl = required(minf, b"stbl")?.body;
        let stsd = normalised(&required(stbl, b"stsd")?, kind)?;
        let media_header = required(minf, if kind == Kind::Video { b"vmhd" } else { b"smhd" })?;
        let id = track_id(&tkhd)?;
        let edit = edit(trak, movie_timescale, timescale)?;
        let timing = Timing { timescale, edit };
        let lane = Lane::new(id, kind, timing, SampleTable::read(stbl, length)?, length);
        let trak = Trak {
            id,
            media_time: edit.media_time,
            codec: Codec::read(&required(&stsd, b"stsd")?, kind)?,
            tkhd: tkhd.whole.to_vec(),
            mdhd: mdhd.whole.to_vec(),
            hdlr: hdlr.whole.to_vec(),
            media_header: media_header.whole.to_vec(),
            dinf: required(minf, b"dinf")?.whole.to_vec(),
            stsd,
        };
        Ok(Some((trak, lane)))
    }
}

/// A box that its parent must have.
fn required<'a>(parent: &'a [u8], kind: &FourCc) -> Result<Atom<'a>, MediaError> {
    find(parent, kind)?.ok_or(MediaError::Broken("its index lacks a box"))
}

/// Reads the timescale and the duration, if any, of an `mvhd` or `mdhd`.
fn clock(atom: &Atom<'_>) -> Result<(u32, Option<u64>), MediaError> {
    let (version, _, mut reader) = atom.full()?;
    reader.take(if version == 0 { 8 } else { 16 })?;
    let timescale = reader.u32()?;
    let duration = reader.versioned(version)?;
    let unknown = if version == 0 { u64::from(u32::MAX) } else { u64::MAX };
    if timescale == 0 {
        return Err(MediaError::Broken("a clock without ticks"));
    }
    Ok((timescale, Some(duration).filter(|&duration| duration != 0 && duration != unknown)))
}

fn mehd_duration(atom: &Atom<'_>) -> Result<u64, MediaError> {
    let (version, _, mut reader) = atom.full()?;
    reader.versioned(version)
}

fn track_id(tkhd: &Atom<'_>) -> Result<u32, MediaError> {
    let (version, _, mut reader) = tkhd.full()?;
    reader.take(if version == 0 { 8 } else { 16 })?;
    reader.u32().and_then(|id| if id == 0 { Err(MediaError::Broken("a track without an id")) } else { Ok(id) })
}

/// What a track's edit list says: empty edits delay it, and the first other edit says which media time comes then.
/// Further edits (cuts, repeats) are not followed: players of fragments know none.
fn edit(trak: &[u8], movie_timescale: u32, timescale: u32) -> Result<Edit, MediaError> {
    const ABSURD: MediaError = MediaError::Broken("an edit list that points nowhere");
    let Some(edts) = find(trak, b"edts")? else { return Ok(Edit::default()) };
    let Some(elst) = find(edts.body, b"elst")? else { return Ok(Edit::default()) };
    let (version, _, mut reader) = elst.full()?;
    let mut delay = 0_u128;
    for _ in 0..reader.u32()? {
        let duration = reader.versioned(version)?;
        let media_time = reader.versioned(version)?;
        reader.u32()?; // the rate
        let media_time = if version == 0 { i64::from(media_time as u32 as i32) } else { media_time as i64 };
        if media_time < 0 {
            delay = delay.saturating_add(u128::from(duration));
            continue;
        }
        let half = u128::from(movie_timescale / 2);
        let delay = delay.saturating_mul(u128::from(timescale)).saturating_add(half) / u128::from(movie_timescale);
        let delay = i64::try_from(delay).map_err(|_| ABSURD)?;
        let edit = Edit { delay, media_time };
        return if delay <= TICKS_MAX && media_time <= TICKS_MAX { Ok(edit) } else { Err(ABSURD) };
    }
    Ok(Edit::default())
}

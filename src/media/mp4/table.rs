//! A progressive file's sample tables, walked where they lie (ISO/IEC 14496-12 §8.6, §8.7).
//!
//! Invariant: no table is ever expanded. Memory is what the tables take in the file; a step of a cursor costs O(1)
//! on average, and placing one costs one pass over the tables.

use super::MediaError;
use super::Sample;
use super::boxes::{Atom, Reader, children};

/// Entries of `WORDS` big-endian 32-bit numbers each.
#[derive(Debug, Default)]
pub(super) struct Table<const WORDS: usize>(Vec<u8>);

impl<const WORDS: usize> Table<WORDS> {
    /// Copies `count` entries.
    ///
    /// # Errors
    /// There are fewer.
    fn read(reader: &mut Reader<'_>, count: u32) -> Result<Self, MediaError> {
        const CUT: MediaError = MediaError::Broken("a table claims more entries than it holds");
        let bytes = (count as usize).checked_mul(WORDS * 4).ok_or(CUT)?;
        reader.take(bytes).map(|bytes| Table(bytes.to_vec())).map_err(|_| CUT)
    }

    /// Reads a full box whose body is a count and that many entries.
    fn counted(atom: &Atom<'_>) -> Result<Self, MediaError> {
        let (_, _, mut reader) = atom.full()?;
        let count = reader.u32()?;
        Self::read(&mut reader, count)
    }

    fn len(&self) -> usize {
        self.0.len() / (WORDS * 4)
    }

    fn get(&self, index: usize) -> Option<[u32; WORDS]> {
        let at = index.checked_mul(WORDS * 4)?;
        let entry = self.0.get(at..at + WORDS * 4)?;
        Some(std::array::from_fn(|word| {
            u32::from_be_bytes([entry[word * 4], entry[word * 4 + 1], entry[word * 4 + 2], entry[word * 4 + 3]])
        }))
    }

    fn iter(&self) -> impl Iterator<Item = [u32; WORDS]> {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

/// `stsz` or `stz2`: how large each sample is.
#[derive(Debug)]
enum Sizes {
    Same {
        size: u32,
        count: u32,
    },
    Words(Table<1>),
    /// 4, 8 or 16 bits each.
    Packed {
        bits: u8,
        bytes: Vec<u8>,
        count: u32,
    },
}

impl Sizes {
    fn stsz(atom: &Atom<'_>, length: u64) -> Result<Self, MediaError> {
        let (_, _, mut reader) = atom.full()?;
        let (size, count) = (reader.u32()?, reader.u32()?);
        if size == 0 {
            return Table::read(&mut reader, count).map(Sizes::Words);
        }
        // Nothing but the file's length bounds a count that takes no table.
        let room = length / u64::from(size);
        Ok(Sizes::Same { size, count: u64::from(count).min(room) as u32 })
    }

    fn stz2(atom: &Atom<'_>) -> Result<Self, MediaError> {
        let (_, _, mut reader) = atom.full()?;
        let (bits, count) = (reader.u32()? as u8, reader.u32()?);
        if ![4, 8, 16].contains(&bits) {
            return Err(MediaError::Broken("sample sizes of an unknown width"));
        }
        let bytes = (count as usize).div_ceil(8 / usize::from(bits.min(8))) * usize::from(bits.div_ceil(8));
        Ok(Sizes::Packed { bits, bytes: reader.take(bytes)?.to_vec(), count })
    }

    fn count(&self) -> u32 {
        match self {
            Sizes::Same { count, .. } | Sizes::Packed { count, .. } => *count,
            // A table is read with a 32-bit count.
            Sizes::Words(table) => table.len() as u32,
        }
    }

    fn get(&self, sample: u32) -> Option<u32> {
        let at = sample as usize;
        match self {
            Sizes::Same { size, count } => (sample < *count).then_some(*size),
            Sizes::Words(table) => table.get(at).map(|[size]| size),
            Sizes::Packed { count, .. } if sample >= *count => None,
            Sizes::Packed { bits: 4, bytes, .. } => {
                let pair = bytes.get(at / 2)?;
                Some(u32::from(if at.is_multiple_of(2) { pair >> 4 } else { pair & 15 }))
            }
            Sizes::Packed { bits: 8, bytes, .. } => bytes.get(at).map(|&size| u32::from(size)),
            Sizes::Packed { bytes, .. } => {
                Some(u32::from(u16::from_be_bytes([*bytes.get(at * 2)?, *bytes.get(at * 2 + 1)?])))
            }
        }
    }

    /// The bytes of samples `from..to` together.
    fn sum(&self, from: u32, to: u32) -> u64 {
        match self {
            Sizes::Same { size, .. } => u64::from(*size) * u64::from(to - from),
            _ => (from..to).map_while(|sample| self.get(sample)).map(u64::from).sum(),
        }
    }
}

/// `stco` or `co64`: where each chunk begins.
#[derive(Debug)]
enum Chunks {
    Words(Table<1>),
    Longs(Table<2>),
}

impl Chunks {
    fn len(&self) -> u32 {
        match self {
            Chunks::Words(table) => table.len() as u32,
            Chunks::Longs(table) => table.len() as u32,
        }
    }

    fn get(&self, chunk: u32) -> Option<u64> {
        match self {
            Chunks::Words(table) => table.get(chunk as usize).map(|[at]| u64::from(at)),
            Chunks::Longs(table) => table.get(chunk as usize).map(|[high, low]| u64::from(high) << 32 | u64::from(low)),
        }
    }
}

/// One track's `stbl` without its descriptions.
#[derive(Debug)]
pub(super) struct SampleTable {
    /// `stts`: samples, and ticks that each of them lasts.
    durations: Table<2>,
    /// `ctts`: samples, and ticks (signed) from decoding to presentation.
    compositions: Table<2>,
    /// `stss`: samples (from 1) where decoding can start; without it, all of them.
    syncs: Option<Table<1>>,
    /// `stsc`: first chunk (from 1), samples in each chunk, description (from 1).
    runs: Table<3>,
    chunks: Chunks,
    sizes: Sizes,
}

/// A sample's place in every table.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// From 0.
    sample: u32,
    /// When it is decoded, in ticks. At most `SampleTable::ticks`.
    dts: u64,
    duration: Repeat,
    composition: Repeat,
    /// The first entry of `syncs` that is not before this sample.
    sync: usize,
    /// From 0.
    chunk: u32,
    /// The entry of `runs` that holds this chunk.
    run: usize,
    /// Samples in this chunk from this one on.
    left: u32,
    /// Where this sample's bytes are.
    offset: u64,
}

/// A place in a run-length table.
#[derive(Clone, Debug, Default)]
struct Repeat {
    entry: usize,
    /// How often the entry has been used.
    used: u32,
}

impl Repeat {
    /// The entry's value, at the first entry from here that is not used up.
    fn value(&mut self, table: &Table<2>) -> Option<u32> {
        loop {
            let [count, value] = table.get(self.entry)?;
            if self.used < count {
                return Some(value);
            }
            *self = Repeat { entry: self.entry + 1, used: 0 };
        }
    }

    /// The place of a sample.
    fn at(table: &Table<2>, sample: u32) -> Self {
        let mut before = 0_u64;
        for (entry, [count, _]) in table.iter().enumerate() {
            if u64::from(sample) < before + u64::from(count) {
                return Repeat { entry, used: (u64::from(sample) - before) as u32 };
            }
            before += u64::from(count);
        }
        Repeat { entry: table.len(), used: 0 }
    }
}

impl SampleTable {
    /// Reads the tables out of the `stbl` body of a file of `length` bytes. Missing tables are empty ones: so are
    /// those of fragmented files.
    ///
    /// # Errors
    /// A table claims more than it holds, is out of order, or its times are absurd.
    pub(super) fn read(stbl: &[u8], length: u64) -> Result<Self, MediaError> {
        let mut table = SampleTable {
            durations: Table::default(),
            compositions: Table::default(),
            syncs: None,
            runs: Table::default(),
            chunks: Chunks::Words(Table::default()),
            sizes: Sizes::Same { size: 1, count: 0 },
        };
        for atom in children(stbl) {
            let atom = atom?;
            match &atom.kind {
                b"stts" => table.durations = Table::counted(&atom)?,
                b"ctts" => table.compositions = Table::counted(&atom)?,
                b"stss" => table.syncs = Some(Table::counted(&atom)?),
                b"stsc" => table.runs = Table::counted(&atom)?,
                b"stco" => table.chunks = Chunks::Words(Table::counted(&atom)?),
                b"co64" => table.chunks = Chunks::Longs(Table::counted(&atom)?),
                b"stsz" => table.sizes = Sizes::stsz(&atom, length)?,
                b"stz2" => table.sizes = Sizes::stz2(&atom)?,
                _ => {}
            }
        }
        table.check().map(|()| table)
    }

    /// Checks once what the cursors then rely on.
    fn check(&self) -> Result<(), MediaError> {
        let firsts = || self.runs.iter().map(|[first, ..]| first);
        if firsts().next().is_some_and(|first| first != 1) || !firsts().is_sorted() {
            return Err(MediaError::Broken("its chunks are out of order"));
        }
        let ticks = self.durations.iter().try_fold(0_u64, |sum, [count, each]| {
            sum.checked_add(u64::from(count) * u64::from(each)).filter(|&sum| sum <= super::TICKS_MAX as u64)
        });
        ticks.map(drop).ok_or(MediaError::Broken("it claims to last for ever"))
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> u32 {
        self.sizes.count()
    }

    /// How long the samples last together, in ticks.
    pub(super) fn ticks(&self) -> i64 {
        // `check` has summed them up.
        self.durations.iter().map(|[count, each]| (u64::from(count) * u64::from(each)) as i64).sum()
    }

    /// The place of a sample; past the last one, a cursor that gives nothing.
    pub(super) fn cursor(&self, sample: u32) -> Cursor {
        let mut cursor = Cursor {
            sample,
            dts: self.dts(sample),
            duration: Repeat::at(&self.durations, sample),
            composition: Repeat::at(&self.compositions, sample),
            sync: self.syncs.as_ref().map_or(0, |syncs| syncs_before(syncs, sample)),
            chunk: self.chunks.len(),
            run: self.runs.len(),
            left: 0,
            offset: 0,
        };
        let mut before = 0_u64;
        for (run, [first, each, _]) in self.runs.iter().enumerate() {
            let end = self.runs.get(run + 1).map_or(self.chunks.len(), |[next, ..]| (next - 1).min(self.chunks.len()));
            let samples = u64::from(end.saturating_sub(first - 1)) * u64::from(each);
            if u64::from(sample) < before + samples {
                let within = u64::from(sample) - before;
                // Both fit: they are less than `end` and `each`.
                let (chunk, skipped) =
                    ((within / u64::from(each)) as u32 + first - 1, (within % u64::from(each)) as u32);
                let start = self.chunks.get(chunk).unwrap_or(u64::MAX);
                cursor.offset = start.saturating_add(self.sizes.sum(sample - skipped, sample));
                (cursor.chunk, cursor.run, cursor.left) = (chunk, run, each - skipped);
                break;
            }
            before += samples;
        }
        cursor
    }

    /// The sample at a cursor; `None` behind the last that all the tables describe.
    pub(super) fn sample(&self, cursor: &mut Cursor) -> Option<Sample> {
        if cursor.left == 0 {
            return None;
        }
        let [_, _, description] = self.runs.get(cursor.run)?;
        Some(Sample {
            offset: cursor.offset,
            size: self.sizes.get(cursor.sample)?,
            dts: cursor.dts as i64,
            duration: cursor.duration.value(&self.durations)?,
            // Version 0 of the table is unsigned on paper and signed in practice.
            composition: cursor.composition.value(&self.compositions).unwrap_or(0) as i32,
            sync: self.syncs.as_ref().is_none_or(|syncs| syncs.get(cursor.sync) == Some([cursor.sample + 1])),
            description,
        })
    }

    /// Steps over `sample`, which is the one at the cursor.
    pub(super) fn advance(&self, cursor: &mut Cursor, sample: &Sample) {
        cursor.sample += 1;
        cursor.dts += u64::from(sample.duration);
        cursor.duration.used += 1;
        cursor.composition.used += 1;
        cursor.sync += usize::from(sample.sync);
        cursor.offset = cursor.offset.saturating_add(u64::from(sample.size));
        cursor.left -= 1;
        while cursor.left == 0 && cursor.chunk < self.chunks.len() {
            cursor.chunk += 1;
            while self.runs.get(cursor.run + 1).is_some_and(|[first, ..]| first <= cursor.chunk + 1) {
                cursor.run += 1;
            }
            if let (Some(start), Some([_, each, _])) = (self.chunks.get(cursor.chunk), self.runs.get(cursor.run)) {
                (cursor.offset, cursor.left) = (start, each);
            }
        }
    }

    /// The last sample that is decoded at or before a time in ticks; the first if none is.
    pub(super) fn decoded_at(&self, ticks: i64) -> u32 {
        let (mut sample, mut dts) = (0_u64, 0_u64);
        let wanted = u64::try_from(ticks).unwrap_or(0);
        for [count, each] in self.durations.iter() {
            let end = dts + u64::from(count) * u64::from(each);
            if wanted < end {
                sample += (wanted - dts) / u64::from(each);
                break;
            }
            (sample, dts) = (sample + u64::from(count), end);
        }
        sample.min(u64::from(self.count().saturating_sub(1))) as u32
    }

    /// The last sample where decoding can start and that is presented at or before a time in ticks; the first
    /// sample of all if none is.
    pub(super) fn sync_at(&self, ticks: i64) -> u32 {
        let Some(syncs) = &self.syncs else { return self.decoded_at(ticks) };
        // Reordered pictures show a few frames after they are decoded, so one step back is enough in real files.
        const TRIES: usize = 16;
        let behind = syncs_before(syncs, self.decoded_at(ticks).saturating_add(1));
        let samples = (0..behind).rev().take(TRIES).filter_map(|entry| syncs.get(entry));
        let mut samples = samples.map(|[sample]| sample.saturating_sub(1)).peekable();
        let last = samples.peek().copied().unwrap_or(0);
        samples.find(|&sample| self.pts(sample) <= ticks).unwrap_or(if behind > TRIES { last } else { 0 })
    }

    /// When a sample is decoded, in ticks.
    fn dts(&self, sample: u32) -> u64 {
        let (mut left, mut dts) = (u64::from(sample), 0_u64);
        for [count, each] in self.durations.iter() {
            let used = left.min(u64::from(count));
            (left, dts) = (left - used, dts + used * u64::from(each));
        }
        dts
    }

    /// When a sample is presented, in ticks.
    fn pts(&self, sample: u32) -> i64 {
        let composition = Repeat::at(&self.compositions, sample).value(&self.compositions).unwrap_or(0);
        self.dts(sample) as i64 + i64::from(composition as i32)
    }
}

/// How many entries name samples before `sample` (from 0).
fn syncs_before(syncs: &Table<1>, sample: u32) -> usize {
    let (mut low, mut high) = (0, syncs.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if syncs.get(middle).is_some_and(|[at]| at <= sample) { low = middle + 1 } else { high = middle }
    }
    low
}

//! The files that are being seeded, read where they lie.
//!
//! Invariant: at most `WINDOWS` × `WINDOW_LENGTH` bytes of them are in memory. The files are concatenated in torrent
//! order, so an offset here is an offset in the content.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use web_sys::{Blob, File, FileReaderSync};

use super::StoreError;

/// Bytes read at once: a call into the browser costs as much as half a megabyte of copying.
const WINDOW_LENGTH: u64 = 1 << 20;
/// So many places can be read from in turn without reading anything twice.
const WINDOWS: usize = 4;

/// Files as one run of bytes.
pub(crate) struct Source {
    /// Each with where it starts.
    files: Vec<(u64, File)>,
    length: u64,
    reader: FileReaderSync,
    /// The latest used last.
    windows: Vec<Window>,
}

struct Window {
    start: u64,
    bytes: Uint8Array,
}

impl Source {
    /// The concatenation of `files`.
    pub(crate) fn new(files: impl IntoIterator<Item = File>) -> Self {
        let mut length = 0;
        let place = |file: File| {
            let start = length;
            length += file.size() as u64;
            (start, file)
        };
        let files = files.into_iter().map(place).collect();
        let reader = FileReaderSync::new().expect("a dedicated worker has FileReaderSync");
        Self { files, length, reader, windows: Vec::new() }
    }

    /// Bytes in all.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The files' parts that make up `start..end`, in order.
    pub(crate) fn slices(&self, start: u64, end: u64) -> Result<Vec<Blob>, StoreError> {
        let overlap = |(first, file): &(u64, File)| {
            let from = start.max(*first) - first;
            let to = (end.min(first + file.size() as u64)).checked_sub(*first)?;
            (from < to).then(|| file.slice_with_f64_and_f64(from as f64, to as f64))
        };
        self.files.iter().filter_map(overlap).collect::<Result<_, _>>().map_err(|_| StoreError)
    }

    /// Reads content. Fails if a file has changed or gone.
    pub(super) fn load(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        let mut done = 0;
        while done < bytes.len() {
            let position = offset + done as u64;
            let window = self.window(position - position % WINDOW_LENGTH)?;
            let skip = u32::try_from(position - window.start).map_err(|_| StoreError)?;
            let part = window.bytes.subarray(skip, window.bytes.length());
            let count = (part.length() as usize).min(bytes.len() - done);
            if count == 0 {
                return Err(StoreError);
            }
            part.subarray(0, count as u32).copy_to(&mut bytes[done..done + count]);
            done += count;
        }
        Ok(())
    }

    fn window(&mut self, start: u64) -> Result<&Window, StoreError> {
        let window = match self.windows.iter().position(|window| window.start == start) {
            Some(index) => self.windows.remove(index),
            None => Window { start, bytes: self.read(start, (start + WINDOW_LENGTH).min(self.length))? },
        };
        if self.windows.len() == WINDOWS {
            self.windows.remove(0);
        }
        self.windows.push(window);
        self.windows.last().ok_or(StoreError)
    }

    fn read(&self, start: u64, end: u64) -> Result<Uint8Array, StoreError> {
        let read = |blob: &Blob| self.reader.read_as_array_buffer(blob).map(ArrayBuffer::unchecked_into::<ArrayBuffer>);
        let slices = self.slices(start, end)?;
        let parts: Vec<_> = slices.iter().map(read).collect::<Result<_, _>>().map_err(|_| StoreError)?;
        if let [whole] = parts.as_slice() {
            return Ok(Uint8Array::new(whole));
        }
        let joined = Uint8Array::new_with_length(u32::try_from(end.saturating_sub(start)).map_err(|_| StoreError)?);
        let mut at = 0;
        for part in &parts {
            joined.set(&Uint8Array::new(part), at);
            at += part.byte_length();
        }
        Ok(joined)
    }
}

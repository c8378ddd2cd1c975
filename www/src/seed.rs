//! Making a torrent from files: reads, hashes, tells how far it is.
//!
//! Invariant: two slices of the content are in memory at a time, and between slices the worker does its other work.

use js_sys::Uint8Array;
use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo, MetainfoError};
use wasm_bindgen_futures::JsFuture;

use crate::driver;
use crate::protocol::{SeedFile, SeedOptions, ToPage, reason};
use crate::store::Source;

/// Bytes read and hashed at a time: a few milliseconds.
const SLICE_LENGTH: u64 = 1 << 20;
/// Slices between two words to the page.
const SLICES_PER_WORD: u64 = 8;

/// Why there is no torrent.
pub(crate) struct SeedError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Hashes `files`. The source serves them afterwards.
pub(crate) async fn make(
    call: u32,
    files: Vec<SeedFile>,
    options: SeedOptions,
    trackers: Vec<String>,
) -> Result<(Metainfo, Source), SeedError> {
    let mut builder = Builder::new(BuilderOptions {
        name: options.name,
        files: files.iter().map(|file| (file.path.clone(), file.file.size() as u64)).collect(),
        piece_length: options.piece_length,
        trackers,
        comment: options.comment,
        web_seeds: options.web_seeds,
        ..BuilderOptions::default()
    })
    .map_err(bad_seed)?;
    let source = Source::new(files.into_iter().map(|file| file.file));
    hash(call, &source, &mut builder).await?;
    let metainfo = builder.finish().map_err(bad_seed)?;
    Ok((metainfo, source))
}

async fn hash(call: u32, source: &Source, builder: &mut Builder) -> Result<(), SeedError> {
    let length = source.length();
    let slice = |index: u64| start_reading(source, index * SLICE_LENGTH, length.min((index + 1) * SLICE_LENGTH));
    let count = length.div_ceil(SLICE_LENGTH);
    let mut bytes = Vec::new();
    let mut next = slice(0)?;
    for index in 0..count {
        let current = std::mem::replace(&mut next, slice(index + 1)?);
        for part in current {
            let part = Uint8Array::new(&part.await.map_err(|error| unreadable(&reason(&error)))?);
            bytes.resize(part.length() as usize, 0);
            part.copy_to(&mut bytes);
            builder.update(&bytes).map_err(bad_seed)?;
        }
        if index % SLICES_PER_WORD == 0 {
            let fraction = index as f64 / count as f64;
            driver::enter(|driver| driver.outbox.say(&ToPage::Hashing { call, fraction }));
        }
    }
    driver::enter(|driver| driver.outbox.say(&ToPage::Hashing { call, fraction: 1.0 }));
    Ok(())
}

/// Asks for the bytes at once, so that the browser reads while the slice before is hashed.
fn start_reading(source: &Source, start: u64, end: u64) -> Result<Vec<JsFuture>, SeedError> {
    let blobs = source.slices(start, end).map_err(|_| unreadable("it has changed"))?;
    Ok(blobs.iter().map(|blob| JsFuture::from(blob.array_buffer())).collect())
}

fn bad_seed(error: MetainfoError) -> SeedError {
    SeedError { code: "bad-seed", message: error.to_string() }
}

fn unreadable(why: &str) -> SeedError {
    SeedError { code: "file-unreadable", message: format!("The file can't be read: {why}") }
}

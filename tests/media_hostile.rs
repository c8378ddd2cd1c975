//! `Media` on hostile files: every mutation ends in an error or in segments, within bounds of memory and of steps
//! (threat-model.md M1 to M6).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use swarmreel::media::{Demand, Media};

thread_local! {
    /// Bytes allocated by this thread that live, and the most there were.
    static LIVE: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// Counts for each thread: tests run in several.
struct Counting;

#[expect(unsafe_code, reason = "an allocator can't be counted otherwise; all is passed on as it comes")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        let (now, most) = live.get();
        live.set((now + bytes, most.max(now + bytes)));
    });
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that lived at once during `run`, beyond those before.
fn peak(run: impl FnOnce()) -> isize {
    let (before, _) = LIVE.get();
    LIVE.set((before, before));
    run();
    LIVE.get().1 - before
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/vectors/media/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Plays a file with all tracks, with seeks on the way; true if nothing was wrong with it.
fn play(name: &str, file: &[u8]) -> bool {
    let mut media = Media::open(name, file.len() as u64);
    let mut seeks = [0, 3, 1, 1_000_000].into_iter();
    // Each step reads something, but a file of overlapping samples may be long.
    for _ in 0..20_000 {
        match media.demand() {
            Demand::Bytes(ranges) => {
                let parts: Vec<&[u8]> = ranges
                    .iter()
                    .map(|range| {
                        assert!(range.start < range.end && range.end <= file.len() as u64, "{range:?}");
                        &file[range.start as usize..range.end as usize]
                    })
                    .collect();
                if media.supply(&parts).is_err() {
                    return false;
                }
            }
            Demand::Choice => {
                if media.select(&vec![true; media.tracks().len()]).is_err() {
                    return false;
                }
            }
            Demand::Nothing => match seeks.next() {
                Some(to) => {
                    media.seek(Duration::from_secs(to));
                    media.byte_at(Duration::from_secs(to));
                }
                None => return true,
            },
        }
    }
    panic!("{name} goes on and on");
}

const FILES: [&str; 5] =
    ["mp4-moov-first.mp4", "mp4-frag.mp4", "mp4-frag-sidx.mp4", "mp4-frag-hybrid.mp4", "mp3-vbr.mp3"];

/// Plays a mutation, within bounds of memory: 4 times the file and 1 MiB.
fn check(name: &str, file: &[u8], what: &str) {
    let peak = peak(|| _ = play(name, file));
    assert!(peak <= 4 * file.len() as isize + (1 << 20), "{name}, {what}: {peak} bytes lived at once");
}

/// Whether a byte belongs to what is parsed: all of an MP4 but the samples, the first frames of an MP3.
fn is_index(file: &[u8], at: usize) -> bool {
    if file[4..8] != *b"ftyp" {
        return at < 1_000;
    }
    let mut start = 0;
    while let Some(size) = file.get(start..start + 4) {
        let end = start + u32::from_be_bytes(size.try_into().unwrap()) as usize;
        if at < end {
            return file[start + 4..start + 8] != *b"mdat" || at < start + 8;
        }
        start = end;
    }
    false
}

#[test]
fn every_window_may_lie() {
    for name in FILES {
        let file = vector(name);
        assert!(play(name, &file), "{name} itself is fine");
        for at in (0..file.len() - 4).filter(|&at| is_index(&file, at)) {
            for lie in [[0xFF; 4], [0x10, 0, 0, 0]] {
                let mut mutated = file.clone();
                mutated[at..at + 4].copy_from_slice(&lie);
                check(name, &mutated, &format!("{lie:?} at {at}"));
            }
        }
    }
}

#[test]
fn every_end_may_be_missing() {
    for name in FILES {
        let file = vector(name);
        for length in (0..file.len()).step_by(7) {
            check(name, &file[..length], &format!("cut to {length}"));
        }
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// A progressive file of one sound track with these tables and nothing in it.
fn sound(tables: &[Vec<u8>], data: usize) -> Vec<u8> {
    let stsd = boxed(b"stsd", &[words([0, 1]), boxed(b"Opus", &[0; 28])].concat());
    let stbl = boxed(b"stbl", &[stsd, tables.concat()].concat());
    let minf = boxed(b"minf", &[boxed(b"smhd", &[0; 8]), boxed(b"dinf", &[]), stbl].concat());
    let mdhd = boxed(b"mdhd", &words([0, 0, 0, 48_000, 48_000, 0]));
    let hdlr = boxed(b"hdlr", b"\0\0\0\0\0\0\0\0soun\0\0\0\0");
    let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
    let trak = boxed(b"trak", &[boxed(b"tkhd", &words([0, 0, 0, 1])), mdia].concat());
    let moov = boxed(b"moov", &[boxed(b"mvhd", &words([0, 0, 0, 1000, 1000])), trak].concat());
    [moov, boxed(b"mdat", &vec![0; data])].concat()
}

/// A chunk for each sample, alternating entries: a walk from the beginning for each sample would not end today.
#[test]
fn many_chunks_cost_one_pass() {
    const SAMPLES: u32 = 300_000;
    let tables = [
        boxed(b"stts", &words([0, SAMPLES].into_iter().chain((0..SAMPLES).flat_map(|at| [1, 1 + at % 2])))),
        boxed(b"ctts", &words([0, SAMPLES].into_iter().chain((0..SAMPLES).flat_map(|at| [1, at % 2])))),
        boxed(b"stsc", &words([0, SAMPLES].into_iter().chain((1..=SAMPLES).flat_map(|at| [at, 1, 1])))),
        boxed(b"stco", &words([0, SAMPLES].into_iter().chain((0..SAMPLES).map(|at| 100 + at)))),
        boxed(b"stsz", &words([0, 1, SAMPLES])),
    ];
    let file = sound(&tables[..], SAMPLES as usize);
    assert!(file.len() < 16 << 20);
    let moov = u32::from_be_bytes(file[..4].try_into().unwrap());
    assert_eq!(moov > 8 << 20, !play("large.mp4", &file), "an index of more than 8 MiB is refused");
    let half = SAMPLES / 2;
    let tables = [
        boxed(b"stts", &words([0, 1, half, 960])),
        boxed(b"ctts", &words([0, half].into_iter().chain((0..half).flat_map(|at| [1, at % 2])))),
        boxed(b"stsc", &words([0, half].into_iter().chain((1..=half).flat_map(|at| [at, 1, 1])))),
        boxed(b"stco", &words([0, half].into_iter().chain((0..half).map(|at| 100 + at)))),
        boxed(b"stsz", &words([0, 1, half])),
    ];
    let file = sound(&tables[..], half as usize);
    check("many.mp4", &file, "many chunks");
}

/// Counts that no table backs up (M2), and times that add up to for ever (M3).
#[test]
fn bombs_are_refused() {
    let tables = |stts: [u32; 2], samples: u32| {
        [
            boxed(b"stts", &words([0, 1, stts[0], stts[1]])),
            boxed(b"stsc", &words([0, 1, 1, u32::MAX, 1])),
            boxed(b"stco", &words([0, 1, 300])),
            boxed(b"stsz", &words([0, 1, samples])),
        ]
    };
    assert!(play("fine.mp4", &sound(&tables([100, 960], 100), 1000)));
    // The file's length bounds the samples.
    check("many.mp4", &sound(&tables([u32::MAX, 1], u32::MAX), 100_000), "4 G samples");
    let forever = [boxed(b"stts", &words([0, 2, u32::MAX, u32::MAX, u32::MAX, u32::MAX]))];
    assert!(!play("long.mp4", &sound(&forever, 10)));
}

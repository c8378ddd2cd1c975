//! How much memory a body holds: an allocator that counts, per thread, what is live.
//!
//! Invariant: the counts are of this thread alone, so that tests side by side do not disturb each other.
#![expect(unsafe_code, reason = "an allocator can't be written without; it hands every call to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a body may hold besides a multiple of its input: 1 MiB (threat-model §3).
const FIXED: usize = 1 << 20;
/// The multiple of its input that a body may hold (threat-model §3).
const PER_INPUT_BYTE: usize = 4;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change: isize) {
    // A thread that ends frees after its counters are gone.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs a piece of code; gives what it made, and the most bytes that it held at once.
pub(crate) fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let made = run();
    (made, (PEAK.get() - before).max(0) as usize)
}

/// Bytes that live now; only differences mean anything.
#[cfg(test)]
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// Panics if more bytes were held than `input` bytes of input allow.
pub(crate) fn allow(input: usize, held: usize) {
    let allowed = PER_INPUT_BYTE * input + FIXED;
    assert!(held <= allowed, "{held} bytes held for {input} bytes of input, {allowed} allowed");
}

/// Runs a piece of code that is given `input` bytes, and panics if it held more than they allow.
pub(crate) fn bounded<T>(input: usize, run: impl FnOnce() -> T) -> T {
    let (made, held) = peak(run);
    allow(input, held);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_at_once_is_counted_and_what_was_before_is_not() {
        let before = vec![1u8; 5000];
        let (sum, held) = peak(|| {
            drop(vec![1u8; 1000]);
            let mut kept = vec![1u8; 600];
            kept.reserve_exact(100);
            kept.len() + before.len()
        });
        assert_eq!((sum, held), (5600, 1000));
    }

    #[test]
    #[should_panic(expected = "bytes held")]
    fn too_much_is_noticed() {
        bounded(100, || vec![0u8; FIXED + 401].len());
    }
}

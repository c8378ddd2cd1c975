//! Every input that was kept is run again, and some that chance draws.

use std::fs;
use std::path::{Path, PathBuf};

use swarmreel::rng::Rng;
use swarmreel_fuzz::TARGETS;

/// Drawn inputs of each target.
const DRAWN: u64 = 500;

fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths
}

#[test]
fn kept_inputs_break_nothing() {
    for (target, body) in TARGETS {
        assert!(!inputs("corpus", target).is_empty(), "{target} has no corpus");
        for path in [inputs("corpus", target), inputs("regressions", target)].concat() {
            let bytes = fs::read(&path).expect("a readable file");
            let result = std::panic::catch_unwind(|| body(&bytes));
            assert!(result.is_ok(), "{target} breaks on {}", path.display());
        }
    }
}

#[test]
fn drawn_inputs_break_nothing() {
    for (target, body) in TARGETS {
        let mut rng = Rng::new([1; 32]);
        for number in 0..DRAWN {
            let length = rng.below(200);
            let bytes: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
            let result = std::panic::catch_unwind(|| body(&bytes));
            assert!(result.is_ok(), "{target} breaks on drawn input {number}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
#[should_panic(expected = "the canary is dead")]
fn the_canary_dies() {
    swarmreel_fuzz::canary(b"coal gas and other gases");
}

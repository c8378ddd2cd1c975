//! What the process uses, as the system counts it.
//!
//! Invariant: what the system does not tell is `None`, never a guess.

use std::time::Duration;

/// Memory in use.
#[cfg(target_os = "linux")]
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// Memory in use.
#[cfg(not(target_os = "linux"))]
pub(super) fn resident_bytes() -> Option<u64> {
    None
}

/// Processor time of all threads since the start.
#[cfg(unix)]
pub(super) fn cpu_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
}

/// Processor time of all threads since the start.
#[cfg(not(unix))]
pub(super) fn cpu_time() -> Option<Duration> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_uses_something() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
        let before = cpu_time().expect("Linux tells");
        let mut sum = 0_u64;
        while cpu_time().expect("Linux tells") == before {
            sum = std::hint::black_box(sum + 1);
        }
    }
}

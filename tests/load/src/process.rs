//! What Linux knows of a process: CPU time and resident memory (proc(5)).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

/// Kernel ticks a second; the same on every Linux of today.
const TICKS: u64 = 100;

/// A running process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
}

impl Process {
    /// This one.
    pub fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// CPU time of all its threads and ended children so far.
    ///
    /// # Errors
    /// There is no such process.
    pub fn cpu(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name in parentheses may hold anything; field 3 follows it. utime, stime, cutime and cstime are 14 to 17.
        let (_, fields) = stat.rsplit_once(')').context("a strange /proc/PID/stat")?;
        let ticks: u64 = fields.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_micros(ticks * 1_000_000 / TICKS))
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// There is no such process.
    pub fn resident(self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the process has ended")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().context("a strange VmRSS")?;
        Ok(kibibytes << 10)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.pid));
        std::fs::read_to_string(path).with_context(|| format!("process {} is gone", self.pid))
    }
}

/// Keeps this thread, and those it starts, on one processor.
///
/// # Errors
/// There is no such processor, or it is not ours to use.
pub fn pin(processor: usize) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    rustix::thread::sched_setaffinity(None, &set).with_context(|| format!("processor {processor} can't be had"))
}

/// Raises the limit of open files to what the system grants, and gives it.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_time_and_memory() {
        let before = Process::own().cpu().unwrap();
        let started = std::time::Instant::now();
        while Process::own().cpu().unwrap() < before + Duration::from_millis(30) {
            assert!(started.elapsed() < Duration::from_secs(60), "spinning costs time");
        }
        assert!(Process::own().resident().unwrap() > 1 << 20);
        assert!(Process { pid: u32::MAX }.cpu().is_err());
    }
}

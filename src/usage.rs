//! What this server and its workers take of the machine, looked at every few seconds: for the server page and `/metrics`.

use anyhow::Context as _;
use procfs::process::{Process, all_processes};
use procfs::{Current as _, Meminfo, page_size, ticks_per_second};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What is taken of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Cores in use since the look before, by the server and its workers.
    pub cores: f64,
    /// Bytes of memory they hold.
    pub memory: u64,
    /// Bytes the machine has.
    pub memory_total: u64,
    /// Bytes that could still be had.
    pub memory_available: u64,
    /// Open files of the server itself.
    pub files: u64,
    /// Bytes free for this user on the data directory's disk, and bytes it has; `None` when it can't be looked at.
    pub disk: Option<(u64, u64)>,
}

/// Keeps the newest [`Usage`].
#[derive(Debug)]
pub struct Meter {
    data_dir: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    usage: Usage,
    /// Processor time used up to then, in seconds.
    spent: f64,
    at: Instant,
}

impl Meter {
    /// A meter that has looked once.
    pub fn new(data_dir: PathBuf) -> Self {
        let seen = Seen { usage: Usage::default(), spent: 0.0, at: Instant::now() };
        let meter = Self { data_dir, seen: Mutex::new(seen) };
        meter.look();
        meter
    }

    /// What was found at the last look.
    pub fn usage(&self) -> Usage {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).usage
    }

    /// Looks at `/proc` and the disk: some milliseconds of small reads, which block. Call it every few seconds; processor time is taken between two looks.
    pub fn look(&self) {
        match look() {
            Ok((mut usage, spent)) => {
                // Outside the lock: a disk that hangs keeps nobody but this look waiting.
                let disk = rustix::fs::statvfs(&self.data_dir).ok();
                usage.disk =
                    disk.map(|d| (d.f_bavail.saturating_mul(d.f_frsize), d.f_blocks.saturating_mul(d.f_frsize)));
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let (now, before) = (Instant::now(), seen.spent);
                let passed = now.saturating_duration_since(seen.at).as_secs_f64();
                // A worker that ended takes its time with it.
                usage.cores = if before > 0.0 && passed > 0.0 { ((spent - before) / passed).max(0.0) } else { 0.0 };
                *seen = Seen { usage, spent, at: now };
                metrics::gauge!("weir_cpu_cores").set(usage.cores);
                metrics::gauge!("weir_memory_bytes").set(usage.memory as f64);
                metrics::gauge!("weir_open_files").set(usage.files as f64);
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "/proc can't be read"),
        }
    }
}

/// The usage without its cores, and seconds of processor time spent so far.
fn look() -> anyhow::Result<(Usage, f64)> {
    let myself = Process::myself().context("/proc/self")?;
    let own = myself.stat()?;
    let (mut ticks, mut pages) = (own.utime + own.stime + own.cutime.max(0) as u64 + own.cstime.max(0) as u64, own.rss);
    // Workers are children; they start none of their own.
    for stat in all_processes()?.filter_map(|process| process.ok()?.stat().ok()).filter(|stat| stat.ppid == own.pid) {
        ticks += stat.utime + stat.stime;
        pages += stat.rss;
    }
    let memory = Meminfo::current()?;
    let usage = Usage {
        cores: 0.0,
        memory: pages * page_size(),
        memory_total: memory.mem_total,
        memory_available: memory.mem_available.unwrap_or(memory.mem_free),
        files: myself.fd_count()? as u64,
        disk: None,
    };
    Ok((usage, ticks as f64 / ticks_per_second() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_takes_is_seen() {
        let meter = Meter::new(std::env::temp_dir());
        let until = Instant::now() + std::time::Duration::from_millis(300);
        let mut turns = 0_u64;
        while Instant::now() < until {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
        meter.look();
        let usage = meter.usage();
        assert!(usage.cores > 0.1, "{usage:?} after {turns} turns");
        assert!(usage.memory > 1 << 20 && usage.memory < usage.memory_total, "{usage:?}");
        assert!(usage.memory_available > 0 && usage.files > 2, "{usage:?}");
        assert!(usage.disk.is_some_and(|(free, total)| free <= total && total > 0));
    }
}

//! What a worker counts, shared by its threads.

use media::MediaTime;
use media::wire::{FromWorker, RUNGS_MAX, Stats};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Stamps before any session; "nothing yet".
const NONE: i64 = i64::MIN;

/// Processor time this process has used.
pub(crate) fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Counters and newest stamps; read for each heartbeat.
#[derive(Debug)]
pub(crate) struct Counters {
    pub pictures_in: AtomicU64,
    pub decoded: AtomicU64,
    pub damaged: AtomicU64,
    pub repeated: AtomicU64,
    pub dropped: AtomicU64,
    pub pictures_out: AtomicU64,
    pub frames_in: AtomicU64,
    pub frames_out: AtomicU64,
    newest_in: AtomicI64,
    newest_out: [AtomicI64; RUNGS_MAX],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            pictures_in: AtomicU64::new(0),
            decoded: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            pictures_out: AtomicU64::new(0),
            frames_in: AtomicU64::new(0),
            frames_out: AtomicU64::new(0),
            newest_in: AtomicI64::new(NONE),
            newest_out: std::array::from_fn(|_| AtomicI64::new(NONE)),
        }
    }
}

impl Counters {
    /// A picture was taken.
    pub fn came_in(&self, pts: MediaTime) {
        self.pictures_in.fetch_add(1, Relaxed);
        self.newest_in.fetch_max(pts.ticks(), Relaxed);
    }

    /// A picture of a rung was given.
    pub fn came_out(&self, rung: u8, pts: MediaTime) {
        self.pictures_out.fetch_add(1, Relaxed);
        if let Some(newest) = self.newest_out.get(usize::from(rung)) {
            newest.fetch_max(pts.ticks(), Relaxed);
        }
    }

    /// A rung stopped or begins anew, so how far it came says nothing.
    pub fn forget(&self, rung: u8) {
        if let Some(newest) = self.newest_out.get(usize::from(rung)) {
            newest.store(NONE, Relaxed);
        }
    }

    /// A picture was lost or damaged.
    pub fn add_damaged(&self) {
        self.damaged.fetch_add(1, Relaxed);
    }

    /// Stamp of the newest picture a rung gave.
    pub fn newest_out(&self, rung: u8) -> Option<MediaTime> {
        let ticks = self.newest_out.get(usize::from(rung))?.load(Relaxed);
        (ticks != NONE).then(|| MediaTime::from_ticks(ticks))
    }

    /// The heartbeat.
    pub fn stats(&self) -> FromWorker {
        let newest_in = self.newest_in.load(Relaxed);
        let slowest = self.newest_out.iter().map(|n| n.load(Relaxed)).filter(|n| *n != NONE).min();
        FromWorker::Stats(Stats {
            pictures_in: self.pictures_in.load(Relaxed),
            pictures_decoded: self.decoded.load(Relaxed),
            pictures_damaged: self.damaged.load(Relaxed),
            slots_repeated: self.repeated.load(Relaxed),
            pictures_dropped: self.dropped.load(Relaxed),
            pictures_out: self.pictures_out.load(Relaxed),
            frames_in: self.frames_in.load(Relaxed),
            frames_out: self.frames_out.load(Relaxed),
            lag: slowest.map_or(MediaTime::ZERO, |slowest| MediaTime::from_ticks((newest_in - slowest).max(0))),
            cpu_ms: u64::try_from(processor_time().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

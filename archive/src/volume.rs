//! [`Volume`]: the disk below the archive: how full it is, and the rounds that sync what was written.

use crate::Pause;
use crate::disk::Disk;
use crate::record::Seal;
use crate::reel::{Fate, Reel};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Recording goes on when there is so much more room than the limit asks for, or a twentieth of the limit: else it would stop and
/// go on with each part.
const ROOM_BYTES: u64 = 64 << 20;
const ROOM_SHARE: u64 = 20;

/// What is kept, and how much.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How far back viewers may rewind, and so how long everything is kept. Zero: only [`crate::Kept`] spans are.
    pub rewind: Duration,
    /// What the archive may take of the disk; `None`: all but the reserve.
    pub quota_bytes: Option<u64>,
    /// What happens at the quota.
    pub policy: Policy,
    /// Recording pauses while less than this is free on the disk, whatever the policy.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let (rewind, reserve_bytes) = (Duration::from_secs(2 * 3600), 512 << 20);
        Self { rewind, quota_bytes: None, policy: Policy::Stop, reserve_bytes }
    }
}

/// What happens when the archive is as large as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Recording goes on, and the log says so.
    Warn,
    /// Recording pauses until there is room.
    Stop,
    /// The media of the oldest reels that are stored elsewhere goes, also when the reserve is touched. When that is not enough,
    /// recording pauses.
    DeleteOldest,
}

/// The disk below the archive.
#[derive(Debug)]
pub(crate) struct Volume {
    pub root: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub settings: Settings,
    /// Bytes of all files.
    bytes: AtomicU64,
    /// Bytes free on the disk, as of the last look.
    free: AtomicU64,
    /// A limit was reached, and there is not enough room since.
    is_short: AtomicBool,
    /// The archive is above its quota, and goes on.
    is_over: AtomicBool,
    /// Reels that are not sealed yet. The lock is held for a look or a push.
    reels: Mutex<Vec<Arc<Reel>>>,
    /// One round at a time.
    round: Mutex<()>,
}

impl Volume {
    pub fn new(root: PathBuf, disk: Arc<dyn Disk>, settings: Settings, bytes: u64) -> io::Result<Self> {
        let free = AtomicU64::new(disk.free_bytes(&root)?);
        let (bytes, is_short, is_over) = (AtomicU64::new(bytes), AtomicBool::new(false), AtomicBool::new(false));
        let (reels, round) = (Mutex::default(), Mutex::default());
        Ok(Self { root, disk, settings, bytes, free, is_short, is_over, reels, round })
    }

    /// A reel is to be synced from now on.
    pub fn watch(&self, reel: Arc<Reel>) {
        self.reels().push(reel);
    }

    /// A reel is not to be synced any more.
    pub fn leave(&self, reel: &Arc<Reel>) {
        self.reels().retain(|known| !Arc::ptr_eq(known, reel));
    }

    /// The reel in this folder is still to be synced or sealed.
    pub fn watches(&self, folder: &Path) -> bool {
        self.reels().iter().any(|reel| reel.folder == folder)
    }

    /// So many bytes were added and taken away.
    pub fn resize(&self, added: u64, removed: u64) {
        self.bytes.fetch_add(added, Ordering::Relaxed);
        // Never below zero: the sum holds all that is taken away.
        self.bytes.fetch_sub(removed, Ordering::Relaxed);
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes free on the disk, as of the last look.
    pub fn free_bytes(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Why nothing may be written now, if so.
    pub fn shortage(&self) -> Option<Pause> {
        let was_short = self.is_short.load(Ordering::Relaxed);
        let room = |limit: u64| if was_short { ROOM_BYTES.min(limit / ROOM_SHARE) } else { 0 };
        let reserve = self.settings.reserve_bytes;
        let quota = self.settings.quota_bytes.filter(|_| self.settings.policy != Policy::Warn);
        let short = if self.free_bytes() < reserve.saturating_add(room(reserve)) {
            Some(Pause::DiskFull)
        } else {
            quota.filter(|quota| self.bytes() >= quota - room(*quota)).map(|_| Pause::Quota)
        };
        if was_short != short.is_some() {
            self.is_short.store(short.is_some(), Ordering::Relaxed);
        }
        short
    }

    /// Bytes that have to go so that recording does not pause soon.
    pub fn excess(&self) -> u64 {
        let room = |limit: u64| ROOM_BYTES.min(limit / ROOM_SHARE);
        let reserve = self.settings.reserve_bytes;
        let over_quota = self.settings.quota_bytes.map_or(0, |quota| self.bytes().saturating_sub(quota - room(quota)));
        over_quota.max((reserve + room(reserve)).saturating_sub(self.free_bytes()))
    }

    /// Syncs everything written since the last round, seals what has ended, and looks how full the disk is. Tells of each reel that
    /// is sealed, and is done with it then. Blocks for as long as the disk takes.
    pub fn sync(&self, sealed: impl Fn(&Reel, Seal)) {
        let _one = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now();
        let reels = self.reels().clone();
        let has_reels = !reels.is_empty();
        for reel in reels {
            match reel.sync(&*self.disk, &self.root) {
                Fate::Open => continue,
                Fate::Sealed(seal) => sealed(&reel, seal),
                Fate::Failed => {}
            }
            self.leave(&reel);
        }
        if has_reels {
            metrics::histogram!("weir_archive_sync_seconds").record(begin.elapsed().as_secs_f64());
        }
        self.look();
    }

    /// Looks how much room is left. A disk that can't say counts as it did.
    pub fn look(&self) {
        if let Ok(free) = self.disk.free_bytes(&self.root) {
            self.free.store(free, Ordering::Relaxed);
        }
        let quota = self.settings.quota_bytes.filter(|_| self.settings.policy == Policy::Warn);
        let is_over = quota.is_some_and(|quota| self.bytes() >= quota);
        if !self.is_over.swap(is_over, Ordering::Relaxed) && is_over {
            tracing::warn!(bytes = self.bytes(), quota, "recordings take more than their quota; recording goes on");
        }
        metrics::gauge!("weir_archive_bytes").set(self.bytes() as f64);
        metrics::gauge!("weir_archive_free_bytes").set(self.free_bytes() as f64);
    }

    fn reels(&self) -> MutexGuard<'_, Vec<Arc<Reel>>> {
        self.reels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;

    fn volume(settings: Settings, bytes: u64, free: u64) -> Volume {
        let volume = Volume::new("/".into(), Arc::new(LocalDisk), settings, bytes).unwrap();
        volume.free.store(free, Ordering::Relaxed);
        volume
    }

    #[test]
    fn recording_pauses_at_the_quota_and_goes_on_with_some_room() {
        let settings = Settings { quota_bytes: Some(1000), reserve_bytes: 0, ..Settings::default() };
        let volume = volume(settings, 999, 0);
        assert_eq!(volume.shortage(), None);
        volume.resize(1, 0);
        assert_eq!(volume.shortage(), Some(Pause::Quota));
        volume.resize(0, 49);
        assert_eq!(volume.shortage(), Some(Pause::Quota), "a twentieth must be free");
        volume.resize(0, 2);
        assert_eq!(volume.shortage(), None);
        volume.resize(50, 0);
        assert_eq!(volume.shortage(), None, "999 again");
    }

    #[test]
    fn the_reserve_counts_under_every_policy() {
        let settings =
            Settings { quota_bytes: Some(1), policy: Policy::Warn, reserve_bytes: 100, ..Settings::default() };
        let volume = volume(settings, 50, 100);
        assert_eq!(volume.shortage(), None, "the quota is only told");
        volume.free.store(99, Ordering::Relaxed);
        assert_eq!(volume.shortage(), Some(Pause::DiskFull));
        volume.free.store(104, Ordering::Relaxed);
        assert_eq!(volume.shortage(), Some(Pause::DiskFull));
        volume.free.store(105, Ordering::Relaxed);
        assert_eq!(volume.shortage(), None);
    }

    #[test]
    fn what_has_to_go_makes_the_room_that_is_asked_for() {
        let settings = Settings { quota_bytes: Some(1000), reserve_bytes: 100, ..Settings::default() };
        assert_eq!(volume(settings.clone(), 950, 105).excess(), 0);
        assert_eq!(volume(settings.clone(), 960, 105).excess(), 10);
        assert_eq!(volume(settings, 960, 85).excess(), 20);
    }
}

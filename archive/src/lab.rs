//! For the tests: a disk that can be full, fail or lose its power, and an archive on it.

use crate::disk::Disk;
use crate::kit::{Stage, copy_folder};
use crate::{Archive, Recorder, SessionName, Settings, Timeline};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[derive(Debug)]
pub struct LabDisk {
    /// Bytes that can be written before it is full.
    pub room: AtomicU64,
    /// Bytes it says are free.
    pub free: AtomicU64,
    /// No sync succeeds.
    pub fails: AtomicBool,
    /// How long each file was when it was last synced. Nothing is really synced.
    synced: Mutex<HashMap<PathBuf, u64>>,
}

impl LabDisk {
    pub fn new() -> Arc<Self> {
        let (room, free) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        Arc::new(Self { room, free, fails: AtomicBool::new(false), synced: Mutex::default() })
    }

    /// How long a file was when it was last synced.
    pub fn synced(&self, path: &Path) -> Option<u64> {
        self.synced.lock().unwrap().get(path).copied()
    }

    /// Copies what would be there after a loss of power: of each file what was synced.
    pub fn after_power_loss(&self, from: &Path, to: &Path) {
        copy_folder(from, to);
        let synced = self.synced.lock().unwrap();
        let mut folders = vec![to.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                match synced.get(&from.join(path.strip_prefix(to).unwrap())) {
                    Some(length) => File::options().write(true).open(path).unwrap().set_len(*length).unwrap(),
                    None => fs::remove_file(path).unwrap(),
                }
            }
        }
    }
}

impl Disk for LabDisk {
    fn write(&self, mut file: &File, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = bytes.iter().flat_map(|slice| slice.to_vec()).collect();
        let room = self.room.load(Ordering::Relaxed);
        // The last block of a file has room for a little more.
        let taken = if all.len() <= 100 { all.len() } else { all.len().min(usize::try_from(room).unwrap()) };
        if taken == 0 && !all.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if room != u64::MAX {
            self.room.store(room.saturating_sub(taken as u64), Ordering::Relaxed);
        }
        file.write(&all[..taken])
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        self.synced.lock().unwrap().insert(path, file.metadata()?.len());
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::Relaxed))
    }
}

/// An archive in a temporary folder.
pub struct Lab {
    pub folder: tempfile::TempDir,
    pub disk: Arc<LabDisk>,
    pub archive: Archive,
}

impl Lab {
    /// Two minutes and more of a session: the reels 7-0, 37-1 and 67-2, which is sealed too.
    pub fn recorded(change: impl FnOnce(&mut Settings)) -> (Self, Stage) {
        let (lab, mut stage) = (Self::new(change), Stage::new(|_| {}));
        let mut recorder = lab.recorder(&stage);
        for _ in 0..130 {
            stage.play(1);
            recorder.step(Instant::now());
        }
        recorder.finish();
        lab.archive.flush();
        (lab, stage)
    }

    pub fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let (folder, disk) = (tempfile::tempdir().unwrap(), LabDisk::new());
        let mut settings = Settings { reserve_bytes: 0, ..Settings::default() };
        change(&mut settings);
        let archive = Archive::open_on(&folder.path().join("a"), settings, disk.clone()).unwrap();
        Self { folder, disk, archive }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    pub fn recorder(&self, stage: &Stage) -> Recorder {
        self.archive.recorder("show", stage.window.clone()).unwrap()
    }

    pub fn session() -> SessionName {
        SessionName::new("show", "18c-1").unwrap()
    }

    pub fn timeline(&self) -> Arc<Timeline> {
        self.archive.timeline(&Self::session()).unwrap()
    }

    /// The folders of the session's reels, in their order.
    pub fn reels(&self) -> Vec<PathBuf> {
        reels(&self.root().join("show/18c-1"))
    }

    /// Another archive on a copy of the folder as it is now: what a server finds that starts after this one was killed.
    pub fn killed(&self) -> Self {
        self.copy(copy_folder)
    }

    /// The same after a loss of power.
    pub fn without_power(&self) -> Self {
        self.copy(|from, to| self.disk.after_power_loss(from, to))
    }

    fn copy(&self, copy: impl FnOnce(&Path, &Path)) -> Self {
        let (folder, disk) = (tempfile::tempdir().unwrap(), LabDisk::new());
        let root = folder.path().join("a");
        copy(&self.root(), &root);
        let settings = self.archive.shared.volume.settings.clone();
        let archive = Archive::open_on(&root, settings, disk.clone()).unwrap();
        Self { folder, disk, archive }
    }
}

/// The folders in a folder, by serial.
pub fn reels(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    let serial = |path: &PathBuf| path.to_str().unwrap().rsplit('-').next().unwrap().parse::<u32>().unwrap_or(0);
    found.sort_by_key(serial);
    found
}

//! [`Reel`]: the files of a reel that is being written, shared by the tape that writes them and the round that syncs them.

use crate::disk::{self, Disk};
use crate::record::{self, Record, Seal};
use crate::recovery::{JOURNAL, media_file};
use crate::{ReelName, SessionName};
use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A reel's files. Only appended to; each descriptor is synced until that fails, and never again.
#[derive(Debug)]
pub(crate) struct Reel {
    pub session: SessionName,
    pub name: ReelName,
    pub folder: PathBuf,
    journal: File,
    /// One for each rendition, in the journal's order.
    media: Vec<File>,
    progress: Mutex<Progress>,
}

/// What became of a reel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is being written, or waits for its seal.
    Open,
    /// All of it is on the disk.
    Sealed(Seal),
    /// A sync failed: what was written since the one before may be lost. The next start finds out.
    Failed,
}

#[derive(Debug)]
struct Progress {
    fate: Fate,
    /// Bytes written so far.
    bytes: u64,
    /// The lowest segment with bytes that no sync has begun for.
    unsynced: Option<u64>,
    /// The same of the sync under way, or of the one that failed.
    syncing: Option<u64>,
    /// Media files written since the last sync began.
    touched: Vec<bool>,
    /// The folders' entries are not synced yet.
    is_new: bool,
    /// Nothing more will be written: to be sealed with this.
    ending: Option<Seal>,
}

impl Reel {
    /// Makes the folder and its files.
    pub fn create(root: &Path, session: &SessionName, name: ReelName, renditions: &[String]) -> io::Result<Self> {
        let folder = session.folder(root).join(name.to_string());
        fs::create_dir_all(session.folder(root))?;
        fs::create_dir(&folder)?;
        let create = |file: &str| OpenOptions::new().write(true).create_new(true).open(folder.join(file));
        let media = renditions.iter().map(|id| create(&media_file(id))).collect::<io::Result<Vec<_>>>();
        let files = media.and_then(|media| Ok((media, create(JOURNAL)?)));
        // What can't be removed has no journal, so the next start removes it.
        let (media, journal) = files.inspect_err(|_| drop(fs::remove_dir_all(&folder)))?;
        let touched = vec![false; media.len()];
        let (unsynced, syncing, ending) = (None, None, None);
        let progress =
            Mutex::new(Progress { fate: Fate::Open, bytes: 0, unsynced, syncing, touched, is_new: true, ending });
        Ok(Self { session: session.clone(), name, folder, journal, media, progress })
    }

    /// Writes the bytes of parts, by rendition, and then the records that list them. `lowest` is the lowest segment among
    /// them. Gives how many bytes that were.
    pub fn write(&self, disk: &dyn Disk, media: &[Vec<Bytes>], records: &[u8], lowest: u64) -> io::Result<u64> {
        let mut written = records.len();
        for (file, parts) in self.media.iter().zip(media).filter(|(_, parts)| !parts.is_empty()) {
            let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            disk::write_all(disk, file, &mut slices)?;
            written += parts.iter().map(Bytes::len).sum::<usize>();
        }
        disk::write_all(disk, &self.journal, &mut [IoSlice::new(records)])?;
        // Behind the bytes: a sync that began meanwhile may have missed some of them, so the next one looks again.
        let mut progress = self.progress();
        progress.bytes += written as u64;
        progress.unsynced = Some(progress.unsynced.map_or(lowest, |known| known.min(lowest)));
        progress.touched.iter_mut().zip(media).for_each(|(touched, parts)| *touched |= !parts.is_empty());
        Ok(written as u64)
    }

    /// Nothing more will be written; the next sync seals it.
    pub fn end(&self, seal: Seal) {
        self.progress().ending = Some(seal);
    }

    /// Syncs what was written since the last time, media first, and seals what has ended. Blocks for as long as the disk takes.
    pub fn sync(&self, disk: &dyn Disk, root: &Path) -> Fate {
        let (touched, is_new, ending) = {
            let mut progress = self.progress();
            let has_work = progress.unsynced.is_some() || progress.ending.is_some();
            if progress.fate != Fate::Open || !has_work {
                return progress.fate;
            }
            progress.syncing = progress.unsynced.take();
            let touched = std::mem::replace(&mut progress.touched, vec![false; self.media.len()]);
            (touched, std::mem::take(&mut progress.is_new), progress.ending)
        };
        let result = self.sync_files(disk, &touched).and_then(|()| {
            if is_new {
                // Up to the root, each of which may have got a new entry.
                self.folder
                    .ancestors()
                    .take_while(|folder| folder.starts_with(root))
                    .try_for_each(|folder| disk::sync_folder(disk, folder))?;
            }
            ending.map_or(Ok(()), |seal| self.write_seal(disk, seal))
        });
        let mut progress = self.progress();
        match result {
            Ok(()) => {
                progress.syncing = None;
                progress.fate = ending.map_or(Fate::Open, Fate::Sealed);
            }
            Err(error) => {
                metrics::counter!("weir_archive_sync_failures_total").increment(1);
                let reel = self.folder.display();
                tracing::error!(%error, %reel, "what was recorded last can't be synced; look at the disk");
                progress.fate = Fate::Failed;
            }
        }
        progress.fate
    }

    /// When its sync failed: the lowest segment that may not be on the disk.
    pub fn suspect(&self) -> Option<u64> {
        let progress = self.progress();
        let lowest = || progress.syncing.into_iter().chain(progress.unsynced).min();
        (progress.fate == Fate::Failed).then(|| lowest().unwrap_or(u64::MAX))
    }

    pub fn fate(&self) -> Fate {
        self.progress().fate
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.progress().bytes
    }

    fn sync_files(&self, disk: &dyn Disk, touched: &[bool]) -> io::Result<()> {
        for (file, _) in self.media.iter().zip(touched).filter(|(_, touched)| **touched) {
            disk.sync(file)?;
        }
        disk.sync(&self.journal)
    }

    /// Everything before it is on the disk by now, so that it may say so.
    fn write_seal(&self, disk: &dyn Disk, seal: Seal) -> io::Result<()> {
        let mut record = Vec::with_capacity(record::SEALED_BYTES);
        record::put(&mut record, &Record::Sealed(seal));
        disk::write_all(disk, &self.journal, &mut [IoSlice::new(&record)])?;
        disk.sync(&self.journal)
    }

    /// Held for a few moves.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::LabDisk;
    use std::sync::Arc;

    /// A disk on which a round of syncs begins in the middle of each write.
    #[derive(Debug)]
    struct Busy {
        disk: Arc<LabDisk>,
        root: PathBuf,
        reel: Arc<Reel>,
    }

    impl Disk for Busy {
        fn write(&self, file: &File, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
            self.reel.sync(&*self.disk, &self.root);
            self.disk.write(file, bytes)
        }

        fn sync(&self, file: &File) -> io::Result<()> {
            self.disk.sync(file)
        }

        fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
            self.disk.free_bytes(folder)
        }
    }

    fn reel(root: &Path) -> Arc<Reel> {
        let (session, name) = (SessionName::new("show", "s").unwrap(), ReelName { first_msn: 5, serial: 0 });
        Arc::new(Reel::create(root, &session, name, &["source".to_owned(), "audio".to_owned()]).unwrap())
    }

    #[test]
    fn a_sync_in_the_middle_of_a_write_leaves_nothing_unsynced() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), LabDisk::new());
        let (root, reel) = (folder.path().to_owned(), reel(folder.path()));
        let busy = Busy { disk: disk.clone(), root: root.clone(), reel: reel.clone() };
        for _ in 0..3 {
            let media = [vec![Bytes::from_static(b"picture"); 2], vec![Bytes::from_static(b"sound")]];
            reel.write(&busy, &media, b"records", 5).unwrap();
        }
        let seal = Seal { until_msn: 6, until_wall_ms: 0 };
        reel.end(seal);
        assert_eq!(reel.sync(&*disk, &root), Fate::Sealed(seal));
        for (file, bytes) in [("source.m4s", 42), ("audio.m4s", 15), (JOURNAL, 21 + record::SEALED_BYTES as u64)] {
            assert_eq!(disk.synced(&reel.folder.join(file)), Some(bytes), "{file}");
        }
        let above = reel.folder.ancestors().take(4);
        assert!(above.into_iter().all(|folder| disk.synced(folder).is_some()), "the names are on the disk, too");
    }

    #[test]
    fn what_failed_once_is_never_synced_again() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), LabDisk::new());
        let (root, reel) = (folder.path(), reel(folder.path()));
        let write = |lowest| reel.write(&*disk, &[Vec::new(), vec![Bytes::from_static(b"sound")]], b"records", lowest);
        write(5).unwrap();
        assert_eq!((reel.sync(&*disk, root), reel.suspect()), (Fate::Open, None));
        write(8).unwrap();
        disk.fails.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!((reel.sync(&*disk, root), reel.suspect()), (Fate::Failed, Some(8)));
        disk.fails.store(false, std::sync::atomic::Ordering::Relaxed);
        write(7).unwrap();
        reel.end(Seal { until_msn: 9, until_wall_ms: 0 });
        assert_eq!((reel.sync(&*disk, root), reel.suspect()), (Fate::Failed, Some(7)));
        assert_eq!(disk.synced(&reel.folder.join("audio.m4s")), Some(5));
    }
}

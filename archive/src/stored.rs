//! What of the archive is also elsewhere, and what is still to be copied there.
//!
//! `stored` in a reel's folder names the renditions whose media is verified elsewhere, a line each. It is replaced as a whole.

use crate::catalog::Entry;
use crate::disk::{self, Disk};
use crate::{Archive, Error, Kept, ReelFacts, ReelName, SessionName, error};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// The note's name.
pub(crate) const STORED: &str = "stored";
/// Its name while it is written.
const STORED_NEW: &str = "stored.new";

/// A reel of which something is to be kept that is not elsewhere yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstored {
    /// The reel.
    pub reel: ReelFacts,
    /// The renditions that are to be kept and are only here.
    pub renditions: Vec<String>,
}

impl Entry {
    /// There is media of it here, and all of that is also elsewhere.
    pub(crate) fn may_go(&self) -> bool {
        let is_stored = |(id, bytes): &(String, u64)| *bytes == 0 || self.stored.contains(id);
        !self.stored.is_empty() && !self.media.is_empty() && self.media.iter().all(is_stored)
    }

    /// The renditions here that someone wants and that are nowhere else.
    fn unstored(&self, covering: &[&Kept]) -> Vec<String> {
        let ids = self.media.iter().map(|(id, _)| id);
        let is_due = |id: &&String| !self.stored.contains(id) && covering.iter().any(|kept| kept.wants(id));
        ids.filter(is_due).cloned().collect()
    }
}

impl Archive {
    /// The finished reels of a session that have something to be kept which is only here, in the order they were made. `kept` is
    /// of this session. Neither blocks nor looks at the disk.
    pub fn unstored(&self, session: &SessionName, kept: &[&Kept]) -> Vec<Unstored> {
        let catalog = self.shared.catalog();
        let Some(shelf) = catalog.sessions.get(session) else { return Vec::new() };
        let due = shelf.reels.iter().filter_map(|reel| {
            let renditions = reel.unstored(&reel.covering(kept)?);
            let reel = reel.facts(|| self.shared.folder(session, reel.name)).filter(|_| !renditions.is_empty())?;
            Some(Unstored { reel, renditions })
        });
        due.collect()
    }

    /// The number up to which everything of a session that is to be kept is also elsewhere; 0 when nothing is. `kept` is of this
    /// session. Neither blocks nor looks at the disk.
    pub fn stored_until(&self, session: &SessionName, kept: &[&Kept]) -> u64 {
        let catalog = self.shared.catalog();
        let mut until = 0;
        for reel in catalog.sessions.get(session).map(|shelf| shelf.reels.as_slice()).unwrap_or_default() {
            let (Some(covering), Some(seal)) = (reel.covering(kept), reel.seal) else { continue };
            if reel.stored.is_empty() || !reel.unstored(&covering).is_empty() {
                break;
            }
            until = seal.until_msn;
        }
        until
    }

    /// Notes that the media of some renditions of a finished reel is also elsewhere, beside those that were noted before. When that
    /// holds for all that is here it may go when there is no room ([`crate::Policy::DeleteOldest`]). The note survives restarts.
    /// Blocks on the disk. Notes of one reel come one after the other.
    ///
    /// # Errors
    /// [`Error::NoReel`], and when the note can't be written.
    pub fn mark_stored(&self, session: &SessionName, reel: ReelName, renditions: &[String]) -> Result<(), Error> {
        let no_reel = || Error::NoReel { session: session.clone(), reel };
        let known = self.shared.catalog().entry(session, reel).filter(|entry| entry.seal.is_some()).cloned();
        let mut stored = known.ok_or_else(no_reel)?.stored;
        stored.extend_from_slice(renditions);
        stored.sort();
        stored.dedup();
        let folder = self.shared.folder(session, reel);
        write(&*self.shared.volume.disk, &folder, &stored).map_err(error(&folder, "marked as stored"))?;
        self.shared.catalog().entry(session, reel).ok_or_else(no_reel)?.stored = stored;
        Ok(())
    }

    /// Notes that a finished reel is nowhere else any more: call it before what is elsewhere is removed. `false` when its media is
    /// only there, and when there is no such reel or the note can't be removed; nothing changed then. Blocks on the disk.
    pub fn unmark_stored(&self, session: &SessionName, reel: ReelName) -> bool {
        let mut catalog = self.shared.catalog();
        let Some(entry) = catalog.entry(session, reel).filter(|entry| !entry.media.is_empty()) else { return false };
        let stored = std::mem::take(&mut entry.stored);
        drop(catalog);
        let folder = self.shared.folder(session, reel);
        let disk = &*self.shared.volume.disk;
        let Err(error) = forget(disk, &folder) else { return true };
        tracing::warn!(%error, reel = %folder.display(), "what is elsewhere stays: its note can't be removed");
        if let Some(entry) = self.shared.catalog().entry(session, reel) {
            entry.stored = stored;
        }
        false
    }
}

/// The renditions that a note names; none when there is no note.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(folder.join(STORED)) {
        Ok(note) => Ok(note.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Replaces the note, so that a crash leaves the old one or the new one.
pub(crate) fn write(disk: &dyn Disk, folder: &Path, renditions: &[String]) -> io::Result<()> {
    let mut note = File::create(folder.join(STORED_NEW))?;
    let lines: String = renditions.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
    note.write_all(lines.as_bytes())?;
    disk.sync(&note)?;
    fs::rename(folder.join(STORED_NEW), folder.join(STORED))?;
    disk::sync_folder(disk, folder)
}

fn forget(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(STORED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk::sync_folder(disk, folder),
    }
}

#[cfg(test)]
mod tests;

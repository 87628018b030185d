//! What there is: the sessions, their reels, and the timelines that are in memory.

use crate::chunks::HEADS;
use crate::disk::Disk;
use crate::journal::Journal;
use crate::pictures::PICTURES;
use crate::record::Seal;
use crate::recovery::{JOURNAL, media_file, read_journal};
use crate::reel::Reel;
use crate::volume::Volume;
use crate::{Error, ReelName, SessionName, Settings, Timeline, error, scan, stored};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a folder's name ends with while it is removed.
pub(crate) const DEAD: &str = ".dead";
/// Segments in the timelines of sessions that are over; beyond it the one that was not asked for longest is read anew when it is
/// asked for again. 48 MB.
const REMEMBERED_SEGMENTS: usize = 1_000_000;

/// What all handles of an archive share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub volume: Volume,
    /// Held for look-ups and moves, never while the disk works.
    catalog: Mutex<Catalog>,
    /// Held while a folder is made or removed, since making one needs those above it.
    tree: Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub sessions: BTreeMap<SessionName, Shelf>,
    /// Counts how often a timeline was asked for.
    uses: u64,
}

/// One session.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// In the order they were made.
    pub reels: Vec<Entry>,
    /// Once it was asked for.
    pub timeline: Option<Arc<Timeline>>,
    pub is_live: bool,
    used: u64,
}

/// One reel.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub name: ReelName,
    /// `None` while it is written, and when it waits for the next start after a fault.
    pub seal: Option<Seal>,
    /// Renditions whose media is here, and its bytes.
    pub media: Vec<(String, u64)>,
    pub journal_bytes: u64,
    pub picture_bytes: u64,
    /// Of what is kept of media that is only elsewhere.
    pub head_bytes: u64,
    /// Renditions whose media is also elsewhere, or only there.
    pub stored: Vec<String>,
}

impl Entry {
    /// Looks at the files in a reel's folder.
    pub fn look(folder: &Path, name: ReelName, seal: Option<Seal>) -> io::Result<Self> {
        let stored = stored::read(folder)?;
        let media = Vec::new();
        let mut entry = Self { name, seal, media, journal_bytes: 0, picture_bytes: 0, head_bytes: 0, stored };
        for file in fs::read_dir(folder)? {
            let file = file?;
            let bytes = file.metadata()?.len();
            match file.file_name().to_str() {
                Some(JOURNAL) => entry.journal_bytes = bytes,
                Some(PICTURES) => entry.picture_bytes = bytes,
                Some(other) if other.ends_with(HEADS) => entry.head_bytes += bytes,
                Some(other) => entry.media.extend(other.strip_suffix(".m4s").map(|id| (id.to_owned(), bytes))),
                None => {}
            }
        }
        entry.media.sort();
        Ok(entry)
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.journal_bytes
            + self.picture_bytes
            + self.head_bytes
            + self.media.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }
}

impl Shared {
    /// Reads what there is below `root`, which is made when it is not there, and recovers the reels that a crash left behind.
    pub fn open(root: &Path, settings: Settings, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let (sessions, total) = scan::scan(root, &*disk)?;
        let volume = Volume::new(root.to_owned(), disk, settings, total).map_err(error(root, "looked at"))?;
        let catalog = Mutex::new(Catalog { sessions, uses: 0 });
        Ok(Self { volume, catalog, tree: Mutex::default() })
    }

    /// Makes a reel and lists it as being written.
    pub fn begin(&self, session: &SessionName, name: ReelName, renditions: &[String]) -> io::Result<Arc<Reel>> {
        let reel = {
            let _tree = self.tree();
            Arc::new(Reel::create(&self.volume.root, session, name, renditions)?)
        };
        let (media, stored) = (Vec::new(), Vec::new());
        let entry = Entry { name, seal: None, media, journal_bytes: 0, picture_bytes: 0, head_bytes: 0, stored };
        self.catalog().sessions.entry(session.clone()).or_default().reels.push(entry);
        self.volume.watch(Arc::clone(&reel));
        Ok(reel)
    }

    /// A reel is sealed and on the disk.
    pub fn sealed(&self, reel: &Reel, seal: Seal) {
        match Entry::look(&reel.folder, reel.name, Some(seal)) {
            Ok(entry) => {
                self.volume.resize(entry.bytes(), reel.bytes());
                if let Some(known) = self.catalog().entry(&reel.session, reel.name) {
                    *known = entry;
                }
            }
            Err(error) => tracing::warn!(%error, reel = %reel.folder.display(), "a sealed reel can't be looked at"),
        }
    }

    /// A reel got nothing that is worth keeping.
    pub fn discard(&self, reel: &Reel) {
        self.bury(&reel.folder);
        self.volume.resize(0, reel.bytes());
        if let Some(shelf) = self.catalog().sessions.get_mut(&reel.session) {
            shelf.reels.retain(|entry| entry.name != reel.name);
        }
    }

    /// Syncs what was written, and notes what became sealed.
    pub fn round(&self) {
        self.volume.sync(|reel, seal| self.sealed(reel, seal));
        let reels = self.catalog().sessions.values().map(|shelf| shelf.reels.len()).sum::<usize>();
        metrics::gauge!("weir_archive_reels").set(reels as f64);
    }

    /// Makes the session its caller's to record. Gives its timeline, with all that is recorded of it, and the serial of the next
    /// reel.
    pub fn claim(&self, session: &SessionName) -> Result<(Arc<Timeline>, u32), Error> {
        let next_serial = {
            let mut catalog = self.catalog();
            let shelf = catalog.sessions.entry(session.clone()).or_default();
            if std::mem::replace(&mut shelf.is_live, true) {
                return Err(Error::Recording(session.clone()));
            }
            shelf.reels.last().map_or(0, |reel| reel.name.serial + 1)
        };
        let timeline = self.timeline(session).expect("a session that is live stays listed");
        Ok((timeline, next_serial))
    }

    /// The session is not recorded any more.
    pub fn recorded(&self, session: &SessionName) {
        let mut catalog = self.catalog();
        if let Some(shelf) = catalog.sessions.get_mut(session) {
            shelf.is_live = false;
        }
        catalog.sessions.retain(|_, shelf| shelf.is_live || !shelf.reels.is_empty());
    }

    /// A session's timeline if it is in memory.
    pub fn known_timeline(&self, session: &SessionName) -> Option<Arc<Timeline>> {
        let mut catalog = self.catalog();
        catalog.uses += 1;
        let uses = catalog.uses;
        let shelf = catalog.sessions.get_mut(session)?;
        shelf.used = uses;
        shelf.timeline.clone()
    }

    /// A session's timeline; reads its journals when it is not in memory.
    pub fn timeline(&self, session: &SessionName) -> Option<Arc<Timeline>> {
        if let Some(known) = self.known_timeline(session) {
            return Some(known);
        }
        let reels = self.catalog().sessions.get(session)?.reels.clone();
        let timeline = Arc::new(self.load(session, &reels));
        let mut catalog = self.catalog();
        let shelf = catalog.sessions.get_mut(session)?;
        let kept = shelf.timeline.get_or_insert_with(|| {
            let is_there = |reel: &&Entry| shelf.reels.iter().any(|entry| entry.name == reel.name);
            // What was swept meanwhile.
            reels.iter().filter(|reel| !is_there(reel)).for_each(|reel| timeline.forget(reel.name.serial, None));
            timeline
        });
        let kept = Arc::clone(kept);
        catalog.forget_beyond(REMEMBERED_SEGMENTS);
        Some(kept)
    }

    fn load(&self, session: &SessionName, reels: &[Entry]) -> Timeline {
        let timeline = Timeline::new(session.clone(), &self.volume.root);
        for reel in reels.iter().filter(|reel| reel.seal.is_some()) {
            let folder = self.folder(session, reel.name);
            let journal = read_journal(&folder).and_then(|bytes| {
                Journal::read(bytes).map_err(|source| Error::Unreadable { path: folder.clone(), source })
            });
            let mut journal = match journal {
                Ok(journal) => journal,
                Err(error) => {
                    unreadable(&folder, &error);
                    continue;
                }
            };
            let mut is_remote = false;
            for line in &mut journal.lines {
                let length = fs::metadata(folder.join(media_file(&line.id))).map_or(0, |file| file.len());
                let is_missing = length < u64::from(line.bytes);
                let is_stored = reel.stored.contains(&line.id);
                is_remote |= is_missing && is_stored;
                if is_missing && !is_stored {
                    line.segments.clear();
                }
            }
            timeline.extend(&journal, &mut vec![0; journal.lines.len()]);
            if is_remote {
                timeline.set_remote(reel.name.serial);
            }
        }
        timeline
    }

    /// The folder of a reel.
    pub fn folder(&self, session: &SessionName, reel: ReelName) -> PathBuf {
        session.folder(&self.volume.root).join(reel.to_string())
    }

    /// Removes a reel's folder, and those above it that became empty. What a crash leaves of it is removed at the next start.
    pub fn bury(&self, folder: &Path) {
        let mut dead = folder.as_os_str().to_owned();
        dead.push(DEAD);
        // New reels wait for the tree, and must not wait for gigabytes to be removed.
        let removed = fs::rename(folder, &dead).and_then(|()| fs::remove_dir_all(&dead));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, reel = %folder.display(), "a reel can't be removed; the next start tries again");
        }
        let _tree = self.tree();
        // The session's and the stream's; one that is not empty stays.
        folder.ancestors().skip(1).take(2).for_each(|above| drop(fs::remove_dir(above)));
    }

    pub fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree(&self) -> MutexGuard<'_, ()> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalog {
    pub fn entry(&mut self, session: &SessionName, reel: ReelName) -> Option<&mut Entry> {
        self.sessions.get_mut(session)?.reels.iter_mut().find(|entry| entry.name == reel)
    }

    /// Lets the timelines go that were not asked for longest, until those of sessions that are over hold so many segments.
    fn forget_beyond(&mut self, segments: usize) {
        let idle = |shelf: &&mut Shelf| !shelf.is_live && shelf.timeline.is_some();
        let mut idle: Vec<_> = self.sessions.values_mut().filter(idle).collect();
        idle.sort_by_key(|shelf| std::cmp::Reverse(shelf.used));
        let mut weight = 0;
        for shelf in idle {
            let is_first = weight == 0;
            weight += shelf.timeline.as_ref().map_or(0, |timeline| timeline.weight());
            if weight > segments && !is_first {
                shelf.timeline = None;
            }
        }
    }
}

/// A reel that can't be read stays, and is told of.
pub(crate) fn unreadable(folder: &Path, error: &Error) {
    metrics::counter!("weir_archive_unreadable_reels_total").increment(1);
    let reel = folder.display();
    tracing::error!(error = error as &dyn std::error::Error, %reel, "a reel is left as it is");
}

#[cfg(test)]
mod tests {
    use crate::SessionName;
    use crate::kit::Stage;
    use crate::lab::Lab;
    use std::time::Instant;

    #[test]
    fn the_timelines_that_were_not_asked_for_longest_are_forgotten_and_read_again() {
        let lab = Lab::new(|_| {});
        let names: Vec<_> = (0..3).map(|n| SessionName::new("show", &format!("s-{n}")).unwrap()).collect();
        for name in &names {
            let mut stage = Stage::new(|plan| plan.session = name.session().to_owned());
            let mut recorder = lab.recorder(&stage);
            stage.play(10);
            recorder.step(Instant::now());
            recorder.finish();
        }
        lab.archive.flush();
        // Ten segments each, of both renditions; the first one was asked for last.
        let weight = lab.archive.timeline(&names[0]).unwrap().weight();
        let shared = &lab.archive.shared;
        shared.catalog().forget_beyond(2 * weight);
        let held = |n: usize| shared.catalog().sessions[&names[n]].timeline.is_some();
        assert_eq!([held(0), held(1), held(2)], [true, false, true]);
        assert_eq!(lab.archive.timeline(&names[1]).unwrap().weight(), weight, "it is read again");
        shared.catalog().forget_beyond(0);
        assert_eq!([held(0), held(1), held(2)], [false, true, false], "the newest stays, however large");
    }
}

use crate::catalog::{Entry, Shared};
use crate::disk::{Disk, LocalDisk};
use crate::recovery::{JOURNAL, media_file};
use crate::segment::date;
use crate::{Error, Pause, Recorder, ReelName, SessionName, Settings, Timeline};
use packager::Window;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// How often what was written is synced: what a loss of power may cost, beside the sync's own time.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// The recordings below one folder. Cloning shares it. One process may have one archive on a folder: the roof claims it.
#[derive(Debug, Clone)]
pub struct Archive {
    pub(crate) shared: Arc<Shared>,
}

/// How full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that are free on the disk, as of two seconds ago at most.
    pub free_bytes: u64,
    /// How many reels there are.
    pub reels: usize,
    /// Why nothing is recorded now, if so.
    pub shortage: Option<Pause>,
}

/// A finished reel, which changes no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReelFacts {
    /// Its name.
    pub name: ReelName,
    /// The number after its last segment.
    pub until_msn: u64,
    /// When its media ended, by the wall clock.
    pub until_wall: SystemTime,
    /// Its folder.
    pub folder: PathBuf,
    /// Its files that are here: the journal, and those of the renditions.
    pub files: Vec<ReelFile>,
    /// Renditions whose media is also elsewhere, or only there, see [`Archive::mark_stored`].
    pub stored: Vec<String>,
}

/// A file of a finished reel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReelFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Entry {
    /// What callers may know of it, once it is finished.
    pub(crate) fn facts(&self, folder: impl FnOnce() -> PathBuf) -> Option<ReelFacts> {
        let seal = self.seal?;
        let media = self.media.iter().map(|(id, bytes)| ReelFile { name: media_file(id), bytes: *bytes });
        let journal = ReelFile { name: JOURNAL.to_owned(), bytes: self.journal_bytes };
        Some(ReelFacts {
            name: self.name,
            until_msn: seal.until_msn,
            until_wall: date(seal.until_wall_ms),
            folder: folder(),
            files: std::iter::once(journal).chain(media).collect(),
            stored: self.stored.clone(),
        })
    }
}

impl Archive {
    /// Opens the archive below a folder, which is made when it is not there. Reels that a crash or a loss of power left behind
    /// are cut back to what is whole and sealed; that reads their media, a minute of each session that was live. It blocks;
    /// recorders that begin within 30 s of their sessions miss nothing, so a server need not wait for it.
    ///
    /// # Errors
    /// When the folder can't be read. A single reel that can't be read is left alone, logged and counted.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, Error> {
        Self::open_on(root, settings, Arc::new(LocalDisk))
    }

    pub(crate) fn open_on(root: &Path, settings: Settings, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        Ok(Self { shared: Arc::new(Shared::open(root, settings, disk)?) })
    }

    /// Syncs and seals what recorders write, every two seconds until `stop`, and once more then: end the recorders first.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(SYNC_EVERY) => false,
            };
            let archive = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || archive.flush()).await {
                tracing::error!(%error, "a round of syncs broke off; the next one goes on");
            }
            if is_last {
                return;
            }
        }
    }

    /// Syncs and seals what was written so far, and lets stored media go when the disk asks for it. Blocks for as long as the
    /// disk takes.
    pub fn flush(&self) {
        self.shared.round();
        self.make_room();
    }

    /// A recorder of a session, from the oldest part its window holds on. A session that goes on after a restart of the server
    /// is continued; its numbers should begin at [`Timeline::next_msn`] or above, lower ones are not recorded. Blocks while it
    /// reads what is recorded of the session.
    ///
    /// # Errors
    /// [`Error::Name`], and [`Error::Recording`] when there is a recorder already.
    pub fn recorder(&self, stream: &str, window: Arc<Window>) -> Result<Recorder, Error> {
        let session = SessionName::new(stream, window.session())?;
        let ids = window.renditions();
        if let Some(bad) = ids.iter().find(|rendition| !crate::name::is_safe(rendition.id())) {
            return Err(Error::Name { name: bad.id().to_owned() });
        }
        let (timeline, next_serial) = self.shared.claim(&session)?;
        Ok(Recorder::new(Arc::clone(&self.shared), timeline, window, next_serial))
    }

    /// What is recorded of a session; `None` when nothing is. May block while it reads journals: about 4 ms for an hour of two
    /// renditions. Ask for it each time instead of keeping it: what is swept leaves the one that is given.
    pub fn timeline(&self, session: &SessionName) -> Option<Arc<Timeline>> {
        self.shared.timeline(session)
    }

    /// The same when it is in memory, which that of a session that is live always is. Never blocks.
    pub fn known_timeline(&self, session: &SessionName) -> Option<Arc<Timeline>> {
        self.shared.known_timeline(session)
    }

    /// All sessions of which there is something.
    pub fn sessions(&self) -> Vec<SessionName> {
        self.shared.catalog().sessions.keys().cloned().collect()
    }

    /// The finished reels of a session, in the order they were made.
    pub fn reels(&self, session: &SessionName) -> Vec<ReelFacts> {
        let catalog = self.shared.catalog();
        let reels = catalog.sessions.get(session).map(|shelf| shelf.reels.as_slice()).unwrap_or_default();
        reels.iter().filter_map(|reel| reel.facts(|| self.shared.folder(session, reel.name))).collect()
    }

    /// Counts bytes that lie beside the recordings and are to become some, against the same quota: so many more, and so many less.
    pub fn lodge(&self, more: u64, less: u64) {
        self.shared.volume.resize(more, less);
    }

    /// Whether so many bytes more leave the quota and the reserve alone, beside those that were promised to others and have not come.
    /// Looks at the disk.
    pub fn has_room(&self, bytes: u64, promised: u64) -> bool {
        let volume = &self.shared.volume;
        volume.look();
        let quota = volume.settings.quota_bytes.filter(|_| volume.settings.policy != crate::Policy::Warn);
        let is_within = quota.is_none_or(|quota| volume.bytes().saturating_add(bytes) <= quota);
        is_within && volume.free_bytes() >= volume.settings.reserve_bytes.saturating_add(bytes).saturating_add(promised)
    }

    /// How full it is. Neither blocks nor looks at the disk.
    pub fn usage(&self) -> Usage {
        let volume = &self.shared.volume;
        let reels = self.shared.catalog().sessions.values().map(|shelf| shelf.reels.len()).sum();
        Usage { bytes: volume.bytes(), free_bytes: volume.free_bytes(), reels, shortage: volume.shortage() }
    }
}

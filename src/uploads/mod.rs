//! Files that people send, piece by piece, to become recordings. What came is on the disk before it is acknowledged, so an upload goes
//! on behind that after any break, a killed server included.
//!
//! The API speaks tus 1.0 with browsers and commands, and asks here. A file that is whole is imported ([`crate::recordings::Import`]),
//! one at a time, and goes when its recording is in the archive. Until then its whole length counts against the archive's quota.

mod imports;
mod note;
mod refused;

pub use refused::Refused;

use archive::Archive;
use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};
use imports::Tries;
use note::Note;
use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{RecordingDetails, Store, Visibility, new_recording_id, now_ms};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::sync::{Notify, OwnedMutexGuard};

/// What is collected before it is written.
const WRITE_BYTES: usize = 1 << 20;
/// What one long request sends is acknowledged each time so much more came: what a disk that fails then costs at most.
const KEEP_BYTES: u64 = 64 << 20;
/// Uploads that are still told of when their file is gone; who asks does so within a minute.
const ENDED_MAX: usize = 100;
/// How often it is looked for uploads that nobody goes on with.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What uploads may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest file, bytes; 0 takes no new one, and those that are there go on to their end.
    pub bytes_max: u64,
    /// Files that are on their way or wait for their import.
    pub uploads_max: usize,
    /// An upload that no byte comes for is given up after so long.
    pub idle_max: Duration,
}

/// What is asked for with a new upload.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Bytes of the whole file, at least 1.
    pub size: u64,
    /// At most 200 characters; may be empty.
    pub title: String,
    /// A stream's name, which need not be there.
    pub stream: String,
    /// As the stream's recordings are when it is imported, if left open; public without a stream.
    pub visibility: Option<Visibility>,
    /// Who asks.
    pub actor: String,
    /// What was said of the file, as it was said: the header, at most 8 KiB.
    pub metadata: String,
}

/// How an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadFacts {
    /// Its id, and that of the recording it becomes.
    pub id: String,
    pub title: String,
    pub stream: String,
    pub size_bytes: u64,
    /// How many of them have come.
    pub offset: u64,
    /// When it is given up unless more comes; `None` when it is whole.
    pub expires_ms: Option<i64>,
    pub created_ms: i64,
    /// What was said of the file when it was announced.
    pub metadata: String,
}

/// See the module.
pub struct Uploads {
    folder: PathBuf,
    limits: Limits,
    archive: Archive,
    store: Store,
    epoch: u64,
    /// Held for a look or a change, never across an await.
    shelf: Mutex<BTreeMap<String, Arc<Upload>>>,
    /// Those that were imported last, or refused then, the newest first: who never got the last answer asks for it.
    ended: Mutex<VecDeque<UploadFacts>>,
    /// A file is whole.
    whole: Notify,
}

struct Upload {
    /// Held for a look or a change, never across an await.
    note: Mutex<Note>,
    size: u64,
    received: AtomicU64,
    touched_ms: AtomicI64,
    /// One request writes at a time, and nobody removes what is being written or imported.
    pen: Arc<tokio::sync::Mutex<()>>,
    /// How its import went so far. Held for a look or a change, never across an await.
    tries: Mutex<Tries>,
}

impl Upload {
    fn new(note: Note, received: u64, touched_ms: i64) -> Arc<Self> {
        let (size, pen) = (note.size, Arc::default());
        let (received, touched_ms) = (AtomicU64::new(received), AtomicI64::new(touched_ms));
        Arc::new(Self { note: Mutex::new(note), size, received, touched_ms, pen, tries: Mutex::default() })
    }

    fn offset(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    fn is_whole(&self) -> bool {
        self.offset() == self.size
    }

    /// Acknowledges the first `came` bytes, all of which were given to `file`, once they are on the disk, and a note of that.
    async fn keep(&self, folder: &Path, file: &mut BufWriter<File>, came: u64) -> Result<(), Refused> {
        file.flush().await.map_err(Refused::Disk)?;
        file.get_ref().sync_data().await.map_err(Refused::Disk)?;
        let note = self.note().acknowledging(came);
        self.rewrite(folder, note).await?;
        metrics::counter!("weir_upload_bytes_total").increment(came - self.offset());
        self.received.store(came, Ordering::Release);
        Ok(())
    }

    /// Changes its note, once that is on the disk. Only who holds the pen does.
    async fn rewrite(&self, folder: &Path, note: Note) -> Result<(), Refused> {
        let (folder, fresh) = (folder.to_owned(), note.clone());
        let written = tokio::task::spawn_blocking(move || fresh.write(&folder)).await;
        written.map_err(io::Error::other).flatten().map_err(Refused::Disk)?;
        *self.note() = note;
        Ok(())
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploads {
    /// Those in a folder, which is made when it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn open(folder: PathBuf, limits: Limits, (archive, store, epoch): (Archive, Store, u64)) -> io::Result<Self> {
        let mut shelf = BTreeMap::new();
        for (note, received, touched_ms) in Note::all(&folder)? {
            archive.lodge(note.size, 0);
            // More than was announced can only be damage.
            shelf.insert(note.id.clone(), Upload::new(note.clone(), received.min(note.size), touched_ms));
        }
        let (shelf, ended, whole) = (Mutex::new(shelf), Mutex::default(), Notify::new());
        Ok(Self { folder, limits, archive, store, epoch, shelf, ended, whole })
    }

    /// What uploads may be.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<UploadFacts> {
        let all: Vec<_> = self.shelf().values().cloned().collect();
        all.iter().map(|upload| self.facts(upload)).collect()
    }

    /// How one is, or was when it was imported, if that is not long ago.
    ///
    /// # Errors
    /// [`Refused::Unknown`].
    pub fn show(&self, id: &str) -> Result<UploadFacts, Refused> {
        // In this order: one that ends meanwhile is found in the second place.
        match self.find(id) {
            Ok(upload) => Ok(self.facts(&upload)),
            Err(unknown) => self.ended().iter().find(|facts| facts.id == id).cloned().ok_or(unknown),
        }
    }

    /// Takes a new one on, and reserves its room.
    ///
    /// # Errors
    /// When none are taken, when it is too large, when there are too many, when there is no room, or for what can't be said of a recording.
    pub async fn create(&self, wish: Wish) -> Result<UploadFacts, Refused> {
        self.refuse(&wish)?;
        store::check_name(&wish.stream)?;
        let details = RecordingDetails { title: wish.title.clone(), ..RecordingDetails::default() };
        let title = details.clean()?.title;
        let (id, size) = (new_recording_id(), wish.size);
        let announced = self.visibility_of(&wish.stream).await?;
        let note = Note::new(id.clone(), Wish { title, ..wish }).announced(announced);
        let upload = Upload::new(note.clone(), 0, now_ms());
        {
            let mut shelf = self.shelf();
            if shelf.len() >= self.limits.uploads_max {
                return Err(Refused::TooMany { most: self.limits.uploads_max });
            }
            shelf.insert(id.clone(), Arc::clone(&upload));
        }
        self.archive.lodge(size, 0);
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            OpenOptions::new().create_new(true).write(true).open(Note::media(&folder, &note.id))?.sync_all()?;
            note.write(&folder)
        });
        if let Err(error) = written.await.map_err(io::Error::other).flatten() {
            self.drop_from_shelf(&id);
            return Err(Refused::Disk(error));
        }
        Ok(self.facts(&upload))
    }

    fn refuse(&self, wish: &Wish) -> Result<(), Refused> {
        let (size, most) = (wish.size, self.limits.bytes_max);
        if most == 0 {
            return Err(Refused::Closed);
        }
        if size == 0 {
            return Err(Refused::Empty);
        }
        if size > most {
            return Err(Refused::TooLarge { size, most });
        }
        let (promised, largest) = {
            let shelf = self.shelf();
            let promised = shelf.values().map(|upload| upload.size - upload.offset()).sum();
            (promised, shelf.values().map(|upload| upload.size).max().unwrap_or(0))
        };
        // A file is there until its recording is, and one is made at a time: the most there ever is are all files and the largest once more.
        let needed = size.saturating_add(size.max(largest));
        if !self.archive.has_room(needed, promised) {
            return Err(Refused::NoRoom { needed: needed.div_ceil(1 << 20) });
        }
        Ok(())
    }

    /// Adds what comes to an upload, from `offset` on. What is acknowledged is on the disk; of what broke off, what came is kept too. One that
    /// begins as no MP4 file does is deleted.
    ///
    /// A task of its own writes: who asks may be dropped at any moment, as HTTP/2 does with a stream that is reset, and what came has to be
    /// noted, and the last write to have ended, before another request may go on. It ends when `pieces` do.
    ///
    /// # Errors
    /// When it can't go on there, when it breaks off, or when the disk does not take it.
    pub async fn append<E: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        offset: u64,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<UploadFacts, Refused> {
        let upload = self.find(id)?;
        let pen = Arc::clone(&upload.pen).try_lock_owned().map_err(|_| Refused::Busy)?;
        let at = upload.offset();
        if offset != at {
            return Err(Refused::Elsewhere { at });
        }
        if upload.is_whole() {
            return Ok(self.facts(&upload));
        }
        let uploads = Arc::clone(self);
        let writing = tokio::spawn(async move { uploads.add(upload, pen, pieces).await });
        writing.await.unwrap_or_else(|error| Err(Refused::Disk(io::Error::other(error))))
    }

    /// What [`Uploads::append`] does while it holds the pen.
    async fn add<E>(
        &self,
        upload: Arc<Upload>,
        pen: OwnedMutexGuard<()>,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<UploadFacts, Refused> {
        let taken = self.take(&upload, pieces).await;
        upload.touched_ms.store(now_ms(), Ordering::Relaxed);
        if matches!(taken, Err(Refused::NotMp4)) {
            // Nothing that comes behind it makes it one.
            self.discard(&upload).await?;
        }
        // Also when the request broke off behind its last byte. It is tried again when the database is back.
        if upload.is_whole()
            && let Err(error) = self.make_row(&upload).await
        {
            let (error, id) = (&error as &dyn std::error::Error, upload.note().id.clone());
            tracing::warn!(error, upload = id, "an uploaded file is whole, and its recording can't be noted yet");
        }
        drop(pen);
        if upload.is_whole() {
            self.whole.notify_one();
        }
        taken.map(|()| self.facts(&upload))
    }

    async fn take<E>(&self, upload: &Upload, pieces: impl Stream<Item = Result<Bytes, E>>) -> Result<(), Refused> {
        let (path, at) = (Note::media(&self.folder, &upload.note().id), upload.offset());
        let mut file = tokio::fs::OpenOptions::new().write(true).open(path).await.map_err(Refused::Disk)?;
        // What was written behind it was never acknowledged.
        file.set_len(at).await.map_err(Refused::Disk)?;
        tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(at)).await.map_err(Refused::Disk)?;
        let mut file = BufWriter::with_capacity(WRITE_BYTES, file);
        let outcome = match pour((&self.folder, &mut file), upload, pieces).await {
            Ok(came) => upload.keep(&self.folder, &mut file, came).await,
            Err((Refused::BrokeOff, came)) => {
                upload.keep(&self.folder, &mut file, came).await.and(Err(Refused::BrokeOff))
            }
            // Behind a write that was lost the rest would stand in the wrong place.
            Err((refused, _)) => Err(refused),
        };
        // Whatever is under way ends before the next request writes; the outcome is known already.
        let _nothing_is_acknowledged = file.get_mut().flush().await;
        outcome
    }

    /// Deletes an upload that is not whole.
    ///
    /// # Errors
    /// When there is none, when it is written to, or when it is whole.
    pub async fn remove(&self, id: &str) -> Result<(), Refused> {
        let upload = self.find(id)?;
        let _pen = Arc::clone(&upload.pen).try_lock_owned().map_err(|_| Refused::Busy)?;
        if upload.is_whole() {
            return Err(Refused::Whole);
        }
        self.discard(&upload).await
    }

    async fn discard(&self, upload: &Upload) -> Result<(), Refused> {
        let (folder, id) = (self.folder.clone(), upload.note().id.clone());
        let removed = {
            let id = id.clone();
            tokio::task::spawn_blocking(move || Note::remove(&folder, &id)).await
        };
        removed.map_err(io::Error::other).flatten().map_err(Refused::Disk)?;
        self.drop_from_shelf(&id);
        Ok(())
    }

    async fn expire(&self) {
        loop {
            self.give_up().await;
            metrics::gauge!("weir_uploads").set(self.shelf().len() as f64);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Removes what nobody goes on with.
    async fn give_up(&self) {
        let all: Vec<_> = self.shelf().values().cloned().collect();
        for upload in all {
            let Ok(_pen) = Arc::clone(&upload.pen).try_lock_owned() else { continue };
            if upload.is_whole() || now_ms() < self.expires_ms(&upload) {
                continue;
            }
            tracing::info!(upload = upload.note().id, "nobody went on with an upload, so it is given up");
            metrics::counter!("weir_upload_expired_total").increment(1);
            if let Err(error) = self.discard(&upload).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "an upload that is given up can't be removed yet");
            }
        }
    }

    fn drop_from_shelf(&self, id: &str) {
        if let Some(upload) = self.shelf().remove(id) {
            self.archive.lodge(0, upload.size);
        }
    }

    fn remember(&self, facts: UploadFacts) {
        let mut ended = self.ended();
        ended.retain(|known| known.id != facts.id);
        ended.push_front(facts);
        ended.truncate(ENDED_MAX);
    }

    fn find(&self, id: &str) -> Result<Arc<Upload>, Refused> {
        self.shelf().get(id).cloned().ok_or(Refused::Unknown)
    }

    fn expires_ms(&self, upload: &Upload) -> i64 {
        let idle_ms = i64::try_from(self.limits.idle_max.as_millis()).unwrap_or(i64::MAX);
        upload.touched_ms.load(Ordering::Relaxed).saturating_add(idle_ms)
    }

    fn facts(&self, upload: &Upload) -> UploadFacts {
        let (offset, is_whole) = (upload.offset(), upload.is_whole());
        let note = upload.note();
        UploadFacts {
            id: note.id.clone(),
            title: note.title.clone(),
            stream: note.stream.clone(),
            size_bytes: note.size,
            offset,
            expires_ms: (!is_whole).then(|| self.expires_ms(upload)),
            created_ms: note.created_ms,
            metadata: note.metadata.clone(),
        }
    }

    fn ended(&self) -> MutexGuard<'_, VecDeque<UploadFacts>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn shelf(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Upload>>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes behind what the upload has, and acknowledges it every so often. Gives how many bytes the file has then, also with an
/// error.
async fn pour<E>(
    (folder, file): (&Path, &mut BufWriter<File>),
    upload: &Upload,
    pieces: impl Stream<Item = Result<Bytes, E>>,
) -> Result<u64, (Refused, u64)> {
    let mut pieces = pin!(pieces);
    let mut came = upload.offset();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Err((Refused::BrokeOff, came)) };
        if came == 0 && piece.len() >= 8 && !looks_like_mp4(&piece) {
            return Err((Refused::NotMp4, came));
        }
        let length = piece.len() as u64;
        if length > upload.size - came {
            return Err((Refused::Longer, came));
        }
        file.write_all(&piece).await.map_err(|error| (Refused::Disk(error), came))?;
        came += length;
        // The last ones are acknowledged when they are whole, so that an import finds its row.
        if came - upload.offset() >= KEEP_BYTES && came < upload.size {
            upload.keep(folder, file, came).await.map_err(|refused| (refused, came))?;
        }
    }
    Ok(came)
}

/// Whether a file may be one, by its first box: so that nobody waits for ten gigabytes of something else.
fn looks_like_mp4(first: &[u8]) -> bool {
    let kinds: [&[u8]; 9] = [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"];
    first.get(4..8).is_some_and(|kind| kinds.contains(&kind))
}

#[cfg(test)]
mod tests;

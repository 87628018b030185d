//! A small journal of uploads in parts: one file for each, from its beginning to its end. What a dead process left in it is
//! ended by the next one; S3 would keep and bill the parts for ever, and not every server lists them.

use crate::Error;
use crate::dice::Dice;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;

const ENDING: &str = "upload";

/// An upload in parts that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Upload {
    pub bucket: String,
    /// With the prefix.
    pub key: String,
    pub id: String,
}

/// The folder of notes, and which uploads this process is at.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    dice: Dice,
    at_work: Mutex<HashSet<Upload>>,
}

/// An upload this process is at, until it is dropped. Its note stays until [`Noted::end`].
#[derive(Debug)]
pub(super) struct Noted {
    notes: Arc<Notes>,
    file: PathBuf,
    pub upload: Upload,
}

impl Notes {
    /// Opens or makes the folder.
    pub async fn open(folder: PathBuf) -> Result<Self, Error> {
        let made = folder.clone();
        blocking(&folder, move || fs::create_dir_all(made)).await?;
        Ok(Self { folder, dice: Dice::default(), at_work: Mutex::default() })
    }

    /// Notes an upload, durably.
    pub async fn begin(self: &Arc<Self>, upload: Upload) -> Result<Noted, Error> {
        let file = self.folder.join(format!("{:016x}.{ENDING}", self.dice.roll()));
        self.at_work().insert(upload.clone());
        let noted = Noted { notes: Arc::clone(self), file: file.clone(), upload };
        let text = format!("{}\n{}\n{}\n", noted.upload.bucket, noted.upload.key, noted.upload.id);
        let folder = self.folder.clone();
        blocking(&self.folder, move || {
            let mut note = File::create_new(&file)?;
            note.write_all(text.as_bytes())?;
            note.sync_all()?;
            File::open(folder)?.sync_all()
        })
        .await?;
        Ok(noted)
    }

    /// Notes of uploads that nobody is at. One that was cut off by a power loss says nothing and is removed.
    pub async fn left_behind(&self) -> Result<Vec<(PathBuf, Upload)>, Error> {
        let folder = self.folder.clone();
        let all = blocking(&self.folder, move || {
            let mut all = Vec::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.extension().is_none_or(|ending| ending != ENDING) {
                    continue;
                }
                match parse(&fs::read_to_string(&path)?) {
                    Some(upload) => all.push((path, upload)),
                    None => fs::remove_file(path)?,
                }
            }
            Ok(all)
        });
        let mut all = all.await?;
        let at_work = self.at_work();
        all.retain(|(_, upload)| !at_work.contains(upload));
        Ok(all)
    }

    /// Whether this process is at it.
    pub fn is_at(&self, upload: &Upload) -> bool {
        self.at_work().contains(upload)
    }

    /// Removes a note.
    pub async fn forget(&self, file: PathBuf) -> Result<(), Error> {
        blocking(&self.folder, move || match fs::remove_file(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    fn at_work(&self) -> MutexGuard<'_, HashSet<Upload>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// The upload was completed or ended. A note that cannot be removed is of an upload that is not there any more, which the
    /// next look finds out.
    pub async fn end(self) {
        if let Err(error) = self.notes.forget(self.file.clone()).await {
            tracing::warn!(%error, "a note on an upload stays");
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.notes.at_work().remove(&self.upload);
    }
}

fn parse(note: &str) -> Option<Upload> {
    let mut lines = note.strip_suffix('\n')?.split('\n').map(str::to_owned);
    let upload = Upload { bucket: lines.next()?, key: lines.next()?, id: lines.next()? };
    let is_whole = lines.next().is_none() && !upload.key.is_empty() && !upload.id.is_empty();
    is_whole.then_some(upload)
}

async fn blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| trouble(folder, error))
}

fn trouble(folder: &Path, source: io::Error) -> Error {
    let cure = "make room there, or make it a folder that the server's user may write to";
    Error::Folder { path: folder.to_owned(), done: "used for notes on uploads", cure, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn upload(id: &str) -> Upload {
        Upload { bucket: "b".into(), key: "rec/ü 1.mp4".into(), id: id.into() }
    }

    #[tokio::test]
    async fn what_was_dropped_is_left_behind_and_what_ended_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let notes = Arc::new(Notes::open(folder.path().join("new")).await.unwrap());
        let (one, two, three) =
            (notes.begin(upload("1")).await, notes.begin(upload("2")).await, notes.begin(upload("3")).await);
        one.unwrap().end().await;
        drop(two);
        let found = notes.left_behind().await.unwrap();
        assert_eq!(found.iter().map(|(_, upload)| upload).collect::<Vec<_>>(), [&upload("2")]);
        assert!(notes.is_at(&upload("3")) && !notes.is_at(&upload("2")));
        drop(three);
        // As a new process sees it.
        let again = Notes::open(folder.path().join("new")).await.unwrap();
        assert_eq!(again.left_behind().await.unwrap().len(), 2);
        for (file, _) in again.left_behind().await.unwrap() {
            again.forget(file.clone()).await.unwrap();
            again.forget(file).await.unwrap();
        }
        assert!(again.left_behind().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_note_cut_off_is_removed_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1.upload"), "b\nrec/1").unwrap();
        fs::write(folder.path().join("readme"), "b\nrec/1\nid\n").unwrap();
        let notes = Notes::open(folder.path().to_owned()).await.unwrap();
        assert!(notes.left_behind().await.unwrap().is_empty());
        assert!(!folder.path().join("1.upload").exists() && folder.path().join("readme").exists());
    }

    proptest! {
        #[test]
        fn a_note_is_whole_or_nothing(cut in 0usize..30) {
            let note = "bucket\nkey/é\nid 1\n";
            let cut = (0..=cut.min(note.len())).rev().find(|at| note.is_char_boundary(*at)).unwrap();
            prop_assert_eq!(parse(&note[..cut]).is_some(), cut == note.len());
        }
    }
}

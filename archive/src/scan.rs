//! What a start finds on the disk.

use crate::catalog::{DEAD, Entry, Shelf, unreadable};
use crate::disk::Disk;
use crate::record::{self, Record, SEALED_BYTES, Seal};
use crate::recovery::{self, JOURNAL};
use crate::{Error, ReelName, SessionName, error};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Reads what there is below `root`, which is made when it is not there, and recovers the reels that a crash left behind. Gives
/// the sessions and the bytes of all files. Of a sealed reel it reads the end of the journal and the lengths of the files.
pub(crate) fn scan(root: &Path, disk: &dyn Disk) -> Result<(BTreeMap<SessionName, Shelf>, u64), Error> {
    fs::create_dir_all(root).map_err(error(root, "made"))?;
    let (mut sessions, mut total) = (BTreeMap::new(), 0);
    for (stream, folder) in folders(root).map_err(error(root, "read"))? {
        for (session, folder) in folders(&folder).map_err(error(&folder, "read"))? {
            let Ok(session) = SessionName::new(&stream, &session) else { continue };
            let mut shelf = Shelf::default();
            for (name, folder) in folders(&folder).map_err(error(&folder, "read"))? {
                let (entry, bytes) = admit(disk, &name, &folder);
                shelf.reels.extend(entry);
                total += bytes;
            }
            shelf.reels.sort_by_key(|reel| reel.name.serial);
            if !shelf.reels.is_empty() {
                sessions.insert(session, shelf);
            }
        }
    }
    Ok((sessions, total))
}

/// The folders in a folder whose names can be ours. Folders that were being removed are removed.
fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if name.ends_with(DEAD) {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(%error, reel = %entry.path().display(), "what is left of a reel can't be removed");
            }
        } else if crate::name::is_safe(&name) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Looks at a reel found on the disk: its entry when it can be read, and the bytes of its files.
fn admit(disk: &dyn Disk, name: &str, folder: &Path) -> (Option<Entry>, u64) {
    let Some(name) = ReelName::parse(name) else { return (None, 0) };
    let seal = match sealed(folder) {
        Some(seal) => Ok(Some(seal)),
        None => recovery::recover(disk, folder).map(|journal| journal.map(|journal| journal.seal())),
    };
    let look = |seal| Entry::look(folder, name, seal).map_err(error(folder, "read"));
    match seal.and_then(|seal| Ok((seal, look(seal)?))) {
        Ok((Some(_), entry)) => {
            let bytes = entry.bytes();
            (Some(entry), bytes)
        }
        Ok((None, entry)) => match fs::remove_dir_all(folder) {
            Ok(()) => (None, 0),
            Err(_) => (None, entry.bytes()),
        },
        Err(error) => {
            unreadable(folder, &error);
            (None, look(None).map_or(0, |entry| entry.bytes()))
        }
    }
}

/// The seal of a reel, if its journal ends with one.
pub(crate) fn sealed(folder: &Path) -> Option<Seal> {
    let journal = File::open(folder.join(JOURNAL)).ok()?;
    let mut tail = vec![0; SEALED_BYTES];
    journal.read_exact_at(&mut tail, journal.metadata().ok()?.len().checked_sub(SEALED_BYTES as u64)?).ok()?;
    match record::take(&mut tail.into()) {
        Some(Record::Sealed(seal)) => Some(seal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::Stage;
    use crate::lab::Lab;
    use std::time::Instant;

    #[test]
    fn what_can_not_be_read_is_left_alone_and_counts_as_room() {
        let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
        let mut recorder = lab.recorder(&stage);
        for _ in 0..7 {
            stage.play(10);
            recorder.step(Instant::now());
        }
        recorder.finish();
        lab.archive.flush();
        let bytes = lab.archive.usage().bytes;
        // Another version, another program's folders, a file in the way.
        let first = lab.reels().remove(0);
        let mut journal = fs::read(first.join(JOURNAL)).unwrap();
        // Without its seal, or nobody would look at its beginning.
        (journal[7], *journal.last_mut().unwrap()) = (9, 0xff);
        fs::write(first.join(JOURNAL), journal).unwrap();
        for folder in ["lost+found", "show/..x", "show/18c-1/notes", "other/session"] {
            fs::create_dir_all(lab.root().join(folder)).unwrap();
        }
        fs::write(lab.root().join("show/file"), "x").unwrap();
        let again = lab.killed();
        assert_eq!(again.archive.sessions(), [Lab::session()]);
        assert_eq!(again.archive.reels(&Lab::session()).iter().map(|r| r.name.serial).collect::<Vec<_>>(), [1]);
        assert_eq!(again.timeline().span().start, 37);
        assert_eq!(again.archive.usage().bytes, bytes, "what is left alone takes room");
        assert!(again.root().join("show/18c-1/7-0/source.m4s").exists());
    }
}

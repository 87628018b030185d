//! The vault on a local disk: an object is a file below the root, its key the path.
//!
//! An object appears whole or not at all: its bytes come into `.incoming/` under a name of their own (as a hard link where the
//! file system allows it, so they are not even copied), are synced, and then renamed. What a dead process left there is removed
//! at the next opening. Every step of a path is opened by itself and never through a symbolic link, so no key and no link
//! leads out of the root.
//!
//! Everything here blocks; [`crate::Vault`] calls it off the runtime's threads.

mod read;
mod tree;
mod walk;

pub(crate) use read::chunks;

use crate::dice::Dice;
use crate::digest::CHUNK_BYTES;
use crate::{Digest, Error, Key, Object, Page, Source};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fsync, linkat, openat, unlinkat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tree::{Tree, is_absence};

/// Where bytes wait for their name. No key can lead here, as no part of one begins with a dot.
const INCOMING: &str = ".incoming";
/// In there: held by every process that has the vault open.
const LOCK: &str = "lock";

/// Never waits for whoever is at the other end of a pipe.
const FILE_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An open root.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    tree: Tree,
    incoming: OwnedFd,
    /// Says to other processes that what is in `.incoming/` may be ours.
    _lock: File,
    dice: Dice,
}

impl Directory {
    /// Opens or makes the root, and removes what dead processes left half done, unless another process has it open.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&path).map_err(|e| trouble(&path, "made", e))?;
        let tree = Tree::open(&path).map_err(|e| trouble(&path, "opened", e))?;
        let incoming = tree.make(INCOMING).map_err(|e| trouble(&path, "written to", e))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&incoming, LOCK, flags, Mode::RUSR | Mode::WUSR).map(File::from);
        let lock = lock.map_err(|e| trouble(&path, "written to", e))?;
        if lock.try_lock().is_ok() {
            sweep(&incoming).map_err(|e| trouble(&path, "cleaned", e))?;
        }
        if let Err(error) = lock.lock_shared() {
            // Then nobody else gets it either, and nobody sweeps.
            tracing::debug!(path = %path.display(), %error, "the file system knows no locks");
        }
        Ok(Self { path, tree, incoming, _lock: lock, dice: Dice::default() })
    }

    /// The root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file's bytes: by a hard link if they are the whole file, else by copying them.
    pub fn put_file(&self, key: &Key, source: &Source) -> Result<(), Error> {
        let given = source.open()?;
        let size_bytes = given.metadata().map_err(|e| source.unreadable(e))?.len();
        let is_whole = source.offset == 0 && size_bytes == source.digest.size_bytes;
        let temp = self.temp();
        let is_linked =
            is_whole && linkat(CWD, &source.path, &self.incoming, temp.name.as_str(), AtFlags::empty()).is_ok();
        if is_linked {
            let file = openat(&self.incoming, temp.name.as_str(), FILE_FLAGS, Mode::empty()).map(File::from);
            let file = file.map_err(|e| self.trouble(key, "written", e))?;
            // The source's own bytes, read once: what was to be kept may be damaged already.
            let found = Digest::of_file(&file, 0, u64::MAX).map_err(|e| source.unreadable(e))?;
            if found != source.digest {
                return Err(source.damaged());
            }
            return self.publish(key, &temp, &file);
        }
        let mut file = self.create(key, &temp)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut found = Digest::default();
        while found.size_bytes < source.digest.size_bytes {
            let left = usize::try_from(source.digest.size_bytes - found.size_bytes).unwrap_or(usize::MAX);
            let want = chunk.len().min(left);
            let at = source.offset.saturating_add(found.size_bytes);
            let read = given.read_at(&mut chunk[..want], at).map_err(|e| source.unreadable(e))?;
            if read == 0 {
                break;
            }
            file.write_all(&chunk[..read]).map_err(|e| self.trouble(key, "written", e))?;
            found = found.and(&chunk[..read]);
        }
        if found != source.digest {
            return Err(source.damaged());
        }
        self.compare(key, &file, source.digest)?;
        self.publish(key, &temp, &file)
    }

    /// Puts bytes.
    pub fn put_bytes(&self, key: &Key, bytes: &[u8]) -> Result<(), Error> {
        let temp = self.temp();
        let mut file = self.create(key, &temp)?;
        file.write_all(bytes).map_err(|e| self.trouble(key, "written", e))?;
        self.compare(key, &file, Digest::of(bytes))?;
        self.publish(key, &temp, &file)
    }

    /// Whether the object holds this.
    pub fn verify(&self, key: &Key, digest: Digest) -> Result<(), Error> {
        self.compare(key, &self.get(key)?, digest)
    }

    /// An object's file, open for reading.
    pub fn get(&self, key: &Key) -> Result<File, Error> {
        let missing = || Error::NotFound { key: key.to_string() };
        let (folder, name) = self.folder_of(key)?.ok_or_else(missing)?;
        match openat(&folder, name, FILE_FLAGS, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                let is_file = file.metadata().map_err(|e| self.trouble(key, "read", e))?.is_file();
                is_file.then_some(file).ok_or_else(missing)
            }
            Err(error) if is_absence(error) => Err(missing()),
            Err(error) => Err(self.trouble(key, "read", error)),
        }
    }

    /// An object's file and path, and what of a range lies in it.
    pub fn open_range(&self, key: &Key, range: Range<u64>) -> Result<(File, PathBuf, Range<u64>), Error> {
        let file = self.get(key)?;
        let size_bytes = file.metadata().map_err(|e| self.trouble(key, "read", e))?.len();
        if range.start >= size_bytes {
            return Err(Error::OutOfRange { key: key.to_string(), first: range.start, last: range.end });
        }
        Ok((file, self.path.join(key.as_str()), range.start..range.end.min(size_bytes)))
    }

    /// What is known of an object.
    pub fn head(&self, key: &Key) -> Result<Option<Object>, Error> {
        let file = match self.get(key) {
            Err(Error::NotFound { .. }) => return Ok(None),
            file => file?,
        };
        let known = file.metadata().map_err(|e| self.trouble(key, "read", e))?;
        Ok(Some(Object { key: key.clone(), size_bytes: known.len(), modified: known.modified().ok() }))
    }

    /// One page of what is below a folder, behind `after`.
    pub fn list(&self, below: Option<&Key>, after: Option<&str>) -> Result<Page, Error> {
        let parts: Vec<&str> = below.into_iter().flat_map(Key::parts).collect();
        let trouble = |e: Errno| trouble(&self.path.join(parts.join("/")), "listed", e);
        match self.tree.folder(&parts).map_err(trouble)? {
            Some(folder) => walk::page(folder, below, after).map_err(trouble),
            None => Ok(Page::default()),
        }
    }

    /// Removes an object and the folders that are empty then. Nothing there is no error.
    pub fn delete(&self, key: &Key) -> Result<(), Error> {
        let Some((folder, name)) = self.folder_of(key)? else { return Ok(()) };
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => fsync(&folder).map_err(|e| self.trouble(key, "deleted", e))?,
            // A folder has the name: there is no such object.
            Err(error) if is_absence(error) || error == Errno::ISDIR => return Ok(()),
            Err(error) => return Err(self.trouble(key, "deleted", error)),
        }
        let parts: Vec<&str> = key.parts().collect();
        self.tree.prune(&parts[..parts.len() - 1]);
        Ok(())
    }

    fn temp(&self) -> Temp<'_> {
        Temp { incoming: &self.incoming, name: format!("{:016x}", self.dice.roll()) }
    }

    fn create(&self, key: &Key, temp: &Temp<'_>) -> Result<File, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let file = openat(&self.incoming, temp.name.as_str(), flags, mode);
        file.map(File::from).map_err(|e| self.trouble(key, "written", e))
    }

    fn compare(&self, key: &Key, file: &File, digest: Digest) -> Result<(), Error> {
        let found = Digest::of_file(file, 0, u64::MAX).map_err(|e| self.trouble(key, "read", e))?;
        found.compare(digest, key.as_str())
    }

    /// Gives what is ready its name. From here on it survives a power loss.
    fn publish(&self, key: &Key, temp: &Temp<'_>, file: &File) -> Result<(), Error> {
        file.sync_all().map_err(|e| self.trouble(key, "written", e))?;
        let parts: Vec<&str> = key.parts().collect();
        self.tree.place(&self.incoming, &temp.name, &parts).map_err(|e| self.trouble(key, "written", e))
    }

    fn folder_of<'k>(&self, key: &'k Key) -> Result<Option<(OwnedFd, &'k str)>, Error> {
        let parts: Vec<&str> = key.parts().collect();
        let (name, folders) = parts.split_last().expect("a key has a part");
        let folder = self.tree.folder(folders).map_err(|e| self.trouble(key, "read", e))?;
        Ok(folder.map(|folder| (folder, *name)))
    }

    fn trouble(&self, key: &Key, done: &'static str, error: impl Into<io::Error>) -> Error {
        trouble(&self.path.join(key.as_str()), done, error)
    }
}

/// A name in `.incoming/`, which is gone with this value. A rename onto another link of the same file leaves it there (POSIX
/// rename), so it is removed in any case.
struct Temp<'d> {
    incoming: &'d OwnedFd,
    name: String,
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(self.incoming, self.name.as_str(), AtFlags::empty());
    }
}

fn sweep(incoming: &OwnedFd) -> rustix::io::Result<()> {
    for entry in Dir::read_from(incoming)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if ![b".".as_slice(), b"..", LOCK.as_bytes()].contains(&name) {
            unlinkat(incoming, entry.file_name(), AtFlags::empty())?;
        }
    }
    Ok(())
}

/// What a failure of the file system means.
pub(crate) fn trouble(path: &Path, done: &'static str, error: impl Into<io::Error>) -> Error {
    use io::ErrorKind::{
        AlreadyExists, FileTooLarge, IsADirectory, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    let (path, error) = (path.to_owned(), error.into());
    let cure = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => return Error::DiskFull { path },
        ReadOnlyFilesystem => "its file system is read-only; mount it for writing",
        PermissionDenied => "the server's user may not; give the folder to that user",
        NotADirectory | AlreadyExists => "there is no folder but a file on the way to it; move that away",
        IsADirectory => "there is a folder of that name; use another key",
        _ => "see what the system says, and look at the disk",
    };
    Error::Folder { path, done, cure, source: error }
}

#[cfg(test)]
mod tests;

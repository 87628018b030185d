//! Paths below the root, opened step by step and never through a symbolic link, so none leads out of it.

use rustix::fs::{AtFlags, Mode, OFlags, fsync, mkdirat, open, openat, renameat, unlinkat};
use rustix::io::{Errno, Result};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folders of a vault.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// A folder is made for an object, or removed because it is empty, not both at once.
    changes: Mutex<()>,
}

impl Tree {
    /// Opens a root, which may be a symbolic link itself.
    pub fn open(path: &Path) -> Result<Self> {
        let root = open(path, FOLDER_FLAGS.difference(OFlags::NOFOLLOW), Mode::empty())?;
        Ok(Self { root, changes: Mutex::default() })
    }

    /// A folder below the root; `None` when it is not there.
    pub fn folder(&self, parts: &[&str]) -> Result<Option<OwnedFd>> {
        let step = |folder: OwnedFd, part: &&str| openat(&folder, *part, FOLDER_FLAGS, Mode::empty());
        match parts.iter().try_fold(self.again()?, step) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if is_absence(error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A folder right below the root, made when it is not there.
    pub fn make(&self, name: &str) -> Result<OwnedFd> {
        make_folder(&self.root, name)
    }

    /// Moves a file to where it belongs, durably, with the folders it needs.
    pub fn place(&self, from: &OwnedFd, temp: &str, parts: &[&str]) -> Result<()> {
        let Some((name, folders)) = parts.split_last() else { return Err(Errno::INVAL) };
        let folder = {
            let _changes = self.changes();
            let folder = folders.iter().try_fold(self.again()?, |folder, part| make_folder(&folder, part))?;
            renameat(from, temp, &folder, *name)?;
            folder
        };
        fsync(&folder)
    }

    /// Removes these folders, the innermost first, as far as they are empty.
    pub fn prune(&self, folders: &[&str]) {
        let _changes = self.changes();
        for depth in (1..=folders.len()).rev() {
            let Ok(Some(parent)) = self.folder(&folders[..depth - 1]) else { return };
            if unlinkat(&parent, folders[depth - 1], AtFlags::REMOVEDIR).is_err() {
                return;
            }
        }
    }

    fn again(&self) -> Result<OwnedFd> {
        openat(&self.root, ".", FOLDER_FLAGS, Mode::empty())
    }

    fn changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing there, or a file or link where a folder would have to be.
pub(super) fn is_absence(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// Opens a folder, and makes it durably when it is not there.
fn make_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd> {
    match mkdirat(parent, name, Mode::RWXU | Mode::RGRP | Mode::XGRP) {
        Ok(()) => fsync(parent)?,
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    openat(parent, name, FOLDER_FLAGS, Mode::empty())
}

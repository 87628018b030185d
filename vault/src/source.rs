use crate::{Digest, Error};
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// What to put: bytes of a local file that nobody changes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file; no symbolic link.
    pub path: PathBuf,
    /// Where the bytes begin.
    pub offset: u64,
    /// How many, and what their writer wrote.
    pub digest: Digest,
}

impl Source {
    /// Opens the file. Blocks, but never for whoever is at the other end of a pipe.
    pub(crate) fn open(&self) -> Result<File, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = open(&self.path, flags, Mode::empty()).map(File::from).map_err(io::Error::from);
        let file = opened.map_err(|error| self.unreadable(error))?;
        match file.metadata() {
            Ok(known) if known.is_file() => Ok(file),
            Ok(_) => Err(self.unreadable(io::ErrorKind::InvalidInput.into())),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// The digest of `size_bytes` of it, `from` bytes behind the offset, or of less if the file is shorter.
    pub(crate) async fn measure(&self, file: &Arc<File>, from: u64, size_bytes: u64) -> Result<Digest, Error> {
        let (file, offset) = (Arc::clone(file), self.offset.saturating_add(from));
        let measured = spawn_blocking(move || Digest::of_file(&file, offset, size_bytes)).await;
        measured.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| self.unreadable(error))
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> Error {
        Error::Source { path: self.path.clone(), source }
    }

    pub(crate) fn damaged(&self) -> Error {
        Error::SourceDamaged { path: self.path.clone() }
    }
}

//! What the archive asks of a disk beside making and removing files; tests put one in its place that is full, or breaks.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::Path;

/// Every call blocks.
pub(crate) trait Disk: std::fmt::Debug + Send + Sync {
    /// Writes at the end of what was written before; may take only a part, as `write(2)` does.
    fn write(&self, file: &File, bytes: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Returns when the file's bytes and its length survive a loss of power.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Bytes that this user may still write below the folder.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The real one.
#[derive(Debug)]
pub(crate) struct LocalDisk;

impl Disk for LocalDisk {
    fn write(&self, mut file: &File, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        file.write_vectored(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Writes all of `bytes`.
///
/// # Errors
/// The disk's own; what was written before it stays in the file.
pub(crate) fn write_all(disk: &dyn Disk, file: &File, bytes: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut left = bytes;
    // Takes off what is empty at the front, so that nothing left means done.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match disk.write(file, left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the names in a folder survive a loss of power.
pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    disk.sync(&File::open(folder)?)
}

//! The folder everything lives in: made, tried and claimed before anything is written to it.

use anyhow::{Context as _, bail};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Below this the database could not even write its log.
pub const FREE_BYTES_MIN: u64 = 64 << 20;

/// Makes the folder (0700) when it is not there, and tries whether it can be written and has room. Blocks on the disk.
///
/// # Errors
/// One sentence naming the folder and what is wrong with it.
pub fn prepare(dir: &Path) -> anyhow::Result<()> {
    let name = dir.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the data directory {name} cannot be made"))?;
    let probe = dir.join(".probe");
    let written = write_private(&probe, b"weir").and_then(|()| Ok(std::fs::remove_file(&probe)?));
    written.with_context(|| format!("the data directory {name} cannot be written"))?;
    let free = free_bytes(dir)?;
    if free < FREE_BYTES_MIN {
        bail!(
            "the disk of the data directory {name} is full: {} MiB are free, at least {} MiB are needed",
            free >> 20,
            FREE_BYTES_MIN >> 20
        );
    }
    Ok(())
}

/// Bytes this user may still write on the folder's disk.
///
/// # Errors
/// When the folder is not there.
pub fn free_bytes(dir: &Path) -> anyhow::Result<u64> {
    let disk =
        rustix::fs::statvfs(dir).with_context(|| format!("the disk of {} cannot be looked at", dir.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The right to serve a data directory; ends when dropped, or with the process however that ends.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

/// Claims the folder for this server. Commands that only change the database need no claim.
///
/// # Errors
/// When another server has it: two would give out the same sequence numbers.
pub fn claim(dir: &Path) -> anyhow::Result<Claim> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("the file {} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Claim { _file: file }),
        Err(TryLockError::WouldBlock) => bail!(
            "another Weir serves the data directory {}; stop it, or give this one its own with --data-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("the file {} cannot be locked", path.display()))
        }
    }
}

/// Where the server that runs on this folder takes RTMP, as its `run.json` says; `None` when none runs.
pub fn running_rtmp(dir: &Path) -> Option<SocketAddr> {
    running(dir, "rtmp")
}

/// The same of plain HTTP.
pub fn running_http(dir: &Path) -> Option<SocketAddr> {
    running(dir, "http")
}

fn running(dir: &Path, door: &str) -> Option<SocketAddr> {
    let run: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("run.json")).ok()?).ok()?;
    run[door].as_str()?.parse().ok()
}

/// Writes a file only this user may read, whole or not at all: a new file takes the old one's place.
///
/// # Errors
/// Naming the file.
pub fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().with_context(|| format!("the file {} cannot be written", path.display())).inspect_err(|_| {
        // What is left of a draft on a full disk only takes room; when it cannot go either, the error above says enough.
        let _ = std::fs::remove_file(&draft);
    })
}

/// The same, but a file that is there already stays as it is.
///
/// # Errors
/// Naming the file.
pub fn create_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut whole = path.as_os_str().to_owned();
    whole.push(format!(".new.{}", std::process::id()));
    let whole = Path::new(&whole);
    write_private(whole, bytes)?;
    let linked = std::fs::hard_link(whole, path);
    // Its name was only for the moment; when it can't go either, the next start makes another.
    let _ = std::fs::remove_file(whole);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("the file {} cannot be written", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_is_made_private_and_can_be_prepared_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        prepare(&data).unwrap();
        prepare(&data).unwrap();
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "the probe is gone");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let refused = prepare(Path::new("/proc/weir-has-no-place-here")).unwrap_err();
        assert!(format!("{refused:#}").contains("/proc/weir-has-no-place-here"), "{refused:#}");
    }

    #[test]
    fn one_server_claims_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = claim(dir.path()).unwrap();
        assert!(claim(dir.path()).unwrap_err().to_string().contains("another Weir"));
        drop(first);
        claim(dir.path()).unwrap();
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(
            (std::fs::read(&path).unwrap().as_slice(), std::fs::metadata(&path).unwrap().permissions().mode() & 0o777),
            (b"two".as_slice(), 0o600)
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }
}

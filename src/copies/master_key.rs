//! The key that seals secrets in the database: a systemd credential, or a file of the data directory that the first start makes.

use crate::data_dir::{create_private, write_private};
use anyhow::{Context as _, bail};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use store::{Actor, MasterKey, Store, now_ms};

/// In the data directory.
const FILE: &str = "master-key";
/// In the data directory, while the key is being changed.
const NEXT: &str = "master-key.next";
/// In systemd's folder of credentials (`LoadCredential=weir-master-key:…`, systemd.exec(5)).
const CREDENTIAL: &str = "weir-master-key";

/// The master key, made when there is none. `in_use` is the id of the one that the database is sealed with. Blocks shortly on a
/// small file.
///
/// # Errors
/// When it can't be read or written, is none, or can be read by others.
pub fn load(data_dir: &Path, in_use: Option<&str>) -> anyhow::Result<MasterKey> {
    load_from(data_dir, credential().as_deref(), in_use)
}

/// Seals all secrets with a new key. It lies beside the old one until the database has it: whatever happens in between, the one the
/// database is sealed with is there. A server that runs takes it by itself.
///
/// # Errors
/// When the key is a credential of systemd's, which is not ours to write; when a file can't be written, or the database refuses.
pub async fn rotate(data_dir: &Path, store: &Store) -> anyhow::Result<Rotated> {
    if credential().is_some() {
        bail!(
            "the master key is a systemd credential, which only its owner can replace; stop the server, put the key into {}, \
             rotate it there without the credential, and encrypt the new one",
            data_dir.join(FILE).display()
        );
    }
    let old = load(data_dir, store.master_key_in_use().await?.as_deref())?;
    let new = MasterKey::generate()?;
    let next = data_dir.join(NEXT);
    write_private(&next, format!("{}\n", new.reveal()).as_bytes())?;
    let targets = store.reseal(&Actor::Cli, &old, &new, now_ms()).await?;
    promote(data_dir)?;
    Ok(Rotated { from: old.id().to_owned(), to: new.id().to_owned(), targets })
}

/// The master key as a server has it that runs.
#[derive(Debug)]
pub struct Keyring {
    data_dir: PathBuf,
    /// Else why there is none; then no secret can be read, and the rest of the server goes on.
    key: Result<MasterKey, String>,
}

impl Keyring {
    /// Reads the key, as [`load`] does; what is wrong with it is logged.
    pub fn open(data_dir: &Path, in_use: Option<&str>) -> Self {
        let mut keyring = Self { data_dir: data_dir.to_owned(), key: Err(String::new()) };
        keyring.read(in_use);
        keyring
    }

    /// Reads it again when the database is sealed with another one.
    pub fn follow(&mut self, in_use: Option<&str>) {
        let known = self.key.as_ref().ok().map(MasterKey::id);
        if in_use.is_some() && in_use != known {
            self.read(in_use);
        }
    }

    /// The key, or why there is none.
    pub fn key(&self) -> Result<&MasterKey, &str> {
        self.key.as_ref().map_err(String::as_str)
    }

    fn read(&mut self, in_use: Option<&str>) {
        let read = load(&self.data_dir, in_use).map_err(|error| format!("{error:#}"));
        match (&read, &self.key) {
            (Err(reason), Err(known)) if reason == known => {}
            (Err(reason), _) => tracing::error!(reason, "no target gets a copy, as their keys can't be read"),
            (Ok(key), Ok(known)) if key.id() != known.id() => {
                tracing::info!(master_key = key.id(), "the master key was changed");
            }
            (Ok(_), _) => {}
        }
        self.key = read;
    }
}

/// What a change of the master key did.
#[derive(Debug)]
pub struct Rotated {
    /// Ids of the keys.
    pub from: String,
    pub to: String,
    /// Secrets that were sealed anew.
    pub targets: usize,
}

fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&folder).join(CREDENTIAL)).filter(|file| file.exists())
}

/// The next key is the key now.
fn promote(data_dir: &Path) -> anyhow::Result<()> {
    let (next, file) = (data_dir.join(NEXT), data_dir.join(FILE));
    std::fs::rename(&next, &file).with_context(|| format!("the file {} cannot be replaced", file.display()))
}

fn load_from(data_dir: &Path, credential: Option<&Path>, in_use: Option<&str>) -> anyhow::Result<MasterKey> {
    if let Some(given) = credential {
        return read(given)?.with_context(|| format!("the credential {CREDENTIAL} is gone"));
    }
    let file = data_dir.join(FILE);
    // A change of the key that was broken off behind the database's part of it is brought to its end. One that was broken off
    // before it, or is just going on, is left alone.
    if let Some(next) = read(&data_dir.join(NEXT))?
        && in_use == Some(next.id())
    {
        // Whoever is at it too may have been faster.
        if let Err(error) = promote(data_dir)
            && read(&file)?.is_none_or(|key| key.id() != next.id())
        {
            return Err(error);
        }
    }
    if let Some(key) = read(&file)? {
        let mode = std::fs::metadata(&file)?.mode();
        if mode & 0o077 != 0 {
            bail!("the master key {} can be read by others; chmod 600 it", file.display());
        }
        return Ok(key);
    }
    let key = MasterKey::generate()?;
    create_private(&file, format!("{}\n", key.reveal()).as_bytes())?;
    // A server and a command that start at once both made one; what is there now is the key of both.
    read(&file)?.with_context(|| format!("the file {} is gone", file.display()))
}

fn read(file: &Path) -> anyhow::Result<Option<MasterKey>> {
    match std::fs::read_to_string(file) {
        Ok(text) => MasterKey::parse(&text).map(Some).with_context(|| {
            format!(
                "the file {} holds no master key; put the right one back, or targets have to be added anew",
                file.display()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the file {} cannot be read", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_first_start_makes_it_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = load_from(dir.path(), None, None).unwrap();
        assert_eq!(load_from(dir.path(), None, None).unwrap().id(), key.id());
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_from(dir.path(), None, None).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_credential_of_systemds_comes_first() {
        let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = load_from(dir.path(), None, None).unwrap();
        let (given, file) = (MasterKey::generate().unwrap(), credentials.path().join(CREDENTIAL));
        std::fs::write(&file, given.reveal()).unwrap();
        assert_eq!(load_from(dir.path(), Some(&file), None).unwrap().id(), given.id());
        assert_ne!(own.id(), given.id());
    }

    #[test]
    fn a_change_that_was_broken_off_is_ended_when_the_database_has_it_and_left_alone_when_not() {
        let dir = tempfile::tempdir().unwrap();
        let old = load_from(dir.path(), None, None).unwrap();
        let next = MasterKey::generate().unwrap();
        write_private(&dir.path().join(NEXT), next.reveal().as_bytes()).unwrap();
        for in_use in [None, Some(old.id())] {
            assert_eq!(load_from(dir.path(), None, in_use).unwrap().id(), old.id());
            assert!(dir.path().join(NEXT).exists());
        }
        assert_eq!(load_from(dir.path(), None, Some(next.id())).unwrap().id(), next.id());
        assert!(!dir.path().join(NEXT).exists());
        assert_eq!(load_from(dir.path(), None, Some(next.id())).unwrap().id(), next.id());
    }

    #[test]
    fn a_file_that_holds_no_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "hunter2").unwrap();
        let refused = format!("{:#}", load_from(dir.path(), None, None).unwrap_err());
        assert!(refused.contains("holds no master key") && !refused.contains("hunter2"), "{refused}");
    }
}

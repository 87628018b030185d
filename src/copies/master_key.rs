//! The key that seals secrets in the database: a systemd credential, or a file of the data directory that the first start makes.

use crate::data_dir::create_private;
use anyhow::{Context as _, bail};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use store::MasterKey;

/// In the data directory.
const FILE: &str = "master-key";
/// In systemd's folder of credentials (`LoadCredential=weir-master-key:…`, systemd.exec(5)).
const CREDENTIAL: &str = "weir-master-key";

/// The master key, made when there is none. Blocks shortly on a small file.
///
/// # Errors
/// When it can't be read or written, is none, or can be read by others.
pub fn load(data_dir: &Path) -> anyhow::Result<MasterKey> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    load_from(data_dir, credentials.as_deref().map(Path::new))
}

fn load_from(data_dir: &Path, credentials: Option<&Path>) -> anyhow::Result<MasterKey> {
    if let Some(given) = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|file| file.exists()) {
        return read(&given)?.with_context(|| format!("the credential {CREDENTIAL} is gone"));
    }
    let file = data_dir.join(FILE);
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
        let key = load_from(dir.path(), None).unwrap();
        assert_eq!(load_from(dir.path(), None).unwrap().id(), key.id());
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_from(dir.path(), None).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_credential_of_systemds_comes_first() {
        let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = load_from(dir.path(), Some(credentials.path())).unwrap();
        let given = MasterKey::generate().unwrap();
        std::fs::write(credentials.path().join(CREDENTIAL), given.reveal()).unwrap();
        assert_eq!(load_from(dir.path(), Some(credentials.path())).unwrap().id(), given.id());
        assert_ne!(own.id(), given.id());
    }

    #[test]
    fn a_file_that_holds_no_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "hunter2").unwrap();
        let refused = format!("{:#}", load_from(dir.path(), None).unwrap_err());
        assert!(refused.contains("holds no master key") && !refused.contains("hunter2"), "{refused}");
    }
}

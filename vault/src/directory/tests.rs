use super::*;
use rustix::io::Errno;
use std::os::unix::fs::{MetadataExt, symlink};
use tempfile::TempDir;

fn open_in(folder: &TempDir) -> Directory {
    Directory::open(folder.path().join("vault")).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn source(folder: &TempDir, bytes: &[u8]) -> Source {
    let path = folder.path().join("source");
    fs::write(&path, bytes).unwrap();
    Source { path, offset: 0, digest: Digest::of(bytes) }
}

#[test]
fn a_whole_file_is_linked_and_outlives_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, source) = (open_in(&folder), source(&folder, b"bytes"));
    directory.put_file(&key("a/b"), &source).unwrap();
    let stored = folder.path().join("vault/a/b");
    assert_eq!(fs::metadata(&stored).unwrap().ino(), fs::metadata(&source.path).unwrap().ino());
    fs::remove_file(&source.path).unwrap();
    assert_eq!(fs::read(stored).unwrap(), b"bytes");
}

#[test]
fn nothing_is_left_of_a_put_that_failed_or_was_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, source) = (open_in(&folder), source(&folder, b"bytes"));
    for _ in 0..2 {
        directory.put_file(&key("a/b"), &source).unwrap();
    }
    directory.put_bytes(&key("a"), b"").unwrap_err();
    directory.put_file(&key("a/b/c"), &source).unwrap_err();
    let damaged = Source { digest: Digest::of(b"other"), ..source };
    directory.put_file(&key("c"), &damaged).unwrap_err();
    assert_eq!(fs::read_dir(folder.path().join("vault/.incoming")).unwrap().count(), 1);
}

#[test]
fn what_a_dead_process_left_is_swept_but_not_what_a_living_one_has() {
    let folder = tempfile::tempdir().unwrap();
    let living = open_in(&folder);
    let left = folder.path().join("vault/.incoming/0123456789abcdef");
    fs::write(&left, b"half").unwrap();
    let _second = open_in(&folder);
    assert!(left.exists(), "it may be the first one's");
    drop((living, _second));
    let third = open_in(&folder);
    assert!(!left.exists());
    assert_eq!(third.list(None, None).unwrap(), Page::default());
}

#[test]
fn links_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let directory = open_in(&folder);
    fs::create_dir(folder.path().join("outside")).unwrap();
    fs::write(folder.path().join("outside/secret"), b"secret").unwrap();
    symlink(folder.path().join("outside"), folder.path().join("vault/door")).unwrap();
    symlink(folder.path().join("outside/secret"), folder.path().join("vault/window")).unwrap();
    for name in ["door/secret", "window"] {
        assert!(matches!(directory.get(&key(name)), Err(Error::NotFound { .. })), "{name}");
    }
    assert!(directory.put_bytes(&key("door/new"), b"x").is_err());
    directory.delete(&key("door/secret")).unwrap();
    assert_eq!(directory.list(None, None).unwrap(), Page::default());
    assert_eq!(fs::read_dir(folder.path().join("outside")).unwrap().count(), 1);
    // A link in the place of an object is replaced, not followed.
    directory.put_bytes(&key("window"), b"pane").unwrap();
    assert_eq!(fs::read(folder.path().join("outside/secret")).unwrap(), b"secret");
}

#[test]
fn a_folder_is_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let directory = open_in(&folder);
    directory.put_bytes(&key("a/b"), b"x").unwrap();
    assert!(directory.head(&key("a")).unwrap().is_none());
    directory.delete(&key("a")).unwrap();
    assert!(directory.head(&key("a/b")).unwrap().is_some());
}

#[test]
fn a_root_that_cannot_be_is_told_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [file.clone(), file.join("below")] {
        let said = Directory::open(path).unwrap_err().to_string();
        assert!(said.contains("there is no folder but a file on the way"), "{said}");
    }
}

#[test]
fn each_failure_of_the_file_system_has_its_cure() {
    let said = |errno: Errno| trouble(Path::new("/srv/vault"), "written", errno);
    assert!(matches!(said(Errno::NOSPC), Error::DiskFull { .. }));
    assert!(matches!(said(Errno::DQUOT), Error::DiskFull { .. }));
    assert_eq!(
        said(Errno::NOSPC).to_string(),
        "the disk of /srv/vault is full; make room there or put the vault elsewhere"
    );
    for (errno, cure) in [
        (Errno::ROFS, "read-only"),
        (Errno::ACCESS, "may not"),
        (Errno::PERM, "may not"),
        (Errno::IO, "look at the disk"),
    ] {
        let said = said(errno).to_string();
        assert!(said.starts_with("/srv/vault could not be written: ") && said.contains(cure), "{said}");
    }
}

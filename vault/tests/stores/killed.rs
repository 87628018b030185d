//! A directory whose process is killed at any moment, by a process that is: this test starts itself again.

use crate::kit::{key, noise, read};
use bytes::Bytes;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use vault::{Config, Digest, Key, Source, Vault};

/// Names the folder for the process that is to be killed.
const FOLDER: &str = "WEIR_VAULT_KILLED_IN";
const ROUNDS: usize = 20;
/// The test below, as the test runner calls it.
const TEST: &str = "killed::an_object_is_whole_or_not_there_when_its_process_is_killed";

#[tokio::test]
async fn an_object_is_whole_or_not_there_when_its_process_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        put_for_ever(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut names = lines.filter_map(|line| line.strip_prefix("put ").map(str::to_owned));
        acknowledged.extend(names.by_ref().take(1 + round % 5));
        child.kill().unwrap();
        child.wait().unwrap();

        let vault = open(folder.path()).await;
        let incoming = folder.path().join("vault/.incoming");
        assert_eq!(std::fs::read_dir(incoming).unwrap().count(), 1, "nothing but the lock is left");
        for object in vault.list(None, None).await.unwrap().objects {
            let bytes = read(&vault, &object.key, 0..u64::MAX).await.unwrap();
            assert_eq!(Digest::of(&bytes), Digest::of(&content(&object.key)), "{}", object.key);
        }
        for name in &acknowledged {
            assert!(vault.head(&key(name)).await.unwrap().is_some(), "{name} had a receipt");
        }
    }
    assert!(acknowledged.len() > ROUNDS);
}

async fn open(folder: &Path) -> Vault {
    Vault::open(Config::Directory { path: folder.join("vault") }).await.unwrap()
}

/// What an object of this name holds.
fn content(key: &Key) -> Vec<u8> {
    noise(Digest::of(key.as_str().as_bytes()).crc32 as usize % 2_000_000)
}

/// Puts objects in all ways, and says which have their receipt.
async fn put_for_ever(folder: &Path) -> ! {
    let (vault, run) = (open(folder).await, std::process::id());
    for number in 0.. {
        let object = key(&format!("rec/{run}/{number}"));
        let bytes = content(&object);
        let path = folder.join(format!("{run}-{number}"));
        let source = |offset| Source { path: path.clone(), offset, digest: Digest::of(&bytes) };
        match number % 3 {
            // As a link, as a copy, from memory.
            0 => {
                std::fs::write(&path, &bytes).unwrap();
                vault.put_file(&object, "video/mp4", &source(0)).await.unwrap();
            }
            1 => {
                std::fs::write(&path, [b"...".as_slice(), &bytes].concat()).unwrap();
                vault.put_file(&object, "video/mp4", &source(3)).await.unwrap();
            }
            _ => {
                vault.put_bytes(&object, "video/mp4", Bytes::from(bytes)).await.unwrap();
            }
        }
        let mut out = std::io::stdout();
        writeln!(out, "put {object}").unwrap();
        out.flush().unwrap();
    }
    unreachable!("numbers do not end");
}

//! What these tests share: a store, a proxy in front of it, files to put.

pub mod proxy;
pub mod store;

use bytes::Bytes;
use proxy::Proxy;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use store::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};
use tempfile::TempDir;
use vault::{Config, Credentials, Digest, Error, Key, S3Config, Secret, Source, Vault};

/// No step of a test takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A store, a proxy in front of it, and a folder for notes and files.
pub struct Scene {
    pub store: Store,
    pub proxy: Proxy,
    pub folder: TempDir,
}

impl Scene {
    pub async fn start() -> Self {
        Self::start_with(Store::start().await).await
    }

    pub async fn start_with(store: Store) -> Self {
        let proxy = Proxy::start(store.address).await;
        Self { store, proxy, folder: tempfile::tempdir().unwrap() }
    }

    pub fn config(&self) -> S3Config {
        S3Config {
            prefix: "weir/node-1".into(),
            endpoint: Some(format!("http://{}", self.proxy.address)),
            path_style: true,
            credentials: Some(Credentials {
                access_key_id: ACCESS_KEY.into(),
                secret_access_key: Secret::new(SECRET_KEY),
            }),
            ..S3Config::new(BUCKET, self.folder.path().join("notes"))
        }
    }

    pub async fn vault(&self) -> Vault {
        open(self.config()).await
    }

    /// A file of bytes that differ everywhere.
    pub fn source(&self, name: &str, size_bytes: usize) -> Source {
        source(self.folder.path(), name, &noise(size_bytes))
    }

    /// What the store has on its disk.
    pub fn stored(&self, key: &Key) -> Vec<u8> {
        std::fs::read(self.store.path(&format!("weir/node-1/{key}"))).unwrap()
    }
}

pub async fn open(config: S3Config) -> Vault {
    Vault::open(Config::S3(Box::new(config))).await.unwrap()
}

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub fn source(folder: &Path, name: &str, bytes: &[u8]) -> Source {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    Source { path, offset: 0, digest: Digest::of(bytes) }
}

/// Bytes without a pattern, always the same.
pub fn noise(size_bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    while bytes.len() < size_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

pub async fn read(vault: &Vault, key: &Key, range: Range<u64>) -> Result<Vec<u8>, Error> {
    let mut chunks = vault.get_range(key, range).await?;
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk?;
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

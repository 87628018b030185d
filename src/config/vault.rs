//! `[vault]`: where recordings are copied to.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use vault::{Encryption, S3Config};

/// `[vault]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// What it is.
    pub kind: Kind,
    /// Of a directory: the folder.
    pub folder: PathBuf,
    /// Of S3: the bucket.
    pub bucket: String,
    /// What keys begin with; may be empty.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// Address of what speaks S3; empty: Amazon's.
    pub endpoint: String,
    /// The bucket in the path instead of the host name.
    pub path_style: bool,
    /// A storage class; empty: the bucket's.
    pub storage_class: String,
    /// Server-side encryption: empty for the bucket's, `aes256`, or `kms:KEY`.
    pub encryption: String,
    /// Mbit/s of all uploads together, 0: no cap.
    pub upload_mbps: u32,
}

/// What the vault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// None: recordings are on this machine alone.
    None,
    /// A folder, such as one of a network disk.
    Directory,
    /// A bucket.
    S3,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            kind: Kind::None,
            folder: PathBuf::new(),
            bucket: String::new(),
            prefix: String::new(),
            region: "us-east-1".into(),
            endpoint: String::new(),
            path_style: false,
            storage_class: String::new(),
            encryption: String::new(),
            upload_mbps: 0,
        }
    }
}

impl VaultConfig {
    /// As the vault takes it, and what rows call it; `None` when there is none. Notes on uploads go below the data directory.
    ///
    /// # Errors
    /// One sentence naming the key that is wrong.
    pub fn settings(&self, data_dir: &Path) -> anyhow::Result<Option<(vault::Config, String)>> {
        match self.kind {
            Kind::None => Ok(None),
            Kind::Directory if self.folder.as_os_str().is_empty() => {
                bail!("vault.folder is empty; name the folder recordings are copied to")
            }
            Kind::Directory => {
                let place = self.folder.display().to_string();
                Ok(Some((vault::Config::Directory { path: self.folder.clone() }, place)))
            }
            Kind::S3 => {
                let s3 = self.s3(data_dir)?;
                s3.check().context("vault")?;
                let prefix = if s3.prefix.is_empty() { String::new() } else { format!("/{}", s3.prefix) };
                let place = format!("s3://{}{prefix}", s3.bucket);
                Ok(Some((vault::Config::S3(Box::new(s3)), place)))
            }
        }
    }

    fn s3(&self, data_dir: &Path) -> anyhow::Result<S3Config> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let encryption = match self.encryption.as_str() {
            "" => Encryption::BucketDefault,
            "aes256" => Encryption::Aes256,
            other => match other.strip_prefix("kms:").filter(|key| !key.is_empty()) {
                Some(key) => Encryption::Kms(key.to_owned()),
                None => bail!("vault.encryption is {other:?}; it takes aes256, kms:KEY or nothing"),
            },
        };
        Ok(S3Config {
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            endpoint: given(&self.endpoint),
            path_style: self.path_style,
            storage_class: given(&self.storage_class),
            encryption,
            upload_bps_max: (self.upload_mbps > 0).then(|| u64::from(self.upload_mbps) * 1_000_000),
            ..S3Config::new(self.bucket.clone(), data_dir.join("vault-notes"))
        })
    }
}

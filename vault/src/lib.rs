//! Where finished bytes live: a directory on this machine (the default), or a bucket of Amazon S3 and what speaks its protocol.
//! An engine on floor 1; the archive puts recordings here and reads them back.
//!
//! It knows objects: a [`Key`], bytes, how long they are. It does not know what a recording is, keeps no index beside the store's
//! own, and holds no object in memory. It opens no listener and reads no clock; the SDK does, to sign requests. It is the only
//! crate that names aws-sdk-s3.
//!
//! Putting an object gives a [`Receipt`] only after the store was asked again and holds what the writer wrote, by length and
//! checksum; until then the local copy is the only one. An [`Uploader`] does that for a whole spool: with bounded work at
//! once, pauses while the store is away, and nothing ever dropped.
//!
//! ```
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
//! use vault::{Config, Digest, Key, Source, Vault};
//! # let folder = tempfile::tempdir().expect("a folder");
//! let vault = Vault::open(Config::Directory { path: folder.path().join("vault") }).await?;
//! let path = folder.path().join("part.m4s");
//! std::fs::write(&path, b"moof mdat").expect("a file");
//!
//! let key = Key::new("rec/7f3a/0.m4s")?;
//! let source = Source { path, offset: 0, digest: Digest::of(b"moof mdat") };
//! let receipt = vault.put_file(&key, "video/mp4", &source).await?;
//! assert_eq!(receipt.digest().size_bytes, 9);
//! let mut chunks = vault.get_range(&key, 5..9).await?;
//! assert_eq!(chunks.next().await.expect("a chunk")?, "mdat");
//! # Ok::<(), vault::Error>(()) }).expect("the example runs");
//! ```
//!
//! | metric | is |
//! | --- | --- |
//! | `weir_vault_requests_total{operation, outcome}` | requests to the store, or acts on the directory |
//! | `weir_vault_request_seconds{operation}` | how long they took |
//! | `weir_vault_retries_total{operation}` | requests made again at once |
//! | `weir_vault_bytes_total{direction}` | bytes sent (`in`) and read (`out`) |
//! | `weir_vault_read_back_total` | objects read to verify them, as the store knows no checksum |
//! | `weir_vault_orphans_total` | uploads of dead processes that were ended |
//! | `weir_vault_backlog_jobs`, `_bytes`, `_seconds` | what waits to be put |
//! | `weir_vault_retrying`, `weir_vault_blocked` | 1 while the store is away, or somebody must do something |
//! | `weir_vault_pauses_total{reason}` | pauses an uploader made |
//! | `weir_vault_jobs_failed_total` | objects given back as impossible to put |

mod config;
mod dice;
mod digest;
mod directory;
mod error;
mod gate;
mod key;
mod meter;
mod object;
mod pace;
mod s3;
mod source;
mod transfer;
mod uploader;
mod vault;

pub use config::{Config, Credentials, Encryption, S3Config, Secret};
pub use digest::Digest;
pub use error::{Error, Fault};
pub use gate::Standing;
pub use key::Key;
pub use object::{Chunks, Object, Page, Receipt};
pub use source::Source;
pub use uploader::{Backlog, Job, Jobs, Uploader};
pub use vault::Vault;

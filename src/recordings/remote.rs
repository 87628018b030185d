//! Media that is in the vault alone, as the origin sends it.

use super::recent::Recent;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use origin::{Layout, Piece};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use vault::{Error, Key, Vault};

/// Fetched at once of an object whose pieces are sent between others: a request costs a tenth of a second and a thousandth of a cent.
const BLOCK_BYTES: u64 = 4 << 20;
/// Blocks that are kept: those of pictures and sound for a few who load files at the same time.
const BLOCKS_BYTES: usize = 64 << 20;

/// A range of an object.
pub struct Remote {
    vault: Vault,
    key: Key,
    range: Range<u64>,
}

impl Remote {
    pub fn new(vault: Vault, key: Key, range: Range<u64>) -> Self {
        Self { vault, key, range }
    }
}

impl Layout for Remote {
    fn size_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn first(&self, range: Range<u64>) -> Piece {
        let (vault, key) = (self.vault.clone(), self.key.clone());
        let range = self.range.start + range.start..self.range.start + range.end;
        let opened = async move {
            let chunks = vault.get_range(&key, range).await.map_err(io::Error::other)?;
            let rest = stream::unfold(chunks, |mut chunks| async move {
                let chunk: io::Result<Bytes> = chunks.next().await?.map_err(io::Error::other);
                Some((chunk, chunks))
            });
            Ok::<_, io::Error>(rest)
        };
        Piece::Stream(stream::once(opened).try_flatten().boxed())
    }
}

/// Objects of a vault of which pieces are sent, in blocks that all share.
#[derive(Clone)]
pub struct Blocks {
    vault: Vault,
    recent: Arc<Recent<(Key, u64), Bytes>>,
}

impl Blocks {
    pub fn new(vault: Vault) -> Self {
        Self { vault, recent: Arc::new(Recent::new(BLOCKS_BYTES, Bytes::len)) }
    }

    /// The first bytes of a range of an object, which is not empty.
    pub fn first(&self, key: &Key, range: Range<u64>) -> Piece {
        let (blocks, key) = (self.clone(), key.clone());
        let piece = async move {
            let begins = range.start / BLOCK_BYTES * BLOCK_BYTES;
            let block = blocks.recent.get((key.clone(), begins), blocks.fetch(&key, begins)).await;
            let block = block.map_err(io::Error::other)?;
            let within = |at: u64| usize::try_from(at - begins).unwrap_or(usize::MAX).min(block.len());
            Ok(block.slice(within(range.start)..within(range.end)))
        };
        Piece::Later(piece.boxed())
    }

    async fn fetch(&self, key: &Key, begins: u64) -> Result<Bytes, Error> {
        let mut chunks = self.vault.get_range(key, begins..begins + BLOCK_BYTES).await?;
        let mut block = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            block.extend_from_slice(&chunk?);
        }
        Ok(block.freeze())
    }
}

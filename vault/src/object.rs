use crate::{Digest, Error, Key};
use bytes::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Chunks read ahead of whoever takes them.
const READ_AHEAD: usize = 2;

/// Proof that the store holds an object: size and checksum were compared with what the store has, after it was stored. Only
/// the vault can make one. Who has it may delete the local copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) key: Key,
    pub(crate) digest: Digest,
}

impl Receipt {
    /// The object.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What it holds.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was put, by the store's clock, if it says so.
    pub modified: Option<SystemTime>,
}

/// Some of the objects below a key, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most [`Page::OBJECTS_MAX`]. What in the store has a name that is no [`Key`] is left out.
    pub objects: Vec<Object>,
    /// What to ask for the next page with; `None` at the end.
    pub next: Option<String>,
}

impl Page {
    /// The most objects of one page.
    pub const OBJECTS_MAX: usize = 1000;
}

/// The bytes of an object as they come, in chunks of up to 256 KiB or as the network gives them. Whoever drops it ends the
/// reading. Behind an error comes nothing.
#[derive(Debug)]
pub struct Chunks {
    chunks: mpsc::Receiver<Result<Bytes, Error>>,
}

impl Chunks {
    pub(crate) fn channel() -> (mpsc::Sender<Result<Bytes, Error>>, Self) {
        let (sender, chunks) = mpsc::channel(READ_AHEAD);
        (sender, Self { chunks })
    }

    /// The next chunk; `None` when all have come.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.chunks.recv().await
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(context)
    }
}

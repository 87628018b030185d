//! Handing out the bytes of a file a chunk at a time. A reader that takes its time holds a file open, and no thread.

use crate::digest::CHUNK_BYTES;
use crate::{Chunks, Error, meter};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// The bytes of a file in a range that lies within it.
pub(crate) fn chunks(file: File, path: PathBuf, range: Range<u64>) -> Chunks {
    let (sender, chunks) = Chunks::channel();
    tokio::spawn(read(Arc::new(file), path, range, sender));
    chunks
}

async fn read(file: Arc<File>, path: PathBuf, range: Range<u64>, sender: mpsc::Sender<Result<Bytes, Error>>) {
    let mut at = range.start;
    while at < range.end {
        let want = CHUNK_BYTES.min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
        let from = Arc::clone(&file);
        let chunk = spawn_blocking(move || {
            let mut chunk = vec![0; want];
            from.read_exact_at(&mut chunk, at).map(|()| Bytes::from(chunk))
        });
        let chunk = chunk.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let chunk = chunk.map_err(|error| super::trouble(&path, "read", error));
        let is_broken = chunk.is_err();
        if sender.send(chunk).await.is_err() || is_broken {
            return;
        }
        meter::received(want as u64);
        at += want as u64;
    }
}

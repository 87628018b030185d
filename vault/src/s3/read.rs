//! Reading an object, and looking at one.

use super::S3;
use crate::digest::CHUNK_BYTES;
use crate::transfer::{ANSWER, BYTES_MIN, STALL};
use crate::{Chunks, Digest, Error, Key, meter};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// What the store says of an object.
#[derive(Debug)]
pub(super) struct Found {
    pub size_bytes: u64,
    pub modified: Option<SystemTime>,
    /// Without quotes.
    pub etag: Option<String>,
    /// As in its header; of an object sent in parts usually the checksum of their checksums.
    pub crc32: Option<String>,
}

impl S3 {
    pub(super) async fn look(&self, path: &str) -> Result<Found, Error> {
        let asked = self.asked("look at an object", path);
        let found = self.call("head", asked, ANSWER, |_| {
            let request = self.client.head_object().bucket(&self.bucket).key(path);
            request.checksum_mode(ChecksumMode::Enabled).send()
        });
        let found = found.await?;
        Ok(Found {
            size_bytes: u64::try_from(found.content_length.unwrap_or(0)).unwrap_or(0),
            modified: found.last_modified.and_then(|at| SystemTime::try_from(at).ok()),
            etag: found.e_tag.as_deref().map(unquoted),
            crc32: found.checksum_crc32,
        })
    }

    /// Reads a range that is not empty. What the object does not have of it does not come.
    pub async fn read(self: &Arc<Self>, key: &Key, range: Range<u64>) -> Result<Chunks, Error> {
        let mut reading =
            Reading { vault: Arc::clone(self), path: self.path(key), at: range.start, end: range.end, etag: None };
        let body = reading.open().await?;
        let (sender, chunks) = Chunks::channel();
        tokio::spawn(reading.run(body, sender));
        Ok(chunks)
    }

    /// Reads a whole object of this size, to see what is really there.
    pub(super) async fn digest(self: &Arc<Self>, key: &Key, size_bytes: u64) -> Result<Digest, Error> {
        let mut digest = Digest::default();
        if size_bytes > 0 {
            let mut chunks = self.read(key, 0..size_bytes).await?;
            while let Some(chunk) = chunks.next().await {
                digest = digest.and(&chunk?);
            }
        }
        Ok(digest)
    }
}

/// A range being read, from where it is to its end.
struct Reading {
    vault: Arc<S3>,
    path: String,
    at: u64,
    end: u64,
    /// Of the first answer: the rest must be of the same object.
    etag: Option<String>,
}

impl Reading {
    async fn open(&mut self) -> Result<ByteStream, Error> {
        let (vault, first, last) = (&self.vault, self.at, self.end.saturating_sub(1));
        let asked = vault.asked("read an object", &self.path);
        let opened = vault.call("get", asked, ANSWER, |_| {
            let request = vault.client.get_object().bucket(&vault.bucket).key(&self.path);
            request.range(format!("bytes={first}-{last}")).set_if_match(self.etag.clone()).send()
        });
        let opened = opened.await.map_err(|error| match error {
            Error::OutOfRange { key, .. } => Error::OutOfRange { key, first, last: self.end },
            error => error,
        })?;
        let length = u64::try_from(opened.content_length.unwrap_or(0)).unwrap_or(0);
        self.end = self.at.saturating_add(length).min(self.end);
        self.etag = opened.e_tag;
        Ok(opened.body)
    }

    /// Hands out chunks; behind a connection that broke goes on where it was, a few times in a row.
    async fn run(mut self, mut body: ByteStream, sender: mpsc::Sender<Result<Bytes, Error>>) {
        let mut failures = 0;
        loop {
            let from = self.at;
            let Err(error) = self.pass_on(body, &sender).await else { return };
            failures = if self.at > from { 1 } else { failures + 1 };
            let reopened = match self.vault.pause(&error, failures) {
                Some(pause) => {
                    meter::retry("get");
                    sleep(pause).await;
                    self.open().await
                }
                None => Err(error),
            };
            body = match reopened {
                Ok(body) => body,
                Err(error) => {
                    // Whoever is gone has no use for it.
                    let _gone = sender.send(Err(error)).await;
                    return;
                }
            };
        }
    }

    /// Until all has come or nobody takes it. The deadline runs only while the store is waited for.
    async fn pass_on(
        &mut self,
        mut body: ByteStream,
        sender: &mpsc::Sender<Result<Bytes, Error>>,
    ) -> Result<(), Error> {
        let (mut deadline, mut moved) = (Instant::now() + STALL, 0);
        while self.at < self.end {
            let stalled = |_| Error::Stalled { doing: "read an object", still_s: STALL.as_secs() };
            let broken = |reason: String| Error::Unreachable { endpoint: self.vault.endpoint.clone(), reason };
            let next = timeout_at(deadline, body.next()).await.map_err(stalled)?;
            let mut chunk = match next {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return Err(broken(error.to_string())),
                None => return Err(broken("the connection ended in the middle of an object".into())),
            };
            moved += chunk.len() as u64;
            chunk.truncate(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
            self.at += chunk.len() as u64;
            meter::received(chunk.len() as u64);
            let waited = Instant::now();
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(CHUNK_BYTES));
                if sender.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
            deadline += waited.elapsed();
            if moved >= BYTES_MIN {
                (deadline, moved) = (Instant::now() + STALL, 0);
            }
        }
        Ok(())
    }
}

pub(super) fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

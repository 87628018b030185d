//! The body of an upload: read from its file as the network takes it, a few chunks ahead.

use crate::Source;
use crate::digest::CHUNK_BYTES;
use crate::pace::Pace;
use crate::transfer::Transfer;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

/// Smaller than what is read at a time elsewhere, so that a low cap on the speed is kept evenly by several uploads.
const SEND_BYTES: usize = CHUNK_BYTES / 4;
const READ_AHEAD: usize = 2;

/// A part of a source, counted from its offset, not faster than `pace`. Reading ends when the body is dropped.
pub(super) fn of_file(
    source: &Source,
    file: &Arc<File>,
    part: Range<u64>,
    pace: &Arc<Pace>,
    transfer: Arc<Transfer>,
) -> ByteStream {
    let (sender, chunks) = mpsc::channel(READ_AHEAD);
    let left = part.end - part.start;
    if left > 0 {
        transfer.begin();
        let offset = source.offset.saturating_add(part.start);
        tokio::spawn(read(Arc::clone(file), offset, left, Arc::clone(pace), sender));
    }
    ByteStream::new(SdkBody::from_body_1_x(FileBody { chunks, left, source: source.clone(), transfer }))
}

async fn read(file: Arc<File>, offset: u64, size_bytes: u64, pace: Arc<Pace>, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut done = 0;
    while done < size_bytes {
        let want = SEND_BYTES.min(usize::try_from(size_bytes - done).unwrap_or(usize::MAX));
        let from = Arc::clone(&file);
        let chunk = spawn_blocking(move || {
            let mut chunk = vec![0; want];
            from.read_exact_at(&mut chunk, offset + done).map(|()| Bytes::from(chunk))
        });
        let chunk = chunk.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let is_broken = chunk.is_err();
        sleep_until(pace.admit(want, Instant::now())).await;
        if sender.send(chunk).await.is_err() || is_broken {
            return;
        }
        done += want as u64;
    }
}

struct FileBody {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    source: Source,
    transfer: Arc<Transfer>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match ready!(self.chunks.poll_recv(context)) {
            Some(Ok(chunk)) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                self.transfer.moved(chunk.len(), self.left == 0);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Some(Err(error)) => {
                let told = io::Error::new(error.kind(), "the file could not be read");
                self.transfer.fail(self.source.unreadable(error));
                Poll::Ready(Some(Err(told)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

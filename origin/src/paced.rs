//! A socket that gives up on a peer which stops reading.

use crate::activity::Activity;
use crate::gate::REFUSED;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Wraps a socket: a write that makes no progress for the given time fails with [`io::ErrorKind::TimedOut`].
///
/// Reads are not timed here, because a connection that waits for a blocked playlist or an event stream is silent for
/// good reason; request heads, request bodies and idle connections have deadlines of their own.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    socket: S,
    peer: SocketAddr,
    patience: Duration,
    activity: Arc<Activity>,
    // Allocated at the first write that has to wait and then kept, since a slow peer will make us wait again.
    alarm: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<S> Paced<S> {
    pub(crate) fn new(socket: S, peer: SocketAddr, patience: Duration, activity: Arc<Activity>) -> Paced<S> {
        Paced { socket, peer, patience, activity, alarm: None, waiting: false }
    }

    fn timed<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if std::mem::take(&mut self.waiting) {
                self.activity.blocks(false);
            }
            return outcome;
        }
        let alarm = if self.waiting {
            self.alarm.as_mut()
        } else {
            self.waiting = true;
            self.activity.blocks(true);
            let due = Instant::now() + self.patience;
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(due),
                None => self.alarm = Some(Box::pin(sleep_until(due))),
            }
            self.alarm.as_mut()
        };
        if alarm.is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready()) {
            REFUSED.turn_away("stalled", &self.peer, &"it took none of its bytes", Instant::now().into_std());
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.hear();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.timed(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.timed(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_given_up_after_the_patience() {
        let (near, _far) = tokio::io::duplex(16);
        let mut paced =
            Paced::new(near, SocketAddr::from(([127, 0, 0, 1], 9)), Duration::from_secs(30), Activity::new());
        let begin = Instant::now();
        let error = paced.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_goes_on_is_kept() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut paced =
            Paced::new(near, SocketAddr::from(([127, 0, 0, 1], 9)), Duration::from_secs(30), Activity::new());
        let reader = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                far.read_exact(&mut [0; 16]).await.unwrap();
            }
        });
        paced.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }
}

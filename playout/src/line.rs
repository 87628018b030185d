//! A player's socket and what is on its way to it. Knows no task: whoever holds it reads and writes.

use crate::batch::Batch;
use crate::broadcast::Reception;
use crate::ring::Place;
use metrics::{Counter, counter};
use rtmp::{Event, ServerSession};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// Players send acknowledgements and little else.
const BUFFER: usize = 4 << 10;
/// What is left to be sent at the end, the goodbye included, has to be taken in this time.
const FAREWELL: Duration = Duration::from_secs(2);
/// Then the player may read it before the socket closes: closing with unread input would reset the connection and destroy the
/// words on their way.
const LINGER: Duration = Duration::from_millis(500);

/// A player's socket, the session that speaks on it, where the player is and what is on its way.
pub(crate) struct Line<S> {
    stream: S,
    session: ServerSession,
    place: Place,
    batch: Batch,
    /// What was written may still be inside TLS.
    is_flushed: bool,
    /// Everything there will ever be is sent or in the batch.
    is_over: bool,
    /// What a write said that nobody could be told of at once.
    failed: Option<io::Error>,
    /// When it took bytes, or had nothing to take.
    progress: Instant,
    pub tally: Tally,
    buffer: Box<[u8; BUFFER]>,
}

/// How a player's connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ending {
    #[error("the stream is over")]
    Over,
    #[error("the player said goodbye")]
    Goodbye,
    #[error("the player closed the connection")]
    Hangup,
    #[error("the connection broke: {0}")]
    Io(io::Error),
    #[error("it sent {0}")]
    Protocol(#[from] rtmp::Error),
    #[error("it took no byte for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the stream is not for players over RTMP any more")]
    SentAway,
    #[error("the server stops")]
    Stopping,
}

impl Ending {
    /// A bounded label for counters.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Goodbye => "goodbye",
            Self::Hangup => "hangup",
            Self::Io(_) => "io",
            Self::Protocol(_) => "protocol",
            Self::Stalled(_) => "stalled",
            Self::SentAway => "sent_away",
            Self::Stopping => "stopping",
        }
    }

    /// What to tell the player, if it is still there to hear it.
    pub(crate) fn farewell(&self) -> Option<&'static str> {
        match self {
            Self::Over => Some("The stream is over."),
            Self::SentAway => {
                Some("The stream is private now; watch it in a browser, with the link its streamer gives out.")
            }
            Self::Stopping => Some("The server is stopping; play the stream again in a minute."),
            Self::Goodbye | Self::Hangup | Self::Io(_) | Self::Protocol(_) | Self::Stalled(_) => None,
        }
    }
}

/// What is counted of a player.
pub(crate) struct Tally {
    pub sent_bytes: u64,
    published_bytes: u64,
    pub lost: u64,
    sent_counter: Counter,
    lost_counter: Counter,
}

impl Tally {
    fn new() -> Self {
        let sent_counter = counter!("weir_playout_sent_bytes_total");
        let lost_counter = counter!("weir_playout_dropped_units_total");
        Self { sent_bytes: 0, published_bytes: 0, lost: 0, sent_counter, lost_counter }
    }

    /// Told to the counter now and then: it is shared by all players, and by all threads.
    pub(crate) fn publish(&mut self) {
        self.sent_counter.increment(self.sent_bytes - self.published_bytes);
        self.published_bytes = self.sent_bytes;
    }

    fn lost(&mut self, units: u64) {
        if units > 0 {
            self.lost += units;
            self.lost_counter.increment(units);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(crate) fn new(stream: S, session: ServerSession) -> Self {
        Self {
            stream,
            session,
            place: Place::new(),
            batch: Batch::default(),
            is_flushed: true,
            is_over: false,
            failed: None,
            progress: Instant::now(),
            tally: Tally::new(),
            buffer: Box::new([0; BUFFER]),
        }
    }

    /// Says yes to the play request.
    pub(crate) fn accept(&mut self) -> Result<(), Ending> {
        Ok(self.session.accept_play()?)
    }

    /// Takes what is to be sent next and hears what the player asked for; the end when that was one, or everything is sent.
    pub(crate) fn prepare(&mut self, reception: &Reception) -> Result<(), Ending> {
        loop {
            if self.batch.is_empty() {
                self.progress = Instant::now();
                self.fill(reception);
                if self.is_over && self.batch.is_empty() {
                    return Err(Ending::Over);
                }
            }
            // What came together with the play command is in the session already.
            match self.session.next_event() {
                None => return Ok(()),
                Some(Event::PlayStopped) => return Err(Ending::Goodbye),
                Some(_) => {}
            }
        }
    }

    /// Writes what is new, as much as the socket takes at once. False when the player's own task has to go on: for the rest, for a
    /// fault, or for the end.
    pub(crate) fn deliver(&mut self, reception: &Reception, now: Instant) -> bool {
        if !self.batch.is_empty() || !self.is_flushed || self.failed.is_some() {
            // It has been told to.
            return true;
        }
        self.fill(reception);
        if self.batch.is_empty() {
            return !self.is_over;
        }
        self.progress = now;
        let is_all = !self.batch.is_full();
        match self.write(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => is_all && self.batch.is_empty() && self.is_flushed && !self.is_over,
            Poll::Ready(Err(error)) => {
                self.failed = Some(error);
                false
            }
            Poll::Pending => false,
        }
    }

    /// Ends the connection from outside of its task, which is told of it by `error` at its next step.
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.failed = Some(error);
    }

    /// It has taken nothing for so long, though something waits.
    pub(crate) fn is_stalled(&self, most: Duration) -> bool {
        !self.batch.is_empty() && self.progress.elapsed() >= most
    }

    /// Reads or writes once. While an answer of ours waits for its turn nothing more is read, or a player that asks and takes
    /// nothing would fill the memory. A step that is not ready has done nothing.
    pub(crate) fn step(&mut self, cx: &mut Context<'_>, stall: Duration) -> Poll<Result<(), Ending>> {
        let told = |error: io::Error| match error.kind() {
            // What the kernel says of a peer that acknowledges nothing, or lets no byte in.
            io::ErrorKind::TimedOut => Ending::Stalled(stall),
            _ => Ending::Io(error),
        };
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(told(error)));
        }
        if !self.session.has_output() {
            let mut into = ReadBuf::new(&mut self.buffer[..]);
            if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut into) {
                let count = into.filled().len();
                return Poll::Ready(match read {
                    Ok(()) if count == 0 => Err(Ending::Hangup),
                    Ok(()) => self.session.input(&self.buffer[..count]).map_err(Ending::Protocol),
                    Err(error) => Err(told(error)),
                });
            }
        }
        if !self.batch.is_empty() {
            ready!(self.write(cx)).map_err(told)?;
            self.progress = Instant::now();
            return Poll::Ready(Ok(()));
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(told)?;
            self.is_flushed = true;
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Takes what is to be sent next.
    fn fill(&mut self, reception: &Reception) {
        if self.session.has_output() {
            self.batch.push(self.session.take_output());
        }
        let (lost, is_over) = reception.read(&mut self.place, &mut self.batch);
        self.is_over = is_over;
        self.tally.lost(lost);
    }

    /// Writes the front of the batch once, and flushes it when that was all.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = Batch::no_slices();
        let count = self.batch.slices(&mut slices);
        let stream = Pin::new(&mut self.stream);
        let written = ready!(match &slices[..count] {
            // A vector of one costs a twentieth more than a plain write.
            [only] => stream.poll_write(cx, only),
            several => stream.poll_write_vectored(cx, several),
        })?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.batch.advance(written);
        self.tally.sent_bytes += written as u64;
        // At once, as TCP has nothing to flush: another step would cost half as much as the write.
        self.is_flushed = self.batch.is_empty() && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready();
        Poll::Ready(Ok(()))
    }

    /// Sends what is on its way and the last words, and lets the player read them.
    pub(crate) async fn say_goodbye(mut self, text: &str) {
        self.session.end_play(text);
        self.batch.push(self.session.take_output());
        let words = async {
            while !self.batch.is_empty() {
                let mut slices = Batch::no_slices();
                let count = self.batch.slices(&mut slices);
                match self.stream.write_vectored(&slices[..count]).await {
                    Ok(written @ 1..) => self.batch.advance(written),
                    _ => return,
                }
            }
            // A player that is gone needs no words.
            let _gone = self.stream.shutdown().await;
        };
        if timeout(FAREWELL, words).await.is_err() {
            return;
        }
        let drain = async { while let Ok(1..) = self.stream.read(&mut self.buffer[..]).await {} };
        // Either way the socket closes now.
        let _read_or_late = timeout(LINGER, drain).await;
    }
}

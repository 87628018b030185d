//! One player's connection from the yes to the end. One task, one small read buffer.

use crate::batch::Batch;
use crate::broadcast::Reception;
use crate::ring::Place;
use crate::{Limits, Tuned};
use metrics::{Counter, counter, gauge};
use rtmp::{Event, ServerSession};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// Players send acknowledgements and little else.
const BUFFER: usize = 4 << 10;
/// How often a player that takes nothing is looked for.
const TICK: Duration = Duration::from_secs(1);
/// What is left to be sent at the end, the goodbye included, has to be taken in this time.
const FAREWELL: Duration = Duration::from_secs(2);
/// Then the player may read it before the socket closes: closing with unread input would reset the connection and destroy the
/// words on their way.
const LINGER: Duration = Duration::from_millis(500);

/// A player's socket, the session that speaks on it, and what is on its way.
pub(crate) struct Player<S> {
    stream: S,
    session: ServerSession,
    batch: Batch,
    /// What was written may still be inside TLS.
    is_flushed: bool,
    buffer: Box<[u8; BUFFER]>,
}

/// How a player's connection ended.
#[derive(Debug, thiserror::Error)]
enum Ending {
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
    fn label(&self) -> &'static str {
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
    fn farewell(&self) -> Option<&'static str> {
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

/// What became of a look at the socket.
enum Step {
    Read(usize),
    Written(usize),
    Flushed,
}

/// What is counted of a player.
struct Tally {
    sent_bytes: u64,
    published_bytes: u64,
    lost: u64,
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
    fn publish(&mut self) {
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

/// Adds one to the gauge of players for as long as it lives, panics included.
struct Present;

impl Present {
    fn new() -> Self {
        gauge!("weir_playout_players").increment(1.0);
        Self
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        gauge!("weir_playout_players").decrement(1.0);
    }
}

/// A player's connection; ends with it.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    mut player: Player<S>,
    tuned: &Tuned,
    limits: &Limits,
    stop: CancellationToken,
    span: &Span,
) {
    let _present = Present::new();
    let (began, mut tally) = (Instant::now(), Tally::new());
    span.in_scope(|| tracing::info!("player accepted"));
    let ending = player.serve(tuned, limits, &stop, &mut tally).await;
    tally.publish();
    counter!("weir_playout_players_ended_total", "reason" => ending.label()).increment(1);
    span.in_scope(|| {
        tracing::info!(
            reason = %ending,
            seconds = began.elapsed().as_secs(),
            bytes = tally.sent_bytes,
            lost_units = tally.lost,
            "player left"
        );
    });
    if let Some(text) = ending.farewell() {
        player.session.end_play(text);
        player.say_goodbye().await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Player<S> {
    pub(crate) fn new(stream: S, session: ServerSession) -> Self {
        Self { stream, session, batch: Batch::default(), is_flushed: true, buffer: Box::new([0; BUFFER]) }
    }

    async fn serve(&mut self, tuned: &Tuned, limits: &Limits, stop: &CancellationToken, tally: &mut Tally) -> Ending {
        if let Err(error) = self.session.accept_play() {
            return error.into();
        }
        let (reception, mut place) = (tuned.receive(), Place::new());
        let mut progress = Instant::now();
        let mut tick = tokio::time::interval(TICK.min(limits.stall / 4));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Waited for across all steps, so it is registered once.
        let (stopped, sent_away) = (stop.cancelled(), reception.sent_away());
        tokio::pin!(stopped, sent_away);
        loop {
            let changed = reception.changed();
            if self.batch.is_empty() {
                progress = Instant::now();
                if self.fill(&reception, &mut place, tally) {
                    return Ending::Over;
                }
            }
            // What came together with the play command is in the session already.
            match self.session.next_event() {
                None => {}
                Some(Event::PlayStopped) => return Ending::Goodbye,
                Some(_) => continue,
            }
            let is_idle = self.batch.is_empty();
            // A step that is not ready has done nothing, so all of these are cancel safe.
            tokio::select! {
                step = poll_fn(|cx| self.step(cx)) => match step {
                    Ok(Step::Read(0)) => return Ending::Hangup,
                    Ok(Step::Read(count)) => {
                        if let Err(error) = self.session.input(&self.buffer[..count]) {
                            return error.into();
                        }
                    }
                    Ok(Step::Written(count)) => {
                        progress = Instant::now();
                        tally.sent_bytes += count as u64;
                    }
                    Ok(Step::Flushed) => {}
                    // What the kernel says of a peer that acknowledges nothing, or lets no byte in.
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ending::Stalled(limits.stall),
                    Err(error) => return Ending::Io(error),
                },
                () = changed, if is_idle => {}
                () = &mut stopped => return Ending::Stopping,
                () = &mut sent_away => return Ending::SentAway,
                _ = tick.tick() => {
                    tally.publish();
                    if !is_idle && progress.elapsed() >= limits.stall {
                        return Ending::Stalled(limits.stall);
                    }
                }
            }
        }
    }

    /// Takes what is to be sent next; true when the stream is over and all of it was sent.
    fn fill(&mut self, reception: &Reception, place: &mut Place, tally: &mut Tally) -> bool {
        if self.session.has_output() {
            self.batch.push(self.session.take_output());
        }
        let (lost, is_over) = reception.read(place, &mut self.batch);
        tally.lost(lost);
        is_over && self.batch.is_empty()
    }

    /// Reads or writes once. While an answer of ours waits for its turn nothing more is read, or a player that asks and takes
    /// nothing would fill the memory.
    fn step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if !self.session.has_output() {
            let mut into = ReadBuf::new(&mut self.buffer[..]);
            if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut into) {
                return Poll::Ready(read.map(|()| Step::Read(into.filled().len())));
            }
        }
        if !self.batch.is_empty() {
            let mut slices = Batch::no_slices();
            let count = self.batch.slices(&mut slices);
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.batch.advance(written);
            // At once, as TCP has nothing to flush: another step would cost half as much as the write.
            self.is_flushed = self.batch.is_empty() && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready();
            return Poll::Ready(Ok(Step::Written(written)));
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
            return Poll::Ready(Ok(Step::Flushed));
        }
        Poll::Pending
    }

    /// Sends what is on its way and the last words, and lets the player read them.
    async fn say_goodbye(&mut self) {
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

//! A copy on one connection, from the first byte of media to the end.

use crate::advice::Advice;
use crate::copyist::Copyist;
use crate::fault::{Fault, words};
use crate::line::{Line, Timings, Wire};
use crate::meter::Meter;
use crate::outlet::{Board, Inflow, LOOK};
use crate::{Rules, Target, TargetKey};
use bytes::{Buf as _, Bytes};
use metrics::counter;
use rtmp::client::PublisherEvent;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes that are made ready at a time; what is behind them waits in the queue, where it can be dropped.
const BATCH_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 4 << 10;
/// The kernel is asked for the round trip at every so many looks.
const ROUND_TRIP_LOOKS: u32 = 4;

/// How it ended.
pub(crate) enum End {
    /// The session is over, or nobody wants the copy any more.
    Done,
    /// Something is wrong.
    Fault(Fault),
}

/// One connection that takes media.
pub(crate) struct Run {
    reading: ReadHalf<Box<dyn Wire>>,
    writing: WriteHalf<Box<dyn Wire>>,
    ends: Option<(SocketAddr, SocketAddr)>,
    copyist: Copyist,
    timings: Timings,
    key: TargetKey,
    host: String,
    rules: Rules,
    silence: bool,
    /// What is being written, and whether TLS may still hold some of what was.
    batch: Bytes,
    is_unflushed: bool,
    began: Instant,
    /// When the server last took a byte, or nothing waited for it.
    progress: Instant,
    sent_bytes: u64,
    /// Of `sent_bytes`, drops: what the status has.
    told: (u64, u64, u64),
    meter: Meter,
    looks: u32,
}

impl Run {
    pub fn new(line: Line, copyist: Copyist, timings: &Timings, target: &Target) -> Self {
        let (reading, writing) = tokio::io::split(line.wire);
        let now = Instant::now();
        Self {
            reading,
            writing,
            ends: line.ends,
            copyist,
            timings: timings.clone(),
            key: target.key.clone(),
            host: target.url.host().to_owned(),
            rules: target.rules,
            silence: target.silence,
            batch: Bytes::new(),
            is_unflushed: false,
            began: now,
            progress: now,
            sent_bytes: 0,
            told: (0, 0, 0),
            meter: Meter::default(),
            looks: 0,
        }
    }

    pub async fn run(mut self, inflow: &mut Inflow, board: &mut Board, stop: &CancellationToken) -> End {
        // Drops of connections before this one are told.
        (self.told.1, self.told.2) = (inflow.queue.dropped_units, inflow.queue.drops);
        let end = self.work(inflow, board, stop).await;
        self.look(inflow, board);
        if matches!(end, End::Done) {
            self.farewell(inflow).await;
        }
        end
    }

    async fn work(&mut self, inflow: &mut Inflow, board: &mut Board, stop: &CancellationToken) -> End {
        let mut read = [0; READ_BYTES];
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(error) = self.fill(inflow) {
                return End::Fault(self.said(&error));
            }
            if inflow.is_over && inflow.queue.is_empty() && self.batch.is_empty() {
                return End::Done;
            }
            // Or a server that asks much and takes little would fill the memory with answers.
            let may_ask = self.copyist.publisher().output_len() < BATCH_BYTES;
            tokio::select! {
                () = stop.cancelled() => return End::Done,
                () = inflow.take() => {}
                count = self.reading.read(&mut read), if may_ask => {
                    if let Some(fault) = self.hear(count, &read) {
                        return End::Fault(fault);
                    }
                }
                written = write(&mut self.writing, &self.batch, self.is_unflushed) => {
                    if let Some(fault) = self.wrote(written) {
                        return End::Fault(fault);
                    }
                }
                _ = look.tick() => {
                    self.look(inflow, board);
                    let still = self.progress.elapsed();
                    if still >= self.timings.progress {
                        return End::Fault(Fault::Stalled(still.as_secs()));
                    }
                    // Who is too slow for the end of a session does not hold it up.
                    if inflow.is_over && still >= self.timings.goodbye {
                        return End::Done;
                    }
                }
            }
        }
    }

    /// Makes the next bytes ready when the last ones are on their way.
    fn fill(&mut self, inflow: &mut Inflow) -> Result<(), rtmp::Error> {
        if !self.batch.is_empty() {
            return Ok(());
        }
        while self.copyist.publisher().output_len() < BATCH_BYTES {
            let Some(next) = inflow.queue.pop() else { break };
            self.copyist.write(next)?;
        }
        self.batch = self.copyist.publisher().take_output();
        if !self.batch.is_empty() && !self.is_unflushed {
            self.progress = Instant::now();
        }
        Ok(())
    }

    fn hear(&mut self, count: io::Result<usize>, read: &[u8]) -> Option<Fault> {
        let heard = match count {
            Ok(count) if count > 0 => read.get(..count).unwrap_or_default(),
            broken => return Some(self.broken(broken.err().as_ref())),
        };
        if let Err(error) = self.copyist.publisher().input(heard) {
            return Some(self.said(&error));
        }
        while let Some(event) = self.copyist.publisher().next_event() {
            if let PublisherEvent::Ended { code } = event {
                return Some(Fault::Ended { seconds: self.began.elapsed().as_secs(), words: words(&code, &self.key) });
            }
        }
        None
    }

    /// The connection is over, by the server's will or the network's.
    fn broken(&self, error: Option<&io::Error>) -> Fault {
        match error {
            // The kernel gave it up, as nothing was acknowledged.
            Some(error) if error.kind() == io::ErrorKind::TimedOut => Fault::Stalled(self.progress.elapsed().as_secs()),
            _ => Fault::Closed(self.began.elapsed().as_secs()),
        }
    }

    fn said(&self, error: &rtmp::Error) -> Fault {
        Fault::of_rtmp(error, &self.host, &self.key, Some(self.began.elapsed()))
    }

    fn wrote(&mut self, written: io::Result<usize>) -> Option<Fault> {
        match written {
            // Flushed: nothing is on its way any more.
            Ok(0) if self.batch.is_empty() => self.is_unflushed = false,
            Ok(count) if count > 0 => {
                self.batch.advance(count.min(self.batch.len()));
                self.sent_bytes += count as u64;
                self.is_unflushed = true;
            }
            broken => return Some(self.broken(broken.err().as_ref())),
        }
        self.progress = Instant::now();
        None
    }

    /// Tells how it goes.
    fn look(&mut self, inflow: &mut Inflow, board: &mut Board) {
        let now = Instant::now();
        if self.batch.is_empty() && !self.is_unflushed {
            self.progress = now;
        }
        inflow.watch.tick(now);
        let advice: Vec<Advice> = inflow.watch.advice(&self.rules, self.silence || inflow.has_sound());
        let bitrate_bps = self.meter.look(self.sent_bytes, now);
        let is_due = self.looks.is_multiple_of(ROUND_TRIP_LOOKS);
        self.looks = self.looks.wrapping_add(1);
        // A few microseconds of the kernel's, every two seconds.
        let asked = self.ends.filter(|_| is_due).map(|(local, peer)| gatehouse::round_trip(local, peer));
        let before =
            std::mem::replace(&mut self.told, (self.sent_bytes, inflow.queue.dropped_units, inflow.queue.drops));
        let (sent, units, drops) = (self.told.0 - before.0, self.told.1 - before.1, self.told.2 - before.2);
        counter!("weir_restream_sent_bytes_total", "service" => board.service()).increment(sent);
        if units > 0 {
            counter!("weir_restream_dropped_units_total", "service" => board.service()).increment(units);
        }
        board.look(now, |status| {
            status.sent_bytes += sent;
            status.dropped_units += units;
            status.drops += drops;
            status.bitrate_bps = bitrate_bps;
            status.advice = advice;
            if let Some(asked) = asked {
                status.round_trip = asked.ok();
            }
        });
    }

    /// Says goodbye, as far as the server listens.
    async fn farewell(mut self, inflow: &mut Inflow) {
        let patience: Duration = self.timings.goodbye;
        let words = async {
            self.writing.write_all(&self.batch).await?;
            while inflow.is_over
                && let Some(next) = inflow.queue.pop()
            {
                // It was publishing until now, so it still is.
                if self.copyist.write(next).is_err() {
                    break;
                }
            }
            self.copyist.publisher().finish();
            let last = self.copyist.publisher().take_output();
            self.writing.write_all(&last).await?;
            self.writing.shutdown().await
        };
        if !matches!(timeout(patience, words).await, Ok(Ok(()))) {
            tracing::debug!(host = self.host, "the target did not hear the goodbye");
        }
    }
}

/// Writes some of `batch`, or flushes when there is none; never returns when neither is to be done. 0 for a flush. Cancel safe:
/// what was written is told.
async fn write(writing: &mut WriteHalf<Box<dyn Wire>>, batch: &Bytes, is_unflushed: bool) -> io::Result<usize> {
    if !batch.is_empty() {
        return writing.write(batch).await;
    }
    if is_unflushed {
        return writing.flush().await.map(|()| 0);
    }
    std::future::pending().await
}

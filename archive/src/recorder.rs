//! [`Recorder`]: the task that follows a session's window and records it.

use crate::catalog::Shared;
use crate::deck::{Deck, Fault};
use crate::{SessionName, Timeline};
use packager::{Cursor, Step, Window};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A full disk is asked again after so long, and so is one that failed for the first time.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// One that goes on failing at last only every so often: about as long as the window waits.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A fault this long after the one before counts as the first again.
const FORGIVEN: Duration = Duration::from_secs(60);
/// What is left of a session that is over waits so long for a disk that takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a recording is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// What is published is on the disk at once.
    Recording,
    /// Nothing is written for now. What leaves the window meanwhile is lost to the recording, and to nothing else.
    Paused(Pause),
    /// The session or the server ended, and with it the recording.
    Ended,
}

/// Why nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The archive is as large as it may be ([`crate::Settings::quota_bytes`]).
    Quota,
    /// The disk has no room, or no more than its reserve.
    DiskFull,
    /// The disk failed.
    DiskError,
}

impl Pause {
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::DiskError,
        }
    }

    /// For metrics.
    fn word(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::DiskFull => "disk_full",
            Self::DiskError => "disk_error",
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All that was published is written; a round of the archive syncs it.
    All,
    /// The disk does not take it now; the window still holds it.
    Paused(Pause),
    /// Something that the window does not hold any more is missing.
    Lost,
}

/// Records one session. What it lost is counted in `weir_archive_lost_segments_total`, by reason.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    deck: Deck,
    window: Arc<Window>,
    changes: watch::Receiver<()>,
    /// One for each rendition; none before the first step, and after a fault.
    cursors: Vec<Cursor>,
    /// Where to begin then: everything below is recorded, or lost.
    from: u64,
    has_begun: bool,
    has_lost: bool,
    paused: Option<Paused>,
    state: watch::Sender<State>,
    /// Faults in a row, and when the last one was.
    faults: u32,
    last_fault: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Paused {
    why: Pause,
    until: Instant,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<Shared>, timeline: Arc<Timeline>, window: Arc<Window>, next_serial: u32) -> Self {
        let (changes, from) = (window.changes(), timeline.next_msn());
        let deck = Deck::new(Arc::clone(&shared), timeline, window.renditions(), next_serial);
        let state = watch::Sender::new(State::Recording);
        let (cursors, has_begun, has_lost) = (Vec::new(), false, false);
        let (paused, faults, last_fault) = (None, 0, None);
        Self { shared, deck, window, changes, cursors, from, has_begun, has_lost, paused, state, faults, last_fault }
    }

    /// How the recording is doing, and its changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// What is recorded of the session, those parts of it included that a server before this one recorded.
    pub fn timeline(&self) -> Arc<Timeline> {
        Arc::clone(self.deck.timeline())
    }

    /// Records until the session ends or `stop`, whatever the disk does. Each change of a playlist wakes it; one batch is in
    /// flight at a time, on a thread that may block. After `stop` it writes what is published by then. It ends when the disk
    /// has taken the batch in flight: a disk that hangs is the caller's to give up on.
    pub async fn run(self, stop: CancellationToken) {
        let mut recorder = Box::new(self);
        let mut over_since = None;
        loop {
            // Before the look at what there is: what comes meanwhile wakes it again.
            recorder.changes.mark_unchanged();
            if recorder.window.has_ended() {
                over_since.get_or_insert_with(Instant::now);
            }
            let is_stopped = stop.is_cancelled();
            let step = tokio::task::spawn_blocking(move || {
                recorder.step(Instant::now());
                recorder
            });
            recorder = match step.await {
                Ok(recorder) => recorder,
                Err(error) => return tracing::error!(%error, "a recording broke off; the next start mends it"),
            };
            let is_over = over_since.is_some_and(|since| recorder.paused.is_none() || since.elapsed() > PATIENCE);
            if is_stopped || is_over {
                break;
            }
            let news = async {
                match recorder.paused {
                    Some(paused) => tokio::time::sleep_until(paused.until.into()).await,
                    // The window holds the sender.
                    None => drop(recorder.changes.changed().await),
                }
            };
            // Cancel safe: a change that is not seen here is seen next time.
            tokio::select! {
                () = stop.cancelled() => {}
                () = news => {}
            }
        }
        let finish = tokio::task::spawn_blocking(move || recorder.finish());
        if let Err(error) = finish.await {
            tracing::error!(%error, "a recording broke off at its end; the next start mends it");
        }
    }

    /// Writes what was published since the last time, on this thread. For who makes a recording faster than real time and so has to wait
    /// for the disk; who calls this does not [`run`](Recorder::run) it. Blocks for as long as the disk takes.
    pub fn take(&mut self) -> Taken {
        self.step(Instant::now());
        match self.paused {
            _ if self.has_lost => Taken::Lost,
            Some(paused) => Taken::Paused(paused.why),
            None => Taken::All,
        }
    }

    /// Ends a recording that was [taken](Recorder::take), and syncs it. Gives whether all that was taken is on the disk for good: it may be
    /// in the timeline and still be lost at the next start. Blocks for as long as the disk takes.
    #[must_use]
    pub fn end(mut self) -> bool {
        self.deck.finish();
        self.shared.round();
        let is_safe = !self.has_lost && self.deck.is_safe();
        self.finish();
        is_safe
    }

    /// Writes what was published since the last step, if the disk may be asked at `now`. Blocks.
    pub(crate) fn step(&mut self, now: Instant) {
        if let Err(fault) = self.deck.check() {
            self.fail(fault, now);
        }
        if self.paused.is_some_and(|paused| now < paused.until) {
            return;
        }
        if let Some(why) = self.shared.volume.shortage() {
            return self.pause(why, now + RETRY_MIN);
        }
        let batch = self.collect();
        if let Err(fault) = self.deck.write(batch) {
            return self.fail(fault, now);
        }
        if let Some(paused) = self.paused.take() {
            tracing::info!(session = %self.session(), after = paused.why.word(), "recording goes on");
            metrics::gauge!("weir_archive_paused").decrement(1);
            self.state.send_replace(State::Recording);
        }
    }

    /// Ends the recording. Blocks.
    pub(crate) fn finish(self) {
        let Self { mut deck, paused, state, .. } = self;
        deck.finish();
        drop(deck);
        if paused.is_some() {
            metrics::gauge!("weir_archive_paused").decrement(1);
        }
        state.send_replace(State::Ended);
    }

    fn session(&self) -> &SessionName {
        self.deck.timeline().session()
    }

    /// What each rendition published since it was last asked. When the window has forgotten some of it, the recording goes on behind
    /// that, in a new reel.
    fn collect(&mut self) -> Vec<Vec<Step>> {
        if self.cursors.is_empty() {
            self.aim();
        }
        let mut batch = self.follow();
        if batch.iter().flatten().any(|step| matches!(step, Step::Lost { .. })) {
            self.from = self.deck.behind();
            self.deck.finish();
            self.aim();
            batch = self.follow();
        }
        batch
    }

    fn follow(&mut self) -> Vec<Vec<Step>> {
        let renditions = self.window.renditions();
        renditions.iter().zip(&mut self.cursors).map(|(rendition, cursor)| rendition.follow(cursor)).collect()
    }

    /// Begins at the oldest segment that all renditions still have and that is not recorded.
    fn aim(&mut self) {
        let renditions = self.window.renditions();
        let oldest = renditions.iter().map(|rendition| rendition.oldest()).max().unwrap_or(0);
        let msn = oldest.max(self.from);
        // What was published before there was a recorder is not lost.
        let was_aimed = std::mem::replace(&mut self.has_begun, true);
        let lost = if was_aimed { (msn - self.from) * renditions.len() as u64 } else { 0 };
        if lost > 0 {
            self.has_lost = true;
            let why = self.paused.map_or("slow_disk", |paused| paused.why.word());
            metrics::counter!("weir_archive_lost_segments_total", "reason" => why).increment(lost);
            tracing::warn!(session = %self.session(), segments = lost, why, "a part of the recording is missing");
        }
        self.cursors = vec![Cursor::at(msn); renditions.len()];
        self.deck.start(msn);
    }

    fn fail(&mut self, fault: Fault, now: Instant) {
        let is_new = self.last_fault.is_none_or(|last| now.saturating_duration_since(last) > FORGIVEN);
        self.faults = if is_new { 0 } else { self.faults + 1 };
        self.last_fault = Some(now);
        let wait = RETRY_MIN.saturating_mul(1 << self.faults.min(5)).min(RETRY_MAX);
        tracing::warn!(session = %self.session(), error = %fault.error, ?wait, "the disk does not take the recording");
        // What another fault left to be written again still is.
        let is_first = !self.cursors.is_empty();
        self.from = if is_first { fault.from } else { self.from.min(fault.from) };
        self.cursors.clear();
        self.pause(fault.pause, now + wait);
    }

    fn pause(&mut self, why: Pause, until: Instant) {
        if self.paused.is_none_or(|paused| paused.why != why) {
            tracing::warn!(session = %self.session(), why = why.word(), "recording is paused; the live stream goes on");
        }
        if self.paused.replace(Paused { why, until }).is_none() {
            metrics::gauge!("weir_archive_paused").increment(1);
        }
        self.state.send_if_modified(|state| std::mem::replace(state, State::Paused(why)) != State::Paused(why));
    }
}

#[cfg(test)]
mod tests;

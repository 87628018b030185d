//! A session while something of its publisher's is missing: a slate is shown in its place, or time goes on in gaps.

use super::slate::{self, Meeting, Missing, Step};
use super::source::{Source, TICK};
use super::{Session, lock, plan};
use crate::api::LogKind;
use media::{AccessUnit, FeedEnd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::Slate as Wanted;

/// How often a slate that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Session {
    /// The publisher is gone, which is told.
    pub(super) fn away(&mut self, end: FeedEnd) {
        if self.away_since.is_none() {
            let said = if end == FeedEnd::Lost { "The publisher was lost" } else { "The publisher stopped" };
            self.journal.note(LogKind::Warning, format!("{said}; the session waits for it."));
        }
        self.gone(end);
    }

    /// There is no publisher from now on.
    pub(super) fn gone(&mut self, end: FeedEnd) {
        let window = self.source.take().map(|source| source.arrival.rules.window);
        if self.away_since.is_some() {
            return;
        }
        self.away_since = Some(Instant::now());
        if end == FeedEnd::Lost {
            self.vitals.lost(Instant::now());
        }
        metrics::counter!("weir_session_away_total").increment(1);
        tracing::info!("the publisher is away");
        self.slate.rest();
        // Who said goodbye is not missed, and a show that ends in seconds needs no discontinuity before its end.
        if end == FeedEnd::Finished || window.is_some_and(|window| window < slate::WINDOW_MIN) {
            self.slate.go_without();
        }
        if self.slate.wanted == Wanted::Off {
            self.list_gaps();
        }
        self.watch(Instant::now());
    }

    /// Time goes on in gaps as long as nothing comes.
    pub(super) fn list_gaps(&mut self) {
        if self.slate.reel().is_none() {
            lock(&self.packager).away();
        }
    }

    /// What is missing, and since when.
    fn missing(&self, now: Instant) -> Option<(Missing, Duration)> {
        if let Some(since) = self.away_since {
            return Some((Missing::Publisher, now.saturating_duration_since(since)));
        }
        let silent = now.saturating_duration_since(self.source.as_ref()?.heard);
        // Sound that comes without pictures proves that the network does not stall.
        if silent > slate::SILENT {
            return Some((Missing::Media, silent));
        }
        self.slate.without_pictures(now).filter(|time| *time > 5 * TICK).map(|time| (Missing::Pictures, time))
    }

    /// A slate is about to be shown, so no gap is to be listed in its place.
    pub(super) fn awaits_slate(&self, now: Instant) -> bool {
        self.slate.is_made() && self.missing(now).is_some_and(|(_, lasted)| lasted < slate::WAITED_FOR_MAX)
    }

    /// Waits until the slate of a session that goes on after a restart is shown: players need what comes before the publisher's
    /// media, and it is made in some tenths of a second.
    pub(super) async fn slate_first(&mut self) {
        while self.slate.comes_first() && self.awaits_slate(Instant::now()) {
            tokio::time::sleep(LOOK).await;
            self.watch(Instant::now());
        }
    }

    /// Makes, shows or gives up a slate as time passes.
    pub(super) fn watch(&mut self, now: Instant) {
        let missing = self.missing(now);
        match missing {
            None => self.slate.rest(),
            Some((missing, lasted)) => self.stand_in(missing, lasted, now),
        }
        // One that is shown late catches up bit by bit.
        let awaits = self.slate.reel().is_some() || self.awaits_slate(now);
        lock(&self.packager).await_slate(awaits);
        // Said before it is shown, so that pages don't give up in the second before it.
        let is_awaited = missing.is_some_and(|(missing, _)| missing == Missing::Publisher)
            && self.slate.is_coming()
            && self.slate.wanted != Wanted::Off;
        self.live.slate.store(is_awaited || self.slate.reel().is_some(), Ordering::Relaxed);
    }

    fn stand_in(&mut self, missing: Missing, lasted: Duration, now: Instant) {
        let is_hidden = self.rungs.is_empty() && self.facts.video.as_ref().is_some_and(plan::is_hevc);
        if is_hidden {
            // A slate is H.264, and all there is of this session is HEVC.
            self.slate.go_without();
        }
        let probing = self.source.as_ref().and_then(Source::probing_since);
        match self.slate.tick(missing, lasted, probing.map(|since| now.saturating_duration_since(since))) {
            Step::Make => self.slate.make(&self.context, &self.stream, &self.facts, missing),
            Step::Show => self.show_slate(missing, now),
            Step::Wait | Step::GoWithout => {}
        }
        if missing == Missing::Publisher && !self.slate.is_coming() {
            self.list_gaps();
        }
        let usual = self.facts.audio.as_ref().map(|audio| &audio.config);
        self.slate.fall_silent(usual, now);
    }

    fn show_slate(&mut self, missing: Missing, now: Instant) {
        let at = lock(&self.packager).begin_slate(now);
        self.slate.show(at, now);
        // At once, as the packager's next look at the clock would list gaps in its place.
        self.play_slate(now);
        metrics::counter!("weir_slates_shown_total").increment(1);
        tracing::info!(?missing, "a slate is shown");
    }

    /// Publishes what is due of the slate.
    pub(super) fn play_slate(&mut self, now: Instant) {
        while let Some(unit) = self.slate.next(self.source.is_some(), now) {
            self.publish(unit, now);
        }
    }

    /// Whether a unit of the publisher's is to be published. The first keyframe later than the slate ends it, and before that
    /// the slate is played out: no hole is left between the two.
    pub(super) fn takes(&mut self, unit: &AccessUnit, now: Instant) -> bool {
        match self.slate.meet(unit, self.facts.video.is_some()) {
            Meeting::Pass => true,
            Meeting::Sound => {
                while let Some(silence) = self.slate.next_silence_before(unit.pts) {
                    self.publish(silence, now);
                }
                self.slate.sound_again();
                true
            }
            Meeting::End => {
                while let Some(rest) = self.slate.next_before(unit.pts, now) {
                    self.publish(rest, now);
                }
                self.slate.end();
                tracing::info!("the slate is over");
                lock(&self.packager).end_slate();
                true
            }
            Meeting::Drop => {
                metrics::counter!("weir_slate_dropped_units_total").increment(1);
                false
            }
        }
    }
}

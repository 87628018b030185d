//! How a track's stamps go with the wall clock.

use media::MediaTime;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The least lateness in so long a time is the clock's; what is above it is the network's.
const WINDOW: Duration = Duration::from_secs(2);
/// A track that was away for longer has no speed.
const WINDOW_MAX: Duration = Duration::from_secs(4);
/// What is taken as right follows what is measured so fast: half a percent, as the dates in playlists do (DESIGN 8.6).
/// Crystals are a hundred times better than that.
const FOLLOWS: MediaTime = MediaTime::from_millis(10);
/// Farther from the wall clock than this is a fault (RELIABILITY A11).
const OFF_MAX: MediaTime = MediaTime::from_millis(2000);
/// Less than this early is left to the crystal's speed.
const EARLY: MediaTime = MediaTime::from_millis(100);
/// Windows that show a speed.
const WINDOWS: usize = 6;
/// An even speed changes from window to window by at most this, or by two fifths of itself.
const EVEN: MediaTime = MediaTime::from_millis(50);
/// Stamps that gain more than this in a window are a burst of media, not a fast clock: one and a half times real time.
const FAST_MAX: MediaTime = MediaTime::from_millis(-1000);
/// A clock that stays late gets later by at most this in a window, and does not catch up.
const FLAT: MediaTime = MediaTime::from_millis(300);

/// What the lateness of a track means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing that the network could not have done.
    Fine,
    /// It goes away from the wall clock at an even speed, and is so far off: another clock, or a network that carries less
    /// than is sent.
    Drift(MediaTime),
    /// It is late by so much and stays so.
    Late {
        off: MediaTime,
        /// It was on time a moment ago: it stood still, and goes on as if it had not.
        is_sudden: bool,
    },
}

/// Follows the lateness of one track: where the wall clock is minus where its units stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse {
    base: Option<MediaTime>,
    /// The least lateness of each whole window, oldest first.
    windows: VecDeque<MediaTime>,
    /// The beginning of the current one, and the least in it.
    current: Option<(Instant, MediaTime)>,
}

impl Pulse {
    /// Takes the lateness of a unit that came at `now`.
    pub fn look(&mut self, late: MediaTime, now: Instant) -> Verdict {
        let base = *self.base.get_or_insert(late);
        let Some((since, least)) = self.current else {
            self.current = Some((now, late));
            return Verdict::Fine;
        };
        let lasts = now.saturating_duration_since(since);
        if lasts < WINDOW {
            self.current = Some((since, least.min(late)));
            return Verdict::Fine;
        }
        self.current = Some((now, late));
        if lasts > WINDOW_MAX {
            self.windows.clear();
            return Verdict::Fine;
        }
        self.windows.push_back(least);
        if self.windows.len() > WINDOWS {
            self.windows.pop_front();
        }
        // A track that is early by the same for long began late, as behind a burst.
        let is_early = least < base - EARLY && self.is_even();
        self.base = Some(if is_early { least } else { base + (least - base).clamp(-FOLLOWS, FOLLOWS) });
        self.verdict()
    }

    /// Takes what is right from the track that was there first: one that joins late is late, both of them are then.
    pub fn expect(&mut self, base: MediaTime) {
        self.base = Some(base);
    }

    /// The lateness taken as right.
    pub fn base(&self) -> MediaTime {
        self.base.unwrap_or_default()
    }

    /// The least lateness of the last seconds.
    pub fn recent(&self) -> MediaTime {
        let current = self.current.map(|(_, least)| least);
        let last = self.windows.back().copied();
        last.into_iter().chain(current).min().unwrap_or_else(|| self.base())
    }

    /// How far it is from what is right; late is positive.
    pub fn deviation(&self) -> MediaTime {
        self.recent() - self.base()
    }

    /// For all its windows it has gone with time.
    pub fn is_even(&self) -> bool {
        self.windows.len() == WINDOWS && self.steps().all(|step| step.abs() < FOLLOWS + FOLLOWS)
    }

    fn steps(&self) -> impl Iterator<Item = MediaTime> {
        self.windows.iter().zip(self.windows.iter().skip(1)).map(|(a, b)| *b - *a)
    }

    /// Its places were moved, and say nothing together with those before.
    pub fn forget(&mut self) {
        self.windows.clear();
        self.current = None;
    }

    fn verdict(&self) -> Verdict {
        let mut last = self.windows.iter().rev();
        let (Some(newest), Some(before)) = (last.next(), last.next()) else { return Verdict::Fine };
        let off = *newest - self.base();
        if off.abs() <= OFF_MAX {
            return Verdict::Fine;
        }
        if self.windows.len() == WINDOWS {
            let mean = MediaTime::from_ticks(self.steps().map(MediaTime::ticks).sum::<i64>() / (WINDOWS as i64 - 1));
            let even = EVEN.max(MediaTime::from_ticks(mean.abs().ticks() * 2 / 5));
            let is_steady = self.steps().all(|step| (step - mean).abs() <= even);
            let grows = mean.ticks().signum() == off.ticks().signum() && mean.abs() >= FOLLOWS + FOLLOWS;
            if is_steady && grows && mean > FAST_MAX {
                return Verdict::Drift(off);
            }
        }
        let is_flat = *before - self.base() > OFF_MAX && (-EVEN..=FLAT).contains(&(*newest - *before));
        let is_sudden = self.windows.len() < WINDOWS || self.steps().any(|step| step >= OFF_MAX);
        if is_flat { Verdict::Late { off, is_sudden } } else { Verdict::Fine }
    }
}

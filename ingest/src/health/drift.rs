//! How far a publisher's clock runs from ours. What arrives late says nothing of its clock, what arrives earliest does.

use media::MediaTime;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The earliest arrival is looked for in so long.
const STRETCH: Duration = Duration::from_secs(30);
/// Stretches that are remembered: ten minutes.
const STRETCHES: usize = 20;
/// Before so many, a queue that empties looks like a clock that runs.
const STRETCHES_MIN: usize = 5;

/// Follows the stamps of one track against the time of their arrival.
#[derive(Debug, Default)]
pub(super) struct Drift {
    origin: Option<(Instant, MediaTime)>,
    /// Of each stretch: when its earliest arrival came, and how long after its stamp; seconds since the origin.
    stretches: VecDeque<(f64, f64)>,
    begun: f64,
}

impl Drift {
    /// A unit arrived.
    pub(super) fn push(&mut self, dts: MediaTime, now: Instant) {
        let (start, first) = *self.origin.get_or_insert((now, dts));
        let at = now.saturating_duration_since(start).as_secs_f64();
        let late = at - (dts - first).as_secs_f64();
        if self.stretches.is_empty() || at - self.begun >= STRETCH.as_secs_f64() {
            self.begun = at;
            self.stretches.push_back((at, late));
            if self.stretches.len() > STRETCHES {
                self.stretches.pop_front();
            }
        } else if let Some(earliest) = self.stretches.back_mut().filter(|(_, known)| late < *known) {
            *earliest = (at, late);
        }
    }

    /// Parts per million by which the publisher's clock is slower than ours; negative when it is faster. `None` in the first
    /// minutes. What one half of the time does not confirm is a delay that changed once, and counts as none.
    pub(super) fn ppm(&self) -> Option<f64> {
        // The last is not whole yet.
        let whole = self.stretches.len().checked_sub(1).filter(|whole| *whole >= STRETCHES_MIN)?;
        let (first, middle, last) = (self.stretches[0], self.stretches[whole / 2], self.stretches[whole - 1]);
        let slope = |(from, early): (f64, f64), (until, late): (f64, f64)| (late - early) / (until - from) * 1e6;
        let (one, other) = (slope(first, middle), slope(middle, last));
        let (small, large) = if one.abs() < other.abs() { (one, other) } else { (other, one) };
        let is_steady = one.signum() == other.signum() && small.abs() >= large.abs() / 2.0;
        Some(if is_steady { slope(first, last) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drift after `seconds` of a clock that is `ppm` slow, over a line whose delay is a saw of up to a second, and half a
    /// second more from `step_at` on.
    fn seen(ppm: f64, seconds: u64, step_at: u64) -> Option<f64> {
        let (mut drift, start) = (Drift::default(), Instant::now());
        for n in 0..seconds * 10 {
            let at = n as f64 / 10.0;
            let stamp = MediaTime::from(Duration::from_secs_f64(at * (1.0 - ppm / 1e6)));
            let step = if n >= step_at * 10 { 0.5 } else { 0.0 };
            drift.push(stamp, start + Duration::from_secs_f64(at + step + (n % 37) as f64 / 37.0));
        }
        drift.ppm()
    }

    #[test]
    fn a_clock_that_runs_slow_or_fast_is_seen_through_a_line_that_jitters() {
        for ppm in [0.0, 2_000.0, -2_000.0] {
            let found = seen(ppm, 400, 1_000).expect("six minutes");
            assert!((found - ppm).abs() < 150.0, "{found} instead of {ppm}");
        }
        assert_eq!(seen(2_000.0, 100, 1_000), None, "too early to tell");
    }

    #[test]
    fn a_delay_that_grew_once_is_no_clock() {
        for step_at in [40, 100, 200, 300, 350] {
            let found = seen(0.0, 400, step_at).expect("six minutes");
            assert!(found.abs() < 150.0, "{found} with a step at {step_at} s");
        }
    }
}

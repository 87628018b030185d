//! After a worker failed: how soon the next one starts, and when none would do better. Pure; it is told the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More failures than this in [`SPAN`] and the transcoder gives up (five restarts).
const FAILURES_MAX: usize = 5;
const SPAN: Duration = Duration::from_secs(60);
/// A worker that lived so long was able to work, so what ended it was no fault that the next one must have too: that one
/// starts at once, as viewers wait.
const ABLE: Duration = Duration::from_secs(5);
/// Pauses before a restart, by how many workers in a row did not live that long. The first is at once.
const PAUSES_MS: [u64; 5] = [0, 200, 500, 1_000, 2_000];

/// The failures of one session's workers.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    failures: VecDeque<Instant>,
    feeble: usize,
}

impl Restarts {
    /// A worker failed at `now`, `lived` after its start: the pause before the next one; `None` when there is to be none.
    pub fn after(&mut self, lived: Duration, now: Instant) -> Option<Duration> {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|first| now.saturating_duration_since(*first) > SPAN) {
            self.failures.pop_front();
        }
        let pause = if lived < ABLE { PAUSES_MS[self.feeble.min(PAUSES_MS.len() - 1)] } else { 0 };
        self.feeble = if lived < ABLE { self.feeble + 1 } else { 0 };
        (self.failures.len() <= FAILURES_MAX).then_some(Duration::from_millis(pause))
    }

    /// How many there were within the last minute.
    pub fn recent(&self) -> usize {
        self.failures.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses in milliseconds after workers that each lived so long, seconds.
    fn play(lives: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let after = |lived: u64| {
            let lived = Duration::from_secs(lived);
            now += lived;
            let pause = restarts.after(lived, now);
            now += pause.unwrap_or_default();
            pause.map(|pause| pause.as_millis() as u64)
        };
        lives.into_iter().map(after).collect()
    }

    #[test]
    fn a_worker_that_cannot_live_is_tried_five_times_with_growing_pauses() {
        assert_eq!(play([0; 6]), [Some(0), Some(200), Some(500), Some(1_000), Some(2_000), None]);
    }

    #[test]
    fn faults_spread_in_time_are_mended_at_once_for_ever() {
        assert_eq!(play([13; 500]), [Some(0); 500]);
    }

    #[test]
    fn faults_that_come_too_often_end_it_however_well_workers_begin() {
        assert_eq!(play([8; 6]), [Some(0), Some(0), Some(0), Some(0), Some(0), None]);
    }
}

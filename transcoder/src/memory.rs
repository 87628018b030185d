//! What is done about a worker's memory: it is replaced before it reaches its limit, killed at it, and given up when that
//! happens again and again. Pure; it is told the size and the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Per cent of the limit at which a worker is replaced while it works: what is left lasts until the next boundary.
const HIGH: u64 = 80;
/// Time before the next replacement; twice as long after each that helped for less than [`HELPED`].
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);
/// A worker that needed so long to grow leaks slowly, and is simply replaced.
const HELPED: Duration = Duration::from_secs(20 * 60);
/// More workers than this at the limit within [`OVERRUN_SPAN`], and another one would be no better.
const OVERRUNS_MAX: usize = 5;
const OVERRUN_SPAN: Duration = Duration::from_secs(10 * 60);

/// What to do about a worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another worker takes over at a boundary.
    Replace,
    /// It is at its limit and ends now; another one goes on where it was.
    Kill,
    /// Workers reach the limit again and again.
    GiveUp,
}

/// The memory of one session's workers, one after the other.
#[derive(Debug)]
pub(crate) struct Memory {
    max: u64,
    pause: Duration,
    replaced: Option<Instant>,
    overruns: VecDeque<Instant>,
}

impl Memory {
    /// `max` is the most a worker may hold, bytes.
    pub fn new(max: u64) -> Self {
        Self { max, pause: PAUSE, replaced: None, overruns: VecDeque::new() }
    }

    /// The limit, bytes.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Looks at the worker at work, which holds `resident` bytes. After a [`Step`] other than `Replace` that worker ends. With
    /// `is_alone` false another one is taking over already.
    pub fn look(&mut self, resident: u64, is_alone: bool, now: Instant) -> Option<Step> {
        if resident > self.max {
            self.overruns.push_back(now);
            while self.overruns.front().is_some_and(|first| now.saturating_duration_since(*first) > OVERRUN_SPAN) {
                self.overruns.pop_front();
            }
            return Some(if self.overruns.len() > OVERRUNS_MAX { Step::GiveUp } else { Step::Kill });
        }
        if !is_alone || resident <= self.max / 100 * HIGH {
            return None;
        }
        let since = self.replaced.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < self.pause) {
            return None;
        }
        self.pause = if since.is_some_and(|since| since < HELPED) { (self.pause * 2).min(PAUSE_MAX) } else { PAUSE };
        self.replaced = Some(now);
        Some(Step::Replace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four looks a second at a worker that grows from 30 to `most` per cent in `takes` seconds and stays there, for
    /// `seconds`; the next one begins anew. Gives (second, step).
    fn play(takes: u64, most: u64, seconds: u64) -> Vec<(u64, Step)> {
        let (start, mut memory, mut begun, mut steps) = (Instant::now(), Memory::new(1_000_000), 0, Vec::new());
        for n in 0..seconds * 4 {
            let grown = ((n - begun) * 10_000 * (most - 30) / (takes * 4)).min((most - 30) * 10_000);
            let step = memory.look(300_000 + grown, true, start + Duration::from_millis(250 * n));
            if let Some(step) = step {
                steps.push((n / 4, step));
                begun = n;
                if step == Step::GiveUp {
                    break;
                }
            }
        }
        steps
    }

    #[test]
    fn a_slow_leak_is_replaced_each_time_it_is_high() {
        let steps = play(7_200, 101, 30_000);
        assert_eq!(steps.len(), 5, "{steps:?}");
        assert!(steps.iter().all(|(_, step)| *step == Step::Replace), "{steps:?}");
    }

    #[test]
    fn a_worker_below_the_mark_is_left_alone() {
        assert_eq!(play(10, 79, 3_600), []);
    }

    #[test]
    fn a_worker_that_needs_much_and_no_more_is_replaced_ever_more_rarely_and_never_ended() {
        let steps = play(1, 90, 3_600);
        assert!(steps.iter().all(|(_, step)| *step == Step::Replace), "{steps:?}");
        let times: Vec<u64> = steps.iter().map(|(second, _)| *second).collect();
        let apart: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(apart, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600], "{times:?}");
    }

    #[test]
    fn workers_that_keep_growing_are_given_up_with_a_reason() {
        let steps = play(30, 101, 3_600);
        assert_eq!(steps.last().map(|(_, step)| *step), Some(Step::GiveUp), "{steps:?}");
        assert_eq!(steps.iter().filter(|(_, step)| *step == Step::Kill).count(), OVERRUNS_MAX, "{steps:?}");
    }

    #[test]
    fn one_that_is_being_replaced_is_not_replaced_again_but_ends_at_its_limit() {
        let mut memory = Memory::new(1_000_000);
        assert_eq!(memory.look(900_000, false, Instant::now()), None);
        assert_eq!(memory.look(1_000_001, false, Instant::now()), Some(Step::Kill));
    }
}

//! How long an outlet waits before its next try. Pure: time and chance come in.

use std::time::{Duration, Instant};

/// The pause behind a first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause; tries never end.
const LONGEST: Duration = Duration::from_secs(60);
/// A target that took media for so long works: failures before it are forgotten.
const PROVEN: Duration = Duration::from_secs(10);
/// A target that worked is awaited for so long with short pauses, so that it is live again within 5 s of its return
/// (RELIABILITY C9).
const AWAITED: Duration = Duration::from_secs(300);
/// Those short pauses.
const SHORT: Duration = Duration::from_secs(3);

/// Remembers how a target did.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    proven: Option<Instant>,
}

impl Backoff {
    /// The target took media from `since` until `now`.
    pub fn lived(&mut self, since: Instant, now: Instant) {
        if now.saturating_duration_since(since) >= PROVEN {
            self.failures = 0;
            self.proven = Some(now);
        }
    }

    /// A try failed; how long to wait. `dice` is any number: it spreads pauses over the upper half, so that those who failed
    /// together do not come back together. After a refusal for good (`is_refusal`) pauses grow also for a target that worked before:
    /// nobody is awaited there, somebody has to do something.
    pub fn failed(&mut self, now: Instant, is_refusal: bool, dice: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let is_awaited = self.proven.is_some_and(|at| now.saturating_duration_since(at) < AWAITED);
        let longest = if is_awaited && !is_refusal { SHORT } else { LONGEST };
        gatehouse::Backoff { first: FIRST, longest }.pause(self.failures, dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_a_minute_and_never_end() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let seconds: Vec<u64> = (0..9).map(|_| backoff.failed(now, false, u64::MAX).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_target_that_worked_is_awaited_with_short_pauses_for_five_minutes() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        let live = now;
        now += 30 * SECOND;
        backoff.lived(live, now);
        let pauses: Vec<u64> = (0..5).map(|_| backoff.failed(now, false, u64::MAX).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 3, 3, 3]);
        assert_eq!(backoff.failed(now + 301 * SECOND, false, u64::MAX).as_secs(), 32);
    }

    #[test]
    fn a_target_that_takes_media_for_a_moment_only_is_not_hammered() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for _ in 0..6 {
            backoff.failed(now, false, 0);
            backoff.lived(now, now + SECOND);
        }
        assert_eq!(backoff.failed(now, false, u64::MAX).as_secs(), 60);
    }

    #[test]
    fn a_refusal_is_not_awaited() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.lived(now, now + 30 * SECOND);
        let pauses: Vec<u64> = (0..5).map(|_| backoff.failed(now + 30 * SECOND, true, u64::MAX).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_nothing_and_never_too_long(failures in 0u32..200, dice: u64, is_refusal: bool) {
            let (mut backoff, now) = (Backoff { failures, proven: None }, Instant::now());
            let pause = backoff.failed(now, is_refusal, dice);
            prop_assert!(pause >= FIRST / 2 && pause <= LONGEST, "{pause:?}");
        }
    }
}

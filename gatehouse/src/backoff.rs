//! How long to wait before the next try. Pure: what is random comes in.

use std::time::Duration;

/// Pauses that double from the first to the longest.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The pause behind a first failure.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The pause behind so many failures in a row (1 or more). `dice` is any number: it spreads pauses over the upper half, so
    /// that those who failed together do not come back together.
    pub fn pause(self, failures: u32, dice: u64) -> Duration {
        let doubled = 2u32.checked_pow(failures.saturating_sub(1)).and_then(|times| self.first.checked_mul(times));
        let whole = doubled.unwrap_or(self.longest).min(self.longest);
        let half = whole / 2;
        half + (whole - half).mul_f64(dice as f64 / u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds: Vec<u64> = (1..9).map(|failures| BACKOFF.pause(failures, u64::MAX).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.pause(3, 0), Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_nothing_and_never_too_long(failures: u32, dice: u64) {
            let pause = BACKOFF.pause(failures, dice);
            prop_assert!(pause >= BACKOFF.first / 2 && pause <= BACKOFF.longest, "{pause:?}");
            prop_assert!(BACKOFF.pause(failures.saturating_add(1), dice) >= pause);
        }
    }
}

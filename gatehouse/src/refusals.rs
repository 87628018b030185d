use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line in the log per cause in this time: a flood of a thousand connections a second is six lines a minute.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts whom a door turned away, by cause, and writes a line for the first and then at most one per cause in 10 s, with
/// how many were left out before it. Those left out are debug lines. Causes are words of the program, so there are few.
#[derive(Debug)]
pub struct Refusals {
    metric: &'static str,
    /// Held for a look at a handful of entries, never across an await.
    causes: Mutex<Vec<Spoken>>,
}

#[derive(Debug)]
struct Spoken {
    cause: &'static str,
    at: Instant,
    left_out: u64,
}

impl Refusals {
    /// Counts into `metric{cause}`.
    pub const fn new(metric: &'static str) -> Self {
        Self { metric, causes: Mutex::new(Vec::new()) }
    }

    /// Counts one refusal, and says so in the log when it is time. `peer` is an address, `reason` for the operator; no
    /// secrets in either.
    pub fn turn_away(&self, cause: &'static str, peer: &dyn Display, reason: &dyn Display, now: Instant) {
        metrics::counter!(self.metric, "cause" => cause).increment(1);
        match self.due(cause, now) {
            Some(left_out) => tracing::info!(%peer, cause, %reason, left_out, "turned away"),
            None => tracing::debug!(%peer, cause, %reason, "turned away"),
        }
    }

    /// Whether a line is due, and how many were left out since the last one.
    fn due(&self, cause: &'static str, now: Instant) -> Option<u64> {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spoken) = causes.iter_mut().find(|spoken| spoken.cause == cause) else {
            causes.push(Spoken { cause, at: now, left_out: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(spoken.at) < LINE_EVERY {
            spoken.left_out += 1;
            return None;
        }
        spoken.at = now;
        Some(std::mem::take(&mut spoken.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flood_is_one_line_in_ten_seconds_and_the_next_says_how_many_it_left_out() {
        let (refusals, begin) = (Refusals::new("test"), Instant::now());
        let at = |ms: u64| refusals.due("garbage", begin + Duration::from_millis(ms));
        assert_eq!(at(0), Some(0));
        assert!((1..1000).all(|ms| at(ms * 10).is_none()));
        assert_eq!(at(10_000), Some(999));
        assert_eq!(at(10_001), None);
        assert_eq!(refusals.due("late", begin), Some(0), "every cause has its own line");
    }

    proptest! {
        #[test]
        fn every_refusal_is_a_line_or_counted_by_a_later_one(steps in proptest::collection::vec(0u64..4000, 1..200)) {
            let (refusals, mut now) = (Refusals::new("test"), Instant::now());
            let (mut lines, mut left_out, mut last): (u64, u64, Option<Instant>) = (0, 0, None);
            for step in &steps {
                now += Duration::from_millis(*step);
                if let Some(before) = refusals.due("cause", now) {
                    prop_assert!(last.is_none_or(|last| now - last >= LINE_EVERY));
                    (lines, left_out, last) = (lines + 1, left_out + before, Some(now));
                }
            }
            let rest = refusals.due("cause", now + LINE_EVERY).expect("a line is due");
            prop_assert_eq!(lines + left_out + rest, steps.len() as u64);
        }
    }
}

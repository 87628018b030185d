use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What may be sent at once behind a quiet time, in time.
const BURST: Duration = Duration::from_millis(500);

/// A cap on how fast all uploads of a vault together send. Without a cap everything goes at once.
#[derive(Debug)]
pub(crate) struct Pace {
    bps_max: Option<u64>,
    /// When everything that was let through would have been sent at that speed.
    sent_by: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(bps_max: Option<u64>) -> Self {
        Self { bps_max, sent_by: Mutex::default() }
    }

    /// When so many bytes may be sent, asked at `now`. They count as sent.
    pub fn admit(&self, bytes: usize, now: Instant) -> Instant {
        let Some(bps) = self.bps_max else { return now };
        let mut sent_by = self.sent_by.lock().unwrap_or_else(PoisonError::into_inner);
        let from = sent_by.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        *sent_by = Some(from + Duration::from_secs_f64(bytes as f64 * 8.0 / bps.max(1) as f64));
        from.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_cap_nothing_waits() {
        let now = Instant::now();
        assert_eq!(Pace::new(None).admit(1 << 40, now), now);
    }

    proptest! {
        /// However the chunks come, what is let through by a moment is at most the cap's share of that time and one burst more,
        /// and whoever is always ready to send reaches the cap.
        #[test]
        fn the_cap_holds(chunks in proptest::collection::vec((1usize..300_000, 0u64..200), 1..100)) {
            const BPS: u64 = 8_000_000;
            let (pace, start) = (Pace::new(Some(BPS)), Instant::now());
            let (mut now, mut sent) = (start, 0);
            for (bytes, idle_ms) in chunks {
                now += Duration::from_millis(idle_ms);
                now = pace.admit(bytes, now);
                let allowed = (now - start + BURST).as_secs_f64() * BPS as f64 / 8.0;
                prop_assert!(sent as f64 <= allowed + 1.0, "{sent} of {allowed}");
                sent += bytes;
            }
        }
    }

    #[test]
    fn whoever_is_always_ready_reaches_the_cap() {
        let (pace, start) = (Pace::new(Some(8_000_000)), Instant::now());
        let mut now = start;
        for _ in 0..100 {
            now = pace.admit(100_000, now);
        }
        assert_eq!((now - start).as_millis(), 9_900);
    }
}

use crate::Neighbourhood;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Neighbourhoods whose failures are remembered; beyond, all others count as over their budget.
const REMEMBERED_MAX: usize = 8192;
const WINDOW: Duration = Duration::from_secs(60);

/// Failed keys, passwords and tokens by IPv4 address or IPv6 /64, so that guessing is answered late.
#[derive(Debug)]
pub struct Guesses {
    per_minute_max: u32,
    /// Held for a look at one entry, or all of them when the table is full; never across an await.
    failures: Mutex<HashMap<Neighbourhood, Failures>>,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Guesses {
    /// Each neighbourhood may fail so often in a minute before its answers are late.
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, failures: Mutex::default() }
    }

    /// Counts a failure; true when the budget of the neighbourhood is used up and the answer shall be late.
    pub fn failed(&self, peer: IpAddr, now: Instant) -> bool {
        let from = Neighbourhood::from(peer);
        // A panic can't leave more than a wrong count, so poison is ignored.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED_MAX && !failures.contains_key(&from) {
            failures.retain(|_, f| now.saturating_duration_since(f.since) < WINDOW);
            if failures.len() >= REMEMBERED_MAX {
                return true;
            }
        }
        let own = failures.entry(from).or_insert(Failures { since: now, count: 0 });
        if now.saturating_duration_since(own.since) >= WINDOW {
            *own = Failures { since: now, count: 0 };
        }
        own.count = own.count.saturating_add(1);
        own.count > self.per_minute_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn failed_keys_use_up_a_budget_per_minute() {
        let (guesses, now) = (Guesses::new(10), Instant::now());
        let late = |at: Duration| guesses.failed(ip("192.0.2.1"), now + at);
        assert!((0..10).all(|_| !late(Duration::ZERO)));
        assert!(late(Duration::from_secs(59)));
        assert!(!guesses.failed(ip("192.0.2.2"), now));
        assert!(!late(Duration::from_secs(61)));
    }

    #[test]
    fn guessers_from_everywhere_cost_a_bounded_table() {
        let (guesses, now) = (Guesses::new(10), Instant::now());
        let guess = |n: u32, at| guesses.failed(IpAddr::V4(n.into()), at);
        assert!((0..REMEMBERED_MAX as u32).all(|n| !guess(n, now)));
        assert!(guess(u32::MAX, now), "whoever does not fit waits");
        let remembered = || guesses.failures.lock().unwrap().len();
        assert_eq!(remembered(), REMEMBERED_MAX);
        assert!(!guess(u32::MAX, now + WINDOW));
        assert_eq!(remembered(), 1);
    }
}

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back a rate looks.
const WINDOW: Duration = Duration::from_secs(5);
/// Looks that are remembered: ten a second.
const LOOKS_MAX: usize = 64;

/// Bytes a second, as a mean over the last five.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    looks: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// So many bytes were there altogether at `now`; bits a second, 0 before the second look.
    pub fn look(&mut self, bytes: u64, now: Instant) -> u64 {
        self.looks.push_back((now, bytes));
        while self.looks.len() > LOOKS_MAX
            || self.looks.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW)
        {
            self.looks.pop_front();
        }
        let Some((since, before)) = self.looks.front() else { return 0 };
        let span = now.saturating_duration_since(*since).as_secs_f64();
        if span < 0.5 { 0 } else { (bytes.saturating_sub(*before) as f64 * 8.0 / span) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_mean_of_five_seconds() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let rates: Vec<u64> =
            (0..12).map(|n| meter.look(if n < 6 { n * 1000 } else { 5000 }, start + Duration::from_secs(n))).collect();
        assert_eq!(rates[..6], [0, 8000, 8000, 8000, 8000, 8000]);
        assert_eq!(rates[11], 0, "nothing for five seconds");
    }
}

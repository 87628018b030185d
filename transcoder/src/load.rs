//! When an encoding worker is too slow: which rung it is relieved of, and when that one may come back. Pure: it is told how
//! far behind the worker is and what time it is.

use media::MediaTime;
use std::time::{Duration, Instant};

/// Pictures a healthy worker holds: x264's lookahead and threads, the decoder's reordering, the one whose slot is not sure.
pub(crate) const HELD: i64 = 16;
/// A worker further behind than this, beside the pictures it holds, is late.
const LATE: MediaTime = MediaTime::from_millis(1_500);
/// Late for so long, it loses a rung. A burst of hard pictures is over sooner. With what it takes to fall behind, the top rung
/// is off within 7 s of an overload.
const LATE_FOR: Duration = Duration::from_secs(3);
/// Time to catch up after a rung was taken away, before the next one is.
const CATCH_UP: Duration = Duration::from_secs(5);
/// A worker at most this far behind, beside the pictures it holds, has room.
const CALM: MediaTime = MediaTime::from_millis(700);
/// With room for so long, a rung comes back.
const CALM_FOR: Duration = Duration::from_secs(60);
/// A rung that had to go again soon after it came back waits twice as long the next time, up to this.
const CALM_FOR_MAX: Duration = Duration::from_secs(15 * 60);

/// What to do about the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The largest rung at work stops.
    Shed,
    /// The smallest rung that was stopped begins again.
    Restore,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Load {
    late_since: Option<Instant>,
    calm_since: Option<Instant>,
    changed: Option<(Step, Instant)>,
    patience: Option<Duration>,
}

impl Load {
    /// Looks at a worker that is `lag` behind the source, beside the time of the [`HELD`] pictures. `at_work` and `resting` count its rungs; the last one at work stays.
    /// Call it about twice a second.
    pub fn look(&mut self, lag: MediaTime, at_work: usize, resting: usize, now: Instant) -> Option<Step> {
        let since = |is: bool, start: &mut Option<Instant>| {
            *start = is.then(|| start.unwrap_or(now));
            start.map(|start| now.saturating_duration_since(start))
        };
        let late_for = since(lag > LATE, &mut self.late_since);
        let calm_for = since(lag <= CALM, &mut self.calm_since);
        let changed_for = self.changed.map(|(_, at)| now.saturating_duration_since(at));
        let patience = self.patience.unwrap_or(CALM_FOR);
        if at_work > 1
            && late_for.is_some_and(|time| time >= LATE_FOR)
            && !self.changed.is_some_and(|(step, _)| step == Step::Shed && changed_for < Some(CATCH_UP))
        {
            let came_back_in_vain = matches!(self.changed, Some((Step::Restore, _))) && changed_for < Some(CALM_FOR);
            self.patience = Some(if came_back_in_vain { (patience * 2).min(CALM_FOR_MAX) } else { patience });
            return self.step(Step::Shed, now);
        }
        if resting > 0 && calm_for.is_some_and(|time| time >= patience) && changed_for >= Some(patience) {
            return self.step(Step::Restore, now);
        }
        None
    }

    fn step(&mut self, step: Step, now: Instant) -> Option<Step> {
        (self.late_since, self.calm_since) = (None, None);
        self.changed = Some((step, now));
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// Plays lags, one each half second, against a worker with three rungs; gives (second, step).
    fn play(lags: impl IntoIterator<Item = i64>) -> Vec<(u64, Step)> {
        let (start, mut load, mut resting, mut steps) = (Instant::now(), Load::default(), 0, Vec::new());
        for (n, lag) in lags.into_iter().enumerate() {
            let time = Duration::from_millis(500 * n as u64);
            if let Some(step) = load.look(ms(lag), 3 - resting, resting, start + time) {
                resting = if step == Step::Shed { resting + 1 } else { resting - 1 };
                steps.push((time.as_secs(), step));
            }
        }
        steps
    }

    #[test]
    fn a_short_lag_costs_nothing() {
        assert_eq!(play([2_000; 6]), []);
        assert_eq!(play([900; 600]), []);
    }

    #[test]
    fn a_lasting_lag_sheds_one_rung_and_waits_for_its_effect() {
        assert_eq!(play([2_500; 12]), [(3, Step::Shed)]);
        assert_eq!(play([2_500; 600]), [(3, Step::Shed), (8, Step::Shed)], "the last rung stays");
    }

    #[test]
    fn a_rung_comes_back_after_a_calm_minute() {
        let lags = [2_500; 8].into_iter().chain([500; 130]);
        assert_eq!(play(lags), [(3, Step::Shed), (64, Step::Restore)]);
    }

    #[test]
    fn a_rung_that_comes_back_in_vain_waits_longer_each_time() {
        let (start, mut load, mut rests, mut away) = (Instant::now(), Load::default(), false, Vec::new());
        let mut last = 0;
        for n in 0..4_000u64 {
            // Two rungs are too much, one is not.
            let lag = if rests { ms(500) } else { ms(2_500) };
            let (at_work, resting) = if rests { (1, 1) } else { (2, 0) };
            match load.look(lag, at_work, resting, start + Duration::from_millis(500 * n)) {
                Some(Step::Shed) => (rests, last) = (true, n / 2),
                Some(Step::Restore) => {
                    rests = false;
                    away.push(n / 2 - last);
                }
                None => {}
            }
        }
        assert_eq!(away[..4], [60, 120, 240, 480]);
    }

    proptest! {
        #[test]
        fn rungs_never_flap(lags in proptest::collection::vec(0i64..4_000, 1..2_000)) {
            let steps = play(lags);
            for pair in steps.windows(2) {
                let apart = pair[1].0 - pair[0].0;
                prop_assert!(apart >= if pair[1].1 == Step::Restore { 60 } else { 2 }, "{:?}", steps);
            }
        }
    }
}

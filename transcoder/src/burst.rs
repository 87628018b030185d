//! How much of what waits for a worker came late, all at once. Pure; times are passed in.

use media::MediaTime;
use std::time::Instant;

/// The most that counts: what is further behind than this and the usual queue is listed as gaps before it is encoded
/// (the packager's limit for a late rendition is 8 s).
const BURST_MAX: MediaTime = MediaTime::from_millis(6_000);
/// A worker is to catch up this share faster than real time: what a publisher's burst is paced at (`ingest`'s pacer).
const HURRY: i64 = 4;

/// A network that stalls for some seconds delivers what it held all at once. That is no sign of a slow worker, so it may wait
/// for as long as a worker that is a quarter faster than real time needs for it.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    last: Option<(Instant, MediaTime)>,
    ahead: MediaTime,
}

impl Burst {
    /// A picture with this decode time came; how much waits for no fault of the worker's.
    pub fn look(&mut self, dts: MediaTime, now: Instant) -> MediaTime {
        let step = self.last.map_or(MediaTime::ZERO, |(_, newest)| (dts - newest).max(MediaTime::ZERO));
        self.ahead = (self.left(now) + step).min(BURST_MAX);
        self.last = Some((now, self.last.map_or(dts, |(_, newest)| newest.max(dts))));
        self.ahead
    }

    /// How much of it may still wait.
    pub fn left(&self, now: Instant) -> MediaTime {
        let Some((at, _)) = self.last else { return MediaTime::ZERO };
        let elapsed = MediaTime::from(now.saturating_duration_since(at));
        let caught_up = MediaTime::from_ticks(elapsed.ticks() + elapsed.ticks() / HURRY);
        (self.ahead - caught_up).max(MediaTime::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Pictures each 40 ms; `due` says when each comes, in milliseconds. What may wait after the last one.
    fn play(until_ms: i64, due: impl Fn(i64) -> u64) -> (Burst, Instant, Vec<i64>) {
        let (mut burst, start) = (Burst::default(), Instant::now());
        let looks = (0..until_ms).step_by(40).map(|ms| {
            let now = start + Duration::from_millis(due(ms));
            burst.look(MediaTime::from_millis(ms), now).as_millis()
        });
        let looks = looks.collect();
        (burst, start, looks)
    }

    #[test]
    fn media_in_small_pieces_is_no_burst() {
        let (.., looks) = play(60_000, |ms| (ms as u64 / 400) * 400);
        assert!(looks.iter().all(|ahead| *ahead <= 400), "{looks:?}");
    }

    #[test]
    fn what_came_at_once_may_wait_until_it_could_be_caught_up_with() {
        let (burst, start, looks) = play(13_000, |ms| if ms > 8_000 { 13_000 } else { ms as u64 });
        assert!((4_700..=5_000).contains(looks.last().expect("looks")), "{looks:?}");
        assert_eq!(burst.left(start + Duration::from_secs(18)), MediaTime::ZERO);
        let (.., looks) = play(40_000, |ms| if (8_000..13_000).contains(&ms) { 13_000 } else { ms as u64 });
        assert!(looks[800..].iter().all(|ahead| *ahead <= 400), "20 s later it is caught up with: {:?}", &looks[800..]);
    }

    #[test]
    fn more_than_would_be_shown_does_not_count() {
        let (.., looks) = play(60_000, |_| 0);
        assert_eq!(looks.last(), Some(&6_000));
    }
}

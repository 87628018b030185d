//! How the session's time goes with the wall clock, for the dates in playlists.

use media::MediaTime;
use std::time::Instant;

/// Dates move against the session's time by at most this from one segment to the next (DESIGN 8.6): five per mille, which
/// no player notices and no crystal needs.
const SLEW_MAX: MediaTime = MediaTime::from_millis(10);

/// Follows a source whose clock is not quite the wall's. Pure; one measure a segment: the least lateness of any of its
/// units, as what is above that is the network's.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    first: Option<(Instant, MediaTime)>,
    /// The lateness of the first whole segment, which is how much later this is than the publisher.
    usual: Option<MediaTime>,
    least: Option<MediaTime>,
    late: MediaTime,
}

impl Wall {
    /// A unit shown at `pts` came at `now`.
    pub fn look(&mut self, pts: MediaTime, now: Instant) {
        let (at, time) = *self.first.get_or_insert((now, pts));
        let late = MediaTime::from(now.saturating_duration_since(at)) - (pts - time);
        self.least = Some(self.least.map_or(late, |least| least.min(late)));
    }

    /// A segment begins; how much later than the session's time its date is.
    pub fn cut(&mut self) -> MediaTime {
        if let Some(least) = self.least.take() {
            let usual = *self.usual.get_or_insert(least);
            self.late += (least - usual - self.late).clamp(-SLEW_MAX, SLEW_MAX);
        }
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// The lateness of each of `segments` of 2 s whose units come at `when` they say, in milliseconds.
    fn lateness(segments: i64, when: impl Fn(i64) -> i64) -> Vec<MediaTime> {
        let (mut wall, start) = (Wall::default(), Instant::now());
        wall.cut();
        let mut segment = |n: i64| {
            for picture in 0..50 {
                let at = n * 2000 + picture * 40;
                wall.look(ms(at), start + Duration::from_millis(when(at) as u64));
            }
            wall.cut()
        };
        (0..segments).map(&mut segment).collect()
    }

    #[test]
    fn a_slow_clock_is_followed() {
        // Three per mille: 6 ms a segment.
        let late = lateness(100, |at| at + at * 3 / 1000);
        assert!((*late.last().expect("some") - ms(594)).abs() <= ms(10), "{:?}", late.last());
        assert!(late.windows(2).all(|w| (w[1] - w[0]).abs() <= SLEW_MAX));
    }

    #[test]
    fn a_network_that_jitters_and_stalls_moves_nothing() {
        let late = lateness(100, |at| at + at * 7919 % 400 + (3000 - (at + 15_000) % 30_000).max(0));
        assert!(late.iter().all(|late| late.abs() <= SLEW_MAX + SLEW_MAX), "{late:?}");
    }

    #[test]
    fn a_jump_is_taken_in_small_steps() {
        let late = lateness(30, |at| if at < 20_000 { at } else { at + 5_000 });
        assert!(late.windows(2).all(|w| (w[1] - w[0]).abs() <= SLEW_MAX));
        assert_eq!(late[29], ms(200));
    }
}

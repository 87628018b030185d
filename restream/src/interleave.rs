//! One order for pictures and sound that come from different encoders: a server that takes a copy expects them as a publisher sends
//! them, by decode time.

use media::{AccessUnit, MediaTime, Track};
use std::collections::VecDeque;

/// A track waits for the other one so long; what stays away longer is not waited for.
const PATIENCE: MediaTime = MediaTime::from_millis(3_000);
/// A bound for units that all have one time.
const UNITS_MAX: usize = 2_000;

/// Holds units back until it is known what goes before them. Pure, and never holds more than three seconds.
#[derive(Debug, Default)]
pub struct Interleaver {
    pictures: VecDeque<AccessUnit>,
    sound: VecDeque<AccessUnit>,
}

impl Interleaver {
    /// Takes the next unit of its track.
    pub fn push(&mut self, unit: AccessUnit) {
        self.track(unit.track()).push_back(unit);
    }

    /// The next unit in order of decode time, when it is known; of two with one time the picture.
    pub fn pop(&mut self) -> Option<AccessUnit> {
        let next = match (self.pictures.front(), self.sound.front()) {
            (Some(picture), Some(sound)) if sound.dts < picture.dts => Track::Audio,
            (Some(_), _) => Track::Video,
            (None, Some(_)) => Track::Audio,
            (None, None) => return None,
        };
        let is_alone = self.pictures.is_empty() || self.sound.is_empty();
        let queue = self.track(next);
        if is_alone && !has_waited(queue) {
            return None;
        }
        queue.pop_front()
    }

    fn track(&mut self, track: Track) -> &mut VecDeque<AccessUnit> {
        match track {
            Track::Video => &mut self.pictures,
            Track::Audio => &mut self.sound,
        }
    }
}

fn has_waited(queue: &VecDeque<AccessUnit>) -> bool {
    let span = queue.front().zip(queue.back()).map_or(MediaTime::ZERO, |(first, last)| last.dts - first.dts);
    // A clock that was set back is not waited for either.
    span >= PATIENCE || span < MediaTime::ZERO || queue.len() >= UNITS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copyist::tests::{picture, sound};
    use proptest::prelude::*;

    fn drain(interleaver: &mut Interleaver) -> Vec<(Track, i64)> {
        std::iter::from_fn(|| interleaver.pop()).map(|unit| (unit.track(), unit.dts.as_millis())).collect()
    }

    #[test]
    fn sound_waits_for_pictures_that_come_later() {
        let mut interleaver = Interleaver::default();
        for ms in [0, 21, 43, 64] {
            interleaver.push(sound(ms));
        }
        assert_eq!(drain(&mut interleaver), []);
        interleaver.push(picture(0, true, 9));
        interleaver.push(picture(40, false, 9));
        use Track::{Audio, Video};
        assert_eq!(drain(&mut interleaver), [(Video, 0), (Audio, 0), (Audio, 21), (Video, 40)]);
        interleaver.push(picture(80, false, 9));
        assert_eq!(drain(&mut interleaver), [(Audio, 43), (Audio, 64)]);
    }

    #[test]
    fn a_track_that_stays_away_is_not_waited_for_longer_than_three_seconds() {
        let mut interleaver = Interleaver::default();
        for n in 0..100 {
            interleaver.push(picture(n * 40, n == 0, 9));
        }
        let out = drain(&mut interleaver);
        assert_eq!((out.len(), out.last()), (25, Some(&(Track::Video, 960))));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_tracks_that_both_come_are_in_order(late_ms in 0i64..2_500, count in 1i64..200) {
            let mut interleaver = Interleaver::default();
            let mut arrivals: Vec<(i64, AccessUnit)> = (0..count).map(|n| (n * 40 + late_ms, picture(n * 40, n == 0, 9))).collect();
            arrivals.extend((0..count * 2).map(|n| (n * 21, sound(n * 21))));
            arrivals.sort_by_key(|(at, _)| *at);
            let mut out = Vec::new();
            for (_, unit) in arrivals {
                interleaver.push(unit);
                out.extend(drain(&mut interleaver));
            }
            prop_assert!(out.windows(2).all(|two| two[0].1 <= two[1].1));
            let held = interleaver.pictures.len() + interleaver.sound.len();
            prop_assert_eq!(out.len() + held, count as usize * 3);
        }
    }
}

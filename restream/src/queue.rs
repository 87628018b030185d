//! What waits for one target: bounded by media time and by bytes, and shortened by whole groups of pictures.

use media::{AccessUnit, MediaTime, Track};
use std::collections::VecDeque;

/// The most media that waits for a target (RELIABILITY C8).
const SPAN_MAX: MediaTime = MediaTime::from_millis(8_000);
/// The most bytes of it.
const BYTES_MAX: usize = 16 << 20;
/// The most units of it, whatever their stamps say: 8 s of 120 pictures and 94 frames of sound a second, and as much again.
const UNITS_MAX: usize = 4096;

/// A unit to be sent.
#[derive(Debug)]
pub(crate) struct Next {
    pub unit: AccessUnit,
    /// Media before it was dropped, or nothing was sent yet: decoder configurations go first.
    pub begins: bool,
}

/// The units that wait. With pictures it always begins with a keyframe or with what follows the unit that was taken last.
#[derive(Debug)]
pub(crate) struct Queue {
    units: VecDeque<AccessUnit>,
    bytes: usize,
    has_video: bool,
    /// Nothing is taken in before the next keyframe.
    is_waiting: bool,
    /// The next unit taken begins anew.
    begins: bool,
    /// Units dropped because the target was late, and how often that began.
    pub dropped_units: u64,
    pub drops: u64,
}

impl Queue {
    /// An empty one, for a source with or without pictures.
    pub fn new(has_video: bool) -> Self {
        Self { units: VecDeque::new(), bytes: 0, has_video, is_waiting: true, begins: true, dropped_units: 0, drops: 0 }
    }

    /// Takes in a unit. When too much waits, the oldest group of pictures goes, or all of it when
    /// there is no other.
    pub fn push(&mut self, unit: AccessUnit) {
        if self.is_waiting && !self.is_entry(&unit) {
            self.dropped_units += u64::from(self.drops > 0);
            return;
        }
        self.is_waiting = false;
        self.add(unit);
        while self.is_over() {
            self.drop_group();
        }
    }

    /// The source lost units before they came here: what follows is of no use before a keyframe.
    pub fn lost(&mut self, units: u64) {
        self.drops += 1;
        self.dropped_units += units;
        self.begins = true;
        self.is_waiting = true;
    }

    /// The oldest unit.
    pub fn pop(&mut self) -> Option<Next> {
        let unit = self.units.pop_front()?;
        self.bytes -= unit.data.len();
        Some(Next { unit, begins: std::mem::take(&mut self.begins) })
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Forgets what waits, for another connection: it begins with the next keyframe that comes.
    pub fn restart(&mut self) {
        self.units.clear();
        (self.bytes, self.is_waiting, self.begins) = (0, true, true);
    }

    fn add(&mut self, unit: AccessUnit) {
        self.bytes += unit.data.len();
        self.units.push_back(unit);
    }

    fn is_entry(&self, unit: &AccessUnit) -> bool {
        unit.sync && (!self.has_video || unit.track() == Track::Video)
    }

    fn is_over(&self) -> bool {
        let span = match (self.units.front(), self.units.back()) {
            (Some(oldest), Some(newest)) => newest.dts - oldest.dts,
            _ => MediaTime::ZERO,
        };
        span > SPAN_MAX || self.bytes > BYTES_MAX || self.units.len() > UNITS_MAX
    }

    /// Drops up to the next keyframe.
    fn drop_group(&mut self) {
        let next = self.units.iter().skip(1).position(|unit| self.is_entry(unit)).map(|at| at + 1);
        let dropped = next.unwrap_or(self.units.len());
        self.bytes -= self.units.drain(..dropped).map(|unit| unit.data.len()).sum::<usize>();
        self.drops += 1;
        self.dropped_units += dropped as u64;
        self.begins = true;
        self.is_waiting = self.units.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copyist::tests::{picture, sound};
    use proptest::prelude::*;

    /// Twenty-five pictures and fifty frames of sound a second, a keyframe every two seconds.
    fn second(n: i64) -> Vec<AccessUnit> {
        let at = |ms| n * 1000 + ms;
        let mut units: Vec<AccessUnit> = (0..25).map(|k| picture(at(k * 40), n % 2 == 0 && k == 0, 10)).collect();
        units.extend((0..50).map(|k| sound(at(k * 20))));
        units.sort_by_key(|unit| (unit.dts, unit.track()));
        units
    }

    fn drained(queue: &mut Queue) -> Vec<Next> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_late_target_loses_whole_groups_and_goes_on_at_a_keyframe_with_headers() {
        let mut queue = Queue::new(true);
        (0..11).flat_map(second).for_each(|unit| queue.push(unit));
        assert_eq!((queue.drops, queue.dropped_units), (2, 2 * 2 * 75));
        let left = drained(&mut queue);
        assert!(left[0].begins && left[0].unit.sync && left[0].unit.dts == MediaTime::from_millis(4000));
        assert!(left[1..].iter().all(|next| !next.begins));
        assert_eq!(left.len(), 7 * 75);
    }

    #[test]
    fn what_was_taken_is_not_broken_off_within_a_group_unless_it_is_late() {
        let mut queue = Queue::new(true);
        second(0).into_iter().for_each(|unit| queue.push(unit));
        assert!(queue.pop().unwrap().begins);
        (1..8).flat_map(second).for_each(|unit| queue.push(unit));
        assert_eq!(queue.drops, 0);
        assert!(!queue.pop().unwrap().begins);
        (8..10).flat_map(second).for_each(|unit| queue.push(unit));
        assert_eq!(queue.drops, 1);
        let next = queue.pop().unwrap();
        assert!(next.begins && next.unit.sync && next.unit.dts == MediaTime::from_millis(2000));
    }

    #[test]
    fn a_group_longer_than_the_queue_goes_whole() {
        let mut queue = Queue::new(true);
        queue.push(picture(0, true, 10));
        (1..300).for_each(|n| queue.push(picture(n * 40, false, 10)));
        assert!(queue.is_empty(), "nothing is of use before the next keyframe");
        assert_eq!((queue.drops, queue.dropped_units), (1, 300));
        queue.push(picture(12_000, true, 10));
        assert!(queue.pop().unwrap().begins);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut queue = Queue::new(true);
        (0..40).for_each(|n| queue.push(picture(n * 40, n % 5 == 0, 1 << 20)));
        assert!(queue.bytes <= BYTES_MAX && queue.units.front().unwrap().sync);
        assert!(queue.drops > 0);
    }

    #[test]
    fn another_connection_begins_with_a_keyframe_and_nothing_before_it_counts_as_dropped() {
        let mut queue = Queue::new(true);
        second(0).into_iter().for_each(|unit| queue.push(unit));
        queue.restart();
        (1..3).flat_map(second).for_each(|unit| queue.push(unit));
        assert_eq!((queue.drops, queue.dropped_units), (0, 0));
        let next = queue.pop().unwrap();
        assert!(next.begins && next.unit.sync && next.unit.dts == MediaTime::from_millis(2000));
    }

    #[test]
    fn sound_alone_needs_no_keyframe() {
        let mut queue = Queue::new(false);
        (0..1000).for_each(|n| queue.push(sound(n * 20)));
        let left = drained(&mut queue);
        assert_eq!(left.last().unwrap().unit.dts, MediaTime::from_millis(19_980));
        assert_eq!(left[0].unit.dts, MediaTime::from_millis(11_980));
    }

    proptest! {
        #[test]
        fn limits_hold_and_media_begins_at_keyframes(
            steps in proptest::collection::vec((0i64..4000, any::<bool>(), 0usize..4 << 20, any::<bool>(), 0u8..8), 1..200)
        ) {
            let (mut queue, mut at, mut last) = (Queue::new(true), 0, None);
            let (mut given, mut taken) = (0u64, 0u64);
            for (step, sync, bytes, is_sound, pops) in steps {
                at += step;
                given += 1;
                queue.push(if is_sound { sound(at) } else { picture(at, sync, bytes) });
                prop_assert!(queue.bytes <= BYTES_MAX && queue.units.len() <= UNITS_MAX);
                for _ in 0..pops {
                    let Some(next) = queue.pop() else { break };
                    taken += 1;
                    prop_assert!(last <= Some(next.unit.dts));
                    last = Some(next.unit.dts);
                    prop_assert!(!next.begins || (next.unit.sync && next.unit.track() == Track::Video));
                }
            }
            prop_assert!(taken + queue.units.len() as u64 + queue.dropped_units <= given);
        }
    }
}

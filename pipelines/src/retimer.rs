//! The [`Retimer`]: from decoded pictures at whatever times to the constant-rate slots of the boundary plan.
//!
//! Segment n of every encoded rung has its pictures at `B_n + F.time_of(k)`, k from 0 to `round((B_{n+1} - B_n) / F) - 1`.
//! A picture takes the slot it is nearest to; the first that comes for a slot has it, later ones are dropped, and a slot
//! nobody comes for shows the picture before it again. Pure: it sees stamps and handles, never pixels, and reads no clock.

use media::{FrameRate, MediaTime};
use std::collections::VecDeque;

/// A picture goes to slot k when it is at most this part of a frame time before it, else to k - 1. Just under a half:
/// every second picture of a source at twice the rate lies halfway, and jitter of a millisecond must not decide.
const EARLY: f64 = 0.44;
/// Slots filled in a row with a repeated picture, in time. A longer hole in the source stays a hole.
const FILL_MAX: MediaTime = MediaTime::from_millis(5_000);
/// Boundaries known ahead; the plan is at most seconds ahead of the decoder.
const BOUNDARIES_MAX: usize = 256;

/// One output picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot<P> {
    /// Its exact presentation time.
    pub pts: MediaTime,
    /// It begins a segment: every rung has an IDR here.
    pub idr: bool,
    /// It shows the picture of the slot before again.
    pub repeated: bool,
    /// What to show.
    pub picture: P,
}

#[derive(Debug)]
struct Segment {
    at: MediaTime,
    /// First slot not given yet.
    next: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Retimer<P> {
    rate: FrameRate,
    segment: Option<Segment>,
    /// Starts of the segments after the current one.
    ahead: VecDeque<MediaTime>,
    /// No boundary before or at this stamp will be announced any more.
    horizon: MediaTime,
    last_pts: Option<MediaTime>,
    /// A picture whose slot may turn out not to exist, as the next boundary may come before the slot's end.
    held: Option<(i64, P)>,
    shown: Option<P>,
    /// The picture being placed comes after a hole that stays one, however many boundaries lie in it.
    is_after_hole: bool,
    /// Pictures no slot had room for.
    pub dropped: u64,
    /// Slots that show a picture again.
    pub repeated: u64,
}

impl<P: Clone> Retimer<P> {
    pub fn new(rate: FrameRate) -> Self {
        Self {
            rate,
            segment: None,
            ahead: VecDeque::new(),
            horizon: MediaTime::from_ticks(i64::MIN / 4),
            last_pts: None,
            held: None,
            shown: None,
            is_after_hole: false,
            dropped: 0,
            repeated: 0,
        }
    }

    /// A segment begins at `at`. Comes before the first [`Retimer::seen`] with a stamp at or after it; one that isn't
    /// later than those before is ignored.
    pub fn boundary(&mut self, at: MediaTime, out: &mut Vec<Slot<P>>) {
        let newest = self.ahead.back().copied().or(self.segment.as_ref().map(|s| s.at));
        if newest.is_some_and(|newest| at <= newest) || self.ahead.len() >= BOUNDARIES_MAX {
            return;
        }
        self.ahead.push_back(at);
        self.release(out);
    }

    /// The input holds a unit with this stamp, so boundaries up to it are known.
    pub fn seen(&mut self, pts: MediaTime, out: &mut Vec<Slot<P>>) {
        self.horizon = self.horizon.max(pts);
        self.release(out);
    }

    /// A decoded picture, in presentation order; one that goes back in time is dropped.
    pub fn picture(&mut self, pts: MediaTime, picture: P, out: &mut Vec<Slot<P>>) {
        if self.last_pts.is_some_and(|last| pts <= last) {
            self.dropped += 1;
            return;
        }
        self.is_after_hole = self.last_pts.replace(pts).is_some_and(|last| pts - last > FILL_MAX);
        let Some(index) = self.place(pts, out) else {
            // Before the first boundary nothing is planned.
            self.dropped += 1;
            return;
        };
        let held = self.held.as_ref().map(|(k, _)| *k);
        let next = self.segment.as_ref().map_or(0, |s| s.next);
        if index < next || held == Some(index) {
            self.dropped += 1;
            self.shown = self.shown.take().map(|_| picture);
            return;
        }
        if let Some((_, earlier)) = self.held.take() {
            // This one's slot is later and exists, so the held one's does too.
            let at = held.unwrap_or(next);
            self.fill(at, out);
            self.give(earlier, false, out);
        }
        self.fill(index, out);
        self.held = Some((index, picture));
        self.release(out);
    }

    /// No more pictures: what is held comes out.
    pub fn end(&mut self, out: &mut Vec<Slot<P>>) {
        if let Some((_, picture)) = self.held.take() {
            self.give(picture, false, out);
        }
    }

    /// The slot of the current segment nearest to `pts`, after moving on to the segment it belongs to.
    fn place(&mut self, pts: MediaTime, out: &mut Vec<Slot<P>>) -> Option<i64> {
        if self.segment.is_none() {
            let first = *self.ahead.front()?;
            if index_in(self.rate, first, pts) < 0 {
                return None;
            }
            self.ahead.pop_front();
            self.segment = Some(Segment { at: first, next: 0 });
        }
        loop {
            let at = self.segment.as_ref()?.at;
            let index = index_in(self.rate, at, pts);
            let Some(next_at) = self.ahead.front().copied() else { return Some(index.max(0)) };
            let slots = self.slots(at, next_at);
            // A picture a moment before a boundary, with no slot left in the old segment, is the new one's first.
            match index_in(self.rate, next_at, pts) {
                0.. if pts >= next_at || index >= slots => {
                    if let Some((k, earlier)) = self.held.take().filter(|(k, _)| *k < slots) {
                        self.fill(k, out);
                        self.give(earlier, false, out);
                    }
                    self.fill(slots, out);
                    self.ahead.pop_front();
                    self.segment = Some(Segment { at: next_at, next: 0 });
                }
                _ => return Some(index.max(0).min(slots - 1)),
            }
        }
    }

    fn slots(&self, from: MediaTime, to: MediaTime) -> i64 {
        self.rate.frames_in(to - from).max(0)
    }

    /// Gives the held picture once its slot is known to exist: the segment lasts at least half a frame beyond its start.
    fn release(&mut self, out: &mut Vec<Slot<P>>) {
        let (Some(segment), Some((k, _))) = (&self.segment, &self.held) else { return };
        let exists = match self.ahead.front() {
            Some(next_at) => *k < self.slots(segment.at, *next_at),
            None => self.rate.frames_in(self.horizon - segment.at) > *k,
        };
        if exists && let Some((_, picture)) = self.held.take() {
            self.give(picture, false, out);
        }
    }

    /// Repeats the shown picture up to slot `to`, unless the hole is too long or nothing was shown yet.
    fn fill(&mut self, to: i64, out: &mut Vec<Slot<P>>) {
        let Some(segment) = &mut self.segment else { return };
        let missing = to - segment.next;
        if missing <= 0 {
            return;
        }
        match self.shown.clone() {
            Some(picture) if !self.is_after_hole && self.rate.time_of(missing) <= FILL_MAX => {
                for _ in 0..missing {
                    self.give(picture.clone(), true, out);
                }
            }
            _ => segment.next = to,
        }
    }

    fn give(&mut self, picture: P, repeated: bool, out: &mut Vec<Slot<P>>) {
        let Some(segment) = &mut self.segment else { return };
        let pts = segment.at + self.rate.time_of(segment.next);
        let idr = segment.next == 0;
        segment.next += 1;
        self.repeated += u64::from(repeated);
        self.shown = Some(picture.clone());
        out.push(Slot { pts, idr, repeated, picture });
    }
}

fn index_in(rate: FrameRate, at: MediaTime, pts: MediaTime) -> i64 {
    ((pts - at).as_secs_f64() * rate.as_f64() + EARLY).floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THIRTY: FrameRate = FrameRate { num: 30, den: 1 };

    /// Plays pictures in presentation order as the worker does: each is announced, then decoded `delay` pictures later.
    fn play(rate: FrameRate, boundaries: &[i64], pictures: &[i64], delay: usize) -> Vec<Slot<usize>> {
        let mut retimer = Retimer::new(rate);
        let mut out = Vec::new();
        let mut planned = boundaries.iter().peekable();
        let ticks = MediaTime::from_ticks;
        for (n, pts) in pictures.iter().enumerate() {
            while let Some(at) = planned.next_if(|at| *at <= pts) {
                retimer.boundary(ticks(*at), &mut out);
            }
            retimer.seen(ticks(*pts), &mut out);
            if n >= delay {
                retimer.picture(ticks(pictures[n - delay]), n - delay, &mut out);
            }
        }
        for (n, pts) in pictures.iter().enumerate().skip(pictures.len().saturating_sub(delay)) {
            retimer.picture(ticks(*pts), n, &mut out);
        }
        retimer.end(&mut out);
        out
    }

    #[test]
    fn a_steady_source_keeps_every_picture_once() {
        let pictures: Vec<i64> = (0..120).map(|n| 900_000 + (n * 1000 / 30) * 90).collect();
        for delay in [0, 1, 3] {
            let out = play(THIRTY, &[pictures[0], pictures[60]], &pictures, delay);
            assert_eq!(out.iter().map(|s| s.picture).collect::<Vec<_>>(), (0..120).collect::<Vec<_>>());
            assert!(out.iter().all(|s| !s.repeated));
            assert_eq!(
                out.iter().filter(|s| s.idr).map(|s| s.pts.ticks()).collect::<Vec<_>>(),
                [pictures[0], pictures[60]]
            );
        }
    }

    #[test]
    fn a_picture_a_tick_before_a_planned_boundary_begins_its_segment() {
        let pictures: Vec<i64> = (0..90).map(|n| 900_000 + n * 3000 - i64::from(n % 3 == 0 && n > 0) * 45).collect();
        let out = play(THIRTY, &[900_000, 900_000 + 60 * 3000], &pictures, 1);
        assert_eq!(out.len(), 90);
        assert!(out.iter().all(|s| !s.repeated));
        assert!(out[60].idr && out[60].picture == 60);
    }

    #[test]
    fn twice_the_rate_gives_every_second_picture() {
        let pictures: Vec<i64> = (0..240).map(|n| 900_000 + (n * 1000 / 60) * 90).collect();
        let out = play(THIRTY, &[900_000], &pictures, 2);
        let shown: Vec<_> = out.iter().map(|s| s.picture).collect();
        assert_eq!(shown, (0..240).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn holes_are_filled_and_long_ones_stay() {
        let short = play(THIRTY, &[0], &[0, 3000, 12_000, 15_000], 0);
        assert_eq!(short.iter().map(|s| s.picture).collect::<Vec<_>>(), [0, 1, 1, 1, 2, 3]);
        let long = play(THIRTY, &[0], &[0, 3000, 900_000], 0);
        assert_eq!(long.iter().map(|s| s.pts.ticks()).collect::<Vec<_>>(), [0, 3000, 900_000]);
        // A publisher that was away for ten seconds, in which boundaries went on.
        let away = play(THIRTY, &[0, 180_000, 360_000, 540_000, 720_000, 900_000], &[0, 3000, 900_000, 903_000], 0);
        assert_eq!(away.iter().map(|s| s.pts.ticks()).collect::<Vec<_>>(), [0, 3000, 900_000, 903_000]);
        assert!(away[2].idr && away.iter().all(|s| !s.repeated));
    }

    #[test]
    fn nothing_comes_before_the_first_boundary() {
        let out = play(THIRTY, &[6000], &[0, 3000, 6000, 9000], 0);
        assert_eq!(out.first().map(|s| (s.pts.ticks(), s.idr)), Some((6000, true)));
    }

    proptest! {
        /// Whatever the source does, every slot lies on its segment's grid, stamps rise, a segment has no slot beyond its
        /// end, and each boundary that has a picture near it begins with an IDR.
        #[test]
        fn slots_follow_the_plan(
            steps in proptest::collection::vec((1i64..9000, proptest::bool::weighted(0.1)), 1..200),
            rate in prop_oneof![Just(THIRTY), Just(FrameRate { num: 30_000, den: 1001 }), Just(FrameRate { num: 25, den: 1 }), Just(FrameRate { num: 60, den: 1 })],
            delay in 0usize..4,
        ) {
            let (mut at, mut pictures, mut boundaries) = (900_000, vec![900_000], vec![900_000]);
            for (step, cut) in steps {
                at += step;
                pictures.push(at);
                if cut {
                    boundaries.push(at);
                }
            }
            let out = play(rate, &boundaries, &pictures, delay);
            prop_assert!(out.windows(2).all(|w| w[0].pts < w[1].pts));
            for slot in &out {
                let n = boundaries.partition_point(|b| *b <= slot.pts.ticks()) - 1;
                let offset = slot.pts - MediaTime::from_ticks(boundaries[n]);
                let k = rate.frames_in(offset);
                prop_assert_eq!(rate.time_of(k), offset);
                prop_assert_eq!(slot.idr, k == 0);
                if let Some(end) = boundaries.get(n + 1) {
                    prop_assert!(k < rate.frames_in(MediaTime::from_ticks(end - boundaries[n])));
                }
                // Early by what EARLY allows, late by a half; a picture in the rest of a segment that ends between slots
                // takes the last slot if nobody has it.
                let frames = (slot.pts.ticks() - pictures[slot.picture]) as f64 * rate.as_f64() / 90_000.0;
                prop_assert!(slot.repeated || (-1.07..0.45).contains(&frames), "{} frames away", frames);
            }
            // No hole inside a segment once it began.
            for pair in out.windows(2) {
                let step = pair[1].pts - pair[0].pts;
                prop_assert!(pair[1].idr || rate.frames_in(step) == 1, "{:?}", pair);
            }
        }
    }
}

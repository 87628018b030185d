//! One track's share of the timeline: its stamps, its offset, its arrivals.

use super::pulse::Pulse;
use super::{COMPOSITION_MAX, JOIN_MAX, JUMP_BACK, JUMP_FORWARD, REBASE_STEP};
use media::MediaTime;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Encoders that keep only 24 bits of a stamp wrap here, at 4 h 39 m.
const WRAP_24_MS: i64 = 1 << 24;
/// A gap is true when the wall clock says so to within this.
const GAP_TRUE: MediaTime = MediaTime::from_millis(500);
/// So many equal stamps in a row, over so long a time, are no encoder's slices or batched frames.
const STUCK_UNITS: u32 = 5;
const STUCK_FOR: Duration = Duration::from_millis(100);
/// The mean step follows a change in about so many steps.
const STEPS: i64 = 16;
/// The most pictures H.264 and HEVC can reorder, and one.
const REORDER_MAX: i64 = 17;
/// The longest composition offset allowed whatever the frame rate.
const COMPOSITION_SURE: MediaTime = MediaTime::from_millis(250);
/// Arrivals that give the mean time between units.
const ARRIVALS: usize = 64;
/// The mean time between pictures placed by arrival.
const PERIOD_MIN: MediaTime = MediaTime::from_millis(4);
const PERIOD_MAX: MediaTime = MediaTime::from_millis(1000);
/// The share of its distance from the wall clock that a unit placed by arrival makes up for: about a second for all of it.
const PULL: i64 = 20;
/// Stamps that are believed again take the other track's offset when it puts them this near to where they are by arrival.
const MENDED_NEAR: MediaTime = MediaTime::from_millis(300);
/// A track is running while its last unit came this short a time ago.
const RUNNING: Duration = Duration::from_secs(1);

/// What became of a stamp.
pub(super) enum Found {
    /// This offset gives it a place that goes on from the last one.
    Fits(MediaTime),
    /// This offset does, behind a gap which is true.
    Gap(MediaTime),
    /// No offset does.
    Nothing,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    /// The last stamp, extended to 64 bits, milliseconds.
    extended: Option<i64>,
    /// What wraps of 24 bits have added to it.
    wrapped: i64,
    /// Added to an extended stamp.
    pub offset: MediaTime,
    /// The latest place of a stamp, before the rules for decode times.
    pub at: Option<MediaTime>,
    pub last_dts: Option<MediaTime>,
    /// Units before this time come too late: silence stands there, or the track was moved back behind it.
    pub taken_until: Option<MediaTime>,
    /// Its stamps are of no use.
    pub by_arrival: bool,
    pub pulse: Pulse,
    /// How its stamps go with the wall clock while they are of no use.
    told: Pulse,
    /// The mean step from stamp to stamp, without jumps.
    step: Option<MediaTime>,
    /// When the last units came, newest last.
    arrivals: VecDeque<Instant>,
    /// How many stamps in a row are equal, and since when.
    equal: u32,
    equal_since: Option<Instant>,
}

impl Clock {
    /// Extends the stamp of a unit that came at `now`; the first one in the manner of the other track's.
    pub fn read(&mut self, stamp: u32, other: &Clock, now: Instant) -> MediaTime {
        let manner =
            if self.extended.is_some() { (self.extended, self.wrapped) } else { (other.extended, other.wrapped) };
        let extended;
        (extended, self.wrapped) = extend(stamp, manner.0, manner.1);
        if let Some(step) = self.extended.map(|last| MediaTime::from_millis(extended - last))
            && (MediaTime::from_ticks(1)..=PERIOD_MAX).contains(&step)
        {
            let mean = self.step.unwrap_or(step);
            self.step = Some(mean + MediaTime::from_ticks((step - mean).ticks() / STEPS));
        }
        if self.extended.replace(extended) == Some(extended) {
            self.equal += 1;
        } else {
            (self.equal, self.equal_since) = (1, Some(now));
        }
        self.arrivals.push_back(now);
        if self.arrivals.len() > ARRIVALS {
            self.arrivals.pop_front();
        }
        MediaTime::from_millis(extended)
    }

    /// The first unit of a session stands at `at`.
    pub fn begin(&mut self, at: MediaTime, stamped: MediaTime) {
        self.offset = at - stamped;
        self.at = Some(at);
    }

    /// Looks for the offset that goes on best from this track's last place: its own, or the one made last. `front` is the
    /// newest place of any track, `wall` the time of arrival.
    pub fn find(&self, stamped: MediaTime, shared: MediaTime, front: MediaTime, wall: MediaTime) -> Found {
        let Some(last) = self.at else {
            let fits = (stamped + shared - front).abs() <= JOIN_MAX;
            return if fits { Found::Fits(shared) } else { Found::Nothing };
        };
        let fits = |at: MediaTime| at >= last - JUMP_BACK && at <= last.max(front) + JUMP_FORWARD;
        let far = |offset: &MediaTime| (stamped + *offset - last - REBASE_STEP).abs();
        let best = [self.offset, shared].into_iter().filter(|offset| fits(stamped + *offset)).min_by_key(far);
        let own = stamped + self.offset;
        match best {
            Some(offset) => Found::Fits(offset),
            None if own > last && (own - (wall - self.pulse.recent())).abs() <= GAP_TRUE => Found::Gap(self.offset),
            None => Found::Nothing,
        }
    }

    /// The wanted decode time, or the first one after the last.
    pub fn rise(&mut self, wanted: MediaTime) -> MediaTime {
        let dts = self.last_dts.map_or(wanted, |last| wanted.max(last + MediaTime::from_ticks(1)));
        self.last_dts = Some(dts);
        dts
    }

    /// Whether the time `at` was given to something else.
    pub fn is_taken(&self, at: MediaTime) -> bool {
        self.taken_until.is_some_and(|until| at < until)
    }

    /// The place of a unit by its arrival, at `wall`: one unit after the last, and some way nearer to the wall clock, so
    /// that the jitter of the network is evened out. True when units have been away and a break is due.
    pub fn step(&mut self, wall: MediaTime, lasts: Option<MediaTime>) -> (MediaTime, bool) {
        let target = wall - self.pulse.base();
        let last = self.at.unwrap_or(target);
        let period = lasts.unwrap_or_else(|| self.period());
        let off = target - (last + period);
        let is_break = off > JUMP_FORWARD;
        let half = MediaTime::from_ticks((period.ticks() / 2).max(1));
        let step = period + MediaTime::from_ticks(off.ticks() / PULL);
        let at = if is_break { target } else { last + step.clamp(half, period + period) };
        self.at = Some(at);
        (at, is_break)
    }

    /// Whether its stamps, of no use so far, have gone with time for long enough to be believed again. They are then, and
    /// its places go on from the one by arrival; with `shared` as its offset when that is near, for the lip-sync's sake.
    pub fn is_mended(&mut self, stamped: MediaTime, shared: MediaTime, wall: MediaTime, now: Instant) -> bool {
        self.told.look(wall - stamped, now);
        let Some(at) = self.at.filter(|_| self.told.is_even()) else { return false };
        self.offset = if (stamped + shared - at).abs() <= MENDED_NEAR { shared } else { at - stamped };
        self.at = Some(stamped + self.offset);
        self.by_arrival = false;
        self.told = Pulse::default();
        self.pulse.forget();
        true
    }

    /// The longest composition offset that reordering of this track's pictures explains.
    pub fn composition_max(&self) -> MediaTime {
        let steps = self.step.map(|step| MediaTime::from_ticks(step.ticks() * REORDER_MAX));
        steps.unwrap_or(COMPOSITION_MAX).clamp(COMPOSITION_SURE, COMPOSITION_MAX)
    }

    /// All stamps are the same.
    pub fn is_stuck(&self) -> bool {
        let span = self.arrivals.back().zip(self.equal_since).map(|(now, since)| now.saturating_duration_since(since));
        self.equal >= STUCK_UNITS && span.is_some_and(|span| span >= STUCK_FOR)
    }

    /// Its last unit came a moment before `now`.
    pub fn is_running(&self, now: Instant) -> bool {
        self.arrivals.back().is_some_and(|last| now.saturating_duration_since(*last) < RUNNING)
    }

    /// From now on it stands `late` later.
    pub fn postpone(&mut self, late: MediaTime) {
        self.offset += late;
        self.at = self.at.map(|at| at + late);
        self.pulse.forget();
    }

    /// All its places, those given included, were moved `span` back.
    pub fn pull_back(&mut self, span: MediaTime) {
        self.offset -= span;
        self.at = self.at.map(|at| at - span);
        self.last_dts = self.last_dts.map(|dts| dts - span);
        self.taken_until = self.taken_until.map(|until| until - span);
        self.pulse.forget();
    }

    fn period(&self) -> MediaTime {
        let span = self.arrivals.back().zip(self.arrivals.front()).map(|(last, first)| *last - *first);
        let steps = self.arrivals.len().saturating_sub(1).max(1) as i64;
        let mean = MediaTime::from(span.unwrap_or_default()).ticks() / steps;
        MediaTime::from_ticks(mean).clamp(PERIOD_MIN, PERIOD_MAX)
    }
}

/// The 64-bit stamp nearest to `last` that ends in these bits, when wraps of 24 bits have added `wrapped` to it; and what
/// they have added by now.
fn extend(stamp: u32, last: Option<i64>, wrapped: i64) -> (i64, i64) {
    let Some(last) = last else { return (i64::from(stamp), 0) };
    let step = i64::from(stamp.wrapping_sub((last - wrapped) as u32) as i32);
    // A step back of almost exactly 2^24 from just below a multiple of it is a 24-bit wrap, not a jump.
    let over = step + WRAP_24_MS;
    let is_wrap = (-JUMP_BACK.as_millis()..=JUMP_FORWARD.as_millis()).contains(&over)
        && i64::from(stamp) < 2 * JUMP_FORWARD.as_millis();
    if is_wrap { (last + over, wrapped + WRAP_24_MS) } else { (last + step, wrapped) }
}

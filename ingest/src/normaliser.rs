//! The [`Normaliser`]: from a publisher's stamps to the session's timeline.

mod clock;
mod pulse;

use clock::{Clock, Found};
use media::{MediaTime, Track};
use pulse::Verdict;
use std::time::{Duration, Instant};

/// Where the first unit of a session stands, so that nothing ever goes negative: reorder shifts, a second track that
/// begins earlier, encoder priming.
const BASE: MediaTime = MediaTime::from_millis(10_000);
/// A step back of more than this, or forward of more than [`JUMP_FORWARD`], is a jump of the publisher's clock
/// (RELIABILITY A9).
const JUMP_BACK: MediaTime = MediaTime::from_millis(500);
const JUMP_FORWARD: MediaTime = MediaTime::from_millis(3000);
/// A track that joins farther from the other than this runs on another clock (RELIABILITY A10).
const JOIN_MAX: MediaTime = MediaTime::from_millis(5000);
/// Tracks that both run and stay farther apart than this for [`SKEW_PATIENCE`] are put together when one of them is ahead of
/// the wall clock by as much, which only stamps can make it; a track that is late may be stamped truly, and is believed up to
/// [`JOIN_MAX`].
const SKEW_MAX: MediaTime = MediaTime::from_millis(2000);
const SKEW_PATIENCE: MediaTime = MediaTime::from_millis(3000);
/// Where a rebased clock goes on behind the newest unit: about a frame.
const REBASE_STEP: MediaTime = MediaTime::from_millis(33);
/// Audio runs on its sample count until it is this far from the stamps (DESIGN 8.1).
const AUDIO_DRIFT_MAX: MediaTime = MediaTime::from_millis(20);
/// No reordering needs more: 16 pictures at 8 per second are 2 s.
const COMPOSITION_MAX: MediaTime = MediaTime::from_millis(3000);
/// Both tracks are off by a fault they share when one is off and the other by at least this.
const SHARED_FAULT_MIN: MediaTime = MediaTime::from_millis(1000);
/// Sound whose stamps have agreed with its samples for so long proves that the stamps tell the truth: one per cent off is
/// seen every two seconds.
const PROVEN_AFTER: Duration = Duration::from_secs(8);
/// A picture without sound that falls behind bit by bit is brought back to the wall clock no more often than this.
const POSTPONED_EVERY: Duration = Duration::from_secs(20);

/// Where a unit stands on the session's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Decode time, later than that of the unit before it on its track.
    pub dts: MediaTime,
    /// Presentation time, not before `dts`.
    pub pts: MediaTime,
    /// The clock was rebased here: a [`media::FeedItem::Break`] belongs before this unit.
    pub is_break: bool,
}

/// What is wrong with a publisher's clock; the text is for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockFault {
    /// The stamps jumped, or what they belong to came seconds late and stayed late.
    #[error("the encoder's clock jumped; playback goes on behind a discontinuity")]
    Jump,
    /// Sound and picture are seconds apart.
    #[error("sound and picture stayed seconds apart and were put together by when they arrive; restart the encoder")]
    Skew,
    /// All stamps are equal.
    #[error(
        "the encoder gives all its units the same time stamp, so they are timed by when they arrive; update it or restart it"
    )]
    Stuck,
    /// The stamps run faster or slower than time does.
    #[error(
        "the encoder's clock runs at another speed than time, so its units are timed by when they arrive; restart it, and with ffmpeg put -re before -i"
    )]
    Drift,
}

/// Puts the publisher's stamps (milliseconds modulo 2^32) on a session's timeline at 90 kHz. Pure: the moment of arrival
/// comes in with each unit.
///
/// Both tracks share one offset, so lip-sync is what the publisher sent. Stamps are extended over wraps of 32 bits (and
/// of 24, which some encoders make). A jump is rebased to where the wall clock is, so the timeline neither stretches nor
/// shrinks against it; a gap that the wall clock confirms stays a gap. Stamps that stand still, or run more than two
/// seconds away from the wall clock at an even speed, are not used until they go with it again: units are placed by when
/// they arrive. A congested network does the same to a true clock; there the stamps are kept, which sound proves true whose
/// samples agree with them.
/// Decode times rise strictly; a negative composition offset shifts decode times back, never presentation times. Audio is
/// placed by its sample count, and re-anchored to its stamps by stretching (or shortening) one frame when it drifts by
/// 20 ms.
///
/// ```
/// use ingest::Normaliser;
/// let mut normaliser = Normaliser::new();
/// let first = normaliser.video(1_000_000, 66, std::time::Instant::now()).expect("nothing came before it");
/// assert_eq!((first.dts.as_millis(), first.pts.as_millis()), (10_000, 10_066));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Normaliser {
    /// When the first unit came, at [`BASE`] on the timeline.
    start: Option<Instant>,
    video: Clock,
    audio: Clock,
    /// The offset made last; a track whose own no longer fits tries it before making a new one.
    shared: Option<MediaTime>,
    /// How far decode times are shifted back to stay before presentation times.
    reorder_shift: MediaTime,
    /// The last composition offset that made sense.
    composition: MediaTime,
    samples: Option<SampleClock>,
    skewed_since: Option<Instant>,
    /// Since when the sound's stamps have agreed with its samples.
    true_since: Option<Instant>,
    postponed: Option<Instant>,
    reanchored: u64,
    fault: Option<ClockFault>,
}

struct Place {
    at: MediaTime,
    /// The session's clock was rebased by this stamp.
    is_break: bool,
    /// The track has another offset than before.
    is_moved: bool,
}

/// `samples` at `rate` since `anchor`.
#[derive(Debug, Clone)]
struct SampleClock {
    anchor: MediaTime,
    samples: i64,
    rate: u32,
}

impl Normaliser {
    /// The timeline of a new session; its first unit is decoded at 10 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places a picture that came at `now`, which must not go back. `stamp` is its decode time, `composition_ms`
    /// presentation minus decode time; one longer than reordering explains is taken for the one before. `None` when its time was given to something else.
    pub fn video(&mut self, stamp: u32, composition_ms: i32, now: Instant) -> Option<Placed> {
        let Place { at, is_break, .. } = self.place(Track::Video, stamp, None, now);
        if self.video.is_taken(at) {
            return None;
        }
        let told = MediaTime::from_millis(i64::from(composition_ms));
        // One that no reordering explains would show its picture seconds away from its neighbours.
        let composition = if told.abs() <= self.video.composition_max() { told } else { self.composition };
        self.composition = composition;
        let pts = at + composition;
        self.reorder_shift = self.reorder_shift.max(-composition);
        let dts = self.video.rise(at - self.reorder_shift);
        Some(Placed { dts, pts: pts.max(dts), is_break })
    }

    /// Places an audio frame of `samples` samples at `rate` per second (both at least 1) that came at `now`. `None` when its
    /// time was given to something else, such as silence.
    pub fn audio(&mut self, stamp: u32, samples: u32, rate: u32, now: Instant) -> Option<Placed> {
        let lasts = MediaTime::from_units(i64::from(samples), rate);
        let Place { at, is_break, is_moved } = self.place(Track::Audio, stamp, Some(lasts), now);
        if self.audio.is_taken(at) {
            return None;
        }
        let counted = self.samples.as_ref().filter(|clock| clock.rate == rate && !is_moved).map(SampleClock::now);
        let near = counted.filter(|counted| (at - *counted).abs() <= AUDIO_DRIFT_MAX);
        if near.is_none() {
            self.reanchored += u64::from(counted.is_some());
            self.true_since = Some(now);
            self.samples = Some(SampleClock { anchor: at, samples: 0, rate });
        }
        let dts = self.audio.rise(near.unwrap_or(at));
        if let Some(clock) = &mut self.samples {
            clock.samples += i64::from(samples);
        }
        Some(Placed { dts, pts: dts, is_break })
    }

    /// The place of a silent audio frame that ends by `until`, right behind the sound so far, but not before `from`. `None`
    /// when the sound has come that far.
    pub fn silence(&mut self, from: MediaTime, until: MediaTime, samples: u32, rate: u32) -> Option<MediaTime> {
        let counted = self.samples.as_ref().filter(|clock| clock.rate == rate).map(SampleClock::now);
        let counted = counted.filter(|counted| *counted >= from);
        let wanted = counted.unwrap_or(from).max(self.audio.last_dts.unwrap_or(from));
        if wanted + MediaTime::from_units(i64::from(samples), rate) > until {
            return None;
        }
        let dts = self.audio.rise(wanted);
        if counted.is_none() {
            self.samples = Some(SampleClock { anchor: dts, samples: 0, rate });
        }
        if let Some(clock) = &mut self.samples {
            clock.samples += i64::from(samples);
            self.audio.taken_until = Some(clock.now());
        }
        Some(dts)
    }

    /// Takes `span` out of the timeline: units come to stand that much earlier from now on, as so much media was thrown
    /// away before anyone saw it.
    pub fn pull_back(&mut self, span: MediaTime) {
        self.video.pull_back(span);
        self.audio.pull_back(span);
        self.shared = self.shared.map(|offset| offset - span);
        if let Some(clock) = &mut self.samples {
            clock.anchor -= span;
        }
    }

    /// How often audio was re-anchored, since the beginning.
    pub fn reanchored(&self) -> u64 {
        self.reanchored
    }

    /// What was found wrong since this was asked last; a later fault replaces an earlier one.
    pub fn take_fault(&mut self) -> Option<ClockFault> {
        self.fault.take()
    }

    /// The newest place of any track.
    fn front(&self) -> Option<MediaTime> {
        self.video.at.max(self.audio.at)
    }

    /// The time on the timeline that goes with `now`, had the first unit been neither early nor late.
    fn wall(&self, now: Instant) -> MediaTime {
        BASE + self.start.map_or(MediaTime::ZERO, |start| MediaTime::from(now.saturating_duration_since(start)))
    }

    fn pair(&mut self, track: Track) -> (&mut Clock, &mut Clock) {
        match track {
            Track::Video => (&mut self.video, &mut self.audio),
            Track::Audio => (&mut self.audio, &mut self.video),
        }
    }

    /// Finds the place of a unit by its stamp, or by its arrival when its track's stamps are of no use. `lasts` is its
    /// length, when that is known.
    fn place(&mut self, track: Track, stamp: u32, lasts: Option<MediaTime>, now: Instant) -> Place {
        self.start.get_or_insert(now);
        let (wall, front, shared) = (self.wall(now), self.front(), self.shared);
        let (own, other) = self.pair(track);
        let stamped = own.read(stamp, other, now);
        let (Some(front), Some(shared)) = (front, shared) else {
            own.begin(BASE, stamped);
            own.pulse.look(MediaTime::ZERO, now);
            self.shared = Some(BASE - stamped);
            return Place { at: BASE, is_break: false, is_moved: true };
        };
        if own.by_arrival {
            let (mut at, is_break) = own.step(wall, lasts);
            let is_mended = own.is_mended(stamped, shared, wall, now);
            if is_mended {
                let offset = own.offset;
                at = stamped + offset;
                self.shared = Some(offset);
            }
            if is_break {
                self.fault = Some(ClockFault::Jump);
            }
            return Place { at, is_break, is_moved: is_break || is_mended };
        }
        let is_first = own.at.is_none();
        if is_first {
            own.pulse.expect(other.pulse.base());
        }
        let (offset, is_break) = match own.find(stamped, shared, front, wall) {
            Found::Fits(offset) => (offset, false),
            Found::Gap(offset) => (offset, true),
            // A track that joins on a clock of its own breaks nothing.
            Found::Nothing if is_first => (front + REBASE_STEP - stamped, false),
            Found::Nothing => {
                own.pulse.forget();
                ((wall - own.pulse.base()).max(front + REBASE_STEP) - stamped, true)
            }
        };
        let is_moved = own.offset != offset;
        own.offset = offset;
        let at = stamped + offset;
        own.at = own.at.max(Some(at));
        if is_break {
            self.shared = Some(offset);
            self.fault = Some(ClockFault::Jump);
            return Place { at, is_break, is_moved };
        }
        let verdict = own.pulse.look(wall - at, now);
        if own.is_stuck() {
            own.by_arrival = true;
            self.fault = Some(ClockFault::Stuck);
        } else if let Some(late) = self.judge(track, verdict, now) {
            return Place { at: at + late, is_break: true, is_moved: true };
        } else if let Some(off) = self.skew(track, now) {
            let (own, _) = self.pair(track);
            own.offset += off;
            own.at = Some(at + off);
            own.taken_until = own.last_dts.max(own.taken_until);
            own.pulse.forget();
            self.fault = Some(ClockFault::Skew);
            return Place { at: at + off, is_break: false, is_moved: true };
        }
        Place { at, is_break, is_moved }
    }

    /// Does what a verdict on one track asks for, on both tracks when both are off; how much later the unit is to stand.
    fn judge(&mut self, track: Track, verdict: Verdict, now: Instant) -> Option<MediaTime> {
        let (off, is_sudden, drifts) = match verdict {
            Verdict::Fine => return None,
            Verdict::Drift(off) => (off, false, true),
            Verdict::Late { off, is_sudden } => (off, is_sudden, false),
        };
        let (has_sound, is_proven) = (self.audio.is_running(now), self.is_proven(now));
        let is_recent = self.postponed.is_some_and(|last| now.saturating_duration_since(last) < POSTPONED_EVERY);
        let (own, other) = self.pair(track);
        let beside = other.pulse.deviation();
        let shares = other.at.is_some() && beside.abs() >= SHARED_FAULT_MIN;
        let is_true = is_proven && (track == Track::Audio || (own.pulse.deviation() - beside).abs() < SHARED_FAULT_MIN);
        // The network's doing; or an encoder's that is overloaded with one track, while the other is on time.
        let is_alone = off > MediaTime::ZERO && other.is_running(now) && !shares;
        if (is_true && !is_sudden) || (is_alone && !(drifts && track == Track::Audio)) {
            return None;
        }
        if drifts && (off < MediaTime::ZERO || has_sound) {
            own.by_arrival = true;
            other.by_arrival |= shares;
            self.fault = Some(ClockFault::Drift);
            return None;
        }
        if !is_sudden && !has_sound && is_recent {
            return None;
        }
        own.postpone(off);
        if shares {
            other.postpone(off);
        }
        let offset = own.offset;
        self.shared = Some(offset);
        self.samples = None;
        self.postponed = Some(now);
        self.fault = Some(ClockFault::Jump);
        Some(off)
    }

    /// The sound's samples agree with its stamps, and have done so for long.
    fn is_proven(&self, now: Instant) -> bool {
        let is_true = self.true_since.is_some_and(|since| now.saturating_duration_since(since) >= PROVEN_AFTER);
        is_true && self.audio.is_running(now) && !self.audio.by_arrival
    }

    /// What brings this track to the other one, when they have been too far apart for too long and this is the one that is
    /// off the wall clock.
    fn skew(&mut self, track: Track, now: Instant) -> Option<MediaTime> {
        let (own, other) = self.pair(track);
        let (Some(at), Some(beside)) = (own.at, other.at) else { return None };
        let apart = (at - beside).abs();
        let off = own.pulse.deviation();
        let is_culprit = off.abs() >= other.pulse.deviation().abs() && (off < -SKEW_MAX || apart > JOIN_MAX);
        if apart <= SKEW_MAX || !other.is_running(now) {
            self.skewed_since = None;
            return None;
        }
        let since = *self.skewed_since.get_or_insert(now);
        let is_over = MediaTime::from(now.saturating_duration_since(since)) >= SKEW_PATIENCE;
        (is_over && is_culprit).then(|| {
            self.skewed_since = None;
            beside - at
        })
    }
}

impl SampleClock {
    fn now(&self) -> MediaTime {
        self.anchor + MediaTime::from_units(self.samples, self.rate)
    }
}

#[cfg(test)]
mod tests;

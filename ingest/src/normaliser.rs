use media::{MediaTime, Track};

/// Where the first unit of a session stands, so that nothing ever goes negative: reorder shifts, a second track that
/// begins earlier, encoder priming.
const BASE: MediaTime = MediaTime::from_millis(10_000);
/// A step back of more than this, or forward of more than [`JUMP_FORWARD`], is a jump of the publisher's clock
/// (RELIABILITY A9).
const JUMP_BACK: MediaTime = MediaTime::from_millis(500);
const JUMP_FORWARD: MediaTime = MediaTime::from_millis(3000);
/// A second track that begins farther than this from the first runs on another clock (RELIABILITY A10).
const SKEW_MAX: MediaTime = MediaTime::from_millis(5000);
/// Where a rebased clock goes on behind the newest unit: about a frame.
const REBASE_STEP: MediaTime = MediaTime::from_millis(33);
/// Audio runs on its sample count until it is this far from the stamps (DESIGN 8.1).
const AUDIO_DRIFT_MAX: MediaTime = MediaTime::from_millis(20);
/// No reordering needs more: 16 pictures at 8 per second are 2 s.
const COMPOSITION_MAX: MediaTime = MediaTime::from_millis(3000);
/// Encoders that keep only 24 bits of a stamp wrap here, at 4 h 39 m.
const WRAP_24_MS: i64 = 1 << 24;

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

/// Puts the publisher's stamps (milliseconds modulo 2^32) on a session's timeline at 90 kHz. Pure.
///
/// Both tracks share one offset, so lip-sync is what the publisher sent. Stamps are extended over wraps of 32 bits (and
/// of 24, which some encoders make); a jump is rebased so that the timeline goes on without a hole; decode times rise
/// strictly; a negative composition offset shifts decode times back, never presentation times. Audio is placed by its
/// sample count, and re-anchored to its stamps by stretching (or shortening) one frame when it drifts by 20 ms.
///
/// ```
/// use ingest::Normaliser;
/// let mut normaliser = Normaliser::new();
/// let first = normaliser.video(1_000_000, 66);
/// assert_eq!((first.dts.as_millis(), first.pts.as_millis()), (10_000, 10_066));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Normaliser {
    video: Clock,
    audio: Clock,
    /// The offset made last; a track whose own no longer fits tries it before making a new one.
    shared: Option<MediaTime>,
    /// How far decode times are shifted back to stay before presentation times.
    reorder_shift: MediaTime,
    samples: Option<SampleClock>,
    reanchored: u64,
}

#[derive(Debug, Clone, Default)]
struct Clock {
    /// The last stamp, extended to 64 bits, milliseconds.
    extended: Option<i64>,
    /// Added to an extended stamp.
    offset: MediaTime,
    /// The latest place of a stamp, before the rules for decode times.
    at: Option<MediaTime>,
    last_dts: Option<MediaTime>,
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

    /// Places a picture. `stamp` is its decode time, `composition_ms` presentation minus decode time;
    /// beyond 3 s it is cut.
    pub fn video(&mut self, stamp: u32, composition_ms: i32) -> Placed {
        let Place { at, is_break, .. } = self.place(Track::Video, stamp);
        let composition = MediaTime::from_millis(i64::from(composition_ms)).clamp(-COMPOSITION_MAX, COMPOSITION_MAX);
        let pts = at + composition;
        self.reorder_shift = self.reorder_shift.max(-composition);
        let dts = self.video.rise(at - self.reorder_shift);
        Placed { dts, pts: pts.max(dts), is_break }
    }

    /// Places an audio frame of `samples` samples at `rate` per second (both at least 1).
    pub fn audio(&mut self, stamp: u32, samples: u32, rate: u32) -> Placed {
        let Place { at, is_break, is_moved } = self.place(Track::Audio, stamp);
        let counted = self.samples.as_ref().filter(|clock| clock.rate == rate && !is_moved).map(SampleClock::now);
        let near = counted.filter(|counted| (at - *counted).abs() <= AUDIO_DRIFT_MAX);
        if near.is_none() {
            self.reanchored += u64::from(counted.is_some());
            self.samples = Some(SampleClock { anchor: at, samples: 0, rate });
        }
        let dts = self.audio.rise(near.unwrap_or(at));
        if let Some(clock) = &mut self.samples {
            clock.samples += i64::from(samples);
        }
        Placed { dts, pts: dts, is_break }
    }

    /// How often audio was re-anchored, since the beginning.
    pub fn reanchored(&self) -> u64 {
        self.reanchored
    }

    /// The newest place of any track.
    fn front(&self) -> Option<MediaTime> {
        self.video.at.max(self.audio.at)
    }

    /// Extends a stamp and finds its place.
    fn place(&mut self, track: Track, stamp: u32) -> Place {
        let front = self.front();
        let other = if track == Track::Video { &self.audio } else { &self.video };
        let other_extended = other.extended;
        let clock = if track == Track::Video { &mut self.video } else { &mut self.audio };
        let extended = extend(stamp, clock.extended.or(other_extended));
        clock.extended = Some(extended);
        let stamped = MediaTime::from_millis(extended);
        let (Some(front), Some(shared)) = (front, self.shared) else {
            clock.offset = BASE - stamped;
            clock.at = Some(BASE);
            self.shared = Some(clock.offset);
            return Place { at: BASE, is_break: false, is_moved: true };
        };
        let fits = |at: MediaTime| match clock.at {
            Some(last) => at >= last - JUMP_BACK && at <= last.max(front) + JUMP_FORWARD,
            None => (at - front).abs() <= SKEW_MAX,
        };
        let is_first = clock.at.is_none();
        let own = if is_first { shared } else { clock.offset };
        let (offset, is_break) = if fits(stamped + own) {
            (own, false)
        } else if fits(stamped + shared) {
            (shared, false)
        } else {
            // A track that joins on a clock of its own breaks nothing.
            (front + REBASE_STEP - stamped, !is_first)
        };
        let is_moved = clock.offset != offset;
        clock.offset = offset;
        if is_break {
            self.shared = Some(offset);
        }
        let at = stamped + offset;
        clock.at = clock.at.max(Some(at));
        Place { at, is_break, is_moved }
    }
}

impl Clock {
    /// The wanted decode time, or the first one after the last.
    fn rise(&mut self, wanted: MediaTime) -> MediaTime {
        let dts = self.last_dts.map_or(wanted, |last| wanted.max(last + MediaTime::from_ticks(1)));
        self.last_dts = Some(dts);
        dts
    }
}

impl SampleClock {
    fn now(&self) -> MediaTime {
        self.anchor + MediaTime::from_units(self.samples, self.rate)
    }
}

/// The 64-bit stamp nearest to `last` that ends in these 32 bits.
fn extend(stamp: u32, last: Option<i64>) -> i64 {
    let Some(last) = last else { return i64::from(stamp) };
    let step = i64::from(stamp.wrapping_sub(last as u32) as i32);
    // A step back of almost exactly 2^24 from just below a multiple of it is a 24-bit wrap, not a jump.
    let wrapped = step + WRAP_24_MS;
    if (-JUMP_BACK.as_millis()..=JUMP_FORWARD.as_millis()).contains(&wrapped)
        && i64::from(stamp) < 2 * JUMP_FORWARD.as_millis()
    {
        return last + wrapped;
    }
    last + step
}

#[cfg(test)]
mod tests;

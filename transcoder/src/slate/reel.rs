//! The [`Reel`]: plays a clip and silence as a source's units, in real time. Pure: it says when its next unit is due.

use super::Clip;
use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, MediaTime, silence};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was missed before the slate began is caught up with at this multiple of real time: encoders of rungs carry that for a
/// picture that stands still, and their queue is two seconds.
const CATCH_UP: u32 = 3;
/// While a publisher is there the slate runs so far behind the clock, so that the keyframe that ends it, which comes a
/// network's delay after its time, finds its place free.
const BEHIND: Duration = Duration::from_millis(500);
/// Later than this, the time is left out: the process itself was stopped.
const LATE_MAX: Duration = Duration::from_secs(8);

/// Where a slate begins.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Presentation time of its first picture.
    pub at: MediaTime,
    /// A moment, and the media time that belongs to it by the session's clock.
    pub clock: (Instant, MediaTime),
    /// Now.
    pub now: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Reel {
    clip: Option<Clip>,
    start: Start,
    /// Where the first picture lies; `next` counts from it.
    base: MediaTime,
    next: i64,
    sound: Option<Sound>,
    head: MediaTime,
}

#[derive(Debug)]
struct Sound {
    config: Arc<AudioConfig>,
    frame: Bytes,
    samples: u32,
    from: MediaTime,
    next: i64,
}

impl Sound {
    fn at(&self) -> MediaTime {
        self.from + MediaTime::from_units(self.next * i64::from(self.samples), self.config.sample_rate.max(1))
    }

    fn lasts(&self) -> MediaTime {
        MediaTime::from_units(i64::from(self.samples), self.config.sample_rate.max(1))
    }

    fn pop(&mut self) -> AccessUnit {
        let at = self.at();
        self.next += 1;
        let config = Config::Audio(Arc::clone(&self.config));
        AccessUnit { config, dts: at, pts: at, sync: true, data: self.frame.clone() }
    }
}

fn is_half_before(at: MediaTime, lasts: MediaTime, until: MediaTime) -> bool {
    at + MediaTime::from_ticks(lasts.ticks() / 2) <= until
}

impl Reel {
    /// A reel of these pictures, or of none, that begins at `start`; without sound.
    pub fn new(clip: Option<Clip>, start: Start) -> Self {
        Self { clip, start, base: start.at, next: 0, sound: None, head: start.at - MediaTime::from_ticks(1) }
    }

    /// Silence in this configuration follows from `from` on, if it is not silent already. Nothing changes where there is
    /// no silence for the layout.
    pub fn fall_silent(&mut self, config: &Arc<AudioConfig>, from: MediaTime) {
        if self.sound.is_none()
            && let Some((frame, samples)) = silence::frame(config)
        {
            self.sound = Some(Sound { config: Arc::clone(config), frame, samples, from, next: 0 });
        }
    }

    /// The publisher's own sound goes on.
    pub fn sound_again(&mut self) {
        self.sound = None;
    }

    /// Whether it gives silence.
    pub fn is_silent(&self) -> bool {
        self.sound.is_some()
    }

    /// The newest time given: what ends the slate must come after it.
    pub fn head(&self) -> MediaTime {
        self.head
    }

    /// The session's time at a moment.
    pub fn time_at(&self, now: Instant) -> MediaTime {
        let (then, time) = self.start.clock;
        match now.checked_duration_since(then) {
            Some(since) => time + MediaTime::from(since),
            None => time - MediaTime::from(then.saturating_duration_since(now)),
        }
    }

    /// When the next unit is due, if there is one; later while a publisher is `attended` to.
    pub fn due(&self, attended: bool) -> Option<Instant> {
        let at = self.next_at()?;
        let (then, time) = self.start.clock;
        let mut real = if at >= time {
            then + (at - time).to_duration()
        } else {
            then.checked_sub((time - at).to_duration()).unwrap_or(then)
        };
        if attended {
            real += BEHIND;
        }
        let since = (at - self.start.at).max(MediaTime::ZERO).to_duration();
        Some(real.max(self.start.now + since / CATCH_UP))
    }

    /// The next unit in the order of their times.
    pub fn pop(&mut self, now: Instant) -> Option<AccessUnit> {
        let at = self.next_at()?;
        if self.time_at(now) - at > MediaTime::from(LATE_MAX) {
            self.skip(now);
        }
        let picture = self.picture_at();
        match &mut self.sound {
            Some(sound) if picture.is_none_or(|picture| sound.at() < picture) => {
                let unit = sound.pop();
                if self.clip.is_none() {
                    self.head = self.head.max(unit.pts);
                }
                Some(unit)
            }
            _ => {
                let (clip, at) = (self.clip.as_ref()?, picture?);
                let number = usize::try_from(self.next).ok()? % clip.pictures.len();
                self.next += 1;
                self.head = self.head.max(at);
                let (config, data) = (Config::Video(Arc::clone(&clip.config)), clip.pictures[number].clone());
                Some(AccessUnit { config, dts: at, pts: at, sync: number == 0, data })
            }
        }
    }

    /// The next unit of which at least half lies before `until`, due or not: what ends the slate begins there, and no hole is
    /// left in front of it.
    pub fn pop_before(&mut self, until: MediaTime, now: Instant) -> Option<AccessUnit> {
        let frame = self.clip.as_ref().map(|clip| clip.rate.time_of(1));
        let lasts = if self.picture_at() == self.next_at() { frame? } else { self.sound.as_ref()?.lasts() };
        is_half_before(self.next_at()?, lasts, until).then(|| self.pop(now))?
    }

    /// The next silent frame like this: sound that is back begins at `until`. The pictures go on in their own time, as the
    /// keyframe that ends them may come right behind and still lie before it.
    pub fn pop_silence_before(&mut self, until: MediaTime) -> Option<AccessUnit> {
        let sound = self.sound.as_mut()?;
        is_half_before(sound.at(), sound.lasts(), until).then(|| sound.pop())
    }

    /// Leaves out what is too late: goes on now, with an IDR.
    fn skip(&mut self, now: Instant) {
        let at = self.time_at(now);
        (self.base, self.next) = (at, 0);
        self.start = Start { at, clock: (now, at), now };
        if let Some(sound) = &mut self.sound {
            (sound.from, sound.next) = (at, 0);
        }
    }

    fn picture_at(&self) -> Option<MediaTime> {
        let rate = self.clip.as_ref()?.rate;
        Some(self.base + rate.time_of(self.next))
    }

    fn next_at(&self) -> Option<MediaTime> {
        let sound = self.sound.as_ref().map(Sound::at);
        match (self.picture_at(), sound) {
            (Some(picture), Some(sound)) => Some(picture.min(sound)),
            (picture, sound) => picture.or(sound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clip::tests::{RATE, clip};
    use super::*;
    use media::{AudioCodec, Track};
    use proptest::prelude::*;

    const AT: MediaTime = MediaTime::from_millis(50_000);

    fn aac() -> Arc<AudioConfig> {
        Arc::new(AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        })
    }

    /// Plays `span` of a slate that begins `late` after its first picture's time; each unit with the time it was given.
    fn play(late: Duration, span: Duration, attended: bool) -> (Instant, Vec<(Duration, AccessUnit)>) {
        let begun = Instant::now();
        let now = begun + late;
        let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now });
        reel.fall_silent(&aac(), AT - MediaTime::from_millis(40));
        let mut given = Vec::new();
        while let Some(due) = reel.due(attended).filter(|due| *due <= now + span) {
            let unit = reel.pop(due).expect("it is due");
            given.push((due.saturating_duration_since(begun), unit));
        }
        (begun, given)
    }

    #[test]
    fn a_clip_goes_round_with_an_idr_each_time() {
        let (_, given) = play(Duration::ZERO, Duration::from_secs(7), false);
        let pictures: Vec<_> = given.iter().filter(|(_, unit)| unit.track() == Track::Video).collect();
        assert_eq!(pictures.len(), 211);
        for (n, (_, unit)) in pictures.iter().enumerate() {
            assert_eq!((unit.pts, unit.dts, unit.sync), (AT + RATE.time_of(n as i64), unit.pts, n % 60 == 0));
        }
        let sound: Vec<_> = given.iter().filter(|(_, unit)| unit.track() == Track::Audio).collect();
        let silent = MediaTime::from_units(1024 * sound.len() as i64, 48_000);
        assert!((silent - MediaTime::from_millis(7_040)).abs() < MediaTime::from_millis(22), "{silent:?}");
    }

    #[test]
    fn what_was_missed_is_caught_up_with_and_then_time_is_real() {
        let late = Duration::from_millis(1_200);
        let (_, given) = play(late, Duration::from_secs(4), false);
        for (when, unit) in &given {
            let behind = MediaTime::from(*when) - (unit.pts - AT);
            assert!(behind >= MediaTime::ZERO, "never ahead: {behind:?}");
            if *when > late + Duration::from_millis(620) {
                assert!(behind < MediaTime::from_millis(45), "{behind:?}");
            }
        }
        let first = &given.first().expect("units").0;
        assert!(*first <= late + Duration::from_millis(1), "it begins at once: {first:?}");
    }

    #[test]
    fn beside_a_publisher_it_runs_half_a_second_behind() {
        let (_, given) = play(Duration::ZERO, Duration::from_secs(3), true);
        let (when, last) = given.last().expect("units");
        let behind = MediaTime::from(*when) - (last.pts - AT);
        assert!((behind - MediaTime::from_millis(500)).abs() < MediaTime::from_millis(40), "{behind:?}");
    }

    #[test]
    fn a_process_that_was_stopped_leaves_the_time_out() {
        let begun = Instant::now();
        let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now: begun });
        (0..10).for_each(|_| _ = reel.pop(begun + Duration::from_millis(300)));
        let woken = begun + Duration::from_secs(60);
        let unit = reel.pop(woken).expect("a picture");
        assert_eq!((unit.pts, unit.sync), (AT + MediaTime::from_millis(60_000), true));
        assert!(reel.due(false).is_some_and(|due| due > woken));
    }

    #[test]
    fn it_is_played_out_up_to_what_ends_it() {
        let begun = Instant::now();
        let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now: begun });
        reel.fall_silent(&aac(), AT);
        let until = AT + MediaTime::from_millis(505);
        let given: Vec<_> = std::iter::from_fn(|| reel.pop_before(until, begun)).collect();
        let newest = |track| given.iter().filter(|unit| unit.track() == track).map(|unit| unit.pts).max();
        assert_eq!(newest(Track::Video), Some(AT + RATE.time_of(14)), "the next one would be shown for 5 ms");
        assert_eq!(newest(Track::Audio), Some(AT + MediaTime::from_units(23 * 1024, 48_000)));
    }

    #[test]
    fn silence_is_played_out_without_the_pictures() {
        let begun = Instant::now();
        let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now: begun });
        reel.fall_silent(&aac(), AT);
        let head = reel.head();
        let given: Vec<_> = std::iter::from_fn(|| reel.pop_silence_before(AT + MediaTime::from_millis(505))).collect();
        assert!(given.len() == 24 && given.iter().all(|unit| unit.track() == Track::Audio), "{given:?}");
        assert_eq!(reel.head(), head, "a keyframe before the sound that is back still ends it");
    }

    #[test]
    fn sound_that_is_back_ends_the_silence_and_not_the_picture() {
        let begun = Instant::now();
        let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now: begun });
        reel.fall_silent(&aac(), AT);
        assert!(reel.is_silent());
        reel.sound_again();
        assert!((0..100).all(|_| reel.pop(begun).is_some_and(|unit| unit.track() == Track::Video)));
        let mut alone = Reel::new(None, Start { at: AT, clock: (begun, AT), now: begun });
        assert!(alone.due(false).is_none() && alone.pop(begun).is_none());
        alone.fall_silent(&aac(), AT);
        assert!(alone.pop(begun).is_some_and(|unit| unit.track() == Track::Audio));
        assert_eq!(alone.head(), AT);
    }

    proptest! {
        /// Whatever publishers and the machine do, each track's stamps rise by exactly its step, and the head is its newest.
        #[test]
        fn stamps_are_whole_however_late_it_is_played(steps in proptest::collection::vec((0u64..2_000, any::<bool>()), 1..40)) {
            let begun = Instant::now();
            let mut reel = Reel::new(Some(clip(60)), Start { at: AT, clock: (begun, AT), now: begun });
            reel.fall_silent(&aac(), AT);
            let (mut now, mut pictures, mut frames) = (begun, 0, 0);
            for (step, attended) in steps {
                now += Duration::from_millis(step);
                while reel.due(attended).is_some_and(|due| due <= now) {
                    let unit = reel.pop(now).expect("it is due");
                    if unit.track() == Track::Video {
                        prop_assert_eq!(unit.pts, AT + RATE.time_of(pictures));
                        prop_assert_eq!(unit.sync, pictures % 60 == 0);
                        prop_assert_eq!(reel.head(), unit.pts);
                        pictures += 1;
                    } else {
                        prop_assert_eq!(unit.pts, AT + MediaTime::from_units(1024 * frames, 48_000));
                        frames += 1;
                    }
                    prop_assert!(unit.pts <= reel.time_at(now));
                }
            }
        }
    }
}

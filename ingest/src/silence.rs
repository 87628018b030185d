//! Silence for a sound that is announced and has not come, or that stopped while the picture goes on.

use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, MediaTime, aac, silence};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sound that has not come for so long beside pictures is missing; players wait less.
const MISSING_AFTER: Duration = Duration::from_secs(1);
/// The first frame of a sound whose configuration is there may take so long; the prober waits two seconds for it (DESIGN 8.5).
const FIRST_AFTER: Duration = Duration::from_millis(1960);
/// While no picture comes for longer than this, the network stalls and nothing is missing.
const STALL: Duration = Duration::from_millis(500);
/// Silence ends at least this far behind the picture, and as far as the sound was, so that returning sound finds its place
/// free.
const BEHIND: MediaTime = MediaTime::from_millis(500);
/// No more silence than this is made at a time; a longer hole is left one.
const FILLED_MAX: MediaTime = MediaTime::from_millis(10_000);
/// A hole shorter than this is left to players, which stretch the frame before it.
const HOLE_MIN: MediaTime = MediaTime::from_millis(60);
/// The sound of an announced track whose configuration has not come: AAC-LC, 48 kHz, stereo, as most encoders send it.
const ASSUMED: [u8; 2] = [0x11, 0x90];

/// Knows when a publisher's sound is missing, and what its silence is.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// The metadata announced sound.
    is_announced: bool,
    /// Where the first picture stands, and the newest.
    first_picture: Option<MediaTime>,
    newest_picture: Option<MediaTime>,
    last_picture: Option<Instant>,
    /// For how long pictures have come without sound.
    missed: Duration,
    /// Sound has come.
    is_heard: bool,
    /// How far the sound that came last was behind the picture.
    lag: MediaTime,
    /// Where the sound ends that was given so far.
    sound_end: Option<MediaTime>,
    assumed: Option<Arc<AudioConfig>>,
}

/// A span to be made silent.
#[derive(Debug)]
pub(crate) struct Hole {
    pub config: Arc<AudioConfig>,
    pub frame: Bytes,
    pub samples: u32,
    pub from: MediaTime,
    pub until: MediaTime,
}

impl Hole {
    /// A silent frame at a time.
    pub fn unit(&self, at: MediaTime) -> AccessUnit {
        let config = Config::Audio(Arc::clone(&self.config));
        AccessUnit { config, dts: at, pts: at, sync: true, data: self.frame.clone() }
    }

    fn new(config: Arc<AudioConfig>, from: MediaTime, until: MediaTime) -> Option<Self> {
        let (frame, samples) = silence::frame(&config)?;
        Some(Self { config, frame, samples, from: from.max(until - FILLED_MAX), until })
    }
}

impl Silence {
    /// The metadata says whether there will be sound.
    pub fn announce(&mut self, audio: Option<bool>) {
        self.is_announced |= audio == Some(true);
    }

    /// A picture at `dts` came at `now`; what of the sound of `config` is missing beside it.
    pub fn picture(&mut self, dts: MediaTime, now: Instant, config: Option<&Arc<AudioConfig>>) -> Option<Hole> {
        let from = *self.first_picture.get_or_insert(dts);
        self.newest_picture = self.newest_picture.max(Some(dts));
        let step = self.last_picture.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let step = step.min(STALL);
        self.missed += step;
        let is_missing = match config {
            // The next picture may come too late for the prober.
            Some(_) if !self.is_heard => self.missed + step > FIRST_AFTER,
            _ => self.missed >= MISSING_AFTER,
        };
        if !is_missing {
            return None;
        }
        let config = match config {
            Some(config) => Arc::clone(config),
            None if self.is_announced => self.assumed()?,
            None => return None,
        };
        let frame = MediaTime::from_units(i64::from(config.frame_samples), config.sample_rate);
        Hole::new(config, from, dts - BEHIND.max(self.lag + frame))
    }

    /// A frame of sound of `config` is given at `at` until `end`; what is missing between it and the sound before.
    pub fn sound(&mut self, at: MediaTime, end: MediaTime, config: &Arc<AudioConfig>) -> Option<Hole> {
        self.heard();
        self.lag = self.newest_picture.map_or(MediaTime::ZERO, |picture| picture - at);
        let before = self.sound_end.replace(end)?;
        let is_hole = (HOLE_MIN..=FILLED_MAX).contains(&(at - before));
        if is_hole { Hole::new(Arc::clone(config), before, at) } else { None }
    }

    /// Sound came, whether there is a place for it or not: silence ends here, or it would keep the sound's place for ever.
    pub fn heard(&mut self) {
        self.is_heard = true;
        self.missed = Duration::ZERO;
    }

    /// Silence was given until `end`.
    pub fn given(&mut self, end: MediaTime) {
        self.sound_end = Some(end);
    }

    /// Sound goes on elsewhere: behind a break, or `span` earlier.
    pub fn forget(&mut self) {
        self.sound_end = None;
    }

    fn assumed(&mut self) -> Option<Arc<AudioConfig>> {
        if self.assumed.is_none() {
            self.assumed = aac::parse_config(&Bytes::from_static(&ASSUMED)).ok().map(Arc::new);
        }
        self.assumed.clone()
    }
}

//! Silence for a sound that is announced and has not come, or that stopped while the picture goes on.

use crate::opus;
use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, Config, MediaTime, aac};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sound that has not come for so long is missing. The prober waits two seconds for a track (DESIGN 8.5), players less.
const MISSING_AFTER: Duration = Duration::from_secs(1);
/// Silence ends this far behind the picture, so that returning sound finds its place free.
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
    /// When the first picture came, and where it stands.
    first_picture: Option<(Instant, MediaTime)>,
    last_sound: Option<Instant>,
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
        let (frame, samples) = match config.codec {
            AudioCodec::Aac => (aac::silent_frame(config.channels)?, config.frame_samples),
            AudioCodec::Opus => (Bytes::from_static(&opus::SILENCE), opus::SILENCE_SAMPLES),
        };
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
        let (first, from) = *self.first_picture.get_or_insert((now, dts));
        let since = self.last_sound.unwrap_or(first);
        if now.saturating_duration_since(since) < MISSING_AFTER {
            return None;
        }
        let config = match config {
            Some(config) => Arc::clone(config),
            None if self.is_announced => self.assumed()?,
            None => return None,
        };
        Hole::new(config, from, dts - BEHIND)
    }

    /// A frame of sound of `config` is given at `at` until `end`; what is missing between it and the sound before.
    pub fn sound(&mut self, at: MediaTime, end: MediaTime, now: Instant, config: &Arc<AudioConfig>) -> Option<Hole> {
        self.last_sound = Some(now);
        let before = self.sound_end.replace(end)?;
        let is_hole = (HOLE_MIN..=FILLED_MAX).contains(&(at - before));
        if is_hole { Hole::new(Arc::clone(config), before, at) } else { None }
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

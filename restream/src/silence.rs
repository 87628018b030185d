use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, MediaTime, aac, silence};
use std::sync::Arc;

/// AAC-LC at 48 kHz, stereo: what every service takes.
const RECORD: [u8; 2] = [0x11, 0x90];
/// A jump of the pictures longer than this is not filled: the publisher was away, or media was dropped.
const JUMP: MediaTime = MediaTime::from_millis(1_000);

/// Sound for a source that has none: frames of silence up to each picture.
#[derive(Debug)]
pub(crate) struct Silence {
    config: Arc<AudioConfig>,
    frame: Bytes,
    samples: u32,
    /// Where the run of frames begins, and how many there are in it.
    start: Option<MediaTime>,
    frames: i64,
}

impl Silence {
    /// # Panics
    /// Never: the record is a constant that is read in the tests.
    pub fn new() -> Self {
        let config = aac::parse_config(&Bytes::from_static(&RECORD)).expect("a record that is read in tests");
        let (frame, samples) = silence::frame(&config).expect("stereo has a silent frame");
        Self { config: Arc::new(config), frame, samples, start: None, frames: 0 }
    }

    /// What its frames are decoded with.
    pub fn config(&self) -> &Arc<AudioConfig> {
        &self.config
    }

    /// The next frame that is due beside a picture at `at`; `None` when the sound has come up to it.
    pub fn due(&mut self, at: MediaTime) -> Option<AccessUnit> {
        let time = |start, frames: i64| {
            start + MediaTime::from_units(frames * i64::from(self.samples), self.config.sample_rate)
        };
        let next = self.start.map(|start| time(start, self.frames)).filter(|next| at - *next <= JUMP);
        let next = match next {
            Some(next) => next,
            None => {
                (self.start, self.frames) = (Some(at), 0);
                at
            }
        };
        if next > at {
            return None;
        }
        self.frames += 1;
        let config = Config::Audio(Arc::clone(&self.config));
        Some(AccessUnit { config, dts: next, pts: next, sync: true, data: self.frame.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(silence: &mut Silence, ms: i64) -> Vec<MediaTime> {
        std::iter::from_fn(|| silence.due(MediaTime::from_millis(ms))).map(|unit| unit.dts).collect()
    }

    #[test]
    fn silence_keeps_up_with_the_pictures_without_drift() {
        let mut silence = Silence::new();
        let all: Vec<MediaTime> = (0..3000).flat_map(|n| up_to(&mut silence, 10_000 + n * 40)).collect();
        assert_eq!(all[0], MediaTime::from_millis(10_000));
        assert_eq!(all.len() as i64, 119_960 * 48 / 1024 + 1);
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] == MediaTime::from_ticks(1920)));
    }

    #[test]
    fn silence_does_not_fill_the_time_a_publisher_was_away() {
        let mut silence = Silence::new();
        up_to(&mut silence, 0);
        assert_eq!(up_to(&mut silence, 10_000), [MediaTime::from_millis(10_000)]);
    }
}

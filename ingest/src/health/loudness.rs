//! How loud a publisher's sound is. A few frames a second are decoded, which is enough to tell silence and costs next to nothing.

use media::{AccessUnit, AudioCodec, AudioConfig, MediaTime};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use symphonia_codec_aac::AacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units;

/// The loudest is kept over so long, so that a pause between two words is no silence.
const WINDOW: Duration = Duration::from_secs(10);
/// How often it is listened to: no divisor of a second, so that a beep each second is met by one of thirty.
const EVERY: MediaTime = MediaTime::from_millis(310);
/// Frames at a time. A frame is whole only with the one before it, so the first says nothing.
const RUN: u32 = 2;
/// Digital silence has no logarithm.
const FLOOR_DB: f64 = -100.0;

/// Listens to AAC-LC in mono and stereo. It is a stranger's sound: a decoder that panics over it is not asked again.
#[derive(Default)]
pub(super) struct Loudness {
    config: Option<Arc<AudioConfig>>,
    decoder: Option<AacDecoder>,
    samples: Vec<f32>,
    /// Frames left of the run that is being listened to.
    left: u32,
    /// When it is listened to next, by the publisher's clock: what comes in bursts is listened to as often.
    due: Option<MediaTime>,
    heard: VecDeque<(Instant, f64)>,
}

impl Loudness {
    /// Takes the next unit; most are passed over.
    pub(super) fn push(&mut self, unit: &AccessUnit, config: &Arc<AudioConfig>, now: Instant) {
        if self.config.as_ref().is_none_or(|known| !Arc::ptr_eq(known, config) && known != config) {
            (self.config, self.decoder, self.due) = (Some(Arc::clone(config)), decoder(config), None);
        }
        if self.left == 0 {
            let wait = self.due.map_or(MediaTime::ZERO, |due| due - unit.dts);
            // A clock that was set back would make it wait for long.
            if MediaTime::ZERO < wait && wait <= EVERY {
                return;
            }
            (self.left, self.due) = (RUN, Some(unit.dts + EVERY));
            if let Some(decoder) = &mut self.decoder {
                decoder.reset();
            }
        }
        self.left -= 1;
        let is_first = self.left + 1 == RUN;
        if let Some(level) = self.listen(&unit.data).filter(|_| !is_first) {
            self.heard.push_back((now, level));
            self.forget(now);
        }
    }

    /// The loudest of the last ten seconds in dB below full scale; `None` when nothing could be listened to.
    pub(super) fn level_db(&mut self, now: Instant) -> Option<f64> {
        self.forget(now);
        self.heard.iter().map(|(_, level)| *level).reduce(f64::max)
    }

    fn forget(&mut self, now: Instant) {
        while self.heard.pop_front_if(|(at, _)| now.saturating_duration_since(*at) > WINDOW).is_some() {}
    }

    fn listen(&mut self, frame: &[u8]) -> Option<f64> {
        let (mut decoder, samples) = (self.decoder.take()?, &mut self.samples);
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let packet = PacketRef::new(0, units::Timestamp::ZERO, units::Duration::ZERO, frame);
            let decoded = decoder.decode_ref(&packet).ok().map(|buffer| buffer.copy_to_vec_interleaved::<f32>(samples));
            (decoder, decoded)
        }));
        let Ok((decoder, decoded)) = decoded else {
            metrics::counter!("weir_health_undecodable_total").increment(1);
            return None;
        };
        self.decoder = Some(decoder);
        decoded?;
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
        Some((10.0 * power.max(1e-12).log10()).max(FLOOR_DB))
    }
}

impl fmt::Debug for Loudness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loudness").field("heard", &self.heard.len()).finish_non_exhaustive()
    }
}

fn decoder(config: &AudioConfig) -> Option<AacDecoder> {
    let is_plain = config.codec == AudioCodec::Aac && config.object_type == 2 && config.channels <= 2;
    if !is_plain {
        return None;
    }
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_AAC).with_extra_data(config.record.to_vec().into_boxed_slice());
    AacDecoder::try_new(&parameters, &AudioDecoderOptions::default()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::audio_config as config;
    use super::*;
    use bytes::Bytes;
    use media::{Config, MediaTime, silence};
    use proptest::prelude::*;

    fn unit(config: &Arc<AudioConfig>, ms: u64, data: Bytes) -> AccessUnit {
        let (config, dts) = (Config::Audio(Arc::clone(config)), MediaTime::from_millis(ms as i64));
        AccessUnit { config, dts, pts: dts, sync: true, data }
    }

    #[test]
    fn silence_is_at_the_floor() {
        let (config, mut loudness, start) = (config(), Loudness::default(), Instant::now());
        let (frame, _) = silence::frame(&config).expect("silence in stereo");
        assert_eq!(loudness.level_db(start), None);
        for n in 0..100 {
            loudness.push(&unit(&config, n * 21, frame.clone()), &config, start + Duration::from_millis(n * 21));
        }
        assert_eq!(loudness.level_db(start + Duration::from_secs(2)), Some(FLOOR_DB));
        assert!(loudness.heard.len() < 20, "most frames are passed over");
        assert_eq!(loudness.level_db(start + Duration::from_secs(20)), None, "nothing came for ten seconds");
    }

    proptest! {
        #[test]
        fn any_bytes_are_listened_to(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..40), is_pair in any::<bool>()) {
            let (config, mut loudness, start) = (config(), Loudness::default(), Instant::now());
            for (n, mut frame) in frames.into_iter().enumerate() {
                // Two channels, one block, some bands: what follows is read as sections, scale factors and lines.
                if is_pair && frame.len() > 2 {
                    (frame[0], frame[1]) = (0x21, 0x00);
                    frame[2] &= 0x7f;
                }
                loudness.push(&unit(&config, n as u64 * 155, Bytes::from(frame)), &config, start + Duration::from_millis(n as u64 * 155));
            }
            let level = loudness.level_db(start);
            prop_assert!(level.is_none_or(|level| level >= FLOOR_DB), "{:?}", level);
        }
    }
}

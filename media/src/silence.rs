//! Silence in the codec of a track: one coded frame that can be given again and again.

use crate::{AudioCodec, AudioConfig, aac};
use bytes::Bytes;

/// A packet of silence: CELT, mono (decoders give it on all channels), 20 ms, with the silence flag (RFC 6716, 4.3).
const OPUS: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Its length at 48 kHz.
const OPUS_SAMPLES: u32 = 960;

/// One silent frame for a decoder of this configuration, and its length in samples of `config.sample_rate`, at least 1. `None`
/// for a layout of channels there is no configuration of.
pub fn frame(config: &AudioConfig) -> Option<(Bytes, u32)> {
    match config.codec {
        AudioCodec::Aac => {
            let samples = if config.frame_samples == 0 { 1024 } else { config.frame_samples };
            Some((aac::silent_frame(config.channels)?, samples))
        }
        AudioCodec::Opus => Some((Bytes::from_static(&OPUS), OPUS_SAMPLES)),
    }
}

//! AAC: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) and the ADTS header (1.A.2.2).

use crate::bits::Bits;
use crate::{AudioCodec, AudioConfig, ParseError};
use bytes::Bytes;

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const WHAT: &str = "the AAC configuration";

/// Reads an AudioSpecificConfig. Explicit SBR and PS signalling shows in `object_type` (5, 29), with the core's rate.
///
/// # Errors
/// When it is cut short, or has a rate or channel layout without meaning.
pub fn parse_config(record: &Bytes) -> Result<AudioConfig, ParseError> {
    let mut bits = Bits::new(record, WHAT);
    let object_type = read_type(&mut bits)?;
    let sample_rate = read_rate(&mut bits)?;
    let layout = bits.take(4)?;
    let mut core_type = object_type;
    if matches!(object_type, 5 | 29) {
        read_rate(&mut bits)?;
        core_type = read_type(&mut bits)?;
    }
    let short_frames = matches!(core_type, 1..=4 | 6 | 7) && bits.take(1)? == 1;
    let channels = match layout {
        1..=6 => layout as u8,
        7 => 8,
        other => return Err(ParseError::Unsupported { what: WHAT, detail: format!("channel layout {other}") }),
    };
    if !(7_350..=96_000).contains(&sample_rate) {
        return Err(ParseError::Malformed { what: WHAT, detail: format!("a sample rate of {sample_rate} Hz") });
    }
    Ok(AudioConfig {
        codec: AudioCodec::Aac,
        record: record.clone(),
        sample_rate,
        channels,
        object_type: object_type as u8,
        frame_samples: if short_frames { 960 } else { 1024 },
    })
}

/// The 7-byte ADTS header of a frame of `payload` bytes, for MPEG-TS. `None` when the frame is too long for it (8,184
/// bytes) or the rate has no index.
pub fn adts_header(config: &AudioConfig, payload: usize) -> Option<[u8; 7]> {
    let index = RATES.iter().position(|r| *r == config.sample_rate)? as u8;
    let size = u16::try_from(payload + 7).ok().filter(|n| *n < 1 << 13)?;
    let channels = if config.channels == 8 { 7 } else { config.channels };
    Some([
        0xff,
        0xf1,
        (config.object_type.clamp(1, 4) - 1) << 6 | index << 2 | channels >> 2,
        (channels & 3) << 6 | (size >> 11) as u8,
        (size >> 3) as u8,
        (size << 5) as u8 | 0x1f,
        0xfc,
    ])
}

/// A frame of silence: the elements of the channel layout (ISO/IEC 14496-3, table 1.19), each without any scale factor
/// band, so it is the same for every sample rate and frame length. `None` for a layout there is no configuration of.
pub fn silent_frame(channels: u8) -> Option<Bytes> {
    const SINGLE: u32 = 0;
    const PAIR: u32 = 1;
    const LOW: u32 = 3;
    const END: u32 = 7;
    let elements: &[u32] = match channels {
        1 => &[SINGLE],
        2 => &[PAIR],
        3 => &[SINGLE, PAIR],
        4 => &[SINGLE, PAIR, SINGLE],
        5 => &[SINGLE, PAIR, PAIR],
        6 => &[SINGLE, PAIR, PAIR, LOW],
        8 => &[SINGLE, PAIR, PAIR, PAIR, LOW],
        _ => return None,
    };
    let mut bits: Vec<bool> = Vec::new();
    let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|n| value >> n & 1 == 1));
    for (n, element) in elements.iter().enumerate() {
        put(*element, 3);
        let tag = elements[..n].iter().filter(|e| *e == element).count();
        put(tag as u32, 4);
        if *element == PAIR {
            // common_window; ics_info with max_sfb 0 and no prediction; no M/S; for each channel: global_gain, no pulses, no
            // noise shaping, no gain control.
            put(1, 1);
            put(0, 11 + 2);
            put(0, 2 * (8 + 3));
        } else {
            // global_gain, ics_info, no pulses, no noise shaping, no gain control.
            put(0, 8 + 11 + 3);
        }
    }
    put(END, 3);
    Some(
        bits.chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |sum, (n, bit)| sum | u8::from(*bit) << (7 - n)))
            .collect(),
    )
}

fn read_type(bits: &mut Bits) -> Result<u32, ParseError> {
    let value = bits.take(5)?;
    if value == 31 { Ok(32 + bits.take(6)?) } else { Ok(value) }
}

fn read_rate(bits: &mut Bits) -> Result<u32, ParseError> {
    match bits.take(4)? {
        15 => bits.take(24),
        index => RATES.get(index as usize).copied().ok_or_else(|| bits.bad(&format!("rate index {index}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_lc_stereo() {
        let config = parse_config(&Bytes::from_static(&[0x11, 0x90])).expect("48 kHz stereo LC");
        assert_eq!(
            (config.object_type, config.sample_rate, config.channels, config.frame_samples),
            (2, 48_000, 2, 1024)
        );
        assert!(config.is_passthrough());
        assert_eq!(config.codecs(), "mp4a.40.2");
    }

    #[test]
    fn surround_is_read_but_not_passed_through() {
        let config = parse_config(&Bytes::from_static(&[0x11, 0xb0])).expect("48 kHz 5.1 LC");
        assert_eq!(config.channels, 6);
        assert!(!config.is_passthrough());
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _answer = parse_config(&Bytes::from(data));
        }
    }
}

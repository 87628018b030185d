//! The heads of FLV tags, as RTMP carries media: what stands before a payload. HEVC and Opus are Enhanced RTMP (Veovera, v1: `hvc1`,
//! `Opus`), H.264 and AAC classic, which all peers read.

use crate::amf0::Value;
use bytes::BufMut;
use media::{AccessUnit, Announced, AudioCodec, AudioConfig, Config, VideoCodec, VideoConfig};

/// The largest composition time that its field holds, milliseconds.
const COMPOSITION_MS_MAX: u32 = 0x7f_ffff;

/// Before a picture or a frame of sound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    bytes: [u8; 8],
    length: usize,
}

impl Head {
    /// `composition_ms`: how long after it is decoded a picture is shown; cut to what its field holds.
    pub fn of(unit: &AccessUnit, composition_ms: u32) -> Self {
        let mut bytes = [0; 8];
        let mut left = &mut bytes[..];
        match &unit.config {
            Config::Video(config) => {
                let frame = if unit.sync { 0x10 } else { 0x20 };
                match config.codec {
                    VideoCodec::H264 => left.put_slice(&[frame | 7, 1]),
                    VideoCodec::Hevc => {
                        left.put_u8(0x80 | frame | 1);
                        left.put_slice(b"hvc1");
                    }
                }
                left.put_uint(composition_ms.min(COMPOSITION_MS_MAX).into(), 3);
            }
            Config::Audio(config) => match config.codec {
                AudioCodec::Aac => left.put_slice(&[0xaf, 1]),
                AudioCodec::Opus => left.put_slice(b"\x91Opus"),
            },
        }
        let unused = left.len();
        Self { bytes, length: bytes.len() - unused }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Before the configuration record of pictures.
pub(crate) fn video_config(codec: VideoCodec) -> &'static [u8] {
    match codec {
        VideoCodec::H264 => &[0x17, 0, 0, 0, 0],
        VideoCodec::Hevc => b"\x90hvc1",
    }
}

/// Before the configuration record of sound.
pub(crate) fn audio_config(codec: AudioCodec) -> &'static [u8] {
    match codec {
        AudioCodec::Aac => &[0xaf, 0],
        AudioCodec::Opus => b"\x90Opus",
    }
}

/// What `onMetaData` says of tracks, by its keys.
pub(crate) fn metadata(
    video: Option<&VideoConfig>,
    audio: Option<&AudioConfig>,
    announced: &Announced,
) -> Vec<(String, Value)> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut put = |key: &str, value: Value| entries.push((key.to_owned(), value));
    let four_cc = |name: &[u8; 4]| f64::from(u32::from_be_bytes(*name));
    if let Some(video) = video {
        put("width", f64::from(video.width).into());
        put("height", f64::from(video.height).into());
        put("videocodecid", if video.codec == VideoCodec::H264 { 7.0 } else { four_cc(b"hvc1") }.into());
        if let Some(fps) = announced.frame_rate.or(video.frame_rate) {
            put("framerate", fps.into());
        }
    }
    if let Some(audio) = audio {
        put("audiocodecid", if audio.codec == AudioCodec::Aac { 10.0 } else { four_cc(b"Opus") }.into());
        put("audiosamplerate", f64::from(audio.sample_rate).into());
        put("audiochannels", f64::from(audio.channels).into());
        if let Some(bps) = announced.audio_bps {
            put("audiodatarate", (bps / 1e3).into());
        }
    }
    put("encoder", announced.encoder.as_deref().unwrap_or("Weir").into());
    entries
}

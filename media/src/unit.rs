use crate::MediaTime;
use bytes::Bytes;
use std::sync::Arc;

/// The two kinds of track a stream carries; at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Track {
    /// Coded pictures.
    Video,
    /// Coded audio frames.
    Audio,
}

/// The video codecs we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// H.264 / AVC, ITU-T H.264.
    H264,
    /// H.265 / HEVC, ITU-T H.265.
    Hevc,
}

/// The audio codecs we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC, ISO/IEC 14496-3.
    Aac,
    /// Opus, RFC 6716; always on a 48 kHz clock.
    Opus,
}

/// Colour description as code points of ITU-T H.273; 2 is "unspecified".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColorInfo {
    /// Colour primaries, 1 = BT.709, 9 = BT.2020.
    pub primaries: u8,
    /// Transfer characteristics, 1 = BT.709, 16 = PQ, 18 = HLG.
    pub transfer: u8,
    /// Matrix coefficients, 1 = BT.709, 6 = BT.601.
    pub matrix: u8,
    /// Full (0-255) instead of video (16-235) range.
    pub full_range: bool,
}

impl ColorInfo {
    /// Nothing was said.
    pub const UNSPECIFIED: Self = Self { primaries: 2, transfer: 2, matrix: 2, full_range: false };
}

/// What a decoder must know before the first picture, and what we read of it.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// The codec.
    pub codec: VideoCodec,
    /// The decoder configuration record as it stands in `avcC` / `hvcC` (ISO/IEC 14496-15), whole.
    pub record: Bytes,
    /// Bytes of the length field before each NAL unit in an access unit: 1, 2 or 4.
    pub nal_length_size: u8,
    /// Displayed width after cropping, in luma samples, 1 to 16,384.
    pub width: u32,
    /// Displayed height after cropping.
    pub height: u32,
    /// Sample aspect ratio, (1, 1) when square or unsaid.
    pub sample_aspect: (u16, u16),
    /// RFC 6381 name, such as `avc1.64001f` or `hvc1.1.6.L93.B0`.
    pub codecs: String,
    /// Bits per luma sample.
    pub bit_depth: u8,
    /// Chroma is 4:2:0.
    pub is_420: bool,
    /// Pictures may be fields (H.264 `frame_mbs_only_flag` is 0).
    pub is_interlaced: bool,
    /// Frames per second as the parameter set announces it, if it does; not to be trusted alone.
    pub frame_rate: Option<f64>,
    /// Colour description, for VIDEO-RANGE and for the encoder.
    pub color: ColorInfo,
}

/// What a decoder must know before the first audio frame, and what we read of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioConfig {
    /// The codec.
    pub codec: AudioCodec,
    /// AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) or the OpusHead payload (RFC 7845, 5.1), whole; for Opus may be empty.
    pub record: Bytes,
    /// Samples per second of the coded core (SBR not applied); 48,000 for Opus.
    pub sample_rate: u32,
    /// Channels of the output, 1 to 8.
    pub channels: u8,
    /// MPEG-4 audio object type (2 = LC, 5 = SBR, 29 = PS); 0 for Opus.
    pub object_type: u8,
    /// Samples in one frame at `sample_rate`: 1,024 or 960 for AAC; for Opus 0, as it varies per packet.
    pub frame_samples: u32,
}

impl AudioConfig {
    /// AAC-LC, mono or stereo, with frames of 1,024 samples and a rate of at least 22,050 Hz: what every HLS player
    /// takes as it is. Lower rates have frames too long for a part of a third of a second (128 ms at 8 kHz).
    pub fn is_passthrough(&self) -> bool {
        self.codec == AudioCodec::Aac
            && self.object_type == 2
            && (1..=2).contains(&self.channels)
            && self.frame_samples == 1024
            && (22_050..=48_000).contains(&self.sample_rate)
    }

    /// RFC 6381 name.
    pub fn codecs(&self) -> String {
        match self.codec {
            AudioCodec::Aac => format!("mp4a.40.{}", self.object_type),
            AudioCodec::Opus => "opus".to_owned(),
        }
    }
}

/// The configuration an access unit belongs to. Shared: all units between two changes hold the same `Arc`.
#[derive(Debug, Clone)]
pub enum Config {
    /// For a coded picture.
    Video(Arc<VideoConfig>),
    /// For an audio frame.
    Audio(Arc<AudioConfig>),
}

/// One coded picture or one audio frame of one track. Cloning shares the payload.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// What it must be decoded with.
    pub config: Config,
    /// Decode time on the session's timeline.
    pub dts: MediaTime,
    /// Presentation time, at or after `dts`.
    pub pts: MediaTime,
    /// For video: a true IDR by NAL type. For audio: always true.
    pub sync: bool,
    /// Video: NAL units, each behind a big-endian length of `VideoConfig::nal_length_size` bytes. Audio: one raw frame
    /// (no ADTS, no Ogg).
    pub data: Bytes,
}

impl AccessUnit {
    /// Which track it belongs to.
    pub fn track(&self) -> Track {
        match self.config {
            Config::Video(_) => Track::Video,
            Config::Audio(_) => Track::Audio,
        }
    }

    /// Its video configuration, if it is a picture.
    pub fn video(&self) -> Option<&Arc<VideoConfig>> {
        match &self.config {
            Config::Video(c) => Some(c),
            Config::Audio(_) => None,
        }
    }

    /// Its audio configuration, if it is an audio frame.
    pub fn audio(&self) -> Option<&Arc<AudioConfig>> {
        match &self.config {
            Config::Audio(c) => Some(c),
            Config::Video(_) => None,
        }
    }
}

/// What the publisher's metadata promises before the media comes (FLV `onMetaData`). A hint, never trusted for bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announced {
    /// A video track will come; `None` when nothing was said.
    pub video: Option<bool>,
    /// An audio track will come.
    pub audio: Option<bool>,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Bits a second the sound may have.
    pub audio_bps: Option<f64>,
    /// Name and version of the encoder, at most 128 characters, as it says itself.
    pub encoder: Option<String>,
}

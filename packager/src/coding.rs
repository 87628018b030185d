use media::{AudioConfig, Config, FrameRate, VideoCodec, VideoConfig};

/// How a rendition's media is coded, as far as a multivariant playlist says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// Pictures.
    Video(VideoCoding),
    /// Sound.
    Audio(AudioCoding),
}

/// How pictures are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoCoding {
    /// The codec, which decides in which multivariant playlist it stands.
    pub codec: VideoCodec,
    /// RFC 6381 name, such as `avc1.64001f`.
    pub codecs: String,
    /// Displayed width in luma samples.
    pub width: u32,
    /// Displayed height.
    pub height: u32,
    /// Pictures a second.
    pub frame_rate: FrameRate,
    /// Transfer characteristics of ITU-T H.273, for VIDEO-RANGE.
    pub transfer: u8,
}

/// How sound is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioCoding {
    /// RFC 6381 name, such as `mp4a.40.2`.
    pub codecs: String,
    /// Channels, 1 to 8.
    pub channels: u8,
    /// Samples a second.
    pub sample_rate: u32,
}

impl Coding {
    /// What a configuration says. `None` for pictures without a frame rate.
    pub(crate) fn of(config: &Config, rate: Option<FrameRate>) -> Option<Self> {
        match config {
            Config::Video(config) => Some(Self::Video(VideoCoding::new(config, rate?))),
            Config::Audio(config) => Some(Self::Audio(AudioCoding::new(config))),
        }
    }
}

impl VideoCoding {
    pub(crate) fn new(config: &VideoConfig, frame_rate: FrameRate) -> Self {
        Self {
            codec: config.codec,
            codecs: config.codecs.clone(),
            width: config.width,
            height: config.height,
            frame_rate,
            transfer: config.color.transfer,
        }
    }
}

impl AudioCoding {
    pub(crate) fn new(config: &AudioConfig) -> Self {
        Self { codecs: config.codecs(), channels: config.channels, sample_rate: config.sample_rate }
    }
}

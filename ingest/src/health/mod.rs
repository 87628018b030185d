//! Whether a stream is well, and what its streamer has to change if it is not: in words, with the number that was measured, the limit
//! and the setting of OBS that cures it. Pure: time is passed in.
//!
//! A [`Gauge`] looks at the units of a publisher as they come; whoever runs the session adds what only it knows (the worker's lag,
//! renditions that rest, reconnects) to what the gauge [`Measured`]; a [`Monitor`] holds that against the [`Limits`] once a second
//! and keeps the [`Issue`]s that are open. An issue opens when its limit was passed for three seconds, and closes when the value
//! was clearly on the good side of it for five, so that none flaps on the boundary.

mod drift;
mod gauge;
mod loudness;
mod monitor;
mod rules;
#[cfg(test)]
mod tests;
mod trial;

pub use gauge::Gauge;
pub use monitor::{Change, Monitor};
pub use trial::{Flaw, Trial};

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What was measured of a session at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The publisher's pictures; `None` when none came in the last ten seconds.
    pub video: Option<Picture>,
    /// Its sound, alike.
    pub audio: Option<Sound>,
    /// Bits a second the publisher said its sound may have: an encoder of a variable rate needs few for a quiet room.
    pub announced_audio_bps: Option<f64>,
    /// Parts per million by which the publisher's clock is slower than ours; `None` in the first minutes.
    pub drift_ppm: Option<f64>,
    /// How far the newest sound is ahead of the newest picture, in seconds.
    pub skew_s: Option<f64>,
    /// Faults of the publisher's clock that were mended in the last minute: jumps, steps back, equal stamps.
    pub clock_faults: u32,
    /// Why its pictures are re-encoded although they would be passed through: cause and cure.
    pub withheld: Option<String>,
    /// Seconds the worker is behind the source; `None` without a worker.
    pub lag_s: Option<f64>,
    /// Renditions this machine has no room for.
    pub shed: Vec<String>,
    /// Times the publisher was lost in the last ten minutes.
    pub losses: u32,
    /// A publisher is connected.
    pub is_attended: bool,
}

/// What a publisher's pictures were like in the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// Luma samples, width and height.
    pub size: (u32, u32),
    /// Pictures a second, by the usual frame time.
    pub fps: f64,
    /// Bits a second as they arrived.
    pub bitrate_bps: f64,
    /// The longest of the last groups of pictures, in seconds; the open one counts.
    pub keyframe_s: f64,
    /// Difference of the longest and the shortest of the last groups, as a share of their mean.
    pub keyframe_jitter: f64,
    /// The most B-frames in a row.
    pub b_frames: u32,
    /// The share of frame times that are not the usual one, 0 to 1.
    pub irregular: f64,
    /// The largest four seconds of the last thirty, in multiples of their mean.
    pub swing: f64,
    /// Seconds of media that came in each second; `None` before five seconds.
    pub pace: Option<f64>,
}

/// What a publisher's sound was like in the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound {
    /// In Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
    /// Bits a second as they arrived.
    pub bitrate_bps: f64,
    /// The loudest of the last seconds, root mean square in dB below full scale; `None` where it can't be listened to.
    pub level_db: Option<f64>,
}

/// From where on something is an issue. Each default names its source. Written as it is in the section `[health]` of the
/// configuration, where any may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds between keyframes that are too many; a bad one is beyond what can be passed through (DESIGN decision 4: 3 s).
    pub keyframe_s: f64,
    /// Spread of the groups of pictures as a share of their mean. Scene cuts make 0.3 to 2 of it.
    pub keyframe_jitter: f64,
    /// B-frames in a row; each delays a live by a frame, and OBS makes two by default.
    pub b_frames: u32,
    /// Share of irregular frame times. Passthrough is withdrawn at some (measured with a phone's camera: 0.2 to 0.6).
    pub irregular: f64,
    /// The largest four seconds in multiples of the mean.
    pub swing: f64,
    /// Seconds of media a second: below it, viewers run dry.
    pub pace: f64,
    /// Seconds between sound and picture as they arrive. Encoders interleave within 0.3 s.
    pub skew_s: f64,
    /// Loudness in dB below full scale below which nobody hears it. Speech is at -30 to -15, a quiet room at -60.
    pub silence_db: f64,
    /// Kilobits a second that sound must have: 64 less what a constant rate varies by.
    pub audio_kbps: f64,
    /// Parts per million the publisher's clock may run off. Clocks of computers are within 100; sound cards within 300.
    pub drift_ppm: f64,
    /// Seconds the worker may be behind (issue at two, where a rendition is shed).
    pub lag_s: f64,
    /// Losses of the publisher in ten minutes.
    pub losses: u32,
    /// The largest side of a picture in luma samples.
    pub side_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keyframe_s: 2.2,
            keyframe_jitter: 0.3,
            b_frames: 2,
            irregular: 0.05,
            swing: 2.0,
            pace: 0.95,
            skew_s: 0.5,
            silence_db: -55.0,
            audio_kbps: 60.0,
            drift_ppm: 1_000.0,
            lag_s: 1.0,
            losses: 2,
            side_max: 3840,
        }
    }
}

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Viewers may notice.
    Warning,
    /// Viewers do notice, or are about to.
    Bad,
}

/// The whole in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody publishes, or nothing was measured yet.
    NoData,
    /// No issue.
    Good,
    /// Warnings only.
    Ok,
    /// At least one issue that is bad.
    Bad,
}

/// What an issue is about: stable names for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Too long between keyframes.
    KeyframeInterval,
    /// Keyframes at irregular times.
    KeyframeJitter,
    /// More B-frames than a low delay allows.
    BFrames,
    /// Frame times vary.
    FrameRate,
    /// The bit rate swings.
    BitrateSwing,
    /// Media comes slower than it plays.
    Uplink,
    /// No sound.
    NoAudio,
    /// Sound that nobody hears.
    Silence,
    /// Too few bits for the sound.
    AudioBitrate,
    /// A sample rate that must be converted.
    SampleRate,
    /// Sound and picture arrive apart.
    AvOffset,
    /// Stamps that had to be mended.
    Timestamps,
    /// A clock that runs off.
    ClockDrift,
    /// A picture's size is odd or too large.
    Size,
    /// The source is re-encoded.
    Reencoded,
    /// Encoding is behind.
    EncodeLag,
    /// Renditions are left out.
    Shed,
    /// The publisher was lost several times.
    Reconnects,
}

impl Code {
    /// Its name for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyframeInterval => "keyframe_interval",
            Self::KeyframeJitter => "keyframe_jitter",
            Self::BFrames => "b_frames",
            Self::FrameRate => "frame_rate",
            Self::BitrateSwing => "bitrate_swing",
            Self::Uplink => "uplink",
            Self::NoAudio => "no_audio",
            Self::Silence => "silence",
            Self::AudioBitrate => "audio_bitrate",
            Self::SampleRate => "sample_rate",
            Self::AvOffset => "av_offset",
            Self::Timestamps => "timestamps",
            Self::ClockDrift => "clock_drift",
            Self::Size => "size",
            Self::Reencoded => "reencoded",
            Self::EncodeLag => "encode_lag",
            Self::Shed => "shed",
            Self::Reconnects => "reconnects",
        }
    }

    /// What it is about, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::KeyframeInterval => "the keyframe interval",
            Self::KeyframeJitter => "the keyframes' distances",
            Self::BFrames => "the B-frames",
            Self::FrameRate => "the frame rate",
            Self::BitrateSwing => "the bit rate",
            Self::Uplink => "the uplink",
            Self::NoAudio => "the sound",
            Self::Silence => "the sound's loudness",
            Self::AudioBitrate => "the sound's bit rate",
            Self::SampleRate => "the sample rate",
            Self::AvOffset => "sound and picture are together",
            Self::Timestamps => "the encoder's time stamps",
            Self::ClockDrift => "the encoder's clock",
            Self::Size => "the picture's size",
            Self::Reencoded => "the source is passed through",
            Self::EncodeLag => "encoding keeps up",
            Self::Shed => "all renditions are there",
            Self::Reconnects => "the connection",
        }
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// What it is about.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What was measured last, in the unit of `limit`.
    pub value: f64,
    /// From where on it is an issue.
    pub limit: f64,
    /// Such as `s`, `kb/s`; empty for a count.
    pub unit: &'static str,
    /// Since when.
    pub since: SystemTime,
    /// One sentence: what viewers get of it, with the value.
    pub problem: String,
    /// One sentence: the setting that cures it, as OBS names it.
    pub cure: String,
}

/// The state of a session's health.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The whole in one word.
    pub verdict: Verdict,
    /// Worst first.
    pub issues: Vec<Issue>,
}

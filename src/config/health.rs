//! `[health]`: from where on a streamer is told that something is wrong.

use anyhow::bail;
use ingest::health::Limits;
use serde::{Deserialize, Serialize};

/// `[health]`; `weir.example.toml` names the source of each default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Seconds between keyframes, 0.5 to 20.
    pub keyframe_s: f64,
    /// Spread of the times between keyframes as a share of their mean, 0.05 to 10.
    pub keyframe_jitter: f64,
    /// B-frames in a row, 0 to 16.
    pub b_frames: u32,
    /// Share of irregular frame times, 0.01 to 1.
    pub irregular: f64,
    /// The largest four seconds in multiples of the mean, 1.1 to 20.
    pub swing: f64,
    /// Seconds of media that arrive each second, 0.5 to 0.99.
    pub pace: f64,
    /// Seconds between sound and picture as they arrive, 0.05 to 5.
    pub skew_s: f64,
    /// Loudness in dB, -90 to -10.
    pub silence_db: f64,
    /// Kilobits a second of sound, 8 to 320.
    pub audio_kbps: f64,
    /// Parts per million the encoder's clock may run off, 100 to 100,000.
    pub drift_ppm: f64,
    /// Seconds the encoding may be behind, 0.2 to 10.
    pub lag_s: f64,
    /// Losses of the publisher in ten minutes, 0 to 100.
    pub losses: u32,
    /// Longest side of a picture, 320 to 8192.
    pub side_max: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        let Limits {
            keyframe_s,
            keyframe_jitter,
            b_frames,
            irregular,
            swing,
            pace,
            skew_s,
            silence_db,
            audio_kbps,
            drift_ppm,
            lag_s,
            losses,
            side_max,
        } = Limits::default();
        Self {
            keyframe_s,
            keyframe_jitter,
            b_frames,
            irregular,
            swing,
            pace,
            skew_s,
            silence_db,
            audio_kbps,
            drift_ppm,
            lag_s,
            losses,
            side_max,
        }
    }
}

impl HealthConfig {
    /// As the monitor takes them.
    pub fn limits(&self) -> Limits {
        Limits {
            keyframe_s: self.keyframe_s,
            keyframe_jitter: self.keyframe_jitter,
            b_frames: self.b_frames,
            irregular: self.irregular,
            swing: self.swing,
            pace: self.pace,
            skew_s: self.skew_s,
            silence_db: self.silence_db,
            audio_kbps: self.audio_kbps,
            drift_ppm: self.drift_ppm,
            lag_s: self.lag_s,
            losses: self.losses,
            side_max: self.side_max,
        }
    }

    /// # Errors
    /// The first value that is outside its range.
    pub fn check(&self) -> anyhow::Result<()> {
        let values = [
            ("keyframe_s", self.keyframe_s, 0.5, 20.0),
            ("keyframe_jitter", self.keyframe_jitter, 0.05, 10.0),
            ("b_frames", self.b_frames.into(), 0.0, 16.0),
            ("irregular", self.irregular, 0.01, 1.0),
            ("swing", self.swing, 1.1, 20.0),
            ("pace", self.pace, 0.5, 0.99),
            ("skew_s", self.skew_s, 0.05, 5.0),
            ("silence_db", self.silence_db, -90.0, -10.0),
            ("audio_kbps", self.audio_kbps, 8.0, 320.0),
            ("drift_ppm", self.drift_ppm, 100.0, 100_000.0),
            ("lag_s", self.lag_s, 0.2, 10.0),
            ("losses", self.losses.into(), 0.0, 100.0),
            ("side_max", self.side_max.into(), 320.0, 8_192.0),
        ];
        for (key, value, low, high) in values {
            if !(low..=high).contains(&value) {
                bail!("health.{key} is {value}; it takes {low} to {high}");
            }
        }
        Ok(())
    }
}

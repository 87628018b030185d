//! `[health]`: from where on a streamer is told that something is wrong.

use anyhow::bail;
use ingest::health::Limits;

/// Holds every limit against its range.
///
/// # Errors
/// The first value that is outside.
pub fn check(limits: &Limits) -> anyhow::Result<()> {
    let values = [
        ("keyframe_s", limits.keyframe_s, 0.5, 20.0),
        ("keyframe_jitter", limits.keyframe_jitter, 0.05, 10.0),
        ("b_frames", limits.b_frames.into(), 0.0, 16.0),
        ("irregular", limits.irregular, 0.01, 1.0),
        ("swing", limits.swing, 1.1, 20.0),
        ("pace", limits.pace, 0.5, 0.99),
        ("skew_s", limits.skew_s, 0.05, 5.0),
        ("silence_db", limits.silence_db, -90.0, -10.0),
        ("audio_kbps", limits.audio_kbps, 8.0, 320.0),
        ("drift_ppm", limits.drift_ppm, 100.0, 100_000.0),
        ("lag_s", limits.lag_s, 0.2, 10.0),
        ("losses", limits.losses.into(), 0.0, 100.0),
        ("side_max", limits.side_max.into(), 320.0, 8_192.0),
    ];
    for (key, value, low, high) in values {
        if !(low..=high).contains(&value) {
            bail!("health.{key} is {value}; it takes {low} to {high}");
        }
    }
    Ok(())
}

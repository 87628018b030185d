//! The rules: what each looks at, where its limits lie, and what it tells the streamer.

use super::{Code, Limits, Measured, Severity};

/// What one rule found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub code: Code,
    pub value: f64,
    pub limit: f64,
    pub unit: &'static str,
    /// How bad the value is; `None` within the limit.
    pub severity: Option<Severity>,
    /// Clearly on the good side: an open issue may close.
    pub is_clear: bool,
    pub problem: String,
    pub cure: String,
}

/// A value on its limit's good side counts as clear when it is so far from it, as a share of the limit.
const CLEAR: f64 = 0.03;

/// A quantity that is better small.
fn at_most(code: Code, value: f64, limit: f64, bad: f64, unit: &'static str) -> Finding {
    let severity = if value > bad { Some(Severity::Bad) } else { (value > limit).then_some(Severity::Warning) };
    let is_clear = value <= limit * (1.0 - CLEAR);
    Finding { code, value, limit, unit, severity, is_clear, problem: String::new(), cure: String::new() }
}

/// A number of things that is better small.
fn count(code: Code, value: f64, limit: u32, bad: f64) -> Finding {
    let limit = f64::from(limit);
    Finding { is_clear: value <= limit, ..at_most(code, value, limit, bad, "") }
}

/// A quantity that is better large.
fn at_least(code: Code, value: f64, limit: f64, bad: f64, unit: &'static str) -> Finding {
    let severity = if value < bad { Some(Severity::Bad) } else { (value < limit).then_some(Severity::Warning) };
    let is_clear = value >= limit + limit.abs() * CLEAR;
    Finding { code, value, limit, unit, severity, is_clear, problem: String::new(), cure: String::new() }
}

/// Something that is or is not.
fn never(code: Code, is_so: bool, severity: Severity) -> Finding {
    let value = f64::from(u8::from(is_so));
    let severity = is_so.then_some(severity);
    Finding {
        code,
        value,
        limit: 0.0,
        unit: "",
        severity,
        is_clear: !is_so,
        problem: String::new(),
        cure: String::new(),
    }
}

impl Finding {
    fn says(self, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { problem: problem.into(), cure: cure.into(), ..self }
    }
}

/// What every rule says of `measured`; rules that can't tell say nothing.
pub(super) fn judge(measured: &Measured, limits: &Limits) -> Vec<Finding> {
    let mut found = Vec::with_capacity(18);
    pictures(measured, limits, &mut found);
    sound(measured, limits, &mut found);
    way(measured, limits, &mut found);
    machine(measured, limits, &mut found);
    found
}

fn pictures(measured: &Measured, limits: &Limits, found: &mut Vec<Finding>) {
    let Some(video) = &measured.video else { return };
    let seconds = video.keyframe_s;
    found.push(at_most(Code::KeyframeInterval, seconds, limits.keyframe_s, 3.0, "s").says(
        format!("Keyframes are {seconds:.1} s apart, so viewers wait long for a picture, and beyond 3 s the source has to be re-encoded."),
        "In OBS: Settings, Output, Streaming, Keyframe Interval: 2 s.",
    ));
    let jitter = video.keyframe_jitter;
    found.push(at_most(Code::KeyframeJitter, jitter, limits.keyframe_jitter, f64::MAX, "").says(
        format!(
            "The times between keyframes differ by {:.0} %, so segments are uneven and some players stumble.",
            jitter * 100.0
        ),
        "In OBS: Settings, Output, Streaming, x264 Options: scenecut=0.",
    ));
    let b_frames = f64::from(video.b_frames);
    found.push(count(Code::BFrames, b_frames, limits.b_frames, f64::from(limits.b_frames) + 2.0).says(
        format!("The encoder makes {b_frames:.0} B-frames in a row, and each adds a picture's time to the delay."),
        format!(
            "In OBS: Settings, Output, Streaming, x264 Options: bframes={} (NVENC: Max B-frames).",
            limits.b_frames
        ),
    ));
    let irregular = video.irregular;
    found.push(at_most(Code::FrameRate, irregular, limits.irregular, f64::MAX, "").says(
        format!("{:.0} % of the pictures come at irregular times, so motion is not smooth.", irregular * 100.0),
        "In OBS: Settings, Video, Common FPS Values: 30 or 60; if OBS says encoding overloaded, choose a faster preset or a smaller output.",
    ));
    let swing = video.swing;
    found.push(at_most(Code::BitrateSwing, swing, limits.swing, f64::MAX, "x").says(
        format!(
            "The bit rate swings up to {swing:.1} times its mean, which stalls viewers whose line carries the mean."
        ),
        "In OBS: Settings, Output, Streaming, Rate Control: CBR.",
    ));
    let (width, height) = video.size;
    let is_odd = width % 2 == 1 || height % 2 == 1;
    let side = f64::from(width.max(height));
    let size = if is_odd {
        never(Code::Size, true, Severity::Warning)
    } else {
        Finding { unit: "samples", ..count(Code::Size, side, limits.side_max, f64::MAX) }
    };
    found.push(size.says(
        format!("The picture is {width}x{height}, which has to be scaled before it can be shown everywhere."),
        "In OBS: Settings, Video, Output (Scaled) Resolution: 1920x1080 or 1280x720.",
    ));
    if let Some(pace) = video.pace {
        found.push(at_least(Code::Uplink, pace, limits.pace, limits.pace - 0.1, "x").says(
            format!("Only {pace:.2} s of video arrive each second, so viewers run dry: the way here is slower than the bit rate."),
            format!("In OBS: Settings, Output, Streaming, Bitrate: {:.0} Kbps or less, or use a cable instead of Wi-Fi.", video.bitrate_bps * 0.75 / 1_000.0),
        ));
    }
}

fn sound(measured: &Measured, limits: &Limits, found: &mut Vec<Finding>) {
    if measured.video.is_some() {
        found.push(never(Code::NoAudio, measured.audio.is_none(), Severity::Bad).says(
            "No sound arrives.",
            "In OBS: Settings, Audio, Global Audio Devices: choose a Desktop or Mic device, and unmute it in the Audio Mixer.",
        ));
    }
    let Some(audio) = &measured.audio else { return };
    let is_usual = matches!(audio.sample_rate, 44_100 | 48_000);
    found.push(never(Code::SampleRate, !is_usual, Severity::Warning).says(
        format!("The sound has {} Hz, which some players can't play.", audio.sample_rate),
        "In OBS: Settings, Audio, Sample Rate: 48 kHz.",
    ));
    let level = audio.level_db.unwrap_or(0.0);
    if audio.level_db.is_some() {
        found.push(at_least(Code::Silence, level, limits.silence_db, limits.silence_db - 20.0, "dB").says(
            format!("The sound is at {level:.0} dB, which nobody hears."),
            "In OBS: unmute the source in the Audio Mixer and raise its volume, or choose another device in Settings, Audio.",
        ));
    }
    let kbps = measured.announced_audio_bps.unwrap_or(0.0).max(audio.bitrate_bps) / 1_000.0;
    // Silence takes few bits however many it may take.
    if level >= limits.silence_db {
        found.push(at_least(Code::AudioBitrate, kbps, limits.audio_kbps, 0.0, "kb/s").says(
            format!("The sound has {kbps:.0} kb/s, which is too little to sound well."),
            "In OBS: Settings, Output, Streaming, Audio Bitrate: 160.",
        ));
    }
    if let Some(skew) = measured.skew_s {
        found.push(at_most(Code::AvOffset, skew.abs(), limits.skew_s, limits.skew_s * 3.0, "s").says(
            format!("Sound and picture arrive {:.1} s apart.", skew.abs()),
            "In OBS: Edit, Advanced Audio Properties, Sync Offset: 0 ms for all sources; then restart the stream.",
        ));
    }
}

fn way(measured: &Measured, limits: &Limits, found: &mut Vec<Finding>) {
    let faults = f64::from(measured.clock_faults);
    found.push(count(Code::Timestamps, faults, 0, f64::MAX).says(
        format!("Time stamps had to be mended {faults:.0} times in the last minute, and viewers may have seen a jump."),
        "Restart the encoder; if it goes on, update it or its capture driver.",
    ));
    if let Some(drift) = measured.drift_ppm {
        let pace = if drift > 0.0 { "slow, or the way here is a little too narrow," } else { "fast" };
        found.push(at_most(Code::ClockDrift, drift.abs(), limits.drift_ppm, f64::MAX, "ppm").says(
            format!(
                "The encoder's clock runs {pace} by {:.1} s an hour, so the delay changes as the stream goes on.",
                drift.abs() * 3_600.0 / 1e6
            ),
            "In OBS: Settings, Audio, Sample Rate: the one the sound device has; then restart OBS, with a lower bit rate if that does not help.",
        ));
    }
    let losses = f64::from(measured.losses);
    found.push(count(Code::Reconnects, losses, limits.losses, f64::from(limits.losses) * 2.0).says(
        format!("The connection was lost {losses:.0} times in ten minutes."),
        "Use a cable instead of Wi-Fi, or lower the bit rate in OBS: Settings, Output, Streaming, Bitrate.",
    ));
}

fn machine(measured: &Measured, limits: &Limits, found: &mut Vec<Finding>) {
    let reason = measured.withheld.clone().unwrap_or_default();
    found.push(never(Code::Reencoded, measured.withheld.is_some(), Severity::Warning).says(
        "The source can't be passed through, so it is encoded again: it costs quality, delay and processor time.",
        reason,
    ));
    if let Some(lag) = measured.lag_s {
        found.push(at_most(Code::EncodeLag, lag, limits.lag_s, 2.0, "s").says(
            format!("The renditions are {lag:.1} s behind the source, as this server is busy."),
            "On the server: fewer or smaller renditions (weir stream set NAME --ladder), or more processors.",
        ));
    }
    let shed = measured.shed.len() as f64;
    found.push(count(Code::Shed, shed, 0, f64::MAX).says(
        format!("This server has no room for {}.", measured.shed.join(", ")),
        "On the server: fewer streams at once, smaller renditions (weir stream set NAME --ladder), or more processors.",
    ));
}

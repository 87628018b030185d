use super::*;
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, VideoCodec, VideoConfig};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A picture and a sound that nothing is wrong with.
fn well() -> Measured {
    Measured {
        video: Some(Picture {
            size: (1280, 720),
            fps: 30.0,
            bitrate_bps: 2_500_000.0,
            keyframe_s: 2.0,
            keyframe_jitter: 0.0,
            b_frames: 2,
            irregular: 0.0,
            swing: 1.2,
            pace: Some(1.0),
        }),
        audio: Some(Sound { sample_rate: 48_000, channels: 2, bitrate_bps: 128_000.0, level_db: Some(-20.0) }),
        skew_s: Some(0.05),
        is_attended: true,
        ..Measured::default()
    }
}

/// What a monitor says after it has looked at `measured` for so many seconds.
fn after(monitor: &mut Monitor, clock: &mut Instant, measured: &Measured, seconds: u32) -> Vec<Change> {
    let mut changes = Vec::new();
    for _ in 0..seconds {
        *clock += Duration::from_secs(1);
        changes.extend(monitor.look(measured, *clock, SystemTime::UNIX_EPOCH));
    }
    changes
}

fn picture(change: impl FnOnce(&mut Picture)) -> Measured {
    let mut measured = well();
    change(measured.video.as_mut().expect("a picture"));
    measured
}

#[test]
fn each_fault_is_named_with_its_cure_within_ten_seconds_and_is_over_when_it_is_cured() {
    let sound = |change: fn(&mut Sound)| {
        let mut measured = well();
        change(measured.audio.as_mut().expect("sound"));
        measured
    };
    let faults = [
        (Code::KeyframeInterval, Severity::Bad, picture(|p| p.keyframe_s = 10.0)),
        (Code::KeyframeJitter, Severity::Warning, picture(|p| p.keyframe_jitter = 0.9)),
        (Code::BFrames, Severity::Bad, picture(|p| p.b_frames = 6)),
        (Code::FrameRate, Severity::Warning, picture(|p| p.irregular = 0.4)),
        (Code::BitrateSwing, Severity::Warning, picture(|p| p.swing = 4.0)),
        (Code::Uplink, Severity::Bad, picture(|p| p.pace = Some(0.7))),
        (Code::Size, Severity::Warning, picture(|p| p.size = (1279, 719))),
        (Code::NoAudio, Severity::Bad, Measured { audio: None, ..well() }),
        (Code::SampleRate, Severity::Warning, sound(|s| s.sample_rate = 22_050)),
        (Code::Silence, Severity::Bad, sound(|s| (s.level_db, s.bitrate_bps) = (Some(-100.0), 2_000.0))),
        (Code::Silence, Severity::Warning, sound(|s| s.level_db = Some(-60.0))),
        (Code::AudioBitrate, Severity::Warning, sound(|s| s.bitrate_bps = 48_000.0)),
        (Code::ClockDrift, Severity::Warning, Measured { drift_ppm: Some(-2_000.0), ..well() }),
        (Code::AvOffset, Severity::Warning, Measured { skew_s: Some(-0.8), ..well() }),
        (Code::Timestamps, Severity::Warning, Measured { clock_faults: 3, ..well() }),
        (Code::Reencoded, Severity::Warning, Measured { withheld: Some("Set it to 2 s.".into()), ..well() }),
        (Code::EncodeLag, Severity::Bad, Measured { lag_s: Some(2.5), ..well() }),
        (Code::Shed, Severity::Warning, Measured { shed: vec!["720p".into()], ..well() }),
        (Code::Reconnects, Severity::Warning, Measured { losses: 3, ..well() }),
    ];
    for (code, severity, measured) in faults {
        let (mut monitor, mut clock) = (Monitor::new(Limits::default()), Instant::now());
        assert_eq!(after(&mut monitor, &mut clock, &well(), 60), [], "all is well");
        assert_eq!(monitor.report(), Report { verdict: Verdict::Good, issues: vec![] });
        let changes = after(&mut monitor, &mut clock, &measured, 10);
        let [Change::Is(issue)] = changes.as_slice() else { panic!("{code:?}: {changes:?}") };
        assert_eq!((issue.code, issue.severity), (code, severity));
        assert!(issue.problem.ends_with('.') && issue.cure.ends_with(['.', '0', ')']), "{issue:?}");
        let want = if severity == Severity::Bad { Verdict::Bad } else { Verdict::Ok };
        assert_eq!(monitor.report().verdict, want);
        assert_eq!(after(&mut monitor, &mut clock, &well(), 10), [Change::Over(code)]);
        assert_eq!(monitor.report().verdict, Verdict::Good);
    }
}

#[test]
fn a_quiet_room_at_a_variable_rate_is_no_thin_sound() {
    let (mut monitor, mut clock) = (Monitor::new(Limits::default()), Instant::now());
    let mut measured = well();
    measured.audio.as_mut().expect("sound").bitrate_bps = 20_000.0;
    measured.announced_audio_bps = Some(160_000.0);
    assert_eq!(after(&mut monitor, &mut clock, &measured, 10), []);
}

#[test]
fn nobody_who_publishes_is_no_data() {
    let (mut monitor, mut clock) = (Monitor::new(Limits::default()), Instant::now());
    assert_eq!(monitor.report().verdict, Verdict::NoData);
    after(&mut monitor, &mut clock, &Measured::default(), 10);
    assert_eq!(monitor.report().verdict, Verdict::NoData);
}

#[test]
fn what_gets_worse_is_said_again_and_what_gets_better_is_not() {
    let (mut monitor, mut clock) = (Monitor::new(Limits::default()), Instant::now());
    assert_eq!(after(&mut monitor, &mut clock, &picture(|p| p.keyframe_s = 2.6), 5).len(), 1);
    let worse = after(&mut monitor, &mut clock, &picture(|p| p.keyframe_s = 8.3), 5);
    assert!(
        matches!(worse.as_slice(), [Change::Is(issue)] if issue.severity == Severity::Bad && issue.problem.contains("8.3 s"))
    );
    assert_eq!(after(&mut monitor, &mut clock, &picture(|p| p.keyframe_s = 2.6), 5), []);
}

proptest! {
    #[test]
    fn nothing_flaps_on_the_boundary(noise in prop::collection::vec(-0.01f64..0.01, 10..300), start in 0.5f64..2.0) {
        // A value that stays within one percent of its limit opens an issue once at most.
        let limits = Limits::default();
        let (mut monitor, mut clock) = (Monitor::new(limits.clone()), Instant::now());
        let mut changes = after(&mut monitor, &mut clock, &picture(|p| p.keyframe_s = start), 2).len();
        for noise in noise {
            let near = picture(|p| {
                p.keyframe_s = limits.keyframe_s * (1.0 + noise);
                p.pace = Some(limits.pace * (1.0 + noise));
                p.swing = limits.swing * (1.0 - noise);
            });
            changes += after(&mut monitor, &mut clock, &near, 1).len();
        }
        prop_assert!(changes <= 3, "{} changes", changes);
    }

    #[test]
    fn issues_open_and_close_in_turn(values in prop::collection::vec(0.0f64..6.0, 1..400)) {
        let (mut monitor, mut clock) = (Monitor::new(Limits::default()), Instant::now());
        let mut open = false;
        for value in values {
            for change in after(&mut monitor, &mut clock, &picture(|p| p.keyframe_s = value), 1) {
                match change {
                    Change::Is(issue) => {
                        prop_assert!(!open || issue.severity == Severity::Bad);
                        open = true;
                    }
                    Change::Over(_) => {
                        prop_assert!(open);
                        open = false;
                    }
                }
            }
            prop_assert_eq!(open, !monitor.report().issues.is_empty());
        }
    }
}

fn video() -> Config {
    Config::Video(Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: bytes::Bytes::from_static(&[1, 100, 0, 31, 255, 224, 0]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        codecs: "avc1.64001f".into(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    }))
}

pub(super) fn audio_config() -> Arc<AudioConfig> {
    Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: bytes::Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    })
}

fn audio() -> Config {
    Config::Audio(audio_config())
}

/// Feeds a gauge with `seconds` of 30 pictures a second, groups of `key`, `b` B-frames in a row, as slow as `pace` says.
fn fed(seconds: i64, key: i64, b: i64, pace: f64) -> Measured {
    let (mut gauge, start, rate) = (Gauge::default(), Instant::now(), FrameRate { num: 30, den: 1 });
    let mut now = start;
    for n in 0..seconds * 30 {
        let dts = MediaTime::from_millis(10_000) + rate.time_of(n);
        now = start + Duration::from_secs_f64(n as f64 / 30.0 / pace);
        let place = n % key;
        // In decode order a P-frame comes before the B-frames it is shown after.
        let (group, within) = ((place + b) / (b + 1), (place + b) % (b + 1));
        let shown = if place == 0 {
            0
        } else if within == 0 {
            group * (b + 1)
        } else {
            (group - 1) * (b + 1) + within
        };
        let pts = MediaTime::from_millis(10_000) + rate.time_of(n - place + shown + b);
        let data = bytes::Bytes::from(vec![0; 10_000]);
        gauge.push(&AccessUnit { config: video(), dts, pts, sync: place == 0, data }, now);
        if n % 3 < 2 {
            gauge.push(
                &AccessUnit { config: audio(), dts, pts: dts, sync: true, data: bytes::Bytes::from(vec![0; 341]) },
                now,
            );
        }
    }
    gauge.look(now)
}

#[test]
fn a_gauge_measures_what_came() {
    let measured = fed(40, 60, 2, 1.0);
    let video = measured.video.expect("pictures");
    assert_eq!((video.size, video.b_frames), ((1280, 720), 2));
    assert!((video.fps - 30.0).abs() < 0.1 && (video.keyframe_s - 2.0).abs() < 0.05, "{video:?}");
    assert!((video.bitrate_bps / 2_400_000.0 - 1.0).abs() < 0.02 && video.swing < 1.1, "{video:?}");
    assert!(video.irregular < 0.01 && video.keyframe_jitter < 0.01, "{video:?}");
    assert!((video.pace.expect("ten seconds") - 1.0).abs() < 0.01);
    let sound = measured.audio.expect("sound");
    assert!(sound.sample_rate == 48_000 && (sound.bitrate_bps / 54_560.0 - 1.0).abs() < 0.03, "{sound:?}");
    assert!(measured.skew_s.is_some_and(|skew| skew.abs() < 0.1));
}

#[test]
fn a_gauge_sees_long_groups_many_b_frames_and_a_slow_line() {
    let video = fed(30, 300, 6, 0.8).video.expect("pictures");
    assert_eq!(video.b_frames, 6);
    assert!(video.keyframe_s > 9.0 && (video.pace.expect("time") - 0.8).abs() < 0.01, "{video:?}");
    assert_eq!(fed(20, 60, 0, 1.0).video.expect("pictures").b_frames, 0);
}

#[test]
fn a_second_with_a_large_keyframe_is_no_swing_but_a_burst_of_seconds_is() {
    let swing = |bytes: fn(i64) -> usize| {
        let (mut gauge, start) = (Gauge::default(), Instant::now());
        let mut now = start;
        for n in 0..30 * 30 {
            let dts = MediaTime::from_millis(n * 1_000 / 30);
            now = start + Duration::from_millis(n as u64 * 1_000 / 30);
            let data = bytes::Bytes::from(vec![0; bytes(n)]);
            gauge.push(&AccessUnit { config: video(), dts, pts: dts, sync: n % 60 == 0, data }, now);
        }
        gauge.look(now).video.expect("pictures").swing
    };
    // A still picture: a keyframe in every other second and nearly nothing in between.
    let still = swing(|n| if n % 60 == 0 { 60_000 } else { 100 });
    assert!(still < 1.2, "{still}");
    let burst = swing(|n| if (300..450).contains(&n) { 20_000 } else { 2_000 });
    assert!(burst > 2.0, "{burst}");
}

#[test]
fn a_gauge_forgets_a_track_that_stopped() {
    let mut gauge = Gauge::default();
    let start = Instant::now();
    for n in 0..90 {
        let dts = MediaTime::from_millis(n * 33);
        let unit =
            AccessUnit { config: video(), dts, pts: dts, sync: n == 0, data: bytes::Bytes::from_static(&[0; 10]) };
        gauge.push(&unit, start + Duration::from_millis(n as u64 * 33));
    }
    assert!(gauge.look(start + Duration::from_secs(3)).video.is_some());
    assert!(gauge.look(start + Duration::from_secs(30)).video.is_none());
}

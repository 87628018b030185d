//! Clips made with ffmpeg, a small FLV reader, and what a session of them is. The archive's tests read it too.

use bytes::Bytes;
use media::{AccessUnit, Config, FrameRate, MediaTime, aac, h264};
use packager::{AudioFacts, SessionPlan, SourceFacts, VideoFacts};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Runs a program and gives what it wrote; panics with its complaint when it fails.
pub fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A folder for one test's files, emptied.
pub fn folder(name: &str) -> PathBuf {
    let path = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("/tmp")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Makes an FLV clip of a moving test picture with a tone.
pub fn clip(path: &Path, seconds: u32, rate: &str, x264: &str, audio_rate: Option<u32>) {
    let video = format!("testsrc2=size=320x180:rate={rate}");
    let audio = format!("sine=frequency=440:sample_rate={}", audio_rate.unwrap_or(48_000));
    let seconds = seconds.to_string();
    let mut args = vec!["-v", "error", "-y", "-f", "lavfi", "-i", &video];
    if audio_rate.is_some() {
        args.extend(["-f", "lavfi", "-i", &audio, "-c:a", "aac", "-ac", "2", "-b:a", "96k"]);
    }
    args.extend([
        "-t",
        &seconds,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-x264-params",
        x264,
    ]);
    args.push(path.to_str().unwrap());
    run("ffmpeg", &args);
}

/// The units of an FLV file in its order, moved to begin at 10 s as ingest does it; audio runs on its sample count.
pub fn read_flv(path: &Path) -> Vec<AccessUnit> {
    let file = Bytes::from(std::fs::read(path).unwrap());
    let (mut at, mut out) = (13, Vec::new());
    let (mut video, mut audio) = (None, None);
    let mut audio_first = None;
    let mut audio_count = 0;
    while at + 15 <= file.len() {
        let size = usize::from(file[at + 1]) << 16 | usize::from(file[at + 2]) << 8 | usize::from(file[at + 3]);
        let stamp = i64::from(file[at + 4]) << 16
            | i64::from(file[at + 5]) << 8
            | i64::from(file[at + 6])
            | i64::from(file[at + 7]) << 24;
        let (kind, body) = (file[at], file.slice(at + 11..at + 11 + size));
        at += 15 + size;
        let dts = MediaTime::from_millis(10_000 + stamp);
        match kind {
            9 if body[1] == 0 => video = Some(Arc::new(h264::parse_config(&body.slice(5..)).unwrap())),
            9 if body[1] == 1 => {
                let cts = i64::from(i32::from_be_bytes([body[2], body[3], body[4], 0]) >> 8);
                let config: &Arc<media::VideoConfig> = video.as_ref().unwrap();
                let data = body.slice(5..);
                let sync = h264::is_idr(&data, config.nal_length_size);
                out.push(AccessUnit {
                    config: Config::Video(Arc::clone(config)),
                    dts,
                    pts: dts + MediaTime::from_millis(cts),
                    sync,
                    data,
                });
            }
            8 if body[1] == 0 => audio = Some(Arc::new(aac::parse_config(&body.slice(2..)).unwrap())),
            8 => {
                let config: &Arc<media::AudioConfig> = audio.as_ref().unwrap();
                let first = *audio_first.get_or_insert(dts);
                let pts = first + MediaTime::from_units(audio_count * 1024, config.sample_rate);
                audio_count += 1;
                out.push(AccessUnit {
                    config: Config::Audio(Arc::clone(config)),
                    dts: pts,
                    pts,
                    sync: true,
                    data: body.slice(2..),
                });
            }
            _ => {}
        }
    }
    out
}

/// Facts of a clip, as a prober would find them.
pub fn facts(units: &[AccessUnit], frame_rate: FrameRate) -> SourceFacts {
    let video = units.iter().find_map(|u| u.video()).map(|config| VideoFacts {
        config: Arc::clone(config),
        frame_rate,
        bitrate_bps: 1_000_000,
        passthrough: Ok(()),
    });
    let audio = units
        .iter()
        .find_map(|u| u.audio())
        .map(|config| AudioFacts { config: Arc::clone(config), passthrough: config.is_passthrough() });
    SourceFacts { video, audio }
}

/// A plan for passthrough alone with a target of 2 s.
pub fn plan(facts: SourceFacts) -> SessionPlan {
    SessionPlan {
        stream: "test".into(),
        session: "test-1".into(),
        run: None,
        first_msn: 0,
        discontinuities: 0,
        target_s: 2,
        low_latency: true,
        facts,
        passthrough: true,
        rungs: vec![],
        audio_encoded: false,
        wall_start: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }
}

/// A clock that runs with the media.
pub struct Clock {
    start: Instant,
    first: Option<MediaTime>,
}

impl Clock {
    pub fn new() -> Self {
        Self { start: Instant::now(), first: None }
    }

    /// The moment a unit of this decode time arrives.
    pub fn at(&mut self, time: MediaTime) -> Instant {
        let first = *self.first.get_or_insert(time);
        self.start + (time - first).to_duration()
    }
}

//! What the tests of this crate share: a clip of ffmpeg's as a session's feed, and targets of every kind.
#![allow(dead_code, reason = "each test program uses its share")]
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

pub mod nginx;
pub mod servers;

use bytes::Bytes;
use media::{AccessUnit, Announced, AudioConfig, Config, Feed, FeedItem, MediaTime, VideoConfig, aac, h264};
use restream::{Outlet, Settings, Source, State, Status, Target, TargetKey, TargetUrl, Timings, tls_config};
use rtmp::flv::{self, AudioPacket, VideoPacket};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine; only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Where a session's timeline begins.
const START: MediaTime = MediaTime::from_millis(10_000);

/// Ten seconds of picture (B-frames, a keyframe every second) and sound.
pub struct Clip {
    pub file: PathBuf,
    pub units: Vec<AccessUnit>,
    pub video: Arc<VideoConfig>,
    pub audio: Arc<AudioConfig>,
    _dir: tempfile::TempDir,
}

impl Clip {
    /// Made once for all tests of a program.
    pub fn get() -> &'static Self {
        static CLIP: OnceLock<Clip> = OnceLock::new();
        CLIP.get_or_init(Self::make)
    }

    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clip.flv");
        let made = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi"])
            .args(["-i", "sine=frequency=440:sample_rate=48000", "-t", "10", "-c:v", "libx264", "-preset", "ultrafast"])
            .args([
                "-bf",
                "2",
                "-g",
                "25",
                "-keyint_min",
                "25",
                "-sc_threshold",
                "0",
                "-pix_fmt",
                "yuv420p",
                "-b:v",
                "600k",
            ])
            .args(["-c:a", "aac", "-b:a", "96k"])
            .arg(&file)
            .status();
        assert!(made.unwrap().success(), "ffmpeg makes the clip");
        let (mut units, mut video, mut audio) = (Vec::new(), None, None);
        for (kind, stamp, body) in tags(&std::fs::read(&file).unwrap()) {
            let dts = START + MediaTime::from_millis(stamp);
            match kind {
                9 => match flv::parse_video(&body).unwrap() {
                    VideoPacket::Config { record, .. } => video = Some(Arc::new(h264::parse_config(&record).unwrap())),
                    VideoPacket::Frame { composition_ms, data, .. } => {
                        let config: &Arc<VideoConfig> = video.as_ref().unwrap();
                        units.push(AccessUnit {
                            config: Config::Video(Arc::clone(config)),
                            dts,
                            pts: dts + MediaTime::from_millis(composition_ms.into()),
                            sync: h264::is_idr(&data, config.nal_length_size),
                            data,
                        });
                    }
                    _ => {}
                },
                8 => match flv::parse_audio(&body).unwrap() {
                    AudioPacket::Config { record, .. } => audio = Some(Arc::new(aac::parse_config(&record).unwrap())),
                    AudioPacket::Frame { data, .. } => {
                        let config = Config::Audio(Arc::clone(audio.as_ref().unwrap()));
                        units.push(AccessUnit { config, dts, pts: dts, sync: true, data });
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        Self { file, units, video: video.unwrap(), audio: audio.unwrap(), _dir: dir }
    }

    pub fn source(&self) -> Source {
        let (video, audio) = (Some(Arc::clone(&self.video)), Some(Arc::clone(&self.audio)));
        Source { video, audio, announced: Announced::default() }
    }
}

/// Kind, stamp and body of each tag of an FLV file.
fn tags(file: &[u8]) -> Vec<(u8, i64, Bytes)> {
    let big = |bytes: &[u8]| bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
    let (mut at, mut all) = (13, Vec::new());
    while let Some(head) = file.get(at..at + 11) {
        let size = big(&head[1..4]);
        let Some(body) = file.get(at + 11..at + 11 + size) else { break };
        all.push((head[0], big(&head[4..7]) as i64, Bytes::copy_from_slice(body)));
        at += 11 + size + 4;
    }
    all
}

/// The hashes ffmpeg makes of every packet of a file, video and sound, with their stamps.
pub fn hashes(file: &Path) -> Vec<String> {
    let told = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).unwrap();
    // Stream, dts, pts, duration, size, hash; what may follow is side data, such as a configuration that came again.
    let packets = text.lines().filter(|line| !line.starts_with('#'));
    packets.map(|line| line.split(',').take(6).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

/// A session that plays the clip round and round, and an outlet for it.
pub struct Show {
    pub feed: Arc<Feed>,
    /// Units given so far, in all rounds.
    pub given: usize,
}

impl Show {
    pub fn new() -> Self {
        Self { feed: Arc::new(Feed::new(2_000, 32 << 20)), given: 0 }
    }

    pub fn outlet(&self, target: Target, settings: Settings) -> Copy {
        self.outlet_of(Clip::get().source(), target, settings)
    }

    pub fn outlet_of(&self, source: Source, target: Target, settings: Settings) -> Copy {
        let (outlet, status) = Outlet::new(target, source, self.feed.subscribe(), Arc::new(settings));
        let stop = CancellationToken::new();
        Copy { status, stop: stop.clone(), task: tokio::spawn(outlet.run(stop)) }
    }

    /// The next unit, wherever the clip is.
    pub fn step(&mut self) -> AccessUnit {
        let units = &Clip::get().units;
        let (round, at) = (self.given / units.len(), self.given % units.len());
        self.given += 1;
        let shift = MediaTime::from_millis(10_000 * round as i64);
        AccessUnit { dts: units[at].dts + shift, pts: units[at].pts + shift, ..units[at].clone() }
    }

    pub fn push(&mut self, units: usize) {
        for _ in 0..units {
            let unit = self.step();
            self.feed.push(FeedItem::Unit(unit));
        }
    }

    /// Gives units four times faster than real time until `over`.
    pub async fn play_until(&mut self, what: &str, mut over: impl FnMut() -> bool) {
        let begun = tokio::time::Instant::now();
        while !over() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            // 72 units a second.
            self.push(3);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Gives these units to an outlet that begins with the first of them: a connection begins at the newest keyframe, so the
    /// others wait until it is live. Then they come twenty times faster than real time.
    pub async fn give_all(&self, units: &[AccessUnit], copy: &Copy) {
        let (first, rest) = units.split_at(5);
        let give = |unit: &AccessUnit| self.feed.push(FeedItem::Unit(unit.clone()));
        first.iter().for_each(give);
        eventually("the target takes the copy", || copy.state() == State::Live).await;
        for some in rest.chunks(7) {
            some.iter().for_each(give);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The session ends.
    pub fn end(self) {}
}

/// An outlet at work.
pub struct Copy {
    pub status: watch::Receiver<Status>,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Copy {
    pub fn state(&self) -> State {
        self.status.borrow().state
    }

    /// The fault's code, empty without one.
    pub fn fault(&self) -> &'static str {
        self.status.borrow().fault.as_ref().map_or("", |(fault, _)| fault.code())
    }

    pub fn words(&self) -> String {
        self.status.borrow().fault.as_ref().map(|(fault, _)| fault.to_string()).unwrap_or_default()
    }

    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the outlet ends").unwrap();
    }
}

/// A target on loopback, which these tests may.
pub fn target(address: SocketAddr, key: &str) -> Target {
    target_at(&format!("rtmp://{address}/live"), key)
}

pub fn target_at(url: &str, key: &str) -> Target {
    let url = TargetUrl::parse(url).unwrap();
    Target { allow_private: true, ..Target::new(url, TargetKey::parse(key).unwrap()) }
}

/// Deadlines short enough for tests.
pub fn settings() -> Settings {
    settings_trusting(Vec::new())
}

pub fn settings_trusting(extra: Vec<CertificateDer<'static>>) -> Settings {
    let second = Duration::from_secs(1);
    let timings =
        Timings { connect: 2 * second, tls: 2 * second, answer: 2 * second, progress: second, ..Timings::default() };
    Settings { allow_private: false, tls: tls_config(extra).unwrap(), timings }
}

/// Waits for what is bound to come.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

//! Clips made with ffmpeg, read into access units, and a session that plays them through a worker.

use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, Config, MediaTime, Track, VideoConfig, aac, h264, hevc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use transcoder::{Output, Transcoder, TranscoderConfig};

/// Where sessions begin, so that nothing is ever negative.
pub const ORIGIN: MediaTime = MediaTime::from_millis(10_000);

pub fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_weir-worker"))
}

/// Runs ffmpeg and gives the path of its output file.
pub fn ffmpeg(name: &str, arguments: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg {arguments}");
    path
}

/// A clip with H.264 and AAC, its stamps from [`ORIGIN`] on.
pub fn clip(name: &str, arguments: &str) -> Vec<AccessUnit> {
    let path = ffmpeg(&format!("{name}.flv"), arguments);
    let units = flv(&std::fs::read(&path).expect("the clip"));
    std::fs::remove_file(path).expect("our own file");
    units
}

/// Reads FLV as a publisher sends it: whole milliseconds, presentation offsets, configurations first.
pub fn flv(data: &[u8]) -> Vec<AccessUnit> {
    let number = |bytes: &[u8]| bytes.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let (mut video, mut audio): (Option<Arc<VideoConfig>>, Option<Arc<AudioConfig>>) = (None, None);
    let mut units = Vec::new();
    let mut at = 13;
    while at + 11 <= data.len() {
        let (kind, size) = (data[at], number(&data[at + 1..at + 4]));
        let ms = number(&data[at + 4..at + 7]) as i64 | i64::from(data[at + 7]) << 24;
        let body = Bytes::copy_from_slice(&data[at + 11..at + 11 + size]);
        at += 11 + size + 4;
        let dts = ORIGIN + MediaTime::from_millis(ms);
        match kind {
            9 if body[1] == 0 => video = Some(Arc::new(h264::parse_config(&body.slice(5..)).expect("a record"))),
            9 if body[1] == 1 => {
                let config = video.clone().expect("configured before");
                let data = body.slice(5..);
                let sync = h264::is_idr(&data, config.nal_length_size);
                let pts = dts + MediaTime::from_millis(number(&body[2..5]) as i64);
                units.push(AccessUnit { config: Config::Video(config), dts, pts, sync, data });
            }
            8 if body[1] == 0 => audio = Some(Arc::new(aac::parse_config(&body.slice(2..)).expect("a configuration"))),
            8 if body[1] == 1 => {
                let config = audio.clone().expect("configured before");
                units.push(AccessUnit {
                    config: Config::Audio(config),
                    dts,
                    pts: dts,
                    sync: true,
                    data: body.slice(2..),
                });
            }
            _ => {}
        }
    }
    units
}

/// HEVC without B-frames at a constant rate, with access unit delimiters: the record from an MP4, the units from Annex B.
pub fn hevc_clip(name: &str, arguments: &str, fps: u32) -> Vec<AccessUnit> {
    let mp4 = ffmpeg(&format!("{name}.mp4"), arguments);
    let raw = ffmpeg(
        &format!("{name}.hevc"),
        &format!("-i {} -c copy -bsf:v hevc_mp4toannexb,hevc_metadata=aud=insert -f hevc", mp4.display()),
    );
    let file = std::fs::read(&mp4).expect("the clip");
    let at = file.windows(4).position(|w| w == b"hvcC").expect("an hvcC box");
    let size = u32::from_be_bytes([file[at - 4], file[at - 3], file[at - 2], file[at - 1]]) as usize;
    let config = Arc::new(hevc::parse_config(&Bytes::copy_from_slice(&file[at + 4..at - 4 + size])).expect("a record"));
    let stream = std::fs::read(&raw).expect("the stream");
    let mut starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(n, _)| n + 3).collect();
    starts.push(stream.len() + 3);
    let mut units: Vec<AccessUnit> = Vec::new();
    let mut data = Vec::new();
    let mut finish = |data: &mut Vec<u8>| {
        if data.is_empty() {
            return;
        }
        let data = Bytes::from(std::mem::take(data));
        let pts = ORIGIN + MediaTime::from_units(units.len() as i64, fps);
        units.push(AccessUnit {
            config: Config::Video(Arc::clone(&config)),
            dts: pts,
            pts,
            sync: hevc::is_idr(&data, 4),
            data,
        });
    };
    for pair in starts.windows(2) {
        let mut nal = &stream[pair[0]..pair[1] - 3];
        while let Some((0, rest)) = nal.split_last().map(|(last, rest)| (*last, rest)) {
            nal = rest;
        }
        match hevc::nal_type(nal) {
            35 => finish(&mut data),
            32..=34 => {}
            _ => {
                data.extend((nal.len() as u32).to_be_bytes());
                data.extend(nal);
            }
        }
    }
    finish(&mut data);
    for path in [mp4, raw] {
        std::fs::remove_file(path).expect("our own file");
    }
    units
}

/// Opus packets of an Ogg file (RFC 3533), 20 ms each.
pub fn opus_clip(name: &str, arguments: &str) -> Vec<AccessUnit> {
    let path = ffmpeg(&format!("{name}.ogg"), arguments);
    let data = std::fs::read(&path).expect("the clip");
    std::fs::remove_file(path).expect("our own file");
    let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 0);
    while at + 27 <= data.len() {
        let count = usize::from(data[at + 26]);
        let mut body = at + 27 + count;
        for size in &data[at + 27..at + 27 + count] {
            packet.extend_from_slice(&data[body..body + usize::from(*size)]);
            body += usize::from(*size);
            if *size < 255 {
                packets.push(Bytes::from(std::mem::take(&mut packet)));
            }
        }
        at = body;
    }
    let config = Arc::new(AudioConfig {
        codec: AudioCodec::Opus,
        record: packets[0].clone(),
        sample_rate: 48_000,
        channels: 2,
        object_type: 0,
        frame_samples: 0,
    });
    let packet = |(n, data): (usize, Bytes)| {
        let pts = ORIGIN + MediaTime::from_millis(20 * n as i64);
        AccessUnit { config: Config::Audio(Arc::clone(&config)), dts: pts, pts, sync: true, data }
    };
    packets.into_iter().skip(2).enumerate().map(packet).collect()
}

pub fn video_config(units: &[AccessUnit]) -> Option<Arc<VideoConfig>> {
    units.iter().find_map(|unit| unit.video().cloned())
}

pub fn audio_config(units: &[AccessUnit]) -> Option<Arc<AudioConfig>> {
    units.iter().find_map(|unit| unit.audio().cloned())
}

/// What came out of a session.
#[derive(Debug, Default)]
pub struct Played {
    pub renditions: BTreeMap<String, Vec<AccessUnit>>,
    pub thumbs: Vec<Bytes>,
    /// Rungs the worker was relieved of, in order.
    pub shed: Vec<String>,
    pub restarts: Vec<String>,
    pub failure: Option<String>,
    pub boundaries: Vec<MediaTime>,
    /// Longest time from giving the newest picture to getting a rung's, in stream time, after the first second.
    pub lag: MediaTime,
}

/// A session under test; boundaries are given at the source's keyframes, as on passthrough.
pub struct Session {
    pub transcoder: Transcoder,
    output: tokio::sync::mpsc::Receiver<Output>,
    frontier: Arc<Mutex<BTreeMap<String, MediaTime>>>,
    pub played: Played,
    newest: MediaTime,
    step: MediaTime,
    has_rungs: bool,
    /// Nothing can come out before this.
    base: MediaTime,
}

/// How far the source may be ahead of what comes out, so that nothing is dropped however slow the machine is.
const AHEAD: MediaTime = MediaTime::from_millis(1_500);
/// No test waits longer for one output.
const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    pub fn start(config: TranscoderConfig) -> Self {
        let step = config.rungs.first().map_or(MediaTime::ZERO, |rung| rung.frame_rate.time_of(1));
        let has_rungs = !config.rungs.is_empty();
        let frontier: Arc<Mutex<BTreeMap<String, MediaTime>>> = Arc::default();
        let known = Arc::clone(&frontier);
        let config = TranscoderConfig { exe: worker(), ..config };
        let (transcoder, output) =
            Transcoder::spawn(config, move |name| known.lock().expect("no panic").get(name).copied());
        Self { transcoder, output, frontier, played: Played::default(), newest: ORIGIN, step, has_rungs, base: ORIGIN }
    }

    /// Gives units, and takes what comes out meanwhile.
    pub async fn give(&mut self, units: &[AccessUnit]) {
        for unit in units {
            if unit.track() == Track::Video {
                if unit.sync {
                    self.cut(unit.pts);
                }
                self.newest = self.newest.max(unit.pts);
            } else if !self.has_rungs {
                self.newest = self.newest.max(unit.pts);
            }
            self.transcoder.unit(unit.clone());
            if !self.has_rungs {
                // Nothing comes back that could tell how far the worker is, so it gets pictures as a publisher sends them:
                // faster ones would overflow its queue while it starts, and the next keyframe is beyond the clip.
                tokio::time::sleep(Duration::from_millis(33)).await;
                continue;
            }
            while self.newest - self.slowest() > AHEAD {
                let Ok(output) = tokio::time::timeout(PATIENCE, self.output.recv()).await else {
                    let ends: Vec<_> = self
                        .played
                        .renditions
                        .iter()
                        .map(|(name, units)| (name, units.len(), units.last().map(|u| u.pts)))
                        .collect();
                    panic!("no output for {:?} given: {ends:?}, restarts {:?}", self.newest, self.played.restarts);
                };
                if !self.take(output.expect("a running transcoder")) {
                    return;
                }
            }
        }
    }

    /// Gives one unit and takes what is there, without waiting.
    pub fn feed(&mut self, unit: &AccessUnit) {
        if unit.sync {
            self.cut(unit.pts);
        }
        self.newest = self.newest.max(unit.pts);
        self.transcoder.unit(unit.clone());
        while let Ok(output) = self.output.try_recv() {
            self.take(output);
        }
    }

    /// Every rung has given something.
    pub fn has_begun(&self) -> bool {
        self.played.renditions.len() > 1
    }

    /// Rungs the worker was relieved of so far.
    pub fn shed(&self) -> &[String] {
        &self.played.shed
    }

    pub fn cut(&mut self, at: MediaTime) {
        self.transcoder.boundary(self.played.boundaries.len() as u64, at, false);
        self.played.boundaries.push(at);
    }

    /// Passthrough ends here.
    pub fn withdraw(&mut self, at: MediaTime, rung: media::Rung) {
        self.step = rung.frame_rate.time_of(1);
        self.transcoder.withdraw(at, rung);
        self.has_rungs = true;
        self.base = at;
    }

    fn slowest(&self) -> MediaTime {
        self.played.renditions.values().filter_map(|units| units.last()).map(|unit| unit.pts).min().unwrap_or(self.base)
    }

    /// `false` when nothing more will come.
    fn take(&mut self, output: Output) -> bool {
        match output {
            Output::Unit { rendition, unit } => {
                if unit.track() == Track::Video {
                    self.frontier.lock().expect("no panic").insert(rendition.to_string(), unit.pts + self.step);
                }
                if unit.pts - ORIGIN > MediaTime::from_millis(1000) {
                    self.played.lag = self.played.lag.max(self.newest - unit.pts);
                }
                self.played.renditions.entry(rendition.to_string()).or_default().push(unit);
            }
            Output::Thumb(jpeg) => self.played.thumbs.push(jpeg),
            Output::Restarted { reason, .. } => self.played.restarts.push(reason),
            Output::Shed { rendition, .. } => self.played.shed.push(rendition.to_string()),
            Output::Restored { .. } => {}
            Output::Failed { reason } => {
                self.played.failure = Some(reason);
                return false;
            }
            Output::Ended => return false,
        }
        true
    }

    /// Takes the next output, whatever it is.
    pub async fn wait(&mut self) {
        let output =
            tokio::time::timeout(PATIENCE, self.output.recv()).await.expect("an output").expect("a running transcoder");
        self.take(output);
    }

    /// Ends the source and takes everything to the end.
    pub async fn finish(mut self) -> Played {
        self.transcoder.finish();
        while let Some(output) = tokio::time::timeout(PATIENCE, self.output.recv()).await.expect("an end") {
            if !self.take(output) {
                break;
            }
        }
        self.played
    }
}

/// Plays a clip from start to end.
pub async fn play(config: TranscoderConfig, units: &[AccessUnit]) -> Played {
    let mut session = Session::start(TranscoderConfig { video: video_config(units), ..config });
    session.give(units).await;
    session.finish().await
}

/// Units as an Annex B file, for other programs to read.
pub fn annex_b(units: &[AccessUnit]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut known: Option<Arc<VideoConfig>> = None;
    for unit in units {
        let config = unit.video().expect("pictures");
        if known.as_ref().is_none_or(|k| !Arc::ptr_eq(k, config)) {
            let sets = h264::parameter_sets(&config.record).expect("our own record");
            for nal in sets.sps.iter().chain(&sets.pps) {
                out.extend([0, 0, 0, 1]);
                out.extend_from_slice(nal);
            }
            known = Some(Arc::clone(config));
        }
        for nal in media::nal::units(&unit.data, 4) {
            out.extend([0, 0, 0, 1]);
            out.extend_from_slice(&nal.expect("whole units"));
        }
    }
    out
}

/// Frames ADTS, for other programs to read.
pub fn adts(units: &[AccessUnit]) -> Vec<u8> {
    let mut out = Vec::new();
    for unit in units {
        let config = unit.audio().expect("audio");
        out.extend(aac::adts_header(config, unit.data.len()).expect("short frames"));
        out.extend_from_slice(&unit.data);
    }
    out
}

/// Frames and complaints of ffmpeg decoding this.
pub fn decode(format: &str, data: &[u8]) -> (usize, String) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{:p}.{format}", std::process::id(), data));
    std::fs::write(&path, data).expect("a temporary file");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-stats", "-f", format, "-i"])
        .arg(&path)
        .args(["-fps_mode", "passthrough", "-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    std::fs::remove_file(&path).expect("our own file");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let frames = text
        .rsplit("frame=")
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let complaints =
        text.lines().filter(|line| !line.contains("frame=") && !line.contains("size=")).collect::<Vec<_>>().join("\n");
    (frames, complaints)
}

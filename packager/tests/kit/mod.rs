//! What the packager's tests share: clips made with ffmpeg, a small FLV reader, and a judge of playlists.
#![allow(dead_code, reason = "each test binary uses its own share")]

pub mod stage;

use bytes::Bytes;
use media::{AccessUnit, Config, FrameRate, MediaTime, Rung, aac, h264};
use packager::{AudioFacts, Rendition, SessionPlan, SourceFacts, VideoFacts};
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

/// A rung of the test's making.
pub fn rung(name: &str, frame_rate: FrameRate) -> Rung {
    Rung { name: name.into(), width: 160, height: 90, frame_rate, bitrate_bps: 500_000 }
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

/// What a media playlist says, read by quick-m3u8.
#[derive(Debug, Default, Clone)]
pub struct Listed {
    pub target: u64,
    pub part_target: f64,
    pub first_msn: u64,
    pub discontinuity_sequence: u64,
    pub skipped: u64,
    pub ended: bool,
    pub segments: Vec<ListedSegment>,
    pub open: ListedSegment,
    pub hint: Option<String>,
    pub reports: usize,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct ListedSegment {
    pub uri: String,
    pub duration: f64,
    pub discontinuity: bool,
    pub gap: bool,
    /// The init section in force, by EXT-X-MAP; `None` for a gap.
    pub init: Option<String>,
    pub parts: Vec<ListedPart>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct ListedPart {
    pub uri: String,
    pub duration: f64,
    pub independent: bool,
    pub gap: bool,
}

/// Reads a media playlist with a foreign parser.
pub fn read_playlist(text: &[u8]) -> Listed {
    use quick_m3u8::config::ParsingOptionsBuilder;
    use quick_m3u8::tag::{KnownTag, hls};
    use quick_m3u8::{HlsLine, Reader};
    let text = std::str::from_utf8(text).unwrap();
    let mut reader = Reader::from_str(text, ParsingOptionsBuilder::new().with_parsing_for_all_tags().build());
    let (mut out, mut current) = (Listed::default(), ListedSegment::default());
    let mut init = None;
    while let Some(line) = reader.read_line().unwrap_or_else(|e| panic!("{e:?} in\n{text}")) {
        match line {
            HlsLine::Uri(uri) => {
                current.uri = uri.into_owned();
                current.init = init.clone().filter(|_| !current.gap);
                out.segments.push(std::mem::take(&mut current));
            }
            HlsLine::UnknownTag(tag) => panic!("unknown tag {tag:?}"),
            HlsLine::KnownTag(KnownTag::Hls(tag)) => match tag {
                hls::Tag::Targetduration(t) => out.target = t.target_duration(),
                hls::Tag::MediaSequence(t) => out.first_msn = t.media_sequence(),
                hls::Tag::DiscontinuitySequence(t) => out.discontinuity_sequence = t.discontinuity_sequence(),
                hls::Tag::PartInf(t) => out.part_target = t.part_target(),
                hls::Tag::Skip(t) => out.skipped = t.skipped_segments(),
                hls::Tag::Endlist(_) => out.ended = true,
                hls::Tag::Discontinuity(_) => current.discontinuity = true,
                hls::Tag::Map(t) => init = Some(t.uri().to_owned()),
                hls::Tag::Gap(_) => current.gap = true,
                hls::Tag::Inf(t) => current.duration = t.duration(),
                hls::Tag::PreloadHint(t) => out.hint = Some(t.uri().to_owned()),
                hls::Tag::RenditionReport(_) => out.reports += 1,
                hls::Tag::Part(t) => current.parts.push(ListedPart {
                    uri: t.uri().to_owned(),
                    duration: t.duration(),
                    independent: t.independent(),
                    gap: t.gap(),
                }),
                _ => {}
            },
            _ => {}
        }
    }
    out.open = ListedSegment { init, ..current };
    out
}

/// The rules every media playlist of ours keeps, whatever the source does.
pub fn judge(text: &[u8]) -> Listed {
    judge_parts(text, 0.85)
}

/// As [`judge`], with another least share of PART-TARGET: where sound jumps, one part may be a frame or two short.
pub fn judge_parts(text: &[u8], least: f64) -> Listed {
    let listed = read_playlist(text);
    let show = || String::from_utf8_lossy(text).into_owned();
    for segment in &listed.segments {
        assert!(
            segment.duration.round() as u64 <= listed.target,
            "EXTINF {} over the target in\n{}",
            segment.duration,
            show()
        );
        assert!(segment.duration > 0.0, "{segment:?}");
        assert!(segment.gap || segment.init.is_some(), "no init section for {segment:?} in\n{}", show());
    }
    for segment in listed.segments.iter().chain([&listed.open]) {
        let count = segment.parts.len();
        for (index, part) in segment.parts.iter().enumerate() {
            assert!(
                part.duration <= listed.part_target + 1e-6,
                "{part:?} over the part target {} in\n{}",
                listed.part_target,
                show()
            );
            let may_be_short = index + 1 == count || part.gap || segment.parts[index + 1].gap;
            assert!(
                may_be_short || part.duration >= least * listed.part_target,
                "{part:?} is short of {} in\n{}",
                listed.part_target,
                show()
            );
        }
        let sum: f64 = segment.parts.iter().map(|p| p.duration).sum();
        let is_whole = count > 0 && !segment.uri.is_empty();
        assert!(!is_whole || (sum - segment.duration).abs() < 0.0005, "parts sum to {sum}: {segment:?}");
    }
    assert_eq!(listed.ended, listed.hint.is_none());
    listed
}

/// Writes the init section and all whole segments of a rendition held as one file.
pub fn write_file(rendition: &Rendition, path: &Path, ts: bool) {
    let mut out = Vec::new();
    if !ts {
        out.extend(rendition.init(0).unwrap());
    }
    let playlist = rendition.playlist().borrow().clone();
    let Some(last) = playlist.last_segment else { return };
    for msn in 0..=last {
        if ts {
            out.extend(rendition.ts_segment(msn).unwrap_or_default());
        } else if let Some(segment) = rendition.segment(msn) {
            segment.parts.iter().for_each(|p| out.extend(&p.data));
        }
    }
    std::fs::write(path, out).unwrap();
}

/// MD5 of each decoded picture, in presentation order.
pub fn picture_hashes(path: &Path) -> Vec<String> {
    let text = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            path.to_str().unwrap(),
            "-map",
            "0:v",
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ],
    );
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.rsplit(',').next().map(|h| h.trim().to_owned()))
        .collect()
}

/// First and last decode time of each chunk in a file, read by mp4-atom.
pub fn decode_runs(mut file: &[u8]) -> Vec<(u64, u64)> {
    use mp4_atom::{Any, Decode};
    let mut out = Vec::new();
    while !file.is_empty() {
        if let Any::Moof(moof) = Any::decode(&mut file).unwrap() {
            let traf = &moof.traf[0];
            let start = traf.tfdt.as_ref().unwrap().base_media_decode_time;
            let length: u64 = traf.trun[0].samples.iter().map(|s| u64::from(s.duration.unwrap())).sum();
            out.push((start, start + length));
        }
    }
    out
}

/// The pictures of a fragmented MP4 file with one HEVC track, moved to begin at 10 s.
pub fn read_fragmented_hevc(path: &Path) -> Vec<AccessUnit> {
    use mp4_atom::{Any, Decode};
    let file = Bytes::from(std::fs::read(path).unwrap());
    let at = file.windows(4).position(|w| w == b"hvcC").unwrap();
    let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    let config = Arc::new(media::hevc::parse_config(&file.slice(at + 4..at - 4 + size)).unwrap());
    let (mut rest, mut timescale, mut out) = (file.as_ref(), 1, Vec::new());
    while !rest.is_empty() {
        let begin = file.len() - rest.len();
        match Any::decode(&mut rest).unwrap() {
            Any::Moov(moov) => timescale = moov.trak[0].mdia.mdhd.timescale,
            Any::Moof(moof) => {
                let (traf, trun) = (&moof.traf[0], &moof.traf[0].trun[0]);
                let mut dts = traf.tfdt.as_ref().unwrap().base_media_decode_time as i64;
                let mut at = begin + trun.data_offset.unwrap() as usize;
                for sample in trun.samples.iter() {
                    let size = sample.size.or(traf.tfhd.default_sample_size).unwrap() as usize;
                    let data = file.slice(at..at + size);
                    let time = |units| MediaTime::from_millis(10_000) + MediaTime::from_units(units, timescale);
                    let pts = time(dts + sample.cts.unwrap_or(0));
                    let sync = media::hevc::is_idr(&data, config.nal_length_size);
                    out.push(AccessUnit {
                        config: Config::Video(Arc::clone(&config)),
                        dts: time(dts),
                        pts,
                        sync,
                        data,
                    });
                    at += size;
                    dts += i64::from(sample.duration.or(traf.tfhd.default_sample_duration).unwrap());
                }
            }
            _ => {}
        }
    }
    out
}

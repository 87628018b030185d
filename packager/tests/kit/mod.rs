//! What the packager's tests share: clips made with ffmpeg, and a judge of playlists.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own share")]

pub mod source;
pub mod stage;

pub use source::{Clock, clip, facts, folder, plan, read_flv, run};

use bytes::Bytes;
use media::{AccessUnit, Config, FrameRate, MediaTime, Rung};
use packager::{Packager, Rendition, Window};
use std::path::Path;
use std::sync::Arc;

/// A rung of the test's making.
pub fn rung(name: &str, frame_rate: FrameRate) -> Rung {
    Rung { name: name.into(), width: 160, height: 90, frame_rate, bitrate_bps: 500_000 }
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

/// Packages a clip in passthrough as fast as possible, judging every playlist on the way.
pub fn package(units: &[AccessUnit], rate: FrameRate) -> Arc<Window> {
    let (mut packager, window) = Packager::new(plan(facts(units, rate)));
    let mut clock = Clock::new();
    for unit in units {
        packager.source(unit, clock.at(unit.dts));
        for rendition in window.renditions() {
            let playlist = rendition.playlist().borrow().clone();
            judge(playlist.full.text());
        }
    }
    packager.finish();
    window
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

/// ffmpeg decodes the file and has nothing to say about it.
pub fn decodes_without_complaint(file: &Path) {
    let out = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-i", file.to_str().unwrap(), "-f", "null", "-"])
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
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

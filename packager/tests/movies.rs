//! Recordings of real clips laid out as MP4 files, judged by ffmpeg and ffprobe.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use bytes::Bytes;
use kit::*;
use media::{AccessUnit, FrameRate, MediaTime, Track};
use packager::{Movie, MovieSlice, MovieTrack, Window};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

const TITLE: &str = "Grüße, \"Weir\"";

/// The chunks of some renditions as an archive keeps them.
struct Archive {
    tracks: Vec<MovieTrack>,
    payloads: Vec<Vec<Bytes>>,
}

impl Archive {
    /// All parts of the segments that are to be `kept`, by rendition and number.
    fn of(window: &Window, renditions: &[&str], kept: impl Fn(&str, u64) -> bool) -> Self {
        let (mut tracks, mut payloads) = (Vec::new(), Vec::new());
        for id in renditions {
            let rendition = window.rendition(id).unwrap();
            let mut track = MovieTrack::new(&rendition.init(0).unwrap()).unwrap();
            let last = rendition.playlist().borrow().last_segment.unwrap();
            let segments = (0..=last).filter(|msn| kept(id, *msn)).filter_map(|msn| rendition.segment(msn));
            let parts: Vec<Bytes> = segments.flat_map(|s| s.parts.to_vec()).map(|p| p.data).collect();
            let payloads_of = parts.iter().filter(|data| !data.is_empty()).map(|data| {
                let moof = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
                let payload = data.slice(moof + 8..);
                track.push(&data[..moof], payload.len() as u64).unwrap();
                payload
            });
            payloads.push(payloads_of.collect());
            tracks.push(track);
        }
        Self { tracks, payloads }
    }

    /// Writes the file as a client gets it that asks for all of it.
    fn write(&self, path: &Path) {
        let movie = Movie::new(self.tracks.clone(), TITLE, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        let mut out = Vec::new();
        for slice in movie.slices(0..movie.size_bytes()) {
            match slice {
                MovieSlice::Bytes(bytes) => out.extend(bytes),
                MovieSlice::Payload { track, fragment, range } => {
                    out.extend(&self.payloads[track][fragment][range.start as usize..range.end as usize]);
                }
            }
        }
        assert_eq!(out.len() as u64, movie.size_bytes());
        std::fs::write(path, out).unwrap();
    }
}

/// What ffprobe says, one line for each stream, packet or format.
fn probe(path: &Path, args: &[&str]) -> Vec<String> {
    let (always, path) = (["-v", "error", "-of", "csv=p=0"], path.to_str().unwrap());
    let text = run("ffprobe", &[&always[..], args, &[path]].concat());
    text.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

fn number(path: &Path, stream: &str, entry: &str) -> f64 {
    let entry = format!("stream={entry}");
    let lines = probe(path, &["-count_frames", "-select_streams", stream, "-show_entries", &entry]);
    lines[0].parse().unwrap_or_else(|_| panic!("{lines:?}"))
}

/// Presentation times of a stream's packets in seconds, in order.
fn times(path: &Path, stream: &str) -> Vec<f64> {
    let lines = probe(path, &["-select_streams", stream, "-show_entries", "packet=pts_time"]);
    let mut times: Vec<f64> = lines.iter().map(|line| line.parse().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The first picture ffmpeg decodes when it is told to begin at a time.
fn picture_at(path: &Path, seconds: f64) -> String {
    let (seconds, path) = (seconds.to_string(), path.to_str().unwrap());
    let from = ["-v", "error", "-ss", &seconds, "-i", path, "-map", "0:v", "-frames:v", "1"];
    let text = run("ffmpeg", &[&from[..], &["-fps_mode", "passthrough", "-f", "framemd5", "-"]].concat());
    let line = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
    line.rsplit(',').next().unwrap().trim().to_owned()
}

/// Makes a clip of 12 s and packages it.
fn packaged(name: &str, rate: &str, frame_rate: FrameRate, x264: &str, audio_rate: Option<u32>) -> Packaged {
    let folder = folder(name);
    let source = folder.join("source.flv");
    clip(&source, 12, rate, x264, audio_rate);
    let units = read_flv(&source);
    let window = package(&units, frame_rate);
    Packaged { folder, source, units, window }
}

struct Packaged {
    folder: PathBuf,
    source: PathBuf,
    units: Vec<AccessUnit>,
    window: std::sync::Arc<Window>,
}

impl Packaged {
    fn times(&self, track: Track) -> Vec<MediaTime> {
        let mut times: Vec<_> = self.units.iter().filter(|u| u.track() == track).map(|u| u.pts).collect();
        times.sort();
        times
    }
}

/// Lays out a whole clip and has other programs look at the file.
fn check(name: &str, rate: &str, num: u32, den: u32, x264: &str, audio_rate: u32) {
    let clip = packaged(name, rate, FrameRate { num, den }, x264, Some(audio_rate));
    let file = clip.folder.join("movie.mp4");
    Archive::of(&clip.window, &["source", "audio"], |_, _| true).write(&file);
    decodes_without_complaint(&file);
    let hashes = picture_hashes(&file);
    assert_eq!(hashes, picture_hashes(&clip.source), "the pictures decode to what the source shows");
    let (pictures, sounds) = (clip.times(Track::Video), clip.times(Track::Audio));
    let sounds: Vec<_> = sounds.into_iter().filter(|at| *at >= pictures[0]).collect();
    assert_eq!(number(&file, "v", "nb_read_frames"), pictures.len() as f64);
    assert_eq!(number(&file, "a", "nb_read_frames"), sounds.len() as f64);

    let (v, a) = (number(&file, "v", "start_time"), number(&file, "a", "start_time"));
    assert!(v.min(a) == 0.0, "the file begins with picture or sound: {v} {a}");
    assert!((a - v - (sounds[0] - pictures[0]).as_secs_f64()).abs() < 0.001, "sound begins {a}, picture {v}");
    let frame = f64::from(den) / f64::from(num);
    let shown = (pictures[pictures.len() - 1] - pictures[0]).as_secs_f64() + frame;
    assert!((number(&file, "v", "duration") - shown).abs() <= frame, "of {shown} s");
    let length: f64 = probe(&file, &["-show_entries", "format=duration"])[0].parse().unwrap();
    let end = (*sounds.last().unwrap().max(pictures.last().unwrap()) - pictures[0]).as_secs_f64();
    assert!((length - end).abs() <= 2.0 * frame, "{length} of {end} s");
    let expected: Vec<f64> = pictures.iter().map(|at| v + (*at - pictures[0]).as_secs_f64()).collect();
    let rate = probe(&file, &["-select_streams", "v", "-show_entries", "stream=r_frame_rate"]);
    assert_eq!(rate, [format!("{num}/{den}")], "editors see the frame rate of the source");
    let exact = times(&file, "v").iter().zip(&expected).all(|(got, wanted)| (got - wanted).abs() < 2e-6);
    assert!(exact, "presentation times are the source's");

    for index in [0, 1, 59, 60, 61, 150, hashes.len() - 1] {
        let before = (expected[index] - frame / 2.0).max(0.0);
        assert_eq!(picture_at(&file, before), hashes[index], "sought picture {index}");
    }
    let tags = probe(&file, &["-show_entries", "format_tags=title"]);
    assert_eq!(tags[0].replace("\"\"", "\"").trim_matches('"'), TITLE.trim_matches('"'));
    let created = probe(&file, &["-show_entries", "format_tags=creation_time"]);
    assert_eq!(created, ["2023-11-14T22:13:20.000000Z"]);
}

#[test]
fn b_frames_with_sound_are_a_whole_file() {
    check("movie-b30", "30", 30, 1, "keyint=60:bframes=2", 48_000);
}

#[test]
fn a_b_pyramid_with_44100_hz_is_a_whole_file() {
    check("movie-b25", "25", 25, 1, "keyint=50:bframes=3:b-pyramid=normal", 44_100);
}

#[test]
fn ntsc_at_60_pictures_a_second_is_a_whole_file() {
    check("movie-ntsc", "60000/1001", 60_000, 1001, "keyint=120:bframes=0", 48_000);
}

#[test]
fn missing_segments_are_a_still_picture_and_silence() {
    let clip =
        packaged("movie-gap", "30", FrameRate { num: 30, den: 1 }, "keyint=60:bframes=2:scenecut=0", Some(48_000));
    let (whole, holed) = (clip.folder.join("whole.mp4"), clip.folder.join("holed.mp4"));
    Archive::of(&clip.window, &["source", "audio"], |_, _| true).write(&whole);
    Archive::of(&clip.window, &["source", "audio"], |_, msn| !(2..4).contains(&msn)).write(&holed);
    decodes_without_complaint(&holed);
    let (all, left) = (picture_hashes(&whole), picture_hashes(&holed));
    assert_eq!(left, [&all[..120], &all[240..]].concat(), "two segments of two seconds are missing");
    let (all, left) = (times(&whole, "v"), times(&holed, "v"));
    assert_eq!(left, [&all[..120], &all[240..]].concat(), "pictures keep their times");
    let (all, left) = (times(&whole, "a"), times(&holed, "a"));
    assert_eq!(left.len(), all.len(), "as many frames of sound");
    let off = all.iter().zip(&left).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off <= 0.0107, "sound is at most half a frame from its place: {off} s");
    assert_eq!(number(&whole, "v", "duration"), number(&holed, "v", "duration"));
}

#[test]
fn hevc_alone_is_a_whole_file() {
    let folder = folder("movie-hevc");
    let source = folder.join("source.mp4");
    let x265 = "keyint=60:min-keyint=60:scenecut=0:open-gop=0:bframes=3:log-level=error";
    let input = ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-t", "8"];
    let output = ["-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", x265];
    let flags = ["-tag:v", "hvc1", "-movflags", "frag_keyframe+empty_moov+default_base_moof", source.to_str().unwrap()];
    run("ffmpeg", &[&input[..], &output[..], &flags[..]].concat());
    let window = package(&read_fragmented_hevc(&source), FrameRate { num: 30, den: 1 });
    let file = folder.join("movie.mp4");
    Archive::of(&window, &["source"], |_, _| true).write(&file);
    decodes_without_complaint(&file);
    let hashes = picture_hashes(&file);
    assert_eq!(hashes, picture_hashes(&source));
    assert_eq!(picture_at(&file, 4.0 - 0.01), hashes[120]);
    assert_eq!(probe(&file, &["-show_entries", "stream=codec_tag_string"]), ["hvc1"]);
    assert_eq!(number(&file, "v", "duration"), 8.0);
}

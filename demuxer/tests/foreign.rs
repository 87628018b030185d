//! What ffmpeg writes and ffprobe finds, against what we find: sizes, places, times and key frames of every sample.

use demuxer::{Contents, Error, Index};
use media::MediaTime;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program and gives what it prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A film of three seconds with B-frames and sound that begins with priming, written with these options.
fn film(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let words = "-v error -y -f lavfi -i testsrc2=size=128x96:rate=25:duration=3 -f lavfi -i sine=sample_rate=44100:duration=3 \
        -c:v libx264 -g 25 -bf 3 -c:a aac";
    let to = path.display().to_string();
    let words: Vec<&str> = words.split_whitespace().chain(options.iter().copied()).chain([to.as_str()]).collect();
    run("ffmpeg", &words);
    path
}

fn open(path: &Path) -> Result<Contents, Error> {
    demuxer::open(std::fs::read(path).expect("the file").as_slice())
}

/// Place, size, presentation time in microseconds and key flag of each packet of a track.
fn packets(path: &Path, track: &str) -> Vec<(u64, u32, i64, bool)> {
    let path = path.display().to_string();
    let entries = "packet=pos,size,pts_time,flags";
    let text =
        run("ffprobe", &["-v", "error", "-select_streams", track, "-show_entries", entries, "-of", "csv=p=0", &path]);
    let number = |text: &str| text.parse::<f64>().expect("a time");
    // What is beside a packet is an empty line.
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            let fields: Vec<&str> = line.trim_end_matches(',').split(',').collect();
            let micros = (number(fields[0]) * 1e6).round() as i64;
            (
                fields[2].parse().expect("a place"),
                fields[1].parse().expect("a size"),
                micros,
                fields[3].starts_with('K'),
            )
        })
        .collect()
}

fn found(index: &Option<Index>) -> Vec<(u64, u32, i64, bool)> {
    let samples = &index.as_ref().expect("the track").samples;
    samples.iter().map(|s| (s.at, s.bytes, (s.pts.as_secs_f64() * 1e6).round() as i64, s.sync)).collect()
}

#[track_caller]
fn check(path: &Path) {
    let contents = open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (track, index) in [("v", &contents.pictures), ("a", &contents.sound)] {
        let (theirs, ours) = (packets(path, track), found(index));
        assert_eq!(ours.len(), theirs.len(), "{} {track}", path.display());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!((ours.0, ours.1, ours.3), (theirs.0, theirs.1, theirs.3));
            assert!((ours.2 - theirs.2).abs() < 50, "{} {track}: {ours:?} {theirs:?}", path.display());
        }
    }
}

#[test]
fn every_sample_of_a_file_is_where_ffprobe_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("end.mp4", &[][..]),
        ("front.mp4", &["-movflags", "+faststart"]),
        ("quicktime.mov", &[]),
        ("no_edit_list.mp4", &["-use_editlist", "0"]),
        ("late_sound.mp4", &["-af", "asetpts=PTS+0.5/TB"]),
    ] {
        check(&film(folder.path(), name, options));
    }
}

#[test]
fn what_a_lossless_trim_hides_is_left_out_but_for_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let long = film(folder.path(), "long.mp4", &["-vf", "tpad=stop_duration=3", "-an"]);
    let trimmed = folder.path().join("trimmed.mp4");
    let (from, to) = (long.display().to_string(), trimmed.display().to_string());
    // All of the media, and an edit list that begins at 2.5 s of it: players begin there, demuxers at the key frame before.
    let words = ["-v", "error", "-i", &from, "-c", "copy", "-output_ts_offset", "-2.5"];
    run("ffmpeg", &[&words[..], &["-avoid_negative_ts", "disabled", &to]].concat());
    let (theirs, ours) = (packets(&trimmed, "v:0"), found(&open(&trimmed).unwrap().pictures));
    assert_eq!(ours.len(), theirs.len());
    assert_eq!((ours[0].0, ours[0].1), (theirs[0].0, theirs[0].1), "the same first key frame");
    let hidden = ours.iter().filter(|picture| picture.2 < 0).count();
    assert!((1..25).contains(&hidden), "{hidden} pictures before zero, with a key frame every second");
}

#[test]
fn fragments_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in [
        ("obs.mp4", "frag_keyframe+empty_moov"),
        ("cmaf.mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("first_in_moov.mp4", "frag_keyframe"),
    ] {
        check(&film(folder.path(), name, &["-movflags", flags]));
    }
}

#[test]
fn one_of_the_two_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let silent = open(&film(folder.path(), "silent.mp4", &["-an"])).unwrap();
    assert!(silent.pictures.is_some() && silent.sound.is_none());
    let heard = open(&film(folder.path(), "sound.m4a", &["-vn"])).unwrap();
    assert!(heard.pictures.is_none() && heard.sound.is_some());
    let end = heard.sound.unwrap().end;
    assert!((end - MediaTime::from_millis(3_000)).abs() < MediaTime::from_millis(25), "{end:?}");
}

#[test]
fn what_is_not_taken_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, options: &[&str]| open(&film(folder.path(), name, options)).unwrap_err();
    let pcm = refused("pcm.mov", &["-c:a", "pcm_s16le"]);
    assert!(matches!(&pcm, Error::Sound { codec } if codec == "PCM"), "{pcm}");
    let old = refused("old.mp4", &["-c:v", "mpeg4"]);
    assert!(matches!(&old, Error::Pictures { codec } if codec == "MPEG-4 Part 2"), "{old}");
    let full = refused("full.mp4", &["-pix_fmt", "yuv444p"]);
    assert!(matches!(full, Error::Format { what: "not 4:2:0" }), "{full}");
    let text = demuxer::open(b"Dear diary, today I filmed nothing.".as_slice()).unwrap_err();
    assert!(matches!(text, Error::NotMp4), "{text}");
}

/// The same film whose fragments all claim the whole file.
fn multiplied(mut film: Vec<u8>) -> Vec<u8> {
    let whole = film.len() as u32;
    let word = |film: &[u8], at: usize| u32::from_be_bytes(film[at..at + 4].try_into().expect("a word"));
    let mut moof_at = 0;
    for at in 4..film.len() - 4 {
        if &film[at..at + 4] == b"moof" {
            moof_at = at as u32 - 4;
        }
        // A run with the place and the sizes of its samples.
        if &film[at..at + 4] != b"trun" || word(&film, at + 4) & 0x201 != 0x201 {
            continue;
        }
        let (flags, count) = (word(&film, at + 4), word(&film, at + 8) as usize);
        let (before, each) = ((flags & 0x100 != 0) as usize * 4, (flags & 0xf00).count_ones() as usize * 4);
        let first = at + if flags & 4 != 0 { 20 } else { 16 } + before;
        let sizes: u32 = (0..count).map(|number| word(&film, first + number * each)).sum();
        let larger = word(&film, first) + (whole - sizes);
        film[at + 12..at + 16].copy_from_slice(&moof_at.wrapping_neg().to_be_bytes());
        film[first..first + 4].copy_from_slice(&larger.to_be_bytes());
    }
    film
}

#[test]
fn a_file_that_lists_the_same_bytes_many_times_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["-an", "-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let film = std::fs::read(film(folder.path(), "small.mp4", &options)).unwrap();
    assert!(demuxer::open(film.as_slice()).is_ok());
    let refused = demuxer::open(multiplied(film).as_slice()).unwrap_err();
    assert!(matches!(refused, Error::Damaged { what: "its index lists the same bytes many times" }), "{refused}");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("end.mp4", &[][..]), ("front.mp4", &["-movflags", "+faststart"])] {
        let bytes = std::fs::read(film(folder.path(), name, options)).unwrap();
        for length in (1..bytes.len()).step_by(997) {
            assert!(demuxer::open(&bytes[..length]).is_err(), "{name} cut to {length} bytes");
        }
    }
}

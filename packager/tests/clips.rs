//! Real encoded clips through the packager, judged by ffmpeg and ffprobe.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use kit::*;
use media::FrameRate;
use packager::Index;
use std::path::Path;

/// Packages a clip and has other programs look at what came out.
fn check(name: &str, rate: &str, num: u32, den: u32, x264: &str, audio_rate: Option<u32>) {
    let folder = folder(name);
    let source = folder.join("source.flv");
    clip(&source, 12, rate, x264, audio_rate);
    let units = read_flv(&source);
    let window = package(&units, FrameRate { num, den });
    let video = window.rendition("source").unwrap();
    let file = folder.join("video.mp4");
    write_file(&video, &file, false);
    assert_eq!(picture_hashes(&file), picture_hashes(&source), "the pictures decode to what the source shows");
    times_are_exact(&units, &file);
    decodes_without_complaint(&file);
    let ts = folder.join("video.ts");
    write_file(&video, &ts, true);
    decodes_without_complaint(&ts);
    assert_eq!(picture_hashes(&ts), picture_hashes(&source), "MPEG-TS holds the same pictures");
    if let Some(audio_rate) = audio_rate {
        let audio = window.rendition("audio").unwrap();
        let file = folder.join("audio.mp4");
        write_file(&audio, &file, false);
        decodes_without_complaint(&file);
        let first = units.iter().find(|u| u.video().is_some()).unwrap().pts;
        let frames = units.iter().filter(|u| u.audio().is_some() && u.pts >= first).count();
        let text = run(
            "ffprobe",
            &["-v", "error", "-show_entries", "packet=pts,duration", "-of", "csv=p=0", file.to_str().unwrap()],
        );
        let stamps: Vec<i64> = text.lines().map(|l| l.split(',').next().unwrap().parse().unwrap()).collect();
        assert_eq!(stamps.len(), frames, "no frame is lost or doubled");
        assert!(stamps.windows(2).all(|w| w[1] - w[0] == 1024), "decode times are the sample count at {audio_rate} Hz");
        let same = video.playlist().borrow().clone().last_segment == audio.playlist().borrow().clone().last_segment;
        assert!(same, "both renditions have the same segments");
    }
    let index = window.index(Index::H264).borrow().clone().unwrap();
    let text = std::str::from_utf8(index.text()).unwrap();
    assert!(m3u8_rs::parse_master_playlist_res(text.as_bytes()).is_ok(), "{text}");
}

/// Presentation times are the source's to the tick, and decode times go up without a hole.
fn times_are_exact(units: &[media::AccessUnit], file: &Path) {
    let text = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "packet=pts,dts",
            "-of",
            "csv=p=0",
            file.to_str().unwrap(),
        ],
    );
    let packets: Vec<Vec<i64>> = text.lines().map(|l| l.split(',').filter_map(|v| v.parse().ok()).collect()).collect();
    let wanted: Vec<i64> = units.iter().filter(|u| u.video().is_some()).map(|u| u.pts.ticks()).collect();
    let got: Vec<i64> = packets.iter().map(|p| p[0]).collect();
    assert_eq!(got, wanted);
    assert!(packets.iter().all(|p| p[1] <= p[0]), "no picture is decoded after it is shown");
    let runs = decode_runs(&std::fs::read(file).unwrap());
    assert!(runs.windows(2).all(|w| w[0].1 == w[1].0), "decode times go on where the part before ends: {runs:?}");
}

#[test]
fn b_frames_at_30_fps_survive_unchanged() {
    check("b30", "30", 30, 1, "keyint=60:bframes=2", Some(48_000));
}

#[test]
fn b_pyramid_at_25_fps_with_44100_hz_survives_unchanged() {
    check("b25", "25", 25, 1, "keyint=50:bframes=3:b-pyramid=normal", Some(44_100));
}

#[test]
fn ntsc_film_rate_without_b_frames_survives_unchanged() {
    check("ntsc", "24000/1001", 24_000, 1001, "keyint=48:bframes=0", Some(48_000));
}

#[test]
fn irregular_key_frames_without_audio_survive_unchanged() {
    check("cuts", "30", 30, 1, "keyint=47:min-keyint=20:bframes=2", None);
}

#[test]
fn hevc_with_b_frames_survives_unchanged() {
    let folder = folder("hevc");
    let source = folder.join("source.mp4");
    let x265 = "keyint=60:min-keyint=60:scenecut=0:open-gop=0:bframes=3:log-level=error";
    let path = source.to_str().unwrap();
    let input =
        ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-t", "8", "-pix_fmt", "yuv420p"];
    let output = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", x265, "-tag:v", "hvc1"];
    let flags = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", path];
    run("ffmpeg", &[&input[..], &output[..], &flags[..]].concat());
    let units = read_fragmented_hevc(&source);
    let window = package(&units, FrameRate { num: 30, den: 1 });
    let video = window.rendition("source").unwrap();
    let file = folder.join("video.mp4");
    write_file(&video, &file, false);
    assert_eq!(picture_hashes(&file), picture_hashes(&source));
    times_are_exact(&units, &file);
    decodes_without_complaint(&file);
    assert!(window.index(Index::Hevc).borrow().is_some() && window.index(Index::H264).borrow().is_none());
}

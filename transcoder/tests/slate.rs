//! Slates made by a real worker, looked at with ffmpeg's eyes.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use bytes::Bytes;
use kit::{ORIGIN, annex_b, clip, ffmpeg, worker};
use media::{AccessUnit, Config, FrameRate, MediaTime, Track, VideoConfig, aac};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use transcoder::slate::{Frame, Group, Reel, Shown, SlateError, Slates, Start};

const RATE: FrameRate = FrameRate { num: 30, den: 1 };

fn frame(video: &Arc<VideoConfig>) -> Frame {
    Frame { video: Arc::clone(video), rate: RATE, bitrate_bps: 1_500_000 }
}

/// Writes units as an elementary stream with start codes, and gives the grey picture of each, at most 64 by 36.
fn decoded(name: &str, units: &[AccessUnit]) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.h264", std::process::id()));
    std::fs::write(&file, annex_b(units)).expect("a folder of ours");
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(&file)
        .args(["-vf", "scale=64:36:flags=area,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg is installed");
    std::fs::remove_file(file).expect("our own file");
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout.chunks_exact(64 * 36).map(<[u8]>::to_vec).collect()
}

fn difference(a: &[u8], b: &[u8]) -> u32 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    sum / a.len() as u32
}

fn pictures(name: &str, arguments: &str) -> Vec<AccessUnit> {
    let units = clip(name, arguments);
    units.into_iter().filter(|unit| unit.track() == Track::Video).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_picture_of_a_source_stands_still_as_long_as_it_is_wanted() {
    // The picture changes all the time, with B-frames, so that the last one shown is not the last one coded.
    let units = pictures(
        "slate",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=1.7 -vf scroll=h=0.013 -c:v libx264 -preset veryfast -g 60 -bf 2 -pix_fmt yuv420p",
    );
    let mut group = Group::default();
    units.iter().for_each(|unit| group.push(unit));
    let video = Arc::clone(units[0].video().expect("pictures"));
    let slates = Slates::with_exe(worker(), 2);
    let begun = Instant::now();
    let clip = slates.make(&frame(&video), Shown::Last(group)).await.expect("a slate");
    println!("made in {:?}, {} bytes a round", begun.elapsed(), clip.len());
    assert!(clip.len() < 400_000, "{} bytes for two seconds", clip.len());

    let mut reel = Reel::new(Some(clip), Start { at: ORIGIN, clock: (begun, ORIGIN), now: begun });
    let shown: Vec<AccessUnit> = (0..150).map(|_| reel.pop(begun).expect("a picture")).collect();
    assert_eq!(shown.iter().filter(|unit| unit.sync).count(), 3, "rounds of two seconds");
    let source = decoded("source", &units);
    let slate = decoded("slate", &shown);
    assert_eq!((source.len(), slate.len()), (51, 150));
    let last = source.last().expect("pictures");
    assert!(difference(last, &source[49]) > 3, "the source moves: {}", difference(last, &source[49]));
    for picture in &slate {
        assert!(difference(last, picture) <= 1, "{}", difference(last, picture));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_shape_stands_between_bars() {
    let units = pictures("frame", "-f lavfi -i testsrc2=s=640x360:r=30:d=0.2 -c:v libx264 -pix_fmt yuv420p");
    let video = Arc::clone(units[0].video().expect("pictures"));
    let slates = Slates::with_exe(worker(), 2);
    for (kind, size) in [("png", "800x800"), ("jpg", "801x799")] {
        let file = ffmpeg(&format!("still.{kind}"), &format!("-f lavfi -i color=white:s={size} -frames:v 1"));
        let image = Bytes::from(std::fs::read(&file).expect("an image"));
        std::fs::remove_file(file).expect("our own file");
        let jpeg = slates.raster(image).await.expect("it can be decoded");
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.len() < 1 << 20);
        let still = media::still::read(&jpeg).expect("a JPEG");
        assert_eq!(still.width, 800, "{kind}: whole and even");
        let clip = slates.make(&frame(&video), Shown::Image(jpeg)).await.expect("a slate");
        let begun = Instant::now();
        let mut reel = Reel::new(Some(clip), Start { at: ORIGIN, clock: (begun, ORIGIN), now: begun });
        let shown: Vec<AccessUnit> = (0..60).map(|_| reel.pop(begun).expect("a picture")).collect();
        let picture = decoded(kind, &shown).pop().expect("pictures");
        let (middle, edge) = (picture[18 * 64 + 32], picture[18 * 64 + 2]);
        assert!(middle > 245 && edge < 10, "{kind}: white between black bars: {middle} and {edge}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_shown_is_an_error_with_words() {
    let units = pictures("bad", "-f lavfi -i testsrc2=s=640x360:r=30:d=0.2 -c:v libx264 -pix_fmt yuv420p");
    let video = Arc::clone(units[0].video().expect("pictures"));
    let slates = Slates::with_exe(worker(), 2);
    let none = slates.make(&frame(&video), Shown::Last(Group::default())).await;
    assert!(matches!(&none, Err(SlateError::Unable(why)) if why.contains("no picture")), "{none:?}");
    let torn = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\0\0\0\x02\0".as_slice(), &[7; 300]].concat();
    let torn = slates.raster(Bytes::from(torn)).await;
    assert!(matches!(&torn, Err(SlateError::Unable(_))), "{torn:?}");
    let absent = Slates::with_exe("/nowhere/weir".into(), 2).raster(Bytes::from_static(b"x")).await;
    assert!(matches!(&absent, Err(SlateError::Worker(_))), "{absent:?}");
    let mute = Slates::with_exe("/bin/false".into(), 2).raster(Bytes::from_static(b"x")).await;
    assert!(matches!(&mute, Err(SlateError::Worker(_))), "{mute:?}");
}

#[test]
fn silence_is_a_source_of_units_too() {
    let config = Arc::new(aac::parse_config(&Bytes::from_static(&[0x11, 0x90])).expect("a configuration"));
    let begun = Instant::now();
    let mut reel = Reel::new(None, Start { at: ORIGIN, clock: (begun, ORIGIN), now: begun });
    reel.fall_silent(&config, ORIGIN);
    let frames: Vec<AccessUnit> = (0..47).map(|_| reel.pop(begun).expect("a frame")).collect();
    assert!(frames.iter().all(|unit| matches!(unit.config, Config::Audio(_)) && unit.sync));
    assert_eq!(frames[46].pts - frames[0].pts, MediaTime::from_units(46 * 1024, 48_000));
}

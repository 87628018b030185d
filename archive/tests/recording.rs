//! Sessions recorded as the roof records them, and what is left of them when the server is killed, the disk is full, or another
//! program looks.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;
#[path = "../../packager/tests/kit/source.rs"]
#[allow(dead_code, reason = "each test binary uses its own share")]
mod source;

use archive::{Archive, Kind, Pause, SessionName, Settings, State, Timeline};
use kit::{Stage, copy_folder, read_playlist, read_range, served};
use media::FrameRate;
use packager::{Packager, Window};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn settings() -> Settings {
    Settings { reserve_bytes: 0, ..Settings::default() }
}

fn session() -> SessionName {
    SessionName::new("show", "18c-1").unwrap()
}

/// Waits until something is so; fails with its name after ten seconds.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// All that is found of a rendition is what was served, without a hole. Gives the bytes found.
fn found(timeline: &Timeline, window: &Window, rendition: &str) -> u64 {
    let mut bytes = 0;
    for msn in timeline.span() {
        let Some(place) = timeline.place(rendition, msn) else { continue };
        let read = read_range(&place.path, &place.range);
        bytes += read.len() as u64;
        if let Some(served) = served(window, rendition, msn) {
            assert!(served.starts_with(&read), "{rendition} {msn}");
            let is_last = timeline.segment(rendition, msn + 1).is_none();
            assert!(is_last || served.len() == read.len(), "{rendition} {msn} is not whole");
        }
    }
    bytes
}

/// Copies a reel's folder as a kill leaves it: every record's media is there, since it is written first.
fn killed(from: &Path, to: &Path, cut: impl Fn(u64) -> u64) -> u64 {
    let mut kept = 0;
    for reel in fs::read_dir(from.join("show/18c-1")).unwrap().flatten() {
        let copy = to.join("show/18c-1").join(reel.file_name());
        fs::create_dir_all(&copy).unwrap();
        fs::copy(reel.path().join("journal"), copy.join("journal")).unwrap();
        for file in ["source.m4s", "audio.m4s"] {
            fs::copy(reel.path().join(file), copy.join(file)).unwrap();
        }
        let journal = File::options().write(true).open(copy.join("journal")).unwrap();
        let length = journal.metadata().unwrap().len();
        kept = cut(length);
        journal.set_len(kept).unwrap();
    }
    kept
}

/// Bytes of media that a journal lists, read without the archive: of each whole record of a part, its length.
fn listed(journal: &[u8], kept: usize) -> u64 {
    let number = |at: usize| u64::from(u32::from_le_bytes(journal[at..at + 4].try_into().unwrap()));
    let (mut at, mut bytes) = (8, 0);
    while at + 8 <= kept && at + 8 + number(at) as usize <= kept {
        if journal[at + 8] == 5 {
            bytes += number(at + 8 + 1 + 1 + 4 + 4);
        }
        at += 8 + number(at) as usize;
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_byte_keeps_every_part_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&folder.path().join("a"), settings()).unwrap();
    let mut stage = Stage::new(|_| {});
    let recorder = archive.recorder("show", stage.window.clone()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(recorder.run(stop.clone()));
    let mut random = 7_u64;
    for round in 0..150 {
        let before = archive.usage().bytes;
        stage.play_frames(6);
        if round % 3 > 0 {
            eventually("a part is written", || archive.usage().bytes > before).await;
        }
        let copy = folder.path().join(format!("copy-{round}"));
        if archive.usage().bytes == 0 {
            continue;
        }
        // Knuth's MMIX generator.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 32) as f64 / f64::from(u32::MAX);
        // Most of the time near the end, where a kill cuts.
        let cut = |length: u64| length - (length as f64 * share.powi(6)) as u64;
        let kept = killed(&folder.path().join("a"), &copy, cut);
        let journal = fs::read(copy.join("show/18c-1/7-0/journal")).unwrap();
        let again = Archive::open(&copy, settings()).unwrap();
        let timeline = again.timeline(&session());
        let bytes = timeline.map_or(0, |t| found(&t, &stage.window, "source") + found(&t, &stage.window, "audio"));
        assert_eq!(bytes, listed(&journal, kept as usize), "round {round}");
        fs::remove_dir_all(copy).unwrap();
    }
    stop.cancel();
    running.await.unwrap();
}

/// A small disk of its own, where the test may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(&path);
        mount.output().is_ok_and(|out| out.status.success()).then(|| Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_really_full_pauses_the_recording_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk")) else {
        eprintln!("no disk may be mounted here; the quota is tested instead, in the recorder's own tests");
        return;
    };
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let archive = Archive::open(&disk.0.join("a"), settings()).unwrap();
    let mut stage = Stage::new(|_| {});
    stage.picture_bytes = 4000;
    let recorder = archive.recorder("show", stage.window.clone()).unwrap();
    let (mut state, timeline) = (recorder.state(), recorder.timeline());
    let stop = CancellationToken::new();
    let running = tokio::spawn(recorder.run(stop.clone()));
    while *state.borrow() == State::Recording {
        let before = archive.usage().bytes;
        stage.play(1);
        eventually("a part is written or refused", || {
            archive.usage().bytes > before || *state.borrow() != State::Recording
        })
        .await;
    }
    assert_eq!(*state.borrow_and_update(), State::Paused(Pause::DiskFull));
    stage.play(3);
    fs::remove_file(filler).unwrap();
    let wait = state.wait_for(|state| *state == State::Recording);
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap();
    stage.play(1);
    let whole = 7 + stage.segments_whole() - 1;
    eventually("all that is served is recorded", || timeline.span().end >= whole).await;
    found(&timeline, &stage.window, "source");
    found(&timeline, &stage.window, "audio");
    let list = read_playlist(&timeline.media_playlist("source", timeline.span(), Kind::Vod).unwrap());
    assert_eq!(list.entries.len() as u64, timeline.span().end - 7, "nothing is missing");
    assert!(list.entries.iter().all(|entry| !entry.gap && !entry.discontinuity));
    stop.cancel();
    running.await.unwrap();
    drop(archive);
}

/// The init section and what was recorded behind it, as one file.
fn write_file(timeline: &Timeline, rendition: &str, path: &Path) {
    let mut out = Vec::new();
    for segment in timeline.segments(rendition, timeline.span()) {
        if out.is_empty() {
            out.extend(timeline.init(rendition, segment.init().unwrap()).unwrap().data);
        }
        let place = timeline.place(rendition, segment.msn).unwrap();
        out.extend(read_range(&place.path, &place.range));
    }
    fs::write(path, out).unwrap();
}

/// How many pictures or frames ffmpeg decodes, which must not complain.
fn decoded(path: &Path) -> usize {
    let out = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-xerror",
            "-i",
            path.to_str().unwrap(),
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ])
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_recorded_plays_to_its_last_part() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.flv");
    source::clip(&clip, 12, "30", "keyint=60:bframes=2", Some(48_000));
    let units = source::read_flv(&clip);
    let mut plan = source::plan(source::facts(&units, FrameRate { num: 30, den: 1 }));
    plan.session = "18c-1".into();
    let (mut packager, window) = Packager::new(plan);
    let archive = Archive::open(&folder.path().join("a"), settings()).unwrap();
    let recorder = archive.recorder("show", Arc::clone(&window)).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(recorder.run(stop.clone()));
    let mut clock = source::Clock::new();
    // A second at a time, or the newest picture would be older than all of the sound in the journal.
    let ten_seconds = &units[..units.len() * 10 / 12];
    for second in ten_seconds.chunks(ten_seconds.len() / 10) {
        let before = archive.usage().bytes;
        second.iter().for_each(|unit| drop(packager.source(unit, clock.at(unit.dts))));
        eventually("another second is recorded", || archive.usage().bytes > before).await;
    }
    let timeline = archive.timeline(&session()).unwrap();
    eventually("four segments are recorded", || timeline.span().end >= 4).await;
    let copy = folder.path().join("copy");
    // In the middle of the last part.
    copy_folder(&folder.path().join("a"), &copy);
    let media = copy.join("show/18c-1/0-0/source.m4s");
    let length = fs::metadata(&media).unwrap().len();
    File::options().write(true).open(&media).unwrap().set_len(length - 100).unwrap();
    let again = Archive::open(&copy, settings()).unwrap();
    let left = again.timeline(&session()).unwrap();
    let video = folder.path().join("video.mp4");
    write_file(&left, "source", &video);
    let length = left.segments("source", left.span()).iter().map(|s| s.duration().as_secs_f64()).sum::<f64>();
    let pictures = decoded(&video) as f64;
    assert!((pictures - length * 30.0).abs() <= 3.0, "{pictures} pictures in {length} s");
    assert!(length > 8.5, "{length}");
    let audio = folder.path().join("audio.mp4");
    write_file(&left, "audio", &audio);
    assert!(decoded(&audio) > 300);
    stop.cancel();
    running.await.unwrap();
}

//! What a recording costs: the share of a core at 6 Mb/s, part by part, and playlists of 10,000 segments.
#![allow(clippy::unwrap_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/kit/mod.rs"]
mod kit;

use archive::{Archive, Kind, Settings, Timeline};
use kit::Stage;
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// 6 Mb/s at 30 pictures a second.
const PICTURE_BYTES: usize = 25_000;
/// Media played in the time a round takes, which is far less.
const SECONDS: i64 = 60;
const SEGMENTS: u64 = 10_000;

fn main() {
    // A process runs each way several times, as the first one pays for caches.
    let least = |with_recorder| (0..5).map(|_| processor_time(with_recorder)).min().unwrap();
    let (alone, recorded) = (least(false), least(true));
    let share = recorded.saturating_sub(alone).as_secs_f64() / SECONDS as f64;
    println!("recording 6 Mb/s: {:.2} % of a core ({recorded:?} with, {alone:?} without, for a minute)", share * 100.0);
    LazyLock::force(&LONG);
    divan::main();
}

/// What a minute takes of the processor: packaged, and recorded or not. Parts come a fifth of a second of media at a time, and the
/// recorder takes each by itself, as in real time.
fn processor_time(with_recorder: bool) -> Duration {
    let (folder, mut stage) = (tempfile::tempdir().unwrap(), Stage::new(|_| {}));
    stage.picture_bytes = PICTURE_BYTES;
    let archive = open(folder.path());
    let clock = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    runtime().block_on(async {
        let stop = CancellationToken::new();
        let recorder = with_recorder.then(|| archive.recorder("show", stage.window.clone()).unwrap());
        let begin = clock();
        let running = recorder.map(|recorder| tokio::spawn(recorder.run(stop.clone())));
        for _ in 0..SECONDS * 5 {
            stage.play_frames(6);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.cancel();
        if let Some(running) = running {
            running.await.unwrap();
        }
        clock() - begin
    })
}

fn open(folder: &std::path::Path) -> Archive {
    Archive::open(folder, Settings { reserve_bytes: 0, ..Settings::default() }).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Five and a half hours of a session.
static LONG: LazyLock<(Arc<Timeline>, Archive, tempfile::TempDir)> = LazyLock::new(|| {
    let (folder, mut stage) = (tempfile::tempdir().unwrap(), Stage::new(|_| {}));
    let archive = open(folder.path());
    let recorder = archive.recorder("show", stage.window.clone()).unwrap();
    let timeline = recorder.timeline();
    runtime().block_on(async {
        let stop = CancellationToken::new();
        let running = tokio::spawn(recorder.run(stop.clone()));
        while stage.segments_whole() <= SEGMENTS {
            stage.play(10);
            while timeline.span().end < 7 + stage.segments_whole() - 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        stop.cancel();
        running.await.unwrap();
    });
    archive.flush();
    assert!(timeline.segments("source", 0..u64::MAX).len() as u64 >= SEGMENTS);
    (timeline, archive, folder)
});

#[divan::bench(sample_count = 20, sample_size = 1)]
fn playlist_of_ten_thousand_segments() -> Option<String> {
    LONG.0.media_playlist("source", 0..7 + SEGMENTS, Kind::Vod)
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn multivariant_over_ten_thousand_segments() -> Option<String> {
    LONG.0.multivariant("", packager::Index::H264, 0..7 + SEGMENTS, |_| true)
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn start_with_five_hours_of_reels() -> Archive {
    open(LONG.2.path())
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn timeline_of_five_hours(bencher: divan::Bencher) {
    let session = LONG.0.session().clone();
    bencher.with_inputs(|| open(LONG.2.path())).bench_values(|archive| archive.timeline(&session));
}

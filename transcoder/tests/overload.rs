//! A worker that gets too little of the machine loses its largest rung; the others go on.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use kit::{ORIGIN, Session, annex_b, clip, decode, video_config};
use media::{FrameRate, MediaTime, Rung};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use transcoder::TranscoderConfig;

/// Lets a process run for a sixth of the time, as `cpulimit` does, until told to stop.
fn throttle(pid: u32, enough: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let pid = Pid::from_raw(pid as i32).expect("a process id");
    std::thread::spawn(move || {
        while !enough.load(Ordering::Relaxed) {
            let _gone = kill_process(pid, Signal::STOP);
            std::thread::sleep(Duration::from_millis(300));
            let _gone = kill_process(pid, Signal::CONT);
            std::thread::sleep(Duration::from_millis(60));
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_behind_loses_its_largest_rung_and_no_other() {
    let units = clip(
        "overload",
        "-f lavfi -i testsrc2=s=1280x720:r=30:d=16 -c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p",
    );
    let rung = |name: &str, width, height| Rung {
        name: name.to_owned(),
        width,
        height,
        frame_rate: FrameRate { num: 30, den: 1 },
        bitrate_bps: 1_000_000,
    };
    let config = TranscoderConfig {
        rungs: vec![rung("720p", 1280, 720), rung("90p", 160, 90)],
        video: video_config(&units),
        ..TranscoderConfig::new("test")
    };
    let mut session = Session::start(config);
    let (start, enough) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let mut limiter = None;
    for unit in &units {
        // In real time, as only a source that does not wait can leave a worker behind.
        let due = start + (unit.dts - ORIGIN).to_duration();
        tokio::time::sleep_until(due.into()).await;
        session.feed(unit);
        if limiter.is_none() && session.has_begun() {
            limiter = session.transcoder.worker_pid().map(|pid| throttle(pid, Arc::clone(&enough)));
        }
        if !session.shed().is_empty() {
            enough.store(true, Ordering::Relaxed);
        }
    }
    enough.store(true, Ordering::Relaxed);
    limiter.expect("a worker that gave something").join().expect("no panic");
    let played = session.finish().await;
    assert_eq!(played.shed, ["720p"], "one rung, the largest; restarts {:?}", played.restarts);
    assert!(played.restarts.is_empty(), "{:?}", played.restarts);
    let [large, small] = ["720p", "90p"].map(|name| &played.renditions[name]);
    let newest = |units: &[media::AccessUnit]| units.last().map_or(MediaTime::ZERO, |unit| unit.pts - ORIGIN);
    assert!(newest(large) < MediaTime::from_millis(13_000), "{:?}", newest(large));
    assert!(newest(small) > MediaTime::from_millis(15_500), "{:?}", newest(small));
    assert!(small.iter().filter(|u| u.sync).all(|u| played.boundaries.contains(&u.pts)), "on the plan");
    assert_eq!(decode("h264", &annex_b(small)), (small.len(), String::new()));
}

//! Workers that die, hang, or can't work: the session goes on, or says why not.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use kit::{Session, annex_b, clip, decode, video_config};
use media::{AccessUnit, FrameRate, MediaTime, Rung};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use transcoder::{Output, Transcoder, TranscoderConfig};

const THIRTY: FrameRate = FrameRate { num: 30, den: 1 };

fn config(units: &[AccessUnit]) -> TranscoderConfig {
    let rung = |name: &str, width, height| Rung {
        name: name.to_owned(),
        width,
        height,
        frame_rate: THIRTY,
        bitrate_bps: 300_000,
    };
    TranscoderConfig {
        rungs: vec![rung("180p", 320, 180), rung("90p", 160, 90)],
        video: video_config(units),
        ..TranscoderConfig::new("test")
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("a running worker");
}

/// Three workers of one session end so, one after the other.
async fn crash(name: &str, with: rustix::process::Signal) {
    let units = clip(
        name,
        "-f lavfi -i testsrc2=s=640x360:r=30:d=8 -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p",
    );
    let mut session = Session::start(config(&units));
    let (mut dead, mut given, mut away) = (Vec::new(), 0, Duration::ZERO);
    for until in [60, 120, 180] {
        session.give(&units[given..until]).await;
        let pid = session.transcoder.worker_pid().expect("a worker");
        let at = Instant::now();
        signal(pid, with);
        if with == rustix::process::Signal::SEGV {
            // Rust's own handler takes the first for a stack overflow that it was not, and leaves the next to the system; a
            // fault of its own would come again at once. Signals that wait are one, so it gets them until it is gone.
            let process = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
            while std::path::Path::new(&format!("/proc/{pid}")).exists() {
                let _gone = rustix::process::kill_process(process, with);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        session.give(&units[until..until + 1]).await;
        given = until + 1;
        dead.push(pid);
        while session.played.restarts.len() < dead.len() {
            session.wait().await;
        }
        let seen = session.played.renditions["90p"].len();
        while session.played.renditions["90p"].len() == seen {
            session.wait().await;
        }
        away = away.max(at.elapsed());
    }
    session.give(&units[given..]).await;
    let played = session.finish().await;
    assert_eq!(played.restarts.len(), 3);
    for (name, units) in &played.renditions {
        let mut pts: Vec<MediaTime> = units.iter().map(|u| u.pts).collect();
        pts.sort_unstable();
        pts.dedup();
        assert_eq!(pts.len(), units.len(), "no picture of {name} twice");
        // B-frames whose reference was published but that died with the worker are not made again.
        assert!((231..=240).contains(&units.len()), "{} pictures of {name}", units.len());
        let off_plan = units.iter().filter(|u| u.sync && !played.boundaries.contains(&u.pts)).count();
        assert!(off_plan <= 3, "one keyframe where each new worker went on");
        assert!(units.windows(2).all(|w| w[0].dts < w[1].dts), "dts of {name}");
        let configs: std::collections::HashSet<_> =
            units.iter().filter_map(|u| u.video()).map(std::sync::Arc::as_ptr).collect();
        assert_eq!(configs.len(), 1, "equal parameter sets stay one configuration");
        assert_eq!(decode("h264", &annex_b(units)), (units.len(), String::new()), "ffmpeg on {name}");
    }
    println!("back after {away:?}");
    assert!(away < Duration::from_secs(10), "{away:?}");
    for pid in dead {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the dead worker was reaped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_replaced_at_the_frontier() {
    crash("killed", rustix::process::Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_faults_is_replaced_at_the_frontier() {
    crash("faulted", rustix::process::Signal::SEGV).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_is_killed_and_replaced() {
    crash("stopped", rustix::process::Signal::STOP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_never_starts_ends_with_a_reason() {
    let config = TranscoderConfig { exe: PathBuf::from("/bin/false"), ..TranscoderConfig::new("test") };
    let (_transcoder, mut output) = Transcoder::spawn(config, |_| None);
    let mut restarts = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(30), output.recv()).await.expect("an answer") {
            Some(Output::Restarted { .. }) => restarts += 1,
            Some(Output::Failed { reason }) => {
                assert!(reason.contains("6 times"), "{reason}");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(restarts, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_handle_ends_the_worker() {
    let units =
        clip("dropped", "-f lavfi -i testsrc2=s=640x360:r=30:d=2 -c:v libx264 -preset veryfast -g 60 -pix_fmt yuv420p");
    let mut session = Session::start(config(&units));
    session.give(&units).await;
    let pid = session.transcoder.worker_pid().expect("a worker");
    drop(session);
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    gone.await.expect("the worker ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lies_is_replaced() {
    let liar = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/liar");
    let (_transcoder, mut output) =
        Transcoder::spawn(TranscoderConfig { exe: liar, ..TranscoderConfig::new("test") }, |_| None);
    let first = tokio::time::timeout(Duration::from_secs(30), output.recv()).await.expect("an answer");
    let Some(Output::Restarted { reason, .. }) = first else { panic!("{first:?}") };
    assert!(reason.contains("message"), "{reason}");
    drop(output);
}

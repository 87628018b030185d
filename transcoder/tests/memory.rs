//! Workers that need too much memory: replaced in good time without a trace, or ended with a reason.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use kit::{Played, Session, annex_b, audio_config, clip, decode, video_config};
use media::{AccessUnit, FrameRate, MediaTime, Rung};
use std::collections::BTreeSet;
use std::time::Duration;
use transcoder::{Output, Transcoder, TranscoderConfig};

const FRAMES: usize = 720;

fn units() -> Vec<AccessUnit> {
    clip(
        &format!("memory-{:?}", std::thread::current().id()),
        "-f lavfi -i testsrc2=s=1280x720:r=30:d=24 -f lavfi -i anoisesrc=r=48000:a=0.1:d=24 -c:v libx264 -preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac -ac 6",
    )
}

fn config(units: &[AccessUnit]) -> TranscoderConfig {
    let frame_rate = FrameRate { num: 30, den: 1 };
    let rung =
        |name: &str, width, height| Rung { name: name.to_owned(), width, height, frame_rate, bitrate_bps: 300_000 };
    TranscoderConfig {
        rungs: vec![rung("360p", 640, 360), rung("180p", 320, 180)],
        video: video_config(units),
        audio: audio_config(units),
        ..TranscoderConfig::new("test")
    }
}

/// Plays the clip; what came out, the workers seen, and the most memory one held.
async fn play(units: &[AccessUnit], memory_max: u64) -> (Played, BTreeSet<u32>, u64) {
    let mut session = Session::start(TranscoderConfig { memory_max, ..config(units) });
    let (mut pids, mut most) = (BTreeSet::new(), 0);
    for some in units.chunks(10) {
        session.give(some).await;
        let Some(pid) = session.transcoder.worker_pid() else { continue };
        pids.insert(pid);
        most = most.max(resident(pid));
    }
    (session.finish().await, pids, most)
}

fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_near_its_memory_limit_is_replaced_at_a_boundary_without_a_gap() {
    let units = units();
    let (_, pids, most) = play(&units, 1 << 30).await;
    assert_eq!(pids.len(), 1, "far from its limit it stays");
    // A worker grows while its decoder and its encoders fill. With a limit a little above all it ever needs, it passes the mark
    // on its way there, and the one that takes over does so too.
    let (played, pids, second) = play(&units, most / 10 * 11).await;
    assert!(pids.len() > 1, "{most} bytes at most, then {second}: no other worker took over");
    assert_eq!((&played.restarts, &played.failure), (&Vec::new(), &None));
    for name in ["360p", "180p"] {
        let units = &played.renditions[name];
        let mut pts: Vec<MediaTime> = units.iter().map(|unit| unit.pts).collect();
        pts.sort_unstable();
        pts.dedup();
        assert_eq!((pts.len(), units.len()), (FRAMES, FRAMES), "each picture of {name} once");
        let idrs: Vec<MediaTime> = units.iter().filter(|unit| unit.sync).map(|unit| unit.pts).collect();
        assert_eq!(idrs, played.boundaries, "keyframes of {name} at boundaries only");
        assert!(units.windows(2).all(|pair| pair[0].dts < pair[1].dts), "decode times of {name}");
        let configs: BTreeSet<_> =
            units.iter().filter_map(|unit| unit.video()).map(|config| std::sync::Arc::as_ptr(config).addr()).collect();
        assert_eq!(configs.len(), 1, "equal parameter sets stay one configuration");
        assert_eq!(decode("h264", &annex_b(units)), (FRAMES, String::new()), "ffmpeg on {name}");
    }
    let sound = &played.renditions["audio"];
    let steps: Vec<i64> = sound.windows(2).map(|pair| (pair[1].pts - pair[0].pts).as_millis()).collect();
    assert!(steps.iter().all(|step| (10..33).contains(step)), "sound goes on from frame to frame: {steps:?}");
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "worker {pid} was reaped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_above_their_memory_limit_end_with_a_reason() {
    let units = units();
    let (_transcoder, mut output) =
        Transcoder::spawn(TranscoderConfig { exe: kit::worker(), memory_max: 8 << 20, ..config(&units) }, |_| None);
    let mut reasons = Vec::new();
    let last = loop {
        match tokio::time::timeout(Duration::from_secs(60), output.recv()).await.expect("an answer") {
            Some(Output::Restarted { reason, .. }) => reasons.push(reason),
            Some(Output::Failed { reason }) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.contains("it needs more than 8 MiB")), "{reasons:?}");
    assert!(last.contains("again and again") && last.contains("worker_memory_mib"), "{last}");
}

//! What a ladder costs and how good it is, against one ffmpeg command that makes the same one.
//!
//! usage: `cargo bench -p transcoder --bench ladder -- [CLIP.flv]`; without a clip, 20 s of 1080p30 are made. Prints CPU
//! seconds of both, their ratio (goal: at most 1.05), SSIM of each rung against scaled source pictures (goal: at most
//! 0.001 below), and the delay from a picture going in to its rung coming out in real time.

#[allow(dead_code, reason = "the bench uses a part of the kit")]
#[path = "../tests/kit/mod.rs"]
mod kit;

use media::{AccessUnit, FrameRate, MediaTime};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use transcoder::{Ladder, Output, SourceShape, Transcoder, TranscoderConfig};

/// CPU seconds of all children that have ended, from `/proc/self/stat` (proc(5)).
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("a name").split(' ').collect();
    let ticks: f64 = fields[13..15].iter().map(|f| f.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output().expect("an installed program");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments}: {text}");
    text
}

/// SSIM of a file against the clip scaled with lanczos.
fn ssim(file: &Path, clip: &Path, width: u32, height: u32, rate: FrameRate) -> f64 {
    let graph = format!(
        "[0:v]settb=1/90000,setpts=N*90000*{den}/{num}[a];[1:v]scale={width}:{height}:flags=lanczos+accurate_rnd,settb=1/90000,setpts=N*90000*{den}/{num}[b];[a][b]ssim",
        num = rate.num,
        den = rate.den
    );
    let text = run(
        "ffmpeg",
        &format!(
            "-nostdin -v info -i {} -i {} -an -filter_complex {graph} -fps_mode passthrough -f null -",
            file.display(),
            clip.display()
        ),
    );
    let all = text.rsplit("All:").next().expect("a result");
    all.split(' ').next().and_then(|v| v.parse().ok()).expect("a number")
}

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ladder-bench");
    std::fs::create_dir_all(&folder).expect("a folder");
    let given = std::env::args().skip(1).find(|a| !a.starts_with('-')).map(PathBuf::from);
    let clip = given.unwrap_or_else(|| {
        let made = folder.join("made.flv");
        run("ffmpeg", &format!("-nostdin -v error -y -f lavfi -i testsrc2=s=1920x1080:r=30:d=20 -vf noise=alls=8:allf=t -c:v libx264 -preset veryfast -b:v 8M -bf 2 -g 60 -pix_fmt yuv420p {}", made.display()));
        made
    });
    let units: Vec<AccessUnit> =
        kit::flv(&std::fs::read(&clip).expect("the clip")).into_iter().filter(|u| u.video().is_some()).collect();
    let source = kit::video_config(&units).expect("video");
    let mut stamps: Vec<MediaTime> = units.iter().map(|u| u.pts).collect();
    stamps.sort_unstable();
    let fps = (stamps.len() - 1) as f64 / (stamps[stamps.len() - 1] - stamps[0]).as_secs_f64();
    let rate = FrameRate::nearest(fps).expect("a frame rate");
    let shape = SourceShape {
        width: source.width,
        height: source.height,
        sample_aspect: source.sample_aspect,
        frame_rate: rate,
    };
    let rungs = Ladder::default().rungs(&shape, false);
    println!("{} pictures of {}x{} at {:.2} fps, {} rungs", units.len(), source.width, source.height, fps, rungs.len());

    let mut splits = format!("[0:v]split={}", rungs.len());
    let mut tail = String::new();
    let mut scales = String::new();
    for (n, rung) in rungs.iter().enumerate() {
        splits += &format!("[s{n}]");
        scales += &format!(";[s{n}]scale={}:{}:flags=bicubic[v{n}]", rung.width, rung.height);
        let b = rung.bitrate_bps;
        tail += &format!(
            " -map [v{n}] -c:v libx264 -preset veryfast -b:v {b} -maxrate {b} -bufsize {b} -x264-params scenecut=0:keyint=60:min-keyint=60 -f mp4 {}",
            folder.join(format!("ffmpeg-{}.mp4", rung.name)).display()
        );
    }
    let mut ours_cpu = Vec::new();
    let mut peer_cpu = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for round in 0..2 {
        let before = children_cpu();
        run("ffmpeg", &format!("-nostdin -v error -y -i {} -filter_complex {splits}{scales}{tail}", clip.display()));
        peer_cpu.push(children_cpu() - before);
        let before = children_cpu();
        let start = Instant::now();
        let config = TranscoderConfig { rungs: rungs.clone(), thumb_every: None, ..TranscoderConfig::new("bench") };
        let played = runtime.block_on(kit::play(config, &units));
        ours_cpu.push(children_cpu() - before);
        println!(
            "round {round}: ffmpeg {:.2} CPU-s, worker {:.2} CPU-s in {:.1} s",
            peer_cpu[round],
            ours_cpu[round],
            start.elapsed().as_secs_f64()
        );
        for (name, units) in &played.renditions {
            std::fs::write(folder.join(format!("weir-{name}.h264")), kit::annex_b(units)).expect("a file");
        }
    }
    let best = |runs: &[f64]| runs.iter().copied().fold(f64::MAX, f64::min);
    println!("CPU ratio {:.3}", best(&ours_cpu) / best(&peer_cpu));
    for rung in &rungs {
        let ours = ssim(&folder.join(format!("weir-{}.h264", rung.name)), &clip, rung.width, rung.height, rate);
        let peer = ssim(&folder.join(format!("ffmpeg-{}.mp4", rung.name)), &clip, rung.width, rung.height, rate);
        println!("{}: SSIM {ours:.4}, ffmpeg {peer:.4}, difference {:+.4}", rung.name, ours - peer);
    }
    for (name, delay) in runtime.block_on(delays(&rungs, &units)) {
        println!("{name}: delay {:.0} ms at most, in real time", delay.as_secs_f64() * 1000.0);
    }
}

/// Longest delay of each rung over some seconds of real time, after the first second.
async fn delays(rungs: &[media::Rung], units: &[AccessUnit]) -> std::collections::BTreeMap<String, Duration> {
    let config = TranscoderConfig {
        exe: kit::worker(),
        rungs: rungs.to_vec(),
        video: kit::video_config(units),
        ..TranscoderConfig::new("bench")
    };
    let (transcoder, mut output) = Transcoder::spawn(config, |_| None);
    let first = units[0].dts;
    let start = tokio::time::Instant::now() + Duration::from_millis(500);
    let mut given: std::collections::BTreeMap<MediaTime, tokio::time::Instant> = Default::default();
    let mut longest: std::collections::BTreeMap<String, Duration> = Default::default();
    for (n, unit) in units.iter().enumerate().take_while(|(_, u)| u.dts - first < MediaTime::from_millis(8_000)) {
        let due = start + (unit.dts - first).to_duration();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                Some(Output::Unit { rendition, unit }) = output.recv() => {
                    let near = given.range(unit.pts - MediaTime::from_millis(15)..).next();
                    if let (Some((_, at)), true) = (near, unit.pts - first > MediaTime::from_millis(1000)) {
                        let longest = longest.entry(rendition.to_string()).or_default();
                        *longest = (*longest).max(at.elapsed());
                    }
                }
            }
        }
        if unit.sync {
            transcoder.boundary(n as u64, unit.pts, false);
        }
        given.insert(unit.pts, tokio::time::Instant::now());
        transcoder.unit(unit.clone());
    }
    longest
}

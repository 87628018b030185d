//! The life of one worker process: feeding it, hearing it, watching it, ending it.

use crate::intake::Entry;
use crate::memory::Step;
use crate::transcoder::{Output, Shared, TranscoderConfig, is_wanted};
use bytes::{Bytes, BytesMut};
use media::wire::{self, EncoderChoice, FromWorker, RungSetup, Setup, Stats, ToWorker};
use media::{AccessUnit, AudioConfig, Config, MediaTime, Rung, VideoConfig};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A worker that says nothing for this long hangs: three heartbeats. A new one takes 0.8 s more to give its first picture, and
/// viewers shall have it within 3 s.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// One that is alive and neither takes nor gives pictures for this long hangs too.
const STALL_MAX: Duration = Duration::from_secs(4);
/// Starting takes a tenth of a second, more on a machine under load.
const START_MAX: Duration = Duration::from_secs(10);
/// Emptying decoders and encoders after the end.
const FINISH_MAX: Duration = Duration::from_secs(10);
/// Pictures decoded without any rung giving one before the encoders count as hanging: 4 s at 60 fps.
const DECODED_UNHEARD_MAX: u64 = 240;
/// How often the worker is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Lines of a worker's standard error that are logged, per worker, and their length.
const LOG_LINES_MAX: usize = 50;
const LOG_LINE_BYTES_MAX: usize = 300;
/// Lines that say nothing: a library of libav's looks for fonts, which the sandbox has none of; OpenH264 has an opinion
/// on being emptied.
const HARMLESS: [&str; 2] = ["Fontconfig", "[OpenH264]"];

/// How a worker's life ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The handle was dropped or nobody listens.
    Closed,
    /// Everything came out.
    Finished,
    /// It can't work on this machine.
    Unable(String),
    /// Another worker with other rungs is to go on.
    Replan,
    /// Another worker has taken over, or it was not needed for that after all.
    Retired,
    /// It died, hung, or broke the protocol.
    Broken { reason: String, gave_nothing: bool },
}

/// Kills and reaps the process whatever happens.
struct Leash(Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        // SIGKILL ends it at once, so this does not wait noticeably.
        let _reaped = self.0.wait();
    }
}

/// Times and counts the three loops share; milliseconds since the start.
#[derive(Debug)]
struct Watch {
    start: Instant,
    heard_ms: AtomicU64,
    /// Start of a write that has not ended, 0 when none is under way.
    writing_ms: AtomicU64,
    /// When the last coded picture or sound came.
    gave_ms: AtomicU64,
    decoded: AtomicU64,
    decoded_at_output: AtomicU64,
    given: AtomicU64,
    finishing_ms: AtomicU64,
}

impl Watch {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// Runs the worker of this number to its end.
pub(crate) async fn worker(
    shared: &Shared,
    config: &TranscoderConfig,
    number: u32,
    setup: Setup,
    output: &mpsc::Sender<Output>,
) -> End {
    let broken = |reason: String| End::Broken { reason, gave_nothing: true };
    let exe = config.exe.clone();
    let profile = match config.encoder {
        EncoderChoice::Auto | EncoderChoice::Element(_) => "ladder-hardware",
        EncoderChoice::X264 | EncoderChoice::OpenH264 => "ladder",
    };
    let memory_max = config.memory_max;
    let spawned = tokio::task::spawn_blocking(move || pipelines::spawn(&exe, profile, memory_max)).await;
    let worker = match spawned {
        Ok(Ok(worker)) => worker,
        Ok(Err(e)) => return broken(format!("{} could not be started: {e}", config.exe.display())),
        Err(e) => return broken(e.to_string()),
    };
    let mut leash = Leash(worker.child);
    let pid = leash.0.id();
    shared.state().started(number, pid);
    tracing::info!(pid, rungs = setup.rungs.len(), "worker started");
    if let Some(stderr) = leash.0.stderr.take() {
        tokio::spawn(relay(OwnedFd::from(stderr)));
    }
    let link = match worker.link.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(worker.link)) {
        Ok(link) => link,
        Err(e) => return broken(format!("its link: {e}")),
    };
    let (read, write) = link.into_split();
    let watch = Watch {
        start: Instant::now(),
        heard_ms: AtomicU64::new(0),
        writing_ms: AtomicU64::new(0),
        gave_ms: AtomicU64::new(0),
        decoded: AtomicU64::new(0),
        decoded_at_output: AtomicU64::new(0),
        given: AtomicU64::new(0),
        finishing_ms: AtomicU64::new(0),
    };
    // Whichever loop ends first ends the worker; the others hold nothing that outlives it.
    let end = tokio::select! {
        end = feed(shared, config, number, setup, write, &watch) => end,
        end = listen(shared, number, BufReader::with_capacity(64 << 10, read), output, &watch) => end,
        end = guard(shared, number, pid, &watch) => end,
    };
    let end = match end {
        Ok(end) => end,
        Err(reason) => End::Broken { reason, gave_nothing: watch.given.load(Relaxed) == 0 },
    };
    // Off the runtime: waiting for a killed process is short but not nothing.
    let exit = tokio::task::spawn_blocking(move || {
        if matches!(end, End::Finished) {
            // It ends by itself; give it a moment so that its exit is clean.
            for _ in 0..50 {
                if matches!(leash.0.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let status = leash.0.try_wait().ok().flatten();
        drop(leash);
        (end, status)
    });
    match exit.await {
        Ok((End::Broken { reason, gave_nothing }, Some(status))) => {
            End::Broken { reason: format!("{reason} ({status})"), gave_nothing }
        }
        Ok((end, _)) => end,
        Err(e) => broken(e.to_string()),
    }
}

/// Sends what waits, configurations first where they change.
async fn feed(
    shared: &Shared,
    config: &TranscoderConfig,
    number: u32,
    setup: Setup,
    mut link: OwnedWriteHalf,
    watch: &Watch,
) -> Result<End, String> {
    let mut bytes = BytesMut::new();
    let encodes_audio = setup.audio_bitrate_bps > 0;
    let is_idle = setup.rungs.is_empty();
    let known: Vec<String> = setup.rungs.iter().map(|rung| rung.rung.name.clone()).collect();
    ToWorker::Setup(setup).encode(&mut bytes);
    for (rung, _) in (0u8..).zip(&shared.state().rungs).filter(|(_, lane)| lane.rests) {
        ToWorker::Rung { rung, from: None }.encode(&mut bytes);
    }
    let (mut video, mut audio): (Option<Arc<VideoConfig>>, Option<Arc<AudioConfig>>) = (None, None);
    if let Some(first) = &config.video {
        ToWorker::Video((**first).clone()).encode(&mut bytes);
        video = Some(Arc::clone(first));
    }
    if let Some(first) = config.audio.as_ref().filter(|_| encodes_audio) {
        ToWorker::Audio((**first).clone()).encode(&mut bytes);
        audio = Some(Arc::clone(first));
    }
    let mut finishing = false;
    loop {
        let changed = shared.changed.notified();
        let (entry, urgent, finish) = {
            let mut state = shared.state();
            if state.closed {
                return Ok(End::Closed);
            }
            if !state.employs(number) {
                return Ok(End::Retired);
            }
            if state.is_heir(number) {
                (state.intake.pop_for_heir(), None, false)
            } else {
                (state.intake.pop(), state.urgent.take(), state.finish)
            }
        };
        if let Some(message) = urgent {
            message.encode(&mut bytes);
        }
        match entry {
            Some(Entry::Unit(unit)) if is_wanted(&unit, encodes_audio) => {
                encode_unit(unit, &mut video, &mut audio, &mut bytes)
            }
            Some(Entry::Unit(_) | Entry::Gone) => {}
            Some(Entry::Boundary { msn, at, discontinuity }) => {
                ToWorker::Boundary { msn, at, discontinuity }.encode(&mut bytes)
            }
            // A worker that only makes thumbnails has not decoded the pictures before; another one begins with them.
            Some(Entry::AddRung { .. }) if is_idle => return Ok(End::Replan),
            Some(Entry::AddRung { rung, .. }) if known.contains(&rung.name) => {}
            Some(Entry::AddRung { at, rung }) => add_rung(at, rung, &mut bytes),
            None if bytes.is_empty() && finish && !finishing => {
                finishing = true;
                watch.finishing_ms.store(watch.now_ms(), Relaxed);
                ToWorker::Finish.encode(&mut bytes);
            }
            None if bytes.is_empty() => {
                changed.await;
                continue;
            }
            None => {}
        }
        let waits = {
            let state = shared.state();
            state.intake.is_waiting(state.is_heir(number))
        };
        // Small messages go together, as long as more is at hand.
        if bytes.len() >= 64 << 10 || !waits {
            watch.writing_ms.store(watch.now_ms(), Relaxed);
            link.write_all(&bytes).await.map_err(|e| format!("it does not listen: {e}"))?;
            watch.writing_ms.store(0, Relaxed);
            bytes.clear();
        }
    }
}

fn add_rung(at: MediaTime, rung: Rung, bytes: &mut BytesMut) {
    ToWorker::AddRung(RungSetup { rung, from: Some(at) }).encode(bytes);
}

fn encode_unit(
    unit: AccessUnit,
    video: &mut Option<Arc<VideoConfig>>,
    audio: &mut Option<Arc<AudioConfig>>,
    bytes: &mut BytesMut,
) {
    let track = unit.track();
    match &unit.config {
        Config::Video(config) if video.as_ref().is_none_or(|known| !Arc::ptr_eq(known, config) && known != config) => {
            ToWorker::Video((**config).clone()).encode(bytes);
            *video = Some(Arc::clone(config));
        }
        Config::Audio(config) if audio.as_ref().is_none_or(|known| !Arc::ptr_eq(known, config) && known != config) => {
            ToWorker::Audio((**config).clone()).encode(bytes);
            *audio = Some(Arc::clone(config));
        }
        _ => {}
    }
    if unit.data.len() > wire::UNIT_MAX {
        metrics::counter!("weir_transcoder_input_dropped_total").increment(1);
        return;
    }
    ToWorker::Unit { track, dts: unit.dts, pts: unit.pts, sync: unit.sync, data: unit.data }.encode(bytes);
}

/// Takes what the worker says, and believes none of it.
async fn listen(
    shared: &Shared,
    number: u32,
    mut link: BufReader<OwnedReadHalf>,
    output: &mpsc::Sender<Output>,
    watch: &Watch,
) -> Result<End, String> {
    let mut before = Stats::default();
    loop {
        let message = next(&mut link).await.map_err(|e| format!("it is gone: {e}"))?;
        let message = FromWorker::decode(message).map_err(|e| format!("it broke the protocol: {e}"))?;
        watch.heard_ms.store(watch.now_ms(), Relaxed);
        if matches!(message, FromWorker::Picture { .. } | FromWorker::Frame { .. }) {
            watch.gave_ms.store(watch.now_ms(), Relaxed);
        }
        let given = match message {
            FromWorker::Ready { version: wire::VERSION, sandbox } => {
                tracing::info!(sandbox, "worker ready");
                shared.state().ready(number);
                Vec::new()
            }
            FromWorker::Ready { version, .. } => {
                return Ok(End::Unable(format!("the worker executable is of another version ({version})")));
            }
            FromWorker::Stats(stats) => {
                watch.decoded.store(stats.pictures_decoded, Relaxed);
                record(&before, &stats);
                before = stats;
                let balanced = shared.state().balance(std::time::Instant::now());
                balanced.into_iter().inspect(|_| shared.changed.notify_waiters()).collect()
            }
            FromWorker::Notice { text } => {
                tracing::warn!(text, "worker says");
                Vec::new()
            }
            FromWorker::Unable { text } => return Ok(End::Unable(text)),
            FromWorker::Finished => {
                let asked = watch.finishing_ms.load(Relaxed) > 0;
                return if asked { Ok(End::Finished) } else { Err("it finished unasked".to_owned()) };
            }
            media => {
                if matches!(media, FromWorker::Picture { .. }) {
                    watch.decoded_at_output.store(watch.decoded.load(Relaxed), Relaxed);
                }
                let (given, took_over) = {
                    let mut state = shared.state();
                    if !state.employs(number) {
                        return Ok(End::Retired);
                    }
                    let was_heir = state.is_heir(number);
                    let given = state.hear(number, media, std::time::Instant::now())?;
                    (given, was_heir && !state.is_heir(number))
                };
                if took_over {
                    // The one before it is to end.
                    shared.changed.notify_waiters();
                }
                given
            }
        };
        for given in given {
            watch.given.fetch_add(1, Relaxed);
            if output.send(given).await.is_err() {
                return Ok(End::Closed);
            }
            // Waiting for the receiver is not the worker's silence.
            watch.heard_ms.store(watch.now_ms(), Relaxed);
        }
    }
}

async fn next(link: &mut BufReader<OwnedReadHalf>) -> io::Result<Bytes> {
    let mut header = [0; 4];
    link.read_exact(&mut header).await?;
    let length = wire::message_length(header).map_err(io::Error::other)?;
    let mut message = vec![0; length];
    link.read_exact(&mut message).await?;
    Ok(message.into())
}

/// A worker can make its counters jump; the metrics take only what is plausible.
fn record(before: &Stats, stats: &Stats) {
    let count =
        |name: &'static str, was: u64, is: u64| metrics::counter!(name).increment(is.saturating_sub(was).min(10_000));
    count("weir_transcoder_pictures_decoded_total", before.pictures_decoded, stats.pictures_decoded);
    count("weir_transcoder_pictures_damaged_total", before.pictures_damaged, stats.pictures_damaged);
    count("weir_transcoder_pictures_encoded_total", before.pictures_out, stats.pictures_out);
    count("weir_transcoder_slots_repeated_total", before.slots_repeated, stats.slots_repeated);
    count("weir_transcoder_pictures_dropped_total", before.pictures_dropped, stats.pictures_dropped);
    count("weir_transcoder_cpu_milliseconds_total", before.cpu_ms, stats.cpu_ms);
    metrics::histogram!("weir_transcoder_lag_seconds").record(stats.lag.as_secs_f64().clamp(0.0, 60.0));
}

/// Ends only when the worker must end.
async fn guard(shared: &Shared, number: u32, pid: u32, watch: &Watch) -> Result<End, String> {
    let mut tick = tokio::time::interval(WATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ms = |limit: Duration| limit.as_millis() as u64;
    let mut looked = watch.now_ms();
    loop {
        tick.tick().await;
        if !shared.state().employs(number) {
            return Ok(End::Retired);
        }
        let now = watch.now_ms();
        // Late itself, the server may not have read yet what the worker said in time.
        let was_late = now.saturating_sub(looked) > 2 * ms(WATCH_EVERY);
        looked = now;
        if was_late {
            continue;
        }
        let heard = watch.heard_ms.load(Relaxed);
        let patience = |running: Duration| if heard == 0 { START_MAX } else { running };
        let limit = patience(SILENCE_MAX);
        if now.saturating_sub(heard) > ms(limit) {
            return Err(format!("it said nothing for {:.1} s", limit.as_secs_f64()));
        }
        let writing = watch.writing_ms.load(Relaxed);
        // A worker that is only slower than real time takes little but still gives; that is no reason to start over.
        let gave = watch.gave_ms.load(Relaxed);
        let limit = patience(STALL_MAX);
        if writing > 0 && now.saturating_sub(writing.max(gave).max(heard.min(ms(START_MAX)))) > ms(limit) {
            return Err(format!("it took and gave nothing for {} s", limit.as_secs()));
        }
        if watch.decoded.load(Relaxed).saturating_sub(watch.decoded_at_output.load(Relaxed)) > DECODED_UNHEARD_MAX
            && watch.decoded_at_output.load(Relaxed) > 0
        {
            return Err("its encoders gave nothing for 4 s".to_owned());
        }
        let finishing = watch.finishing_ms.load(Relaxed);
        if finishing > 0 && now.saturating_sub(finishing) > ms(FINISH_MAX) {
            return Ok(End::Finished);
        }
        if let Some(bytes) = resident(pid) {
            let mut state = shared.state();
            let most = state.memory.max() >> 20;
            match state.look_at_memory(number, bytes, std::time::Instant::now()) {
                None => {}
                Some(Step::Replace) => {
                    tracing::warn!(
                        mib = bytes >> 20,
                        most,
                        "the worker comes near its memory limit; another one takes over"
                    );
                    shared.replace.notify_one();
                }
                Some(Step::Kill) => return Err(format!("it needs more than {most} MiB of memory")),
                Some(Step::GiveUp) => {
                    return Ok(End::Unable(format!(
                        "workers need more than {most} MiB of memory again and again; a smaller ladder or a higher \
                         transcode.worker_memory_mib cures it"
                    )));
                }
            }
            if number == state.at_work && state.is_overdue(std::time::Instant::now()) {
                tracing::warn!("no other worker has taken over in time; the one at work goes on");
                state.abandon_succession();
                shared.changed.notify_waiters();
            }
        }
    }
}

/// Resident memory of a process; reading `/proc` does not wait for a disk.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Logs a worker's standard error, cut where it says too much.
async fn relay(stderr: OwnedFd) {
    let Ok(pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(stderr) else { return };
    let mut pipe = BufReader::new(pipe);
    let (mut line, mut lines) = (Vec::new(), 0);
    let mut buffer = [0; 4096];
    // The pipe is read to its end even when nothing is logged any more, so that the worker never waits for it.
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        for byte in &buffer[..count] {
            if *byte != b'\n' {
                if line.len() < LOG_LINE_BYTES_MAX {
                    line.push(*byte);
                }
                continue;
            }
            let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
            line.clear();
            if HARMLESS.iter().any(|start| text.starts_with(start)) {
                continue;
            }
            lines += 1;
            if lines <= LOG_LINES_MAX {
                tracing::warn!(text, "worker's standard error");
            }
        }
    }
}

//! The life of one worker process: feeding it, handing readers to it, hearing it, watching it, ending it.

use crate::channel::{Channel, Join, Stay};
use bytes::{Bytes, BytesMut};
use media::wire::{self, EncoderChoice, FromWorker, Readership, Setup, ToWorker};
use media::{AccessUnit, AudioConfig, Config, FeedItem, FrameRate, MediaTime, VideoConfig};
use metrics::{counter, gauge};
use pipelines::Handover;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// A worker that says nothing for this long hangs: six heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// One that takes nothing for this long hangs too.
const STALL_MAX: Duration = Duration::from_secs(4);
/// Starting takes a tenth of a second, more on a machine under load.
const START_MAX: Duration = Duration::from_secs(10);
/// Telling readers that the stream is over.
const FINISH_MAX: Duration = Duration::from_secs(3);
/// How often the worker is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Readers wait so long for a track that is not there yet, before they get the one that is.
const TRACKS_WAIT: Duration = Duration::from_millis(1_500);
/// Messages go together up to this many bytes.
const WRITE_BYTES: usize = 64 << 10;
/// Lines of a worker's standard error that are logged, per worker, and their length.
const LOG_LINES_MAX: usize = 50;
const LOG_LINE_BYTES_MAX: usize = 300;

/// How a worker's life ended.
enum End {
    /// The stream is over.
    Finished,
    /// Nobody reads.
    Idle,
    /// Its readers may not read it any more.
    SentAway,
    /// The server stops.
    Stopping,
    /// It can't work on this machine.
    Unable(String),
    /// It died, hung, or broke the protocol.
    Broken(String),
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

/// Adds one to the gauge of workers for as long as it lives.
struct AtWork;

impl AtWork {
    fn new() -> Self {
        gauge!("weir_rtsp_workers").increment(1.0);
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        gauge!("weir_rtsp_workers").decrement(1.0);
    }
}

/// What the three loops share. Times are milliseconds since the start.
struct Watch {
    start: Instant,
    heard_ms: AtomicU64,
    /// Start of a write that has not ended, 0 when none is under way.
    writing_ms: AtomicU64,
    finishing_ms: AtomicU64,
    /// Readers it has, by number.
    seats: Mutex<HashMap<u64, Present>>,
    /// Readers that wait for it.
    waiting: AtomicU64,
}

/// A reader inside the worker, counted for as long.
struct Present {
    _stay: Stay,
}

impl Present {
    fn new(stay: Stay) -> Self {
        gauge!("weir_rtsp_readers").increment(1.0);
        Self { _stay: stay }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        gauge!("weir_rtsp_readers").decrement(1.0);
    }
}

impl Watch {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            heard_ms: AtomicU64::new(0),
            writing_ms: AtomicU64::new(0),
            finishing_ms: AtomicU64::new(0),
            seats: Mutex::default(),
            waiting: AtomicU64::new(0),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// A panic can't leave an insertion half done, so poison is ignored.
    fn seats(&self) -> MutexGuard<'_, HashMap<u64, Present>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a worker of this channel to its end.
pub(crate) async fn run(channel: Arc<Channel>, mut joins: mpsc::Receiver<Join>, sent_away: CancellationToken) {
    let end = life(&channel, &mut joins, &sent_away).await;
    let fault = match end {
        End::Finished | End::Idle | End::SentAway | End::Stopping => None,
        End::Unable(why) => {
            counter!("weir_rtsp_worker_failures_total").increment(1);
            tracing::error!(why, "the stream can't be served over RTSP");
            Some(Some(why))
        }
        End::Broken(reason) => {
            counter!("weir_rtsp_worker_failures_total").increment(1);
            tracing::warn!(reason, "the worker that serves RTSP is gone, and its readers with it; they may come again");
            Some(None)
        }
    };
    channel.ended(joins, fault);
}

async fn life(channel: &Arc<Channel>, joins: &mut mpsc::Receiver<Join>, sent_away: &CancellationToken) -> End {
    let settings = &channel.house.settings;
    let (exe, udp, memory_max) = (settings.exe.clone(), settings.udp, settings.memory_max);
    let spawned = tokio::task::spawn_blocking(move || pipelines::spawn_rtsp(&exe, udp, memory_max)).await;
    let (worker, handover) = match spawned {
        Ok(Ok(started)) => started,
        Ok(Err(e)) => return End::Broken(format!("{} could not be started: {e}", settings.exe.display())),
        Err(e) => return End::Broken(e.to_string()),
    };
    let mut leash = Leash(worker.child);
    let pid = leash.0.id();
    let _at_work = AtWork::new();
    tracing::info!(pid, udp, "RTSP worker started");
    if let Some(stderr) = leash.0.stderr.take() {
        tokio::spawn(relay(OwnedFd::from(stderr)));
    }
    let link = match worker.link.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(worker.link)) {
        Ok(link) => link,
        Err(e) => return End::Broken(format!("its link: {e}")),
    };
    let (read, write) = link.into_split();
    let watch = Watch::new();
    // Whichever loop ends first ends the worker; the others hold nothing that outlives it.
    let end = tokio::select! {
        end = feed(channel, joins, &handover, write, &watch) => end,
        end = listen(BufReader::with_capacity(16 << 10, read), &watch) => end,
        end = guard(channel, pid, &watch) => end,
        () = sent_away.cancelled() => Ok(End::SentAway),
        () = channel.house.stop.cancelled() => Ok(End::Stopping),
    };
    let end = end.unwrap_or_else(End::Broken);
    // Off the runtime: waiting for a killed process is short but not nothing.
    let exit = tokio::task::spawn_blocking(move || {
        let status = leash.0.try_wait().ok().flatten();
        drop(leash);
        status
    });
    match (end, exit.await) {
        (End::Broken(reason), Ok(Some(status))) => End::Broken(format!("{reason} ({status})")),
        (end, _) => end,
    }
}

/// What the worker was told of the stream.
#[derive(Default)]
struct Told {
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    has_keyframe: bool,
}

impl Told {
    /// Appends a unit, and its configuration where that is new.
    fn unit(&mut self, unit: AccessUnit, bytes: &mut BytesMut) {
        let track = unit.track();
        match &unit.config {
            Config::Video(config) if self.video.as_ref().is_none_or(|known| known != config) => {
                ToWorker::Video((**config).clone()).encode(bytes);
                self.video = Some(Arc::clone(config));
            }
            Config::Audio(config) if self.audio.as_ref().is_none_or(|known| known != config) => {
                ToWorker::Audio((**config).clone()).encode(bytes);
                self.audio = Some(Arc::clone(config));
            }
            _ => {}
        }
        if unit.data.len() > wire::UNIT_MAX {
            counter!("weir_rtsp_input_dropped_units_total").increment(1);
            return;
        }
        self.has_keyframe |= unit.video().is_some() && unit.sync;
        ToWorker::Unit { track, dts: unit.dts, pts: unit.pts, sync: unit.sync, data: unit.data }.encode(bytes);
    }

    /// Whether a reader would get every track there is.
    fn is_whole(&self, (video, audio): (bool, bool)) -> bool {
        (video || audio) && (!video || self.has_keyframe) && (!audio || self.audio.is_some())
    }

    /// Whether it would get any.
    fn is_some(&self) -> bool {
        self.has_keyframe || self.audio.is_some()
    }
}

/// Sends the stream from the newest keyframe on, and readers as soon as they would see something.
async fn feed(
    channel: &Arc<Channel>,
    joins: &mut mpsc::Receiver<Join>,
    handover: &Handover,
    mut link: OwnedWriteHalf,
    watch: &Watch,
) -> Result<End, String> {
    let mut reader = channel.reader.clone();
    reader.seek_to_sync();
    let (mut bytes, mut told, mut numbers) = (BytesMut::new(), Told::default(), 0u64..);
    // No more than there are reservations.
    let mut waiting: VecDeque<Join> = VecDeque::new();
    let patience = Instant::now() + TRACKS_WAIT;
    setup(&channel.stream).encode(&mut bytes);
    loop {
        // Both are cancel safe: an item is taken only when it is returned.
        tokio::select! {
            item = reader.next() => match item {
                Ok(FeedItem::Unit(unit)) => told.unit(unit, &mut bytes),
                Ok(FeedItem::Lost { units }) => counter!("weir_rtsp_input_dropped_units_total").increment(units),
                Ok(FeedItem::Announced(_) | FeedItem::Break) => {}
                Err(_) => {
                    watch.finishing_ms.store(watch.now_ms(), Relaxed);
                    ToWorker::Finish.encode(&mut bytes);
                    link.write_all(&bytes).await.map_err(|e| format!("it does not listen: {e}"))?;
                    // It says when it has finished.
                    return std::future::pending().await;
                }
            },
            Some(join) = joins.recv() => waiting.push_back(join),
            () = sleep_until(patience), if !waiting.is_empty() && Instant::now() < patience => {}
        }
        while bytes.len() < WRITE_BYTES
            && let Some(Ok(item)) = reader.try_next()
        {
            match item {
                FeedItem::Unit(unit) => told.unit(unit, &mut bytes),
                FeedItem::Lost { units } => counter!("weir_rtsp_input_dropped_units_total").increment(units),
                FeedItem::Announced(_) | FeedItem::Break => {}
            }
        }
        if told.is_whole(channel.tracks.known()) || (Instant::now() >= patience && told.is_some()) {
            while let Some(join) = waiting.pop_front() {
                let number = numbers.next().unwrap_or_default();
                let (message, connection, stay) = join.split(number);
                match handover.give(number, connection.as_fd()) {
                    Ok(()) => {
                        watch.seats().insert(number, Present::new(stay));
                        ToWorker::Reader(message).encode(&mut bytes);
                    }
                    // The reader is closed; the guard finds out what is wrong with the worker.
                    Err(error) => {
                        counter!("weir_rtsp_refused_total", "cause" => "handover").increment(1);
                        tracing::warn!(%error, "a reader could not be handed over, and was closed");
                    }
                }
            }
        }
        watch.waiting.store(waiting.len() as u64, Relaxed);
        watch.writing_ms.store(watch.now_ms(), Relaxed);
        link.write_all(&bytes).await.map_err(|e| format!("it does not listen: {e}"))?;
        watch.writing_ms.store(0, Relaxed);
        bytes.clear();
    }
}

fn setup(stream: &str) -> ToWorker {
    ToWorker::Setup(Setup {
        frame_rate: FrameRate { num: 30, den: 1 },
        encoder: EncoderChoice::X264,
        rungs: Vec::new(),
        thumb_every: MediaTime::ZERO,
        audio_bitrate_bps: 0,
        audio_from: None,
        title: stream.to_owned(),
    })
}

/// Takes what the worker says, and believes none of it.
async fn listen(mut link: BufReader<OwnedReadHalf>, watch: &Watch) -> Result<End, String> {
    let mut before = Readership::default();
    loop {
        let message = next(&mut link).await.map_err(|e| format!("it is gone: {e}"))?;
        let message = FromWorker::decode(message).map_err(|e| format!("it broke the protocol: {e}"))?;
        watch.heard_ms.store(watch.now_ms(), Relaxed);
        match message {
            FromWorker::Ready { version: wire::VERSION, sandbox } => tracing::info!(sandbox, "RTSP worker ready"),
            FromWorker::Ready { version, .. } => {
                return Ok(End::Unable(format!("the worker executable is of another version ({version})")));
            }
            FromWorker::ReaderLeft { number } => drop(watch.seats().remove(&number)),
            FromWorker::Readership(counted) => {
                record(&before, &counted);
                before = counted;
            }
            FromWorker::Notice { text } => tracing::warn!(text, "RTSP worker says"),
            FromWorker::Unable { text } => return Ok(End::Unable(text)),
            FromWorker::Finished => {
                let asked = watch.finishing_ms.load(Relaxed) > 0;
                return if asked { Ok(End::Finished) } else { Err("it finished unasked".to_owned()) };
            }
            _ => return Err("it sent what only encoders make".to_owned()),
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
fn record(before: &Readership, now: &Readership) {
    let count = |name: &'static str, was: u64, is: u64, most: u64| {
        counter!(name).increment(is.saturating_sub(was).min(most));
    };
    count("weir_rtsp_sent_bytes_total", before.bytes_out, now.bytes_out, 1 << 32);
    count("weir_rtsp_dropped_units_total", before.units_lost, now.units_lost, 1_000_000);
    count("weir_rtsp_cpu_milliseconds_total", before.cpu_ms, now.cpu_ms, 100_000);
}

/// Ends only when the worker must end.
async fn guard(channel: &Channel, pid: u32, watch: &Watch) -> Result<End, String> {
    let settings = &channel.house.settings;
    let mut tick = tokio::time::interval(WATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ms = |limit: Duration| limit.as_millis() as u64;
    let (mut looked, mut read) = (watch.now_ms(), watch.now_ms());
    loop {
        tick.tick().await;
        let now = watch.now_ms();
        // Late itself, the server may not have read yet what the worker said in time.
        let was_late = now.saturating_sub(looked) > 2 * ms(WATCH_EVERY);
        looked = now;
        if was_late {
            continue;
        }
        let finishing = watch.finishing_ms.load(Relaxed);
        if finishing > 0 && now.saturating_sub(finishing) > ms(FINISH_MAX) {
            return Ok(End::Finished);
        }
        let heard = watch.heard_ms.load(Relaxed);
        let limit = if heard == 0 { START_MAX } else { SILENCE_MAX };
        if now.saturating_sub(heard) > ms(limit) {
            return Err(format!("it said nothing for {} s", limit.as_secs()));
        }
        let writing = watch.writing_ms.load(Relaxed);
        if writing > 0 && heard > 0 && now.saturating_sub(writing) > ms(STALL_MAX) {
            return Err(format!("it took nothing for {} s", STALL_MAX.as_secs()));
        }
        if !watch.seats().is_empty() || watch.waiting.load(Relaxed) > 0 {
            read = now;
        } else if now.saturating_sub(read) > ms(settings.limits.idle) {
            tracing::info!("nobody reads; the RTSP worker is ended");
            return Ok(End::Idle);
        }
        if resident(pid).is_some_and(|bytes| bytes > settings.memory_max) {
            return Err(format!("it needs more than {} MiB of memory", settings.memory_max >> 20));
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
    let Ok(mut pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(stderr) else { return };
    let (mut line, mut lines, mut buffer) = (Vec::new(), 0, [0; 4096]);
    // The pipe is read to its end even when nothing is logged any more, so that the worker never waits for it.
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        for byte in &buffer[..count] {
            if *byte != b'\n' {
                if line.len() < LOG_LINE_BYTES_MAX {
                    line.push(*byte);
                }
                continue;
            }
            lines += 1;
            if lines <= LOG_LINES_MAX {
                let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
                tracing::warn!(text, "RTSP worker's standard error");
            }
            line.clear();
        }
    }
}

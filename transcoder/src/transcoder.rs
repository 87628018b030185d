//! [`Transcoder`]: one session's worker, from the side of the server.

use crate::burst::Burst;
use crate::gate::Gate;
use crate::intake::{Boundary, Intake};
use crate::load::{self, Load, Step};
use crate::memory::Memory;
use crate::restarts::Restarts;
use crate::run::{self, End};
use crate::succession::{Sound, Succession};
use bytes::Bytes;
use media::wire::{EncoderChoice, FromWorker, RungSetup, Setup, ToWorker};
use media::{AccessUnit, AudioConfig, FrameRate, MediaTime, Rung, Track, VideoConfig};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tracing::Instrument;

/// Outputs that wait for the receiver.
const OUTPUT_MAX: usize = 256;

/// What a worker is to do. All rungs have the same frame rate.
#[derive(Debug, Clone)]
pub struct TranscoderConfig {
    /// The stream's public name, for logs.
    pub stream: String,
    /// The executable that understands `worker ladder`; this process's own by default.
    pub exe: PathBuf,
    /// Video renditions to encode from the start, highest first; may be empty.
    pub rungs: Vec<Rung>,
    /// The source's video, if it has any. Later changes come with the units.
    pub video: Option<Arc<VideoConfig>>,
    /// The source's audio when it must be encoded to stereo AAC-LC; `None` when it is passed through or absent.
    pub audio: Option<Arc<AudioConfig>>,
    /// Bit rate of encoded audio, bits per second.
    pub audio_bitrate_bps: u32,
    /// Which H.264 encoder.
    pub encoder: EncoderChoice,
    /// Time between thumbnails; `None` for no thumbnails.
    pub thumb_every: Option<Duration>,
    /// The most a worker may hold resident, bytes: one above 80 % of it is replaced while it works, one above it is killed, and
    /// after six of those in ten minutes the transcoder gives up.
    pub memory_max: u64,
}

impl TranscoderConfig {
    /// No rungs, no tracks, thumbnails every 4 s, the default encoder, 160 kb/s audio, at most 1 GiB, this process's executable.
    pub fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            rungs: Vec::new(),
            video: None,
            audio: None,
            audio_bitrate_bps: 160_000,
            encoder: EncoderChoice::default(),
            thumb_every: Some(Duration::from_secs(4)),
            memory_max: 1 << 30,
        }
    }
}

/// What comes back from a worker, in order per rendition.
#[derive(Debug)]
pub enum Output {
    /// One encoded picture of a rung, or one AAC frame of the rendition `audio`. Units of one parameter set share one
    /// configuration `Arc`, also over a restart; another `Arc` means other parameter sets.
    Unit {
        /// The rung's name, or `audio`.
        rendition: Arc<str>,
        /// Pictures: pts exactly on a slot of the plan, dts strictly rising and at most pts, 4-byte NAL lengths.
        unit: AccessUnit,
    },
    /// A thumbnail as JPEG, at most 1 MiB.
    Thumb(Bytes),
    /// The worker died, hung or broke its protocol and a new one was started; its pictures go on where the frontier was.
    Restarted {
        /// Number of the new worker, from 1.
        epoch: u32,
        /// One sentence for the log and the health report.
        reason: String,
    },
    /// The worker fell behind: this rung is not encoded until [`Output::Restored`].
    Shed {
        /// The rung's name.
        rendition: Arc<str>,
        /// How far behind the source the worker was.
        lag: MediaTime,
    },
    /// There is room again: this rung's units go on with an IDR.
    Restored {
        /// The rung's name.
        rendition: Arc<str>,
    },
    /// No more encoded units will come: too many restarts, or no encoder. Passthrough can go on.
    Failed {
        /// One sentence naming cause and cure.
        reason: String,
    },
    /// After [`Transcoder::finish`]: everything has come out.
    Ended,
}

/// A handle to one session's worker. Dropping it kills the worker.
///
/// All methods put something into a queue and return at once. The queue holds 2 s of video; when the worker is slower,
/// queued video up to the next IDR is dropped and counted in `weir_transcoder_input_dropped_total`.
#[derive(Debug)]
pub struct Transcoder {
    shared: Arc<Shared>,
}

/// What the handle and the task share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Something was put in, or it is over. All who wait are told, as two workers may be fed.
    pub changed: Notify,
    /// Another worker is to take over from the one at work.
    pub replace: Notify,
}

/// Locked for moments, never across an await.
#[derive(Debug)]
pub(crate) struct State {
    pub intake: Intake,
    pub rungs: Vec<Lane>,
    pub load: Load,
    pub burst: Burst,
    /// What the worker is told before the next entry of the intake.
    pub urgent: Option<ToWorker>,
    /// The worker decodes nothing but thumbnails, so a rung that is added needs another worker.
    pub is_idle: bool,
    pub encodes_audio: bool,
    pub sound: Sound,
    pub memory: Memory,
    /// Number of the worker at work.
    pub at_work: u32,
    pub pid: Option<u32>,
    pub succession: Option<Succession>,
    /// What was held back for a worker that did not take over, to be published first.
    pub released: Vec<FromWorker>,
    pub finish: bool,
    pub closed: bool,
}

/// One rung over all workers.
#[derive(Debug)]
pub(crate) struct Lane {
    pub rung: Rung,
    pub name: Arc<str>,
    /// It begins here; `None` from the start.
    pub from: Option<MediaTime>,
    pub gate: Gate,
    /// It was shed.
    pub rests: bool,
    /// The newest picture of the encoder now at work.
    pub newest: Option<MediaTime>,
}

impl Lane {
    fn new(rung: Rung, from: Option<MediaTime>) -> Self {
        let mut gate = Gate::new(rung.clone());
        gate.restart(from);
        Self { name: rung.name.as_str().into(), gate, rung, from, rests: false, newest: None }
    }
}

impl State {
    /// Before the first worker.
    pub fn new(config: &TranscoderConfig) -> Self {
        let rungs = config.rungs.iter().map(|rung| Lane::new(rung.clone(), None)).collect();
        Self {
            intake: Intake::new(),
            rungs,
            load: Load::default(),
            burst: Burst::default(),
            urgent: None,
            is_idle: config.rungs.is_empty(),
            encodes_audio: config.audio.is_some(),
            sound: Sound::default(),
            memory: Memory::new(config.memory_max),
            at_work: 0,
            pid: None,
            succession: None,
            released: Vec::new(),
            finish: false,
            closed: false,
        }
    }

    /// The newest picture of the slowest rung at work, and how far the source is ahead of it.
    fn lag(&self) -> Option<(MediaTime, MediaTime)> {
        let slowest = self.rungs.iter().filter(|lane| !lane.rests).filter_map(|lane| lane.newest).min()?;
        Some((slowest, self.intake.newest_dts()? - slowest))
    }

    /// What of a lag is too much: beside the pictures every worker holds, and what came in a burst.
    fn late(&self, lag: MediaTime, now: Instant) -> MediaTime {
        lag - frame_rate(self).time_of(load::HELD) - self.burst.left(now)
    }

    /// Relieves a worker that is late of its largest rung at work, or gives one back; says so.
    pub fn balance(&mut self, now: Instant) -> Option<Output> {
        if self.finish || self.urgent.is_some() || self.succession.is_some() {
            return None;
        }
        let (slowest, lag) = self.lag()?;
        let late = self.late(lag, now);
        let resting = self.rungs.iter().filter(|lane| lane.rests).count();
        let step = self.load.look(late, self.rungs.len() - resting, resting, now)?;
        let rests = step == Step::Shed;
        let area = |lane: &Lane| u64::from(lane.rung.width) * u64::from(lane.rung.height);
        // A rung that has given nothing yet may be one the worker has not been told of.
        let is_known = |lane: &Lane| lane.rests || lane.newest.is_some();
        let lanes = self.rungs.iter_mut().enumerate().filter(|(_, lane)| lane.rests != rests && is_known(lane));
        let (index, lane) =
            if rests { lanes.max_by_key(|(_, lane)| area(lane))? } else { lanes.min_by_key(|(_, lane)| area(lane))? };
        (lane.rests, lane.newest) = (rests, None);
        lane.gate.restart(None);
        // A stamp that is past: it begins with the next picture.
        let from = (!rests).then_some(slowest);
        self.urgent = Some(ToWorker::Rung { rung: u8::try_from(index).ok()?, from });
        let rendition = Arc::clone(&lane.name);
        Some(if rests {
            metrics::counter!("weir_transcoder_rungs_shed_total").increment(1);
            Output::Shed { rendition, lag }
        } else {
            metrics::counter!("weir_transcoder_rungs_restored_total").increment(1);
            Output::Restored { rendition }
        })
    }
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transcoder {
    /// Starts the worker and the task around it; must be called inside a tokio runtime. `frontier` gives the first
    /// unpublished pts of a rendition (a rung's name or `audio`); it is asked when a worker is replaced and must not block.
    ///
    /// The receiver is bounded (256); when it is not read, the worker waits and the input queue overflows.
    pub fn spawn(
        config: TranscoderConfig,
        frontier: impl Fn(&str) -> Option<MediaTime> + Send + Sync + 'static,
    ) -> (Self, mpsc::Receiver<Output>) {
        let shared =
            Arc::new(Shared { state: Mutex::new(State::new(&config)), changed: Notify::new(), replace: Notify::new() });
        let (output, receiver) = mpsc::channel(OUTPUT_MAX);
        let span = tracing::info_span!("transcoder", stream = %config.stream);
        tokio::spawn(supervise(Arc::clone(&shared), config, frontier, output).instrument(span));
        (Self { shared }, receiver)
    }

    /// Gives the worker a source unit, in decode order, after the cues that precede it. Audio units are ignored unless
    /// audio is encoded.
    pub fn unit(&self, unit: AccessUnit) {
        let dropped = {
            let mut state = self.shared.state();
            let (before, now) = (state.intake.dropped, std::time::Instant::now());
            let burst = match unit.track() {
                Track::Video => state.burst.look(unit.dts, now),
                Track::Audio => state.burst.left(now),
            };
            state.intake.unit(unit, burst);
            state.intake.dropped - before
        };
        if dropped > 0 {
            metrics::counter!("weir_transcoder_input_dropped_total").increment(dropped);
        }
        self.shared.changed.notify_waiters();
    }

    /// How late the worker is, beside the pictures it always holds; `None` before its first unit, and without rungs.
    pub fn late(&self) -> Option<Duration> {
        let state = self.shared.state();
        let (_, lag) = state.lag()?;
        Some(state.late(lag, std::time::Instant::now()).max(MediaTime::ZERO).to_duration())
    }

    /// Every rung starts an IDR with exactly this pts. Comes before the first unit with pts at or after `at`.
    pub fn boundary(&self, msn: u64, at: MediaTime, discontinuity: bool) {
        self.shared.state().intake.boundary(Boundary { msn, at, discontinuity });
        self.shared.changed.notify_waiters();
    }

    /// Passthrough ends at `at`: adds the rung (named `source`) whose first picture is an IDR at exactly `at`. Comes
    /// before the first unit with pts at or after `at`. A rung of a name that exists is ignored.
    pub fn withdraw(&self, at: MediaTime, rung: Rung) {
        {
            let mut state = self.shared.state();
            if state.rungs.iter().any(|lane| lane.rung.name == rung.name) || state.rungs.len() >= media::wire::RUNGS_MAX
            {
                return;
            }
            // A worker that is to take over may begin behind it and would not know the rung.
            state.abandon_succession();
            state.rungs.push(Lane::new(rung.clone(), Some(at)));
            state.intake.add_rung(at, rung);
        }
        self.shared.changed.notify_waiters();
    }

    /// The source has ended: what is inside the worker comes out (at most 10 s), then [`Output::Ended`].
    pub fn finish(&self) {
        {
            let mut state = self.shared.state();
            state.abandon_succession();
            state.finish = true;
        }
        self.shared.changed.notify_waiters();
    }

    /// Process id of the worker now running, for tests and the health report.
    pub fn worker_pid(&self) -> Option<u32> {
        self.shared.state().pid
    }
}

impl Drop for Transcoder {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_waiters();
    }
}

/// Starts workers, one after the other, until the work is done or hopeless.
async fn supervise(
    shared: Arc<Shared>,
    config: TranscoderConfig,
    frontier: impl Fn(&str) -> Option<MediaTime> + Send + Sync + 'static,
    output: mpsc::Sender<Output>,
) {
    let mut restarts = Restarts::default();
    let mut epoch = 0;
    let mut setup = first_setup(&shared, &config);
    loop {
        shared.state().at_work = epoch;
        let began = Instant::now();
        let end = reign(&shared, &config, setup, &output, &mut epoch).await;
        shared.state().pid = None;
        let (reason, poisoned) = match end {
            End::Closed | End::Retired => return,
            End::Finished => {
                let _gone = output.send(Output::Ended).await;
                return;
            }
            End::Unable(reason) => return fail(&output, reason).await,
            // The rungs are other ones; nothing went wrong.
            End::Replan => (None, false),
            End::Broken { reason, gave_nothing } => (Some(reason), gave_nothing && epoch > 0),
        };
        epoch += 1;
        if let Some(reason) = reason {
            metrics::counter!("weir_transcoder_restarts_total").increment(1);
            tracing::warn!(epoch, reason, "worker replaced");
            let Some(pause) = restarts.after(began.elapsed(), Instant::now()) else {
                let times = restarts.recent();
                let reason = format!("the encoding worker failed {times} times within a minute, last: {reason}");
                return fail(&output, reason).await;
            };
            tokio::time::sleep(pause).await;
            if output.send(Output::Restarted { epoch, reason }).await.is_err() {
                return;
            }
        }
        setup = next_setup(&shared, &config, &frontier, poisoned);
    }
}

/// Runs a worker, and those that take over from it, until the one at work ends by itself.
async fn reign(
    shared: &Shared,
    config: &TranscoderConfig,
    setup: Setup,
    output: &mpsc::Sender<Output>,
    epoch: &mut u32,
) -> End {
    let run = |number, setup| Box::pin(run::worker(shared, config, number, setup, output));
    let mut worker = run(*epoch, setup);
    let mut heir: Option<Pin<Box<_>>> = None;
    loop {
        tokio::select! {
            end = &mut worker => match (end, heir.take()) {
                (End::Retired, Some(next)) => worker = next,
                (end, other) => {
                    if shared.state().abandon_succession() {
                        shared.changed.notify_waiters();
                    }
                    // It sees that it is not wanted any more.
                    if let Some(other) = other {
                        other.await;
                    }
                    return end;
                }
            },
            end = async { match &mut heir { Some(heir) => heir.await, None => std::future::pending().await } } => {
                heir = None;
                if shared.state().at_work == *epoch {
                    // It had taken over already; the one before it sees that and ends.
                    worker.await;
                    return end;
                }
                if shared.state().abandon_succession() {
                    tracing::warn!(?end, "the worker that was to take over ended; the one at work goes on");
                }
            }
            () = shared.replace.notified(), if heir.is_none() => {
                *epoch += 1;
                let setup = {
                    let mut state = shared.state();
                    state.begin_succession(*epoch, Instant::now());
                    setup_of(&state, config, None)
                };
                heir = Some(run(*epoch, setup));
            }
        }
    }
}

async fn fail(output: &mpsc::Sender<Output>, reason: String) {
    metrics::counter!("weir_transcoder_failures_total").increment(1);
    tracing::error!(reason, "no more encoding for this session");
    let _gone = output.send(Output::Failed { reason }).await;
}

fn frame_rate(state: &State) -> FrameRate {
    state.rungs.first().map_or(FrameRate { num: 30, den: 1 }, |lane| lane.rung.frame_rate)
}

fn first_setup(shared: &Shared, config: &TranscoderConfig) -> Setup {
    let state = shared.state();
    setup_of(&state, config, None)
}

fn setup_of(state: &State, config: &TranscoderConfig, audio_from: Option<MediaTime>) -> Setup {
    Setup {
        frame_rate: frame_rate(state),
        encoder: config.encoder.clone(),
        rungs: state.rungs.iter().map(|lane| RungSetup { rung: lane.rung.clone(), from: lane.from }).collect(),
        thumb_every: config.thumb_every.map_or(MediaTime::ZERO, MediaTime::from),
        audio_bitrate_bps: if config.audio.is_some() { config.audio_bitrate_bps } else { 0 },
        audio_from,
        title: String::new(),
    }
}

/// The setup of a worker that goes on where the last one's published units end.
fn next_setup(
    shared: &Shared,
    config: &TranscoderConfig,
    frontier: &impl Fn(&str) -> Option<MediaTime>,
    poisoned: bool,
) -> Setup {
    let names: Vec<Arc<str>> = shared.state().rungs.iter().map(|lane| Arc::clone(&lane.name)).collect();
    // Asked without the lock, as the answer may come from behind another one.
    let frontiers: Vec<Option<MediaTime>> = names.iter().map(|name| frontier(name)).collect();
    let audio_from = frontier("audio");
    let mut state = shared.state();
    for (lane, frontier) in state.rungs.iter_mut().zip(&frontiers) {
        // What is published under the name of a rung that was added and gave nothing yet is the source's own, whose
        // reordered pictures reach beyond the boundary the rung begins at.
        let begins = lane.from.filter(|_| lane.gate.next_slot().is_none());
        lane.from = begins.or(lane.from.max(*frontier).max(lane.gate.next_slot()));
        lane.gate.restart(lane.from);
        lane.newest = None;
    }
    state.urgent = None;
    state.released.clear();
    let earliest = state.rungs.iter().filter(|lane| !lane.rests).filter_map(|lane| lane.from).min().or(audio_from);
    let boundary = if poisoned { state.intake.skip() } else { state.intake.rewind(earliest) };
    state.is_idle = state.rungs.is_empty();
    state.sound.restart(audio_from);
    state.intake.resume_from(boundary);
    setup_of(&state, config, audio_from)
}

/// Whether a unit goes to the worker at all.
pub(crate) fn is_wanted(unit: &AccessUnit, encodes_audio: bool) -> bool {
    unit.track() == Track::Video || encodes_audio
}

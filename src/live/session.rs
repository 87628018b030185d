//! One live run of a stream: from the publisher's feed to the window.
//!
//! Only this task touches the session's packager, so cues and units reach the worker in the one order that counts: a
//! cue before the unit that caused it.

use super::Context;
use super::hub::Live;
use media::{AccessUnit, Announced, FeedEnd, FeedItem, FeedReader, FrameRate, VideoCodec, captions};
use packager::{Cue, Packager, Prober, SessionPlan, SourceFacts, VideoFacts};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use store::{KeyMatch, StreamSettings, now_ms};
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;
use transcoder::{Ladder, Output, SourceShape, Transcoder, TranscoderConfig};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);
/// What is still inside the worker when the source ends may take this long to come out.
const DRAIN: Duration = Duration::from_secs(5);
/// A source whose keyframes are at most this far apart can be passed through (DESIGN decision 4).
const PASSTHROUGH_KEYFRAME_MAX: Duration = Duration::from_secs(3);
/// Keyframes at most this far apart let the next session have a target duration of 2 s; stamps of whole milliseconds
/// and frame rates such as 29.97 make "2 s" a little more.
const SHORT_KEYFRAME_MAX: Duration = Duration::from_millis(2_050);

/// Where a session's media comes from.
pub struct Origin {
    /// The stream's public name.
    pub stream: String,
    /// The hub's number for this admission.
    pub admission: u64,
    /// The key it came with; `None` for the test card.
    pub key: Option<Box<KeyMatch>>,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
}

/// What is known of a session's source, for the API and the pages.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Picture width and height, when there is video.
    pub size: Option<(u32, u32)>,
    /// Frames per second.
    pub frame_rate: Option<FrameRate>,
}

/// Starts the session's task. Called on the connection's task, so it only spawns.
pub fn start(context: Arc<Context>, origin: Origin, reader: FeedReader) {
    let span = tracing::info_span!("session", stream = origin.stream, admission = origin.admission);
    let tasks = context.tasks.clone();
    tasks.spawn(run(context, origin, reader).instrument(span));
}

async fn run(context: Arc<Context>, origin: Origin, mut reader: FeedReader) {
    let Some(probed) = probe(&mut reader).await else {
        tracing::info!("the publisher left before its media could be read");
        return;
    };
    match Session::open(&context, &origin, probed).await {
        Ok((session, outputs, backlog)) => session.run(reader, outputs, backlog).await,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the session can't start; its publisher is closed");
            context.hub.stop(&origin.stream);
        }
    }
}

struct Probed {
    facts: SourceFacts,
    backlog: Vec<FeedItem>,
    announced: Option<Announced>,
    wall_start: SystemTime,
}

/// Reads until the prober knows the tracks; `None` when the feed ended before.
async fn probe(reader: &mut FeedReader) -> Option<Probed> {
    let mut prober = Prober::new();
    let mut tick = tokio::time::interval(TICK);
    let mut announced = None;
    let wall_start = SystemTime::now();
    loop {
        let found = tokio::select! {
            item = reader.next() => match item {
                Ok(item) => {
                    if let FeedItem::Announced(said) = &item {
                        announced = Some(said.clone());
                    }
                    prober.push(item, Instant::now())
                }
                Err(_) => return None,
            },
            _ = tick.tick() => prober.tick(Instant::now()),
        };
        if let Some(facts) = found {
            return Some(Probed { facts, backlog: prober.into_items(), announced, wall_start });
        }
    }
}

struct Session {
    context: Arc<Context>,
    stream: String,
    stream_id: String,
    key_id: Option<String>,
    packager: Arc<Mutex<Packager>>,
    transcoder: Option<Transcoder>,
    ladder: Ladder,
    shape: Option<SourceShape>,
    is_hevc: bool,
    live: Arc<Live>,
    next_msn: watch::Sender<u64>,
}

impl Session {
    async fn open(
        context: &Arc<Context>,
        origin: &Origin,
        probed: Probed,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Output>, Vec<FeedItem>)> {
        let stream = match &origin.key {
            Some(key) => key.stream.clone(),
            None => context
                .store
                .stream(&origin.stream)
                .await?
                .ok_or_else(|| anyhow::anyhow!("the stream {} was removed", origin.stream))?,
        };
        let session_name = format!("{:x}-{}", now_ms(), context.epoch);
        let first_msn = context.store.open_session(&stream.id, &session_name, now_ms()).await?;
        let keyframe_interval = match &origin.key {
            Some(key) => key.keyframe_interval,
            None => Some(Duration::from_secs(2)),
        };
        let Choices { passthrough, rungs, ladder, shape } =
            choose(context, &stream.settings, keyframe_interval, &probed.facts)?;
        let audio_encoded = probed.facts.audio.as_ref().is_some_and(|a| !a.passthrough);
        let video = probed.facts.video.as_ref();
        let facts =
            Facts { size: video.map(|v| (v.config.width, v.config.height)), frame_rate: video.map(|v| v.frame_rate) };
        let plan = SessionPlan {
            stream: origin.stream.clone(),
            session: session_name.clone(),
            first_msn,
            target_s: if keyframe_interval.is_some_and(|i| i <= SHORT_KEYFRAME_MAX) { 2 } else { 4 },
            facts: probed.facts.clone(),
            passthrough,
            rungs: rungs.clone(),
            audio_encoded,
            wall_start: probed.wall_start,
        };
        let (packager, window) = Packager::new(plan);
        let packager = Arc::new(Mutex::new(packager));
        let config = TranscoderConfig {
            rungs: rungs.clone(),
            video: probed.facts.video.as_ref().map(|v| Arc::clone(&v.config)),
            audio: probed.facts.audio.as_ref().filter(|_| audio_encoded).map(|a| Arc::clone(&a.config)),
            encoder: context.settings.encoder.clone(),
            thumb_every: context.settings.thumb_every,
            ..TranscoderConfig::new(&origin.stream)
        };
        let is_needed = !config.rungs.is_empty()
            || config.audio.is_some()
            || (config.thumb_every.is_some() && config.video.is_some());
        let (transcoder, outputs) = if is_needed {
            let packager = Arc::clone(&packager);
            let (transcoder, outputs) = Transcoder::spawn(config, move |rendition| lock(&packager).frontier(rendition));
            (Some(transcoder), outputs)
        } else {
            (None, mpsc::channel(1).1)
        };
        let live = Arc::new(Live {
            window,
            since: probed.wall_start,
            facts,
            thumb: Mutex::default(),
            captions: AtomicBool::new(false),
            ended: Mutex::default(),
        });
        context.hub.begin(&origin.stream, Arc::clone(&live));
        tracing::info!(
            session = session_name,
            source = codecs(&probed.facts),
            size = live.facts.size.map(|(w, h)| format!("{w}x{h}")),
            passthrough,
            rungs = rungs.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(","),
            encoder = probed.announced.as_ref().and_then(|a| a.encoder.as_deref()).or(origin.encoder.as_deref()),
            "live"
        );
        warn_of_source(&probed);
        let (next_msn, noted) = watch::channel(first_msn);
        context.tasks.spawn(note_numbers(Arc::clone(context), stream.id.clone(), noted));
        let session = Self {
            context: Arc::clone(context),
            stream: origin.stream.clone(),
            stream_id: stream.id,
            key_id: origin.key.as_ref().map(|k| k.key_id.clone()),
            packager,
            transcoder,
            ladder,
            shape,
            is_hevc: probed.facts.video.as_ref().is_some_and(is_hevc),
            live,
            next_msn,
        };
        Ok((session, outputs, probed.backlog))
    }

    async fn run(mut self, mut reader: FeedReader, mut outputs: mpsc::Receiver<Output>, backlog: Vec<FeedItem>) {
        for item in backlog {
            self.item(item);
        }
        let mut tick = tokio::time::interval(TICK);
        let end = loop {
            tokio::select! {
                item = reader.next() => match item {
                    Ok(item) => self.item(item),
                    Err(end) => break end,
                },
                Some(output) = outputs.recv() => self.output(output),
                _ = tick.tick() => self.tick(),
            }
        };
        self.close(end, outputs).await;
    }

    fn item(&mut self, item: FeedItem) {
        match item {
            FeedItem::Unit(unit) => self.unit(unit),
            FeedItem::Break => lock(&self.packager).break_(),
            FeedItem::Lost { units } => {
                metrics::counter!("weir_session_lost_units_total").increment(units);
                tracing::warn!(units, "the session was late and lost units of its source");
                lock(&self.packager).break_();
            }
            FeedItem::Announced(_) => {}
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        self.look_for_captions(&unit);
        let cues = lock(&self.packager).source(&unit, Instant::now());
        for cue in cues {
            self.cue(cue);
        }
        if let Some(transcoder) = &self.transcoder {
            transcoder.unit(unit);
        }
    }

    fn look_for_captions(&self, unit: &AccessUnit) {
        let Some(config) = unit.video() else { return };
        if !self.live.has_captions() && captions::has_captions(&unit.data, config.codec, config.nal_length_size) {
            self.live.captions.store(true, Ordering::Relaxed);
            lock(&self.packager).captions(true);
        }
    }

    fn cue(&mut self, cue: Cue) {
        match cue {
            Cue::Boundary { msn, at, discontinuity } => {
                self.next_msn.send_replace(msn + 1);
                if let Some(transcoder) = &self.transcoder {
                    transcoder.boundary(msn, at, discontinuity);
                }
            }
            Cue::Withdraw { at, reason } => {
                metrics::counter!("weir_passthrough_withdrawn_total").increment(1);
                tracing::warn!(reason, "the source is re-encoded from here on");
                // HEVC has an H.264 rung of its size already; it just ends.
                if let (Some(transcoder), Some(shape), false) = (&self.transcoder, &self.shape, self.is_hevc) {
                    transcoder.withdraw(at, self.ladder.source_rung(shape));
                }
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Unit { rendition, unit } => lock(&self.packager).encoded(&rendition, unit),
            Output::Thumb(jpeg) => *lock(&self.live.thumb) = Some(jpeg),
            Output::Restarted { epoch, reason } => tracing::warn!(epoch, reason, "the worker was replaced"),
            Output::Shed { rendition, lag } => {
                tracing::warn!(%rendition, lag_ms = lag.as_millis(), "this machine is too slow for all renditions; this one rests");
                lock(&self.packager).rest(&rendition);
            }
            Output::Restored { rendition } => tracing::info!(%rendition, "there is room for this rendition again"),
            Output::Failed { reason } => tracing::error!(reason, "encoding stopped; what is passed through goes on"),
            Output::Ended => {}
        }
    }

    fn tick(&mut self) {
        let cues = lock(&self.packager).tick(Instant::now());
        for cue in cues {
            self.cue(cue);
        }
    }

    async fn close(mut self, end: FeedEnd, mut outputs: mpsc::Receiver<Output>) {
        if let Some(transcoder) = &self.transcoder {
            transcoder.finish();
            let deadline = tokio::time::sleep(DRAIN);
            tokio::pin!(deadline);
            loop {
                tokio::select! {
                    () = &mut deadline => break,
                    output = outputs.recv() => match output {
                        None | Some(Output::Ended | Output::Failed { .. }) => break,
                        Some(output) => self.output(output),
                    },
                }
            }
        }
        let keyframe_interval = {
            let mut packager = lock(&self.packager);
            packager.finish();
            packager.keyframe_interval()
        };
        self.context.hub.end(&self.live);
        tracing::info!(clean = end == FeedEnd::Finished, "the session ended");
        let interval_ms = keyframe_interval.and_then(|i| u32::try_from(i.as_millis()).ok());
        if let (Some(key_id), Some(interval_ms)) = (&self.key_id, interval_ms)
            && let Err(error) = self.context.store.remember_keyframe_interval(key_id, interval_ms).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the keyframe interval was not remembered; the next session starts with the default"
            );
        }
        if let Err(error) = self.context.store.close_session(&self.stream_id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                stream = self.stream,
                "the end of the session was not noted"
            );
        }
    }
}

struct Choices {
    passthrough: bool,
    rungs: Vec<media::Rung>,
    ladder: Ladder,
    shape: Option<SourceShape>,
}

/// Which renditions this source gets.
fn choose(
    context: &Context,
    settings: &StreamSettings,
    keyframe_interval: Option<Duration>,
    facts: &SourceFacts,
) -> anyhow::Result<Choices> {
    let ladder = match &settings.ladder {
        Some(own) => own.parse()?,
        None => context.settings.ladder.clone(),
    };
    let Some(video) = &facts.video else {
        return Ok(Choices { passthrough: false, rungs: Vec::new(), ladder, shape: None });
    };
    let keyframes_fit = keyframe_interval.is_none_or(|i| i <= PASSTHROUGH_KEYFRAME_MAX);
    let passthrough = settings.passthrough && video.passthrough.is_ok() && keyframes_fit;
    let shape = SourceShape {
        width: video.config.width,
        height: video.config.height,
        sample_aspect: video.config.sample_aspect,
        frame_rate: video.frame_rate,
    };
    let mut rungs = ladder.rungs(&shape, !passthrough || is_hevc(video));
    if passthrough && let Some(top) = rungs.iter_mut().find(|r| r.name == "source") {
        // The HEVC source is passed through under that name; players without HEVC get a picture of its size too.
        top.name = format!("{}p", top.width.min(top.height));
    }
    Ok(Choices { passthrough, rungs, ladder, shape: Some(shape) })
}

fn is_hevc(video: &VideoFacts) -> bool {
    video.config.codec == VideoCodec::Hevc
}

/// RFC 6381 names of the source's tracks.
fn codecs(facts: &SourceFacts) -> String {
    let video = facts.video.as_ref().map(|v| v.config.codecs.clone());
    let audio = facts.audio.as_ref().map(|a| a.config.codecs());
    [video, audio].into_iter().flatten().collect::<Vec<_>>().join(",")
}

/// One line per thing the streamer can mend, with the setting that mends it.
fn warn_of_source(probed: &Probed) {
    if let Some(Err(reason)) = probed.facts.video.as_ref().map(|v| &v.passthrough) {
        tracing::warn!(reason, "the source can't be passed through and is re-encoded");
    }
    if probed.facts.audio.is_none() {
        tracing::warn!("the stream has no audio; in OBS, add a sound source and unmute it in the Audio Mixer");
    }
}

/// Writes the newest sequence number to the store, so that none is given twice, also after a crash. Skips numbers that were
/// overtaken while the database was slow; ends with the session.
async fn note_numbers(context: Arc<Context>, stream_id: String, mut noted: watch::Receiver<u64>) {
    while noted.changed().await.is_ok() {
        let next = *noted.borrow_and_update();
        if let Err(error) = context.store.advance_msn(&stream_id, next, now_ms()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, next, "the sequence number was not noted");
        }
    }
}

/// A panic elsewhere while the lock was held has ended that task; the packager's state is whole between its calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

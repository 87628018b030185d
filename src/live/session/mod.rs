//! One live run of a stream: from its publishers' feeds to the window.
//!
//! Only this task touches the session's packager, so cues and units reach the worker in the one order that counts: a
//! cue before the unit that caused it. Publishers come and go through the [`Post`]; between two of them viewers see a slate,
//! or the packager lets time go on in gaps, and the next one's media is moved to the time that passed (DESIGN 8.6).

mod away;
mod note;
mod open;
mod outflow;
mod plan;
mod slate;
mod source;
mod stored;
mod vitals;

pub use source::{Arrival, Pass};
pub use vitals::Health;

use super::Context;
use super::hub::{Live, Post};
use super::journal::Journal;
use crate::api::LogKind;
use crate::recordings::Followed;
use ingest::session::Reason;
use media::{AccessUnit, FeedEnd, FeedItem, FrameRate, captions};
use note::Notes;
use outflow::Outflow;
use packager::{Cue, Packager, Prober, SourceFacts};
use plan::Fit;
use slate::Slate;
use source::{Probed, Source, TICK};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use transcoder::{Ladder, Output, Share, SourceShape, Transcoder};
use vitals::Vitals;

/// What is still inside the worker when the source ends may take this long to come out.
pub const DRAIN: Duration = Duration::from_secs(4);

/// What is known of a session's source, for the API and the pages.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Picture width and height, when there is video.
    pub size: Option<(u32, u32)>,
    /// Frames per second.
    pub frame_rate: Option<FrameRate>,
}

impl Facts {
    fn of(facts: &SourceFacts) -> Self {
        let video = facts.video.as_ref();
        Self { size: video.map(|v| (v.config.width, v.config.height)), frame_rate: video.map(|v| v.frame_rate) }
    }
}

/// How a session's task begins.
enum Beginning {
    /// With a publisher whose media has begun to come.
    Publisher(Arrival),
    /// With what a publisher was found to send, which did not fit the session before.
    Probed(Box<(Source, Probed)>),
    /// With what a server that died left behind.
    Restored(Box<Session>),
}

/// Gives the hub a publisher whose media has begun to come, and starts a session's task when it begins one. Called on the
/// connection's task, so it only spawns.
pub fn arrive(context: &Arc<Context>, stream: &str, arrival: Arrival) {
    if let Some((post, arrival)) = context.hub.begin(stream, arrival) {
        spawn(context, stream.to_owned(), post, Beginning::Publisher(arrival));
    }
}

/// Goes on with the sessions a server that died left behind, as long as their windows are open. Call it once, before
/// publishers are taken.
pub async fn restore_all(context: &Arc<Context>) {
    let left = match context.store.open_sessions().await {
        Ok(left) => left,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "open sessions can't be read; new ones will begin"
            );
            return;
        }
    };
    for mut open in left {
        let name = open.stream.name.clone();
        // A note that was lost with the server is behind what was written to the disk.
        let written = context.recordings.next_msn(&name, &open.note.session).await;
        open.note.next_msn = open.note.next_msn.max(written);
        let (id, session, next_msn) = (open.stream.id.clone(), open.note.session.clone(), open.note.next_msn);
        let Some((rules, left)) = open::window_left(context, &open) else {
            context.store.close_session(&id, &session, next_msn);
            continue;
        };
        match Session::restore(context, open) {
            Ok(session) => {
                let post = context.hub.restore(&name, rules, Instant::now() + left);
                spawn(context, name, post, Beginning::Restored(Box::new(session)));
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    stream = name,
                    "the session can't go on; a new one will begin"
                );
                context.store.close_session(&id, &session, next_msn);
            }
        }
    }
}

fn spawn(context: &Arc<Context>, stream: String, post: Post, beginning: Beginning) {
    // It outlives the publisher whose connection this is called on.
    let span = tracing::info_span!(parent: None, "session", stream);
    let (keep, name) = (Arc::clone(context), stream.clone());
    let task = run(Arc::clone(context), stream, post, beginning).instrument(span);
    context.tasks.spawn(async move {
        if let Err(error) = tokio::spawn(task).await
            && error.is_panic()
        {
            metrics::counter!("weir_session_panics_total").increment(1);
            tracing::error!(%error, stream = name, "a session's task panicked; its publisher is closed");
            keep.hub.close(&name, Reason::Failed);
        }
    });
}

async fn run(context: Arc<Context>, stream: String, mut post: Post, beginning: Beginning) {
    let opened = match beginning {
        Beginning::Restored(session) => Ok((*session, Vec::new())),
        Beginning::Probed(found) => Session::open(&context, &stream, *found).await,
        Beginning::Publisher(arrival) => {
            let Some(found) = first(&context, &stream, &mut post, arrival).await else {
                tracing::info!("the publisher left before its media could be read");
                return;
            };
            Session::open(&context, &stream, found).await
        }
    };
    match opened {
        Ok((session, backlog)) => session.run(post, backlog).await,
        Err(error) if post.end.is_cancelled() => {
            tracing::debug!(error = format!("{error:#}"), "the session was over before it began");
        }
        Err(error) => {
            let is_crowded = error.is::<plan::Crowded>();
            tracing::error!(error = format!("{error:#}"), "the session can't start; its publisher is closed");
            context.hub.close(&stream, if is_crowded { Reason::Crowded } else { Reason::Failed });
        }
    }
}

/// Reads until it is known what the first publisher, or one that replaced it, sends. `None` when the session is over
/// before that.
async fn first(context: &Context, stream: &str, post: &mut Post, arrival: Arrival) -> Option<(Source, Probed)> {
    let mut source = Some(Source::new(arrival, Prober::patient()));
    let mut tick = tokio::time::interval(TICK);
    loop {
        let probed = tokio::select! {
            () = post.end.cancelled() => return None,
            () = context.stop.cancelled() => return None,
            Some(arrival) = post.arrivals.recv() => {
                source = Some(Source::new(arrival, Prober::patient()));
                None
            }
            item = source::next(&mut source) => match item {
                Ok(item) => source.as_mut().and_then(|source| source.probe(item).ok().flatten()),
                Err(_) => {
                    source = None;
                    None
                }
            },
            _ = tick.tick() => source.as_mut().and_then(|source| {
                context.hub.heard(stream, source.arrival.id, source.heard);
                source.tick(Instant::now())
            }),
        };
        if let Some(probed) = probed {
            return source.map(|source| (source, probed));
        }
    }
}

struct Session {
    context: Arc<Context>,
    stream: String,
    /// Public id of the newest publisher's key.
    key_id: Option<String>,
    packager: Arc<Mutex<Packager>>,
    transcoder: Option<Transcoder>,
    outputs: mpsc::Receiver<Output>,
    ladder: Ladder,
    shape: Option<SourceShape>,
    /// What the session was made for; a publisher that comes back is held against it.
    facts: SourceFacts,
    rungs: Vec<media::Rung>,
    /// What its encoding takes of the machine's budget; given back with the session.
    share: Option<Share>,
    audio_encoded: bool,
    target_s: u8,
    live: Arc<Live>,
    /// For players over RTMP and other servers.
    outflow: Outflow,
    journal: Arc<Journal>,
    notes: Notes,
    /// What is told to who records it; a test card's and a rehearsal's sessions are not recorded.
    followed: Option<Followed>,
    source: Option<Source>,
    away_since: Option<Instant>,
    /// When it ends whatever its publisher does: a rehearsal's.
    ends_at: Option<Instant>,
    slate: Slate,
    vitals: Vitals,
}

/// Why the loop of a session ended.
enum Over {
    Ended,
    /// The publisher's media needs a session of its own.
    Renewed(Box<(Source, Probed)>, Post),
}

impl Session {
    async fn run(mut self, mut post: Post, backlog: Vec<FeedItem>) {
        for item in backlog {
            self.item(item);
        }
        let mut tick = tokio::time::interval(TICK);
        let stop = self.context.stop.clone();
        let over = loop {
            let due = self.slate.due(self.source.is_some());
            let probed = tokio::select! {
                () = post.end.cancelled() => break Over::Ended,
                () = stop.cancelled() => break Over::Ended,
                Some(arrival) = post.arrivals.recv() => {
                    self.arrive(arrival);
                    None
                }
                item = source::next(&mut self.source) => match item {
                    Ok(item) => self.take(item),
                    Err(end) => {
                        self.away(end);
                        None
                    }
                },
                () = slate::until(due) => {
                    self.play_slate(Instant::now());
                    None
                }
                Some(output) = self.outputs.recv() => {
                    self.output(output);
                    None
                }
                _ = tick.tick() => self.tick(),
            };
            if probed.is_some() {
                self.slate_first().await;
            }
            // When it lost the stream meanwhile, this session waits for the one that has it.
            if let Some(probed) = probed
                && let Some(found) = self.adopt(probed)
                && let Some(post) = self.context.hub.renew(&self.stream, found.0.arrival.id)
            {
                break Over::Renewed(found, post);
            }
        };
        self.take_rest();
        if let Over::Renewed(found, post) = over {
            self.share = None;
            spawn(&self.context, self.stream.clone(), post, Beginning::Probed(found));
        }
        self.close().await;
    }

    /// Takes what the publisher had sent when the session ended: who says goodbye and is not waited for is shown to its end.
    fn take_rest(&mut self) {
        while let Some(Ok(item)) = self.source.as_mut().and_then(|source| source.arrival.reader.try_next()) {
            self.take(item);
        }
    }

    /// Another publisher has the stream from now on.
    fn arrive(&mut self, arrival: Arrival) {
        self.gone(FeedEnd::Lost);
        self.vitals.arrived();
        self.source = Some(Source::new(arrival, Prober::new()));
    }

    /// Takes the next item of the source; what it sends, when it has just become known.
    fn take(&mut self, item: FeedItem) -> Option<Probed> {
        match self.source.as_mut()?.probe(item) {
            Ok(probed) => probed,
            Err(item) => {
                self.item(item);
                None
            }
        }
    }

    /// Goes on with the media of a publisher that came back or took over; what was found, when that can't be.
    fn adopt(&mut self, probed: Probed) -> Option<Box<(Source, Probed)>> {
        let mut source = self.source.take()?;
        let passes = lock(&self.packager).passes_through();
        let announced = probed.announced.clone().unwrap_or_default();
        match plan::fit(&self.facts, &probed.facts, &announced, passes, self.audio_encoded) {
            Fit::Not(reason) => {
                tracing::info!(reason, "the publisher's media can't go on in this session; a new one begins");
                self.journal.note(
                    LogKind::Warning,
                    format!("A new session begins, as the publisher came back otherwise: {reason}."),
                );
                return Some(Box::new((source, probed)));
            }
            Fit::Reencoded(reason) => lock(&self.packager).withdraw(reason),
            Fit::Whole => {}
        }
        self.employ(&probed.facts);
        self.place(&mut source, &probed);
        if let Some(followed) = &self.followed {
            followed.back();
        }
        let away = self.away_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        metrics::counter!("weir_session_returns_total").increment(1);
        tracing::info!(away_s = away.as_secs_f64(), source = plan::codecs(&probed.facts), "the session goes on");
        self.journal.note(
            LogKind::Info,
            format!("The publisher is back after {:.1} s; the session goes on.", away.as_secs_f64()),
        );
        self.vitals.announced(&announced);
        *lock(&self.live.encoder) = announced.encoder.or_else(|| source.arrival.encoder.clone());
        if let Some(video) = &probed.facts.video {
            *lock(&self.live.facts) = Facts::of(&probed.facts);
            self.shape = Some(plan::shape(video));
        }
        self.key_id = source.arrival.pass.key().map(|key| key.key_id.clone());
        self.notes.set_restorable(!source.arrival.rules.window.is_zero());
        self.source = Some(source);
        for item in probed.backlog {
            self.item(item);
        }
        None
    }

    /// Moves the media of a publisher that came back to the time it began to come.
    fn place(&mut self, source: &mut Source, probed: &Probed) {
        if let Some(reel) = self.slate.reel() {
            return source.place(&probed.backlog, reel.time_at(probed.since), Some(reel.head()));
        }
        let gone = self.away_since.map_or(Duration::ZERO, |since| probed.since.saturating_duration_since(since));
        let mut cues = Vec::new();
        {
            let mut packager = lock(&self.packager);
            // While a slate was to come, time stood still.
            if self.slate.is_coming() && gone >= TICK {
                packager.away();
                cues = packager.tick(probed.since);
            }
            source.place(&probed.backlog, packager.resume_at(probed.since), None);
            packager.rejoin();
        }
        for cue in cues {
            self.cue(cue);
        }
        self.slate.rest();
    }

    fn item(&mut self, item: FeedItem) {
        match item {
            FeedItem::Unit(unit) => {
                let now = Instant::now();
                self.vitals.unit(&unit, now);
                let unit = match &mut self.source {
                    Some(source) => {
                        source.heard = now;
                        source.shifted(unit)
                    }
                    None => unit,
                };
                if self.takes(&unit, now) {
                    self.unit(unit);
                }
            }
            FeedItem::Break => {
                // Where a replay leaves something out, no encoder is to blame.
                if self.source.as_ref().is_none_or(|source| !source.arrival.pass.is_replay()) {
                    self.vitals.fault(Instant::now());
                }
                self.outflow.cut();
                lock(&self.packager).break_();
            }
            FeedItem::Lost { units } => {
                metrics::counter!("weir_session_lost_units_total").increment(units);
                tracing::warn!(units, "the session was late and lost units of its source");
                self.journal.note(LogKind::Bad, format!("The server was late and lost {units} frames of the source."));
                lock(&self.packager).break_();
            }
            FeedItem::Announced(announced) => {
                self.outflow.announced(&announced);
                self.vitals.announced(&announced);
            }
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        let now = Instant::now();
        self.outflow.unit(&unit);
        self.look_for_captions(&unit);
        self.slate.look(&unit, now);
        self.publish(unit, now);
    }

    /// Publishes a unit of whatever is the source now.
    fn publish(&mut self, unit: AccessUnit, now: Instant) {
        self.outflow.published(&unit);
        let cues = lock(&self.packager).source(&unit, now);
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
                let is_away = self.source.is_none();
                self.notes.boundary(msn, discontinuity, is_away);
                if let Some(followed) = self.followed.as_ref().filter(|_| is_away) {
                    followed.left(msn);
                }
                if let Some(transcoder) = &self.transcoder {
                    transcoder.boundary(msn, at, discontinuity);
                }
            }
            Cue::Withdraw { at, reason } => {
                metrics::counter!("weir_passthrough_withdrawn_total").increment(1);
                tracing::warn!(reason, "the source is re-encoded from here on");
                self.journal.note(LogKind::Warning, format!("The source is re-encoded from here on. {reason}"));
                self.vitals.withhold(&reason);
                let is_hevc = self.facts.video.as_ref().is_some_and(plan::is_hevc);
                // HEVC has an H.264 rung of its size already; it just ends.
                if let (Some(shape), false) = (&self.shape, is_hevc) {
                    let rung = self.ladder.source_rung(shape);
                    if let Some(transcoder) = &self.transcoder {
                        transcoder.withdraw(at, rung.clone());
                    }
                    if let Some(share) = &mut self.share {
                        share.add(&rung);
                    }
                    self.rungs.insert(0, rung);
                    // Without a worker so far, one begins with the source's next keyframe.
                    let facts = self.facts.clone();
                    self.employ(&facts);
                }
                self.notes.set_plan(self.stored(false));
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Unit { rendition, unit } => {
                self.outflow.encoded(&rendition, &unit);
                lock(&self.packager).encoded(&rendition, unit);
            }
            Output::Thumb(jpeg) => {
                if let Some(followed) = &self.followed {
                    followed.picture(&jpeg);
                }
                *lock(&self.live.thumb) = Some(jpeg);
            }
            Output::Restarted { epoch, reason } => {
                tracing::warn!(epoch, reason, "the worker was replaced");
                self.journal.note(LogKind::Warning, format!("The encoding process was replaced: {reason}."));
            }
            Output::Shed { rendition, lag } => {
                tracing::warn!(%rendition, lag_ms = lag.as_millis(), "this machine is too slow for all renditions; this one rests");
                self.journal
                    .note(LogKind::Bad, format!("{rendition} rests: this machine is too slow for all renditions."));
                lock(&self.packager).rest(&rendition);
                lock(&self.live.shortage).resting.insert(rendition.to_string());
            }
            Output::Restored { rendition } => {
                tracing::info!(%rendition, "there is room for this rendition again");
                self.journal.note(LogKind::Info, format!("{rendition} is encoded again."));
                lock(&self.live.shortage).resting.remove(&*rendition);
            }
            Output::Failed { reason } => {
                tracing::error!(reason, "encoding stopped; what is passed through goes on");
                self.journal.note(LogKind::Bad, format!("Encoding stopped: {reason}. What is passed through goes on."));
                lock(&self.live.shortage).resting.extend(self.rungs.iter().map(|rung| rung.name.clone()));
                // Nobody would take what is put into it. A publisher that comes back gets another one.
                self.transcoder = None;
            }
            Output::Ended => {}
        }
    }

    fn tick(&mut self) -> Option<Probed> {
        let now = Instant::now();
        let probing = match &mut self.source {
            None => None,
            Some(source) => {
                self.context.hub.heard(&self.stream, source.arrival.id, source.heard);
                match source.tick(now) {
                    Some(probed) => return Some(probed),
                    None => source.probing_since(),
                }
            }
        };
        self.watch(now);
        self.examine(now);
        // Media that comes back is placed where it began to come, so the gap does not grow while it is being looked at.
        if probing.is_none() && !self.awaits_slate(now) {
            let cues = lock(&self.packager).tick(now);
            for cue in cues {
                self.cue(cue);
            }
        }
        None
    }

    /// Looks once a second at how the publisher is doing.
    fn examine(&mut self, now: Instant) {
        let is_attended = self.source.as_ref().is_some_and(|source| source.probing_since().is_none());
        let shed = || {
            let shortage = self.live.shortage();
            shortage.withheld.into_iter().chain(shortage.resting).collect()
        };
        let late = || self.transcoder.as_ref().and_then(Transcoder::late);
        if let Some((health, changes)) = self.vitals.look(shed, late, is_attended, now) {
            for change in &changes {
                vitals::tell(change, &self.journal);
            }
            self.journal.sample(&health.measured);
            self.journal.look(&health.report);
            *lock(&self.live.health) = Some(health);
        }
        if self.ends_at.is_some_and(|at| now >= at) {
            self.context.hub.close(&self.stream, Reason::RehearsalOver);
        }
    }

    async fn close(mut self) {
        // Players and copies end with the publisher's media, not with what the encoders still have of it.
        self.outflow = Outflow::default();
        if let Some(transcoder) = &self.transcoder {
            transcoder.finish();
            let deadline = tokio::time::sleep(DRAIN);
            tokio::pin!(deadline);
            loop {
                tokio::select! {
                    () = &mut deadline => break,
                    output = self.outputs.recv() => match output {
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
        tracing::info!("the session ended");
        self.journal.note(LogKind::Info, "The session ended.");
        let interval_ms = keyframe_interval.and_then(|i| u32::try_from(i.as_millis()).ok());
        self.notes.close();
        if let (Some(key_id), Some(interval_ms)) = (&self.key_id, interval_ms) {
            self.context.store.remember_keyframe_interval(key_id, interval_ms);
        }
    }
}

/// A panic elsewhere while the lock was held has ended that task; the packager's state is whole between its calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! How a session begins: with a publisher's media, or with what a server that died left behind.

use super::super::Context;
use super::super::hub::Live;
use super::super::rehearsal;
use super::note::Notes;
use super::outflow::Outflow;
use super::plan::{self, Choices};
use super::slate::Slate;
use super::source::{Probed, Source};
use super::stored::StoredPlan;
use super::vitals::Vitals;
use super::{Facts, Session, lock};
use crate::api::LogKind;
use anyhow::Context as _;
use ingest::session::Rules;
use media::{FeedItem, MediaTime};
use packager::{Packager, SessionPlan, SourceFacts};
use playout::{Broadcast, Playout};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use store::{Latency, OpenSession, SessionNote, now_ms};
use tokio::sync::mpsc;
use transcoder::{Output, Transcoder, TranscoderConfig};

/// Keyframes at most this far apart let the next session have a target duration of 2 s; stamps of whole milliseconds
/// and frame rates such as 29.97 make "2 s" a little more.
const SHORT_KEYFRAME_MAX: Duration = Duration::from_millis(2_050);
/// Where a publisher's timeline, and so a session's, begins (`ingest::Normaliser`).
const TIMELINE_START: MediaTime = MediaTime::from_millis(10_000);
/// A session goes on where the last segment that was noted began, so that a player's time has no hole (hls.js stands for ever at
/// one), but so far back at most: silence is not made up for beyond that, and a player has given up by then.
const BACK_MAX: Duration = Duration::from_secs(5);

/// What readers over RTSP get of a session, and how they find it; nothing when RTSP is off, and of a rehearsal.
fn read(
    context: &Context,
    stream: &str,
    rungs: &[media::Rung],
    is_rehearsal: bool,
) -> (Option<rtspout::Broadcast>, Option<rtspout::Listing>) {
    let names: Vec<&str> = rungs.iter().map(|rung| rung.name.as_str()).collect();
    context.rtsp.as_ref().filter(|_| !is_rehearsal).map(|rtsp| rtsp.broadcast(stream, &names)).unzip()
}

/// How long a session that a dead server left behind still waits for its publisher, and by which rules. `None` when it
/// ended with its publisher or waits no longer.
pub fn window_left(context: &Context, open: &OpenSession) -> Option<(Rules, Duration)> {
    open.note.plan.as_ref()?;
    let rules = context.settings.rules_of(&open.stream.settings);
    let gone = Duration::from_millis(u64::try_from(now_ms() - open.note.seen_ms).unwrap_or(0));
    let left = rules.window.checked_sub(gone).filter(|left| !left.is_zero())?;
    Some((rules, left))
}

impl Session {
    /// Begins with what a publisher was found to send; its first items are to be taken next.
    pub(super) async fn open(
        context: &Arc<Context>,
        stream_name: &str,
        (source, probed): (Source, Probed),
    ) -> anyhow::Result<(Self, Vec<FeedItem>)> {
        let stream = match source.arrival.pass.key() {
            Some(key) => key.stream.clone(),
            None => context
                .store
                .stream(stream_name)
                .await?
                .ok_or_else(|| anyhow::anyhow!("the stream {stream_name} was removed"))?,
        };
        let session = format!("{:x}-{}", now_ms(), context.epoch);
        let is_rehearsal = rehearsal::stream_of(stream_name).is_some();
        let first_msn = match is_rehearsal {
            false => context.store.open_session(&stream.id, &session, now_ms()).await?,
            // Its URLs hold its own name, so its numbers are nobody else's.
            true => 0,
        };
        let keyframe_interval = source.arrival.pass.keyframe_interval();
        let Choices { passthrough, rungs, withheld, reencoded, mut share, ladder, shape } =
            plan::choose(context, &stream.settings, keyframe_interval, &probed.facts)?;
        // What the test card or a rehearsal takes is there for any show.
        if let Some(share) = share.as_mut().filter(|_| is_rehearsal || source.arrival.pass.is_card()) {
            share.lend();
        }
        let audio_encoded = probed.facts.audio.as_ref().is_some_and(|a| !a.passthrough);
        let plan = SessionPlan {
            stream: stream_name.to_owned(),
            session: session.clone(),
            run: None,
            first_msn,
            discontinuities: 0,
            target_s: if keyframe_interval.is_some_and(|i| i <= SHORT_KEYFRAME_MAX) { 2 } else { 4 },
            low_latency: stream.settings.latency == Latency::Low,
            facts: probed.facts.clone(),
            passthrough,
            rungs: rungs.clone(),
            audio_encoded,
            wall_start: probed.wall_start,
        };
        let target_s = plan.target_s;
        let (packager, window) = Packager::new(plan);
        // A rehearsal is seen by who knows its preview's address alone.
        let broadcast = context.playout.as_ref().filter(|_| !is_rehearsal).map(Playout::broadcast);
        let tuner = broadcast.as_ref().map(Broadcast::tuner);
        let (rtsp, listing) = read(context, stream_name, &rungs, is_rehearsal);
        let live = Arc::new(Live::new(window, probed.wall_start, Facts::of(&probed.facts), (tuner, listing)));
        lock(&live.shortage).withheld = withheld;
        let stored = StoredPlan::new(probed.wall_start, target_s, &probed.facts, passthrough, &rungs, audio_encoded);
        let note = SessionNote {
            stream_id: stream.id,
            session: session.clone(),
            next_msn: first_msn,
            discontinuities: 0,
            seen_ms: now_ms(),
            plan: Some(stored.to_text()),
        };
        // The session of a test card or a replay ends with it, so there is nothing to go on with.
        let is_restorable = source.arrival.pass.key().is_some() && !source.arrival.rules.window.is_zero();
        let announced = probed.announced.as_ref().and_then(|a| a.encoder.as_deref());
        tracing::info!(
            session,
            source = plan::codecs(&probed.facts),
            size = live.facts().size.map(|(w, h)| format!("{w}x{h}")),
            passthrough,
            rungs = rungs.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(","),
            encoder = announced.or(source.arrival.encoder.as_deref()),
            "live"
        );
        plan::warn_of_source(&probed);
        let journal = context.hub.open_journal(stream_name);
        journal.note(LogKind::Info, plan::introduced(&live.facts(), &probed.facts, passthrough, &rungs));
        *lock(&live.encoder) = announced.or(source.arrival.encoder.as_deref()).map(str::to_owned);
        let is_recorded = !source.arrival.pass.is_card() && !is_rehearsal;
        let followed = is_recorded.then(|| context.recordings.follow(stream_name, Arc::clone(&live.window), false));
        let offer = || plan::offered(&probed.facts, probed.announced.as_ref(), &rungs, audio_encoded);
        let tap = is_recorded.then(|| context.copies.follow(stream_name, &session, offer()));
        let mut session = Self {
            context: Arc::clone(context),
            stream: stream_name.to_owned(),
            key_id: source.arrival.pass.key().map(|k| k.key_id.clone()),
            packager: Arc::new(Mutex::new(packager)),
            transcoder: None,
            outputs: mpsc::channel(1).1,
            ladder,
            shape,
            facts: probed.facts.clone(),
            rungs,
            share,
            audio_encoded,
            live: Arc::clone(&live),
            outflow: Outflow { broadcast, tap, rtsp, has_encoded_sound: audio_encoded },
            journal,
            target_s,
            notes: if is_rehearsal { Notes::unwritten(note) } else { Notes::new(context, note, is_restorable) },
            followed,
            slate: Slate::new(if is_rehearsal { store::Slate::Off } else { stream.settings.slate }, Instant::now()),
            source: Some(source),
            away_since: None,
            ends_at: is_rehearsal.then(|| Instant::now() + rehearsal::LONGEST),
            vitals: Vitals::new(context.settings.health_of(&stream.settings), reencoded, Instant::now()),
        };
        session.vitals.announced(&probed.announced.unwrap_or_default());
        session.employ(&probed.facts);
        if is_rehearsal {
            session.journal.rehearse();
        }
        live.was_private.store(context.office.is_private(stream_name), Ordering::Relaxed);
        context.hub.show(stream_name, live);
        Ok((session, probed.backlog))
    }

    /// Goes on with a session of a server that died. Time goes on in gaps until its publisher is back.
    pub(super) fn restore(context: &Arc<Context>, open: OpenSession) -> anyhow::Result<Self> {
        let OpenSession { stream, note } = open;
        let stored = note.plan.as_deref().and_then(StoredPlan::parse);
        let stored = stored.context("what was kept of the session is of another version")?;
        let facts = stored.facts().context("what was kept of the session can't be read")?;
        let rungs = stored.rungs();
        let gone = Duration::from_millis(u64::try_from(now_ms() - note.seen_ms).unwrap_or(0));
        let (now, wall) = (Instant::now(), SystemTime::now());
        let begun = now.checked_sub(gone.min(BACK_MAX)).unwrap_or(now);
        let plan = SessionPlan {
            stream: stream.name.clone(),
            session: note.session.clone(),
            run: Some(context.epoch),
            first_msn: note.next_msn,
            discontinuities: note.discontinuities,
            target_s: stored.target_s,
            low_latency: stream.settings.latency == Latency::Low,
            facts: facts.clone(),
            passthrough: stored.passthrough,
            rungs: rungs.clone(),
            audio_encoded: stored.audio_encoded,
            wall_start: wall - (now - begun),
        };
        let (packager, window) = Packager::new(plan);
        let broadcast = context.playout.as_ref().map(Playout::broadcast);
        let tuner = broadcast.as_ref().map(Broadcast::tuner);
        let (rtsp, listing) = read(context, &stream.name, &rungs, false);
        let live = Arc::new(Live::new(window, stored.since(), Facts::of(&facts), (tuner, listing)));
        metrics::counter!("weir_session_restored_total").increment(1);
        tracing::info!(
            session = note.session,
            first_msn = note.next_msn,
            "a session of the last start waits for its publisher"
        );
        let shape = facts.video.as_ref().map(plan::shape);
        let journal = context.hub.open_journal(&stream.name);
        journal.note(LogKind::Warning, "The server was restarted; the session waits for its publisher.");
        let offer = plan::offered(&facts, None, &rungs, stored.audio_encoded);
        let tap = context.copies.follow(&stream.name, live.window.session(), offer);
        let mut session = Self {
            context: Arc::clone(context),
            stream: stream.name.clone(),
            key_id: None,
            packager: Arc::new(Mutex::new(packager)),
            transcoder: None,
            outputs: mpsc::channel(1).1,
            ladder: plan::ladder(context, &stream.settings)?,
            share: shape.as_ref().map(|shape| context.settings.budget.claim(&rungs, shape)),
            shape,
            facts,
            rungs,
            audio_encoded: stored.audio_encoded,
            live: Arc::clone(&live),
            outflow: Outflow { broadcast, tap: Some(tap), rtsp, has_encoded_sound: stored.audio_encoded },
            journal,
            target_s: stored.target_s,
            notes: Notes::new(context, note, true),
            followed: Some(context.recordings.follow(&stream.name, Arc::clone(&live.window), true)),
            slate: Slate::new(stream.settings.slate, begun),
            source: None,
            away_since: Some(now),
            ends_at: None,
            vitals: Vitals::new(context.settings.health_of(&stream.settings), None, now),
        };
        // Media time has gone on with the wall clock; a clock that was set back must not take it back.
        let since = (wall - (now - begun)).duration_since(stored.since()).unwrap_or_default();
        let at = TIMELINE_START + MediaTime::from(since);
        lock(&session.packager).resume(at, begun);
        session.slate.resume(session.facts.audio.as_ref().map(|audio| &audio.config), at);
        if session.slate.wanted == store::Slate::Off {
            session.list_gaps();
        } else {
            let facts = session.facts.clone();
            session.employ(&facts);
        }
        session.watch(now);
        live.was_private.store(context.office.is_private(&stream.name), Ordering::Relaxed);
        context.hub.show(&stream.name, live);
        Ok(session)
    }

    /// Starts the worker, if the session has work for one and none yet.
    pub(super) fn employ(&mut self, source: &SourceFacts) {
        if self.context.settings.budget.is_overdrawn() {
            self.context.hub.make_room(&self.stream);
        }
        let thumb_every = self.context.settings.thumb_every;
        let is_needed =
            !self.rungs.is_empty() || self.audio_encoded || (thumb_every.is_some() && source.video.is_some());
        if self.transcoder.is_some() || !is_needed {
            return;
        }
        let config = TranscoderConfig {
            rungs: self.rungs.clone(),
            video: source.video.as_ref().map(|v| Arc::clone(&v.config)),
            audio: source.audio.as_ref().filter(|_| self.audio_encoded).map(|a| Arc::clone(&a.config)),
            encoder: self.context.settings.encoder.clone(),
            thumb_every,
            memory_max: self.context.settings.worker_memory_max,
            ..TranscoderConfig::new(&self.stream)
        };
        let packager = Arc::clone(&self.packager);
        let (transcoder, outputs): (_, mpsc::Receiver<Output>) =
            Transcoder::spawn(config, move |rendition| lock(&packager).frontier(rendition));
        // All that it makes is encoded, whatever became of the one before.
        lock(&self.live.shortage).resting.clear();
        (self.transcoder, self.outputs) = (Some(transcoder), outputs);
    }

    /// The plan to go on with after a restart.
    pub(super) fn stored(&self, passthrough: bool) -> String {
        let (since, facts) = (self.live.since, &self.facts);
        StoredPlan::new(since, self.target_s, facts, passthrough, &self.rungs, self.audio_encoded).to_text()
    }
}

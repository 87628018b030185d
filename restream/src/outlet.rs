//! What runs a target's copy for the length of a session.

use crate::advice::Watch;
use crate::backoff::Backoff;
use crate::copyist::{Copyist, Source};
use crate::line::{Goal, Line, dial, publisher, reach};
use crate::queue::Queue;
use crate::run::{End, Run};
use crate::{Fault, Settings, State, Status, Target};
use media::{AudioCodec, Config, FeedItem, FeedReader, VideoCodec};
use metrics::{counter, gauge};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// Media that came so long ago is no reason to connect: the publisher is away.
const FRESH: Duration = Duration::from_secs(3);
/// How often a status is brought up to date.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
/// A fault is forgotten when the target was live for so long behind it.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// Sends one target its copy of one session, and never gives up as long as that lasts. While the publisher is away the
/// connection is held: stamps go on behind the gap.
pub struct Outlet {
    pub(crate) target: Target,
    settings: Arc<Settings>,
    pub(crate) inflow: Inflow,
    board: Board,
}

/// What comes from the session, and what waits of it.
pub(crate) struct Inflow {
    reader: FeedReader,
    source: Source,
    pub queue: Queue,
    pub watch: Watch,
    heard: Option<Instant>,
    /// The session is over.
    pub is_over: bool,
}

/// Where the outlet tells how it does.
pub(crate) struct Board {
    status: watch::Sender<Status>,
    service: &'static str,
}

impl Outlet {
    /// For a target and a session whose units `reader` gives; nothing is sent before [`Outlet::run`]. A connection begins with the
    /// newest keyframe, and is made when media comes. The receiver sees how it does.
    pub fn new(
        target: Target,
        source: Source,
        reader: FeedReader,
        settings: Arc<Settings>,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, seen) = watch::channel(Status::new(State::Idle, Instant::now()));
        let queue = Queue::new(source.video.is_some());
        let mut inflow = Inflow { reader, source, queue, watch: Watch::default(), heard: None, is_over: false };
        inflow.pass_over();
        let board = Board { status, service: target.service };
        gauge!("weir_restream_outlets", "state" => State::Idle.as_str()).increment(1.0);
        (Self { target, settings, inflow, board }, seen)
    }

    /// Until the session's feed ends or `stop`; says goodbye to the server in either case.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut backoff, dice) = (Backoff::default(), RandomState::new());
        let mut next_try = None;
        while self.media(next_try, &stop).await {
            let began = Instant::now();
            let fault = match self.connect(&stop).await {
                Err(fault) => fault,
                Ok(None) => break,
                Ok(Some((line, copyist))) => {
                    let lived = Instant::now();
                    self.board.begin();
                    let run = Run::new(line, copyist, &self.settings.timings, &self.target);
                    let end = run.run(&mut self.inflow, &mut self.board, &stop).await;
                    backoff.lived(lived, Instant::now());
                    match end {
                        End::Done => break,
                        End::Fault(fault) => fault,
                    }
                }
            };
            let now = Instant::now();
            let is_final = fault.is_refusal() && !fault.may_be_ourselves();
            let pause = backoff.failed(now, is_final, dice.hash_one(began));
            next_try = Some(now + pause);
            self.board.fail(&self.target, fault, pause, now);
        }
        self.board.enter(State::Idle);
    }

    /// Waits until there is something to send and the pause is over; `false` when it is all over.
    async fn media(&mut self, next_try: Option<Instant>, stop: &CancellationToken) -> bool {
        loop {
            let now = Instant::now();
            let pause = next_try.filter(|at| *at > now);
            if self.inflow.is_over {
                return false;
            }
            if pause.is_none() && self.inflow.is_fresh(now) {
                return true;
            }
            if pause.is_none() {
                self.board.enter(State::Idle);
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = self.inflow.pass() => {}
                () = sleep_until(pause.unwrap_or(now + FRESH).into()), if pause.is_some() => {}
            }
        }
    }

    /// Connects and begins to publish; `None` when it is all over meanwhile.
    async fn connect(&mut self, stop: &CancellationToken) -> Result<Option<(Line, Copyist)>, Fault> {
        self.inflow.fits(&self.target)?;
        self.board.enter(State::Connecting);
        counter!("weir_restream_tries_total", "service" => self.target.service).increment(1);
        let (target, settings) = (&self.target, &self.settings);
        let opened = async {
            let mut line = dial(target, settings).await?;
            let mut publisher = publisher(target)?;
            reach(&mut *line.wire, &mut publisher, Goal::Started, target, settings.timings.answer).await?;
            Ok::<_, Fault>((line, publisher))
        };
        tokio::pin!(opened);
        let (line, publisher) = loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                opened = &mut opened => break opened?,
                () = self.inflow.pass() => {
                    if self.inflow.is_over {
                        return Ok(None);
                    }
                }
            }
        };
        self.inflow.begin();
        Ok(Some((line, Copyist::new(publisher, self.inflow.source.clone(), target.silence))))
    }
}

impl Inflow {
    /// Takes the next item while nothing is sent. Cancel safe; never returns when all was taken.
    async fn pass(&mut self) {
        let item = self.next().await;
        if let Some(FeedItem::Unit(unit)) = item {
            self.watch.unit(&unit);
            self.watch.tick(Instant::now());
        }
    }

    /// Takes the next item into the queue. As [`Inflow::pass`].
    pub async fn take(&mut self) {
        match self.next().await {
            Some(FeedItem::Unit(unit)) => {
                self.watch.unit(&unit);
                self.queue.push(unit);
            }
            Some(FeedItem::Lost { units }) => self.queue.lost(units),
            _ => {}
        }
    }

    async fn next(&mut self) -> Option<FeedItem> {
        if self.is_over {
            return std::future::pending().await;
        }
        let Ok(item) = self.reader.next().await else {
            self.is_over = true;
            return None;
        };
        if matches!(item, FeedItem::Unit(_)) {
            self.heard = Some(Instant::now());
        }
        self.note(&item);
        Some(item)
    }

    /// Takes what the feed holds already: when it came is not known, so it is no sign that the publisher is there.
    fn pass_over(&mut self) {
        while let Some(Ok(item)) = self.reader.try_next() {
            self.note(&item);
        }
    }

    /// Learns what the source is like.
    fn note(&mut self, item: &FeedItem) {
        match item {
            FeedItem::Unit(unit) => match &unit.config {
                Config::Video(config) => self.source.video = Some(Arc::clone(config)),
                Config::Audio(config) => self.source.audio = Some(Arc::clone(config)),
            },
            FeedItem::Announced(announced) => self.source.announced = announced.clone(),
            FeedItem::Break | FeedItem::Lost { .. } => self.watch.cut(),
        }
    }

    /// Goes back to the newest keyframe, for a connection that begins.
    fn begin(&mut self) {
        self.queue.restart();
        self.watch.cut();
        self.reader.seek_to_sync();
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now.saturating_duration_since(heard) < FRESH)
    }

    /// The session sends sound.
    pub fn has_sound(&self) -> bool {
        self.source.audio.is_some()
    }

    fn fits(&self, target: &Target) -> Result<(), Fault> {
        let rules = &target.rules;
        if !rules.takes_hevc && self.source.video.as_ref().is_some_and(|video| video.codec == VideoCodec::Hevc) {
            return Err(Fault::VideoCodec("HEVC"));
        }
        if !rules.takes_opus && self.source.audio.as_ref().is_some_and(|audio| audio.codec == AudioCodec::Opus) {
            return Err(Fault::AudioCodec("Opus"));
        }
        Ok(())
    }
}

impl Board {
    /// The outlet does something else.
    fn enter(&self, state: State) {
        self.status.send_if_modified(|status| {
            let before = status.state;
            if before != state {
                gauge!("weir_restream_outlets", "state" => before.as_str()).decrement(1.0);
                gauge!("weir_restream_outlets", "state" => state.as_str()).increment(1.0);
            }
            status.enter(state, Instant::now());
            before != state
        });
    }

    fn begin(&self) {
        self.enter(State::Live);
        self.status.send_modify(|status| status.connects += 1);
        tracing::info!(service = self.service, "a target takes its copy");
    }

    fn fail(&self, target: &Target, fault: Fault, pause: Duration, now: Instant) {
        counter!("weir_restream_faults_total", "fault" => fault.code()).increment(1);
        let is_new = self.status.borrow().fault.as_ref().is_none_or(|(known, _)| known.code() != fault.code());
        // A target that stays away is told of once; the counter has the rest.
        if is_new {
            tracing::warn!(fault = fault.code(), url = %target.url, retry_s = pause.as_secs_f32(), "{fault}");
        } else {
            tracing::debug!(fault = fault.code(), url = %target.url, retry_s = pause.as_secs_f32(), "{fault}");
        }
        self.enter(if fault.is_refusal() { State::Refused } else { State::Retrying });
        self.status.send_modify(|status| {
            status.next_try = Some(now + pause);
            status.fault = Some((fault, now));
        });
    }

    /// Brings the figures of a live target up to date.
    pub fn look(&mut self, now: Instant, figures: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            figures(status);
            if now.saturating_duration_since(status.since) >= FORGOTTEN {
                status.fault = None;
            }
        });
    }

    /// For counters.
    pub fn service(&self) -> &'static str {
        self.service
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let state = self.status.borrow().state;
        gauge!("weir_restream_outlets", "state" => state.as_str()).decrement(1.0);
    }
}

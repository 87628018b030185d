//! What the server's roof does with a publisher's feed: probe, plan, cue the worker, package. A session that outlives its
//! connection is made here: a new [`ingest::Intake`] may feed the same roof.

use crate::Script;
use crate::worker::Worker;
use media::{AccessUnit, FeedItem, FrameRate, MediaTime, Rung};
use packager::{Cue, Packager, Prober, SessionPlan, SourceFacts, Window};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock at virtual time zero, at noon so that no run passes midnight.
pub const NOON: Duration = Duration::from_secs(1_700_006_400 / 86_400 * 86_400 + 43_200);
/// Where a session's timeline begins.
const TIMELINE_START: MediaTime = MediaTime::from_millis(10_000);
/// Numbers are noted so far ahead of the segment that opens.
pub const AHEAD: u64 = 2;
/// Rungs are encoded at most so fast.
const RUNG_FPS_MAX: f64 = 60.0;

/// One session of one stream.
pub struct Roof {
    target_s: u8,
    state: State,
    /// The starts of the server.
    epoch: u64,
    is_over: bool,
    /// When the first unit came, on the virtual clock.
    first: Option<Instant>,
    now: Option<(Instant, u64)>,
}

enum State {
    Probing(Prober),
    Live(Box<Live>),
}

struct Live {
    packager: Packager,
    window: Arc<Window>,
    worker: Worker,
    source_rate: Option<FrameRate>,
    /// When its first media came, in virtual milliseconds.
    since_ms: u64,
    /// What it was made for.
    plan: SessionPlan,
    /// A publisher that came back or took over; placed on the timeline when it is known what it sends.
    returning: Option<Returning>,
    /// Added to its stamps.
    shift: MediaTime,
    /// Every number below may be in use, and the discontinuities so far; as they are noted.
    noted: (u64, u64),
}

struct Returning {
    prober: Prober,
    since: Instant,
}

impl Roof {
    /// A session that has seen nothing.
    pub fn new(script: &Script) -> Self {
        let state = State::Probing(Prober::new());
        Self { target_s: script.target_s, state, epoch: 1, is_over: false, first: None, now: None }
    }

    /// Another publisher's media begins to come.
    pub fn arrive(&mut self, now: Instant) {
        match &mut self.state {
            State::Live(live) => {
                live.packager.away();
                live.returning = Some(Returning { prober: Prober::new(), since: now });
            }
            State::Probing(prober) => (*prober, self.first) = (Prober::new(), None),
        }
    }

    /// The publisher is gone.
    pub fn away(&mut self) {
        match &mut self.state {
            State::Live(live) => {
                live.returning = None;
                live.packager.away();
            }
            State::Probing(prober) => (*prober, self.first) = (Prober::new(), None),
        }
    }

    /// The server was killed and is up again: it goes on with what was noted.
    pub fn restart(&mut self, now: Instant, now_ms: u64) {
        self.epoch += 1;
        match &mut self.state {
            State::Live(live) => **live = live.restored(self.epoch, now, now_ms),
            State::Probing(prober) => (*prober, self.first) = (Prober::new(), None),
        }
    }

    /// What a publisher that came back sends needs another session.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next item of the feed.
    pub fn item(&mut self, item: FeedItem, now: Instant) {
        if matches!(item, FeedItem::Unit(_)) {
            self.first.get_or_insert(now);
        }
        match &mut self.state {
            State::Live(live) => self.is_over |= !live.take(item, now),
            State::Probing(prober) => {
                let facts = prober.push(item, now);
                self.open(facts, now);
            }
        }
    }

    /// Ten times a second; `now_ms` is the virtual time of `now`.
    pub fn tick(&mut self, now: Instant, now_ms: u64) {
        self.now = Some((now, now_ms));
        match &mut self.state {
            State::Live(live) => self.is_over |= !live.tick(now),
            State::Probing(prober) => {
                let facts = prober.tick(now);
                self.open(facts, now);
            }
        }
    }

    /// Nothing comes any more.
    pub fn finish(&mut self) {
        if let State::Live(live) = &mut self.state {
            for (rendition, unit) in live.worker.output(true) {
                live.packager.encoded(&rendition, unit);
            }
            live.packager.finish();
        }
    }

    /// What is served; `None` before the probe is over.
    pub fn window(&self) -> Option<&Arc<Window>> {
        if let State::Live(live) = &self.state { Some(&live.window) } else { None }
    }

    /// The wall clock at the first media, in virtual milliseconds.
    pub fn since_ms(&self) -> Option<u64> {
        if let State::Live(live) = &self.state { Some(live.since_ms) } else { None }
    }

    fn open(&mut self, facts: Option<SourceFacts>, now: Instant) {
        let (Some(facts), State::Probing(prober)) = (facts, &mut self.state) else { return };
        let items = std::mem::take(prober).into_items();
        // The virtual time of the first media, from that of the last tick.
        let first = self.first.unwrap_or(now);
        let since_ms = self.now.map_or(0, |(at, ms)| (ms as i64 + millis(first, at)).max(0) as u64);
        let mut live = Live::open(self.target_s, facts, since_ms);
        items.into_iter().for_each(|item| live.item(item, now));
        self.state = State::Live(Box::new(live));
    }
}

/// Milliseconds from `from` to `to`, negative when it is before.
fn millis(to: Instant, from: Instant) -> i64 {
    to.saturating_duration_since(from).as_millis() as i64 - from.saturating_duration_since(to).as_millis() as i64
}

impl Live {
    fn open(target_s: u8, facts: SourceFacts, since_ms: u64) -> Self {
        let video = facts.video.as_ref();
        let passthrough = video.is_some_and(|v| v.passthrough.is_ok());
        let rung = |name: &str, rate: FrameRate| {
            let den = if rate.as_f64() > RUNG_FPS_MAX { rate.den * 2 } else { rate.den };
            let frame_rate = FrameRate { num: rate.num, den };
            Rung { name: name.to_owned(), width: 640, height: 360, frame_rate, bitrate_bps: 500_000 }
        };
        let mut rungs: Vec<_> = video.map(|v| rung("360p", v.frame_rate)).into_iter().collect();
        if let Some(video) = video.filter(|_| !passthrough) {
            rungs.insert(0, rung("source", video.frame_rate));
        }
        let wall_start: SystemTime = UNIX_EPOCH + NOON + Duration::from_millis(since_ms);
        let source_rate = video.map(|v| rung("source", v.frame_rate).frame_rate);
        let plan = SessionPlan {
            stream: "sim".into(),
            session: "sim-1".into(),
            run: None,
            first_msn: 7,
            discontinuities: 0,
            target_s,
            low_latency: true,
            facts,
            passthrough,
            rungs: rungs.clone(),
            audio_encoded: false,
            wall_start,
        };
        Self::of(plan, source_rate, since_ms)
    }

    fn of(plan: SessionPlan, source_rate: Option<FrameRate>, since_ms: u64) -> Self {
        let (packager, window) = Packager::new(plan.clone());
        let noted = (plan.first_msn, plan.discontinuities);
        let worker = Worker::new(&plan.rungs);
        let (returning, shift) = (None, MediaTime::ZERO);
        Self { packager, window, worker, source_rate, since_ms, plan, returning, shift, noted }
    }

    /// The same session in another start of the server.
    fn restored(&self, epoch: u64, now: Instant, now_ms: u64) -> Self {
        let plan = SessionPlan {
            run: Some(epoch),
            first_msn: self.noted.0,
            discontinuities: self.noted.1,
            passthrough: self.packager.passes_through(),
            rungs: self.worker.rungs(),
            wall_start: UNIX_EPOCH + NOON + Duration::from_millis(now_ms),
            ..self.plan.clone()
        };
        let mut live = Self::of(plan, self.source_rate, self.since_ms);
        let at = TIMELINE_START + MediaTime::from_millis((now_ms - self.since_ms) as i64);
        live.packager.resume(at, now);
        // Gaps until the publisher is back, or nothing at all as while a slate is being made.
        if epoch.is_multiple_of(2) {
            live.packager.away();
        }
        live
    }

    /// Takes the next item of the newest publisher; false when that one needs another session.
    fn take(&mut self, item: FeedItem, now: Instant) -> bool {
        let Some(returning) = &mut self.returning else {
            self.item(item, now);
            return true;
        };
        match returning.prober.push(item, now) {
            Some(facts) => self.adopt(&facts, now),
            None => true,
        }
    }

    /// Goes on with a publisher whose media is known now; false when that can't be.
    fn adopt(&mut self, facts: &SourceFacts, now: Instant) -> bool {
        let Some(Returning { prober, since }) = self.returning.take() else { return true };
        let was = &self.plan.facts;
        if facts.video.is_some() != was.video.is_some() || facts.audio.is_some() != was.audio.is_some() {
            return false;
        }
        if let (Some(Err(reason)), true) =
            (facts.video.as_ref().map(|video| &video.passthrough), self.packager.passes_through())
        {
            self.packager.withdraw(reason.clone());
        }
        let items = prober.into_items();
        let first = items.iter().find_map(|item| if let FeedItem::Unit(unit) = item { Some(unit.dts) } else { None });
        self.shift = first.map_or(MediaTime::ZERO, |first| self.packager.resume_at(since) - first);
        self.packager.rejoin();
        items.into_iter().for_each(|item| self.item(item, now));
        true
    }

    fn item(&mut self, item: FeedItem, now: Instant) {
        match item {
            FeedItem::Unit(unit) => {
                let (dts, pts) = (unit.dts + self.shift, unit.pts + self.shift);
                self.unit(&AccessUnit { dts, pts, ..unit }, now);
            }
            FeedItem::Break | FeedItem::Lost { .. } => self.packager.break_(),
            FeedItem::Announced(_) => {}
        }
    }

    fn unit(&mut self, unit: &AccessUnit, now: Instant) {
        let cues = self.packager.source(unit, now);
        self.cues(&cues);
        if unit.video().is_some() {
            self.worker.source(unit);
        }
    }

    /// False when a publisher that came back needs another session.
    fn tick(&mut self, now: Instant) -> bool {
        let facts = match &mut self.returning {
            Some(returning) => returning.prober.tick(now),
            None => {
                let cues = self.packager.tick(now);
                self.cues(&cues);
                None
            }
        };
        let goes_on = facts.is_none_or(|facts| self.adopt(&facts, now));
        for (rendition, unit) in self.worker.output(false) {
            self.packager.encoded(&rendition, unit);
        }
        goes_on
    }

    fn cues(&mut self, cues: &[Cue]) {
        for cue in cues {
            if let (Cue::Withdraw { .. }, Some(rate)) = (cue, self.source_rate) {
                self.worker.add("source", rate);
            }
            if let Cue::Boundary { msn, discontinuity, .. } = cue {
                self.noted = (self.noted.0.max(msn + AHEAD), self.noted.1 + u64::from(*discontinuity));
            }
            self.worker.cue(cue);
        }
    }
}

//! What the server's roof does with a publisher's feed: probe, plan, cue the worker, package. A session that outlives its
//! connection is made here: a new [`ingest::Intake`] may feed the same roof.

use crate::Script;
use crate::worker::Worker;
use media::{AccessUnit, FeedItem, FrameRate, Rung};
use packager::{Cue, Packager, Prober, SessionPlan, SourceFacts, Window};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock at virtual time zero, at noon so that no run passes midnight.
pub const NOON: Duration = Duration::from_secs(1_700_006_400 / 86_400 * 86_400 + 43_200);
/// Rungs are encoded at most so fast.
const RUNG_FPS_MAX: f64 = 60.0;

/// One session of one stream.
pub struct Roof {
    target_s: u8,
    state: State,
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
}

impl Roof {
    /// A session that has seen nothing.
    pub fn new(script: &Script) -> Self {
        Self { target_s: script.target_s, state: State::Probing(Prober::new()), first: None, now: None }
    }

    /// The next item of the feed.
    pub fn item(&mut self, item: FeedItem, now: Instant) {
        if matches!(item, FeedItem::Unit(_)) {
            self.first.get_or_insert(now);
        }
        match &mut self.state {
            State::Live(live) => live.item(item, now),
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
            State::Live(live) => live.tick(now),
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
            facts,
            passthrough,
            rungs: rungs.clone(),
            audio_encoded: false,
            wall_start,
        };
        let (packager, window) = Packager::new(plan);
        Self { packager, window, worker: Worker::new(&rungs), source_rate, since_ms }
    }

    fn item(&mut self, item: FeedItem, now: Instant) {
        match item {
            FeedItem::Unit(unit) => self.unit(&unit, now),
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

    fn tick(&mut self, now: Instant) {
        let cues = self.packager.tick(now);
        self.cues(&cues);
        for (rendition, unit) in self.worker.output(false) {
            self.packager.encoded(&rendition, unit);
        }
    }

    fn cues(&mut self, cues: &[Cue]) {
        for cue in cues {
            if let (Cue::Withdraw { .. }, Some(rate)) = (cue, self.source_rate) {
                self.worker.add("source", rate);
            }
            self.worker.cue(cue);
        }
    }
}

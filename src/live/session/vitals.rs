//! How the session's publisher is doing: what is measured of it here, held against the limits once a second.

use super::super::journal::Journal;
use super::plan::{PASSTHROUGH_KEYFRAME_MAX, Reencoded};
use crate::api::LogKind;
use ingest::health::{Change, Gauge, Limits, Measured, Monitor, Report, Severity};
use media::{AccessUnit, Announced, silence};
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A mended fault of the clock is told for so long.
const FAULTS: Duration = Duration::from_secs(60);
/// A loss of the publisher counts for so long.
const LOSSES: Duration = Duration::from_secs(600);
/// Faults and losses that are counted; there are no worse ones.
const COUNTED_MAX: usize = 100;

/// What was found at the last look.
#[derive(Debug, Clone)]
pub struct Health {
    /// The numbers.
    pub measured: Measured,
    /// What they mean.
    pub report: Report,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Vitals {
    gauge: Gauge,
    monitor: Monitor,
    /// When the publisher's clock was mended.
    faults: VecDeque<Instant>,
    /// When the publisher was lost.
    losses: VecDeque<Instant>,
    /// Bits a second the publisher said its sound may have.
    audio_bps: Option<f64>,
    /// Why its pictures are re-encoded.
    reencoded: Option<Reencoded>,
    due: Instant,
}

impl Vitals {
    /// Of a session whose source is re-encoded for the reason given, if it is.
    pub fn new(limits: Limits, reencoded: Option<Reencoded>, now: Instant) -> Self {
        let (gauge, monitor) = (Gauge::default(), Monitor::new(limits));
        Self {
            gauge,
            monitor,
            faults: VecDeque::new(),
            losses: VecDeque::new(),
            audio_bps: None,
            reencoded,
            due: now + EVERY,
        }
    }

    /// Looks at a unit as the publisher sent it. Silence that was made in its place is none.
    pub fn unit(&mut self, unit: &AccessUnit, now: Instant) {
        let made = unit.audio().and_then(|config| silence::frame(config));
        if made.is_none_or(|(frame, _)| frame != unit.data) {
            self.gauge.push(unit, now);
        }
    }

    /// The publisher's clock was mended.
    pub fn fault(&mut self, now: Instant) {
        self.gauge.jumped();
        count(&mut self.faults, now);
    }

    /// The publisher was lost.
    pub fn lost(&mut self, now: Instant) {
        count(&mut self.losses, now);
    }

    /// Another publisher: nothing of the one before is true of it.
    pub fn arrived(&mut self) {
        self.gauge.reset();
        self.audio_bps = None;
        if let Some(Reencoded::Unfit(_)) = self.reencoded {
            self.reencoded = Some(Reencoded::Earlier);
        }
    }

    /// What the publisher said of its media.
    pub fn announced(&mut self, announced: &Announced) {
        self.audio_bps = announced.audio_bps;
    }

    /// The source is re-encoded from now on: cause and cure.
    pub fn withhold(&mut self, reason: &str) {
        self.reencoded = Some(Reencoded::Unfit(reason.to_owned()));
    }

    /// What is found now and what became of issues, once a second. `shed` are renditions without room, `late` is the worker.
    pub fn look(
        &mut self,
        shed: impl FnOnce() -> Vec<String>,
        late: impl FnOnce() -> Option<Duration>,
        is_attended: bool,
        now: Instant,
    ) -> Option<(Health, Vec<Change>)> {
        if now < self.due {
            return None;
        }
        self.due = now + EVERY;
        forget(&mut self.faults, FAULTS, now);
        forget(&mut self.losses, LOSSES, now);
        let measured = self.gauge.look(now);
        let measured = Measured {
            clock_faults: self.faults.len() as u32,
            losses: self.losses.len() as u32,
            announced_audio_bps: self.audio_bps,
            withheld: self.why_reencoded(&measured).filter(|_| is_attended),
            lag_s: late().map(|late| late.as_secs_f64()),
            shed: shed(),
            is_attended,
            ..measured
        };
        let changes = self.monitor.look(&measured, now, SystemTime::now());
        Some((Health { measured, report: self.monitor.report() }, changes))
    }
}

impl Vitals {
    /// Who has set the encoder right since the last session is not told of it again; the next one is passed through.
    fn why_reencoded(&self, measured: &Measured) -> Option<String> {
        match self.reencoded.as_ref()? {
            Reencoded::Unfit(reason) => Some(reason.clone()),
            Reencoded::Earlier => Some("Stop streaming, wait until the watch page says that the stream has ended, and start again: the next session passes through what can be.".into()),
            Reencoded::Remembered(_)
                if measured.video.is_some_and(|v| v.keyframe_s <= PASSTHROUGH_KEYFRAME_MAX.as_secs_f64()) =>
            {
                None
            }
            Reencoded::Remembered(interval) => Some(format!(
                "Keyframes were {:.1} s apart in this key's last session; in OBS: Settings, Output, Streaming, Keyframe Interval: 2 s.",
                interval.as_secs_f64()
            )),
        }
    }
}

fn count(times: &mut VecDeque<Instant>, now: Instant) {
    times.push_back(now);
    if times.len() > COUNTED_MAX {
        times.pop_front();
    }
}

fn forget(times: &mut VecDeque<Instant>, age: Duration, now: Instant) {
    while times.pop_front_if(|at| now.saturating_duration_since(*at) > age).is_some() {}
}

/// One line for each change, in the log and in the stream's journal.
pub(super) fn tell(change: &Change, journal: &Journal) {
    match change {
        Change::Is(issue) => {
            metrics::counter!("weir_health_issues_total", "code" => issue.code.name()).increment(1);
            tracing::warn!(code = issue.code.name(), severity = ?issue.severity, cure = issue.cure, "{}", issue.problem);
            let kind = match issue.severity {
                Severity::Warning => LogKind::Warning,
                Severity::Bad => LogKind::Bad,
            };
            journal.note(kind, format!("{} {}", issue.problem, issue.cure));
        }
        Change::Over(code) => {
            tracing::info!(code = code.name(), "this is well again");
            journal.note(LogKind::Info, format!("Well again: {}.", code.words()));
        }
    }
}

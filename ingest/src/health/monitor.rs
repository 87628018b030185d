//! The [`Monitor`]: keeps the issues of a session.

use super::rules::{Finding, judge};
use super::{Code, Issue, Limits, Measured, Report, Severity, Verdict};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// A limit must be passed for so long before it is an issue.
const OPENS_AFTER: Duration = Duration::from_secs(3);
/// A value must be clearly good for so long before its issue is over.
const CLOSES_AFTER: Duration = Duration::from_secs(5);

/// What became of an issue.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is one from now on, or is worse or better than it was.
    Is(Issue),
    /// It is over.
    Over(Code),
}

/// Holds what is measured against the limits and remembers what is wrong since when.
#[derive(Debug, Default)]
pub struct Monitor {
    limits: Limits,
    open: BTreeMap<Code, Issue>,
    /// Since when a value is beyond its limit, or clearly within it while its issue is open.
    turning: BTreeMap<Code, (bool, Instant)>,
    has_data: bool,
}

impl Monitor {
    /// A monitor with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Looks at what was measured; call it about once a second. `now` must not go back; `wall` is what issues are dated with.
    pub fn look(&mut self, measured: &Measured, now: Instant, wall: SystemTime) -> Vec<Change> {
        self.has_data = measured.is_attended && (measured.video.is_some() || measured.audio.is_some());
        let found = judge(measured, &self.limits);
        let mut changes = Vec::new();
        // What can't be told any more is no issue: there is no picture, no worker.
        let told = |code: &Code| found.iter().any(|finding| finding.code == *code);
        self.turning.retain(|code, _| told(code));
        let gone: Vec<Code> = self.open.keys().copied().filter(|code| !told(code)).collect();
        for code in gone {
            self.open.remove(&code);
            changes.push(Change::Over(code));
        }
        for finding in found {
            changes.extend(self.follow(finding, now, wall));
        }
        changes
    }

    fn follow(&mut self, finding: Finding, now: Instant, wall: SystemTime) -> Option<Change> {
        let code = finding.code;
        let Some(issue) = self.open.get_mut(&code) else {
            let Some(severity) = finding.severity else {
                self.turning.remove(&code);
                return None;
            };
            let (_, since) = *self.turning.entry(code).or_insert((true, now));
            if now.saturating_duration_since(since) < OPENS_AFTER {
                return None;
            }
            self.turning.remove(&code);
            let issue = Issue {
                code,
                severity,
                value: finding.value,
                limit: finding.limit,
                unit: finding.unit,
                since: wall,
                problem: finding.problem,
                cure: finding.cure,
            };
            self.open.insert(code, issue.clone());
            return Some(Change::Is(issue));
        };
        if finding.is_clear {
            let (_, since) = *self.turning.entry(code).or_insert((false, now));
            if now.saturating_duration_since(since) < CLOSES_AFTER {
                return None;
            }
            self.turning.remove(&code);
            self.open.remove(&code);
            return Some(Change::Over(code));
        }
        self.turning.remove(&code);
        issue.value = finding.value;
        // Near its limit it keeps the words it has.
        let severity = finding.severity?;
        let is_other = severity > issue.severity;
        (issue.problem, issue.cure) = (finding.problem, finding.cure);
        issue.severity = issue.severity.max(severity);
        is_other.then(|| Change::Is(issue.clone()))
    }

    /// How the session is.
    pub fn report(&self) -> Report {
        let mut issues: Vec<Issue> = self.open.values().cloned().collect();
        issues.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.since.cmp(&b.since)));
        let verdict = match issues.first().map(|issue| issue.severity) {
            _ if !self.has_data => Verdict::NoData,
            None => Verdict::Good,
            Some(Severity::Warning) => Verdict::Ok,
            Some(Severity::Bad) => Verdict::Bad,
        };
        Report { verdict, issues }
    }
}

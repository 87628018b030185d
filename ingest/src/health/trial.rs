//! The [`Trial`]: a minute of health reports summed up to a score, for a streamer who tries settings before a show.

use super::{Code, Issue, Report, Severity, Verdict};
use std::collections::BTreeMap;

/// Looks with data that a score needs; one a second.
const LOOKS: u32 = 60;
/// What an issue costs of a hundred points when it is there all the time. It costs half as much when it was there at all: viewers of
/// a show do not know that it will pass.
const BAD_COST: f64 = 40.0;
const WARNING_COST: f64 = 12.0;

/// What was wrong in a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Flaw {
    /// The issue as it was at its worst.
    pub issue: Issue,
    /// In how many looks it was there.
    pub looks: u32,
}

/// Sums up what is reported once a second. What comes after the first minute with data changes nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    looks: u32,
    flaws: BTreeMap<Code, Flaw>,
}

impl Trial {
    /// Takes the newest report. One without data is none: the encoder has not begun, or has stopped.
    pub fn look(&mut self, report: &Report) {
        if self.left() == 0 || report.verdict == Verdict::NoData {
            return;
        }
        self.looks += 1;
        for issue in &report.issues {
            let flaw = self.flaws.entry(issue.code).or_insert_with(|| Flaw { issue: issue.clone(), looks: 0 });
            flaw.looks += 1;
            if issue.severity >= flaw.issue.severity {
                flaw.issue = issue.clone();
            }
        }
    }

    /// Seconds with data until there is a score.
    pub fn left(&self) -> u32 {
        LOOKS - self.looks
    }

    /// Of a hundred points; `None` before a minute was seen.
    pub fn score(&self) -> Option<u8> {
        let cost = |flaw: &Flaw| {
            let whole = if flaw.issue.severity == Severity::Bad { BAD_COST } else { WARNING_COST };
            whole * (0.5 + 0.5 * f64::from(flaw.looks) / f64::from(LOOKS))
        };
        let lost: f64 = self.flaws.values().map(cost).sum();
        (self.left() == 0).then(|| (100.0 - lost).clamp(0.0, 100.0).round() as u8)
    }

    /// What was wrong so far, the worst first.
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = self.flaws.values().cloned().collect();
        flaws.sort_by_key(|flaw| std::cmp::Reverse((flaw.issue.severity, flaw.looks)));
        flaws
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::SystemTime;

    fn issue(code: Code, severity: Severity) -> Issue {
        let (problem, cure) = (String::new(), String::new());
        Issue { code, severity, value: 2.0, limit: 1.0, unit: "", since: SystemTime::UNIX_EPOCH, problem, cure }
    }

    fn report(issues: Vec<Issue>) -> Report {
        let verdict = if issues.is_empty() { Verdict::Good } else { Verdict::Ok };
        Report { verdict, issues }
    }

    /// The score of a minute whose first `looks` seconds had this issue.
    fn score(severity: Severity, looks: u32) -> u8 {
        let mut trial = Trial::default();
        for n in 0..LOOKS {
            trial.look(&report(if n < looks { vec![issue(Code::BFrames, severity)] } else { Vec::new() }));
        }
        trial.score().unwrap()
    }

    #[test]
    fn a_minute_without_an_issue_has_all_points() {
        assert_eq!(score(Severity::Bad, 0), 100);
        assert_eq!((score(Severity::Warning, LOOKS), score(Severity::Bad, LOOKS)), (88, 60));
        assert!(score(Severity::Bad, 1) < 81 && score(Severity::Bad, 1) > score(Severity::Bad, LOOKS));
    }

    #[test]
    fn there_is_no_score_before_a_minute_with_data() {
        let mut trial = Trial::default();
        for _ in 0..LOOKS - 1 {
            trial.look(&report(Vec::new()));
            trial.look(&Report { verdict: Verdict::NoData, issues: Vec::new() });
        }
        assert_eq!((trial.score(), trial.left()), (None, 1));
        trial.look(&report(Vec::new()));
        assert_eq!(trial.score(), Some(100));
    }

    #[test]
    fn an_issue_is_told_as_it_was_at_its_worst() {
        let mut trial = Trial::default();
        for severity in [Severity::Warning, Severity::Bad, Severity::Warning] {
            trial.look(&report(vec![issue(Code::Uplink, severity)]));
        }
        let flaws = trial.flaws();
        assert_eq!((flaws.len(), flaws[0].looks, flaws[0].issue.severity), (1, 3, Severity::Bad));
    }

    proptest! {
        #[test]
        fn more_seconds_of_an_issue_never_score_better(looks in 0..LOOKS, bad: bool) {
            let severity = if bad { Severity::Bad } else { Severity::Warning };
            prop_assert!(score(severity, looks + 1) <= score(severity, looks));
        }
    }
}

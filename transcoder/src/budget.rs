//! How much encoding this machine carries, and who has taken how much of it. Pure but for the count behind a lock.

use crate::SourceShape;
use media::Rung;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The share of the processors that ladders may plan on; the rest is for packaging, viewers and hard scenes.
const SHARE: f64 = 0.85;
/// Cores that are rounding, not a session.
const NOTHING: f64 = 0.001;

/// The machine's budget for encoding; clones share it.
///
/// ```
/// use transcoder::Budget;
/// let budget = Budget::new(2, 53e6);
/// assert_eq!(budget.free(), 1.7);
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    cores: usize,
    /// Luma samples a core encodes in a second.
    speed: f64,
    used: Arc<Mutex<Used>>,
}

/// Cores that are planned on.
#[derive(Debug, Default)]
struct Used {
    firm: f64,
    lent: f64,
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    cores: f64,
    is_lent: bool,
}

impl Budget {
    /// The budget of a machine with so many `cores` that encode `speed` luma samples a second each (x264 veryfast; see
    /// `pipelines::Report::speed`).
    pub fn new(cores: usize, speed: f64) -> Self {
        Self { cores: cores.max(1), speed: speed.max(1.0), used: Arc::default() }
    }

    /// Cores that no session has planned on, but those that are lent.
    pub fn free(&self) -> f64 {
        (self.total() - self.used().firm).max(0.0)
    }

    /// Cores of the machine.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Luma samples a core encodes in a second.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Cores that may be planned on.
    pub fn total(&self) -> f64 {
        self.cores as f64 * SHARE
    }

    /// Cores that sessions have planned on, those that are lent too.
    pub fn planned(&self) -> f64 {
        let used = self.used();
        used.firm + used.lent
    }

    /// Whether what is lent is needed by others.
    pub fn is_overdrawn(&self) -> bool {
        let used = self.used();
        used.lent > NOTHING && used.firm + used.lent > self.total()
    }

    /// Takes the largest ladder that fits what is free: rungs go from the top, as each costs as much as all below it. With
    /// `needs_one` (nothing is passed through) the smallest rung is what a session must have.
    ///
    /// # Errors
    /// The cores it would take at least, when even that does not fit.
    pub fn take(&self, rungs: &mut Vec<Rung>, source: &SourceShape, needs_one: bool) -> Result<Share, f64> {
        let mut used = self.used();
        let free = self.total() - used.firm;
        let mut cores = self.cost(rungs, source);
        while cores > free && rungs.len() > usize::from(needs_one) {
            rungs.remove(0);
            cores = self.cost(rungs, source);
        }
        // The first session of a machine gets its smallest rung however slow the machine is.
        if cores > free && used.firm > NOTHING {
            return Err(cores);
        }
        used.firm += cores;
        Ok(Share { budget: self.clone(), cores, is_lent: false })
    }

    /// Plans on these rungs whether they fit or not: a session that goes on after a restart keeps its renditions.
    pub fn claim(&self, rungs: &[Rung], source: &SourceShape) -> Share {
        let cores = self.cost(rungs, source);
        self.used().firm += cores;
        Share { budget: self.clone(), cores, is_lent: false }
    }

    fn cost(&self, rungs: &[Rung], source: &SourceShape) -> f64 {
        if rungs.is_empty() {
            return 0.0;
        }
        let encoding: f64 = rungs.iter().map(|rung| pipelines::cost::of_encoding(rung, self.speed, self.cores)).sum();
        encoding + pipelines::cost::of_decoding(source.width, source.height, source.frame_rate, self.speed)
    }

    /// A sum can't be half done, so poison is ignored.
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// One more rung is encoded from now on: what is passed through no longer must be, whether it fits or not.
    pub fn add(&mut self, rung: &Rung) {
        let more = pipelines::cost::of_encoding(rung, self.budget.speed, self.budget.cores);
        *self.budget.used().part(self.is_lent) += more;
        self.cores += more;
    }

    /// From now on others may plan on it too, and it is to be given back when they do (see [`Budget::is_overdrawn`]).
    pub fn lend(&mut self) {
        let mut used = self.budget.used();
        if !self.is_lent {
            *used.part(false) = (used.firm - self.cores).max(0.0);
            *used.part(true) += self.cores;
        }
        drop(used);
        self.is_lent = true;
    }
}

impl Used {
    fn part(&mut self, is_lent: bool) -> &mut f64 {
        if is_lent { &mut self.lent } else { &mut self.firm }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self.budget.used();
        let part = used.part(self.is_lent);
        *part = (*part - self.cores).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ladder;
    use media::FrameRate;

    const SHAPE: SourceShape =
        SourceShape { width: 1920, height: 1080, sample_aspect: (1, 1), frame_rate: FrameRate { num: 30, den: 1 } };

    fn names(rungs: &[Rung]) -> Vec<&str> {
        rungs.iter().map(|rung| rung.name.as_str()).collect()
    }

    #[test]
    fn each_session_gets_the_largest_ladder_that_fits() {
        let (budget, ladder) = (Budget::new(2, 53e6), Ladder::default());
        let take = || {
            let mut rungs = ladder.rungs(&SHAPE, false);
            budget.take(&mut rungs, &SHAPE, false).map(|share| (share, rungs))
        };
        let (first, rungs) = take().expect("an idle machine");
        assert_eq!(names(&rungs), ["720p", "480p", "360p"]);
        let (_second, rungs) = take().expect("passthrough always fits");
        assert_eq!(names(&rungs), ["480p", "360p"], "{}", budget.free());
        let (_third, rungs) = take().expect("passthrough always fits");
        assert_eq!(names(&rungs), Vec::<&str>::new(), "{}", budget.free());
        drop(first);
        let (_fourth, rungs) = take().expect("room again");
        assert_eq!(names(&rungs), ["720p", "480p", "360p"]);
    }

    #[test]
    fn what_must_be_encoded_is_refused_when_nothing_fits() {
        let (budget, ladder) = (Budget::new(2, 53e6), Ladder::default());
        let mut shares = Vec::new();
        let least = loop {
            let mut rungs = ladder.rungs(&SHAPE, true);
            match budget.take(&mut rungs, &SHAPE, true) {
                Ok(share) => {
                    assert!(!rungs.is_empty());
                    shares.push(share);
                }
                Err(least) => break least,
            }
        };
        assert!(shares.len() > 1 && least > budget.free(), "{} shares, {least} of {}", shares.len(), budget.free());
        shares.clear();
        assert!((budget.free() - 2.0 * SHARE).abs() < NOTHING, "{}", budget.free());
    }

    #[test]
    fn a_slow_machine_still_serves_one_stream() {
        let mut rungs = Ladder::default().rungs(&SHAPE, true);
        assert!(Budget::new(1, 1e6).take(&mut rungs, &SHAPE, true).is_ok());
        assert_eq!(names(&rungs), ["360p"]);
    }

    #[test]
    fn what_is_lent_is_in_nobodys_way() {
        let (budget, ladder) = (Budget::new(2, 53e6), Ladder::default());
        let take = || {
            let mut rungs = ladder.rungs(&SHAPE, false);
            (budget.take(&mut rungs, &SHAPE, false).expect("passthrough always fits"), rungs.len())
        };
        let (mut lent, _) = take();
        lent.lend();
        lent.lend();
        assert!(!budget.is_overdrawn() && (budget.free() - 2.0 * SHARE).abs() < NOTHING, "{}", budget.free());
        let (_firm, given) = take();
        assert_eq!(given, 3);
        assert!(budget.is_overdrawn());
        drop(lent);
        assert!(!budget.is_overdrawn());
    }

    #[test]
    fn a_rung_added_later_counts() {
        let budget = Budget::new(4, 53e6);
        let mut rungs = Vec::new();
        let mut share = budget.take(&mut rungs, &SHAPE, false).expect("nothing");
        share.add(&Ladder::default().source_rung(&SHAPE));
        assert!(budget.free() < 3.0, "{}", budget.free());
        drop(share);
        assert!((budget.free() - 3.4).abs() < 1e-9);
    }
}

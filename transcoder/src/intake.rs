//! The [`Intake`]: what waits for the worker, and what is kept to prime the next one. Pure; no I/O, no clock.

use media::{AccessUnit, MediaTime, Rung, Track};
use std::collections::VecDeque;

/// Video that may wait for the worker. More would be shown too late to be of use.
const QUEUE_MAX: MediaTime = MediaTime::from_millis(2_000);
/// Media kept since the keyframe before the last, to prime a new worker.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// Boundaries remembered for checking what comes back; at one a second, minutes.
const PLAN_MAX: usize = 256;
/// Entries of any kind that may wait; only reached when units are tiny and many.
const ENTRIES_MAX: usize = 8192;

/// One thing for the worker.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Unit(AccessUnit),
    Boundary {
        msn: u64,
        at: MediaTime,
        discontinuity: bool,
    },
    AddRung {
        at: MediaTime,
        rung: Rung,
    },
    /// A unit that was dropped from the queue; its place stays so that others keep theirs.
    Gone,
}

/// See the module. Entries are numbered; those below `next` were given to the worker at work.
#[derive(Debug)]
pub(crate) struct Intake {
    log: VecDeque<Entry>,
    first: u64,
    next: u64,
    /// Everything below was given to some worker; only what is above counts as waiting.
    given: u64,
    kept_bytes: usize,
    /// Numbers of the keyframes in the log, oldest first, each with the boundary its segment began at.
    keyframes: VecDeque<(u64, MediaTime, Option<Boundary>)>,
    plan: VecDeque<MediaTime>,
    newest_boundary: Option<Boundary>,
    skipping: bool,
    /// Told before anything else after a rewind.
    resume: Option<Boundary>,
    heir: Heir,
    newest_dts: Option<MediaTime>,
    pub(crate) dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boundary {
    pub msn: u64,
    pub at: MediaTime,
    pub discontinuity: bool,
}

impl From<Boundary> for Entry {
    fn from(Boundary { msn, at, discontinuity }: Boundary) -> Self {
        Self::Boundary { msn, at, discontinuity }
    }
}

/// What a worker beside the one at work is given: everything from a keyframe on.
#[derive(Debug, Default)]
struct Heir {
    /// The next keyframe is where it begins.
    is_invited: bool,
    next: Option<u64>,
    /// The boundary whose segment that keyframe is in, told first.
    resume: Option<Boundary>,
    /// The first boundary it can be held to.
    takes_over: Option<MediaTime>,
}

impl Intake {
    pub fn new() -> Self {
        Self {
            log: VecDeque::new(),
            first: 0,
            next: 0,
            given: 0,
            kept_bytes: 0,
            keyframes: VecDeque::new(),
            plan: VecDeque::new(),
            newest_boundary: None,
            skipping: false,
            resume: None,
            heir: Heir::default(),
            newest_dts: None,
            dropped: 0,
        }
    }

    /// Adds a unit. Drops queued video up to the next keyframe when too much waits, beside `burst`, which came at once.
    pub fn unit(&mut self, unit: AccessUnit, burst: MediaTime) {
        if unit.track() == Track::Video {
            if unit.sync {
                self.skipping = false;
            }
            if self.skipping {
                self.dropped += 1;
                return;
            }
            self.newest_dts = Some(unit.dts);
            if unit.sync {
                self.keyframes.push_back((self.end(), unit.pts, self.newest_boundary));
                if std::mem::take(&mut self.heir.is_invited) {
                    let starts = self.newest_boundary.map(|boundary| boundary.at).filter(|at| *at == unit.pts);
                    self.heir.next = Some(self.end());
                    (self.heir.resume, self.heir.takes_over) = (self.newest_boundary, starts);
                }
            }
        }
        self.kept_bytes += unit.data.len();
        self.log.push_back(Entry::Unit(unit));
        self.shed(burst);
    }

    pub fn boundary(&mut self, boundary: Boundary) {
        self.newest_boundary = Some(boundary);
        self.plan.push_back(boundary.at);
        if self.heir.next.is_some() {
            self.heir.takes_over.get_or_insert(boundary.at);
        }
        if self.plan.len() > PLAN_MAX {
            self.plan.pop_front();
        }
        self.log.push_back(boundary.into());
    }

    pub fn add_rung(&mut self, at: MediaTime, rung: Rung) {
        self.log.push_back(Entry::AddRung { at, rung });
    }

    /// A boundary that is told before the next entry.
    pub fn resume_from(&mut self, boundary: Option<Boundary>) {
        self.resume = boundary;
    }

    /// The next entry for the worker.
    pub fn pop(&mut self) -> Option<Entry> {
        if let Some(boundary) = self.resume.take() {
            return Some(boundary.into());
        }
        loop {
            let entry = self.at(self.next)?.clone();
            self.next += 1;
            self.given = self.given.max(self.next);
            self.forget();
            if !matches!(entry, Entry::Gone) {
                return Some(entry);
            }
        }
    }

    /// Another worker shall have everything from the next keyframe on, beside the one at work.
    pub fn invite_heir(&mut self) {
        self.heir = Heir { is_invited: true, ..Heir::default() };
    }

    /// The next entry for that worker; nothing before its keyframe has come.
    pub fn pop_for_heir(&mut self) -> Option<Entry> {
        let mut next = self.heir.next?;
        if let Some(boundary) = self.heir.resume.take() {
            return Some(boundary.into());
        }
        loop {
            let entry = self.at(next)?.clone();
            next += 1;
            self.heir.next = Some(next);
            self.given = self.given.max(next);
            self.forget();
            if !matches!(entry, Entry::Gone) {
                return Some(entry);
            }
        }
    }

    /// The boundary from which both workers make the same pictures.
    pub fn heir_takes_over(&self) -> Option<MediaTime> {
        self.heir.takes_over
    }

    /// The heir is the worker at work from now on.
    pub fn succeed(&mut self) {
        let heir = std::mem::take(&mut self.heir);
        self.next = heir.next.unwrap_or(self.next);
        self.resume = heir.resume;
    }

    /// The heir is given nothing any more.
    pub fn dismiss_heir(&mut self) {
        self.heir = Heir::default();
    }

    /// Decode time of the newest picture put in.
    pub fn newest_dts(&self) -> Option<MediaTime> {
        self.newest_dts
    }

    /// Something waits for the worker at work, or for its heir.
    pub fn is_waiting(&self, heir: bool) -> bool {
        let next = if heir { self.heir.next } else { Some(self.next) };
        next.is_some_and(|next| next < self.end())
    }

    /// Boundaries announced so far, oldest first.
    pub fn plan(&self) -> impl DoubleEndedIterator<Item = MediaTime> + '_ {
        self.plan.iter().copied()
    }

    /// Goes back so that a new worker can decode from `from` on: to the newest keyframe kept at or before it, or the oldest
    /// kept. Gives the boundary whose segment that keyframe is in, which is to be told first. With `None`, to the newest keyframe.
    pub fn rewind(&mut self, from: Option<MediaTime>) -> Option<Boundary> {
        let given = self.given;
        let kept = |(number, _, _): &&(u64, MediaTime, Option<Boundary>)| *number < given;
        let before = self.keyframes.iter().filter(kept).rev().find(|(_, pts, _)| from.is_none_or(|from| *pts <= from));
        let keyframe = before.or_else(|| self.keyframes.iter().find(|k| kept(k))).copied();
        match keyframe {
            Some((number, _, boundary)) => {
                self.next = number;
                boundary
            }
            None => self.skip(),
        }
    }

    /// Goes on with the first keyframe that no worker has seen, for when the kept ones killed one.
    pub fn skip(&mut self) -> Option<Boundary> {
        let keyframe = self.keyframes.iter().find(|(number, _, _)| *number >= self.given).copied();
        let end = keyframe.map_or(self.end(), |(number, _, _)| number);
        self.skipping = keyframe.is_none();
        self.drop_video(self.given, end);
        self.next = self.given;
        self.newest_boundary.filter(|_| keyframe.is_none()).or(keyframe.and_then(|(_, _, boundary)| boundary))
    }

    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn at(&self, number: u64) -> Option<&Entry> {
        self.log.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.log.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Drops what waits too long: video up to the next keyframe that waits, or up to the next one to come.
    fn shed(&mut self, burst: MediaTime) {
        let waiting = self.given.max(self.next);
        let index = usize::try_from(waiting - self.first).unwrap_or(usize::MAX);
        let oldest = self.log.iter().skip(index).find_map(|entry| match entry {
            Entry::Unit(unit) if unit.track() == Track::Video => Some(unit.dts),
            _ => None,
        });
        let late = oldest.zip(self.newest_dts).is_some_and(|(oldest, newest)| newest - oldest > QUEUE_MAX + burst);
        let many = self.log.len().saturating_sub(index) > ENTRIES_MAX;
        if !late && !many {
            return;
        }
        // Not the keyframe that waits first: everything would stay as it is.
        let first_video = (waiting..self.end()).find(|n| {
            self.log
                .get((n - self.first) as usize)
                .is_some_and(|e| matches!(e, Entry::Unit(u) if u.track() == Track::Video))
        });
        let keyframe = self
            .keyframes
            .iter()
            .map(|(number, _, _)| *number)
            .find(|number| first_video.is_some_and(|first| *number > first));
        self.skipping = keyframe.is_none();
        self.drop_video(waiting, keyframe.unwrap_or(self.end()));
        if many {
            self.drop_all(waiting);
        }
    }

    fn drop_video(&mut self, from: u64, to: u64) {
        for number in from..to {
            let Some(entry) = self.entry(number) else { continue };
            if let Entry::Unit(unit) = entry
                && unit.track() == Track::Video
            {
                let bytes = unit.data.len();
                *entry = Entry::Gone;
                self.kept_bytes -= bytes;
                self.dropped += 1;
            }
        }
        self.keyframes.retain(|(number, _, _)| !(from..to).contains(number));
    }

    fn drop_all(&mut self, from: u64) {
        for number in from..self.end() {
            let Some(entry) = self.entry(number) else { continue };
            if let Entry::Unit(unit) = entry {
                let bytes = unit.data.len();
                *entry = Entry::Gone;
                self.kept_bytes -= bytes;
                self.dropped += 1;
            }
        }
        self.keyframes.retain(|(number, _, _)| *number < from);
    }

    /// Lets go of what no worker will need: everything before the keyframe before the last one given, or, when that is
    /// too much, before the last one, or everything given.
    fn forget(&mut self) {
        let given: Vec<u64> =
            self.keyframes.iter().map(|(number, _, _)| *number).filter(|number| *number < self.reached()).collect();
        let keep_from = match given.as_slice() {
            [] => self.reached(),
            [only] => *only,
            [.., older, _] => *older,
        };
        self.forget_before(keep_from);
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.forget_before(given.last().copied().unwrap_or(self.reached()));
        }
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.forget_before(self.reached());
        }
    }

    /// Everything below was given to each worker that is to have it.
    fn reached(&self) -> u64 {
        self.heir.next.unwrap_or(self.next).min(self.next)
    }

    fn forget_before(&mut self, number: u64) {
        while self.first < number.min(self.reached()) {
            if let Some(Entry::Unit(unit)) = self.log.pop_front() {
                self.kept_bytes -= unit.data.len();
            }
            self.first += 1;
        }
        while self.keyframes.front().is_some_and(|(n, _, _)| *n < self.first) {
            self.keyframes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{ColorInfo, Config, VideoCodec, VideoConfig};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn picture(ms: i64, sync: bool, size: usize) -> AccessUnit {
        let config = VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::new(),
            nal_length_size: 4,
            width: 16,
            height: 16,
            sample_aspect: (1, 1),
            codecs: String::new(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo::UNSPECIFIED,
        };
        let at = MediaTime::from_millis(ms);
        AccessUnit { config: Config::Video(Arc::new(config)), dts: at, pts: at, sync, data: vec![0; size].into() }
    }

    fn boundary(ms: i64) -> Boundary {
        Boundary { msn: 0, at: MediaTime::from_millis(ms), discontinuity: false }
    }

    /// Pictures each 100 ms, a keyframe and its boundary each second.
    fn feed(intake: &mut Intake, from_ms: i64, to_ms: i64) {
        for ms in (from_ms..to_ms).step_by(100) {
            if ms % 1000 == 0 {
                intake.boundary(boundary(ms));
            }
            intake.unit(picture(ms, ms % 1000 == 0, 100), MediaTime::ZERO);
        }
    }

    fn stamps(intake: &mut Intake) -> Vec<i64> {
        let mut out = Vec::new();
        while let Some(entry) = intake.pop() {
            if let Entry::Unit(unit) = entry {
                out.push(unit.pts.as_millis());
            }
        }
        out
    }

    #[test]
    fn overflow_skips_to_the_next_keyframe() {
        let mut intake = Intake::new();
        feed(&mut intake, 0, 2500);
        assert_eq!(stamps(&mut intake).first(), Some(&1000));
        assert_eq!(intake.dropped, 10);
    }

    #[test]
    fn what_came_at_once_is_not_skipped() {
        let mut intake = Intake::new();
        for ms in (0..5_000).step_by(100) {
            intake.unit(picture(ms, ms % 1000 == 0, 100), MediaTime::from_millis(ms));
        }
        assert_eq!((stamps(&mut intake).len(), intake.dropped), (50, 0));
    }

    #[test]
    fn overflow_without_keyframe_waits_for_one() {
        let mut intake = Intake::new();
        for ms in (0..3000).step_by(100) {
            intake.unit(picture(ms, ms == 0, 100), MediaTime::ZERO);
        }
        intake.unit(picture(3000, true, 100), MediaTime::ZERO);
        assert_eq!(stamps(&mut intake), [3000]);
    }

    #[test]
    fn a_new_worker_begins_at_the_keyframe_before_the_frontier() {
        let mut intake = Intake::new();
        for second in 0..5 {
            feed(&mut intake, second * 1000, second * 1000 + 1000);
            stamps(&mut intake);
        }
        assert_eq!(intake.rewind(Some(MediaTime::from_millis(3900))), Some(boundary(3000)));
        assert_eq!(stamps(&mut intake).first(), Some(&3000));
        assert_eq!(intake.rewind(None), Some(boundary(4000)));
        assert_eq!(stamps(&mut intake).first(), Some(&4000));
    }

    #[test]
    fn a_poisoned_group_is_not_given_twice() {
        let mut intake = Intake::new();
        feed(&mut intake, 0, 1500);
        stamps(&mut intake);
        feed(&mut intake, 1500, 2300);
        assert_eq!(intake.skip(), Some(boundary(2000)));
        assert_eq!(stamps(&mut intake), [2000, 2100, 2200]);
    }

    #[test]
    fn an_heir_begins_at_the_next_keyframe_and_takes_over_at_its_boundary() {
        let mut intake = Intake::new();
        feed(&mut intake, 0, 1500);
        stamps(&mut intake);
        intake.invite_heir();
        assert!(intake.pop_for_heir().is_none());
        feed(&mut intake, 1500, 2300);
        assert_eq!(intake.heir_takes_over(), Some(MediaTime::from_millis(2000)));
        assert!(matches!(intake.pop_for_heir(), Some(Entry::Boundary { at, .. }) if at.as_millis() == 2000));
        assert!(matches!(intake.pop_for_heir(), Some(Entry::Unit(unit)) if unit.sync && unit.pts.as_millis() == 2000));
        assert_eq!(stamps(&mut intake).first(), Some(&1500), "the one at work misses nothing");
        intake.succeed();
        assert_eq!(stamps(&mut intake), [2100, 2200], "the heir goes on where it was");
    }

    #[test]
    fn an_heir_that_begins_inside_a_segment_takes_over_at_the_next_boundary() {
        let mut intake = Intake::new();
        intake.boundary(boundary(0));
        intake.unit(picture(0, true, 100), MediaTime::ZERO);
        intake.invite_heir();
        intake.unit(picture(500, true, 100), MediaTime::ZERO);
        assert_eq!(intake.heir_takes_over(), None);
        intake.boundary(boundary(2000));
        intake.boundary(boundary(4000));
        assert_eq!(intake.heir_takes_over(), Some(MediaTime::from_millis(2000)));
        assert!(matches!(intake.pop_for_heir(), Some(Entry::Boundary { at, .. }) if at.as_millis() == 0));
        intake.dismiss_heir();
        assert!(intake.pop_for_heir().is_none() && intake.heir_takes_over().is_none());
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let mut intake = Intake::new();
        for ms in (0..100_000).step_by(100) {
            intake.unit(picture(ms, ms == 0, 100_000), MediaTime::ZERO);
            intake.pop();
        }
        assert!(intake.kept_bytes <= KEPT_BYTES_MAX && intake.log.len() < 100);
        assert_eq!(intake.rewind(None), None);
        assert_eq!(stamps(&mut intake), Vec::<i64>::new());
    }

    proptest! {
        #[test]
        fn a_worker_always_begins_with_a_keyframe(ops in proptest::collection::vec((0u8..12, 0usize..200_000), 1..300)) {
            let (mut intake, mut ms, mut fresh) = (Intake::new(), 0, true);
            for (op, size) in ops {
                match op {
                    0..=6 => {
                        ms += 200;
                        intake.unit(picture(ms, op == 0, size), MediaTime::ZERO);
                    }
                    7 => intake.boundary(boundary(ms)),
                    8 => { intake.rewind(Some(MediaTime::from_millis(ms - 1000))); fresh = true; }
                    9 => { intake.skip(); fresh = true; }
                    _ => if let Some(Entry::Unit(unit)) = intake.pop() {
                        // The very first unit of a session is whatever the publisher sends; workers wait for a keyframe.
                        if fresh && intake.given > intake.next {
                            prop_assert!(unit.sync);
                        }
                        fresh = false;
                    }
                }
                prop_assert!(intake.log.len() <= 400);
            }
        }
    }
}

use crate::parts::PartRule;
use media::MediaTime;
use std::collections::VecDeque;

/// Segments remembered. A rendition may lag 8 s behind, which is at most 8 segments of a second and those of gaps; the
/// rest is for a burst of them.
const REMEMBERED: usize = 64;

/// One segment of the session's grid, the same for every rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Media sequence number.
    pub msn: u64,
    /// Presentation time of its IDR on every video rendition.
    pub start: MediaTime,
    /// Where its media ends: the next one's start, or before it when the timeline has a hole; `None` while it is open.
    pub end: Option<MediaTime>,
    /// The timeline, an encoding or a configuration breaks before it.
    pub discontinuity: bool,
    /// The spacing of its parts.
    pub part: MediaTime,
    /// How far the wall clock is ahead of the session's time by now, for its date.
    pub late: MediaTime,
}

/// The session's grid of segments, the newest ones; made by the [`crate::cutter::Cutter`], followed by every rendition.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How long parts are.
    pub rule: PartRule,
    segments: VecDeque<Planned>,
    first: Option<MediaTime>,
    /// The length of the newest segment that was not cut short by a discontinuity.
    usual: Option<MediaTime>,
    /// The longest a segment can be: EXTINF must round to the target at most.
    pub longest: MediaTime,
    /// No boundary will ever be placed at or before this time, but those that are planned already.
    pub settled: MediaTime,
}

impl Plan {
    /// An empty plan for parts by `rule` and segments of at most `longest`.
    pub fn new(rule: PartRule, longest: MediaTime) -> Self {
        Self { rule, longest, segments: VecDeque::new(), first: None, usual: None, settled: MediaTime::ZERO }
    }

    /// The newest segment, still open.
    pub fn open(&self) -> Option<&Planned> {
        self.segments.back()
    }

    /// Where the first segment of all began.
    pub fn first_start(&self) -> Option<MediaTime> {
        self.first
    }

    /// Ends the open segment at `end` and opens the next at `start`, with a date `late` after the session's time.
    pub fn cut(&mut self, msn: u64, end: MediaTime, start: MediaTime, discontinuity: bool, late: MediaTime) {
        if let Some(open) = self.segments.back_mut() {
            debug_assert!(end > open.start && start >= end && msn == open.msn + 1);
            open.end = Some(end);
            if !discontinuity {
                self.usual = Some(end - open.start);
            }
        }
        let part = self.usual.map_or(self.rule.usual, |length| self.rule.after(length));
        self.first.get_or_insert(start);
        self.segments.push_back(Planned { msn, start, end: None, discontinuity, part, late });
        if self.segments.len() > REMEMBERED {
            self.segments.pop_front();
        }
    }

    /// Ends the last segment; nothing comes after it.
    pub fn finish(&mut self, end: MediaTime) {
        if let Some(open) = self.segments.back_mut() {
            open.end = Some(end.max(open.start + MediaTime::from_ticks(1)));
        }
    }

    /// A segment by number.
    pub fn get(&self, msn: u64) -> Option<&Planned> {
        let first = self.segments.front()?.msn;
        self.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?)
    }

    /// The segment that starts at exactly `at`.
    pub fn starting_at(&self, at: MediaTime) -> Option<&Planned> {
        self.segments.iter().rev().find(|p| p.start == at)
    }

    /// The segment that `at` lies in; `None` before the first, and in a hole.
    pub fn containing(&self, at: MediaTime) -> Option<&Planned> {
        let planned = self.segments.iter().rev().find(|p| p.start <= at)?;
        planned.end.is_none_or(|end| at < end).then_some(planned)
    }

    /// Whether a segment behind this one begins with a discontinuity.
    pub fn breaks_after(&self, msn: u64) -> bool {
        self.segments.iter().rev().take_while(|p| p.msn > msn).any(|p| p.discontinuity)
    }

    /// Whether the segment `at` belongs to can't change any more.
    pub fn is_settled(&self, at: MediaTime) -> bool {
        at <= self.settled || self.open().is_some_and(|open| at < open.start)
    }
}

//! Following a rendition part by part, for a reader that keeps everything: the archive. The window itself is the queue, so a
//! reader may be as late as the window is long, and neither it nor the packager waits for the other.

use crate::{Part, Rendition};
use media::MediaTime;
use std::time::SystemTime;

/// Where a follower is in one rendition: what it gets next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    msn: u64,
    part: usize,
}

impl Cursor {
    /// Before segment `msn`, which may lie in the future.
    pub const fn at(msn: u64) -> Self {
        Self { msn, part: 0 }
    }
}

/// What happened in a rendition, in order. For each segment: `Begin`, its parts, `End`.
#[derive(Debug, Clone)]
pub enum Step {
    /// The follower was too late: all it has not got of the segments before `until` is forgotten.
    Lost {
        /// The oldest segment still held, which comes next.
        until: u64,
    },
    /// A segment has its first part, which comes next.
    Begin {
        /// Media sequence number.
        msn: u64,
        /// Where it begins on the session's timeline.
        start: MediaTime,
        /// The same by the wall clock, as [`crate::Segment::wall`].
        wall: SystemTime,
        /// As [`crate::Segment::discontinuity`].
        discontinuity: bool,
        /// As [`crate::Segment::init`].
        init: Option<u32>,
    },
    /// A part of the segment that began last.
    Part(Part),
    /// The segment that began last is whole.
    End {
        /// As [`crate::Segment::gap`].
        gap: bool,
    },
}

impl Rendition {
    /// The number a follower begins with who wants all there is: of the oldest segment held, else of the first to come.
    pub fn oldest(&self) -> u64 {
        let shelf = self.shelf();
        let held = shelf.segments.front().map(|l| l.segment.msn).or(shelf.open.as_ref().map(|open| open.msn));
        held.unwrap_or(self.first_msn())
    }

    /// Everything that was published since the cursor, which moves behind it. The bytes are shared. It locks for that long
    /// and allocates the answer, which holds at most the window.
    pub fn follow(&self, cursor: &mut Cursor) -> Vec<Step> {
        let mut steps = Vec::new();
        let shelf = self.shelf();
        let growing = shelf.open.as_ref().filter(|open| !open.parts.is_empty());
        let oldest = shelf.segments.front().map(|l| l.segment.msn).or(growing.map(|open| open.msn));
        if let Some(until) = oldest.filter(|oldest| *oldest > cursor.msn) {
            steps.push(Step::Lost { until });
            *cursor = Cursor::at(until);
        }
        while let Some(segment) = shelf.segment(cursor.msn) {
            if cursor.part == 0 {
                let (msn, start, wall) = (segment.msn, segment.start, segment.wall);
                steps.push(Step::Begin { msn, start, wall, discontinuity: segment.discontinuity, init: segment.init });
            }
            steps.extend(segment.parts.iter().skip(cursor.part).cloned().map(Step::Part));
            steps.push(Step::End { gap: segment.gap });
            *cursor = Cursor::at(segment.msn + 1);
        }
        if let Some(open) = growing.filter(|open| open.msn == cursor.msn) {
            if cursor.part == 0 {
                let (msn, start, wall) = (open.msn, open.start, open.wall);
                steps.push(Step::Begin { msn, start, wall, discontinuity: open.discontinuity, init: open.init });
            }
            steps.extend(open.parts.iter().skip(cursor.part).cloned().map(Step::Part));
            cursor.part = open.parts.len();
        }
        steps
    }
}

//! The [`Shelf`]: what one rendition holds, and the text of each segment, made once.

use crate::{Part, Segment, playlist};
use bytes::Bytes;
use media::{Config, MediaTime};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// How much is listed: about 30 s, so that a viewer may rewind a little and a delta update has something to skip.
const LISTED: MediaTime = MediaTime::from_millis(30_000);
/// A live playlist that slides lists at least this many segments (Apple's authoring rules, 8.11).
const LISTED_SEGMENTS_MIN: usize = 6;

/// An init section and what it was made of.
#[derive(Debug, Clone)]
pub(crate) struct Init {
    pub data: Bytes,
    pub config: Config,
}

/// The newest part of a rendition: segment and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub msn: u64,
    pub part: u32,
}

/// A whole segment with its lines in the playlist.
#[derive(Debug)]
pub(crate) struct Listed {
    pub segment: Segment,
    /// Tags before the parts, but EXT-X-MAP, which depends on the segment listed before.
    pub lead: String,
    pub parts: String,
    /// From EXT-X-GAP to the URI.
    pub tail: String,
}

/// The segment in progress.
#[derive(Debug)]
pub(crate) struct Open {
    pub msn: u64,
    pub start: MediaTime,
    pub wall: SystemTime,
    pub discontinuity: bool,
    pub init: Option<u32>,
    pub parts: Vec<Part>,
    pub lead: String,
    pub lines: String,
}

impl Open {
    /// The time just after the newest part.
    pub fn end(&self) -> MediaTime {
        self.parts.last().map_or(self.start, |p| p.start + p.duration)
    }
}

/// Everything one rendition holds. Segment numbers in `segments` have no holes; those before `listed` have left the
/// playlist and wait to be forgotten.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub inits: Vec<Init>,
    /// Which of them segments need that begin now.
    pub init: Option<u32>,
    pub segments: VecDeque<Listed>,
    pub listed: usize,
    pub open: Option<Open>,
    /// Discontinuities before the first listed segment.
    pub discontinuities: u64,
    pub ended: bool,
}

impl Shelf {
    /// Begins segment `msn`. `wall` is what its EXT-X-PROGRAM-DATE-TIME says, cut to whole milliseconds.
    pub fn begin(&mut self, msn: u64, start: MediaTime, discontinuity: bool, wall: SystemTime) {
        let init = self.init;
        let lead = playlist::lead(discontinuity, wall);
        let (parts, lines) = (Vec::new(), String::new());
        self.open = Some(Open { msn, start, wall, discontinuity, init, parts, lead, lines });
    }

    /// Segments that begin from now on need this init section. One that was there before, as when a slate comes again and goes,
    /// keeps its number: a session may see thousands of changes.
    pub fn use_init(&mut self, init: Init) {
        let known = self.inits.iter().position(|known| known.data == init.data);
        let place = known.unwrap_or_else(|| {
            self.inits.push(init);
            self.inits.len() - 1
        });
        self.init = u32::try_from(place).ok();
    }

    /// Adds a part to the segment in progress. `base` is the rendition's.
    pub fn push(&mut self, base: &str, part: Part) {
        let open = self.open.as_mut().expect("a part is pushed only into a segment that was begun");
        playlist::part_line(&mut open.lines, base, open.msn, open.parts.len(), &part);
        open.parts.push(part);
    }

    /// Ends the segment in progress, and lets old ones leave the playlist and the memory. Nothing happens when it has no
    /// part.
    pub fn close(&mut self, base: &str, gap: bool) -> Option<&Segment> {
        let open = self.open.take_if(|o| !o.parts.is_empty())?;
        let segment = Segment {
            msn: open.msn,
            start: open.start,
            duration: open.end() - open.start,
            wall: open.wall,
            parts: open.parts.into(),
            discontinuity: open.discontinuity,
            init: open.init,
            gap,
            ts: Arc::new(OnceLock::new()),
        };
        let tail = playlist::tail(base, &segment);
        self.segments.push_back(Listed { segment, lead: open.lead, parts: open.lines, tail });
        self.slide();
        self.segments.back().map(|l| &l.segment)
    }

    fn slide(&mut self) {
        let length = |from: usize, segments: &VecDeque<Listed>| {
            segments.range(from..).fold(MediaTime::ZERO, |sum, l| sum + l.segment.duration)
        };
        let mut listed = length(self.listed, &self.segments);
        while self.segments.len() - self.listed > LISTED_SEGMENTS_MIN {
            let first = &self.segments[self.listed].segment;
            if listed - first.duration < LISTED {
                break;
            }
            listed -= first.duration;
            self.discontinuities += u64::from(first.discontinuity);
            self.listed += 1;
        }
        // A segment stays for the length of the longest playlist that listed it, and one segment (rfc8216bis, 6.2.2).
        let longest = self.segments.iter().map(|l| l.segment.duration).max().unwrap_or_default();
        let mut gone = length(0, &self.segments) - listed;
        while self.listed > 0 {
            let first = self.segments[0].segment.duration;
            if gone - first <= listed + longest {
                break;
            }
            gone -= first;
            self.segments.pop_front();
            self.listed -= 1;
        }
    }

    /// The segments in the playlist.
    pub fn in_playlist(&self) -> impl DoubleEndedIterator<Item = &Listed> + Clone {
        self.segments.range(self.listed..)
    }

    /// A whole segment still held.
    pub fn segment(&self, msn: u64) -> Option<&Segment> {
        let first = self.segments.front()?.segment.msn;
        let index = usize::try_from(msn.checked_sub(first)?).ok()?;
        self.segments.get(index).map(|l| &l.segment)
    }

    /// A part still held, of a whole segment or of the one in progress.
    pub fn part(&self, msn: u64, part: u32) -> Option<&Part> {
        match &self.open {
            Some(open) if open.msn == msn => open.parts.get(part as usize),
            _ => self.segment(msn)?.parts.get(part as usize),
        }
    }

    /// The newest part.
    pub fn edge(&self) -> Option<Edge> {
        let last = |msn, parts: &[Part]| parts.len().checked_sub(1).map(|n| Edge { msn, part: n as u32 });
        let open = self.open.as_ref().and_then(|o| last(o.msn, &o.parts));
        open.or_else(|| self.segments.back().and_then(|l| last(l.segment.msn, &l.segment.parts)))
    }
}

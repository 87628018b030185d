//! [`Timeline`]: the read side of one session.

use crate::journal::{Init, Journal, Line};
use crate::recovery::media_file;
use crate::{ReelName, Segment, SessionName};
use bytes::Bytes;
use media::{MediaTime, Track};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

/// Everything that is recorded of one session: which segments there are, and where their bytes lie. Shared by the recorder,
/// which adds each segment when it is whole, and by everyone who reads; no method waits for a disk.
///
/// It takes 48 bytes for each segment of each rendition: 0.4 MB an hour for five renditions with segments of 2 s.
#[derive(Debug)]
pub struct Timeline {
    session: SessionName,
    /// The session's.
    folder: PathBuf,
    /// Held for a look, a change or the making of a list.
    state: RwLock<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// In the order of their numbers, without overlap.
    pub reels: Vec<Stretch>,
    pub lines: Vec<Strip>,
    /// Segments with a discontinuity before them.
    breaks: Vec<u64>,
    /// While it is recorded: the renditions that are, by their places in `lines`.
    live: Option<Vec<usize>>,
}

/// The numbers one reel holds.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub name: ReelName,
    pub until_msn: u64,
    sequence: u64,
    discontinuities: u64,
    pub target: MediaTime,
    is_local: bool,
}

/// One rendition.
#[derive(Debug)]
pub(crate) struct Strip {
    pub id: String,
    track: Track,
    inits: Vec<Init>,
    pub segments: VecDeque<Segment>,
}

/// Where a segment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The reel.
    pub reel: ReelName,
    /// The rendition's file in it.
    pub path: PathBuf,
    /// The range of the file that is the segment.
    pub range: Range<u64>,
    /// The file is on this disk. Else it is only where the reel was stored, with the same range.
    pub is_local: bool,
}

impl Timeline {
    pub(crate) fn new(session: SessionName, root: &Path) -> Self {
        Self { folder: session.folder(root), session, state: RwLock::default() }
    }

    /// Whose it is.
    pub fn session(&self) -> &SessionName {
        &self.session
    }

    /// It is being recorded, and grows.
    pub fn is_live(&self) -> bool {
        self.state().live.is_some()
    }

    /// Ids of the renditions and what they carry, video first as in the multivariant playlist.
    pub fn renditions(&self) -> Vec<(String, Track)> {
        self.state().lines.iter().map(|line| (line.id.clone(), line.track)).collect()
    }

    /// The numbers from the oldest segment to behind the newest. While it is recorded, behind the newest that all renditions
    /// have: none of what is in it changes any more.
    pub fn span(&self) -> Range<u64> {
        self.state().span()
    }

    /// The number a session that goes on must begin at, or above: everything below it may be recorded.
    pub fn next_msn(&self) -> u64 {
        self.state().reels.last().map_or(0, |reel| reel.until_msn)
    }

    /// The segment that covers a date, else the first one behind it.
    pub fn at(&self, wall: SystemTime) -> Option<u64> {
        let wall_ms = crate::segment::millis(wall);
        let state = self.state();
        let covering = |line: &Strip| {
            let after = line.segments.partition_point(|segment| segment.until_wall_ms() <= wall_ms);
            line.segments.get(after).map(|segment| segment.msn)
        };
        state.lines.iter().filter_map(covering).min()
    }

    /// A segment of a rendition.
    pub fn segment(&self, rendition: &str, msn: u64) -> Option<Segment> {
        self.state().line(rendition)?.find(msn).copied()
    }

    /// All segments of a rendition whose numbers lie in `span`.
    pub fn segments(&self, rendition: &str, span: Range<u64>) -> Vec<Segment> {
        let state = self.state();
        state.line(rendition).map_or_else(Vec::new, |line| line.within(&span).copied().collect())
    }

    /// Where a segment's bytes are; `None` when it is unknown, or a gap without any.
    pub fn place(&self, rendition: &str, msn: u64) -> Option<Place> {
        let state = self.state();
        let segment = state.line(rendition)?.find(msn).filter(|segment| segment.length > 0)?;
        let reel = state.reel_of(msn)?;
        let path = self.folder.join(reel.name.to_string()).join(media_file(rendition));
        let begin = u64::from(segment.offset);
        let range = begin..begin + u64::from(segment.length);
        Some(Place { reel: reel.name, path, range, is_local: reel.is_local })
    }

    /// How many reels with segments in `span` have their media only elsewhere.
    pub fn remote_reels(&self, span: &Range<u64>) -> usize {
        let is_in_it = |reel: &&Stretch| reel.name.first_msn < span.end && span.start < reel.until_msn;
        self.state().reels.iter().filter(|reel| !reel.is_local).filter(is_in_it).count()
    }

    /// An init section of a rendition, by [`Segment::init`]. Its name means the same bytes for good.
    pub fn init(&self, rendition: &str, generation: u64) -> Option<Init> {
        self.state().line(rendition)?.init(generation).cloned()
    }

    /// The name that an init section of a rendition has already.
    pub(crate) fn generation(&self, rendition: &str, data: &Bytes) -> Option<u64> {
        let state = self.state();
        let init = state.line(rendition)?.inits.iter().rev().find(|init| init.data == data)?;
        Some(init.generation)
    }

    /// What a reel that begins with segment `msn` says of its place: its sequence, the discontinuities before it, and whether
    /// something is missing before it.
    pub(crate) fn numbering(&self, msn: u64) -> (u64, u64, bool) {
        let state = self.state();
        let Some(reel) = state.reels.iter().rev().find(|reel| reel.name.first_msn < msn) else {
            return (msn, 0, false);
        };
        let until = reel.until_msn.min(msn);
        let sequence = reel.sequence + (until - reel.name.first_msn);
        (sequence, state.discontinuities(reel, until), until != msn)
    }

    /// The renditions in these lines are being recorded from now on, or nothing is any more.
    pub(crate) fn set_live(&self, renditions: Option<&[(String, Track)]>) {
        let mut state = self.change();
        state.live = renditions.map(|list| list.iter().map(|(id, track)| state.place_of(id, *track)).collect());
    }

    /// Takes what a reel holds beyond what was `given` of each of its renditions before. What it has, it has instead of
    /// earlier reels.
    pub(crate) fn extend(&self, journal: &Journal, given: &mut [usize]) {
        let head = &journal.head;
        let mut state = self.change();
        if state.reels.iter().all(|reel| reel.name.serial != head.serial) {
            state.supersede(head.first_msn);
            if head.has_hole {
                state.breaks.push(head.first_msn);
            }
            state.reels.push(Stretch {
                name: ReelName { first_msn: head.first_msn, serial: head.serial },
                until_msn: head.first_msn,
                sequence: head.sequence,
                discontinuities: head.discontinuities,
                target: head.target,
                is_local: true,
            });
        }
        for (line, given) in journal.lines.iter().zip(given) {
            state.extend_line(head.serial, line, *given);
            *given = line.segments.len();
        }
    }

    /// A reel is gone, or one rendition of it.
    pub(crate) fn forget(&self, serial: u32, rendition: Option<&str>) {
        let mut state = self.change();
        let Some(at) = state.reels.iter().position(|reel| reel.name.serial == serial) else { return };
        let gone = state.reels[at].name.first_msn..state.reels[at].until_msn;
        for line in state.lines.iter_mut().filter(|line| rendition.is_none_or(|id| line.id == id)) {
            line.segments.retain(|segment| !gone.contains(&segment.msn));
        }
        if rendition.is_none() {
            state.reels.remove(at);
            state.breaks.retain(|msn| !gone.contains(msn));
            for line in &mut state.lines {
                let used: BTreeSet<u64> = line.segments.iter().filter_map(Segment::init).collect();
                line.inits.retain(|init| used.contains(&init.generation));
            }
        }
    }

    /// A reel's media is only elsewhere from now on.
    pub(crate) fn set_remote(&self, serial: u32) {
        let mut state = self.change();
        state.reels.iter_mut().filter(|reel| reel.name.serial == serial).for_each(|reel| reel.is_local = false);
    }

    /// How many segments it holds in memory.
    pub(crate) fn weight(&self) -> usize {
        self.state().lines.iter().map(|line| line.segments.len()).sum()
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub fn line(&self, id: &str) -> Option<&Strip> {
        self.lines.iter().find(|line| line.id == id)
    }

    pub fn span(&self) -> Range<u64> {
        let first = self.reels.first().map_or(0, |reel| reel.name.first_msn);
        let newest = self.reels.last().map_or(0, |reel| reel.until_msn);
        let behind = |line: &usize| self.lines[*line].segments.back().map_or(first, |segment| segment.msn + 1);
        let until = self.live.as_ref().and_then(|live| live.iter().map(behind).min());
        first..until.unwrap_or(newest).max(first)
    }

    /// The reel that holds segment `msn`.
    pub fn reel_of(&self, msn: u64) -> Option<&Stretch> {
        let after = self.reels.partition_point(|reel| reel.name.first_msn <= msn);
        self.reels[..after].last().filter(|reel| msn < reel.until_msn)
    }

    /// A discontinuity stands before segment `msn`.
    pub fn breaks_before(&self, msn: u64) -> bool {
        self.breaks.binary_search(&msn).is_ok()
    }

    /// The place of a reel's segment in playlists.
    pub fn sequence(&self, reel: &Stretch, msn: u64) -> u64 {
        reel.sequence + (msn - reel.name.first_msn)
    }

    /// The discontinuities before a reel's segment, without its own.
    pub fn discontinuities(&self, reel: &Stretch, msn: u64) -> u64 {
        let before = |msn: u64| self.breaks.partition_point(|at| *at < msn) as u64;
        reel.discontinuities + (before(msn) - before(reel.name.first_msn))
    }

    /// Forgets everything from segment `msn` on.
    fn supersede(&mut self, msn: u64) {
        for line in &mut self.lines {
            line.segments.truncate(line.segments.partition_point(|segment| segment.msn < msn));
        }
        self.reels.truncate(self.reels.partition_point(|reel| reel.name.first_msn < msn));
        if let Some(last) = self.reels.last_mut() {
            last.until_msn = last.until_msn.min(msn);
        }
        self.breaks.truncate(self.breaks.partition_point(|at| *at < msn));
    }

    fn extend_line(&mut self, serial: u32, line: &Line, given: usize) {
        let Some(at) = self.reels.iter().position(|reel| reel.name.serial == serial) else { return };
        // A reel that goes on behind the beginning of the next one has nothing to say there.
        let end = self.reels.get(at + 1).map_or(u64::MAX, |next| next.name.first_msn);
        let place = self.place_of(&line.id, line.track);
        let strip = &mut self.lines[place];
        for init in &line.inits {
            if strip.init(init.generation).is_none() {
                strip.inits.push(init.clone());
            }
        }
        for segment in line.segments.iter().skip(given).filter(|segment| segment.msn < end) {
            strip.segments.push_back(*segment);
            self.reels[at].until_msn = self.reels[at].until_msn.max(segment.msn + 1);
            if let (true, Err(place)) = (segment.discontinuity, self.breaks.binary_search(&segment.msn)) {
                self.breaks.insert(place, segment.msn);
            }
        }
    }

    /// The place of a rendition, which it gets now if it has none.
    fn place_of(&mut self, id: &str, track: Track) -> usize {
        self.lines.iter().position(|line| line.id == id).unwrap_or_else(|| {
            self.lines.push(Strip { id: id.to_owned(), track, inits: Vec::new(), segments: VecDeque::new() });
            self.lines.len() - 1
        })
    }
}

impl Strip {
    pub fn find(&self, msn: u64) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&msn, |segment| segment.msn).ok()?;
        self.segments.get(at)
    }

    pub fn init(&self, generation: u64) -> Option<&Init> {
        self.inits.iter().find(|init| init.generation == generation)
    }

    /// Its segments in a span of numbers.
    pub fn within(&self, span: &Range<u64>) -> impl DoubleEndedIterator<Item = &Segment> {
        let first = self.segments.partition_point(|segment| segment.msn < span.start);
        let behind = self.segments.partition_point(|segment| segment.msn < span.end);
        self.segments.range(first..behind.max(first))
    }
}

#[cfg(test)]
mod tests;

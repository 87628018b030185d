//! [`Journal`]: everything a reel says of itself. The same rules read one from a disk and keep the one that is being written.

use crate::Segment;
use crate::record::{self, Chunk, Head, MAGIC, Record, Seal};
use bytes::{Buf, Bytes};
use media::Track;
use packager::Coding;
use std::collections::BTreeSet;

/// More renditions than a ladder has.
pub(crate) const RENDITIONS_MAX: usize = 64;

/// What one reel holds, without the media.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// What it is a part of.
    pub head: Head,
    /// Its renditions, video from the highest down, then audio.
    pub lines: Vec<Line>,
    seal: Option<Seal>,
}

/// What one reel holds of one rendition, in the file `RENDITION.m4s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The rendition's name.
    pub id: String,
    /// What it carries.
    pub track: Track,
    /// The init sections its segments need.
    pub inits: Vec<Init>,
    /// Its whole segments, with rising numbers.
    pub segments: Vec<Segment>,
    /// Bytes of media, those of the segment in progress included.
    pub bytes: u32,
    /// Their CRC-32 (the one of gzip), as they were handed to the disk.
    pub crc32: u32,
    growing: Option<Growing>,
}

/// An init section.
#[derive(Debug, Clone, PartialEq)]
pub struct Init {
    /// Its name in the session, for good: the number of the first segment that used it.
    pub generation: u64,
    /// How what follows it is coded.
    pub coding: Coding,
    /// `ftyp` and `moov`.
    pub data: Bytes,
}

/// The segment in progress.
#[derive(Debug, Clone, PartialEq)]
struct Growing {
    segment: Segment,
    parts: u32,
    has_media: bool,
}

/// Why a journal can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The power went before anything of it was on the disk.
    #[error("it holds nothing")]
    Empty,
    /// A newer server wrote it.
    #[error("its version {0} is not known here; use the server that wrote it")]
    Version(u8),
    /// Its beginning is damaged, or it is something else.
    #[error("it does not begin as a journal does")]
    Foreign,
}

impl Journal {
    /// Reads a journal from its bytes, as far as they are sound. Any bytes may come.
    ///
    /// # Errors
    /// When not even its beginning can be read.
    pub fn read(bytes: Bytes) -> Result<Self, Unreadable> {
        Self::replay(bytes, |_, _| true).map(|(journal, _)| journal)
    }

    /// As [`Journal::read`], up to the first part whose bytes `is_sound` does not find in its rendition's file. Also gives how
    /// many bytes of the journal counted.
    pub(crate) fn replay(
        bytes: Bytes,
        mut is_sound: impl FnMut(&str, Chunk) -> bool,
    ) -> Result<(Self, usize), Unreadable> {
        let (whole, mut rest) = (bytes.len(), bytes);
        let name = &MAGIC[..MAGIC.len() - 1];
        match rest.get(..MAGIC.len()) {
            Some(magic) if magic == MAGIC => rest.advance(MAGIC.len()),
            Some(magic) if magic.starts_with(name) => return Err(Unreadable::Version(magic[name.len()])),
            // What a file system gives for bytes that were promised and never came.
            _ if rest.len() < MAGIC.len() || rest.iter().all(|byte| *byte == 0) => return Err(Unreadable::Empty),
            _ => return Err(Unreadable::Foreign),
        }
        let mut journal = match record::take(&mut rest) {
            Some(Record::Reel(head)) => Self::new(head),
            _ if record::is_cut_short(&rest) => return Err(Unreadable::Empty),
            _ => return Err(Unreadable::Foreign),
        };
        let mut good = whole - rest.len();
        while let Some(record) = record::take(&mut rest) {
            let is_there = match &record {
                Record::Part { rendition, chunk, .. } => {
                    let line = journal.lines.get(usize::from(*rendition));
                    line.is_some_and(|line| is_sound(&line.id, *chunk))
                }
                _ => true,
            };
            if !is_there || !journal.apply(&record) {
                break;
            }
            good = whole - rest.len();
        }
        Ok((journal, good))
    }

    pub(crate) fn new(head: Head) -> Self {
        Self { head, lines: Vec::new(), seal: None }
    }

    /// Takes the next record; false when it can't follow what came before, and then nothing changed.
    pub(crate) fn apply(&mut self, record: &Record) -> bool {
        let first_msn = self.head.first_msn;
        if self.seal.is_some() {
            return false;
        }
        match record {
            Record::Reel(_) => false,
            Record::Rendition { id, track } => {
                let is_new = self.lines.len() < RENDITIONS_MAX && self.lines.iter().all(|line| line.id != *id);
                if is_new {
                    let (inits, segments) = (Vec::new(), Vec::new());
                    self.lines.push(Line {
                        id: id.clone(),
                        track: *track,
                        inits,
                        segments,
                        bytes: 0,
                        crc32: 0,
                        growing: None,
                    });
                }
                is_new
            }
            Record::Init { rendition, generation, coding, data } => self.line(*rendition).is_some_and(|line| {
                let is_new = line.init(*generation).is_none();
                if is_new {
                    line.inits.push(Init { generation: *generation, coding: coding.clone(), data: data.clone() });
                }
                is_new
            }),
            Record::Begin { rendition, msn, start, wall_ms, discontinuity, init } => {
                let Some(line) = self.line(*rendition).filter(|line| line.growing.is_none()) else { return false };
                let follows = line.segments.last().map_or(*msn >= first_msn, |last| *msn == last.msn + 1);
                let is_known = init.is_none_or(|generation| line.init(generation).is_some());
                if follows && is_known {
                    let mut segment = Segment::new(*msn, *start, *wall_ms, *discontinuity, *init);
                    segment.offset = line.bytes;
                    line.growing = Some(Growing { segment, parts: 0, has_media: false });
                }
                follows && is_known
            }
            Record::Part { rendition, index, chunk, duration, gap, .. } => {
                let Some(line) = self.line(*rendition) else { return false };
                let Some(growing) = &mut line.growing else { return false };
                let follows = *index == growing.parts && chunk.offset == line.bytes && *gap == (chunk.length == 0);
                let Some(bytes) = line.bytes.checked_add(chunk.length).filter(|_| follows) else { return false };
                if !growing.segment.grow(chunk.length, *duration) {
                    return false;
                }
                growing.parts += 1;
                growing.has_media |= !gap;
                line.bytes = bytes;
                line.crc32 = chained(line.crc32, *chunk);
                true
            }
            Record::End { rendition, gap } => {
                let Some(line) = self.line(*rendition) else { return false };
                let Some(mut growing) = line.growing.take() else { return false };
                growing.segment.gap = *gap || !growing.has_media;
                if growing.parts > 0 {
                    line.segments.push(growing.segment);
                }
                true
            }
            Record::Sealed(seal) => {
                let is_whole = self.lines.iter().all(|line| line.growing.is_none());
                self.seal = Some(*seal).filter(|_| is_whole);
                is_whole
            }
        }
    }

    /// Everything in it is on the disk, and nothing will be added.
    pub fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// No segment is in it.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.segments.is_empty())
    }

    /// The number after the last whole segment of any rendition.
    pub fn until_msn(&self) -> u64 {
        let last = self.lines.iter().filter_map(|line| line.segments.last()).map(|segment| segment.msn + 1).max();
        last.unwrap_or(self.head.first_msn)
    }

    /// What ends the segments in progress with the parts they have.
    pub(crate) fn endings(&self) -> Vec<Record> {
        let growing = (0_u8..).zip(&self.lines).filter(|(_, line)| line.growing.is_some());
        growing.map(|(rendition, _)| Record::End { rendition, gap: false }).collect()
    }

    /// What seals it, once no segment is in progress.
    pub(crate) fn seal(&self) -> Seal {
        let segments = self.lines.iter().flat_map(|line| &line.segments);
        let until_wall_ms = segments.map(Segment::until_wall_ms).max().unwrap_or_default();
        Seal { until_msn: self.until_msn(), until_wall_ms }
    }

    /// The newest segment that any rendition has begun.
    pub(crate) fn newest(&self) -> Option<u64> {
        let begun = |line: &Line| line.growing.as_ref().map(|g| g.segment.msn);
        self.lines.iter().filter_map(|line| begun(line).or_else(|| line.segments.last().map(|s| s.msn))).max()
    }

    /// How many discontinuities playlists have in it before segment `msn`.
    pub(crate) fn discontinuities_before(&self, msn: u64) -> u64 {
        let growing = self.lines.iter().filter_map(|line| line.growing.as_ref()).map(|growing| &growing.segment);
        let segments = self.lines.iter().flat_map(|line| &line.segments).chain(growing);
        let mut breaks: BTreeSet<u64> = segments.filter(|s| s.discontinuity && s.msn < msn).map(|s| s.msn).collect();
        if self.head.has_hole && self.head.first_msn < msn {
            breaks.insert(self.head.first_msn);
        }
        breaks.len() as u64
    }

    fn line(&mut self, rendition: u8) -> Option<&mut Line> {
        self.lines.get_mut(usize::from(rendition))
    }
}

/// The CRC of some bytes with a chunk behind.
fn chained(crc32: u32, chunk: Chunk) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial_len(crc32, chunk.offset.into());
    hasher.combine(&crc32fast::Hasher::new_with_initial_len(chunk.crc, chunk.length.into()));
    hasher.finalize()
}

impl Line {
    /// An init section by its name.
    pub fn init(&self, generation: u64) -> Option<&Init> {
        self.inits.iter().find(|init| init.generation == generation)
    }

    /// Parts of the segment in progress.
    pub(crate) fn parts(&self) -> u32 {
        self.growing.as_ref().map_or(0, |growing| growing.parts)
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! [`Tape`]: the write side of one reel. It collects the records and parts of a batch, and hands them to the reel at once.

use crate::disk::Disk;
use crate::journal::Journal;
use crate::record::{self, Chunk, Head, MAGIC, Record};
use crate::reel::Reel;
use bytes::Bytes;
use media::{MediaTime, Track};
use packager::Part;
use std::io;
use std::sync::Arc;

/// A reel lasts at least so long, and ends with the segment.
const REEL_LENGTH: MediaTime = MediaTime::from_millis(60_000);
/// Or until one of its files is as long as this: one part of an upload, one range of a request.
const FILE_BYTES: u32 = 64 << 20;

/// One reel being written.
#[derive(Debug)]
pub(crate) struct Tape {
    pub reel: Arc<Reel>,
    /// What was written, and what is about to be.
    pub journal: Journal,
    /// How many segments of each rendition the timeline has.
    pub given: Vec<usize>,
    /// Where its first segment began.
    start: MediaTime,
    records: Vec<u8>,
    media: Vec<Vec<Bytes>>,
    /// The lowest segment in `records`.
    lowest: u64,
}

impl Tape {
    /// A tape for a reel whose files are empty. The first segment begins at `start`.
    pub fn new(reel: Arc<Reel>, head: Head, start: MediaTime, renditions: &[(String, Track)]) -> io::Result<Self> {
        let mut records = MAGIC.to_vec();
        record::put(&mut records, &Record::Reel(head.clone()));
        let (given, media, lowest) = (vec![0; renditions.len()], vec![Vec::new(); renditions.len()], head.first_msn);
        let mut tape = Self { reel, journal: Journal::new(head), given, start, records, media, lowest };
        for (id, track) in renditions {
            tape.put(&Record::Rendition { id: id.clone(), track: *track })?;
        }
        Ok(tape)
    }

    /// The number of its first segment.
    pub fn first_msn(&self) -> u64 {
        self.journal.head.first_msn
    }

    /// Whether segment `msn`, which begins at `start`, may be the first of another reel: this one is long enough, and none of
    /// its renditions has come so far.
    pub fn ends_before(&self, msn: u64, start: MediaTime) -> bool {
        let is_long = start - self.start >= REEL_LENGTH || self.journal.lines.iter().any(|l| l.bytes >= FILE_BYTES);
        is_long && self.journal.newest().is_none_or(|newest| msn > newest)
    }

    /// Adds a record of segment `msn` to the batch.
    ///
    /// # Errors
    /// When it can't follow what came before.
    pub fn put_in(&mut self, msn: u64, record: &Record) -> io::Result<()> {
        self.lowest = if self.records.is_empty() { msn } else { self.lowest.min(msn) };
        self.put(record)
    }

    /// Adds a part of the segment in progress, `msn`, of a rendition.
    ///
    /// # Errors
    /// As [`Tape::put_in`], and when the file would become longer than 4 GiB.
    pub fn put_part(&mut self, msn: u64, rendition: usize, part: Part) -> io::Result<()> {
        let line = self.journal.lines.get(rendition).ok_or(io::ErrorKind::InvalidInput)?;
        let length = u32::try_from(part.data.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let record = Record::Part {
            rendition: rendition as u8,
            index: line.parts(),
            chunk: Chunk { offset: line.bytes, length, crc: crc32fast::hash(&part.data) },
            duration: part.duration,
            independent: part.independent,
            gap: part.data.is_empty(),
        };
        self.put_in(msn, &record)?;
        if !part.data.is_empty() {
            self.media[rendition].push(part.data);
        }
        Ok(())
    }

    /// Writes the batch. Gives how many bytes that were.
    ///
    /// # Errors
    /// The disk's; how much of the batch is in the files is not known then.
    pub fn flush(&mut self, disk: &dyn Disk) -> io::Result<u64> {
        if self.records.is_empty() {
            return Ok(0);
        }
        let written = self.reel.write(disk, &self.media, &self.records, self.lowest)?;
        self.records.clear();
        self.media.iter_mut().for_each(Vec::clear);
        Ok(written)
    }

    /// Ends the segments in progress with the parts they have.
    pub fn close(&mut self) -> io::Result<()> {
        for ending in self.journal.endings() {
            self.put_in(self.journal.newest().unwrap_or(self.lowest), &ending)?;
        }
        Ok(())
    }

    fn put(&mut self, record: &Record) -> io::Result<()> {
        if !self.journal.apply(record) {
            let what = format!("what was published can't follow in reel {}", self.reel.name);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        record::put(&mut self.records, record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::head;
    use crate::{ReelName, SessionName};

    fn part(bytes: usize) -> Part {
        let (start, duration) = (MediaTime::ZERO, MediaTime::from_millis(200));
        Part { data: vec![0; bytes].into(), start, duration, independent: true, gap: bytes == 0 }
    }

    #[test]
    fn a_reel_ends_when_a_file_is_long_and_nobody_is_further() {
        let folder = tempfile::tempdir().unwrap();
        let (session, name) = (SessionName::new("show", "s").unwrap(), ReelName { first_msn: 5, serial: 0 });
        let names = [("source".to_owned(), Track::Video), ("audio".to_owned(), Track::Audio)];
        let ids = names.clone().map(|(id, _)| id);
        let reel = Arc::new(Reel::create(folder.path(), &session, name, &ids).unwrap());
        let mut tape = Tape::new(reel, head(0, 5), MediaTime::ZERO, &names).unwrap();
        let begin = |tape: &mut Tape, rendition, msn| {
            let (start, discontinuity, init) = (MediaTime::ZERO, false, None);
            let record = Record::Begin { rendition, msn, start, wall_ms: 0, discontinuity, init };
            tape.put_in(msn, &record).unwrap();
        };
        begin(&mut tape, 0, 5);
        assert!(!tape.ends_before(6, MediaTime::from_millis(59_999)));
        assert!(tape.ends_before(6, MediaTime::from_millis(60_000)), "a minute is long");
        let large = part(1 << 20);
        for _ in 0..64 {
            assert!(!tape.ends_before(6, MediaTime::ZERO));
            tape.put_part(5, 0, large.clone()).unwrap();
        }
        assert!(tape.ends_before(6, MediaTime::ZERO));
        begin(&mut tape, 1, 5);
        tape.put_part(5, 1, part(0)).unwrap();
        tape.put_in(5, &Record::End { rendition: 1, gap: false }).unwrap();
        begin(&mut tape, 1, 6);
        assert!(!tape.ends_before(6, MediaTime::ZERO), "the sound has begun with 6 here");
        assert!(tape.ends_before(7, MediaTime::ZERO));
        assert!(
            tape.put_part(5, 9, part(1)).is_err() && tape.put_in(5, &Record::End { rendition: 9, gap: false }).is_err()
        );
    }
}

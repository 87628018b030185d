//! [`Inspection`]: a session as it lies on the disk, read by somebody who is not its server and may run beside it. It makes,
//! mends and removes nothing, takes no claim, and reads no byte of media but in [`Inspected::check`].

use crate::catalog::DEAD;
use crate::journal::Journal;
use crate::recovery::{PIECE_BYTES, checksum, media_file, read_journal};
use crate::{Error, Line, ReelName, SessionName, Timeline, error, scan, stored};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What lies on the disk of one session.
#[derive(Debug)]
pub struct Inspection {
    /// The reels whose folders are there, in the order they were made.
    pub reels: Vec<Inspected>,
    timeline: Arc<Timeline>,
}

/// One reel.
#[derive(Debug)]
pub struct Inspected {
    /// Its name.
    pub name: ReelName,
    /// Its folder.
    pub folder: PathBuf,
    /// Renditions whose media is also elsewhere, as its server noted.
    pub stored: Vec<String>,
    /// What its journal says; else why that can't be read.
    pub journal: Result<Shelved, Error>,
}

/// A journal that can be read.
#[derive(Debug)]
pub struct Shelved {
    /// As far as it is sound.
    pub journal: Journal,
    /// It was sealed, and something before the seal is damaged: what the journal lists is not all that was recorded.
    pub is_damaged: bool,
}

/// How the media of one rendition in one reel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every byte is what was written.
    Whole,
    /// The file is not there.
    Missing,
    /// The numbers of the segments with bytes that are not what was written, or are not there.
    Damaged(Vec<u64>),
}

impl Inspection {
    /// Reads the journals of a session below an archive's folder. Blocks for about 4 ms for an hour of two renditions.
    ///
    /// # Errors
    /// When the session's folder can't be read; one that is not there holds no reel.
    pub fn of(root: &Path, session: &SessionName) -> Result<Self, Error> {
        let folder = session.folder(root);
        let timeline = Timeline::new(session.clone(), root);
        let mut reels = Vec::new();
        for (name, folder) in reel_folders(&folder).map_err(error(&folder, "read"))? {
            let is_sealed = scan::sealed(&folder).is_some();
            let journal = read_journal(&folder).and_then(|bytes| match Journal::read(bytes) {
                Ok(journal) => Ok(Shelved { is_damaged: is_sealed && !journal.is_sealed(), journal }),
                Err(source) => Err(Error::Unreadable { path: folder.clone(), source }),
            });
            if let Ok(Shelved { journal, .. }) = &journal {
                timeline.extend(journal, &mut vec![0; journal.lines.len()]);
            }
            let stored = stored::read(&folder).map_err(error(&folder, "read"))?;
            reels.push(Inspected { name, stored, folder, journal });
        }
        Ok(Self { reels, timeline: Arc::new(timeline) })
    }

    /// What the journals list, that of a reel which is still written as far as it goes. Whether the media is here it does not know:
    /// each place counts as local.
    pub fn timeline(&self) -> Arc<Timeline> {
        Arc::clone(&self.timeline)
    }

    /// The runs of numbers in `span` that were recorded and whose reels are not here. Numbers that were never recorded, as when a
    /// disk was full, are none of them, where the reel behind them says so. What may be missing behind the last reel nobody here
    /// knows: the end of a recording may have been noted and never been written.
    pub fn lost(&self, span: Range<u64>) -> Vec<Range<u64>> {
        let mut lost = Vec::new();
        let mut before: Option<(u64, u64)> = None;
        let known = self.reels.iter().filter_map(|reel| Some((reel.name, &reel.journal.as_ref().ok()?.journal)));
        for (name, journal) in known {
            let (first, until) = (name.first_msn, journal.until_msn());
            let missing = match before {
                // Its place in playlists says how many were listed between the two.
                Some((end, sequence)) => journal.head.sequence.saturating_sub(sequence).min(first.saturating_sub(end)),
                None if journal.head.has_hole => 0,
                None => first.saturating_sub(span.start),
            };
            let gap = first.saturating_sub(missing).max(span.start)..first.min(span.end);
            lost.extend(Some(gap).filter(|gap| !gap.is_empty()));
            before = Some((until, journal.head.sequence + until.saturating_sub(first)));
        }
        lost.extend(Some(span).filter(|span| before.is_none() && !span.is_empty() && span.end != u64::MAX));
        lost
    }
}

impl Inspected {
    /// The number behind its last segment; its first while its journal can't be read.
    pub fn until_msn(&self) -> u64 {
        self.journal.as_ref().map_or(self.name.first_msn, |shelved| shelved.journal.until_msn())
    }

    /// Whether it holds any of these numbers.
    pub fn touches(&self, span: &Range<u64>) -> bool {
        self.name.first_msn < span.end && span.start < self.until_msn().max(self.name.first_msn + 1)
    }

    /// Reads every byte of a rendition that belongs to segments in `span` and compares each part with the checksum that was noted
    /// when it was written. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// When the journal or the file can't be read; that the file is not there is none.
    pub fn check(&self, line: &Line, span: &Range<u64>) -> Result<Condition, Error> {
        let path = self.folder.join(media_file(&line.id));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Condition::Missing),
            Err(source) => return Err(Error::Disk { path, doing: "read", source }),
        };
        let mut parts = Vec::new();
        let listed = Journal::replay(read_journal(&self.folder)?, |id, chunk| {
            parts.extend((id == line.id && chunk.length > 0).then_some(chunk));
            true
        });
        listed.map_err(|source| Error::Unreadable { path: self.folder.clone(), source })?;
        let (mut damaged, mut piece) = (BTreeSet::new(), vec![0; PIECE_BYTES]);
        for segment in line.segments.iter().filter(|segment| span.contains(&segment.msn)) {
            let end = segment.offset + segment.length;
            let first = parts.partition_point(|chunk| chunk.offset < segment.offset);
            for chunk in parts[first..].iter().take_while(|chunk| chunk.offset < end) {
                match checksum(&file, *chunk, &mut piece) {
                    Ok(crc) if crc == chunk.crc => {}
                    Ok(_) => drop(damaged.insert(segment.msn)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => drop(damaged.insert(segment.msn)),
                    Err(source) => return Err(Error::Disk { path, doing: "read", source }),
                }
            }
        }
        Ok(if damaged.is_empty() { Condition::Whole } else { Condition::Damaged(damaged.into_iter().collect()) })
    }
}

/// The reels in a session's folder, in the order they were made.
fn reel_folders(folder: &Path) -> io::Result<Vec<(ReelName, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().filter(|name| !name.ends_with(DEAD));
        if let Some(name) = name.and_then(|name| ReelName::parse(&name)) {
            found.push((name, entry.path()));
        }
    }
    found.sort_by_key(|(name, _)| name.serial);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::Stage;
    use crate::lab::Lab;
    use std::time::Instant;

    /// Three reels or so of a session that is over.
    fn recorded() -> Lab {
        let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
        let mut recorder = lab.recorder(&stage);
        for _ in 0..8 {
            stage.play(10);
            recorder.step(Instant::now());
        }
        recorder.finish();
        lab.archive.flush();
        lab
    }

    fn inspect(lab: &Lab) -> Inspection {
        Inspection::of(&lab.root(), &Lab::session()).unwrap()
    }

    fn conditions(inspection: &Inspection, span: Range<u64>) -> Vec<Condition> {
        let lines = |reel: &Inspected| reel.journal.as_ref().unwrap().journal.lines.clone();
        let reels = inspection.reels.iter().filter(|reel| reel.touches(&span));
        let each = reels.flat_map(|reel| lines(reel).into_iter().map(move |line| (reel, line)));
        each.map(|(reel, line)| reel.check(&line, &span).unwrap()).collect()
    }

    #[test]
    fn what_was_recorded_is_whole_and_plays_as_the_server_plays_it() {
        let lab = recorded();
        let (inspection, span) = (inspect(&lab), lab.timeline().span());
        assert!(inspection.reels.len() >= 2 && inspection.lost(span.clone()).is_empty());
        assert!(conditions(&inspection, span.clone()).iter().all(|condition| *condition == Condition::Whole));
        let list = |timeline: &Timeline| timeline.media_playlist("source", span.clone(), crate::Kind::Vod).unwrap();
        assert_eq!(list(&inspection.timeline()), list(&lab.timeline()));
    }

    #[test]
    fn a_changed_byte_damages_its_segment_and_no_other() {
        let lab = recorded();
        let inspection = inspect(&lab);
        let line = inspection.reels[0].journal.as_ref().unwrap().journal.lines[0].clone();
        let third = line.segments[2];
        let path = lab.reels()[0].join(media_file(&line.id));
        let mut bytes = fs::read(&path).unwrap();
        bytes[third.offset as usize + 3] ^= 1;
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, bytes).unwrap();
        let last = line.segments.last().unwrap().msn;
        let check = |span| inspection.reels[0].check(&line, &span).unwrap();
        assert_eq!(check(0..u64::MAX), Condition::Damaged(vec![third.msn, last]));
        assert_eq!(check(0..third.msn), Condition::Whole, "what lies outside the span does not count");
        fs::remove_file(&path).unwrap();
        assert_eq!(check(0..u64::MAX), Condition::Missing);
    }

    #[test]
    fn a_reel_that_was_taken_away_leaves_its_numbers_lost() {
        let lab = recorded();
        let (reels, span) = (lab.reels(), lab.timeline().span());
        let names: Vec<_> = inspect(&lab).reels.iter().map(|reel| reel.name.first_msn..reel.until_msn()).collect();
        for (reel, numbers) in reels.iter().zip(&names) {
            let aside = lab.folder.path().join("aside");
            fs::rename(reel, &aside).unwrap();
            let is_last = numbers.end == span.end;
            let wanted = if is_last { vec![] } else { vec![numbers.clone()] };
            assert_eq!(inspect(&lab).lost(span.clone()), wanted);
            fs::rename(&aside, reel).unwrap();
        }
    }

    #[test]
    fn a_damaged_journal_is_told_and_left_as_it_is() {
        let lab = recorded();
        let path = lab.reels()[0].join("journal");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(inspect(&lab).reels[0].journal.as_ref().unwrap().is_damaged);
        assert_eq!(fs::read(&path).unwrap(), bytes);
        bytes[0] = 0;
        fs::write(&path, &bytes).unwrap();
        assert!(inspect(&lab).reels[0].journal.is_err());
    }

    #[test]
    fn a_session_that_is_not_there_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let none = Inspection::of(&folder.path().join("none"), &Lab::session()).unwrap();
        assert!(none.reels.is_empty() && none.timeline().renditions().is_empty());
        assert_eq!(none.lost(3..7).first(), Some(&(3..7)));
    }
}

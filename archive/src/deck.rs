//! [`Deck`]: the write side of one session. It turns what the packager published into reels and their records. Every method blocks.

use crate::catalog::Shared;
use crate::journal::Journal;
use crate::record::{Head, Record};
use crate::recovery;
use crate::reel::{Fate, Reel};
use crate::tape::Tape;
use crate::{Pause, ReelName, SessionName, Timeline};
use media::{MediaTime, Track};
use packager::{Rendition, Step};
use std::io;
use std::sync::Arc;

/// Reels written at a time: renditions may lag 8 s behind each other, and a reel lasts a minute.
const TAPES_MAX: usize = 2;

/// The write side of one session.
#[derive(Debug)]
pub(crate) struct Deck {
    shared: Arc<Shared>,
    session: SessionName,
    timeline: Arc<Timeline>,
    renditions: Vec<Arc<Rendition>>,
    names: Vec<(String, Track)>,
    target: MediaTime,
    /// The reels that are written, the oldest first.
    tapes: Vec<Tape>,
    /// Reels that are not sealed yet, though all of them is written.
    ending: Vec<Arc<Reel>>,
    /// A reel was left to the next start, which may find less in it than was shown to readers.
    has_left: bool,
    /// For each rendition the number of its segment in progress, or of the next one.
    progress: Vec<u64>,
    /// For each rendition what the packager's init sections are called here.
    generations: Vec<Vec<Option<u64>>>,
    next_serial: u32,
}

/// Why a batch was not written. All of it is to be written again, from segment `from` on.
#[derive(Debug)]
pub(crate) struct Fault {
    pub pause: Pause,
    pub error: io::Error,
    /// The lowest segment that may not be safe in every rendition.
    pub from: u64,
}

impl Deck {
    /// A deck for a session whose timeline has everything recorded so far.
    pub fn new(
        shared: Arc<Shared>,
        timeline: Arc<Timeline>,
        renditions: Vec<Arc<Rendition>>,
        next_serial: u32,
    ) -> Self {
        let names: Vec<_> = renditions.iter().map(|r| (r.id().to_owned(), r.track())).collect();
        let target = renditions.first().map_or(MediaTime::ZERO, |r| r.playlist().borrow().target.into());
        timeline.set_live(Some(&names));
        let (progress, generations) = (vec![0; names.len()], vec![Vec::new(); names.len()]);
        let (tapes, ending, has_left, session) = (Vec::new(), Vec::new(), false, timeline.session().clone());
        Self {
            shared,
            session,
            timeline,
            renditions,
            names,
            target,
            tapes,
            ending,
            has_left,
            progress,
            generations,
            next_serial,
        }
    }

    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// What comes next begins with segment `msn` in all renditions, in a new reel.
    pub fn start(&mut self, msn: u64) {
        self.progress.fill(msn);
    }

    /// The lowest segment that any rendition has not finished.
    pub fn behind(&self) -> u64 {
        self.progress.iter().copied().min().unwrap_or(0)
    }

    /// Whether what was written before has reached the disk, as far as that was tried.
    ///
    /// # Errors
    /// When a sync failed. The reels in use are left as they are: the next start reads from the disk what is left of them.
    pub fn check(&mut self) -> Result<(), Fault> {
        self.ending.retain(|reel| !matches!(reel.fate(), Fate::Sealed(_)));
        let suspects = self.tapes.iter().map(|tape| &tape.reel).chain(&self.ending).filter_map(|reel| reel.suspect());
        let Some(suspect) = suspects.min() else { return Ok(()) };
        let from = suspect.min(self.behind());
        self.ending.retain(|reel| reel.fate() == Fate::Open);
        self.abandon();
        Err(Fault { pause: Pause::DiskError, error: io::Error::other("a sync failed"), from })
    }

    /// Writes what the renditions gave, in their order.
    ///
    /// # Errors
    /// When the disk does not take it. The reels in use are closed behind the last batch that was written.
    pub fn write(&mut self, batch: Vec<Vec<Step>>) -> Result<(), Fault> {
        let from = self.behind();
        let mut steps = (0..).zip(batch).flat_map(|(rendition, steps)| steps.into_iter().map(move |s| (rendition, s)));
        let written = steps.try_for_each(|(rendition, step)| self.take(rendition, step)).and_then(|()| self.flush());
        written.map_err(|error| {
            self.abandon();
            Fault { pause: Pause::of(&error), error, from }
        })
    }

    /// Ends the reels in use, with the segments in progress as they are. What can't be written is left to the next start.
    pub fn finish(&mut self) {
        for tape in std::mem::take(&mut self.tapes) {
            self.end(tape);
        }
    }

    /// Whether all that was written is sealed and on the disk, behind [`Deck::finish`] and a round of syncs.
    pub fn is_safe(&self) -> bool {
        let is_sealed = |reel: &Arc<Reel>| matches!(reel.fate(), Fate::Sealed(_));
        self.tapes.is_empty() && !self.has_left && self.ending.iter().all(is_sealed)
    }

    fn take(&mut self, rendition: usize, step: Step) -> io::Result<()> {
        if let Step::Begin { msn, start, .. } = &step {
            self.progress[rendition] = *msn;
            if self.tapes.last().is_none_or(|tape| tape.ends_before(*msn, *start)) {
                self.thread(*msn, *start)?;
            }
        }
        let msn = self.progress[rendition];
        let Some(tape) = self.tapes.iter_mut().rev().find(|tape| tape.first_msn() <= msn) else {
            if let Step::End { .. } = step {
                self.progress[rendition] = msn + 1;
                metrics::counter!("weir_archive_lost_segments_total", "reason" => "late").increment(1);
            }
            return Ok(());
        };
        let index = rendition as u8;
        match step {
            Step::Begin { start, wall, discontinuity, init, .. } => {
                let init = match init {
                    Some(generation) => {
                        let known = &mut self.generations[rendition];
                        let from = &self.renditions[rendition];
                        Some(announce(tape, index, from, generation, known, &self.timeline, msn)?)
                    }
                    None => None,
                };
                let wall_ms = crate::segment::millis(wall);
                tape.put_in(msn, &Record::Begin { rendition: index, msn, start, wall_ms, discontinuity, init })
            }
            Step::Part(part) => tape.put_part(msn, rendition, part),
            Step::End { gap } => {
                self.progress[rendition] = msn + 1;
                tape.put_in(msn, &Record::End { rendition: index, gap })
            }
            // The recorder looks for these before it writes.
            Step::Lost { .. } => Ok(()),
        }
    }

    /// Begins a reel with segment `first_msn`, which begins at `start`.
    fn thread(&mut self, first_msn: u64, start: MediaTime) -> io::Result<()> {
        let (sequence, discontinuities, has_hole) = match self.tapes.last() {
            Some(Tape { journal, .. }) => {
                let head = &journal.head;
                let breaks = head.discontinuities + journal.discontinuities_before(first_msn);
                (head.sequence + (first_msn - head.first_msn), breaks, false)
            }
            None => self.timeline.numbering(first_msn),
        };
        let serial = self.next_serial;
        self.next_serial += 1;
        let head = Head {
            stream: self.session.stream().to_owned(),
            session: self.session.session().to_owned(),
            serial,
            first_msn,
            sequence,
            discontinuities,
            has_hole,
            target: self.target,
        };
        let ids: Vec<String> = self.names.iter().map(|(id, _)| id.clone()).collect();
        let reel = self.shared.begin(&self.session, ReelName { first_msn, serial }, &ids)?;
        self.tapes.push(Tape::new(reel, head, start, &self.names)?);
        Ok(())
    }

    /// Writes what is waiting, shows it to readers, and ends the reels that no rendition will add to.
    fn flush(&mut self) -> io::Result<()> {
        for tape in &mut self.tapes {
            let written = tape.flush(&*self.shared.volume.disk)?;
            self.shared.volume.resize(written, 0);
            metrics::counter!("weir_archive_bytes_total").increment(written);
            self.timeline.extend(&tape.journal, &mut tape.given);
        }
        while let [_, next, ..] = self.tapes.as_slice()
            && (self.tapes.len() > TAPES_MAX || self.progress.iter().all(|msn| *msn >= next.first_msn()))
        {
            let tape = self.tapes.remove(0);
            self.end(tape);
        }
        Ok(())
    }

    fn end(&mut self, mut tape: Tape) {
        let disk = &*self.shared.volume.disk;
        match tape.close().and_then(|()| tape.flush(disk)) {
            Ok(written) => {
                self.shared.volume.resize(written, 0);
                self.timeline.extend(&tape.journal, &mut tape.given);
                tape.reel.end(tape.journal.seal());
                self.ending.push(tape.reel);
            }
            Err(error) => {
                let reel = tape.reel.folder.display();
                tracing::warn!(%error, %reel, "a reel can't be ended; the next start does it");
                self.has_left = true;
                self.shared.volume.leave(&tape.reel);
            }
        }
    }

    /// Leaves the reels in use. Those that were synced without a fault are cut back to what is whole in them, and sealed.
    fn abandon(&mut self) {
        for mut tape in std::mem::take(&mut self.tapes) {
            self.shared.volume.leave(&tape.reel);
            if tape.reel.fate() == Fate::Failed {
                self.has_left = true;
                continue;
            }
            match recovery::recover(&*self.shared.volume.disk, &tape.reel.folder) {
                Ok(Some(journal)) => {
                    self.timeline.extend(&journal, &mut tape.given);
                    self.shared.sealed(&tape.reel, journal.seal());
                }
                Ok(None) => self.shared.discard(&tape.reel),
                Err(error) => {
                    let reel = tape.reel.folder.display();
                    tracing::warn!(error = &error as &dyn std::error::Error, %reel, "a reel is left to the next start");
                    self.has_left = true;
                }
            }
        }
    }
}

/// Makes sure that an init section of the packager's is in the tape's journal, and gives what it is called there.
fn announce(
    tape: &mut Tape,
    index: u8,
    rendition: &Rendition,
    generation: u32,
    known: &mut Vec<Option<u64>>,
    timeline: &Timeline,
    msn: u64,
) -> io::Result<u64> {
    let place = generation as usize;
    known.resize(known.len().max(place + 1), None);
    let has = |journal: &Journal, name| journal.lines[usize::from(index)].init(name).is_some();
    if let Some(name) = known[place].filter(|name| has(&tape.journal, *name)) {
        return Ok(name);
    }
    let parts = rendition.init(generation).zip(rendition.coding(generation));
    let (data, coding) = parts.ok_or(io::ErrorKind::NotFound)?;
    // Another run of the server may have written the same one.
    let name = known[place].or_else(|| timeline.generation(rendition.id(), &data)).unwrap_or(msn);
    known[place] = Some(name);
    if !has(&tape.journal, name) {
        tape.put_in(msn, &Record::Init { rendition: index, generation: name, coding, data })?;
    }
    Ok(name)
}

impl Drop for Deck {
    fn drop(&mut self) {
        self.timeline.set_live(None);
        // None, unless what wrote it broke off: the next start mends them.
        self.tapes.iter().for_each(|tape| self.shared.volume.leave(&tape.reel));
        self.shared.recorded(&self.session);
    }
}

#[cfg(test)]
mod tests;

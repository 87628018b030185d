//! Fragments (ISO/IEC 14496-12, 8.8): what recorders write that may be cut off at any moment.

use crate::boxes::{Fields, Placed, child, word};
use crate::index::{Index, Sample, every, whole};
use crate::track::Header;
use crate::{Error, SAMPLES_MAX, Source};
use std::collections::BTreeMap;

/// No fragment's head is larger: a million samples.
const MOOF_MAX: u64 = 16 << 20;
/// Samples of all tracks together, those that are not taken included: a film in several languages.
const ALL_SAMPLES_MAX: usize = 4 * SAMPLES_MAX;
const DAMAGED: Error = Error::Damaged { what: "the head of a fragment can't be read" };
/// In a sample's flags (8.8.3.1).
const IS_NON_SYNC: u32 = 0x1_0000;

/// What holds for samples of a track unless a fragment says otherwise (`trex`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Of all tracks in an `mvex`, by their ids.
    pub fn all(mvex: &[u8]) -> BTreeMap<u32, Self> {
        let read = |trex: &[u8]| {
            let trex = trex.get(4..24)?;
            let defaults = Self {
                description: word(trex, 4),
                duration: word(trex, 8),
                size: word(trex, 12),
                flags: word(trex, 16),
            };
            Some((word(trex, 0), defaults))
        };
        every(mvex, b"trex").filter_map(read).collect()
    }
}

/// Reads fragments one after the other.
pub struct Fragments<'a, S: ?Sized> {
    source: &'a S,
    defaults: &'a BTreeMap<u32, Defaults>,
    /// Where each track's next sample is decoded, unless its fragment says.
    decode_times: BTreeMap<u32, i64>,
    /// Samples that may still come.
    left: usize,
}

impl<'a, S: Source + ?Sized> Fragments<'a, S> {
    pub fn new(source: &'a S, defaults: &'a BTreeMap<u32, Defaults>) -> Self {
        Self { source, defaults, decode_times: BTreeMap::new(), left: ALL_SAMPLES_MAX }
    }

    /// Adds the samples of all fragments to the tracks they belong to.
    pub fn read(&mut self, moofs: &[Placed], taken: &mut [(&Header, Index)]) -> Result<(), Error> {
        for placed in moofs {
            let moof = whole(self.source, placed, MOOF_MAX)?;
            let mut behind = placed.at;
            for traf in every(&moof, b"traf") {
                behind = self.traf(traf, (placed.at, behind), taken)?;
            }
        }
        Ok(())
    }

    /// Reads one track's share of a fragment that begins at `moof_at`; gives where its media ends.
    fn traf(
        &mut self,
        traf: &[u8],
        (moof_at, behind): (u64, u64),
        taken: &mut [(&Header, Index)],
    ) -> Result<u64, Error> {
        let mut tfhd = Fields(child(traf, b"tfhd").ok_or(DAMAGED)?);
        let (_, flags) = tfhd.version().ok_or(DAMAGED)?;
        let id = tfhd.word().ok_or(DAMAGED)?;
        let mut own = self.defaults.get(&id).copied().unwrap_or_default();
        let mut base = if flags & 0x02_0000 != 0 { moof_at } else { behind };
        if flags & 1 != 0 {
            base = tfhd.long().ok_or(DAMAGED)?;
        }
        for (bit, field) in
            [(2, &mut own.description), (8, &mut own.duration), (16, &mut own.size), (32, &mut own.flags)]
        {
            if flags & bit != 0 {
                *field = tfhd.word().ok_or(DAMAGED)?;
            }
        }
        let track = taken.iter_mut().find(|(header, _)| header.id == id);
        if track.is_some() && own.description > 1 {
            return Err(Error::Changes);
        }
        let mut time = self.decode_times.get(&id).copied().unwrap_or(0);
        if let Some(tfdt) = child(traf, b"tfdt") {
            let mut tfdt = Fields(tfdt);
            let (version, _) = tfdt.version().ok_or(DAMAGED)?;
            let said = tfdt.word_or_long(version == 1).ok_or(DAMAGED)?;
            time = i64::try_from(said).ok().filter(|time| *time < 1 << 60).ok_or(DAMAGED)?;
        }
        let mut at = base;
        let mut track = track;
        for trun in every(traf, b"trun") {
            (at, time) = self.trun(trun, &own, (base, at), time, &mut track)?;
        }
        self.decode_times.insert(id, time);
        Ok(at)
    }

    fn trun(
        &mut self,
        trun: &[u8],
        own: &Defaults,
        (base, mut at): (u64, u64),
        mut time: i64,
        track: &mut Option<&mut (&Header, Index)>,
    ) -> Result<(u64, i64), Error> {
        let mut fields = Fields(trun);
        let (_, flags) = fields.version().ok_or(DAMAGED)?;
        let count = fields.word().ok_or(DAMAGED)?;
        if flags & 1 != 0 {
            let offset = fields.word().ok_or(DAMAGED)? as i32;
            at = base.checked_add_signed(offset.into()).ok_or(DAMAGED)?;
        }
        let first_flags = if flags & 4 != 0 { Some(fields.word().ok_or(DAMAGED)?) } else { None };
        let has = |bit: u32| flags & bit != 0;
        let each = [0x100, 0x200, 0x400, 0x800].into_iter().filter(|bit| has(*bit)).count() * 4;
        if each * count as usize > fields.0.len() {
            return Err(DAMAGED);
        }
        // A run without any number of its own is as long as it says.
        let left = self.left.checked_sub(count as usize);
        self.left = left.ok_or(Error::TooLong { what: "has more than sixteen million samples" })?;
        let size = self.source.size();
        for number in 0..count {
            let mut next = |bit, otherwise| if has(bit) { fields.word() } else { Some(otherwise) };
            let duration = next(0x100, own.duration).ok_or(DAMAGED)?;
            let bytes = next(0x200, own.size).ok_or(DAMAGED)?;
            let usual = first_flags.filter(|_| number == 0).unwrap_or(own.flags);
            let flags = next(0x400, usual).ok_or(DAMAGED)?;
            let offset = next(0x800, 0).ok_or(DAMAGED)? as i32;
            let end = at.checked_add(bytes.into()).filter(|end| *end <= size);
            let end = end.ok_or(Error::CutShort { what: "a fragment lists media behind its end" })?;
            if let Some((header, index)) = track {
                if index.samples.len() >= SAMPLES_MAX {
                    return Err(Error::TooLong { what: "has more than four million pictures or frames of sound" });
                }
                let sync = flags & IS_NON_SYNC == 0;
                header.add(index, Sample { at, bytes, sync, ..Sample::default() }, time, offset.into(), duration)?;
            }
            if bytes == 0 && each == 0 {
                return Err(DAMAGED);
            }
            at = end;
            time = time.checked_add(duration.into()).filter(|time| *time < 1 << 60).ok_or(DAMAGED)?;
        }
        Ok((at, time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// A file of a terabyte.
    struct Large;

    impl Source for Large {
        fn size(&self) -> u64 {
            1 << 40
        }

        fn read_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
            buffer.fill(0);
            Ok(())
        }
    }

    #[test]
    fn a_run_of_a_track_that_is_not_taken_is_not_as_long_as_it_says() {
        let defaults = BTreeMap::new();
        let mut fragments = Fragments::new(&Large, &defaults);
        let own = Defaults { size: 1, ..Defaults::default() };
        let mut run = |count: u32| {
            let trun = [[0; 4], count.to_be_bytes()].concat();
            fragments.trun(&trun, &own, (0, 0), 0, &mut None)
        };
        assert_eq!(run(1_000).unwrap(), (1_000, 0));
        assert!(matches!(run(u32::MAX), Err(Error::TooLong { .. })));
        assert!(matches!(run(ALL_SAMPLES_MAX as u32 - 999), Err(Error::TooLong { .. })), "of all runs together");
    }
}

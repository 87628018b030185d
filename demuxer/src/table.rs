//! The tables of a plain file (ISO/IEC 14496-12, 8.6 and 8.7): each sample's size, place and times.

use crate::boxes::{Fields, child, word};
use crate::index::{Index, Sample};
use crate::track::Header;
use crate::{Error, SAMPLES_MAX};

const DAMAGED: Error = Error::Damaged { what: "a table of samples is cut short" };

/// Sizes of all samples, or that of each.
enum Sizes<'a> {
    Each(&'a [[u8; 4]]),
    Small(&'a [[u8; 2]]),
    All(u32, usize),
}

impl Sizes<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Each(sizes) => sizes.len(),
            Self::Small(sizes) => sizes.len(),
            Self::All(_, count) => *count,
        }
    }

    fn get(&self, at: usize) -> u32 {
        match self {
            Self::Each(sizes) => u32::from_be_bytes(sizes[at]),
            Self::Small(sizes) => u16::from_be_bytes(sizes[at]).into(),
            Self::All(size, _) => *size,
        }
    }
}

/// Adds the samples of a track's `stbl` to its index. `file_size` is what all of them must lie in.
pub fn read(stbl: &[u8], header: &Header, file_size: u64, index: &mut Index) -> Result<(), Error> {
    let sizes = sizes(stbl, file_size)?;
    let count = sizes.count();
    if count == 0 {
        return Ok(());
    }
    let mut times = Runs::new(table(stbl, b"stts")?.ok_or(DAMAGED)?);
    let mut offsets = table(stbl, b"ctts")?.map(Runs::new);
    let sync: Option<&[[u8; 4]]> = match child(stbl, b"stss") {
        Some(body) => Some(counted::<4>(body).ok_or(DAMAGED)?),
        None => None,
    };
    let mut sync_at = 0;
    let mut places = Places::new(stbl)?;
    index.samples.reserve_exact(count);
    let mut decode_time = 0_i64;
    for number in 0..count {
        let bytes = sizes.get(number);
        let at = places.next(bytes)?;
        if at.checked_add(bytes.into()).is_none_or(|end| end > file_size) {
            return Err(Error::CutShort { what: "its index lists media behind its end" });
        }
        let delta = times.next().ok_or(DAMAGED)?;
        // Version 0 has no sign, but is written with one by many.
        let offset = offsets.as_mut().and_then(Runs::next).unwrap_or(0) as i32;
        let is_sync = sync.is_none_or(|sync| {
            while sync.get(sync_at).is_some_and(|entry| (u32::from_be_bytes(*entry) as usize) < number + 1) {
                sync_at += 1;
            }
            sync.get(sync_at).is_some_and(|entry| u32::from_be_bytes(*entry) as usize == number + 1)
        });
        header.add(
            index,
            Sample { at, bytes, sync: is_sync, ..Sample::default() },
            decode_time,
            offset.into(),
            delta,
        )?;
        decode_time += i64::from(delta);
    }
    Ok(())
}

fn sizes(stbl: &[u8], file_size: u64) -> Result<Sizes<'_>, Error> {
    let sizes = if let Some(body) = child(stbl, b"stsz") {
        let mut fields = Fields(body);
        let (_, size, count) = three(&mut fields).ok_or(DAMAGED)?;
        match size {
            0 => Sizes::Each(fields.entries::<4>(count).ok_or(DAMAGED)?),
            size if u64::from(size) * u64::from(count) > file_size => {
                return Err(Error::CutShort { what: "its index lists more media than it has" });
            }
            size => Sizes::All(size, count as usize),
        }
    } else if let Some(body) = child(stbl, b"stz2") {
        let mut fields = Fields(body);
        let (_, width, count) = three(&mut fields).ok_or(DAMAGED)?;
        match width & 0xff {
            16 => Sizes::Small(fields.entries::<2>(count).ok_or(DAMAGED)?),
            _ => return Err(Error::Damaged { what: "the sizes of samples have a width nobody writes" }),
        }
    } else {
        return Ok(Sizes::All(0, 0));
    };
    if sizes.count() > SAMPLES_MAX {
        return Err(Error::TooLong { what: "has more than four million pictures or frames of sound" });
    }
    Ok(sizes)
}

fn three(fields: &mut Fields<'_>) -> Option<(u32, u32, u32)> {
    Some((fields.word()?, fields.word()?, fields.word()?))
}

/// The entries of a full box that begins with how many there are.
fn counted<const N: usize>(body: &[u8]) -> Option<&[[u8; N]]> {
    let mut fields = Fields(body);
    fields.version()?;
    let count = fields.word()?;
    fields.entries(count)
}

fn table<'a>(stbl: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [[u8; 8]]>, Error> {
    child(stbl, kind).map(|body| counted(body).ok_or(DAMAGED)).transpose()
}

/// Values each of which holds for a number of samples.
struct Runs<'a> {
    rest: &'a [[u8; 8]],
    value: u32,
    left: u32,
}

impl<'a> Runs<'a> {
    fn new(entries: &'a [[u8; 8]]) -> Self {
        Self { rest: entries, value: 0, left: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let (entry, rest) = self.rest.split_first()?;
            (self.left, self.value) = (word(entry, 0), word(entry, 4));
            self.rest = rest;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Where samples lie: chunk by chunk, one behind the other in each.
struct Places<'a> {
    runs: &'a [[u8; 12]],
    short: &'a [[u8; 4]],
    long: &'a [[u8; 8]],
    /// The chunk that comes next, from 0.
    chunk: usize,
    /// Samples left in the one that is on, and where the next one lies.
    left: u32,
    at: u64,
}

impl<'a> Places<'a> {
    fn new(stbl: &'a [u8]) -> Result<Self, Error> {
        let runs = child(stbl, b"stsc").and_then(counted).ok_or(DAMAGED)?;
        let (mut short, mut long): (&[[u8; 4]], &[[u8; 8]]) = (&[], &[]);
        match (child(stbl, b"stco"), child(stbl, b"co64")) {
            (Some(body), _) => short = counted(body).ok_or(DAMAGED)?,
            (None, Some(body)) => long = counted(body).ok_or(DAMAGED)?,
            (None, None) => return Err(DAMAGED),
        }
        Ok(Self { runs, short, long, chunk: 0, left: 0, at: 0 })
    }

    fn next(&mut self, bytes: u32) -> Result<u64, Error> {
        while self.left == 0 {
            let short = self.short.get(self.chunk).map(|entry| u64::from(u32::from_be_bytes(*entry)));
            let at = short.or_else(|| self.long.get(self.chunk).map(|entry| u64::from_be_bytes(*entry)));
            self.at = at.ok_or(DAMAGED)?;
            // The run this chunk, counted from 1, belongs to.
            while self.runs.get(1).is_some_and(|next| word(next, 0) as usize <= self.chunk + 1) {
                self.runs = &self.runs[1..];
            }
            let run = self.runs.first().ok_or(DAMAGED)?;
            if word(run, 8) > 1 {
                return Err(Error::Changes);
            }
            self.left = word(run, 4);
            self.chunk += 1;
        }
        self.left -= 1;
        let at = self.at;
        self.at = at.checked_add(bytes.into()).ok_or(DAMAGED)?;
        Ok(at)
    }
}

//! Boxes (ISO/IEC 14496-12, 4.2) and the numbers in them.

use crate::{Error, Source};
use std::ops::Range;

/// Size and kind.
const HEADER: u64 = 8;
/// The same with a size of 64 bits.
const LONG_HEADER: u64 = 16;

/// A box's kind.
pub type Kind = [u8; 4];

/// A box of the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub kind: Kind,
    /// Where its header begins.
    pub at: u64,
    /// Where its content lies, which the file may not have all of.
    pub body: Range<u64>,
}

/// The box of the file that begins at `at`; `None` when its header is no header.
pub fn placed(source: &(impl Source + ?Sized), at: u64) -> Result<Option<Placed>, Error> {
    let left = source.size().saturating_sub(at);
    if left < HEADER {
        return Ok(None);
    }
    let mut header = [0; LONG_HEADER as usize];
    let known = left.min(LONG_HEADER) as usize;
    source.read_at(at, &mut header[..known])?;
    let kind = [header[4], header[5], header[6], header[7]];
    let size = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
    let (size, head) = match size {
        // It goes on to the end of the file.
        0 => (left, HEADER),
        1 if known as u64 == LONG_HEADER => {
            let mut long = [0; 8];
            long.copy_from_slice(&header[8..]);
            (u64::from_be_bytes(long), LONG_HEADER)
        }
        size => (size, HEADER),
    };
    if size < head {
        return Ok(None);
    }
    Ok(at.checked_add(size).map(|end| Placed { kind, at, body: at + head..end }))
}

/// The boxes in `data`, one behind the other. What is no whole box ends them: QuickTime ends some with four zeros.
pub fn children(data: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let mut fields = Fields(rest);
        let size = fields.word()?;
        let kind = fields.kind()?;
        let (size, head) = match size {
            0 => (rest.len(), HEADER as usize),
            1 => (usize::try_from(fields.long()?).ok()?, LONG_HEADER as usize),
            size => (size as usize, HEADER as usize),
        };
        let whole = rest.get(..size)?;
        let body = whole.get(head..)?;
        rest = &rest[size..];
        Some((kind, body))
    })
}

/// The content of the first box of a kind.
pub fn child<'a>(data: &'a [u8], kind: &Kind) -> Option<&'a [u8]> {
    children(data).find(|(found, _)| found == kind).map(|(_, body)| body)
}

/// The content of a box within boxes.
pub fn descend<'a>(data: &'a [u8], path: &[&Kind]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, kind| child(data, kind))
}

/// Numbers one behind the other, big-endian. `None` where the bytes end.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*found)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    pub fn kind(&mut self) -> Option<Kind> {
        self.bytes()
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub fn half(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    pub fn word(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    pub fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// A word or, in a later version of the box, a long.
    pub fn word_or_long(&mut self, is_long: bool) -> Option<u64> {
        if is_long { self.long() } else { self.word().map(u64::from) }
    }

    /// What a full box begins with: version and flags.
    pub fn version(&mut self) -> Option<(u8, u32)> {
        self.word().map(|word| ((word >> 24) as u8, word & 0xff_ffff))
    }

    /// `count` entries of `N` bytes, all of which are there.
    pub fn entries<const N: usize>(&self, count: u32) -> Option<&'a [[u8; N]]> {
        let (all, _) = self.0.as_chunks::<N>();
        all.get(..count as usize)
    }
}

/// A word of an entry.
pub fn word(entry: &[u8], at: usize) -> u32 {
    entry.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

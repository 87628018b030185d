//! The chunks of recorded media, for whoever lays the same bytes out as another file: a `moof` and the payload behind it.
//!
//! When media goes because it is also elsewhere, the heads of its chunks stay, a hundredth of it: `RENDITION.heads` holds for each one the
//! place of its payload in the media (u32), how long that is (u32), the length of its `moof` (u32), little-endian, and then that box
//! (ISO/IEC 14496-12, 8.8.4). So nobody has to fetch an hour of media to know what is in it.

use crate::recovery::media_file;
use crate::{Place, disk, disk::Disk};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What the file of a rendition's heads ends with.
pub(crate) const HEADS: &str = ".heads";
/// Bytes before a `moof` in it.
const ENTRY_BYTES: usize = 12;
/// Read at once of a chunk: its head is some hundred bytes.
const BLOCK_BYTES: usize = 2 << 10;
/// No head of a chunk is longer.
const MOOF_MAX: u64 = 1 << 20;

/// A piece of a segment that can be decoded with an init section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The whole `moof` box.
    pub moof: Bytes,
    /// Where its payload lies in the rendition's file, without the header of the `mdat`.
    pub payload: Range<u64>,
}

impl Place {
    /// The chunks of the segment. Reads their heads, or what is kept of them when the media is only elsewhere. Blocks on the disk.
    ///
    /// # Errors
    /// When the disk does not give them, or they are damaged.
    pub fn chunks(&self) -> io::Result<Vec<Chunk>> {
        match self.is_local {
            true => walk(&File::open(&self.path)?, self.range.clone()),
            false => {
                let heads = File::open(self.path.with_extension(&HEADS[1..]))?;
                kept(&heads, heads.metadata()?.len(), &self.range)
            }
        }
    }
}

/// Keeps the heads of a rendition's media, which is about to go. Gives the bytes that takes.
pub(crate) fn keep(disk: &dyn Disk, folder: &Path, rendition: &str) -> io::Result<u64> {
    let media = File::open(folder.join(media_file(rendition)))?;
    let mut out = BytesMut::new();
    for Chunk { moof, payload } in walk(&media, 0..media.metadata()?.len())? {
        let payload_bytes = payload.end - payload.start;
        for number in [payload.start, payload_bytes, moof.len() as u64] {
            out.put_u32_le(u32::try_from(number).map_err(|_| damaged())?);
        }
        out.put(moof);
    }
    let (written, name) = (folder.join("heads.new"), folder.join(format!("{rendition}{HEADS}")));
    let mut file = File::create(&written)?;
    file.write_all(&out)?;
    disk.sync(&file)?;
    fs::rename(written, name)?;
    disk::sync_folder(disk, folder)?;
    Ok(out.len() as u64)
}

/// The kept heads of chunks whose payload lies in `range`.
fn kept(heads: &File, length: u64, range: &Range<u64>) -> io::Result<Vec<Chunk>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < length {
        let mut entry = [0; ENTRY_BYTES];
        heads.read_exact_at(&mut entry, at)?;
        let mut entry = &entry[..];
        let (start, bytes, moof_bytes) = (entry.get_u32_le(), entry.get_u32_le(), entry.get_u32_le());
        at += ENTRY_BYTES as u64;
        let (payload, end) = (u64::from(start)..u64::from(start) + u64::from(bytes), at + u64::from(moof_bytes));
        if end > length || u64::from(moof_bytes) > MOOF_MAX {
            return Err(damaged());
        }
        if payload.start >= range.end {
            break;
        }
        if payload.start >= range.start {
            let mut moof = vec![0; moof_bytes as usize];
            heads.read_exact_at(&mut moof, at)?;
            found.push(Chunk { moof: moof.into(), payload });
        }
        at = end;
    }
    Ok(found)
}

/// The chunks in a range of a media file.
fn walk(file: &File, range: Range<u64>) -> io::Result<Vec<Chunk>> {
    let (mut at, end) = (range.start, range.end);
    let (mut found, mut moof) = (Vec::new(), Bytes::new());
    let mut block = vec![0; BLOCK_BYTES];
    while at < end {
        let most = block.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut block[..most], at)?;
        let head: [u8; 8] = block[..most].first_chunk().copied().ok_or_else(damaged)?;
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        if size < 8 || size > end - at {
            return Err(damaged());
        }
        match &head[4..] {
            b"moof" if size <= most as u64 => moof = Bytes::copy_from_slice(&block[..size as usize]),
            b"moof" if size <= MOOF_MAX => {
                let mut long = vec![0; size as usize];
                file.read_exact_at(&mut long, at)?;
                moof = long.into();
            }
            b"mdat" => found.push(Chunk { moof: std::mem::take(&mut moof), payload: at + 8..at + size }),
            _ => {}
        }
        at += size;
    }
    Ok(found)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a chunk of the archive can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use crate::lab::Lab;
    use proptest::prelude::*;

    fn opened(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        [&(8 + payload.len() as u32).to_be_bytes()[..], kind, payload].concat()
    }

    #[test]
    fn chunks_are_found_among_other_boxes() {
        let long = vec![7; 3_000];
        let bytes = [
            boxed(b"styp", b"x"),
            boxed(b"moof", b"one"),
            boxed(b"mdat", b"12345"),
            boxed(b"moof", &long),
            boxed(b"mdat", b""),
        ];
        let found = walk(&opened(&bytes.concat()), 0..bytes.concat().len() as u64).unwrap();
        assert_eq!(found[0], Chunk { moof: boxed(b"moof", b"one").into(), payload: 28..33 });
        assert_eq!((found[1].moof.len(), found[1].payload.is_empty()), (3_008, true));
        assert!(walk(&opened(&bytes.concat()), 0..40).is_err(), "cut in the middle of a box");
    }

    #[test]
    fn what_is_kept_of_chunks_is_what_they_were() {
        let (lab, _) = Lab::recorded(|_| {});
        let folder = lab.reels().remove(0);
        let timeline = lab.timeline();
        let place = |msn| timeline.place("source", msn).unwrap();
        let before: Vec<_> = (7..37).map(|msn| place(msn).chunks().unwrap()).collect();
        assert!(before.iter().all(|chunks| !chunks.is_empty()));
        let bytes = keep(&LocalDisk, &folder, "source").unwrap();
        assert_eq!(bytes, folder.join("source.heads").metadata().unwrap().len());
        fs::remove_file(folder.join("source.m4s")).unwrap();
        let remote = |msn| Place { is_local: false, ..place(msn) };
        let after: Vec<_> = (7..37).map(|msn| remote(msn).chunks().unwrap()).collect();
        assert_eq!(before, after);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kinds in any::<u8>()) {
            let mut bytes = bytes;
            // Now and then a box that makes sense.
            if bytes.len() > 8 && kinds & 1 == 0 {
                bytes[..8].copy_from_slice(&boxed(if kinds & 2 == 0 { b"moof" } else { b"mdat" }, &[0; 4])[..8]);
            }
            let (file, length) = (opened(&bytes), bytes.len() as u64);
            let _ = walk(&file, 0..length);
            let _ = kept(&file, length, &(0..u64::MAX));
        }
    }
}

//! What becomes of a reel whose writer is gone: it keeps everything up to the first record that is damaged, out of order, or whose
//! media is missing or fails its checksum. The rest is cut off, the segments in progress end with the parts they have, and the
//! reel is sealed. Doing it again changes nothing, so it may itself be cut short at any moment.

use crate::disk::{self, Disk};
use crate::journal::{Journal, Unreadable};
use crate::record::{self, Chunk, Record};
use crate::{Error, error};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The journal's file name in a reel's folder.
pub const JOURNAL: &str = "journal";
/// No journal is longer: a minute of six renditions takes 100 KB.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Media is read in such pieces to be checked.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The name of a rendition's file in a reel's folder.
pub fn media_file(rendition: &str) -> String {
    format!("{rendition}.m4s")
}

/// Reads the journal in a reel's folder.
pub(crate) fn read_journal(folder: &Path) -> Result<Bytes, Error> {
    let path = folder.join(JOURNAL);
    let mut bytes = Vec::new();
    let mut read = || File::open(&path)?.take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes);
    read().map_err(error(&path, "read"))?;
    Ok(bytes.into())
}

/// Recovers a reel, sealed or not; it blocks for as long as reading its media takes. `None` when nothing is to be had, and the
/// folder may go.
///
/// # Errors
/// When the disk fails or the journal is not one; nothing was changed then that another try would miss.
pub(crate) fn recover(disk: &dyn Disk, folder: &Path) -> Result<Option<Journal>, Error> {
    let mut media = Media { folder, files: HashMap::new(), piece: vec![0; PIECE_BYTES] };
    let bytes = read_journal(folder)?;
    let length = bytes.len();
    let (mut journal, good) = match Journal::replay(bytes, |id, chunk| media.is_sound(id, chunk)) {
        Ok(read) => read,
        Err(Unreadable::Empty) => return Ok(None),
        Err(source) => return Err(Error::Unreadable { path: folder.to_owned(), source }),
    };
    if journal.is_sealed() {
        return Ok(Some(journal));
    }
    let mut cut = length - good;
    for line in &journal.lines {
        let Some(file) = media.file(&line.id) else { continue };
        let trim = || -> io::Result<u64> {
            let more = file.metadata()?.len().saturating_sub(line.bytes.into());
            file.set_len(line.bytes.into())?;
            disk.sync(file)?;
            Ok(more)
        };
        cut += trim().map_err(error(&folder.join(media_file(&line.id)), "cut"))? as usize;
    }
    let mut tail = Vec::new();
    for ending in journal.endings() {
        journal.apply(&ending);
        record::put(&mut tail, &ending);
    }
    if journal.is_empty() {
        return Ok(None);
    }
    let seal = Record::Sealed(journal.seal());
    journal.apply(&seal);
    record::put(&mut tail, &seal);
    let path = folder.join(JOURNAL);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(good as u64)?;
        file.seek(SeekFrom::End(0))?;
        disk::write_all(disk, &file, &mut [IoSlice::new(&tail)])?;
        disk.sync(&file)?;
        disk::sync_folder(disk, folder)
    };
    write().map_err(error(&path, "sealed"))?;
    metrics::counter!("weir_archive_recovered_reels_total").increment(1);
    metrics::counter!("weir_archive_cut_bytes_total").increment(cut as u64);
    Ok(Some(journal))
}

/// The media files of a reel, opened when they are first needed.
struct Media<'a> {
    folder: &'a Path,
    files: HashMap<String, Option<File>>,
    piece: Vec<u8>,
}

impl Media<'_> {
    fn file(&mut self, id: &str) -> Option<&File> {
        if !self.files.contains_key(id) {
            let path = self.folder.join(media_file(id));
            self.files.insert(id.to_owned(), OpenOptions::new().read(true).write(true).open(path).ok());
        }
        self.files.get(id)?.as_ref()
    }

    /// Whether a part's bytes are there and are those that were written.
    fn is_sound(&mut self, id: &str, chunk: Chunk) -> bool {
        if chunk.length == 0 {
            return true;
        }
        let mut piece = std::mem::take(&mut self.piece);
        let checked =
            self.file(id).is_some_and(|file| checksum(file, chunk, &mut piece).is_ok_and(|crc| crc == chunk.crc));
        self.piece = piece;
        checked
    }
}

/// The CRC-32 of a part's bytes, read in pieces.
pub(crate) fn checksum(file: &File, chunk: Chunk, piece: &mut [u8]) -> io::Result<u32> {
    let mut crc = crc32fast::Hasher::new();
    let (mut at, end) = (u64::from(chunk.offset), u64::from(chunk.offset) + u64::from(chunk.length));
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
        file.read_exact_at(&mut piece[..size], at)?;
        crc.update(&piece[..size]);
        at += size as u64;
    }
    Ok(crc.finalize())
}

#[cfg(test)]
mod tests;

//! Pictures of a session, one every few seconds, for lists and seek bars. They lie in the reels beside the media, in a file that no
//! journal lists: they are small, nobody promises them, and what a crash leaves half written is not read.
//!
//! `pictures` holds for each one its length (u32), its date (milliseconds since 1970, i64) and its CRC-32 (u32), little-endian, and then a
//! JPEG.

use crate::catalog::Shared;
use crate::{Archive, SessionName};
use bytes::{Buf, BufMut, Bytes};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file's name in a reel.
pub(crate) const PICTURES: &str = "pictures";
/// Bytes before a picture.
const HEAD_BYTES: usize = 16;
/// No picture is larger: one of 640 by 360 has 30 kB.
const PICTURE_BYTES_MAX: usize = 1 << 20;

/// A picture and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// When it was taken, by the wall clock, milliseconds since 1970.
    pub wall_ms: i64,
    /// The file.
    pub path: PathBuf,
    /// The range of the file that is a JPEG.
    pub range: Range<u64>,
}

impl Archive {
    /// Adds a picture, a JPEG, to what is being recorded of a session; one that comes while nothing is, is dropped. Blocks on the disk.
    ///
    /// # Errors
    /// When the disk does not take it, or it has more than 1 MiB.
    pub fn add_picture(&self, session: &SessionName, wall_ms: i64, jpeg: &Bytes) -> io::Result<()> {
        if jpeg.len() > PICTURE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the picture has more than 1 MiB"));
        }
        let Some(folder) = self.shared.growing(session) else { return Ok(()) };
        let mut record = Vec::with_capacity(HEAD_BYTES + jpeg.len());
        record.put_u32_le(jpeg.len() as u32);
        record.put_i64_le(wall_ms);
        record.put_u32_le(crc32fast::hash(jpeg));
        record.extend_from_slice(jpeg);
        OpenOptions::new().create(true).append(true).open(folder.join(PICTURES))?.write_all(&record)
    }

    /// The pictures of a session's reels that have segments in `span`, in their order. Reads the heads of all of them: 50 files of
    /// twelve for an hour. Blocks on the disk; what can't be read is left out.
    pub fn pictures(&self, session: &SessionName, span: Range<u64>) -> Vec<Picture> {
        let folders = self.shared.folders_within(session, &span);
        let mut found: Vec<Picture> = folders.iter().flat_map(|folder| read(&folder.join(PICTURES))).collect();
        found.sort_by_key(|picture| picture.wall_ms);
        found
    }
}

impl Shared {
    /// The folder of the reel that is being written.
    fn growing(&self, session: &SessionName) -> Option<PathBuf> {
        let catalog = self.catalog();
        let reel = catalog.sessions.get(session)?.reels.last().filter(|reel| reel.seal.is_none())?.name;
        Some(self.folder(session, reel))
    }

    fn folders_within(&self, session: &SessionName, span: &Range<u64>) -> Vec<PathBuf> {
        let catalog = self.catalog();
        let Some(shelf) = catalog.sessions.get(session) else { return Vec::new() };
        let within = shelf.reels.iter().filter(|reel| {
            let until = reel.seal.map_or(u64::MAX, |seal| seal.until_msn);
            reel.name.first_msn < span.end && span.start < until
        });
        within.map(|reel| self.folder(session, reel.name)).collect()
    }
}

/// The pictures in a file, up to the first that is not whole.
fn read(path: &Path) -> Vec<Picture> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let whole = file.metadata().map_or(0, |facts| facts.len());
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some((wall_ms, length, _)) = head(&file, at) {
        let range = at + HEAD_BYTES as u64..at + HEAD_BYTES as u64 + u64::from(length);
        if length == 0 || length as usize > PICTURE_BYTES_MAX || range.end > whole {
            break;
        }
        at = range.end;
        found.push(Picture { wall_ms, path: path.to_owned(), range });
    }
    // The newest may have been cut off by a crash within a page of the disk.
    while let Some(last) = found.pop() {
        if is_sound(&file, &last) {
            found.push(last);
            break;
        }
    }
    found
}

fn head(file: &File, at: u64) -> Option<(i64, u32, u32)> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, at).ok()?;
    let mut head = &head[..];
    let (length, wall_ms, crc) = (head.get_u32_le(), head.get_i64_le(), head.get_u32_le());
    Some((wall_ms, length, crc))
}

fn is_sound(file: &File, picture: &Picture) -> bool {
    let mut bytes = vec![0; (picture.range.end - picture.range.start) as usize];
    let crc = head(file, picture.range.start - HEAD_BYTES as u64).map(|(_, _, crc)| crc);
    file.read_exact_at(&mut bytes, picture.range.start).is_ok() && crc == Some(crc32fast::hash(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::Stage;
    use crate::lab::Lab;
    use std::fs;
    use std::time::Instant;

    fn jpeg(n: u8) -> Bytes {
        vec![n; 100 + usize::from(n)].into()
    }

    fn bytes(picture: &Picture) -> Vec<u8> {
        let whole = fs::read(&picture.path).unwrap();
        whole[picture.range.start as usize..picture.range.end as usize].to_vec()
    }

    #[test]
    fn pictures_are_found_by_what_was_recorded_around_them_and_go_with_it() {
        let (lab, mut stage, session) = (Lab::new(|_| {}), Stage::new(|_| {}), Lab::session());
        lab.archive.add_picture(&session, 0, &jpeg(9)).unwrap();
        let mut recorder = lab.recorder(&stage);
        for n in 0..8 {
            stage.play(10);
            recorder.step(Instant::now());
            lab.archive.add_picture(&session, n.into(), &jpeg(n)).unwrap();
        }
        recorder.finish();
        lab.archive.flush();
        let all = lab.archive.pictures(&session, 0..u64::MAX);
        assert_eq!(all.iter().map(|picture| picture.wall_ms).collect::<Vec<_>>(), (0..8).collect::<Vec<i64>>());
        assert!(all.iter().all(|picture| bytes(picture) == jpeg(picture.wall_ms as u8)));
        assert!(lab.reels().len() > 1);
        let first = lab.archive.pictures(&session, 0..8);
        assert!(!first.is_empty() && first.len() < 8, "those of the first minute");
        let bytes = lab.archive.usage().bytes;
        assert_eq!(lab.killed().archive.usage().bytes, bytes, "they count as what is on the disk");
    }

    #[test]
    fn what_a_crash_left_of_a_picture_is_not_read() {
        let (lab, mut stage, session) = (Lab::new(|_| {}), Stage::new(|_| {}), Lab::session());
        let mut recorder = lab.recorder(&stage);
        stage.play(2);
        recorder.step(Instant::now());
        for n in 0..3 {
            lab.archive.add_picture(&session, n.into(), &jpeg(n)).unwrap();
        }
        let file = lab.archive.pictures(&session, 0..u64::MAX).remove(0).path;
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            let found = lab.archive.pictures(&session, 0..u64::MAX);
            assert!(
                found.iter().all(|picture| bytes(picture) == jpeg(picture.wall_ms as u8)) && found.len() < 3,
                "{cut}"
            );
        }
        let mut zeros = whole.clone();
        zeros[whole.len() - 50..].fill(0);
        fs::write(&file, zeros).unwrap();
        assert_eq!(lab.archive.pictures(&session, 0..u64::MAX).len(), 2);
        recorder.finish();
    }
}

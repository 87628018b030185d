//! Listing a tree of folders in the order S3 lists keys: by the bytes of the whole key.

use super::tree::{FOLDER_FLAGS, is_absence};
use crate::{Key, Object, Page};
use rustix::fs::{AtFlags, Dir, FileType, Mode, Stat, openat, statat};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The objects of `folder` (which is `below`) behind `after`, and of the folders in it.
pub(super) fn page(folder: OwnedFd, below: Option<&Key>, after: Option<&str>) -> rustix::io::Result<Page> {
    let mut walk = Walk { after: after.unwrap_or_default(), objects: Vec::new() };
    let prefix = below.map_or_else(String::new, |key| format!("{key}/"));
    let has_more = walk.enter(&folder, &prefix)?;
    let next = walk.objects.last().filter(|_| has_more).map(|object| object.key.to_string());
    Ok(Page { objects: walk.objects, next })
}

struct Walk<'a> {
    after: &'a str,
    objects: Vec<Object>,
}

impl Walk<'_> {
    /// Whether the page is full and there is more.
    fn enter(&mut self, folder: &OwnedFd, prefix: &str) -> rustix::io::Result<bool> {
        for (name, is_folder) in entries(folder)? {
            let path = format!("{prefix}{name}");
            let is_done = path.as_str() <= self.after && !(is_folder && self.after.starts_with(&path));
            if is_done {
                continue;
            }
            if is_folder && path.len() > Key::BYTES_MAX {
                continue;
            }
            if is_folder {
                match openat(folder, name.trim_end_matches('/'), FOLDER_FLAGS, Mode::empty()) {
                    Ok(inner) if self.enter(&inner, &path)? => return Ok(true),
                    Ok(_) => {}
                    // Gone since.
                    Err(error) if is_absence(error) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            let Ok(key) = Key::new(path) else { continue };
            if self.objects.len() == Page::OBJECTS_MAX {
                return Ok(true);
            }
            match statat(folder, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(known) => self.objects.push(object(key, &known)),
                Err(error) if is_absence(error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Files, and folders with a slash behind, in the order of their objects' keys: `a-b` comes before what is in `a/`.
fn entries(folder: &OwnedFd) -> rustix::io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |known| FileType::from_raw_mode(known.st_mode)),
            kind => kind,
        };
        match kind {
            FileType::Directory => found.push((format!("{name}/"), true)),
            FileType::RegularFile => found.push((name.to_owned(), false)),
            _ => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn object(key: Key, known: &Stat) -> Object {
    let seconds = u64::try_from(known.st_mtime).unwrap_or(0);
    let modified: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
    Object { key, size_bytes: u64::try_from(known.st_size).unwrap_or(0), modified: Some(modified) }
}

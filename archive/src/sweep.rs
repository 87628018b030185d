//! What goes: reels that nobody may rewind to and nobody keeps, and, when there is no room, media that is also elsewhere.

use crate::catalog::Entry;
use crate::recovery::media_file;
use crate::segment::millis;
use crate::volume::Policy;
use crate::{Archive, ReelName, SessionName, chunks, stored};
use std::collections::HashMap;
use std::fs;
use std::time::SystemTime;

/// A part of a session that is to be kept: a recording or a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of which session.
    pub session: SessionName,
    /// The first segment of it.
    pub from_msn: u64,
    /// The segment behind its last one; `None`: it goes on.
    pub until_msn: Option<u64>,
    /// The renditions to keep; `None`: all.
    pub renditions: Option<Vec<String>>,
}

impl Kept {
    /// Sorts what is to be kept by session.
    pub fn by_session(kept: &[Self]) -> HashMap<&SessionName, Vec<&Self>> {
        let mut sorted: HashMap<_, Vec<_>> = HashMap::new();
        kept.iter().for_each(|kept| sorted.entry(&kept.session).or_default().push(kept));
        sorted
    }

    /// Some of a reel of its session, which ends in front of `until_msn`, is to be kept by it.
    pub fn covers(&self, reel: ReelName, until_msn: u64) -> bool {
        self.from_msn < until_msn && self.until_msn.is_none_or(|until| until > reel.first_msn)
    }

    /// A rendition is to be kept by it.
    pub fn wants(&self, rendition: &str) -> bool {
        self.renditions.as_ref().is_none_or(|ids| ids.iter().any(|id| id == rendition))
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Whole reels. What is stored of them elsewhere is the caller's to remove.
    pub reels: Vec<(SessionName, ReelName)>,
    /// Bytes that became free.
    pub bytes: u64,
    /// Something of a session that is over waits for its seal and could not be judged: sweep again soon.
    pub is_early: bool,
}

impl Entry {
    /// What of all that is to be kept of its session covers it; `None` when nothing does, and while it is written.
    pub(crate) fn covering<'a>(&self, kept: &[&'a Kept]) -> Option<Vec<&'a Kept>> {
        let until_msn = self.seal?.until_msn;
        let covering: Vec<_> = kept.iter().copied().filter(|kept| kept.covers(self.name, until_msn)).collect();
        Some(covering).filter(|covering| !covering.is_empty())
    }
}

impl Archive {
    /// Removes the reels, and the single renditions in them, that lie wholly outside the rewind window and everything that is to be
    /// kept. A session that is not recorded any more has no rewind window, and reels that are being written stay. `now` is the
    /// wall clock's; call it about once a minute, and never with a list of what is kept that may not be whole. Blocks on the disk.
    pub fn sweep(&self, now: SystemTime, kept: &[Kept]) -> Swept {
        let rewind_ms = i64::try_from(self.shared.volume.settings.rewind.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = millis(now).saturating_sub(rewind_ms);
        let kept = Kept::by_session(kept);
        let (mut swept, mut buried, mut files, mut notes) = (Swept::default(), Vec::new(), Vec::new(), Vec::new());
        {
            let mut catalog = self.shared.catalog();
            for (session, shelf) in &mut catalog.sessions {
                let timeline = shelf.timeline.as_ref();
                let is_over = !shelf.is_live;
                let oldest_ms = if is_over { i64::MAX } else { oldest_ms };
                let kept = kept.get(session).map(Vec::as_slice).unwrap_or_default();
                shelf.reels.retain_mut(|reel| {
                    let folder = || self.shared.folder(session, reel.name);
                    if reel.seal.is_none_or(|seal| seal.until_wall_ms > oldest_ms) {
                        swept.is_early |= is_over && reel.seal.is_none() && self.shared.volume.watches(&folder());
                        return true;
                    }
                    let folder = folder();
                    let covering = reel.covering(kept).unwrap_or_default();
                    let wants = |id: &str| covering.iter().any(|kept| kept.wants(id));
                    let mut known = reel.media.iter().map(|(id, _)| id).chain(&reel.stored).peekable();
                    // What nobody knows anything of is not this sweep's to judge.
                    let is_kept = if known.peek().is_none() { !covering.is_empty() } else { known.any(|id| wants(id)) };
                    if !is_kept {
                        timeline.iter().for_each(|timeline| timeline.forget(reel.name.serial, None));
                        swept.reels.push((session.clone(), reel.name));
                        swept.bytes += reel.bytes();
                        buried.push(folder);
                        return false;
                    }
                    let (stay, go): (Vec<_>, Vec<_>) = reel.media.iter().cloned().partition(|(id, _)| wants(id));
                    let (noted, mut own) = (reel.stored.len(), Vec::new());
                    for (id, bytes) in go {
                        timeline.iter().for_each(|timeline| timeline.forget(reel.name.serial, Some(&id)));
                        swept.bytes += bytes;
                        reel.stored.retain(|stored| *stored != id);
                        own.push(folder.join(media_file(&id)));
                    }
                    match reel.stored.len() < noted {
                        true => notes.push((folder, reel.stored.clone(), own)),
                        false => files.append(&mut own),
                    }
                    reel.media = stay;
                    true
                });
            }
            catalog.sessions.retain(|_, shelf| shelf.is_live || !shelf.reels.is_empty());
        }
        buried.iter().for_each(|folder| self.shared.bury(folder));
        // Before the files: what is missing and noted would be taken for being elsewhere only.
        for (folder, stored, mut own) in notes {
            match stored::write(&*self.shared.volume.disk, &folder, &stored) {
                Ok(()) => files.append(&mut own),
                Err(error) => {
                    let reel = folder.display();
                    tracing::warn!(%error, %reel, "the note of what is elsewhere can't be changed; the next start removes more");
                }
            }
        }
        files.iter().for_each(|file| remove(file));
        self.shared.volume.resize(0, swept.bytes);
        self.shared.volume.look();
        metrics::counter!("weir_archive_removed_bytes_total", "reason" => "expired").increment(swept.bytes);
        swept
    }

    /// Lets the media of the oldest stored reels go, until there is room again.
    pub(crate) fn make_room(&self) {
        let volume = &self.shared.volume;
        if volume.settings.policy != Policy::DeleteOldest {
            return;
        }
        let excess = volume.excess();
        if excess == 0 {
            return;
        }
        let mut goes = Vec::new();
        {
            let catalog = self.shared.catalog();
            for (session, shelf) in &catalog.sessions {
                let local = shelf.reels.iter().filter(|reel| reel.may_go());
                goes.extend(local.filter_map(|reel| Some((reel.seal?.until_wall_ms, session.clone(), reel.name))));
            }
        }
        goes.sort_by_key(|(until_wall_ms, ..)| *until_wall_ms);
        let mut freed = 0;
        for (_, session, name) in goes {
            if freed >= excess {
                break;
            }
            freed += self.let_go(&session, name);
        }
        volume.look();
        metrics::counter!("weir_archive_removed_bytes_total", "reason" => "room").increment(freed);
    }

    /// Removes the media of a reel that is also elsewhere. Gives the bytes that became free.
    fn let_go(&self, session: &SessionName, name: ReelName) -> u64 {
        let (volume, folder) = (&self.shared.volume, self.shared.folder(session, name));
        let Some(reel) = self.shared.catalog().entry(session, name).filter(|reel| reel.may_go()).cloned() else {
            return 0;
        };
        let mut head_bytes = 0;
        for (id, _) in &reel.media {
            match chunks::keep(&*volume.disk, &folder, id) {
                Ok(bytes) => head_bytes += bytes,
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(%error, reel = %folder, "what is in a minute that goes can't be kept; there will be no MP4 file of it");
                }
            }
        }
        {
            let mut catalog = self.shared.catalog();
            let Some(shelf) = catalog.sessions.get_mut(session) else { return 0 };
            // It may be nowhere else by now.
            let mut reels = shelf.reels.iter_mut();
            let Some(entry) = reels.find(|entry| entry.name == name && entry.may_go()) else { return 0 };
            shelf.timeline.iter().for_each(|timeline| timeline.set_remote(name.serial));
            entry.media.clear();
            entry.head_bytes = head_bytes;
        }
        reel.media.iter().for_each(|(id, _)| remove(&folder.join(media_file(id))));
        let media_bytes: u64 = reel.media.iter().map(|(_, bytes)| bytes).sum();
        volume.resize(head_bytes, media_bytes);
        media_bytes.saturating_sub(head_bytes)
    }
}

fn remove(file: &std::path::Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::warn!(%error, file = %file.display(), "a file can't be removed; its room counts as free all the same");
    }
}

#[cfg(test)]
mod tests;

//! What of the recordings goes to the vault. A reel that nothing is added to any more is sent as it lies on the disk: one object for
//! each rendition that is kept, and its journal. When all of it is verified there the archive notes that, and only then may its
//! media go from here.

use archive::{Archive, JOURNAL, Journal, Kept, ReelName, SessionName, Unstored, media_file};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Store, now_ms};
use tokio::sync::Notify;
use vault::{Backlog, Digest, Error, Job, Jobs, Key, Receipt, Source, Vault};

/// What waits to be put into the vault, and what becomes of it.
pub struct Warehouse {
    vault: Vault,
    archive: Archive,
    /// Held for a look or a change, never across an await.
    waiting: Mutex<Waiting>,
    /// What rows say of where their segments are.
    place: String,
    /// What the database was told of how far sessions are in the vault. Held for a look or a change.
    noted: Mutex<HashMap<SessionName, u64>>,
    /// There is a job.
    news: Notify,
    /// A reel is whole in the vault, or never will be.
    settled: Arc<Notify>,
}

/// The name of a reel everywhere.
type Name = (SessionName, ReelName);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Reels with jobs that wait or are in work.
    reels: HashMap<Name, Open>,
    /// Reels that can't be put as they are, so that nobody tries for ever; the next start does.
    given_up: HashSet<Name>,
}

/// A reel on its way.
#[derive(Debug)]
struct Open {
    jobs: usize,
    bytes: u64,
    until_wall_ms: i64,
    renditions: Vec<String>,
}

impl Warehouse {
    /// Over an open vault, which rows call `place`. `settled` is told when something changed that others may act on.
    pub fn new(vault: Vault, place: String, archive: Archive, settled: Arc<Notify>) -> Self {
        let (waiting, noted, news) = (Mutex::default(), Mutex::default(), Notify::new());
        Self { vault, archive, waiting, place, noted, news, settled }
    }

    /// What rows call it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Takes on what is to be kept and is neither in the vault nor on its way. Blocks on the disk.
    pub fn take_on(&self, kept: &[Kept]) {
        for (session, kept) in Kept::by_session(kept) {
            for due in self.archive.unstored(session, &kept) {
                let name = (session.clone(), due.reel.name);
                let is_known = {
                    let waiting = self.waiting();
                    waiting.reels.contains_key(&name) || waiting.given_up.contains(&name)
                };
                if is_known {
                    continue;
                }
                match jobs(&name, &due) {
                    Ok(jobs) => self.add(name, due, jobs),
                    Err(error) => {
                        tracing::warn!(%error, reel = %due.reel.folder.display(), "a reel can't be sent to the vault yet")
                    }
                }
            }
        }
    }

    /// Tells the database how far sessions are in the vault, where that changed.
    ///
    /// # Errors
    /// When the database did not answer; it is told the next time.
    pub async fn note(&self, store: &Store, kept: &[Kept]) -> Result<(), store::Error> {
        let kept = Kept::by_session(kept);
        for (session, kept) in &kept {
            let until = self.archive.stored_until(session, kept);
            if until == 0 || self.noted().get(*session) == Some(&until) {
                continue;
            }
            store.note_stored(session.stream(), session.session(), &self.place, until, now_ms()).await?;
            self.noted().insert((*session).clone(), until);
        }
        self.noted().retain(|session, _| kept.contains_key(session));
        Ok(())
    }

    /// Removes from the vault what nothing needs any more of a session; `kept` is all of this session that is to be kept. `false`
    /// when some of it has to be asked for again: it is still being put there, or is in the rewind window and only there. May be
    /// done any number of times.
    ///
    /// # Errors
    /// When the vault does not do it; some may be removed then.
    pub async fn clear(&self, session: &SessionName, kept: &[&Kept]) -> Result<bool, Error> {
        let here = self.archive.reels(session);
        let here: HashMap<ReelName, u64> = here.iter().map(|reel| (reel.name, reel.until_msn)).collect();
        let is_free = |(name, until_msn): (&ReelName, &u64)| !kept.iter().any(|kept| kept.covers(*name, *until_msn));
        let needed = here.iter().filter(|reel| !is_free(*reel)).map(|(name, _)| *name).collect();
        if !self.forget(session, &needed) {
            return Ok(false);
        }
        let folder = Key::new(session.to_string())?;
        let (mut there, mut after) = (BTreeSet::new(), None);
        loop {
            let page = self.vault.list(Some(&folder), after.as_deref()).await?;
            there.extend(page.objects.iter().filter_map(|object| reel_of(&object.key, session)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut is_clear = true;
        for reel in unneeded(&there, &here, kept) {
            let archive = (self.archive.clone(), session.clone());
            let is_here = here.contains_key(&reel);
            // A row that is being made may still want a reel of the rewind window; it is sent again then.
            let unmark = move || archive.0.unmark_stored(&archive.1, reel);
            if is_here && !tokio::task::spawn_blocking(unmark).await.unwrap_or(false) {
                is_clear = false;
                continue;
            }
            self.vault.delete_below(&Key::new(format!("{session}/{reel}"))?).await?;
        }
        Ok(is_clear)
    }

    /// Drops the jobs of a session's reels that are not needed any more; whether none of them is in work.
    fn forget(&self, session: &SessionName, needed: &HashSet<ReelName>) -> bool {
        let mut waiting = self.waiting();
        let Waiting { jobs, reels, given_up } = &mut *waiting;
        let is_gone = |name: &Name| name.0 == *session && !needed.contains(&name.1);
        jobs.retain(|job| {
            let name = name_of(&job.key).filter(is_gone);
            if let Some(open) = name.as_ref().and_then(|name| reels.get_mut(name)) {
                open.jobs -= 1;
                open.bytes -= job.source.digest.size_bytes;
            }
            name.is_none()
        });
        // One without renditions was sent, and is being noted.
        reels.retain(|_, open| open.jobs > 0 || open.renditions.is_empty());
        given_up.retain(|name| !is_gone(name));
        !reels.keys().any(is_gone)
    }

    fn add(&self, name: Name, due: Unstored, jobs: Vec<Job>) {
        let open = Open {
            jobs: jobs.len(),
            bytes: jobs.iter().map(|job| job.source.digest.size_bytes).sum(),
            until_wall_ms: archive::millis(due.reel.until_wall),
            renditions: due.renditions,
        };
        let mut waiting = self.waiting();
        waiting.reels.insert(name, open);
        waiting.jobs.extend(jobs);
        drop(waiting);
        // One wakes the next, see `next`.
        self.news.notify_one();
    }

    /// A job is over. Gives its reel, and what was sent of it, when that was its last one; it counts as in work until
    /// [`Warehouse::settle`].
    fn close(&self, job: &Job) -> Option<(Name, Vec<String>)> {
        let name = name_of(&job.key)?;
        let mut waiting = self.waiting();
        let is_given_up = waiting.given_up.contains(&name);
        let open = waiting.reels.get_mut(&name)?;
        open.jobs = open.jobs.saturating_sub(1);
        open.bytes = open.bytes.saturating_sub(job.source.digest.size_bytes);
        if open.jobs > 0 {
            return None;
        }
        let sent = std::mem::take(&mut open.renditions);
        if is_given_up {
            waiting.reels.remove(&name);
            return None;
        }
        Some((name, sent))
    }

    /// A reel that was sent is noted, or is to be sent again.
    fn settle(&self, name: &Name) {
        self.waiting().reels.remove(name);
        self.settled.notify_one();
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<SessionName, u64>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs for Warehouse {
    async fn next(&self) -> Job {
        loop {
            let news = self.news.notified();
            if let Some((job, is_more)) = {
                let mut waiting = self.waiting();
                waiting.jobs.pop_front().map(|job| (job, !waiting.jobs.is_empty()))
            } {
                if is_more {
                    self.news.notify_one();
                }
                return job;
            }
            news.await;
        }
    }

    async fn done(&self, job: Job, _receipt: Receipt) {
        let Some((name, sent)) = self.close(&job) else { return };
        let (archive, (session, reel)) = (self.archive.clone(), name.clone());
        let marked = tokio::task::spawn_blocking(move || archive.mark_stored(&session, reel, &sent)).await;
        if let Ok(Err(error)) = marked {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, key = %job.key, "what is in the vault could not be noted; it is sent again");
        }
        self.settle(&name);
    }

    async fn failed(&self, job: Job, _error: Error) {
        if let Some(name) = name_of(&job.key) {
            self.waiting().given_up.insert(name);
        }
        self.close(&job);
        self.settled.notify_one();
    }

    fn backlog(&self) -> Backlog {
        let waiting = self.waiting();
        let oldest = waiting.reels.values().map(|open| open.until_wall_ms).min();
        let age_ms = oldest.map_or(0, |oldest| now_ms().saturating_sub(oldest));
        Backlog {
            jobs: waiting.reels.values().map(|open| open.jobs as u64).sum(),
            bytes: waiting.reels.values().map(|open| open.bytes).sum(),
            age: Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)),
        }
    }
}

/// Where a rendition of a reel is in the vault.
pub fn media_key(session: &SessionName, reel: ReelName, rendition: &str) -> Result<Key, Error> {
    Key::new(format!("{session}/{reel}/{}", media_file(rendition)))
}

/// Of the reels in the vault those that nothing needs. `here` has the reels of the archive with the numbers behind their ends; one that
/// only the vault has ends, for all that is known, where the next one begins.
fn unneeded(there: &BTreeSet<ReelName>, here: &HashMap<ReelName, u64>, kept: &[&Kept]) -> Vec<ReelName> {
    let all: BTreeSet<ReelName> = there.iter().chain(here.keys()).copied().collect();
    let until_msn = |name: &ReelName| {
        let next = || all.range(name..).find(|next| next.first_msn > name.first_msn);
        here.get(name).copied().or_else(|| next().map(|next| next.first_msn)).unwrap_or(u64::MAX)
    };
    there.iter().copied().filter(|name| !kept.iter().any(|kept| kept.covers(*name, until_msn(name)))).collect()
}

/// Where the journal of a reel is in the vault.
pub fn journal_key(session: &SessionName, reel: ReelName) -> Result<Key, Error> {
    Key::new(format!("{session}/{reel}/{JOURNAL}"))
}

/// What a reel is put as. The digests are of what its writer wrote, by the journal; the journal's own is of what it is now.
fn jobs((session, reel): &Name, due: &Unstored) -> io::Result<Vec<Job>> {
    let path = due.reel.folder.join(JOURNAL);
    let bytes = fs::read(&path)?;
    let digest = Digest::of(&bytes);
    let journal = Journal::read(bytes.into()).map_err(io::Error::other)?;
    let key = |name: &str| Key::new(format!("{session}/{reel}/{name}")).map_err(io::Error::other);
    let mut jobs = Vec::new();
    for line in journal.lines.iter().filter(|line| line.bytes > 0 && due.renditions.contains(&line.id)) {
        let name = media_file(&line.id);
        let source = Source {
            path: due.reel.folder.join(&name),
            offset: 0,
            digest: Digest { size_bytes: line.bytes.into(), crc32: line.crc32 },
        };
        jobs.push(Job { key: key(&name)?, content_type: "video/mp4".into(), source });
    }
    // Last, so that who finds it finds the rest.
    let source = Source { path, offset: 0, digest };
    jobs.push(Job { key: key(JOURNAL)?, content_type: "application/octet-stream".into(), source });
    Ok(jobs)
}

fn name_of(key: &Key) -> Option<Name> {
    let mut parts = key.as_str().split('/');
    let session = SessionName::new(parts.next()?, parts.next()?).ok()?;
    Some((session, ReelName::parse(parts.next()?)?))
}

fn reel_of(key: &Key, session: &SessionName) -> Option<ReelName> {
    name_of(key).filter(|(other, _)| other == session).map(|(_, reel)| reel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel(first_msn: u64, serial: u32) -> ReelName {
        ReelName { first_msn, serial }
    }

    fn kept(from_msn: u64, until_msn: Option<u64>) -> Kept {
        let session = SessionName::new("show", "18c-1").unwrap();
        Kept { session, from_msn, until_msn, renditions: None }
    }

    /// The serials of what may go of the reels 0 to 3, from 0, 30, 30 and 60 on.
    #[track_caller]
    fn check(here: &[(u64, u32, u64)], kept: &[&Kept], goes: &[u32]) {
        let there = [reel(0, 0), reel(30, 1), reel(30, 2), reel(60, 3)].into();
        let here = here.iter().map(|(first, serial, until)| (reel(*first, *serial), *until)).collect();
        let serials: Vec<u32> = unneeded(&there, &here, kept).iter().map(|reel| reel.serial).collect();
        assert_eq!(serials, goes);
    }

    #[test]
    fn what_only_the_vault_has_stays_while_something_needs_it() {
        check(&[], &[], &[0, 1, 2, 3]);
        check(&[], &[&kept(29, Some(30))], &[1, 2, 3]);
        check(&[], &[&kept(59, Some(60))], &[0, 3]);
        check(&[], &[&kept(1_000, None)], &[0, 1, 2]);
        check(&[], &[&kept(0, Some(1)), &kept(45, Some(61))], &[]);
    }

    #[test]
    fn what_is_here_too_goes_when_nothing_needs_it() {
        check(&[(60, 3, 90), (90, 4, 120)], &[&kept(100, None)], &[0, 1, 2, 3]);
        check(&[(60, 3, 90)], &[&kept(89, Some(100))], &[0, 1, 2]);
        // The last one that was listed ends where the first one here begins.
        check(&[(90, 4, 120)], &[&kept(91, None)], &[0, 1, 2, 3]);
    }
}

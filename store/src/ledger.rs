//! What this process knows of its sessions before the database does.
//!
//! A session must begin and go on while the database is locked or away, so what is to be kept of it is written here at once
//! and copied to the database by one task ([`Store::write_notes`]). There is one page for each stream, which holds its
//! newest state, so nothing queues up however long the database is away.

use crate::database::Argument;
use crate::{Error, SessionNote, Store};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Time between transactions: each waits for the disk, and the notes of fifty streams fit in one. A note names what comes four
/// seconds later, so it is early enough.
const PACE: Duration = Duration::from_millis(250);
/// Time between tries while the database takes nothing.
const RETRY: Duration = Duration::from_millis(500);
/// A database that answers neither yes nor no is asked again after this.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages in one transaction: each costs well under a millisecond, and others want to write too.
const BATCH: usize = 200;

/// The pages, and how many of them the database does not have yet.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Held for the length of a map access, never across an await.
    pages: Mutex<Pages>,
    unwritten: watch::Sender<usize>,
}

#[derive(Default)]
struct Pages {
    streams: HashMap<String, Page>,
    /// Keyframe intervals in milliseconds by key, until they are written.
    intervals: HashMap<String, u32>,
}

/// What is known of one stream.
#[derive(Default)]
struct Page {
    /// Every number below may be in use.
    next_msn: u64,
    /// The newest session.
    session: String,
    /// What is to be kept of it; `None` when it is over.
    open: Option<SessionNote>,
    /// Counts the changes, and up to which the database has them.
    changes: u64,
    written: u64,
}

/// What the database has to be told.
struct Entry {
    stream_id: String,
    changes: u64,
    next_msn: u64,
    open: Option<SessionNote>,
}

impl Ledger {
    fn with<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let done = change(&mut pages);
        let unwritten = pages.streams.values().filter(|p| p.changes > p.written).count() + pages.intervals.len();
        self.unwritten.send_if_modified(|known| std::mem::replace(known, unwritten) != unwritten);
        done
    }

    /// A session begins with the first number that is free here and at `known`, the database's or the last one read of it.
    /// `None` when neither knows of the stream.
    pub(crate) fn open(&self, stream_id: &str, session: &str, known: Option<u64>, now_ms: i64) -> Option<u64> {
        self.with(|pages| {
            let here = pages.streams.get(stream_id).map(|page| page.next_msn);
            let next_msn = here.max(known)?;
            let page = pages.streams.entry(stream_id.to_owned()).or_default();
            let note = SessionNote {
                stream_id: stream_id.to_owned(),
                session: session.to_owned(),
                next_msn,
                discontinuities: 0,
                seen_ms: now_ms,
                plan: None,
            };
            (page.next_msn, page.session, page.open) = (next_msn, session.to_owned(), Some(note));
            page.changes += 1;
            Some(next_msn)
        })
    }

    pub(crate) fn note(&self, note: &SessionNote) {
        self.with(|pages| {
            let page = pages.streams.entry(note.stream_id.clone()).or_default();
            if page.session.is_empty() {
                page.session.clone_from(&note.session);
                page.open = Some(note.clone());
            } else if page.session == note.session && page.open.is_some() {
                page.open = Some(note.clone());
            }
            page.next_msn = page.next_msn.max(note.next_msn);
            page.changes += 1;
        });
    }

    pub(crate) fn close(&self, stream_id: &str, session: &str, known: u64) {
        self.with(|pages| {
            let page = pages.streams.entry(stream_id.to_owned()).or_default();
            page.next_msn = page.next_msn.max(known);
            if page.session.is_empty() || page.session == session {
                (page.session, page.open) = (session.to_owned(), None);
                page.changes += 1;
            }
        });
    }

    pub(crate) fn remember(&self, key_id: &str, interval_ms: u32) {
        self.with(|pages| pages.intervals.insert(key_id.to_owned(), interval_ms));
    }

    pub(crate) fn interval_ms(&self, key_id: &str) -> Option<u32> {
        self.with(|pages| pages.intervals.get(key_id).copied())
    }

    /// Forgets streams that are none of `kept`, unless they are live or unwritten.
    pub(crate) fn forget_others(&self, kept: &HashSet<&str>) {
        self.with(|pages| {
            let is_needed = |page: &Page| page.open.is_some() || page.changes > page.written;
            pages.streams.retain(|id, page| is_needed(page) || kept.contains(id.as_str()));
        });
    }

    fn batch(&self) -> (Vec<Entry>, Vec<(String, u32)>) {
        self.with(|pages| {
            let unwritten = pages.streams.iter().filter(|(_, page)| page.changes > page.written).take(BATCH);
            let entries = unwritten.map(|(id, page)| Entry {
                stream_id: id.clone(),
                changes: page.changes,
                next_msn: page.next_msn,
                open: page.open.clone(),
            });
            let intervals = pages.intervals.iter().take(BATCH).map(|(key, ms)| (key.clone(), *ms));
            (entries.collect(), intervals.collect())
        })
    }

    fn written(&self, entries: &[Entry], intervals: &[(String, u32)]) {
        self.with(|pages| {
            for entry in entries {
                if let Some(page) = pages.streams.get_mut(&entry.stream_id) {
                    page.written = page.written.max(entry.changes);
                }
            }
            for (key, ms) in intervals {
                if pages.intervals.get(key) == Some(ms) {
                    pages.intervals.remove(key);
                }
            }
        });
    }
}

impl Store {
    /// Copies what is noted of sessions to the database, as soon as it takes it, until `stop`. A database that takes nothing
    /// is warned of once, counted at each try, and asked again twice a second. Run it once for a store that has sessions.
    pub async fn write_notes(&self, stop: CancellationToken) {
        let ledger = self.ledger();
        let mut unwritten = ledger.unwritten.subscribe();
        let mut away_since: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                waiting = unwritten.wait_for(|count| *count > 0) => if waiting.is_err() { return },
            }
            let tried = tokio::select! {
                () = stop.cancelled() => return,
                tried = tokio::time::timeout(WRITE_TIMEOUT, self.write()) => tried,
            };
            let silent =
                || Err(Error::Unavailable { doing: "note the sessions", source: "no answer within 10 s".into() });
            let pause = match tried.unwrap_or_else(|_| silent()) {
                Ok(()) => {
                    if let Some(since) = away_since.take() {
                        let away_s = since.elapsed().as_secs_f64();
                        tracing::info!(away_s, "the database takes notes of sessions again");
                    }
                    PACE
                }
                Err(error) => {
                    metrics::counter!("weir_store_errors_total").increment(1);
                    if away_since.is_none() {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the database takes no notes of sessions; they go on, and what is to be kept is kept in memory"
                        );
                    }
                    away_since.get_or_insert_with(Instant::now);
                    RETRY
                }
            };
            metrics::gauge!("weir_store_unwritten_notes").set(*ledger.unwritten.borrow() as f64);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits until the database has all that was noted; `false` when it still has not after `within`.
    pub async fn settle(&self, within: Duration) -> bool {
        let mut unwritten = self.ledger().unwritten.subscribe();
        tokio::time::timeout(within, unwritten.wait_for(|count| *count == 0)).await.is_ok()
    }

    /// Writes a batch. It is taken when the database is ours to write to: waiting for that takes seconds when it is locked.
    async fn write(&self) -> Result<(), Error> {
        const DOING: &str = "note the sessions";
        const SESSION: &str = "update streams set \
            next_msn = case when next_msn < $2 then $2 else next_msn end, \
            session = $3, session_discontinuities = $4, session_seen_ms = $5, session_plan = $6 where id = $1";
        const INTERVAL: &str = "update stream_keys set keyframe_interval_ms = $2 where id = $1";
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let mut transaction = self.database().begin().await?;
        let (entries, intervals) = self.ledger().batch();
        for entry in &entries {
            let open = entry.open.as_ref();
            let values: [Argument; 6] = [
                entry.stream_id.as_str().into(),
                number(entry.next_msn).into(),
                open.map(|note| note.session.as_str()).into(),
                open.map(|note| number(note.discontinuities)).into(),
                open.map(|note| note.seen_ms).into(),
                open.and_then(|note| note.plan.as_deref()).into(),
            ];
            transaction.execute(DOING, SESSION, &values).await?;
        }
        for (key_id, ms) in &intervals {
            transaction.execute(DOING, INTERVAL, &[key_id.as_str().into(), i64::from(*ms).into()]).await?;
        }
        transaction.commit().await?;
        self.ledger().written(&entries, &intervals);
        Ok(())
    }
}

//! Who is live: the one table of running and just-ended sessions, read by the origin, the API and the doorman.
//!
//! It holds no media and makes no decision about one; `session.rs` fills it in.

use super::session::Facts;
use bytes::Bytes;
use packager::Window;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// How long an ended session can still be fetched, so that viewers see its last seconds and its end.
const KEEP_ENDED: Duration = Duration::from_secs(60);

/// One publisher that was admitted to a stream; media may not have come yet.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// Tells this admission from a later one on the same stream.
    pub admission: u64,
    /// Cancelled to close its connection.
    pub stop: CancellationToken,
    /// Public id of the key it came with; `None` for the built-in test card, which anyone with a key may replace.
    pub key_id: Option<String>,
}

/// One live run of a stream, as the readers of the hub see it.
#[derive(Debug)]
pub struct Live {
    /// Where its playlists and bytes are.
    pub window: Arc<Window>,
    /// When its first media came.
    pub since: SystemTime,
    /// What is known of its source.
    pub facts: Facts,
    /// The newest picture, a JPEG.
    pub thumb: Mutex<Option<Bytes>>,
    /// Captions were seen in its pictures.
    pub captions: AtomicBool,
    /// When it ended, if it did.
    pub ended: Mutex<Option<Instant>>,
}

impl Live {
    /// The newest picture, if one was made.
    pub fn thumb(&self) -> Option<Bytes> {
        lock(&self.thumb).clone()
    }

    /// Whether captions were seen in its pictures.
    pub fn has_captions(&self) -> bool {
        self.captions.load(Ordering::Relaxed)
    }

    /// Whether it still runs.
    pub fn is_live(&self) -> bool {
        lock(&self.ended).is_none()
    }
}

#[derive(Debug, Default)]
struct Stream {
    publisher: Option<Publisher>,
    /// Newest last; at most two: the one that runs and the one before it.
    sessions: Vec<Arc<Live>>,
    last_gone: Option<Instant>,
}

/// The table. Cheap to clone by `Arc`; its lock is held for look-ups only.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    streams: HashMap<String, Stream>,
    admissions: u64,
}

/// A panic can't leave these short sections half done, so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Takes the stream for a new publisher; the one before it, if any, is told to stop. The newest wins, but the test
    /// card never replaces a publisher: then `None`.
    pub fn admit(&self, stream: &str, key_id: Option<String>) -> Option<Publisher> {
        let mut table = lock(&self.streams);
        table.admissions += 1;
        let publisher = Publisher { admission: table.admissions, stop: CancellationToken::new(), key_id };
        let entry = table.streams.entry(stream.to_owned()).or_default();
        if let Some(old) = &entry.publisher {
            if publisher.key_id.is_none() && old.key_id.is_some() {
                return None;
            }
            old.stop.cancel();
        }
        entry.publisher = Some(publisher.clone());
        Some(publisher)
    }

    /// The publisher of this admission is gone; a later admission of the same stream is left alone.
    pub fn gone(&self, stream: &str, admission: u64) {
        let mut table = lock(&self.streams);
        if let Some(entry) = table.streams.get_mut(stream)
            && entry.publisher.as_ref().is_some_and(|p| p.admission == admission)
        {
            entry.publisher = None;
            entry.last_gone = Some(Instant::now());
        }
    }

    /// A session has its window; it is the one shown from now on.
    pub fn begin(&self, stream: &str, live: Arc<Live>) {
        let mut table = lock(&self.streams);
        let entry = table.streams.entry(stream.to_owned()).or_default();
        if entry.sessions.len() > 1 {
            entry.sessions.remove(0);
        }
        entry.sessions.push(live);
    }

    /// A session is over: what it published stays for [`KEEP_ENDED`].
    pub fn end(&self, live: &Live) {
        lock(&live.ended).get_or_insert_with(Instant::now);
    }

    /// Forgets ended sessions whose time is over and streams without any.
    pub fn sweep(&self, now: Instant) {
        let over = |live: &Live| lock(&live.ended).is_some_and(|at| now.saturating_duration_since(at) > KEEP_ENDED);
        lock(&self.streams).streams.retain(|_, entry| {
            entry.sessions.retain(|live| !over(live));
            entry.publisher.is_some()
                || !entry.sessions.is_empty()
                || entry.last_gone.is_some_and(|at| now.saturating_duration_since(at) < KEEP_ENDED)
        });
    }

    /// The newest session of a stream, running or just ended.
    pub fn newest(&self, stream: &str) -> Option<Arc<Live>> {
        lock(&self.streams).streams.get(stream)?.sessions.last().cloned()
    }

    /// The session of that name, running or just ended.
    pub fn session(&self, stream: &str, session: &str) -> Option<Arc<Live>> {
        let table = lock(&self.streams);
        table.streams.get(stream)?.sessions.iter().find(|l| l.window.session() == session).cloned()
    }

    /// Every stream that is live now, by name.
    pub fn live(&self) -> Vec<(String, Arc<Live>)> {
        let table = lock(&self.streams);
        let mut all: Vec<_> = table
            .streams
            .iter()
            .filter_map(|(name, entry)| Some((name.clone(), entry.sessions.last().filter(|l| l.is_live())?.clone())))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The publisher of a stream, if one is connected.
    pub fn publisher(&self, stream: &str) -> Option<Publisher> {
        lock(&self.streams).streams.get(stream)?.publisher.clone()
    }

    /// Every connected publisher that came with a key, by stream.
    pub fn publishers(&self) -> Vec<(String, Publisher)> {
        let table = lock(&self.streams);
        let with_key = |p: &&Publisher| p.key_id.is_some();
        table
            .streams
            .iter()
            .filter_map(|(name, s)| Some((name.clone(), s.publisher.as_ref().filter(with_key)?.clone())))
            .collect()
    }

    /// Closes the publisher's connection; `false` when there is none.
    pub fn stop(&self, stream: &str) -> bool {
        self.publisher(stream).inspect(|p| p.stop.cancel()).is_some()
    }

    /// How long a stream has been without a publisher; `None` while it has one, zero time ago when it never had.
    pub fn idle(&self, stream: &str) -> Option<Duration> {
        match lock(&self.streams).streams.get(stream) {
            None => Some(Duration::MAX),
            Some(entry) if entry.publisher.is_some() => None,
            Some(entry) => Some(entry.last_gone.map_or(Duration::MAX, |at| at.elapsed())),
        }
    }
}

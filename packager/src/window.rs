use crate::{Document, Rendition};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The three multivariant playlists of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    /// `index.m3u8`: the H.264 variants, or audio alone.
    H264,
    /// `hevc.m3u8`: the HEVC passthrough, when the source is HEVC.
    Hevc,
    /// `ts.m3u8`: MPEG-TS for old players, without parts.
    Ts,
}

/// The live playlist store of one session: the read side of a [`crate::Packager`]. Share it as `Arc<Window>`; every
/// method may be called from any thread and none waits for the packager beyond a short lock.
///
/// It holds the listed segments (about 30 s) and those that left the playlists less than a playlist's length ago.
#[derive(Debug)]
pub struct Window {
    session: String,
    run: Option<u64>,
    /// Only grows, by one push; the lock is held for that and for look-ups, never across a render.
    renditions: Mutex<Vec<Arc<Rendition>>>,
    changes: watch::Sender<()>,
    indexes: [watch::Sender<Option<Arc<Document>>>; 3],
}

impl Window {
    pub(crate) fn new(session: String, run: Option<u64>) -> Self {
        let (renditions, changes) = (Mutex::default(), watch::Sender::new(()));
        Self { session, run, renditions, changes, indexes: std::array::from_fn(|_| watch::Sender::new(None)) }
    }

    /// The session's name in URLs: `ID-EPOCH`. Every listed URI is below it, so nothing cached of another run is ever
    /// mistaken for this one.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// What stands in front of the names of media: [`crate::SessionPlan::run`].
    pub fn run(&self) -> Option<u64> {
        self.run
    }

    /// A multivariant playlist and its changes; `None` until it appears, and for good when the session has no such
    /// variants. URIs in it are relative to `/live/NAME/`.
    pub fn index(&self, kind: Index) -> watch::Receiver<Option<Arc<Document>>> {
        self.indexes[slot(kind)].subscribe()
    }

    /// A rendition by its id: `source`, a rung's name, or `audio`.
    pub fn rendition(&self, id: &str) -> Option<Arc<Rendition>> {
        self.list().iter().find(|r| r.id() == id).cloned()
    }

    /// All renditions, video from the highest down, then audio.
    pub fn renditions(&self) -> Vec<Arc<Rendition>> {
        self.list().clone()
    }

    /// All renditions ended: nothing will be published any more.
    pub fn has_ended(&self) -> bool {
        self.list().iter().all(|rendition| rendition.playlist().borrow().ended)
    }

    /// Wakes when any rendition has another part or ended, once for all that came together. For who follows all of
    /// them ([`Rendition::follow`]).
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn add(&self, rendition: Arc<Rendition>) {
        self.list().push(rendition);
    }

    /// Shows a new multivariant playlist, unless the text is the one already shown.
    pub(crate) fn show(&self, kind: Index, text: Option<String>) {
        self.indexes[slot(kind)].send_if_modified(|shown| {
            if shown.as_ref().map(|d| d.text().as_ref()) == text.as_deref().map(str::as_bytes) {
                return false;
            }
            *shown = text.map(|t| Arc::new(Document::new(t)));
            true
        });
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Rendition>>> {
        self.renditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(kind: Index) -> usize {
    match kind {
        Index::H264 => 0,
        Index::Hevc => 1,
        Index::Ts => 2,
    }
}

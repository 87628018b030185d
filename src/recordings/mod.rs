//! Recordings at the roof: which sessions are written to the disk, what the database says of that, and what viewers get of it.
//!
//! The `archive` knows segments and no recording, the `store` knows recordings and no segment; this joins the two. Every session is
//! written for as long as viewers may rewind; a recording is a run of its segments that stays longer. A [`clerk`] keeps the rows of
//! one session while it is written, the [`caretaker`](take_care) those of all that ended.

mod caretaker;
mod chapters;
mod clerk;
mod export;
mod footage;
mod import;
mod measure;
mod movies;
mod presence;
mod recent;
mod remote;
mod shelf;
mod storyboard;
mod transport;
mod verdict;
mod warehouse;

pub use caretaker::take_care;
pub use export::{Form, export};
pub use footage::{Footage, Scene};
pub use import::{Import, Imported, Studio};
pub use measure::SOUND;
pub use presence::Followed;
pub use verdict::{Copied, Here, MediaVerdict, ReelVerdict, Verdict, verify};

use crate::api;
use crate::box_office::BoxOffice;
use archive::{Archive, SessionName, Timeline};
use bytes::Bytes;
use clerk::Clerk;
use futures_util::future::BoxFuture;
use measure::Extent;
use movies::Movies;
use packager::Window;
use presence::Presence;
use shelf::{Known, Lists, Opened};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Record, Recording, Store, now_ms};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::Transport;
use vault::{Jobs as _, Standing, Uploader, Vault};
pub use warehouse::Warehouse;

/// See the module.
pub struct Recordings {
    archive: Archive,
    store: Store,
    rules: Rules,
    /// The session of each stream that is being written. Held for a look or a change, never across an await.
    live: Mutex<HashMap<String, Tape>>,
    known: Known,
    movies: Movies,
    lists: Lists,
    /// Segments as MPEG-TS.
    transport: Transport,
    /// Who may see what.
    office: Arc<BoxOffice>,
    /// Where copies go, if anywhere.
    warehouse: Option<Arc<Warehouse>>,
    /// How the copying does.
    standing: Option<watch::Receiver<Standing>>,
    /// How far imports are, in hundredths. Held for a look or a change.
    imports: Mutex<HashMap<String, Arc<AtomicU8>>>,
    /// There is something to do for the caretaker.
    work: Arc<Notify>,
    stop: CancellationToken,
    /// Sessions' writers, waited for at shutdown.
    tasks: TaskTracker,
}

/// Pictures that wait for the disk.
const PICTURES_WAIT: usize = 4;

/// What the operator wants of all streams.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How far viewers may rewind; zero: sessions are written only when they may be recorded.
    pub rewind: Duration,
    /// How long what was thrown away can be taken back.
    pub trash: Duration,
}

/// A session that is being written.
#[derive(Debug, Clone)]
struct Tape {
    session: String,
    timeline: Arc<Timeline>,
    presence: Arc<Presence>,
    /// It may have to be kept, and no row says so yet.
    is_unclaimed: bool,
}

impl Tape {
    /// The number behind the segment that is on now, which need not be whole; while the publisher is away, behind its last one.
    fn now(&self) -> u64 {
        let next = self.timeline.span().end + 1;
        self.presence.left_at().map_or(next, |left| left.min(next))
    }

    /// The number behind what is worth keeping: when the session ends while its publisher is away, what stood in for it is not.
    fn end(&self) -> u64 {
        let written = self.timeline.span().end;
        self.presence.left_at().map_or(written, |left| left.min(written))
    }
}

impl Recordings {
    /// Over an open archive. `stop` ends what it does beside sessions; `tasks` are waited for at the end of the server.
    pub fn new(
        archive: Archive,
        (store, office): (Store, Arc<BoxOffice>),
        rules: Rules,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let known = Known::new(&store);
        let (live, movies, lists, work) = (Mutex::default(), Movies::new(None), shelf::lists(), Arc::default());
        let transport = Transport::new();
        let (warehouse, standing, imports) = (None, None, Mutex::default());
        Self {
            archive,
            store,
            rules,
            live,
            known,
            movies,
            lists,
            transport,
            office,
            warehouse,
            standing,
            imports,
            work,
            stop,
            tasks,
        }
    }

    /// Copies what is kept into a vault, which rows call `place`, as long as this runs.
    pub fn with_vault(mut self, vault: Vault, place: String) -> (Self, Uploader<Warehouse>) {
        let warehouse = Arc::new(Warehouse::new(vault.clone(), place, self.archive.clone(), Arc::clone(&self.work)));
        self.movies = Movies::new(Some(vault.clone()));
        let uploader = Uploader::new(vault, Arc::clone(&warehouse), Uploader::<Warehouse>::AT_ONCE);
        (self.warehouse, self.standing) = (Some(warehouse), Some(uploader.standing()));
        (self, uploader)
    }

    /// Writes a session from its first part on, and keeps it as a recording when the stream is always recorded. It ends with the
    /// session's playlists. One that goes on after a restart is recorded again when its publisher is back, which the session
    /// tells by what is given.
    pub fn follow(self: &Arc<Self>, stream: &str, window: Arc<Window>, goes_on: bool) -> Followed {
        let presence = Arc::new(Presence::new(goes_on));
        let (sender, pictures) = mpsc::channel(PICTURES_WAIT);
        let writer = Writer { stream: stream.to_owned(), window, presence: Arc::clone(&presence), pictures, goes_on };
        let keep = Arc::clone(self);
        self.tasks.spawn(async move { keep.write(writer).await });
        Followed::new(presence, sender)
    }

    /// The number a session that goes on must begin at, or above. It may read the disk.
    pub async fn next_msn(&self, stream: &str, session: &str) -> u64 {
        self.timeline(stream, session).await.map_or(0, |timeline| timeline.next_msn())
    }

    async fn write(self: Arc<Self>, writer: Writer) {
        if self.rules.rewind.is_zero() && !self.is_wanted(&writer).await {
            return;
        }
        let Writer { stream, window, presence, pictures, goes_on } = writer;
        let (archive, session, name) = (self.archive.clone(), window.session().to_owned(), stream.clone());
        let recorder = match tokio::task::spawn_blocking(move || archive.recorder(&name, window)).await {
            Ok(Ok(recorder)) => recorder,
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                return tracing::error!(error, stream, session, "the session is not recorded");
            }
            Err(_) => return,
        };
        let album = self.collect(stream.clone(), session.clone(), pictures);
        let tape = Tape { session, timeline: recorder.timeline(), presence, is_unclaimed: true };
        self.live().insert(stream.clone(), tape.clone());
        let mut clerk = Clerk::new(Arc::clone(&self), stream, tape, goes_on);
        // The playlists' end ends it, which the end of the server brings too.
        let run = recorder.run(CancellationToken::new());
        tokio::select! {
            () = run => {}
            () = clerk.work() => {}
            () = album => {}
        }
        clerk.close().await;
        self.work.notify_one();
    }

    /// Keeps the session's pictures, for ever.
    fn collect(
        &self,
        stream: String,
        session: String,
        mut pictures: mpsc::Receiver<Bytes>,
    ) -> impl Future<Output = ()> + use<> {
        let archive = self.archive.clone();
        async move {
            let Ok(name) = SessionName::new(&stream, &session) else { return std::future::pending().await };
            while let Some(jpeg) = pictures.recv().await {
                let (archive, name, now_ms) = (archive.clone(), name.clone(), now_ms());
                let added = tokio::task::spawn_blocking(move || archive.add_picture(&name, now_ms, &jpeg)).await;
                if let Ok(Err(error)) = added {
                    tracing::debug!(%error, stream, "a picture was not kept");
                }
            }
            std::future::pending().await
        }
    }

    /// Waits until the session may be recorded; `false` when it is over before that.
    async fn is_wanted(&self, writer: &Writer) -> bool {
        let (mut rules, mut media) = (self.store.changes(), writer.window.changes());
        loop {
            match self.store.stream(&writer.stream).await {
                Ok(Some(stream)) if stream.settings.recording.record != Record::Never => return true,
                Ok(_) => {}
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    stream = writer.stream,
                    "whether to record can't be asked now"
                ),
            }
            loop {
                if writer.window.has_ended() {
                    return false;
                }
                tokio::select! {
                    _ = rules.changed() => break,
                    _ = media.changed() => {}
                }
            }
        }
    }

    /// What is recorded of a session. It reads the disk when that is not known by now.
    async fn timeline(&self, stream: &str, session: &str) -> Option<Arc<Timeline>> {
        let name = SessionName::new(stream, session).ok()?;
        if let Some(known) = self.archive.known_timeline(&name) {
            return Some(known);
        }
        let archive = self.archive.clone();
        tokio::task::spawn_blocking(move || archive.timeline(&name)).await.ok().flatten()
    }

    fn tape(&self, stream: &str) -> Option<Tape> {
        self.live().get(stream).cloned()
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn live(&self) -> MutexGuard<'_, HashMap<String, Tape>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session to be written.
struct Writer {
    stream: String,
    window: Arc<Window>,
    presence: Arc<Presence>,
    pictures: mpsc::Receiver<Bytes>,
    goes_on: bool,
}

impl api::Archive for Recordings {
    fn begin(&self, stream: &str, back: Duration, wanted: &[String]) -> Option<api::Beginning> {
        let Tape { session, timeline, .. } = self.tape(stream)?;
        let span = timeline.span();
        let since = archive::date(now_ms()) - back;
        // Without a past it begins with the segment that comes next.
        let from_msn = timeline.at(since).unwrap_or(span.end).clamp(span.start, span.end);
        let started_ms = measure::wall_ms(&timeline, from_msn).unwrap_or_else(now_ms);
        let renditions = measure::kept(&timeline, wanted);
        Some(api::Beginning { session, from_msn, started_ms, renditions })
    }

    fn end(&self, stream: &str, session: &str) -> Option<u64> {
        self.tape(stream).filter(|tape| tape.session == session).map(|tape| tape.now())
    }

    fn cut<'a>(
        &'a self,
        recording: &'a Recording,
        from: Duration,
        until: Duration,
    ) -> BoxFuture<'a, Option<api::Piece>> {
        Box::pin(async move {
            let timeline = self.timeline(&recording.stream, &recording.session).await?;
            let whole = recording.from_msn..recording.until_msn.unwrap_or(u64::MAX);
            let span = measure::cut(&timeline, whole.clone(), from, until)?;
            let before = measure::length(&measure::lead(&timeline, &(whole.start..span.start)));
            let extent = Extent::of(&timeline, span.clone(), &recording.renditions).measured();
            Some(api::Piece {
                from_ms: u64::try_from(before.as_millis()).unwrap_or(0),
                started_ms: measure::wall_ms(&timeline, span.start)?,
                duration_ms: extent.duration_ms,
                size_bytes: extent.size_bytes,
                from_msn: span.start,
                until_msn: span.end,
            })
        })
    }

    fn downloads<'a>(&'a self, recording: &'a Recording) -> BoxFuture<'a, Vec<api::DownloadFacts>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let Some(timeline) = self.timeline(&recording.stream, &recording.session).await else { return facts };
            for rendition in &recording.renditions {
                let Ok(files) = self.files(recording, &timeline, rendition).await else { continue };
                facts.extend(files.iter().zip(1..).map(|(file, number)| api::DownloadFacts {
                    rendition: rendition.clone(),
                    number,
                    begins_ms: file.begins.as_millis(),
                    duration_ms: file.duration.as_millis(),
                    size_bytes: origin::Layout::size_bytes(&**file),
                }));
            }
            facts
        })
    }

    fn cover<'a>(&'a self, recording: &'a Recording) -> BoxFuture<'a, Option<(u32, u32)>> {
        Box::pin(async move {
            let timeline = self.timeline(&recording.stream, &recording.session).await?;
            let (archive, opened) = (self.archive.clone(), Opened::of(Arc::new(recording.clone()), timeline));
            let looked = tokio::task::spawn_blocking(move || {
                let (width, height) = storyboard::size(&opened.cover(&archive)?)?;
                Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
            });
            looked.await.ok().flatten()
        })
    }

    fn storage(&self) -> api::Storage {
        let usage = self.archive.usage();
        let copies = self.warehouse.as_ref().map(|warehouse| {
            let backlog = warehouse.backlog();
            let (standing, reason) = match self.standing.as_ref().map(|standing| standing.borrow().clone()) {
                Some(Standing::Retrying { reason, .. }) => ("retrying", Some(reason.to_string())),
                Some(Standing::Blocked { reason, .. }) => ("blocked", Some(reason.to_string())),
                Some(Standing::Healthy) | None => ("healthy", None),
            };
            let place = warehouse.place().to_owned();
            api::Copies { place, standing, reason, backlog_bytes: backlog.bytes, backlog_s: backlog.age.as_secs() }
        });
        let paused = usage.shortage.map(|why| match why {
            archive::Pause::Quota => "quota",
            archive::Pause::DiskFull => "disk_full",
            archive::Pause::DiskError => "disk_error",
        });
        api::Storage { bytes: usage.bytes, free_bytes: usage.free_bytes, paused, copies }
    }

    fn ticket(&self, recording: &str, lasts: Duration) -> (String, i64) {
        self.office.recording_ticket(recording, lasts)
    }

    fn may_open(&self, recording: &str, ticket: &str) -> bool {
        self.office.opens_recording(recording, ticket)
    }

    fn import_percent(&self, recording: &str) -> Option<u8> {
        self.imports().get(recording).map(|percent| percent.load(Ordering::Relaxed))
    }
}

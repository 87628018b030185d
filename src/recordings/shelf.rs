//! Recordings as viewers ask for them: the origin's [`Library`].

use super::Recordings;
use super::chapters;
use super::measure::{self, SOUND};
use super::movies::{self, Files, Wanted};
use super::recent::Recent;
use super::remote::Remote;
use super::storyboard;
use super::warehouse;
use archive::{Archive, Kind, Picture, Place, Segment, SessionName, Timeline};
use media::MediaTime;
use origin::{Asked, Cues, Download, Found, Library, Listing, Stored, What};
use packager::vod::Container;
use packager::{Document, Index};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::{Recording, RecordingStatus, Store, Visibility, now_ms};
use tokio::sync::watch;

/// Recordings remembered, so that not every segment asks the database.
const KNOWN_MAX: usize = 1_000;
/// For so long at most, when nobody changed anything: the server itself ends recordings.
const KNOWN_FOR: Duration = Duration::from_secs(2);
const AWAY: &str = "The database does not answer now; try again in a moment.";
/// Text of playlists and storyboards that is kept; that of a recording of an hour takes 0.3 MB.
const LISTS_BYTES: usize = 16 << 20;
/// Of a title in a file's name, beside which there is room for the rest in 255 bytes.
const NAME_BYTES_MAX: usize = 160;
/// Pictures are looked for in so many segments around.
const NEAR: u64 = 30;
const UNREADABLE: &str = "This part of the recording can't be read now; try again in a moment.";
const ELSEWHERE: &str = "This part of the recording is not on this server any more, so it can't be given as a file.";

/// What was asked of the database lately.
pub struct Known {
    changes: watch::Receiver<u64>,
    /// Held for a look or a change, never across an await.
    rows: Mutex<HashMap<String, Row>>,
}

struct Row {
    recording: Option<Arc<Recording>>,
    revision: u64,
    at: Instant,
}

impl Known {
    pub fn new(store: &Store) -> Self {
        Self { changes: store.changes(), rows: Mutex::default() }
    }

    async fn get(&self, store: &Store, id: &str) -> Result<Option<Arc<Recording>>, store::Error> {
        let (revision, now) = (*self.changes.borrow(), Instant::now());
        let is_fresh = |row: &Row| row.revision == revision && now.saturating_duration_since(row.at) < KNOWN_FOR;
        if let Some(row) = self.rows().get(id).filter(|row| is_fresh(row)) {
            return Ok(row.recording.clone());
        }
        let recording = store.recording(id).await?.map(Arc::new);
        let mut rows = self.rows();
        if rows.len() >= KNOWN_MAX {
            rows.retain(|_, row| is_fresh(row));
        }
        if rows.len() < KNOWN_MAX {
            rows.insert(id.to_owned(), Row { recording: recording.clone(), revision, at: now });
        }
        Ok(recording)
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, HashMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that may be watched.
pub(super) struct Opened {
    timeline: Arc<Timeline>,
    /// The segments it has, as far as they are there.
    span: Range<u64>,
    kind: Kind,
    /// `None` for what can be rewound to, which has all renditions.
    recording: Option<Arc<Recording>>,
}

impl Opened {
    pub fn of(recording: Arc<Recording>, timeline: Arc<Timeline>) -> Self {
        let span = recording.from_msn..recording.until_msn.unwrap_or(u64::MAX);
        let kind = if recording.until_msn.is_some() { Kind::Vod } else { Kind::Event };
        Self { timeline, span, kind, recording: Some(recording) }
    }

    fn has(&self, rendition: &str) -> bool {
        let is_one = |recording: &Arc<Recording>| recording.renditions.iter().any(|id| id == rendition);
        rendition == SOUND || self.recording.as_ref().is_none_or(is_one)
    }

    /// What stands in front of the URIs of its media playlists.
    fn folder(&self) -> String {
        let session = || format!("{}/", self.timeline.session().session());
        self.recording.is_none().then(session).unwrap_or_default()
    }

    fn has_ended(&self) -> bool {
        self.kind == Kind::Vod
    }

    /// A document of it; what stands in that changes only with this.
    fn key(&self, name: String) -> ListKey {
        let whole = self.timeline.span();
        let span = self.span.start.max(whole.start)..self.span.end.min(whole.end);
        let recording = self.recording.as_ref().map(|recording| recording.id.clone());
        ListKey { session: self.timeline.session().clone(), recording, name, span, kind: self.kind }
    }

    fn index(&self, index: Index) -> Option<String> {
        let list = |index| self.timeline.multivariant(&self.folder(), index, self.span.clone(), |id| self.has(id));
        // Better pictures that not all can see than none.
        list(index).or_else(|| (index == Index::H264).then(|| list(Index::Hevc)).flatten())
    }

    /// A segment of this number may be asked for.
    fn reaches(&self, msn: u64) -> bool {
        // Who has loaded a playlist of the rewind window asks for its oldest segment when that has left it.
        let slack = if self.kind == Kind::Rewind { NEAR } else { 0 };
        self.span.start <= msn.saturating_add(slack) && msn < self.span.end
    }

    fn storyboard(&self, archive: &Archive) -> Option<String> {
        let placed = storyboard::placed(&self.timeline, &self.span, self.pictures(archive, &self.span));
        storyboard::text(&placed, self.length())
    }

    fn length(&self) -> MediaTime {
        measure::length(&measure::lead(&self.timeline, &self.span))
    }

    /// The picture of a storyboard that was taken then.
    fn picture(&self, archive: &Archive, wall_ms: i64) -> Option<Picture> {
        let msn = self.timeline.at(archive::date(wall_ms))?;
        let near = self.near(msn..msn + 1);
        let placed = storyboard::placed(&self.timeline, &near, self.pictures(archive, &near));
        placed.into_iter().map(|(_, picture)| picture).find(|picture| picture.wall_ms == wall_ms)
    }

    /// The picture for lists, of what is around the time that was chosen, or around a while into it; of all when there is none.
    pub fn cover(&self, archive: &Archive) -> Option<Picture> {
        let wanted = self.recording.as_ref().and_then(|recording| recording.details.thumbnail_ms);
        let wanted = wanted.map(MediaTime::from_millis);
        let lead = measure::lead(&self.timeline, &self.span);
        let at = storyboard::cover(&lead, wanted);
        let mut begins = MediaTime::ZERO;
        let covers = |segment: &&Segment| {
            begins += segment.duration();
            at < begins
        };
        let msn = lead.iter().find(covers).or(lead.last())?.msn;
        let near = self.near(msn..msn + 1);
        let before = measure::length(lead.iter().take_while(|segment| segment.msn < near.start));
        [(near, before), (self.span.clone(), MediaTime::ZERO)].into_iter().find_map(|(span, before)| {
            let placed = storyboard::placed(&self.timeline, &span, self.pictures(archive, &span));
            storyboard::nearest(&placed, at - before).cloned()
        })
    }

    /// Some segments before and behind, for pictures and segments are dated by two clocks.
    fn near(&self, span: Range<u64>) -> Range<u64> {
        span.start.saturating_sub(NEAR).max(self.span.start)..(span.end + NEAR).min(self.span.end)
    }

    fn pictures(&self, archive: &Archive, span: &Range<u64>) -> Vec<Picture> {
        archive.pictures(self.timeline.session(), span.clone())
    }
}

/// Why something can't be watched.
enum Unseen {
    Nothing,
    Unreadable(&'static str),
}

impl<T> From<Unseen> for Found<T> {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Nothing => Found::Nothing,
            Unseen::Unreadable(sentence) => Found::Unreadable(sentence),
        }
    }
}

/// Playlists and storyboards that were asked for lately.
pub type Lists = Recent<ListKey, Arc<Document>>;

/// One of them, as it is while these segments are there.
#[derive(Clone, PartialEq, Eq)]
pub struct ListKey {
    session: SessionName,
    recording: Option<String>,
    name: String,
    span: Range<u64>,
    kind: Kind,
}

/// None asked for yet.
pub fn lists() -> Lists {
    Recent::new(LISTS_BYTES, |document: &Arc<Document>| document.text().len())
}

impl Recordings {
    /// What is asked for, if the asker may watch it.
    async fn open(&self, asked: Asked<'_>) -> Result<Opened, Unseen> {
        match asked.what {
            What::Recording(id) => self.open_recording(id, asked.ticket).await,
            What::Rewind { stream, .. } if !self.office.may_watch(stream, asked.ticket) => Err(Unseen::Nothing),
            What::Rewind { stream, session } => self.open_rewind(stream, session).ok_or(Unseen::Nothing),
        }
    }

    async fn open_recording(&self, id: &str, ticket: Option<&str>) -> Result<Opened, Unseen> {
        let found = self.known.get(&self.store, id).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a viewer's recording could not be looked up");
            Unseen::Unreadable(AWAY)
        })?;
        let has_ticket = || ticket.is_some_and(|ticket| self.office.opens_recording(id, ticket));
        let recording = found.filter(|found| may_be_seen(found, has_ticket)).ok_or(Unseen::Nothing)?;
        let timeline = self.timeline(&recording.stream, &recording.session).await.ok_or(Unseen::Nothing)?;
        Ok(Opened::of(recording, timeline))
    }

    /// What the rewind window holds of a stream that is live.
    fn open_rewind(&self, stream: &str, session: Option<&str>) -> Option<Opened> {
        let tape = self.tape(stream).filter(|tape| session.is_none_or(|session| tape.session == session))?;
        let since = archive::date(now_ms()).checked_sub(self.rules.rewind).filter(|_| !self.rules.rewind.is_zero())?;
        let span = tape.timeline.at(since)?..u64::MAX;
        Some(Opened { timeline: tape.timeline, span, kind: Kind::Rewind, recording: None })
    }

    /// Whether there is something to rewind to in a session.
    pub fn rewinds(&self, stream: &str, session: &str) -> bool {
        !self.rules.rewind.is_zero()
            && self.tape(stream).is_some_and(|tape| tape.session == session && !tape.timeline.span().is_empty())
    }

    /// A document of something, made when it is not known. What makes it may block.
    async fn listed(
        &self,
        opened: Opened,
        name: String,
        make: impl FnOnce(&Opened, &Archive) -> Option<String> + Send + 'static,
    ) -> Found<Listing> {
        let (key, has_ended, archive) = (opened.key(name), opened.has_ended(), self.archive.clone());
        let make = async move {
            let made = tokio::task::spawn_blocking(move || make(&opened, &archive)).await;
            made.ok().flatten().map(|text| Arc::new(Document::new(text))).ok_or(())
        };
        match self.lists.get(key, make).await {
            Ok(document) => Found::Here(Listing { document, has_ended }),
            Err(()) => Found::Nothing,
        }
    }

    /// Looks for a picture, off the runtime's threads.
    async fn pictured(
        &self,
        opened: Opened,
        look: impl FnOnce(&Opened, &Archive) -> Option<Picture> + Send + 'static,
    ) -> Found<Stored> {
        let archive = self.archive.clone();
        let found = tokio::task::spawn_blocking(move || look(&opened, &archive)).await;
        found
            .ok()
            .flatten()
            .map_or(Found::Nothing, |picture| Found::Here(Stored::file(picture.path.into(), picture.range)))
    }

    /// A segment that is in the vault alone.
    fn remote(&self, opened: &Opened, rendition: &str, place: Place) -> Found<Stored> {
        let Some(warehouse) = &self.warehouse else { return Found::Unreadable(ELSEWHERE) };
        match warehouse::media_key(opened.timeline.session(), place.reel, rendition) {
            Ok(key) => Found::Here(Stored::new(Arc::new(Remote::new(warehouse.vault().clone(), key, place.range)))),
            Err(_) => Found::Nothing,
        }
    }

    /// The MP4 files of a recording that has ended.
    pub(super) async fn files(
        &self,
        recording: &Recording,
        timeline: &Arc<Timeline>,
        rendition: &str,
    ) -> io::Result<Files> {
        let Some(until_msn) = recording.until_msn.filter(|_| movies::is_file(timeline, rendition)) else {
            return Ok(Arc::new([]));
        };
        let wanted = Wanted {
            recording: recording.id.clone(),
            rendition: rendition.to_owned(),
            remote_reels: timeline.remote_reels(&(recording.from_msn..until_msn)),
            span: recording.from_msn..until_msn,
            title: recording.details.title.clone(),
            created: archive::date(recording.started_ms),
        };
        self.movies.get(Arc::clone(timeline), wanted).await
    }
}

fn may_be_seen(recording: &Recording, has_ticket: impl FnOnce() -> bool) -> bool {
    let is_whole = !matches!(recording.status, RecordingStatus::Failed | RecordingStatus::Deleted);
    let is_open = recording.details.visibility != Visibility::Private;
    is_whole && recording.trashed_ms.is_none() && (is_open || has_ticket())
}

/// What a file is called: by its title, or by its stream and day.
pub(super) fn file_name(recording: &Recording, rendition: &str, (number, of): (u64, usize)) -> String {
    let title = if recording.details.title.is_empty() { &recording.stream } else { &recording.details.title };
    let part = if of > 1 { format!(" part {number}") } else { String::new() };
    let name: String =
        title.chars().map(|c| if c.is_control() || matches!(c, '/' | '\\' | ':') { ' ' } else { c }).collect();
    let cut = name.floor_char_boundary(NAME_BYTES_MAX);
    format!("{} {rendition}{part}.mp4", name[..cut].trim())
}

impl Library for Recordings {
    fn lasts(&self, ticket: &str) -> Duration {
        self.office.lasts(ticket)
    }

    async fn index(&self, asked: Asked<'_>, kind: Index) -> Found<Listing> {
        let name = match kind {
            Index::H264 => "index.m3u8",
            Index::Hevc => "hevc.m3u8",
            Index::Ts => "ts.m3u8",
        };
        match self.open(asked).await {
            Ok(opened) => self.listed(opened, name.to_owned(), move |opened, _| opened.index(kind)).await,
            Err(unseen) => unseen.into(),
        }
    }

    async fn playlist(&self, asked: Asked<'_>, rendition: &str, container: Container) -> Found<Listing> {
        let opened = match self.open(asked).await {
            Ok(opened) if opened.has(rendition) => opened,
            Ok(_) => return Found::Nothing,
            Err(unseen) => return unseen.into(),
        };
        let id = rendition.to_owned();
        let suffix = if container == Container::Ts { "ts.m3u8" } else { "m3u8" };
        let list = move |opened: &Opened, _: &Archive| {
            let (timeline, span) = (&opened.timeline, opened.span.clone());
            match container {
                Container::Cmaf => timeline.media_playlist(&id, span, opened.kind),
                Container::Ts => timeline.ts_playlist(&id, span, opened.kind),
            }
        };
        self.listed(opened, format!("{rendition}.{suffix}"), list).await
    }

    async fn init(&self, asked: Asked<'_>, rendition: &str, generation: u64) -> Found<Stored> {
        match self.open(asked).await {
            Ok(opened) => match opened.timeline.init(rendition, generation) {
                Some(init) if opened.has(rendition) => Found::Here(Stored::bytes(init.data)),
                _ => Found::Nothing,
            },
            Err(unseen) => unseen.into(),
        }
    }

    async fn segment(&self, asked: Asked<'_>, rendition: &str, msn: u64) -> Found<Stored> {
        let opened = match self.open(asked).await {
            Ok(opened) => opened,
            Err(unseen) => return unseen.into(),
        };
        match opened.timeline.place(rendition, msn).filter(|_| opened.reaches(msn) && opened.has(rendition)) {
            None => Found::Nothing,
            Some(place) if !place.is_local => self.remote(&opened, rendition, place),
            Some(place) => Found::Here(Stored::file(place.path.into(), place.range)),
        }
    }

    async fn ts_segment(&self, asked: Asked<'_>, rendition: &str, msn: u64) -> Found<Stored> {
        let opened = match self.open(asked).await {
            Ok(opened) if opened.has(rendition) && opened.reaches(msn) => opened,
            Ok(_) => return Found::Nothing,
            Err(unseen) => return unseen.into(),
        };
        match self.ts(&opened.timeline, rendition, msn).await {
            Ok(stored) => Found::Here(stored),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                metrics::counter!("weir_recording_ts_refused_total").increment(1);
                Found::Unreadable(UNREADABLE)
            }
            Err(error) => {
                tracing::warn!(%error, session = %opened.timeline.session(), rendition, msn, "a segment can't be made MPEG-TS");
                Found::Unreadable(UNREADABLE)
            }
        }
    }

    async fn download(&self, asked: Asked<'_>, rendition: &str, number: u64) -> Found<Download> {
        let opened = match self.open(asked).await {
            Ok(opened) if opened.has(rendition) => opened,
            Ok(_) => return Found::Nothing,
            Err(unseen) => return unseen.into(),
        };
        let Some(recording) = &opened.recording else { return Found::Nothing };
        let files = match self.files(recording, &opened.timeline, rendition).await {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(%error, recording = recording.id, "an MP4 file can't be made");
                return Found::Unreadable(ELSEWHERE);
            }
        };
        let file = number.checked_sub(1).and_then(|at| files.get(usize::try_from(at).ok()?));
        file.map_or(Found::Nothing, |file| {
            let name = file_name(recording, rendition, (number, files.len()));
            Found::Here(Download { stored: Arc::clone(file).stored(), tag: file.tag, name })
        })
    }

    async fn storyboard(&self, asked: Asked<'_>) -> Found<Cues> {
        let opened = match self.open(asked).await {
            Ok(opened) => opened,
            Err(unseen) => return unseen.into(),
        };
        match self.listed(opened, "storyboard.vtt".to_owned(), Opened::storyboard).await {
            Found::Here(Listing { document, has_ended }) => {
                Found::Here(Cues { text: document.text().clone(), has_ended })
            }
            _ => Found::Nothing,
        }
    }

    async fn chapters(&self, asked: Asked<'_>) -> Found<Cues> {
        let opened = match self.open(asked).await {
            Ok(opened) => opened,
            Err(unseen) => return unseen.into(),
        };
        let Some(recording) = &opened.recording else { return Found::Nothing };
        let text = chapters::text(&recording.details.chapters, opened.length());
        // People change them afterwards too.
        text.map_or(Found::Nothing, |text| Found::Here(Cues { text: text.into(), has_ended: false }))
    }

    async fn picture(&self, asked: Asked<'_>, at_ms: u64) -> Found<Stored> {
        let Ok(wall_ms) = i64::try_from(at_ms) else { return Found::Nothing };
        match self.open(asked).await {
            Ok(opened) => self.pictured(opened, move |opened, archive| opened.picture(archive, wall_ms)).await,
            Err(unseen) => unseen.into(),
        }
    }

    async fn thumb(&self, asked: Asked<'_>) -> Found<Stored> {
        let opened = match self.open(asked).await {
            Ok(opened) => opened,
            Err(unseen) => return unseen.into(),
        };
        self.pictured(opened, Opened::cover).await
    }
}

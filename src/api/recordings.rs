//! Recordings over the API: the operator's list of them, what is said of each, the trash, clips; and the public library.

use super::Api;
use super::chapters::ChapterShape;
use super::error::{ApiError, Body, Query};
use super::gate::client;
use super::shapes::Problem;
use super::tickets::TICKET_MAX;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Actor, Error, NewClip, NewRecording, Order, Recording, RecordingAct, RecordingDetails, RecordingPatch,
    RecordingStatus, Search, Sort, Visibility, chapters_within, new_recording_id, now_ms, read_chapters,
};
use utoipa::{IntoParams, ToSchema};

/// Rows when the asker names no number.
const ROWS: u32 = 30;
/// One MP4 file of a recording.
#[derive(Debug, Serialize, ToSchema)]
pub struct DownloadShape {
    /// The pictures in it.
    pub rendition: String,
    /// Its path. Ranges of it can be asked for, so a download can be resumed.
    pub href: String,
    /// Where it begins in the recording, milliseconds.
    pub begins_ms: i64,
    /// How long it is, milliseconds.
    pub duration_ms: i64,
    /// Its size.
    pub size_bytes: u64,
}

/// All MP4 files of a recording; those of one rendition follow each other.
#[derive(Debug, Serialize, ToSchema)]
pub struct DownloadList {
    /// None while it runs.
    pub downloads: Vec<DownloadShape>,
}

/// What opens a recording that is private.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Shown {
    /// A ticket.
    pub ticket: Option<String>,
}

/// A recording.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingShape {
    /// Its id, part of its addresses.
    pub id: String,
    /// The stream it is of, which may be gone.
    pub stream: String,
    /// At most 200 characters; may be empty.
    pub title: String,
    /// At most 5,000 characters.
    pub description: String,
    /// At most 20.
    pub tags: Vec<String>,
    /// Who may see it.
    pub visibility: &'static str,
    /// `recording`, `processing`, `available` or `failed`.
    pub status: &'static str,
    /// Why it failed; empty unless it did.
    pub reason: String,
    /// How far it is while it is made of an uploaded file, 0 to 100; for the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// When it began, milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended; null while it runs.
    pub ended_ms: Option<i64>,
    /// How long it is to watch, milliseconds.
    pub duration_ms: u64,
    /// Bytes of all its renditions.
    pub size_bytes: u64,
    /// The pictures it is kept in.
    pub renditions: Vec<String>,
    /// The recording it was cut from.
    pub clip_of: Option<String>,
    /// Its parts with names, by their beginnings.
    pub chapters: Vec<ChapterShape>,
    /// In the trash since; null when it is not.
    pub trashed_ms: Option<i64>,
    /// Path of its multivariant playlist. Of a private one, for who may know, with a ticket of six hours.
    pub hls: String,
    /// Path of its picture.
    pub thumb: String,
    /// Path of its page.
    pub watch: String,
    /// The vault it is copied to; for the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// All of it is verified there; for the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<bool>,
}

/// Paths of a recording for who has this ticket.
pub(super) fn paths(id: &str, ticket: Option<&str>) -> (String, String) {
    match ticket {
        Some(ticket) => (format!("/p/{ticket}/vod/{id}"), format!("/recordings/{id}?ticket={ticket}")),
        None => (format!("/vod/{id}"), format!("/recordings/{id}")),
    }
}

impl RecordingShape {
    /// For who has this ticket.
    pub fn new(recording: Recording, ticket: Option<&str>) -> Self {
        let (media, watch) = paths(&recording.id, ticket);
        Self {
            hls: format!("{media}/index.m3u8"),
            thumb: format!("{media}/thumb.jpg"),
            watch,
            vault: None,
            copied: None,
            percent: None,
            id: recording.id,
            stream: recording.stream,
            title: recording.details.title,
            description: recording.details.description,
            tags: recording.details.tags,
            visibility: recording.details.visibility.as_str(),
            status: recording.status.as_str(),
            reason: recording.reason,
            started_ms: recording.started_ms,
            ended_ms: recording.ended_ms,
            duration_ms: recording.duration_ms,
            size_bytes: recording.size_bytes,
            renditions: recording.renditions,
            clip_of: recording.clip_of,
            chapters: recording.details.chapters.into_iter().map(ChapterShape::from).collect(),
            trashed_ms: recording.trashed_ms,
        }
    }
}

/// A page of recordings.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingList {
    /// In the order that was asked for.
    pub recordings: Vec<RecordingShape>,
    /// What to send as `cursor` for the next page; null at the end.
    pub next: Option<String>,
    /// How many there are over all pages.
    pub total: u64,
}

/// Which recordings are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Stands in the title, the description or a tag.
    #[serde(default)]
    pub q: String,
    /// Has this tag.
    pub tag: Option<String>,
    /// Is of this stream.
    pub stream: Option<String>,
    /// `recording`, `processing`, `available` or `failed`.
    pub status: Option<String>,
    /// `public`, `unlisted` or `private`.
    pub visibility: Option<String>,
    /// Started then or later, milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Started before then.
    pub until_ms: Option<i64>,
    /// Is a clip, or is none.
    pub clip: Option<bool>,
    /// Is in the trash.
    #[serde(default)]
    pub trashed: bool,
    /// `started`, `title`, `duration` or `size`; `-` in front turns it round. `-started` when left out.
    pub sort: Option<String>,
    /// 1 to 100; 30 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl Wanted {
    fn search(&self) -> Result<Search, ApiError> {
        Ok(Search {
            text: self.q.clone(),
            tag: self.tag.clone(),
            stream: self.stream.clone(),
            status: self.status.as_deref().map(str::parse::<RecordingStatus>).transpose()?,
            visibility: self.visibility.as_deref().map(str::parse::<Visibility>).transpose()?,
            from_ms: self.from_ms,
            until_ms: self.until_ms,
            clip: self.clip,
            trashed: self.trashed,
        })
    }

    fn order(&self) -> Result<Order, ApiError> {
        let Some(text) = self.sort.as_deref() else { return Ok(Order::default()) };
        let (word, descending) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
        let by = match word {
            "started" => Sort::Started,
            "title" => Sort::Title,
            "duration" => Sort::Duration,
            "size" => Sort::Size,
            _ => {
                let message = "Sort by started, title, duration or size; a - in front turns it round.";
                return Err(ApiError::bad_request("bad_sort", message.into()));
            }
        };
        Ok(Order { by, descending })
    }
}

/// What is said of a recording; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingChange {
    /// At most 200 characters.
    pub title: Option<String>,
    /// At most 5,000 characters.
    pub description: Option<String>,
    /// All of them anew, at most 20 of 40 characters.
    pub tags: Option<Vec<String>>,
    /// `public`, `unlisted` or `private`.
    pub visibility: Option<String>,
    /// All of them anew, at most 100, a line each with rising times: `12:34 Title`, or `1:02:03 Title`. Empty: none.
    pub chapters: Option<String>,
}

/// A piece to be cut out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Seconds from the recording's start. The clip begins with the segment in which that lies.
    pub start_s: f64,
    /// Seconds from the recording's start, behind `start_s`. It ends with the segment in which that lies.
    pub end_s: f64,
    /// At most 200 characters; that of the recording when left out.
    pub title: Option<String>,
}

/// How a recording begins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Seconds into the past, as far as the rewind window reaches.
    #[serde(default)]
    pub back_s: u32,
    /// At most 200 characters; the stream's title when left out.
    pub title: Option<String>,
}

impl Api {
    async fn act(&self, from: &Extensions, act: RecordingAct) -> Result<Json<RecordingShape>, ApiError> {
        let actor = Actor::Api(client(from).to_string());
        let recording = self.store.perform_on_recording(&actor, &act, now_ms()).await?;
        Ok(Json(self.operators(recording)))
    }

    /// A recording as the operator sees it.
    pub(super) fn operators(&self, recording: Recording) -> RecordingShape {
        let is_private = recording.details.visibility == Visibility::Private;
        let ticket = is_private.then(|| self.archive.ticket(&recording.id, TICKET_MAX).0);
        let is_copied =
            recording.vault.is_some() && recording.until_msn.is_some_and(|until| recording.stored_msn >= until);
        let vault = recording.vault.clone();
        let percent = recording.is_import().then(|| self.archive.import_percent(&recording.id).unwrap_or(0));
        RecordingShape { vault, copied: Some(is_copied), percent, ..RecordingShape::new(recording, ticket.as_deref()) }
    }

    /// A recording that a viewer may see, with the ticket it takes.
    pub(super) async fn seen(&self, id: String, shown: Shown) -> Result<(Recording, Option<String>), ApiError> {
        let found = self.recording(&id).await?;
        let is_private = found.details.visibility == Visibility::Private;
        let ticket = shown.ticket.filter(|ticket| is_private && self.archive.may_open(&id, ticket));
        if found.trashed_ms.is_some() || (is_private && ticket.is_none()) {
            return Err(Error::NoSuchRecording { id }.into());
        }
        Ok((found, ticket))
    }

    pub(super) async fn recording(&self, id: &str) -> Result<Recording, ApiError> {
        let found = self.store.recording(id).await?;
        Ok(found.ok_or_else(|| Error::NoSuchRecording { id: id.chars().take(80).collect() })?)
    }

    /// A page of recordings, each in the shape that is for who asks.
    async fn page(
        &self,
        wanted: &Wanted,
        search: &Search,
        shape: impl Fn(Recording) -> RecordingShape,
    ) -> Result<Json<RecordingList>, ApiError> {
        let (order, limit) = (wanted.order()?, wanted.limit.unwrap_or(ROWS));
        let page = self.store.recordings(search, order, wanted.cursor.as_deref(), limit).await?;
        let total = self.store.count_recordings(search).await?;
        let recordings = page.recordings.into_iter().map(shape).collect();
        Ok(Json(RecordingList { recordings, next: page.next, total }))
    }
}

/// Recordings
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", security(("token" = [])), params(Wanted),
    responses((status = 200, body = RecordingList), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub async fn list(State(api): State<Arc<Api>>, Query(wanted): Query<Wanted>) -> Result<Json<RecordingList>, ApiError> {
    let search = wanted.search()?;
    api.page(&wanted, &search, |recording| api.operators(recording)).await
}

/// One recording
#[utoipa::path(get, path = "/api/v1/recordings/{id}", tag = "recordings", security(("token" = [])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RecordingShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<RecordingShape>, ApiError> {
    Ok(Json(api.operators(api.recording(&id).await?)))
}

/// Change what is said of a recording
#[utoipa::path(patch, path = "/api/v1/recordings/{id}", tag = "recordings", security(("token" = [])), request_body = RecordingChange,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RecordingShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn edit(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
    Body(change): Body<RecordingChange>,
) -> Result<Json<RecordingShape>, ApiError> {
    let patch = RecordingPatch {
        title: change.title,
        description: change.description,
        tags: change.tags,
        visibility: change.visibility.as_deref().map(str::parse).transpose()?,
        chapters: change.chapters.as_deref().map(read_chapters).transpose()?,
        ..RecordingPatch::default()
    };
    if patch.is_empty() {
        let message = "Give title, description, tags, visibility or chapters.";
        return Err(ApiError::bad_request("nothing_to_change", message.into()));
    }
    api.act(&from, RecordingAct::Edit { id, patch }).await
}

/// Put a recording in the trash
///
/// Nobody sees it any more; it can be restored until the trash is emptied.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/trash", tag = "recordings", security(("token" = [])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RecordingShape), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn trash(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
) -> Result<Json<RecordingShape>, ApiError> {
    api.act(&from, RecordingAct::Trash { id }).await
}

/// Take a recording from the trash
#[utoipa::path(post, path = "/api/v1/recordings/{id}/restore", tag = "recordings", security(("token" = [])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = RecordingShape), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn restore(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
) -> Result<Json<RecordingShape>, ApiError> {
    api.act(&from, RecordingAct::Restore { id }).await
}

/// Delete a recording for good
///
/// Its segments are removed, unless a clip or another recording has them too, and then its row.
#[utoipa::path(delete, path = "/api/v1/recordings/{id}", tag = "recordings", security(("token" = [])),
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
) -> Result<StatusCode, ApiError> {
    let _deleted = api.act(&from, RecordingAct::Delete { id, due: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cut a clip
///
/// A recording of its own, of the whole segments in which the piece lies; no byte is copied.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/clips", tag = "recordings", security(("token" = [])), request_body = Cut,
    params(("id" = String, Path, description = "The recording it is cut from, which may still run")),
    responses((status = 201, body = RecordingShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn clip(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
    Body(cut): Body<Cut>,
) -> Result<(StatusCode, Json<RecordingShape>), ApiError> {
    let whole = api.recording(&id).await?;
    let bad_range = || {
        let message = "Give start_s and end_s in seconds from the recording's start, the end behind the start and both within it.";
        ApiError::bad_request("bad_range", message.into())
    };
    let (Ok(start), Ok(end)) = (Duration::try_from_secs_f64(cut.start_s), Duration::try_from_secs_f64(cut.end_s))
    else {
        return Err(bad_range());
    };
    let piece = if start < end { api.archive.cut(&whole, start, end).await } else { None };
    let piece = piece.ok_or_else(bad_range)?;
    let title = cut.title.unwrap_or_else(|| whole.details.title.clone());
    let chapters = chapters_within(&whole.details.chapters, piece.from_ms..piece.from_ms + piece.duration_ms);
    let clip = NewClip {
        id: new_recording_id(),
        of: whole.id,
        from_msn: piece.from_msn,
        until_msn: piece.until_msn,
        started_ms: piece.started_ms,
        duration_ms: piece.duration_ms,
        size_bytes: piece.size_bytes,
        details: RecordingDetails { title, thumbnail_ms: None, chapters, ..whole.details },
    };
    Ok((StatusCode::CREATED, api.act(&from, RecordingAct::Clip(clip)).await?))
}

/// Record a stream from now on, or from a while ago
#[utoipa::path(post, path = "/api/v1/streams/{name}/recording", tag = "recordings", security(("token" = [])), request_body = Start,
    params(("name" = String, Path, description = "Public name of a stream that is live")),
    responses((status = 201, body = RecordingShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn start(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
    Body(start): Body<Start>,
) -> Result<(StatusCode, Json<RecordingShape>), ApiError> {
    let stream = api.store.stream(&name).await?.ok_or_else(|| Error::NoSuchStream { name: name.clone() })?;
    let rules = stream.settings.recording;
    let back = Duration::from_secs(start.back_s.into());
    let Some(begins) = api.archive.begin(&name, back, &rules.renditions) else {
        let message = "The stream is not live, so there is nothing to record; to record each session from its start, set record to always.";
        return Err(ApiError::conflict("not_live", message.into()));
    };
    let details = RecordingDetails {
        title: start.title.unwrap_or(stream.settings.title),
        visibility: rules.visibility,
        ..RecordingDetails::default()
    };
    let new = NewRecording {
        id: new_recording_id(),
        stream: name,
        session: begins.session,
        from_msn: begins.from_msn,
        renditions: begins.renditions,
        details,
        started_ms: begins.started_ms,
    };
    Ok((StatusCode::CREATED, api.act(&from, RecordingAct::Start(new)).await?))
}

/// End a stream's recording
///
/// The stream stays live, and its session does not go on with this recording.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/recording", tag = "recordings", security(("token" = [])),
    params(("name" = String, Path, description = "Public name of a stream that is recorded")),
    responses((status = 200, body = RecordingShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn stop(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
) -> Result<Json<RecordingShape>, ApiError> {
    let running = Search { stream: Some(name.clone()), status: Some(RecordingStatus::Recording), ..Search::default() };
    let page = api.store.recordings(&running, Order::default(), None, 1).await?;
    let running = page.recordings.into_iter().next();
    let ends = running.and_then(|recording| {
        let until_msn = api.archive.end(&name, &recording.session)?;
        Some(RecordingAct::Stop { id: recording.id, until_msn })
    });
    let Some(act) = ends else {
        return Err(ApiError::not_found("not_recorded", "No recording of this stream runs.".into()));
    };
    api.act(&from, act).await
}

/// The public library
///
/// Recordings that everybody may see, the newest first unless told otherwise.
#[utoipa::path(get, path = "/api/v1/library", tag = "library", params(Wanted),
    responses((status = 200, body = RecordingList), (status = 400, body = Problem)))]
pub async fn library(
    State(api): State<Arc<Api>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<RecordingList>, ApiError> {
    let search = Search {
        status: Some(RecordingStatus::Available),
        visibility: Some(Visibility::Public),
        trashed: false,
        ..wanted.search()?
    };
    api.page(&wanted, &search, |recording| RecordingShape::new(recording, None)).await
}

/// A recording as its viewers see it
///
/// One that may not be seen and one that does not exist get the same answer.
#[utoipa::path(get, path = "/api/v1/library/{id}", tag = "library", params(("id" = String, Path, description = "Its id"), Shown),
    responses((status = 200, body = RecordingShape), (status = 404, body = Problem)))]
pub async fn public(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Json<RecordingShape>, ApiError> {
    let (found, ticket) = api.seen(id, shown).await?;
    Ok(Json(RecordingShape::new(found, ticket.as_deref())))
}

/// A recording as MP4 files
///
/// One for each rendition that is kept and each stretch of unchanged codec configuration. The first question reads the whole
/// recording's heads, a second for some hours.
#[utoipa::path(get, path = "/api/v1/library/{id}/downloads", tag = "library", params(("id" = String, Path, description = "Its id"), Shown),
    responses((status = 200, body = DownloadList), (status = 404, body = Problem)))]
pub async fn downloads(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Json<DownloadList>, ApiError> {
    let (found, ticket) = api.seen(id, shown).await?;
    let (media, _) = paths(&found.id, ticket.as_deref());
    let downloads = api.archive.downloads(&found).await.into_iter().map(|file| DownloadShape {
        href: format!("{media}/{}/download-{}.mp4", file.rendition, file.number),
        rendition: file.rendition,
        begins_ms: file.begins_ms,
        duration_ms: file.duration_ms,
        size_bytes: file.size_bytes,
    });
    Ok(Json(DownloadList { downloads: downloads.collect() }))
}

//! The operator's routes: streams and keys. Every change is one act through the store's one door.

use super::Api;
use super::error::{ApiError, Body, Query};
use super::gate::client;
use super::shapes::{
    AuditList, AuditQuery, AuditShape, Dock, LiveShape, NewStream, Problem, Rotation, Stopped, StreamChange,
    StreamList, StreamShape,
};
use super::tickets::PREVIEW_TICKET;
use crate::config::ladder_text;
use crate::first_start;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Act, Actor, Error, Latency, Outcome, Previous, Recording, RecordingRules, RecordingStatus, STOP_HOLD, Slate,
    Stream, StreamPatch, StreamSettings, Takeover, Visibility, now_ms,
};

/// Rows when the asker names no number.
const AUDIT_ROWS: u32 = 100;

impl Api {
    pub(super) async fn perform(&self, from: &Extensions, act: Act) -> Result<Outcome, ApiError> {
        let outcome = self.store.perform(&Actor::Api(client(from).to_string()), &act, now_ms()).await?;
        if let Some(data_dir) = &self.data_dir
            && let Err(error) = first_start::forget_rotated_key(data_dir, &self.store).await
        {
            tracing::warn!(error = format!("{error:#}"), "the first key's file stays though the key was rotated");
        }
        Ok(outcome)
    }

    pub(super) async fn shape(&self, outcome: Outcome) -> Result<StreamShape, ApiError> {
        let (live, running) = (self.operators_live(&outcome.stream), self.running().await?);
        let recording = running.into_iter().find(|recording| recording.stream == outcome.stream.name);
        let key = outcome.key.map(|key| key.reveal().to_owned());
        Ok(StreamShape::new(
            outcome.stream,
            (live, recording.map(|recording| self.operators(recording))),
            key,
            now_ms(),
        ))
    }

    /// What is live of a stream as the operator sees it: a private one with a ticket for the preview.
    fn operators_live(&self, stream: &Stream) -> Option<LiveShape> {
        let live = self.live.stream(&stream.name)?;
        let is_private = stream.settings.visibility == Visibility::Private;
        let ticket = is_private.then(|| self.office.stream_ticket(&stream.name, PREVIEW_TICKET).0);
        let verdict = Some(live.verdict.into());
        Some(LiveShape { verdict, ..LiveShape::new(live, &stream.settings.title, ticket.as_deref(), now_ms()) })
    }

    /// What is being recorded.
    async fn running(&self) -> Result<Vec<Recording>, ApiError> {
        let mut running = self.store.unfinished_recordings().await?;
        running.retain(|recording| recording.status == RecordingStatus::Recording);
        Ok(running)
    }
}

fn ladder(text: &str) -> Result<String, ApiError> {
    ladder_text(text)
        .map_err(|error| ApiError::bad_request("bad_setting", format!("The ladder is not understood: {error:#}.")))
}

/// All streams
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", security(("token" = [])),
    responses((status = 200, body = StreamList), (status = 401, body = Problem)))]
pub async fn list(State(api): State<Arc<Api>>) -> Result<Json<StreamList>, ApiError> {
    let (streams, mut running) = (api.store.streams().await?.into_iter(), api.running().await?);
    let streams = streams.map(|stream| {
        let live = api.operators_live(&stream);
        let at = running.iter().position(|recording| recording.stream == stream.name);
        StreamShape::new(stream, (live, at.map(|at| api.operators(running.swap_remove(at)))), None, now_ms())
    });
    Ok(Json(StreamList { streams: streams.collect() }))
}

/// Add a stream
///
/// The answer holds its key, which is not shown again.
#[utoipa::path(post, path = "/api/v1/streams", tag = "streams", security(("token" = [])), request_body = NewStream,
    responses((status = 201, body = StreamShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem)))]
pub async fn add(
    State(api): State<Arc<Api>>,
    from: Extensions,
    Body(new): Body<NewStream>,
) -> Result<(StatusCode, Json<StreamShape>), ApiError> {
    let ladder = new.ladder.as_deref().map(ladder).transpose()?;
    let mut recording = RecordingRules::default();
    new.keeping.patch()?.apply(&mut recording);
    let settings = StreamSettings {
        title: new.title,
        ladder,
        passthrough: new.passthrough.unwrap_or(true),
        reconnect_window_s: new.reconnect_window_s,
        takeover: new.takeover.map(Takeover::from),
        slate: new.slate.map(Slate::from).unwrap_or_default(),
        latency: new.latency.map(Latency::from).unwrap_or_default(),
        visibility: new.visibility.map(Visibility::from).unwrap_or_default(),
        recording,
    };
    let outcome = api.perform(&from, Act::AddStream { name: new.name, settings }).await?;
    Ok((StatusCode::CREATED, Json(api.shape(outcome).await?)))
}

/// One stream
#[utoipa::path(get, path = "/api/v1/streams/{name}", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = StreamShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<StreamShape>, ApiError> {
    let stream = api.store.stream(&name).await?.ok_or(Error::NoSuchStream { name })?;
    Ok(Json(api.shape(Outcome { stream, key: None, revision: 0 }).await?))
}

/// Change a stream's settings
///
/// They count from its next session on; a title, who may watch, and whether it is recorded, at once, the rules for publishers from the next one that connects, a slate from
/// the next time its publisher is away.
#[utoipa::path(patch, path = "/api/v1/streams/{name}", tag = "streams", security(("token" = [])), request_body = StreamChange,
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = StreamShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn set(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
    Body(change): Body<StreamChange>,
) -> Result<Json<StreamShape>, ApiError> {
    let ladder = match change.ladder.as_deref() {
        None => None,
        Some("default") => Some(None),
        Some(text) => Some(Some(ladder(text)?)),
    };
    let patch = StreamPatch {
        title: change.title,
        ladder,
        passthrough: change.passthrough,
        reconnect_window_s: change.reconnect_window_s,
        takeover: change.takeover.map(|takeover| takeover.map(Takeover::from)),
        slate: change.slate.map(Slate::from),
        latency: change.latency.map(Latency::from),
        visibility: change.visibility.map(Visibility::from),
        recording: change.keeping.patch()?,
    };
    if patch.is_empty() {
        let message = "Give title, ladder, passthrough, reconnect_window_s, takeover, slate, latency, visibility, record, record_renditions, \
            record_visibility, keep_days, keep_bytes or keep_count.";
        return Err(ApiError::bad_request("nothing_to_change", message.into()));
    }
    let outcome = api.perform(&from, Act::SetStream { name, patch }).await?;
    Ok(Json(api.shape(outcome).await?))
}

/// Remove a stream
///
/// Its keys stop and its publisher is sent away.
#[utoipa::path(delete, path = "/api/v1/streams/{name}", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
) -> Result<StatusCode, ApiError> {
    api.perform(&from, Act::RemoveStream { name: name.clone() }).await?;
    api.live.stop(&name, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new key
///
/// At most two keys work at a time: the new one, and the newest before it.
#[utoipa::path(post, path = "/api/v1/streams/{name}/rotate-key", tag = "streams", security(("token" = [])), request_body = Rotation,
    params(("name" = String, Path, description = "Public name")),
    responses((status = 201, body = StreamShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn rotate_key(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<StreamShape>), ApiError> {
    let previous = match rotation.overlap_s {
        None => Previous::Keep,
        Some(0) => Previous::Revoke,
        Some(seconds) => Previous::ExpireAfter(Duration::from_secs(seconds.into())),
    };
    let outcome = api.perform(&from, Act::RotateKey { name, previous }).await?;
    Ok((StatusCode::CREATED, Json(api.shape(outcome).await?)))
}

/// Let a key stop
///
/// A publisher that came with it is sent away.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/keys/{id}", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The key's public id")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn revoke_key(
    State(api): State<Arc<Api>>,
    Path((name, key_id)): Path<(String, String)>,
    from: Extensions,
) -> Result<StatusCode, ApiError> {
    api.perform(&from, Act::RevokeKey { name, key_id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stop a stream
///
/// Its publisher is sent away, its session ends, and its keys open nothing for a minute or until it is allowed: encoders
/// that reconnect by themselves do not undo it.
#[utoipa::path(post, path = "/api/v1/streams/{name}/stop", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Stopped), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn stop(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
) -> Result<Json<Stopped>, ApiError> {
    let outcome = api.perform(&from, Act::StopStream { name: name.clone() }).await?;
    let stopped = api.live.stop(&name, Some(STOP_HOLD));
    Ok(Json(Stopped { stopped, stopped_until_ms: outcome.stream.stopped_until_ms }))
}

/// Allow a stopped stream
///
/// Its keys open it again at once.
#[utoipa::path(post, path = "/api/v1/streams/{name}/allow", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = StreamShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn allow(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
) -> Result<Json<StreamShape>, ApiError> {
    let outcome = api.perform(&from, Act::AllowStream { name: name.clone() }).await?;
    api.live.allow(&name);
    Ok(Json(api.shape(outcome).await?))
}

/// The address of a stream's dock
///
/// For OBS: Docks, Custom Browser Docks. Its token opens this stream's `health`, `stats`, `events` (without the log) and
/// `nginx-rtmp.xml` for reading, and nothing else; it ends with the API token.
#[utoipa::path(get, path = "/api/v1/streams/{name}/dock", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Dock), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn dock(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<Dock>, ApiError> {
    let stream = api.store.stream(&name).await?.ok_or(Error::NoSuchStream { name })?;
    let token = api.gate.token().dock(&stream.name);
    Ok(Json(Dock { path: format!("/dock/{}?token={token}", stream.name) }))
}

/// Changes that were made
#[utoipa::path(get, path = "/api/v1/audit", tag = "streams", security(("token" = [])), params(AuditQuery),
    responses((status = 200, body = AuditList), (status = 401, body = Problem)))]
pub async fn audit(State(api): State<Arc<Api>>, Query(query): Query<AuditQuery>) -> Result<Json<AuditList>, ApiError> {
    let limit = query.limit.unwrap_or(AUDIT_ROWS);
    let rows = match (query.after, query.before) {
        (Some(after), None) => api.store.audit(after, limit).await?,
        (None, before) => api.store.audit_newest(before, limit).await?,
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("bad_query", "Give after or before, not both.".into()));
        }
    };
    Ok(Json(AuditList { rows: rows.into_iter().map(AuditShape::from).collect() }))
}

//! Tickets: how the operator lets somebody watch a private stream or recording, and how all of them end.

use super::Api;
use super::error::{ApiError, Body};
use super::gate::client;
use super::recordings;
use super::shapes::{Problem, live_paths};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use store::{Actor, Error, now_ms};
use utoipa::{IntoParams, ToSchema};

/// The longest a ticket lasts: nobody watches longer at a stretch (RELIABILITY section 4).
pub const TICKET_MAX: Duration = Duration::from_secs(6 * 3600);
/// The shortest.
const TICKET_MIN: Duration = Duration::from_secs(60);
/// That of a preview in the operator's own page, which asks for the next one before it is over (RELIABILITY section 4).
pub const PREVIEW_TICKET: Duration = Duration::from_secs(600);

/// A ticket to a private stream or recording.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketShape {
    /// Stands in paths: `/p/TICKET/live/…`, `/p/TICKET/vod/…`.
    pub ticket: String,
    /// It opens nothing from then on, milliseconds since 1970.
    pub expires_ms: i64,
    /// Path of the page.
    pub watch: String,
    /// Path of the multivariant playlist.
    pub hls: String,
}

/// How long a ticket is to last.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// Seconds, 60 to 21,600; six hours when left out.
    #[serde(default)]
    pub lasts_s: Option<u32>,
}

/// What opens a stream that is private.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Presented {
    /// A ticket.
    pub ticket: Option<String>,
}

impl NewTicket {
    fn lasts(&self) -> Result<Duration, ApiError> {
        let lasts = self.lasts_s.map_or(TICKET_MAX, |seconds| Duration::from_secs(seconds.into()));
        if (TICKET_MIN..=TICKET_MAX).contains(&lasts) {
            return Ok(lasts);
        }
        let message = "Give lasts_s from 60 to 21600 seconds.";
        Err(ApiError::bad_request("bad_setting", message.into()))
    }
}

/// Let somebody watch a private stream
///
/// Whoever has the ticket can watch and pass it on while it lasts, the stream's rewind window too. It opens nothing else, and
/// is not needed while the stream is public or unlisted. A viewer in the middle of it is refused from its end on.
#[utoipa::path(post, path = "/api/v1/streams/{name}/tickets", tag = "streams", security(("token" = [])), request_body = NewTicket,
    params(("name" = String, Path, description = "Public name")),
    responses((status = 201, body = TicketShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn stream(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Body(new): Body<NewTicket>,
) -> Result<(StatusCode, Json<TicketShape>), ApiError> {
    let lasts = new.lasts()?;
    let name = api.store.stream(&name).await?.ok_or(Error::NoSuchStream { name })?.name;
    let (ticket, expires_ms) = api.office.stream_ticket(&name, lasts);
    let (media, watch) = live_paths(&name, Some(&ticket));
    let hls = format!("{media}/index.m3u8");
    Ok((StatusCode::CREATED, Json(TicketShape { ticket, expires_ms, watch, hls })))
}

/// Let somebody watch a private recording
///
/// Whoever has the ticket can watch and pass it on while it lasts.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/tickets", tag = "recordings", security(("token" = [])), request_body = NewTicket,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 201, body = TicketShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn recording(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Body(new): Body<NewTicket>,
) -> Result<(StatusCode, Json<TicketShape>), ApiError> {
    let recording = api.recording(&id).await?;
    let (ticket, expires_ms) = api.archive.ticket(&recording.id, new.lasts()?);
    let (media, watch) = recordings::paths(&recording.id, Some(&ticket));
    let hls = format!("{media}/index.m3u8");
    Ok((StatusCode::CREATED, Json(TicketShape { ticket, expires_ms, watch, hls })))
}

/// Replace the key that signs tickets
///
/// Tickets signed with the one before open until they expire or the next rotation; older ones open nothing from now on.
#[utoipa::path(post, path = "/api/v1/playback-keys/rotate", tag = "recordings", security(("token" = [])),
    responses((status = 204), (status = 401, body = Problem)))]
pub async fn rotate(State(api): State<Arc<Api>>, from: Extensions) -> Result<StatusCode, ApiError> {
    let actor = Actor::Api(client(&from).to_string());
    api.store.rotate_playback_keys(&actor, api.gate.token(), now_ms()).await?;
    // At once for who is told that it is done; others follow the database.
    api.office.refresh().await?;
    Ok(StatusCode::NO_CONTENT)
}

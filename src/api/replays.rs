//! Recordings that are replayed to streams.

use super::Api;
use super::error::{ApiError, Body};
use super::gate::client;
use super::shapes::Problem;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode};
use ingest::session::Reason;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::Actor;
use utoipa::ToSchema;

/// A replay that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplayFacts {
    /// Id of the recording.
    pub recording: String,
    /// Public name of the stream.
    pub stream: String,
    /// It begins again at its end.
    #[serde(rename = "loop")]
    pub loops: bool,
    /// When it began, milliseconds since 1970.
    pub since_ms: i64,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayList {
    /// By the names of their streams.
    pub replays: Vec<ReplayFacts>,
}

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReplay {
    /// Public name of a stream that is not live.
    pub to: String,
    /// Begin again at its end, until it is stopped.
    #[serde(default, rename = "loop")]
    pub loops: bool,
}

/// Why a recording is not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayRefused {
    /// The database's no: there is no such recording or stream, or it may not be replayed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The stream has a publisher, or waits for one.
    #[error(
        "The stream is live or waits for its publisher, and a replay takes nobody's place; stop it first, or choose another one."
    )]
    Busy,
    /// The stream takes nobody now.
    #[error("{}", .0.refusal().text)]
    Stream(Reason),
    /// The server is going down.
    #[error("The server is shutting down; ask again in a moment.")]
    Closing,
    /// Neither here nor in the vault.
    #[error("Nothing of the recording is left that could be played.")]
    Empty,
}

impl From<ReplayRefused> for ApiError {
    fn from(refused: ReplayRefused) -> Self {
        let text = refused.to_string();
        match refused {
            ReplayRefused::Store(error) => error.into(),
            ReplayRefused::Busy => Self::conflict("stream_busy", text),
            ReplayRefused::Stream(_) => Self::conflict("stream_closed", text),
            ReplayRefused::Closing => Self::unavailable("closing", text),
            ReplayRefused::Empty => Self::conflict("nothing_left", text),
        }
    }
}

/// Replay a recording to a stream
///
/// As if a publisher sent it: its best rendition that was kept, in real time. It fills a stream that is idle, and whoever publishes
/// with a key takes its place. Stopping the stream ends it.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/replay", tag = "recordings", security(("token" = [])), request_body = NewReplay,
    params(("id" = String, Path, description = "Id of a recording that has ended and is not private")),
    responses((status = 201, body = ReplayFacts), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    from: Extensions,
    Body(new): Body<NewReplay>,
) -> Result<(StatusCode, Json<ReplayFacts>), ApiError> {
    let actor = Actor::Api(client(&from).to_string());
    let facts = api.live.replay(&actor, &id, &new.to, new.loops).await?;
    Ok((StatusCode::CREATED, Json(facts)))
}

/// Replays that run
#[utoipa::path(get, path = "/api/v1/replays", tag = "recordings", security(("token" = [])),
    responses((status = 200, body = ReplayList), (status = 401, body = Problem)))]
pub async fn list(State(api): State<Arc<Api>>) -> Json<ReplayList> {
    Json(ReplayList { replays: api.live.replays() })
}

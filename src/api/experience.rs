//! What viewers got: players tell it, the operator reads it.

use super::Api;
use super::error::{ApiError, Body, Query};
use super::shapes::Problem;
use super::tickets::Presented;
use crate::experience::{Beacon, Summary};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use utoipa::ToSchema;

/// A rendition's name is shorter.
const NAME_MAX: usize = 32;

/// What a player tells of the time since its last beacon.
#[derive(Debug, Deserialize, ToSchema)]
pub struct BeaconShape {
    /// From opening the page to the first picture, in its first beacon alone.
    #[serde(default)]
    pub startup_ms: Option<u32>,
    /// Time it played.
    #[serde(default)]
    pub played_ms: u32,
    /// Time it stood still against the viewer's wish.
    #[serde(default)]
    pub stalled_ms: u32,
    /// How often it began to.
    #[serde(default)]
    pub stalls: u32,
    /// From the streamer's server to the screen.
    #[serde(default)]
    pub latency_ms: Option<u32>,
    /// The rendition on screen.
    #[serde(default)]
    pub rendition: Option<String>,
    /// Faults it had to mend or to give up at.
    #[serde(default)]
    pub errors: u32,
}

/// What viewers of a stream got in the last ten minutes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExperienceShape {
    /// Beacons it is made of; a player sends one each quarter of a minute.
    pub beacons: u64,
    /// From opening the page to the first picture; null when nobody told.
    pub startup_ms: Option<Percentiles>,
    /// From the streamer's server to the screen.
    pub latency_ms: Option<Percentiles>,
    /// The share of the time that players stood still, 0 to 1.
    pub stall_ratio: Option<f64>,
    /// How often they began to.
    pub stalls: u64,
    /// Faults.
    pub errors: u64,
    /// What was on screen, the most watched first.
    pub renditions: Vec<Watched>,
}

/// Of many values.
#[derive(Debug, Serialize, ToSchema)]
pub struct Percentiles {
    /// Half are at most this, to 15 %.
    pub p50: u32,
    /// Nineteen of twenty are.
    pub p95: u32,
}

/// A rendition on viewers' screens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// The share of the time, 0 to 1.
    pub share: f64,
}

impl From<Summary> for ExperienceShape {
    fn from(summary: Summary) -> Self {
        let percentiles = |both: Option<(u32, u32)>| both.map(|(p50, p95)| Percentiles { p50, p95 });
        Self {
            beacons: summary.beacons,
            startup_ms: percentiles(summary.startup_ms),
            latency_ms: percentiles(summary.latency_ms),
            stall_ratio: summary.stall_ratio,
            stalls: summary.stalls,
            errors: summary.errors,
            renditions: summary.renditions.into_iter().map(|(name, share)| Watched { name, share }).collect(),
        }
    }
}

/// Tell what a viewer got
///
/// Anyone may, for a stream that is live; what is told is summed up and nothing is kept of who did. Beyond 500 a second only some are
/// taken, without a word.
#[utoipa::path(post, path = "/api/v1/live/{name}/beacon", tag = "live", request_body = BeaconShape,
    params(("name" = String, Path, description = "Public name"), Presented),
    responses((status = 204), (status = 403, body = Problem), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn tell(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(shown): Query<Presented>,
    Body(told): Body<BeaconShape>,
) -> Result<StatusCode, ApiError> {
    api.watched(&name, &shown)?;
    let Some(live) = api.live.stream(&name) else {
        return Err(ApiError::not_found("not_live", "No stream of this name is live now.".into()));
    };
    // What stands in no playlist is nobody's rendition.
    let rendition =
        told.rendition.filter(|name| name.len() <= NAME_MAX && live.renditions.iter().any(|one| one.name == *name));
    let beacon = Beacon {
        startup_ms: told.startup_ms,
        played_ms: told.played_ms,
        stalled_ms: told.stalled_ms,
        stalls: told.stalls,
        latency_ms: told.latency_ms,
        rendition,
        errors: told.errors,
    };
    let is_taken = api.experience.lock().unwrap_or_else(PoisonError::into_inner).push(&name, beacon, Instant::now());
    metrics::counter!("weir_beacons_total", "taken" => if is_taken { "yes" } else { "no" }).increment(1);
    Ok(StatusCode::NO_CONTENT)
}

/// What viewers got
///
/// Of the players that tell: Weir's own pages.
#[utoipa::path(get, path = "/api/v1/streams/{name}/experience", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = ExperienceShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<ExperienceShape>, ApiError> {
    api.must_exist(&name).await?;
    let summary = api.experience.lock().unwrap_or_else(PoisonError::into_inner).of(&name, Instant::now());
    Ok(Json(summary.into()))
}

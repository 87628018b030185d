//! A stream's rehearsal: how settings do that are tried with `?test=1` behind the stream key, while nothing of it is public.

use super::Api;
use super::error::ApiError;
use super::health::{HealthShape, severity};
use super::live::LiveRehearsal;
use super::shapes::Problem;
use axum::Json;
use axum::extract::{Path, State};
use ingest::health::Flaw;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How a stream's newest rehearsal does, or did.
#[derive(Debug, Serialize, ToSchema)]
pub struct RehearsalShape {
    /// Whether there is one.
    pub state: RehearsalState,
    /// When it began, milliseconds since 1970; null when none is on.
    pub since_ms: Option<i64>,
    /// It ends by itself when it has lasted so many seconds; null without a rehearsal.
    pub longest_s: Option<u64>,
    /// Seconds of pictures or sound that are still to come before there is a score; null without a rehearsal.
    pub left_s: Option<u32>,
    /// Of 100 points for the first minute; null before it is over.
    pub score: Option<u8>,
    /// What was wrong in that minute, the worst first.
    pub flaws: Vec<FlawShape>,
    /// How it does now; null when none is on.
    pub health: Option<HealthShape>,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
    /// Address of a page that shows it, for those who are told; null when none is on.
    #[schema(example = "/watch/show~3jx6…")]
    pub preview: Option<String>,
}

/// Whether there is a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RehearsalState {
    /// None in the last day.
    None,
    /// One is on.
    Running,
    /// The newest is over.
    Over,
}

/// Something that was wrong in a rehearsal.
#[derive(Debug, Serialize, ToSchema)]
pub struct FlawShape {
    /// As the health report has it.
    pub code: &'static str,
    /// `warning` or `bad`, at its worst.
    pub severity: &'static str,
    /// For so many of the sixty seconds.
    pub seconds: u32,
    /// What viewers would get of it.
    pub problem: String,
    /// The setting that cures it.
    pub cure: String,
}

impl RehearsalShape {
    /// Of what the live side knows about a stream's.
    pub fn new(stream: &str, known: Option<LiveRehearsal>) -> Self {
        let Some(LiveRehearsal { live, health, trial, longest, preview }) = known else {
            return Self {
                state: RehearsalState::None,
                since_ms: None,
                longest_s: None,
                left_s: None,
                score: None,
                flaws: Vec::new(),
                health: None,
                encoder: None,
                preview: None,
            };
        };
        Self {
            state: if live.is_some() { RehearsalState::Running } else { RehearsalState::Over },
            since_ms: live.as_ref().map(|live| live.since_ms),
            longest_s: Some(longest.as_secs()),
            left_s: Some(trial.left()),
            score: trial.score(),
            flaws: trial.flaws().into_iter().map(FlawShape::from).collect(),
            health: live.as_ref().map(|_| HealthShape::new(stream, health)),
            preview: live.as_ref().map(|_| format!("/watch/{preview}")),
            encoder: live.and_then(|live| live.encoder),
        }
    }
}

impl From<Flaw> for FlawShape {
    fn from(Flaw { issue, looks }: Flaw) -> Self {
        let (code, severity) = (issue.code.name(), severity(issue.severity));
        Self { code, severity, seconds: looks, problem: issue.problem, cure: issue.cure }
    }
}

/// How a rehearsal does
///
/// A publisher rehearses with `?test=1` behind its stream key: nothing of it is listed, kept or sent on, and the stream itself may be
/// live meanwhile. After a minute of pictures or sound there is a score.
#[utoipa::path(get, path = "/api/v1/streams/{name}/rehearsal", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = RehearsalShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<RehearsalShape>, ApiError> {
    api.must_exist(&name).await?;
    Ok(Json(RehearsalShape::new(&name, api.live.rehearsal(&name))))
}

//! How a stream is doing, and what its streamer has to change.

use super::Api;
use super::error::ApiError;
use super::live::LiveHealth;
use super::shapes::Problem;
use axum::Json;
use axum::extract::{Path, State};
use ingest::health::{Issue, Measured, Severity, Verdict};
use serde::Serialize;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use store::Error;
use utoipa::ToSchema;

/// How a stream is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthShape {
    /// The stream's public name.
    pub stream: String,
    /// The whole in one word.
    pub verdict: VerdictShape,
    /// The session that was looked at; null when the stream is not live.
    pub session: Option<String>,
    /// What is wrong, worst first.
    pub issues: Vec<IssueShape>,
    /// What was measured in the last ten seconds; null when the stream is not live.
    pub measured: Option<MeasuredShape>,
}

/// The whole in one word.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictShape {
    /// Not live, or nothing was measured yet.
    NoData,
    /// No issue.
    Good,
    /// Warnings only.
    Ok,
    /// Viewers notice, or are about to.
    Bad,
}

/// Something that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssueShape {
    /// What it is about; never renamed.
    #[schema(example = "keyframe_interval")]
    pub code: &'static str,
    /// How bad: `warning` or `bad`.
    pub severity: &'static str,
    /// What was measured last.
    pub value: f64,
    /// From where on it is an issue.
    pub limit: f64,
    /// The unit of both; empty for a count.
    pub unit: &'static str,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// What viewers get of it, in one sentence.
    pub problem: String,
    /// The setting that cures it, as OBS names it.
    pub cure: String,
}

/// What a publisher's media was like in the last ten seconds. Null is not known.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeasuredShape {
    /// Luma samples.
    pub width: Option<u32>,
    /// Luma samples.
    pub height: Option<u32>,
    /// Pictures a second.
    pub fps: Option<f64>,
    /// Bits a second of its pictures.
    pub video_bps: Option<f64>,
    /// Seconds between keyframes.
    pub keyframe_s: Option<f64>,
    /// B-frames in a row.
    pub b_frames: Option<u32>,
    /// Seconds of media that arrive each second.
    pub pace: Option<f64>,
    /// Bits a second of its sound.
    pub audio_bps: Option<f64>,
    /// Hz.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u8>,
    /// Loudness of the sound, dB below full scale.
    pub level_db: Option<f64>,
    /// Seconds the sound is ahead of the picture as they arrive.
    pub skew_s: Option<f64>,
    /// Times the publisher was lost in the last ten minutes.
    pub losses: u32,
}

impl HealthShape {
    /// Of a stream that is live, or is not.
    pub fn new(stream: &str, health: Option<LiveHealth>) -> Self {
        let stream = stream.to_owned();
        let Some(health) = health else {
            return Self { stream, verdict: VerdictShape::NoData, session: None, issues: Vec::new(), measured: None };
        };
        Self {
            stream,
            verdict: health.report.verdict.into(),
            session: Some(health.session),
            issues: health.report.issues.into_iter().map(IssueShape::from).collect(),
            measured: Some(MeasuredShape::from(&health.measured)),
        }
    }
}

impl From<Verdict> for VerdictShape {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::NoData => Self::NoData,
            Verdict::Good => Self::Good,
            Verdict::Ok => Self::Ok,
            Verdict::Bad => Self::Bad,
        }
    }
}

impl From<Issue> for IssueShape {
    fn from(issue: Issue) -> Self {
        let since = issue.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            code: issue.code.name(),
            severity: severity(issue.severity),
            value: issue.value,
            limit: issue.limit,
            unit: issue.unit,
            since_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            problem: issue.problem,
            cure: issue.cure,
        }
    }
}

/// How bad, as the API says it.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Bad => "bad",
    }
}

impl From<&Measured> for MeasuredShape {
    fn from(measured: &Measured) -> Self {
        let (video, audio) = (&measured.video, &measured.audio);
        Self {
            width: video.map(|v| v.size.0),
            height: video.map(|v| v.size.1),
            fps: video.map(|v| v.fps),
            video_bps: video.map(|v| v.bitrate_bps),
            keyframe_s: video.map(|v| v.keyframe_s),
            b_frames: video.map(|v| v.b_frames),
            pace: video.and_then(|v| v.pace),
            audio_bps: audio.map(|a| a.bitrate_bps),
            sample_rate: audio.map(|a| a.sample_rate),
            channels: audio.map(|a| a.channels),
            level_db: audio.and_then(|a| a.level_db),
            skew_s: measured.skew_s,
            losses: measured.losses,
        }
    }
}

/// How a stream is doing
///
/// Looked at once a second. An issue is told when its limit was passed for three seconds, and is over when the value was clearly
/// good for five.
#[utoipa::path(get, path = "/api/v1/streams/{name}/health", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = HealthShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<HealthShape>, ApiError> {
    let health = api.live.health(&name);
    if health.is_none() && api.store.stream(&name).await?.is_none() {
        return Err(Error::NoSuchStream { name }.into());
    }
    Ok(Json(HealthShape::new(&name, health)))
}

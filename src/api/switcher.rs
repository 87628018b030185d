//! A stream's numbers as other servers tell them, for scene switchers and panels that read those: nginx-rtmp's statistics page (NOALBS:
//! server type `Nginx`), and the HTTP API of SRS.

use super::Api;
use super::error::ApiError;
use super::follow::{Stats, StatsState};
use super::live::LiveStream;
use super::shapes::Problem;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;
use utoipa::ToSchema;

/// A stream as nginx-rtmp shows it
///
/// The XML of its statistics page with the application `live` and this stream in it, `active` while its publisher's pictures or
/// sound come; a slate is not. Rates are bits a second. The dock's token may stand in the query as `token`, as such programs send
/// no header.
#[utoipa::path(get, path = "/api/v1/streams/{name}/nginx-rtmp.xml", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, content_type = "application/xml"), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn nginx_rtmp(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    api.must_exist(&name).await?;
    let (stats, live) = (api.stats(&name), api.live.stream(&name));
    let is_active = is_active(&stats, live.as_ref());
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rtmp><server><application><name>live</name><live>");
    if let Some(live) = live {
        let bits = |kbps: Option<f64>| (kbps.unwrap_or(0.0) * 1e3).round();
        // A name is made of `a-z`, `0-9`, `-` and `_`, so nothing here needs escaping.
        let _ = write!(
            xml,
            "<stream><name>{name}</name><time>{}</time><bw_in>{}</bw_in><bw_audio>{}</bw_audio><bw_video>{}</bw_video>",
            stats.uptime_s.unwrap_or(0) * 1_000,
            bits(stats.bitrate_kbps),
            bits(stats.audio_kbps),
            bits(stats.video_kbps),
        );
        if let (Some(width), Some(height), Some(fps)) = (live.width, live.height, live.fps) {
            let _ = write!(
                xml,
                "<meta><video><width>{width}</width><height>{height}</height><frame_rate>{fps}</frame_rate></video><audio/></meta>"
            );
        }
        xml.push_str(if is_active { "<publishing/><active/></stream>" } else { "</stream>" });
    }
    xml.push_str("</live></application></server></rtmp>\n");
    Ok(([(CONTENT_TYPE, "application/xml; charset=utf-8")], xml).into_response())
}

/// Whether the publisher's own pictures or sound come.
fn is_active(stats: &Stats, live: Option<&LiveStream>) -> bool {
    matches!(stats.state, StatsState::Live) && live.is_some_and(|live| !live.slate)
}

/// What SRS 5 answers at `/api/v1/streams/`, as far as there is something to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct Srs {
    /// 0: no fault.
    pub code: u32,
    /// The stream, or nothing when it is not live.
    pub streams: Vec<SrsStream>,
}

/// A stream as SRS tells it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SrsStream {
    /// Its session.
    pub id: String,
    /// Public name.
    pub name: String,
    /// Always `live`.
    pub app: &'static str,
    /// When the session began, milliseconds since 1970.
    pub live_ms: i64,
    /// Players.
    pub clients: u64,
    /// Rates.
    pub kbps: SrsRates,
    /// Its publisher.
    pub publish: SrsPublish,
    /// Its pictures; null when there are none.
    pub video: Option<SrsVideo>,
}

/// Kilobits a second over the last seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct SrsRates {
    /// What comes from the publisher.
    pub recv_30s: u64,
}

/// Whether the publisher's own pictures or sound come; a slate is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct SrsPublish {
    /// They do.
    pub active: bool,
}

/// Luma samples.
#[derive(Debug, Serialize, ToSchema)]
pub struct SrsVideo {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A stream as SRS shows it
///
/// The JSON of its `/api/v1/streams/` with this stream alone. The dock's token may stand in the query as `token`.
#[utoipa::path(get, path = "/api/v1/streams/{name}/srs.json", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Srs), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn srs(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<Srs>, ApiError> {
    api.must_exist(&name).await?;
    let (stats, live) = (api.stats(&name), api.live.stream(&name));
    let active = is_active(&stats, live.as_ref());
    let stream = live.map(|live| SrsStream {
        id: live.session,
        name,
        app: "live",
        live_ms: live.since_ms,
        clients: live.viewers.unwrap_or(0),
        kbps: SrsRates { recv_30s: stats.bitrate_kbps.unwrap_or(0.0).round() as u64 },
        publish: SrsPublish { active },
        video: live.width.zip(live.height).map(|(width, height)| SrsVideo { width, height }),
    });
    Ok(Json(Srs { code: 0, streams: stream.into_iter().collect() }))
}

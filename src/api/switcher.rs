//! A stream's numbers as nginx-rtmp's statistics page has them, for scene switchers that read those (NOALBS: server type `Nginx`).

use super::Api;
use super::error::ApiError;
use super::follow::StatsState;
use super::shapes::Problem;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::sync::Arc;

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
    let is_active = matches!(stats.state, StatsState::Live) && live.as_ref().is_some_and(|live| !live.slate);
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

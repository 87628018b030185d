//! The image a stream shows while its publisher is away: sent, looked at, removed.

use super::Api;
use super::error::ApiError;
use super::shapes::{Problem, StreamShape};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use media::{still, wire};
use std::sync::Arc;
use store::{Act, Error};
use transcoder::slate::SlateError;

/// Largest image that may be sent, bytes.
pub const IMAGE_BYTES_MAX: usize = wire::STILL_MAX;

/// Send an image
///
/// A JPEG or PNG of at most 6 MiB and 25 megapixels, as the body. It is shown while the publisher is away, from the next time
/// on. A sandboxed process makes a JPEG of it, at most 1,920 samples on its longer side; nothing else of it is kept.
#[utoipa::path(put, path = "/api/v1/streams/{name}/slate", tag = "streams", security(("token" = [])),
    request_body(content = Vec<u8>, content_type = "image/jpeg"),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = StreamShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
pub async fn put(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
    image: Image,
) -> Result<Json<StreamShape>, ApiError> {
    let bad = |why: String| ApiError::bad_request("bad_image", format!("The image can't be used: {why}."));
    still::read(&image.0).map_err(|e| bad(e.to_string()))?;
    api.store.stream(&name).await?.ok_or_else(|| Error::NoSuchStream { name: name.clone() })?;
    let made = api.slates.raster(image.0).await.map_err(|e| match e {
        SlateError::Unable(why) => bad(why),
        e => {
            tracing::error!(error = &e as &dyn std::error::Error, "an image could not be looked at");
            ApiError::unavailable("busy", "The image can't be looked at now; send it again in a minute.".into())
        }
    })?;
    let outcome = api.perform(&from, Act::SetSlate { name, image: made.to_vec() }).await?;
    Ok(Json(api.shape(outcome).await?))
}

/// See the image
#[utoipa::path(get, path = "/api/v1/streams/{name}/slate", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    match api.store.slate_image(&name).await? {
        Some(image) => Ok(([(CONTENT_TYPE, "image/jpeg")], image).into_response()),
        None => Err(ApiError::not_found("no_image", "This stream has no image of its own.".into())),
    }
}

/// Remove the image
///
/// The last picture is shown again.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/slate", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
) -> Result<StatusCode, ApiError> {
    api.perform(&from, Act::RemoveSlate { name }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A body of bytes, refused in our own shape when it is too large.
pub struct Image(Bytes);

impl<S: Send + Sync> FromRequest<S> for Image {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await;
        bytes.map(Self).map_err(|e| ApiError::of_body(e.status(), &e.body_text()))
    }
}

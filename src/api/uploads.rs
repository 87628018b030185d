//! Files that become recordings, sent with tus 1.0 (<https://tus.io/protocols/resumable-upload>): core, creation, creation-with-upload,
//! expiration and termination. No checksums: what TCP and TLS let through is told by the import.

use super::Api;
use super::error::ApiError;
use super::gate::client;
use super::shapes::Problem;
use crate::uploads::{Refused, UploadFacts, Uploads, Wish};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use store::Visibility;
use utoipa::ToSchema;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: &str = "creation,creation-with-upload,expiration,termination";
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// What may be said of a file, as it is kept and told: names and a title fit many times over.
const METADATA_BYTES_MAX: usize = 8 << 10;
/// What a piece is sent as.
const PIECE: &str = "application/offset+octet-stream";
/// The stream that recordings belong to whose upload names none.
const STREAM: &str = "uploads";

/// A file on its way, or one that is being made a recording.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadShape {
    /// Its id, and that of the recording it becomes.
    pub id: String,
    /// What the recording is to be called.
    pub title: String,
    /// The stream it is to belong to.
    pub stream: String,
    /// How long the whole file is.
    pub size_bytes: u64,
    /// How many bytes of it have come.
    pub offset_bytes: u64,
    /// When it is given up unless more comes, milliseconds since 1970; null when it is whole.
    pub expires_ms: Option<i64>,
    /// When it was announced, milliseconds since 1970.
    pub created_ms: i64,
}

/// All of them, and what may be sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadList {
    /// Oldest first.
    pub uploads: Vec<UploadShape>,
    /// The largest file that is taken, bytes; 0 when no new one is.
    pub bytes_max: u64,
}

impl From<UploadFacts> for UploadShape {
    fn from(facts: UploadFacts) -> Self {
        let UploadFacts { id, title, stream, size_bytes, offset, expires_ms, created_ms, metadata: _ } = facts;
        Self { id, title, stream, size_bytes, offset_bytes: offset, expires_ms, created_ms }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let (code, text) = (refused.code(), refused.to_string());
        metrics::counter!("weir_upload_refused_total", "reason" => code).increment(1);
        let status = match refused {
            Refused::Store(error) => return error.into(),
            Refused::Unknown | Refused::Closed => StatusCode::NOT_FOUND,
            Refused::TooLarge { .. } | Refused::Longer => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Empty => StatusCode::BAD_REQUEST,
            // What clients try again by themselves: a body that stood still for a while is no fault of theirs.
            Refused::BrokeOff => StatusCode::SERVICE_UNAVAILABLE,
            Refused::NotMp4 => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refused::Busy => StatusCode::LOCKED,
            Refused::Elsewhere { .. } | Refused::Whole => StatusCode::CONFLICT,
            Refused::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Refused::Disk(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an upload could not be written");
                match error.kind() {
                    std::io::ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }
        };
        Self::of_status(status, code, text)
    }
}

/// Every answer says which version is spoken, refusals too.
pub async fn speak(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, VERSION);
    headers.insert("tus-version", VERSION);
    response
}

fn answer(status: StatusCode, facts: Option<&UploadFacts>) -> Response {
    let mut response = status.into_response();
    if let Some(facts) = facts {
        let headers = response.headers_mut();
        headers.insert(OFFSET, HeaderValue::from(facts.offset));
        headers.insert(LENGTH, HeaderValue::from(facts.size_bytes));
        let expires = facts.expires_ms.and_then(|at| HeaderValue::from_str(&date(at)).ok());
        if let Some(expires) = expires {
            headers.insert(EXPIRES, expires);
        }
    }
    response
}

/// As HTTP writes dates (RFC 9110, 5.6.7).
fn date(at_ms: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at_ms.try_into().unwrap_or(0)))
}

fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.get(RESUMABLE) == Some(&VERSION) {
        return Ok(());
    }
    let message = "Uploads speak tus 1.0; send Tus-Resumable: 1.0.0.".to_owned();
    Err(ApiError::of_status(StatusCode::PRECONDITION_FAILED, "wrong_version", message))
}

fn number(headers: &HeaderMap, name: HeaderName) -> Result<u64, ApiError> {
    let found = headers.get(&name).and_then(|value| value.to_str().ok()?.parse().ok());
    found.ok_or_else(|| {
        ApiError::bad_request(
            "bad_header",
            format!("Send {name} as a whole number of bytes; it is missing or is none."),
        )
    })
}

/// What is said of the file as it is said; empty when nothing is, `None` when it is no text.
fn spoken(headers: &HeaderMap) -> Option<&str> {
    headers.get(METADATA).map_or(Some(""), |text| text.to_str().ok())
}

/// What is said of the file: pairs of a key and base64, commas between.
fn metadata(headers: &HeaderMap) -> Result<HashMap<String, String>, ApiError> {
    let bad = || {
        ApiError::bad_request(
            "bad_metadata",
            "Upload-Metadata is not as tus has it: a key, a space and base64, commas between.".into(),
        )
    };
    let text = spoken(headers).ok_or_else(bad)?;
    if text.len() > METADATA_BYTES_MAX {
        let message = format!("Upload-Metadata has more than {METADATA_BYTES_MAX} bytes; say less of the file.");
        return Err(ApiError::bad_request("bad_metadata", message));
    }
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Ok((key.to_owned(), value.ok_or_else(bad)?))
        })
        .collect()
}

/// A file's name without its folder and ending.
fn stem(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl Api {
    fn uploads(&self) -> Result<&Arc<Uploads>, ApiError> {
        self.uploads.as_ref().ok_or_else(|| Refused::Closed.into())
    }

    async fn wish(&self, from: &Extensions, headers: &HeaderMap) -> Result<Wish, ApiError> {
        let mut said = metadata(headers)?;
        let name = said.remove("filename").or_else(|| said.remove("name")).unwrap_or_default();
        let title = said.remove("title").unwrap_or_else(|| stem(&name).chars().take(200).collect());
        let title = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let visibility = match said.remove("visibility") {
            Some(word) => Some(word.parse::<Visibility>()?),
            None => None,
        };
        let stream = match said.remove("stream").filter(|name| !name.is_empty()) {
            Some(name) => {
                if self.store.stream(&name).await?.is_none() {
                    return Err(store::Error::NoSuchStream { name: name.chars().take(80).collect() }.into());
                }
                name
            }
            None => STREAM.to_owned(),
        };
        let size = number(headers, LENGTH)?;
        let metadata = spoken(headers).unwrap_or_default().to_owned();
        Ok(Wish { size, title, stream, visibility, actor: client(from).to_string(), metadata })
    }
}

/// What the protocol can do here
#[utoipa::path(options, path = "/api/v1/uploads", tag = "uploads", security(("token" = [])),
    responses((status = 204, description = "The headers say it: Tus-Version, Tus-Extension, Tus-Max-Size"), (status = 401, body = Problem)))]
pub async fn options(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    let most = api.uploads()?.limits().bytes_max;
    let mut response = answer(StatusCode::NO_CONTENT, None);
    let headers = response.headers_mut();
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-max-size", HeaderValue::from(most));
    Ok(response)
}

/// Files on their way
#[utoipa::path(get, path = "/api/v1/uploads", tag = "uploads", security(("token" = [])),
    responses((status = 200, body = UploadList), (status = 401, body = Problem)))]
pub async fn list(State(api): State<Arc<Api>>) -> Result<Json<UploadList>, ApiError> {
    let uploads = api.uploads()?;
    let shapes = uploads.list().into_iter().map(UploadShape::from).collect();
    Ok(Json(UploadList { uploads: shapes, bytes_max: uploads.limits().bytes_max }))
}

/// Announce a file
///
/// Headers as tus 1.0 has them: `Upload-Length`, and `Upload-Metadata` with `filename`, `title`, `stream` (that of the recording) and
/// `visibility`, all of which may be left out. A body of `application/offset+octet-stream` is the file's beginning. `Location` holds
/// the upload's address; what stands behind its last slash is the id of the recording it becomes.
#[utoipa::path(post, path = "/api/v1/uploads", tag = "uploads", security(("token" = [])),
    responses((status = 201, description = "Location, Upload-Offset, Upload-Expires"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 404, body = Problem, description = "No such stream"),
        (status = 412, body = Problem), (status = 413, body = Problem), (status = 429, body = Problem), (status = 507, body = Problem)))]
pub async fn create(
    State(api): State<Arc<Api>>,
    from: Extensions,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    check_version(&headers)?;
    let uploads = api.uploads()?;
    let wish = api.wish(&from, &headers).await?;
    let mut facts = uploads.create(wish).await?;
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PIECE) {
        // What breaks off here is asked for with HEAD, as ever.
        match uploads.append(&facts.id, 0, body.into_data_stream()).await {
            Ok(grown) => facts = grown,
            Err(Refused::BrokeOff) => {}
            Err(refused) => {
                let _expires_by_itself = uploads.remove(&facts.id).await;
                return Err(refused.into());
            }
        }
    }
    let mut response = answer(StatusCode::CREATED, Some(&facts));
    let address = format!("/api/v1/uploads/{}", facts.id);
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// How far a file is
#[utoipa::path(head, path = "/api/v1/uploads/{id}", tag = "uploads", security(("token" = [])), params(("id" = String, Path)),
    responses((status = 200, description = "Upload-Offset, Upload-Length, Upload-Expires, Upload-Metadata"), (status = 401), (status = 404), (status = 412)))]
pub async fn head(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_version(&headers)?;
    let facts = api.uploads()?.show(&id)?;
    let mut response = answer(StatusCode::OK, Some(&facts));
    let metadata = HeaderValue::from_str(&facts.metadata).ok().filter(|metadata| !metadata.is_empty());
    if let Some(metadata) = metadata {
        response.headers_mut().insert(METADATA, metadata);
    }
    Ok(response)
}

/// Send a piece of a file
///
/// From `Upload-Offset` on, which must be where the upload is. What is acknowledged is on the disk.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", tag = "uploads", security(("token" = [])), params(("id" = String, Path)),
    request_body(content_type = "application/offset+octet-stream", description = "Any number of bytes"),
    responses((status = 204, description = "Upload-Offset, Upload-Expires"), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "The upload is elsewhere"),
        (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem, description = "No MP4 file, or no piece of a file"),
        (status = 423, body = Problem, description = "Another request writes to it"),
        (status = 503, body = Problem, description = "It broke off; ask where it is and go on there"), (status = 507, body = Problem)))]
pub async fn append(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    check_version(&headers)?;
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != PIECE) {
        let message = format!("Send the piece as Content-Type: {PIECE}.");
        return Err(ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_body", message));
    }
    let offset = number(&headers, OFFSET)?;
    let facts = api.uploads()?.append(&id, offset, body.into_data_stream()).await?;
    Ok(answer(StatusCode::NO_CONTENT, Some(&facts)))
}

/// Give up a file
///
/// One that is whole is given up by deleting its recording.
#[utoipa::path(delete, path = "/api/v1/uploads/{id}", tag = "uploads", security(("token" = [])), params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 423, body = Problem)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_version(&headers)?;
    api.uploads()?.remove(&id).await?;
    Ok(answer(StatusCode::NO_CONTENT, None))
}

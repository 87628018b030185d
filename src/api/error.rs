use super::shapes::Problem;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use store::{Error, Fault, PlaybackRefusal};

/// An answer that is no: a status, a word and a sentence.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, retry_after_s: None }
    }

    pub fn not_found(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "This address does not take that method.".into())
    }

    pub fn bad_request(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn conflict(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// With any status.
    pub fn of_status(status: StatusCode, code: &'static str, message: String) -> Self {
        Self::new(status, code, message)
    }

    pub fn unavailable(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// What axum says of a body it does not take.
    pub fn of_body(status: StatusCode, clause: &str) -> Self {
        Self::new(status, "bad_body", sentence(clause))
    }

    pub fn not_implemented(code: &'static str, message: String) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, code, message)
    }

    pub fn unauthorized() -> Self {
        let message = "Send the token from the data directory's api-token file as Authorization: Bearer TOKEN.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message.into())
    }

    /// A ticket that opens nothing.
    pub fn bad_ticket(why: PlaybackRefusal) -> Self {
        let (code, message) = match why {
            PlaybackRefusal::Expired => {
                ("ticket_expired", "This link has expired; ask whoever gave it to you for a new one.")
            }
            PlaybackRefusal::UnknownKey => {
                ("ticket_struck", "This link is not good any more; ask whoever gave it to you for a new one.")
            }
            PlaybackRefusal::Malformed | PlaybackRefusal::Wrong => (
                "ticket_wrong",
                "This link is not for this stream, or is not whole; ask whoever gave it to you for the right one.",
            ),
        };
        Self::new(StatusCode::FORBIDDEN, code, message.into())
    }

    pub fn cross_site() -> Self {
        let message = "The request came from another site's page; use the dashboard, or send the token as Authorization: Bearer TOKEN.";
        Self::new(StatusCode::FORBIDDEN, "cross_site", message.into())
    }

    pub fn too_many(retry_after_s: u64) -> Self {
        let message = "Too many wrong tokens came from this address; wait and send the right one.";
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message.into())
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            Error::NoSuchStream { .. } => (StatusCode::NOT_FOUND, "no_such_stream"),
            Error::NoSuchKey { .. } => (StatusCode::NOT_FOUND, "no_such_key"),
            Error::NoSuchRecording { .. } => (StatusCode::NOT_FOUND, "no_such_recording"),
            Error::NoSuchTarget { .. } => (StatusCode::NOT_FOUND, "no_such_target"),
            Error::OtherMasterKey { .. } => (StatusCode::CONFLICT, "other_master_key"),
            Error::StreamExists { .. } => (StatusCode::CONFLICT, "stream_exists"),
            Error::RecordedAlready { .. } => (StatusCode::CONFLICT, "recorded_already"),
            Error::NotNow { .. } => (StatusCode::CONFLICT, "not_now"),
            Error::BadCursor => (StatusCode::BAD_REQUEST, "bad_cursor"),
            Error::BadName { .. } => (StatusCode::BAD_REQUEST, "bad_name"),
            Error::BadSetting { .. } => (StatusCode::BAD_REQUEST, "bad_setting"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "database_away"),
        };
        if error.fault() != Fault::Caller {
            tracing::error!(error = &error as &dyn std::error::Error, "a request to the API could not be answered");
        }
        Self::new(status, code, sentence(&error.to_string()))
    }
}

/// Error texts are clauses; answers are sentences.
pub fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem { code: self.code.to_owned(), message: self.message };
        let mut response = (self.status, Json(problem)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// axum's `Json`, refusing in our own shape.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Ok(Self(Json::from_request(request, state).await?.0))
    }
}

/// axum's `Query`, refusing in our own shape.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(axum::extract::Query::from_request_parts(parts, state).await?.0))
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::of_body(rejection.status(), &rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "bad_query", sentence(&rejection.body_text()))
    }
}

//! Signing a browser in with the API token, so that the token itself is kept in none: from then on a cookie stands for it.
//!
//! The cookie is `__Host-weir`: sent over TLS (or to this machine) alone, to this host alone, read by no script, sent by no other
//! site's page. Requests that change something must come from a page of our own besides (see [`super::gate`]).

use super::Api;
use super::error::{ApiError, Body};
use super::gate::{self, client};
use super::shapes::Problem;
use crate::site;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use store::now_ms;
use utoipa::ToSchema;

/// 90 days; the store ends it earlier when it is not used.
const AGE_S: u32 = 90 * 24 * 3600;

/// Whether this browser is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionShape {
    /// It is.
    pub signed_in: bool,
    /// It could be: the connection is one over which a browser keeps the cookie.
    pub secure: bool,
    /// Address of the pages over TLS, null when there is none.
    pub https: Option<String>,
}

/// What signs a browser in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The token in the data directory's `api-token`.
    pub token: String,
}

/// Whether this browser is signed in
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = SessionShape)))]
pub async fn show(State(api): State<Arc<Api>>, request: Request) -> Result<Json<SessionShape>, ApiError> {
    let (parts, _) = request.into_parts();
    let secure = is_secure(&parts.uri, &parts.headers, &parts.extensions);
    let signed_in = match gate::cookie(&parts.headers) {
        Some(secret) => api.gate.is_signed_in(&api.store, secret, client(&parts.extensions), Instant::now()).await?,
        None => false,
    };
    Ok(Json(SessionShape { signed_in, secure, https: api.facts.https.clone() }))
}

/// Sign a browser in
///
/// The answer sets a cookie that stands for the token: for 90 days, or until it was not used for 14.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
    from: Extensions,
    Body(given): Body<SignIn>,
) -> Result<Response, ApiError> {
    if !is_secure(&uri, &headers, &from) {
        let place = api.facts.https.as_deref().unwrap_or("HTTPS");
        let message = format!(
            "Browsers keep a sign-in over an encrypted connection only; open {place}, or this page on the server itself."
        );
        return Err(ApiError::bad_request("not_secure", message));
    }
    let address = client(&from);
    api.gate.admit(Some(given.token.trim()), address, Instant::now())?;
    let secret = api.store.sign_in(api.gate.token(), now_ms()).await?;
    tracing::info!(%address, "a browser was signed in to the dashboard");
    set(secret.reveal(), AGE_S)
}

/// Sign this browser out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204), (status = 403, body = Problem)))]
pub async fn end(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    if !gate::is_same_site(&uri, &headers) {
        return Err(ApiError::cross_site());
    }
    if let Some(secret) = gate::cookie(&headers) {
        api.gate.forget(secret);
        api.store.sign_out(secret, api.gate.token()).await?;
    }
    set("", 0)
}

fn set(value: &str, age_s: u32) -> Result<Response, ApiError> {
    let cookie = format!("{}={value}; Path=/; Max-Age={age_s}; Secure; HttpOnly; SameSite=Lax", gate::COOKIE);
    let cookie = HeaderValue::from_str(&cookie)
        .map_err(|_| ApiError::unavailable("no_cookie", "The cookie can't be written.".into()))?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// Whether a browser keeps a `Secure` cookie of this connection: TLS to us or to a proxy we trust, or the machine itself.
fn is_secure(uri: &Uri, headers: &HeaderMap, from: &Extensions) -> bool {
    site::is_encrypted(headers, from) || site::host(uri, headers).is_some_and(|host| is_loopback(&host))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:80", "[::1]:8080", "weir.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1", "[::2]:80", "", "127.0.0.1.example:80"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

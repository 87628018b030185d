//! Where copies of a stream go, over the API. A target's key comes in and never goes out again.

use super::Api;
use super::error::{ApiError, Body, sentence};
use super::gate::client;
use super::shapes::Problem;
use crate::copies::{Where, asked, rendition, rendition_said};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Extensions, StatusCode};
use futures_util::future::BoxFuture;
use restream::{Checked, PRESETS, TargetKey, TargetUrl};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use store::{Actor, Error, MasterKey, NewTarget, Target, TargetAct, now_ms};
use utoipa::ToSchema;

/// What the API asks of the copies.
pub trait Outlets: Send + Sync + 'static {
    /// How a target's copy does. Waits for nobody.
    fn status(&self, target: &Target) -> TargetStatus;

    /// Knocks at a target; a code and a sentence when something is wrong.
    fn check<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Checked, (&'static str, String)>>;

    /// An address of this server that copies may not go to, and why. Asks the name service.
    fn inside<'a>(&'a self, url: &'a TargetUrl) -> BoxFuture<'a, Option<(IpAddr, &'static str)>>;

    /// What seals keys.
    fn master_key(&self) -> Result<MasterKey, String>;
}

/// How a target's copy does.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// `idle`, `connecting`, `live`, `retrying`, `refused` or `paused`.
    pub state: &'static str,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// When the next try is due.
    pub next_try_ms: Option<i64>,
    /// Bits a second the server takes now.
    pub bitrate_bps: u64,
    /// Bytes it took in this session.
    pub sent_bytes: u64,
    /// Pictures and frames of sound it was too slow for, and how often that was.
    pub dropped_units: u64,
    pub drops: u64,
    /// Connections on which it was live in this session.
    pub connects: u64,
    /// Of its network.
    pub round_trip_ms: Option<f64>,
    /// What went wrong last.
    pub fault: Option<TargetFault>,
    /// Codes and sentences.
    pub advice: Vec<(&'static str, String)>,
}

/// What went wrong with a target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetFault {
    /// A word for programs.
    #[schema(example = "bad_key")]
    pub code: &'static str,
    /// Cause and cure in one sentence.
    pub message: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A target and how its copy does.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetShape {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// Which service.
    pub service: String,
    /// Its address, without the key, which is never shown.
    pub url: String,
    /// What it gets: `source`, or the name of an encoded rendition.
    #[schema(example = "source")]
    pub rendition: String,
    /// A source without sound gets silence.
    pub silence: bool,
    /// It takes HEVC.
    pub hevc: bool,
    /// It may be at an address inside; only the command line sets this.
    pub allow_private: bool,
    /// `idle` (there is nothing to send), `connecting`, `live`, `retrying`, `refused` (somebody has to change something; it is tried
    /// again all the same) or `paused` (somebody stopped it).
    pub state: &'static str,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// When the next try is due; null when none is.
    pub next_try_ms: Option<i64>,
    /// Bits a second the server takes now, the mean of five seconds.
    pub bitrate_bps: u64,
    /// Bytes it took in this session.
    pub sent_bytes: u64,
    /// Pictures and frames of sound it was too slow for, in this session.
    pub dropped_units: u64,
    /// How often that was.
    pub drops: u64,
    /// Connections on which it was live, in this session.
    pub connects: u64,
    /// How long its network takes there and back; null when it is not live.
    pub round_trip_ms: Option<f64>,
    /// What went wrong last; null when all is well, for ten seconds at least.
    pub fault: Option<TargetFault>,
    /// What the service will not like about the stream.
    pub advice: Vec<AdviceShape>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
}

/// What a service will not like.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdviceShape {
    /// `no_audio`, `keyframe_interval` or `bitrate`.
    pub code: &'static str,
    /// Cause and cure in one sentence.
    pub message: String,
}

/// All targets of a stream, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetList {
    pub targets: Vec<TargetShape>,
}

/// A target to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTarget {
    /// One of `GET /api/v1/services`; without one `custom`.
    #[serde(default)]
    pub service: String,
    /// One of the service's servers by its short name, where it has a choice.
    pub ingest: Option<String>,
    /// Address of a custom server, `rtmp://HOST/APPLICATION` or `rtmps://…`, without the key.
    pub url: Option<String>,
    /// The key. It is sealed, and never shown or logged.
    pub key: String,
    /// For people; without one the service's name.
    pub name: Option<String>,
    /// What it gets: `source` (which it is without this), or the name of an encoded rendition such as `720p`. A stream without that
    /// one sends its source if its picture is no higher, else the highest rendition that is lower.
    pub rendition: Option<String>,
    /// A source without sound gets silence.
    #[serde(default)]
    pub silence: bool,
    /// It takes HEVC, though the service is not known for that.
    #[serde(default)]
    pub hevc: bool,
    /// It waits until it is started.
    #[serde(default)]
    pub paused: bool,
}

/// Another key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTargetKey {
    /// The key. It is sealed, and never shown or logged.
    pub key: String,
}

/// What a knock at a target's door brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckShape {
    /// It answers as an RTMP server should. Whether the key is right shows only when a stream begins.
    pub ok: bool,
    /// Where it is; null when that was not found out.
    pub address: Option<String>,
    /// How long it took altogether, milliseconds; null when it did not answer.
    pub taken_ms: Option<f64>,
    /// What is wrong; null when nothing is.
    pub fault: Option<TargetFault>,
}

/// A service that takes copies.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceShape {
    /// How it is asked for.
    pub id: &'static str,
    /// How it is called.
    pub name: &'static str,
    /// Its address; empty: it must be given.
    pub url: &'static str,
    /// One of its servers may be chosen.
    pub has_ingests: bool,
    /// Highest bitrate it takes, bits a second; null: not known.
    pub bitrate_max_bps: Option<u64>,
    /// Longest distance of keyframes it likes, seconds; null: not known.
    pub keyframe_max_s: Option<f64>,
    /// A stream without sound does not go live there.
    pub needs_audio: bool,
    /// It takes HEVC.
    pub takes_hevc: bool,
    /// Where that is said.
    pub source: &'static str,
}

/// All services.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceList {
    pub services: Vec<ServiceShape>,
}

impl Api {
    fn outlets(&self) -> Result<&dyn Outlets, ApiError> {
        let none = || ApiError::unavailable("no_copies", "This server makes no copies.".into());
        self.outlets.as_deref().ok_or_else(none)
    }

    fn target_shape(&self, target: Target) -> Result<TargetShape, ApiError> {
        let status = self.outlets()?.status(&target);
        let advice = status.advice.into_iter().map(|(code, clause)| AdviceShape { code, message: sentence(&clause) });
        Ok(TargetShape {
            id: target.id,
            name: target.name,
            service: target.service,
            url: target.url,
            rendition: rendition_said(&target.rendition).to_owned(),
            silence: target.silence,
            hevc: target.hevc,
            allow_private: target.allow_private,
            state: status.state,
            since_ms: status.since_ms,
            next_try_ms: status.next_try_ms,
            bitrate_bps: status.bitrate_bps,
            sent_bytes: status.sent_bytes,
            dropped_units: status.dropped_units,
            drops: status.drops,
            connects: status.connects,
            round_trip_ms: status.round_trip_ms,
            fault: status.fault.map(|fault| TargetFault { message: sentence(&fault.message), ..fault }),
            advice: advice.collect(),
            created_ms: target.created_ms,
        })
    }

    /// The target of this id, if it is the stream's.
    async fn target_of(&self, stream: &str, id: &str) -> Result<Target, ApiError> {
        let target = self.store.target(id).await?;
        if target.stream == stream { Ok(target) } else { Err(Error::NoSuchTarget { id: target.id }.into()) }
    }

    async fn change_target(&self, from: &Extensions, act: TargetAct) -> Result<Json<TargetShape>, ApiError> {
        let actor = Actor::Api(client(from).to_string());
        Ok(Json(self.target_shape(self.store.perform_on_target(&actor, &act, now_ms()).await?)?))
    }
}

fn bad(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::bad_request("bad_target", sentence(&error.to_string()))
}

/// Services that take copies
#[utoipa::path(get, path = "/api/v1/services", tag = "targets", security(("token" = [])),
    responses((status = 200, body = ServiceList), (status = 401, body = Problem)))]
pub async fn services() -> Json<ServiceList> {
    let services = PRESETS.iter().map(|preset| ServiceShape {
        id: preset.id,
        name: preset.name,
        url: preset.url,
        has_ingests: !preset.choice.is_empty(),
        bitrate_max_bps: preset.rules.bitrate_max_bps,
        keyframe_max_s: preset.rules.keyframe_max.map(|max| max.as_secs_f64()),
        needs_audio: preset.rules.needs_audio,
        takes_hevc: preset.rules.takes_hevc,
        source: preset.source,
    });
    Json(ServiceList { services: services.collect() })
}

/// Where copies of a stream go
#[utoipa::path(get, path = "/api/v1/streams/{name}/targets", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = TargetList), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<TargetList>, ApiError> {
    api.store.stream(&name).await?.ok_or_else(|| Error::NoSuchStream { name: name.clone() })?;
    let all = api.store.targets().await?.into_iter().filter(|target| target.stream == name);
    let targets = all.map(|target| api.target_shape(target)).collect::<Result<_, _>>()?;
    Ok(Json(TargetList { targets }))
}

/// Add a target
///
/// It gets a copy at once when the stream is live. Addresses that are not on the internet are refused, unless
/// `restream.allow_private` is set.
#[utoipa::path(post, path = "/api/v1/streams/{name}/targets", tag = "targets", security(("token" = [])), request_body = AddTarget,
    params(("name" = String, Path, description = "Public name")),
    responses((status = 201, body = TargetShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    from: Extensions,
    Body(new): Body<AddTarget>,
) -> Result<(StatusCode, Json<TargetShape>), ApiError> {
    let outlets = api.outlets()?;
    let wanted = Where { service: &new.service, ingest: new.ingest.as_deref(), url: new.url.as_deref() };
    let asked = asked(&wanted).map_err(|error| bad(&format!("{error:#}")))?;
    if let Some((address, why)) = outlets.inside(&asked.url).await {
        let message = format!(
            "{} is at {address}, {why}, where copies may not go; use a public server, or set restream.allow_private.",
            asked.url.host()
        );
        return Err(ApiError::bad_request("blocked_address", message));
    }
    let row = asked.row(&name, new.name.as_deref(), &new.key, &master_key(outlets)?);
    let row = row.map_err(|error| bad(&format!("{error:#}")))?;
    let rendition = rendition(new.rendition.as_deref());
    let row = NewTarget { rendition, silence: new.silence, hevc: new.hevc, wanted: !new.paused, ..row };
    Ok((StatusCode::CREATED, api.change_target(&from, TargetAct::Add(row)).await?))
}

/// One target
#[utoipa::path(get, path = "/api/v1/streams/{name}/targets/{id}", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 200, body = TargetShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<TargetShape>, ApiError> {
    Ok(Json(api.target_shape(api.target_of(&name, &id).await?)?))
}

/// Remove a target
///
/// Its copy ends, and its key is gone.
#[utoipa::path(delete, path = "/api/v1/streams/{name}/targets/{id}", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
    from: Extensions,
) -> Result<StatusCode, ApiError> {
    let id = api.target_of(&name, &id).await?.id;
    let _removed = api.change_target(&from, TargetAct::Remove { id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a target another key
#[utoipa::path(put, path = "/api/v1/streams/{name}/targets/{id}/key", tag = "targets", security(("token" = [])), request_body = NewTargetKey,
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 200, body = TargetShape), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn set_key(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
    from: Extensions,
    Body(new): Body<NewTargetKey>,
) -> Result<Json<TargetShape>, ApiError> {
    let id = api.target_of(&name, &id).await?.id;
    let key = TargetKey::parse(&new.key).map_err(|error| bad(&error))?;
    let key = master_key(api.outlets()?)?.seal(&id, key.reveal())?;
    api.change_target(&from, TargetAct::SetKey { id, key }).await
}

fn master_key(outlets: &dyn Outlets) -> Result<MasterKey, ApiError> {
    let why = |reason: String| format!("Keys can't be sealed now: {reason}; mend that and start the server again.");
    outlets.master_key().map_err(|reason| ApiError::unavailable("no_master_key", why(reason)))
}

/// Start a target
///
/// It gets a copy whenever the stream is live.
#[utoipa::path(post, path = "/api/v1/streams/{name}/targets/{id}/start", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 200, body = TargetShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn start(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
    from: Extensions,
) -> Result<Json<TargetShape>, ApiError> {
    let id = api.target_of(&name, &id).await?.id;
    api.change_target(&from, TargetAct::Start { id }).await
}

/// Stop a target
///
/// Its copy ends with a goodbye, and it gets none until it is started.
#[utoipa::path(post, path = "/api/v1/streams/{name}/targets/{id}/stop", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 200, body = TargetShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn stop(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
    from: Extensions,
) -> Result<Json<TargetShape>, ApiError> {
    let id = api.target_of(&name, &id).await?.id;
    api.change_target(&from, TargetAct::Stop { id }).await
}

/// Check a target
///
/// Connects, with TLS where that is wanted, and says hello in RTMP. The key is not sent and nothing is published.
#[utoipa::path(post, path = "/api/v1/streams/{name}/targets/{id}/check", tag = "targets", security(("token" = [])),
    params(("name" = String, Path, description = "Public name"), ("id" = String, Path, description = "The target's id")),
    responses((status = 200, body = CheckShape), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn check(
    State(api): State<Arc<Api>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<CheckShape>, ApiError> {
    let target = api.target_of(&name, &id).await?;
    Ok(Json(match api.outlets()?.check(&target).await {
        Ok(checked) => CheckShape {
            ok: true,
            address: checked.address.map(|address| address.to_string()),
            taken_ms: Some(checked.taken.as_secs_f64() * 1_000.0),
            fault: None,
        },
        Err((code, clause)) => {
            let fault = TargetFault { code, message: sentence(&clause), at_ms: now_ms() };
            CheckShape { ok: false, address: None, taken_ms: None, fault: Some(fault) }
        }
    }))
}

//! The operator's API and the two public questions, under `/api/v1`.
//!
//! Changes need the bearer token from the data directory's `api-token`; each goes through [`store::Store::perform`], as
//! the command line's do. Who is live may be asked by anyone, from any page. Errors are JSON, `{code, message}`: a word
//! for programs and a sentence for people. The OpenAPI description is at `/api/v1/openapi.json`.

mod archive;
mod chapters;
mod error;
mod experience;
mod follow;
mod gate;
mod health;
mod live;
mod oembed;
mod recordings;
mod rehearsal;
mod replays;
mod server;
mod session;
mod shapes;
mod slate;
mod streams;
mod switcher;
mod targets;
mod tickets;
mod uploads;

pub use archive::{Archive, Beginning, Copies, DownloadFacts, Piece, Storage};
pub use follow::{LogKind, LogRow, Sample};
pub use live::{LiveHealth, LiveRehearsal, LiveRendition, LiveState, LiveStream, LiveView};
pub use replays::{ReplayFacts, ReplayRefused};
pub use server::{Facts, Warning};
pub use shapes::IngestAddresses;
pub use slate::IMAGE_BYTES_MAX;
pub use targets::{Outlets, TargetFault, TargetStatus};

use crate::box_office::BoxOffice;
use crate::experience::Experience;
use crate::uploads::Uploads;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::HeaderValue;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use error::ApiError;
use gate::Gate;
use live::Titles;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use store::{ApiToken, Store};
use transcoder::slate::Slates;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A title, a ladder and a name fit many times over.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What every handler finds.
pub struct Api {
    store: Store,
    live: Arc<dyn LiveView>,
    archive: Arc<dyn Archive>,
    gate: Gate,
    office: Arc<BoxOffice>,
    facts: Facts,
    data_dir: Option<PathBuf>,
    ingest: IngestAddresses,
    titles: Titles,
    slates: Slates,
    outlets: Option<Arc<dyn Outlets>>,
    uploads: Option<Arc<Uploads>>,
    /// Held for a sum, never across an await.
    experience: Mutex<Experience>,
}

impl Api {
    /// An API over these streams, what is live and what is recorded; `token` may change things, `office` says who may watch.
    pub fn new(
        store: Store,
        live: Arc<dyn LiveView>,
        archive: Arc<dyn Archive>,
        (token, office): (ApiToken, Arc<BoxOffice>),
        facts: Facts,
    ) -> Self {
        let (titles, gate, ingest) = (Titles::new(&store), Gate::new(token), IngestAddresses::default());
        Self {
            store,
            live,
            archive,
            gate,
            office,
            facts,
            data_dir: None,
            ingest,
            titles,
            slates: Slates::new(1),
            outlets: None,
            uploads: None,
            experience: Mutex::default(),
        }
    }

    /// Where `first-key` lies, to be removed when its key is rotated.
    pub fn with_data_dir(self, data_dir: PathBuf) -> Self {
        Self { data_dir: Some(data_dir), ..self }
    }

    /// What makes pictures of the images people send.
    pub fn with_slates(self, slates: Slates) -> Self {
        Self { slates, ..self }
    }

    /// What sends copies to other servers.
    pub fn with_outlets(self, outlets: Arc<dyn Outlets>) -> Self {
        Self { outlets: Some(outlets), ..self }
    }

    /// What takes files.
    pub fn with_uploads(self, uploads: Arc<Uploads>) -> Self {
        Self { uploads: Some(uploads), ..self }
    }

    /// Where encoders push to, shown on the home page.
    pub fn with_ingest(self, ingest: IngestAddresses) -> Self {
        Self { ingest, ..self }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Weir", description = "Streams and keys of a Weir server, and what is live on it."),
    modifiers(&Bearer),
    tags(
        (name = "live", description = "Public: what is live"),
        (name = "session", description = "Signing a browser in"),
        (name = "library", description = "Public: recordings that may be seen"),
        (name = "recordings", description = "With the token: recordings, clips, the trash"),
        (name = "uploads", description = "With the token: files that become recordings, by tus 1.0"),
        (name = "streams", description = "With the token: streams and their keys"),
        (name = "targets", description = "With the token: where copies go"),
        (name = "server", description = "With the token: this server")
    )
)]
struct Description;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("the token in the data directory's api-token"))
            .build();
        openapi
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// Everything under `/api/v1`, to be merged into the server's router.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let (guarded, mut openapi) = guarded().split_for_parts();
    let (files, files_openapi) = files().split_for_parts();
    let (read, read_openapi) = read().split_for_parts();
    let (sign_in, sign_in_openapi) = sign_in().split_for_parts();
    let (public, public_openapi) = public().split_for_parts();
    for part in [files_openapi, read_openapi, sign_in_openapi, public_openapi] {
        openapi.merge(part);
    }
    let description = Json(openapi);
    let guarded = guarded.route_layer(middleware::from_fn_with_state(Arc::clone(&api), gate::check));
    let files = files.route_layer(middleware::from_fn_with_state(Arc::clone(&api), gate::check));
    // Outside the gate, as its refusals say so too.
    let guarded = guarded.merge(files.route_layer(middleware::map_response(uploads::speak)));
    let read = read.route_layer(middleware::from_fn_with_state(Arc::clone(&api), gate::check_reader));
    let described = Router::new().route("/api/v1/openapi.json", get(move || async move { description.clone() }));
    Router::new()
        .merge(guarded.merge(read).merge(sign_in).layer(middleware::map_response(private)))
        .merge(public.layer(middleware::from_fn(open)))
        .merge(described)
        .route("/api/v1/{*rest}", axum::routing::any(nothing_here))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

fn guarded() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(streams::list, streams::add))
        .routes(routes!(streams::show, streams::set, streams::remove))
        .routes(routes!(streams::rotate_key))
        .routes(routes!(streams::revoke_key))
        .routes(routes!(streams::stop))
        .routes(routes!(streams::allow))
        .routes(routes!(streams::audit))
        .routes(routes!(streams::dock))
        .routes(routes!(tickets::stream))
        .routes(routes!(follow::history))
        .routes(routes!(follow::log))
        .routes(routes!(experience::show))
        .routes(routes!(server::show))
        .routes(routes!(targets::services))
        .routes(routes!(targets::list, targets::add))
        .routes(routes!(targets::show, targets::remove))
        .routes(routes!(targets::set_key))
        .routes(routes!(targets::start))
        .routes(routes!(targets::stop))
        .routes(routes!(targets::check))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::show, recordings::edit, recordings::delete))
        .routes(routes!(recordings::trash))
        .routes(routes!(recordings::restore))
        .routes(routes!(recordings::clip))
        .routes(routes!(tickets::recording))
        .routes(routes!(replays::begin))
        .routes(routes!(replays::list))
        .routes(routes!(tickets::rotate))
        .routes(routes!(recordings::start, recordings::stop))
        .merge(images())
}

/// Files of any size, sent piece by piece.
fn files() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(uploads::options, uploads::list, uploads::create)).routes(routes!(
        uploads::head,
        uploads::append,
        uploads::remove
    ))
}

/// What the token of a stream's dock opens too.
fn read() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(health::show))
        .routes(routes!(follow::stats))
        .routes(routes!(follow::events))
        .routes(routes!(rehearsal::show))
        .routes(routes!(switcher::nginx_rtmp))
        .routes(routes!(switcher::srs))
}

fn sign_in() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(session::show, session::begin, session::end))
}

/// Routes whose bodies are larger than JSON ever is.
fn images() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(slate::put, slate::show, slate::remove))
        .layer(DefaultBodyLimit::max(slate::IMAGE_BYTES_MAX))
}

fn public() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(live::list))
        .routes(routes!(live::show))
        .routes(routes!(recordings::library))
        .routes(routes!(recordings::public))
        .routes(routes!(recordings::downloads))
        .routes(routes!(oembed::show))
        .routes(routes!(experience::tell))
}

/// Answers to the operator are nobody else's.
async fn private(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Anyone's page may read who is live; a cache in front may share an answer for a second, unless it is for a ticket.
async fn open(request: Request, next: Next) -> Response {
    let has_ticket = request.uri().query().is_some_and(|query| query.contains("ticket="));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let caching = if has_ticket { "private, no-store" } else { "public, max-age=1" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

async fn nothing_here() -> ApiError {
    ApiError::not_found("no_such_route", "There is nothing at this address; see /api/v1/openapi.json.".into())
}

async fn wrong_method() -> ApiError {
    ApiError::wrong_method()
}

#[cfg(test)]
mod tests;

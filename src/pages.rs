//! The pages people open in a browser: `/`, `/watch/NAME`, `/embed/NAME`, both of a private stream
//! behind `/p/TICKET`, `/recordings`, `/recordings/ID`, `/embed/recordings/ID`,
//! `/dashboard`, `/dock/NAME`, and the files they load.
//!
//! The player is built by npm into `player/dist` and embedded in the binary; this module only hands it out. It renders
//! no HTML of its own but the notice that the player was not built, holds no state, and never sees media: playlists and
//! parts are `origin`'s, the list of live streams is the API's (`player/src/api.ts` says what the pages read of it).
//!
//! Called by the roof, which merges [`router`] with the API and the origin on one port:
//!
//! ```text
//! let site = origin::router(catalog).merge(api).merge(pages::router(&parents)).fallback(pages::not_found);
//! ```
//!
//! A debug build reads `player/dist` from disk at each request, so a rebuilt player shows without compiling.

use crate::site;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Path, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use rust_embed::RustEmbed;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What the built player may load and who may frame it (RELIABILITY 4, "Page headers"). There is no exception for
/// inline styles: the player's build turns those of its controls into constructed style sheets.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'self'";

/// The same for the operator's pages, which nobody may frame: a page around them could have its buttons pressed.
const OPERATOR_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// The same for `/embed/NAME` and `/embed/recordings/ID`, which exist to stand in other people's pages; who may frame them follows.
/// They have no button that does more than play.
const EMBED_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors ";

/// Nothing here asks for a device; the stage page will have its own line.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), display-capture=(), payment=(), usb=()";

/// Names of files under `/assets/` carry a hash of their content and are never reused.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Pages may be kept but must be asked for again: they name the assets.
const ASK_AGAIN: &str = "no-cache";
/// Pictures and texts of no version; a day old is good enough.
const A_DAY: &str = "public, max-age=86400";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"dark light\"><title>Weir</title></head><body>\
    <h1>The player was not built</h1>\
    <p>This Weir was compiled without its web player. <code>make build</code> in the source folder makes both \
    (it needs Node.js 20.19 or newer).</p>\
    <p>Streams work without it: open <code>/live/NAME/index.m3u8</code> in any HLS player.</p></body></html>";

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/player/dist"]
#[allow_missing = true]
struct Player;

/// One file of the built player.
struct File {
    bytes: Bytes,
    /// SHA-256 of `bytes`.
    hash: [u8; 32],
}

/// Where files come from: their path in `player/dist` in, the file out. A function, so that tests bring their own.
type Shelf = fn(&str) -> Option<File>;

/// What the routes find.
#[derive(Clone)]
struct Pages {
    shelf: Shelf,
    embed: Policy,
}

/// A content policy, and who may frame what has it.
#[derive(Clone)]
struct Policy(HeaderValue);

impl Policy {
    const PAGE: Self = Self(HeaderValue::from_static(PAGE_POLICY));
    const OPERATOR: Self = Self(HeaderValue::from_static(OPERATOR_POLICY));

    /// Of what may be framed by these sites and by our own pages; by all when there is none of them.
    fn embed(parents: &[String]) -> Self {
        let named = std::iter::once("'self'").chain(parents.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        let who = if parents.is_empty() { "*" } else { &named };
        let policy = HeaderValue::from_str(&format!("{EMBED_POLICY}{who}"));
        Self(policy.expect("an origin is plain ASCII"))
    }
}

impl FromRef<Pages> for Shelf {
    fn from_ref(pages: &Pages) -> Self {
        pages.shelf
    }
}

impl FromRef<Pages> for Policy {
    fn from_ref(pages: &Pages) -> Self {
        pages.embed.clone()
    }
}

fn embedded(path: &str) -> Option<File> {
    let file = Player::get(path)?;
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
        std::borrow::Cow::Owned(data) => Bytes::from(data),
    };
    Some(File { bytes, hash: file.metadata.sha256_hash() })
}

/// All routes of this module, without a fallback (the roof sets one for the whole site, see [`not_found`]). Players may stand in
/// pages of the sites in `parents`, origins such as `https://example.com`; in all when it is empty.
pub fn router(parents: &[String]) -> Router {
    over(embedded, parents)
}

/// The friendly page for an address that leads nowhere, with status 404.
pub async fn not_found(headers: HeaderMap) -> Response {
    missing(embedded, &headers)
}

fn over(shelf: Shelf, parents: &[String]) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/watch/{name}", get(watch))
        .route("/embed/{name}", get(embed))
        .route("/p/{ticket}/watch/{name}", get(watch_private))
        .route("/p/{ticket}/embed/{name}", get(embed_private))
        .route("/recordings", get(library))
        .route("/recordings/{id}", get(recording))
        .route("/embed/recordings/{id}", get(embed_recording))
        .route("/dashboard", get(dashboard))
        .route("/dashboard/{*rest}", get(dashboard))
        .route("/dock/{name}", get(dock))
        .route("/assets/{file}", get(asset))
        .route(
            "/favicon.svg",
            get(|State(shelf): State<Shelf>, headers: HeaderMap| async move { loose(shelf, "favicon.svg", &headers) }),
        )
        .route(
            "/favicon.ico",
            get(|State(shelf): State<Shelf>, headers: HeaderMap| async move { loose(shelf, "favicon.svg", &headers) }),
        )
        .route(
            "/robots.txt",
            get(|State(shelf): State<Shelf>, headers: HeaderMap| async move { loose(shelf, "robots.txt", &headers) }),
        )
        .with_state(Pages { shelf, embed: Policy::embed(parents) })
}

async fn home(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    page(shelf, "index.html", Policy::PAGE, &headers)
}

async fn watch(
    State(shelf): State<Shelf>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    from: Extensions,
) -> Response {
    if is_stream_name(&name) {
        return found(shelf, "watch.html", site::address(&uri, &headers, &from), &uri, &headers);
    }
    // The preview of a rehearsal is nothing to be passed on.
    if is_watchable(&name) { page(shelf, "watch.html", Policy::PAGE, &headers) } else { missing(shelf, &headers) }
}

async fn embed(
    State(shelf): State<Shelf>,
    State(policy): State<Policy>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if is_watchable(&name) { page(shelf, "embed.html", policy, &headers) } else { missing(shelf, &headers) }
}

async fn watch_private(
    State(shelf): State<Shelf>,
    Path((ticket, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    opened(shelf, "watch.html", Policy::PAGE, (&ticket, &name), &headers)
}

async fn embed_private(
    State(shelf): State<Shelf>,
    State(policy): State<Policy>,
    Path((ticket, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    opened(shelf, "embed.html", policy, (&ticket, &name), &headers)
}

/// A page whose address holds a ticket, which is nobody else's: neither other sites nor search engines are told of it. The page
/// itself shows nothing; whether the ticket is good is asked by what it loads.
fn opened(shelf: Shelf, path: &str, policy: Policy, (ticket, name): (&str, &str), headers: &HeaderMap) -> Response {
    let is_ticket = (1..=64).contains(&ticket.len())
        && ticket.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !is_ticket || !is_stream_name(name) {
        return missing(shelf, headers);
    }
    let mut response = page(shelf, path, policy, headers);
    put(&mut response, header::REFERRER_POLICY, "no-referrer");
    put(&mut response, HeaderName::from_static("x-robots-tag"), "noindex");
    response
}

async fn library(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    page(shelf, "library.html", Policy::PAGE, &headers)
}

async fn recording(
    State(shelf): State<Shelf>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    from: Extensions,
) -> Response {
    if is_recording_id(&id) {
        found(shelf, "recording.html", site::address(&uri, &headers, &from), &uri, &headers)
    } else {
        missing(shelf, &headers)
    }
}

async fn embed_recording(
    State(shelf): State<Shelf>,
    State(policy): State<Policy>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if is_recording_id(&id) { page(shelf, "embed-recording.html", policy, &headers) } else { missing(shelf, &headers) }
}

async fn dashboard(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    page(shelf, "dashboard.html", Policy::OPERATOR, &headers)
}

async fn dock(State(shelf): State<Shelf>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if !is_stream_name(&name) {
        return missing(shelf, &headers);
    }
    let mut response = page(shelf, "dock.html", Policy::OPERATOR, &headers);
    // Its address holds a token.
    put(&mut response, header::REFERRER_POLICY, "no-referrer");
    response
}

async fn asset(State(shelf): State<Shelf>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !plain {
        return missing(shelf, &headers);
    }
    serve(shelf, &format!("assets/{file}"), FOREVER, &headers).unwrap_or_else(|| missing(shelf, &headers))
}

fn loose(shelf: Shelf, path: &str, headers: &HeaderMap) -> Response {
    serve(shelf, path, A_DAY, headers).unwrap_or_else(|| missing(shelf, headers))
}

fn page(shelf: Shelf, path: &str, policy: Policy, headers: &HeaderMap) -> Response {
    let response = serve(shelf, path, ASK_AGAIN, headers).unwrap_or_else(|| {
        let mut response = Response::new(Body::from(NOT_BUILT));
        put(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        put(&mut response, header::CACHE_CONTROL, "no-store");
        response
    });
    guarded(response, policy)
}

/// A page that says how it can be embedded (oEmbed, discovery), with its own whole address; so it is not sent as it was packed.
fn found(shelf: Shelf, path: &str, site: Option<String>, uri: &Uri, headers: &HeaderMap) -> Response {
    let (Some(site), Some(file)) = (site, shelf(path)) else { return page(shelf, path, Policy::PAGE, headers) };
    // Neither the site's name nor a path that leads here has a character that means something in a query or in HTML.
    let link = format!(
        "<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{site}/oembed?url={site}{}&amp;format=json\">",
        uri.path()
    );
    let text = String::from_utf8_lossy(&file.bytes).replacen("</head>", &format!("{link}</head>"), 1);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let file = Packed { file: File { bytes: text.into(), hash: file.hash }, coding: None, variant: hasher.finish() };
    guarded(answer(file, path, ASK_AGAIN, headers), Policy::PAGE)
}

fn missing(shelf: Shelf, headers: &HeaderMap) -> Response {
    // Whatever the browser kept of this page, the answer is 404 and not 304.
    let mut asked = headers.clone();
    asked.remove(header::IF_NONE_MATCH);
    let mut response = page(shelf, "404.html", Policy::PAGE, &asked);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().remove(header::ETAG);
    response
}

/// The file in the best coding the client takes, or 304 when it has it; `None` when there is no such file.
fn serve(shelf: Shelf, path: &str, cache: &'static str, headers: &HeaderMap) -> Option<Response> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let packed = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(coding, suffix)| {
        let file = accepts(accepted, coding).then(|| shelf(&format!("{path}{suffix}"))).flatten()?;
        Some((file, Some(coding)))
    });
    let (file, coding) = match packed {
        Some(found) => found,
        None => (shelf(path)?, None),
    };
    Some(answer(Packed { file, coding, variant: 0 }, path, cache, headers))
}

/// A file as it is sent.
struct Packed {
    file: File,
    coding: Option<&'static str>,
    /// Tells apart what was made of one file.
    variant: u64,
}

/// The file, or 304 when the client has it.
fn answer(packed: Packed, path: &str, cache: &'static str, headers: &HeaderMap) -> Response {
    let Packed { file, coding, variant } = packed;
    // Each coding is its own file with its own hash, so its tag differs as RFC 9110 8.8.3.3 asks.
    let hash = file.hash.iter().take(12).map(|b| format!("{b:02x}")).collect::<String>();
    let tag = if variant == 0 { format!("\"{hash}\"") } else { format!("\"{hash}-{variant:016x}\"") };
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let fresh = known.flat_map(|v| v.split(',')).any(|v| v.trim().trim_start_matches("W/") == tag);

    let mut response = Response::new(if fresh { Body::empty() } else { Body::from(file.bytes) });
    if fresh {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        put(&mut response, header::CONTENT_TYPE, content_type(path));
        if let Some(coding) = coding {
            put(&mut response, header::CONTENT_ENCODING, coding);
        }
    }
    put(&mut response, header::CACHE_CONTROL, cache);
    put(&mut response, header::VARY, "accept-encoding");
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn guarded(mut response: Response, Policy(policy): Policy) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, header::REFERRER_POLICY, "same-origin");
    put(&mut response, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(&mut response, HeaderName::from_static("permissions-policy"), PERMISSIONS);
    response
}

fn put(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Ids of recordings as the store makes them: a UUID in lower case (RFC 9562, 4).
fn is_recording_id(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Stream names as the store allows them: 1 to 64 of `a-z`, `0-9`, `_`, `-`.
fn is_stream_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// A stream's name, or the preview of its rehearsals: `NAME~SECRET`.
fn is_watchable(name: &str) -> bool {
    name.split_once('~')
        .map_or_else(|| is_stream_name(name), |(name, secret)| is_stream_name(name) && is_stream_name(secret))
}

/// Whether an `Accept-Encoding` value takes this coding; `q=0` means it does not.
fn accepts(value: &str, coding: &str) -> bool {
    value.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;

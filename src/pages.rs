//! The pages people open in a browser: `/`, `/watch/NAME`, `/embed/NAME`, `/dashboard`, `/dock/NAME`, and the files they load.
//!
//! The player is built by npm into `player/dist` and embedded in the binary; this module only hands it out. It renders
//! no HTML of its own but the notice that the player was not built, holds no state, and never sees media: playlists and
//! parts are `origin`'s, the list of live streams is the API's (`player/src/api.ts` says what the pages read of it).
//!
//! Called by the roof, which merges [`router`] with the API and the origin on one port:
//!
//! ```text
//! let site = origin::router(catalog).merge(api).merge(pages::router()).fallback(pages::not_found);
//! ```
//!
//! A debug build reads `player/dist` from disk at each request, so a rebuilt player shows without compiling.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use rust_embed::RustEmbed;

/// What the built player may load and who may frame it (RELIABILITY 4, "Page headers"). There is no exception for
/// inline styles: the player's build turns those of its controls into constructed style sheets.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'self'";

/// The same for the operator's pages, which nobody may frame: a page around them could have its buttons pressed.
const OPERATOR_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// The same for `/embed/NAME`, which exists to stand in other people's pages. Every site may frame it until there is a
/// setting to name them; the page has no button that does more than play.
const EMBED_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors *";

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

fn embedded(path: &str) -> Option<File> {
    let file = Player::get(path)?;
    let bytes = match file.data {
        std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
        std::borrow::Cow::Owned(data) => Bytes::from(data),
    };
    Some(File { bytes, hash: file.metadata.sha256_hash() })
}

/// All routes of this module, without a fallback (the roof sets one for the whole site, see [`not_found`]).
pub fn router() -> Router {
    over(embedded)
}

/// The friendly page for an address that leads nowhere, with status 404.
pub async fn not_found(headers: HeaderMap) -> Response {
    missing(embedded, &headers)
}

fn over(shelf: Shelf) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/watch/{name}", get(watch))
        .route("/embed/{name}", get(embed))
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
        .with_state(shelf)
}

async fn home(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    page(shelf, "index.html", PAGE_POLICY, &headers)
}

async fn watch(State(shelf): State<Shelf>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if is_watchable(&name) { page(shelf, "watch.html", PAGE_POLICY, &headers) } else { missing(shelf, &headers) }
}

async fn embed(State(shelf): State<Shelf>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if is_watchable(&name) { page(shelf, "embed.html", EMBED_POLICY, &headers) } else { missing(shelf, &headers) }
}

async fn dashboard(State(shelf): State<Shelf>, headers: HeaderMap) -> Response {
    page(shelf, "dashboard.html", OPERATOR_POLICY, &headers)
}

async fn dock(State(shelf): State<Shelf>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if !is_stream_name(&name) {
        return missing(shelf, &headers);
    }
    let mut response = page(shelf, "dock.html", OPERATOR_POLICY, &headers);
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

fn page(shelf: Shelf, path: &str, policy: &'static str, headers: &HeaderMap) -> Response {
    let response = serve(shelf, path, ASK_AGAIN, headers).unwrap_or_else(|| {
        let mut response = Response::new(Body::from(NOT_BUILT));
        put(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        put(&mut response, header::CACHE_CONTROL, "no-store");
        response
    });
    guarded(response, policy)
}

fn missing(shelf: Shelf, headers: &HeaderMap) -> Response {
    // Whatever the browser kept of this page, the answer is 404 and not 304.
    let mut asked = headers.clone();
    asked.remove(header::IF_NONE_MATCH);
    let mut response = page(shelf, "404.html", PAGE_POLICY, &asked);
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
    // Each coding is its own file with its own hash, so its tag differs as RFC 9110 8.8.3.3 asks.
    let tag = format!("\"{}\"", file.hash.iter().take(12).map(|b| format!("{b:02x}")).collect::<String>());
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
    Some(response)
}

fn guarded(mut response: Response, policy: &'static str) -> Response {
    put(&mut response, header::CONTENT_SECURITY_POLICY, policy);
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, header::REFERRER_POLICY, "same-origin");
    put(&mut response, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(&mut response, HeaderName::from_static("permissions-policy"), PERMISSIONS);
    response
}

fn put(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
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
mod tests {
    use super::*;
    use axum::http::Request;
    use tower::ServiceExt;

    fn shelf(path: &str) -> Option<File> {
        let (bytes, mark): (&'static [u8], u8) = match path {
            "index.html" => (b"home page", 1),
            "watch.html" => (b"watch page", 2),
            "watch.html.br" => (b"watch page in br", 3),
            "watch.html.gz" => (b"watch page in gzip", 4),
            "embed.html" => (b"embed page", 5),
            "dashboard.html" => (b"dashboard page", 11),
            "dock.html" => (b"dock page", 12),
            "404.html" => (b"no such page", 6),
            "assets/watch-1.js" => (b"script", 7),
            "assets/watch-1.js.gz" => (b"script in gzip", 8),
            "favicon.svg" => (b"<svg/>", 9),
            "robots.txt" => (b"User-agent: *", 10),
            _ => return None,
        };
        Some(File { bytes: Bytes::from_static(bytes), hash: [mark; 32] })
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    }

    impl Answer {
        fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |v| v.to_str().unwrap())
        }
    }

    async fn ask(shelf: Shelf, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = over(shelf).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    #[tokio::test]
    async fn pages_answer_with_their_file() {
        for (path, body) in [
            ("/", "home page"),
            ("/watch/demo", "watch page"),
            ("/embed/a_b-9", "embed page"),
            ("/dashboard", "dashboard page"),
            ("/dashboard/streams/demo", "dashboard page"),
            ("/dock/demo?token=wd_x", "dock page"),
        ] {
            let answer = ask(shelf, path, &[]).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(answer.header("cache-control"), "no-cache");
        }
    }

    #[tokio::test]
    async fn pages_carry_the_security_headers() {
        for path in ["/", "/watch/demo", "/embed/demo", "/watch/Bad", "/assets/none.js"] {
            let answer = ask(shelf, path, &[]).await;
            assert!(answer.header("content-security-policy").contains("style-src 'self';"), "{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("referrer-policy"), "same-origin");
            assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
            assert!(answer.header("permissions-policy").contains("camera=()"));
        }
    }

    #[tokio::test]
    async fn only_the_embed_page_may_be_framed_by_others() {
        let ancestors = |answer: &Answer| {
            answer.header("content-security-policy").rsplit("frame-ancestors ").next().unwrap().to_owned()
        };
        assert_eq!(ancestors(&ask(shelf, "/watch/demo", &[]).await), "'self'");
        assert_eq!(ancestors(&ask(shelf, "/", &[]).await), "'self'");
        assert_eq!(ancestors(&ask(shelf, "/embed/demo", &[]).await), "*");
        for path in ["/dashboard", "/dashboard/server", "/dock/demo"] {
            assert_eq!(ancestors(&ask(shelf, path, &[]).await), "'none'", "{path}");
        }
    }

    #[tokio::test]
    async fn the_docks_address_goes_nowhere() {
        assert_eq!(ask(shelf, "/dock/demo?token=wd_x", &[]).await.header("referrer-policy"), "no-referrer");
    }

    #[tokio::test]
    async fn names_no_stream_can_have_get_the_friendly_page() {
        let long = format!("/watch/{}", "a".repeat(65));
        for path in ["/watch/Demo", "/watch/a%20b", "/embed/%3Cscript%3E", "/watch/caf%C3%A9", long.as_str()] {
            let answer = ask(shelf, path, &[]).await;
            assert_eq!((answer.status, answer.body.as_str()), (404, "no such page"), "{path}");
        }
        assert_eq!(ask(shelf, &format!("/watch/{}", "a".repeat(64)), &[]).await.status, 200);
    }

    #[tokio::test]
    async fn assets_are_kept_forever_and_stay_inside_their_folder() {
        let answer = ask(shelf, "/assets/watch-1.js", &[]).await;
        assert_eq!(answer.header("cache-control"), FOREVER);
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
        for path in ["/assets/..%2Findex.html", "/assets/%2e%2e%2findex.html", "/assets/other.js"] {
            assert_eq!(ask(shelf, path, &[]).await.status, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn the_best_coding_the_browser_takes_is_sent() {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gzip"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("identity", ""),
            ("brotli", ""),
        ] {
            let answer = ask(shelf, "/watch/demo", &[("accept-encoding", accept)]).await;
            assert_eq!(answer.header("content-encoding"), coding, "{accept}");
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
        let only_gzip_exists = ask(shelf, "/assets/watch-1.js", &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(
            (only_gzip_exists.header("content-encoding"), only_gzip_exists.body.as_str()),
            ("gzip", "script in gzip")
        );
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        let tag = ask(shelf, "/", &[]).await.header("etag").to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let answer = ask(shelf, "/", &[("if-none-match", &held)]).await;
            assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{held}");
            assert_eq!(answer.header("etag"), tag);
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'self'"));
        }
        assert_eq!(ask(shelf, "/", &[("if-none-match", "\"other\"")]).await.status, 200);
    }

    #[tokio::test]
    async fn codings_have_tags_of_their_own() {
        let plain = ask(shelf, "/watch/demo", &[]).await;
        let packed = ask(shelf, "/watch/demo", &[("accept-encoding", "br")]).await;
        assert_ne!(plain.header("etag"), packed.header("etag"));
    }

    #[tokio::test]
    async fn without_a_built_player_the_page_says_so_and_how_to_build_it() {
        for path in ["/", "/watch/demo", "/embed/demo"] {
            let answer = ask(|_| None, path, &[]).await;
            assert_eq!(answer.status, 200);
            assert!(answer.body.contains("The player was not built"), "{}", answer.body);
            assert!(answer.body.contains("make build"));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        assert_eq!(ask(|_| None, "/watch/Bad", &[]).await.status, 404);
    }

    #[tokio::test]
    async fn small_files_have_their_types() {
        assert_eq!(ask(shelf, "/favicon.ico", &[]).await.header("content-type"), "image/svg+xml");
        assert_eq!(ask(shelf, "/favicon.svg", &[]).await.body, "<svg/>");
        assert_eq!(ask(shelf, "/robots.txt", &[]).await.header("content-type"), "text/plain; charset=utf-8");
    }
}

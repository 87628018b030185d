use super::*;
use axum::http::Request;
use tower::ServiceExt;

fn shelf(path: &str) -> Option<File> {
    let (bytes, mark): (&'static [u8], u8) = match path {
        "index.html" => (b"home page", 1),
        "watch.html" => (b"<head></head>watch page", 2),
        "watch.html.br" => (b"watch page in br", 3),
        "watch.html.gz" => (b"watch page in gzip", 4),
        "embed.html" => (b"embed page", 5),
        "library.html" => (b"library page", 13),
        "recording.html" => (b"<head></head>recording page", 14),
        "embed-recording.html" => (b"embedded recording page", 15),
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
    let response = over(shelf, &[]).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn pages_answer_with_their_file() {
    for (path, body) in [
        ("/", "home page"),
        ("/watch/demo", "<head></head>watch page"),
        ("/embed/a_b-9", "embed page"),
        ("/embed/recordings", "embed page"),
        ("/recordings?q=jazz", "library page"),
        ("/recordings/0198c0de-f00d-7abc-8000-0123456789ab", "<head></head>recording page"),
        ("/embed/recordings/0198c0de-f00d-7abc-8000-0123456789ab", "embedded recording page"),
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
    for path in ["/", "/watch/demo", "/embed/demo", "/recordings", "/watch/Bad", "/assets/none.js"] {
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
    assert_eq!(ancestors(&ask(shelf, "/recordings", &[]).await), "'self'");
    let id = "0198c0de-f00d-7abc-8000-0123456789ab";
    assert_eq!(ancestors(&ask(shelf, &format!("/recordings/{id}"), &[]).await), "'self'");
    assert_eq!(ancestors(&ask(shelf, "/embed/demo", &[]).await), "*");
    assert_eq!(ancestors(&ask(shelf, &format!("/embed/recordings/{id}"), &[]).await), "*");
    for path in ["/dashboard", "/dashboard/server", "/dock/demo"] {
        assert_eq!(ancestors(&ask(shelf, path, &[]).await), "'none'", "{path}");
    }
}

#[tokio::test]
async fn named_sites_alone_may_frame_the_embed_pages() {
    let parents = ["https://blog.example".to_owned(), "http://localhost:3000".to_owned()];
    let router = over(shelf, &parents);
    let request = Request::builder().uri("/embed/demo").body(Body::empty()).unwrap();
    let policy = router.oneshot(request).await.unwrap().headers()[header::CONTENT_SECURITY_POLICY].clone();
    let who = policy.to_str().unwrap().rsplit_once("frame-ancestors ").unwrap().1.to_owned();
    assert_eq!(who, "'self' https://blog.example http://localhost:3000");
}

#[tokio::test]
async fn a_page_says_how_it_can_be_embedded() {
    let id = "0198c0de-f00d-7abc-8000-0123456789ab";
    let answer = ask(shelf, "/watch/demo?x=1", &[("host", "Live.example:8080"), ("accept-encoding", "br")]).await;
    let href = "http://live.example:8080/oembed?url=http://live.example:8080/watch/demo&amp;format=json";
    let link = format!("<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{href}\">");
    assert_eq!(answer.body, format!("<head>{link}</head>watch page"));
    let other = ask(shelf, "/watch/other", &[("host", "live.example:8080")]).await;
    assert_ne!(answer.header("etag"), other.header("etag"));
    let held = answer.header("etag").to_owned();
    let again = ask(shelf, "/watch/demo", &[("host", "live.example:8080"), ("if-none-match", &held)]).await;
    assert_eq!(again.status, 304);
    let recording = ask(shelf, &format!("/recordings/{id}?ticket=t"), &[("host", "h")]).await;
    assert!(recording.body.contains(&format!("url=http://h/recordings/{id}&amp;")), "{}", recording.body);
    assert!(!recording.body.contains("ticket"), "{}", recording.body);
    let preview = ask(shelf, "/watch/demo~secret", &[("host", "h")]).await;
    assert!(!preview.body.contains("oembed") && !preview.body.contains("secret"), "{}", preview.body);
}

#[tokio::test]
async fn pages_behind_a_ticket_tell_nobody_of_it() {
    for (path, body) in [("/p/AAAA-_9/watch/demo", "<head></head>watch page"), ("/p/AAAA-_9/embed/demo", "embed page")]
    {
        let answer = ask(shelf, path, &[("host", "h")]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "no address to be passed on: {path}");
        assert_eq!((answer.header("referrer-policy"), answer.header("x-robots-tag")), ("no-referrer", "noindex"));
        let is_embed = path.contains("embed");
        assert_eq!(answer.header("content-security-policy").ends_with("frame-ancestors *"), is_embed);
    }
    let long = format!("/p/{}/watch/demo", "a".repeat(65));
    for path in ["/p/a.b/watch/demo", "/p/a%2Fb/watch/demo", "/p/a/watch/Demo", "/p/a/watch/demo~secret", &long] {
        assert_eq!(ask(shelf, path, &[]).await.status, 404, "{path}");
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
async fn ids_no_recording_can_have_get_the_friendly_page() {
    for id in [
        "0198C0DE-F00D-7ABC-8000-0123456789AB",
        "0198c0def00d7abc80000123456789ab",
        "0198c0de-f00d-7abc-8000-0123456789a",
        "0198c0de-f00d-7abc-8000-0123456789ag",
        "%2e%2e",
        "demo",
    ] {
        for path in [format!("/recordings/{id}"), format!("/embed/recordings/{id}")] {
            let answer = ask(shelf, &path, &[]).await;
            assert_eq!((answer.status, answer.body.as_str()), (404, "no such page"), "{path}");
        }
    }
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

//! The HLS origin over real sockets, fed by a real packager.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use axum::body::Body;
use axum::http::Request;
use kit::gauges::Gauges;
use kit::show::{Show, TICKET};
use kit::{Answer, PATIENCE, Server};
use origin::Limits;
use std::time::Duration;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const BASE: &str = "/live/demo/s-1";

/// A running origin and what it counts.
struct Stage {
    server: Server,
    gauges: Gauges,
}

impl std::ops::Deref for Stage {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Stage {
    /// Until exactly `count` requests are held.
    async fn holds(&self, count: usize) {
        let settled = async {
            while self.gauges.gauge("weir_origin_waiting") != count as f64 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, settled).await.expect("the requests are held");
    }
}

async fn serve(show: &Show) -> Stage {
    let gauges = Gauges::default();
    let router = metrics::with_local_recorder(&gauges, || origin::router(show.catalog()));
    Stage { server: Server::start(router, Limits::default()).await, gauges }
}

/// Asks in the background; the request is on its way when this returns.
async fn ask_later(server: &Server, target: String) -> JoinHandle<Answer> {
    let mut client = server.connect().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    tokio::spawn(async move { client.answer(false).await.expect("an answer") })
}

async fn got(asked: JoinHandle<Answer>) -> Answer {
    timeout(PATIENCE, asked).await.expect("an answer in time").unwrap()
}

fn seconds(answer: &Answer) -> u32 {
    let control = answer.header("cache-control").unwrap();
    control.split(", ").find_map(|item| item.strip_prefix("max-age=")).map_or(0, |age| age.parse().unwrap())
}

#[tokio::test]
async fn every_answer_carries_what_browsers_and_caches_need() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    for (path, kind, age) in [
        ("/live/demo/index.m3u8".to_owned(), "application/vnd.apple.mpegurl", 1),
        ("/live/demo/ts.m3u8".to_owned(), "application/vnd.apple.mpegurl", 1),
        (format!("{BASE}/source.m3u8"), "application/vnd.apple.mpegurl", 1),
        (format!("{BASE}/source.ts.m3u8"), "application/vnd.apple.mpegurl", 1),
        (format!("{BASE}/source/init-0.mp4"), "video/mp4", 3600),
        (format!("{BASE}/source/2.m4s"), "video/mp4", 3600),
        (format!("{BASE}/source/2.1.m4s"), "video/mp4", 3600),
        (format!("{BASE}/audio/2.m4s"), "audio/mp4", 3600),
        (format!("{BASE}/source/2.ts"), "video/mp2t", 3600),
        ("/live/demo/thumb.jpg".to_owned(), "image/jpeg", 2),
    ] {
        let answer = server.get(&path).await;
        assert_eq!((answer.status, seconds(&answer)), (200, age), "{path}: {answer:?}");
        for (name, want) in [
            ("content-type", kind),
            ("access-control-allow-origin", "*"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("timing-allow-origin", "*"),
            ("content-length", &answer.body.len().to_string()),
        ] {
            assert_eq!(answer.header(name), Some(want), "{path} {name}");
        }
        assert!(
            answer.header("access-control-expose-headers").unwrap().contains("Date") && answer.header("date").is_some()
        );
        assert_eq!(answer.header("vary").is_some(), path.ends_with("m3u8"), "{path}");

        let head = server.ask("HEAD", &path, &[]).await;
        let without_date =
            |answer: &Answer| answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>();
        assert_eq!((head.status, without_date(&head), head.body.len()), (200, without_date(&answer), 0), "{path}");

        if let Some(etag) = answer.header("etag") {
            let again = server.ask("GET", &path, &[("If-None-Match", &format!("\"x\", W/{etag}"))]).await;
            assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(etag), 0), "{path}");
            assert_eq!(server.ask("GET", &path, &[("If-None-Match", "\"other\"")]).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn a_ticket_in_the_path_opens_the_same_bytes_for_as_long_as_it_lasts() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    for (path, age) in [
        ("/live/demo/index.m3u8".to_owned(), 1),
        (format!("{BASE}/source.m3u8"), 1),
        (format!("{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=1"), 5),
        (format!("{BASE}/source/init-0.mp4"), 5),
        (format!("{BASE}/source/2.m4s"), 5),
        (format!("{BASE}/source/2.1.m4s"), 5),
        (format!("{BASE}/source/2.ts"), 5),
        ("/live/demo/thumb.jpg".to_owned(), 2),
    ] {
        let (open, shown) = (server.get(&path).await, server.get(&format!("/p/{TICKET}{path}")).await);
        assert_eq!(
            (shown.status, seconds(&shown)),
            (200, age),
            "{path}: no cache keeps it longer than the ticket lasts"
        );
        assert_eq!((open.body, open.status), (shown.body.clone(), 200), "{path}: playlists are the same for all");
        if path.contains("m3u8") {
            let text = shown.text();
            assert!(!text.contains("URI=\"/") && !text.lines().any(|line| line.starts_with('/')), "{text}");
        }
        for other in [format!("/p/Other{path}"), format!("/p/a.b{path}"), format!("/p/{path}"), format!("/p{path}")] {
            assert_eq!(server.get(&other).await.status, 404, "{other}");
        }
    }
    let (nothing, closed) =
        (server.get("/live/none/index.m3u8").await, server.get("/p/Other/live/demo/index.m3u8").await);
    assert_eq!((nothing.body, nothing.status), (closed.body, closed.status), "nobody learns that it is live");
}

#[tokio::test]
async fn what_is_held_is_held_behind_a_ticket_too() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let part = ask_later(&server, format!("/p/{TICKET}{BASE}/source/3.2.m4s")).await;
    let list = ask_later(&server, format!("/p/{TICKET}{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=2")).await;
    server.holds(2).await;
    let refused = server.get(&format!("/p/Other{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=2")).await;
    assert_eq!(refused.status, 404, "who may not watch is not held");
    show.until_next(3, 3);
    assert_eq!((got(part).await.status, got(list).await.text().contains("source/3.2.m4s")), (200, true));
}

#[tokio::test]
async fn playlists_are_packed_as_the_client_likes() {
    let mut show = Show::new(400);
    show.until_next(6, 2);
    let server = serve(&show).await;
    let path = format!("{BASE}/source.m3u8");
    let plain = server.get(&path).await;
    let get = async |accept| server.ask("GET", &path, &[("Accept-Encoding", accept)]).await;
    let (gzip, brotli) = (get("gzip").await, get("gzip, br").await);
    assert_eq!((gzip.header("content-encoding"), gzip.header("vary")), (Some("gzip"), Some("Accept-Encoding")));
    assert_eq!(brotli.header("content-encoding"), Some("br"));
    assert!(brotli.body.len() < plain.body.len() / 3 && gzip.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(get("br;q=0").await.body, plain.body);
    let tags = [plain.header("etag"), gzip.header("etag"), brotli.header("etag")];
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    assert_eq!(
        server.ask("GET", &path, &[("Accept-Encoding", "gzip"), ("If-None-Match", tags[1].unwrap())]).await.status,
        304
    );
    assert_eq!(
        server.ask("GET", &path, &[("Accept-Encoding", "gzip"), ("If-None-Match", tags[0].unwrap())]).await.status,
        200
    );
    assert_eq!(server.get(&format!("{path}?utm_source=x&y")).await, plain);
}

#[tokio::test]
async fn a_reload_is_held_until_the_part_is_listed() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let asked = ask_later(&server, format!("{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=2")).await;
    let whole = ask_later(&server, format!("{BASE}/source.m3u8?_HLS_msn=3")).await;
    let beyond = ask_later(&server, format!("{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=12")).await;
    server.holds(3).await;
    assert!(!asked.is_finished());
    show.until_next(3, 3);
    let answer = got(asked).await;
    assert!(
        answer.text().contains("source/3.2.m4s") && !answer.text().contains("URI=\"source/3.4.m4s\""),
        "{}",
        answer.text()
    );
    assert_eq!(seconds(&answer), 12, "six target durations: it is the answer to this very URL");
    assert!(!whole.is_finished());
    show.until_next(4, 0);
    assert!(!whole.is_finished(), "a segment is listed as whole with the first part of the next");
    assert!(!beyond.is_finished(), "a part behind the last of a segment is part 0 of the next");
    show.until_next(4, 1);
    assert!(got(whole).await.text().contains("source/3.m4s\n"));
    assert!(got(beyond).await.text().contains("source/4.0.m4s"));
}

#[tokio::test]
async fn one_part_wakes_all_who_wait() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let mut asked = Vec::new();
    for _ in 0..300 {
        asked.push(ask_later(&server, format!("{BASE}/source.m3u8?_HLS_msn=3&_HLS_part=2")).await);
    }
    server.holds(300).await;
    show.until_next(3, 3);
    let first = got(asked.remove(0)).await;
    for asked in asked {
        assert_eq!(got(asked).await.body, first.body);
    }
}

#[tokio::test]
async fn directives_are_judged_at_once_where_they_can_be() {
    let mut show = Show::new(400);
    show.until_next(5, 2);
    let server = serve(&show).await;
    for (query, status) in [
        ("_HLS_msn=5&_HLS_part=1", 200),
        ("_HLS_msn=4", 200),
        ("_HLS_msn=4&_HLS_part=50", 200),
        ("_HLS_msn=0&_HLS_part=0", 200),
        ("_HLS_skip=YES", 200),
        ("_HLS_part=0", 400),
        ("_HLS_msn=7", 400),
        ("_HLS_msn=35", 400),
        ("_HLS_msn=5&_HLS_part=40", 400),
        ("_HLS_msn=abc", 400),
        ("_HLS_msn=-1", 400),
        ("_HLS_msn=99999999999999999999&_HLS_part=0", 400),
        ("_HLS_msn=5&_HLS_part=x", 400),
        ("_HLS_skip=MAYBE", 400),
    ] {
        let answer = server.get(&format!("{BASE}/source.m3u8?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        if status == 400 {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{query}");
            assert!(answer.text().contains("_HLS_"), "{query}");
        }
    }
    let long_ago = server.get(&format!("{BASE}/source.m3u8?_HLS_msn=1")).await;
    assert_eq!(seconds(&long_ago), 1, "today's playlist must not stay under an old name");
}

#[tokio::test]
async fn a_delta_update_is_sent_when_there_is_something_to_skip() {
    let mut show = Show::new(400);
    show.until_next(12, 2);
    let server = serve(&show).await;
    let full = server.get(&format!("{BASE}/source.m3u8")).await;
    let delta = server.get(&format!("{BASE}/source.m3u8?_HLS_skip=YES")).await;
    assert!(delta.text().contains("#EXT-X-SKIP:") && delta.body.len() < full.body.len(), "{}", delta.text());
    assert_ne!(delta.header("etag"), full.header("etag"));
}

#[tokio::test]
async fn the_hinted_part_is_held_and_sent_whole() {
    let mut show = Show::new(4_000);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let asked = ask_later(&server, format!("{BASE}/source/3.2.m4s")).await;
    server.holds(1).await;
    for further in ["3.3.m4s", "3.9.m4s", "4.0.m4s", "3.m4s", "4.m4s", "10000003.m4s"] {
        let answer = server.get(&format!("{BASE}/source/{further}")).await;
        assert_eq!((answer.status, seconds(&answer)), (404, 1), "{further}");
    }
    assert!(!asked.is_finished());
    show.until_next(3, 3);
    let answer = got(asked).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, show.source().part(3, 2).unwrap());
    assert_eq!(server.get(&format!("{BASE}/source/3.2.m4s")).await, answer);
    assert_eq!(server.gauges.counter("weir_origin_requests_total kind=part status=2xx"), 2);
    assert_eq!(server.gauges.counter("weir_origin_bytes_total kind=part"), 2 * answer.body.len() as u64);
    assert_eq!(server.gauges.gauge("weir_origin_waiting"), 0.0);
}

#[tokio::test]
async fn a_segment_is_its_parts_and_any_range_of_them() {
    let mut show = Show::new(4_000);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let path = format!("{BASE}/source/2.m4s");
    let whole = server.get(&path).await.body;
    let parts: Vec<u8> = (0..).map_while(|part| show.source().part(2, part)).flatten().collect();
    assert!(whole == parts && whole.len() > 200_000, "{} of {}", whole.len(), parts.len());
    let length = whole.len();
    let check = async |range: &str, want: Option<std::ops::Range<usize>>| {
        let answer = server.ask("GET", &path, &[("Range", range)]).await;
        match want {
            Some(want) => {
                let content_range = format!("bytes {}-{}/{length}", want.start, want.end - 1);
                assert_eq!((answer.status, answer.header("content-range")), (206, Some(&*content_range)), "{range}");
                assert!(answer.body == whole[want], "{range}");
            }
            None => assert!(answer.status == 200 && answer.body == whole, "{range}: {}", answer.status),
        }
    };
    check("bytes=10-109", Some(10..110)).await;
    check("bytes=0-0", Some(0..1)).await;
    check("bytes=40000-90000", Some(40_000..90_001)).await;
    check("bytes=200000-", Some(200_000..length)).await;
    check("bytes=-5", Some(length - 5..length)).await;
    check("bytes=0-999999999", Some(0..length)).await;
    check("bytes=0-1,5-9", None).await;
    check("bytes=9-1", None).await;
    let behind = server.ask("GET", &path, &[("Range", "bytes=999999999-")]).await;
    assert_eq!((behind.status, behind.header("content-range")), (416, Some(&*format!("bytes */{length}"))));
    let etag = server.get(&path).await.header("etag").unwrap().to_owned();
    let if_range =
        async |tag: &str| server.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", tag)]).await.status;
    assert_eq!((if_range(&etag).await, if_range("\"other\"").await), (206, 200));
    let head = server.ask("HEAD", &path, &[("Range", "bytes=0-9")]).await;
    assert_eq!((head.status, head.header("content-length")), (206, Some("10")));
    let playlist = server.ask("GET", &format!("{BASE}/source.m3u8"), &[("Range", "bytes=0-9")]).await;
    assert_eq!(playlist.status, 200);
}

#[tokio::test]
async fn the_end_of_a_stream_answers_everyone() {
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let mut asked = Vec::new();
    for query in ["_HLS_msn=3&_HLS_part=5", "_HLS_msn=4", "_HLS_msn=4&_HLS_part=2&_HLS_skip=YES"] {
        asked.push(ask_later(&server, format!("{BASE}/source.m3u8?{query}")).await);
        asked.push(ask_later(&server, format!("{BASE}/audio.m3u8?{query}")).await);
    }
    server.holds(6).await;
    show.finish();
    for asked in asked {
        let answer = got(asked).await;
        assert!(answer.status == 200 && answer.text().ends_with("#EXT-X-ENDLIST\n"), "{answer:?}");
        assert_eq!(seconds(&answer), 60);
    }
    for query in ["_HLS_msn=4&_HLS_part=0", "_HLS_msn=9999", "_HLS_msn=junk", "_HLS_part=1", "_HLS_skip=YES"] {
        let answer = server.get(&format!("{BASE}/source.m3u8?{query}")).await;
        assert!(answer.status == 200 && !answer.text().contains("EXT-X-SKIP"), "{query}: {answer:?}");
    }
    assert_eq!(server.get(&format!("{BASE}/source/9.0.m4s")).await.status, 404);
}

#[tokio::test]
async fn a_hint_that_the_end_overtakes_is_answered() {
    let mut show = Show::new(400);
    show.until_next(3, 0);
    let server = serve(&show).await;
    let asked = ask_later(&server, format!("{BASE}/audio/99.0.m4s")).await;
    assert_eq!(got(asked).await.status, 404);
    let (msn, part) = show.playlist().next_part.unwrap();
    let asked = ask_later(&server, format!("{BASE}/source/{msn}.{part}.m4s")).await;
    server.holds(1).await;
    show.finish();
    assert!(matches!(got(asked).await.status, 200 | 404));
}

#[tokio::test]
async fn an_early_player_is_held_until_the_tracks_are_known() {
    let mut show = Show::new(400);
    let server = serve(&show).await;
    let early = ask_later(&server, "/live/demo/index.m3u8".to_owned()).await;
    let never = ask_later(&server, "/live/demo/hevc.m3u8".to_owned()).await;
    show.until_next(1, 0);
    assert!(got(early).await.text().contains("s-1/source.m3u8"));
    let never = got(never).await;
    assert_eq!((never.status, seconds(&never)), (404, 1));
}

#[tokio::test]
async fn other_names_and_methods_are_refused() {
    let mut show = Show::new(400);
    show.until_next(3, 0);
    let server = serve(&show).await;
    for path in [
        "/live/other/index.m3u8",
        "/live/other/thumb.jpg",
        "/live/demo/s-2/source.m3u8",
        "/live/demo/s-1/720p.m3u8",
        "/live/demo/s-1/no-such-playlist.m3u8",
        "/live/demo/s-1/source/no-such-segment.m4s",
        "/live/demo/s-1/source/init-7.mp4",
        "/live/demo/s-1/source/1.99.m4s",
        "/live/demo/s-1/source/../source.m3u8",
        "/live/demo/../../etc/passwd",
        "/live/%64emo/index.m3u8",
        "/live/",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        if path != "/live/" {
            assert_eq!((answer.header("access-control-allow-origin"), seconds(&answer)), (Some("*"), 1), "{path}");
        }
    }
    let post = server.ask("POST", "/live/demo/index.m3u8", &[("Content-Length", "0")]).await;
    assert_eq!(
        (post.status, post.header("allow"), post.header("cache-control")),
        (405, Some("GET, HEAD, OPTIONS"), Some("no-store"))
    );
    let preflight =
        [("Origin", "http://x"), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "range")];
    let options = server.ask("OPTIONS", "/live/demo/s-1/source/1.m4s", &preflight).await;
    assert_eq!((options.status, options.header("access-control-allow-origin")), (204, Some("*")));
    assert!(options.header("access-control-allow-headers").unwrap().contains("Range"));
    assert_eq!(options.header("access-control-max-age"), Some("86400"));
}

#[tokio::test]
async fn http2_is_held_and_woken_like_http1() {
    let mut show = Show::new(40_000);
    show.until_next(3, 2);
    let server = serve(&show).await;
    let url = |path: &str| format!("http://{}{BASE}/{path}", server.address);
    // One connection each: curl 7.88 does not reuse one that began with prior knowledge.
    let held = ["source.m3u8?_HLS_msn=3&_HLS_part=2", "source/3.2.m4s"].map(|path| {
        Command::new("curl")
            .args([
                "-sf",
                "--http2-prior-knowledge",
                "-w",
                "%{http_version} %{http_code} %{size_download}",
                "-o",
                "/dev/null",
            ])
            .arg(url(path))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("curl is installed")
    });
    server.holds(2).await;
    show.until_next(3, 3);
    let sizes = [show.playlist().full.text().len(), show.source().part(3, 2).unwrap().len()];
    for (held, size) in held.into_iter().zip(sizes) {
        let output = timeout(PATIENCE, held.wait_with_output()).await.expect("an answer in time").unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("2 200 {size}"));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_longer_than_eight_seconds() {
    use tower::Service;
    let mut show = Show::new(400);
    show.until_next(3, 2);
    let mut router = origin::router(show.catalog());
    for path in ["source.m3u8?_HLS_msn=3&_HLS_part=2", "source/3.2.m4s"] {
        let begin = tokio::time::Instant::now();
        let request = Request::get(format!("{BASE}/{path}")).body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(
            (&response.headers()["cache-control"], &response.headers()["retry-after"]),
            (&"no-store".parse().unwrap(), &"1".parse().unwrap())
        );
        assert!(
            (Duration::from_secs(7)..Duration::from_secs(8)).contains(&begin.elapsed()),
            "{path}: {:?}",
            begin.elapsed()
        );
    }
}

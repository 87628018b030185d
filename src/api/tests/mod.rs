//! The API as a program meets it, over the real router and a SQLite store.

mod doors;
mod recordings;
mod targets;
mod uploads;
mod viewing;

use super::*;
use crate::usage::Meter;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use ingest::health::{Code, Issue, Measured, Report, Severity, Trial, Verdict};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};
use store::{Actor, Location};
use tempfile::TempDir;
use tower::ServiceExt as _;
use transcoder::Budget;

#[derive(Default)]
struct OneLive {
    stopped: Mutex<Vec<(String, bool)>>,
    allowed: Mutex<Vec<String>>,
}

impl LiveView for OneLive {
    fn streams(&self) -> Vec<LiveStream> {
        vec![LiveStream {
            name: "show".into(),
            state: LiveState::Live,
            since_ms: 1_000,
            session: "s-1".into(),
            width: Some(1280),
            height: Some(720),
            fps: Some(30.0),
            slate: false,
            captions: false,
            viewers: None,
            thumb: true,
            rewinds: true,
            renditions: vec![LiveRendition { name: "480p".into(), resting: true }],
            withheld: vec!["720p".into()],
            verdict: Verdict::Bad,
            encoder: Some("obs-studio".into()),
        }]
    }

    fn health(&self, name: &str) -> Option<LiveHealth> {
        let issue = Issue {
            code: Code::NoAudio,
            severity: Severity::Bad,
            value: 1.0,
            limit: 0.0,
            unit: "",
            since: UNIX_EPOCH + Duration::from_secs(1),
            problem: "No sound arrives.".into(),
            cure: "Unmute it.".into(),
        };
        (name == "show").then(|| LiveHealth {
            session: "s-1".into(),
            measured: Measured::default(),
            report: Report { verdict: Verdict::Bad, issues: vec![issue] },
        })
    }

    fn round_trip(&self, name: &str) -> Option<Duration> {
        (name == "show").then_some(Duration::from_micros(12_340))
    }

    fn rehearsal(&self, name: &str) -> Option<LiveRehearsal> {
        let health = self.health(name)?;
        let mut trial = Trial::default();
        (0..60).for_each(|_| trial.look(&health.report));
        let (live, longest) = (self.stream(name), Duration::from_secs(600));
        Some(LiveRehearsal { live, health: Some(health), trial, longest, preview: "show~secret".into() })
    }

    fn samples(&self, name: &str, after_ms: i64) -> Vec<Sample> {
        let sample = Sample {
            at_ms: store::now_ms(),
            video_kbps: Some(2_500.0),
            audio_kbps: Some(128.0),
            fps: Some(30.0),
            keyframe_s: Some(2.0),
            pace: Some(1.0),
            lag_ms: None,
            level_db: None,
        };
        if name == "show" && sample.at_ms > after_ms { vec![sample] } else { vec![] }
    }

    fn log(&self, name: &str, after: u64) -> Vec<LogRow> {
        let row = LogRow { seq: 1, at_ms: 1_000, kind: LogKind::Info, message: "It began.".into() };
        if name == "show" && after < row.seq { vec![row] } else { vec![] }
    }

    fn is_closing(&self) -> bool {
        false
    }

    fn stop(&self, name: &str, hold: Option<Duration>) -> bool {
        self.stopped.lock().unwrap().push((name.to_owned(), hold.is_some()));
        name == "show"
    }

    fn allow(&self, name: &str) {
        self.allowed.lock().unwrap().push(name.to_owned());
    }

    fn replay<'a>(
        &'a self,
        _: &'a Actor,
        recording: &'a str,
        to: &'a str,
        loops: bool,
    ) -> BoxFuture<'a, Result<ReplayFacts, ReplayRefused>> {
        let facts = ReplayFacts { recording: recording.into(), stream: to.into(), loops, since_ms: 1_000 };
        Box::pin(async move { if to == "show" { Err(ReplayRefused::Busy) } else { Ok(facts) } })
    }

    fn replays(&self) -> Vec<ReplayFacts> {
        vec![ReplayFacts { recording: "r".into(), stream: "other".into(), loops: true, since_ms: 1_000 }]
    }
}

struct Bed {
    router: Router,
    store: Store,
    live: Arc<OneLive>,
    token: ApiToken,
    office: Arc<BoxOffice>,
    _dir: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::in_dir(dir.path())).await.unwrap();
        let (live, token) = (Arc::new(OneLive::default()), ApiToken::generate().unwrap());
        let ingest = IngestAddresses { rtmp: Some("rtmp://localhost/live".into()), rtmps: None };
        let facts = Facts {
            started_ms: 1_000,
            streams_max: 200,
            budget: Budget::new(2, 53e6),
            meter: Arc::new(Meter::new(dir.path().to_owned())),
            gstreamer: "1.22".into(),
            encoder: "x264".into(),
            data_dir: dir.path().display().to_string(),
            https: Some("https://localhost:8443".into()),
            warnings: vec![Warning::new("rtmp_in_clear", "Keys travel in clear.")],
        };
        let tape = Arc::new(recordings::OneTape);
        let office = Arc::new(BoxOffice::open(store.clone(), token.clone()).await.unwrap());
        let entry = (token.clone(), Arc::clone(&office));
        let api = Api::new(store.clone(), Arc::clone(&live) as Arc<dyn LiveView>, tape, entry, facts);
        let uploads = uploads::open(dir.path(), &store);
        let api = api.with_data_dir(dir.path().to_owned()).with_ingest(ingest).with_uploads(uploads);
        let router = router(api.with_outlets(Arc::new(targets::Fixed::new())));
        Self { router, store, live, token, office, _dir: dir }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.ask_as(Some(self.token.reveal()), method, path, body).await
    }

    async fn ask_as(&self, token: Option<&str>, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

/// A request of a browser on this machine, with what it sends besides.
async fn browser(
    bed: &Bed,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> axum::response::Response {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    bed.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// The cookie of a browser that has just been signed in.
async fn signed_in(bed: &Bed) -> String {
    let body = json!({ "token": bed.token.reveal() }).to_string();
    let answer = browser(bed, "POST", "/api/v1/session", &[OWN_PAGE], &body).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(set.ends_with("; Path=/; Max-Age=7776000; Secure; HttpOnly; SameSite=Lax"), "{set}");
    assert!(!set.contains(bed.token.reveal()), "the token is in no cookie");
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_operator_is_told_what_is_wrong_and_others_are_told_nothing() {
    let bed = Bed::new().await;
    let (status, told) = bed.ask("GET", "/api/v1/streams/show/health", None).await;
    assert_eq!((status, &told["verdict"], &told["session"]), (StatusCode::OK, &json!("bad"), &json!("s-1")));
    let issue = json!({ "code": "no_audio", "severity": "bad", "value": 1.0, "limit": 0.0, "unit": "", "since_ms": 1_000,
        "problem": "No sound arrives.", "cure": "Unmute it." });
    assert_eq!(told["issues"], json!([issue]));
    let (status, _) = bed.ask_as(None, "GET", "/api/v1/streams/show/health", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = bed.ask("GET", "/api/v1/streams/other/health", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "other" }))).await;
    let (status, told) = bed.ask("GET", "/api/v1/streams/other/health", None).await;
    assert_eq!((status, &told["verdict"], &told["issues"]), (StatusCode::OK, &json!("no_data"), &json!([])));
}

#[tokio::test]
async fn a_stream_lives_from_its_adding_to_its_removal() {
    let bed = Bed::new().await;
    let (status, made) = bed
        .ask("POST", "/api/v1/streams", Some(json!({ "name": "show", "title": "Evening", "ladder": "480p:900k" })))
        .await;
    assert_eq!(
        (status, made["name"].as_str(), made["title"].as_str()),
        (StatusCode::CREATED, Some("show"), Some("Evening"))
    );
    let key = made["key"].as_str().unwrap();
    assert!(bed.store.verify_key(Some("show"), key, now()).await.unwrap().is_some());

    let (_, listed) = bed.ask("GET", "/api/v1/streams", None).await;
    assert_eq!(
        (listed["streams"][0]["ladder"].as_str(), listed["streams"][0]["key"].as_str()),
        (Some("480p:900k"), None)
    );
    assert_eq!(listed["streams"][0]["live"]["session"], "s-1");

    let (status, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "ladder": "default" }))).await;
    assert_eq!((status, &set["ladder"], set["title"].as_str()), (StatusCode::OK, &Value::Null, Some("Evening")));

    let rules = json!({ "reconnect_window_s": 90, "takeover": "reject" });
    let (_, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(rules)).await;
    assert_eq!((&set["reconnect_window_s"], &set["takeover"]), (&json!(90), &json!("reject")));
    let (_, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "takeover": null }))).await;
    assert_eq!((&set["reconnect_window_s"], &set["takeover"]), (&json!(90), &Value::Null), "null is the default");
    let (_, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "slate": "off" }))).await;
    assert_eq!((&set["slate"], &set["slate_image"]), (&json!("off"), &json!(false)));
    assert_eq!(set["latency"], "low");
    let (_, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "latency": "standard" }))).await;
    assert_eq!(set["latency"], "standard");
    let (status, refused) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "slate": "image" }))).await;
    assert!(refused["message"].as_str().unwrap().contains("PUT /api/v1/streams/show/slate"), "{refused}");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "reconnect_window_s": 301 }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let (status, rotated) = bed.ask("POST", "/api/v1/streams/show/rotate-key", Some(json!({ "overlap_s": 0 }))).await;
    assert_eq!((status, rotated["keys"].as_array().unwrap().len()), (StatusCode::CREATED, 1));
    assert!(bed.store.verify_key(None, key, now()).await.unwrap().is_none());

    let id = rotated["keys"][0]["id"].as_str().unwrap();
    assert_eq!(bed.ask("DELETE", &format!("/api/v1/streams/show/keys/{id}"), None).await.0, StatusCode::NO_CONTENT);
    let (_, stopped) = bed.ask("POST", "/api/v1/streams/show/stop", None).await;
    assert_eq!(stopped["stopped"], true);
    let until_ms = stopped["stopped_until_ms"].as_i64().unwrap();
    assert!((now() + 50_000..=now() + 60_000).contains(&until_ms), "{until_ms}");
    assert_eq!(bed.ask("GET", "/api/v1/streams/show", None).await.1["stopped_until_ms"], until_ms);
    let (_, allowed) = bed.ask("POST", "/api/v1/streams/show/allow", None).await;
    assert_eq!(allowed["stopped_until_ms"], Value::Null);
    assert_eq!(*bed.live.allowed.lock().unwrap(), ["show"]);
    assert_eq!(bed.ask("DELETE", "/api/v1/streams/show", None).await.0, StatusCode::NO_CONTENT);
    let stops = [("show".to_owned(), true), ("show".to_owned(), false)];
    assert_eq!(*bed.live.stopped.lock().unwrap(), stops, "only an operator's stop holds");
    assert_eq!(bed.ask("GET", "/api/v1/streams/show", None).await.0, StatusCode::NOT_FOUND);

    let (_, audit) = bed.ask("GET", "/api/v1/audit?after=1", None).await;
    let acts: Vec<&str> = audit["rows"].as_array().unwrap().iter().map(|row| row["act"].as_str().unwrap()).collect();
    let set = ["stream.set"; 5];
    let rest = ["key.rotate", "key.revoke", "stream.stop", "stream.allow", "stream.remove"];
    assert_eq!(acts, [&set[..], &rest[..]].concat());
    assert!(!audit.to_string().contains(&key[12..]), "the audit holds no secret");
}

fn now() -> i64 {
    store::now_ms()
}

#[tokio::test]
async fn refusals_are_json_with_a_word_and_a_sentence() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let cases = [
        ("POST", "/api/v1/streams", Some(json!({ "name": "show" })), 409, "stream_exists"),
        ("POST", "/api/v1/streams", Some(json!({ "name": "Bad Name" })), 400, "bad_name"),
        ("POST", "/api/v1/streams", Some(json!({ "name": "x", "ladder": "tall" })), 400, "bad_setting"),
        ("POST", "/api/v1/streams", Some(json!({ "name": "x", "titel": "y" })), 422, "bad_body"),
        ("POST", "/api/v1/streams", None, 415, "bad_body"),
        ("PATCH", "/api/v1/streams/show", Some(json!({})), 400, "nothing_to_change"),
        ("DELETE", "/api/v1/streams/nobody", None, 404, "no_such_stream"),
        ("DELETE", "/api/v1/streams/show/keys/abcdefgh", None, 404, "no_such_key"),
        ("GET", "/api/v1/audit?after=x", None, 400, "bad_query"),
        ("GET", "/api/v1/audit?after=1&before=2", None, 400, "bad_query"),
        ("GET", "/api/v1/nowhere", None, 404, "no_such_route"),
        ("PUT", "/api/v1/streams", Some(json!({})), 405, "wrong_method"),
        ("GET", "/api/v1/live/nobody", None, 404, "not_live"),
    ];
    for (method, path, body, status, code) in cases {
        let (answered, answer) = bed.ask(method, path, body).await;
        assert_eq!((answered.as_u16(), answer["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
        assert!(answer["message"].as_str().unwrap().ends_with('.'), "{answer}");
    }
}

#[tokio::test]
async fn a_scene_switcher_reads_it_as_nginx_rtmps() {
    let bed = Bed::new().await;
    for name in ["show", "other"] {
        bed.ask("POST", "/api/v1/streams", Some(json!({ "name": name }))).await;
    }
    let read = async |path: String| {
        let answer = browser(&bed, "GET", &path, &[], "").await;
        let status = answer.status();
        (status, String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap())
    };
    let token = bed.token.dock("show");
    let (status, xml) = read(format!("/api/v1/streams/show/nginx-rtmp.xml?token={token}")).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "<application><name>live</name><live><stream><name>show</name>",
        "<bw_video>2500000</bw_video>",
        "<frame_rate>30</frame_rate>",
        "<active/>",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    let (status, _) = read(format!("/api/v1/streams/other/nginx-rtmp.xml?token={token}")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = read(format!("/api/v1/streams/show/nginx-rtmp.xml?token={}", bed.token.reveal())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the operator's token is taken in no address");
    let (_, xml) = read(format!("/api/v1/streams/other/nginx-rtmp.xml?token={}", bed.token.dock("other"))).await;
    assert!(xml.contains("<live></live>"), "{xml}");

    let (status, srs) = read(format!("/api/v1/streams/show/srs.json?token={token}")).await;
    let srs: Value = serde_json::from_str(&srs).unwrap();
    assert_eq!((status, &srs["code"]), (StatusCode::OK, &json!(0)));
    let stream = &srs["streams"][0];
    assert_eq!((&stream["name"], &stream["publish"]["active"]), (&json!("show"), &json!(true)), "{srs}");
    assert_eq!((&stream["kbps"]["recv_30s"], &stream["video"]["height"]), (&json!(2_628), &json!(720)), "{srs}");
    let (_, srs) = read(format!("/api/v1/streams/other/srs.json?token={}", bed.token.dock("other"))).await;
    assert_eq!(serde_json::from_str::<Value>(&srs).unwrap()["streams"], json!([]));
}

#[tokio::test]
async fn a_rehearsal_is_told_with_its_score_and_its_preview() {
    let bed = Bed::new().await;
    for name in ["show", "other"] {
        bed.ask("POST", "/api/v1/streams", Some(json!({ "name": name }))).await;
    }
    let (_, told) = bed.ask("GET", "/api/v1/streams/show/rehearsal", None).await;
    assert_eq!((&told["state"], &told["score"], &told["left_s"]), (&json!("running"), &json!(60), &json!(0)), "{told}");
    let flaw = &told["flaws"][0];
    assert_eq!(
        (&flaw["code"], &flaw["seconds"], &flaw["cure"]),
        (&json!("no_audio"), &json!(60), &json!("Unmute it."))
    );
    assert_eq!((&told["preview"], &told["health"]["verdict"]), (&json!("/watch/show~secret"), &json!("bad")));
    let (_, told) = bed.ask("GET", "/api/v1/streams/other/rehearsal", None).await;
    assert_eq!((&told["state"], &told["preview"], &told["left_s"]), (&json!("none"), &Value::Null, &Value::Null));
}

/// What a follower is told until it has been told `count` events of that name, or the end.
async fn told(answer: axum::response::Response, name: &str, count: usize) -> String {
    let (mut body, mut text) = (answer.into_body().into_data_stream(), String::new());
    while text.matches(&format!("event: {name}\n")).count() < count {
        let Some(chunk) = body.next().await else { break };
        text += std::str::from_utf8(&chunk.unwrap()).unwrap();
    }
    text
}

#[tokio::test]
async fn a_stream_is_followed_as_it_goes_on() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let (_, stats) = bed.ask("GET", "/api/v1/streams/show/stats", None).await;
    assert_eq!((&stats["state"], &stats["bitrate_kbps"]), (&json!("live"), &json!(2_628.0)), "{stats}");
    assert_eq!((&stats["encoder"], &stats["verdict"]), (&json!("obs-studio"), &json!("bad")));
    assert_eq!(stats["rtt_ms"], json!(12.3));
    let (_, history) = bed.ask("GET", "/api/v1/streams/show/history", None).await;
    assert_eq!((&history["step_ms"], &history["samples"][0]["fps"]), (&json!(1_000), &json!(30.0)));
    let (_, log) = bed.ask("GET", "/api/v1/streams/show/log", None).await;
    assert_eq!(log["rows"], json!([{ "seq": 1, "at_ms": 1_000, "kind": "info", "message": "It began." }]));
    let (_, off) = bed.ask("GET", "/api/v1/streams/other/stats", None).await;
    assert_eq!(off["code"], "no_such_stream");

    let bearer = format!("Bearer {}", bed.token.reveal());
    let answer = browser(&bed, "GET", "/api/v1/streams/show/events", &[("authorization", &bearer)], "").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    let text = told(answer, "stats", 1).await;
    assert!(text.starts_with("event: health\ndata: {\"stream\":\"show\",\"verdict\":\"bad\""), "{text}");
}

#[tokio::test]
async fn what_players_tell_is_summed_up_for_the_operator() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    let told = json!({ "startup_ms": 700, "played_ms": 9_000, "stalled_ms": 1_000, "stalls": 1, "rendition": "480p", "later": 1 });
    let made_up = json!({ "played_ms": 9_000, "rendition": "<script>" });
    for (told, path, status) in [
        (&told, "/api/v1/live/show/beacon", StatusCode::NO_CONTENT),
        (&made_up, "/api/v1/live/show/beacon", StatusCode::NO_CONTENT),
        (&told, "/api/v1/live/nobody/beacon", StatusCode::NOT_FOUND),
        (&json!({ "played_ms": -1 }), "/api/v1/live/show/beacon", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(bed.ask_as(None, "POST", path, Some(told.clone())).await.0, status, "{told}");
    }
    let (_, seen) = bed.ask("GET", "/api/v1/streams/show/experience", None).await;
    assert_eq!((&seen["beacons"], &seen["stalls"]), (&json!(2), &json!(1)), "{seen}");
    assert!(seen["startup_ms"]["p50"].as_u64().is_some_and(|ms| (600..820).contains(&ms)), "{seen}");
    assert_eq!(seen["renditions"], json!([{ "name": "480p", "share": 1.0 }]));
    assert_eq!(bed.ask_as(None, "GET", "/api/v1/streams/show/experience", None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_server_tells_of_its_machine() {
    let bed = Bed::new().await;
    let (status, server) = bed.ask("GET", "/api/v1/server", None).await;
    assert_eq!((status, &server["live"], &server["cpu"]["cores"]), (StatusCode::OK, &json!(1), &json!(2)));
    assert_eq!((&server["budget"]["cores"], &server["budget"]["planned"]), (&json!(1.7), &json!(0.0)));
    assert!(server["memory"]["total_bytes"].as_u64() > server["memory"]["used_bytes"].as_u64(), "{server}");
    assert!(server["disk"]["free_bytes"].as_u64().is_some_and(|free| free > 0), "{server}");
    assert_eq!(server["warnings"][0]["code"], "rtmp_in_clear");
}

#[tokio::test]
async fn the_audit_is_read_from_its_end_or_from_any_row() {
    let bed = Bed::new().await;
    for name in ["one", "two", "three"] {
        bed.ask("POST", "/api/v1/streams", Some(json!({ "name": name }))).await;
    }
    for (query, numbers) in
        [("", [1, 2, 3].as_slice()), ("?limit=1", &[3]), ("?before=3&limit=1", &[2]), ("?after=0&limit=1", &[1])]
    {
        let (_, audit) = bed.ask("GET", &format!("/api/v1/audit{query}"), None).await;
        let rows: Vec<i64> = audit["rows"].as_array().unwrap().iter().map(|row| row["seq"].as_i64().unwrap()).collect();
        assert_eq!(rows, numbers, "{query}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let bed = Bed::new().await;
    let body = json!({ "name": "show", "title": "x".repeat(BODY_BYTES_MAX) });
    assert_eq!(bed.ask("POST", "/api/v1/streams", Some(body)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn anyone_may_ask_what_is_live_from_any_page() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show", "title": "Evening" }))).await;
    let (status, list) = bed.ask_as(None, "GET", "/api/v1/live", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(list["ingest"], json!({ "rtmp": "rtmp://localhost/live", "rtmps": null }));
    let shown = &list["streams"][0];
    assert_eq!(
        (shown["title"].as_str(), shown["state"].as_str(), shown["thumb"].as_str()),
        (Some("Evening"), Some("live"), Some("/live/show/thumb.jpg"))
    );
    bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "title": "Night" }))).await;
    assert_eq!(
        (&shown["renditions"], &shown["withheld"]),
        (&json!([{ "name": "480p", "resting": true }]), &json!(["720p"]))
    );
    let (_, one) = bed.ask_as(None, "GET", "/api/v1/live/show", None).await;
    assert_eq!(
        (one["title"].as_str(), one["session"].as_str(), one["width"].as_u64()),
        (Some("Night"), Some("s-1"), Some(1280))
    );

    let request = |path| Request::builder().uri(path).body(Body::empty()).unwrap();
    let open = bed.router.clone().oneshot(request("/api/v1/live")).await.unwrap();
    assert_eq!(open.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let closed = bed.router.clone().oneshot(request("/api/v1/streams")).await.unwrap();
    assert!(closed.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    assert_eq!(closed.headers()[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn the_description_names_every_route() {
    let bed = Bed::new().await;
    let (status, described) = bed.ask_as(None, "GET", "/api/v1/openapi.json", None).await;
    assert_eq!(status, StatusCode::OK);
    let paths: Vec<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "/api/v1/streams",
        "/api/v1/streams/{name}",
        "/api/v1/streams/{name}/rotate-key",
        "/api/v1/streams/{name}/keys/{id}",
        "/api/v1/streams/{name}/stop",
        "/api/v1/audit",
        "/api/v1/live",
        "/api/v1/live/{name}",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
    assert_eq!(described["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

//! Recordings, their clips and the trash, and what the public gets of them.

use super::*;
use futures_util::future::BoxFuture;
use store::{Measured as Became, Recording};

/// The session `s-1` of `show`, segments 10 to 39 of two seconds each.
pub struct OneTape;

impl Archive for OneTape {
    fn begin(&self, stream: &str, back: Duration, _: &[String]) -> Option<Beginning> {
        let from_msn = 39 - (back.as_secs() / 2).min(29);
        let started_ms = 1_000 + 2_000 * from_msn as i64;
        let (session, renditions) = ("s-1".to_owned(), vec!["source".to_owned()]);
        (stream == "show").then_some(Beginning { session, from_msn, started_ms, renditions })
    }

    fn end(&self, stream: &str, session: &str) -> Option<u64> {
        ((stream, session) == ("show", "s-1")).then_some(40)
    }

    fn cut<'a>(&'a self, whole: &'a Recording, from: Duration, until: Duration) -> BoxFuture<'a, Option<Piece>> {
        let from_msn = whole.from_msn + from.as_secs() / 2;
        let until_msn = (whole.from_msn + until.as_secs().div_ceil(2)).min(40);
        let count = until_msn.saturating_sub(from_msn);
        let (from_ms, duration_ms, size_bytes) = (1_000 * from.as_secs(), 2_000 * count, 1_000 * count);
        let piece = Piece { from_msn, until_msn, from_ms, started_ms: 1, duration_ms, size_bytes };
        Box::pin(async move { (count > 0).then_some(piece) })
    }

    fn downloads<'a>(&'a self, _: &'a Recording) -> BoxFuture<'a, Vec<DownloadFacts>> {
        let rendition = "source".to_owned();
        let file = DownloadFacts { rendition, number: 1, begins_ms: 0, duration_ms: 22_000, size_bytes: 9_000 };
        Box::pin(async move { vec![file] })
    }

    fn cover<'a>(&'a self, _: &'a Recording) -> BoxFuture<'a, Option<(u32, u32)>> {
        Box::pin(async { Some((640, 480)) })
    }

    fn storage(&self) -> Storage {
        let reason = Some("the bucket show is not there; make it".to_owned());
        let place = "s3://show".to_owned();
        let copies = Copies { place, standing: "blocked", reason, backlog_bytes: 5 << 20, backlog_s: 9 };
        Storage { bytes: 1, free_bytes: 2, paused: Some("disk_full"), copies: Some(copies) }
    }

    fn ticket(&self, recording: &str, lasts: Duration) -> (String, i64) {
        (format!("t-{recording}"), lasts.as_millis() as i64)
    }

    fn may_open(&self, recording: &str, ticket: &str) -> bool {
        ticket == format!("t-{recording}")
    }

    fn import_percent(&self, _: &str) -> Option<u8> {
        None
    }
}

/// A stream that is recorded on request, and its recording, which can be watched.
async fn recorded(bed: &Bed) -> String {
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show", "record": "request", "title": "Evening" }))).await;
    let (status, begun) = bed.ask("POST", "/api/v1/streams/show/recording", Some(json!({ "back_s": 20 }))).await;
    assert_eq!(
        (status, &begun["status"], &begun["title"]),
        (StatusCode::CREATED, &json!("recording"), &json!("Evening"))
    );
    let (_, streams) = bed.ask("GET", "/api/v1/streams", None).await;
    assert_eq!(streams["streams"][0]["recording"]["id"], begun["id"]);
    let (status, _) = bed.ask("DELETE", "/api/v1/streams/show/recording", None).await;
    assert_eq!(status, StatusCode::OK);
    let id = begun["id"].as_str().unwrap().to_owned();
    let became = Became { duration_ms: 22_000, size_bytes: 11_000 };
    bed.store.finish_recording(&id, became, None, now()).await.unwrap();
    id
}

#[tokio::test]
async fn what_is_kept_of_a_stream_is_set_with_its_other_settings() {
    let bed = Bed::new().await;
    let (_, made) = bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    assert_eq!((&made["record"], &made["recording"]), (&json!("never"), &Value::Null));
    assert_eq!(made["record_renditions"], json!(["source", "720p"]));
    let wanted = json!({ "record": "always", "record_renditions": ["480p"], "record_visibility": "public",
        "keep_days": 30, "keep_bytes": 1_000_000_000_000_u64, "keep_count": 5 });
    let (status, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(wanted.clone())).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&set[key], value, "{key}");
    }
    let (_, set) = bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "keep_days": null }))).await;
    assert_eq!((&set["keep_days"], &set["keep_count"]), (&Value::Null, &json!(5)));
    for bad in [
        json!({ "record": "sometimes" }),
        json!({ "record_renditions": [] }),
        json!({ "record_visibility": "friends" }),
        json!({ "keep_days": 0 }),
        json!({ "keep_hours": 1 }),
    ] {
        let (status, told) = bed.ask("PATCH", "/api/v1/streams/show", Some(bad.clone())).await;
        assert!(status.is_client_error() && told["message"].as_str().is_some(), "{bad}: {status} {told}");
    }
}

#[tokio::test]
async fn a_recording_on_request_begins_and_ends_by_the_api() {
    let bed = Bed::new().await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "show" }))).await;
    bed.ask("POST", "/api/v1/streams", Some(json!({ "name": "other", "record": "request" }))).await;
    let code = |told: &Value| told["code"].as_str().unwrap_or_default().to_owned();
    for (path, wanted) in [
        ("/api/v1/streams/show/recording", (StatusCode::BAD_REQUEST, "bad_setting")),
        ("/api/v1/streams/other/recording", (StatusCode::CONFLICT, "not_live")),
        ("/api/v1/streams/none/recording", (StatusCode::NOT_FOUND, "no_such_stream")),
    ] {
        let (status, told) = bed.ask("POST", path, Some(json!({}))).await;
        assert_eq!((status, code(&told).as_str()), wanted, "{path}");
    }
    let (status, told) = bed.ask("DELETE", "/api/v1/streams/show/recording", None).await;
    assert_eq!((status, code(&told).as_str()), (StatusCode::NOT_FOUND, "not_recorded"));
    let id = recorded_again(&bed).await;
    let (status, told) = bed.ask("POST", "/api/v1/streams/show/recording", Some(json!({}))).await;
    assert_eq!((status, code(&told).as_str()), (StatusCode::CONFLICT, "recorded_already"));
    let (status, told) = bed.ask("DELETE", &format!("/api/v1/recordings/{id}"), None).await;
    assert_eq!((status, code(&told).as_str()), (StatusCode::CONFLICT, "not_now"), "it runs");
}

async fn recorded_again(bed: &Bed) -> String {
    bed.ask("PATCH", "/api/v1/streams/show", Some(json!({ "record": "request" }))).await;
    let (_, begun) = bed.ask("POST", "/api/v1/streams/show/recording", Some(json!({ "title": "By hand" }))).await;
    assert_eq!(begun["title"], "By hand", "{begun}");
    begun["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_public_finds_what_is_public_and_opens_what_is_not_private() {
    let bed = Bed::new().await;
    let id = recorded(&bed).await;
    let path = format!("/api/v1/recordings/{id}");
    let (_, shown) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}?ticket=lies"), None).await;
    assert_eq!(shown["hls"], format!("/vod/{id}/index.m3u8"), "what is open needs no ticket");
    for (visibility, listed, opened) in [("private", 0, 404), ("unlisted", 0, 200), ("public", 1, 200)] {
        let (_, edited) = bed.ask("PATCH", &path, Some(json!({ "visibility": visibility, "tags": ["Jazz"] }))).await;
        assert_eq!(edited["visibility"], visibility);
        let (_, library) = bed.ask_as(None, "GET", "/api/v1/library", None).await;
        assert_eq!((&library["total"], library["recordings"].as_array().unwrap().len()), (&json!(listed), listed));
        let (status, _) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}"), None).await;
        assert_eq!(status.as_u16(), opened, "{visibility}");
        let (status, shown) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}?ticket=t-{id}"), None).await;
        let media = if visibility == "private" { format!("/p/t-{id}") } else { String::new() };
        assert_eq!((status.as_u16(), &shown["hls"]), (200, &json!(format!("{media}/vod/{id}/index.m3u8"))));
        let (_, files) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}/downloads?ticket=t-{id}"), None).await;
        let href = json!(format!("{media}/vod/{id}/source/download-1.mp4"));
        assert_eq!(files["downloads"][0]["href"], href);
        let (_, operators) = bed.ask("GET", &path, None).await;
        assert_eq!(operators["hls"], shown["hls"], "the operator gets a ticket where it takes one");
    }
    let (_, found) = bed.ask_as(None, "GET", "/api/v1/library?q=EVEN&tag=jazz&sort=-size", None).await;
    assert_eq!(found["recordings"][0]["id"], id.as_str());
    let (_, none) =
        bed.ask_as(None, "GET", "/api/v1/library?visibility=private&status=failed&trashed=true", None).await;
    assert_eq!(none["total"], 1, "the public can't ask for more than the public's");
    bed.ask("POST", &format!("{path}/trash"), None).await;
    let (status, _) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody sees what is in the trash");
    for guarded in ["/api/v1/recordings".to_owned(), path] {
        assert_eq!(bed.ask_as(None, "GET", &guarded, None).await.0, StatusCode::UNAUTHORIZED);
    }
    for (bad, code) in [("sort=colour", "bad_sort"), ("cursor=x", "bad_cursor"), ("status=asleep", "bad_setting")] {
        let (status, told) = bed.ask_as(None, "GET", &format!("/api/v1/library?{bad}"), None).await;
        assert_eq!((status, told["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{bad}");
    }
}

#[tokio::test]
async fn a_clip_is_cut_kept_and_deleted_beside_its_recording() {
    let bed = Bed::new().await;
    let id = recorded(&bed).await;
    let clips = format!("/api/v1/recordings/{id}/clips");
    let (status, clip) = bed.ask("POST", &clips, Some(json!({ "start_s": 3, "end_s": 7.5 }))).await;
    assert_eq!((status, &clip["clip_of"], &clip["title"]), (StatusCode::CREATED, &json!(id), &json!("Evening")));
    assert_eq!(clip["duration_ms"], 6_000);
    for bad in [
        json!({ "start_s": 5, "end_s": 5 }),
        json!({ "start_s": -1, "end_s": 5 }),
        json!({ "start_s": 90, "end_s": 91 }),
    ] {
        let (status, told) = bed.ask("POST", &clips, Some(bad.clone())).await;
        assert_eq!((status, told["code"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_range")), "{bad}");
    }
    let (status, told) = bed.ask("PATCH", &format!("/api/v1/recordings/{id}"), Some(json!({}))).await;
    assert_eq!((status, told["code"].as_str()), (StatusCode::BAD_REQUEST, Some("nothing_to_change")));
    assert_eq!(bed.ask("DELETE", &format!("/api/v1/recordings/{id}"), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(bed.ask("DELETE", &format!("/api/v1/recordings/{id}"), None).await.0, StatusCode::NOT_FOUND);
    let (_, left) = bed.ask("GET", "/api/v1/recordings?clip=true", None).await;
    assert_eq!((&left["total"], &left["recordings"][0]["id"]), (&json!(1), &clip["id"]));
    let path = format!("/api/v1/recordings/{}", clip["id"].as_str().unwrap());
    assert_eq!(bed.ask("POST", &format!("{path}/restore"), None).await.0, StatusCode::CONFLICT);
    for (act, wanted) in [("trash", 1), ("restore", 0)] {
        assert_eq!(bed.ask("POST", &format!("{path}/{act}"), None).await.0, StatusCode::OK);
        assert_eq!(bed.ask("GET", "/api/v1/recordings?trashed=true", None).await.1["total"], wanted);
    }
}

#[tokio::test]
async fn the_server_says_what_is_wrong_with_disk_and_vault() {
    let bed = Bed::new().await;
    let (_, server) = bed.ask("GET", "/api/v1/server", None).await;
    assert_eq!(
        (&server["storage"]["paused"], &server["storage"]["copies"]["backlog_s"]),
        (&json!("disk_full"), &json!(9))
    );
    let said = |code: &str| {
        let all = server["warnings"].as_array().unwrap();
        all.iter().find(|warning| warning["code"] == code).unwrap_or_else(|| panic!("{all:?}"))["message"].clone()
    };
    assert!(said("recording_paused").as_str().unwrap().contains("make room"));
    assert_eq!(said("vault_away"), "s3://show takes no copies, 5 MiB wait: the bucket show is not there; make it.");
}

/// What a page elsewhere is told of an address of ours.
async fn embedding(bed: &Bed, query: &str) -> (StatusCode, Value) {
    let answer = browser(bed, "GET", &format!("/oembed?{query}"), &[], "").await;
    let status = answer.status();
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn pages_elsewhere_are_told_how_to_embed_what_all_may_see() {
    let bed = Bed::new().await;
    let id = recorded(&bed).await;
    let title = json!({ "title": "\"Jazz\" <b>& more" });
    bed.ask("PATCH", &format!("/api/v1/recordings/{id}"), Some(title)).await;
    let url = format!("url=http://localhost:8080/recordings/{id}");
    let (status, told) = embedding(&bed, &format!("{url}&format=json&maxwidth=400&maxheight=1000")).await;
    assert_eq!((status, &told["version"], &told["type"]), (StatusCode::OK, &json!("1.0"), &json!("video")), "{told}");
    assert_eq!((&told["width"], &told["height"], &told["author_name"]), (&json!(400), &json!(300), &json!("show")));
    assert_eq!(told["thumbnail_url"], format!("http://localhost:8080/vod/{id}/thumb.jpg"));
    let begins = format!(
        "<iframe src=\"http://localhost:8080/embed/recordings/{id}\" \
         title=\"&quot;Jazz&quot; &lt;b&gt;&amp; more\" width=\"400\" height=\"300\" "
    );
    assert!(told["html"].as_str().unwrap().starts_with(&begins), "{told}");

    let (status, live) = embedding(&bed, "url=https%3A%2F%2Flocalhost%3A8080%2Fwatch%2Fshow").await;
    assert_eq!((status, &live["title"], &live["height"]), (StatusCode::OK, &json!("Evening"), &json!(360)), "{live}");
    assert_eq!(live["thumbnail_url"], Value::Null);

    for (query, status, code) in [
        ("url=http://localhost:8080/watch/nobody", 404, "no_such_page"),
        ("url=http://elsewhere.example/watch/show", 404, "no_such_page"),
        ("url=http://localhost:8080/", 404, "no_such_page"),
        ("url=http://localhost:8080/recordings/nothing", 404, "no_such_recording"),
        ("url=http://localhost:8080/watch/show&format=xml", 501, "bad_format"),
        ("url=http://localhost:8080/watch/show&maxwidth=wide", 400, "bad_query"),
        ("", 400, "bad_query"),
    ] {
        let (answered, told) = embedding(&bed, query).await;
        assert_eq!((answered.as_u16(), &told["code"]), (status, &json!(code)), "{query}: {told}");
    }
    bed.ask("PATCH", &format!("/api/v1/recordings/{id}"), Some(json!({ "visibility": "private" }))).await;
    for query in [url.clone(), format!("{url}?ticket=t-{id}")] {
        assert_eq!(embedding(&bed, &query).await.0, StatusCode::NOT_FOUND, "{query}");
    }
    bed.ask("PATCH", &format!("/api/v1/recordings/{id}"), Some(json!({ "visibility": "unlisted" }))).await;
    assert_eq!(embedding(&bed, &url).await.0, StatusCode::OK);
}

#[tokio::test]
async fn chapters_are_set_as_lines_and_told_as_a_list() {
    let bed = Bed::new().await;
    let id = recorded(&bed).await;
    let path = format!("/api/v1/recordings/{id}");
    let lines = json!({ "chapters": "0:00 Doors\n0:10.5 First song" });
    let (status, set) = bed.ask("PATCH", &path, Some(lines)).await;
    let wanted = json!([{ "at_ms": 0, "title": "Doors" }, { "at_ms": 10_500, "title": "First song" }]);
    assert_eq!((status, &set["chapters"]), (StatusCode::OK, &wanted), "{set}");
    let (_, seen) = bed.ask_as(None, "GET", &format!("/api/v1/library/{id}"), None).await;
    assert_eq!(seen["chapters"], wanted);
    for (bad, why) in [("0:00 a\nnow b", "line 2"), ("0:22 behind the end", "behind the recording's end")] {
        let (status, told) = bed.ask("PATCH", &path, Some(json!({ "chapters": bad }))).await;
        assert_eq!((status, &told["code"]), (StatusCode::BAD_REQUEST, &json!("bad_setting")), "{told}");
        assert!(told["message"].as_str().unwrap().contains(why), "{told}");
    }
    let (_, clip) = bed.ask("POST", &format!("{path}/clips"), Some(json!({ "start_s": 2, "end_s": 6 }))).await;
    assert_eq!(clip["chapters"], json!([]), "they are places in the whole");
    let (_, none) = bed.ask("PATCH", &path, Some(json!({ "chapters": "" }))).await;
    assert_eq!(none["chapters"], json!([]));
}

#[tokio::test]
async fn replays_are_begun_and_listed_by_the_operator() {
    let bed = Bed::new().await;
    let (status, facts) =
        bed.ask("POST", "/api/v1/recordings/r/replay", Some(json!({ "to": "b", "loop": true }))).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(facts, json!({ "recording": "r", "stream": "b", "loop": true, "since_ms": 1_000 }));
    let (status, refused) = bed.ask("POST", "/api/v1/recordings/r/replay", Some(json!({ "to": "show" }))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("stream_busy")), "{refused}");
    let (status, _) = bed.ask("POST", "/api/v1/recordings/r/replay", Some(json!({ "loop": true }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "where to is not said");
    let (_, list) = bed.ask("GET", "/api/v1/replays", None).await;
    assert_eq!(list["replays"][0]["stream"], "other", "{list}");
}

//! Streams that not everybody may watch: what their tickets open, and that nothing else does.

use crate::browser::browse;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Clip, Process, Publisher, Server, Stream, eventually, eventually_within, hls, run, tool};

/// A server with a private stream that is recorded, and no ladder.
fn private() -> (Server, Stream) {
    let server = Server::start();
    let stream = server.add_stream("show");
    set(&server, &["--ladder", "none", "--record", "always", "--visibility", "private"]);
    (server, stream)
}

#[track_caller]
fn set(server: &Server, options: &[&str]) {
    let set = server.weir(&[&["stream", "set", "show"], options].concat());
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
}

#[track_caller]
fn text<'a>(of: &'a Value, what: &str) -> &'a str {
    of[what].as_str().unwrap_or_else(|| panic!("no {what} in {of}"))
}

/// A ticket that somebody is given.
#[track_caller]
fn ticket(server: &Server, path: &str) -> String {
    let made = server.tell("POST", &format!("{path}/tickets"), r#"{"lasts_s": 3600}"#);
    text(&made, "ticket").to_owned()
}

fn status(server: &Server, path: &str) -> u16 {
    server.get(path).status
}

/// The paths that the playlist at `path` lists, whatever they are.
fn listed(server: &Server, path: &str) -> Vec<String> {
    let answer = server.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let text = answer.text();
    let attributes = text.lines().filter_map(|line| line.split("URI=\"").nth(1)?.split('"').next());
    let plain = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    attributes.chain(plain).map(|uri| hls::resolve(path, uri)).collect()
}

/// Everything that the multivariant playlist at `path` leads to, itself included.
fn reached(server: &Server, path: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([path.to_owned()]);
    for list in listed(server, path) {
        all.extend(listed(server, &list));
        all.insert(list);
    }
    all
}

/// What an RTMP player is told.
fn played(server: &Server) -> String {
    let url = format!("rtmp://{}/live/show", server.rtmp);
    let said = run(tool("ffprobe"), ["-v", "verbose", "-rw_timeout", "20000000", &url]);
    String::from_utf8_lossy(&said.stderr).into_owned()
}

#[test]
fn everything_of_a_private_stream_opens_to_its_ticket_and_to_nothing_else() {
    let (server, stream) = private();
    server.add_stream("other");
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    let good = ticket(&server, "/api/v1/streams/show");
    let base = format!("/p/{good}");
    let wrong = [ticket(&server, "/api/v1/streams/other"), format!("{}A", &good[1..]), "x".to_owned()];

    let index = format!("{base}/live/show/index.m3u8");
    eventually("three segments", || {
        let index_now = server.get(&index).ok()?;
        let source = hls::resolve(&index, hls::multivariant(&index_now).variants.first()?.get("URI")?);
        (server.media(&source).complete().count() >= 3).then_some(())
    });
    let rewind = format!("{base}/rewind/show/index.m3u8");
    eventually("something to rewind to", || server.get(&rewind).ok());
    let thumb = format!("{base}/live/show/thumb.jpg");
    eventually("a picture", || server.get(&thumb).ok());
    let story = format!("{base}/rewind/show/storyboard.vtt");
    let cues = eventually("pictures of the past", || server.get(&story).ok().filter(|cues| cues.contains(".jpg")));
    let picture = cues.lines().find(|line| line.contains(".jpg")).and_then(|line| line.split('#').next());
    let picture = hls::resolve(&story, picture.expect("a picture"));

    // Every address there is of it, as who has the ticket finds them.
    let mut media = reached(&server, &index);
    media.extend(reached(&server, &rewind));
    media.extend([thumb, story, picture, format!("{base}/live/show/ts.m3u8")]);
    media.extend(reached(&server, &format!("{base}/live/show/ts.m3u8")));
    for kind in ["/init-", ".0.m4s", "source.m3u8", "audio.m3u8", ".ts", "storyboard-"] {
        assert!(media.iter().any(|path| path.contains(kind)), "{kind} is among {media:?}");
    }
    println!("{} addresses", media.len());
    for path in &media {
        let plain = path.strip_prefix(&base).unwrap_or_else(|| panic!("{path} keeps its ticket"));
        let answer = server.get(path);
        // What was at the end of a window may have left it meanwhile; the newest part may be held.
        assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.status);
        assert_eq!(status(&server, plain), 404, "{plain}");
        for ticket in &wrong {
            assert_eq!(status(&server, &format!("/p/{ticket}{plain}")), 404, "{plain} with {ticket}");
        }
    }
    let opened = media.iter().filter(|path| status(&server, path) == 200).count();
    assert!(opened * 10 > media.len() * 8, "{opened} of {} open", media.len());
    // A request that would be held is refused before.
    let asked = Instant::now();
    let session = text(&server.ask("GET", "/api/v1/streams/show")["live"], "session").to_owned();
    let held = format!("/live/show/{session}/source.m3u8?_HLS_msn=999999&_HLS_part=0");
    assert_eq!((status(&server, &held), status(&server, &format!("/p/x{held}"))), (404, 404));
    assert!(asked.elapsed() < Duration::from_secs(2), "nobody is kept waiting: {:?}", asked.elapsed());

    // What says that it is there.
    for (path, got) in [
        ("/api/v1/live/show".to_owned(), 404),
        (format!("/api/v1/live/show?ticket={}", wrong[0]), 403),
        (format!("/api/v1/live/show?ticket={good}"), 200),
        (format!("/oembed?url=http://{}/watch/show", server.http), 404),
        (format!("/oembed?url=http://{}{base}/watch/show", server.http), 404),
        (format!("{base}/watch/show"), 200),
        (format!("{base}/embed/show"), 200),
    ] {
        assert_eq!(status(&server, &path), got, "{path}");
    }
    assert_eq!(server.ask("GET", "/api/v1/live")["streams"], json!([]));
    assert!(played(&server).contains("No stream of that name is live here"), "{}", played(&server));
    // Its recording is as private as it is.
    let recording = eventually("a recording", || {
        server.ask("GET", "/api/v1/recordings")["recordings"].as_array().and_then(|all| all.first().cloned())
    });
    let id = text(&recording, "id");
    assert_eq!((text(&recording, "visibility"), status(&server, &format!("/vod/{id}/index.m3u8"))), ("private", 404));
    assert_eq!(status(&server, &format!("{base}/vod/{id}/index.m3u8")), 404, "a ticket opens its own alone");
    assert!(server.metric("weir_viewers_denied_total") > 10.0);

    // Another player's eyes, while it is live.
    let url = server.url(&index);
    let said = run(tool("ffmpeg"), ["-nostdin", "-v", "error", "-i", &url, "-t", "4", "-f", "null", "-"]);
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !complaints.contains("HTTP error"), "{complaints}");
    assert!(!server.log().contains(&good), "a ticket stands in no log");

    for (rotations, opens) in [(1, 200), (2, 404)] {
        server.tell("POST", "/api/v1/playback-keys/rotate", "");
        assert_eq!(status(&server, &index), opens, "after rotation {rotations}");
    }
}

#[test]
fn the_page_of_a_private_stream_plays_with_its_ticket() {
    let (server, stream) = private();
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    let base = format!("/p/{}", ticket(&server, "/api/v1/streams/show"));
    eventually("a playlist", || server.get(&format!("{base}/live/show/index.m3u8")).ok());
    for page in ["watch", "embed"] {
        let seen = browse("watch.mjs", &[&server.url(&format!("{base}/{page}/show")), "--seconds", "6"]);
        assert!(seen["pictures"].as_u64().is_some_and(|n| n > 20), "the picture moves: {seen}");
        assert_eq!(seen["errors"].as_array().map(Vec::len), Some(0), "{seen}");
    }
    let told = server.ask("GET", "/api/v1/streams/show");
    assert_eq!(told["visibility"], "private");
}

#[test]
fn a_ticket_that_is_over_ends_a_player_in_the_middle() {
    let (server, stream) = private();
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 90, ..Clip::default() }, &server.publish_url(&stream));
    let made = server.tell("POST", "/api/v1/streams/show/tickets", r#"{"lasts_s": 60}"#);
    let (began, index) = (Instant::now(), text(&made, "hls"));
    let source = eventually("the source", || {
        Some(hls::resolve(index, hls::multivariant(&server.get(index).ok()?).variants.first()?.get("URI")?))
    });
    let list = eventually("a segment", || {
        Some(server.get(&source)).filter(|list| hls::media(&list.text()).complete().next().is_some())
    });
    assert_eq!(list.header("cache-control"), "max-age=1");
    let uri = hls::media(&list.text()).complete().next().expect("a segment").uri.clone();
    let segment = server.get(&hls::resolve(&source, &uri));
    let kept: u64 =
        segment.header("cache-control").strip_prefix("max-age=").and_then(|age| age.parse().ok()).expect("an age");
    assert!(kept <= 60, "no cache keeps it for longer than the ticket lasts: {kept}");
    eventually_within("the end of the ticket", Duration::from_secs(70), || {
        (status(&server, &source) == 404).then_some(())
    });
    let lasted = began.elapsed();
    println!("{lasted:?}");
    assert!((Duration::from_secs(48)..Duration::from_secs(62)).contains(&lasted), "{lasted:?}");
    let said = server.get(&format!("/api/v1/live/show?ticket={}", text(&made, "ticket")));
    assert!(said.status == 403 && said.text().contains("expired"), "{}", said.text());
    assert_eq!(server.ask("GET", "/api/v1/streams/show")["live"]["state"], "live", "it goes on without this viewer");
}

#[test]
fn a_stream_is_closed_and_opened_in_the_middle_of_a_live() {
    let server = Server::start();
    let stream = server.add_stream("show");
    set(&server, &["--ladder", "none", "--record", "always"]);
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    server.variants("show");
    let mut ffmpeg = Command::new(tool("ffmpeg"));
    ffmpeg.args(["-nostdin", "-v", "info", "-nostats", "-i", &format!("rtmp://{}/live/show", server.rtmp)]);
    ffmpeg.args(["-c", "copy", "-f", "null", "-"]);
    let mut player = Process::start("ffmpeg (player)", ffmpeg);
    eventually("it plays", || (server.metric("weir_playout_players") == 1.0).then_some(()));
    let recording = eventually("a recording", || {
        server.ask("GET", "/api/v1/recordings")["recordings"].as_array().and_then(|all| all.first().cloned())
    });
    let vod = format!("/vod/{}/index.m3u8", text(&recording, "id"));
    eventually("its playlist", || server.get(&vod).ok());
    let rewind = "/rewind/show/index.m3u8";
    eventually("something to rewind to", || server.get(rewind).ok());

    // Over the API it counts when it is answered.
    let after = server.tell("PATCH", "/api/v1/streams/show", r#"{"visibility": "private"}"#);
    let refused = ["/live/show/index.m3u8", rewind, &vod, "/api/v1/live/show"].map(|path| status(&server, path));
    assert_eq!((text(&after, "visibility"), refused), ("private", [404; 4]));
    assert!(player.wait(Duration::from_secs(10)).is_some(), "{}", player.said());
    eventually("nobody is left", || (server.metric("weir_playout_players") == 0.0).then_some(()));
    assert!(played(&server).contains("No stream of that name is live here"));

    // From the command line within a second.
    set(&server, &["--visibility", "unlisted"]);
    eventually("an open stream", || server.get("/live/show/index.m3u8").ok());
    assert_eq!((status(&server, "/api/v1/live/show"), status(&server, rewind), status(&server, &vod)), (200, 200, 404));
    assert_eq!(server.ask("GET", "/api/v1/live")["streams"], json!([]), "whoever has the address may watch");
    assert!(played(&server).contains("Video:"), "players over RTMP too");
    set(&server, &["--visibility", "public"]);
    eventually("a listed stream", || server.ask("GET", "/api/v1/live")["streams"].as_array()?.first().cloned());
    assert_eq!(server.weir_json(&["stream", "show", "show"])["visibility"], "public");
}

#[test]
fn a_private_recording_is_replayed_to_a_private_stream_and_no_longer_than_it_is_one() {
    let (server, stream) = private();
    Publisher::push(&Clip { gop: 60, seconds: 6, ..Clip::default() }, &server.publish_url(&stream))
        .expect_end(Duration::from_secs(30));
    let recording = eventually("a recording", || {
        let all = server.ask("GET", "/api/v1/recordings?status=available");
        all["recordings"].as_array().and_then(|all| all.first().cloned())
    });
    let id = text(&recording, "id");
    server.add_stream("again");
    let replay = || server.tell("POST", &format!("/api/v1/recordings/{id}/replay"), r#"{"to": "again", "loop": true}"#);
    let refused = replay();
    assert!(text(&refused, "message").contains("needs no ticket"), "{refused}");
    server.tell("PATCH", "/api/v1/streams/again", r#"{"visibility": "private"}"#);
    assert_eq!(text(&replay(), "stream"), "again");
    let index = format!("/p/{}/live/again/index.m3u8", ticket(&server, "/api/v1/streams/again"));
    eventually("the replay", || server.get(&index).ok());
    server.tell("PATCH", "/api/v1/streams/again", r#"{"visibility": "unlisted"}"#);
    eventually("its end", || (server.ask("GET", "/api/v1/replays")["replays"] == json!([])).then_some(()));
    let log = server.ask("GET", "/api/v1/streams/again/log").to_string();
    assert!(log.contains("its recording is private"), "{log}");
}

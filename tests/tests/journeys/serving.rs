//! What players and caches in between rely on.

use serde_json::Value;
use std::time::{Duration, Instant};
use tests::{Clip, Publisher, Server, Stream, eventually, hls, look, request, run_ok, tool};

/// A live stream with at least one whole segment, and the path of its source rendition.
fn live() -> (Server, Publisher, Stream, String) {
    let server = Server::start();
    let stream = server.add_stream("show");
    let publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("a whole segment", || server.media(&source).complete().next().map(|_| ()));
    (server, publisher, stream, source)
}

#[test]
fn a_blocked_reload_is_answered_when_the_part_is_there() {
    let (server, _publisher, _, source) = live();
    for _ in 0..6 {
        let (number, parts) = server.media(&source).newest().expect("parts");
        let start = Instant::now();
        let answer = server.get(&format!("{source}?_HLS_msn={number}&_HLS_part={parts}"));
        let list = hls::media(&answer.text());
        assert!(list.newest() > Some((number, parts)), "the answer holds what was asked for: {:?}", list.newest());
        assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    }
}

#[test]
fn a_reload_far_ahead_is_refused_at_once() {
    let (server, _publisher, _, source) = live();
    let start = Instant::now();
    let answer = server.get(&format!("{source}?_HLS_msn=999999"));
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn every_hinted_part_comes_and_equals_its_share_of_the_segment() {
    let (server, _publisher, _, source) = live();
    let (number, _) = server.media(&source).newest().expect("parts");
    let list = eventually("the segment is whole", || {
        let list = server.media(&source);
        let is_whole = list.complete().any(|s| s.number == number);
        is_whole.then_some(list)
    });
    let segment = list.complete().find(|s| s.number == number).expect("found above");
    assert!(!segment.parts.is_empty(), "parts of recent segments stay listed: {segment:?}");
    let fetch = |uri: &str| server.get(&hls::resolve(&source, uri)).body;
    let joined: Vec<u8> = segment.parts.iter().flat_map(|part| fetch(&part.uri)).collect();
    assert!(joined == fetch(&segment.uri), "the parts are the segment");
    let sum: f64 = segment.parts.iter().map(|part| part.duration).sum();
    assert!((sum - segment.duration).abs() < 0.01, "{sum} {}", segment.duration);
    assert!(segment.parts.iter().all(|part| part.duration <= list.part_target + 1e-6), "{segment:?}");
    let hint = list.hint.clone().expect("a hint");
    let hinted = server.get(&hls::resolve(&source, &hint));
    assert!(hinted.status == 200 && !hinted.body.is_empty(), "{}", hinted.status);
}

#[test]
fn a_delta_update_skips_what_the_player_has() {
    let (server, _publisher, _, source) = live();
    let limit = eventually("a skip limit", || server.media(&source).control.get("CAN-SKIP-UNTIL")?.parse::<f64>().ok());
    let delta = eventually("something to skip", || {
        let delta = hls::media(&server.get(&format!("{source}?_HLS_skip=YES")).text());
        (delta.skipped > 0).then_some(delta)
    });
    let full = server.media(&source);
    assert!(limit >= 6.0 * full.target as f64, "{limit}");
    assert!(delta.segments.len() < full.segments.len());
}

#[test]
fn media_may_be_cached_for_ever_and_playlists_are_not() {
    let (server, _publisher, _, source) = live();
    let list = server.media(&source);
    let segment = list.complete().last().expect("a segment");
    let media = server.get(&hls::resolve(&source, &segment.uri));
    assert!(media.header("cache-control").contains("immutable"), "{:?}", media.headers);
    assert_eq!(media.header("content-type"), "video/mp4");
    let init = server.get(&hls::resolve(&source, &segment.map));
    assert!(init.header("cache-control").contains("immutable"), "{:?}", init.headers);
    let playlist = server.get(&source);
    assert_eq!(playlist.header("content-type"), "application/vnd.apple.mpegurl");
    assert!(!playlist.header("cache-control").contains("immutable"), "{:?}", playlist.headers);
    for answer in [&media, &init, &playlist] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(!answer.header("etag").is_empty(), "{:?}", answer.headers);
    }
}

#[test]
fn what_the_cache_has_is_not_sent_again() {
    let (server, _publisher, _, source) = live();
    let list = server.media(&source);
    let path = hls::resolve(&source, &list.complete().last().expect("a segment").uri);
    let first = server.get(&path);
    let again = request(server.http, "GET", &path, &[("if-none-match", first.header("etag"))], b"").expect("an answer");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let range = request(server.http, "GET", &path, &[("range", "bytes=4-7")], b"").expect("an answer");
    assert_eq!((range.status, range.body.as_slice()), (206, &first.body[4..8]));
    let head = request(server.http, "HEAD", &path, &[], b"").expect("an answer");
    assert_eq!((head.status, head.header("content-length")), (200, first.body.len().to_string().as_str()));
    let options =
        request(server.http, "OPTIONS", &path, &[("origin", "http://elsewhere.example")], b"").expect("an answer");
    assert!(options.status < 300 && options.header("access-control-allow-origin") == "*", "{options:?}");
}

#[test]
fn playlists_travel_compressed_to_those_who_ask() {
    let (server, _publisher, _, source) = live();
    for coding in ["gzip", "br"] {
        let answer = request(server.http, "GET", &source, &[("accept-encoding", coding)], b"").expect("an answer");
        assert_eq!(answer.header("content-encoding"), coding);
        assert!(answer.header("vary").to_lowercase().contains("accept-encoding"), "{:?}", answer.headers);
    }
    let text = run_ok(tool("curl"), ["-sS", "--compressed", &server.url(&source)]);
    assert!(text.starts_with("#EXTM3U"), "{text}");
}

#[test]
fn http2_over_tls_serves_the_same() {
    let (server, _publisher, _, source) = live();
    let url = format!("https://{}{source}", server.https);
    let said = run_ok(tool("curl"), ["-sSk", "--http2", "-w", "\n%{http_version} %{http_code}", &url]);
    assert!(said.starts_with("#EXTM3U") && said.ends_with("2 200"), "{said}");
}

#[test]
fn what_does_not_exist_is_told_apart_from_what_is_wrong() {
    let (server, _publisher, _, source) = live();
    assert_eq!(server.get("/live/nobody/index.m3u8").status, 404);
    assert_eq!(server.get(&hls::resolve(&source, "source/999999.m4s")).status, 404);
    assert_eq!(server.get(&format!("{source}?_HLS_part=1")).status, 400, "a part without its segment");
    assert_eq!(server.get("/live/../etc/passwd").status, 404);
    let answer = server.get("/live/nobody/index.m3u8");
    assert!(!answer.text().is_empty(), "with a reason");
}

#[test]
fn a_thumbnail_shows_the_live_picture() {
    let (server, _publisher, ..) = live();
    let jpeg = eventually("a thumbnail", || Some(server.get("/live/show/thumb.jpg")).filter(|a| a.status == 200));
    assert_eq!((jpeg.header("content-type"), &jpeg.body[..2]), ("image/jpeg", &[0xFF, 0xD8][..]));
}

#[test]
fn a_late_viewer_starts_near_the_live_edge_with_wall_clock_times() {
    let (server, _publisher, _, source) = live();
    let list = eventually("three segments", || Some(server.media(&source)).filter(|list| list.complete().count() >= 3));
    assert!(list.segments.iter().any(|segment| segment.wall.is_some()), "program date times are there");
    let hold_back: f64 = list.control["PART-HOLD-BACK"].parse().expect("a number");
    assert!(hold_back >= 2.0 * list.part_target, "{hold_back} {}", list.part_target);
    assert!(list.reports.len() + 1 >= server.variants("show").len(), "other renditions are reported: {list:?}");
}

#[test]
fn ffmpeg_plays_the_whole_thing_as_a_viewer_would() {
    let (server, _publisher, ..) = live();
    let url = server.url("/live/show/index.m3u8");
    let said = run_ok(
        tool("ffmpeg"),
        ["-nostdin", "-v", "error", "-i", &url, "-t", "5", "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-"],
    );
    assert_eq!(said, "");
    let tracks = look::tracks(&url);
    assert!(tracks.iter().any(|t| t["codec_name"] == "h264") && tracks.iter().any(|t| t["codec_name"] == "aac"));
}

#[test]
fn players_are_counted_once_each_and_for_as_long_as_they_ask() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let _publisher = Publisher::push(&Clip { gop: 60, ..Clip::default() }, &server.publish_url(&stream));
    let path = server.variants("show").remove(0);
    let viewers = || {
        let live: Value = serde_json::from_str(&server.get("/api/v1/live/show").text()).expect("JSON");
        live["viewers"].as_u64()
    };
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let answer = request(server.http, "GET", path, headers, b"").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    eventually("nobody watches any more", || (viewers() == Some(0)).then_some(()));
    let audio = path.replace("/source.m3u8", "/audio.m3u8");
    for path in [&path, &audio, &path] {
        ask(path, &[("user-agent", "vlc")]);
        ask(path, &[("user-agent", "browser"), ("cmcd-session", "sid=\"one\"")]);
        ask(path, &[("user-agent", "browser"), ("cmcd-session", "sid=\"two\"")]);
    }
    assert_eq!(viewers(), Some(3));
    ask("/live/show/index.m3u8", &[("user-agent", "a crawler")]);
    assert_eq!(viewers(), Some(3), "who only looks at the list does not watch");
    eventually("they have left", || (viewers() == Some(0)).then_some(()));
}

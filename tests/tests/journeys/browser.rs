//! A viewer opens the pages in Debian's Chromium. What happens in the browser is written in `tests/browser/*.mjs`.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::{Clip, Publisher, Server, Stream, eventually, eventually_within, hls, tool, workspace_dir};

/// Runs a script with its arguments and gives the JSON object on its last line.
#[track_caller]
pub fn browse(script: &str, args: &[&str]) -> Value {
    browse_with(&[], script, args)
}

/// The same with variables of the environment, for what other users of the machine are not to read.
#[track_caller]
fn browse_with(variables: &[(&str, &str)], script: &str, args: &[&str]) -> Value {
    let path: PathBuf = workspace_dir().join("tests/browser").join(script);
    let mut command = Command::new(tool("node"));
    command.arg(path).args(args).envs(variables.iter().copied()).stdin(Stdio::null());
    let out = command.output().expect("node runs");
    let (said, complaint) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{script} ended with {}:\n{said}{complaint}", out.status);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|e| panic!("{script} closed without JSON ({e}):\n{said}"))
}

/// The same of a script that says when it plays; `then` is done at that moment, beside it.
#[track_caller]
fn browse_and<T: Send + 'static>(script: &str, args: &[&str], then: impl FnOnce() -> T + Send + 'static) -> (Value, T) {
    let path: PathBuf = workspace_dir().join("tests/browser").join(script);
    let mut command = Command::new(tool("node"));
    command.arg(path).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut node = command.spawn().expect("node runs");
    let mut lines = BufReader::new(node.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let plays = lines.by_ref().any(|line| line == "playing");
    let beside = plays.then(|| std::thread::spawn(then));
    let last = lines.last().unwrap_or_default();
    let status = node.wait().expect("it ends");
    assert!(status.success(), "{script} ended with {status}: {last}");
    let seen = serde_json::from_str(&last).unwrap_or_else(|e| panic!("{script} closed without JSON ({e}): {last}"));
    (seen, beside.expect("it played").join().expect("what was done beside it"))
}

fn live(name: &str, clip: &Clip) -> (Server, Stream, Publisher) {
    clip.file();
    let server = Server::start();
    let stream = server.add_stream(name);
    let publisher = Publisher::push(clip, &server.publish_url(&stream));
    eventually("a whole segment", || {
        let source = server.variants(name).remove(0);
        server.media(&source).complete().nth(1).map(|_| ())
    });
    (server, stream, publisher)
}

#[test]
fn the_watch_page_shows_a_moving_picture_with_sound_within_five_seconds() {
    let (server, _, _publisher) = live("show", &Clip { seconds: 60, ..Clip::default() });
    let seen = browse("watch.mjs", &[&server.url("/watch/show"), "--seconds", "8"]);
    assert!(seen["first_picture_s"].as_f64().is_some_and(|s| s < 5.0), "{seen}");
    assert!(seen["pictures"].as_u64().is_some_and(|n| n > 20), "the picture moves: {seen}");
    assert!(seen["rms_db"].as_f64().is_some_and(|db| db > -40.0), "the sound is there: {seen}");
    // None is what `make accept` asks for; here another test plays beside it.
    assert!(seen["stalls"].as_u64().is_some_and(|stalls| stalls <= 1), "{seen}");
    assert_eq!(seen["errors"].as_array().map(Vec::len), Some(0), "{seen}");
}

#[test]
fn what_a_viewer_got_is_told_to_the_operator() {
    let (server, _, _publisher) = live("show", &Clip { gop: 60, seconds: 60, ..Clip::default() });
    // A page tells each quarter of a minute.
    let seen = browse("watch.mjs", &[&server.url("/watch/show"), "--seconds", "17"]);
    assert_eq!(seen["errors"].as_array().map(Vec::len), Some(0), "{seen}");
    let told = server.ask("GET", "/api/v1/streams/show/experience");
    assert!(told["beacons"].as_u64().is_some_and(|count| count > 0), "{told}");
    assert!(told["startup_ms"]["p50"].as_u64().is_some_and(|ms| (50..5_000).contains(&ms)), "{told}");
    assert!(told["latency_ms"]["p50"].as_u64().is_some_and(|ms| (500..8_000).contains(&ms)), "{told}");
    assert!(told["stall_ratio"].as_f64().is_some_and(|ratio| ratio < 0.2), "{told}");
    assert_eq!(told["renditions"][0]["name"], "source", "{told}");
}

/// Whether the picture stood for a while and moves again at the end.
#[track_caller]
fn stood_and_went_on(seen: &Value) {
    let moved: Vec<bool> = seen["moved"].as_array().expect("seconds").iter().map(|moved| moved == true).collect();
    assert!(moved.iter().any(|moved| !moved), "the picture stood meanwhile: {seen}");
    assert!(moved.ends_with(&[true; 3]), "it moves again: {seen}");
    println!("{moved:?}");
}

#[test]
fn the_watch_page_goes_on_by_itself_when_the_publisher_comes_back() {
    let clip = Clip { seconds: 60, ..Clip::default() };
    let (server, stream, publisher) = live("show", &clip);
    assert!(server.weir(&["stream", "set", "show", "--slate", "off"]).status.success());
    stood_and_went_on(&lose_uplink(&server, &stream, publisher, clip, 6));
}

#[test]
fn the_watch_page_plays_a_slate_and_says_whose_place_it_takes() {
    let clip = Clip { seconds: 60, ..Clip::default() };
    let (server, stream, publisher) = live("show", &clip);
    let seen = lose_uplink(&server, &stream, publisher, clip, 12);
    let moved = seen["moved"].as_array().expect("seconds");
    println!("{moved:?}");
    let stood = moved.iter().filter(|moved| **moved != true).count();
    assert!(stood <= 2, "the page plays on, with the slate and after it: {seen}");
    assert!(seen["texts"].to_string().contains("The streamer is reconnecting"), "{seen}");
    assert!(
        !seen["texts"].as_array().and_then(|texts| texts.last()).expect("texts").to_string().contains("reconnecting")
    );
}

/// What the watch page shows while the publisher is away for so many seconds.
#[track_caller]
fn lose_uplink(server: &Server, stream: &Stream, publisher: Publisher, clip: Clip, seconds: u64) -> Value {
    let url = server.publish_url(stream);
    let lose = move || {
        std::thread::sleep(Duration::from_secs(3));
        publisher.kill();
        std::thread::sleep(Duration::from_secs(seconds));
        Publisher::push(&clip, &url)
    };
    // Playing, the page asks every ten seconds.
    let watched = if seconds > 10 { 26 } else { 20 };
    let (seen, _publisher) =
        browse_and("away.mjs", &[&server.url("/watch/show"), "--seconds", &watched.to_string()], lose);
    seen
}

#[test]
fn stock_hls_js_goes_on_after_ten_seconds_without_a_publisher() {
    let clip = Clip { seconds: 60, ..Clip::default() };
    let (server, stream, publisher) = live("show", &clip);
    let url = server.publish_url(&stream);
    let lose = move || {
        std::thread::sleep(Duration::from_secs(3));
        publisher.kill();
        std::thread::sleep(Duration::from_secs(10));
        Publisher::push(&clip, &url)
    };
    let (seen, _publisher) = browse_and("stock.mjs", &[&server.url("/live/show/index.m3u8"), "--seconds", "27"], lose);
    stood_and_went_on(&seen);
    assert_eq!(seen["fatal"].as_array().map(Vec::len), Some(0), "{seen}");
    let behind: Vec<f64> = seen["behind_s"].as_array().expect("seconds").iter().filter_map(Value::as_f64).collect();
    println!("behind {behind:?}");
    let (Some(first), Some(last)) = (behind.get(1), behind.last()) else { panic!("no dates: {seen}") };
    assert!(last - first < 3.0, "the show goes on at its end, not where the viewer was: {seen}");
}

#[test]
fn the_watch_page_goes_on_by_itself_when_the_server_was_killed() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let clip = Clip { seconds: 60, ..Clip::default() };
    clip.file();
    let server = Server::start_with(&["--no-demo", "--http", &free.to_string()]);
    let stream = server.add_stream("show");
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.play("show");
    let page = server.url("/watch/show");
    let crash = move || {
        std::thread::sleep(Duration::from_secs(4));
        let server = server.start_again();
        drop(publisher);
        // As long as OBS waits before it connects again.
        std::thread::sleep(Duration::from_secs(2));
        let publisher = Publisher::push(&clip, &server.publish_url(&stream));
        (server, publisher)
    };
    let (seen, _there) = browse_and("away.mjs", &[&page, "--seconds", "22"], crash);
    // Refused while nothing listened, or only cut off by the kill when the server is back before the next request.
    assert!(seen["errors"].to_string().contains("ERR_CONNECTION_RE"), "the server was away: {seen}");
    let moved: Vec<bool> = seen["moved"].as_array().expect("seconds").iter().map(|moved| moved == true).collect();
    let stood = moved.split(|moved| *moved).map(<[bool]>::len).max();
    // How long at most is `make accept`'s to say; here another test plays beside it.
    assert!(stood <= Some(8) && moved.ends_with(&[true; 3]), "{stood:?} s still: {seen}");
}

#[test]
fn the_watch_page_fits_a_phone() {
    let (server, _, _publisher) = live("show", &Clip { seconds: 60, ..Clip::default() });
    let seen =
        browse("watch.mjs", &[&server.url("/watch/show"), "--seconds", "4", "--width", "390", "--height", "844"]);
    assert!(seen["first_picture_s"].is_number(), "{seen}");
    assert_eq!(seen["sideways_scroll_px"], 0, "{seen}");
}

/// Runs one of the player's browser tests against the server, signed in with its token over TLS.
#[track_caller]
pub fn node_test(server: &Server, script: &str, settings: &[(&str, &str)]) {
    let mut command = Command::new(tool("node"));
    command.args(["--test", script]).current_dir(workspace_dir().join("player")).stdin(Stdio::null());
    command.env("BASE_URL", format!("https://localhost:{}", server.https.port()));
    // The script asks the API itself too, and the certificate is the server's own.
    command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0").env("TOKEN", server.api_token()).envs(settings.iter().copied());
    let out = command.output().expect("node runs");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("# skipped 0"), "{said}{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn the_operators_pages_work_with_mouse_keyboard_and_phone_and_have_no_fault_axe_finds() {
    let (server, _, _publisher) = live("show", &Clip { gop: 60, seconds: 180, ..Clip::default() });
    node_test(&server, "tests/dashboard.mjs", &[("STREAM", "show")]);
    assert!(!server.log().contains(&server.api_token()), "no token is logged");
}

#[test]
fn the_library_and_a_recordings_pages_work_for_viewers_and_operators() {
    // Longer than what a player has in its buffer, so that a network that is lost or a recording that goes is noticed.
    let (server, stream, publisher) = live("show", &Clip { gop: 60, seconds: 70, ..Clip::default() });
    let set = ["stream", "set", "show", "--ladder", "none", "--record", "request"];
    assert!(server.weir(&set).status.success());
    let begun = server.tell("POST", "/api/v1/streams/show/recording", r#"{"back_s": 90}"#);
    let id = begun["id"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    let mut publisher = publisher;
    publisher.expect_end(Duration::from_secs(90));
    eventually("a finished recording", || {
        (server.ask("GET", &format!("/api/v1/recordings/{id}"))["status"] == "available").then_some(())
    });
    let long = Clip { gop: 60, seconds: 180, ..Clip::default() };
    let _live = Publisher::endless(&long, &server.publish_url(&stream));
    server.play("show");
    node_test(&server, "tests/recordings.mjs", &[("RECORDING", &id), ("LIVE", "show")]);
}

#[test]
fn a_viewer_rewinds_and_comes_back_to_the_live() {
    let (server, _, _publisher) = live("show", &Clip { gop: 60, seconds: 180, ..Clip::default() });
    // Longer than what the live playlist reaches back.
    eventually_within("a minute that can be rewound to", Duration::from_secs(90), || {
        let index = hls::multivariant(&server.get("/rewind/show/index.m3u8").ok()?);
        let source = hls::resolve("/rewind/show/index.m3u8", index.variants.first()?.get("URI")?);
        (server.media(&source).complete().count() >= 30).then_some(())
    });
    node_test(&server, "tests/rewind.mjs", &[("STREAM", "show")]);
}

#[test]
fn the_pages_hold_without_a_stream_and_with_thirty_that_are_live() {
    let server = Server::start();
    // A new server has one stream, which is not live.
    assert!(server.weir(&["stream", "remove", "demo"]).status.success());
    node_test(&server, "tests/crowd.mjs", &[("LIVE", "0")]);
    let clip = Clip { size: (320, 180), gop: 60, seconds: 90, ..Clip::default() };
    let publishers: Vec<Publisher> = (0..30)
        .map(|n| {
            let name = format!("show-{n:02}");
            let stream = server.add_stream(&name);
            assert!(server.weir(&["stream", "set", &name, "--ladder", "none"]).status.success());
            Publisher::push(&clip, &server.publish_url(&stream))
        })
        .collect();
    eventually("all of them", || (server.metric("weir_streams_live") == 30.0).then_some(()));
    node_test(&server, "tests/crowd.mjs", &[("LIVE", "30")]);
    drop(publishers);
}

#[test]
fn dock_and_dashboard_say_what_to_change_and_that_it_is_well_again() {
    let bad = Clip { gop: 300, seconds: 60, ..Clip::default() };
    let good = Clip { gop: 60, seconds: 60, ..Clip::default() };
    good.file();
    let (server, stream, publisher) = live("show", &bad);
    let url = server.publish_url(&stream);
    let mended = std::thread::spawn(move || {
        // Long enough to be told of; then as long as it takes to change a setting, so that a new session begins.
        std::thread::sleep(Duration::from_secs(14));
        publisher.stop();
        std::thread::sleep(Duration::from_secs(6));
        Publisher::push(&good, &url)
    });
    let token = server.api_token();
    let seen = browse_with(
        &[("TOKEN", &token)],
        "advice.mjs",
        &[&server.url(""), "show", "--seconds", "50", "--until", "Good"],
    );
    drop(mended.join().expect("the publisher starts"));
    for page in ["dock", "dashboard"] {
        let says = seen[page]["says"].as_array().expect("what it said");
        let cured =
            says.iter().find(|said| said["cure"].as_str().is_some_and(|c| c.contains("Keyframe Interval: 2 s")));
        assert_eq!(cured.map(|said| &said["verdict"]), Some(&Value::from("Bad")), "{page}: {seen}");
        assert_eq!(says.last().map(|said| &said["verdict"]), Some(&Value::from("Good")), "{page}: {seen}");
    }
    assert_eq!(seen["errors"].as_array().map(Vec::len), Some(0), "{seen}");
    let dock = server.ask("GET", "/api/v1/streams/show/dock")["path"].as_str().expect("a path").to_owned();
    let of_dock = dock.split('=').nth(1).expect("a token");
    assert!(!server.log().contains(of_dock) && !server.log().contains(&token), "no token is logged");
}

#[test]
fn the_home_page_lists_what_is_live() {
    let (server, _, _publisher) = live("show", &Clip::default());
    let seen = browse("home.mjs", &[&server.url("/"), "show"]);
    assert_eq!(seen["link"], "/watch/show", "{seen}");
    assert_eq!(seen["errors"].as_array().map(Vec::len), Some(0), "{seen}");
}

#[test]
fn the_watch_page_waits_in_words_and_starts_by_itself() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let clip = Clip { seconds: 60, ..Clip::default() };
    clip.file();
    let url = server.publish_url(&stream);
    let late = std::thread::spawn(move || {
        // The viewer is there first; the show begins a moment later.
        std::thread::sleep(Duration::from_secs(4));
        Publisher::push(&clip, &url)
    });
    let seen = browse("watch.mjs", &[&server.url("/watch/show"), "--seconds", "4", "--patience", "25"]);
    drop(late.join().expect("the publisher starts"));
    assert!(seen["words_before"].as_str().is_some_and(|words| words.len() > 5), "{seen}");
    assert!(seen["first_picture_s"].is_number(), "{seen}");
}

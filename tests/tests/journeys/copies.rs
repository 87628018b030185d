//! Copies of a live stream for other servers: nginx-rtmp takes and records them, ffmpeg judges what arrived.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Clip, Publisher, RtmpServer, Server, Stream, eventually, eventually_within, holds_for, run_ok, tool};

/// Shown nowhere but on the wire.
const KEY: &str = "live_hunter2_0815";

/// Adds a target on the command line, as an operator does who is at the machine; its id.
#[track_caller]
fn add(server: &Server, stream: &Stream, url: &str) -> String {
    add_as(server, stream, url, KEY, &[])
}

/// The same with a key and options.
#[track_caller]
fn add_as(server: &Server, stream: &Stream, url: &str, key: &str, options: &[&str]) -> String {
    let file = server.data_dir().join("target-key");
    std::fs::write(&file, format!("{key}\n")).expect("a key file");
    let file = file.display().to_string();
    let words = [&["target", "add", &stream.name, url, "--key-file", &file], options].concat();
    let added = server.weir_json(&words);
    added["id"].as_str().unwrap_or_else(|| panic!("no id in {added}")).to_owned()
}

fn target(server: &Server, id: &str) -> Value {
    server.ask("GET", &format!("/api/v1/streams/show/targets/{id}"))
}

#[track_caller]
fn until(server: &Server, id: &str, state: &str) -> Value {
    eventually(&format!("the target is {state}"), || Some(target(server, id)).filter(|shown| shown["state"] == state))
}

/// Waits until a target failed; its fault's code.
#[track_caller]
fn fault(server: &Server, id: &str) -> String {
    eventually("a fault is told", || target(server, id)["fault"]["code"].as_str().map(str::to_owned))
}

/// Size and hash of each packet of one track (`v` or `a`).
fn packets(file: &Path, track: &str) -> Vec<String> {
    let file = file.display().to_string();
    let map = format!("0:{track}");
    let words = ["-nostdin", "-v", "error", "-i", &file, "-map", &map, "-c", "copy", "-f", "framemd5", "-"];
    let told = run_ok(tool("ffmpeg"), words);
    let rows = told.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| row.split(',').skip(4).take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

/// The copy's packets are a run of the source's, up to its end, and no fewer than `least`.
#[track_caller]
fn expect_run(source: &[String], copy: &[String], least: usize) {
    assert!(copy.len() >= least, "{} of {} packets arrived", copy.len(), source.len());
    let end = &source[source.len() - copy.len()..];
    let differs = end.iter().zip(copy).position(|(one, other)| one != other);
    assert_eq!(differs, None, "packet {differs:?} of {} differs", copy.len());
}

#[test]
fn a_copy_arrives_at_another_server_to_the_packet() {
    let (server, nginx) = (Server::start(), RtmpServer::start());
    let stream = server.add_stream("show");
    let id = add(&server, &stream, &nginx.url("live"));
    assert_eq!(target(&server, &id)["state"], "idle");
    let checked = server.ask("POST", &format!("/api/v1/streams/show/targets/{id}/check"));
    assert_eq!((&checked["ok"], nginx.publishes()), (&Value::Bool(true), 0), "{checked}");

    let clip = Clip { seconds: 30, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    let live = until(&server, &id, "live");
    assert_eq!(live["fault"], Value::Null, "{live}");
    let measured = eventually("figures", || Some(target(&server, &id)).filter(|t| t["bitrate_bps"].as_u64() > Some(0)));
    assert!(measured["round_trip_ms"].as_f64().is_some_and(|ms| ms < 1_000.0), "{measured}");
    publisher.expect_end(Duration::from_secs(60));
    // The publisher said goodbye, so its session ends after three seconds, and the copy with it.
    let over = until(&server, &id, "idle");
    assert_eq!(
        (&over["dropped_units"], &over["connects"], &over["advice"]),
        (&0.into(), &1.into(), &Value::Array(vec![]))
    );
    let record = nginx.records().remove(0);
    let source = clip.file();
    let (pictures, sounds) = (packets(&source, "v"), packets(&source, "a"));
    eventually("nginx has written all", || (packets(&record, "v").last() == pictures.last()).then_some(()));
    // It begins with the newest keyframe at the time the session began.
    expect_run(&pictures, &packets(&record, "v"), pictures.len() - 4 * 30);
    expect_run(&sounds, &packets(&record, "a"), sounds.len() - 4 * 47);
    let probed = run_ok(
        tool("ffprobe"),
        ["-v", "error", "-show_entries", "format=start_time", "-of", "csv=p=0", &record.display().to_string()],
    );
    let start: f64 = probed.trim().parse().expect("a start");
    assert!(start < 0.2, "stamps begin near 0: {start}");
    assert_eq!(nginx.publishes(), 1);
    for (place, text) in [
        ("log", server.log()),
        ("API", server.ask("GET", "/api/v1/audit").to_string()),
        ("metrics", server.get("/metrics").text()),
    ] {
        assert!(!text.contains("hunter2"), "the key is in the {place}");
    }
    // The master key is changed beside the server, which takes it by itself.
    let rotated = server.weir_json(&["secrets", "rotate"]);
    assert_eq!(rotated["targets"], 1, "{rotated}");
    assert!(!server.data_dir().join("master-key.next").exists());
    let mut again = Publisher::push(&Clip { seconds: 20, ..Clip::default() }, &server.publish_url(&stream));
    until(&server, &id, "live");
    again.expect_end(Duration::from_secs(60));
    let kept = std::fs::read(server.data_dir().join("weir.db")).expect("the database");
    assert!(!kept.windows(7).any(|at| at == b"hunter2"), "the key is in the database in clear");
}

/// A server that takes connections and then does as told, for as long as the process lives.
fn strange(then: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|socket| drop(std::thread::spawn(move || then(socket))))
    });
    address
}

/// A way to `server` that is one until 300 kB went through, and then does as told with the near and the far end.
fn way(server: SocketAddr, then: fn(TcpStream, TcpStream)) -> SocketAddr {
    const LENGTH: u64 = 300_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let pass = move |near: TcpStream| {
        let Ok(far) = TcpStream::connect(server) else { return };
        let (Ok(mut answers), Ok(mut back)) = (far.try_clone(), near.try_clone()) else { return };
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let _passed = std::io::copy(&mut (&near).take(LENGTH), &mut &far);
        then(near, far);
    };
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|near| drop(std::thread::spawn(move || pass(near))))
    });
    address
}

#[test]
fn targets_that_fail_are_named_and_neither_the_good_one_nor_viewers_notice() {
    let (server, nginx) = (Server::start(), RtmpServer::start());
    let stream = server.add_stream("show");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let mute = strange(|socket| {
        std::thread::park();
        drop(socket);
    });
    let garbage = strange(|mut socket| drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    let stalling = way(nginx.address, |near, far| {
        std::thread::park();
        drop((near, far));
    });
    let closing = way(nginx.address, |near, far| {
        let _shut = (near.shutdown(std::net::Shutdown::Both), far.shutdown(std::net::Shutdown::Both));
    });
    let good = add(&server, &stream, &nginx.url("live"));
    let bad = [
        (format!("rtmp://{closed}/live"), "connection_refused", "retrying"),
        (format!("rtmp://{mute}/live"), "mute", "retrying"),
        (format!("rtmp://{garbage}/live"), "not_rtmp", "retrying"),
        (nginx.url("guarded"), "closed_at_key", "refused"),
        ("rtmp://nobody.invalid/live".to_owned(), "no_such_host", "retrying"),
        (format!("rtmps://{}/live", server.rtmps), "tls_issuer", "retrying"),
        // Two that begin well.
        (format!("rtmp://{stalling}/live"), "stalled", "retrying"),
        (format!("rtmp://{closing}/live"), "closed", "retrying"),
    ];
    // Each with a key of its own, as some lead to one server.
    let bad =
        bad.map(|(url, code, state)| (add_as(&server, &stream, &url, &format!("{KEY}_{code}"), &[]), code, state));
    let clip = Clip { seconds: 40, ..Clip::default() };
    let began = Instant::now();
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    until(&server, &good, "live");
    for (id, code, state) in &bad {
        assert_eq!(fault(&server, id), *code);
        let shown = target(&server, id);
        let begins_well = ["stalled", "closed"].contains(code);
        let states = [*state, "connecting", if begins_well { "live" } else { *state }];
        assert!(states.iter().any(|state| shown["state"] == *state), "{shown}");
        println!("{} after {:?}", shown["fault"]["message"], began.elapsed());
    }
    // For as long as they are tried, the good one is live and the playlist goes on.
    holds_for("the good target is live", Duration::from_secs(15), || target(&server, &good)["state"] == "live");
    publisher.expect_end(Duration::from_secs(60));
    let list = server.media(&source);
    assert!(list.complete().all(|segment| !segment.gap), "no viewer missed anything");
    for metric in ["weir_packager_gap_parts_total", "weir_session_lost_units_total"] {
        assert_eq!(server.metric(metric), 0.0, "{metric}");
    }
    assert_eq!(target(&server, &good)["dropped_units"], 0);
    assert!(server.metric("weir_restream_faults_total") >= 8.0);
    assert!(!server.log().contains("hunter2"), "no key is in the log");
}

#[test]
fn a_target_that_dies_is_live_again_within_five_seconds_of_its_return() {
    let (server, mut nginx) = (Server::start(), RtmpServer::start());
    let stream = server.add_stream("show");
    let id = add(&server, &stream, &nginx.url("live"));
    let _publisher = Publisher::push(&Clip { seconds: 90, ..Clip::default() }, &server.publish_url(&stream));
    until(&server, &id, "live");
    // A target that was live for ten seconds counts as one that works.
    holds_for("it is live", Duration::from_secs(11), || target(&server, &id)["state"] == "live");
    nginx.down();
    let lost = until(&server, &id, "retrying");
    println!("{}", lost["fault"]["message"]);
    holds_for("it is away", Duration::from_secs(8), || target(&server, &id)["state"] != "live");
    nginx.up();
    let back = Instant::now();
    let live = until(&server, &id, "live");
    println!("live again after {:?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(live["connects"], 2);
}

#[test]
fn the_connection_to_a_target_is_held_while_the_publisher_is_away() {
    let (server, nginx) = (Server::start(), RtmpServer::start());
    let stream = server.add_stream("show");
    let id = add(&server, &stream, &nginx.url("live"));
    let clip = Clip { seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    until(&server, &id, "live");
    eventually("some seconds of it", || (target(&server, &id)["sent_bytes"].as_u64() > Some(200_000)).then_some(()));
    publisher.kill();
    let held = || target(&server, &id)["state"] == "live";
    holds_for("the target is held", Duration::from_secs(10), held);
    let before = target(&server, &id)["sent_bytes"].as_u64();
    let back = Publisher::push(&clip, &server.publish_url(&stream));
    eventually("media goes on", || {
        (target(&server, &id)["sent_bytes"].as_u64() > before.map(|b| b + 200_000)).then_some(())
    });
    assert_eq!((&target(&server, &id)["connects"], nginx.publishes()), (&1.into(), 1), "on the same connection");
    back.stop();
    until(&server, &id, "idle");
    let record = nginx.records().remove(0).display().to_string();
    let words = ["-v", "error", "-select_streams", "v", "-show_entries", "packet=dts_time", "-of", "csv=p=0", &record];
    let stamps: Vec<f64> =
        run_ok(tool("ffprobe"), words).lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect();
    let gaps: Vec<f64> =
        stamps.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 1.0 || *gap < 0.0).collect();
    assert!(gaps.len() == 1 && (9.0..14.0).contains(&gaps[0]), "one gap, as long as the publisher was away: {gaps:?}");
}

#[test]
fn a_copy_of_a_rendition_shows_the_slate_while_the_publisher_is_away() {
    let (server, nginx) =
        (Server::start_configured("[transcode]\nladder = \"180p:300k\"\n", &["--no-demo"]), RtmpServer::start());
    let stream = server.add_stream("show");
    let id = add_as(&server, &stream, &nginx.url("live"), KEY, &["--rendition", "240p"]);
    assert_eq!(target(&server, &id)["rendition"], "240p");
    let clip = Clip { size: (640, 360), seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    until(&server, &id, "live");
    let sent = || target(&server, &id)["sent_bytes"].as_u64();
    eventually("some seconds of it", || (sent() > Some(200_000)).then_some(()));
    publisher.kill();
    eventually("the stream is away", || {
        (server.ask("GET", "/api/v1/live/show")["state"] == "reconnecting").then_some(())
    });
    let before = sent();
    holds_for("the target is held", Duration::from_secs(8), || target(&server, &id)["state"] == "live");
    assert!(sent() > before, "the slate is sent");
    let back = Publisher::push(&clip, &server.publish_url(&stream));
    eventually("it is back", || (server.ask("GET", "/api/v1/live/show")["state"] == "live").then_some(()));
    let before = sent();
    eventually("media goes on", || (sent() > before.map(|b| b + 200_000)).then_some(()));
    let shown = target(&server, &id);
    assert_eq!((&shown["connects"], &shown["dropped_units"]), (&1.into(), &0.into()), "{shown}");
    back.stop();
    until(&server, &id, "idle");

    let record = nginx.records().remove(0).display().to_string();
    let words = ["-v", "error", "-show_entries", "stream=codec_type,height", "-of", "csv=p=0", &record];
    let streams = run_ok(tool("ffprobe"), words);
    assert!(streams.contains("video,180") && streams.contains("audio"), "the next lower one: {streams}");
    for track in ["v", "a"] {
        let words =
            ["-v", "error", "-select_streams", track, "-show_entries", "packet=dts_time", "-of", "csv=p=0", &record];
        let told = run_ok(tool("ffprobe"), words);
        let stamps: Vec<f64> = told.lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect();
        let steps: Vec<f64> = stamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (0.0..0.5).contains(step)), "no hole and no step back in {track}: {steps:?}");
        assert!(stamps.len() > 300, "{} of {track}", stamps.len());
    }
    run_ok(tool("ffmpeg"), ["-nostdin", "-v", "error", "-xerror", "-i", &record, "-f", "null", "-"]);
}

#[test]
fn a_target_over_tls_takes_a_copy_when_its_authority_is_trusted() {
    // The other server is another Weir, whose certificate is its own.
    let far = Server::start();
    let there = far.add_stream("there");
    let ca = far.data_dir().join("tls/cert.pem").display().to_string();
    let config = format!("[restream]\nallow_private = true\nextra_ca = {ca:?}\n");
    let server = Server::start_configured(&config, &["--no-demo"]);
    server.add_stream("show");
    let url = format!("rtmps://localhost:{}/live", far.rtmps.port());
    let body = serde_json::json!({ "url": url, "key": there.key, "name": "The other house" }).to_string();
    let added = server.tell("POST", "/api/v1/streams/show/targets", &body);
    let id = added["id"].as_str().unwrap_or_else(|| panic!("{added}")).to_owned();
    assert!(!added.to_string().contains(&there.key), "{added}");
    let streams = server.weir_json(&["stream", "rotate-key", "show"]);
    let stream = Stream { name: "show".into(), key: streams["key"].as_str().expect("a key").to_owned() };
    let _publisher = Publisher::push(&Clip { seconds: 40, ..Clip::default() }, &server.publish_url(&stream));
    until(&server, &id, "live");
    far.play("there");

    // An operator stops it, and it stops there; and starts it again.
    server.tell("POST", &format!("/api/v1/streams/show/targets/{id}/stop"), "");
    until(&server, &id, "paused");
    eventually_within("the far server lost its publisher", Duration::from_secs(10), || {
        (far.metric("weir_ingest_publishers") == 0.0).then_some(())
    });
    server.tell("POST", &format!("/api/v1/streams/show/targets/{id}/start"), "");
    until(&server, &id, "live");
    server.tell("DELETE", &format!("/api/v1/streams/show/targets/{id}"), "");
    eventually("it is gone there too", || (far.metric("weir_ingest_publishers") == 0.0).then_some(()));
    assert_eq!(server.ask("GET", "/api/v1/streams/show/targets")["targets"], Value::Array(vec![]));
    assert!(!server.log().contains(&there.key[12..]), "no key is in the log");
}

#[test]
fn the_api_adds_no_target_inside_and_the_command_line_says_so() {
    let server = Server::start();
    let stream = server.add_stream("show");
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "localhost", "169.254.169.254", "[::ffff:192.168.0.1]"] {
        let body = serde_json::json!({ "url": format!("rtmp://{host}/live"), "key": KEY }).to_string();
        let refused = server.tell("POST", "/api/v1/streams/show/targets", &body);
        assert_eq!(refused["code"], "blocked_address", "{host}: {refused}");
    }
    let file = server.data_dir().join("k");
    std::fs::write(&file, KEY).expect("a key file");
    let file = file.display().to_string();
    let out = server.weir(&["target", "add", "show", "rtmp://127.0.0.1:1/live", "--key-file", &file, "--paused"]);
    let (said, noted) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && noted.contains("this machine itself"), "{said}{noted}");
    assert!(!said.contains("hunter2") && said.contains("stopped"), "{said}");
    let listed = server.weir_json(&["target", "list", "--stream", &stream.name]);
    assert!(!listed.to_string().contains("hunter2"), "{listed}");
    let id = listed[0]["id"].as_str().expect("an id").to_owned();
    let refused = server.weir(&["target", "check", &id]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("takes no connections"), "{words}");
    assert!(server.weir(&["target", "remove", &id]).status.success());
    assert_eq!(server.weir_json(&["target", "list"]), Value::Array(vec![]));
}

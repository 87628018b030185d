//! The operator's side: start, stop, crash, watch.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tests::{Clip, Publisher, Server, eventually, eventually_within, get, hls, look, run, weir_exe};

#[test]
fn the_first_start_brings_a_test_card_and_a_key_and_keeps_the_key_private() {
    let server = Server::start_with(&[]);
    let file = server.data_dir().join("first-key");
    let mode = std::fs::metadata(&file).expect("the key is kept").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let key = std::fs::read_to_string(&file).expect("our own file").trim().to_owned();
    eventually("the first start prints the key, once", || server.log().contains(&key).then_some(()));
    let card = server.variants("demo").remove(0);
    let pictures = server.record(&card, 2);
    assert_eq!(look::complaints(&pictures.only_file()), "");

    // A person with the key takes the card's place, and the card returns after them.
    let clip = Clip { mark: 0x3c, ..Clip::default() };
    clip.file();
    let publisher = Publisher::push(&clip, &format!("rtmp://{}/live/{key}", server.rtmp));
    let theirs = eventually("the person's session is shown", || {
        Some(server.variants("demo").remove(0)).filter(|source| *source != card)
    });
    let pictures = look::pictures(&server.record(&theirs, 2).only_file());
    assert!(pictures.iter().all(|p| p.marks.is_some_and(|(mark, _)| mark == 0x3c)), "{pictures:?}");
    publisher.stop();
    eventually_within("the card is back", Duration::from_secs(60), || {
        let shown = server.get("/live/demo/index.m3u8").ok().map(|text| hls::multivariant(&text))?;
        let live = shown.variants.first().map(|v| hls::resolve("/live/demo/index.m3u8", &v["URI"]))?;
        (live != theirs && !server.media(&live).ended).then_some(())
    });

    let server = server.start_again();
    eventually("later starts name the file", || server.log().contains("first-key").then_some(()));
    assert!(!server.log().contains(&key), "instead of the key");
}

#[test]
fn a_port_that_is_taken_is_named_in_one_sentence() {
    let server = Server::start();
    let taken = server.http.to_string();
    let other = tempfile::tempdir().expect("a temporary folder");
    let data = other.path().display().to_string();
    let free = "127.0.0.1:0";
    let words = ["serve", "--data-dir", &data, "--http", &taken, "--https", free, "--rtmp", free, "--rtmps", free];
    let out = run(weir_exe(), words);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success());
    assert!(said.contains(&server.http.port().to_string()), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named_in_one_sentence() {
    let out = run(weir_exe(), ["serve", "--data-dir", "/proc/weir-has-no-place-here"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success());
    assert!(said.contains("/proc/weir-has-no-place-here") && !said.contains("panicked"), "{said}");
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("weir.toml");
    std::fs::write(&file, "htttp = \"127.0.0.1:0\"\n").expect("a temporary folder can be written");
    let file = file.display().to_string();
    let data = dir.path().display().to_string();
    let out = run(weir_exe(), ["check", "--config", &file, "--data-dir", &data]);
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!out.status.success() && said.contains("htttp"), "{said}");
}

#[test]
fn terminate_closes_playlists_and_ends_in_time() {
    let mut server = Server::start();
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("parts are listed", || server.media(&source).newest());
    let address = server.http;
    let follower = std::thread::spawn(move || {
        // A viewer who keeps looking sees the end before the port closes.
        let mut ended = false;
        while let Ok(answer) = get(address, &source) {
            ended |= answer.status == 200 && hls::media(&answer.text()).ended;
        }
        ended
    });
    let (status, took) = server.terminate();
    assert!(status.success(), "{status}\n{}", server.log());
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    assert!(follower.join().expect("the follower ends"), "the playlist was closed before the server left");
    assert!(server.workers().is_empty(), "no worker outlives the server");
}

#[test]
fn a_killed_worker_is_replaced_and_nobody_else_notices() {
    let server = Server::start();
    let (hit, other) = (server.add_stream("hit"), server.add_stream("other"));
    let clip = Clip { size: (640, 480), gop: 60, kbps: 900, ..Clip::default() };
    let small = Clip::default();
    for clip in [&clip, &small] {
        clip.file();
    }
    let _first = Publisher::push(&clip, &server.publish_url(&hit));
    let rung = eventually("an encoded rung is listed", || {
        let variants = server.variants("hit");
        variants.into_iter().find(|path| path.contains("360p"))
    });
    eventually("the rung has segments", || server.media(&rung).complete().nth(1).map(|_| ()));
    let workers = server.workers();
    let _second = Publisher::push(&small, &server.publish_url(&other));
    let source = server.variants("other").remove(0);
    let before = server.media(&rung).newest().expect("parts");

    workers.iter().for_each(|&id| server.kill(id));
    eventually("the rung goes on", || {
        let newest = server.media(&rung).newest()?;
        (newest.0 > before.0 + 1).then_some(())
    });
    let list = server.media(&rung);
    assert!(list.segments.iter().all(|segment| !segment.discontinuity), "equal parameter sets need no discontinuity");
    assert!(server.workers().iter().all(|id| !workers.contains(id)), "the killed ones are gone");
    assert!(server.metric("weir_transcoder_restarts_total") >= 1.0, "{}", server.get("/metrics").text());
    assert_eq!(look::complaints(&server.record(&source, 2).only_file()), "");
}

#[test]
fn health_and_metrics_tell_what_is_live() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.play("show");
    let text = server.get("/metrics").text();
    assert!(text.lines().any(|line| line.starts_with("weir_")), "{text}");
    let bad: Vec<&str> = text.lines().filter(|line| line.contains(&stream.key)).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn the_api_manages_streams_with_its_token() {
    let server = Server::start();
    let file = server.data_dir().join("api-token");
    let mode = std::fs::metadata(&file).expect("the token is kept").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let token = std::fs::read_to_string(&file).expect("our own file").trim().to_owned();
    let bearer = format!("Bearer {token}");
    let json = ("content-type", "application/json");
    let ask = |headers: &[(&str, &str)]| {
        tests::request(server.http, "POST", "/api/v1/streams", headers, br#"{"name":"show"}"#).expect("an answer")
    };
    assert_eq!(ask(&[json]).status, 401, "nothing without the token");
    let made = ask(&[json, ("authorization", &bearer)]);
    assert_eq!(made.status, 201, "{}", made.text());
    let made: serde_json::Value = serde_json::from_str(&made.text()).expect("JSON");
    let url = format!("rtmp://{}/live/{}", server.rtmp, made["key"].as_str().expect("the key"));
    let _publisher = Publisher::push(&Clip::default(), &url);
    server.play("show");
    assert_eq!(server.get("/api/v1/openapi.json").status, 200);
}

#[test]
fn the_server_keeps_its_streams_in_postgres_when_told_to() {
    let address = std::env::var("WEIR_TEST_POSTGRES").expect("run this through scripts/with-postgres");
    let server = Server::start_configured(&format!("database = \"{address}\"\n"), &["--no-demo"]);
    let config = server.data_dir().with_file_name("weir.toml").display().to_string();
    let made = server.weir_json(&["stream", "add", "show", "--config", &config]);
    let url = format!("rtmp://{}/live/{}", server.rtmp, made["key"].as_str().expect("a key"));
    let _publisher = Publisher::push(&Clip::default(), &url);
    server.play("show");
    assert!(!server.data_dir().join("weir.db").exists(), "no file is made beside it");
}

#[test]
fn no_worker_outlives_a_killed_server() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.play("show");
    let workers = server.workers();
    assert!(!workers.is_empty());
    server.kill(server.id());
    // One that nobody waited for yet is a zombie, which runs no more.
    let runs = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    eventually("its workers are gone", || (!workers.iter().any(runs)).then_some(()));
}

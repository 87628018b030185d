//! What a streamer is told of the settings of the encoder.

use serde_json::Value;
use tests::{AudioKind, Clip, Publisher, Server, eventually};

/// What the API says of the stream `show`.
fn health(server: &Server) -> Value {
    server.ask("GET", "/api/v1/streams/show/health")
}

fn codes(health: &Value) -> Vec<String> {
    let issues = health["issues"].as_array().expect("issues");
    issues.iter().map(|issue| issue["code"].as_str().expect("a code").to_owned()).collect()
}

#[test]
fn a_streamer_is_told_which_setting_cures_it_and_when_all_is_well() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    assert_eq!(health(&server)["verdict"], "no_data");
    let good = Clip { gop: 60, ..Clip::default() };
    let faults = [
        ("keyframe_interval", "bad", "Keyframe Interval: 2 s", Clip { gop: 300, ..good.clone() }),
        ("no_audio", "bad", "Audio Mixer", Clip { audio: AudioKind::None, ..good.clone() }),
        ("silence", "bad", "Audio Mixer", Clip { audio: AudioKind::Silent, ..good.clone() }),
        ("audio_bitrate", "warning", "Audio Bitrate", Clip { audio: AudioKind::Thin, ..good.clone() }),
        ("sample_rate", "warning", "48 kHz", Clip { audio: AudioKind::Aac(22_050), ..good.clone() }),
        ("b_frames", "warning", "bframes=2", Clip { bframes: 3, ..good.clone() }),
        ("frame_rate", "warning", "FPS", Clip { irregular: true, ..good.clone() }),
    ];
    for (code, severity, cure, clip) in faults {
        let publisher = Publisher::push(&clip, &server.publish_url(&stream));
        let told = eventually(code, || {
            let health = health(&server);
            let issue = health["issues"].as_array()?.iter().find(|issue| issue["code"] == code)?.clone();
            Some((health, issue))
        });
        assert_eq!(told.1["severity"], severity, "{}", told.0);
        assert!(told.1["cure"].as_str().is_some_and(|text| text.contains(cure)), "{}", told.1);
        // What the server writes takes its way through a pipe.
        eventually("the log says it too", || server.log().contains(cure).then_some(()));
        publisher.kill();
    }
    // Those connections were lost, which is told as well; another server has seen none of it.
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let _publisher = Publisher::push(&good, &server.publish_url(&stream));
    let well = eventually("ten seconds of it", || {
        Some(health(&server)).filter(|health| health["measured"]["pace"].is_number())
    });
    assert_eq!(well["verdict"], "good", "{well}");
    assert_eq!(codes(&well), Vec::<String>::new());
    assert!((well["measured"]["fps"].as_f64().expect("a rate") - 30.0).abs() < 0.5, "{well}");
    assert!((well["measured"]["keyframe_s"].as_f64().expect("a time") - 2.0).abs() < 0.1, "{well}");
}

#[test]
fn a_rehearsal_is_told_about_and_seen_by_nobody_who_was_not() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let rehearsal = || server.ask("GET", "/api/v1/streams/show/rehearsal");
    assert_eq!(rehearsal()["state"], "none");
    let clip = Clip { gop: 300, seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&clip, &format!("{}?test=1", server.publish_url(&stream)));
    let told = eventually("the flaw", || {
        Some(rehearsal()).filter(|told| told["flaws"].as_array().is_some_and(|flaws| !flaws.is_empty()))
    });
    assert_eq!((&told["state"], &told["health"]["verdict"]), (&"running".into(), &"bad".into()), "{told}");
    assert_eq!(told["flaws"][0]["code"], "keyframe_interval");
    assert!(told["left_s"].as_u64().is_some_and(|left| left < 60) && told["score"].is_null(), "{told}");

    // The stream notices nothing: not in the list, not at its address, not in its own health.
    assert_eq!(server.ask("GET", "/api/v1/live")["streams"], Value::Array(vec![]));
    assert_eq!(server.get("/live/show/index.m3u8").status, 404);
    assert_eq!(health(&server)["verdict"], "no_data");
    let preview = told["preview"].as_str().and_then(|path| path.strip_prefix("/watch/")).expect("an address");
    server.play(preview);
    assert_eq!(server.get(&format!("/watch/{preview}")).status, 200);
    assert_eq!(server.ask("GET", &format!("/api/v1/live/{preview}"))["title"], "Rehearsal");
    for stranger in ["show~rehearsal", "show~aaaa", &preview[..preview.len() - 1]] {
        assert_eq!(server.get(&format!("/live/{stranger}/index.m3u8")).status, 404, "{stranger}");
        assert_eq!(server.get(&format!("/api/v1/live/{stranger}")).status, 404, "{stranger}");
    }

    // The show goes on beside it with the same key.
    let show = Publisher::push(&Clip { gop: 60, ..clip }, &server.publish_url(&stream));
    server.play("show");
    assert_eq!(rehearsal()["state"], "running");
    publisher.kill();
    let over = eventually("its end", || Some(rehearsal()).filter(|told| told["state"] == "over"));
    assert!(over["preview"].is_null() && over["flaws"][0]["code"] == "keyframe_interval", "{over}");
    assert_eq!(server.get(&format!("/live/{preview}/index.m3u8")).text().matches("#EXT-X-STREAM-INF").count(), 1);
    assert_eq!(server.ask("GET", "/api/v1/streams/show/stats")["state"], "live");
    let rtt = eventually("the round trip", || server.ask("GET", "/api/v1/streams/show/stats")["rtt_ms"].as_f64());
    assert!((0.0..1_000.0).contains(&rtt), "{rtt} ms on one machine");
    drop(show);
    let (_, secret) = preview.split_once('~').expect("a secret");
    assert!(!server.log().contains(secret), "the preview's secret is in no log");
}

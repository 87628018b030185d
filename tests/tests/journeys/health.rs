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
        assert!(server.log().contains(cure), "the log says it too");
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

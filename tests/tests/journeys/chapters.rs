//! A recording's parts get names, and viewers go to them.

use crate::browser::browse;
use serde_json::json;
use std::fs;
use std::time::Duration;
use tests::{Clip, Publisher, Server, eventually};

#[test]
fn chapters_are_set_in_a_file_and_viewers_go_to_them() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none", "--record", "always"]).status.success());
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let id = eventually("a finished recording", || {
        let all = server.ask("GET", "/api/v1/recordings");
        let recording = all["recordings"].as_array()?.first()?.clone();
        (recording["status"] == "available").then(|| recording["id"].as_str().map(str::to_owned))?
    });
    assert_eq!(server.get(&format!("/vod/{id}/chapters.vtt")).status, 404, "it has none");

    let file = server.data_dir().join("chapters.txt");
    let set = |text: &str| {
        fs::write(&file, text).expect("a file");
        server.weir(&["recording", "chapters", &id, "--file", &file.display().to_string()])
    };
    let refused = set("0:00 Doors\nlater: Song\n");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 2 does not begin with a time"), "{refused:?}");
    assert!(!set("0:00 Doors\n10:00 Behind the end\n").status.success());
    let done = set(
        "0:00 Doors\n0:04 First <song> & more\n0:08.5 Encore, with a title that is much too long for a phone's width\n",
    );
    assert!(String::from_utf8_lossy(&done.stdout).starts_with("0:00:00 Doors\n0:00:04 First <song>"), "{done:?}");
    let vtt =
        eventually("the chapters", || Some(server.get(&format!("/vod/{id}/chapters.vtt"))).filter(|a| a.status == 200));
    assert_eq!(vtt.header("content-type"), "text/vtt; charset=utf-8");
    assert!(vtt.text().contains("00:00:04.000 --> 00:00:08.500\nFirst &lt;song&gt; &amp; more\n"), "{}", vtt.text());

    let cut = server.tell("POST", &format!("/api/v1/recordings/{id}/clips"), r#"{"start_s": 2.5, "end_s": 7}"#);
    assert_eq!(
        cut["chapters"],
        json!([{ "at_ms": 0, "title": "Doors" }, { "at_ms": 2000, "title": "First <song> & more" }]),
        "the clip begins with the keyframe at 2 s: {cut}"
    );

    for (name, width, height, scheme) in
        [("wide", "1280", "1000", "dark"), ("phone", "390", "844", "light"), ("phone-dark", "390", "844", "dark")]
    {
        let url = server.url(&format!("/recordings/{id}"));
        let seen = browse("chapters.mjs", &[&url, "--width", width, "--height", height, "--scheme", scheme]);
        assert_eq!(seen["errors"], json!([]), "{seen}");
        let titles: Vec<&str> = seen["titles"].as_array().expect("a list").iter().filter_map(|t| t.as_str()).collect();
        assert_eq!(titles[..2], ["Doors", "First <song> & more"], "{seen}");
        assert_eq!((&seen["marks"], &seen["wider_than_page"]), (&json!(2), &json!(false)), "{name}: {seen}");
        assert_eq!(seen["current"], json!([titles[1], titles[2]]), "{name}: {seen}");
        let at: Vec<f64> = seen["at_s"].as_array().expect("a list").iter().filter_map(|at| at.as_f64()).collect();
        assert!((at[0] - 4.0).abs() < 0.3 && (at[1] - 8.5).abs() < 0.3, "{name}: {seen}");
        assert_eq!(seen["hint"], titles[1], "{name}: {seen}");
    }
}

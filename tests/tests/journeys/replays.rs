//! Recordings that are played again as a live stream.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{Clip, Publisher, Server, Stream, eventually, eventually_within, look};

const FPS: u32 = 30;

/// A server, a stream with a finished recording of this clip, and another one that is always recorded too.
fn recorded(clip: &Clip) -> (Server, Value, Stream) {
    let server = Server::start();
    let stream = server.add_stream("show");
    let again = server.add_stream("again");
    for name in ["show", "again"] {
        let set = server.weir(&["stream", "set", name, "--ladder", "none", "--record", "always"]);
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    }
    Publisher::push(clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(60));
    let recording = available(&server, "show", 1).remove(0);
    (server, recording, again)
}

/// Waits until so many recordings of a stream can be watched.
#[track_caller]
fn available(server: &Server, stream: &str, count: usize) -> Vec<Value> {
    eventually_within("finished recordings", Duration::from_secs(40), || {
        let all = server.ask("GET", &format!("/api/v1/recordings?stream={stream}&status=available"));
        all["recordings"].as_array().filter(|all| all.len() == count).cloned()
    })
}

fn id(recording: &Value) -> &str {
    recording["id"].as_str().expect("an id")
}

fn address(server: &Server, recording: &Value) -> String {
    server.url(recording["hls"].as_str().expect("a path"))
}

/// The burnt-in numbers of all pictures, in order; `None` where they can't be read.
fn numbers(input: &str) -> Vec<Option<u32>> {
    look::pictures(input).iter().map(|picture| picture.marks.map(|(_, number)| number)).collect()
}

fn replay(server: &Server, recording: &str, body: Value) -> Value {
    server.tell("POST", &format!("/api/v1/recordings/{recording}/replay"), &body.to_string())
}

fn is_live(server: &Server, stream: &str) -> bool {
    server.get(&format!("/api/v1/live/{stream}")).status == 200
}

#[test]
fn a_replay_is_a_live_with_every_picture_once_and_its_sound() {
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    let (server, recording, _) = recorded(&clip);
    let said = server.weir(&["replay", id(&recording), "--to", "again"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let running = server.ask("GET", "/api/v1/replays");
    assert_eq!(running["replays"][0]["recording"], id(&recording), "{running}");
    assert_eq!(running["replays"][0]["stream"], "again");
    // A viewer follows it while it runs.
    let source = eventually("the source", || server.variants("again").into_iter().next());
    let stats = server.ask("GET", "/api/v1/streams/again/stats");
    assert!(stats["encoder"].as_str().is_some_and(|encoder| encoder.contains("replay")), "{stats}");
    let seen = server.record(&source, 4);
    let file = seen.only_file();
    let live: Vec<u32> = numbers(&file).into_iter().flatten().collect();
    assert!(live.len() == 8 * FPS as usize && live.is_sorted_by(|a, b| a + 1 == *b), "every picture once: {live:?}");
    assert_eq!(look::complaints(&file), "");
    // Its own recording is the first one's twin.
    let twin = available(&server, "again", 1).remove(0);
    assert!(!is_live(&server, "again"), "it ends with its recording");
    assert_eq!(server.ask("GET", "/api/v1/replays")["replays"], json!([]));
    let wanted: Vec<_> = (0..12 * FPS).map(Some).collect();
    assert_eq!(numbers(&address(&server, &twin)), wanted, "every picture, once, in order");
    assert_eq!(look::complaints(&address(&server, &twin)), "");
    let (first, second) = (address(&server, &recording), address(&server, &twin));
    let sync = |input: &str| look::sync_offsets_ms(&look::pictures(input), &look::sound(input), FPS);
    let (before, after) = (sync(&first), sync(&second));
    assert_eq!(before.len(), after.len(), "every beep: {before:?} {after:?}");
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 10.0), "lip-sync stays: {before:?} {after:?}");
}

#[test]
fn a_replay_takes_nobodys_place_and_a_publisher_takes_its() {
    let clip = Clip { gop: 30, seconds: 8, mark: 0x11, ..Clip::default() };
    let (server, recording, again) = recorded(&clip);
    let refusal = |id: &str, to: &str| replay(&server, id, json!({ "to": to }))["code"].clone();
    assert_eq!(refusal(id(&recording), "nowhere"), "no_such_stream");
    assert_eq!(refusal("01900000-0000-7000-8000-000000000000", "again"), "no_such_recording");
    let edit = |visibility: &str| {
        let change = json!({ "visibility": visibility }).to_string();
        server.tell("PATCH", &format!("/api/v1/recordings/{}", id(&recording)), &change)
    };
    edit("private");
    assert_eq!(refusal(id(&recording), "again"), "not_now");
    edit("unlisted");
    assert_eq!(server.ask("GET", "/api/v1/replays")["replays"], json!([]));

    // Round and round, as nobody ends it.
    assert_eq!(replay(&server, id(&recording), json!({ "to": "again", "loop": true }))["loop"], true);
    eventually("the replay", || is_live(&server, "again").then_some(()));
    assert_eq!(refusal(id(&recording), "again"), "stream_busy", "one at a time");
    let session = server.ask("GET", "/api/v1/live/again")["session"].clone();
    let show = Clip { gop: 30, seconds: 6, mark: 0x22, ..Clip::default() };
    let mut publisher = Publisher::push(&show, &server.publish_url(&again));
    eventually("the publisher's own session", || {
        let live: Value = serde_json::from_str(&server.get("/api/v1/live/again").ok()?).ok()?;
        (live["session"] != session).then_some(())
    });
    assert_eq!(server.ask("GET", "/api/v1/replays")["replays"], json!([]));
    assert_eq!(refusal(id(&recording), "again"), "stream_busy", "a publisher has it");
    publisher.expect_end(Duration::from_secs(30));
    let both = available(&server, "again", 2);
    let marks = |recording: &Value| -> Vec<u8> {
        let mut marks: Vec<u8> = look::pictures(&address(&server, recording))
            .iter()
            .filter_map(|picture| picture.marks.map(|(mark, _)| mark))
            .collect();
        marks.dedup();
        marks
    };
    assert_eq!((marks(&both[0]), marks(&both[1])), (vec![0x22], vec![0x11]), "each in its own recording");
}

#[test]
fn a_replay_goes_round_until_the_stream_is_stopped() {
    let clip = Clip { gop: 30, seconds: 5, ..Clip::default() };
    let (server, recording, _) = recorded(&clip);
    replay(&server, id(&recording), json!({ "to": "again", "loop": true }));
    let source = eventually("the source", || server.variants("again").into_iter().next());
    eventually_within("the second round", Duration::from_secs(30), || {
        let list = server.media(&source);
        let after = list.segments.iter().skip_while(|segment| !segment.discontinuity).count();
        (after >= 4).then_some(())
    });
    let stopped = server.weir(&["stream", "stop", "again"]);
    assert!(stopped.status.success());
    eventually("its end", || (!is_live(&server, "again")).then_some(()));
    assert_eq!(server.ask("GET", "/api/v1/replays")["replays"], json!([]));
    let refused = server.weir(&["replay", id(&recording), "--to", "again"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("stopped this stream"), "{said}");
    let twin = available(&server, "again", 1).remove(0);
    let mut seen: Vec<u32> = numbers(&address(&server, &twin)).into_iter().flatten().collect();
    // It was stopped amid a group, perhaps before a picture that is shown before the newest.
    seen.truncate(seen.len() - 3);
    let round = 5 * FPS;
    assert!(seen.len() as u32 > round + FPS, "{} pictures", seen.len());
    let wanted: Vec<u32> = (0..seen.len() as u32).map(|number| number % round).collect();
    assert_eq!(seen, wanted, "nothing is lost where it begins again");
}

//! Keys: rotated, removed, never shown.

use std::time::{Duration, Instant};
use tests::{Clip, Publisher, Server, Stream, eventually_within};

/// A running server sees a change made on the command line in half a second; the rest is what ffmpeg takes on a loaded machine.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn is_refused(server: &Server, stream: &Stream) -> bool {
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(stream));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        if !publisher.is_running() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn rotate(server: &Server, name: &str) -> Stream {
    let made = server.weir_json(&["stream", "rotate-key", name]);
    Stream { name: name.to_owned(), key: made["key"].as_str().expect("the new key").to_owned() }
}

#[test]
fn a_new_key_works_beside_the_old_one_until_the_next_rotation() {
    let server = Server::start();
    let first = server.add_stream("show");
    let second = rotate(&server, "show");
    assert!(!is_refused(&server, &first), "the old key lives on, so that an encoder can be changed over");
    assert!(!is_refused(&server, &second));
    let third = rotate(&server, "show");
    eventually_within("two keys are active at most", Duration::from_secs(10), || {
        is_refused(&server, &first).then_some(())
    });
    assert!(!is_refused(&server, &third));
}

#[test]
fn an_encoder_whose_key_stops_working_is_closed_at_once() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.play("show");
    rotate(&server, "show");
    rotate(&server, "show");
    let closed = |publisher: &mut Publisher| (!publisher.is_running()).then_some(());
    eventually_within("the encoder is closed", SEEN_WITHIN, || closed(&mut publisher));
}

#[test]
fn removing_a_stream_closes_its_encoder_and_refuses_its_key() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    server.play("show");
    let removed = server.weir(&["stream", "remove", "show"]);
    assert!(removed.status.success(), "{removed:?}");
    eventually_within("the encoder is closed", SEEN_WITHIN, || (!publisher.is_running()).then_some(()));
    assert!(is_refused(&server, &stream));
}

#[test]
fn a_stream_added_while_the_server_runs_is_taken_at_once() {
    let server = Server::start();
    let stream = server.add_stream("late");
    assert!(!is_refused(&server, &stream));
    let listed = server.weir_json(&["stream", "list"]);
    assert!(listed.to_string().contains("late"), "{listed}");
    assert!(!listed.to_string().contains(&stream.key), "a list shows no key");
}

#[test]
fn neither_log_nor_metrics_nor_answers_hold_a_key() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let by_name = format!("rtmp://{}/live/show?key={}", server.rtmp, stream.key);
    let publisher = Publisher::push(&Clip::default(), &by_name);
    server.play("show");
    publisher.stop();
    let wrong = Stream { key: format!("{}x", stream.key), ..stream.clone() };
    assert!(is_refused(&server, &wrong));
    let shown = [server.log(), server.get("/metrics").text(), server.get("/api/v1/live").text()].concat();
    // The secret half of a key is its last word; even that alone must not be there.
    let secret = stream.key.rsplit(['_', '-', '.']).next().expect("a key has a last word");
    assert!(secret.len() >= 16, "the secret half is long: {}", secret.len());
    assert!(!shown.contains(secret), "a key was written where others read");
}

#[test]
fn keys_are_not_kept_in_clear_in_the_database() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let secret = stream.key.rsplit(['_', '-', '.']).next().expect("a key has a last word").to_owned();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(server.data_dir()).expect("a data directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "first-key" && entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).expect("a file of ours");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds the key in clear");
            looked_at += 1;
        }
    }
    assert!(looked_at > 0);
}

//! A server that has enough to do says so, and what it does goes on.

use std::time::Duration;
use tests::{Clip, Publisher, Server};

#[test]
fn a_full_server_refuses_with_words_and_keeps_its_streams() {
    let server = Server::start_configured("[transcode]\nstreams_max = 1\nladder = \"none\"\n", &[]);
    let (first, second) = (server.add_stream("first"), server.add_stream("second"));
    let mut kept = Publisher::push(&Clip::default(), &server.publish_url(&first));
    server.play("first");

    let mut refused = Publisher::push(&Clip::default(), &server.publish_url(&second));
    assert!(!refused.expect_end(Duration::from_secs(20)).success());
    let said = refused.said();
    assert!(said.contains("at capacity (1 of 1 streams are live)"), "{said}");
    assert!(kept.is_running(), "{}", kept.said());

    // The stream that is live may be taken over: it is not one more.
    let _newer = Publisher::push(&Clip::default(), &server.publish_url(&first));
    kept.expect_end(Duration::from_secs(20));
    server.play("first");
}

//! A server that has enough to do says so, and what it does goes on.

use std::time::Duration;
use tests::{Clip, Follower, Proxy, Publisher, Server, eventually, look};

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

#[test]
fn a_network_that_stalls_and_catches_up_costs_no_rendition_a_picture() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "180p:200k"]).status.success());
    let network = Proxy::start(server.rtmp);
    let clip = Clip { size: (640, 360), gop: 60, kbps: 700, ..Clip::default() };
    let _publisher = Publisher::push(&clip, &format!("rtmp://{}/live/{}", network.address, stream.key));
    let paths = eventually("two variants", || Some(server.variants("show")).filter(|paths| paths.len() == 2));
    let followed = paths.iter().map(|path| Follower::start(server.http, path)).collect::<Vec<_>>();
    let until = |count: u64| {
        for follower in &followed {
            eventually("segments", || {
                let seen = follower.seen();
                let first = *seen.segments.keys().next()?;
                (seen.newest()? >= first + count || !seen.faults.is_empty()).then_some(())
            });
        }
    };
    until(2);
    // Just under what is taken for a publisher that stopped.
    network.stand_still(Duration::from_millis(3_500));
    until(8);
    for follower in &followed {
        let seen = follower.seen();
        seen.expect_continuous();
        assert_eq!((seen.gaps(), seen.discontinuities()), (vec![], vec![]), "{:?}", seen.segments);
    }
    for name in ["weir_transcoder_input_dropped_total", "weir_transcoder_rungs_shed_total"] {
        assert_eq!(server.metric(name), 0.0, "{name}");
    }
    assert_eq!(look::complaints(&server.record(&paths[1], 2).only_file()), "");
}

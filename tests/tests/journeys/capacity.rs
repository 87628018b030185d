//! A server that has enough to do says so, and what it does goes on.

use std::time::Duration;
use tests::{Clip, Follower, Proxy, Publisher, Server, eventually, look};

#[test]
fn a_full_server_refuses_with_words_and_keeps_its_streams() {
    let server = Server::start_configured("[transcode]\nstreams_max = 1\nladder = \"none\"\n", &[]);
    let (first, second) = (server.add_stream("first"), server.add_stream("second"));
    // The test card has the only place, and gives it up.
    server.play("demo");
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

/// Memory a process holds, MiB.
fn resident_mib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
}

#[test]
fn a_worker_near_its_memory_limit_is_replaced_and_no_playlist_shows_it() {
    let clip = Clip { size: (1280, 720), gop: 30, kbps: 1_500, ..Clip::default() };
    let start = |mib: u64| {
        let settings = format!("[transcode]\nladder = \"360p:600k,180p:200k\"\nworker_memory_mib = {mib}\n");
        let server = Server::start_configured(&settings, &["--no-demo"]);
        let stream = server.add_stream("show");
        let publisher = Publisher::push(&clip, &server.publish_url(&stream));
        server.play("show");
        (server, publisher)
    };
    // What it usually holds, once decoder and encoders are full.
    let (server, publisher) = start(1_024);
    let all =
        |server: &Server| eventually("all renditions", || Some(server.variants("show")).filter(|all| all.len() == 3));
    let rung = all(&server).pop().expect("a rung");
    let mut usual = 0;
    eventually("six segments", || {
        usual = usual.max(server.workers().first().map_or(0, |worker| resident_mib(*worker)));
        (server.media(&rung).complete().count() >= 6).then_some(())
    });
    drop((publisher, server));

    // A limit a little above that: the worker passes the mark on its way there.
    let (server, mut publisher) = start(usual * 8 / 7);
    let followers: Vec<Follower> = all(&server).iter().map(|path| Follower::start(server.http, path)).collect();
    eventually("another worker takes over", || server.log().contains("another worker has taken over").then_some(()));
    let at = followers[0].seen().newest().unwrap_or_default();
    for follower in &followers {
        eventually("all go on", || follower.seen().has_media_after(at + 4).then_some(()));
        let seen = follower.seen();
        seen.expect_continuous();
        assert_eq!((seen.gaps(), seen.discontinuities()), (vec![], vec![]), "usually {usual} MiB");
    }
    assert_eq!(server.metric("weir_transcoder_restarts_total"), 0.0, "usually {usual} MiB");
    assert!(publisher.is_running(), "{}", publisher.said());
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

//! What the internet sends, beside people who only want to stream and watch.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tests::push::LivePush;
use tests::{
    Audience, Clip, Publisher, Rabble, Server, eventually, eventually_within, get, hls, request, run, weir_exe,
};

/// What three hundred bad clients at once may add to the server's memory: 64 KiB for each is 19 MiB, the rest is for what the
/// allocator keeps of those before them and for the live stream's own window, which grows meanwhile.
const GROWTH_MAX: u64 = 32 << 20;

/// How far behind the live viewers are: what a machine that does all of this at once may take away from them.
const HELD_BACK: Duration = Duration::from_secs(5);

#[test]
fn three_hundred_bad_clients_of_ten_kinds_disturb_nobody() {
    let server = Server::start_configured("[web]\nheader_timeout_s = 3\nwrite_timeout_s = 5\n", &["--no-demo"]);
    let (show, late) = (server.add_stream("show"), server.add_stream("late"));
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&show));
    let source = server.variants("show").remove(0);
    let object = eventually("two whole segments", || {
        let list = server.media(&source);
        list.complete().nth(1).map(|segment| hls::resolve(&source, &segment.uri))
    });
    let audience = Audience::start(server.http, &source, 20, HELD_BACK);
    eventually("all viewers are connected", || (server.metric("weir_http_connections") >= 20.0).then_some(()));
    let (files, memory) = (server.descriptors(), server.resident_bytes());

    let rabble = Rabble::start((server.rtmp, server.http), (&source, &object), 30, Duration::from_secs(10));
    eventually("the crowd is there", || (server.descriptors() > files + 100).then_some(()));
    // From the very address that the guessers come from.
    let another = Publisher::push(&Clip { mark: 0x3c, ..Clip::default() }, &server.publish_url(&late));
    eventually_within("a publisher beside guessers is live", Duration::from_secs(20), || {
        server.get("/live/late/index.m3u8").ok()
    });
    another.stop();
    let (mut most_files, mut most_memory) = (0, 0);
    eventually_within("every connection was closed by the server", Duration::from_secs(25), || {
        most_files = most_files.max(server.descriptors());
        most_memory = most_memory.max(server.resident_bytes());
        (!rabble.is_there()).then_some(())
    });
    let closed = rabble.closed();
    eventually_within("every socket is reclaimed", Duration::from_secs(5), || {
        (server.descriptors() <= files + 2).then_some(())
    });

    let growth = most_memory.saturating_sub(memory);
    println!("{files} files, at most {most_files}; {} KiB grew by {} KiB; {closed:?}", memory >> 10, growth >> 10);
    assert!(closed.iter().all(|(_, count)| *count >= 30), "each of them was there and closed: {closed:?}");
    assert!(growth < GROWTH_MAX, "memory grew by {} KiB from {} KiB", growth >> 10, memory >> 10);
    assert!(publisher.is_running(), "the good publisher was cut: {}", publisher.said());
    for viewer in audience.leave() {
        assert!(viewer.stalls == 0 && viewer.seconds > 10.0, "{viewer:?}");
    }
    assert_unharmed(&server);
    let lines = server.log().lines().filter(|line| line.contains("turned away")).count();
    assert!((5..=80).contains(&lines), "{lines} lines for {closed:?}");
    let refused = refused(&server);
    for cause in ["key", "protocol", "late", "header_deadline", "stalled", "host", "headers", "body", "too_far"] {
        assert!(refused.get(cause).is_some_and(|count| *count > 0.0), "{cause} was not counted: {refused:?}");
    }
}

/// Refusals of both doors by cause.
fn refused(server: &Server) -> BTreeMap<String, f64> {
    let text = server.get("/metrics").text();
    let samples = text.lines().filter(|line| line.contains("_refused_total{"));
    samples
        .filter_map(|line| {
            let (_, rest) = line.split_once("cause=\"")?;
            let (cause, rest) = rest.split_once('"')?;
            Some((cause.to_owned(), rest.rsplit(' ').next()?.parse().ok()?))
        })
        .collect()
}

#[track_caller]
fn assert_unharmed(server: &Server) {
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert_eq!(server.metric("weir_ingest_panics_total"), 0.0);
    assert_eq!(refused(server).get("panic"), None);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_server_short_of_files_turns_strangers_away_and_keeps_its_streams() {
    let server = Server::start_with_files(160, "");
    let (show, late) = (server.add_stream("show"), server.add_stream("late"));
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&show));
    let source = server.variants("show").remove(0);
    let audience = Audience::start(server.http, &source, 3, HELD_BACK);
    eventually("all viewers are connected", || (server.metric("weir_http_connections") >= 3.0).then_some(()));

    let open =
        |to: SocketAddr, count| (0..count).map(|_| TcpStream::connect(to).expect("a listener")).collect::<Vec<_>>();
    let (_viewers, _strangers) = (open(server.http, 300), open(server.rtmp, 300));
    eventually("the house is full", || {
        (request(server.http, "GET", "/healthz", &[], b"").map_or(503, |answer| answer.status) == 503).then_some(())
    });
    // Files are left for a publisher, its worker and the database. All places may be held by somebody who has just come,
    // so it tries again, as encoders do.
    let push = || Publisher::push(&Clip { mark: 0x3c, ..Clip::default() }, &server.publish_url(&late));
    let mut another = push();
    eventually_within("a publisher finds a place", Duration::from_secs(20), || {
        if !another.is_running() {
            another = push();
        }
        get(server.http, "/live/late/index.m3u8").ok()?.ok()
    });
    assert!(publisher.is_running(), "the publisher was cut: {}", publisher.said());
    for viewer in audience.leave() {
        assert!(viewer.stalls == 0, "{viewer:?}");
    }
    assert_unharmed(&server);
}

#[test]
fn questions_while_streams_come_and_go_are_always_answered() {
    const SPAN: Duration = Duration::from_secs(8);
    let server = Server::start();
    let token = std::fs::read_to_string(server.data_dir().join("api-token")).expect("the token is kept");
    let bearer = format!("Bearer {}", token.trim());
    let streams = ["one", "two", "three"].map(|name| server.add_stream(name));
    let tags = Clip { seconds: 4, ..Clip::default() }.tags();
    let until = Instant::now() + SPAN;
    let asked = std::thread::scope(|scope| {
        for (n, stream) in streams.iter().enumerate() {
            let (rtmp, tags) = (server.rtmp, tags.clone());
            scope.spawn(move || {
                while Instant::now() < until {
                    let push = LivePush::start(rtmp, "live", &stream.key, tags.clone());
                    std::thread::sleep(Duration::from_millis(400 + 300 * n as u64));
                    drop(push);
                }
            });
        }
        let paths = ["/api/v1/live", "/api/v1/live/one", "/api/v1/streams", "/api/v1/streams/two", "/metrics", "/"];
        let pollers: Vec<_> = paths
            .map(|path| {
                let (http, bearer) = (server.http, &bearer);
                scope.spawn(move || {
                    let mut asked = 0;
                    while Instant::now() < until {
                        let answer = request(http, "GET", path, &[("authorization", bearer)], b"").expect("an answer");
                        assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
                        asked += 1;
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    asked
                })
            })
            .into();
        pollers.into_iter().map(|poller| poller.join().expect("always answered")).sum::<u32>()
    });
    assert!(f64::from(asked) > 50.0 * SPAN.as_secs_f64(), "only {asked} questions");
    assert_unharmed(&server);
}

#[test]
fn a_first_start_killed_at_any_moment_leaves_a_database_that_opens() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for round in 0..20u64 {
        let data = dir.path().join(format!("data-{round}"));
        let mut command = std::process::Command::new(weir_exe());
        command.args(["stream", "add", "show", "--data-dir"]).arg(&data);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut start = command.spawn().expect("weir can be started");
        // From before the file is there to after the last migration.
        std::thread::sleep(Duration::from_millis(4 * round));
        let _ended_already = start.kill();
        start.wait().expect("our own child");
        let name = format!("again-{round}");
        let again = run(weir_exe(), ["stream", "add", &name, "--data-dir", &data.display().to_string()]);
        assert!(again.status.success(), "killed after {} ms: {}", 4 * round, String::from_utf8_lossy(&again.stderr));
    }
}

//! Sessions that outlive what happens to their publishers, and to the server.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tests::flv::Tag;
use tests::push::{LivePush, Push};
use tests::{AudioKind, Clip, Follower, Process, Publisher, Seen, Server, Stream, eventually, hls, look, tool};

/// A publisher that comes back must be accepted within a second; the rest is slack for a loaded machine.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(1_000 + 2_000);

fn push(server: &Server, stream: &Stream, tags: &[Tag]) -> LivePush {
    LivePush::start(server.rtmp, "live", &stream.key, tags.to_vec())
}

fn live_state(server: &Server, name: &str) -> Option<String> {
    let answer = server.get(&format!("/api/v1/live/{name}")).ok()?;
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    answer["state"].as_str().map(str::to_owned)
}

/// Waits until `follower` has seen what `enough` wants.
#[track_caller]
fn until(what: &str, follower: &Follower, enough: impl Fn(&Seen) -> bool) -> Seen {
    eventually(what, || Some(follower.seen()).filter(|seen| enough(seen) || !seen.faults.is_empty()))
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1_000.0
}

#[test]
fn a_publisher_that_vanishes_comes_back_to_the_same_playlist() {
    let server = Server::start();
    // Closed (FIN), reset (RST), and mute: three ways to lose a publisher, side by side. One has a rung beside it.
    let small = Clip::default().tags();
    let large = Clip { size: (640, 360), gop: 60, kbps: 700, ..Clip::default() }.tags();
    let streams = ["fin", "rst", "mute"].map(|name| server.add_stream(name));
    let tags = |stream: &Stream| if stream.name == "rst" { large.as_slice() } else { small.as_slice() };
    assert!(server.weir(&["stream", "set", "rst", "--ladder", "180p:200k"]).status.success());
    for stream in &streams {
        assert!(server.weir(&["stream", "set", &stream.name, "--slate", "off"]).status.success());
    }
    let mut pushes: Vec<Option<LivePush>> = streams.iter().map(|s| Some(push(&server, s, tags(s)))).collect();
    let follow = |stream: &Stream| {
        let wanted = 1 + usize::from(stream.name == "rst");
        let pictures =
            eventually("the variants", || Some(server.variants(&stream.name)).filter(|paths| paths.len() == wanted));
        let paths = pictures.into_iter().chain(server.audio(&stream.name));
        paths.map(|path| (Follower::start(server.http, &path), path)).collect::<Vec<_>>()
    };
    let followed = streams.each_ref().map(follow);
    for (follower, _) in followed.iter().flatten() {
        until("two segments", follower, |seen| seen.segments.len() >= 2);
    }
    pushes[0].take().expect("it pushes").hang_up();
    drop(pushes[1].take());
    pushes[2].as_ref().expect("it pushes").fall_silent();
    let before = followed.each_ref().map(|f| f[0].0.seen().newest().expect("segments"));
    for (stream, state) in streams.iter().zip(["reconnecting", "reconnecting", "stalled"]) {
        eventually(&format!("viewers of {} are told", stream.name), || {
            (live_state(&server, &stream.name)? == state).then_some(())
        });
    }

    // The mute one's old connection is still open: the same key takes over from it, with a larger picture.
    let back = streams.each_ref().map(|s| push(&server, s, if s.name == "fin" { &small } else { &large }));
    for ((stream, followed), before) in streams.iter().zip(&followed).zip(&before) {
        let is_back = |seen: &Seen| seen.gaps().last().is_some_and(|gap| gap > before && seen.has_media_after(*gap));
        let first = until("media behind the gap", &followed[0].0, is_back);
        let back = first.gaps().last().expect("gaps") + 1;
        // Who comes back as it was goes on; another picture size is another encoding.
        let breaks = if stream.name == "mute" { vec![back] } else { vec![] };
        for (follower, path) in followed {
            let is_there = |seen: &Seen| seen.newest() > Some(back) && seen.has_media_after(back - 1);
            let seen = until(&format!("media of {path}"), follower, is_there);
            seen.expect_continuous();
            assert_eq!(seen.discontinuities(), breaks, "{path}: at the same place in every rendition");
            println!("{path}: gaps {:?}, longest wait {:?}", seen.gaps(), seen.longest_wait);
            // What is dated now happened now.
            let newest = seen.segments.values().next_back().expect("segments");
            let end_ms = hls::wall_ms(newest.wall.as_deref().expect("a date")) as f64 + newest.duration * 1_000.0;
            assert!((now_ms() - end_ms).abs() < 6_000.0, "{path}: {} ms off", now_ms() - end_ms);
        }
    }
    for (push, stream) in back.iter().zip(&streams) {
        let accepted = push.accepted_in().expect("it was accepted");
        println!("{}: accepted in {accepted:?}", stream.name);
        assert!(accepted < ACCEPTED_WITHIN, "{}: {accepted:?}", stream.name);
        assert!(push.is_running(), "{}", stream.name);
        assert_eq!(live_state(&server, &stream.name).as_deref(), Some("live"));
    }
    let recording = server.record(&followed[0][0].1, 3);
    for (file, segments) in recording.runs().iter().filter(|(_, segments)| segments.iter().all(|s| !s.gap)) {
        assert_eq!(look::complaints(file), "", "{segments:?}");
    }
    let seen = followed[2][0].0.seen();
    let maps: BTreeSet<&str> = seen.segments.values().filter(|s| !s.gap).map(|s| s.map.as_str()).collect();
    assert_eq!(maps.len(), 2, "another size is another init section: {maps:?}");
    assert!(server.metric("weir_session_returns_total") >= 3.0);
    assert_eq!(server.metric("weir_rung_misaligned_total"), 0.0);
}

#[test]
fn ffmpeg_plays_on_after_ten_seconds_without_a_publisher() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let clip = Clip { seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("two segments", || server.media(&source).complete().nth(1).map(|_| ()));
    // It decodes all it gets and says each half second how many pictures that were.
    let mut command = Command::new(tool("ffmpeg"));
    command.args(["-nostdin", "-v", "error", "-i", &server.url("/live/show/index.m3u8")]);
    command.args(["-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-progress", "pipe:1", "-"]);
    let mut player = Process::start("ffmpeg (player)", command);
    let decoded = |player: &Process| {
        let last = |said: &str| said.lines().rev().find_map(|line| line.strip_prefix("frame=")?.trim().parse().ok());
        last(&player.said()).unwrap_or(0_u32)
    };
    eventually("pictures", || (decoded(&player) > 60).then_some(()));
    publisher.kill();
    std::thread::sleep(Duration::from_secs(10));
    let before = decoded(&player);
    let _back = Publisher::push(&clip, &server.publish_url(&stream));
    let back = Instant::now();
    // Eight seconds of pictures, which take eight seconds to come, and a few until the first of them.
    eventually("it plays on", || (decoded(&player) >= before + 8 * 30).then_some(()));
    println!("eight seconds of pictures came {:?} after the return; it said:\n{}", back.elapsed(), player.said());
    assert!(player.is_running());
}

#[test]
fn a_publisher_that_stays_away_leaves_an_end_when_its_window_closes() {
    let server = Server::start_configured("[ingest]\nreconnect_window_s = 3\n", &["--no-demo"]);
    let stream = server.add_stream("show");
    let publisher = push(&server, &stream, &Clip::default().tags());
    let follower = Follower::start(server.http, &server.variants("show").remove(0));
    until("a segment", &follower, |seen| !seen.segments.is_empty());
    drop(publisher);
    let gone = Instant::now();
    let seen = until("the end", &follower, |seen| seen.ended);
    println!("the end came {:?} after the publisher", gone.elapsed());
    assert!(seen.ended, "{seen:?}");
    // The window, one target, and slack.
    assert!((2..9).contains(&gone.elapsed().as_secs()), "{:?}", gone.elapsed());
    seen.expect_continuous();
    eventually("it is no longer listed", || live_state(&server, "show").is_none().then_some(()));
}

#[test]
fn an_operators_stop_holds_against_an_encoder_that_comes_back() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    assert!(server.weir(&["stream", "stop", "show"]).status.success());
    publisher.expect_end(Duration::from_secs(5));
    assert!(publisher.said().contains("operator stopped"), "{}", publisher.said());
    eventually("viewers see the end at once", || server.media(&source).ended.then_some(()));
    let mut again = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    assert!(!again.expect_end(Duration::from_secs(10)).success());
    assert!(again.said().contains("operator stopped"), "{}", again.said());
    assert!(server.weir(&["stream", "allow", "show"]).status.success());
    // The running server sees within a second what the command line wrote.
    let allowed = eventually("the encoder is taken again", || {
        let mut publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
        std::thread::sleep(Duration::from_millis(1_500));
        publisher.is_running().then_some(publisher)
    });
    let next = eventually("a new session", || Some(server.variants("show").remove(0)).filter(|path| *path != source));
    eventually("it plays", || server.media(&next).newest());
    drop(allowed);
}

#[test]
fn encoders_that_fight_over_a_key_are_told_and_one_keeps_it() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let address = server.rtmp.to_string();
        let mut current = Push::start(&address, "live", &stream.key).await.expect("nobody else is there");
        for round in 1..=3 {
            let start = Instant::now();
            let newer = Push::start(&address, "live", &stream.key).await.expect("the newest takes over");
            let accepted = start.elapsed();
            let words =
                tokio::time::timeout(Duration::from_secs(10), current.last_words()).await.expect("it is closed");
            println!("takeover {round}: accepted in {accepted:?}, the loser knew after {:?}", start.elapsed());
            assert!(words.is_some_and(|words| words.contains("took over")), "the loser is told why");
            assert!(accepted < ACCEPTED_WITHIN && start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
            current = newer;
        }
        let refused = Push::start(&address, "live", &stream.key).await.err().expect("the fourth is one too many");
        assert!(refused.to_string().contains("taking this stream from each other"), "{refused}");
        // Whoever has it keeps it.
        let kept = tokio::time::timeout(Duration::from_millis(500), current.last_words()).await;
        assert!(kept.is_err(), "the current one was closed: {kept:?}");
    });
    assert_eq!(server.metric("weir_session_frozen_total"), 1.0);
    assert!(server.log().contains("take this stream from each other"), "the operator is warned");
}

#[test]
fn a_stream_that_rejects_takeovers_keeps_a_healthy_encoder() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--takeover", "reject"]).status.success());
    let first = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    // Another kind of encoder, so that nobody takes it for the same one.
    let second = push(&server, &stream, &Clip::default().tags());
    let refused = second.result().expect_err("the first is well");
    assert!(refused.to_string().contains("Another encoder is live"), "{refused}");
    first.kill();
    let _back = push(&server, &stream, &Clip::default().tags());
    eventually("the same session goes on", || (server.metric("weir_session_returns_total") >= 1.0).then_some(()));
    assert_eq!(server.variants("show").remove(0), source);
}

#[test]
fn a_publisher_with_other_tracks_gets_a_session_of_its_own() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let with_sound = push(&server, &stream, &Clip::default().tags());
    let first = server.variants("show").remove(0);
    eventually("a segment", || server.media(&first).complete().next().map(|_| ()));
    drop(with_sound);
    let silent = Clip { audio: AudioKind::None, ..Clip::default() };
    let _silent = push(&server, &stream, &silent.tags());
    let second = eventually("a new session", || Some(server.variants("show").remove(0)).filter(|path| *path != first));
    eventually("the old one is ended", || server.media(&first).ended.then_some(()));
    let begin = eventually("the new one plays", || server.media(&second).segments.first().map(|s| s.number));
    let last = server.media(&first).segments.last().map(|s| s.number).expect("segments");
    assert!(begin > last, "numbers go on: {begin} after {last}");
    assert!(server.audio("show").is_none());
}

#[test]
fn a_killed_server_goes_on_with_its_sessions() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let tags = Clip { size: (640, 360), gop: 60, kbps: 700, ..Clip::default() }.tags();
    assert!(server.weir(&["stream", "set", "show", "--ladder", "180p:200k"]).status.success());
    let publisher = push(&server, &stream, &tags);
    let paths = eventually("source and rung", || Some(server.variants("show")).filter(|paths| paths.len() == 2));
    let last = eventually("some segments", || {
        let lists: Vec<_> = paths.iter().map(|path| server.media(path)).collect();
        lists.iter().all(|list| list.complete().count() >= 2).then_some(lists)
    });
    let old = last[0].segments.last().expect("segments").clone();

    let server = server.start_again();
    let started = Instant::now();
    drop(publisher);
    // A player asks for what comes next, at the address it has, and is held until there is something.
    let asked = format!("{}?_HLS_msn={}&_HLS_part=0", paths[0], old.number + 1);
    let answer = server.get(&asked);
    println!("a reload was answered {:?} after the restart", started.elapsed());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(live_state(&server, "show").as_deref(), Some("reconnecting"));
    let waiting = hls::media(&answer.text());
    assert!((1..=3).contains(&(waiting.sequence - old.number)), "{} after {}", waiting.sequence, old.number);
    assert_eq!(waiting.discontinuity_sequence, last[0].discontinuity_sequence);
    assert_eq!((waiting.target, waiting.part_target), (last[0].target, last[0].part_target));

    let followers: Vec<_> = paths.iter().map(|path| Follower::start(server.http, path)).collect();
    let _publisher = push(&server, &stream, &tags);
    for (follower, path) in followers.iter().zip(&paths) {
        let seen = until("media", follower, |seen| seen.has_media_after(0) && seen.segments.len() > 3);
        seen.expect_continuous();
        // Black pictures in silence stand in for the time since the server was killed, so that players have no hole to cross.
        assert_eq!((seen.discontinuities().len(), seen.gaps()), (2, vec![]), "{path}: {seen:?}");
        let first = seen.segments.values().next().expect("media");
        assert!(first.uri.contains('-') && first.map.contains('-'), "no name is used twice: {first:?}");
        let media = server.get(&hls::resolve(path, &first.uri));
        assert_eq!(media.status, 200, "{path}");
        let (folder, name) = first.uri.split_once('/').expect("a folder");
        let bare = name.split_once('-').map(|(_, bare)| format!("{folder}/{bare}")).expect("a dash");
        assert_eq!(server.get(&hls::resolve(path, &bare)).status, 404, "the dead server's names mean nothing else");
    }
    let seen = followers[0].seen();
    let newest = seen.segments.values().next_back().expect("segments");
    let end_ms = hls::wall_ms(newest.wall.as_deref().expect("a date")) as f64 + newest.duration * 1_000.0;
    assert!((now_ms() - end_ms).abs() < 5_000.0, "{} ms off", now_ms() - end_ms);
    assert_eq!(server.variants("show"), paths, "the addresses stay");
    // Old and new dates agree: the clock of the session did not jump.
    let old_ms = old.wall.as_deref().map(hls::wall_ms).expect("a date") as f64;
    let first = seen.segments.values().next().expect("segments");
    let first_ms = hls::wall_ms(first.wall.as_deref().expect("a date")) as f64;
    // A note that is lost with the server puts it where the segment before the open one began.
    assert!((-500.0..30_000.0).contains(&(first_ms - old_ms)), "{} ms", first_ms - old_ms);
}

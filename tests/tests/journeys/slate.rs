//! What viewers see while a publisher is away.

use std::collections::BTreeSet;
use std::process::Command;
use tests::push::LivePush;
use tests::{Clip, Follower, Publisher, Seen, Server, eventually, hls, look};

/// Silence, decoded: AAC's is exactly none.
const SILENT_DB: f64 = -80.0;

#[track_caller]
fn until(what: &str, follower: &Follower, enough: impl Fn(&Seen) -> bool) -> Seen {
    eventually(what, || Some(follower.seen()).filter(|seen| enough(seen) || !seen.faults.is_empty()))
}

fn state(server: &Server, name: &str) -> Option<String> {
    let answer = server.get(&format!("/api/v1/live/{name}")).ok()?;
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    answer["state"].as_str().map(str::to_owned)
}

/// A whole segment with media follows the first discontinuity: the slate is shown.
fn is_slate_shown(seen: &Seen) -> bool {
    seen.discontinuities().first().is_some_and(|at| seen.has_media_after(*at))
}

/// A whole segment with media follows the second discontinuity: the publisher is seen again.
fn is_source_back(seen: &Seen) -> bool {
    seen.discontinuities().get(1).is_some_and(|at| seen.has_media_after(*at))
}

#[test]
fn the_last_picture_and_silence_are_shown_while_the_publisher_is_away() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "180p:200k"]).status.success());
    let clip = Clip { size: (640, 360), kbps: 700, ..Clip::default() };
    let first = Publisher::push(&clip, &server.publish_url(&stream));
    let mut paths = eventually("source and rung", || Some(server.variants("show")).filter(|paths| paths.len() == 2));
    paths.extend(server.audio("show"));
    let followers: Vec<_> = paths.iter().map(|path| Follower::start(server.http, path)).collect();
    until("two segments", &followers[0], |seen| seen.segments.len() >= 2);
    first.kill();
    for follower in &followers {
        until("a slate", follower, is_slate_shown);
    }
    assert_eq!(state(&server, "show").as_deref(), Some("reconnecting"), "viewers are told all the same");
    eventually("nobody encodes the slate any more", || (server.workers().len() == 1).then_some(()));

    let _again = Publisher::push(&clip, &server.publish_url(&stream));
    let seen: Vec<Seen> = followers.iter().map(|follower| until("the publisher", follower, is_source_back)).collect();
    let breaks = seen[0].discontinuities();
    for (seen, path) in seen.iter().zip(&paths) {
        seen.expect_continuous();
        assert_eq!(seen.gaps(), Vec::<u64>::new(), "{path}");
        assert_eq!(seen.discontinuities(), breaks, "{path}: the same numbers everywhere");
        println!("{path}: {:?}, longest wait {:?}", seen.discontinuities(), seen.longest_wait);
        let maps: BTreeSet<&str> = seen.segments.values().map(|s| s.map.as_str()).collect();
        // The publisher's pictures have the init section they had before the slate.
        assert_eq!(maps.len(), if path.contains("source") { 2 } else { 1 }, "{path}: {maps:?}");
        let (first, last) = (seen.segments.values().next(), seen.segments.values().next_back());
        assert_eq!(first.map(|s| &s.map), last.map(|s| &s.map), "{path}");
    }
    let until_slate = seen[0].segments.range(..=breaks[1]).count();
    let recordings: Vec<_> = paths.iter().map(|path| server.record(path, until_slate + 1)).collect();
    let mut last = None;
    for (recording, path) in recordings.iter().zip(&paths) {
        let runs = recording.runs();
        assert_eq!(runs.len(), 3, "{path}: {runs:?}");
        for (file, segments) in &runs {
            assert_eq!(look::complaints(file), "", "{path}: {segments:?}");
        }
        let (before, slate) = (&runs[0].0, &runs[1].0);
        if path.contains("audio") {
            let mut silence = look::sound(slate);
            // The publisher's sound is back a moment before its first picture is shown.
            silence.samples.truncate(silence.samples.len() - silence.rate as usize / 4);
            let heard = [look::sound(before).rms_db(), silence.rms_db()];
            assert!(heard[0] > SILENT_DB && heard[1] < SILENT_DB, "{heard:?}");
            continue;
        }
        let shown = look::pictures(before).last().and_then(|picture| picture.marks).expect("a numbered picture");
        let slate_pictures = look::pictures(slate);
        // Rungs show what the source showed last.
        let shown = *last.get_or_insert(shown);
        assert!(slate_pictures.iter().all(|p| p.marks == Some(shown)), "{path}: {shown:?}, {slate_pictures:?}");
        let listed: f64 = runs[1].1.iter().map(|segment| segment.duration).sum();
        let (begin, end) = (slate_pictures[0].at, slate_pictures[slate_pictures.len() - 1].at);
        assert!(
            (end - begin + 1.0 / 30.0 - listed).abs() < 0.1,
            "{path}: {listed} s listed, {} s of pictures",
            end - begin
        );
    }
    assert_eq!(server.metric("weir_slates_shown_total"), 1.0);
    assert_eq!(server.metric("weir_rung_misaligned_total"), 0.0);
}

#[test]
fn a_streams_own_image_covers_a_publisher_that_falls_silent_and_a_restart() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let token = std::fs::read_to_string(server.data_dir().join("api-token")).expect("the token is kept");
    let bearer = format!("Bearer {}", token.trim());
    let address = "/api/v1/streams/show/slate";
    let ask = |method: &str, body: &[u8], bearer: &str| {
        tests::request(server.http, method, address, &[("authorization", bearer)], body).expect("an answer")
    };
    let image = server.data_dir().join("slate.png");
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "color=0xd0d0d0:s=1600x900,noise=alls=4",
            "-frames:v",
            "1",
        ])
        .arg(&image)
        .status();
    assert!(made.expect("ffmpeg is installed").success());
    let image = std::fs::read(image).expect("an image");
    assert!(image.len() > 100_000, "larger than any other request: {}", image.len());
    assert_eq!(ask("PUT", b"x", "Bearer nobody").status, 401);
    let refused = ask("PUT", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\0\0\0\x01\0\0", &bearer);
    assert!(refused.status == 400 && refused.text().contains("65536x65536 is too large"), "{}", refused.text());
    let kept = ask("PUT", &image, &bearer);
    assert!(kept.status == 200 && kept.text().contains(r#""slate":"image""#), "{}", kept.text());
    let jpeg = ask("GET", b"", &bearer);
    assert!(jpeg.header("content-type") == "image/jpeg" && jpeg.body.starts_with(&[0xff, 0xd8]), "{}", jpeg.status);

    let tags = Clip { size: (640, 360), kbps: 700, ..Clip::default() }.tags();
    let push = || LivePush::start(server.rtmp, "live", &stream.key, tags.clone());
    let silent = push();
    let path = server.variants("show").remove(0);
    let follower = Follower::start(server.http, &path);
    until("two segments", &follower, |seen| seen.segments.len() >= 2);
    silent.fall_silent();
    until("a slate", &follower, is_slate_shown);
    eventually("it is stalled", || (state(&server, "show")? == "stalled").then_some(()));
    let again = push();
    let seen = until("the publisher", &follower, is_source_back);
    seen.expect_continuous();
    assert_eq!((seen.gaps(), seen.discontinuities().len()), (vec![], 2), "{seen:?}");
    let count = seen.segments.range(..=seen.discontinuities()[1]).count();
    let recording = server.record(&path, count);
    let is_grey = |file: &str| {
        let pictures = look::pictures(file);
        assert_eq!(look::complaints(file), "");
        assert!(pictures.iter().all(|p| (200..=216).contains(&p.lower_half) && p.marks.is_none()), "{pictures:?}");
    };
    is_grey(&recording.runs()[1].0);
    drop((again, follower));

    // A server that was killed knows no last picture; the image it has.
    let server = server.start_again();
    let follower = Follower::start(server.http, &path);
    let seen = until("the image", &follower, |seen| seen.has_media_after(0));
    let (number, _) = seen.segments.iter().find(|(_, s)| !s.gap).expect("media");
    let list = server.media(&path);
    let recording = server.record(&path, list.complete().filter(|s| s.number <= *number).count());
    is_grey(&recording.segment_file(*number));
    assert!(hls::wall_ms(seen.segments[number].wall.as_deref().expect("a date")) > 0);
}

#[test]
fn a_takeover_shows_no_slate_and_who_wants_none_gets_gaps() {
    let server = Server::start();
    let tags = Clip::default().tags();
    let streams = ["taken", "plain"].map(|name| server.add_stream(name));
    assert!(server.weir(&["stream", "set", "plain", "--slate", "off"]).status.success());
    let push = |n: usize| LivePush::start(server.rtmp, "live", &streams[n].key, tags.clone());
    let (old, plain) = (push(0), push(1));
    let paths = streams.each_ref().map(|stream| server.variants(&stream.name).remove(0));
    let followers = paths.each_ref().map(|path| Follower::start(server.http, path));
    for follower in &followers {
        until("a segment", follower, |seen| !seen.segments.is_empty());
    }
    let _new = push(0);
    plain.hang_up();
    let seen = until("gaps", &followers[1], |seen| seen.gaps().len() >= 2);
    assert_eq!(seen.discontinuities(), Vec::<u64>::new());
    eventually("the session goes on", || (server.metric("weir_session_returns_total") >= 1.0).then_some(()));
    let newest = followers[0].seen().newest().expect("segments");
    let seen = until("media of the new one", &followers[0], |seen| seen.has_media_after(newest + 2));
    seen.expect_continuous();
    assert_eq!(seen.discontinuities(), Vec::<u64>::new(), "it is encoded as the one before");
    assert_eq!(server.metric("weir_slates_shown_total"), 0.0, "{}", server.log());
    drop(old);
}

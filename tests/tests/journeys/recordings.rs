//! What is kept of a live, and played again afterwards.

use crate::browser::browse;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tests::{Clip, Publisher, Server, Stream, eventually, eventually_within, hls, look};

/// A server with a stream that is always recorded, and no ladder.
fn recorded() -> (Server, Stream) {
    let server = Server::start();
    let stream = server.add_stream("show");
    let set = server.weir(&["stream", "set", "show", "--ladder", "none", "--record", "always"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    (server, stream)
}

fn recordings(server: &Server) -> Vec<Value> {
    server.ask("GET", "/api/v1/recordings")["recordings"].as_array().expect("a list").clone()
}

/// Waits until the only recording can be watched as a whole.
#[track_caller]
fn available(server: &Server) -> Value {
    eventually("a finished recording", || {
        let all = recordings(server);
        assert!(all.len() <= 1, "{all:?}");
        all.into_iter().find(|recording| recording["status"] == "available")
    })
}

fn path<'a>(recording: &'a Value, what: &str) -> &'a str {
    recording[what].as_str().expect("a path")
}

/// The burnt-in numbers of the pictures that can be decoded, in order, and what the decoder complained about.
fn numbers(server: &Server, recording: &Value) -> Vec<u32> {
    let address = server.url(path(recording, "hls"));
    look::pictures(&address).iter().filter_map(|picture| picture.marks.map(|(_, number)| number)).collect()
}

/// Files below a folder, without the folders.
fn files_below(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { files_below(&path) } else { vec![path.display().to_string()] }
        })
        .collect()
}

#[test]
fn a_recording_plays_whole_as_soon_as_its_live_has_ended() {
    let (server, stream) = recorded();
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    // While it runs it is a timeline from its start.
    let running = eventually("a running recording", || recordings(&server).pop());
    assert_eq!(running["status"], "recording");
    let list = eventually("its playlist", || {
        let index = server.get(path(&running, "hls")).ok().map(|text| hls::multivariant(&text))?;
        let source = hls::resolve(path(&running, "hls"), index.variants.first()?.get("URI")?);
        Some(server.media(&source)).filter(|list| list.complete().count() >= 2)
    });
    assert!(!list.ended);
    publisher.expect_end(Duration::from_secs(30));
    let recording = available(&server);

    let seen = numbers(&server, &recording);
    assert_eq!(seen, (0..12 * 30).collect::<Vec<u32>>(), "every picture, once, in order");
    assert_eq!(look::complaints(&server.url(path(&recording, "hls"))), "");
    let told = recording["duration_ms"].as_u64().expect("a length");
    assert!((11_900..12_150).contains(&told), "{told} ms");
    let sound = look::track(&server.url(path(&recording, "hls")), "audio");
    assert_eq!(sound["codec_name"], "aac");
    let disk: u64 = files_below(&server.data_dir().join("archive"))
        .iter()
        .filter(|file| file.ends_with(".m4s"))
        .map(|file| std::fs::metadata(file).map_or(0, |meta| meta.len()))
        .sum();
    assert_eq!(recording["size_bytes"].as_u64(), Some(disk), "what is told is what lies on the disk");
}

#[test]
fn a_reconnect_stays_one_recording_and_a_new_session_is_another() {
    let (server, stream) = recorded();
    let clip = Clip { gop: 60, seconds: 8, ..Clip::default() };
    let publisher = Publisher::push(&clip, &server.publish_url(&stream));
    server.play("show");
    publisher.kill();
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    publisher.expect_end(Duration::from_secs(30));
    let first = available(&server);
    let index = hls::multivariant(&server.get(path(&first, "hls")).ok().expect("a playlist"));
    let source = hls::resolve(path(&first, "hls"), &index.variants[0]["URI"]);
    let list = server.media(&source);
    assert!(list.ended && list.segments.iter().filter(|s| s.discontinuity).count() <= 3, "{list:?}");
    let seen: BTreeSet<u32> = numbers(&server, &first).into_iter().collect();
    assert!((0..8 * 30).all(|number| seen.contains(&number)), "the second push is in it whole");

    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    eventually("the second recording", || {
        (recordings(&server).iter().filter(|r| r["status"] == "available").count() == 2).then_some(())
    });
}

#[test]
fn ten_kills_lose_less_than_a_second_of_a_recording_each() {
    let (mut server, stream) = recorded();
    let clip = Clip { gop: 30, seconds: 30, ..Clip::default() };
    for round in 0..10u64 {
        let publisher = Publisher::push(&clip, &server.publish_url(&stream));
        let before = recordings(&server).len();
        eventually("the round's recording", || {
            recordings(&server).iter().any(|r| r["status"] == "recording").then_some(())
        });
        // What a viewer has seen when the server dies is in the recording, but for its last second.
        let wanted = 2 + round % 3;
        let shown = eventually_within("some segments", Duration::from_secs(40), || {
            let source = server.variants("show").into_iter().next()?;
            let list = server.media(&source);
            let parts: f64 = list.segments.iter().map(|segment| segment.duration).sum();
            (list.complete().count() as u64 >= wanted).then_some((list, parts))
        });
        server = server.start_again();
        drop(publisher);
        let recording = eventually("the recording of the dead server", || {
            let all = recordings(&server);
            all.into_iter().find(|r| r["status"] == "available" || r["status"] == "recording")
        });
        let listed: f64 = shown.0.complete().map(|segment| segment.duration).sum();
        let length = recording["duration_ms"].as_u64().expect("a length") as f64 / 1_000.0;
        assert!(length > listed - 1.0, "round {round}: {length} s of at least {listed} s, {before} before");
        assert_eq!(look::complaints(&server.url(path(&recording, "hls"))), "", "round {round}");
        // The next round is another session, so that each recording is one of its own.
        let id = recording["id"].as_str().expect("an id").to_owned();
        assert!(server.weir(&["stream", "stop", "show"]).status.success());
        eventually("its end", || {
            recordings(&server).iter().any(|r| r["id"] == id.as_str() && r["status"] == "available").then_some(())
        });
        // The server looks every 300 ms; a stop that is taken back before that is none.
        eventually("the session's end", || (server.get("/api/v1/live/show").status == 404).then_some(()));
        assert!(server.weir(&["stream", "allow", "show"]).status.success());
        server.tell("DELETE", &format!("/api/v1/recordings/{id}"), "");
    }
}

#[test]
fn a_live_can_be_rewound_further_than_its_playlist_reaches() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let clip = Clip { gop: 60, seconds: 70, ..Clip::default() };
    let mut publisher = Publisher::push(&clip, &server.publish_url(&stream));
    let rewind = |server: &Server| {
        let index = hls::multivariant(&server.get("/rewind/show/index.m3u8").ok()?);
        let source = hls::resolve("/rewind/show/index.m3u8", index.variants.first()?.get("URI")?);
        Some((source.clone(), server.media(&source)))
    };
    let (source, list) = eventually_within("more than the live playlist has", Duration::from_secs(90), || {
        let live = server.media(&server.variants("show")[0]);
        let (source, past) = rewind(&server)?;
        (live.sequence > past.sequence + 3).then_some((source, past))
    });
    assert!(!list.ended);
    // The oldest pictures are there and are the first ones.
    let all: Vec<u8> = list.complete().take(2).fold(Vec::new(), |mut bytes, segment| {
        if bytes.is_empty() {
            bytes = server.get(&hls::resolve(&source, &segment.map)).body;
        }
        bytes.extend(server.get(&hls::resolve(&source, &segment.uri)).body);
        bytes
    });
    let file = server.data_dir().join("past.mp4");
    std::fs::write(&file, all).expect("a file");
    let seen = look::pictures(file.to_str().expect("a path"));
    let seen: Vec<u32> = seen.iter().filter_map(|picture| picture.marks.map(|(_, number)| number)).collect();
    assert_eq!(seen, (0..seen.len() as u32).collect::<Vec<_>>(), "from the first picture on");
    assert!(seen.len() >= 100, "{}", seen.len());
    // What nobody keeps goes with the session.
    publisher.expect_end(Duration::from_secs(60));
    eventually("nothing of it", || server.get("/rewind/show/index.m3u8").ok().is_none().then_some(()));
    eventually("an empty archive", || files_below(&server.data_dir().join("archive")).is_empty().then_some(()));
}

#[test]
fn a_recording_on_request_may_begin_in_the_past_and_end_before_the_live_does() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none", "--record", "request"]).status.success());
    let refused = server.tell("POST", "/api/v1/streams/show/recording", "{}");
    assert_eq!(refused["code"], "not_live", "{refused}");
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    let source = eventually("the source", || server.variants("show").into_iter().next());
    eventually("eight seconds", || (server.media(&source).complete().count() >= 4).then_some(()));
    assert_eq!(recordings(&server), Vec::<Value>::new(), "nobody asked yet");
    let begun = server.tell("POST", "/api/v1/streams/show/recording", r#"{"back_s": 6, "title": "The good part"}"#);
    assert_eq!((&begun["status"], &begun["title"]), (&"recording".into(), &"The good part".into()), "{begun}");
    eventually("some more", || (server.media(&source).complete().count() >= 6).then_some(()));
    server.ask("DELETE", "/api/v1/streams/show/recording");
    let recording = available(&server);
    let length = recording["duration_ms"].as_u64().expect("a length");
    assert!((8_000..16_000).contains(&length), "six seconds of the past and some since: {length} ms");
    assert_eq!(look::complaints(&server.url(path(&recording, "hls"))), "");
    assert_eq!(server.ask("GET", "/api/v1/streams/show/stats")["state"], "live", "the live goes on");
}

#[test]
fn clips_are_pieces_of_the_same_bytes_and_deleting_leaves_none_behind() {
    let (server, stream) = recorded();
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let whole = available(&server);
    let id = whole["id"].as_str().expect("an id");
    let cut = server.tell(
        "POST",
        &format!("/api/v1/recordings/{id}/clips"),
        r#"{"start_s": 3, "end_s": 7.5, "title": "Best of"}"#,
    );
    assert_eq!(cut["clip_of"], id, "{cut}");
    let numbers_of = numbers(&server, &cut);
    assert_eq!(numbers_of, (60..240).collect::<Vec<u32>>(), "the whole segments from 2 s to 8 s");
    for bad in [r#"{"start_s": 5, "end_s": 5}"#, r#"{"start_s": -1, "end_s": 5}"#, r#"{"start_s": 500, "end_s": 600}"#]
    {
        let refused = server.tell("POST", &format!("/api/v1/recordings/{id}/clips"), bad);
        assert_eq!(refused["code"], "bad_range", "{bad}: {refused}");
    }

    server.tell("DELETE", &format!("/api/v1/recordings/{id}"), "");
    assert_eq!(server.get(path(&whole, "hls")).status, 404);
    assert_eq!(numbers(&server, &cut), numbers_of, "the clip keeps what it needs");
    let clip_id = cut["id"].as_str().expect("an id");
    server.ask("POST", &format!("/api/v1/recordings/{clip_id}/trash"));
    assert_eq!(server.get(path(&cut, "hls")).status, 404, "nobody sees what is in the trash");
    server.ask("POST", &format!("/api/v1/recordings/{clip_id}/restore"));
    assert_eq!(server.get(path(&cut, "hls")).status, 200);
    server.tell("DELETE", &format!("/api/v1/recordings/{clip_id}"), "");
    let archive = server.data_dir().join("archive");
    eventually("an empty archive", || {
        let left: Vec<String> = files_below(&archive).into_iter().filter(|file| file.ends_with(".m4s")).collect();
        left.is_empty().then_some(())
    });
    assert_eq!(recordings(&server), Vec::<Value>::new());
}

#[test]
fn a_recording_whose_pictures_changed_their_size_plays_as_mpeg_ts() {
    let (server, stream) = recorded();
    let small = Clip { gop: 60, seconds: 60, ..Clip::default() };
    let publisher = Publisher::push(&small, &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("four seconds", || (server.media(&source).complete().count() >= 2).then_some(()));
    publisher.kill();
    let large = Clip { size: (480, 270), gop: 60, seconds: 8, mark: 0x5a, ..Clip::default() };
    Publisher::push(&large, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let recording = available(&server);

    let master = format!("/vod/{}/ts.m3u8", path(&recording, "id"));
    let index = server.playlist(&master);
    assert!(index.media.is_empty() && index.variants.len() == 1, "the sound is in it: {index:?}");
    let list = server.media(&hls::resolve(&master, &index.variants[0]["URI"]));
    let lengths = |list: &hls::Media| list.segments.iter().map(|segment| segment.duration).sum::<f64>();
    let told = recording["duration_ms"].as_f64().expect("a length") / 1000.0;
    assert!(list.ended && (lengths(&list) - told).abs() < 0.04, "{told} s are {} s", lengths(&list));

    // One reader reads through to the end, both sizes in their own pictures, and the sound.
    let seen = look::pictures(&server.url(&master));
    let numbers = |mark: u8| -> Vec<u32> {
        seen.iter()
            .filter_map(|picture| picture.marks.filter(|(of, _)| *of == mark))
            .map(|(_, number)| number)
            .collect()
    };
    let (first, second) = (numbers(small.mark), numbers(large.mark));
    assert!(first.len() >= 120 && first.is_sorted(), "{first:?}");
    assert_eq!(second, (0..8 * 30).collect::<Vec<u32>>(), "every picture behind the change, in order");
    let sound = |path: &str| look::sound(&server.url(path));
    let (whole, muxed) = (sound(path(&recording, "hls")), sound(&master));
    let off = whole.samples.len().abs_diff(muxed.samples.len()) as f64 / f64::from(muxed.rate);
    assert!(off < 0.1 && muxed.rms_db() > -60.0, "{off} s of the sound differ, which is {} dB", muxed.rms_db());

    let no = |path: &str| server.get(path).status;
    assert_eq!(no(&format!("/vod/{}/audio.ts.m3u8", path(&recording, "id"))), 404);
    assert_eq!(no(&format!("/vod/{}/source/999999.ts", path(&recording, "id"))), 404);
}

/// The MP4 files of a recording, as the public list has them.
fn downloads(server: &Server, recording: &Value) -> Vec<Value> {
    let (media, id) = (path(recording, "hls"), path(recording, "id"));
    let ticket = media.strip_prefix("/p/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let list = server.get(&format!("/api/v1/library/{id}/downloads?ticket={ticket}"));
    let list: Value = serde_json::from_str(&list.text()).expect("a list");
    list["downloads"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

#[test]
fn an_mp4_download_is_whole_seekable_and_can_be_resumed() {
    let (server, stream) = recorded();
    let clip = Clip { gop: 60, seconds: 12, ..Clip::default() };
    Publisher::push(&clip, &server.publish_url(&stream)).expect_end(Duration::from_secs(30));
    let recording = available(&server);
    let files = downloads(&server, &recording);
    assert_eq!((files.len(), &files[0]["rendition"]), (1, &"source".into()), "{files:?}");
    let href = path(&files[0], "href");

    let whole = server.get(href);
    assert_eq!(files[0]["size_bytes"].as_u64(), Some(whole.body.len() as u64));
    assert_eq!(whole.header("content-type"), "video/mp4");
    let called = "attachment; filename=\"show source.mp4\"; filename*=UTF-8''show%20source.mp4";
    assert_eq!(whole.header("content-disposition"), called);
    // A client that lost the connection asks for the rest, and for the same file.
    let half = whole.body.len() / 2;
    let (range, etag) = (format!("bytes={half}-"), whole.header("etag").to_owned());
    let rest = server.get_with(href, &[("range", &range), ("if-range", &etag)]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[half..]));

    let file = server.data_dir().join("download.mp4");
    std::fs::write(&file, &whole.body).expect("a file");
    let file = file.display().to_string();
    let numbers: Vec<u32> = look::pictures(&file).iter().filter_map(|picture| Some(picture.marks?.1)).collect();
    assert_eq!(numbers, (0..12 * 30).collect::<Vec<u32>>(), "every picture, once, in order");
    assert_eq!(look::complaints(&file), "");
    for kind in ["video", "audio"] {
        let length: f64 = look::track(&file, kind)["duration"].as_str().and_then(|s| s.parse().ok()).expect("a length");
        assert!((length - 12.0).abs() < 0.1, "{kind} is {length} s long");
    }
    let seen = browse("mp4.mjs", &[&server.url(href), "--to", "8"]);
    let number = |what: &str| seen[what].as_f64().unwrap_or(f64::NAN);
    assert!((number("length_s") - 12.0).abs() < 0.1 && (8.2..9.8).contains(&number("at_s")), "{seen}");
    assert_eq!((&seen["moved"], &seen["sounded"]), (&true.into(), &true.into()), "{seen}");
}

#[test]
fn a_private_recording_opens_to_its_ticket_alone() {
    let (server, stream) = recorded();
    assert!(server.weir(&["stream", "set", "show", "--record-visibility", "private"]).status.success());
    Publisher::push(&Clip { gop: 60, seconds: 6, ..Clip::default() }, &server.publish_url(&stream))
        .expect_end(Duration::from_secs(20));
    let recording = available(&server);
    let id = path(&recording, "id");
    let status = |path: &str| server.get(path).status;
    assert_eq!((&recording["visibility"], status(&format!("/vod/{id}/index.m3u8"))), (&"private".into(), 404));
    let made = server.tell("POST", &format!("/api/v1/recordings/{id}/tickets"), r#"{"lasts_s": 3600}"#);
    let hls = path(&made, "hls");
    assert_eq!(look::complaints(&server.url(hls)), "", "playlists, init sections and segments inherit the ticket");
    assert_eq!(look::complaints(&server.url(&hls.replace("index.m3u8", "ts.m3u8"))), "", "so does MPEG-TS");
    assert_eq!(status(&format!("/vod/{id}/ts.m3u8")), 404);
    let (ticket, lies) = (path(&made, "ticket"), format!("{}A", &path(&made, "ticket")[1..]));
    assert_eq!(status(&hls.replace(ticket, &lies)), 404);
    assert_eq!(status(&hls.replace(id, "00000000-0000-7000-8000-000000000000")), 404);
    for (rotations, opens) in [(1, 200), (2, 404)] {
        server.tell("POST", "/api/v1/playback-keys/rotate", "");
        eventually(&format!("{opens} after rotation {rotations}"), || (status(hls) == opens).then_some(()));
    }
    server.tell("PATCH", &format!("/api/v1/recordings/{id}"), r#"{"visibility": "unlisted"}"#);
    eventually("an open recording", || (status(&format!("/vod/{id}/index.m3u8")) == 200).then_some(()));
}

#[test]
fn the_rule_may_change_in_the_middle_of_a_live() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let _publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("four seconds", || (server.media(&source).complete().count() >= 2).then_some(()));
    let set = |rule: &str| assert!(server.weir(&["stream", "set", "show", "--record", rule]).status.success());
    set("always");
    let running = eventually("a running recording", || recordings(&server).pop());
    eventually("six seconds of it", || (recordings(&server)[0]["duration_ms"].as_u64()? >= 4_000).then_some(()));
    set("never");
    let ended = available(&server);
    assert_eq!(ended["id"], running["id"]);
    assert!(ended["duration_ms"].as_u64() < Some(30_000), "it is not the whole live: {ended}");
    assert_eq!(look::complaints(&server.url(path(&ended, "hls"))), "");
    assert_eq!(server.weir_json(&["recording", "list"])[0]["id"], ended["id"]);
}

#[test]
fn what_stood_in_for_a_publisher_that_never_came_back_is_not_kept() {
    let (server, stream) = recorded();
    assert!(server.weir(&["stream", "set", "show", "--reconnect-window", "6"]).status.success());
    let publisher = Publisher::push(&Clip { gop: 60, seconds: 60, ..Clip::default() }, &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    eventually("six seconds", || (server.media(&source).complete().count() >= 3).then_some(()));
    publisher.kill();
    let recording = eventually_within("the end of its session", Duration::from_secs(40), || {
        recordings(&server).pop().filter(|recording| recording["status"] == "available")
    });
    let pictures = look::pictures(&server.url(path(&recording, "hls")));
    let newest = pictures.iter().filter_map(|picture| Some(picture.marks?.1)).max().expect("marks");
    let last = pictures.last().and_then(|picture| picture.marks).expect("a mark").1;
    // The pictures that refer to one that never came may be missing.
    let count = pictures.len() as u32;
    assert!(last == newest && (newest - 2..=newest + 1).contains(&count), "{count} pictures, {last} of {newest} last");
}

//! A streamer pushes; the ladder plays.

use std::time::Duration;
use tests::{Clip, Publisher, Server, eventually, eventually_within, look, tool};

#[test]
fn a_pushed_picture_plays_on_every_rung_of_an_aligned_ladder() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let clip = Clip { size: (1280, 720), gop: 60, kbps: 2_000, mark: 0b0110_1001, ..Clip::default() };
    clip.file();
    let _publisher = Publisher::push(&clip, &server.publish_url(&stream));

    let heights = eventually("the whole ladder is listed", || {
        let resolutions = server.play("show").variants;
        let heights: Vec<String> = resolutions.iter().map(|v| v["RESOLUTION"].clone()).collect();
        (heights.len() >= 3).then_some(heights)
    });
    assert_eq!(heights[0], "1280x720", "the source comes first");
    assert!(heights.iter().any(|size| size.ends_with("x480")) && heights.iter().any(|size| size.ends_with("x360")));

    let variants = server.variants("show");
    let recordings: Vec<_> = std::thread::scope(|scope| {
        let server = &server;
        let tasks: Vec<_> = variants.iter().map(|path| scope.spawn(move || server.record(path, 4))).collect();
        tasks.into_iter().map(|task| task.join().expect("a recording")).collect()
    });
    let starts: Vec<_> = recordings.iter().map(|recording| recording.first_pictures()).collect();
    for ((path, recording), own) in variants.iter().zip(&recordings).zip(&starts) {
        let file = recording.only_file();
        assert_eq!(look::complaints(&file), "", "{path} decodes cleanly");
        let pictures = look::pictures(&file);
        assert!(pictures.iter().all(|p| p.marks.is_some_and(|(mark, _)| mark == clip.mark)), "{path}: {pictures:?}");
        let shared: Vec<_> = own.iter().filter_map(|(n, at)| Some((n, at, starts[0].get(n)?))).collect();
        assert!(shared.len() >= 2, "{path} shares segments with the source: {own:?} {:?}", starts[0]);
        assert!(shared.iter().all(|(_, own, source)| own == source), "{path} is aligned to the tick: {shared:?}");
    }
    let audio = server.audio("show").expect("sound is a rendition of its own");
    let sound = look::sound(&server.record(&audio, 3).only_file());
    assert!(sound.rms_db() > -40.0, "the sound is there: {} dB", sound.rms_db());
    assert_eq!(server.metric("weir_rung_misaligned_total"), 0.0);
}

#[test]
fn what_is_passed_through_keeps_every_picture_and_its_sound_in_step() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    let audio = server.audio("show").expect("an audio rendition");
    let (video, audio) = std::thread::scope(|scope| {
        let video = scope.spawn(|| server.record(&source, 5));
        let audio = server.record(&audio, 5);
        (video.join().expect("a recording"), audio)
    });

    let pictures = look::pictures(&video.only_file());
    let numbers: Vec<u32> = pictures.iter().filter_map(|p| p.marks.map(|(_, number)| number)).collect();
    let expected: Vec<u32> = (numbers[0]..numbers[0] + pictures.len() as u32).collect();
    assert_eq!(numbers, expected, "none lost, none twice, none out of order");
    let offsets = look::sync_offsets_ms(&pictures, &look::sound(&audio.only_file()), 30);
    assert!(offsets.len() >= 3 && offsets.iter().all(|offset| offset.abs() <= 40.0), "{offsets:?}");
}

#[test]
fn the_key_may_come_in_the_query_behind_the_public_name() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let url = format!("rtmp://{}/live/show?key={}", server.rtmp, stream.key);
    let _publisher = Publisher::push(&Clip::default(), &url);
    server.play("show");
}

#[test]
fn an_encoder_publishes_over_tls() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url_tls(&stream));
    server.play("show");
}

#[test]
fn gstreamers_own_rtmp_client_publishes() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let graph = format!(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=30/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=400 key-int-max=30 ! video/x-h264,profile=main ! h264parse \
         ! queue ! mux. audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! queue \
         ! mux. flvmux name=mux streamable=true ! rtmp2sink location={}",
        server.publish_url(&stream)
    );
    let mut command = std::process::Command::new(tool("gst-launch-1.0"));
    command.arg("-q").args(graph.split_whitespace());
    let _publisher = tests::Process::start("gst-launch-1.0", command);
    let source = server.variants("show").remove(0);
    assert_eq!(look::complaints(&server.record(&source, 3).only_file()), "");
}

#[test]
fn two_streams_are_live_at_once_and_do_not_mix() {
    let server = Server::start();
    let clips = [("one", 0x0f_u8), ("two", 0xf0)].map(|(name, mark)| (name, Clip { mark, ..Clip::default() }));
    let _publishers = clips.each_ref().map(|(name, clip)| {
        let stream = server.add_stream(name);
        Publisher::push(clip, &server.publish_url(&stream))
    });
    for (name, clip) in &clips {
        let source = server.variants(name).remove(0);
        let pictures = look::pictures(&server.record(&source, 2).only_file());
        assert!(pictures.iter().all(|p| p.marks.is_some_and(|(mark, _)| mark == clip.mark)), "{name}: {pictures:?}");
    }
}

#[test]
fn a_wrong_key_is_refused_with_a_sentence_the_encoder_shows() {
    let server = Server::start();
    server.add_stream("show");
    let url = format!("rtmp://{}/live/not-a-key", server.rtmp);
    let mut publisher = Publisher::push(&Clip::default(), &url);
    let status = publisher.expect_end(Duration::from_secs(10));
    assert!(!status.success());
    assert!(publisher.said().contains("key"), "{}", publisher.said());
    assert_eq!(server.get("/live/show/index.m3u8").status, 404);
}

#[test]
fn a_wrong_application_is_refused_with_the_right_one() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let url = format!("rtmp://{}/stream/{}", server.rtmp, stream.key);
    let mut publisher = Publisher::push(&Clip::default(), &url);
    assert!(!publisher.expect_end(Duration::from_secs(10)).success());
    assert!(publisher.said().contains("/live"), "{}", publisher.said());
}

#[test]
fn a_second_encoder_with_the_same_key_takes_over() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let (first, second) = (Clip { mark: 0x11, ..Clip::default() }, Clip { mark: 0x22, ..Clip::default() });
    second.file();
    let mut replaced = Publisher::push(&first, &server.publish_url(&stream));
    let before = server.variants("show").remove(0);
    let _publisher = Publisher::push(&second, &server.publish_url(&stream));
    replaced.expect_end(Duration::from_secs(10));
    assert!(replaced.said().contains("took over"), "the loser is told why: {}", replaced.said());
    eventually("the session goes on", || (server.metric("weir_session_returns_total") >= 1.0).then_some(()));
    assert_eq!(server.variants("show").remove(0), before, "the same session goes on");
    let recording = server.record(&before, server.media(&before).complete().count() + 3);
    assert_eq!(recording.runs().len(), 1, "the same encoding needs no discontinuity");
    let last = recording.runs()[0].1.last().expect("segments").number;
    let pictures = look::pictures(&recording.segment_file(last));
    assert!(pictures.iter().all(|p| p.marks.is_some_and(|(mark, _)| mark == 0x22)), "{pictures:?}");
}

#[test]
fn when_the_publisher_stops_the_playlist_ends_and_every_waiter_is_answered() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let source = server.variants("show").remove(0);
    let newest = eventually("parts are listed", || server.media(&source).newest());
    let (server, source) = (&server, &source);
    std::thread::scope(|scope| {
        // Players that wait for a segment which will never come.
        let waiting: Vec<_> = (0..5)
            .map(|_| scope.spawn(move || server.get(&format!("{source}?_HLS_msn={}&_HLS_part=2", newest.0 + 1))))
            .collect();
        publisher.stop();
        let ended = eventually("the playlist ends", || Some(server.media(source)).filter(|list| list.ended));
        assert!(ended.hint.is_none(), "nothing more is promised");
        for waiter in waiting {
            let answer = waiter.join().expect("a waiter is answered");
            assert!(matches!(answer.status, 200 | 503 | 404), "{answer:?}");
        }
    });
    eventually_within("the page's list forgets it", Duration::from_secs(10), || {
        (!server.get("/api/v1/live").text().contains("\"show\"")).then_some(())
    });
}

#[test]
fn numbers_go_on_rising_over_sessions_and_restarts() {
    // Without a window a session ends with its publisher, and is not gone on with after a restart.
    let server = Server::start_configured("[ingest]\nreconnect_window_s = 0\n", &["--no-demo"]);
    let stream = server.add_stream("show");
    let publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let first = server.variants("show").remove(0);
    let last = eventually("some segments", || server.media(&first).newest().filter(|(number, _)| *number >= 2)).0;
    publisher.kill();

    let server = server.start_again();
    let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
    let second = server.variants("show").remove(0);
    let begin = eventually("the first segment", || server.media(&second).segments.first().map(|s| s.number));
    assert!(begin > last, "the second run begins at {begin}, the first had reached {last}");
    assert_ne!(first, second, "no address is used twice");
}

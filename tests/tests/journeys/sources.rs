//! What encoders really send: no sound, no picture, odd shapes, odd times, other codecs, changes in between.

use std::time::Duration;
use tests::flv::Tag;
use tests::push::LivePush;
use tests::{AudioKind, Clip, Publisher, Recording, Server, VideoKind, eventually, eventually_within, hls, look};

/// The height of a variant, from its RESOLUTION.
fn height(variant: &hls::Attributes) -> u32 {
    variant["RESOLUTION"].rsplit('x').next().and_then(|h| h.parse().ok()).expect("a resolution")
}

fn push(server: &Server, clip: &Clip) -> Publisher {
    clip.file();
    let stream = server.add_stream("show");
    Publisher::push(clip, &server.publish_url(&stream))
}

/// Waits for a rendition whose path contains `word`.
fn rendition(server: &Server, word: &str) -> String {
    eventually(&format!("a rendition {word}"), || server.variants("show").into_iter().find(|path| path.contains(word)))
}

#[test]
fn sound_alone_is_a_stream() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { video: VideoKind::None, ..Clip::default() });
    let multivariant = server.play("show");
    let only = multivariant.variants.first().expect("a variant of sound alone");
    assert!(!only.contains_key("RESOLUTION"), "{only:?}");
    let recording = server.record(&server.variants("show")[0], 3);
    let sound = look::sound(&recording.only_file());
    assert!(sound.rms_db() > -40.0 && sound.beeps().len() >= 3, "{} dB, {:?}", sound.rms_db(), sound.beeps());
}

#[test]
fn a_picture_without_sound_is_a_stream() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { audio: AudioKind::None, ..Clip::default() });
    let source = server.variants("show").remove(0);
    assert_eq!(server.audio("show"), None);
    assert_eq!(look::complaints(&server.record(&source, 3).only_file()), "");
    eventually("the streamer is warned", || server.log().contains("no audio").then_some(()));
}

#[test]
fn a_portrait_picture_keeps_its_shape_on_every_rung() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { size: (720, 1280), gop: 60, kbps: 1_500, ..Clip::default() });
    let variants = eventually("a ladder", || Some(server.play("show").variants).filter(|v| v.len() >= 3));
    for variant in &variants {
        let (w, h) = variant["RESOLUTION"].split_once('x').expect("a resolution");
        let (w, h): (f64, f64) = (w.parse().expect("width"), h.parse().expect("height"));
        assert!((h / w - 16.0 / 9.0).abs() < 0.03, "{w}x{h} keeps 9:16");
        assert!(w % 2.0 == 0.0 && h % 2.0 == 0.0 && h <= 1280.0, "{w}x{h}");
    }
}

#[test]
fn a_small_picture_is_never_scaled_up() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { size: (426, 240), ..Clip::default() });
    let variants = server.play("show").variants;
    assert!(variants.iter().all(|variant| height(variant) <= 240), "{variants:?}");
}

#[test]
fn irregular_frame_times_play_without_complaint() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { size: (854, 480), kbps: 900, irregular: true, gop: 60, ..Clip::default() });
    let rung = rendition(&server, "360p");
    let pictures = server.record(&rung, 4);
    assert_eq!(look::complaints(&pictures.runs()[0].0), "");
    // Inside a segment all steps are equal to the tick; between two the step fits the source's own keyframe.
    for segment in pictures.runs()[0].1 {
        let mut times: Vec<i64> =
            look::packets(&pictures.segment_file(segment.number), "v").iter().map(|p| p.pts).collect();
        times.sort_unstable();
        let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, most) = (steps.iter().min().expect("steps"), steps.iter().max().expect("steps"));
        assert!(most - least <= 1, "segment {}: steps from {least} to {most}: {steps:?}", segment.number);
    }
}

#[test]
fn keyframes_eight_seconds_apart_are_cut_all_the_same_and_the_streamer_is_told() {
    let server = Server::start();
    let clip = Clip { size: (640, 360), gop: 250, kbps: 700, ..Clip::default() };
    let _publisher = push(&server, &clip);
    let source = server.variants("show").remove(0);
    let list = eventually_within("four segments", Duration::from_secs(40), || {
        let list = server.get(&source).ok().map(|text| hls::media(&text))?;
        (list.complete().count() >= 4).then_some(list)
    });
    assert!(list.complete().all(|s| s.duration.round() as u64 <= list.target), "{list:?}");
    let discontinuities = list.segments.iter().filter(|s| s.discontinuity).count();
    assert!(discontinuities <= 1, "passthrough is left at most once: {list:?}");
    eventually("the streamer is told which setting cures it", || {
        server.log().to_lowercase().contains("keyframe interval").then_some(())
    });
}

#[test]
fn sound_at_44100_hertz_stays_in_step() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { audio: AudioKind::Aac(44_100), ..Clip::default() });
    assert_in_step(&server);
}

#[test]
fn surround_sound_becomes_stereo_and_stays_in_step() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { audio: AudioKind::Surround, ..Clip::default() });
    let audio = assert_in_step(&server);
    let track = look::track(&audio.only_file(), "audio");
    assert_eq!((track["codec_name"].as_str(), track["channels"].as_u64()), (Some("aac"), Some(2)), "{track}");
}

#[test]
fn opus_becomes_aac_and_stays_in_step() {
    let server = Server::start();
    let _publisher = push(&server, &Clip { audio: AudioKind::Opus, ..Clip::default() });
    let audio = assert_in_step(&server);
    let track = look::track(&audio.only_file(), "audio");
    assert_eq!((track["codec_name"].as_str(), track["channels"].as_u64()), (Some("aac"), Some(2)), "{track}");
}

/// Records picture and sound and compares flashes with beeps; gives the sound.
fn assert_in_step(server: &Server) -> Recording {
    let source = server.variants("show").remove(0);
    let audio = eventually("an audio rendition", || server.audio("show"));
    let (video, sound) = std::thread::scope(|scope| {
        let video = scope.spawn(|| server.record(&source, 5));
        let sound = server.record(&audio, 5);
        (video.join().expect("a recording"), sound)
    });
    let offsets = look::sync_offsets_ms(&look::pictures(&video.only_file()), &look::sound(&sound.only_file()), 30);
    assert!(offsets.len() >= 3 && offsets.iter().all(|offset| offset.abs() <= 40.0), "offsets in ms: {offsets:?}");
    sound
}

#[test]
fn hevc_is_passed_through_beside_an_h264_ladder() {
    let server = Server::start();
    let clip = Clip { size: (640, 480), gop: 60, kbps: 600, video: VideoKind::Hevc, ..Clip::default() };
    let _publisher = push(&server, &clip);
    let hevc = server.playlist("/live/show/hevc.m3u8");
    let codecs = &hevc.variants[0]["CODECS"];
    assert!(codecs.starts_with("hvc1.") || codecs.contains("hvc1."), "{codecs}");
    let path = hls::resolve("/live/show/hevc.m3u8", &hevc.variants[0]["URI"]);
    let file = server.record(&path, 2);
    assert_eq!(look::track(&file.only_file(), "video")["codec_name"], "hevc");
    let pictures = look::pictures(&file.only_file());
    assert!(pictures.iter().all(|p| p.marks.is_some_and(|(mark, _)| mark == clip.mark)), "{pictures:?}");

    let ladder = eventually("an H.264 ladder", || Some(server.play("show").variants).filter(|v| !v.is_empty()));
    assert!(
        ladder.iter().all(|variant| !variant["CODECS"].contains("hvc1")),
        "one codec family per playlist: {ladder:?}"
    );
    let rung = server.variants("show").remove(0);
    assert_eq!(look::track(&server.record(&rung, 2).only_file(), "video")["codec_name"], "h264");
}

#[test]
fn a_change_of_size_in_the_middle_is_one_discontinuity_and_the_encoder_notices_nothing() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let small = Clip { seconds: 8, ..Clip::default() };
    let large = Clip { size: (640, 360), seconds: 30, kbps: 700, ..Clip::default() };
    // What OBS does when its canvas changes: new headers on the same connection, stamps go on.
    let later = |tag: Tag| Tag { stamp: tag.stamp + 8_000, ..tag };
    let tags = small.tags().into_iter().chain(large.tags().into_iter().map(later)).filter(|t| t.kind != 18).collect();
    let publisher = LivePush::start(server.rtmp, "live", &stream.key, tags);
    let source = server.variants("show").remove(0);
    let changed = eventually_within("the new size is announced", Duration::from_secs(25), || {
        let answer = server.get(&source);
        let list = hls::media(&answer.ok()?);
        list.segments.iter().any(|s| s.discontinuity).then_some(list)
    });
    assert_eq!(changed.segments.iter().filter(|s| s.discontinuity).count(), 1, "{changed:?}");
    let recording = server.record(&source, 12);
    let sizes: Vec<_> = recording.runs().iter().map(|(file, _)| look::track(file, "video")["width"].as_u64()).collect();
    assert!(sizes.last() == Some(&Some(640)), "{sizes:?}");
    for (file, segments) in recording.runs() {
        assert_eq!(look::complaints(&file), "", "{segments:?}");
    }
    assert!(publisher.is_running(), "{:?}", publisher.result());
}

#[test]
fn captions_inside_the_picture_survive_on_every_rung() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let clip = Clip { size: (640, 480), gop: 60, kbps: 900, ..Clip::default() };
    let tags = clip.tags().into_iter().map(|tag| if tag.is_header() { tag } else { captioned(tag) }).collect();
    let _publisher = LivePush::start(server.rtmp, "live", &stream.key, tags);
    eventually("captions are declared", || {
        let all = server.play("show");
        all.media.iter().any(|media| media["TYPE"] == "CLOSED-CAPTIONS").then_some(())
    });
    rendition(&server, "360p");
    for path in server.variants("show") {
        let recording = server.record(&path, 2);
        let (pictures, captioned) = look::captioned(&recording.only_file());
        assert!(pictures > 20 && captioned == pictures, "{path}: {captioned} of {pictures} pictures carry captions");
    }
}

/// Puts one pair of CEA-608 letters ("Hi") in an SEI before the picture, as ATSC A/53 part 4 lays it out.
fn captioned(tag: Tag) -> Tag {
    const A53: [u8; 17] =
        [6, 4, 14, 0xB5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03, 0xC1, 0xFF, 0xFC, 0xC8, 0xE9, 0xFF];
    if tag.kind != 9 {
        return tag;
    }
    // Five bytes of FLV's own, then NAL units with their lengths; the RBSP ends with its stop bit.
    let sei = [&[0, 0, 0, 18], A53.as_slice(), &[0x80]].concat();
    let body = [&tag.body[..5], &sei, &tag.body[5..]].concat();
    Tag { body, ..tag }
}

#[test]
fn the_transport_stream_variant_plays_for_old_devices() {
    let server = Server::start();
    let _publisher = push(&server, &Clip::default());
    let ts = server.playlist("/live/show/ts.m3u8");
    let path = hls::resolve("/live/show/ts.m3u8", &ts.variants[0]["URI"]);
    let list = eventually("whole segments", || Some(server.media(&path)).filter(|list| list.complete().count() >= 3));
    assert_eq!(list.part_target, 0.0, "no parts");
    let recording = server.record(&path, 3);
    let file = recording.only_file();
    assert_eq!(look::complaints(&file), "");
    let kinds: Vec<_> =
        look::tracks(&file).iter().map(|t| t["codec_name"].as_str().unwrap_or("?").to_owned()).collect();
    assert!(kinds.contains(&"h264".to_owned()) && kinds.contains(&"aac".to_owned()), "{kinds:?}");
}

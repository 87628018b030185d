//! Publishers with media that can't be used: each hears why, and nobody beside it notices.

use std::time::{Duration, Instant};
use tests::flv::Tag;
use tests::push::{LivePush, Push};
use tests::{Clip, Publisher, Server, eventually, look};

fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(what)
}

/// The clip's tags, each at its time.
fn timed(tags: impl Iterator<Item = Tag>) -> Vec<(Duration, Tag)> {
    tags.map(|tag| (Duration::from_millis(u64::from(tag.stamp)), tag)).collect()
}

#[test]
fn a_publisher_without_configuration_or_keyframe_is_told_what_is_missing() {
    let server = Server::start();
    let is_video = |tag: &Tag| tag.kind == 9;
    let is_key = |tag: &Tag| tag.body[0] >> 4 == 1;
    let all = Clip::default().tags();
    let bare = timed(all.iter().filter(|t| is_video(t) && !t.is_header()).cloned());
    let keyless = timed(all.iter().filter(|t| is_video(t) && (t.is_header() || !is_key(t))).cloned());
    let address = server.rtmp.to_string();
    let tell = async |name: &str, tags| {
        let key = server.add_stream(name).key;
        let began = Instant::now();
        let words = Push::start(&address, "live", &key).await.expect("admitted").converse(tags).await;
        (words.unwrap_or_default(), began.elapsed().as_secs())
    };
    let (bare, keyless) = block_on(async { tokio::join!(tell("bare", bare), tell("keyless", keyless)) });
    assert!(bare.0.starts_with("No H.264 decoder configuration was received within 5 s"), "{bare:?}");
    assert!(keyless.0.starts_with("No keyframe (IDR) was received within 15 s"), "{keyless:?}");
    assert!((5..10).contains(&bare.1) && (15..20).contains(&keyless.1), "{bare:?} {keyless:?}");
}

#[test]
fn a_change_to_a_codec_we_do_not_take_ends_with_its_name_and_keeps_what_was_shown() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let change = Tag { kind: 9, stamp: 6_000, body: b"\x90av01\x81\x04\x0c\x00".to_vec() };
    let tags = timed(Clip::default().tags().into_iter().take_while(|t| t.stamp < 6_000).chain([change]));
    let address = server.rtmp.to_string();
    let words =
        block_on(async { Push::start(&address, "live", &stream.key).await.expect("admitted").converse(tags).await });
    assert!(words.as_deref().is_some_and(|words| words.contains("AV1")), "{words:?}");
    let source = server.variants("show").remove(0);
    let list =
        eventually("its segments are listed", || Some(server.media(&source)).filter(|l| l.complete().count() >= 3));
    for segment in list.complete() {
        assert_eq!(server.get(&tests::hls::resolve(&source, &segment.uri)).status, 200, "{segment:?}");
    }
}

#[test]
fn a_picture_above_eight_mebibytes_ends_its_publisher_with_words() {
    let server = Server::start();
    let stream = server.add_stream("show");
    let address = server.rtmp.to_string();
    let words = block_on(async {
        let mut push = Push::start(&address, "live", &stream.key).await.expect("admitted");
        push.begin(9, 0, 9 << 20, &[0x17, 1, 0, 0, 0]).await.expect("an open connection");
        push.last_words().await
    });
    assert!(words.as_deref().is_some_and(|words| words.contains("above the limit of 8 MiB")), "{words:?}");
}

#[test]
fn damaged_media_harms_nobody_else() {
    // Large enough for a ladder, so that the damage reaches a decoder.
    let clip = Clip { size: (640, 480), gop: 60, kbps: 900, ..Clip::default() };
    let mut state = 0x2545_f491_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut tags = Vec::new();
    for mut tag in clip.tags() {
        if tag.stamp > 3_000 && !tag.is_header() && tag.body.len() > 12 {
            match next(6) {
                // Bits of the coded picture or sound, behind the lengths.
                0..=2 => (0..4).for_each(|_| {
                    let at = 10 + next(tag.body.len() - 10);
                    tag.body[at] ^= 1 << next(8);
                }),
                3 => tag.body.truncate(6 + next(tag.body.len() - 6)),
                // A NAL length that lies.
                4 if tag.kind == 9 => tag.body[6] ^= 0x7f,
                _ => {}
            }
        }
        if tag.stamp > 3_000 && next(60) == 0 {
            // A decoder configuration that is none.
            tags.push(Tag { kind: 9, stamp: tag.stamp, body: [&[0x17, 0, 0, 0, 0], &[0xff; 30][..]].concat() });
        }
        tags.push(tag);
    }
    let server = Server::start();
    let canary = server.add_stream("canary");
    let _canary = Publisher::push(&Clip::default(), &server.publish_url(&canary));
    let damaged = server.add_stream("damaged");
    let _damaged = LivePush::start(server.rtmp, "live", &damaged.key, tags);
    let source = server.variants("canary").remove(0);
    eventually("lies are found before a decoder sees them", || {
        (server.metric("weir_ingest_dropped_units_total") > 0.0).then_some(())
    });
    // What is listed by now, and what comes while the damage goes on.
    let recording = server.record(&source, server.media(&source).complete().count() + 8);
    assert_eq!(look::complaints(&recording.only_file()), "");
    let numbers: Vec<u32> =
        look::pictures(&recording.only_file()).iter().filter_map(|p| p.marks.map(|(_, number)| number)).collect();
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
    assert_eq!(server.get("/healthz").status, 200);
}

//! Real clips through a real, sandboxed worker: what comes out is on the plan to the tick, and decodes elsewhere.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use kit::{Session, annex_b, clip, decode, hevc_clip, play, video_config};
use media::{AccessUnit, Config, FrameRate, MediaTime, VideoConfig};
use std::sync::Arc;
use transcoder::{Ladder, SourceShape, TranscoderConfig};

fn config(units: &[AccessUnit], rate: FrameRate, ladder: &str, reencode: bool) -> TranscoderConfig {
    let source: Arc<VideoConfig> = video_config(units).expect("a clip with video");
    let shape = SourceShape {
        width: source.width,
        height: source.height,
        sample_aspect: source.sample_aspect,
        frame_rate: rate,
    };
    let rungs = ladder.parse::<Ladder>().expect("a ladder").rungs(&shape, reencode);
    assert!(!rungs.is_empty(), "the source is larger than the ladder");
    TranscoderConfig { rungs, ..TranscoderConfig::new("test") }
}

fn check_plan(played: &kit::Played, rate: FrameRate, frames: usize) {
    for (name, units) in &played.renditions {
        let idrs: Vec<MediaTime> = units.iter().filter(|u| u.sync).map(|u| u.pts).collect();
        assert_eq!(idrs, played.boundaries, "IDRs of {name}");
        let mut pts: Vec<MediaTime> = units.iter().map(|u| u.pts).collect();
        pts.sort_unstable();
        let end = played.boundaries.iter().skip(1).copied().chain([MediaTime::from_ticks(i64::MAX / 4)]);
        let mut want = Vec::new();
        for (at, end) in played.boundaries.iter().zip(end) {
            let slots = rate.frames_in(end - *at).min((frames - want.len()) as i64);
            want.extend((0..slots).map(|k| *at + rate.time_of(k)));
        }
        assert_eq!(pts.len(), frames, "pictures of {name}");
        assert_eq!(pts, want, "slots of {name}");
        assert!(units.windows(2).all(|w| w[0].dts < w[1].dts), "dts of {name}");
        assert!(units.iter().all(|u| u.dts <= u.pts), "dts before pts of {name}");
        let (decoded, complaints) = decode("h264", &annex_b(units));
        assert_eq!((decoded, complaints.as_str()), (frames, ""), "ffmpeg on {name}");
    }
}

const THIRTY: FrameRate = FrameRate { num: 30, den: 1 };

#[tokio::test(flavor = "multi_thread")]
async fn keyframes_of_all_rungs_are_the_sources_to_the_tick() {
    let units = clip(
        "cfr30",
        "-f lavfi -i testsrc2=s=1280x720:r=30:d=6 -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p",
    );
    let played = play(config(&units, THIRTY, "480p:1200k,360p:600k", false), &units).await;
    assert_eq!(played.renditions.len(), 2);
    check_plan(&played, THIRTY, 180);
    assert!(!played.thumbs.is_empty());
    println!("lag {:?}", played.lag);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rates_and_shapes_keep_their_frames() {
    for (name, size, rate, ladder) in [
        ("25", "640x480", FrameRate { num: 25, den: 1 }, "240p:300k"),
        ("ntsc", "640x360", FrameRate { num: 30_000, den: 1001 }, "180p:200k"),
        ("portrait", "360x640", FrameRate { num: 24, den: 1 }, "240p:300k"),
        ("sixty", "640x360", FrameRate { num: 60, den: 1 }, "180p:300k"),
    ] {
        let source = format!(
            "-f lavfi -i testsrc2=s={size}:r={}/{}:d=4 -c:v libx264 -preset veryfast -g 40 -pix_fmt yuv420p",
            rate.num, rate.den
        );
        let units = clip(name, &source);
        let played = play(config(&units, rate, ladder, false), &units).await;
        let frames = units.iter().filter(|u| u.video().is_some()).count();
        check_plan(&played, rate, frames);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_the_rate_is_halved_without_a_repeat() {
    let units =
        clip("halved", "-f lavfi -i testsrc2=s=320x180:r=60:d=4 -c:v libx264 -preset veryfast -g 120 -pix_fmt yuv420p");
    let mut config = config(&units, THIRTY, "90p:100k", false);
    config.rungs[0].frame_rate = THIRTY;
    check_plan(&play(config, &units).await, THIRTY, 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn irregular_pictures_become_a_constant_rate() {
    let vfr = "-f lavfi -i testsrc2=s=640x360:r=30:d=6 -vf select='not(eq(mod(n\\,7)\\,3))+eq(n\\,0)' -fps_mode vfr -c:v libx264 -preset veryfast -g 45 -pix_fmt yuv420p";
    let units = clip("vfr", vfr);
    let played = play(config(&units, THIRTY, "180p:200k", false), &units).await;
    let last = units.iter().map(|u| u.pts).max().expect("units");
    let mut expected = 0;
    for (n, at) in played.boundaries.iter().enumerate() {
        expected += match played.boundaries.get(n + 1) {
            Some(end) => THIRTY.frames_in(*end - *at),
            None => THIRTY.frames_in(last - *at) + 1,
        };
    }
    check_plan(&played, THIRTY, expected as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_becomes_h264() {
    let units = hevc_clip(
        "hevc",
        "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -c:v libx265 -preset ultrafast -x265-params bframes=0:keyint=25:min-keyint=25:scenecut=0:open-gop=0:log-level=error -pix_fmt yuv420p",
        25,
    );
    assert_eq!(units.len(), 75);
    let rate = FrameRate { num: 25, den: 1 };
    check_plan(&play(config(&units, rate, "180p:200k", true), &units).await, rate, 75);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_encoder_can_be_chosen_and_an_unknown_one_is_replaced() {
    let units = clip(
        "chosen",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=3 -c:v libx264 -preset veryfast -bf 2 -g 45 -pix_fmt yuv420p",
    );
    for encoder in ["openh264", "nosuchenc"] {
        let encoder = encoder.parse().expect("a choice");
        check_plan(
            &play(TranscoderConfig { encoder, ..config(&units, THIRTY, "180p:200k", false) }, &units).await,
            THIRTY,
            90,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_costs_pictures_and_not_the_session() {
    let units = clip(
        "damaged",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=6 -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p",
    );
    let damaged: Vec<AccessUnit> = units
        .iter()
        .enumerate()
        .map(|(n, unit)| {
            let mut data = unit.data.to_vec();
            match n % 10 {
                // NAL headers stay, as a damaged one is another unit; everything behind is noise or cut off.
                3 => data.iter_mut().skip(8).enumerate().for_each(|(k, byte)| *byte ^= (k * 37 + n) as u8),
                7 => data.truncate(data.len() / 2),
                _ => {}
            }
            AccessUnit { data: data.into(), ..unit.clone() }
        })
        .collect();
    let played = play(config(&units, THIRTY, "180p:200k", false), &damaged).await;
    assert_eq!(played.restarts, Vec::<String>::new());
    let small = &played.renditions["180p"];
    assert_eq!(small.iter().filter(|u| u.sync).map(|u| u.pts).collect::<Vec<_>>(), played.boundaries);
    assert!(small.len() >= 170, "{} of 180 slots", small.len());
    assert_eq!(decode("h264", &annex_b(small)), (small.len(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bit_rate_is_met() {
    let units = clip(
        "noise",
        "-f lavfi -i testsrc2=s=1280x720:r=30:d=8 -vf noise=alls=30:allf=t -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p",
    );
    let played = play(config(&units, THIRTY, "360p:600k", false), &units).await;
    let bits: usize = played.renditions["360p"].iter().map(|u| u.data.len() * 8).sum();
    let rate = bits as f64 / 8.0;
    assert!((450_000.0..690_000.0).contains(&rate), "{rate} bit/s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_source_begins_at_the_tick_it_was_withdrawn() {
    let units = clip(
        "long-gop",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=6 -c:v libx264 -preset veryfast -bf 2 -g 300 -pix_fmt yuv420p",
    );
    for ladder in ["180p:200k", "none"] {
        let source = video_config(&units).expect("video");
        let shape =
            SourceShape { width: source.width, height: source.height, sample_aspect: (1, 1), frame_rate: THIRTY };
        let ladder: Ladder = ladder.parse().expect("a ladder");
        let rungs = ladder.rungs(&shape, false);
        let mut session =
            Session::start(TranscoderConfig { rungs, video: Some(source), ..TranscoderConfig::new("test") });
        let at = units[0].pts + THIRTY.time_of(72);
        let cut = units.iter().position(|u| u.pts >= at).expect("a longer clip");
        session.give(&units[..cut]).await;
        session.cut(at);
        session.withdraw(at, ladder.source_rung(&shape));
        session.give(&units[cut..]).await;
        let played = session.finish().await;
        let source = &played.renditions["source"];
        assert_eq!(source.iter().filter(|u| u.sync).map(|u| u.pts).collect::<Vec<_>>(), [at]);
        assert_eq!(source.len(), 180 - 72);
        assert_eq!(played.restarts, Vec::<String>::new());
        if let Some(small) = played.renditions.get("180p") {
            assert_eq!(small.iter().filter(|u| u.sync).map(|u| u.pts).collect::<Vec<_>>(), [units[0].pts, at]);
            assert_eq!(small.len(), 180);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_resolution_keeps_the_rungs_going() {
    let first = clip(
        "before",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=2 -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p",
    );
    let second = clip(
        "after",
        "-f lavfi -i testsrc2=s=480x480:r=25:d=2 -c:v libx264 -preset veryfast -bf 0 -g 50 -pix_fmt yuv420p",
    );
    let gap = first.iter().map(|u| u.pts).max().expect("units") + THIRTY.time_of(1) - second[0].pts;
    let second: Vec<AccessUnit> =
        second.into_iter().map(|u| AccessUnit { dts: u.dts + gap, pts: u.pts + gap, ..u }).collect();
    let mut session =
        Session::start(TranscoderConfig { video: video_config(&first), ..config(&first, THIRTY, "180p:200k", false) });
    session.give(&first).await;
    session.give(&second).await;
    check_plan(&session.finish().await, THIRTY, 60 + 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_without_rungs_still_gives_thumbnails() {
    let units = clip(
        "thumbs",
        "-f lavfi -i testsrc2=s=1280x720:r=30:d=9 -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p",
    );
    let session = Session::start(TranscoderConfig { video: video_config(&units), ..TranscoderConfig::new("test") });
    for unit in &units {
        session.transcoder.unit(unit.clone());
        if unit.sync {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let played = session.finish().await;
    assert!((2..=3).contains(&played.thumbs.len()), "{} thumbnails", played.thumbs.len());
    let (frames, complaints) = decode("mjpeg", &played.thumbs[0]);
    assert_eq!((frames, complaints.as_str()), (1, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn captions_are_kept_on_every_rung() {
    let units = clip(
        "captions",
        "-f lavfi -i testsrc2=s=640x360:r=30:d=3 -c:v libx264 -preset veryfast -bf 2 -g 60 -pix_fmt yuv420p",
    );
    let payload = |n: usize| {
        bytes::Bytes::from(
            [&[0xb5, 0, 0x31, b'G', b'A', b'9', b'4', 3, 0xc1, 0xff][..], &(n as u32).to_be_bytes(), &[0xff]].concat(),
        )
    };
    let mut order: Vec<MediaTime> = units.iter().map(|u| u.pts).collect();
    order.sort_unstable();
    let captioned: Vec<AccessUnit> = units
        .iter()
        .map(|u| {
            let n = order.iter().position(|pts| *pts == u.pts).expect("its own stamp");
            AccessUnit { data: media::captions::insert(u.data.clone(), &[payload(n)]), ..u.clone() }
        })
        .collect();
    let played = play(config(&units, THIRTY, "180p:200k", false), &captioned).await;
    let mut small: Vec<&AccessUnit> = played.renditions["180p"].iter().collect();
    small.sort_by_key(|u| u.pts);
    for (n, unit) in small.iter().enumerate() {
        assert_eq!(media::captions::extract(&unit.data, media::VideoCodec::H264, 4), [payload(n)], "picture {n}");
    }
    assert!(matches!(small[0].config, Config::Video(_)));
}

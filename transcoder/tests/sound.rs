//! Audio that can't be passed through, and the test card.

#[allow(dead_code, reason = "each test file uses its part of the kit")]
mod kit;

use kit::{ORIGIN, Session, adts, audio_config, clip, decode, opus_clip, worker};
use media::{AccessUnit, MediaTime, Track};
use std::process::Command;
use std::time::Duration;
use transcoder::{TestCard, TestCardConfig, TranscoderConfig};

/// A beep of 100 ms begins at each full second.
const BEEPS: &str = "-f lavfi -i aevalsrc='if(lt(mod(t,1),0.1),0.5*sin(2*PI*1000*t),0)'";

/// Mono samples at 48 kHz as ffmpeg decodes them.
fn samples(format: &str, data: &[u8]) -> Vec<f32> {
    let path =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{:p}.{format}", std::process::id(), data));
    std::fs::write(&path, data).expect("a temporary file");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", format, "-i"])
        .arg(&path)
        .args(["-ac", "1", "-ar", "48000", "-f", "f32le", "-"])
        .output()
        .expect("ffmpeg is installed");
    std::fs::remove_file(path).expect("our own file");
    output.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Where sound begins after silence, in samples.
fn onsets(samples: &[f32]) -> Vec<usize> {
    let mut quiet = 0;
    let mut found = Vec::new();
    for (n, sample) in samples.iter().enumerate() {
        if sample.abs() < 0.1 {
            quiet += 1;
        } else {
            if quiet > 4800 {
                found.push(n);
            }
            quiet = 0;
        }
    }
    found
}

/// Beeps of the source stand at full seconds; where do they stand after encoding?
async fn check(name: &str, units: &[AccessUnit], tolerance_ms: f64) {
    let sounds: Vec<AccessUnit> = units.iter().filter(|u| u.track() == Track::Audio).cloned().collect();
    let mut session =
        Session::start(TranscoderConfig { audio: audio_config(&sounds), ..TranscoderConfig::new("test") });
    session.give(&sounds).await;
    let played = session.finish().await;
    let out = &played.renditions["audio"];
    assert!(
        out.iter().all(|u| u.audio().is_some_and(|c| c.is_passthrough() && c.channels == 2 && c.sample_rate == 48_000)),
        "{name}"
    );
    assert!(out.windows(2).all(|w| w[0].pts < w[1].pts), "{name}");
    // The decoder ffmpeg takes no priming off raw ADTS, so the first sample it gives is that of the first frame's stamp.
    let first = (out[0].pts - ORIGIN).as_secs_f64();
    let found = onsets(&samples("aac", &adts(out)));
    assert!(found.len() >= 3, "{name}: {found:?}");
    for at in found {
        let second = at as f64 / 48_000.0 + first;
        let off_ms = (second - second.round()) * 1000.0;
        assert!(off_ms.abs() < tolerance_ms, "{name}: a beep {off_ms:.1} ms off at {second:.4}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn surround_and_other_rates_keep_lip_sync() {
    // ffmpeg's AAC has one frame of priming, which its FLV carries as a stamp before zero that the muxer moves to zero.
    let surround =
        clip("surround", &format!("{BEEPS}:s=48000:d=5 -af pan=5.1|FC=c0|FL=0.5*c0|FR=0.5*c0 -c:a aac -b:a 256k"));
    check("5.1", &surround, 25.0).await;
    let rate = clip("rate", &format!("{BEEPS}:s=44100:d=5 -ac 1 -c:a aac -b:a 96k"));
    check("44.1 kHz mono", &rate, 27.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_becomes_aac_in_sync() {
    let units = opus_clip("opus", &format!("{BEEPS}:s=48000:d=5 -ac 2 -c:a libopus -b:a 96k"));
    check("opus", &units, 10.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_card_is_what_a_publisher_sends() {
    let (card, mut units) =
        TestCard::spawn(TestCardConfig { exe: worker(), title: "demo".to_owned() }).expect("a card");
    let mut got: Vec<AccessUnit> = Vec::new();
    while got.last().is_none_or(|u| u.dts < MediaTime::from_millis(5_000)) {
        got.push(
            tokio::time::timeout(Duration::from_secs(20), units.recv())
                .await
                .expect("units in time")
                .expect("a running card"),
        );
    }
    drop(card);
    assert!(got.windows(2).all(|w| w[0].dts <= w[1].dts + MediaTime::from_millis(500)));
    let pictures: Vec<AccessUnit> = got.iter().filter(|u| u.track() == Track::Video).cloned().collect();
    for (n, picture) in pictures.iter().enumerate() {
        assert_eq!(picture.pts, media::FrameRate { num: 30, den: 1 }.time_of(n as i64));
        assert_eq!((picture.sync, picture.dts), (n % 60 == 0, picture.pts));
    }
    let (decoded, complaints) = decode("h264", &kit::annex_b(&pictures));
    assert_eq!((decoded, complaints.as_str()), (pictures.len(), ""));
    let sounds: Vec<AccessUnit> = got.into_iter().filter(|u| u.track() == Track::Audio).collect();
    assert!(sounds.iter().all(|u| u.audio().is_some_and(|c| c.is_passthrough())));
    let first = sounds[0].pts.as_secs_f64();
    for at in onsets(&samples("aac", &adts(&sounds))) {
        let second = at as f64 / 48_000.0 + first;
        assert!((second - second.round()).abs() < 0.005, "a beep at {second:.4}");
    }
}

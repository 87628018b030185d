//! Sound that changes while a session runs.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use bytes::Bytes;
use kit::stage::{RATE, Stage, frame, picture};
use kit::{decode_runs, judge, judge_parts, plan};
use media::{AccessUnit, AudioConfig, Config, FrameRate, MediaTime, aac};
use packager::{AudioFacts, Packager, SourceFacts};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn config(record: &'static [u8]) -> Arc<AudioConfig> {
    Arc::new(aac::parse_config(&Bytes::from_static(record)).unwrap())
}

/// Frames of 48 kHz sound from `from` on, `count` of them.
fn speak(packager: &mut Packager, config: &Arc<AudioConfig>, from: i64, count: i64, start: Instant) {
    for n in from..from + count {
        let at = MediaTime::from_millis(10_000) + MediaTime::from_units(n * 1024, 48_000);
        let now = start + MediaTime::from_units(n * 1024, 48_000).to_duration();
        let (config, data) = (Config::Audio(Arc::clone(config)), Bytes::from_static(&[1, 2, 3]));
        packager.source(&AccessUnit { config, dts: at, pts: at, sync: true, data }, now);
        packager.tick(now);
    }
}

#[test]
fn sound_that_needs_an_encoder_the_session_does_not_have_is_left_out() {
    let stereo = config(&[0x11, 0x90]);
    let surround = config(&[0x11, 0xb0]);
    let audio = Some(AudioFacts { config: Arc::clone(&stereo), passthrough: true });
    let (mut packager, window) = Packager::new(plan(SourceFacts { video: None, audio }));
    let start = Instant::now();
    speak(&mut packager, &stereo, 0, 300, start);
    speak(&mut packager, &surround, 300, 300, start);
    speak(&mut packager, &stereo, 600, 300, start);
    packager.finish();
    let audio = window.rendition("audio").unwrap();
    assert!(audio.init(0).is_some() && audio.init(1).is_none(), "players got one kind of sound");
    let listed = judge(audio.playlist().borrow().full.text());
    assert!(listed.segments.iter().any(|s| s.gap), "what was left out is a gap: {:?}", listed.segments);
    assert!(!listed.segments.last().unwrap().gap, "and it goes on behind it");
}

#[test]
fn sound_with_a_new_configuration_is_one_discontinuity() {
    let (one, other) = (config(&[0x11, 0x90]), config(&[0x11, 0x90, 0x56, 0xe5, 0x00]));
    let audio = Some(AudioFacts { config: Arc::clone(&one), passthrough: true });
    let (mut packager, window) = Packager::new(plan(SourceFacts { video: None, audio }));
    let start = Instant::now();
    speak(&mut packager, &one, 0, 330, start);
    speak(&mut packager, &other, 330, 330, start);
    packager.finish();
    let audio = window.rendition("audio").unwrap();
    let listed = judge(audio.playlist().borrow().full.text());
    assert_eq!(listed.segments.iter().filter(|s| s.discontinuity).count(), 1);
    assert!(audio.init(1).is_some() && audio.init(2).is_none());
}

#[test]
fn parts_last_what_they_are_listed_with_where_the_sound_jumps() {
    let stereo = config(&[0x11, 0x90]);
    for jump in 300..312 {
        let audio = Some(AudioFacts { config: Arc::clone(&stereo), passthrough: true });
        let (mut packager, window) = Packager::new(plan(SourceFacts { video: None, audio }));
        let start = Instant::now();
        for n in 0..600 {
            let samples = n * 1024 + if n < jump { 0 } else { 1_440 };
            let since = MediaTime::from_units(samples, 48_000);
            packager.source(&frame(MediaTime::from_millis(10_000) + since), start + since.to_duration());
        }
        let audio = window.rendition("audio").unwrap();
        let listed = judge_parts(audio.playlist().borrow().full.text(), 0.7);
        let segments = listed.segments.iter().zip(listed.first_msn..).filter(|(segment, _)| !segment.parts.is_empty());
        let mut count = 0;
        for (segment, msn) in segments {
            for (number, part) in (0..).zip(&segment.parts) {
                let (from, until) = decode_runs(&audio.part(msn, number).unwrap())[0];
                let real = (until - from) as f64 / 48_000.0;
                assert!((real - part.duration).abs() < 1_034.0 / 48_000.0, "{jump}: {part:?}, {real} s in it");
                count += 1;
            }
        }
        assert!(count > 20);
    }
}

#[test]
fn segments_shorter_than_a_part_keep_their_sound() {
    // A picture a second, so segments of a second beside parts of 1.02 s; sound comes when its segment's end is known.
    let mut stage = Stage::new(|plan| {
        if let Some(video) = &mut plan.facts.video {
            video.frame_rate = FrameRate { num: 1, den: 1 };
        }
    });
    let config = Arc::clone(&stage.config);
    let begun = Instant::now();
    for second in 0..20 {
        let now = begun + Duration::from_secs(second as u64);
        let at = MediaTime::from_millis(11_000 + second * 1_000);
        stage.packager.source(&picture(&config, at, true), now);
        for n in second * 48_000 / 1024..(second + 1) * 48_000 / 1024 {
            let heard = MediaTime::from_millis(10_011) + MediaTime::from_units(n * 1024, 48_000);
            stage.packager.source(&frame(heard), now);
        }
        stage.packager.tick(now);
    }
    let listed = stage.listed("audio");
    assert!(listed.segments.len() > 15 && listed.segments.iter().all(|s| !s.gap), "{listed:?}");
}

#[test]
fn sound_a_frame_before_the_first_picture_of_a_return_is_no_segment() {
    let mut stage = Stage::new(|_| {});
    stage.send(90, 60, true);
    stage.packager.away();
    let gone = stage.now();
    for step in 1..=103 {
        stage.packager.tick(gone + Duration::from_millis(step * 100));
    }
    let back = gone + Duration::from_millis(10_300);
    let at = stage.packager.resume_at(back);
    stage.packager.rejoin();
    let config = Arc::clone(&stage.config);
    let first = at + MediaTime::from_units(1024, 48_000);
    for n in 0..150 {
        stage.packager.source(&frame(at + MediaTime::from_units(n * 1024, 48_000)), back);
        let now = back + MediaTime::from_units(n * 1024, 48_000).to_duration();
        if n < 90 {
            stage.packager.source(&picture(&config, first + RATE.time_of(n), n % 60 == 0), now);
        }
        stage.packager.tick(now);
    }
    let gaps = |id: &str| stage.listed(id).segments.iter().take(8).map(|s| s.gap).collect::<Vec<_>>();
    let (pictures, sound) = (gaps("source"), gaps("audio"));
    assert!(pictures.iter().filter(|gap| **gap).count() >= 5 && pictures.contains(&false), "{pictures:?}");
    assert_eq!(sound, pictures, "sound and picture go on in the same segment");
}

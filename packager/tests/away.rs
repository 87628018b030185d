//! A session while its publisher is away, and after it.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use kit::rung;
use kit::stage::{RATE, START, Stage, picture, video_config};
use media::{MediaTime, VideoCodec};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn while_the_publisher_is_away_time_goes_on_in_gaps() {
    let mut stage = Stage::new(|_| {});
    stage.send(90, 60, true);
    stage.packager.away();
    let gone = stage.now();
    for step in 1..=100 {
        let cues = stage.packager.tick(gone + Duration::from_millis(step * 100));
        stage.cues.extend(cues);
    }
    let listed = stage.listed("source");
    assert!(!listed.segments[1].gap && listed.segments[1].duration < 1.1, "the last segment ends with its media");
    assert_eq!(listed.segments.iter().filter(|s| s.gap).count(), 5, "{listed:?}");
    let back = gone + Duration::from_secs(10);
    let at = stage.packager.resume_at(back);
    assert!((at - START - MediaTime::from_millis(13_000)).abs() < MediaTime::from_millis(100), "{at:?}");
    let config = Arc::clone(&stage.config);
    for n in 0..61 {
        let unit = picture(&config, at + RATE.time_of(n), n % 60 == 0);
        stage.cues.extend(stage.packager.source(&unit, back + Duration::from_millis(n as u64 * 33)));
    }
    let listed = stage.listed("source");
    assert_eq!(listed.segments.iter().filter(|s| s.discontinuity).count(), 1);
    assert!(!listed.segments.last().unwrap().gap);
}

#[test]
fn time_between_two_publishers_is_no_keyframe_interval() {
    let mut stage = Stage::new(|_| {});
    stage.send(91, 30, true);
    stage.packager.away();
    let gone = stage.now();
    for step in 1..=200 {
        stage.packager.tick(gone + Duration::from_millis(step * 100));
    }
    let at = stage.packager.resume_at(gone + Duration::from_secs(20));
    stage.packager.rejoin();
    let config = Arc::clone(&stage.config);
    for n in 0..61 {
        let now = gone + Duration::from_secs(20) + Duration::from_millis(n as u64 * 33);
        stage.packager.source(&picture(&config, at + RATE.time_of(n), n % 30 == 0), now);
    }
    assert_eq!(stage.packager.keyframe_interval(), Some(Duration::from_secs(1)));
}

#[test]
fn a_session_goes_on_after_a_restart_of_the_server() {
    let mut stage = Stage::new(|plan| {
        (plan.run, plan.first_msn, plan.discontinuities) = (Some(9), 41, 3);
        plan.rungs = vec![rung("180p", RATE)];
    });
    let begun = Instant::now();
    let empty = stage.rendition("source").playlist().borrow().clone();
    let text = String::from_utf8_lossy(empty.full.text()).into_owned();
    assert!(text.contains("MEDIA-SEQUENCE:41") && text.contains("DISCONTINUITY-SEQUENCE:3"), "{text}");
    assert_eq!(empty.next_part, Some((41, 0)), "a player that asks for what comes next is held");

    let at = START + MediaTime::from_millis(100_000);
    stage.cues.extend(stage.packager.resume(at, begun));
    for step in 1..=70 {
        stage.cues.extend(stage.packager.tick(begun + Duration::from_millis(step * 100)));
    }
    for id in ["source", "180p", "audio"] {
        let listed = stage.listed(id);
        assert!(listed.segments.len() >= 2 && listed.segments.iter().all(|s| s.gap), "{listed:?}");
        assert_eq!(listed.first_msn, 41);
    }
    let back = begun + Duration::from_secs(7);
    let from = stage.packager.resume_at(back);
    assert!((from - at - MediaTime::from_millis(7_000)).abs() < MediaTime::from_millis(50), "{from:?}");
    stage.packager.rejoin();
    let config = Arc::clone(&stage.config);
    for n in 0..91 {
        let now = back + Duration::from_millis(n as u64 * 33);
        stage.cues.extend(stage.packager.source(&picture(&config, from + RATE.time_of(n), n % 60 == 0), now));
    }
    let listed = stage.listed("source");
    let breaks: Vec<_> = listed.segments.iter().map(|s| s.discontinuity).collect();
    assert!(breaks[0] && breaks[1..].iter().all(|b| !b), "the new run begins with the only one: {listed:?}");
    let shown = stage.rendition("source").playlist().borrow().clone();
    let text = String::from_utf8_lossy(shown.full.text()).into_owned();
    assert!(text.contains("URI=\"source/9-init-0.mp4\""), "{text}");
    assert!(text.lines().filter(|l| l.contains(".m4s")).all(|l| l.contains("source/9-4")), "{text}");
    assert!(text.contains("DISCONTINUITY-SEQUENCE:3"), "{text}");
}

/// The discontinuities of a session whose publisher was away for ten seconds and came back with `profile`.
fn breaks_after_return(profile: u8) -> (usize, usize) {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(90, 60, true);
    stage.packager.away();
    let gone = stage.now();
    for step in 1..=100 {
        stage.packager.tick(gone + Duration::from_millis(step * 100));
    }
    let back = gone + Duration::from_secs(10);
    let at = stage.packager.resume_at(back);
    stage.packager.rejoin();
    let config = video_config(profile, VideoCodec::H264);
    for n in 0..121 {
        let now = back + Duration::from_millis(n as u64 * 33);
        stage.packager.source(&picture(&config, at + RATE.time_of(n), n % 60 == 0), now);
    }
    let listed = stage.listed("source");
    assert!(!listed.segments.last().unwrap().gap, "{listed:?}");
    let inits: std::collections::BTreeSet<_> = listed.segments.iter().filter_map(|s| s.init.clone()).collect();
    (listed.segments.iter().filter(|s| s.discontinuity).count(), inits.len())
}

#[test]
fn a_publisher_that_comes_back_as_it_was_needs_no_discontinuity() {
    assert_eq!(breaks_after_return(0), (0, 1));
}

#[test]
fn a_publisher_that_comes_back_otherwise_is_one_discontinuity_and_a_new_init_section() {
    assert_eq!(breaks_after_return(9), (1, 2));
}

#[test]
fn encoded_sound_is_away_with_its_publisher() {
    let mut stage = Stage::new(|plan| plan.audio_encoded = true);
    stage.send(90, 60, true);
    stage.packager.away();
    let gone = stage.now();
    for step in 1..=70 {
        stage.packager.tick(gone + Duration::from_millis(step * 100));
    }
    // No request is held longer than 8 s, so gaps must be listed before that.
    assert!(stage.listed("audio").segments.iter().filter(|s| s.gap).count() >= 2, "{:?}", stage.listed("audio"));
}

//! A session while its publisher is away, and after it.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use kit::rung;
use kit::stage::{RATE, START, Stage, frame, picture, video_config};
use media::{MediaTime, VideoCodec, VideoConfig};
use packager::Cue;
use proptest::prelude::*;
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
    stage.packager.resume(at, begun);
    stage.packager.away();
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
#[test]
fn a_restarted_session_begins_with_the_first_media_there_is() {
    let mut stage = Stage::new(|plan| (plan.run, plan.first_msn, plan.discontinuities) = (Some(9), 41, 3));
    let begun = stage.now();
    stage.packager.resume(START, begun);
    let late = START + MediaTime::from_millis(2_600);
    assert!(
        stage.packager.tick(begun + Duration::from_millis(2_600)).is_empty(),
        "nothing is listed for the time until then"
    );
    let (at, _) = stage.packager.begin_slate(begun + Duration::from_millis(2_600));
    assert_eq!(at, START, "a slate begins where the session goes on");
    stage.packager.end_slate();
    let config = Arc::clone(&stage.config);
    for n in 0..121 {
        let now = begun + (late + RATE.time_of(n) - START).to_duration();
        stage.packager.source(&picture(&config, late + RATE.time_of(n), n % 60 == 0), now);
    }
    let listed = stage.listed("source");
    assert_eq!((listed.first_msn, breaks(&listed)), (41, vec![41]), "{listed:?}");
    assert!(listed.segments.iter().all(|segment| !segment.gap));
}

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
fn who_rejoins_later_than_a_segment_can_last_leaves_gaps_and_no_discontinuity() {
    let mut stage = Stage::new(|_| {});
    stage.send(90, 60, true);
    stage.packager.away();
    let back = stage.now() + Duration::from_millis(100);
    stage.packager.tick(back);
    let at = stage.packager.resume_at(back) + MediaTime::from_millis(2_900);
    stage.packager.rejoin();
    let config = Arc::clone(&stage.config);
    for n in 0..61 {
        let now = back + Duration::from_millis(2_900 + n as u64 * 33);
        stage.packager.source(&picture(&config, at + RATE.time_of(n), n % 60 == 0), now);
    }
    let listed = stage.listed("source");
    assert!(listed.segments.iter().all(|s| !s.discontinuity), "{listed:?}");
    assert!(listed.segments.iter().any(|s| s.gap) && !listed.segments.last().unwrap().gap, "{listed:?}");
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

/// How a publisher goes away and comes back.
#[derive(Debug, Clone, Copy)]
struct Absence {
    /// Pictures before it, and every how many of them is a key frame.
    before: (i64, i64),
    /// The slate begins so much after the last picture, in milliseconds.
    late_ms: i64,
    /// Pictures of the slate.
    shown: i64,
    /// How far the sound is behind the picture, in milliseconds.
    behind_ms: i64,
}

const ABSENCE: Absence = Absence { before: (90, 30), late_ms: 1_000, shown: 240, behind_ms: 0 };

/// A session with a rung whose publisher is away for a while, in which a slate is shown.
fn with_slate(codec: VideoCodec, absence: Absence) -> Stage {
    let Absence { before, late_ms, shown, behind_ms } = absence;
    let config = video_config(0, codec);
    let mut stage = Stage::new(|plan| {
        plan.rungs = vec![rung("180p", RATE)];
        plan.facts.video.as_mut().unwrap().config = Arc::clone(&config);
    });
    stage.config = config;
    let show =
        |stage: &mut Stage, config: &Arc<VideoConfig>, from: MediaTime, (pictures, key): (i64, i64), late: i64| {
            let encoded = video_config(1, VideoCodec::H264);
            for n in 0..pictures {
                let at = from + RATE.time_of(n);
                // Late at first, and then caught up with at three times the speed.
                let now = stage.clock.at(at + MediaTime::from_millis((late - n * 22).max(0)));
                let cues = stage.packager.source(&picture(config, at, n % key == 0), now);
                while let sound = START + MediaTime::from_units(stage.sounds * 1024, 48_000)
                    && sound <= at - MediaTime::from_millis(behind_ms)
                {
                    stage.sounds += 1;
                    stage.packager.source(&frame(sound), now);
                }
                let is_boundary = cues.iter().any(|cue| matches!(cue, Cue::Boundary { .. }));
                stage.cues.extend(cues);
                stage.packager.encoded("180p", picture(&encoded, at, is_boundary));
            }
            from + RATE.time_of(pictures)
        };
    let own = Arc::clone(&stage.config);
    let end = show(&mut stage, &own, START, before, 0);
    let now = stage.clock.at(end + MediaTime::from_millis(late_ms));
    stage.packager.tick(now);
    let (at, time) = stage.packager.begin_slate(now);
    let part = MediaTime::from_millis(202);
    assert!(
        at + MediaTime::from_ticks(750) >= end && at - end < part,
        "behind the last picture, where a part ends: {at:?}, {end:?}"
    );
    assert!((time - end - MediaTime::from_millis(late_ms)).abs() < MediaTime::from_millis(40), "{time:?}");
    let end = show(&mut stage, &video_config(7, VideoCodec::H264), at, (shown, 60), late_ms);
    stage.packager.end_slate();
    show(&mut stage, &own, end, (121, before.1), (late_ms - shown * 22).max(0));
    stage
}

/// The numbers of the segments that begin with a discontinuity.
fn breaks(list: &kit::Listed) -> Vec<u64> {
    let numbers = list.first_msn..;
    numbers.zip(&list.segments).filter(|(_, s)| s.discontinuity).map(|(msn, _)| msn).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whenever a publisher goes and comes back: two discontinuities, at the same numbers everywhere, and no gap.
    #[test]
    fn a_slate_keeps_its_promises_whenever_it_begins_and_ends(
        pictures in 5i64..200,
        key in prop_oneof![Just(15i64), Just(30), Just(60)],
        late_ms in 900i64..3_900,
        shown in 10i64..400,
        behind_ms in 0i64..400,
    ) {
        let absence = Absence { before: (pictures, key), late_ms, shown, behind_ms };
        let stage = with_slate(VideoCodec::H264, absence);
        let lists = ["source", "180p", "audio"].map(|id| stage.listed(id));
        prop_assert_eq!(breaks(&lists[0]).len(), 2, "{:?}", lists[0]);
        for list in &lists[1..] {
            let common: Vec<u64> = breaks(&lists[0]).into_iter().filter(|n| *n < list.first_msn + list.segments.len() as u64).collect();
            prop_assert_eq!(breaks(list), common);
        }
        for list in &lists {
            prop_assert!(list.segments.iter().all(|s| !s.gap), "{:?}", list);
            prop_assert!(list.segments.iter().flat_map(|s| &s.parts).all(|part| !part.gap), "{:?}", list);
        }
    }
}

#[test]
fn a_slate_is_two_discontinuities_at_the_same_numbers_everywhere_and_no_gap() {
    let stage = with_slate(VideoCodec::H264, ABSENCE);
    let lists = ["source", "180p", "audio"].map(|id| stage.listed(id));
    assert_eq!(breaks(&lists[0]).len(), 2, "{:?}", lists[0]);
    assert!(lists[1..].iter().all(|list| breaks(list) == breaks(&lists[0])), "{lists:?}");
    for list in &lists {
        assert!(list.segments.iter().all(|s| !s.gap), "{list:?}");
    }
    let inits = |n: usize| lists[n].segments.iter().filter_map(|s| s.init.clone()).collect::<Vec<_>>();
    let kinds = |n: usize| inits(n).into_iter().collect::<std::collections::BTreeSet<_>>().len();
    assert_eq!(
        (kinds(0), kinds(1), kinds(2)),
        (2, 1, 1),
        "the source has its own again, rungs and sound have none but their own"
    );
    // The publisher had a key frame each second at first; the slate's two seconds are nobody's interval.
    assert_eq!(stage.packager.keyframe_interval(), Some(Duration::from_secs(1)));
}

#[test]
fn a_slate_in_h264_leaves_gaps_in_the_hevc_rendition_alone() {
    let stage = with_slate(VideoCodec::Hevc, ABSENCE);
    let (hevc, rung) = (stage.listed("source"), stage.listed("180p"));
    let gaps: Vec<bool> = hevc.segments.iter().map(|s| s.gap).collect();
    assert!(!gaps[0] && gaps.iter().any(|gap| *gap) && !gaps.last().unwrap(), "{hevc:?}");
    let numbers = |list: &kit::Listed| -> Vec<bool> { list.segments.iter().map(|s| s.discontinuity).collect() };
    let both = hevc.segments.len().min(rung.segments.len());
    assert_eq!(numbers(&hevc)[..both], numbers(&rung)[..both]);
    assert!(rung.segments.iter().all(|s| !s.gap), "{rung:?}");
}

#[test]
fn sound_alone_waits_for_a_slate_that_is_on_its_way() {
    let gaps = |awaits: bool| {
        let mut stage = Stage::new(|_| {});
        stage.send(90, 60, true);
        stage.packager.await_slate(awaits);
        let end = START + MediaTime::from_millis(7_000);
        stage.sound_until(end, true);
        let now = stage.clock.at(end);
        let (at, _) = stage.packager.begin_slate(now);
        let slate = video_config(7, VideoCodec::H264);
        // It catches up at three times the speed.
        for n in 0..240 {
            stage.packager.source(&picture(&slate, at + RATE.time_of(n), n % 60 == 0), now);
            stage.sound_until(end + RATE.time_of(n / 3), true);
        }
        let listed = stage.listed("source");
        assert_eq!(listed.segments.iter().filter(|s| s.discontinuity).count(), 1, "{listed:?}");
        listed.segments.iter().filter(|s| s.gap).count()
    };
    assert!(gaps(false) > 0, "what nobody waits for is a gap after two seconds");
    assert_eq!(gaps(true), 0);
}

#[test]
fn silence_stands_in_for_sound_alone() {
    let mut stage = Stage::new(|plan| (plan.facts.video, plan.passthrough) = (None, false));
    let until = |stage: &mut Stage, seconds: i64, late: i64| {
        let end = START + MediaTime::from_millis(seconds * 1_000);
        while let at = START + MediaTime::from_units(stage.sounds * 1024, 48_000)
            && at < end
        {
            stage.sounds += 1;
            let now = stage.clock.at(at + MediaTime::from_millis(late));
            stage.cues.extend(stage.packager.source(&frame(at), now));
        }
    };
    until(&mut stage, 5, 0);
    let now = stage.clock.at(START + MediaTime::from_millis(6_000));
    let (at, _) = stage.packager.begin_slate(now);
    assert!(at <= START + MediaTime::from_millis(5_060), "{at:?}");
    until(&mut stage, 15, 1_000);
    stage.packager.end_slate();
    until(&mut stage, 20, 1_000);
    let listed = stage.listed("audio");
    assert_eq!(listed.segments.iter().filter(|s| s.discontinuity).count(), 2, "{listed:?}");
    assert!(listed.segments.iter().all(|s| !s.gap), "{listed:?}");
}

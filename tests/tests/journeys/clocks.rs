//! What encoders' clocks really do: wrap, jump, stand still, run in bursts; and tracks that come late or stop.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::flv::Tag;
use tests::hls::{self, Segment};
use tests::push::LivePush;
use tests::{Clip, Server, eventually_within, look};

/// Publishes a clip's tags as stream `name`, each at the time and with the stamp that `when` makes of its own stamp.
fn push(server: &Server, name: &str, when: impl Fn(&Tag) -> Option<(u64, u32)>) -> LivePush {
    let stream = server.add_stream(name);
    let tags = Clip::default().tags().into_iter();
    let timed = tags.filter_map(|tag| {
        let (due, stamp) = when(&tag)?;
        Some((Duration::from_millis(due), Tag { stamp, ..tag }))
    });
    let mut timed: Vec<_> = timed.collect();
    timed.sort_by_key(|(due, _)| *due);
    LivePush::start_at(server.rtmp, "live", &stream.key, timed)
}

/// Seconds since 1970 of a date in a playlist, by another program's eyes.
fn seconds(date: &str) -> f64 {
    tests::run_ok("date", ["-u", "-d", date, "+%s.%N"]).trim().parse().expect("a number")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Each segment is dated where the one before ended, and the newest not in the future and not long ago.
fn check_dates(segments: &[Segment]) {
    check_dates_behind(segments, 0.0);
}

/// The same for a source whose first unit came so many seconds late, which its dates run from.
fn check_dates_behind(segments: &[Segment], backlog: f64) {
    let dates: Vec<_> = segments.iter().map(|s| seconds(s.wall.as_deref().expect("a date"))).collect();
    for (pair, dates) in segments.windows(2).zip(dates.windows(2)) {
        let off = dates[1] - dates[0] - pair[0].duration;
        assert!(off.abs() < 0.1, "{off} s between the dates of {pair:?}");
    }
    let (last, date) = segments.last().zip(dates.last()).expect("segments");
    let age = now() - (date + last.duration);
    assert!((-3.0 - backlog..40.0).contains(&age), "the newest segment ended {age} s ago");
}

#[test]
fn stamps_that_wrap_play_on_without_a_discontinuity() {
    let server = Server::start();
    let _publishers = [
        ("bits24", (1 << 24) - 4_000, 0xff_ffff),
        ("bits31", (1 << 31) - 4_000, u32::MAX),
        ("bits32", u32::MAX - 4_000, u32::MAX),
    ]
    .map(|(name, from, mask)| {
        push(&server, name, |tag| Some((u64::from(tag.stamp), tag.stamp.wrapping_add(from) & mask)))
    });
    for name in ["bits24", "bits31", "bits32"] {
        let source = server.variants(name).remove(0);
        let recording = server.record(&source, 8);
        let pictures = look::pictures(&recording.only_file());
        let numbers: Vec<u32> = pictures.iter().filter_map(|p| p.marks.map(|(_, number)| number)).collect();
        assert!(numbers.last() > Some(&150), "{name}: the wrap is in it: {numbers:?}");
        assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{name}: {numbers:?}");
        check_dates(recording.runs()[0].1);
    }
}

#[test]
fn a_jump_of_the_clock_is_one_discontinuity_and_the_dates_stay_true() {
    let server = Server::start();
    let jump = |by: i64| {
        move |tag: &Tag| {
            let stamp = i64::from(tag.stamp) + 100_000 + if tag.stamp < 4_000 { 0 } else { by };
            Some((u64::from(tag.stamp), stamp as u32))
        }
    };
    let _publishers = [("forward", 3_600_000), ("back", -30_000)].map(|(name, by)| push(&server, name, jump(by)));
    for name in ["forward", "back"] {
        let source = server.variants(name).remove(0);
        let recording = server.record(&source, 8);
        let runs = recording.runs();
        let segments: Vec<_> = runs.iter().flat_map(|(_, segments)| segments.iter().cloned()).collect();
        assert_eq!(segments.iter().filter(|s| s.discontinuity).count(), 1, "{name}: {segments:?}");
        assert!(segments.iter().all(|s| s.duration <= 3.0 && !s.gap), "{name}: {segments:?}");
        check_dates(&segments);
        for (file, _) in runs {
            assert_eq!(look::complaints(&file), "", "{name}");
        }
    }
}

#[test]
fn stamps_that_stand_still_are_replaced_by_the_time_of_arrival() {
    let server = Server::start();
    let _publisher = push(&server, "show", |tag| Some((u64::from(tag.stamp), 7)));
    let rendition = server.variants("show").remove(0);
    let recording = server.record(&rendition, 4);
    let segments: Vec<_> = recording.runs().iter().flat_map(|(_, segments)| segments.to_vec()).collect();
    assert!(segments.iter().all(|s| s.duration <= 6.0), "{segments:?}");
    check_dates(&segments);
    assert_eq!(server.log().matches("the same time stamp").count(), 1, "said once:\n{}", server.log());
}

#[test]
fn twenty_seconds_in_one_are_taken_and_played_at_the_speed_of_real_time() {
    let server = Server::start();
    let due = |stamp: u32| if stamp < 20_000 { stamp / 20 } else { stamp - 19_000 };
    let publisher = push(&server, "show", |tag| Some((u64::from(due(tag.stamp)), tag.stamp)));
    let source = server.variants("show").remove(0);
    let recording = server.record(&source, 8);
    let segments: Vec<_> = recording.runs().iter().flat_map(|(_, segments)| segments.to_vec()).collect();
    assert!(segments.iter().all(|s| s.duration <= 3.0), "{segments:?}");
    check_dates_behind(&segments, 10.0);
    assert!(publisher.is_running(), "{:?}", publisher.result());
    assert!(server.metric("weir_ingest_dropped_units_total") > 0.0, "ten seconds may wait");
}

#[test]
fn announced_sound_that_comes_late_is_silence_until_it_comes() {
    let server = Server::start();
    // With its configuration: until then nobody can know what it will be.
    let late = |tag: &Tag| {
        let stamp = if tag.kind == 8 && tag.is_header() { 6_000 } else { tag.stamp };
        (tag.kind != 8 || stamp >= 6_000).then_some((u64::from(stamp), stamp))
    };
    let _publisher = push(&server, "show", late);
    let audio = server.audio("show").expect("an audio rendition from the start");
    let recording = server.record(&audio, 9);
    let runs = recording.runs();
    assert!(runs.len() <= 2, "one discontinuity at most: {}", runs.len());
    assert!(runs.iter().all(|(_, segments)| segments.iter().all(|s| !s.gap)), "{runs:?}");
    let (first, last) = (&runs[0].0, &runs[runs.len() - 1].0);
    assert!(look::sound(last).rms_db() > -40.0, "the sound is there in the end");
    assert_eq!((look::complaints(first), look::complaints(last)), (String::new(), String::new()));
}

#[test]
fn a_track_that_stops_does_not_stop_the_other() {
    let server = Server::start();
    let without = |kind: u8| {
        move |tag: &Tag| {
            let is_away = tag.kind == kind && !tag.is_header() && (3_000..9_000).contains(&tag.stamp);
            (!is_away).then_some((u64::from(tag.stamp), tag.stamp))
        }
    };
    let _publishers = [push(&server, "mute", without(8)), push(&server, "blind", without(9))];
    let muted = server.audio("mute").expect("sound");
    let blind = server.audio("blind").expect("sound");
    let (muted, blind) = std::thread::scope(|scope| {
        let muted = scope.spawn(|| server.record(&muted, 10));
        let blind = server.record(&blind, 8);
        (muted.join().expect("a recording"), blind)
    });
    let segments = |recording: &tests::Recording| -> Vec<Segment> {
        recording.runs().iter().flat_map(|(_, segments)| segments.to_vec()).collect()
    };
    assert!(segments(&muted).iter().all(|s| !s.gap && !s.discontinuity), "silence, not gaps: {:?}", segments(&muted));
    assert!(segments(&blind).iter().all(|s| !s.gap), "sound goes on: {:?}", segments(&blind));
    check_dates(&segments(&muted));
    let source = server.variants("blind").remove(0);
    let is_back = |list: &hls::Media| {
        let last = list.segments.iter().rposition(|s| s.discontinuity);
        last.is_some_and(|last| list.complete().count() > last + 1)
    };
    let list = eventually_within("the picture is back", Duration::from_secs(20), || {
        Some(server.media(&source))
            .filter(|list| list.segments.iter().filter(|s| s.discontinuity).count() >= 2 && is_back(list))
    });
    let seen = server.record(&source, list.complete().count());
    let runs = seen.runs();
    assert_eq!(runs.len(), 3, "the source, its last picture, and the source again: {runs:?}");
    assert!(runs.iter().all(|(_, segments)| segments.iter().all(|s| !s.gap)), "{runs:?}");
    let numbers = |run: usize| -> BTreeSet<_> { look::pictures(&runs[run].0).iter().map(|p| p.marks).collect() };
    assert_eq!(numbers(1).len(), 1, "it stands still");
    assert!(numbers(1).iter().all(|shown| numbers(0).contains(shown)), "{:?}", numbers(1));
}

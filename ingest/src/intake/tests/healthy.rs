//! Healthy encoders behind networks as they are: nothing is dropped, invented, delayed for long or torn apart.

use super::*;

/// When a frame that was made at a time arrives, in milliseconds.
type Path<'a> = &'a dyn Fn(i64) -> i64;

/// Plays seconds of 25 pictures a second, and of sound that arrives `lag` later, over a network; what was given when.
/// Frames in front of `backlog` are older than the connection.
fn play(seconds: i64, lag: i64, backlog: i64, network: Path) -> (Bench, Vec<(i64, FeedItem)>) {
    let mut bench = Bench::new();
    bench.at_ms(0, announced(Some(true)));
    bench.video(0, &config()).expect("config");
    bench.audio(0, &SHORT_FRAMES).expect("config");
    let mut sent: Vec<(i64, i64, bool)> = Vec::new();
    for n in 0..seconds * 50 {
        let at = n * 20;
        let made = (at - backlog).max(0);
        sent.push((network((made + lag).max(0)), at, true));
        if n % 2 == 0 {
            sent.push((network(made), at, false));
        }
    }
    sent.sort_by_key(|(due, at, is_sound)| (*due, *at, !*is_sound));
    let mut given = Vec::new();
    let mut wall = 0;
    for (due, at, is_sound) in sent {
        // Every 10 ms what is due is given.
        while wall < due {
            wall += 10;
            let now = bench.start + Duration::from_millis(wall as u64);
            bench.intake.release(now, |item| given.push((wall, item)));
        }
        let now = bench.start + Duration::from_millis(due as u64);
        let timestamp = 500_000 + at as u32;
        let event = if is_sound {
            Event::Audio { timestamp, payload: Bytes::from_static(&[0xaf, 1, 1]) }
        } else {
            let nal = [if at % 1000 == 0 { 0x65 } else { 0x41 }, 1];
            Event::Video { timestamp, payload: picture(&[&nal]).into() }
        };
        bench.intake.take(event, now, |item| given.push((due, item))).expect("usable media");
    }
    (bench, given)
}

fn unit_of(item: &FeedItem) -> Option<&AccessUnit> {
    if let FeedItem::Unit(unit) = item { Some(unit) } else { None }
}

/// What came out is what went in, to the millisecond.
fn check_untouched(name: &str, bench: &Bench) {
    let tally = bench.intake.tally();
    assert_eq!(
        (tally.dropped(), tally.silent_units, tally.breaks, tally.clock_faults),
        (0, 0, 0, 0),
        "{name}: {tally:?}"
    );
}

#[test]
fn sound_that_lags_is_heard_from_its_first_frame_on() {
    for lag in [0, 600, 1_100, 1_900] {
        for stall in [0, 1_500] {
            let network = move |at: i64| if (8_000..8_000 + stall).contains(&at) { 8_000 + stall } else { at };
            let (bench, given) = play(30, lag, 0, &network);
            check_untouched(&format!("lag {lag}, stall {stall}"), &bench);
            let late = |(wall, item): &(i64, FeedItem)| unit_of(item).map(|u| wall + 10_000 - u.dts.as_millis());
            let late = given.iter().filter(|(wall, _)| *wall > 15_000).filter_map(late).max();
            assert!(late.is_some_and(|late| late <= lag), "{lag} {stall}: {late:?}");
        }
    }
}

#[test]
fn an_early_sound_is_given_at_once_too() {
    for lag in [-600, -1_900] {
        let (bench, given) = play(30, lag, 0, &|at| at);
        let tally = bench.intake.tally();
        assert_eq!((tally.dropped(), tally.silent_units, tally.breaks), (0, 0, 0), "{lag}: {tally:?}");
        assert_eq!(given.iter().filter(|(_, item)| unit_of(item).is_some()).count(), 30 * 75, "{lag}: none is held");
    }
}

#[test]
fn a_congested_uplink_that_recovers_changes_nothing() {
    for percent in [98, 95, 90, 80, 70] {
        // From 10 s on it carries so much of the bit rate, until it is 12 s behind or two minutes are over; then twice.
        let until = (10_000 + 12_000 * percent / (100 - percent)).min(120_000);
        let network = move |at: i64| {
            let slow = |at: i64| 10_000 + (at - 10_000) * 100 / percent;
            match at {
                ..10_000 => at,
                _ if at < until => slow(at),
                _ => at.max(slow(until) + (at - until) / 2),
            }
        };
        let (bench, given) = play(180, 0, 0, &network);
        check_untouched(&format!("{percent} %"), &bench);
        let stamps_kept = given.iter().filter_map(|(_, item)| unit_of(item)).filter(|u| u.track() == Track::Video);
        assert!(stamps_kept.enumerate().all(|(n, u)| u.dts.as_millis() == 10_000 + n as i64 * 40), "{percent} %");
    }
}

#[test]
fn a_burst_at_the_start_is_caught_up_with() {
    for backlog in [1_000, 3_000, 5_000, 8_000, 10_000] {
        // All of it at once, or over an uplink with a third to spare.
        for is_limited in [false, true] {
            let (name, over) = (format!("{backlog} {is_limited}"), if is_limited { 45_000 } else { 35_000 });
            let carried = std::cell::Cell::new(0i64);
            // 75 units a second, so 750 ms of wall time for a second of media.
            let limited = |made: i64| made.max(carried.replace(carried.get() + 10));
            let network: Path = if is_limited { &limited } else { &|made| made };
            let (bench, given) = play(60, 0, backlog, network);
            check_untouched(&name, &bench);
            let late =
                |(wall, item): &(i64, FeedItem)| unit_of(item).map(|u| wall + 10_000 + backlog - u.dts.as_millis());
            let late = given.iter().filter(|(wall, _)| *wall > over).filter_map(late).max();
            assert!(late.is_some_and(|late| late <= 60), "{name}: late by {late:?} ms");
            // No decoder is asked for more than 1.25 times real time behind the first two seconds.
            for (wall, item) in &given {
                let Some(unit) = unit_of(item) else { continue };
                let ahead = unit.dts.as_millis() - 10_000;
                assert!(ahead <= 2_000 + wall * 5 / 4 + 20, "{backlog}: {ahead} at {wall}");
            }
        }
    }
}

#[test]
fn a_burst_inside_one_group_of_pictures_keeps_its_publisher() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    // A keyframe each 30 s; 15 s come at once, then real time.
    for n in 0..1_500u32 {
        let nal = [if n.is_multiple_of(750) { 0x65 } else { 0x41 }, 1];
        let wall = if n < 375 { u64::from(n) } else { 375 + u64::from(n - 375) * 40 };
        bench.at_ms(wall, Event::Video { timestamp: n * 40, payload: picture(&[&nal]).into() });
    }
    let tally = bench.intake.tally();
    assert_eq!((tally.without_keyframe, tally.video_units), (0, 1_500), "{tally:?}");
    let video = bench.times(Track::Video);
    assert!(video.windows(2).all(|w| w[1] - w[0] <= 80), "no hole");
}

#[test]
fn a_drop_for_its_bytes_brings_the_timeline_back_and_blames_nobody() {
    let limits = Limits { burst_bytes_max: 20_000, ..Limits::default() };
    let mut bench = Bench::new();
    bench.intake = Intake::new(&limits, bench.start);
    bench.video(0, &config()).expect("config");
    for n in 0..1_500u32 {
        let nal = [&[if n.is_multiple_of(750) { 0x65 } else { 0x41 }][..], &[7; 95]].concat();
        let wall = if n < 375 { u64::from(n) } else { 375 + u64::from(n - 375) * 40 };
        // 15 s without a keyframe are the publisher's fault elsewhere; here they were thrown away.
        bench.at_ms(wall, Event::Video { timestamp: n * 40, payload: picture(&[&nal]).into() });
    }
    let tally = bench.intake.tally().clone();
    assert!(tally.burst > 0 && tally.without_keyframe > 300, "{tally:?}");
    let newest = *bench.times(Track::Video).last().expect("some");
    let wall = 375 + (1_499 - 375) * 40;
    assert!(newest <= wall + 2_000, "back with real time: {newest} at {wall}");
}

#[test]
fn announcements_do_not_pile_up() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    (0..200).for_each(|n| bench.show(u64::from(n) / 2, n, false));
    let before = bench.items.len();
    for _ in 0..1_000 {
        bench.at_ms(100, announced(None));
    }
    assert_eq!(bench.items.len() - before, 1_000, "each is handed on at once");
}

#[test]
fn silence_behind_a_burst_does_not_hurry_it() {
    let mut bench = Bench::new();
    bench.at_ms(0, announced(Some(true)));
    bench.video(0, &config()).expect("config");
    // 20 s at once in one group of pictures, and then real time.
    for n in 0..1_000u32 {
        let wall = if n < 500 { 0 } else { u64::from(n - 500) * 40 };
        let nal = [if n == 0 { 0x65 } else { 0x41 }, 1];
        bench.at_ms(wall, Event::Video { timestamp: n * 40, payload: picture(&[&nal]).into() });
        let newest = *bench.times(Track::Video).last().expect("some");
        assert!(newest <= 2_020 + wall as i64 * 5 / 4, "{newest} at {wall}");
    }
}

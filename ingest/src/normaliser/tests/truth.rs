//! Stamps that tell the truth are believed, whatever the network does with what they belong to.

use super::*;

#[test]
fn a_wrap_of_24_bits_is_over_for_good() {
    let mut bench = Bench::new();
    let from = (1u32 << 24) - 10_000;
    // Past the wrap, and past the next one.
    for n in 0..500i64 {
        bench.at(n * 40);
        let stamp = (from + n as u32 * 40) & 0xff_ffff;
        assert_eq!(bench.video(stamp, 0).dts, ms(10_000 + n * 40), "{n}");
        assert_eq!(bench.audio((stamp + 5) & 0xff_ffff).dts, ms(10_005 + n * 40), "{n}");
    }
    for n in 500..1_300i64 {
        assert_eq!(bench.at(n * 40).video((from + n as u32 * 40) & 0xff_ffff, 0).dts, ms(10_000 + n * 40), "{n}");
    }
    assert_eq!((bench.breaks, bench.faults.len()), (0, 0));
}

#[test]
fn sound_that_arrives_seconds_behind_keeps_its_lip_sync() {
    for lag in [2_100, 3_500, 4_900] {
        let mut bench = Bench::new();
        for n in 0..500i64 {
            bench.at(n * 40);
            assert_eq!(bench.video(n as u32 * 40, 0).dts, ms(10_000 + n * 40));
            if n * 40 >= lag {
                assert_eq!(bench.audio((n * 40 - lag) as u32).dts, ms(10_000 + n * 40 - lag), "{lag}");
            }
        }
        assert_eq!((bench.breaks, bench.faults.len()), (0, 0), "{lag}");
    }
}

#[test]
fn a_picture_that_comes_to_lag_keeps_its_lip_sync() {
    // An encoder that is overloaded for a while: its pictures come 3 s behind the sound, truly stamped.
    let (mut bench, mut next) = (Bench::new(), 0);
    for n in 0..1_500i64 {
        bench.at(n * 40);
        assert_eq!(bench.audio(n as u32 * 40).dts, ms(10_000 + n * 40));
        let lag = ((n - 250) * 2 / 5).clamp(0, 75);
        while next + lag <= n {
            assert_eq!(bench.video(next as u32 * 40, 0).dts, ms(10_000 + next * 40), "{n}");
            next += 1;
        }
    }
    assert_eq!((bench.breaks, bench.faults.len()), (0, 0));
}

#[test]
fn a_clock_that_is_mended_is_believed_again() {
    let mut bench = Bench::new();
    let mut stamp = 0;
    for n in 0..3_000i64 {
        bench.at(n * 40);
        // A fast clock for 40 s, then a true one.
        stamp += if n < 1_000 { 44 } else { 40 };
        let (video, audio) = (bench.video(stamp, 0), bench.audio(stamp + 7));
        if n > 1_500 {
            assert_eq!(audio.dts - video.dts, ms(7), "lip-sync is the publisher's again: {n}");
            assert!(bench.late(video).abs() < 400, "{n}: {}", bench.late(video));
        }
    }
    assert_eq!(bench.faults, [ClockFault::Drift]);
}

#[test]
fn pictures_alone_over_a_congested_uplink_keep_their_stamps() {
    let mut bench = Bench::new();
    let mut last: Option<Placed> = None;
    for n in 0..3_000i64 {
        // 80 % of the bit rate for a minute.
        let at = n * 40 + (n - 500).clamp(0, 1_500) * 10;
        let placed = bench.at(at).video(n as u32 * 40, 0);
        if let Some(last) = last.replace(placed)
            && !placed.is_break
        {
            assert_eq!(placed.dts - last.dts, ms(40), "{n}");
        }
    }
    assert!(bench.breaks <= 4, "at most one in twenty seconds: {}", bench.breaks);
    assert!(!bench.faults.contains(&ClockFault::Drift), "{:?}", bench.faults);
}

use super::*;
use proptest::prelude::*;

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// Video at 25 fps from `from` for `count` frames; the places.
fn pictures(normaliser: &mut Normaliser, from: u32, count: u32) -> Vec<Placed> {
    (0..count).map(|n| normaliser.video(from.wrapping_add(n * 40), 0)).collect()
}

#[test]
fn a_session_begins_at_ten_seconds() {
    let mut normaliser = Normaliser::new();
    assert_eq!(normaliser.video(5, 0).dts, ms(10_000));
    assert_eq!(normaliser.audio(3, 1024, 48_000).dts, ms(9_998));
}

#[test]
fn wraps_of_32_and_24_bits_are_not_seen() {
    for from in [u32::MAX - 100, (1 << 24) - 100] {
        let mut normaliser = Normaliser::new();
        let mask = if from == u32::MAX - 100 { u32::MAX } else { 0xff_ffff };
        for n in 0..20u32 {
            let video = normaliser.video(from.wrapping_add(n * 40) & mask, 0);
            let audio = normaliser.audio(from.wrapping_add(n * 40 + 5) & mask, 1920, 48_000);
            assert_eq!((video.dts, video.is_break), (ms(10_000 + i64::from(n) * 40), false));
            assert_eq!((audio.dts, audio.is_break), (ms(10_005 + i64::from(n) * 40), false));
        }
    }
}

#[test]
fn a_jump_is_rebased_once_for_both_tracks() {
    for to in [3_600_000, 50_000u32] {
        let mut normaliser = Normaliser::new();
        for n in 0..50 {
            normaliser.video(100_000 + n * 40, 0);
            normaliser.audio(100_010 + n * 40, 1920, 48_000);
        }
        let mut breaks = 0;
        for n in 0..50u32 {
            let video = normaliser.video(to + n * 40, 0);
            let audio = normaliser.audio(to + 10 + n * 40, 1920, 48_000);
            breaks += u32::from(video.is_break) + u32::from(audio.is_break);
            assert_eq!(audio.dts - video.dts, ms(10), "lip-sync stays");
        }
        assert_eq!(breaks, 1);
        assert!(normaliser.front().expect("a front") < ms(10_000 + 100 * 40 + 100), "no hole is left");
    }
}

#[test]
fn small_steps_are_no_jumps() {
    let mut normaliser = Normaliser::new();
    pictures(&mut normaliser, 0, 100);
    let gap = normaliser.video(99 * 40 + 2500, 0);
    assert_eq!((gap.dts, gap.is_break), (ms(10_000 + 99 * 40 + 2500), false));
    let back = normaliser.video(99 * 40 + 2200, 0);
    assert!(!back.is_break && back.dts > gap.dts);
}

#[test]
fn a_track_may_pause_while_the_other_goes_on() {
    let mut normaliser = Normaliser::new();
    normaliser.audio(0, 1024, 48_000);
    pictures(&mut normaliser, 0, 500);
    let back = normaliser.audio(20_000, 1024, 48_000);
    assert_eq!((back.dts, back.is_break), (ms(30_000), false));
}

#[test]
fn tracks_on_two_clocks_meet() {
    let mut normaliser = Normaliser::new();
    for n in 0..100u32 {
        let video = normaliser.video(3_600_000 + n * 40, 0);
        let audio = normaliser.audio(n * 40, 1920, 48_000);
        assert!(!video.is_break && !audio.is_break);
        assert!((video.dts - audio.dts).abs() < ms(100));
    }
}

#[test]
fn negative_composition_shifts_decode_times() {
    let mut normaliser = Normaliser::new();
    let placed: Vec<_> =
        [(0, 40), (40, 80), (80, -40), (120, 0), (160, 80), (200, -40)].map(|(at, c)| normaliser.video(at, c)).into();
    for (unit, pts) in placed.iter().zip([40, 120, 40, 120, 240, 160]) {
        // The picture that reveals the shift may come to stand a tick behind the one before it.
        assert!((unit.pts - ms(10_000 + pts)).ticks().abs() <= 2, "{unit:?}");
        assert!(unit.dts <= unit.pts);
    }
    assert!(placed.windows(2).all(|w| w[0].dts < w[1].dts));
}

#[test]
fn audio_runs_on_its_samples_under_millisecond_stamps() {
    let mut normaliser = Normaliser::new();
    for n in 0..2000i64 {
        let exact = MediaTime::from_units(n * 1024, 44_100);
        let placed = normaliser.audio(exact.as_millis() as u32, 1024, 44_100);
        assert_eq!(placed.dts - ms(10_000), exact);
    }
    assert_eq!(normaliser.reanchored(), 0);
}

#[test]
fn drifting_audio_is_re_anchored_by_one_frame() {
    let mut normaliser = Normaliser::new();
    let mut before = None;
    let mut stretched = 0;
    for n in 0..2000i64 {
        // The publisher's audio clock is one percent slow.
        let placed = normaliser.audio((n * 1024 * 101 * 10 / 48_000) as u32, 1024, 48_000);
        if let Some(before) = before.replace(placed.dts) {
            stretched += i64::from(placed.dts - before > ms(30));
        }
    }
    assert!(stretched > 5, "{stretched}");
    assert_eq!(normaliser.reanchored(), stretched as u64);
}

#[test]
fn equal_stamps_still_rise() {
    let mut normaliser = Normaliser::new();
    let placed: Vec<_> = (0..10).map(|_| normaliser.video(7, 0).dts).collect();
    assert!(placed.windows(2).all(|w| w[0] < w[1]));
}

proptest! {
    #[test]
    fn decode_times_rise_and_never_pass_presentation(
        steps in proptest::collection::vec((any::<bool>(), prop_oneof![0u32..100, any::<u32>()], -8_388_608i32..8_388_608, 1u32..5760), 1..200),
    ) {
        let mut normaliser = Normaliser::new();
        let mut last = [None; 2];
        let mut stamp = 0u32;
        for (is_video, step, composition, samples) in steps {
            stamp = stamp.wrapping_add(step);
            let placed = if is_video { normaliser.video(stamp, composition) } else { normaliser.audio(stamp, samples, 48_000) };
            prop_assert!(placed.dts <= placed.pts);
            let last = &mut last[usize::from(is_video)];
            prop_assert!(last.is_none_or(|last| placed.dts > last));
            prop_assert!(placed.dts > MediaTime::ZERO);
            *last = Some(placed.dts);
        }
    }

    #[test]
    fn steady_streams_are_kept_to_the_millisecond(from in any::<u32>(), reorder in 0i32..4) {
        let mut normaliser = Normaliser::new();
        for n in 0..300u32 {
            let at = i64::from(n) * 1000 / 30;
            let composition = if n % 3 == 0 { reorder * 33 } else { 0 };
            let placed = normaliser.video(from.wrapping_add(at as u32), composition);
            prop_assert_eq!(placed.dts, ms(10_000 + at));
            prop_assert_eq!(placed.pts, ms(10_000 + at + i64::from(composition)));
            prop_assert!(!placed.is_break);
        }
    }
}

use super::*;
use media::{MediaTime, Track};
use proptest::prelude::*;

/// 640x360 at 25 fps, constrained baseline, made by x264.
const AVCC: &[u8] = &[
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xd8, 0x90, 0x28, 0x0b, 0xfe, 0x5c, 0x04,
    0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x8b, 0x89, 0x80, 0x01, 0x00, 0x05, 0x68, 0xc8,
    0x88, 0xcb, 0x20,
];

struct Bench {
    intake: Intake,
    start: Instant,
    items: Vec<FeedItem>,
}

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        Self { intake: Intake::new(&Limits::default(), start), start, items: Vec::new() }
    }

    /// One message at a wall time, and what it fails with.
    fn at(&mut self, seconds: u64, event: Event) -> Result<(), MediaFault> {
        self.intake.take(event, self.start + Duration::from_secs(seconds), |item| self.items.push(item))
    }

    /// One message at a wall time in milliseconds, and what was due until then.
    fn at_ms(&mut self, wall: u64, event: Event) {
        self.intake.release(self.start + Duration::from_millis(wall), |item| self.items.push(item));
        let taken = self.intake.take(event, self.start + Duration::from_millis(wall), |item| self.items.push(item));
        taken.expect("usable media");
    }

    /// Picture `n` of 25 a second at a wall time, with the frame of sound beside it; a keyframe each second.
    fn show(&mut self, wall: u64, n: u32, has_sound: bool) {
        let picture = picture(&[&[if n.is_multiple_of(25) { 0x65 } else { 0x41 }, 1]]);
        self.at_ms(wall, Event::Video { timestamp: n * 40, payload: picture.into() });
        if has_sound {
            // 48 kHz: 1,920 samples are two frames of 960.
            for half in [0, 20] {
                self.at_ms(wall, Event::Audio { timestamp: n * 40 + half, payload: Bytes::from_static(&[0xaf, 1, 1]) });
            }
        }
    }

    /// Decode times of a track, in milliseconds from the beginning of the session.
    fn times(&self, track: Track) -> Vec<i64> {
        let times = self.units().into_iter().filter(|u| u.track() == track).map(|u| u.dts.as_millis() - 10_000);
        times.collect()
    }

    fn video(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), MediaFault> {
        self.at(0, Event::Video { timestamp, payload: Bytes::copy_from_slice(payload) })
    }

    fn audio(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), MediaFault> {
        self.at(0, Event::Audio { timestamp, payload: Bytes::copy_from_slice(payload) })
    }

    fn units(&self) -> Vec<&AccessUnit> {
        let unit = |item: &'_ FeedItem| matches!(item, FeedItem::Unit(_));
        self.items
            .iter()
            .filter(|i| unit(i))
            .map(|i| if let FeedItem::Unit(u) = i { u } else { unreachable!() })
            .collect()
    }
}

fn config() -> Vec<u8> {
    [&[0x17, 0, 0, 0, 0], AVCC].concat()
}

/// A tag with these NAL units.
fn picture(nals: &[&[u8]]) -> Vec<u8> {
    let mut tag = vec![0x27, 1, 0, 0, 0];
    for nal in nals {
        tag.extend((nal.len() as u32).to_be_bytes());
        tag.extend(*nal);
    }
    tag
}

#[test]
fn sync_is_decided_by_nal_type_and_not_by_the_tag() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    bench.video(0, &picture(&[&[9, 1], &[6, 0], &[0x65, 1]])).expect("an IDR marked as inter frame");
    let mut lying = picture(&[&[0x41, 1]]);
    lying[0] = 0x17;
    bench.video(40, &lying).expect("an inter frame marked as key");
    assert_eq!(bench.units().iter().map(|u| u.sync).collect::<Vec<_>>(), [true, false]);
    assert_eq!(bench.units()[0].dts, MediaTime::from_millis(10_000));
    assert_eq!(bench.units()[0].video().map(|v| (v.width, v.height)), Some((640, 360)));
}

#[test]
fn damaged_and_empty_units_are_dropped_and_counted() {
    let mut bench = Bench::new();
    bench.video(0, &picture(&[&[0x65, 1]])).expect("too early");
    bench.video(0, &config()).expect("config");
    bench.video(0, &picture(&[&[0x41, 1]])).expect("no keyframe yet");
    bench.video(0, &picture(&[&[0x65, 1]])).expect("a keyframe");
    bench.video(40, &picture(&[&[6, 1]])).expect("no slice");
    bench.video(80, &[0x27, 1, 0, 0, 0, 0, 0, 9, 9, 0x41]).expect("a lying length");
    bench.video(80, &[&picture(&[&[0x41, 1]])[..], &[0]].concat()).expect("a byte too many");
    bench.video(80, b"\xa3hv").expect("a cut header");
    bench.video(80, &[]).expect("nothing");
    let tally = bench.intake.tally();
    assert_eq!(
        (tally.without_config, tally.without_keyframe, tally.empty, tally.damaged, tally.video_units),
        (1, 1, 1, 3, 1)
    );
}

#[test]
fn repeated_configurations_are_ignored_and_changed_ones_wait_for_a_keyframe() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    bench.video(0, &picture(&[&[0x65, 1]])).expect("a keyframe");
    bench.video(0, &config()).expect("the same again");
    bench.video(40, &picture(&[&[0x41, 1]])).expect("goes on");
    let mut other = config();
    other[5 + 3] = 0x1f;
    bench.video(80, &other).expect("a change");
    bench.video(80, &picture(&[&[0x41, 1]])).expect("dropped");
    bench.video(120, &picture(&[&[0x65, 1]])).expect("a keyframe");
    let configs: Vec<_> = bench.units().iter().map(|u| Arc::clone(u.video().expect("video"))).collect();
    assert_eq!(configs.len(), 3);
    assert!(Arc::ptr_eq(&configs[0], &configs[1]) && !Arc::ptr_eq(&configs[1], &configs[2]));
}

#[test]
fn what_never_comes_is_named_after_its_deadline() {
    let frame = |timestamp| Event::Video { timestamp, payload: picture(&[&[0x41, 1]]).into() };
    let mut bench = Bench::new();
    assert_eq!(bench.at(0, frame(0)), Ok(()));
    assert_eq!(bench.at(4, frame(0)), Ok(()));
    let fault = bench.at(5, frame(0)).expect_err("too long");
    assert!(
        fault.to_string().starts_with("No H.264 decoder configuration was received within 5 s; check the encoder"),
        "{fault}"
    );

    let mut bench = Bench::new();
    bench.video(0, &[0x17, 0, 0, 0, 0, 1, 2]).expect("an unreadable configuration");
    bench.video(0, &picture(&[&[0x65, 1]])).expect("waits");
    let fault = bench.at(5, frame(0)).expect_err("too long");
    assert!(fault.to_string().contains("(the H.264 decoder configuration is cut short)"), "{fault}");

    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    assert_eq!(bench.at(0, frame(0)), Ok(()));
    let fault = bench.at(15, frame(0)).expect_err("too long");
    assert!(fault.to_string().starts_with("No keyframe (IDR) was received within 15 s; set"), "{fault}");

    let sound = |payload: &'static [u8]| Event::Audio { timestamp: 0, payload: Bytes::from_static(payload) };
    let mut bench = Bench::new();
    assert_eq!(bench.at(0, sound(&[0xaf, 1, 9])), Ok(()));
    assert!(matches!(bench.at(5, sound(&[0xaf, 1, 9])), Err(MediaFault::NoConfiguration { codec: "AAC", .. })));
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("a picture will come");
    assert_eq!(bench.at(0, sound(&[0xaf, 1, 9])), Ok(()));
    assert_eq!(bench.at(60, sound(&[0xaf, 1, 9])), Ok(()), "the show goes on without sound");
}

#[test]
fn codecs_we_do_not_take_are_named() {
    let mut bench = Bench::new();
    assert!(bench.video(0, b"\x90av01\x01").expect_err("AV1").to_string().contains("AV1"));
    assert!(bench.audio(0, &[0x2f, 1, 1]).expect_err("MP3").to_string().contains("MP3"));
    let fault = bench.audio(0, &[0xaf, 0, 0x11, 0x80]).expect_err("channel layout 0");
    assert!(fault.to_string().ends_with("choose another setting in the encoder"), "{fault}");
}

#[test]
fn opus_runs_on_its_packet_lengths() {
    let mut bench = Bench::new();
    bench.audio(0, b"\x90OpusOpusHead\x01\x01").expect("config");
    for n in 0..50 {
        bench.audio(n * 20, b"\x91Opus\xf8x").expect("20 ms");
    }
    bench.audio(1000, b"\x91Opus\xfb").expect("cut short");
    let units = bench.units();
    assert_eq!(units.len(), 50);
    assert_eq!(units[49].dts - units[0].dts, MediaTime::from_millis(980));
    assert_eq!(units[0].audio().map(|a| a.channels), Some(1));
    assert_eq!(bench.intake.tally().damaged, 1);
}

#[test]
fn a_jump_gives_a_break_before_its_unit() {
    let mut bench = Bench::new();
    bench.audio(0, &[0xaf, 0, 0x11, 0x90]).expect("config");
    bench.audio(0, &[0xaf, 1, 1]).expect("sound");
    bench.audio(100_000, &[0xaf, 1, 1]).expect("a jump");
    assert!(matches!(bench.items[..], [FeedItem::Unit(_), FeedItem::Break, FeedItem::Unit(_)]));
    assert_eq!(bench.intake.tally().breaks, 1);
}

/// AAC-LC at 48 kHz, stereo, frames of 960 samples.
const SHORT_FRAMES: [u8; 4] = [0xaf, 0, 0x11, 0x94];

fn announced(audio: Option<bool>) -> Event {
    Event::Metadata(media::Announced { audio, ..media::Announced::default() })
}

#[test]
fn a_burst_is_held_back_until_its_time_and_nothing_is_lost() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    for n in 0..200 {
        bench.show(u64::from(n) / 2, n, false);
    }
    let at_once = bench.times(Track::Video);
    assert!((48..=55).contains(&at_once.len()), "two seconds at once: {}", at_once.len());
    for n in 200..400 {
        let wall = 100 + u64::from(n - 200) * 40;
        bench.show(wall, n, false);
        let newest = *bench.times(Track::Video).last().expect("some");
        assert!(newest <= 2_100 + wall as i64 * 5 / 4, "a quarter faster than real time: {newest} at {wall}");
        let due = bench.intake.due(bench.start + Duration::from_millis(wall));
        assert!(due.is_some_and(|due| due <= bench.start + Duration::from_millis(wall + 100)));
    }
    for wall in (8_000..24_000).step_by(10) {
        bench.intake.release(bench.start + Duration::from_millis(wall), |item| bench.items.push(item));
    }
    assert_eq!(bench.intake.due(bench.start + Duration::from_secs(24)), None, "all of it is given");
    assert_eq!(bench.times(Track::Video), (0..400).map(|n| n * 40).collect::<Vec<_>>());
    assert_eq!((bench.intake.tally().burst, bench.intake.tally().breaks), (0, 0));
}

#[test]
fn more_than_ten_seconds_of_burst_lose_their_oldest_groups_and_leave_no_hole() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    bench.audio(0, &SHORT_FRAMES).expect("config");
    // 20 s in one, then real time.
    for n in 0..1000u32 {
        let wall = if n < 500 { u64::from(n) * 2 } else { 1_000 + u64::from(n - 500) * 40 };
        bench.show(wall, n, true);
    }
    let tally = bench.intake.tally().clone();
    assert!(tally.burst > 300 && tally.breaks > 0, "{tally:?}");
    let video = bench.times(Track::Video);
    assert!(video.windows(2).all(|w| w[1] - w[0] <= 80), "no hole");
    assert!(bench.times(Track::Audio).windows(2).all(|w| (1..=1_000).contains(&(w[1] - w[0]))));
    let last = *video.last().expect("some");
    assert!((21_000..31_100).contains(&last), "ten seconds ahead of real time at most after 21 s: {last}");
    let breaks: Vec<_> =
        bench.items.windows(2).filter(|w| matches!(w[0], FeedItem::Break)).map(|w| w[1].clone()).collect();
    assert!((1..=tally.breaks).contains(&(breaks.len() as u64)), "{breaks:?}");
    assert!(breaks.iter().all(|item| matches!(item, FeedItem::Unit(unit) if unit.sync)), "each goes on at a key frame");
}

#[test]
fn bytes_held_back_are_bounded_too() {
    let limits = Limits { burst_bytes_max: 4_000, ..Limits::default() };
    let mut bench = Bench::new();
    bench.intake = Intake::new(&limits, bench.start);
    bench.video(0, &config()).expect("config");
    for n in 0..200u32 {
        let nal = [&[if n.is_multiple_of(25) { 0x65 } else { 0x41 }][..], &[7; 95]].concat();
        bench.at_ms(0, Event::Video { timestamp: n * 40, payload: picture(&[&nal]).into() });
    }
    assert!(bench.intake.tally().burst >= 75, "{:?}", bench.intake.tally());
}

#[test]
fn announced_sound_is_silence_until_it_comes() {
    let mut bench = Bench::new();
    bench.at_ms(0, announced(Some(true)));
    bench.video(0, &config()).expect("config");
    for n in 0..250u32 {
        if n == 150 {
            bench.audio(6_000, &SHORT_FRAMES).expect("config");
        }
        bench.show(u64::from(n) * 40, n, n >= 150);
    }
    let audio = bench.times(Track::Audio);
    assert_eq!(audio[0], 0, "from the first picture on");
    assert!(audio.windows(2).all(|w| (15..=80).contains(&(w[1] - w[0]))), "{audio:?}");
    let units = bench.units();
    let sound: Vec<_> = units.iter().filter_map(|u| u.audio()).collect();
    assert_eq!((sound[0].frame_samples, sound[0].is_passthrough()), (1024, true), "what most encoders send");
    assert_eq!(sound.last().map(|c| c.frame_samples), Some(960), "then its own");
    assert!(bench.intake.tally().silent_units > 230 && bench.intake.tally().overlapping == 0);
}

#[test]
fn sound_that_stops_is_silence_until_it_is_back() {
    let mut bench = Bench::new();
    bench.video(0, &config()).expect("config");
    bench.audio(0, &SHORT_FRAMES).expect("config");
    for n in 0..500u32 {
        bench.show(u64::from(n) * 40, n, !(100..300).contains(&n));
        if n == 299 {
            let sound = *bench.times(Track::Audio).last().expect("some");
            assert!(sound >= 299 * 40 - 600, "silence follows the picture: {sound}");
        }
    }
    let audio = bench.times(Track::Audio);
    assert!(audio.windows(2).all(|w| (15..=60).contains(&(w[1] - w[0]))), "{audio:?}");
    assert_eq!(bench.intake.tally().breaks, 0);
    assert!((390..=410).contains(&bench.intake.tally().silent_units));
}

#[test]
fn sound_nobody_announced_is_not_invented() {
    for audio in [None, Some(false)] {
        let mut bench = Bench::new();
        bench.at_ms(0, announced(audio));
        bench.video(0, &config()).expect("config");
        (0..250).for_each(|n| bench.show(u64::from(n) * 40, n, false));
        assert_eq!(bench.times(Track::Audio), []);
    }
}

proptest! {
    #[test]
    fn any_messages_keep_the_feeds_promises(
        messages in proptest::collection::vec((0u8..6, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40), 0u64..3), 0..60),
    ) {
        let mut bench = Bench::new();
        let mut now = 0;
        for (kind, timestamp, body, wait) in messages {
            now += wait;
            let payload = match kind {
                0 => config(),
                1 => picture(&[&[0x65, 1], &body]),
                2 => [&[0x27, 1, 0, 0, 0], &body[..]].concat(),
                3 => vec![0xaf, 0, 0x12, 0x10],
                4 => [&[0xaf, 1], &body[..]].concat(),
                _ => body,
            };
            let payload = Bytes::from(payload);
            let event = if matches!(kind, 3 | 4) { Event::Audio { timestamp, payload } } else { Event::Video { timestamp, payload } };
            if bench.at(now, event).is_err() {
                break;
            }
        }
        for track in [Track::Video, Track::Audio] {
            let units: Vec<_> = bench.units().into_iter().filter(|u| u.track() == track).collect();
            prop_assert!(units.windows(2).all(|w| w[0].dts < w[1].dts));
            prop_assert!(units.iter().all(|u| u.dts <= u.pts && u.dts > MediaTime::ZERO && !u.data.is_empty()));
            prop_assert!(units.first().is_none_or(|u| u.sync));
        }
    }
}

mod healthy;

use super::*;
use crate::Unpacker;
use proptest::prelude::*;

const fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn audio() -> Arc<AudioConfig> {
    Arc::new(media::aac::parse_config(&Bytes::from_static(&[0x11, 0x90])).expect("48 kHz stereo"))
}

fn video() -> Arc<VideoConfig> {
    let record = [
        1, 100, 0, 30, 255, 225, 0, 26, 103, 100, 0, 30, 172, 217, 64, 160, 47, 249, 112, 17, 0, 0, 3, 0, 1, 0, 0, 3,
        0, 60, 15, 22, 45, 150, 1, 0, 6, 104, 235, 227, 203, 34, 192, 253, 248, 248, 0,
    ];
    Arc::new(media::h264::parse_config(&Bytes::copy_from_slice(&record)).expect("x264's record"))
}

fn picture(pts: MediaTime, sync: bool) -> AccessUnit {
    AccessUnit { config: Config::Video(video()), dts: pts, pts, sync, data: Bytes::from_static(b"picture") }
}

fn frame(at: i64) -> AccessUnit {
    let pts = MediaTime::from_units(at, 48_000);
    AccessUnit { config: Config::Audio(audio()), dts: pts, pts, sync: true, data: Bytes::from_static(b"frame") }
}

fn packager(has_pictures: bool, has_sound: bool) -> FilmPackager {
    let rate = FrameRate { num: 25, den: 1 };
    let tracks = FilmTracks { pictures: has_pictures.then(|| (video(), rate)), sound: has_sound.then(audio) };
    FilmPackager::new("film".into(), tracks, ms(4_000), SystemTime::UNIX_EPOCH)
}

/// The units of a segment as another reader of ours finds them.
fn units(packager: &FilmPackager, id: &str, msn: u64) -> Vec<AccessUnit> {
    let rendition = packager.window().rendition(id).expect("the rendition");
    let segment = rendition.segment(msn).expect("the segment");
    let bytes: Vec<u8> = segment.parts.iter().flat_map(|part| part.data.to_vec()).collect();
    Unpacker::new(&rendition.init(0).expect("an init section")).unwrap().units(&bytes.into()).unwrap()
}

#[test]
fn a_film_is_cut_at_key_frames_two_seconds_apart() {
    let pictures: Vec<_> = (0..10).map(|n| (ms(n * 700), n % 2 == 0)).collect();
    let found = cuts(&pictures, ms(0), ms(7_000));
    let spans: Vec<_> = found.iter().map(|cut| (cut.span.clone(), cut.pictures.clone())).collect();
    assert_eq!(spans, [(ms(0)..ms(2_800), 0..4), (ms(2_800)..ms(5_600), 4..8), (ms(5_600)..ms(7_000), 8..10)]);
}

#[test]
fn sound_alone_is_cut_every_four_seconds() {
    let spans: Vec<_> = cuts(&[], ms(0), ms(9_000)).into_iter().map(|cut| cut.span).collect();
    assert_eq!(spans, [ms(0)..ms(4_000), ms(4_000)..ms(8_000), ms(8_000)..ms(9_000)]);
}

#[test]
fn reordered_pictures_of_a_varying_rate_keep_their_times() {
    let shown = [0, 400, 100, 150, 1_900, 700, 450, 1_200].map(ms);
    let pictures: Vec<_> = shown.iter().enumerate().map(|(n, pts)| picture(ms(10_000) + *pts, n == 0)).collect();
    let mut packager = packager(true, false);
    packager.add(ms(10_000)..ms(12_000), &pictures, Vec::new());
    let read = units(&packager, "source", 0);
    assert_eq!(read.iter().map(|unit| unit.pts - ms(10_000)).collect::<Vec<_>>(), shown);
    assert_eq!(read[0].dts, ms(10_000), "the key frame is decoded when it is shown");
    assert!(read.windows(2).all(|pair| pair[0].dts < pair[1].dts) && read.iter().all(|unit| unit.dts <= unit.pts));
}

#[test]
fn holes_in_the_sound_are_silence_and_priming_is_left_out() {
    let mut packager = packager(true, true);
    let sound: Vec<_> = (-1..10).chain(60..100).map(|n| frame(480_000 + n * 1_024)).collect();
    packager.add(ms(10_000)..ms(12_000), &[picture(ms(10_000), true)], sound);
    let read = units(&packager, "audio", 0);
    assert_eq!(read.len(), 94, "until the segment ends, and a frame over its end");
    assert_eq!(read[0].pts, ms(10_000));
    let real = read.iter().filter(|unit| unit.data == "frame").count();
    assert_eq!(real, 10 + 34);
    assert_eq!(read[60].data, "frame", "behind the hole sound is where it was");
    packager.add(ms(12_000)..ms(13_000), &[picture(ms(12_000), true)], Vec::new());
    let next = units(&packager, "audio", 1);
    assert_eq!(next[0].pts, MediaTime::from_units(480_000 + 94 * 1_024, 48_000), "nothing is missing between two");
}

#[test]
fn what_the_recorder_has_is_forgotten() {
    let mut packager = packager(true, false);
    packager.add(ms(0)..ms(2_000), &[picture(ms(0), true)], Vec::new());
    let rendition = packager.window().rendition("source").expect("the rendition");
    let mut cursor = crate::Cursor::at(0);
    assert_eq!(rendition.follow(&mut cursor).len(), 3);
    packager.forget();
    packager.add(ms(2_000)..ms(4_000), &[picture(ms(2_000), true)], Vec::new());
    let steps = rendition.follow(&mut cursor);
    assert!(matches!(steps[0], crate::Step::Begin { msn: 1, .. }), "{steps:?}");
}

proptest! {
    #[test]
    fn decode_times_rise_and_are_never_late(steps in prop::collection::vec(1_i64..900_000, 0..40), picks in prop::collection::vec(any::<prop::sample::Index>(), 40)) {
        // Any order that begins with the first picture shown.
        let mut at = 0;
        let mut left: Vec<MediaTime> = steps.iter().map(|step| { at += step.max(&64); MediaTime::from_ticks(at) }).collect();
        let mut shown = vec![MediaTime::ZERO];
        for pick in picks {
            if !left.is_empty() {
                shown.push(left.remove(pick.index(left.len())));
            }
        }
        let times = decode_times(&shown);
        prop_assert_eq!(times[0], shown[0]);
        prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", times);
        prop_assert!(times.iter().zip(&shown).all(|(at, pts)| at <= pts), "{:?} {:?}", times, shown);
    }

    #[test]
    fn cuts_lie_one_behind_the_other(marks in prop::collection::vec((0_i64..5_000, any::<bool>()), 1..60)) {
        let pictures: Vec<_> = marks.iter().enumerate().map(|(n, (pts, sync))| (ms(*pts), *sync || n == 0)).collect();
        let found = cuts(&pictures, ms(0), ms(6_000));
        prop_assert_eq!((found[0].pictures.start, found[found.len() - 1].pictures.end), (0, pictures.len()));
        prop_assert!(found.iter().all(|cut| cut.span.start < cut.span.end && cut.pictures.start < cut.pictures.end));
        prop_assert!(found.windows(2).all(|pair| pair[0].span.end == pair[1].span.start));
    }
}

use super::*;
use crate::cmaf::{fragment, init};
use crate::transport_stream;
use media::{VideoConfig, aac, h264};
use proptest::prelude::*;
use std::sync::Arc;

fn video() -> Arc<VideoConfig> {
    let record = Bytes::from_static(&[
        1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0, 0, 3, 0,
        0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8,
        0,
    ]);
    Arc::new(h264::parse_config(&record).expect("a record of x264's"))
}

fn unpacker(track: Track) -> Unpacker {
    let config = match track {
        Track::Video => Config::Video(video()),
        Track::Audio => {
            let record = Bytes::from_static(&[0x12, 0x10]);
            Config::Audio(Arc::new(aac::parse_config(&record).expect("44.1 kHz stereo")))
        }
    };
    Unpacker::new(&init::write(&config)).expect("an init section of ours")
}

/// Presentation times in frames, in decode order: I P b b P b b.
const SHOWN: [i64; 7] = [0, 3, 1, 2, 6, 4, 5];
const FRAME: i64 = 3_000;

/// A segment of two chunks, decoded as the lane has it: squeezed behind the key frame.
fn segment() -> Bytes {
    let mut decoded = 0;
    let mut out = Vec::new();
    for (chunk, shown) in SHOWN.chunks(4).enumerate() {
        let begin = decoded;
        let sample = |(n, shown): (usize, &i64)| {
            let duration = if chunk == 0 && n < 2 { FRAME / 2 } else { FRAME };
            let offset = shown * FRAME - decoded;
            decoded += duration;
            fragment::Sample {
                data: Bytes::from(vec![*shown as u8; *shown as usize + 1]),
                duration: duration as u32,
                offset: offset as i32,
                sync: *shown == 0,
            }
        };
        let samples: Vec<_> = shown.iter().enumerate().map(sample).collect();
        out.extend(fragment::write(Track::Video, 1, (900_000 + begin) as u64, &samples));
    }
    out.into()
}

#[test]
fn pictures_come_back_as_they_were_with_even_decode_times() {
    let unpacker = unpacker(Track::Video);
    let segment = segment();
    let mut units = unpacker.units(&segment).unwrap();
    let at = |frames: i64| MediaTime::from_ticks(900_000 + frames * FRAME);
    assert!(units.iter().map(|unit| unit.pts).eq(SHOWN.map(at)));
    assert!(units.iter().zip(SHOWN).all(|(unit, shown)| unit.data == vec![shown as u8; shown as usize + 1]));
    assert!(units.iter().all(|unit| unit.sync == (unit.pts == at(0))));
    assert!(segment.as_ptr_range().contains(&units[3].data.as_ptr()), "payload is not copied");
    let Config::Video(found) = unpacker.config() else { panic!("a video configuration") };
    assert_eq!(**found, *video());

    Respacer::default().respace(&mut units);
    // x264 with two B-frames reorders by one picture here.
    assert!(units.iter().map(|unit| unit.dts).eq((-1..6).map(at)), "{units:?}");
}

#[test]
fn sound_comes_back_on_its_own_clock() {
    let sample = |n: u8| fragment::Sample { data: vec![n; 9].into(), duration: 1_024, offset: 0, sync: true };
    let chunk = fragment::write(Track::Audio, 1, 44_100 * 10, &[sample(1), sample(2)]);
    let units = unpacker(Track::Audio).units(&chunk).unwrap();
    let times: Vec<i64> = units.iter().map(|unit| unit.pts.ticks()).collect();
    assert_eq!(times, [900_000, 902_090]);
    assert!(units.iter().all(|unit| unit.dts == unit.pts && unit.sync));
}

#[test]
fn a_segment_without_its_beginning_is_refused() {
    let sample = fragment::Sample { data: vec![1; 9].into(), duration: 3_000, offset: 0, sync: false };
    let chunk = fragment::write(Track::Video, 1, 0, &[sample]);
    assert_eq!(unpacker(Track::Video).units(&chunk).unwrap_err(), MovieError::NoKeyFrame { fragment: 0 });
}

#[test]
fn decode_times_rise_when_another_encoder_reorders_more() {
    let unit = |pts: i64, sync| AccessUnit {
        config: Config::Video(video()),
        dts: MediaTime::ZERO,
        pts: MediaTime::from_ticks(pts * FRAME),
        sync,
        data: Bytes::new(),
    };
    let mut respacer = Respacer::default();
    let mut first: Vec<_> = (0..4).map(|n| unit(n, n == 0)).collect();
    let mut second: Vec<_> = [4, 7, 6, 5].map(|n| unit(n, n == 4)).into();
    respacer.respace(&mut first);
    respacer.respace(&mut second);
    let all: Vec<_> = first.iter().chain(&second).collect();
    assert!(all.is_sorted_by(|a, b| a.dts < b.dts), "{all:?}");
    assert!(all.iter().all(|unit| unit.dts <= unit.pts), "{all:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(data: Vec<u8>) {
        let _answer = unpacker(Track::Video).units(&data.clone().into());
        let _answer = unpacker(Track::Audio).units(&data.clone().into());
        let _answer = Unpacker::new(&data.into());
    }

    #[test]
    fn what_is_cut_short_is_refused(cut: prop::sample::Index) {
        let whole = segment();
        let first = boxes::split(&whole).unwrap().1;
        let chunk = whole.len() - boxes::split(first).unwrap().1.len();
        let cut = cut.index(whole.len() - 1) + 1;
        prop_assert_eq!(unpacker(Track::Video).units(&whole.slice(..cut)).is_ok(), cut == chunk);
    }

    #[test]
    fn flipped_bits_panic_nowhere_and_share_the_segment(at: prop::sample::Index, bit in 0u8..8) {
        let mut data = segment().to_vec();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        let data = Bytes::from(data);
        if let Ok(mut units) = unpacker(Track::Video).units(&data) {
            prop_assert_eq!(units.len(), SHOWN.len());
            let muxed = transport_stream(&units, &[], MediaTime::from_millis(250));
            prop_assert!(muxed.is_some_and(|bytes| bytes.len().is_multiple_of(188)));
            prop_assert!(units.iter().all(|unit| data.as_ptr_range().contains(&unit.data.as_ptr())));
            Respacer::default().respace(&mut units);
            prop_assert!(units.iter().all(|unit| unit.dts <= unit.pts));
        }
    }

    #[test]
    fn a_flipped_init_section_panics_nowhere(at: prop::sample::Index, bit in 0u8..8) {
        let mut data = init::write(&Config::Video(video())).to_vec();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        if let Ok(unpacker) = Unpacker::new(&data.into()) {
            let _answer = unpacker.units(&segment());
        }
    }
}

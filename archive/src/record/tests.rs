use super::*;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,64}"
}

fn msn() -> impl Strategy<Value = u64> {
    0..MSN_MAX
}

fn duration() -> impl Strategy<Value = MediaTime> {
    (1..=DURATION_MAX).prop_map(|ticks| MediaTime::from_ticks(ticks.into()))
}

fn coding() -> impl Strategy<Value = Coding> {
    let video = (any::<bool>(), "[a-zA-Z0-9.-]{1,40}", any::<(u32, u32, u8)>(), (1u32.., 1u32..)).prop_map(
        |(hevc, codecs, (width, height, transfer), (num, den))| {
            let codec = if hevc { VideoCodec::Hevc } else { VideoCodec::H264 };
            let frame_rate = FrameRate { num, den };
            Coding::Video(VideoCoding { codec, codecs, width, height, frame_rate, transfer })
        },
    );
    let audio = ("[a-zA-Z0-9.-]{1,40}", any::<(u8, u32)>())
        .prop_map(|(codecs, (channels, sample_rate))| Coding::Audio(AudioCoding { codecs, channels, sample_rate }));
    prop_oneof![video, audio]
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let head = (name(), name(), any::<u32>(), msn(), msn(), msn(), any::<bool>(), duration()).prop_map(
        |(stream, session, serial, first_msn, sequence, discontinuities, has_hole, target)| {
            Record::Reel(Head { stream, session, serial, first_msn, sequence, discontinuities, has_hole, target })
        },
    );
    let rendition = (name(), any::<bool>()).prop_map(|(id, sound)| {
        let track = if sound { Track::Audio } else { Track::Video };
        Record::Rendition { id, track }
    });
    let init = (any::<u8>(), msn(), coding(), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
        |(rendition, generation, coding, data)| Record::Init { rendition, generation, coding, data: data.into() },
    );
    let begin = (any::<u8>(), msn(), any::<(i64, i64, bool)>(), proptest::option::of(msn())).prop_map(
        |(rendition, msn, (start, wall_ms, discontinuity), init)| {
            let start = MediaTime::from_ticks(start);
            Record::Begin { rendition, msn, start, wall_ms, discontinuity, init }
        },
    );
    let part = (any::<(u8, u32, u32, u32, u32)>(), duration(), any::<(bool, bool)>()).prop_map(
        |((rendition, index, offset, length, crc), duration, (independent, gap))| {
            let chunk = Chunk { offset, length, crc };
            Record::Part { rendition, index, chunk, duration, independent, gap }
        },
    );
    let end = any::<(u8, bool)>().prop_map(|(rendition, gap)| Record::End { rendition, gap });
    let sealed =
        (msn(), any::<i64>()).prop_map(|(until_msn, until_wall_ms)| Record::Sealed(Seal { until_msn, until_wall_ms }));
    prop_oneof![head, rendition, init, begin, part, end, sealed]
}

#[test]
fn a_seal_has_its_length() {
    let mut out = Vec::new();
    put(&mut out, &Record::Sealed(Seal { until_msn: 1, until_wall_ms: 2 }));
    assert_eq!(out.len(), SEALED_BYTES);
}

#[test]
fn a_hole_in_the_file_is_no_record() {
    assert_eq!(take(&mut Bytes::from_static(&[0; 64])), None);
}

#[test]
fn a_name_that_is_a_path_is_no_record() {
    let mut out = Vec::new();
    put(&mut out, &Record::Rendition { id: "../x".into(), track: Track::Video });
    assert_eq!(take(&mut out.into()), None);
}

proptest! {
    #[test]
    fn what_was_written_is_read(records in proptest::collection::vec(record(), 0..8)) {
        let mut out = Vec::new();
        records.iter().for_each(|record| put(&mut out, record));
        let mut input = Bytes::from(out);
        let read: Vec<_> = std::iter::from_fn(|| take(&mut input)).collect();
        prop_assert_eq!(read, records);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn a_record_cut_anywhere_is_none(record in record(), cut in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        put(&mut out, &record);
        out.truncate(cut.index(out.len()));
        prop_assert!(is_cut_short(&out));
        prop_assert_eq!(take(&mut out.into()), None);
    }

    #[test]
    fn a_record_with_a_changed_bit_is_none(record in record(), bit in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        put(&mut out, &record);
        let bit = bit.index(out.len() * 8);
        out[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(take(&mut out.into()), None);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut input = Bytes::from(bytes);
        while take(&mut input).is_some() {}
    }

    #[test]
    fn any_body_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        // With a checksum that fits, so that the fields are reached.
        let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
        framed.extend(crc32fast::hash(&bytes).to_le_bytes());
        framed.extend(bytes);
        let _answer = take(&mut framed.into());
    }
}

use super::*;
use crate::{AudioCodec, ColorInfo, VideoCodec};
use proptest::prelude::*;

fn time() -> impl Strategy<Value = MediaTime> {
    (-1i64 << 54..1 << 54).prop_map(MediaTime::from_ticks)
}

fn data(min: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), min..min + 64).prop_map(Bytes::from)
}

fn rung() -> impl Strategy<Value = RungSetup> {
    ("[a-z0-9-]{1,32}", 8u32..8192, 8u32..8192, 1u32..240, 10_000u32..200_000_000, proptest::option::of(time()))
        .prop_map(|(name, width, height, num, bitrate_bps, from)| RungSetup {
            rung: Rung {
                name,
                width: width * 2,
                height: height * 2,
                frame_rate: FrameRate { num, den: 1 },
                bitrate_bps,
            },
            from,
        })
}

fn video() -> impl Strategy<Value = VideoConfig> {
    (any::<bool>(), 1u32..16_384, 1u32..16_384, proptest::option::of(1.0f64..240.0), data(0)).prop_map(
        |(hevc, width, height, frame_rate, record)| VideoConfig {
            codec: if hevc { VideoCodec::Hevc } else { VideoCodec::H264 },
            record,
            nal_length_size: 4,
            width,
            height,
            sample_aspect: (4, 3),
            codecs: "avc1.64001f".to_owned(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate,
            color: ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: true },
        },
    )
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    let setup =
        (proptest::collection::vec(rung(), 0..4), time(), any::<u32>(), proptest::option::of(time()), "[ -~]{0,24}")
            .prop_map(|(rungs, thumb_every, audio_bitrate_bps, audio_from, title)| {
                let frame_rate = FrameRate { num: 30_000, den: 1001 };
                ToWorker::Setup(Setup {
                    frame_rate,
                    encoder: EncoderChoice::OpenH264,
                    rungs,
                    thumb_every,
                    audio_bitrate_bps,
                    audio_from,
                    title,
                })
            });
    let audio = (any::<bool>(), 1u8..8, data(0)).prop_map(|(opus, channels, record)| {
        let codec = if opus { AudioCodec::Opus } else { AudioCodec::Aac };
        ToWorker::Audio(AudioConfig {
            codec,
            record,
            sample_rate: 48_000,
            channels,
            object_type: 2,
            frame_samples: 1024,
        })
    });
    let unit = (any::<bool>(), time(), time(), any::<bool>(), data(0)).prop_map(|(audio, dts, pts, sync, data)| {
        ToWorker::Unit { track: if audio { Track::Audio } else { Track::Video }, dts, pts, sync, data }
    });
    let boundary = (any::<u64>(), time(), any::<bool>()).prop_map(|(msn, at, discontinuity)| ToWorker::Boundary {
        msn,
        at,
        discontinuity,
    });
    prop_oneof![
        setup,
        video().prop_map(ToWorker::Video),
        audio,
        unit,
        boundary,
        rung().prop_map(ToWorker::AddRung),
        (0u8..12, proptest::option::of(time())).prop_map(|(rung, from)| ToWorker::Rung { rung, from }),
        data(1).prop_map(|data| ToWorker::Still { data }),
        (any::<u64>(), any::<IpAddr>(), any::<u16>(), "/[ -~]{0,40}", any::<bool>(), data(0)).prop_map(
            |(number, address, port, path, interleaved, head)| ToWorker::Reader(NewReader {
                number,
                address,
                port,
                path,
                interleaved,
                head
            })
        ),
        Just(ToWorker::Finish)
    ]
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    let picture = (0u8..12, time(), time(), any::<bool>(), data(5))
        .prop_map(|(rung, dts, pts, sync, data)| FromWorker::Picture { rung, dts, pts, sync, data });
    prop_oneof![
        "[ -~]{0,99}".prop_map(|sandbox| FromWorker::Ready { version: VERSION, sandbox }),
        (0u8..12, data(7)).prop_map(|(rung, record)| FromWorker::RungConfig { rung, record }),
        data(2).prop_map(|record| FromWorker::AudioConfig { record }),
        picture,
        (time(), data(1)).prop_map(|(pts, data)| FromWorker::Frame { pts, data }),
        data(4).prop_map(|data| FromWorker::Thumb { data }),
        (any::<u64>(), time()).prop_map(|(n, lag)| FromWorker::Stats(Stats {
            pictures_in: n,
            frames_out: n / 2,
            lag,
            ..Stats::default()
        })),
        "[ -~]{0,99}".prop_map(|text| FromWorker::Notice { text }),
        "[ -~]{0,99}".prop_map(|text| FromWorker::Unable { text }),
        Just(FromWorker::Finished),
        any::<u64>().prop_map(|number| FromWorker::ReaderLeft { number }),
        (any::<u64>(), any::<u64>()).prop_map(|(bytes_out, units_lost)| FromWorker::Readership(Readership {
            readers: 3,
            bytes_out,
            units_lost,
            ..Readership::default()
        })),
    ]
}

/// The message inside one frame, whose length field must be true.
fn unframe(mut bytes: BytesMut) -> Bytes {
    let message = bytes.split_off(4).freeze();
    assert_eq!(message_length([bytes[0], bytes[1], bytes[2], bytes[3]]), Ok(message.len()));
    message
}

proptest! {
    #[test]
    fn what_the_server_says_is_understood(message in to_worker()) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        prop_assert_eq!(ToWorker::decode(unframe(bytes)), Ok(message));
    }

    #[test]
    fn what_a_worker_says_is_understood(message in from_worker()) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        prop_assert_eq!(FromWorker::decode(unframe(bytes)), Ok(message));
    }

    #[test]
    fn any_bytes_give_an_answer(kind in 60u8..80, data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![kind];
        bytes.extend(&data);
        let _answer = (FromWorker::decode(bytes.into()), ToWorker::decode(Bytes::from(data)));
    }

    #[test]
    fn a_flipped_bit_never_panics(message in from_worker(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        let mut inner = unframe(bytes).to_vec();
        let at = at.index(inner.len());
        inner[at] ^= 1 << bit;
        let _answer = FromWorker::decode(inner.into());
    }
}

#[test]
fn lengths_outside_the_limit_are_refused() {
    assert!(message_length([0; 4]).is_err());
    assert!(message_length([0, 0, 0x80, 0]).is_ok());
    assert!(message_length([1, 0, 0x80, 0]).is_err());
}

#[test]
fn bytes_left_over_are_refused() {
    assert_eq!(FromWorker::decode(Bytes::from_static(&[74, 0])), Err(WireError::Field { field: "end" }));
}

#[test]
fn control_characters_never_reach_the_log() {
    let mut bytes = BytesMut::new();
    FromWorker::Notice { text: "a\nb".to_owned() }.encode(&mut bytes);
    assert_eq!(FromWorker::decode(unframe(bytes)), Err(WireError::Field { field: "notice" }));
}

#[test]
fn encoder_names_are_plain_words() {
    assert_eq!("vah264enc".parse(), Ok(EncoderChoice::Element("vah264enc".to_owned())));
    assert_eq!("auto".parse(), Ok(EncoderChoice::Auto));
    assert!("x264enc ! filesink".parse::<EncoderChoice>().is_err());
}

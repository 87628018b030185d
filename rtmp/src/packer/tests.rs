use super::*;
use crate::chunk::{ChunkReader, ChunkWriter, Message};
use crate::flv::{self, AudioPacket, VideoPacket};
use media::{AudioCodec, ColorInfo, VideoCodec};
use proptest::prelude::*;
use std::sync::Arc;

fn video(codec: VideoCodec) -> Config {
    Config::Video(Arc::new(VideoConfig {
        codec,
        record: Bytes::from_static(&[1, 100, 0, 31]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        codecs: String::new(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: Some(30.0),
        color: ColorInfo::UNSPECIFIED,
    }))
}

fn audio(codec: AudioCodec) -> Config {
    Config::Audio(Arc::new(AudioConfig {
        codec,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    }))
}

/// A player's reader that was told the chunk size, as `accept_play` does.
fn reader() -> ChunkReader {
    let mut out = BytesMut::new();
    ChunkWriter::new().set_chunk_size(&mut out, CHUNK_SIZE);
    let mut reader = ChunkReader::new();
    reader.trust();
    assert_eq!(reader.read(&mut &out[..]), Ok(None));
    reader
}

fn read(reader: &mut ChunkReader, packet: &Packet) -> Message {
    let sent: Vec<u8> = packet.pieces().flatten().copied().collect();
    assert_eq!(sent.len(), packet.len());
    let mut left = &sent[..];
    let message = reader.read(&mut left).expect("our own chunks").expect("a whole message");
    assert!(left.is_empty(), "{} bytes are left", left.len());
    message
}

fn any_unit() -> impl Strategy<Value = (Config, i64, i64, bool, Bytes)> {
    let config = prop_oneof![
        Just(video(VideoCodec::H264)),
        Just(video(VideoCodec::Hevc)),
        Just(audio(AudioCodec::Aac)),
        Just(audio(AudioCodec::Opus)),
    ];
    // Around the edges of the chunk size, of extended stamps and of 2^32.
    let length = prop_oneof![1usize..300, 65_500usize..65_600, 131_000usize..131_200];
    let dts = prop_oneof![0i64..1000, 16_777_200i64..16_777_230, 4_294_967_290i64..4_294_967_310];
    let data = length.prop_map(|length| (0..length).map(|n| n as u8).collect::<Bytes>());
    (config, dts, 0i64..500, any::<bool>(), data)
}

proptest! {
    #[test]
    fn a_player_reads_every_unit_as_it_was(units in proptest::collection::vec(any_unit(), 1..12)) {
        let (mut packer, mut reader) = (Packer::new(MediaTime::ZERO), reader());
        for (config, dts, offset, sync, data) in units {
            let at = MediaTime::from_millis;
            let packet = packer.unit(&AccessUnit { config: config.clone(), dts: at(dts), pts: at(dts + offset), sync, data: data.clone() });
            let message = read(&mut reader, &packet);
            prop_assert_eq!((message.timestamp, message.stream), (dts as u32, MESSAGE_STREAM));
            match config {
                Config::Video(config) => {
                    prop_assert_eq!(message.kind, kind::VIDEO);
                    prop_assert_eq!(message.payload[0] >> 4 & 7, if sync { 1 } else { 2 });
                    let composition_ms = i32::try_from(offset).unwrap();
                    let frame = VideoPacket::Frame { codec: config.codec, composition_ms, data };
                    prop_assert_eq!(flv::parse_video(&message.payload), Ok(frame));
                }
                Config::Audio(config) => {
                    prop_assert_eq!(message.kind, kind::AUDIO);
                    prop_assert_eq!(flv::parse_audio(&message.payload), Ok(AudioPacket::Frame { codec: config.codec, data }));
                }
            }
        }
    }

    #[test]
    fn any_player_may_begin_at_any_message(first in 0usize..20) {
        let mut packer = Packer::new(MediaTime::from_millis(10_000));
        let config = audio(AudioCodec::Aac);
        let at = |n: usize| MediaTime::from_millis(10_000 + 20 * n as i64);
        let unit = |n: usize| AccessUnit { config: config.clone(), dts: at(n), pts: at(n), sync: true, data: Bytes::from(vec![1; n + 1]) };
        let packets: Vec<Packet> = (0..20).map(|n| packer.unit(&unit(n))).collect();
        let mut reader = reader();
        for (n, packet) in packets.iter().enumerate().skip(first) {
            prop_assert_eq!(read(&mut reader, packet).timestamp, 20 * n as u32);
        }
    }
}

#[test]
fn configurations_are_tags_of_their_codec() {
    let (mut packer, mut reader) = (Packer::new(MediaTime::ZERO), reader());
    for codec in [VideoCodec::H264, VideoCodec::Hevc] {
        let Config::Video(config) = video(codec) else { unreachable!() };
        let message = read(&mut reader, &packer.video_config(&config, MediaTime::from_millis(7)));
        assert_eq!(message.timestamp, 7);
        let record = config.record.clone();
        assert_eq!(flv::parse_video(&message.payload), Ok(VideoPacket::Config { codec, record }));
    }
    for codec in [AudioCodec::Aac, AudioCodec::Opus] {
        let Config::Audio(config) = audio(codec) else { unreachable!() };
        let message = read(&mut reader, &packer.audio_config(&config, MediaTime::ZERO));
        let record = config.record.clone();
        assert_eq!(flv::parse_audio(&message.payload), Ok(AudioPacket::Config { codec, record }));
    }
}

#[test]
fn metadata_tells_what_is_to_come() {
    let (Config::Video(picture), Config::Audio(sound)) = (video(VideoCodec::H264), audio(AudioCodec::Aac)) else {
        unreachable!()
    };
    let packet = Packer::new(MediaTime::ZERO).metadata(Some(&picture), Some(&sound), &Announced::default());
    let message = read(&mut reader(), &packet);
    let values = amf0::read_all(&message.payload).expect("our own AMF0");
    assert_eq!((message.kind, values[0].as_str()), (kind::DATA, Some("onMetaData")));
    let number = |key| values[1].get(key).and_then(Value::as_number);
    assert_eq!((number("width"), number("videocodecid"), number("framerate")), (Some(1280.0), Some(7.0), Some(30.0)));
    assert_eq!((number("audiocodecid"), number("audiosamplerate")), (Some(10.0), Some(48_000.0)));
}

#[test]
fn what_is_before_the_base_is_stamped_zero() {
    let Config::Audio(config) = audio(AudioCodec::Aac) else { unreachable!() };
    let packet = Packer::new(MediaTime::from_millis(500)).audio_config(&config, MediaTime::from_millis(400));
    assert_eq!(read(&mut reader(), &packet).timestamp, 0);
}

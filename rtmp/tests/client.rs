//! Our publisher against our server: what no foreign peer can be made to show.

use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};
use rtmp::client::{Publisher, PublisherEvent, Target};
use rtmp::flv::{self, VideoPacket};
use rtmp::{Event, ServerSession};
use std::sync::Arc;

/// A publisher that was let in, and who let it in.
fn publishing() -> (Publisher, ServerSession) {
    let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "KEY".into() };
    let (mut publisher, mut server) = (Publisher::new(target).expect("a publisher"), ServerSession::new());
    while !publisher.is_publishing() {
        server.input(&publisher.take_output()).expect("a legal client");
        if let Some(Event::PublishRequested(_)) = server.next_event() {
            server.accept_publish().expect("it asked");
        }
        publisher.input(&server.take_output()).expect("a legal server");
    }
    (publisher, server)
}

fn picture(dts: MediaTime, pts: MediaTime) -> AccessUnit {
    let config = VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1, 2, 3]),
        nal_length_size: 4,
        width: 16,
        height: 16,
        sample_aspect: (1, 1),
        codecs: String::new(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    };
    AccessUnit { config: Config::Video(Arc::new(config)), dts, pts, sync: true, data: Bytes::from_static(&[7]) }
}

#[test]
fn a_server_is_known_to_be_there_before_it_is_told_the_key() {
    let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "KEY".into() };
    let (mut publisher, mut server) = (Publisher::new(target).expect("a publisher"), ServerSession::new());
    let mut sent = Vec::new();
    while publisher.next_event() != Some(PublisherEvent::Connected) {
        assert!(!publisher.has_shown_name());
        let out = publisher.take_output();
        sent.extend_from_slice(&out);
        server.input(&out).expect("a legal client");
        publisher.input(&server.take_output()).expect("a legal server");
    }
    assert!(!sent.windows(3).any(|at| at == b"KEY"), "the key was not sent");
    assert!(publisher.has_shown_name() && publisher.take_output().windows(3).any(|at| at == b"KEY"));
}

#[test]
fn stamps_wrap_at_32_bits_and_composition_does_not_notice() {
    let (mut publisher, mut server) = publishing();
    let start = MediaTime::from_millis(10_000);
    let wrap = MediaTime::from_millis(1 << 32);
    let sound = AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    };
    publisher.send_audio_config(&sound, start).expect("sound");
    let before = wrap - MediaTime::from_millis(10);
    for (dts, pts) in [(before, wrap + MediaTime::from_millis(30)), (wrap, wrap)] {
        publisher.send_unit(&picture(start + dts, start + pts)).expect("a picture");
    }
    server.input(&publisher.take_output()).expect("legal media");
    let mut seen = Vec::new();
    while let Some(event) = server.next_event() {
        if let Event::Video { timestamp, payload } = event {
            let Ok(VideoPacket::Frame { composition_ms, .. }) = flv::parse_video(&payload) else { panic!("a frame") };
            seen.push((timestamp, composition_ms));
        }
    }
    assert_eq!(seen, [(u32::MAX - 9, 40), (0, 0)]);
}

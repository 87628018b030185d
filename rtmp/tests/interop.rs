//! A foreign peer judges both ends: rml_rtmp's client publishes to our server, our publisher to rml_rtmp's server.

use bytes::Bytes;
use media::{AccessUnit, Announced, AudioCodec, AudioConfig, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::sessions::{
    ServerSession as ForeignServer, ServerSessionConfig, ServerSessionEvent, ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;
use rtmp::client::{Publisher, PublisherEvent, Target};
use rtmp::flv::{self, AudioPacket, VideoPacket};
use rtmp::packer::{Packer, Packet};
use rtmp::{Event, ServerSession};
use std::sync::Arc;

/// Gives the client's packets to our server, and back what the client has to read.
fn sent(server: &mut ServerSession, results: Vec<ClientSessionResult>, events: &mut Vec<ClientSessionEvent>) -> Bytes {
    for result in results {
        match result {
            ClientSessionResult::OutboundResponse(packet) => server.input(&packet.bytes).expect("legal input"),
            ClientSessionResult::RaisedEvent(event) => events.push(event),
            ClientSessionResult::UnhandleableMessageReceived(_) => {}
        }
    }
    server.take_output()
}

/// Goes round until nobody has anything to say.
fn settle(
    client: &mut ClientSession,
    server: &mut ServerSession,
    results: Vec<ClientSessionResult>,
) -> Vec<ClientSessionEvent> {
    let mut events = Vec::new();
    let mut answer = sent(server, results, &mut events);
    while !answer.is_empty() {
        let results = client.handle_input(&answer).expect("our answers are legal");
        answer = sent(server, results, &mut events);
    }
    events
}

#[test]
fn a_foreign_client_publishes_and_its_media_arrives_whole() {
    let mut server = ServerSession::new();
    let mut client = published(&mut server);
    let stamps = [0u32, 33, 66, 100, 16_777_300, u32::MAX - 3, 20, 53];
    for (n, stamp) in stamps.into_iter().enumerate() {
        let video = Bytes::from(vec![n as u8; 1 + n * 1500]);
        let audio = Bytes::from(vec![0xaf; 40 + n]);
        let results = vec![
            client.publish_video_data(video.clone(), RtmpTimestamp::new(stamp), true).expect("video"),
            client.publish_audio_data(audio.clone(), RtmpTimestamp::new(stamp), true).expect("audio"),
        ];
        settle(&mut client, &mut server, results);
        assert_eq!(server.next_event(), Some(Event::Video { timestamp: stamp, payload: video }));
        assert_eq!(server.next_event(), Some(Event::Audio { timestamp: stamp, payload: audio }));
    }
    let results = client.stop_publishing().expect("goodbye");
    settle(&mut client, &mut server, results);
    assert_eq!(server.next_event(), Some(Event::Unpublished));
}

#[test]
fn a_foreign_player_gets_the_media_whole_and_is_told_the_end() {
    let mut server = ServerSession::new();
    let mut client = connected(&mut server);
    let request = client.request_playback("NAME".into()).expect("play");
    settle(&mut client, &mut server, vec![request]);
    assert!(matches!(server.next_event(), Some(Event::PlayRequested(p)) if p.name == "NAME" && p.app == "live"));
    server.accept_play().expect("accepted");
    let events = settle(&mut client, &mut server, vec![]);
    assert!(events.contains(&ClientSessionEvent::PlaybackRequestAccepted), "{events:?}");

    let (video, audio) = configs();
    let mut packer = Packer::new(MediaTime::ZERO);
    let mut sent = vec![packer.metadata(Some(&video), Some(&audio), &Announced::default())];
    // Below and above the chunk size and what a stamp without extension holds.
    let stamps = [(0, 100), (33, 200_000), (16_777_300, 65_531), (16_777_333, 300_000)];
    for (stamp, size) in stamps {
        let at = MediaTime::from_millis(stamp);
        let config = Config::Video(Arc::clone(&video));
        sent.push(packer.unit(&AccessUnit { config, dts: at, pts: at, sync: true, data: vec![7; size].into() }));
        let config = Config::Audio(Arc::clone(&audio));
        sent.push(packer.unit(&AccessUnit { config, dts: at, pts: at, sync: true, data: vec![8; 300].into() }));
    }
    let mut got = Vec::new();
    let bytes: Vec<u8> = sent.iter().flat_map(Packet::pieces).flatten().copied().collect();
    for piece in bytes.chunks(10_000) {
        let results = client.handle_input(piece).expect("our media is legal");
        sent_back(&mut server, results, &mut got);
    }
    assert!(
        matches!(&got[0], ClientSessionEvent::StreamMetadataReceived { metadata } if metadata.video_width == Some(1280))
    );
    let video: Vec<_> = got
        .iter()
        .filter_map(|event| match event {
            ClientSessionEvent::VideoDataReceived { data, timestamp } => Some((timestamp.value.into(), data.len() - 5)),
            _ => None,
        })
        .collect();
    assert_eq!(video, stamps);
    let audio = got
        .iter()
        .filter(|event| matches!(event, ClientSessionEvent::AudioDataReceived { data, .. } if data.len() == 302));
    assert_eq!(audio.count(), stamps.len());

    server.end_play("The stream is over.");
    let out = server.take_output();
    let events = client.handle_input(&out).expect("the end is legal");
    assert!(!events.is_empty(), "the foreign client hears of it");
}

/// As [`sent`], when nothing is to come back.
fn sent_back(server: &mut ServerSession, results: Vec<ClientSessionResult>, events: &mut Vec<ClientSessionEvent>) {
    let answer = sent(server, results, events);
    assert!(answer.is_empty(), "nothing is to be said");
}

/// A foreign client that publishes to `server`.
fn published(server: &mut ServerSession) -> ClientSession {
    let mut client = connected(server);
    let request = client.request_publishing("KEY".into(), PublishRequestType::Live).expect("publish");
    settle(&mut client, server, vec![request]);
    assert!(matches!(server.next_event(), Some(Event::PublishRequested(p)) if p.name == "KEY" && p.app == "live"));
    server.accept_publish().expect("accepted");
    let events = settle(&mut client, server, vec![]);
    assert!(events.contains(&ClientSessionEvent::PublishRequestAccepted), "{events:?}");
    client
}

/// A foreign client that is connected to `server`.
fn connected(server: &mut ServerSession) -> ClientSession {
    let mut handshake = Handshake::new(PeerType::Client);
    server.input(&handshake.generate_outbound_p0_and_p1().expect("C0 and C1")).expect("C0 and C1");
    let Ok(HandshakeProcessResult::Completed { response_bytes, .. }) = handshake.process_bytes(&server.take_output())
    else {
        panic!("a handshake")
    };
    server.input(&response_bytes).expect("C2");
    let (mut client, results) = ClientSession::new(ClientSessionConfig::new()).expect("a client");
    settle(&mut client, server, results);
    let request = client.request_connection("live".into()).expect("connect");
    let events = settle(&mut client, server, vec![request]);
    assert!(events.contains(&ClientSessionEvent::ConnectionRequestAccepted), "{events:?}");
    client
}

#[test]
fn our_publisher_is_understood_by_a_foreign_server() {
    let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "KEY".into() };
    let mut publisher = Publisher::new(target).expect("a publisher");
    let mut handshake = Handshake::new(PeerType::Server);
    let Ok(HandshakeProcessResult::InProgress { response_bytes }) = handshake.process_bytes(&publisher.take_output())
    else {
        panic!("S0, S1, S2")
    };
    publisher.input(&response_bytes).expect("the server's handshake");
    let Ok(HandshakeProcessResult::Completed { remaining_bytes, .. }) =
        handshake.process_bytes(&publisher.take_output())
    else {
        panic!("C2")
    };

    let (mut server, results) = ForeignServer::new(ServerSessionConfig::new()).expect("a server");
    let mut queue = results;
    queue.extend(server.handle_input(&remaining_bytes).expect("connect"));
    let mut seen = Vec::new();
    let (mut accepted, mut sent_media) = (false, false);
    for _ in 0..20 {
        for result in std::mem::take(&mut queue) {
            match result {
                ServerSessionResult::OutboundResponse(packet) => {
                    publisher.input(&packet.bytes).expect("the server's answers")
                }
                ServerSessionResult::RaisedEvent(event) => {
                    let id = match &event {
                        ServerSessionEvent::ConnectionRequested { request_id, .. }
                        | ServerSessionEvent::ReleaseStreamRequested { request_id, .. }
                        | ServerSessionEvent::PublishStreamRequested { request_id, .. } => Some(*request_id),
                        _ => None,
                    };
                    seen.push(event);
                    if let Some(id) = id {
                        queue.extend(server.accept_request(id).expect("accepted"));
                    }
                }
                ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        accepted |= publisher.next_event() == Some(PublisherEvent::Started);
        if accepted && !std::mem::replace(&mut sent_media, true) {
            send_media(&mut publisher);
        }
        queue.extend(server.handle_input(&publisher.take_output()).expect("our chunks are legal"));
    }
    assert!(accepted && sent_media);
    let video: Vec<_> = seen
        .iter()
        .filter_map(|e| match e {
            ServerSessionEvent::VideoDataReceived { data, timestamp, .. } => {
                Some((timestamp.value, flv::parse_video(data).expect("FLV")))
            }
            _ => None,
        })
        .collect();
    let audio: Vec<_> = seen
        .iter()
        .filter_map(|e| match e {
            ServerSessionEvent::AudioDataReceived { data, timestamp, .. } => {
                Some((timestamp.value, flv::parse_audio(data).expect("FLV")))
            }
            _ => None,
        })
        .collect();
    assert!(seen.iter().any(|e| matches!(e, ServerSessionEvent::StreamMetadataChanged { metadata, .. } if metadata.video_width == Some(1280))), "{seen:?}");
    assert!(
        matches!(&video[0], (0, VideoPacket::Config { codec: VideoCodec::H264, record }) if record[..] == [1, 2, 3])
    );
    assert!(matches!(&video[1], (0, VideoPacket::Frame { composition_ms: 67, data, .. }) if data.len() == 100_000));
    assert!(matches!(&video[2], (33, VideoPacket::Frame { composition_ms: 0, .. })));
    assert!(matches!(&audio[1], (10, AudioPacket::Frame { codec: AudioCodec::Aac, data }) if data[..] == [7, 7]));
}

fn configs() -> (Arc<VideoConfig>, Arc<AudioConfig>) {
    let video = Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1, 2, 3]),
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
    });
    let record = Bytes::from_static(&[0x11, 0x90]);
    let audio = Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record,
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    });
    (video, audio)
}

fn send_media(publisher: &mut Publisher) {
    let (video, audio) = configs();
    let start = MediaTime::from_millis(10_000);
    let at = |ticks| start + MediaTime::from_ticks(ticks);
    publisher.send_metadata(Some(&video), Some(&audio), &Announced::default()).expect("metadata");
    publisher.send_video_config(&video, start).expect("config");
    publisher.send_audio_config(&audio, start).expect("config");
    let picture = |dts, pts, size| AccessUnit {
        config: Config::Video(Arc::clone(&video)),
        dts: at(dts),
        pts: at(pts),
        sync: dts == 0,
        data: vec![1; size].into(),
    };
    publisher.send_unit(&picture(0, 6000, 100_000)).expect("a keyframe");
    publisher.send_unit(&picture(3000, 3000, 10)).expect("a picture");
    let sound = AccessUnit {
        config: Config::Audio(Arc::clone(&audio)),
        dts: at(900),
        pts: at(900),
        sync: true,
        data: Bytes::from_static(&[7, 7]),
    };
    publisher.send_unit(&sound).expect("sound");
}

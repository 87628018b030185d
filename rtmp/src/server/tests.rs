use super::*;
use crate::client::{Publisher, PublisherEvent, Target};
use proptest::prelude::*;

/// A peer that writes what a test says and collects what the session answers.
struct Peer {
    session: ServerSession,
    writer: ChunkWriter,
    reader: ChunkReader,
    answers: Vec<(String, Vec<Value>)>,
}

impl Peer {
    fn new() -> Self {
        let mut peer = Self {
            session: ServerSession::new(),
            writer: ChunkWriter::new(),
            reader: ChunkReader::new(),
            answers: Vec::new(),
        };
        let mut hello = vec![3u8];
        hello.extend([0; 8]);
        hello.extend([7; 1528]);
        peer.session.input(&hello).expect("C0 and C1");
        let answer = peer.session.take_output();
        assert_eq!(answer.len(), 3073, "S0, S1 and S2 in one write");
        assert_eq!(&answer[1 + 1536..], &hello[1..], "a simple handshake echoes C1");
        peer.session.input(&answer[1..1537]).expect("C2");
        assert!(peer.session.is_handshaken());
        peer
    }

    fn send(&mut self, kind: u8, timestamp: u32, payload: &[u8]) -> Result<(), Error> {
        let mut bytes = BytesMut::new();
        let message = Message { kind, stream: 1, timestamp, payload: Bytes::copy_from_slice(payload) };
        self.writer.write(&mut bytes, 3, &message);
        let result = self.session.input(&bytes);
        self.collect();
        result
    }

    fn collect(&mut self) {
        let out = self.session.take_output();
        let mut out = &out[..];
        while let Some(message) = self.reader.read(&mut out).expect("our own chunks") {
            if message.kind == kind::COMMAND {
                let values = amf0::read_all(&message.payload).expect("our own AMF0");
                self.answers.push((values[0].as_str().expect("a name").to_owned(), values[1..].to_vec()));
            }
        }
    }

    fn command(&mut self, name: &str, transaction: f64, arguments: &[Value]) -> Result<(), Error> {
        let mut payload = BytesMut::new();
        amf0::write(&mut payload, &name.into());
        amf0::write(&mut payload, &transaction.into());
        arguments.iter().for_each(|a| amf0::write(&mut payload, a));
        self.send(kind::COMMAND, 0, &payload)
    }

    /// A command on another message stream than the first.
    fn send_on(&mut self, stream: u32, name: &str, arguments: &[Value]) {
        let mut payload = BytesMut::new();
        for value in [&[name.into(), 0.0.into(), Value::Null], arguments].concat() {
            amf0::write(&mut payload, &value);
        }
        let message = Message { kind: kind::COMMAND, stream, timestamp: 0, payload: payload.freeze() };
        let mut bytes = BytesMut::new();
        self.writer.write(&mut bytes, 3, &message);
        self.session.input(&bytes).expect("a command");
        self.collect();
    }

    fn connected() -> Self {
        let mut peer = Self::new();
        peer.command("connect", 1.0, &[object([("app", "/live/".into()), ("flashVer", "FMLE/3.0".into())])])
            .expect("connect");
        assert_eq!(peer.answers.remove(0).0, "_result");
        peer
    }

    fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.command("createStream", 2.0, &[Value::Null]).expect("createStream");
        peer.command("publish", 3.0, &[Value::Null, "KEY".into(), "live".into()]).expect("publish");
        assert!(matches!(peer.session.next_event(), Some(Event::PublishRequested(_))));
        peer.session.accept_publish().expect("accepted");
        peer.collect();
        peer.answers.clear();
        peer
    }

    fn playing() -> Self {
        let mut peer = Self::connected();
        peer.command("createStream", 2.0, &[Value::Null]).expect("createStream");
        peer.command("play", 3.0, &[Value::Null, "NAME".into(), (-2000.0).into()]).expect("play");
        assert!(matches!(peer.session.next_event(), Some(Event::PlayRequested(_))));
        peer.session.accept_play().expect("accepted");
        peer.collect();
        peer
    }

    /// The code of the last onStatus.
    fn status(&self) -> &str {
        let (name, values) = self.answers.last().expect("an answer");
        assert_eq!(name, "onStatus");
        values[2].get("code").and_then(Value::as_str).expect("a code")
    }
}

#[test]
fn other_protocols_are_turned_away_at_the_first_byte() {
    assert_eq!(ServerSession::new().input(b"GET / HTTP/1.1\r\n"), Err(Error::NotRtmp { version: b'G' }));
}

#[test]
fn handshake_may_come_byte_by_byte_with_a_command_behind() {
    let mut publisher =
        Publisher::new(Target { app: "a".into(), tc_url: "rtmp://h/a".into(), name: "k".into() }).expect("a publisher");
    let mut session = ServerSession::new();
    for _ in 0..4 {
        for byte in publisher.take_output() {
            session.input(&[byte]).expect("handshake and commands");
        }
        publisher.input(&session.take_output()).expect("answers");
    }
    assert!(
        matches!(session.next_event(), Some(Event::PublishRequested(p)) if p.app == "a" && p.name == "k" && p.is_enhanced)
    );
}

#[test]
fn connect_is_answered_in_one_output() {
    let mut peer = Peer::new();
    let mut payload = BytesMut::new();
    amf0::write(&mut payload, &"connect".into());
    amf0::write(&mut payload, &1.0.into());
    let enhanced = Value::Array(vec!["hvc1".into(), "av01".into()]);
    amf0::write(&mut payload, &object([("app", "live".into()), ("fourCcList", enhanced), ("capsEx", 15.0.into())]));
    peer.send(kind::COMMAND, 0, &payload).expect("connect");
    let (name, values) = &peer.answers[0];
    assert_eq!(name, "_result");
    assert_eq!(values[2].get("code").and_then(Value::as_str), Some("NetConnection.Connect.Success"));
    for answer in &values[1..] {
        let Some(Value::Array(list)) = answer.get("fourCcList") else { panic!("a fourCcList in {answer:?}") };
        assert!(list.contains(&"hvc1".into()) && !list.contains(&"av01".into()));
    }
}

#[test]
fn plain_clients_see_no_enhanced_fields() {
    let mut peer = Peer::new();
    peer.command("connect", 1.0, &[object([("app", "live".into())])]).expect("connect");
    assert_eq!(peer.answers[0].1[1].get("fourCcList"), None);
}

#[test]
fn the_key_may_stand_in_the_query_of_name_or_application() {
    for (app, name, query) in
        [("live", "NAME?key=k", "key=k"), ("live?key=k", "NAME", "key=k"), ("live?a=1", "NAME?b=2", "b=2")]
    {
        let mut peer = Peer::new();
        peer.command("connect", 1.0, &[object([("app", app.into())])]).expect("connect");
        peer.command("publish", 3.0, &[Value::Null, name.into()]).expect("publish without a mode");
        let Some(Event::PublishRequested(publish)) = peer.session.next_event() else { panic!("a request") };
        assert_eq!((publish.app.as_str(), publish.name.as_str(), publish.query.as_str()), ("live", "NAME", query));
        assert!(!format!("{publish:?}").contains("NAME"));
    }
}

#[test]
fn fmle_commands_are_answered_before_the_start() {
    let mut peer = Peer::connected();
    for (n, name) in ["releaseStream", "FCPublish", "_checkbw", "getStreamLength"].into_iter().enumerate() {
        peer.command(name, n as f64 + 2.0, &[Value::Null, "KEY".into()]).expect(name);
        let (answer, values) = peer.answers.pop().expect(name);
        assert_eq!((answer.as_str(), &values[0]), ("_result", &Value::Number(n as f64 + 2.0)));
    }
    peer.command("createStream", 6.0, &[Value::Null]).expect("createStream");
    peer.command("publish", 7.0, &[Value::Null, "KEY".into(), "live".into()]).expect("publish");
    peer.answers.clear();
    peer.session.accept_publish().expect("accepted");
    peer.collect();
    let names: Vec<_> = peer.answers.iter().map(|a| a.0.as_str()).collect();
    assert_eq!(names, ["onFCPublish", "onStatus"]);
    assert_eq!(peer.status(), "NetStream.Publish.Start");
}

#[test]
fn a_refusal_is_an_error_status_with_its_words() {
    let mut peer = Peer::connected();
    peer.command("createStream", 2.0, &[Value::Null]).expect("createStream");
    peer.command("publish", 3.0, &[Value::Null, "KEY".into(), "live".into()]).expect("publish");
    peer.session.refuse("NetStream.Publish.BadName", "No such key; copy it again.");
    peer.collect();
    assert_eq!(peer.status(), "NetStream.Publish.BadName");
    let information = &peer.answers.last().expect("a status").1[2];
    assert_eq!(information.get("level").and_then(Value::as_str), Some("error"));
    assert_eq!(information.get("description").and_then(Value::as_str), Some("No such key; copy it again."));
    peer.send(kind::VIDEO, 0, &[1]).expect("ignored");
    assert!(matches!(peer.session.next_event(), Some(Event::PublishRequested(_))));
    assert_eq!(peer.session.next_event(), None);
}

#[test]
fn media_behind_a_publish_request_waits_for_the_answer() {
    let mut peer = Peer::connected();
    let mut bytes = BytesMut::new();
    let mut payload = BytesMut::new();
    for value in ["publish".into(), 3.0.into(), Value::Null, "KEY".into()] {
        amf0::write(&mut payload, &value);
    }
    peer.writer.write(
        &mut bytes,
        3,
        &Message { kind: kind::COMMAND, stream: 1, timestamp: 0, payload: payload.freeze() },
    );
    peer.writer.write(
        &mut bytes,
        4,
        &Message { kind: kind::VIDEO, stream: 1, timestamp: 5, payload: Bytes::from_static(&[1]) },
    );
    peer.session.input(&bytes).expect("both");
    assert!(matches!(peer.session.next_event(), Some(Event::PublishRequested(_))));
    assert_eq!(peer.session.next_event(), None);
    peer.session.accept_publish().expect("accepted");
    assert_eq!(peer.session.next_event(), Some(Event::Video { timestamp: 5, payload: Bytes::from_static(&[1]) }));
}

#[test]
fn set_data_frame_never_panics_and_bad_metadata_is_ignored() {
    let text = |s: &str| {
        let mut out = BytesMut::new();
        amf0::write(&mut out, &s.into());
        out.to_vec()
    };
    let bad = [
        vec![],
        text("@setDataFrame"),
        [text("@setDataFrame"), text("onMetaData")].concat(),
        vec![2, 0, 200, 1],
        vec![3; 300],
        vec![10; 70_000],
    ];
    let mut fresh = Peer::new();
    bad.iter().for_each(|b| fresh.send(kind::DATA, 0, &b[..b.len().min(1000)]).expect("ignored before connect"));
    let mut peer = Peer::publishing();
    bad.iter().for_each(|b| peer.send(kind::DATA, 0, b).expect("ignored while publishing"));
    assert_eq!(peer.session.next_event(), None);
    let mut good = [text("@setDataFrame"), text("onMetaData")].concat();
    good.extend([8, 0, 0, 0, 1, 0, 5]);
    good.extend(b"width\x00\x40\x94\x00\x00\x00\x00\x00\x00");
    peer.send(kind::DATA, 0, &good).expect("metadata without its end marker");
    assert!(matches!(peer.session.next_event(), Some(Event::Metadata(a)) if a.video == Some(true)));
}

#[test]
fn commands_need_connect_first_and_only_once() {
    let out_of_order = |r: Result<(), Error>| matches!(r, Err(Error::OutOfOrder { .. }));
    assert!(out_of_order(Peer::new().command("createStream", 2.0, &[])));
    assert!(out_of_order(Peer::connected().command("connect", 2.0, &[])));
    assert!(out_of_order(Peer::publishing().command("publish", 2.0, &[Value::Null, "x".into()])));
    assert!(Peer::new().send(kind::COMMAND, 0, &[10, 0, 0, 0, 1].repeat(20)).is_err());
}

#[test]
fn an_error_shows_a_peers_words_on_one_line() {
    let refused = Peer::new().command("a\r\n\u{1b}[2J2026-01-01 weir is down", 2.0, &[]).expect_err("before connect");
    assert_eq!(refused.to_string(), "the command a[2J2026-01-01 weir is down came before connect");
}

#[test]
fn message_streams_are_limited_to_eight() {
    let mut peer = Peer::connected();
    for n in 0..8 {
        peer.command("createStream", f64::from(n), &[Value::Null]).expect("within the limit");
    }
    assert_eq!(peer.command("createStream", 9.0, &[Value::Null]), Err(Error::TooManyMessageStreams));
}

#[test]
fn strangers_may_send_64_kib() {
    let mut peer = Peer::connected();
    let end = (0..100).find_map(|_| peer.send(99, 0, &[0; 1000]).err());
    assert_eq!(end, Some(Error::TooMuchBeforePublish));
}

#[test]
fn unknown_commands_and_message_types_are_ignored() {
    let mut peer = Peer::publishing();
    peer.command("vendorThing", 0.0, &[Value::Null]).expect("ignored");
    for kind in [0, 7, 16, 19, 21, 255] {
        peer.send(kind, 0, &[1, 2, 3]).expect("ignored");
    }
    assert_eq!(peer.session.next_event(), None);
}

#[test]
fn pings_are_answered_and_bytes_acknowledged_in_total() {
    let mut peer = Peer::publishing();
    let mut bytes = BytesMut::new();
    peer.writer.write(
        &mut bytes,
        2,
        &Message { kind: kind::WINDOW_SIZE, stream: 0, timestamp: 0, payload: Bytes::from_static(&[0, 0, 0x20, 0]) },
    );
    peer.writer.write(
        &mut bytes,
        2,
        &Message {
            kind: kind::USER_CONTROL,
            stream: 0,
            timestamp: 0,
            payload: Bytes::from_static(&[0, 6, 1, 2, 3, 4]),
        },
    );
    peer.session.input(&bytes).expect("control");
    let out = peer.session.take_output();
    let pong = peer.reader.read(&mut &out[..]).expect("chunks").expect("a pong");
    assert_eq!(&pong.payload[..], &[0, 7, 1, 2, 3, 4]);
    let mut acknowledged = Vec::new();
    for _ in 0..5 {
        let mut bytes = BytesMut::new();
        peer.writer.write(
            &mut bytes,
            4,
            &Message { kind: kind::VIDEO, stream: 1, timestamp: 0, payload: Bytes::from(vec![0; 9000]) },
        );
        peer.session.input(&bytes).expect("video");
        let out = peer.session.take_output();
        let ack = peer.reader.read(&mut &out[..]).expect("chunks").expect("an acknowledgement");
        assert_eq!(ack.kind, kind::ACKNOWLEDGEMENT);
        acknowledged.push(u32::from_be_bytes(ack.payload[..].try_into().expect("four bytes")));
    }
    assert!(acknowledged.windows(2).all(|w| w[1] - w[0] > 9000), "{acknowledged:?}");
    assert_eq!(u64::from(acknowledged[4]), peer.session.received);
}

#[test]
fn aggregates_are_taken_apart() {
    let mut peer = Peer::publishing();
    let tag =
        |kind: u8, stamp: u8, body: u8| [&[kind, 0, 0, 1, 0, 0, stamp, 0, 0, 0, 0, body][..], &[0, 0, 0, 12]].concat();
    let body = [tag(9, 50, 1), tag(8, 60, 2), tag(22, 60, 2), tag(9, 70, 3)].concat();
    peer.send(kind::AGGREGATE, 1000, &body).expect("an aggregate");
    let video = |timestamp, b| Some(Event::Video { timestamp, payload: Bytes::from_static(b) });
    assert_eq!(peer.session.next_event(), video(1000, &[1]));
    assert_eq!(peer.session.next_event(), Some(Event::Audio { timestamp: 1010, payload: Bytes::from_static(&[2]) }));
    assert_eq!(peer.session.next_event(), video(1020, &[3]));
}

#[test]
fn goodbyes_end_the_session() {
    for goodbye in ["FCUnpublish", "deleteStream", "closeStream"] {
        let mut peer = Peer::publishing();
        peer.command(goodbye, 0.0, &[Value::Null, 1.0.into()]).expect(goodbye);
        assert_eq!(peer.session.next_event(), Some(Event::Unpublished));
        assert_eq!(peer.status(), "NetStream.Unpublish.Success");
        peer.send(kind::VIDEO, 0, &[1]).expect("ignored");
        assert_eq!(peer.session.next_event(), None);
    }
}

#[test]
fn a_player_is_told_the_start_and_the_end() {
    let mut peer = Peer::playing();
    assert_eq!(peer.status(), "NetStream.Play.Start");
    peer.session.end_play("The stream is over.");
    peer.collect();
    let codes: Vec<_> =
        peer.answers.iter().filter_map(|(_, values)| values.get(2)?.get("code")?.as_str().map(str::to_owned)).collect();
    assert_eq!(codes[codes.len() - 2..], ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
    peer.send(kind::VIDEO, 0, &[1]).expect("ignored");
    assert_eq!(peer.session.next_event(), None);
}

#[test]
fn a_play_request_hides_its_name_and_is_refused_in_words() {
    let mut peer = Peer::connected();
    peer.command("createStream", 2.0, &[Value::Null]).expect("createStream");
    peer.command("play", 3.0, &[Value::Null, "NAME?token=1".into()]).expect("play");
    let Some(Event::PlayRequested(play)) = peer.session.next_event() else { panic!("a request") };
    assert_eq!((play.app.as_str(), play.name.as_str(), play.query.as_str()), ("live", "NAME", "token=1"));
    assert!(!format!("{play:?}").contains("NAME"));
    peer.session.accept_publish().expect("no answer to this request");
    peer.session.refuse("NetStream.Play.StreamNotFound", "Nothing of that name is live.");
    peer.collect();
    assert_eq!(peer.status(), "NetStream.Play.StreamNotFound");
}

#[test]
fn a_player_says_goodbye_and_may_say_a_lot_before() {
    for goodbye in ["deleteStream", "closeStream"] {
        let mut peer = Peer::playing();
        for _ in 0..100 {
            peer.send(kind::ACKNOWLEDGEMENT, 0, &[0; 1000]).expect("ignored");
            peer.send(kind::VIDEO, 0, &[1]).expect("ignored");
        }
        peer.command("FCUnpublish", 0.0, &[Value::Null]).expect("ignored");
        peer.command("pause", 0.0, &[Value::Null, Value::Boolean(true)]).expect("ignored");
        assert_eq!(peer.session.next_event(), None);
        peer.command(goodbye, 0.0, &[Value::Null, 1.0.into()]).expect(goodbye);
        assert_eq!(peer.session.next_event(), Some(Event::PlayStopped));
    }
}

#[test]
fn a_connection_plays_or_publishes_once() {
    let out_of_order = |r: Result<(), Error>| matches!(r, Err(Error::OutOfOrder { .. }));
    for command in ["play", "publish"] {
        assert!(out_of_order(Peer::playing().command(command, 4.0, &[Value::Null, "NAME".into()])));
        assert!(out_of_order(Peer::publishing().command(command, 4.0, &[Value::Null, "NAME".into()])));
    }
}

#[test]
fn media_is_played_on_the_first_message_stream_alone() {
    let mut peer = Peer::connected();
    peer.send_on(2, "play", &["NAME".into()]);
    assert_eq!(peer.status(), "NetStream.Play.Failed");
    assert_eq!(peer.session.next_event(), None);
}

#[test]
fn our_publisher_is_refused_in_the_servers_words() {
    let mut publisher =
        Publisher::new(Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "bad".into() })
            .expect("a publisher");
    let mut session = ServerSession::new();
    let error = loop {
        session.input(&publisher.take_output()).expect("a legal client");
        if let Some(Event::PublishRequested(_)) = session.next_event() {
            session.refuse("NetStream.Publish.BadName", "No.");
        }
        if let Err(error) = publisher.input(&session.take_output()) {
            break error;
        }
    };
    assert_eq!(error, Error::Refused { code: "NetStream.Publish.BadName".into(), description: "No.".into() });
    assert!(publisher.next_event() != Some(PublisherEvent::Started));
}

proptest! {
    #[test]
    fn random_bytes_behind_a_handshake_never_panic(bytes in proptest::collection::vec(prop_oneof![0u8..24, any::<u8>()], 0..2000), begin in 0..3) {
        let mut peer = [Peer::connected, Peer::publishing, Peer::playing][begin as usize]();
        let _answer = peer.session.input(&bytes);
        while peer.session.next_event().is_some() {}
    }

    #[test]
    fn random_messages_never_panic(kinds in proptest::collection::vec(0u8..24, 1..12), body in proptest::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..200), playing in any::<bool>()) {
        let mut peer = if playing { Peer::playing() } else { Peer::publishing() };
        for kind in kinds {
            if peer.send(kind, 0, &body).is_err() {
                break;
            }
        }
    }
}

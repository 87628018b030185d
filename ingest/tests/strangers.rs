//! Strangers at real sockets: slow, silent, malformed and many, beside a publisher who must not notice.

mod kit;

use ingest::Limits;
use kit::{House, PATIENCE, Pusher, certificate, connected, patiently, until_closed};
use rtmp::client::Publisher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// How soon a connection that sends what cannot be is closed (RELIABILITY A26).
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn strangers_are_gone_at_their_deadlines_however_slowly_they_send() {
    let limits = Limits {
        handshake_deadline: Duration::from_millis(300),
        publish_deadline: Duration::from_millis(600),
        ..Limits::default()
    };
    let house = House::open(limits, None).await;
    let began = Instant::now();
    let (mut mute, mut slow) = (connected(house.address).await, connected(house.address).await);
    let (mute, slow) = tokio::join!(until_closed(&mut mute, None), until_closed(&mut slow, Some(3)));
    assert!(mute.max(slow) < PATIENCE);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let mut idle = Pusher::connect(house.address, "KEY").await;
    let hello = idle.publisher.take_output();
    idle.socket.write_all(&hello).await.expect("C0 and C1");
    let mut answer = vec![0; 3073];
    idle.socket.read_exact(&mut answer).await.expect("S0, S1 and S2");
    idle.publisher.input(&answer).expect("a handshake");
    let out = idle.publisher.take_output();
    idle.socket.write_all(&out[..1536]).await.expect("C2 and no command");
    until_closed(&mut idle.socket, None).await;
}

#[tokio::test]
async fn an_address_holds_few_unauthenticated_connections() {
    let mut house = House::open(Limits { unauthenticated_per_loopback: 2, ..Limits::default() }, None).await;
    let _publisher = Pusher::publishing(house.address).await;
    let _request = house.dismissals.recv().await;
    let began = Instant::now();
    let (mut first, mut second) = (handshaken(house.address).await, handshaken(house.address).await);
    let mut third = connected(house.address).await;
    // The third, or on a slow machine, where the others' grace is over by now, the first.
    tokio::select! {
        _ = until_closed(&mut first, None) => {}
        _ = until_closed(&mut second, None) => panic!("neither the newest nor the longest"),
        _ = until_closed(&mut third, None) => {}
    }
    assert!(began.elapsed() < Limits::default().handshake_deadline, "{:?}", began.elapsed());
}

#[tokio::test]
async fn wrong_keys_beyond_the_budget_are_answered_late_but_a_good_one_is_not() {
    let limits = Limits { failed_keys_per_minute: 1, tarpit: Duration::from_millis(400), ..Limits::default() };
    let house = House::open(limits, None).await;
    let wrong = async || {
        let began = Instant::now();
        let end =
            Pusher::connect(house.address, "WRONG").await.until(Publisher::is_publishing).await.expect_err("refused");
        assert!(end.contains("NetStream.Publish.BadName"), "{end}");
        began.elapsed()
    };
    wrong().await;
    assert!(wrong().await >= Duration::from_millis(400));
    let admitted = async { Pusher::publishing(house.address).await };
    let late = async { wrong().await };
    tokio::select! {
        biased;
        _ = late => panic!("a wrong key was answered before a good one"),
        _ = admitted => {}
    }
}

#[tokio::test]
async fn garbage_at_any_moment_ends_that_connection_at_once_and_nobody_else_notices() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let garbage = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), noise(1), noise(2), vec![0xff; 5000]];
    for garbage in &garbage {
        let before = connected(house.address).await;
        let after = handshaken(house.address).await;
        let within = Pusher::publishing(house.address).await.socket;
        for (stage, mut socket) in [("before", before), ("after", after), ("within", within)] {
            // Noise may look like the beginning of a message that never ends; a flood of it does not.
            let began = Instant::now();
            let flood = garbage.repeat((if stage == "within" { 2 << 20 } else { 80 << 10 }) / garbage.len());
            let _cut_short = socket.write_all(&flood).await;
            until_closed(&mut socket, None).await;
            assert!(began.elapsed() < AT_ONCE, "{stage} the handshake: {:?}", began.elapsed());
        }
        while house.dismissals.try_recv().is_ok() {}
    }
    pusher.sound().await;
    assert!(patiently(house.readers.recv()).await.is_some());
}

#[tokio::test]
async fn a_bomb_in_connect_ends_that_connection_at_once_and_nobody_else_notices() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let connect = [string("connect"), number(1.0)].concat();
    // 3,013 objects in 12 KB, the size that overflows a recursive reader's stack; arrays; counts that lie.
    for bomb in [[3, 0, 1, b'a'].repeat(3013), [10, 0, 0, 0, 1].repeat(7964), vec![10, 255, 255, 255, 255], vec![17; 9]]
    {
        let mut stranger = handshaken(house.address).await;
        let began = Instant::now();
        let _cut_short = stranger.write_all(&command(&[&connect[..], &bomb].concat())).await;
        until_closed(&mut stranger, None).await;
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
    pusher.sound().await;
    assert!(patiently(house.readers.recv()).await.is_some());
}

#[tokio::test]
async fn a_flood_of_create_stream_is_ended_at_its_ninth() {
    let house = House::open(Limits::default(), None).await;
    let mut stranger = handshaken(house.address).await;
    let connect =
        [string("connect"), number(1.0), vec![3, 0, 3], b"app".to_vec(), string("live"), vec![0, 0, 9]].concat();
    let create = [string("createStream"), number(2.0), vec![5]].concat();
    let began = Instant::now();
    let _cut_short = stranger.write_all(&[command(&connect), command(&create).repeat(200_000)].concat()).await;
    let mut answers = Vec::new();
    let _reset = patiently(stranger.read_to_end(&mut answers)).await;
    assert!(began.elapsed() < AT_ONCE * 2, "{:?}", began.elapsed());
    let results = answers.windows(7).filter(|w| w == b"_result").count();
    assert!(results <= 1 + 8, "connect and eight streams were answered, and no more: {results}");
}

#[tokio::test]
async fn two_hundred_half_open_connections_hold_few_places_and_not_for_long() {
    let limits = Limits {
        unauthenticated_per_loopback: 20,
        handshake_deadline: Duration::from_millis(900),
        ..Limits::default()
    };
    let house = House::open(limits.clone(), None).await;
    let mut half_open = JoinSet::new();
    let began = Instant::now();
    for _ in 0..200 {
        let mut socket = connected_from("127.0.0.2", house.address).await;
        half_open.spawn(async move {
            let _cut_short = socket.write_all(&[3; 700]).await;
            until_closed(&mut socket, None).await;
        });
    }
    let _good = patiently(Pusher::publishing(house.address)).await;
    let mut early = 0;
    while let Some(closed) = patiently(half_open.join_next()).await {
        closed.expect("closed in the end");
        early += usize::from(began.elapsed() < limits.handshake_deadline);
    }
    assert!(early >= 150, "all but twenty found no place: {early} were closed at once");
}

#[tokio::test]
async fn guessers_who_fill_every_place_do_not_lock_out_a_publisher_of_their_address() {
    let limits = Limits {
        unauthenticated_per_loopback: 4,
        failed_keys_per_minute: 0,
        tarpit: Duration::from_secs(5),
        ..Limits::default()
    };
    let mut house = House::open(limits, None).await;
    let mut guessers = JoinSet::new();
    for _ in 0..8 {
        let address = house.address;
        guessers.spawn(async move {
            loop {
                let _refused_or_cut = Pusher::connect(address, "WRONG").await.until(Publisher::is_publishing).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    for _ in 0..5 {
        let began = Instant::now();
        while Pusher::connect(house.address, "KEY").await.until(Publisher::is_publishing).await.is_err() {
            // Encoders try again; all places can be with somebody who has just come.
            assert!(began.elapsed() < Duration::from_secs(3), "locked out");
        }
        house.dismissals.recv().await.expect("a request");
    }
    guessers.shutdown().await;
}

#[tokio::test]
async fn silent_strangers_give_way_to_a_publisher_of_their_address() {
    let house = House::open(Limits { unauthenticated_per_loopback: 2, ..Limits::default() }, None).await;
    let began = Instant::now();
    let _silent = [connected(house.address).await, connected(house.address).await];
    while Pusher::connect(house.address, "KEY").await.until(Publisher::is_publishing).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Limits::default().handshake_deadline, "let in only when the silent ones were gone");
    }
}

#[tokio::test]
async fn a_flood_of_silent_connections_does_not_lock_out_a_publisher_of_their_address() {
    let mut house = House::open(Limits { unauthenticated_per_loopback: 20, ..Limits::default() }, None).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(connected(house.address).await);
    }
    // A hundred a second, so that none of the twenty is ever there for a second.
    let address = house.address;
    let flood = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(10));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            silent.push(connected(address).await);
        }
    });
    for _ in 0..8 {
        let _publisher = Pusher::publishing(house.address).await;
        house.dismissals.recv().await.expect("a request");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!flood.is_finished(), "there was a flood");
    flood.abort();
}

#[tokio::test]
async fn whoever_was_not_admitted_is_gone_at_the_deadline_even_from_the_tarpit() {
    let limits = Limits {
        publish_deadline: Duration::from_secs(2),
        failed_keys_per_minute: 0,
        tarpit: Duration::from_secs(60),
        ..Limits::default()
    };
    let house = House::open(limits, None).await;
    let began = Instant::now();
    let mut guesser = Pusher::connect(house.address, "WRONG").await;
    let end = guesser.until(Publisher::is_publishing).await.expect_err("refused");
    assert!(end.contains("NetStream.Publish.BadName"), "{end}");
    // It goes on sending into a socket that the server must not keep for it.
    let gone = async {
        while guesser.socket.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    patiently(gone).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_cut() {
    let limits = Limits { handshake_deadline: Duration::from_millis(300), ..Limits::default() };
    let (_certificates, current) = watch::channel(certificate("here.example"));
    let house = House::open(limits, Some(current)).await;
    let mut silent = connected(house.address).await;
    let mut dripping = connected(house.address).await;
    tokio::join!(until_closed(&mut silent, None), until_closed(&mut dripping, Some(22)));
}

#[tokio::test]
async fn a_codec_that_was_not_offered_is_refused_with_those_that_are() {
    let house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    // An Enhanced RTMP sequence start of AV1, as a whole chunk of its own on chunk stream 7.
    let body = b"\x90av01\x81\x00\x0c\x00";
    let header = [&[7, 0, 0, 0, 0, 0, body.len() as u8, 9][..], &1u32.to_le_bytes()].concat();
    pusher.socket.write_all(&[&header[..], body].concat()).await.expect("an open socket");
    let end = pusher.until(|_| false).await.expect_err("closed with words");
    assert!(end.contains("NetStream.Publish.Rejected") && end.contains("AV1") && end.contains("H.264"), "{end}");
}

/// Bytes that mean nothing, the same in every run.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(4096).collect()
}

/// Another of this machine's own addresses, so that its limits are not those of the good publisher.
async fn connected_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(source.parse().expect("an address"), 0)).expect("a loopback address");
    socket.connect(address).await.expect("a listener")
}

/// A connection whose RTMP handshake is done.
async fn handshaken(address: SocketAddr) -> TcpStream {
    let mut socket = connected(address).await;
    let mut hello = vec![0; 1 + 1536];
    hello[0] = 3;
    socket.write_all(&hello).await.expect("C0 and C1");
    let mut answer = vec![0; 1 + 2 * 1536];
    patiently(socket.read_exact(&mut answer)).await.expect("S0, S1 and S2");
    socket.write_all(&answer[1..1 + 1536]).await.expect("C2");
    socket
}

/// A command message in chunks of 128 on chunk stream 3.
fn command(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    let mut out = vec![3, 0, 0, 0, length[1], length[2], length[3], 20, 0, 0, 0, 0];
    for (n, piece) in body.chunks(128).enumerate() {
        if n > 0 {
            out.push(0xc3);
        }
        out.extend(piece);
    }
    out
}

fn string(text: &str) -> Vec<u8> {
    [&[2], &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn number(value: f64) -> Vec<u8> {
    [&[0], &value.to_be_bytes()[..]].concat()
}

#[tokio::test]
async fn a_player_gets_the_roofs_answer_and_nobodys_place() {
    let house = House::open(Limits { unauthenticated_per_loopback: 2, ..Limits::default() }, None).await;
    let play = async |name: &str| {
        let url = format!("rtmp://{}/live/{name}", house.address);
        let words = ["-nostdin", "-v", "verbose", "-rw_timeout", "30000000", "-i", &url, "-f", "null", "-"];
        let command = Command::new("ffmpeg").args(words).kill_on_drop(true).output();
        let said = patiently(command).await.expect("ffmpeg is installed");
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    for _ in 0..3 {
        let said = play("OTHER").await;
        assert!(said.contains("Nothing of that name is live; try NAME."), "{said}");
    }
    let said = play("NAME").await;
    assert!(!said.contains("Nothing of that name"), "{said}");
}

//! The listener against strangers: bounds, deadlines, drain. No media is involved.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension};
use axum::http::StatusCode;
use axum::routing::{get, post};
use kit::{PATIENCE, Server};
use origin::{Limits, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

const BIG: usize = 8 << 20;

fn hello() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/big", get(async || Bytes::from(vec![7; BIG])))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route(
            "/peer",
            get(async |Extension(peer): Extension<Peer>, info: ConnectInfo<SocketAddr>| {
                format!("{} {} {}", peer.client, peer.tls, info.0 == peer.socket)
            }),
        )
        .route(
            "/count",
            post(async |body: Body| match axum::body::to_bytes(body, usize::MAX).await {
                Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
                Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            }),
        )
}

fn quick() -> Limits {
    Limits {
        header_deadline: Duration::from_millis(300),
        idle_max: Duration::from_millis(300),
        progress_deadline: Duration::from_millis(300),
        body_deadline: Duration::from_millis(300),
        drain_deadline: Duration::from_millis(500),
        ..Limits::default()
    }
}

#[tokio::test]
async fn exactly_one_host_is_asked_for() {
    let server = Server::start(hello(), Limits::default()).await;
    let check = async |head: &str, want: u16| {
        let mut client = server.connect().await;
        client.send(head).await;
        assert_eq!(client.answer(false).await.unwrap().status, want, "{head:?}");
    };
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200).await;
    check("GET / HTTP/1.1\r\n\r\n", 400).await;
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400).await;
    check("GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n", 400).await;
    check("GET / HTTP/1.0\r\n\r\n", 200).await;
    check("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405).await;
    check("nonsense\r\n\r\n", 400).await;
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_fields() {
    let server = Server::start(hello(), Limits::default()).await;
    let check = async |name: &str, extra: String, want: u16| {
        let mut client = server.connect().await;
        let _ = client.socket.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{extra}\r\n").as_bytes()).await;
        assert_eq!(client.answer(false).await.unwrap().status, want, "{name}");
    };
    check("small", format!("X: {}\r\n", "x".repeat(8_000)), 200).await;
    check("huge", format!("X: {}\r\n", "x".repeat(20_000)), 431).await;
    check("some", (0..60).map(|i| format!("X-{i}: 1\r\n")).collect(), 200).await;
    check("many", (0..64).map(|i| format!("X-{i}: 1\r\n")).collect(), 431).await;
    check("a lot", (0..900).map(|i| format!("X-{i}: 1\r\n")).collect(), 431).await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let server = Server::start(hello(), quick()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let begin = Instant::now();
    let cut = timeout(PATIENCE, async {
        let mut byte = [0];
        loop {
            tokio::select! {
                read = client.socket.read(&mut byte) => break read.unwrap_or(0),
                () = sleep(Duration::from_millis(50)) => {
                    let (_, mut writer) = client.socket.split();
                    let _ = writer.write_all(b"X: 1\r\n").await;
                }
            }
        }
    });
    cut.await.expect("the server gives up");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed() {
    let server = Server::start(hello(), quick()).await;
    let begin = Instant::now();
    assert!(server.connect().await.ended().await, "never a byte");
    let mut client = server.connect().await;
    client.send("PRI * HT").await;
    assert!(client.ended().await, "half a preface");
    let mut client = server.connect().await;
    assert_eq!(client.get("/").await.status, 200);
    assert!(client.ended().await, "one request, then nothing");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

/// A body that is never short of bytes and tells when it is dropped.
struct Endless(mpsc::Sender<()>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[0; 65_536])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

fn endless() -> (Router, mpsc::Receiver<()>) {
    let (told, dropped) = mpsc::channel(8);
    (Router::new().route("/", get(async move || Body::new(Endless(told)))), dropped)
}

#[tokio::test]
async fn a_reader_that_stops_is_dropped() {
    let (router, mut dropped) = endless();
    let server = Server::start(router, quick()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    timeout(PATIENCE, dropped.recv()).await.expect("the body is dropped");
}

#[tokio::test]
async fn an_http2_reader_that_opens_no_window_is_dropped() {
    let (router, mut dropped) = endless();
    let server = Server::start(router, quick()).await;
    for window in [0u32, 20_000] {
        let mut client = server.connect().await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        // SETTINGS with INITIAL_WINDOW_SIZE, then HEADERS (END_STREAM, END_HEADERS): GET / of authority "a".
        let mut bytes = vec![0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4];
        bytes.extend(window.to_be_bytes());
        bytes.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
        client.send(bytes).await;
        timeout(PATIENCE, dropped.recv()).await.unwrap_or_else(|_| panic!("the body is dropped at window {window}"));
    }
}

#[tokio::test]
async fn a_slow_reader_that_goes_on_gets_everything() {
    let server = Server::start(hello(), quick()).await;
    let mut client = server.connect().await;
    client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut got = 0;
    let mut chunk = vec![0; BIG / 32];
    while got < BIG {
        // The pace of a slow viewer, well beyond the deadline for heads in all.
        sleep(Duration::from_millis(50)).await;
        let read = client.socket.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "cut at {got} of {BIG}");
        got += read;
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_bytes_and_time() {
    let server = Server::start(hello(), quick()).await;
    let check = async |head: &str, body: &[u8], status: u16, text: &str| {
        let mut client = server.connect().await;
        client.send(format!("POST /count HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n")).await;
        let _ = client.socket.write_all(body).await;
        let answer = client.answer(false).await.unwrap();
        assert!(answer.status == status && answer.text().contains(text), "{head}: {answer:?}");
    };
    check("Content-Length: 65536", &[b'x'; 65_536], 200, "65536").await;
    check("Content-Length: 65537", b"", 413, "too large").await;
    check("Content-Length: 4611686018427387904", b"", 413, "too large").await;
    let chunk = [b"8000\r\n".as_slice(), &[b'x'; 0x8000], b"\r\n"].concat();
    check("Transfer-Encoding: chunked", &[&chunk[..], &chunk, b"0\r\n\r\n"].concat(), 200, "65536").await;
    check("Transfer-Encoding: chunked", &[&chunk[..], &chunk, &chunk].concat(), 400, "larger than allowed").await;
    check("Content-Length: 10", b"12345", 400, "in time").await;
}

#[tokio::test]
async fn an_address_gets_its_share_of_connections() {
    let limits = Limits { connections_per_address_max: 2, loopback_counts: true, ..Limits::default() };
    let server = Server::start(hello(), limits).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!((first.get("/").await.status, second.get("/").await.status), (200, 200));
    assert_eq!(server.connect().await.answer(false).await.unwrap().status, 503);
    drop(first);
    timeout(PATIENCE, async {
        loop {
            let mut client = server.connect().await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            if client.answer(false).await.is_some_and(|answer| answer.status == 200) {
                break;
            }
        }
    })
    .await
    .expect("the place is free again");
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let server = Server::start(hello(), Limits::default()).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/panic").await.status, 500);
    assert_eq!(client.get("/").await.text(), "hello");
}

#[tokio::test]
async fn handlers_know_their_peer() {
    let limits = Limits { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Limits::default() };
    let server = Server::start(hello(), limits).await;
    assert_eq!(server.get("/peer").await.text(), "127.0.0.1 false true");
    let answer = server.ask("GET", "/peer", &[("X-Forwarded-For", "6.6.6.6, 198.51.100.1")]).await;
    assert_eq!(answer.text(), "198.51.100.1 false true");
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_then_ends() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = {
        let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
        Router::new().route(
            "/",
            get(async move || {
                asked.notify_one();
                go.notified().await;
                "late"
            }),
        )
    };
    let server = Server::start(router, Limits::default()).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    asked.notified().await;
    server.stop.cancel();
    assert!(idle.ended().await);
    go.notify_one();
    assert_eq!(busy.answer(false).await.unwrap().text(), "late");
    timeout(PATIENCE, server.task).await.expect("serve returns").unwrap();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let asked = Arc::new(Notify::new());
    let router = {
        let asked = Arc::clone(&asked);
        Router::new().route(
            "/",
            get(async move || {
                asked.notify_one();
                std::future::pending::<&'static str>().await
            }),
        )
    };
    let server = Server::start(router, quick()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    asked.notified().await;
    server.stop.cancel();
    timeout(PATIENCE, server.task).await.expect("serve returns").unwrap();
}

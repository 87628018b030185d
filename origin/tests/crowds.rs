//! Many at once, greedy ones and those behind proxies: what each may hold, and that nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod kit;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use kit::gauges::Gauges;
use kit::show::Show;
use kit::{Client, PATIENCE, Server};
use origin::{Limits, Web};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What one viewer that stopped reading may cost (RELIABILITY C13), its own end of the connection left out.
const HELD_MAX: usize = 256 << 10;
/// Viewers that stopped reading, beside whom all others are served as ever (RELIABILITY P9).
const STALLED: u64 = 1000;
const FRAME: usize = 16 << 10;
/// What the client's own kernel takes although nobody reads.
const CLIENT_BUFFER: usize = 64 << 10;

/// A body without an end that counts what is taken of it, and tells when it is dropped.
struct Endless {
    taken: Arc<AtomicUsize>,
    dropped: mpsc::Sender<()>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.taken.fetch_add(FRAME, Ordering::Relaxed);
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[0; FRAME])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.dropped.try_send(());
    }
}

/// A client whose kernel takes as little as it can be told to.
async fn narrow(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(server.address).await.unwrap()
}

#[tokio::test]
async fn a_reader_that_stops_costs_a_quarter_of_a_mebibyte_at_most() {
    // HTTP/2 with every window wide open: SETTINGS, WINDOW_UPDATE of the connection, GET / of authority "a".
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http2.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    http2.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0]);
    http2.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
    for (name, request) in [("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()), ("HTTP/2", http2)] {
        let taken = Arc::new(AtomicUsize::new(0));
        let (dropped, mut gone) = mpsc::channel(1);
        let router = {
            let taken = Arc::clone(&taken);
            Router::new().route("/", get(async move || Body::new(Endless { taken, dropped })))
        };
        let limits = Limits { progress_deadline: Duration::from_millis(500), ..Limits::default() };
        let server = Server::start(router, limits).await;
        let mut client = narrow(&server).await;
        client.write_all(&request).await.unwrap();
        timeout(PATIENCE, gone.recv()).await.expect("the body is dropped");
        let taken = taken.load(Ordering::Relaxed);
        println!("{name}: {taken} bytes");
        assert!(taken > FRAME && taken <= HELD_MAX + CLIENT_BUFFER, "{name}: {taken} bytes were taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_that_stopped_slow_nobody() {
    // Both ends of each connection are in this process, and other tests beside them.
    let needed = 2 * STALLED + 200;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(room >= needed, "{needed} open files are needed and {room} allowed; raise the hard limit (ulimit -Hn)");
    let mut show = Show::new(40_000);
    show.until_next(8, 2);
    let server = Server::start(origin::router(show.catalog()), Limits::default()).await;
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let mut client = narrow(&server).await;
        let request = format!("GET /live/demo/s-1/source/{}.m4s HTTP/1.1\r\nHost: a\r\n\r\n", 2 + n % 5);
        client.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        timeout(PATIENCE, client.read_exact(&mut status)).await.expect("an answer").unwrap();
        assert_eq!(&status, b"HTTP/1.1 200", "reader {n} is served and has megabytes ahead of it");
        stalled.push(client);
    }
    let mut healthy = server.connect().await;
    let mut took = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        assert_eq!(healthy.get("/live/demo/s-1/source.m3u8").await.status, 200);
        took.push(began.elapsed());
    }
    took.sort();
    let (median, p95) = (took[100], took[190]);
    println!("beside {STALLED} stalled readers: median {median:?}, p95 {p95:?}");
    assert!(p95 < Duration::from_millis(50), "p95 {p95:?}");
    drop(stalled);
}

#[tokio::test]
async fn viewers_behind_a_trusted_proxy_have_each_their_own_share() {
    let (asked, go) = (mpsc::channel(8), Arc::new(Notify::new()));
    let (sender, mut asked) = asked;
    let router = {
        let go = Arc::clone(&go);
        let held = async move || {
            sender.send(()).await.unwrap();
            go.notified().await;
        };
        Router::new().route("/held", get(held)).route("/", get(async || "hello"))
    };
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let limits = Limits { connections_per_address_max: 2, trusted_proxies, ..Limits::default() };
    let server = Server::start(router, limits).await;
    let ask = async |path: &str, viewer: &str| server.ask("GET", path, &[("X-Forwarded-For", viewer)]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send("GET /held HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n\r\n").await;
        asked.recv().await.unwrap();
        held.push(client);
    }
    let third = ask("/", "198.51.100.1").await;
    assert_eq!(
        (third.status, third.header("retry-after"), third.header("cache-control")),
        (503, Some("1"), Some("no-store"))
    );
    assert_eq!(ask("/", "198.51.100.2").await.status, 200, "another viewer of the same proxy");
    assert_eq!(server.get("/").await.status, 200, "the proxy itself");
    go.notify_one();
    go.notify_one();
    for mut client in held {
        assert_eq!(client.answer(false).await.unwrap().status, 200);
    }
    let free = async {
        while ask("/", "198.51.100.1").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.expect("the share is free again");
}

#[tokio::test]
async fn all_listeners_share_one_house() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let web = Arc::new(Web::new(Router::new().route("/", get(async || "hello")), limits));
    let stop = CancellationToken::new();
    let mut doors = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        doors.push(listener.local_addr().unwrap());
        tokio::spawn(Arc::clone(&web).serve(listener, None, stop.clone()));
    }
    let connect = async |door: usize| {
        let socket = TcpStream::connect(doors[door]).await.unwrap();
        Client { socket, buffer: Vec::new() }
    };
    let (mut first, mut second) = (connect(0).await, connect(1).await);
    assert_eq!((first.get("/").await.status, second.get("/").await.status), (200, 200));
    for door in [0, 1] {
        assert_eq!(connect(door).await.answer(false).await.unwrap().status, 503);
    }
    stop.cancel();
}

#[tokio::test]
async fn an_error_of_the_server_is_never_kept_by_a_cache() {
    let router = Router::new()
        .route("/bare", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/own", get(async || (StatusCode::BAD_GATEWAY, [("cache-control", "no-store, private")])))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }));
    let server = Server::start(router, Limits::default()).await;
    for (path, want) in [("/bare", "no-store"), ("/own", "no-store, private"), ("/panic", "no-store")] {
        assert_eq!(server.get(path).await.header("cache-control"), Some(want), "{path}");
    }
}

#[tokio::test]
async fn an_http2_request_that_names_two_hosts_is_refused() {
    let server = Server::start(Router::new().route("/", get(async || "hello")), Limits::default()).await;
    // HEADERS of GET / with authority "a", and a literal Host: without it, the same, another one.
    for (host, status) in [(&b""[..], 0x88), (b"\0\x04host\x01a", 0x88), (b"\0\x04host\x01b", 0x8c)] {
        let mut client = server.connect().await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6 + host.len() as u8, 1, 5, 0, 0, 0, 1];
        frames.extend([0x82, 0x86, 0x84, 0x41, 1, b'a']);
        frames.extend(host);
        client.send(frames).await;
        assert_eq!(first_status(&mut client).await, status, "{host:?}");
    }
}

/// The first byte of the first HEADERS frame: the indexed status (RFC 7541 appendix A: 0x88 is 200, 0x8c is 400).
async fn first_status(client: &mut Client<TcpStream>) -> u8 {
    let read = async {
        loop {
            let mut head = [0; 9];
            client.socket.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            client.socket.read_exact(&mut payload).await.unwrap();
            if head[3] == 1 {
                return payload[0];
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

#[tokio::test]
async fn every_refusal_is_counted_by_its_cause() {
    let gauges = Gauges::default();
    // One thread runs everything here, so its recorder sees all.
    let _recording = metrics::set_default_local_recorder(&gauges);
    let limits = Limits {
        connections_per_address_max: 3,
        loopback_counts: true,
        header_deadline: Duration::from_millis(300),
        progress_deadline: Duration::from_millis(300),
        ..Limits::default()
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/big", get(async || Bytes::from(vec![7; 8 << 20])))
        .route("/body", post(async |body: Bytes| body.len().to_string()));
    let server = Server::start(router, limits).await;
    let refused = |cause: &str| gauges.counter(&format!("weir_http_refused_total cause={cause}"));
    let counted = async |cause: &str| {
        let counted = async {
            while gauges.try_counter(&format!("weir_http_refused_total cause={cause}")).is_none() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("{cause} is not counted"));
        assert_eq!(refused(cause), 1, "{cause}");
    };
    let check = async |head: &str, cause: &str| {
        let mut client = server.connect().await;
        client.send(head).await;
        counted(cause).await;
    };
    check("GET / HTTP/1.1\r\n\r\n", "host").await;
    check("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4611686018427387904\r\n\r\n", "body").await;
    check("GET /big HTTP/1.1\r\nHost: a\r\n\r\n", "stalled").await;
    check("GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ", "header_deadline").await;
    check("nonsense\r\n\r\n", "malformed").await;
    check("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "method").await;
    let many: String = (0..65).map(|n| format!("X-{n}: 1\r\n")).collect();
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "headers").await;
    // A silent connection is no refusal: browsers open some in advance.
    assert!(server.connect().await.ended().await);
    assert_eq!(refused("header_deadline"), 1);
    let _held = [server.connect().await, server.connect().await, server.connect().await];
    assert_eq!(server.connect().await.answer(false).await.unwrap().status, 503);
    assert_eq!(refused("address_max"), 1);
}

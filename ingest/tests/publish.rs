//! Real publishers at real sockets: ffmpeg where another program's eyes count, our own client where an exact act does.

use ingest::session::{Departure, PublisherId};
use ingest::{Admission, Doors, Ingest, Limits, PublishRequest, Refusal};
use media::{AudioCodec, AudioConfig, FeedEnd, FeedItem, FeedReader, MediaTime, Track};
use rtmp::client::{Publisher, Target};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine; only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Admits the name `KEY`, and hands the test what it gets.
struct Roof {
    readers: mpsc::Sender<FeedReader>,
    dismissals: mpsc::Sender<(PublishRequest, oneshot::Sender<Refusal>)>,
    departures: mpsc::Sender<Departure>,
}

impl Doors for Roof {
    async fn admit(&self, request: PublishRequest) -> Result<Admission, Refusal> {
        if request.name != "KEY" {
            return Err(Refusal::bad_key());
        }
        let (dismiss, dismissal) = oneshot::channel();
        self.dismissals.send((request, dismiss)).await.expect("the test listens");
        let readers = self.readers.clone();
        Ok(Admission {
            stream: "demo".into(),
            id: PublisherId(7),
            dismissal,
            sink: Box::new(move |reader| readers.try_send(reader).expect("the test listens")),
        })
    }

    fn left(&self, stream: &str, id: PublisherId, how: Departure) {
        assert_eq!((stream, id), ("demo", PublisherId(7)));
        // Tests that do not ask have no room for more than a few, and end with the departures of the rest.
        let _unheard = self.departures.try_send(how);
    }
}

struct House {
    address: SocketAddr,
    readers: mpsc::Receiver<FeedReader>,
    dismissals: mpsc::Receiver<(PublishRequest, oneshot::Sender<Refusal>)>,
    departures: mpsc::Receiver<Departure>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl House {
    async fn open(limits: Limits, tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>) -> Self {
        let (readers, given_readers) = mpsc::channel(4);
        let (dismissals, given_dismissals) = mpsc::channel(4);
        let (departures, given_departures) = mpsc::channel(4);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stop = CancellationToken::new();
        let ingest = Arc::new(Ingest::new(Roof { readers, dismissals, departures }, limits));
        let served = tokio::spawn(ingest.serve(listener, tls, stop.clone()));
        let (readers, dismissals, departures) = (given_readers, given_dismissals, given_departures);
        Self { address, readers, dismissals, departures, stop, served }
    }

    /// The items of the next publisher up to its end.
    async fn items(&mut self) -> (Vec<FeedItem>, FeedEnd) {
        let mut reader = patiently(self.readers.recv()).await.expect("a publisher with media");
        let mut items = Vec::new();
        loop {
            match patiently(reader.next()).await {
                Ok(item) => items.push(item),
                Err(end) => return (items, end),
            }
        }
    }
}

async fn patiently<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes no minute")
}

/// Runs ffmpeg on a made-up picture and tone; gives its success and its words.
async fn ffmpeg(seconds: u32, codec: &[&str], url: &str) -> (bool, String) {
    let picture = format!("testsrc=size=320x240:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={seconds}");
    let output = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "info",
            "-f",
            "lavfi",
            "-i",
            &picture,
            "-f",
            "lavfi",
            "-i",
            &tone,
        ])
        .args(codec)
        .args(["-f", "flv", url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = patiently(output).await.expect("ffmpeg is installed");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const H264_AAC: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-bf",
    "2",
    "-b_strategy",
    "0",
    "-g",
    "25",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-ac",
    "2",
];

fn units(items: &[FeedItem], track: Track) -> Vec<&media::AccessUnit> {
    items
        .iter()
        .filter_map(|item| match item {
            FeedItem::Unit(unit) if unit.track() == track => Some(unit),
            _ => None,
        })
        .collect()
}

/// What ffmpeg sent with [`H264_AAC`] for three seconds must be in the feed, whole and in order.
fn check_three_seconds(items: &[FeedItem]) {
    assert!(
        matches!(&items[0], FeedItem::Announced(a) if a.video == Some(true) && a.audio == Some(true) && a.frame_rate == Some(25.0))
    );
    assert!(!items.iter().any(|i| matches!(i, FeedItem::Break | FeedItem::Lost { .. })));
    let video = units(items, Track::Video);
    assert_eq!(video.len(), 75);
    assert_eq!(video.iter().filter(|u| u.sync).count(), 3);
    assert!(video[0].sync);
    assert!(video.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(video.iter().all(|u| u.dts <= u.pts) && video.iter().any(|u| u.dts < u.pts), "B-frames");
    let mut shown: Vec<_> = video.iter().map(|u| u.pts).collect();
    shown.sort();
    assert!(shown.windows(2).all(|w| (w[1] - w[0]) == MediaTime::from_millis(40)), "25 fps is whole milliseconds");
    let audio = units(items, Track::Audio);
    assert!((129..=132).contains(&audio.len()), "{} frames of 1,024 samples", audio.len());
    for (n, unit) in audio.iter().enumerate() {
        assert_eq!(unit.dts - audio[0].dts, MediaTime::from_units(n as i64 * 1024, 44_100));
    }
    assert!((video[0].pts - audio[0].pts).abs() < MediaTime::from_millis(120));
}

#[tokio::test]
async fn ffmpegs_units_are_in_the_feed_in_order() {
    let mut house = House::open(Limits::default(), None).await;
    let url = format!("rtmp://{}/live/KEY", house.address);
    let ((ok, said), (items, end)) = tokio::join!(ffmpeg(3, H264_AAC, &url), house.items());
    assert!(ok, "{said}");
    assert_eq!(end, FeedEnd::Finished);
    check_three_seconds(&items);
    let (request, _) = house.dismissals.recv().await.expect("a request");
    assert_eq!((request.app.as_str(), request.query.as_str(), request.tls), ("live", "", false));
}

#[tokio::test]
async fn rtmps_works_and_a_new_certificate_is_used_at_once() {
    let (certificates, current) = watch::channel(certificate("old.example"));
    let mut house = House::open(Limits::default(), Some(current)).await;
    let url = format!("rtmps://{}/live/KEY", house.address);
    let ((ok, said), (items, _)) = tokio::join!(ffmpeg(3, H264_AAC, &url), house.items());
    assert!(ok, "{said}");
    check_three_seconds(&items);
    assert!(house.dismissals.recv().await.expect("a request").0.tls);
    let before = presented(house.address).await;
    certificates.send(certificate("new.example")).expect("the house listens");
    assert_ne!(before, presented(house.address).await);
}

fn certificate(name: &str) -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("its key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a usable pair");
    Arc::new(config)
}

/// The certificate a server shows, by openssl's eyes.
async fn presented(address: SocketAddr) -> CertificateDer<'static> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-showcerts"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = patiently(output).await.expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE").expect("a certificate");
    let end = text.find("-----END CERTIFICATE").expect("its end");
    CertificateDer::from(text.as_bytes()[begin..end].to_vec())
}

#[tokio::test]
async fn ffmpeg_shows_why_it_was_refused() {
    let house = House::open(Limits::default(), None).await;
    let (ok, said) = ffmpeg(1, H264_AAC, &format!("rtmp://{}/live/WRONG", house.address)).await;
    assert!(!ok);
    assert!(said.contains("The stream key is not valid here; copy it again"), "{said}");
}

#[tokio::test]
async fn a_codec_we_do_not_take_is_refused_by_name() {
    let house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let record = bytes::Bytes::from_static(&[0x11, 0x80]);
    let config = AudioConfig {
        codec: AudioCodec::Aac,
        record,
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    };
    pusher.publisher.send_audio_config(&config, MediaTime::ZERO).expect("publishing");
    let end = pusher.until(|_| false).await.expect_err("closed with words");
    assert!(end.contains("NetStream.Publish.Rejected") && end.contains("channel layout 0"), "{end}");
}

/// A connected publisher of our own.
struct Pusher {
    socket: TcpStream,
    publisher: Publisher,
}

impl Pusher {
    async fn connect(address: SocketAddr, name: &str) -> Self {
        let target = Target { app: "live".into(), tc_url: format!("rtmp://{address}/live"), name: name.into() };
        let socket = TcpStream::connect(address).await.expect("a listener");
        Self { socket, publisher: Publisher::new(target).expect("a publisher") }
    }

    /// Sends and reads until `done`, or gives why it can't go on.
    async fn until(&mut self, done: impl Fn(&Publisher) -> bool) -> Result<(), String> {
        let mut buffer = [0; 4096];
        while !done(&self.publisher) {
            let out = self.publisher.take_output();
            self.socket.write_all(&out).await.map_err(|e| e.to_string())?;
            match patiently(self.socket.read(&mut buffer)).await {
                Ok(0) => return Err("closed".into()),
                Ok(n) => self.publisher.input(&buffer[..n]).map_err(|e| e.to_string())?,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    async fn publishing(address: SocketAddr) -> Self {
        let mut pusher = Self::connect(address, "KEY").await;
        pusher.until(Publisher::is_publishing).await.expect("admitted");
        pusher
    }

    /// One audio frame, enough for a feed.
    async fn sound(&mut self) {
        let record = bytes::Bytes::from_static(&[0x11, 0x90]);
        let config = Arc::new(AudioConfig {
            codec: AudioCodec::Aac,
            record,
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        });
        let at = MediaTime::ZERO;
        self.publisher.send_audio_config(&config, at).expect("publishing");
        let data = bytes::Bytes::from_static(&[1; 64]);
        let unit = media::AccessUnit { config: media::Config::Audio(config), dts: at, pts: at, sync: true, data };
        self.publisher.send_unit(&unit).expect("publishing");
        let out = self.publisher.take_output();
        self.socket.write_all(&out).await.expect("an open socket");
    }
}

#[tokio::test]
async fn a_dismissed_publisher_hears_why() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let (_, dismiss) = house.dismissals.recv().await.expect("a request");
    pusher.sound().await;
    let mut reader = patiently(house.readers.recv()).await.expect("media");
    dismiss.send(Refusal::new("NetStream.Publish.BadName", "Another encoder took over.")).expect("still publishing");
    let end = pusher.until(|_| false).await.expect_err("closed with words");
    assert!(end.contains("NetStream.Publish.BadName: Another encoder took over."), "{end}");
    while let Ok(_item) = patiently(reader.next()).await {}
    assert_eq!(reader.next().await.expect_err("the end"), FeedEnd::Finished);
}

#[tokio::test]
async fn a_lost_connection_ends_the_feed_as_lost() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    pusher.sound().await;
    let receive = house.items();
    drop(pusher);
    assert_eq!(receive.await.1, FeedEnd::Lost);
}

#[tokio::test]
async fn the_roof_hears_once_how_a_publisher_left() {
    let mut house = House::open(Limits::default(), None).await;
    let mut left = async |end: &str| {
        let mut pusher = Pusher::publishing(house.address).await;
        let (_, dismiss) = house.dismissals.recv().await.expect("a request");
        match end {
            "goodbye" => {
                pusher.publisher.finish();
                let out = pusher.publisher.take_output();
                pusher.socket.write_all(&out).await.expect("an open socket");
            }
            "dismissed" => dismiss.send(Refusal::new("NetStream.Publish.BadName", "Go.")).expect("it listens"),
            "reset" => pusher.socket.set_zero_linger().expect("a socket option"),
            _ => {}
        }
        let still_there = (end != "reset" && end != "hangup").then_some(pusher);
        let how = patiently(house.departures.recv()).await.expect("it left");
        drop(still_there);
        how
    };
    assert_eq!(left("goodbye").await, Departure::Goodbye);
    assert_eq!(left("hangup").await, Departure::Lost);
    assert_eq!(left("reset").await, Departure::Lost);
    assert_eq!(left("dismissed").await, Departure::Lost);
    assert!(house.departures.try_recv().is_err(), "each was told once");
}

#[tokio::test]
async fn a_publisher_that_takes_no_bytes_is_dismissed_at_once() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let (_, dismiss) = house.dismissals.recv().await.expect("a request");
    // Ping requests (user control 6) are answered; unread answers fill the socket until the server's write waits.
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    let pings = ping.repeat(4096);
    while tokio::time::timeout(Duration::from_millis(500), pusher.socket.write_all(&pings)).await.is_ok() {}
    let start = Instant::now();
    dismiss.send(Refusal::new("NetStream.Publish.BadName", "Another encoder took over.")).expect("still publishing");
    patiently(house.departures.recv()).await.expect("it left");
    println!("gone {:?} after the dismissal", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn silence_ends_a_publisher_with_words() {
    let house = House::open(Limits { idle: Duration::from_millis(300), ..Limits::default() }, None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let end = pusher.until(|_| false).await.expect_err("closed");
    assert!(end.contains("no audio or video came"), "{end}");
}

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

async fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a listener")
}

/// Time until the server closes, sending `byte` now and then meanwhile.
async fn until_closed(socket: &mut TcpStream, byte: Option<u8>) -> Duration {
    let began = Instant::now();
    let mut buffer = [0; 4096];
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            read = socket.read(&mut buffer) => if !matches!(read, Ok(1..)) { return began.elapsed() },
            _ = every.tick() => {
                if let Some(byte) = byte {
                    let _closed_meanwhile = socket.write_all(&[byte]).await;
                }
            }
        }
        assert!(began.elapsed() < PATIENCE, "never closed");
    }
}

#[tokio::test]
async fn an_address_holds_few_unauthenticated_connections() {
    let mut house = House::open(Limits { unauthenticated_per_loopback: 2, ..Limits::default() }, None).await;
    let _publisher = Pusher::publishing(house.address).await;
    let _request = house.dismissals.recv().await;
    let _held = [connected(house.address).await, connected(house.address).await];
    until_closed(&mut connected(house.address).await, None).await;
}

#[tokio::test]
async fn garbage_is_closed_at_once_and_nobody_else_notices() {
    let mut house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    let mut stranger = connected(house.address).await;
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("an open socket");
    assert!(until_closed(&mut stranger, None).await < Limits::default().handshake_deadline);
    pusher.sound().await;
    assert!(patiently(house.readers.recv()).await.is_some());
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
async fn stopping_tells_publishers_and_returns() {
    let house = House::open(Limits::default(), None).await;
    let mut pusher = Pusher::publishing(house.address).await;
    house.stop.cancel();
    let end = pusher.until(|_| false).await.expect_err("closed");
    assert!(end.contains("The server is stopping"), "{end}");
    drop(pusher);
    patiently(house.served).await.expect("no panic");
}

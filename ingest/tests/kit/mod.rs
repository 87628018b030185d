//! What the tests of this crate share: a house with open doors on a free port, and a publisher of our own.
#![allow(dead_code, reason = "each test program uses its share")]

use ingest::session::{Departure, PublisherId};
use ingest::{Admission, Doors, Ingest, Limits, PlayRequest, PublishRequest, Refusal, Usher};
use media::{AudioCodec, AudioConfig, FeedEnd, FeedItem, FeedReader, MediaTime};
use rtmp::client::{Publisher, Target};
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine; only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Admits the name `KEY`, and hands the test what it gets.
pub struct Roof {
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

    async fn play(&self, request: PlayRequest) -> Result<Usher, Refusal> {
        if request.name != "NAME" {
            return Err(Refusal::new("NetStream.Play.StreamNotFound", "Nothing of that name is live; try NAME."));
        }
        Ok(Box::new(|mut line| {
            Box::pin(async move {
                line.session.accept_play().expect("nothing behind the request");
                line.session.end_play("That was all.");
                line.stream.write_all(&line.session.take_output()).await.expect("a player that reads");
            })
        }))
    }

    fn left(&self, stream: &str, id: PublisherId, how: Departure) {
        assert_eq!((stream, id), ("demo", PublisherId(7)));
        // Tests that do not ask have no room for more than a few, and end with the departures of the rest.
        let _unheard = self.departures.try_send(how);
    }
}

pub struct House {
    pub address: SocketAddr,
    pub readers: mpsc::Receiver<FeedReader>,
    pub dismissals: mpsc::Receiver<(PublishRequest, oneshot::Sender<Refusal>)>,
    pub departures: mpsc::Receiver<Departure>,
    pub stop: CancellationToken,
    pub served: JoinHandle<()>,
}

impl House {
    pub async fn open(limits: Limits, tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>) -> Self {
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
    pub async fn items(&mut self) -> (Vec<FeedItem>, FeedEnd) {
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

pub async fn patiently<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes no minute")
}

/// A connected publisher of our own.
pub struct Pusher {
    pub socket: TcpStream,
    pub publisher: Publisher,
}

impl Pusher {
    pub async fn connect(address: SocketAddr, name: &str) -> Self {
        let target = Target { app: "live".into(), tc_url: format!("rtmp://{address}/live"), name: name.into() };
        let socket = TcpStream::connect(address).await.expect("a listener");
        Self { socket, publisher: Publisher::new(target).expect("a publisher") }
    }

    /// Sends and reads until `done`, or gives why it can't go on.
    pub async fn until(&mut self, done: impl Fn(&Publisher) -> bool) -> Result<(), String> {
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

    pub async fn publishing(address: SocketAddr) -> Self {
        let mut pusher = Self::connect(address, "KEY").await;
        pusher.until(Publisher::is_publishing).await.expect("admitted");
        pusher
    }

    /// One audio frame, enough for a feed.
    pub async fn sound(&mut self) {
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

pub async fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a listener")
}

/// Time until the server closes, sending `byte` now and then meanwhile.
pub async fn until_closed(socket: &mut TcpStream, byte: Option<u8>) -> Duration {
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

/// A self-made certificate for `name`, as a listener takes it.
pub fn certificate(name: &str) -> Arc<rustls::ServerConfig> {
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

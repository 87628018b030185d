//! Targets that are as bad as can be, and one that is good and tells what it got.

use rtmp::{Event, ServerSession};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A port where nobody listens.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Takes connections and says `words`, or nothing.
pub async fn babbler(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(words).await.unwrap();
            open.push(socket);
        }
    });
    address
}

/// What a good server saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub connections: usize,
    /// Stamps of pictures and sound, of all connections.
    pub stamps: Vec<(u8, u32)>,
    pub goodbyes: usize,
    /// Bytes of pings that were taken from it.
    pub asked_bytes: usize,
}

/// How a server of ours behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes all.
    Good,
    /// It lets the publisher in and then reads no more.
    Deaf,
    /// The same, and it asks for an answer as fast as it can.
    Asks,
    /// It refuses with this code and these words.
    Refuses(&'static str, &'static str),
    /// It closes when it is shown the key.
    Closes,
}

/// An RTMP server of ours.
pub async fn server(manner: Manner) -> (SocketAddr, Arc<Mutex<Seen>>) {
    let socket = TcpSocket::new_v4().unwrap();
    // The less the kernel takes for a server that does not read, the sooner that shows.
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Seen::default())));
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            told.lock().unwrap().connections += 1;
            tokio::spawn(serve(socket, manner, Arc::clone(&told)));
        }
    });
    (address, seen)
}

async fn serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, manner: Manner, seen: Arc<Mutex<Seen>>) {
    let mut session = ServerSession::new();
    let mut read = vec![0; 64 << 10];
    loop {
        let Ok(count @ 1..) = socket.read(&mut read).await else { return };
        if session.input(&read[..count]).is_err() {
            return;
        }
        let (mut deaf, mut closes) = (false, false);
        while let Some(event) = session.next_event() {
            match event {
                Event::PublishRequested(_) => match manner {
                    Manner::Good => session.accept_publish().unwrap(),
                    Manner::Deaf | Manner::Asks => {
                        session.accept_publish().unwrap();
                        deaf = true;
                    }
                    Manner::Refuses(code, words) => {
                        session.refuse(code, words);
                        closes = true;
                    }
                    Manner::Closes => return,
                },
                Event::Video { timestamp, .. } => seen.lock().unwrap().stamps.push((9, timestamp)),
                Event::Audio { timestamp, .. } => seen.lock().unwrap().stamps.push((8, timestamp)),
                Event::Unpublished => seen.lock().unwrap().goodbyes += 1,
                _ => {}
            }
        }
        if socket.write_all(&session.take_output()).await.is_err() || closes {
            return;
        }
        if deaf && manner == Manner::Asks {
            return ask(socket, &seen).await;
        }
        if deaf {
            std::future::pending::<()>().await;
        }
    }
}

/// Pings for as long as they are taken.
async fn ask(mut socket: impl AsyncWrite + Unpin, seen: &Mutex<Seen>) {
    // User control messages of type 6 (Adobe RTMP 1.0, 7.1.7), each with a full chunk header.
    let pings = [0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0].repeat(1_000);
    while socket.write_all(&pings).await.is_ok() {
        seen.lock().unwrap().asked_bytes += pings.len();
    }
}

/// A TLS terminator in front of `inside`, whose certificate is made out to `name`; the certificate to trust.
pub async fn terminator(name: &str, inside: SocketAddr) -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(inside).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (address, certificate)
}

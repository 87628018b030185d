//! A connection to a target: name service, guard, TCP, TLS, and RTMP up to where media may be sent. Each step has its deadline.

use crate::fault::{Fault, words};
use crate::{Target, TargetUrl, guard};
use rtmp::client::{Publisher, PublisherEvent};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

/// Addresses of a host that are tried at most.
const ADDRESSES_MAX: usize = 8;
/// The next address is tried beside one that has not answered for so long (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// What may wait in the kernel unsent: a tenth of a second of 10 Mb/s. What is more waits in our queue, where it can be dropped.
const UNSENT_MAX: u32 = 128 << 10;
/// The kernel gives up a connection on which nothing was acknowledged for so long.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing is sent, as the publisher is away, is looked after so often.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Servers say little.
const READ_BYTES: usize = 4 << 10;

/// How long what may take.
#[derive(Debug, Clone)]
pub struct Timings {
    /// An answer of the name service.
    pub name: Duration,
    /// A TCP connection, to whichever of the addresses answers first.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// RTMP, from its first byte to the leave to send media.
    pub answer: Duration,
    /// A live target that takes no byte for so long has stalled.
    pub progress: Duration,
    /// For saying goodbye.
    pub goodbye: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            name: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            answer: Duration::from_secs(8),
            progress: Duration::from_secs(5),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// What holds for every target.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Copies may go to any address; see [`crate::guard`].
    pub allow_private: bool,
    /// Whom we trust; see [`tls_config`].
    pub tls: Arc<ClientConfig>,
    /// Deadlines.
    pub timings: Timings,
}

/// Trust in the authorities this system trusts, or in Mozilla's list where it has none, and in these certificates besides. Reads
/// the system's files, which blocks.
///
/// # Errors
/// When one of these certificates is none.
pub fn tls_config(extra: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // A file of the system's that can't be read leaves the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in extra {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Bytes both ways, in clear or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// An open connection.
pub(crate) struct Line {
    pub wire: Box<dyn Wire>,
    /// Both ends, for asking the kernel about it.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// How far a publisher is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The server took `connect`, and has not been told the key.
    Connected,
    /// Media may be sent.
    Started,
}

/// Connects to a target: to an address that was looked at after the name service gave it, and to no other.
pub(crate) async fn dial(target: &Target, settings: &Settings) -> Result<Line, Fault> {
    let (host, timings) = (target.url.host(), &settings.timings);
    let found = look_up(host, target.url.port(), timings.name).await?;
    let is_open = settings.allow_private || target.allow_private;
    let allowed = allowed(host, found, is_open)?;
    let socket = match timeout(timings.connect, race(allowed)).await {
        Ok(connected) => connected.map_err(|error| Fault::of_connect(&error, host))?,
        Err(_) => {
            return Err(Fault::ConnectTimeout { host: host.to_owned(), seconds: timings.connect.as_secs() });
        }
    };
    let ends = socket.local_addr().ok().zip(socket.peer_addr().ok());
    // An address of our own that is no private one: nothing was sent yet.
    if let Some((local, peer)) = ends
        && !is_open
        && local.ip() == peer.ip()
    {
        return Err(Fault::Blocked { host: host.to_owned(), address: peer.ip(), why: "this machine itself" });
    }
    // None of it is needed for the copy to be right.
    if let Err(error) = tune(&socket) {
        tracing::debug!(%error, host, "the connection's options stay as the system has them");
    }
    if !target.url.is_tls() {
        return Ok(Line { wire: Box::new(socket), ends });
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Fault::NoSuchHost(host.to_owned()))?;
    match timeout(timings.tls, TlsConnector::from(Arc::clone(&settings.tls)).connect(name, socket)).await {
        Ok(Ok(stream)) => Ok(Line { wire: Box::new(stream), ends }),
        Ok(Err(error)) => Err(Fault::of_tls(&error, host)),
        Err(_) => Err(Fault::Mute { host: host.to_owned(), step: "answer in TLS", seconds: timings.tls.as_secs() }),
    }
}

/// An address of this server that copies may not go to, and why; `None` when there is none, also when the name service gives no
/// answer now: each connection looks again.
pub async fn inside(url: &TargetUrl, settings: &Settings) -> Option<(IpAddr, &'static str)> {
    let found = look_up(url.host(), url.port(), settings.timings.name).await.ok()?;
    found.iter().find_map(|address| Some((address.ip(), guard::blocked(address.ip())?)))
}

/// Asks the name service anew: addresses of services change.
async fn look_up(host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, Fault> {
    let fault = |error: &io::Error| match error.to_string().contains("Temporary failure") {
        true => Fault::NameService(host.to_owned()),
        false => Fault::NoSuchHost(host.to_owned()),
    };
    match timeout(patience, lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(Fault::NameService(host.to_owned())),
    }
}

/// Those a copy may go to, both families by turns.
fn allowed(host: &str, found: Vec<SocketAddr>, is_open: bool) -> Result<Vec<SocketAddr>, Fault> {
    let blocked = |address: IpAddr| if is_open { None } else { guard::blocked(address) };
    let refused = found.iter().find_map(|address| Some((address.ip(), blocked(address.ip())?)));
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) = found
        .iter()
        .filter(|address| blocked(address.ip()).is_none())
        .copied()
        .partition(|address| address.is_ipv4() == found[0].is_ipv4());
    let mut by_turns = Vec::new();
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => break,
            (one, other) => by_turns.extend(one.into_iter().chain(other)),
        }
    }
    by_turns.truncate(ADDRESSES_MAX);
    match (by_turns.is_empty(), refused) {
        (false, _) => Ok(by_turns),
        (true, Some((address, why))) => Err(Fault::Blocked { host: host.to_owned(), address, why }),
        (true, None) => Err(Fault::NoSuchHost(host.to_owned())),
    }
}

/// The first of them that answers; each is given a moment before the next one is tried beside it.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut tries = JoinSet::new();
    let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(address) => _ = tries.spawn(TcpStream::connect(address)),
            None if tries.is_empty() => return Err(error),
            None => {}
        }
        tokio::select! {
            Some(tried) = tries.join_next() => match tried {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(failed)) => error = failed,
                Err(_) => {}
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3))
}

/// Speaks RTMP until the goal is reached.
pub(crate) async fn reach(
    wire: &mut dyn Wire,
    publisher: &mut Publisher,
    goal: Goal,
    target: &Target,
    patience: Duration,
) -> Result<(), Fault> {
    let host = target.url.host().to_owned();
    let deadline = Instant::now() + patience;
    let mut read = [0; READ_BYTES];
    loop {
        let taken = timeout_at(deadline, async {
            wire.write_all(&publisher.take_output()).await?;
            wire.flush().await?;
            wire.read(&mut read).await
        });
        let count = match taken.await {
            Err(_) => {
                let step = if publisher.has_shown_name() { "let the stream begin" } else { "answer in RTMP" };
                return Err(Fault::Mute { host, step, seconds: patience.as_secs() });
            }
            Ok(Ok(count)) if count > 0 => count,
            Ok(_) if publisher.has_shown_name() => return Err(Fault::ClosedAtKey),
            Ok(_) => return Err(Fault::ClosedEarly(host)),
        };
        publisher.input(&read[..count]).map_err(|error| Fault::of_rtmp(&error, &host, &target.key, None))?;
        while let Some(event) = publisher.next_event() {
            match event {
                PublisherEvent::Connected if goal == Goal::Connected => return Ok(()),
                PublisherEvent::Started => return Ok(()),
                PublisherEvent::Connected => {}
                PublisherEvent::Ended { code } => return Err(Fault::Rejected(words(&code, &target.key))),
            }
        }
    }
}

/// What `rtmp` wants to know of a target.
pub(crate) fn publisher(target: &Target) -> Result<Publisher, Fault> {
    let named = rtmp::client::Target {
        app: target.url.app().to_owned(),
        tc_url: target.url.to_string(),
        name: target.key.reveal().to_owned(),
    };
    Publisher::new(named).map_err(|error| Fault::of_rtmp(&error, target.url.host(), &target.key, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 1935)).collect()
    }

    #[test]
    fn families_are_tried_by_turns() {
        let all = allowed("h", found(&["2600::1", "2600::2", "8.8.8.8", "8.8.4.4"]), false).unwrap();
        assert_eq!(all, found(&["2600::1", "8.8.8.8", "2600::2", "8.8.4.4"]));
    }

    #[test]
    fn a_name_that_leads_inside_is_blocked_unless_it_may() {
        let inside = ["127.0.0.1", "fd00::1"];
        let Err(Fault::Blocked { address, why, .. }) = allowed("h", found(&inside), false) else { panic!("blocked") };
        assert_eq!((address.to_string().as_str(), why), ("127.0.0.1", "this machine itself"));
        assert_eq!(allowed("h", found(&inside), true).unwrap().len(), 2);
        assert_eq!(allowed("h", found(&["10.0.0.1", "8.8.8.8"]), false).unwrap(), found(&["8.8.8.8"]));
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_hold_up_the_others() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // The port of a socket that was closed refuses; TEST-NET-1 (RFC 5737) is silent or unreachable.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = race(vec![closed, "192.0.2.1:1935".parse().unwrap(), open]).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), open);
        assert_eq!(race(vec![closed]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

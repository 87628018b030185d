use crate::census::Census;
use crate::connection::{self, Visitor};
use crate::{Doors, Limits};
use gatehouse::{Acceptor, Refusals};
use metrics::counter;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Connections that ended before they published or asked to play, by cause.
pub(crate) static REFUSED: Refusals = Refusals::new("weir_ingest_refused_total");
/// A peer that acknowledges nothing for this long is gone (RELIABILITY A3).
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// The way in. One of it serves any number of listeners, which share its caps.
pub struct Ingest<D> {
    pub(crate) doors: D,
    pub(crate) limits: Limits,
    pub(crate) census: Arc<Census>,
}

impl<D: Doors> Ingest<D> {
    /// Spawns nothing; see [`Self::serve`].
    pub fn new(doors: D, limits: Limits) -> Self {
        let census = Arc::new(Census::new(&limits));
        Self { doors, limits, census }
    }

    /// Serves one listener until `stop`: RTMP, or RTMPS when `tls` is given, each connection with the configuration the
    /// channel holds when it arrives. On `stop` publishers are told and closed; returns when all have gone, at most
    /// [`Limits::goodbye`] later.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        stop: CancellationToken,
    ) {
        let mut visitors = JoinSet::new();
        let mut acceptor = Acceptor::new(listener, &REFUSED);
        let protocol = if tls.is_some() { "rtmps" } else { "rtmp" };
        loop {
            // accept and join_next are cancel safe.
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = visitors.join_next() => report(done),
                (socket, peer) = acceptor.accept() => {
                    counter!("weir_ingest_connections_total", "protocol" => protocol).increment(1);
                    self.welcome(&mut visitors, socket, peer, tls.as_ref(), &stop);
                }
            }
        }
        drop(acceptor);
        let farewell = async {
            while let Some(done) = visitors.join_next().await {
                report(done);
            }
        };
        if tokio::time::timeout(self.limits.goodbye, farewell).await.is_err() {
            tracing::warn!(protocol, left = visitors.len(), "publishers did not leave in time and were cut");
            visitors.shutdown().await;
        }
    }

    fn welcome(
        self: &Arc<Self>,
        visitors: &mut JoinSet<()>,
        socket: TcpStream,
        peer: SocketAddr,
        tls: Option<&watch::Receiver<Arc<ServerConfig>>>,
        stop: &CancellationToken,
    ) {
        let accepted = Instant::now();
        let ticket = match self.census.enter(peer.ip(), accepted.into_std()) {
            Ok(ticket) => ticket,
            Err(crowd) => return REFUSED.turn_away(crowd.label(), &peer, &crowd, accepted.into_std()),
        };
        let options = socket2::SockRef::from(&socket);
        if let Err(error) = socket.set_nodelay(true).and_then(|()| options.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)))
        {
            tracing::debug!(%peer, %error, "socket options refused");
        }
        let tls = tls.map(|config| Arc::clone(&config.borrow()));
        let visitor = Visitor { peer, ticket, stop: stop.clone(), accepted };
        let span = tracing::info_span!("publisher", %peer, tls = tls.is_some(), stream = tracing::field::Empty);
        let ingest = Arc::clone(self);
        let visit = async move {
            first_byte(&socket, &visitor, accepted + ingest.limits.handshake_deadline).await;
            connection::run(ingest, socket, tls, visitor).await;
        };
        visitors.spawn(visit.instrument(span));
    }
}

/// Returns once the peer has sent something, and lets the census know; else when the connection has to end, for a reason
/// that [`connection::run`] finds again and tells.
async fn first_byte(socket: &TcpStream, visitor: &Visitor, deadline: Instant) {
    let mut byte = [0];
    tokio::select! {
        // Not `readable()`, which may return although there is nothing.
        peeked = socket.peek(&mut byte) => if matches!(peeked, Ok(1..)) { visitor.ticket.spoke() },
        () = sleep_until(deadline) => {}
        () = visitor.ticket.must_leave() => {}
        () = visitor.stop.cancelled() => {}
    }
}

/// A panic in a connection is ours; it ended that connection alone.
fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        counter!("weir_ingest_panics_total").increment(1);
        tracing::error!(%error, "a publisher's task panicked");
    }
}

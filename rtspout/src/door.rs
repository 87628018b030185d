use crate::channel::{self, Broadcast, House, Listing};
use crate::seats::Seats;
use crate::{Doors, REFUSED, Settings, stranger};
use gatehouse::{Acceptor, Guesses};
use metrics::counter;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The way out over RTSP. One of it serves any number of listeners, which share its bounds.
#[derive(Debug)]
pub struct Rtsp {
    pub(crate) house: Arc<House>,
    pub(crate) readers: Seats,
    pub(crate) guesses: Guesses,
    strangers: Seats,
}

impl Rtsp {
    /// Spawns nothing; see [`Self::serve`]. `stop` ends it, and all workers.
    pub fn new(settings: Settings, stop: CancellationToken) -> Self {
        let limits = &settings.limits;
        let readers = Seats::new(limits.readers, limits.readers_per_address);
        let strangers = Seats::new(limits.strangers, limits.strangers_per_address);
        let guesses = Guesses::new(limits.failures_per_minute);
        Self { house: Arc::new(House { settings, stop, tasks: TaskTracker::new() }), readers, guesses, strangers }
    }

    /// What readers of a session of this stream get: the end it puts units into, and the one that readers find them by. `rungs` are
    /// the names of those that are encoded. Starts nothing; a worker starts with the first reader.
    pub fn broadcast(&self, stream: &str, rungs: &[&str]) -> (Broadcast, Listing) {
        channel::open(&self.house, stream, rungs)
    }

    /// How many readers there are now.
    pub fn readers(&self) -> usize {
        self.readers.taken()
    }

    /// Serves one listener until it is stopped: RTSP, or RTSPS when `tls` is given, each connection with the configuration the
    /// channel holds when it arrives. Returns when its connections and the workers are gone, some milliseconds later.
    pub async fn serve<D: Doors>(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        doors: Arc<D>,
    ) {
        let stop = &self.house.stop;
        let mut acceptor = Acceptor::new(listener, &REFUSED);
        let mut strangers = JoinSet::new();
        loop {
            // accept and join_next are cancel safe.
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = strangers.join_next() => report(done),
                (socket, peer) = acceptor.accept() => {
                    counter!("weir_rtsp_connections_total").increment(1);
                    let tls = tls.as_ref().map(|config| Arc::clone(&config.borrow()));
                    self.welcome(&mut strangers, socket, peer, tls, &doors);
                }
            }
        }
        drop(acceptor);
        strangers.shutdown().await;
        self.house.tasks.close();
        self.house.tasks.wait().await;
    }

    fn welcome<D: Doors>(
        self: &Arc<Self>,
        strangers: &mut JoinSet<()>,
        socket: TcpStream,
        peer: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        doors: &Arc<D>,
    ) {
        let accepted = Instant::now();
        let place = match self.strangers.take(peer.ip()) {
            Ok(place) => place,
            Err(full) => return REFUSED.turn_away(full.label(), &peer, &full, accepted.into_std()),
        };
        let stall = self.house.settings.limits.stall;
        let options = socket2::SockRef::from(&socket);
        // Who acknowledges nothing, or lets no byte in, for so long is gone: the kernel ends the connection, whoever has it.
        if let Err(error) = socket.set_nodelay(true).and_then(|()| options.set_tcp_user_timeout(Some(stall))) {
            tracing::debug!(%peer, %error, "socket options refused");
        }
        let span = tracing::info_span!(parent: None, "reader", %peer, tls = tls.is_some());
        let (rtsp, doors) = (Arc::clone(self), Arc::clone(doors));
        let visit = async move { stranger::attend(&rtsp, socket, (peer, place), tls, &*doors, accepted).await };
        strangers.spawn(visit.instrument(span));
    }
}

/// A panic in a connection is ours; it ended that connection alone.
fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        counter!("weir_rtsp_refused_total", "cause" => "panic").increment(1);
        tracing::error!(%error, "a reader's task panicked");
    }
}

//! The HTTP(S) server: what all its listeners share, and the accept loop of each.

use crate::connection::{self, Surroundings};
use crate::gate::{Gate, REFUSED, Refusal};
use crate::limits::Limits;
use axum::Router;
use gatehouse::Acceptor;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// The HTTP(S) server. One of it serves any number of listeners, which share its bounds.
pub struct Web {
    router: Router,
    limits: Arc<Limits>,
    gate: Arc<Gate>,
}

impl Web {
    /// A server of `router`. Spawns nothing; see [`Self::serve`].
    pub fn new(router: Router, limits: Limits) -> Web {
        let gate = Gate::new(&limits);
        // Fixing the (empty) state now spares axum doing it at each request.
        Web { router: router.with_state(()), limits: Arc::new(limits), gate }
    }

    /// Serves one listener until `stop`, then lets requests in flight finish for at most [`Limits::drain_deadline`] and
    /// returns. It never returns for any other reason.
    ///
    /// With `tls`, connections are encrypted with the newest configuration in the watch: a certificate put there applies
    /// to the next connection, open ones keep theirs. A configuration without protocol names offers `h2` and `http/1.1`.
    /// Without `tls`, HTTP/1.1 is spoken, and HTTP/2 to a peer that begins with its preface.
    ///
    /// Handlers find [`Peer`](crate::Peer) and axum's `ConnectInfo<SocketAddr>` in the request's extensions. Every bound
    /// in `limits` that turns something away counts it in `weir_http_refused_total{cause}` and is in the log once in ten
    /// seconds. An answer of 5xx that says nothing of caches is `no-store`.
    pub async fn serve(
        self: Arc<Web>,
        listener: TcpListener,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        stop: CancellationToken,
    ) {
        let (limits, gate) = (&self.limits, &self.gate);
        let mut acceptor = Acceptor::new(listener, &REFUSED);
        let mut certificate = tls.map(Certificate::new);
        let around = Arc::new(Surroundings {
            protocol: connection::protocol(limits),
            router: self.router.clone(),
            limits: Arc::clone(limits),
            gate: Arc::clone(gate),
            stop: stop.child_token(),
        });
        let mut connections = JoinSet::new();
        loop {
            // Cancel safe: accept and join_next lose nothing when another branch wins.
            let (stream, peer) = tokio::select! {
                accepted = acceptor.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                () = stop.cancelled() => break,
            };
            match gate.admit(peer.ip(), limits) {
                Ok(pass) => {
                    let config = certificate.as_mut().map(Certificate::current);
                    connections.spawn(connection::run(stream, peer, config, Arc::clone(&around), pass));
                }
                Err(refusal) => turn_away(&stream, peer, refusal, certificate.is_some()),
            }
        }
        drop(acceptor);
        let drained = timeout(limits.drain_deadline, async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::info!(connections = connections.len(), "connections dropped at the end of the drain");
            connections.shutdown().await;
        }
    }
}

/// The certificate for the next connection.
struct Certificate {
    source: watch::Receiver<Arc<ServerConfig>>,
    ready: Arc<ServerConfig>,
}

impl Certificate {
    fn new(mut source: watch::Receiver<Arc<ServerConfig>>) -> Certificate {
        let ready = with_protocols(&source.borrow_and_update());
        Certificate { source, ready }
    }

    fn current(&mut self) -> Arc<ServerConfig> {
        // An error means that no newer one can come; the last stays good.
        if self.source.has_changed().unwrap_or(false) {
            self.ready = with_protocols(&self.source.borrow_and_update());
        }
        Arc::clone(&self.ready)
    }
}

fn with_protocols(config: &Arc<ServerConfig>) -> Arc<ServerConfig> {
    if !config.alpn_protocols.is_empty() {
        return Arc::clone(config);
    }
    let mut config = ServerConfig::clone(config);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn turn_away(stream: &TcpStream, peer: SocketAddr, refusal: Refusal, tls: bool) {
    REFUSED.turn_away(refusal.cause(), &peer, &refusal, Instant::now().into_std());
    if !tls {
        let sorry = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\
            Retry-After: 1\r\nCache-Control: no-store\r\n\r\n";
        // Best effort: a fresh socket has room for it, and the peer is closed either way.
        let _ = stream.try_write(sorry);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        metrics::counter!("weir_http_refused_total", "cause" => "panic").increment(1);
        tracing::error!(%error, "a connection's task panicked");
    }
}

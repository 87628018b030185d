//! The accept loop of one HTTP(S) listener.

use crate::connection::{self, Surroundings};
use crate::gate::{Gate, Refusal};
use crate::limits::Limits;
use axum::Router;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The pause after an accept that failed for want of file descriptors or memory: doubled from the first to the second.
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_LAST: Duration = Duration::from_secs(1);

/// Serves `router` on `listener` until `stop`, then lets requests in flight finish for at most
/// [`Limits::drain_deadline`] and returns. It never returns for any other reason.
///
/// With `tls`, connections are encrypted with the newest configuration in the watch: a certificate put there applies
/// to the next connection, open ones keep theirs. A configuration without protocol names offers `h2` and `http/1.1`.
/// Without `tls`, HTTP/1.1 is spoken, and HTTP/2 to a peer that begins with its preface.
///
/// Handlers find [`Peer`](crate::Peer) and axum's `ConnectInfo<SocketAddr>` in the request's extensions. Every bound
/// in `limits` that turns something away counts it in `weir_http_refused_total{cause}`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let limits = Arc::new(limits);
    let gate = Gate::new(&limits);
    let mut certificate = tls.map(Certificate::new);
    let around = Arc::new(Surroundings {
        protocol: connection::protocol(&limits),
        // Fixing the (empty) state now spares axum doing it at each request.
        router: router.with_state(()),
        limits: Arc::clone(&limits),
        stop: stop.child_token(),
    });
    let mut connections = JoinSet::new();
    let mut back_off = BACK_OFF_FIRST;
    loop {
        // Cancel safe: accept and join_next lose nothing when another branch wins.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                back_off = BACK_OFF_FIRST;
                match gate.admit(peer.ip(), &limits) {
                    Ok(pass) => {
                        let config = certificate.as_mut().map(Certificate::current);
                        connections.spawn(connection::run(stream, peer, config, Arc::clone(&around), pass));
                    }
                    Err(refusal) => turn_away(&stream, peer, refusal, certificate.is_some()),
                }
            }
            Err(error) if exhausted(&error) => {
                metrics::counter!("weir_http_refused_total", "cause" => "accept").increment(1);
                tracing::warn!(%error, pause_ms = back_off.as_millis() as u64, "cannot accept connections");
                tokio::select! {
                    () = sleep(back_off) => {}
                    () = stop.cancelled() => break,
                }
                back_off = (back_off * 2).min(BACK_OFF_LAST);
            }
            // The peer was gone before we looked: not worth a word.
            Err(_) => {}
        }
    }
    drop(listener);
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
    let cause = match refusal {
        Refusal::Full => "connections_max",
        Refusal::Address => "address_max",
    };
    metrics::counter!("weir_http_refused_total", "cause" => cause).increment(1);
    tracing::debug!(%peer, cause, "connection turned away");
    if !tls {
        let sorry = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\
            Retry-After: 1\r\nCache-Control: no-store\r\n\r\n";
        // Best effort: a fresh socket has room for it, and the peer is closed either way.
        let _ = stream.try_write(sorry);
    }
}

/// Whether accepting failed because this process or machine ran out of something, so that trying at once would spin.
fn exhausted(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted | WouldBlock)
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        metrics::counter!("weir_http_refused_total", "cause" => "panic").increment(1);
        tracing::error!(%error, "a connection's task panicked");
    }
}

//! The life of one accepted connection.

use crate::activity::{Activity, Verdict};
use crate::front::Front;
use crate::gate::{Gate, Pass, REFUSED};
use crate::limits::Limits;
use crate::paced::Paced;
use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use socket2::SockRef;
use std::error::Error;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The largest request head, in bytes, for HTTP/1.1 and HTTP/2 alike. The HTTP/1.1 buffer is bounded by it too.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Requests one HTTP/2 connection may have open: two dozen would do for a player, a proxy multiplexes more viewers.
const STREAMS_MAX: u32 = 128;
/// Streams reset before we answered them; beyond it the connection is closed (CVE-2023-44487, "rapid reset").
const PENDING_RESETS_MAX: usize = 20;
/// Streams we had to reset for the peer's protocol errors; beyond it the connection is closed (CVE-2025-8671).
const LOCAL_RESETS_MAX: usize = 128;
/// What a peer may send ahead on one stream and on the whole connection. Requests are small.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// How much of a response HTTP/2 takes ahead of the peer's window.
const STREAM_BUFFER_BYTES: usize = 64 * 1024;
/// HTTP/2 pings, so that a peer that vanished is noticed although nothing is due to it.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_DEADLINE: Duration = Duration::from_secs(10);

/// How connections of one listener speak HTTP.
pub(crate) fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_deadline).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_DEADLINE);
    builder
}

/// Everything a connection needs of its server and listener.
pub(crate) struct Surroundings {
    pub(crate) protocol: Builder<TokioExecutor>,
    pub(crate) router: Router,
    pub(crate) limits: Arc<Limits>,
    pub(crate) gate: Arc<Gate>,
    /// Ask connections to finish what they are doing.
    pub(crate) stop: CancellationToken,
}

/// Serves a connection to its end; every way it can end is the peer's affair, so there is nothing to return.
pub(crate) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    around: Arc<Surroundings>,
    pass: Pass,
) {
    let limits = &around.limits;
    // Both are refinements; a kernel that refuses them serves all the same.
    let _ = stream.set_nodelay(true);
    // What is on its way may grow with the distance; a bound of the whole buffer would hold far viewers to its size a round trip.
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(limits.unsent_bytes_max);
    let activity = Activity::new();
    let paced = Paced::new(stream, peer, limits.progress_deadline, Arc::clone(&activity));
    match tls {
        None => speak(paced, peer, false, activity, &around).await,
        Some(config) => match timeout(limits.handshake_deadline, TlsAcceptor::from(config).accept(paced)).await {
            // Boxed so that plain connections do not carry the size of a TLS session in their task.
            Ok(Ok(stream)) => {
                activity.forget_heard();
                Box::pin(speak(stream, peer, true, activity, &around)).await;
            }
            Ok(Err(error)) => refuse("tls_handshake", peer, &error),
            Err(_) => refuse("tls_deadline", peer, &"the TLS handshake took too long"),
        },
    }
    drop(pass);
}

fn refuse(cause: &'static str, peer: SocketAddr, reason: &dyn Display) {
    REFUSED.turn_away(cause, &peer, reason, Instant::now().into_std());
}

/// The end of a connection that the HTTP layer found wrong or too slow; peers that just leave are not worth a word.
fn account(error: &(dyn Error + 'static), peer: SocketAddr, activity: &Activity) {
    match error.downcast_ref::<hyper::Error>() {
        Some(error) if error.is_timeout() && activity.is_dripping() => {
            refuse("header_deadline", peer, &"its request head was not complete in time");
        }
        // 431 was answered by the HTTP layer itself.
        Some(error) if error.is_parse_too_large() => refuse("headers", peer, error),
        Some(error) if error.is_parse() => refuse("malformed", peer, error),
        _ => tracing::trace!(%peer, error, "connection ended"),
    }
}

async fn speak<S>(stream: S, peer: SocketAddr, tls: bool, activity: Arc<Activity>, around: &Surroundings)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &around.limits;
    let front = Front {
        router: around.router.clone(),
        activity: Arc::clone(&activity),
        limits: Arc::clone(limits),
        gate: Arc::clone(&around.gate),
        socket: peer,
        tls,
    };
    let service = service_fn(move |request| front.clone().answer(request));
    let mut connection = pin!(around.protocol.serve_connection(TokioIo::new(stream), service));
    let mut alarm = pin!(sleep_until(Instant::now() + limits.header_deadline));
    let mut closing = false;
    // All branches are cancel safe: the connection is polled by reference and keeps its state.
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    // Once it is asked to close, what was wrong with it is counted already.
                    if closing {
                        tracing::trace!(%peer, error, "connection ended");
                    } else {
                        account(&*error, peer, &activity);
                    }
                }
                return;
            }
            () = alarm.as_mut() => {
                if closing {
                    return;
                }
                match activity.verdict(limits.header_deadline, limits.idle_max, limits.progress_deadline) {
                    Verdict::Fine(time) => alarm.as_mut().reset(Instant::now() + time),
                    Verdict::Idle => {
                        if activity.is_dripping() {
                            refuse("header_deadline", peer, &"its request head was not complete in time");
                        }
                        closing = true;
                        connection.as_mut().graceful_shutdown();
                        alarm.as_mut().reset(Instant::now() + limits.drain_deadline);
                    }
                    Verdict::Stalled => {
                        refuse("stalled", peer, &"it took none of its bytes");
                        return;
                    }
                }
            }
            () = around.stop.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
                alarm.as_mut().reset(Instant::now() + limits.drain_deadline);
            }
        }
    }
}

//! The way out over RTSP, as far as it is ours: the door, the first requests of a connection, and the worker that serves the rest.
//!
//! What it does: [`Rtsp::serve`] accepts connections, reads requests until one names a stream, asks the roof ([`Doors`]) whether
//! it may be played, and hands the connected socket, with what was read of it, to the stream's worker (`weir worker rtsp`, one for
//! each stream or rung that somebody reads), which `gst-rtsp-server` serves it in. A session puts its units into a [`Broadcast`].
//! What it does not: it knows no streams, users or tokens and decides about nobody; it packs no RTP, and no byte of a
//! reader's goes further here than the first requests, which are bounded and read by `request.rs`. RTSPS is ended here, so that
//! no worker holds a key: its bytes are passed on over a connection of this machine with itself.
//!
//! Whoever puts units in never waits. A worker that is late loses whole groups of pictures, and so does a reader inside it; one
//! that dies takes its readers with it, who may come again.
//!
//! ```no_run
//! use rtspout::{Doors, Limits, Listing, PlayRequest, Refusal, Rtsp, Settings, Tuner};
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//!
//! struct Open(Listing);
//! impl Doors for Open {
//!     async fn play(&self, request: PlayRequest) -> Result<Tuner, Refusal> {
//!         self.0.tuner(request.rung.as_deref()).ok_or_else(Refusal::not_live)
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let rtsp = Arc::new(Rtsp::new(Settings::new(Limits::default()), CancellationToken::new()));
//! let (broadcast, listing) = rtsp.broadcast("show", &["720p"]); // the session's task: broadcast.unit(&unit)
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8554").await?;
//! rtsp.serve(listener, None, Arc::new(Open(listing))).await;
//! # drop(broadcast); Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod channel;
mod door;
mod relay;
mod request;
mod seats;
mod stranger;
mod worker;

pub use channel::{Broadcast, Listing, Tuner};
pub use door::Rtsp;
pub use request::Credentials;

use gatehouse::Refusals;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Connections that were turned away, by cause.
pub(crate) static REFUSED: Refusals = Refusals::new("weir_rtsp_refused_total");

/// What this room asks of the roof.
pub trait Doors: Send + Sync + 'static {
    /// Finds what is asked for, and says whether this viewer may have it. Called once per request with the reader waiting; an
    /// answer that takes longer than what is left of [`Limits::deadline`] counts as a refusal.
    ///
    /// # Errors
    /// A [`Refusal`] is the answer to the request.
    fn play(&self, request: PlayRequest) -> impl Future<Output = Result<Tuner, Refusal>> + Send;
}

/// A connection that asks for a stream. `Debug` hides what lets it in.
#[derive(Debug)]
pub struct PlayRequest {
    /// The stream's name, as it stands in the URL: at most 200 of `A-Z a-z 0-9 - _ . ~ =`.
    pub stream: String,
    /// The rung's name, when it is not the source that is asked for.
    pub rung: Option<String>,
    /// What lets it in, if it showed anything.
    pub pass: Option<Pass>,
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// It came over RTSPS.
    pub tls: bool,
}

/// What a reader shows to be let in. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pass {
    /// A token in the path: `/p/TOKEN/NAME`.
    Token(String),
    /// A name and a password (RFC 7617).
    Password(Credentials),
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass(redacted)")
    }
}

/// The no to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// RTSP status code, RFC 2326, 7.1.1.
    pub status: u16,
    /// One English sentence that names cause and cure; it stands where most programs show it, behind the code. No secrets.
    pub text: String,
    /// A bounded label for counters.
    pub cause: &'static str,
}

impl Refusal {
    /// A refusal of this status.
    pub fn new(status: u16, cause: &'static str, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), cause }
    }

    /// The one answer to what is not there, is not live, and must not be known of.
    pub fn not_live() -> Self {
        let text =
            "No stream of that name is live here; check the name and the rung, or play it again when it has begun";
        Self::new(404, "not_live", text)
    }

    /// The server stops.
    pub fn stopping() -> Self {
        Self::new(503, "stopping", "The server is shutting down; play the stream again in a minute")
    }

    /// A name and a password, or a token, are needed; whatever was shown was not good.
    pub fn who_are_you() -> Self {
        let text = "A user and password, or a link with a token, is needed here";
        Self::new(401, "credentials", text)
    }
}

/// Every bound of the way out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Readers altogether.
    pub readers: usize,
    /// Readers of one IPv4 address or IPv6 /64; this machine itself, where a proxy may stand, is not counted so.
    pub readers_per_address: usize,
    /// Connections that were let in nowhere yet, altogether.
    pub strangers: usize,
    /// The same of one address.
    pub strangers_per_address: usize,
    /// From accept to the request that names a stream, TLS included; absolute.
    pub deadline: Duration,
    /// Passwords and tokens of one address that fail in a minute before each further one is answered late.
    pub failures_per_minute: u32,
    /// How late.
    pub tarpit: Duration,
    /// A reader that takes no byte, or acknowledges none, for this long is closed.
    pub stall: Duration,
    /// A worker without readers is ended after this long.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 200,
            readers_per_address: 20,
            strangers: 256,
            strangers_per_address: 20,
            deadline: Duration::from_secs(10),
            failures_per_minute: 10,
            tarpit: Duration::from_secs(1),
            stall: Duration::from_secs(10),
            idle: Duration::from_secs(10),
        }
    }
}

/// How it is served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See there.
    pub limits: Limits,
    /// Readers may have UDP, for which workers must be able to send datagrams.
    pub udp: bool,
    /// The program that is started as `EXE worker rtsp`.
    pub exe: PathBuf,
    /// What a worker is to stay below, bytes.
    pub memory_max: u64,
}

impl Settings {
    /// With UDP, workers of this very program, and 512 MiB for each of them.
    pub fn new(limits: Limits) -> Self {
        Self { limits, udp: true, exe: "/proc/self/exe".into(), memory_max: 512 << 20 }
    }
}

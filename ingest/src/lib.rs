//! The way in: accepts RTMP and RTMPS publishers, and turns each into a [`media::Feed`]. Players come to the same door; who may
//! play is the roof's to say, and what it is sent is another room's work.
//!
//! What it does: the listening loops, deadlines and caps, TLS, the run loop around [`rtmp::ServerSession`], refusals in
//! words an encoder shows, and the timestamp rules of a session (DESIGN 8.1). What it does not: it knows no keys, no
//! streams and no playlists. Whoever wires the house (the roof) implements [`Doors`] and decides who may publish.
//! A publisher never waits for a reader: units go into a bounded ring. This crate writes no file, and parses no bytes
//! of strangers that `rtmp` or `media` have not bounded first.
//!
//! ```no_run
//! use ingest::{Admission, Doors, Ingest, Limits, PlayRequest, PublishRequest, Refusal, Usher};
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//!
//! struct Open;
//! impl Doors for Open {
//!     async fn admit(&self, request: PublishRequest) -> Result<Admission, Refusal> {
//!         if request.name != "secret" {
//!             return Err(Refusal::bad_key());
//!         }
//!         let (_dismiss, dismissal) = tokio::sync::oneshot::channel();
//!         let id = ingest::session::PublisherId(1);
//!         Ok(Admission { stream: "demo".into(), id, dismissal, sink: Box::new(|reader| drop(reader)) })
//!     }
//!
//!     fn left(&self, _: &str, _: ingest::session::PublisherId, _: ingest::session::Departure) {}
//!
//!     async fn play(&self, _: PlayRequest) -> Result<Usher, Refusal> {
//!         Err(Refusal::new("NetStream.Play.StreamNotFound", "Nothing is played here; open the watch page."))
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let ingest = Arc::new(Ingest::new(Open, Limits::default()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:1935").await?;
//! ingest.serve(listener, None, CancellationToken::new()).await;
//! # Ok(()) }
//! ```

mod census;
mod connection;
mod door;
pub mod health;
mod intake;
mod limits;
mod normaliser;
mod opus;
mod pacer;
mod play;
pub mod session;
mod silence;
mod stranger;
mod tally;

pub use door::Ingest;
pub use intake::{Intake, MediaFault};
pub use limits::Limits;
pub use normaliser::{ClockFault, Normaliser, Placed};
pub use play::{PlayRequest, PlayerLine, Stream, Usher};
pub use tally::Tally;

use media::FeedReader;
use session::{Departure, PublisherId};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;

/// What ingest asks of the roof.
pub trait Doors: Send + Sync + 'static {
    /// Decides about one publish request. Called once per request, with the publisher waiting; an answer that takes
    /// longer than what is left of [`Limits::publish_deadline`] counts as a refusal. May wait for a database.
    ///
    /// A good key must be admitted at once, also when another connection holds the stream: the roof then sends that
    /// one its dismissal (DESIGN decision 3).
    ///
    /// # Errors
    /// A [`Refusal`] goes to the encoder as `onStatus` before the connection closes.
    fn admit(&self, request: PublishRequest) -> impl Future<Output = Result<Admission, Refusal>> + Send;

    /// An admitted publisher is gone, or is being closed. Called exactly once for each [`Admission`], on the connection's
    /// task, also when that panics: it must not block.
    fn left(&self, stream: &str, id: PublisherId, how: Departure);

    /// Decides about one play request. Called once per request, with the player waiting, under the deadline of
    /// [`Doors::admit`]. The connection of who may play is the [`Usher`]'s.
    ///
    /// # Errors
    /// A [`Refusal`] goes to the player as `onStatus` before the connection closes. It is the roof's to count.
    fn play(&self, request: PlayRequest) -> impl Future<Output = Result<Usher, Refusal>> + Send;

    /// How long the network takes to an admitted publisher and back. Told every few seconds on the connection's task, where the
    /// kernel knows it: it must not block. Ignored unless the roof wants it.
    fn round_trip(&self, _stream: &str, _id: PublisherId, _taken: Duration) {}
}

impl<D: Doors> Doors for std::sync::Arc<D> {
    fn admit(&self, request: PublishRequest) -> impl Future<Output = Result<Admission, Refusal>> + Send {
        D::admit(self, request)
    }

    fn left(&self, stream: &str, id: PublisherId, how: Departure) {
        D::left(self, stream, id, how);
    }

    fn play(&self, request: PlayRequest) -> impl Future<Output = Result<Usher, Refusal>> + Send {
        D::play(self, request)
    }

    fn round_trip(&self, stream: &str, id: PublisherId, taken: Duration) {
        D::round_trip(self, stream, id, taken);
    }
}

/// A connection that asks to publish. `Debug` hides the name and the query, as they hold the key.
pub struct PublishRequest {
    /// The application part of the URL, such as `live`, without slashes around it and without a query.
    pub app: String,
    /// The stream-name field exactly as received, up to the first `?`. Often the key itself. At most 1,024 bytes.
    pub name: String,
    /// What follows the `?` in the stream name, or, when that is empty, in the application; without the `?`.
    pub query: String,
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// It came over RTMPS.
    pub tls: bool,
    /// What the encoder calls itself (`flashVer`), at most 128 characters.
    pub encoder: Option<String>,
}

impl std::fmt::Debug for PublishRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishRequest")
            .field("app", &self.app)
            .field("name", &"…")
            .field("peer", &self.peer)
            .field("tls", &self.tls)
            .field("encoder", &self.encoder)
            .finish_non_exhaustive()
    }
}

/// Takes the reader of a publisher's feed.
pub type Sink = Box<dyn FnOnce(FeedReader) + Send>;

/// The roof's yes.
pub struct Admission {
    /// The public name of the stream.
    pub stream: String,
    /// The number of this admission, for [`Doors::left`].
    pub id: PublisherId,
    /// Sending a [`Refusal`] here closes the connection with it as `onStatus` (operator stop, takeover). Dropping the
    /// sender without a word changes nothing. It is heeded at once, also while the socket takes no bytes.
    pub dismissal: oneshot::Receiver<Refusal>,
    /// Called once, when the first unit is in the feed, with a reader that starts at the oldest item (metadata first).
    /// Never called when no usable media comes. Runs on the connection's task: it must not block.
    ///
    /// The feed ends as `Finished` when the publisher said goodbye or was dismissed, else as `Lost`.
    pub sink: Sink,
}

/// The roof's no, or the end of a publisher by the server's will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// RTMP status code, such as `NetStream.Publish.BadName`.
    pub code: &'static str,
    /// One English sentence that names cause and cure. No secrets.
    pub text: String,
    /// It counts into the failed-key budget of the address ([`Limits::failed_keys_per_minute`]).
    pub is_failed_key: bool,
}

impl Refusal {
    /// A refusal that has nothing to do with the key.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), is_failed_key: false }
    }

    /// The one answer to an unknown, a revoked and a wrong key, so that nobody learns which it was.
    pub fn bad_key() -> Self {
        let text = "The stream key is not valid here; copy it again from the server (weir stream list shows the names, weir stream rotate-key makes a new key).";
        Self { code: "NetStream.Publish.BadName", text: text.to_owned(), is_failed_key: true }
    }
}

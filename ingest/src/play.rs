//! A player at the door: what it asks for, and its connection on the way to whoever sends it media.

use rtmp::ServerSession;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// A connection that asks to play. `Debug` hides the name and the query: people paste keys into players too.
pub struct PlayRequest {
    /// The application part of the URL, such as `live`, without slashes around it and without a query.
    pub app: String,
    /// The stream-name field up to the first `?`. At most 1,024 bytes.
    pub name: String,
    /// What follows the `?` in the stream name, or, when that is empty, in the application; without the `?`.
    pub query: String,
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// It came over RTMPS.
    pub tls: bool,
}

impl std::fmt::Debug for PlayRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlayRequest")
            .field("app", &self.app)
            .field("peer", &self.peer)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A TCP or TLS stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection of a player that may play. Its session waits for [`ServerSession::accept_play`].
pub struct PlayerLine {
    /// The socket, its handshakes done.
    pub stream: Box<dyn Stream>,
    /// What was said on it so far.
    pub session: ServerSession,
    /// The server is going down: the player is to be told and closed within [`crate::Limits::goodbye`].
    pub stop: CancellationToken,
}

/// Takes a player's connection and sends it media until it is over. Runs as a task of its own, which ends with the connection's.
pub type Usher = Box<dyn FnOnce(PlayerLine) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

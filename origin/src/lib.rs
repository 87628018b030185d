//! The HTTP(S) server and the HLS origin: a room on floor 2.
//!
//! [`Web`] runs the listeners with the deadlines and bounds a server on the open internet needs; [`router`] answers
//! everything under `/live/` from the windows of live sessions, [`vod_router`] everything under `/vod/` from recordings. The roof
//! merges its API and pages into these.
//!
//! This crate makes no media and renders no playlist (the packager does), keeps no state per viewer, writes no file and
//! makes no outgoing connection. A live body is always a reference to bytes that all viewers share; a recorded one is read from its
//! file block by block.
//!
//! ```no_run
//! # use std::sync::Arc;
//! struct OneStream(Arc<packager::Window>);
//!
//! impl origin::Catalog for OneStream {
//!     fn window(&self, stream: &str) -> Option<Arc<packager::Window>> {
//!         (stream == "demo").then(|| Arc::clone(&self.0))
//!     }
//!     fn admits(&self, _stream: &str, _ticket: Option<&str>) -> bool {
//!         true
//!     }
//!     fn thumb(&self, _stream: &str) -> Option<bytes::Bytes> {
//!         None
//!     }
//! }
//!
//! # async fn run(window: Arc<packager::Window>) -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let router = origin::router(Arc::new(OneStream(window)));
//! let stop = tokio_util::sync::CancellationToken::new();
//! Arc::new(origin::Web::new(router, origin::Limits::default())).serve(listener, None, stop).await;
//! # Ok(()) }
//! ```

mod activity;
mod audience;
mod cache;
mod connection;
mod directives;
mod edge;
mod encoding;
mod front;
mod gate;
mod limits;
mod live;
mod meter;
mod paced;
mod parts;
mod path;
mod range;
mod reply;
mod serve;
mod vod;

pub use audience::Audience;
pub use front::Peer;
pub use limits::{Limits, Network, NotANetwork};
pub use serve::Web;
pub use vod::{Asked, Cues, Download, Found, Layout, Library, Listing, Piece, Stored, What, vod_router};

use bytes::Bytes;
use packager::Window;
use std::sync::Arc;
use std::time::Duration;

/// Where the origin finds what is live; the roof implements it. Called on every request: it must neither block nor wait.
pub trait Catalog: Send + Sync + 'static {
    /// The window of a stream's newest session, running or just ended. `None`: the stream is not live (404).
    fn window(&self, stream: &str) -> Option<Arc<Window>>;

    /// The window of one session of the stream, by [`Window::session`]. Older sessions may be kept for late viewers.
    fn session(&self, stream: &str, session: &str) -> Option<Arc<Window>> {
        self.window(stream).filter(|window| window.session() == session)
    }

    /// Whether somebody may watch the stream now: who shows this ticket, which stood in the path (1 to 64 of `A-Z`, `a-z`, `0-9`, `-`,
    /// `_`), or none. Asked for every request before anything else is; who may not gets what a stream that is not live answers.
    fn admits(&self, stream: &str, ticket: Option<&str>) -> bool;

    /// How long a ticket that was shown still lasts, so that caches keep nothing for longer.
    fn lasts(&self, _ticket: &str) -> Duration {
        Duration::MAX
    }

    /// The newest thumbnail as JPEG.
    fn thumb(&self, stream: &str) -> Option<Bytes>;

    /// Where viewers are counted; `None`: nowhere.
    fn audience(&self) -> Option<&Audience> {
        None
    }
}

/// The routes under `/live/` and `/p/TICKET/live/`, for GET, HEAD and OPTIONS. Install the process's metrics recorder before the call.
///
/// | path | is |
/// | --- | --- |
/// | `/live/NAME/index.m3u8`, `hevc.m3u8`, `ts.m3u8` | multivariant playlists |
/// | `/live/NAME/thumb.jpg` | the newest thumbnail |
/// | `/live/NAME/SESSION/RENDITION.m3u8`, `RENDITION.ts.m3u8` | media playlists, with blocking reload |
/// | `/live/NAME/SESSION/RENDITION/…` | `init-GEN.mp4`, `MSN.m4s`, `MSN.PART.m4s`, `MSN.ts`; after a restart of the server with its boot epoch in front: `EPOCH-MSN.m4s` |
/// | `/p/TICKET/live/…` | all of this of a stream that not everybody may watch; addresses in playlists are relative, so the ticket stays |
///
/// A request is judged when it comes ([`Catalog::admits`]). One that is held is answered as it was judged, 7.5 s later at most.
pub fn router<C: Catalog>(catalog: Arc<C>) -> axum::Router {
    let live = live::Live::new(catalog);
    axum::Router::new().route_service("/live/{*asset}", live.clone()).route_service("/p/{ticket}/live/{*asset}", live)
}

//! The kit of the journeys: starts the real server, pushes to it with real encoders, looks at what comes out with other
//! programs' eyes (ffmpeg, ffprobe, curl, Chromium).
//!
//! It is not a library of the product: it imports no house crate, so that a journey knows Weir only from outside, by
//! command line and URL. Everything listens on loopback and a free port, everything written lies in a temporary folder,
//! and every process is ended by its own id.
//!
//! ```no_run
//! use tests::{Clip, Publisher, Server, eventually};
//! let server = Server::start();
//! let stream = server.add_stream("show");
//! let _publisher = Publisher::push(&Clip::default(), &server.publish_url(&stream));
//! eventually("the stream is listed", || server.get("/live/show/index.m3u8").ok());
//! ```
//!
//! The server's program is looked for beside the running test (`target/debug/weir`), which `make test` has built before;
//! `WEIR_TEST_EXE` names another one.

mod audience;
mod clip;
mod connection;
pub mod flv;
mod follower;
pub mod hls;
mod http;
pub mod look;
mod nginx;
mod player;
mod process;
mod proxy;
mod publisher;
pub mod push;
mod rabble;
mod recording;
mod server;
mod wait;

pub use audience::{Audience, Watched};
pub use clip::{AudioKind, Clip, VideoKind};
pub use connection::Connection;
pub use follower::{Follower, Seen};
pub use http::{Response, get, request};
pub use nginx::RtmpServer;
pub use player::Player;
pub use process::{Process, children_of, modern_ffmpeg, run, run_ok, target_dir, tool, workspace_dir};
pub use proxy::Proxy;
pub use publisher::Publisher;
pub use rabble::{Deed, Rabble};
pub use recording::Recording;
pub use server::{Server, Stream, weir_exe};
pub use wait::{eventually, eventually_within, holds_for};

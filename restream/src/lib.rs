//! The way out: copies of a live stream for YouTube, Twitch and any other RTMP(S) server.
//!
//! Each [`Target`] is served by an [`Outlet`] of its own: a task that reads the session's [`media::Feed`], connects, publishes,
//! and connects again for as long as the session lasts. What a target is too slow for is dropped in whole groups of pictures
//! and counted. Nothing waits for a target: a feed never waits for its readers, and this crate holds no lock and no queue that
//! anybody else uses.
//!
//! What it does not: it decides nothing about who may add a target and keeps none (the roof does, in the store), encodes
//! nothing, opens no listener and no file but the system's certificates, and never writes or logs a key. An address is
//! looked at behind each answer of the name service, and the connection is made to the very address that was looked at
//! ([`guard`]).
//!
//! The parts that decide are pure and take bytes and `now`: the queue, the pauses, the guard, the copyist, the faults. [`Outlet`]
//! is their run loop.
//!
//! ```
//! use restream::{Target, TargetKey, TargetUrl};
//! let url = TargetUrl::parse("rtmps://a.rtmps.youtube.com/live2")?;
//! assert_eq!((url.host(), url.port(), url.is_tls()), ("a.rtmps.youtube.com", 443, true));
//! let target = Target::new(url, TargetKey::parse("abcd-efgh")?);
//! assert!(!format!("{target:?}").contains("abcd"));
//! # Ok::<(), restream::BadTarget>(())
//! ```
#![forbid(unsafe_code)]

mod advice;
mod backoff;
mod check;
mod copyist;
mod fault;
pub mod guard;
mod interleave;
mod line;
mod meter;
mod outlet;
mod preset;
mod queue;
mod run;
mod silence;
mod status;
mod target;

pub use advice::Advice;
pub use check::{Checked, check};
pub use copyist::Source;
pub use fault::{Fault, TlsFault};
pub use interleave::Interleaver;
pub use line::{Settings, Timings, inside, tls_config};
pub use outlet::Outlet;
pub use preset::{PRESETS, Preset, Rules, preset};
pub use status::{State, Status};
pub use target::{BadTarget, Target, TargetKey, TargetUrl};

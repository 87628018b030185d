//! Journeys: what a streamer, a viewer and an operator do, done with the real server, real encoders and real players.
//!
//! Each starts its own server on free ports with its own data, so any of them runs alone:
//! `cargo build --bin weir && cargo test -p tests --test journeys NAME`.

mod browser;
mod capacity;
mod chapters;
mod clocks;
mod copies;
mod database;
mod exports;
mod faults;
mod health;
mod imports;
mod keys;
mod life;
mod monitoring;
mod playout;
mod private;
mod publish;
mod recordings;
mod replays;
mod rtsp;
mod rtsp_bounds;
mod serving;
mod sessions;
mod slate;
mod sources;
mod strangers;
mod vaulted;

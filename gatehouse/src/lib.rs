//! What every door needs, whatever is spoken behind it: how connections are accepted, who counts as one neighbour, how often one
//! may guess, and how those who are turned away are counted and logged. And what both ways of a connection ask for: how long its network takes
//! there and back, and how long whoever was turned away waits before the next try.
//!
//! It speaks no protocol, knows no stream and decides about nobody; `ingest` and `origin` do, each by its own limits. It
//! is a crate of its own because both need the very same and may not import each other.
//!
//! ```
//! use gatehouse::{Neighbourhood, Refusals};
//! use std::time::Instant;
//!
//! static REFUSED: Refusals = Refusals::new("weir_example_refused_total");
//!
//! let peer: std::net::SocketAddr = "[2001:db8::7]:50000".parse().unwrap();
//! assert_eq!(Neighbourhood::from(peer.ip()).to_string(), "2001:db8::/64");
//! REFUSED.turn_away("address_cap", &peer, &"it holds 20 connections already", Instant::now());
//! ```
#![forbid(unsafe_code)]

mod acceptor;
mod backoff;
mod guesses;
mod neighbourhood;
mod refusals;
mod round_trip;

pub use acceptor::Acceptor;
pub use backoff::Backoff;
pub use guesses::Guesses;
pub use neighbourhood::Neighbourhood;
pub use refusals::Refusals;
pub use round_trip::round_trip;

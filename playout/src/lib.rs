//! The way out over RTMP: passes a stream's units on to players as they come, from one copy for all of them.
//!
//! What it does: one [`Broadcast`] per session packs each unit once and holds the newest of them in a bounded ring, so that a
//! player begins at the last keyframe; a [`Seat`] is a player's right to be there, and [`Seat::play`] its connection from the yes
//! to the end. What it does not: it accepts no connection (players come to the door of `ingest`), knows no streams and
//! decides about nobody. Whoever wires the house (the roof) finds the [`Tuner`] of a stream and says who may play.
//!
//! Whoever gives units never waits for a player. A player that falls behind the ring loses whole groups of pictures, counted,
//! and goes on at the newest keyframe; one that takes nothing for [`Limits::stall`] is closed.
//!
//! ```
//! use playout::{Limits, Playout};
//!
//! let playout = Playout::new(Limits::default());
//! let broadcast = playout.broadcast(); // the session's task gives it units: broadcast.push(&unit)
//! let tuner = broadcast.tuner();       // for who looks a stream up: playout.seat(address)?.play(…, &tuner.tune(), …)
//! assert_eq!((tuner.players(), playout.players()), (0, 0));
//! # assert!(playout.seat([192, 0, 2, 1].into()).is_ok());
//! ```
#![forbid(unsafe_code)]

mod batch;
mod broadcast;
mod line;
mod player;
mod ring;
mod row;
mod seats;

pub use broadcast::{Broadcast, Tuned, Tuner};
pub use seats::{Full, Playout, Seat};

use gatehouse::Refusals;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Players that were turned away, by cause. The roof refuses; it counts here.
pub static REFUSED: Refusals = Refusals::new("weir_playout_refused_total");

/// Every bound of the way out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Players altogether.
    pub players: usize,
    /// Players of one IPv4 address or IPv6 /64; this machine itself, where a proxy may stand, is not counted so.
    pub players_per_address: usize,
    /// A player that takes no byte for this long while some wait for it is closed.
    pub stall: Duration,
    /// How much of a stream is held for players: they begin at the newest keyframe in it and may be so far behind. Longer than
    /// the 8.3 s between keyframes that OBS sends by default.
    pub span: Duration,
    /// Payload bytes held of a stream for the same reason. They are the publisher's own, not a copy.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            players: 1000,
            players_per_address: 50,
            stall: Duration::from_secs(10),
            span: Duration::from_secs(12),
            bytes: 32 << 20,
        }
    }
}

/// Every section under a lock here is short and is never held across an await. A panic can't leave more than one step of one player
/// or one unit half done, and ends its connection or session; so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Who may publish a stream, and whether its session goes on: the state machine above the connections.
//!
//! A session is one live run of a stream and outlives its connections (DESIGN decision 3). The [`Keeper`] of a stream is
//! told what happens (a publisher knocks, sends media, falls silent, leaves; an operator stops the stream; time passes)
//! and answers with [`Decision`]s. It opens no socket, starts no task and reads no clock: whoever holds it passes `now`,
//! which must not go back, and carries the decisions out. It never looks at media.
//!
//! ```
//! use ingest::session::{Begun, Caller, Departure, Keeper, PublisherId, Rules, State};
//! use std::time::{Duration, Instant};
//!
//! let (mut keeper, now) = (Keeper::new(), Instant::now());
//! let caller = |id| Caller { id: PublisherId(id), peer: [127, 0, 0, 1].into(), encoder: None, gives_way: false };
//! keeper.knock(caller(1), Rules::default(), now).expect("nobody else is there");
//! assert_eq!(keeper.begin(PublisherId(1), now), Begun::New);
//! keeper.left(PublisherId(1), Departure::Lost, now);
//! assert_eq!(keeper.state(), State::Reconnecting);
//! let back = now + Duration::from_secs(20);
//! keeper.knock(caller(2), Rules::default(), back).expect("the window is open");
//! assert_eq!(keeper.begin(PublisherId(2), back), Begun::Joined);
//! ```

mod keeper;
mod reason;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;

pub use keeper::Keeper;
pub use reason::Reason;

use std::net::IpAddr;
use std::time::Duration;

/// The longest reconnect window that can be set.
pub const WINDOW_MAX: Duration = Duration::from_secs(300);

/// One admitted connection; never the same for two of them in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId(pub u64);

/// Where a stream's session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No session: nobody is connected, or nobody's media has come yet.
    Waiting,
    /// Media comes.
    Live,
    /// The publisher is connected and has sent no media for more than 6 s (RELIABILITY A3).
    Stalled,
    /// The session goes on without a publisher, or with one whose media has not come yet, until its window closes.
    Reconnecting,
    /// The session is over, and nobody has knocked since.
    Ended,
}

/// What becomes of a healthy publisher when another one presents a good key (RELIABILITY A5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takeover {
    /// The newest takes over.
    #[default]
    Newest,
    /// The newest is refused, unless the one that is live has been silent for more than 2 s, or both have the same
    /// address and call themselves by the same name (RELIABILITY A4).
    Reject,
}

/// A stream's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a session waits for a publisher that vanished, 0 to [`WINDOW_MAX`]; with 0 it ends at once.
    pub window: Duration,
    /// The same for one that said goodbye; never longer than `window`.
    pub goodbye: Duration,
    /// Who wins.
    pub takeover: Takeover,
}

impl Default for Rules {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), goodbye: Duration::from_secs(3), takeover: Takeover::Newest }
    }
}

/// Someone with a good key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its connection.
    pub id: PublisherId,
    /// Where it comes from.
    pub peer: IpAddr,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
    /// It only fills the stream (the built-in test card, a replay): it gives way to everyone else, replaces nobody, and its
    /// session ends with it.
    pub gives_way: bool,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The publisher said that the stream is over, as OBS does on Stop.
    Goodbye,
    /// It went away without a word, or was closed for a fault that it may mend.
    Lost,
    /// The server is going down: there is nothing to wait for.
    Closing,
}

/// What the first media of a publisher means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// A session begins.
    New,
    /// The session that is there goes on.
    Joined,
    /// Another publisher has the stream by now; this one is being closed and its media is nobody's.
    Late,
}

/// What whoever holds the keeper must do now, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Close this connection, telling it why.
    Dismiss(PublisherId, Reason),
    /// End the session: nothing more will come.
    End,
}

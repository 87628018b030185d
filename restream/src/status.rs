use crate::{Advice, Fault};
use std::time::{Duration, Instant};

/// What an outlet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// There is nothing to send now.
    #[default]
    Idle,
    /// It looks the server up, connects, and is let in.
    Connecting,
    /// The copy is sent.
    Live,
    /// It failed and waits for the next try.
    Retrying,
    /// It was refused and tries again; somebody has to change something.
    Refused,
    /// Nobody wants it now.
    Paused,
}

impl State {
    /// As it is shown and counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Refused => "refused",
            Self::Paused => "paused",
        }
    }
}

/// How an outlet does.
#[derive(Debug, Clone)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Bytes the server took on all connections of this session.
    pub sent_bytes: u64,
    /// Bits a second it takes now, the mean of five seconds; 0 while it is not live.
    pub bitrate_bps: u64,
    /// Pictures and frames of sound it was too slow for.
    pub dropped_units: u64,
    /// How often that was.
    pub drops: u64,
    /// Connections on which it was live.
    pub connects: u64,
    /// How long its network takes there and back.
    pub round_trip: Option<Duration>,
    /// When the next try is due, while it waits for one.
    pub next_try: Option<Instant>,
    /// What went wrong last, and when; gone when it was live for ten seconds after it.
    pub fault: Option<(Fault, Instant)>,
    /// What should be known of the source.
    pub advice: Vec<Advice>,
}

impl Status {
    /// Of an outlet that has done nothing yet.
    pub fn new(state: State, now: Instant) -> Self {
        Self {
            state,
            since: now,
            sent_bytes: 0,
            bitrate_bps: 0,
            dropped_units: 0,
            drops: 0,
            connects: 0,
            round_trip: None,
            next_try: None,
            fault: None,
            advice: Vec::new(),
        }
    }

    /// It does something else from now on.
    pub(crate) fn enter(&mut self, state: State, now: Instant) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
        self.next_try = None;
        if state != State::Live {
            (self.bitrate_bps, self.round_trip) = (0, None);
        }
    }
}

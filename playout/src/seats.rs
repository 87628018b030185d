use crate::player;
use crate::{Broadcast, Limits, Tuned, lock};
use gatehouse::Neighbourhood;
use rtmp::ServerSession;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// The way out: how many players there are and may be.
#[derive(Debug)]
pub struct Playout {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

/// Seats that are taken. The lock is held for a look into the map.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Neighbourhood, usize>,
}

/// A player's right to be there; dropping it gives the seat back.
#[derive(Debug)]
pub struct Seat {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
    from: Neighbourhood,
}

/// Why there is no seat. The sentences are for the player's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The address has its share.
    #[error(
        "{most} players are connected from your address, and no more may be; close one of them, or raise playout.players_per_address_max"
    )]
    Address {
        /// How many that is.
        most: usize,
    },
    /// The server has all it may have.
    #[error("{most} players are connected, and no more may be; try again later, or raise playout.players_max")]
    Everyone {
        /// How many that is.
        most: usize,
    },
}

impl Full {
    /// A bounded label for counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::Address { .. } => "address_cap",
            Self::Everyone { .. } => "global_cap",
        }
    }
}

impl Playout {
    /// A way out with nobody in it.
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// What the players of one session will get.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(&self.limits)
    }

    /// How many players there are now.
    pub fn players(&self) -> usize {
        lock(&self.taken).all
    }

    /// A seat for a player that may have one.
    ///
    /// # Errors
    /// When all are taken.
    pub fn seat(&self, peer: IpAddr) -> Result<Seat, Full> {
        let from = Neighbourhood::from(peer);
        let mut taken = lock(&self.taken);
        if taken.all >= self.limits.players {
            return Err(Full::Everyone { most: self.limits.players });
        }
        let own = taken.by_address.get(&from).copied().unwrap_or(0);
        if own >= self.limits.players_per_address && !from.is_loopback() {
            return Err(Full::Address { most: self.limits.players_per_address });
        }
        taken.all += 1;
        taken.by_address.insert(from, own + 1);
        Ok(Seat { limits: self.limits.clone(), taken: Arc::clone(&self.taken), from })
    }
}

impl Seat {
    /// Says yes to the play request of `session`, sends what is broadcast until one side ends it, and says goodbye. Runs as the
    /// connection's task; the socket is closed when it returns. What is logged of it stands in `span`, which is not entered for each
    /// step, as that would cost half of what a write does.
    pub async fn play<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        self,
        stream: S,
        session: ServerSession,
        tuned: &Tuned,
        stop: CancellationToken,
        span: &tracing::Span,
    ) {
        player::run((stream, session), tuned, &self.limits, stop, span).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(own) = taken.by_address.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout() -> Playout {
        Playout::new(Limits { players: 4, players_per_address: 2, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_has_few_seats_and_gives_them_back() {
        let playout = playout();
        let seats = ["192.0.2.1", "::ffff:192.0.2.1"].map(|peer| playout.seat(ip(peer)).expect("a seat"));
        assert_eq!(playout.seat(ip("192.0.2.1")).expect_err("full"), Full::Address { most: 2 });
        assert!(playout.seat(ip("192.0.2.2")).is_ok());
        drop(seats);
        assert!(playout.seat(ip("192.0.2.1")).is_ok());
        assert!(playout.players() == 0 && lock(&playout.taken).by_address.is_empty(), "nothing is remembered");
    }

    #[test]
    fn this_machine_is_only_bound_by_the_whole() {
        let playout = playout();
        let _seats: Vec<_> = (0..4).map(|_| playout.seat(ip("127.0.0.1")).expect("a seat")).collect();
        assert_eq!(playout.seat(ip("192.0.2.1")).expect_err("full"), Full::Everyone { most: 4 });
    }
}

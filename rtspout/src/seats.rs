use gatehouse::Neighbourhood;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places, in all and by address. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    all: usize,
    per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Neighbourhood, usize>,
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat {
    taken: Arc<Mutex<Taken>>,
    from: Neighbourhood,
}

/// Why there is no place, as a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("{0} connections came from that address, and no more may be")]
    Address(usize),
    #[error("{0} connections are here, and no more may be")]
    Everyone(usize),
}

impl Full {
    /// A bounded label for counters.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Address(_) => "address_cap",
            Self::Everyone(_) => "global_cap",
        }
    }
}

impl Seats {
    pub(crate) fn new(all: usize, per_address: usize) -> Self {
        Self { all, per_address, taken: Arc::default() }
    }

    /// A place for a connection of this address. This machine itself is bound by the whole alone.
    pub(crate) fn take(&self, peer: IpAddr) -> Result<Seat, Full> {
        let from = Neighbourhood::from(peer);
        let mut taken = lock(&self.taken);
        if taken.all >= self.all {
            return Err(Full::Everyone(self.all));
        }
        let own = taken.by_address.get(&from).copied().unwrap_or(0);
        if own >= self.per_address && !from.is_loopback() {
            return Err(Full::Address(self.per_address));
        }
        taken.all += 1;
        taken.by_address.insert(from, own + 1);
        Ok(Seat { taken: Arc::clone(&self.taken), from })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.taken).all
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

/// A panic can't leave these short sections half done, so poison is ignored.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_are_given_back() {
        let (seats, ip) = (Seats::new(4, 2), |text: &str| text.parse::<IpAddr>().expect("an address"));
        let held = ["192.0.2.1", "::ffff:192.0.2.1"].map(|peer| seats.take(ip(peer)).expect("a place"));
        assert_eq!(seats.take(ip("192.0.2.1")).expect_err("full"), Full::Address(2));
        drop(held);
        let held: Vec<_> = (0..4).map(|_| seats.take(ip("127.0.0.1")).expect("a place")).collect();
        assert_eq!(seats.take(ip("192.0.2.2")).expect_err("full"), Full::Everyone(4));
        drop(held);
        assert!(seats.taken() == 0 && lock(&seats.taken).by_address.is_empty(), "nothing is remembered");
    }
}

//! Who may come in: the count of open connections, in all and by address.

use crate::limits::{Limits, Neighbourhood};
use metrics::Gauge;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The counts of one listener.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    per_address_max: usize,
    shown: Gauge,
    // Held for a handful of instructions, never across an await. Entries go when their count does, so the map is never
    // larger than the number of open connections.
    open: Mutex<HashMap<Neighbourhood, usize>>,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The listener is full.
    Full,
    /// The peer's address has its share already.
    Address,
}

/// One open connection; gives its place back when dropped.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    counted: Option<Neighbourhood>,
    _place: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Arc<Gate> {
        Arc::new(Gate {
            places: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
            per_address_max: limits.connections_per_address_max,
            shown: metrics::gauge!("weir_http_connections"),
            open: Mutex::default(),
        })
    }

    /// Takes a place for a connection from `address`, or says why there is none. Never waits.
    pub(crate) fn admit(self: &Arc<Gate>, address: IpAddr, limits: &Limits) -> Result<Pass, Refusal> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Full)?;
        let counted = limits.counts(address).then(|| Neighbourhood::from(address));
        if let Some(neighbourhood) = counted {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(neighbourhood).or_default();
            if *count >= self.per_address_max {
                return Err(Refusal::Address);
            }
            *count += 1;
        }
        self.shown.increment(1.0);
        Ok(Pass { gate: Arc::clone(self), counted, _place: place })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.shown.decrement(1.0);
        let Some(neighbourhood) = self.counted else { return };
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&neighbourhood) {
            *count -= 1;
            if *count == 0 {
                open.remove(&neighbourhood);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gets_its_share_and_no_more() {
        let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
        let gate = Gate::new(&limits);
        let admit = |text| gate.admit(address(text), &limits);
        let first = admit("203.0.113.1").ok();
        let _second = admit("203.0.113.1").ok();
        assert_eq!(admit("203.0.113.1").err(), Some(Refusal::Address));
        assert!(admit("203.0.113.2").is_ok());
        drop(first);
        assert!(admit("203.0.113.1").is_ok());
    }

    #[test]
    fn loopback_and_trusted_proxies_are_free_of_the_share() {
        let trusted_proxies = vec!["198.51.100.0/24".parse().unwrap()];
        let limits = Limits { connections_per_address_max: 0, trusted_proxies, ..Limits::default() };
        let gate = Gate::new(&limits);
        assert!(gate.admit(address("127.0.0.1"), &limits).is_ok());
        assert!(gate.admit(address("::1"), &limits).is_ok());
        assert!(gate.admit(address("198.51.100.7"), &limits).is_ok());
        assert_eq!(gate.admit(address("203.0.113.1"), &limits).err(), Some(Refusal::Address));
        let strict = Limits { loopback_counts: true, ..limits.clone() };
        assert_eq!(gate.admit(address("127.0.0.1"), &strict).err(), Some(Refusal::Address));
    }

    #[test]
    fn a_full_house_is_full_for_everyone_and_forgets_who_left() {
        let limits = Limits { connections_max: 1, ..Limits::default() };
        let gate = Gate::new(&limits);
        let pass = gate.admit(address("203.0.113.1"), &limits).ok();
        assert_eq!(gate.admit(address("127.0.0.1"), &limits).err(), Some(Refusal::Full));
        drop(pass);
        assert!(gate.open.lock().unwrap().is_empty());
        assert!(gate.admit(address("127.0.0.1"), &limits).is_ok());
    }
}

//! Who may come in: the count of open connections, in all and by address, over all listeners.

use crate::limits::Limits;
use gatehouse::{Neighbourhood, Refusals};
use metrics::Gauge;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whom the listeners turned away, by cause.
pub(crate) static REFUSED: Refusals = Refusals::new("weir_http_refused_total");

/// The last places of a full house are for this machine itself and for trusted proxies: a flood must lock out neither the
/// operator nor the viewers behind a CDN.
const KEPT_PLACES: usize = 50;

/// The counts of one server.
pub(crate) struct Gate {
    places: usize,
    places_for_strangers: usize,
    per_address_max: usize,
    shown: Gauge,
    // Held for a handful of instructions, never across an await.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connections: usize,
    // Entries go when their count does, so the map is never larger than the number of open connections and requests.
    by_neighbourhood: HashMap<Neighbourhood, usize>,
}

/// Why a connection or a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The server is full.
    #[error("as many connections are open as may be")]
    Full,
    /// The peer's address has its share already.
    #[error("its address has as many connections as it may")]
    Address,
}

impl Refusal {
    /// A bounded label for counters.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Refusal::Full => "connections_max",
            Refusal::Address => "address_max",
        }
    }
}

/// One open connection; gives its place back when dropped.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    _share: Option<Share>,
}

/// What one address has of its neighbourhood's share: a connection, or a request through a trusted proxy.
pub(crate) struct Share {
    gate: Arc<Gate>,
    neighbourhood: Neighbourhood,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Arc<Gate> {
        let places = limits.connections_max;
        Arc::new(Gate {
            places,
            places_for_strangers: places - KEPT_PLACES.min(places / 4),
            per_address_max: limits.connections_per_address_max,
            shown: metrics::gauge!("weir_http_connections"),
            open: Mutex::default(),
        })
    }

    /// Takes a place for a connection from `address`, or says why there is none. Never waits.
    pub(crate) fn admit(self: &Arc<Gate>, address: IpAddr, limits: &Limits) -> Result<Pass, Refusal> {
        let mut open = self.open();
        let is_stranger = limits.counts(address);
        if open.connections >= if is_stranger { self.places_for_strangers } else { self.places } {
            return Err(Refusal::Full);
        }
        let share = is_stranger.then(|| self.take_share(&mut open, address)).transpose()?;
        open.connections += 1;
        self.shown.increment(1.0);
        Ok(Pass { gate: Arc::clone(self), _share: share })
    }

    /// Counts a request of a viewer who came through a trusted proxy as a connection of that viewer's address; `None` for
    /// addresses that do not count. Never waits.
    pub(crate) fn request(self: &Arc<Gate>, viewer: IpAddr, limits: &Limits) -> Result<Option<Share>, Refusal> {
        limits.counts(viewer).then(|| self.take_share(&mut self.open(), viewer)).transpose()
    }

    fn take_share(self: &Arc<Gate>, open: &mut Open, address: IpAddr) -> Result<Share, Refusal> {
        let neighbourhood = Neighbourhood::from(address);
        let count = open.by_neighbourhood.entry(neighbourhood).or_default();
        if *count >= self.per_address_max {
            return Err(Refusal::Address);
        }
        *count += 1;
        Ok(Share { gate: Arc::clone(self), neighbourhood })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.shown.decrement(1.0);
        self.gate.open().connections -= 1;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        if let Some(count) = open.by_neighbourhood.get_mut(&self.neighbourhood) {
            *count -= 1;
            if *count == 0 {
                open.by_neighbourhood.remove(&self.neighbourhood);
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
        assert!(gate.open().by_neighbourhood.is_empty());
        assert!(gate.admit(address("127.0.0.1"), &limits).is_ok());
    }

    #[test]
    fn the_last_places_are_for_this_machine_and_trusted_proxies() {
        let trusted_proxies = vec!["198.51.100.7".parse().unwrap()];
        let limits = Limits { connections_max: 8, trusted_proxies, ..Limits::default() };
        let gate = Gate::new(&limits);
        let admit = |text: &str| gate.admit(address(text), &limits);
        let strangers: Vec<_> = (0..20).filter_map(|n| admit(&format!("203.0.113.{n}")).ok()).collect();
        assert_eq!(strangers.len(), 6);
        let _own = [admit("127.0.0.1").ok().unwrap(), admit("198.51.100.7").ok().unwrap()];
        assert_eq!(admit("127.0.0.1").err(), Some(Refusal::Full));
    }

    #[test]
    fn requests_through_a_proxy_count_for_their_viewer() {
        let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
        let gate = Gate::new(&limits);
        let ask = |text: &str| gate.request(address(text), &limits);
        let first = ask("2001:db8::1").unwrap();
        let _connection = gate.admit(address("2001:db8::2"), &limits).ok().unwrap();
        assert_eq!(ask("2001:db8::3").err(), Some(Refusal::Address));
        assert!(ask("2001:db8:0:1::3").is_ok_and(|share| share.is_some()));
        drop(first);
        assert!(ask("2001:db8::3").is_ok());
        assert!(ask("127.0.0.1").is_ok_and(|share| share.is_none()));
    }
}

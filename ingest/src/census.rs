use crate::Limits;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Addresses remembered; beyond, those without open connections are forgotten.
const ADDRESSES_MAX: usize = 8192;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// Who is at the door: unauthenticated connections and failed keys, by IPv4 address or IPv6 /64.
#[derive(Debug)]
pub(crate) struct Census {
    per_address: u32,
    per_loopback: u32,
    total: u32,
    failures_max: u32,
    /// Held for a few map operations, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    unauthenticated: u32,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    unauthenticated: u32,
    failures: u32,
    failing_since: Option<Instant>,
}

/// One unauthenticated connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    census: Arc<Census>,
    prefix: IpAddr,
}

/// Why a connection is turned away at accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowd {
    Address,
    Everyone,
}

impl Census {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            per_address: limits.unauthenticated_per_address,
            per_loopback: limits.unauthenticated_per_loopback,
            total: limits.unauthenticated_total,
            failures_max: limits.failed_keys_per_minute,
            state: Mutex::default(),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Ticket, Crowd> {
        let prefix = prefix(peer);
        let limit = if prefix.is_loopback() { self.per_loopback } else { self.per_address };
        let mut state = self.state();
        if state.unauthenticated >= self.total {
            return Err(Crowd::Everyone);
        }
        let address = state.address(prefix);
        if address.unauthenticated >= limit {
            return Err(Crowd::Address);
        }
        address.unauthenticated += 1;
        state.unauthenticated += 1;
        Ok(Ticket { census: Arc::clone(self), prefix })
    }

    /// Counts a failed key; true when the budget of the address is used up and the answer shall be late.
    pub(crate) fn failed_key(&self, peer: IpAddr, now: Instant) -> bool {
        let mut state = self.state();
        let address = state.address(prefix(peer));
        if address.failing_since.is_none_or(|since| now.duration_since(since) >= FAILURE_WINDOW) {
            address.failing_since = Some(now);
            address.failures = 0;
        }
        address.failures = address.failures.saturating_add(1);
        address.failures > self.failures_max
    }

    /// A panic can't leave a half-made change that matters more than a wrong count, so poison is ignored.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn address(&mut self, prefix: IpAddr) -> &mut Address {
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&prefix) {
            self.addresses.retain(|_, a| a.unauthenticated > 0);
        }
        self.addresses.entry(prefix).or_default()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.census.state();
        state.unauthenticated -= 1;
        if let Some(address) = state.addresses.get_mut(&self.prefix) {
            address.unauthenticated -= 1;
            if address.unauthenticated == 0 && address.failing_since.is_none() {
                state.addresses.remove(&self.prefix);
            }
        }
    }
}

/// What counts as one peer: an IPv4 address (mapped ones too), or a /64, which one household or one server holds.
fn prefix(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census() -> Arc<Census> {
        let limits = Limits {
            unauthenticated_per_address: 2,
            unauthenticated_per_loopback: 3,
            unauthenticated_total: 5,
            ..Limits::default()
        };
        Arc::new(Census::new(&limits))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_holds_few_places() {
        let census = census();
        let held: Vec<_> = ["192.0.2.1", "::ffff:192.0.2.1"].map(|a| census.enter(ip(a)).expect("a place")).into();
        assert_eq!(census.enter(ip("192.0.2.1")).expect_err("full"), Crowd::Address);
        drop(held);
        assert!(census.enter(ip("192.0.2.1")).is_ok());
        assert!(census.state().addresses.is_empty(), "nothing is remembered of a peer that left in peace");
    }

    #[test]
    fn a_slash_64_is_one_address_and_loopback_has_its_own_limit() {
        let census = census();
        let _held = [census.enter(ip("2001:db8::1")), census.enter(ip("2001:db8::2"))];
        assert_eq!(census.enter(ip("2001:db8::3")).expect_err("full"), Crowd::Address);
        let _local = [census.enter(ip("127.0.0.1")), census.enter(ip("127.0.0.1")), census.enter(ip("127.0.0.1"))];
        assert_eq!(census.enter(ip("192.0.2.9")).expect_err("full"), Crowd::Everyone);
    }

    #[test]
    fn failed_keys_use_up_a_budget_per_minute() {
        let census = census();
        let now = Instant::now();
        let late = |at: Duration| census.failed_key(ip("192.0.2.1"), now + at);
        assert!((0..10).all(|_| !late(Duration::ZERO)));
        assert!(late(Duration::from_secs(59)));
        assert!(!census.failed_key(ip("192.0.2.2"), now));
        assert!(!late(Duration::from_secs(61)));
    }
}

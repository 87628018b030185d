use crate::Limits;
use gatehouse::{Guesses, Neighbourhood};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A connection that sends keeps its place for this long whoever comes: five round trips of a slow uplink, enough to show a
/// key.
const GRACE: Duration = Duration::from_secs(1);

/// Who is at the door: unauthenticated connections and failed keys, by IPv4 address or IPv6 /64.
///
/// Places are few, and holding them all costs a stranger nothing. So a full neighbourhood does not shut out the next one
/// of it. Who was refused already (and only waits in the tarpit) gives way, else who has been there longest without
/// showing a key, once its grace is over, else who has been there longest without sending a byte: a publisher speaks
/// first, and as soon as it is connected. Beside guessers and floods of silent connections a publisher thus gets in.
#[derive(Debug)]
pub(crate) struct Census {
    per_address: usize,
    per_loopback: usize,
    total: usize,
    guesses: Guesses,
    /// Held for one pass over the places, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In order of arrival.
    places: BTreeMap<u64, Place>,
    arrivals: u64,
}

#[derive(Debug)]
struct Place {
    from: Neighbourhood,
    since: Instant,
    has_spoken: bool,
    is_refused: bool,
    give_way: CancellationToken,
}

/// The place of one unauthenticated connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Ticket {
    census: Arc<Census>,
    number: u64,
    give_way: CancellationToken,
}

/// Why a connection is turned away at accept: every place is held by somebody who sends and is in grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowd {
    #[error("its address holds as many connections without a key as it may")]
    Address,
    #[error("the server holds as many connections without a key as it may")]
    Everyone,
}

impl Crowd {
    /// A bounded label for counters.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Address => "address_cap",
            Self::Everyone => "global_cap",
        }
    }
}

impl Census {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            per_address: limits.unauthenticated_per_address as usize,
            per_loopback: limits.unauthenticated_per_loopback as usize,
            total: limits.unauthenticated_total as usize,
            guesses: Guesses::new(limits.failed_keys_per_minute),
            state: Mutex::default(),
        }
    }

    /// A place for a connection that was just accepted, if need be that of another one, whose
    /// [`Ticket::must_leave`] then ends.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Result<Ticket, Crowd> {
        let from = Neighbourhood::from(peer);
        let limit = if from.is_loopback() { self.per_loopback } else { self.per_address };
        let mut state = self.state();
        if state.places.values().filter(|place| place.from == from).count() >= limit {
            state.make_room(now, |place| place.from == from).ok_or(Crowd::Address)?;
        } else if state.places.len() >= self.total {
            state.make_room(now, |_| true).ok_or(Crowd::Everyone)?;
        }
        let (number, give_way) = (state.arrivals, CancellationToken::new());
        state.arrivals += 1;
        let place = Place { from, since: now, has_spoken: false, is_refused: false, give_way: give_way.clone() };
        state.places.insert(number, place);
        Ok(Ticket { census: Arc::clone(self), number, give_way })
    }

    /// Counts a failed key; true when the budget of the neighbourhood is used up and the answer shall be late.
    pub(crate) fn failed_key(&self, peer: IpAddr, now: Instant) -> bool {
        self.guesses.failed(peer, now)
    }

    /// A panic can't leave a half-made change that matters more than a wrong count, so poison is ignored.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a place from whoever of `those` has the least claim to it, of equals the longest; `None` when all have one.
    fn make_room(&mut self, now: Instant, those: impl Fn(&Place) -> bool) -> Option<()> {
        let fit = self.places.iter().filter(|(_, place)| those(place));
        let (_, number) = fit.filter_map(|(number, place)| Some((place.claim(now)?, *number))).min()?;
        self.places.remove(&number)?.give_way.cancel();
        Some(())
    }
}

/// What is said for leaving a connection its place, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Refused,
    Lingers,
    Mute,
}

impl Place {
    /// `None` when nobody may take it.
    fn claim(&self, now: Instant) -> Option<Claim> {
        let has_lingered = now.saturating_duration_since(self.since) >= GRACE;
        if self.is_refused {
            Some(Claim::Refused)
        } else if has_lingered {
            Some(Claim::Lingers)
        } else if self.has_spoken {
            None
        } else {
            Some(Claim::Mute)
        }
    }
}

impl Ticket {
    /// The connection has sent its first byte: it keeps its place for its grace.
    pub(crate) fn spoke(&self) {
        if let Some(place) = self.census.state().places.get_mut(&self.number) {
            place.has_spoken = true;
        }
    }

    /// The connection was refused: from now on any other is worth more than it.
    pub(crate) fn refused(&self) {
        if let Some(place) = self.census.state().places.get_mut(&self.number) {
            place.is_refused = true;
        }
    }

    /// Ends when another connection took the place.
    pub(crate) async fn must_leave(&self) {
        self.give_way.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.census.state().places.remove(&self.number);
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

    /// One that has sent its first byte.
    fn speaking(census: &Arc<Census>, address: &str, now: Instant) -> Result<Ticket, Crowd> {
        census.enter(ip(address), now).inspect(Ticket::spoke)
    }

    #[test]
    fn one_address_holds_few_places() {
        let (census, now) = (census(), Instant::now());
        let held = ["192.0.2.1", "::ffff:192.0.2.1"].map(|a| speaking(&census, a, now).expect("a place"));
        assert_eq!(census.enter(ip("192.0.2.1"), now).expect_err("full"), Crowd::Address);
        drop(held);
        assert!(census.enter(ip("192.0.2.1"), now).is_ok());
        assert!(census.state().places.is_empty(), "nothing is remembered");
    }

    #[test]
    fn a_slash_64_is_one_address_and_loopback_has_its_own_limit() {
        let (census, now) = (census(), Instant::now());
        let enter = |address| speaking(&census, address, now);
        let _held = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert_eq!(enter("2001:db8::3").expect_err("full"), Crowd::Address);
        let _local = [enter("127.0.0.1"), enter("127.0.0.1"), enter("127.0.0.1")];
        assert_eq!(enter("192.0.2.9").expect_err("full"), Crowd::Everyone);
    }

    #[test]
    fn who_was_refused_gives_way_at_once_and_who_dawdles_after_its_grace() {
        let (census, now) = (census(), Instant::now());
        let enter = |after: Duration| speaking(&census, "192.0.2.1", now + after);
        let (first, second) = (enter(Duration::ZERO).expect("a place"), enter(Duration::ZERO).expect("a place"));
        second.refused();
        let third = enter(Duration::from_millis(1)).expect("the place of the refused one");
        assert!(second.give_way.is_cancelled() && !first.give_way.is_cancelled());
        drop(second);
        assert_eq!(enter(GRACE - Duration::from_millis(1)).expect_err("all in grace"), Crowd::Address);
        let fourth = enter(GRACE).expect("the place of the longest");
        assert!(first.give_way.is_cancelled() && !third.give_way.is_cancelled());
        assert_eq!(census.state().places.len(), 2);
        drop((first, third, fourth));
        assert!(census.state().places.is_empty());
    }

    #[test]
    fn who_has_sent_nothing_gives_way_to_the_next_at_once() {
        let (census, now) = (census(), Instant::now());
        let enter = || census.enter(ip("192.0.2.1"), now).expect("a place");
        let (publisher, mute) = (enter(), enter());
        publisher.spoke();
        let flood: Vec<_> = (0..50).map(|_| enter()).collect();
        assert!(mute.give_way.is_cancelled() && !publisher.give_way.is_cancelled());
        assert_eq!(flood.iter().filter(|ticket| !ticket.give_way.is_cancelled()).count(), 1);
        assert_eq!(census.state().places.len(), 2);
    }

    #[test]
    fn who_lingers_gives_way_before_who_has_sent_nothing_yet() {
        let (census, now) = (census(), Instant::now());
        let idler = speaking(&census, "192.0.2.1", now).expect("a place");
        let publisher = census.enter(ip("192.0.2.1"), now + GRACE).expect("a place");
        let _next = census.enter(ip("192.0.2.1"), now + GRACE).expect("the place of the idler");
        assert!(idler.give_way.is_cancelled() && !publisher.give_way.is_cancelled());
    }

    #[test]
    fn a_crowd_of_one_address_never_takes_the_place_of_another() {
        let (census, now) = (census(), Instant::now());
        let publisher = census.enter(ip("192.0.2.7"), now).expect("a place");
        let later = now + GRACE * 5;
        let mut crowd: Vec<_> = (0..50).filter_map(|n| census.enter(ip("192.0.2.1"), later + GRACE * n).ok()).collect();
        assert!(!publisher.give_way.is_cancelled());
        crowd.retain(|ticket| !ticket.give_way.is_cancelled());
        assert_eq!(crowd.len(), 2);
    }
}

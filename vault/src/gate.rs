//! When to ask a store that has failed again. Pure but for the wait: it knows errors and times, no requests.

use crate::Error;
use crate::dice::Dice;
use gatehouse::Backoff;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// While a store is away it is asked at these distances.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// The longest a store is left alone because it said so.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How uploads are doing, for the dashboard and for alerts. Times are of the clock that never steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// The last try worked, or none was made.
    #[default]
    Healthy,
    /// The store or the network fails; it is tried again by itself.
    Retrying {
        /// Since the first failure.
        since: std::time::Instant,
        /// The last failure, in words.
        reason: Arc<str>,
    },
    /// Somebody has to do something; it is still tried once a minute.
    Blocked {
        /// Since the first failure.
        since: std::time::Instant,
        /// What, in words.
        reason: Arc<str>,
    },
}

/// Lets everybody through while the store is healthy, and one at a time, ever more rarely, while it is not.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    scout: Semaphore,
    standing: watch::Sender<Standing>,
    dice: Dice,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the changes below, so that those who tried together fail once.
    round: u64,
    failures: u32,
    /// When the store was first away, and when it may be tried next; `None`: it is healthy.
    away: Option<(Instant, Instant)>,
}

/// Leave to try, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'g> {
    round: u64,
    /// Only one tries at a time.
    _scout: Option<SemaphorePermit<'g>>,
}

impl Gate {
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            scout: Semaphore::new(1),
            standing: watch::channel(Standing::Healthy).0,
            dice: Dice::default(),
        }
    }

    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until the store may be tried. Whoever waits gets a turn in order, so one object that always fails holds up no
    /// other for good.
    pub async fn enter(&self) -> Turn<'_> {
        if let (round, None) = self.next() {
            return Turn { round, _scout: None };
        }
        let scout = self.scout.acquire().await.expect("the semaphore is never closed");
        match self.next() {
            (round, None) => Turn { round, _scout: None },
            (round, Some(at)) => {
                sleep_until(at).await;
                Turn { round, _scout: Some(scout) }
            }
        }
    }

    /// The try worked: full speed.
    pub fn opened(&self) {
        let mut state = self.state();
        if state.away.take().is_some() {
            state.round += 1;
            state.failures = 0;
            self.standing.send_replace(Standing::Healthy);
        }
    }

    /// The try failed at `now`. Whether the pause grew by it, or had already for somebody who tried at the same time.
    pub fn failed(&self, turn: &Turn<'_>, error: &Error, now: Instant) -> bool {
        let mut state = self.state();
        if turn.round != state.round {
            return false;
        }
        state.round += 1;
        state.failures = state.failures.saturating_add(1);
        // Whatever somebody has to mend is not asked for hotly.
        let failures = if error.is_retryable() { state.failures } else { u32::MAX };
        let pause = BACKOFF.pause(failures, self.dice.roll());
        let pause = pause.max(error.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX));
        let since = state.away.map_or(now, |(since, _)| since);
        state.away = Some((since, now + pause));
        let (since, reason) = (since.into_std(), Arc::from(error.to_string()));
        self.standing.send_replace(if error.is_retryable() {
            Standing::Retrying { since, reason }
        } else {
            Standing::Blocked { since, reason }
        });
        true
    }

    fn next(&self) -> (u64, Option<Instant>) {
        let state = self.state();
        (state.round, state.away.map(|(_, next)| next))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Error {
        Error::Unreachable { endpoint: "e".into(), reason: "refused".into() }
    }

    fn forbidden() -> Error {
        Error::Denied { doing: "write", code: "AccessDenied".into(), cure: "allow it" }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_asked_ever_more_rarely_and_by_one() {
        let gate = Gate::new();
        let (first, second) = (gate.enter().await, gate.enter().await);
        assert!(gate.failed(&first, &away(), Instant::now()));
        assert!(!gate.failed(&second, &away(), Instant::now()), "those who tried together fail once");
        drop((first, second));
        let start = Instant::now();
        for _ in 0..10 {
            let turn = gate.enter().await;
            assert!(tokio::time::timeout(Duration::from_secs(1), gate.enter()).await.is_err(), "one at a time");
            assert!(gate.failed(&turn, &away(), Instant::now()));
        }
        // 1 + 2 + … + 32 + 4 × 60, at least half of it, and the seconds above.
        let seconds = start.elapsed().as_secs();
        assert!((150..=314).contains(&seconds), "{seconds}");
        let Standing::Retrying { since, reason } = gate.standing().borrow().clone() else { panic!("not retrying") };
        assert_eq!((since, reason.contains("refused")), (start.into_std(), true));
    }

    #[tokio::test(start_paused = true)]
    async fn once_it_is_back_everybody_goes_at_once() {
        let gate = Gate::new();
        gate.failed(&gate.enter().await, &away(), Instant::now());
        let scout = gate.enter().await;
        let all = async {
            tokio::join!(gate.enter(), gate.enter(), gate.enter());
            Instant::now()
        };
        let back = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            gate.opened();
            drop(scout);
            Instant::now()
        };
        let (all, back) = tokio::join!(all, back);
        assert_eq!((all, gate.standing().borrow().clone()), (back, Standing::Healthy));
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_must_mend_is_asked_for_once_a_minute() {
        let gate = Gate::new();
        gate.failed(&gate.enter().await, &forbidden(), Instant::now());
        assert!(matches!(gate.standing().borrow().clone(), Standing::Blocked { .. }));
        let start = Instant::now();
        drop(gate.enter().await);
        assert!((30..=60).contains(&start.elapsed().as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_says_when_to_come_is_left_alone_until_then() {
        let gate = Gate::new();
        let slow = Error::SlowDown { code: "SlowDown".into(), retry_after: Some(Duration::from_secs(120)) };
        let start = Instant::now();
        gate.failed(&gate.enter().await, &slow, start);
        drop(gate.enter().await);
        assert_eq!(start.elapsed().as_secs(), 120);
    }
}

//! One request on its way, watched from outside: it may last as long as it likes, but not stand still.

use crate::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A transfer that moves less than [`BYTES_MIN`] in this time is cut.
pub(crate) const STALL: Duration = Duration::from_secs(20);
/// See [`STALL`]. 0.8 kB/s: below that a recording can never be sent as fast as it is made.
pub(crate) const BYTES_MIN: u64 = 16 * 1024;
/// How long an answer may take once all is handed to the network. The kernel still holds up to 4 MiB of it then, which takes
/// 40 s at 100 kB/s.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);
/// How often a transfer is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of a request while it is sent. Bodies write it, [`Transfer::watch`] reads it.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    sending: AtomicBool,
    bytes: AtomicU64,
    source_error: Mutex<Option<Error>>,
}

impl Transfer {
    /// A body begins; until it ends the transfer is judged by its bytes.
    pub fn begin(&self) {
        self.sending.store(true, Ordering::Relaxed);
    }

    /// The network took so many bytes of the body.
    pub fn moved(&self, bytes: usize, is_last: bool) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if is_last {
            self.sending.store(false, Ordering::Relaxed);
        }
    }

    /// The body could not be read.
    pub fn fail(&self, error: Error) {
        *self.source_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Why the body could not be read, if that happened.
    pub fn take_error(&self) -> Option<Error> {
        self.source_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Bytes of the body the network took.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits for the request, and drops it when it stands still: while its body is sent by [`STALL`], then by `answer`.
    ///
    /// # Errors
    /// For how long nothing to speak of had moved.
    pub async fn watch<T>(&self, answer: Duration, request: impl Future<Output = T>) -> Result<T, Duration> {
        let mut request = pin!(request);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut still = Still::new(Instant::now());
        loop {
            tokio::select! {
                biased;
                done = &mut request => return Ok(done),
                now = look.tick() => {
                    let is_sending = self.sending.load(Ordering::Relaxed);
                    let stands = still.look(self.bytes(), is_sending, now);
                    if stands >= if is_sending { STALL } else { answer } {
                        return Err(stands);
                    }
                }
            }
        }
    }
}

/// For how long a transfer has stood still.
#[derive(Debug)]
struct Still {
    since: Instant,
    bytes: u64,
    was_sending: bool,
}

impl Still {
    fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, was_sending: false }
    }

    fn look(&mut self, bytes: u64, is_sending: bool, now: Instant) -> Duration {
        if bytes - self.bytes >= BYTES_MIN || is_sending != self.was_sending {
            *self = Self { since: now, bytes, was_sending: is_sending };
        }
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::sleep;

    /// Moves `bytes` every second; whether and when it was cut.
    async fn trickle(bytes: usize, seconds: u64) -> Result<u64, u64> {
        let (transfer, start) = (Transfer::default(), Instant::now());
        let request = async {
            transfer.begin();
            for second in 1..=seconds {
                sleep(Duration::from_secs(1)).await;
                transfer.moved(bytes, second == seconds);
            }
            sleep(Duration::from_secs(50)).await;
        };
        let done = transfer.watch(ANSWER, request).await;
        done.map(|()| start.elapsed().as_secs()).map_err(|_| start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_transfer_lives_and_a_stalled_one_is_cut() {
        assert_eq!(trickle(1000, 600).await, Ok(650));
        assert!(matches!(trickle(100, 600).await, Err(20..=23)));
        assert!(matches!(trickle(0, 600).await, Err(20..=23)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_not_waited_for() {
        let (transfer, start) = (Transfer::default(), Instant::now());
        assert!(transfer.watch(ANSWER, pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_secs(), ANSWER.as_secs());
        assert_eq!(transfer.watch(ANSWER, ready(7)).await, Ok(7));
    }
}

use crate::batch::Batch;
use crate::ring::{Place, Ring};
use crate::row::{Listener, Membership, Rows};
use crate::{Limits, lock};
use media::{AccessUnit, Announced};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The giving end of what the players of one session get. Dropping it tells them that the stream is over.
#[derive(Debug)]
pub struct Broadcast {
    shared: Arc<Shared>,
}

/// What players tune into. Cheap to clone; holds no place for anyone.
#[derive(Debug, Clone)]
pub struct Tuner {
    shared: Arc<Shared>,
}

/// A place for one player to tune in. It is taken before anybody judges whether the player may, so that one who was judged just
/// before a [`Tuner::send_away`] goes with the others.
#[derive(Debug)]
pub struct Tuned {
    shared: Arc<Shared>,
    sent_away: CancellationToken,
}

/// One player that is tuned in, and is counted for as long.
#[derive(Debug)]
pub(crate) struct Reception {
    shared: Arc<Shared>,
    sent_away: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    /// Held for one unit or for the making of one batch, never across an await.
    ring: Mutex<Ring>,
    changed: Arc<Notify>,
    rows: Rows,
    players: AtomicUsize,
    /// Ends those who are there now. Held for an exchange, never across an await.
    present: Mutex<CancellationToken>,
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }

    fn present(&self) -> MutexGuard<'_, CancellationToken> {
        lock(&self.present)
    }
}

impl Broadcast {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (ring, changed) = (Mutex::new(Ring::new(limits)), Arc::default());
        let (rows, players, present) = (Rows::default(), AtomicUsize::new(0), Mutex::default());
        Self { shared: Arc::new(Shared { ring, changed, rows, players, present }) }
    }

    /// What the publisher says of itself, for the metadata of players that come later.
    pub fn announce(&self, announced: &Announced) {
        self.shared.ring().announce(announced);
    }

    /// Adds a unit, in decode order of its track. Never waits for a player; while nobody plays, the payload is not copied.
    pub fn push(&self, unit: &AccessUnit) {
        let is_watched = self.shared.players.load(Ordering::Relaxed) > 0;
        if self.shared.ring().push(unit, is_watched) {
            self.shared.changed.notify_waiters();
        }
    }

    /// For whoever looks the stream up.
    pub fn tuner(&self) -> Tuner {
        Tuner { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.shared.ring().finish();
        self.shared.changed.notify_waiters();
    }
}

impl Tuner {
    /// How many play it now.
    pub fn players(&self) -> usize {
        self.shared.players.load(Ordering::Relaxed)
    }

    /// A place for one who comes now.
    pub fn tune(&self) -> Tuned {
        Tuned { shared: Arc::clone(&self.shared), sent_away: self.shared.present().clone() }
    }

    /// Ends everybody who is there or has a place: the stream is not for them any more. Who comes afterwards may stay.
    pub fn send_away(&self) {
        std::mem::take(&mut *self.shared.present()).cancel();
    }
}

impl Tuned {
    pub(crate) fn receive(&self) -> Reception {
        self.shared.players.fetch_add(1, Ordering::Relaxed);
        Reception { shared: Arc::clone(&self.shared), sent_away: self.sent_away.clone() }
    }
}

impl Reception {
    /// Ends when the player has to go.
    pub(crate) fn sent_away(&self) -> WaitForCancellationFuture<'_> {
        self.sent_away.cancelled()
    }

    /// From now on the player is told of what is new, by a task of its own for many of them; it has to read what is there already.
    pub(crate) fn join(&self, listener: Weak<dyn Listener>) -> Membership {
        self.shared.rows.join(listener, &self.shared.changed)
    }

    /// Adds to the batch what is next at this place, if anything is there; gives how many messages were lost before it, and
    /// whether the stream is over with everything read.
    pub(crate) fn read(&self, place: &mut Place, batch: &mut Batch) -> (u64, bool) {
        let ring = self.shared.ring();
        (ring.read(place, batch), ring.is_over(place))
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        self.shared.players.fetch_sub(1, Ordering::Relaxed);
    }
}

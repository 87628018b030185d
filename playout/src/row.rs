//! One task that writes to many players. To wake a task for each of them at each picture would cost half of what the writes do.

use crate::lock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;
use tokio_util::task::AbortOnDropHandle;

/// So many are written to in one go: about half a millisecond, in which nothing else runs on that thread.
const MEMBERS_MAX: usize = 64;

/// A player, as who writes to many sees it.
pub(crate) trait Listener: Send + Sync {
    /// Writes what is new, as much as the socket takes at once; what it does not take is left to the player's own task.
    fn deliver(&self, now: Instant);
}

/// The rows of one stream's players.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Held for a look, never across an await.
    rows: Mutex<Vec<Weak<Row>>>,
}

/// Players that are written to by one task, which ends with the last of them.
#[derive(Default)]
struct Row {
    /// Held while they are written to, never across an await.
    members: Mutex<Vec<Member>>,
    /// Places that members have, or will have in a moment.
    taken: AtomicUsize,
    next_id: AtomicU64,
    task: OnceLock<AbortOnDropHandle<()>>,
}

struct Member {
    id: u64,
    listener: Weak<dyn Listener>,
}

/// A player's place in a row. When it is dropped nobody else writes to the player any more.
#[derive(Debug)]
pub(crate) struct Membership {
    row: Arc<Row>,
    id: u64,
}

impl Rows {
    /// Puts a player into a row with room; it is written to whenever `changed` tells all that wait. To be called in a runtime.
    pub(crate) fn join(&self, listener: Weak<dyn Listener>, changed: &Arc<Notify>) -> Membership {
        let row = self.with_room(changed);
        let id = row.next_id.fetch_add(1, Ordering::Relaxed);
        // It may wait for what is being written to the others in that row, and to no more.
        lock(&row.members).push(Member { id, listener });
        Membership { row, id }
    }

    /// A row, and a place in it that is taken.
    fn with_room(&self, changed: &Arc<Notify>) -> Arc<Row> {
        let mut rows = lock(&self.rows);
        rows.retain(|row| row.strong_count() > 0);
        let has_room = |row: &Arc<Row>| row.taken.load(Ordering::Relaxed) < MEMBERS_MAX;
        let row = rows.iter().filter_map(Weak::upgrade).find(has_room).unwrap_or_else(|| {
            let row = Arc::new(Row::default());
            rows.push(Arc::downgrade(&row));
            let task = unconstrained(serve(Arc::downgrade(&row), Arc::clone(changed)));
            row.task.get_or_init(|| AbortOnDropHandle::new(tokio::spawn(task)));
            row
        });
        row.taken.fetch_add(1, Ordering::Relaxed);
        row
    }
}

/// Not limited by the runtime's budget of a task: a socket would tell it that it is full.
async fn serve(row: Weak<Row>, changed: Arc<Notify>) {
    loop {
        let next = changed.notified();
        match row.upgrade() {
            Some(row) => row.deliver(),
            None => return,
        }
        next.await;
    }
}

impl Row {
    fn deliver(&self) {
        let now = Instant::now();
        for member in &*lock(&self.members) {
            if let Some(listener) = member.listener.upgrade() {
                listener.deliver(now);
            }
        }
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("members", &lock(&self.members).len()).finish_non_exhaustive()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        lock(&self.row.members).retain(|member| member.id != self.id);
        self.row.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

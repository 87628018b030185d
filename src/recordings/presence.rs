use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Stands for a publisher that is there; numbers of segments are far below.
const HERE: u64 = u64::MAX;

/// Whether a session's publisher is there, told by the session and read by who keeps its recording.
#[derive(Debug)]
pub struct Presence(AtomicU64);

impl Presence {
    /// Of a publisher that is there, or of one that has yet to come back.
    pub fn new(is_awaited: bool) -> Self {
        Self(AtomicU64::new(if is_awaited { 0 } else { HERE }))
    }

    /// Segment `msn` is the first without the publisher, unless one before it was.
    pub fn left(&self, msn: u64) {
        // Two threads never tell: it does not matter which of them was first.
        let _was_away = self.0.compare_exchange(HERE, msn, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The publisher is there again.
    pub fn back(&self) {
        self.0.store(HERE, Ordering::Relaxed);
    }

    /// The first segment without the publisher; `None` while it is there.
    pub fn left_at(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|msn| *msn != HERE)
    }
}

/// What a session tells who records it.
#[derive(Debug)]
pub struct Followed {
    presence: Arc<Presence>,
    /// A few may wait for the disk; those that come meanwhile are dropped.
    pictures: mpsc::Sender<Bytes>,
}

impl Followed {
    pub fn new(presence: Arc<Presence>, pictures: mpsc::Sender<Bytes>) -> Self {
        Self { presence, pictures }
    }

    /// See [`Presence::left`].
    pub fn left(&self, msn: u64) {
        self.presence.left(msn);
    }

    /// See [`Presence::back`].
    pub fn back(&self) {
        self.presence.back();
    }

    /// A picture of now, a JPEG. What stands in for a publisher is no picture of the show.
    pub fn picture(&self, jpeg: &Bytes) {
        if self.presence.left_at().is_none() {
            let _dropped = self.pictures.try_send(jpeg.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_without_a_publisher_counts_until_it_is_back() {
        let presence = Presence::new(false);
        assert_eq!(presence.left_at(), None);
        presence.left(7);
        presence.left(8);
        assert_eq!(presence.left_at(), Some(7));
        presence.back();
        assert_eq!(presence.left_at(), None);
        assert_eq!(Presence::new(true).left_at(), Some(0));
    }
}

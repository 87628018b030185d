use media::{AccessUnit, Announced, Feed, FeedItem};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// What outlets may go back to, to begin with a keyframe. The payload is the source feed's, so it is held once.
const UNITS_MAX: usize = 2_000;
const BYTES_MAX: usize = 16 << 20;

/// Where a session puts what is to be copied. It never waits; the copies end when it is dropped.
pub struct Tap {
    feed: Option<Arc<Feed>>,
    work: Arc<Notify>,
}

impl Tap {
    pub(super) fn new(work: Arc<Notify>) -> Self {
        Self { feed: Some(Arc::new(Feed::new(UNITS_MAX, BYTES_MAX))), work }
    }

    pub(super) fn feed(&self) -> Weak<Feed> {
        self.feed.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// A unit of the publisher's, on the session's timeline.
    pub fn unit(&self, unit: &AccessUnit) {
        self.push(FeedItem::Unit(unit.clone()));
    }

    /// What the publisher says of what it sends.
    pub fn announced(&self, announced: &Announced) {
        self.push(FeedItem::Announced(announced.clone()));
    }

    /// The next unit does not go on with the one before.
    pub fn cut(&self) {
        self.push(FeedItem::Break);
    }

    fn push(&self, item: FeedItem) {
        if let Some(feed) = &self.feed {
            feed.push(item);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.feed = None;
        self.work.notify_one();
    }
}

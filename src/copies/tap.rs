use super::flows::Flows;
use media::{AccessUnit, Announced, FeedItem};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// Where a session puts what is to be copied. It never waits; the copies end when it is dropped.
pub struct Tap {
    flows: Option<Arc<Flows>>,
    work: Arc<Notify>,
}

impl Tap {
    pub(super) fn new(flows: Flows, work: Arc<Notify>) -> Self {
        Self { flows: Some(Arc::new(flows)), work }
    }

    pub(super) fn flows(&self) -> Weak<Flows> {
        self.flows.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// A unit of the publisher's, on the session's timeline.
    pub fn unit(&self, unit: &AccessUnit) {
        self.push(FeedItem::Unit(unit.clone()));
    }

    /// A unit of what is the session's source now: the publisher's, or a slate's.
    pub fn published(&self, unit: &AccessUnit) {
        self.tell(self.flows.as_ref().is_some_and(|flows| flows.published(unit)));
    }

    /// A unit of a rendition's that the session encodes.
    pub fn encoded(&self, rendition: &str, unit: &AccessUnit) {
        self.tell(self.flows.as_ref().is_some_and(|flows| flows.encoded(rendition, unit)));
    }

    /// What the publisher says of what it sends.
    pub fn announced(&self, announced: &Announced) {
        self.push(FeedItem::Announced(announced.clone()));
    }

    /// The next unit does not go on with the one before.
    pub fn cut(&self) {
        self.push(FeedItem::Break);
    }

    /// A rendition has something now.
    fn tell(&self, has_begun: bool) {
        if has_begun {
            self.work.notify_one();
        }
    }

    fn push(&self, item: FeedItem) {
        if let Some(flows) = &self.flows {
            flows.push(item);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.flows = None;
        self.work.notify_one();
    }
}

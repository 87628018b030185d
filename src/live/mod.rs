//! The live side of the roof: who may publish, one task per session, and the table of what is live.
//!
//! It joins the rooms (ingest hands over a feed, the packager plans and publishes, the transcoder encodes) and holds
//! no rule about media of its own.

mod doorman;
pub mod hub;
mod session;
mod settings;
mod view;

pub use doorman::{Doorman, TestCardPass};
pub use hub::Hub;
pub use settings::Settings;
pub use view::View;

use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Store, now_ms};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What every part of the live side shares.
pub struct Context {
    /// What is live.
    pub hub: Arc<Hub>,
    /// Streams, keys, sequence numbers.
    pub store: Store,
    /// The operator's choices.
    pub settings: Settings,
    /// The number of this start of the server; part of every session's name.
    pub epoch: u64,
    /// The built-in test card's way in, when it is wanted.
    pub test_card: Option<TestCardPass>,
    /// The server is going down.
    pub stop: CancellationToken,
    /// Sessions and their watchers, waited for at shutdown.
    pub tasks: TaskTracker,
}

impl Context {
    /// Closes publishers whose key stopped working or whose stream was removed, as soon as the store says that something
    /// changed, and forgets ended sessions in time. Runs until the server stops.
    pub async fn watch_changes(self: Arc<Self>) {
        const SWEEP_EVERY: Duration = Duration::from_secs(5);
        let mut changes = self.store.changes();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = sweep.tick() => self.hub.sweep(Instant::now()),
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            self.close_keyless().await;
        }
    }

    /// Expiry passes without a change, so this runs with every sweep too.
    async fn close_keyless(&self) {
        for (stream, publisher) in self.hub.publishers() {
            let Some(key_id) = &publisher.key_id else { continue };
            match self.store.key_works(key_id, now_ms()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(stream, key_id, "the publisher's key stopped working; its connection is closed");
                    publisher.stop.cancel();
                }
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    stream,
                    "keys can't be checked now; publishers stay"
                ),
            }
        }
    }
}

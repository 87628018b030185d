//! The live side of the roof: who may publish, one task per session, and the table of what is live.
//!
//! It joins the rooms (ingest hands over a feed, the packager plans and publishes, the transcoder encodes) and holds
//! no rule about media of its own.

mod doorman;
pub mod hub;
mod journal;
mod porter;
mod rehearsal;
pub mod replay;
mod session;
mod settings;
mod view;

pub use doorman::{Doorman, TestCardPass, stop_left};
pub use hub::Hub;
pub use porter::Porter;
pub use replay::Replays;
pub use session::DRAIN;
pub use settings::Settings;
pub use view::View;

use crate::box_office::BoxOffice;
use crate::copies::Copies;
use crate::recordings::Recordings;
use ingest::session::Reason;
use playout::Playout;
use rtspout::{Listing, Rtsp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::{Store, now_ms};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the streams' keepers look at the clock.
const TICK: Duration = Duration::from_millis(100);

/// What every part of the live side shares.
pub struct Context {
    /// What is live.
    pub hub: Arc<Hub>,
    /// Streams, keys, sequence numbers.
    pub store: Store,
    /// Who may watch what: every way out asks it ([`BoxOffice::may_watch`]).
    pub office: Arc<BoxOffice>,
    /// The operator's choices.
    pub settings: Settings,
    /// The number of this start of the server; part of every session's name.
    pub epoch: u64,
    /// The way out over RTMP, unless it is off.
    pub playout: Option<Playout>,
    /// The way out over RTSP, when it is on.
    pub rtsp: Option<Arc<Rtsp>>,
    /// Recordings that are being replayed.
    pub replays: Replays,
    /// What is kept of sessions.
    pub recordings: Arc<Recordings>,
    /// What is sent on to other servers.
    pub copies: Arc<Copies>,
    /// The built-in test card's way in, when it is wanted.
    pub test_card: Option<TestCardPass>,
    /// The server is going down.
    pub stop: CancellationToken,
    /// Sessions and their watchers, waited for at shutdown.
    pub tasks: TaskTracker,
}

impl Context {
    /// Goes on with the sessions a server that died left behind. Before publishers are taken.
    pub async fn restore_sessions(self: &Arc<Self>) {
        session::restore_all(self).await;
    }

    /// Follows what the store says: sends players away from streams that became private, closes publishers whose key stopped working or whose stream was removed, stops and
    /// allows streams as the operator wants it, and forgets ended sessions in time. Runs until the server stops.
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
            self.follow_visibility().await;
            self.close_keyless().await;
            self.follow_stops().await;
        }
    }

    /// Players over RTMP and readers over RTSP were judged when they came, and stay for hours; what else viewers get is judged with each
    /// request.
    async fn follow_visibility(&self) {
        for (name, live, _) in self.hub.live() {
            if let Some(tuner) = live.tuner.as_ref().filter(|_| !self.office.is_open(&name)) {
                tuner.send_away();
            }
            // Those may read a private stream too, with a password or a ticket, so they are asked for it once.
            let is_private = self.office.is_private(&name);
            let was_private = live.was_private.swap(is_private, Ordering::Relaxed);
            if is_private && !was_private {
                live.listing.iter().for_each(Listing::send_away);
            }
        }
        if let Err(error) = self.office.refresh().await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the playback keys can't be read now; they stay as they are");
        }
    }

    /// Lets time pass for the streams: stalls, windows that close. Runs until the server stops.
    pub async fn keep_time(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = tick.tick() => self.hub.tick(Instant::now()),
            }
        }
    }

    /// Expiry passes without a change, so this runs with every sweep too.
    async fn close_keyless(&self) {
        for (stream, key_id) in self.hub.busy() {
            let Some(key_id) = &key_id else { continue };
            match self.store.key_works(key_id, now_ms()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(stream, key_id, "the publisher's key stopped working; its connection is closed");
                    self.hub.close(&stream, Reason::KeyEnded);
                }
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    stream,
                    "keys can't be checked now; publishers stay"
                ),
            }
        }
    }

    /// Stops, allowances and removals another process wrote down.
    async fn follow_stops(&self) {
        // Asked before the database is: a stream that is added meanwhile is not a removed one.
        let busy = self.hub.busy();
        let streams = match self.store.streams().await {
            Ok(streams) => streams,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "streams can't be read now; all stay as they are"
                );
                return;
            }
        };
        for stream in &streams {
            match (stop_left(stream.stopped_until_ms), self.hub.is_stopped(&stream.name)) {
                (Some(hold), false) => _ = self.hub.stop(&stream.name, hold),
                (None, true) => self.hub.allow(&stream.name),
                (Some(_), true) | (None, false) => {}
            }
        }
        for (name, _) in busy {
            let of = rehearsal::stream_of(&name).unwrap_or(&name);
            if !streams.iter().any(|stream| stream.name == of) {
                self.hub.close(&name, Reason::KeyEnded);
            }
        }
    }
}

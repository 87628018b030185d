//! One player's connection from the yes to the end: its own task, which listens to the player, and writes what the task for many
//! could not.

use crate::broadcast::Reception;
use crate::line::{Ending, Line};
use crate::row::Listener;
use crate::{Limits, Tuned, lock};
use metrics::{counter, gauge};
use rtmp::ServerSession;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// How often a player that takes nothing is looked for.
const TICK: Duration = Duration::from_secs(1);

/// A player that is served by its own task and by the task for many.
struct Player<S> {
    /// Held for one step, never across an await.
    line: Mutex<Line<S>>,
    reception: Reception,
    /// Its own task has something to do.
    attention: Notify,
}

/// Adds one to the gauge of players for as long as it lives, panics included.
struct Present;

impl Present {
    fn new() -> Self {
        gauge!("weir_playout_players").increment(1.0);
        Self
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        gauge!("weir_playout_players").decrement(1.0);
    }
}

/// A player's connection; ends with it.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    (stream, session): (S, ServerSession),
    tuned: &Tuned,
    limits: &Limits,
    stop: CancellationToken,
    span: &Span,
) {
    let _present = Present::new();
    let began = Instant::now();
    span.in_scope(|| tracing::info!("player accepted"));
    let line = Mutex::new(Line::new(stream, session));
    let player = Arc::new(Player { line, reception: tuned.receive(), attention: Notify::new() });
    let ending = match player.serve(limits, &stop).await {
        Ok(never) => match never {},
        Err(ending) => ending,
    };
    counter!("weir_playout_players_ended_total", "reason" => ending.label()).increment(1);
    // Nobody else has it any more: what writes to many is done with it, or will not come to it again.
    let Some(player) = Arc::into_inner(player) else { return };
    let mut line = player.line.into_inner().unwrap_or_else(PoisonError::into_inner);
    line.tally.publish();
    span.in_scope(|| {
        tracing::info!(
            reason = %ending,
            seconds = began.elapsed().as_secs(),
            bytes = line.tally.sent_bytes,
            lost_units = line.tally.lost,
            "player left"
        );
    });
    if let Some(text) = ending.farewell() {
        line.say_goodbye(text).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Player<S> {
    fn line(&self) -> MutexGuard<'_, Line<S>> {
        lock(&self.line)
    }

    async fn serve(self: &Arc<Self>, limits: &Limits, stop: &CancellationToken) -> Result<Infallible, Ending> {
        self.line().accept()?;
        let listener: Weak<dyn Listener> = Arc::downgrade(self) as _;
        let _membership = self.reception.join(listener);
        let mut tick = tokio::time::interval(TICK.min(limits.stall / 4));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Waited for across all steps, so it is registered once.
        let (stopped, sent_away) = (stop.cancelled(), self.reception.sent_away());
        tokio::pin!(stopped, sent_away);
        loop {
            self.line().prepare(&self.reception)?;
            tokio::select! {
                step = poll_fn(|cx| self.line().step(cx, limits.stall)) => step?,
                () = self.attention.notified() => {}
                () = &mut stopped => return Err(Ending::Stopping),
                () = &mut sent_away => return Err(Ending::SentAway),
                _ = tick.tick() => {
                    let mut line = self.line();
                    line.tally.publish();
                    if line.is_stalled(limits.stall) {
                        return Err(Ending::Stalled(limits.stall));
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Listener for Player<S> {
    fn deliver(&self, now: Instant) {
        // A fault of one player's must not end the others of its row.
        let delivered = catch_unwind(AssertUnwindSafe(|| self.line().deliver(&self.reception, now)));
        let is_done = delivered.unwrap_or_else(|_| {
            self.line().fail(io::Error::other("what is sent to it could not be put together"));
            false
        });
        if !is_done {
            self.attention.notify_one();
        }
    }
}

//! The session's notes in the database: how far it is, and what is needed to go on with it.

use super::super::Context;
use std::sync::Arc;
use std::time::Duration;
use store::{SessionNote, now_ms};
use tokio::sync::watch;

/// How long an end waits for the database; a session must not.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Numbers noted ahead of the segment that opens: a note that is lost with the server then still covers that segment.
/// More would show players a jump (RELIABILITY section 3: at most 2).
const AHEAD: u64 = 2;

/// One session's notes, written one after the other by a task of their own. Those that were overtaken while the database
/// was slow are skipped, so nothing queues up and nobody waits.
pub struct Notes {
    context: Arc<Context>,
    newest: watch::Sender<SessionNote>,
    plan: Option<String>,
}

impl Notes {
    /// Begins to note `first`, whose plan counts only while the session is restorable.
    pub fn new(context: &Arc<Context>, first: SessionNote, is_restorable: bool) -> Self {
        let plan = first.plan.clone();
        let first = SessionNote { plan: plan.clone().filter(|_| is_restorable), ..first };
        let (newest, noted) = watch::channel(first);
        context.tasks.spawn(write(Arc::clone(context), noted));
        Self { context: Arc::clone(context), newest, plan }
    }

    /// Segment `msn` opens. While the publisher is away its time to return is not prolonged.
    pub fn boundary(&mut self, msn: u64, discontinuity: bool, is_away: bool) {
        self.newest.send_modify(|note| {
            note.next_msn = note.next_msn.max(msn + AHEAD);
            note.discontinuities += u64::from(discontinuity);
            if !is_away {
                note.seen_ms = now_ms();
            }
        });
    }

    /// Another plan is needed to go on with the session.
    pub fn set_plan(&mut self, plan: String) {
        self.newest.send_modify(|note| note.plan = note.plan.take().map(|_| plan.clone()));
        self.plan = Some(plan);
    }

    /// Whether a restart of the server may go on with the session.
    pub fn set_restorable(&mut self, is_restorable: bool) {
        let plan = self.plan.clone().filter(|_| is_restorable);
        self.newest.send_if_modified(|note| {
            let is_new = note.plan != plan;
            note.plan = plan;
            is_new
        });
    }

    /// Waits until the newest note is written, or says that it was not.
    pub async fn settle(&self) {
        let note = self.newest.borrow().clone();
        written(tokio::time::timeout(SETTLE_MAX, self.context.store.note_session(&note)).await, note.next_msn);
    }

    /// The session is over.
    pub async fn close(self) {
        let (stream_id, session) = {
            let note = self.newest.borrow();
            (note.stream_id.clone(), note.session.clone())
        };
        close(&self.context, &stream_id, &session).await;
    }
}

/// Marks a session as over.
pub async fn close(context: &Context, stream_id: &str, session: &str) {
    if let Err(error) = context.store.close_session(stream_id, session).await {
        tracing::warn!(error = &error as &dyn std::error::Error, session, "the end of the session was not noted");
    }
}

async fn write(context: Arc<Context>, mut noted: watch::Receiver<SessionNote>) {
    noted.mark_changed();
    while noted.changed().await.is_ok() {
        let note = noted.borrow_and_update().clone();
        written(Ok(context.store.note_session(&note).await), note.next_msn);
    }
}

fn written(done: Result<Result<(), store::Error>, tokio::time::error::Elapsed>, next_msn: u64) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, next_msn, "the sequence number was not noted");
        }
        Err(_) => tracing::warn!(next_msn, "the sequence number was not noted: the database does not answer"),
    }
}

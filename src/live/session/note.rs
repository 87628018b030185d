//! The session's notes in the database: how far it is, and what is needed to go on with it.

use super::super::Context;
use std::sync::Arc;
use store::{SessionNote, now_ms};

/// Numbers noted ahead of the segment that opens: a note that is lost with the server then still covers that segment.
/// More would show players a jump (RELIABILITY section 3: at most 2).
const AHEAD: u64 = 2;

/// One session's notes. The store remembers them and writes them when it can, so nobody waits.
pub struct Notes {
    /// `None` when nothing is kept.
    context: Option<Arc<Context>>,
    newest: SessionNote,
    plan: Option<String>,
}

impl Notes {
    /// Begins to note `first`, whose plan counts only while the session is restorable.
    pub fn new(context: &Arc<Context>, first: SessionNote, is_restorable: bool) -> Self {
        let plan = first.plan.clone();
        let newest = SessionNote { plan: plan.clone().filter(|_| is_restorable), ..first };
        let notes = Self { context: Some(Arc::clone(context)), newest, plan };
        notes.write();
        notes
    }

    /// The notes of a session that nobody goes on with and whose numbers are nobody else's: they are written nowhere.
    pub fn unwritten(first: SessionNote) -> Self {
        Self { context: None, newest: first, plan: None }
    }

    /// Segment `msn` opens. While the publisher is away its time to return is not prolonged.
    pub fn boundary(&mut self, msn: u64, discontinuity: bool, is_away: bool) {
        self.newest.next_msn = self.newest.next_msn.max(msn + AHEAD);
        self.newest.discontinuities += u64::from(discontinuity);
        if !is_away {
            self.newest.seen_ms = now_ms();
        }
        self.write();
    }

    /// Another plan is needed to go on with the session.
    pub fn set_plan(&mut self, plan: String) {
        let is_restorable = self.newest.plan.is_some();
        self.plan = Some(plan);
        self.set_restorable(is_restorable);
    }

    /// Whether a restart of the server may go on with the session.
    pub fn set_restorable(&mut self, is_restorable: bool) {
        self.newest.plan = self.plan.clone().filter(|_| is_restorable);
        self.write();
    }

    /// The session is over.
    pub fn close(self) {
        let SessionNote { stream_id, session, next_msn, .. } = &self.newest;
        if let Some(context) = &self.context {
            context.store.close_session(stream_id, session, *next_msn);
        }
    }

    fn write(&self) {
        if let Some(context) = &self.context {
            context.store.note_session(&self.newest);
        }
    }
}

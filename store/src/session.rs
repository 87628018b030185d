//! The session a stream has open, noted while it runs, so that a server that died can go on with it.
//!
//! Notes are no acts: nobody decides them, so they leave no audit row. A note names its session, and one that comes late
//! changes nothing of a newer session but the sequence number, which never goes back.

use crate::stream::{STREAM_COLUMNS, read_stream, stream_columns};
use crate::{Error, Store, Stream};
use std::time::Duration;

/// How long a session that begins waits for the database: viewers wait too.
const NUMBER_TIMEOUT: Duration = Duration::from_secs(1);

/// What is noted of a session while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionNote {
    /// The stream's id.
    pub stream_id: String,
    /// The session, as it was opened.
    pub session: String,
    /// Every sequence number below may be in use.
    pub next_msn: u64,
    /// Discontinuities in its playlists so far.
    pub discontinuities: u64,
    /// When media of it came last, milliseconds since 1970.
    pub seen_ms: i64,
    /// What is needed to go on with it after a restart, as text of the caller's; `None` when it ends with its publisher.
    pub plan: Option<String>,
}

/// A session that was open when the server died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Its stream, without keys.
    pub stream: Stream,
    /// What was noted last.
    pub note: SessionNote,
}

impl Store {
    /// Begins a session and gives the first sequence number it may use: one never used by this stream. An operator who looks
    /// sees it as last seen at `now_ms`, as soon as that is written ([`Store::write_notes`]). When the database does not
    /// answer within a second, what this process knows of the stream decides; nobody else uses up its numbers.
    ///
    /// # Errors
    /// [`Error::NoSuchStream`] when no stream has this id; when the database did not answer and the stream was never seen.
    pub async fn open_session(&self, stream_id: &str, session: &str, now_ms: i64) -> Result<u64, Error> {
        const NUMBER: &str = "select next_msn from streams where id = $1";
        const DOING: &str = "read the sequence number";
        let arguments = [stream_id.into()];
        let asked = self.database().fetch(DOING, NUMBER, &arguments);
        let silent = || Err(Error::Unavailable { doing: DOING, source: "no answer within a second".into() });
        let known = match tokio::time::timeout(NUMBER_TIMEOUT, asked).await.unwrap_or_else(|_| silent()) {
            Ok(rows) => {
                let row = rows.first().ok_or_else(|| Error::NoSuchStream { name: stream_id.into() })?;
                Ok(u64::try_from(row.int(0)?).unwrap_or(0))
            }
            Err(error) => {
                metrics::counter!("weir_store_errors_total").increment(1);
                self.recall_number(stream_id).ok_or(error)
            }
        };
        match self.ledger().open(stream_id, session, known.as_ref().ok().copied(), now_ms) {
            Some(number) => Ok(number),
            None => known,
        }
    }

    /// Notes how far a session is. Numbers never go back. A note may run ahead, since a number noted and not used is merely
    /// skipped. It only remembers it; [`Store::write_notes`] writes it.
    pub fn note_session(&self, note: &SessionNote) {
        self.ledger().note(note);
    }

    /// Marks a session as ended in order; a later start does not go on with it. A newer one is left alone. `next_msn` is how
    /// far it came.
    pub fn close_session(&self, stream_id: &str, session: &str, next_msn: u64) {
        self.ledger().close(stream_id, session, next_msn);
    }

    /// All sessions that are marked as open. At the start of a server these are the ones the last start left behind.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn open_sessions(&self) -> Result<Vec<OpenSession>, Error> {
        const OPEN: &str = concat!(
            "select ",
            stream_columns!(),
            ", s.session_plan, s.session_discontinuities from streams s where s.session is not null order by s.name"
        );
        let rows = self.database().fetch("list the open sessions", OPEN, &[]).await?;
        let mut open = Vec::with_capacity(rows.len());
        for row in &rows {
            let stream = read_stream(row)?;
            let Some(mark) = stream.session.clone() else { continue };
            let note = SessionNote {
                stream_id: stream.id.clone(),
                session: mark.id,
                next_msn: stream.next_msn,
                discontinuities: row
                    .int_or_null(STREAM_COLUMNS + 1)?
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or_default(),
                seen_ms: mark.seen_ms,
                plan: row.text_or_null(STREAM_COLUMNS)?,
            };
            open.push(OpenSession { stream, note });
        }
        Ok(open)
    }
}

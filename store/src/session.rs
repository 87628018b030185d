//! The session a stream has open, noted while it runs, so that a server that died can go on with it.
//!
//! Notes are no acts: nobody decides them, so they leave no audit row. A note names its session, and one that comes late
//! changes nothing of a newer session but the sequence number, which never goes back.

use crate::database::Argument;
use crate::stream::{STREAM_COLUMNS, read_stream, stream_columns};
use crate::{Error, Store, Stream};

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
    /// Marks a session as open and gives the first sequence number it may use: one never used by this stream. An operator
    /// who looks sees it as last seen at `now_ms`.
    ///
    /// # Errors
    /// [`Error::NoSuchStream`] when no stream has this id; when the database did not answer.
    pub async fn open_session(&self, stream_id: &str, session: &str, now_ms: i64) -> Result<u64, Error> {
        const UPDATE: &str = "update streams set session = $2, session_seen_ms = $3, session_plan = null, \
            session_discontinuities = 0 where id = $1 returning next_msn";
        let mut transaction = self.database().begin().await?;
        let rows =
            transaction.fetch("open the session", UPDATE, &[stream_id.into(), session.into(), now_ms.into()]).await?;
        let row = rows.first().ok_or_else(|| Error::NoSuchStream { name: stream_id.into() })?;
        let next_msn = u64::try_from(row.int(0)?).unwrap_or(0);
        transaction.commit().await?;
        Ok(next_msn)
    }

    /// Notes how far a session is. Numbers never go back. A note may run ahead, since a number noted and not used is merely
    /// skipped.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn note_session(&self, note: &SessionNote) -> Result<(), Error> {
        const UPDATE: &str = "update streams set \
            next_msn = case when next_msn < $3 then $3 else next_msn end, \
            session_discontinuities = case when session = $2 then $4 else session_discontinuities end, \
            session_seen_ms = case when session = $2 then $5 else session_seen_ms end, \
            session_plan = case when session = $2 then $6 else session_plan end \
            where id = $1";
        let number = |value: u64| Argument::from(i64::try_from(value).unwrap_or(i64::MAX));
        let values = [
            note.stream_id.as_str().into(),
            note.session.as_str().into(),
            number(note.next_msn),
            number(note.discontinuities),
            note.seen_ms.into(),
            note.plan.as_deref().into(),
        ];
        self.database().execute("note the session", UPDATE, &values).await?;
        Ok(())
    }

    /// Marks a session as ended in order; a later start does not go on with it. A newer one is left alone.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn close_session(&self, stream_id: &str, session: &str) -> Result<(), Error> {
        const UPDATE: &str = "update streams set session = null, session_seen_ms = null, session_plan = null, \
            session_discontinuities = null where id = $1 and session = $2";
        self.database().execute("close the session", UPDATE, &[stream_id.into(), session.into()]).await?;
        Ok(())
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

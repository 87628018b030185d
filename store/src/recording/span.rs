//! Which segments are still referenced: whoever removes bytes asks here, after the recording was marked as deleted. A clip lies
//! inside what it was cut from and can be cut from nothing that is deleted, so an answer does not become too small meanwhile.

use super::rules::read_names;
use crate::database::Row;
use crate::{Error, Store};

/// A run of segments that a recording or clip needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSpan {
    /// The recording's id.
    pub recording: String,
    /// The stream's name.
    pub stream: String,
    /// The session.
    pub session: String,
    /// The first segment.
    pub from_msn: u64,
    /// The segment after the last; `None`: all that come.
    pub until_msn: Option<u64>,
    /// The renditions needed.
    pub renditions: Vec<String>,
}

macro_rules! span_columns {
    () => {
        "id, stream, session, from_msn, until_msn, renditions"
    };
}

impl Store {
    /// What is referenced of a session, by every recording and clip that is not deleted for good; the trash counts.
    ///
    /// # Errors
    /// When the database did not answer: nothing may be removed then.
    pub async fn kept_spans(&self, stream: &str, session: &str) -> Result<Vec<KeptSpan>, Error> {
        const SPANS: &str = concat!(
            "select ",
            span_columns!(),
            " from recordings where stream = $1 and session = $2 and status <> 'deleted' order by from_msn, id"
        );
        let rows = self.database().fetch("list what is kept", SPANS, &[stream.into(), session.into()]).await?;
        rows.iter().map(KeptSpan::read).collect()
    }

    /// The same of all sessions, by stream, session and first segment. It holds a row of some 200 bytes for each recording.
    ///
    /// # Errors
    /// When the database did not answer: nothing may be removed then.
    pub async fn all_kept_spans(&self) -> Result<Vec<KeptSpan>, Error> {
        const SPANS: &str = concat!(
            "select ",
            span_columns!(),
            " from recordings where status <> 'deleted' order by stream, session, from_msn, id"
        );
        let rows = self.database().fetch("list what is kept", SPANS, &[]).await?;
        rows.iter().map(KeptSpan::read).collect()
    }
}

impl KeptSpan {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            recording: row.text(0)?,
            stream: row.text(1)?,
            session: row.text(2)?,
            from_msn: row.count(3)?,
            until_msn: row.count_or_null(4)?,
            renditions: read_names(&row.text(5)?),
        })
    }
}

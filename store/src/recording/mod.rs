//! Recordings: which segments of which session are kept, what people say of them, and what became of them.
//!
//! A row names a stream, a session and a run of sequence numbers; the bytes are the archive's, which asks here what is still
//! referenced ([`Store::kept_spans`]). A clip is a recording too: a shorter run of the same segments. What people change goes
//! through [`Store::perform_on_recording`] and is audited; what the server notes of its own work does not and is not.

mod act;
mod chapter;
mod cursor;
mod details;
mod import;
mod progress;
mod retention;
mod rules;
mod search;
mod span;

pub use act::{NewClip, RecordingAct};
pub use chapter::{Chapter, chapters_within, read_chapters, write_chapters};
pub use details::{RecordingDetails, RecordingPatch, Visibility, clean_embed_parents};
pub use progress::{Measured, NewRecording};
pub use retention::{Due, DueRecording};
pub use rules::{Record, RecordingRules, RecordingRulesPatch, Retention};
pub use search::{Order, Page, Search, Sort};
pub use span::KeptSpan;

pub(crate) use rules::rules_columns;

use crate::database::{Argument, Row, Transaction};
use crate::word::words;
use crate::{Error, Store};
use details::fold;
use rules::read_names;

words! {
    /// What became of a recording.
    RecordingStatus, "status";
    /// It runs.
    Recording = "recording",
    /// It ended, or is made of a file, and is being made ready.
    Processing = "processing",
    /// It can be watched.
    Available = "available",
    /// It cannot be watched, or not as a whole; [`Recording::reason`] says why.
    Failed = "failed",
    /// It is deleted for good: its segments are being removed, and then its row.
    Deleted = "deleted",
}

/// A recording as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// UUIDv7 as text.
    pub id: String,
    /// The name of the stream it is of, which may be gone.
    pub stream: String,
    /// The session.
    pub session: String,
    /// Its first segment.
    pub from_msn: u64,
    /// The segment after its last; `None` while it runs or is made of a file, and only then.
    pub until_msn: Option<u64>,
    /// The renditions it keeps.
    pub renditions: Vec<String>,
    /// What people say of it.
    pub details: RecordingDetails,
    /// What became of it.
    pub status: RecordingStatus,
    /// Why it failed; empty unless it did.
    pub reason: String,
    /// Somebody ended it, so its session does not go on with it.
    pub stopped: bool,
    /// When its first segment began, milliseconds since 1970.
    pub started_ms: i64,
    /// When its last segment ended; `None` while it runs.
    pub ended_ms: Option<i64>,
    /// How long it is to watch, milliseconds; while it runs, as last noted.
    pub duration_ms: u64,
    /// Bytes of all its renditions; while it runs, as last noted.
    pub size_bytes: u64,
    /// The recording it was cut from, which may be gone.
    pub clip_of: Option<String>,
    /// The vault its segments are copied to; `None`: they are on this machine alone.
    pub vault: Option<String>,
    /// Of its segments, those below this number are verified in the vault.
    pub stored_msn: u64,
    /// It has been in the trash since, milliseconds since 1970.
    pub trashed_ms: Option<i64>,
    /// When the row was made.
    pub created_ms: i64,
    /// When anything of the row changed last.
    pub updated_ms: i64,
}

/// An id for a new recording. Whoever starts one makes it first, so that asking the database again makes no second one.
pub fn new_recording_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

impl Store {
    /// The recording of this id, in the trash or not; `None` when there is none or it is deleted for good.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn recording(&self, id: &str) -> Result<Option<Recording>, Error> {
        const RECORDING: &str =
            concat!("select ", recording_columns!(), " from recordings r where r.id = $1 and r.status <> 'deleted'");
        if !is_id(id) {
            return Ok(None);
        }
        let rows = self.database().fetch("read the recording", RECORDING, &[id.into()]).await?;
        rows.first().map(read_recording).transpose()
    }
}

/// The recording of this id, deleted or not.
async fn find(transaction: &mut Transaction, id: &str) -> Result<Option<Recording>, Error> {
    const RECORDING: &str = concat!("select ", recording_columns!(), " from recordings r where r.id = $1");
    if !is_id(id) {
        return Ok(None);
    }
    let rows = transaction.fetch("read the recording", RECORDING, &[id.into()]).await?;
    rows.first().map(read_recording).transpose()
}

/// The recording of this id.
///
/// # Errors
/// [`Error::NoSuchRecording`] when there is none or it is deleted for good.
async fn existing(transaction: &mut Transaction, id: &str) -> Result<Recording, Error> {
    let found = find(transaction, id).await?.filter(|found| found.status != RecordingStatus::Deleted);
    found.ok_or_else(|| Error::NoSuchRecording { id: id.chars().take(80).collect() })
}

/// Adds a row; `details` are clean.
async fn insert(transaction: &mut Transaction, new: &Recording) -> Result<(), Error> {
    const INSERT: &str = "insert into recordings (id, stream, session, from_msn, until_msn, renditions, status, reason, stopped, \
        started_ms, ended_ms, duration_ms, size_bytes, clip_of, vault, stored_msn, trashed_ms, created_ms, updated_ms, \
        title, title_key, description, tags, search, visibility, embed_parents, thumbnail_ms, chapters) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22, $23, $24, $25, $26, $27, $28)";
    let facts: [Argument; 19] = [
        new.id.as_str().into(),
        new.stream.as_str().into(),
        new.session.as_str().into(),
        new.from_msn.into(),
        new.until_msn.into(),
        new.renditions.join(",").as_str().into(),
        new.status.as_str().into(),
        new.reason.as_str().into(),
        i64::from(new.stopped).into(),
        new.started_ms.into(),
        new.ended_ms.into(),
        new.duration_ms.into(),
        new.size_bytes.into(),
        new.clip_of.as_deref().into(),
        new.vault.as_deref().into(),
        new.stored_msn.into(),
        new.trashed_ms.into(),
        new.created_ms.into(),
        new.updated_ms.into(),
    ];
    let values: Vec<Argument> = facts.into_iter().chain(detail_values(&new.details)).collect();
    transaction.execute("add the recording", INSERT, &values).await?;
    Ok(())
}

/// title, title_key, description, tags, search, visibility, embed_parents, thumbnail_ms and chapters.
fn detail_values(details: &RecordingDetails) -> [Argument; 9] {
    [
        details.title.as_str().into(),
        fold(&details.title).as_str().into(),
        details.description.as_str().into(),
        details.tags.join("\n").as_str().into(),
        search::text_of(details).as_str().into(),
        details.visibility.as_str().into(),
        details.embed_parents.join(" ").as_str().into(),
        details.thumbnail_ms.into(),
        write_chapters(&details.chapters).as_str().into(),
    ]
}

/// The columns [`read_recording`] wants, in its order.
macro_rules! recording_columns {
    () => {
        "r.id, r.stream, r.session, r.from_msn, r.until_msn, r.renditions, r.status, r.reason, r.stopped, r.started_ms, \
        r.ended_ms, r.duration_ms, r.size_bytes, r.clip_of, r.vault, r.stored_msn, r.trashed_ms, r.created_ms, r.updated_ms, \
        r.title, r.description, r.tags, r.visibility, r.embed_parents, r.thumbnail_ms, r.chapters"
    };
}
use recording_columns;

fn read_recording(row: &Row) -> Result<Recording, Error> {
    let list = |text: String, separator| match text.as_str() {
        "" => Vec::new(),
        text => text.split(separator).map(str::to_owned).collect(),
    };
    Ok(Recording {
        id: row.text(0)?,
        stream: row.text(1)?,
        session: row.text(2)?,
        from_msn: row.count(3)?,
        until_msn: row.count_or_null(4)?,
        renditions: read_names(&row.text(5)?),
        status: row.word(6)?,
        reason: row.text(7)?,
        stopped: row.int(8)? != 0,
        started_ms: row.int(9)?,
        ended_ms: row.int_or_null(10)?,
        duration_ms: row.count(11)?,
        size_bytes: row.count(12)?,
        clip_of: row.text_or_null(13)?,
        vault: row.text_or_null(14)?,
        stored_msn: row.count(15)?,
        trashed_ms: row.int_or_null(16)?,
        created_ms: row.int(17)?,
        updated_ms: row.int(18)?,
        details: RecordingDetails {
            title: row.text(19)?,
            description: row.text(20)?,
            tags: list(row.text(21)?, '\n'),
            visibility: row.word(22)?,
            embed_parents: list(row.text(23)?, ' '),
            thumbnail_ms: row.int_or_null(24)?,
            chapters: read_chapters(&row.text(25)?).map_err(|error| Error::Unreadable { what: error.to_string() })?,
        },
    })
}

/// Whether this is how an id is written. What is not never reaches the database: Postgres refuses texts with a zero byte.
fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

//! What the server notes of its own recordings: they start, grow, end, can be watched, lie in the vault, are gone. Nobody
//! decides these, so they leave no audit row. Each may be asked for again when the database did not answer; the second time
//! changes nothing.

use super::rules::{check_renditions, is_plain};
use super::{
    Recording, RecordingDetails, RecordingStatus, existing, find, insert, is_id, read_recording, recording_columns,
};
use crate::database::Transaction;
use crate::{Error, Store, Visibility, check_name};

/// Rows given at a time of those that wait for their segments to be removed.
const DELETED_PAGE: i64 = 1_000;

/// A recording that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecording {
    /// From [`new_recording_id`](crate::new_recording_id).
    pub id: String,
    /// The stream's name.
    pub stream: String,
    /// The session, 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub session: String,
    /// Its first segment.
    pub from_msn: u64,
    /// The renditions to keep; see [`RecordingRules`](crate::RecordingRules).
    pub renditions: Vec<String>,
    /// What is said of it at first.
    pub details: RecordingDetails,
    /// When its first segment begins, milliseconds since 1970.
    pub started_ms: i64,
}

impl NewRecording {
    /// As it begins.
    pub(super) fn row(self, now_ms: i64) -> Result<Recording, Error> {
        Ok(Recording {
            id: self.id,
            stream: self.stream,
            session: self.session,
            from_msn: self.from_msn,
            until_msn: None,
            renditions: self.renditions,
            details: self.details.clean()?,
            status: RecordingStatus::Recording,
            reason: String::new(),
            stopped: false,
            started_ms: self.started_ms,
            ended_ms: None,
            duration_ms: 0,
            size_bytes: 0,
            clip_of: None,
            vault: None,
            stored_msn: self.from_msn,
            trashed_ms: None,
            created_ms: now_ms,
            updated_ms: now_ms,
        })
    }
}

/// How much a recording has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// How long it is to watch, milliseconds.
    pub duration_ms: u64,
    /// Bytes of all its renditions.
    pub size_bytes: u64,
}

impl Store {
    /// Notes a recording that begins; one of this id that is there already is given as it is.
    ///
    /// # Errors
    /// [`Error::RecordedAlready`] when another one of the session runs; [`Error::BadName`] and [`Error::BadSetting`] for what
    /// cannot be stored; when the database did not answer.
    pub async fn start_recording(&self, new: &NewRecording, now_ms: i64) -> Result<Recording, Error> {
        let mut transaction = self.database().begin().await?;
        let recording = start(&mut transaction, new, now_ms).await?;
        transaction.commit().await?;
        Ok(recording)
    }

    /// Notes how much a recording has become so far. One that does not run is left alone.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn note_recording(&self, id: &str, so_far: Measured, now_ms: i64) -> Result<(), Error> {
        const NOTE: &str = "update recordings set duration_ms = $2, size_bytes = $3, updated_ms = $4 \
            where id = $1 and status = 'recording'";
        if is_id(id) {
            let values = [id.into(), so_far.duration_ms.into(), so_far.size_bytes.into(), now_ms.into()];
            self.database().execute("note the recording", NOTE, &values).await?;
        }
        Ok(())
    }

    /// Ends a recording in front of segment `until_msn`, at `ended_ms` by the clock of its media; it is to be made ready
    /// ([`Store::finish_recording`]). One that does not run is left alone.
    ///
    /// # Errors
    /// [`Error::NoSuchRecording`]; [`Error::BadSetting`] when it would end before it began; when the database did not answer.
    pub async fn end_recording(&self, id: &str, until_msn: u64, ended_ms: i64, now_ms: i64) -> Result<(), Error> {
        let mut transaction = self.database().begin().await?;
        let running = existing(&mut transaction, id).await?;
        end(&mut transaction, &running, Ending { until_msn, ended_ms, stopped: false }, now_ms).await?;
        transaction.commit().await
    }

    /// An ended recording can be watched. `thumbnail_ms` is where its picture is taken unless somebody decided that.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn finish_recording(
        &self,
        id: &str,
        became: Measured,
        thumbnail_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<(), Error> {
        const FINISH: &str = "update recordings set status = 'available', duration_ms = $2, size_bytes = $3, \
            thumbnail_ms = coalesce(thumbnail_ms, $4), updated_ms = $5 where id = $1 and status = 'processing'";
        if is_id(id) {
            let values =
                [id.into(), became.duration_ms.into(), became.size_bytes.into(), thumbnail_ms.into(), now_ms.into()];
            self.database().execute("finish the recording", FINISH, &values).await?;
        }
        Ok(())
    }

    /// An ended recording cannot be watched; `reason` is a clause for people.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn fail_recording(&self, id: &str, reason: &str, now_ms: i64) -> Result<(), Error> {
        const FAIL: &str = "update recordings set status = 'failed', reason = $2, updated_ms = $3 \
            where id = $1 and status = 'processing'";
        let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        if is_id(id) {
            let values = [id.into(), reason.as_str().into(), now_ms.into()];
            self.database().execute("note the failure", FAIL, &values).await?;
        }
        Ok(())
    }

    /// A session goes on, and its newest recording with it: that runs again, unless somebody stopped it, put it in the trash or
    /// deleted it. Gives it as it is then; `None` when the session has none.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn reopen_recording(&self, stream: &str, session: &str, now_ms: i64) -> Result<Option<Recording>, Error> {
        const NEWEST: &str = concat!(
            "select ",
            recording_columns!(),
            " from recordings r where r.stream = $1 and r.session = $2 and r.clip_of is null \
            order by r.from_msn desc, r.id desc limit 1"
        );
        const REOPEN: &str = "update recordings set status = 'recording', reason = '', until_msn = null, ended_ms = null, \
            updated_ms = $2 where id = $1 and stopped = 0 and trashed_ms is null and status <> 'deleted'";
        const TIGHTEN: &str = "update recordings set visibility = $2 where id = $1 and status = 'recording'";
        const DOING: &str = "reopen the recording";
        let mut transaction = self.database().begin().await?;
        let rows = transaction.fetch(DOING, NEWEST, &[stream.into(), session.into()]).await?;
        let Some(newest) = rows.first().map(read_recording).transpose()? else { return Ok(None) };
        transaction.execute(DOING, REOPEN, &[newest.id.as_str().into(), now_ms.into()]).await?;
        // The stream may let fewer people in than when it ended.
        let visibility = visibility_of(&mut transaction, stream).await?.unwrap_or_default();
        if visibility > newest.details.visibility {
            transaction.execute(DOING, TIGHTEN, &[newest.id.as_str().into(), visibility.as_str().into()]).await?;
        }
        let after = find(&mut transaction, &newest.id).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// All recordings that run or are being made ready, but those that are made of a file ([`Store::unfinished_imports`]). At the start of a server these are the ones the last start left behind.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn unfinished_recordings(&self) -> Result<Vec<Recording>, Error> {
        const UNFINISHED: &str = concat!(
            "select ",
            recording_columns!(),
            " from recordings r where r.status = 'recording' or (r.status = 'processing' and r.until_msn is not null) \
            order by r.started_ms, r.id"
        );
        let rows = self.database().fetch("list the unfinished recordings", UNFINISHED, &[]).await?;
        rows.iter().map(read_recording).collect()
    }

    /// Notes that every kept segment of a session below `stored_msn` is verified in `vault`, for its recordings and clips alike.
    /// It never goes back within one vault.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn note_stored(
        &self,
        stream: &str,
        session: &str,
        vault: &str,
        stored_msn: u64,
        now_ms: i64,
    ) -> Result<(), Error> {
        const NOTE: &str = "update recordings set vault = $3, \
            stored_msn = case when vault = $3 and stored_msn > $4 then stored_msn else $4 end, \
            updated_ms = $5 where stream = $1 and session = $2";
        let values = [stream.into(), session.into(), vault.into(), stored_msn.into(), now_ms.into()];
        self.database().execute("note what the vault holds", NOTE, &values).await?;
        Ok(())
    }

    /// Recordings that are deleted for good and whose segments are to be removed, those first that wait longest; at most
    /// 1,000. Ask again when they are done.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn deleted_recordings(&self) -> Result<Vec<Recording>, Error> {
        const DELETED: &str = concat!(
            "select ",
            recording_columns!(),
            " from recordings r where r.status = 'deleted' order by r.updated_ms, r.id limit $1"
        );
        let rows = self.database().fetch("list the deleted recordings", DELETED, &[DELETED_PAGE.into()]).await?;
        rows.iter().map(read_recording).collect()
    }

    /// Forgets a recording that is deleted for good, when its segments are removed. Any other one is left alone.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn remove_recording(&self, id: &str) -> Result<(), Error> {
        const REMOVE: &str = "delete from recordings where id = $1 and status = 'deleted'";
        if is_id(id) {
            self.database().execute("remove the recording", REMOVE, &[id.into()]).await?;
        }
        Ok(())
    }
}

/// Adds a running recording unless it is there.
pub(super) async fn start(transaction: &mut Transaction, new: &NewRecording, now_ms: i64) -> Result<Recording, Error> {
    const RUNNING: &str = "select id from recordings where stream = $1 and session = $2 and status = 'recording'";
    check_name(&new.stream)?;
    check_renditions(&new.renditions)?;
    if !is_id(&new.id) || !is_plain(&new.session) {
        return Err(Error::BadSetting { setting: "session", why: "the recording's id or session is malformed".into() });
    }
    if let Some(known) = find(transaction, &new.id).await? {
        return Ok(known);
    }
    let session = [new.stream.as_str().into(), new.session.as_str().into()];
    if !transaction.fetch("look for a running recording", RUNNING, &session).await?.is_empty() {
        return Err(Error::RecordedAlready { name: new.stream.clone() });
    }
    // What is recorded shows the live, so it lets no more people in. Asked here, as the stream may have changed since the caller did.
    let visibility = visibility_of(transaction, &new.stream).await?.unwrap_or_default();
    let mut recording = new.clone().row(now_ms)?;
    recording.details.visibility = recording.details.visibility.max(visibility);
    insert(transaction, &recording).await?;
    Ok(recording)
}

/// Who may watch a stream; `None` when it is gone.
pub(super) async fn visibility_of(transaction: &mut Transaction, stream: &str) -> Result<Option<Visibility>, Error> {
    const STREAM: &str = "select visibility from streams where name = $1";
    let rows = transaction.fetch("read who may watch the stream", STREAM, &[stream.into()]).await?;
    Ok(rows.first().map(|row| row.word(0).unwrap_or(Visibility::Private)))
}

/// Where and when a recording ends.
pub(super) struct Ending {
    pub until_msn: u64,
    pub ended_ms: i64,
    /// Somebody decided it.
    pub stopped: bool,
}

/// Ends a recording; `false` when it did not run.
pub(super) async fn end(
    transaction: &mut Transaction,
    running: &Recording,
    ending: Ending,
    now_ms: i64,
) -> Result<bool, Error> {
    const END: &str = "update recordings set status = 'processing', until_msn = $2, ended_ms = $3, stopped = $4, \
        updated_ms = $5 where id = $1 and status = 'recording'";
    if ending.until_msn < running.from_msn {
        return Err(Error::BadSetting { setting: "until_msn", why: "before the recording's first segment".into() });
    }
    let values = [
        running.id.as_str().into(),
        ending.until_msn.into(),
        ending.ended_ms.into(),
        i64::from(ending.stopped).into(),
        now_ms.into(),
    ];
    Ok(transaction.execute("end the recording", END, &values).await? == 1)
}

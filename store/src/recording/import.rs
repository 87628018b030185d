//! Recordings that are made of a file somebody sent: processing without an end, until all of the file is in the archive. An import that
//! was cut off begins anew, in a session of its own, so that nothing half made is ever taken for the whole.

use super::progress::visibility_of;
use super::rules::{check_renditions, is_plain};
use super::{
    Measured, NewRecording, Recording, RecordingStatus, find, insert, is_id, read_recording, recording_columns,
};
use crate::database::Transaction;
use crate::{Error, Store, check_name};

impl Store {
    /// An import begins, or begins anew, as this session; whether it is still wanted.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn restart_import(
        &self,
        id: &str,
        session: &str,
        renditions: &[String],
        started_ms: i64,
        now_ms: i64,
    ) -> Result<bool, Error> {
        const RESTART: &str = "update recordings set session = $2, renditions = $3, started_ms = $4, duration_ms = 0, \
            size_bytes = 0, updated_ms = $5 where id = $1 and status = 'processing' and until_msn is null";
        if !is_id(id) || !is_plain(session) {
            return Ok(false);
        }
        let values =
            [id.into(), session.into(), renditions.join(",").as_str().into(), started_ms.into(), now_ms.into()];
        Ok(self.database().execute("begin the import", RESTART, &values).await? == 1)
    }

    /// Notes how much of an import is there; whether it is still wanted.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn note_import(&self, id: &str, so_far: Measured, now_ms: i64) -> Result<bool, Error> {
        const NOTE: &str = "update recordings set duration_ms = $2, size_bytes = $3, updated_ms = $4 \
            where id = $1 and status = 'processing' and until_msn is null";
        if !is_id(id) {
            return Ok(false);
        }
        let values = [id.into(), so_far.duration_ms.into(), so_far.size_bytes.into(), now_ms.into()];
        Ok(self.database().execute("note the import", NOTE, &values).await? == 1)
    }

    /// All of an import is there: it ends in front of segment `until_msn`, and is to be made ready ([`Store::finish_recording`]).
    /// Whether it was still wanted.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn end_import(&self, id: &str, until_msn: u64, ended_ms: i64, now_ms: i64) -> Result<bool, Error> {
        const END: &str = "update recordings set until_msn = $2, ended_ms = $3, updated_ms = $4 \
            where id = $1 and status = 'processing' and until_msn is null";
        if !is_id(id) {
            return Ok(false);
        }
        let values = [id.into(), until_msn.into(), ended_ms.into(), now_ms.into()];
        Ok(self.database().execute("end the import", END, &values).await? == 1)
    }

    /// Nothing can be made of an import; `reason` is a sentence for people. It keeps no segment.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn fail_import(&self, id: &str, reason: &str, now_ms: i64) -> Result<(), Error> {
        const FAIL: &str = "update recordings set status = 'failed', reason = $2, until_msn = from_msn, ended_ms = started_ms, \
            duration_ms = 0, size_bytes = 0, updated_ms = $3 \
            where id = $1 and status = 'processing' and until_msn is null";
        let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        if is_id(id) {
            let values = [id.into(), reason.as_str().into(), now_ms.into()];
            self.database().execute("note the failure", FAIL, &values).await?;
        }
        Ok(())
    }

    /// Imports that are not made, oldest first.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn unfinished_imports(&self) -> Result<Vec<Recording>, Error> {
        const UNFINISHED: &str = concat!(
            "select ",
            recording_columns!(),
            " from recordings r where r.status = 'processing' and r.until_msn is null order by r.created_ms, r.id"
        );
        let rows = self.database().fetch("list the unfinished imports", UNFINISHED, &[]).await?;
        rows.iter().map(read_recording).collect()
    }
}

impl Recording {
    /// It is being made of a file, and not all of that is there.
    pub fn is_import(&self) -> bool {
        self.status == RecordingStatus::Processing && self.until_msn.is_none()
    }
}

/// Adds a row for a file that was sent, unless it is there. Unless its visibility was chosen it lets no more people in than its stream.
pub(super) async fn import(
    transaction: &mut Transaction,
    (new, is_chosen): (&NewRecording, bool),
    now_ms: i64,
) -> Result<Recording, Error> {
    check_name(&new.stream)?;
    check_renditions(&new.renditions)?;
    if !is_id(&new.id) || !is_plain(&new.session) {
        return Err(Error::BadSetting { setting: "session", why: "the recording's id or session is malformed".into() });
    }
    if let Some(known) = find(transaction, &new.id).await? {
        return Ok(known);
    }
    let mut recording = Recording { status: RecordingStatus::Processing, stopped: true, ..new.clone().row(now_ms)? };
    // Asked here, as the stream may have changed since the caller did.
    let visibility = if is_chosen { None } else { visibility_of(transaction, &new.stream).await? };
    recording.details.visibility = recording.details.visibility.max(visibility.unwrap_or_default());
    insert(transaction, &recording).await?;
    Ok(recording)
}

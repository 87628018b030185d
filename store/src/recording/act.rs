//! What people may do to recordings, each a [`RecordingAct`] with its audit row.

use super::import::import;
use super::progress::{Ending, end, start, visibility_of};
use super::{
    Due, NewRecording, Record, Recording, RecordingDetails, RecordingPatch, RecordingStatus, Visibility, detail_values,
    existing, find, insert, is_id,
};
use crate::change::Change;
use crate::database::Argument;
use crate::{Actor, Error, Store};
use serde_json::{Value, json};

/// One change somebody may make to a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingAct {
    /// A live session is recorded from a segment on. The server does the same by itself for streams that are always recorded
    /// ([`Store::start_recording`]).
    Start(NewRecording),
    /// A file that somebody sent is to become a recording.
    Import {
        /// What it becomes.
        new: NewRecording,
        /// Who sent it chose who may see it; else it lets no more people in than its stream does.
        is_chosen: bool,
    },
    /// It ends, and its session does not go on with it.
    Stop {
        /// Which recording.
        id: String,
        /// The segment in front of which it ends.
        until_msn: u64,
    },
    /// Something else is said of it.
    Edit {
        /// Which recording.
        id: String,
        /// What to change.
        patch: RecordingPatch,
    },
    /// It goes to the trash: nobody sees it, and it can be taken back.
    Trash {
        /// Which recording.
        id: String,
    },
    /// It is taken back from the trash.
    Restore {
        /// Which recording.
        id: String,
    },
    /// It is deleted for good. Its segments are the caller's to remove ([`Store::deleted_recordings`]).
    Delete {
        /// Which recording.
        id: String,
        /// The rule that asks for it; `None`: a person.
        due: Option<Due>,
    },
    /// A piece of a recording becomes one of its own, of the same segments.
    Clip(NewClip),
    /// It is replayed to a stream as if it were live. Nothing changes but the audit; the replay is the running server's.
    Replay {
        /// Which recording: one that can be watched; a private one goes to a private stream alone, whose viewers need tickets too.
        id: String,
        /// To which stream.
        to: String,
        /// It begins again at its end.
        loops: bool,
    },
}

/// A clip to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClip {
    /// From [`new_recording_id`](crate::new_recording_id).
    pub id: String,
    /// The recording it is cut from, which may still run.
    pub of: String,
    /// Its first segment.
    pub from_msn: u64,
    /// The segment after its last; at least one lies between, and all lie in the recording.
    pub until_msn: u64,
    /// When its first segment began, milliseconds since 1970.
    pub started_ms: i64,
    /// How long it is to watch, milliseconds.
    pub duration_ms: u64,
    /// Bytes of all its renditions.
    pub size_bytes: u64,
    /// What is said of it at first.
    pub details: RecordingDetails,
}

impl RecordingAct {
    fn word(&self) -> &'static str {
        match self {
            Self::Start(_) => "recording.start",
            Self::Import { .. } => "recording.import",
            Self::Stop { .. } => "recording.stop",
            Self::Edit { .. } => "recording.edit",
            Self::Trash { .. } => "recording.trash",
            Self::Restore { .. } => "recording.restore",
            Self::Delete { .. } => "recording.delete",
            Self::Clip(_) => "recording.clip",
            Self::Replay { .. } => "recording.replay",
        }
    }
}

impl Store {
    /// Makes one change to a recording at `now_ms` (milliseconds since 1970) and writes its audit row, both or neither; gives the
    /// recording as it is then. Otherwise as [`Store::perform`].
    ///
    /// # Errors
    /// With [`crate::Fault::Caller`] when the change cannot be made (nothing was changed), else when the database did not answer.
    pub async fn perform_on_recording(
        &self,
        actor: &Actor,
        act: &RecordingAct,
        now_ms: i64,
    ) -> Result<Recording, Error> {
        let mut change = self.begin_change(now_ms).await?;
        let (recording, detail) = change.make_on_recording(act).await?;
        self.keep_change(change, actor, act.word(), &recording.stream, &detail).await?;
        Ok(recording)
    }
}

impl Change {
    async fn make_on_recording(&mut self, act: &RecordingAct) -> Result<(Recording, Value), Error> {
        match act {
            RecordingAct::Start(new) => {
                self.may_record(&new.stream).await?;
                let recording = start(&mut self.transaction, new, self.now_ms).await?;
                let detail =
                    json!({ "recording": recording.id, "session": recording.session, "from_msn": recording.from_msn });
                Ok((recording, detail))
            }
            RecordingAct::Import { new, is_chosen } => {
                let recording = import(&mut self.transaction, (new, *is_chosen), self.now_ms).await?;
                let detail = json!({ "recording": recording.id, "title": recording.details.title });
                Ok((recording, detail))
            }
            RecordingAct::Stop { id, until_msn } => {
                let running = existing(&mut self.transaction, id).await?;
                let ending = Ending { until_msn: *until_msn, ended_ms: self.now_ms, stopped: true };
                if !end(&mut self.transaction, &running, ending, self.now_ms).await? {
                    return Err(not_now(id, "does not run, so there is nothing to stop"));
                }
                Ok((self.again(id).await?, json!({ "recording": id, "until_msn": until_msn })))
            }
            RecordingAct::Edit { id, patch } => self.edit(id, patch).await,
            RecordingAct::Trash { id } => {
                const TRASH: &str = "update recordings set trashed_ms = $2, updated_ms = $2 \
                    where id = $1 and status <> 'recording' and trashed_ms is null";
                let before = existing(&mut self.transaction, id).await?;
                if !self.update("put the recording in the trash", TRASH, id).await? {
                    return Err(match before.trashed_ms {
                        Some(_) => not_now(id, "is in the trash already"),
                        None => not_now(id, STILL_RUNS),
                    });
                }
                Ok((self.again(id).await?, json!({ "recording": id, "title": before.details.title })))
            }
            RecordingAct::Restore { id } => {
                const RESTORE: &str =
                    "update recordings set trashed_ms = null, updated_ms = $2 where id = $1 and trashed_ms is not null";
                existing(&mut self.transaction, id).await?;
                if !self.update("take the recording from the trash", RESTORE, id).await? {
                    return Err(not_now(id, "is not in the trash"));
                }
                Ok((self.again(id).await?, json!({ "recording": id })))
            }
            RecordingAct::Delete { id, due } => {
                const DELETE: &str =
                    "update recordings set status = 'deleted', updated_ms = $2 where id = $1 and status <> 'recording'";
                let before = existing(&mut self.transaction, id).await?;
                if *due == Some(Due::Trash) && before.trashed_ms.is_none() {
                    return Err(not_now(id, "was taken from the trash, so it stays"));
                }
                if !self.update("delete the recording", DELETE, id).await? {
                    return Err(not_now(id, STILL_RUNS));
                }
                let detail = json!({
                    "recording": id,
                    "title": before.details.title,
                    "bytes": before.size_bytes,
                    "due": due.map(Due::as_str),
                });
                Ok((self.again(id).await?, detail))
            }
            RecordingAct::Clip(new) => self.clip(new).await,
            RecordingAct::Replay { id, to, loops } => {
                let stream = self.stream(to).await?;
                let recording = existing(&mut self.transaction, id).await?;
                may_be_replayed(&recording, stream.settings.visibility)?;
                Ok((recording, json!({ "recording": id, "to": to, "loop": loops })))
            }
        }
    }

    /// # Errors
    /// [`Error::NoSuchStream`]; [`Error::BadSetting`] for a stream that is never recorded.
    async fn may_record(&mut self, name: &str) -> Result<(), Error> {
        if self.stream(name).await?.settings.recording.record == Record::Never {
            let why = format!("{name} is never recorded; set it to request or always first");
            return Err(Error::BadSetting { setting: "record", why });
        }
        Ok(())
    }

    async fn edit(&mut self, id: &str, patch: &RecordingPatch) -> Result<(Recording, Value), Error> {
        const EDIT: &str = "update recordings set title = $3, title_key = $4, description = $5, tags = $6, search = $7, \
            visibility = $8, embed_parents = $9, thumbnail_ms = $10, chapters = $11, updated_ms = $2 where id = $1";
        let before = existing(&mut self.transaction, id).await?;
        let mut details = before.details.clone();
        patch.apply(&mut details);
        let details = details.clean()?;
        if before.status == RecordingStatus::Recording
            && let Some(stream) = visibility_of(&mut self.transaction, &before.stream).await?
            && details.visibility < stream.min(before.details.visibility)
        {
            return Err(not_now(
                id,
                "still runs and lets in who its stream does; change the stream, or wait for its end",
            ));
        }
        let at_ms = patch.thumbnail_ms.and_then(|at| u64::try_from(at).ok());
        if before.until_msn.is_some() && at_ms.is_some_and(|at| at > before.duration_ms) {
            return Err(Error::BadSetting { setting: "thumbnail_ms", why: "behind the recording's end".into() });
        }
        let last_ms = patch.chapters.as_ref().and_then(|chapters| chapters.last()).map(|chapter| chapter.at_ms);
        if before.until_msn.is_some() && last_ms.is_some_and(|at| at >= before.duration_ms) {
            return Err(Error::BadSetting {
                setting: "chapters",
                why: "the last one is behind the recording's end".into(),
            });
        }
        let which: [Argument; 2] = [id.into(), self.now_ms.into()];
        let values: Vec<Argument> = which.into_iter().chain(detail_values(&details)).collect();
        self.transaction.execute("edit the recording", EDIT, &values).await?;
        let detail = json!({ "recording": id, "before": before.details.describe(), "after": details.describe() });
        Ok((self.again(id).await?, detail))
    }

    async fn clip(&mut self, new: &NewClip) -> Result<(Recording, Value), Error> {
        let whole = existing(&mut self.transaction, &new.of).await?;
        if whole.trashed_ms.is_some() {
            return Err(not_now(&new.of, "is in the trash; take it back first"));
        }
        if whole.is_import() {
            return Err(not_now(&new.of, "is being made ready; try again in a moment"));
        }
        if new.from_msn >= new.until_msn
            || new.from_msn < whole.from_msn
            || whole.until_msn.is_some_and(|until| new.until_msn > until)
        {
            let why = "the clip has no segment, or one that is not the recording's".into();
            return Err(Error::BadSetting { setting: "clip", why });
        }
        if !is_id(&new.id) || find(&mut self.transaction, &new.id).await?.is_some() {
            return Err(Error::BadSetting { setting: "clip", why: "its id is malformed or taken".into() });
        }
        // The whole may have been closed while the clip was looked up.
        let mut details = new.details.clean()?;
        details.visibility = details.visibility.max(whole.details.visibility);
        let length_ms = i64::try_from(new.duration_ms).unwrap_or(i64::MAX);
        let clip = Recording {
            id: new.id.clone(),
            from_msn: new.from_msn,
            until_msn: Some(new.until_msn),
            status: RecordingStatus::Available,
            reason: String::new(),
            stopped: true,
            started_ms: new.started_ms,
            ended_ms: Some(new.started_ms.saturating_add(length_ms)),
            duration_ms: new.duration_ms,
            size_bytes: new.size_bytes,
            details,
            clip_of: Some(whole.id.clone()),
            created_ms: self.now_ms,
            updated_ms: self.now_ms,
            ..whole
        };
        insert(&mut self.transaction, &clip).await?;
        let detail =
            json!({ "recording": clip.id, "of": clip.clip_of, "from_msn": clip.from_msn, "until_msn": clip.until_msn });
        Ok((clip, detail))
    }

    /// Runs an update of one recording by its id and the time; `false` when it is in no state for it.
    async fn update(&mut self, doing: &'static str, sql: &'static str, id: &str) -> Result<bool, Error> {
        Ok(self.transaction.execute(doing, sql, &[id.into(), self.now_ms.into()]).await? == 1)
    }

    /// The recording as it is now.
    async fn again(&mut self, id: &str) -> Result<Recording, Error> {
        let found = find(&mut self.transaction, id).await?;
        found.ok_or_else(|| Error::NoSuchRecording { id: id.into() })
    }
}

fn may_be_replayed(recording: &Recording, to: Visibility) -> Result<(), Error> {
    let why = match recording.status {
        _ if recording.trashed_ms.is_some() => "is in the trash; take it back first",
        RecordingStatus::Recording => STILL_RUNS,
        RecordingStatus::Processing => "is being made ready; try again in a moment",
        RecordingStatus::Failed => "can't be watched",
        RecordingStatus::Available
            if recording.details.visibility == Visibility::Private && to != Visibility::Private =>
        {
            "is private, and who watches that stream needs no ticket; make the stream private, or the recording unlisted or public first"
        }
        RecordingStatus::Available | RecordingStatus::Deleted => return Ok(()),
    };
    Err(not_now(&recording.id, why))
}

const STILL_RUNS: &str = "still runs; stop it first";

fn not_now(id: &str, why: &'static str) -> Error {
    Error::NotNow { id: id.into(), why }
}

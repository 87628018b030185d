//! What becomes of files that are whole: one after the other is imported.

use super::note::Note;
use super::{LOOK_EVERY, Refused, Upload, Uploads};
use crate::recordings::{Import, Imported, Recordings, Studio};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Actor, NewRecording, RecordingAct, RecordingDetails, RecordingStatus, Visibility, now_ms};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After an import that could not be made now; twice as long each time.
const AGAIN_MIN: Duration = Duration::from_secs(10);
const AGAIN_MAX: Duration = Duration::from_secs(3600);
/// So often an import may fail by its own file. A full disk and a database that is away are waited for as long as it takes.
const FAULTS_MAX: u32 = 5;

/// How the import of a file went so far.
#[derive(Debug, Default)]
pub struct Tries {
    failed: u32,
    faults: u32,
    due: Option<Instant>,
}

impl Tries {
    /// One failed. Gives how long to wait for the next.
    fn fail(&mut self, now: Instant) -> Duration {
        let pause = AGAIN_MIN.saturating_mul(1 << self.failed.min(16)).min(AGAIN_MAX);
        self.failed = self.failed.saturating_add(1);
        self.due = Some(now + pause);
        pause
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

impl Upload {
    /// A panic can't leave these short sections half done, so poison is ignored.
    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploads {
    /// Imports what is whole, one after the other, and gives up what nobody goes on with, until `stop`.
    pub async fn run(self: Arc<Self>, recordings: Arc<Recordings>, studio: Studio, stop: CancellationToken) {
        self.fail_lost().await;
        // Each on its own: an import may take hours, or wait for a disk.
        let work = async { tokio::join!(self.import_whole(&recordings, &studio), self.expire()) };
        tokio::select! {
            _ = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn import_whole(&self, recordings: &Arc<Recordings>, studio: &Studio) {
        loop {
            let is_all = self.round(recordings, studio).await;
            let pause = if is_all { LOOK_EVERY } else { AGAIN_MIN };
            // One that became whole during the round left its permit.
            let _either = tokio::time::timeout(pause, self.whole.notified()).await;
        }
    }

    /// Imports what is whole; whether nothing has to be tried again.
    async fn round(&self, recordings: &Arc<Recordings>, studio: &Studio) -> bool {
        let mut is_all = true;
        let mut all: Vec<_> = self.shelf().values().cloned().collect();
        all.retain(|upload| upload.is_whole());
        // First, as an import takes long and who sent a file looks for its recording.
        for upload in &all {
            let Ok(_pen) = Arc::clone(&upload.pen).try_lock_owned() else { continue };
            is_all &= self.noted(upload).await;
        }
        for upload in all {
            let Ok(_pen) = Arc::clone(&upload.pen).try_lock_owned() else { continue };
            let is_due = upload.tries().is_due(Instant::now());
            is_all &= is_due && self.noted(&upload).await && self.import(&upload, recordings, studio).await;
        }
        metrics::gauge!("weir_uploads").set(self.shelf().len() as f64);
        is_all
    }

    /// Makes a recording of a whole file; whether that is done with.
    async fn import(&self, upload: &Upload, recordings: &Arc<Recordings>, studio: &Studio) -> bool {
        let note = upload.note().clone();
        let row = match self.store.recording(&note.id).await {
            Ok(row) => row,
            Err(_) => return false,
        };
        let is_due = row.as_ref().is_some_and(|row| row.is_import());
        let imported = if is_due {
            let (id, stream, file) = (note.id.clone(), note.stream.clone(), Note::media(&self.folder, &note.id));
            recordings.import(Import { id, stream, file, epoch: self.epoch }, studio).await
        } else if row.is_some_and(|row| row.status == RecordingStatus::Available) {
            // The server died when it was made, and before the file was removed.
            Imported::Whole
        } else {
            Imported::Unwanted
        };
        let outcome = match &imported {
            Imported::Whole => "whole",
            Imported::Refused(_) => "refused",
            Imported::Unwanted => "unwanted",
            Imported::Faulty(_) => "faulty",
            Imported::Again(_) => "again",
        };
        metrics::counter!("weir_imports_total", "outcome" => outcome).increment(1);
        match imported {
            Imported::Again(reason) => return Self::put_off(upload, &reason),
            Imported::Faulty(reason) => {
                upload.tries().faults += 1;
                if upload.tries().faults < FAULTS_MAX {
                    return Self::put_off(upload, &reason);
                }
                let told = format!("{reason}. It was tried {FAULTS_MAX} times; upload the file again.");
                if self.store.fail_import(&note.id, &told, now_ms()).await.is_err() {
                    return Self::put_off(upload, &reason);
                }
                tracing::warn!(reason, recording = note.id, "an import failed too often and was given up");
                self.remember(self.facts(upload));
            }
            Imported::Refused(reason) => {
                tracing::info!(reason, recording = note.id, "nothing can be made of a file");
                self.remember(self.facts(upload));
            }
            Imported::Whole => self.remember(self.facts(upload)),
            Imported::Unwanted => {}
        }
        self.discard(upload).await.is_ok()
    }

    /// It is begun anew later, and is not done with.
    fn put_off(upload: &Upload, reason: &str) -> bool {
        let pause_s = upload.tries().fail(Instant::now()).as_secs();
        let recording = upload.note().id.clone();
        tracing::warn!(reason, recording, pause_s, "an import could not be made; it is begun anew");
        false
    }

    /// Whether the recording's row is there.
    async fn noted(&self, upload: &Upload) -> bool {
        let noted = self.make_row(upload).await;
        if let Err(error) = &noted {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "the recording of an uploaded file can't be noted yet");
        }
        noted.is_ok()
    }

    /// Makes sure that the recording's row was made once. One that was deleted is not made again.
    pub(super) async fn make_row(&self, upload: &Upload) -> Result<(), Refused> {
        let mut note = upload.note().clone();
        if note.has_row {
            return Ok(());
        }
        let chosen = note.visibility();
        let visibility = match chosen {
            Some(chosen) => chosen,
            // Also as the stream is now, which may have been closed while the file was on its way, or be gone.
            None => note.closed_to(self.visibility_of(&note.stream).await?),
        };
        let details = RecordingDetails { title: note.title.clone(), visibility, ..RecordingDetails::default() };
        let new = NewRecording {
            id: note.id.clone(),
            stream: note.stream.clone(),
            session: format!("i{:x}-{}", now_ms(), self.epoch),
            from_msn: 0,
            renditions: vec!["source".to_owned()],
            details,
            started_ms: note.created_ms,
        };
        let actor = Actor::Api(note.actor.clone());
        let act = RecordingAct::Import { new, is_chosen: chosen.is_some() };
        self.store.perform_on_recording(&actor, &act, now_ms()).await?;
        note.has_row = true;
        upload.rewrite(&self.folder, note).await
    }

    /// Who may see what a stream's recordings are from now on; `None` when there is no such stream.
    pub(super) async fn visibility_of(&self, stream: &str) -> Result<Option<Visibility>, Refused> {
        let stream = self.store.stream(stream).await?;
        Ok(stream.map(|stream| stream.settings.recording.visibility.max(stream.settings.visibility)))
    }

    /// Imports whose file is gone, with a folder that somebody removed, can't be made any more.
    async fn fail_lost(&self) {
        let Ok(imports) = self.store.unfinished_imports().await else { return };
        for lost in imports.iter().filter(|import| !self.shelf().contains_key(&import.id)) {
            let reason = "The uploaded file is gone from the server; upload it again.";
            if let Err(error) = self.store.fail_import(&lost.id, reason, now_ms()).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a lost import could not be noted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_and_again_is_tried_less_and_less_often() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        assert!(tries.is_due(now));
        let pauses: Vec<u64> = (0..11).map(|_| tries.fail(now).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert!(!tries.is_due(now + Duration::from_secs(3599)) && tries.is_due(now + Duration::from_secs(3600)));
    }
}

//! The work that no session and no viewer waits for: recordings that ended are made ready, what is due is deleted, and what nobody
//! needs any more is removed from the disk.

use super::Recordings;
use super::measure::{self, Extent, SOUND};
use archive::{Kept, SessionName};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Actor, Recording, RecordingAct, RecordingStatus, now_ms};

/// How often it looks around when nobody calls.
const EVERY: Duration = Duration::from_secs(30);
/// While the last segment of something is not whole, or not on the disk for good.
const SOON: Duration = Duration::from_secs(1);
/// After a fault of the database.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it looks for what is due by age, size or number, in rounds of [`EVERY`].
const DUE_EVERY: u32 = 20;

/// Works until the server stops. What a server that died left running is ended by [`Recordings::settle`] before, so that sessions
/// that go on find their recordings.
pub async fn take_care(recordings: Arc<Recordings>) {
    let (mut rounds, mut is_well) = (0_u32, true);
    let mut changes = recordings.store.changes();
    loop {
        changes.mark_unchanged();
        let pause = match recordings.round(rounds.is_multiple_of(DUE_EVERY)).await {
            Ok(is_all) => {
                is_well = true;
                if is_all { EVERY } else { SOON }
            }
            Err(error) => {
                // Once for each time that the database is away.
                if std::mem::take(&mut is_well) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "recordings could not be looked after; it is tried again until they can");
                }
                AGAIN
            }
        };
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = recordings.stop.cancelled() => return,
            () = recordings.work.notified() => {}
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Recordings {
    /// Ends the recordings that a server which died left running, as far as they got.
    pub async fn settle(&self) {
        if let Err(error) = self.end_left_over().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "recordings of the last start could not be ended yet"
            );
        }
    }

    /// Does what there is to do; whether that is all.
    async fn round(&self, looks_for_due: bool) -> Result<bool, store::Error> {
        let is_all = self.end_left_over().await?;
        if looks_for_due {
            self.delete_due().await?;
        }
        Ok(self.sweep_disk().await? && is_all)
    }

    /// Ends recordings whose session is over, and makes ended ones ready; whether all are that could be.
    async fn end_left_over(&self) -> Result<bool, store::Error> {
        let mut is_all = true;
        for recording in self.store.unfinished_recordings().await? {
            let tape = self.tape(&recording.stream).filter(|tape| tape.session == recording.session);
            let is_running = recording.status == RecordingStatus::Recording;
            match tape {
                Some(_) if is_running => {}
                // Its last segment is not whole yet.
                Some(tape) if recording.until_msn.is_some_and(|until| until > tape.timeline.span().end) => {
                    is_all = false
                }
                None if is_running => self.end(&recording, self.written(&recording).await).await?,
                _ => self.finish(&recording).await?,
            }
        }
        Ok(is_all)
    }

    /// Ends a recording in front of segment `until_msn` if it runs, and makes it ready.
    pub(super) async fn end(&self, recording: &Recording, until_msn: u64) -> Result<(), store::Error> {
        if recording.status != RecordingStatus::Recording {
            return self.finish(recording).await;
        }
        let until_msn = match self.timeline(&recording.stream, &recording.session).await {
            Some(timeline) => measure::end(&timeline, &(recording.from_msn..until_msn.max(recording.from_msn))),
            None => until_msn.max(recording.from_msn),
        };
        let ended = Recording { until_msn: Some(until_msn), ..recording.clone() };
        let ended_ms = self.extent(&ended).await.and_then(|extent| extent.ended_ms).unwrap_or_else(now_ms);
        self.store.end_recording(&ended.id, until_msn, ended_ms, now_ms()).await?;
        self.finish(&ended).await
    }

    /// The number behind what was written of a session that is over.
    async fn written(&self, recording: &Recording) -> u64 {
        let timeline = self.timeline(&recording.stream, &recording.session).await;
        timeline.map_or(0, |timeline| timeline.span().end)
    }

    async fn extent(&self, recording: &Recording) -> Option<Extent> {
        let span = recording.from_msn..recording.until_msn.unwrap_or(u64::MAX);
        let timeline = self.timeline(&recording.stream, &recording.session).await?;
        Some(Extent::of(&timeline, span, &recording.renditions))
    }

    async fn finish(&self, recording: &Recording) -> Result<(), store::Error> {
        match self.extent(recording).await.filter(|extent| extent.ended_ms.is_some()) {
            Some(extent) => {
                tracing::info!(stream = recording.stream, recording = recording.id, "a recording can be watched");
                self.store.finish_recording(&recording.id, extent.measured(), None, now_ms()).await
            }
            None => {
                tracing::warn!(stream = recording.stream, recording = recording.id, "nothing of a recording is there");
                self.store.fail_recording(&recording.id, "nothing of it was recorded", now_ms()).await
            }
        }
    }

    async fn delete_due(&self) -> Result<(), store::Error> {
        for due in self.store.due_recordings(self.rules.trash, now_ms()).await? {
            let reason = due.due.as_str();
            let act = RecordingAct::Delete { id: due.id, due: Some(due.due) };
            match self.store.perform_on_recording(&Actor::Server, &act, now_ms()).await {
                Ok(gone) => {
                    tracing::info!(stream = gone.stream, recording = gone.id, reason, "a recording was deleted")
                }
                Err(error) if error.fault() == store::Fault::Caller => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what nothing needs, and then the rows of what was deleted; whether all could be judged.
    async fn sweep_disk(&self) -> Result<bool, store::Error> {
        // In this order, so that what becomes a row meanwhile is in one of them.
        let unclaimed = self.unclaimed();
        let deleted = self.store.deleted_recordings().await?;
        let spans = self.store.all_kept_spans().await?;
        let kept = spans.into_iter().filter_map(|span| {
            let renditions = span.renditions.into_iter().chain([SOUND.to_owned()]).collect();
            Some(Kept {
                session: SessionName::new(&span.stream, &span.session).ok()?,
                from_msn: span.from_msn,
                until_msn: span.until_msn,
                renditions: Some(renditions),
            })
        });
        let kept: Arc<[Kept]> = kept.chain(unclaimed).collect();
        let (archive, spans) = (self.archive.clone(), Arc::clone(&kept));
        let now = archive::date(now_ms());
        let swept = tokio::task::spawn_blocking(move || archive.sweep(now, &spans)).await;
        let Ok(swept) = swept else { return Ok(true) };
        if swept.bytes > 0 {
            tracing::debug!(
                bytes = swept.bytes,
                reels = swept.reels.len(),
                "what nobody needs was removed from the archive"
            );
        }
        self.send_away(&kept).await?;
        let kept = Kept::by_session(&kept);
        for recording in deleted {
            if self.is_cleared(&recording, &kept).await {
                self.store.remove_recording(&recording.id).await?;
            }
        }
        Ok(!swept.is_early)
    }

    /// Has what is kept copied into the vault, and tells the database how far that is.
    async fn send_away(&self, kept: &Arc<[Kept]>) -> Result<(), store::Error> {
        let Some(warehouse) = &self.warehouse else { return Ok(()) };
        let (sender, spans) = (Arc::clone(warehouse), Arc::clone(kept));
        if tokio::task::spawn_blocking(move || sender.take_on(&spans)).await.is_err() {
            return Ok(());
        }
        warehouse.note(&self.store, kept).await
    }

    /// Whether the vault has nothing more of a deleted recording that nobody else needs. Its row is the note of what is still to be
    /// removed, so it stays until then.
    async fn is_cleared(&self, deleted: &Recording, kept: &HashMap<&SessionName, Vec<&Kept>>) -> bool {
        let Some(warehouse) = &self.warehouse else { return true };
        let Ok(session) = SessionName::new(&deleted.stream, &deleted.session) else { return true };
        let kept = kept.get(&session).map(Vec::as_slice).unwrap_or_default();
        match warehouse.clear(&session, kept).await {
            Ok(is_clear) => is_clear,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    recording = deleted.id,
                    "a deleted recording could not be removed from the vault yet"
                );
                false
            }
        }
    }

    /// Sessions that are to be kept and of which the database has no row yet.
    fn unclaimed(&self) -> Vec<Kept> {
        let live = self.live();
        let kept = live.iter().filter(|(_, tape)| tape.is_unclaimed).filter_map(|(stream, tape)| {
            let session = SessionName::new(stream, &tape.session).ok()?;
            Some(Kept { session, from_msn: 0, until_msn: None, renditions: None })
        });
        kept.collect()
    }
}

//! The rows of one session's recordings while it is written: they begin by the stream's rule, grow, and end.

use super::measure::{self, Extent};
use super::{Recordings, Tape};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Actor, Error, NewRecording, Record, RecordingAct, RecordingDetails, RecordingStatus, Stream, new_recording_id,
    now_ms,
};

/// How often a recording that runs is noted; what is shown of it while it runs is so old.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How often it is tried to begin, until the first segment is whole and the database answers.
const BEGIN_EVERY: Duration = Duration::from_millis(500);

/// See the module.
pub struct Clerk {
    recordings: Arc<Recordings>,
    stream: String,
    tape: Tape,
    /// The session was there before this start of the server: what ran then runs again once its publisher is back.
    goes_on: bool,
    /// The rule as it was seen last.
    rule: Option<Record>,
    /// The recording to begin: its id, so that asking twice makes no second one, and its first segment.
    due: Option<(String, u64)>,
    /// A recording of the session runs.
    runs: bool,
}

impl Clerk {
    pub fn new(recordings: Arc<Recordings>, stream: String, tape: Tape, goes_on: bool) -> Self {
        Self { recordings, stream, tape, goes_on, rule: None, due: None, runs: false }
    }

    /// Keeps the rows, for ever. It may be dropped at any await: what was asked of the database can be asked again.
    pub async fn work(&mut self) {
        let mut changes = self.recordings.store.changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.look().await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, stream = self.stream, "a recording could not be noted");
            }
            let is_settled = self.rule.is_some() && self.due.is_none() && !self.goes_on;
            let pause = async {
                match (is_settled, self.runs) {
                    (false, _) => tokio::time::sleep(BEGIN_EVERY).await,
                    (true, true) => tokio::time::sleep(NOTE_EVERY).await,
                    // Whoever begins one changes the database by an act.
                    (true, false) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Ends what runs, for as long as it takes, and no longer than the server lives.
    pub async fn close(mut self) {
        while let Err(error) = self.end().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                stream = self.stream,
                "the end of a recording could not be noted; trying again"
            );
            tokio::select! {
                () = self.recordings.stop.cancelled() => break,
                () = tokio::time::sleep(NOTE_EVERY) => {}
            }
        }
        let mut live = self.recordings.live();
        if live.get(&self.stream).is_some_and(|newest| newest.session == self.tape.session) {
            live.remove(&self.stream);
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let Some(stream) = self.recordings.store.stream(&self.stream).await? else { return Ok(()) };
        self.go_on().await?;
        self.follow_rule(stream.settings.recording.record).await?;
        self.begin(&stream).await?;
        self.note_progress().await
    }

    /// Lets what ran before the server's restart run again, once the publisher is back.
    async fn go_on(&mut self) -> Result<(), Error> {
        if self.goes_on && self.tape.presence.left_at().is_none() {
            let reopened = self.recordings.store.reopen_recording(&self.stream, &self.tape.session, now_ms()).await?;
            self.goes_on = false;
            if let Some(recording) = reopened {
                // Whoever stopped it meant this session.
                self.rule.get_or_insert(Record::Always);
                let runs = recording.status == RecordingStatus::Recording;
                tracing::info!(stream = self.stream, recording = recording.id, runs, "its session goes on");
            }
        }
        Ok(())
    }

    async fn follow_rule(&mut self, record: Record) -> Result<(), Error> {
        if self.goes_on {
            return Ok(());
        }
        match (self.rule, record) {
            (None, Record::Always) => self.owe(self.tape.timeline.span().start),
            (Some(Record::Never | Record::Request), Record::Always) => self.owe(self.tape.timeline.span().end),
            (Some(Record::Always | Record::Request), Record::Never) => self.stop().await?,
            _ => {}
        }
        self.rule = Some(record);
        self.claim(self.due.is_some());
        Ok(())
    }

    fn owe(&mut self, from_msn: u64) {
        self.due = Some((new_recording_id(), from_msn));
    }

    /// Begins what is due, when its first segment is there.
    async fn begin(&mut self, stream: &Stream) -> Result<(), Error> {
        let Some((id, from_msn)) = &self.due else { return Ok(()) };
        // Numbers that no segment ever had lie before the first one.
        let from_msn = (*from_msn).max(self.tape.timeline.span().start);
        let Some(started_ms) = measure::wall_ms(&self.tape.timeline, from_msn) else { return Ok(()) };
        let rules = &stream.settings.recording;
        let details = RecordingDetails {
            title: stream.settings.title.clone(),
            visibility: rules.visibility,
            ..RecordingDetails::default()
        };
        let new = NewRecording {
            id: id.clone(),
            stream: self.stream.clone(),
            session: self.tape.session.clone(),
            from_msn,
            renditions: measure::kept(&self.tape.timeline, &rules.renditions),
            details,
            started_ms,
        };
        match self.recordings.store.start_recording(&new, now_ms()).await {
            Ok(_) => tracing::info!(stream = self.stream, recording = new.id, "recording"),
            // Somebody asked for one just before.
            Err(Error::RecordedAlready { .. }) => {}
            Err(error) => return Err(error),
        }
        self.due = None;
        self.claim(false);
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.due = None;
        let until_msn = self.tape.now();
        for span in self.running().await? {
            let act = RecordingAct::Stop { id: span.recording, until_msn: until_msn.max(span.from_msn) };
            self.recordings.store.perform_on_recording(&Actor::Server, &act, now_ms()).await?;
            self.recordings.work.notify_one();
        }
        Ok(())
    }

    async fn note_progress(&mut self) -> Result<(), Error> {
        let running = self.running().await?;
        self.runs = !running.is_empty();
        for span in running {
            let extent = Extent::of(&self.tape.timeline, span.from_msn..u64::MAX, &span.renditions);
            self.recordings.store.note_recording(&span.recording, extent.measured(), now_ms()).await?;
        }
        Ok(())
    }

    async fn running(&self) -> Result<Vec<store::KeptSpan>, Error> {
        let mut spans = self.recordings.store.kept_spans(&self.stream, &self.tape.session).await?;
        spans.retain(|span| span.until_msn.is_none());
        Ok(spans)
    }

    async fn end(&mut self) -> Result<(), Error> {
        // A session of a few seconds may be over before it was looked at.
        if self.rule.is_none() || self.due.is_some() {
            self.look().await?;
        }
        let ends = self.tape.end();
        for recording in self.recordings.store.unfinished_recordings().await? {
            if recording.stream == self.stream && recording.session == self.tape.session {
                self.recordings.end(&recording, ends).await?;
            }
        }
        Ok(())
    }

    /// Says whether the session may have to be kept though no row says so.
    fn claim(&self, is_unclaimed: bool) {
        if let Some(tape) = self.recordings.live().get_mut(&self.stream).filter(|t| t.session == self.tape.session) {
            tape.is_unclaimed = is_unclaimed;
        }
    }
}

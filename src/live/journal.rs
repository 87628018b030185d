//! What a stream went through: one sample a second of the last ten minutes, and what happened to it in words. Read by the
//! dashboard; kept in memory, over sessions, and bounded.

use crate::api::{LogKind, LogRow, Sample};
use ingest::health::{Measured, Report, Trial};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::now_ms;

/// Ten minutes of one a second.
const SAMPLES_MAX: usize = 600;
const SAMPLES_AGE: Duration = Duration::from_secs(600);
const ROWS_MAX: usize = 200;
/// What happened is told for a day.
const ROWS_AGE: Duration = Duration::from_secs(24 * 3600);

/// The journal of one stream. Its lock is held for a push or a copy, never across an await.
#[derive(Debug, Default)]
pub struct Journal {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    samples: VecDeque<Sample>,
    rows: VecDeque<LogRow>,
    /// Number of the newest row; the first is 1.
    newest: u64,
    /// The newest rehearsal's.
    trial: Option<Trial>,
}

impl Journal {
    /// Something happened, in one sentence without secrets.
    pub fn note(&self, kind: LogKind, message: impl Into<String>) {
        let mut pages = self.pages();
        pages.newest += 1;
        let row = LogRow { seq: pages.newest, at_ms: now_ms(), kind, message: message.into() };
        pages.rows.push_back(row);
        if pages.rows.len() > ROWS_MAX {
            pages.rows.pop_front();
        }
    }

    /// What was measured now. Call it once a second while there is a session.
    pub fn sample(&self, measured: &Measured) {
        let (video, audio) = (&measured.video, &measured.audio);
        let sample = Sample {
            at_ms: now_ms(),
            video_kbps: video.map(|v| (v.bitrate_bps / 1e3).round()),
            audio_kbps: audio.map(|a| (a.bitrate_bps / 1e3).round()),
            fps: video.map(|v| (v.fps * 100.0).round() / 100.0),
            keyframe_s: video.map(|v| (v.keyframe_s * 100.0).round() / 100.0),
            pace: video.and_then(|v| v.pace).map(|pace| (pace * 1e3).round() / 1e3),
            lag_ms: measured.lag_s.map(|lag| (lag * 1e3).round()),
            level_db: audio.and_then(|a| a.level_db).map(|level| (level * 10.0).round() / 10.0),
        };
        let mut pages = self.pages();
        pages.samples.push_back(sample);
        if pages.samples.len() > SAMPLES_MAX {
            pages.samples.pop_front();
        }
    }

    /// A rehearsal begins; what the one before was found to be is forgotten.
    pub fn rehearse(&self) {
        self.pages().trial = Some(Trial::default());
    }

    /// What is reported now of a publisher; it counts in a rehearsal alone.
    pub fn look(&self, report: &Report) {
        if let Some(trial) = &mut self.pages().trial {
            trial.look(report);
        }
    }

    /// What the newest rehearsal was found to be; it may still be on.
    pub fn trial(&self) -> Option<Trial> {
        self.pages().trial.clone()
    }

    /// Samples taken after `after_ms`, oldest first.
    pub fn samples(&self, after_ms: i64) -> Vec<Sample> {
        let oldest = now_ms() - SAMPLES_AGE.as_millis() as i64;
        self.pages().samples.iter().filter(|s| s.at_ms > after_ms.max(oldest)).copied().collect()
    }

    /// Rows after the one with number `after`, oldest first.
    pub fn rows(&self, after: u64) -> Vec<LogRow> {
        self.pages().rows.iter().filter(|row| row.seq > after).cloned().collect()
    }

    /// Drops what is too old at `now_ms`; whether anything is left.
    pub fn forget(&self, now_ms: i64) -> bool {
        let mut pages = self.pages();
        let (samples, rows) = (now_ms - SAMPLES_AGE.as_millis() as i64, now_ms - ROWS_AGE.as_millis() as i64);
        while pages.samples.pop_front_if(|sample| sample.at_ms < samples).is_some() {}
        while pages.rows.pop_front_if(|row| row.at_ms < rows).is_some() {}
        if pages.samples.is_empty() {
            pages.samples.shrink_to_fit();
        }
        !pages.samples.is_empty() || !pages.rows.is_empty()
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_read_from_where_one_left() {
        let journal = Journal::default();
        for n in 0..ROWS_MAX + 5 {
            journal.note(LogKind::Info, format!("row {n}"));
        }
        let rows = journal.rows(0);
        assert_eq!((rows.len(), rows[0].message.as_str()), (ROWS_MAX, "row 5"));
        assert_eq!(journal.rows(rows[ROWS_MAX - 2].seq).len(), 1);
        for _ in 0..SAMPLES_MAX + 5 {
            journal.sample(&Measured::default());
        }
        assert_eq!(journal.samples(0).len(), SAMPLES_MAX);
    }

    #[test]
    fn what_is_old_is_forgotten_samples_first() {
        let journal = Journal::default();
        journal.note(LogKind::Info, "it began");
        journal.sample(&Measured::default());
        let later = |age: Duration| now_ms() + age.as_millis() as i64 + 1_000;
        assert!(journal.forget(later(SAMPLES_AGE)));
        assert!(journal.samples(0).is_empty() && journal.rows(0).len() == 1);
        assert!(!journal.forget(later(ROWS_AGE)));
    }
}

//! Which recordings are due to be deleted for good: the rules of their streams, and the time things stay in the trash.

use super::{RecordingStatus, Retention};
use crate::database::{Argument, Row};
use crate::{Error, Store};
use std::time::Duration;

const DAY_MS: i64 = 24 * 3_600_000;
/// Rows looked at a time: a walk over all recordings holds no more.
const PAGE: i64 = 500;
/// Given at a time.
const DUE_MAX: usize = 1_000;

/// Why a recording is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It was in the trash for long enough.
    Trash,
    /// It ended longer ago than its stream's recordings are kept.
    Age,
    /// Its stream keeps that many newer ones.
    Count,
    /// With the newer ones it takes more bytes than its stream may.
    Bytes,
}

impl Due {
    /// `trash`, `age`, `count` or `bytes`, for the audit row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trash => "trash",
            Self::Age => "age",
            Self::Count => "count",
            Self::Bytes => "bytes",
        }
    }
}

/// A recording that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRecording {
    /// Its id.
    pub id: String,
    /// Its stream's name.
    pub stream: String,
    /// Why.
    pub due: Due,
}

impl Store {
    /// Recordings that are due at `now_ms` when things stay in the trash for `trash`, at most 1,000; ask again when these are
    /// deleted ([`RecordingAct::Delete`](crate::RecordingAct::Delete)). A recording whose stream was removed is under no rule.
    /// It walks over all recordings, so it is for once in a while.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn due_recordings(&self, trash: Duration, now_ms: i64) -> Result<Vec<DueRecording>, Error> {
        const DOING: &str = "look for recordings that are due";
        let trash_ms = i64::try_from(trash.as_millis()).unwrap_or(i64::MAX);
        let mut due = Vec::new();
        let (mut stream, mut newer) = (String::new(), Newer::default());
        let mut page = self.database().fetch(DOING, FIRST, &[PAGE.into()]).await?;
        while let Some(last) = page.last() {
            let behind: [Argument; 4] =
                [PAGE.into(), last.text(0)?.as_str().into(), last.int(1)?.into(), last.text(2)?.as_str().into()];
            for row in &page {
                let of = row.text(0)?;
                if of != stream {
                    (stream, newer) = (of, Newer::default());
                }
                let held = Held::read(row)?;
                if let Some(why) = newer.judge(&held, &Retention::read(row, 8)?, trash_ms, now_ms) {
                    due.push(DueRecording { id: row.text(2)?, stream: stream.clone(), due: why });
                }
                if due.len() == DUE_MAX {
                    return Ok(due);
                }
            }
            page = self.database().fetch(DOING, NEXT, &behind).await?;
        }
        Ok(due)
    }
}

macro_rules! walk {
    ($behind:literal) => {
        concat!(
            "select r.stream, r.started_ms, r.id, r.status, r.trashed_ms, r.clip_of, r.ended_ms, r.size_bytes, \
            s.keep_days, s.keep_bytes, s.keep_count from recordings r left join streams s on s.name = r.stream \
            where r.status <> 'deleted'",
            $behind,
            " order by r.stream desc, r.started_ms desc, r.id desc limit $1"
        )
    };
}
const FIRST: &str = walk!("");
const NEXT: &str = walk!(" and (r.stream, r.started_ms, r.id) < ($2, $3, $4)");

/// What the rules look at.
#[derive(Debug, Clone)]
struct Held {
    /// It ended and was made ready, or failed.
    finished: bool,
    trashed_ms: Option<i64>,
    clip: bool,
    ended_ms: i64,
    size_bytes: u64,
}

impl Held {
    /// From the columns of [`walk`].
    fn read(row: &Row) -> Result<Self, Error> {
        let status = row.word(3)?;
        Ok(Self {
            finished: matches!(status, RecordingStatus::Available | RecordingStatus::Failed),
            trashed_ms: row.int_or_null(4)?,
            clip: row.text_or_null(5)?.is_some(),
            ended_ms: row.int_or_null(6)?.unwrap_or(i64::MAX),
            size_bytes: row.count(7)?,
        })
    }
}

/// The finished recordings of a stream that are newer than the one looked at, due or not.
#[derive(Debug, Clone, Copy, Default)]
struct Newer {
    count: u32,
    bytes: u64,
}

impl Newer {
    /// Whether the next older recording is due, and counts it among the newer ones of those that follow.
    fn judge(&mut self, held: &Held, keep: &Retention, trash_ms: i64, now_ms: i64) -> Option<Due> {
        if let Some(trashed_ms) = held.trashed_ms {
            return (trashed_ms.saturating_add(trash_ms) <= now_ms).then_some(Due::Trash);
        }
        if !held.finished || held.clip {
            return None;
        }
        let newer = *self;
        self.count = newer.count.saturating_add(1);
        self.bytes = newer.bytes.saturating_add(held.size_bytes);
        let ends_ms = |days: u32| held.ended_ms.saturating_add(i64::from(days) * DAY_MS);
        if keep.days_max.is_some_and(|days| ends_ms(days) <= now_ms) {
            Some(Due::Age)
        } else if keep.count_max.is_some_and(|max| newer.count >= max) {
            Some(Due::Count)
        } else if keep.bytes_max.is_some_and(|max| newer.count > 0 && self.bytes > max) {
            Some(Due::Bytes)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRASH_MS: i64 = 7 * DAY_MS;
    const NOW_MS: i64 = 1_800_000_000_000;

    fn held() -> impl Strategy<Value = Held> {
        let trashed = prop::option::weighted(0.2, 0..14i64);
        (any::<bool>(), trashed, prop::bool::weighted(0.2), 0..20i64, 0..100u64).prop_map(
            |(finished, trashed, clip, age, size_bytes)| Held {
                finished,
                trashed_ms: trashed.map(|days| NOW_MS - days * DAY_MS),
                clip,
                ended_ms: NOW_MS - age * DAY_MS,
                size_bytes,
            },
        )
    }

    fn retention() -> impl Strategy<Value = Retention> {
        (prop::option::of(1..20u32), prop::option::of(1..400u64), prop::option::of(1..10u32))
            .prop_map(|(days_max, bytes_max, count_max)| Retention { days_max, bytes_max, count_max })
    }

    fn judge(all: &[Held], keep: &Retention) -> Vec<Option<Due>> {
        let mut newer = Newer::default();
        all.iter().map(|held| newer.judge(held, keep, TRASH_MS, NOW_MS)).collect()
    }

    proptest! {
        #[test]
        fn what_stays_keeps_to_every_rule(all in prop::collection::vec(held(), 0..30), keep in retention()) {
            let due = judge(&all, &keep);
            let stays = all.iter().zip(&due).filter(|(_, due)| due.is_none());
            let stays: Vec<Held> = stays.map(|(held, _)| held.clone()).collect();
            let ruled: Vec<&Held> = stays.iter().filter(|h| h.finished && !h.clip && h.trashed_ms.is_none()).collect();
            let bytes: u64 = ruled.iter().map(|h| h.size_bytes).sum();
            prop_assert!(keep.count_max.is_none_or(|max| ruled.len() <= max as usize));
            prop_assert!(keep.bytes_max.is_none_or(|max| bytes <= max || ruled.len() == 1));
            let is_young = |held: &&Held, days| NOW_MS - held.ended_ms < i64::from(days) * DAY_MS;
            prop_assert!(keep.days_max.is_none_or(|days| ruled.iter().all(|held| is_young(held, days))));
            prop_assert!(stays.iter().all(|h| h.trashed_ms.is_none_or(|at| NOW_MS - at < TRASH_MS)));
            prop_assert_eq!(judge(&stays, &keep), vec![None; stays.len()], "and nothing more is due then");
        }

        #[test]
        fn nothing_is_due_without_its_reason(all in prop::collection::vec(held(), 0..30), keep in retention()) {
            for (at, (held, due)) in all.iter().zip(judge(&all, &keep)).enumerate() {
                let newer = || all[..at].iter().filter(|h| h.finished && !h.clip && h.trashed_ms.is_none());
                let bytes: u64 = newer().map(|h| h.size_bytes).sum::<u64>() + held.size_bytes;
                let holds = match due {
                    None => true,
                    Some(Due::Trash) => held.trashed_ms.is_some_and(|at| NOW_MS - at >= TRASH_MS),
                    Some(_) if !held.finished || held.clip || held.trashed_ms.is_some() => false,
                    Some(Due::Age) => {
                        keep.days_max.is_some_and(|days| NOW_MS - held.ended_ms >= i64::from(days) * DAY_MS)
                    }
                    Some(Due::Count) => keep.count_max.is_some_and(|max| newer().count() >= max as usize),
                    Some(Due::Bytes) => keep.bytes_max.is_some_and(|max| bytes > max) && newer().count() > 0,
                };
                prop_assert!(holds, "{:?} of {:?} at {}", due, held, at);
            }
        }

        #[test]
        fn without_rules_only_the_trash_is_emptied(all in prop::collection::vec(held(), 0..30)) {
            let due = judge(&all, &Retention::default());
            prop_assert!(due.iter().all(|due| matches!(due, None | Some(Due::Trash))));
        }
    }
}

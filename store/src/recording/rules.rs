//! What a stream's owner decides beforehand: when it is recorded, in which renditions, who may see what comes of it, and how
//! long that is kept.

use super::Visibility;
use crate::Error;
use crate::database::{Argument, Row};
use crate::word::words;
use serde_json::{Value, json};

/// Renditions one recording keeps at most.
const RENDITIONS_MAX: usize = 8;
/// Longest name of a session or a rendition, characters: both stand in paths.
const NAME_CHARS_MAX: usize = 64;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;

words! {
    /// When a stream's sessions are recorded.
    #[derive(Default)]
    Record, "record";
    /// Each of them, from its first segment.
    Always = "always",
    /// None, whoever asks.
    #[default]
    Never = "never",
    /// When somebody asks, with [`RecordingAct::Start`](crate::RecordingAct::Start).
    Request = "request",
}

/// How a stream is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingRules {
    /// When.
    pub record: Record,
    /// The renditions that are kept, as the packager names them: 1 to 8 names of `a-z`, `0-9`, `-`, `_`. Sound belongs to all of
    /// them and needs no name.
    pub renditions: Vec<String>,
    /// Of new recordings.
    pub visibility: Visibility,
    /// How long recordings are kept.
    pub retention: Retention,
}

/// What is kept of a stream's recordings; each limit holds beside the others, `None` is no limit. Clips and what lies in the
/// trash are neither counted nor deleted by these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days since a recording ended, 1 to 36,500.
    pub days_max: Option<u32>,
    /// Bytes of all recordings together, from 1; the newest one stays however large it is.
    pub bytes_max: Option<u64>,
    /// How many recordings, from 1.
    pub count_max: Option<u32>,
}

impl Default for RecordingRules {
    fn default() -> Self {
        Self {
            record: Record::default(),
            renditions: vec!["source".into(), "720p".into()],
            visibility: Visibility::default(),
            retention: Retention::default(),
        }
    }
}

/// A change of [`RecordingRules`]; `None` leaves a rule as it is, `Some(None)` takes a limit away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordingRulesPatch {
    /// Another time to record.
    pub record: Option<Record>,
    /// Other renditions.
    pub renditions: Option<Vec<String>>,
    /// Another visibility of new recordings.
    pub visibility: Option<Visibility>,
    /// Another limit in days.
    pub days_max: Option<Option<u32>>,
    /// Another limit in bytes.
    pub bytes_max: Option<Option<u64>>,
    /// Another limit in number.
    pub count_max: Option<Option<u32>>,
}

impl RecordingRulesPatch {
    /// Changes rules by it.
    pub fn apply(&self, rules: &mut RecordingRules) {
        if let Some(record) = self.record {
            rules.record = record;
        }
        if let Some(renditions) = &self.renditions {
            rules.renditions.clone_from(renditions);
        }
        if let Some(visibility) = self.visibility {
            rules.visibility = visibility;
        }
        if let Some(days) = self.days_max {
            rules.retention.days_max = days;
        }
        if let Some(bytes) = self.bytes_max {
            rules.retention.bytes_max = bytes;
        }
        if let Some(count) = self.count_max {
            rules.retention.count_max = count;
        }
    }
}

impl RecordingRules {
    /// # Errors
    /// [`Error::BadSetting`] naming the first value out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_renditions(&self.renditions)?;
        let bad = |setting, why: String| Err(Error::BadSetting { setting, why });
        if self.retention.days_max.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return bad("retention", format!("the days are outside 1 to {DAYS_MAX}"));
        }
        if self.retention.bytes_max.is_some_and(|bytes| bytes == 0 || i64::try_from(bytes).is_err()) {
            return bad("retention", format!("the bytes are outside 1 to {}", i64::MAX));
        }
        if self.retention.count_max == Some(0) {
            return bad("retention", "a stream that keeps no recording is not to be recorded at all".into());
        }
        Ok(())
    }

    /// For the audit row.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "record": self.record.as_str(),
            "renditions": self.renditions,
            "visibility": self.visibility.as_str(),
            "days_max": self.retention.days_max,
            "bytes_max": self.retention.bytes_max,
            "count_max": self.retention.count_max,
        })
    }

    /// As columns, in the order of [`rules_columns`].
    pub(crate) fn values(&self) -> [Argument; 6] {
        [
            self.record.as_str().into(),
            self.renditions.join(",").as_str().into(),
            self.visibility.as_str().into(),
            self.retention.days_max.map(i64::from).into(),
            self.retention.bytes_max.into(),
            self.retention.count_max.map(i64::from).into(),
        ]
    }

    /// From the columns of [`rules_columns`] beginning at `at`. A word that is none of ours records and shows nothing.
    pub(crate) fn read(row: &Row, at: usize) -> Result<Self, Error> {
        Ok(Self {
            record: row.word(at).unwrap_or(Record::Never),
            renditions: read_names(&row.text(at + 1)?),
            visibility: row.word(at + 2).unwrap_or(Visibility::Private),
            retention: Retention::read(row, at + 3)?,
        })
    }
}

impl Retention {
    /// From the columns keep_days, keep_bytes, keep_count beginning at `at`.
    pub(super) fn read(row: &Row, at: usize) -> Result<Self, Error> {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            days_max: row.count_or_null(at)?.map(small),
            bytes_max: row.count_or_null(at + 1)?,
            count_max: row.count_or_null(at + 2)?.map(small),
        })
    }
}

/// The columns of `streams s` that [`RecordingRules::read`] wants, in its order.
macro_rules! rules_columns {
    () => {
        "s.record, s.record_renditions, s.record_visibility, s.keep_days, s.keep_bytes, s.keep_count"
    };
}
pub(crate) use rules_columns;

/// # Errors
/// [`Error::BadSetting`] unless they are 1 to 8 different names.
pub(super) fn check_renditions(names: &[String]) -> Result<(), Error> {
    let bad = |why: String| Err(Error::BadSetting { setting: "renditions", why });
    if names.is_empty() || names.len() > RENDITIONS_MAX {
        return bad(format!("give 1 to {RENDITIONS_MAX} names, such as source and 720p"));
    }
    for (at, name) in names.iter().enumerate() {
        if !is_plain(name) {
            return bad(format!("{:?} is no rendition's name", name.chars().take(80).collect::<String>()));
        }
        if names[..at].contains(name) {
            return bad(format!("{name} is named twice"));
        }
    }
    Ok(())
}

/// Whether a session or a rendition can have this name.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(plain)
}

pub(super) fn read_names(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_nobody_can_mean_are_refused() {
        let check = |change: fn(&mut RecordingRules)| {
            let mut rules = RecordingRules::default();
            change(&mut rules);
            rules.check().is_ok()
        };
        assert!(check(|_| {}));
        assert!(check(
            |rules| rules.retention = Retention { days_max: Some(1), bytes_max: Some(1), count_max: Some(1) }
        ));
        assert!(!check(|rules| rules.retention.days_max = Some(0)));
        assert!(!check(|rules| rules.retention.days_max = Some(DAYS_MAX + 1)));
        assert!(!check(|rules| rules.retention.bytes_max = Some(u64::MAX)));
        assert!(!check(|rules| rules.retention.count_max = Some(0)));
        assert!(!check(|rules| rules.renditions = vec![]));
        assert!(!check(|rules| rules.renditions = vec!["a,b".into()]));
        assert!(!check(|rules| rules.renditions = vec!["source".into(), "source".into()]));
        assert!(!check(|rules| rules.renditions = (0..9).map(|n| format!("{n}p")).collect()));
    }
}

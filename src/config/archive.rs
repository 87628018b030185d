//! `[archive]`: what is kept on the disk, and how much.

use crate::recordings::Rules;
use crate::uploads;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[archive]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    /// Where; empty: `archive` in the data directory.
    pub folder: PathBuf,
    /// Seconds of each live stream that are kept, 0 to 86,400.
    pub rewind_s: u32,
    /// What the archive may take, GiB; 0: all but the reserve.
    pub quota_gib: u32,
    /// What happens then.
    pub when_full: WhenFull,
    /// MiB of the disk that recording leaves free, 64 to 1,048,576.
    pub reserve_mib: u32,
    /// Days that deleted recordings can be taken back, 0 to 365.
    pub trash_days: u32,
    /// The largest file that may be uploaded, GiB, 0 to 1,000; 0: none.
    pub upload_max_gib: u32,
    /// Files on their way or being imported, 1 to 100.
    pub uploads_max: u32,
    /// Hours after which an upload that nothing comes for is given up, 1 to 720.
    pub upload_hours: u32,
}

/// What happens when the archive is as large as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Recording goes on, and the log says so.
    Warn,
    /// Recording pauses until there is room.
    Stop,
    /// The oldest of what is in the vault goes from here.
    DeleteOldest,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            rewind_s: 7_200,
            quota_gib: 0,
            when_full: WhenFull::Stop,
            reserve_mib: 512,
            trash_days: 7,
            upload_max_gib: 20,
            uploads_max: 4,
            upload_hours: 24,
        }
    }
}

impl ArchiveConfig {
    /// As the archive takes it.
    pub fn settings(&self) -> archive::Settings {
        archive::Settings {
            rewind: Duration::from_secs(self.rewind_s.into()),
            quota_bytes: (self.quota_gib > 0).then(|| u64::from(self.quota_gib) << 30),
            policy: match self.when_full {
                WhenFull::Warn => archive::Policy::Warn,
                WhenFull::Stop => archive::Policy::Stop,
                WhenFull::DeleteOldest => archive::Policy::DeleteOldest,
            },
            reserve_bytes: u64::from(self.reserve_mib) << 20,
        }
    }

    /// What uploads may be; of no byte when no new one is taken.
    pub fn uploads(&self) -> uploads::Limits {
        uploads::Limits {
            bytes_max: u64::from(self.upload_max_gib) << 30,
            uploads_max: self.uploads_max as usize,
            idle_max: Duration::from_secs(u64::from(self.upload_hours) * 3600),
        }
    }

    /// What is wanted of all streams.
    pub fn rules(&self) -> Rules {
        Rules {
            rewind: Duration::from_secs(self.rewind_s.into()),
            trash: Duration::from_secs(u64::from(self.trash_days) * 24 * 3600),
        }
    }
}

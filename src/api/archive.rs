//! What the API asks of the archive, and what comes back.

use futures_util::future::BoxFuture;
use serde::Serialize;
use std::time::Duration;
use store::Recording;
use utoipa::ToSchema;

/// What the API asks of the archive. The database knows recordings; the archive knows their segments.
pub trait Archive: Send + Sync + 'static {
    /// Where a recording of the stream's live session would begin that reaches `back` into the past, as far as there is something,
    /// and what it would keep of the renditions that are wanted. `None` when it is not live, or nothing is kept of it.
    fn begin(&self, stream: &str, back: Duration, renditions: &[String]) -> Option<Beginning>;

    /// The number behind the newest segment of a session that is live; `None` when it is not.
    fn end(&self, stream: &str, session: &str) -> Option<u64>;

    /// The whole segments that hold this piece of a recording, in time from its start. `None` when there are none. It may read the
    /// disk.
    fn cut<'a>(&'a self, recording: &'a Recording, from: Duration, until: Duration) -> BoxFuture<'a, Option<Piece>>;

    /// The MP4 files of a recording that has ended. It may read the disk.
    fn downloads<'a>(&'a self, recording: &'a Recording) -> BoxFuture<'a, Vec<DownloadFacts>>;

    /// Width and height of the picture of a recording, in samples; `None` when it has none. It may read the disk.
    fn cover<'a>(&'a self, recording: &'a Recording) -> BoxFuture<'a, Option<(u32, u32)>>;

    /// How full the disk is, and how copies do. Neither waits nor looks at a disk.
    fn storage(&self) -> Storage;

    /// A ticket that opens a private recording for so long, and when that is over, milliseconds since 1970.
    fn ticket(&self, recording: &str, lasts: Duration) -> (String, i64);

    /// Whether a ticket opens a recording now.
    fn may_open(&self, recording: &str, ticket: &str) -> bool;

    /// How far a recording is that is being made of a file, 0 to 100; `None` when it is not. Never waits.
    fn import_percent(&self, recording: &str) -> Option<u8>;
}

/// Where a recording begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The session.
    pub session: String,
    /// The first segment.
    pub from_msn: u64,
    /// When that began, milliseconds since 1970.
    pub started_ms: i64,
    /// The renditions that are kept.
    pub renditions: Vec<String>,
}

/// Where recordings are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Storage {
    /// Bytes of recordings and rewind windows on this machine.
    pub bytes: u64,
    /// Bytes free on their disk.
    pub free_bytes: u64,
    /// Why nothing is recorded now: `quota`, `disk_full` or `disk_error`; null when all is well.
    pub paused: Option<&'static str>,
    /// Copies in the vault; null when there is none.
    pub copies: Option<Copies>,
}

/// How copies in the vault do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Copies {
    /// The vault.
    pub place: String,
    /// `healthy`, `retrying` (it works again by itself) or `blocked` (somebody has to do something).
    pub standing: &'static str,
    /// Why, with the cure.
    pub reason: Option<String>,
    /// What is still to be copied.
    pub backlog_bytes: u64,
    /// How old the oldest of it is, seconds.
    pub backlog_s: u64,
}

/// A run of whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The first.
    pub from_msn: u64,
    /// The one behind the last.
    pub until_msn: u64,
    /// Where the first begins in the recording, milliseconds.
    pub from_ms: u64,
    /// When the first began, milliseconds since 1970.
    pub started_ms: i64,
    /// How long they are together, milliseconds.
    pub duration_ms: u64,
    /// Bytes of all renditions that are kept.
    pub size_bytes: u64,
}

/// One MP4 file of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadFacts {
    /// The pictures in it.
    pub rendition: String,
    /// From 1; another one begins where the codec configuration changes.
    pub number: u64,
    /// Where it begins in the recording, milliseconds.
    pub begins_ms: i64,
    /// How long it is, milliseconds.
    pub duration_ms: i64,
    /// Its size.
    pub size_bytes: u64,
}

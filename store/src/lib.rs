//! What Weir remembers: streams, their keys, the numbers that must never repeat, recordings, and who changed what.
//!
//! One set of queries serves SQLite (the default, one file in the data directory) and Postgres. This is the only crate
//! that names sqlx. Every change an operator makes is an [`Act`] that goes through [`Store::perform`] (to a recording, a
//! [`RecordingAct`] and [`Store::perform_on_recording`]; to a target, a [`TargetAct`]): one door, which makes the change and its audit row in one transaction.
//! The command line and a running server may hold the same database open; the server notices a change within a second
//! ([`Store::follow`], [`Store::changes`]).
//!
//! This crate holds no media, opens no listener and never writes or logs a secret: publishers' keys are kept as hashes, what
//! signs playback tokens not at all, and what must be read again, as the keys of other services, is sealed with a [`MasterKey`] that
//! lies elsewhere. It reads no clock but in [`now_ms`]; callers pass the time.
//!
//! ```
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
//! use store::{Act, Actor, Location, Store, StreamSettings, now_ms};
//! # let dir = tempfile::tempdir().expect("a folder");
//! let store = Store::open(&Location::in_dir(dir.path())).await?;
//! let add = Act::AddStream { name: "stage".into(), settings: StreamSettings::default() };
//! let made = store.perform(&Actor::Cli, &add, now_ms()).await?;
//! let key = made.key.expect("a new stream comes with a key");
//! let found = store.verify_key(None, key.reveal(), now_ms()).await?;
//! assert_eq!(found.expect("the key is good").stream.name, "stage");
//! # Ok::<(), store::Error>(()) }).expect("the example runs");
//! ```

mod act;
mod audit;
mod change;
mod database;
mod error;
mod latency;
mod ledger;
mod location;
mod playback;
mod recording;
mod seal;
mod secret;
mod session;
mod sign_in;
mod slate;
mod store;
mod stream;
mod target;
mod viewing;
mod word;

pub use act::{Act, Outcome, Previous, STOP_HOLD};
pub use audit::{AuditCheck, AuditRow};
pub use change::Actor;
pub use error::{Error, Fault};
pub use latency::Latency;
pub use location::Location;
pub use playback::{PlaybackKeys, PlaybackRefusal, PlaybackScope, playback_expiry_ms};
pub use recording::{
    Chapter, Due, DueRecording, KeptSpan, Measured, NewClip, NewRecording, Order, Page, Record, Recording,
    RecordingAct, RecordingDetails, RecordingPatch, RecordingRules, RecordingRulesPatch, RecordingStatus, Retention,
    Search, Sort, Visibility, chapters_within, clean_embed_parents, new_recording_id, read_chapters, write_chapters,
};
pub use seal::{MasterKey, Sealed};
pub use secret::{ApiToken, SignInSecret, StreamKey, is_same_secret};
pub use session::{OpenSession, SessionNote};
pub use slate::Slate;
pub use store::{KeyMatch, Store};
pub use stream::{KeyInfo, SessionMark, Stream, StreamPatch, StreamSettings, Takeover, check_name};
pub use target::{NewTarget, Target, TargetAct, new_target_id};

/// Milliseconds since 1970 by the machine's clock; 0 for a clock set before that.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

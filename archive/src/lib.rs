//! Records live sessions on the local disk, part by part as they were served, and plays them back: rewind while they are live,
//! VOD afterwards.
//!
//! It is not a server, not a database and not a cloud: it knows no HTTP, no SQL and no bucket. What is to be kept beyond the
//! rewind window comes in as [`Kept`] spans, what was stored elsewhere as [`Archive::mark_stored`], the time as an argument.
//! It makes no media and, apart from asking [`packager::vod`] for their text, no playlist. The roof owns one [`Archive`] per
//! disk, runs a [`Recorder`] beside each session, and serves what a [`Timeline`] finds.
//!
//! On the disk, `ROOT/STREAM/SESSION/MSN-SERIAL/` is a *reel*: about a minute of a session, from segment MSN on. In it are
//!
//! | file | is |
//! | --- | --- |
//! | `RENDITION.m4s` | the parts of one rendition as they were served, one after the other: a segment is one range of it |
//! | `journal` | what they are: renditions, init sections, segments, parts with their checksums; only appended to |
//! | `pictures` | a JPEG every few seconds, for lists and seek bars |
//! | `RENDITION.heads` | what is in its chunks, when its media is only elsewhere |
//! | `stored` | the renditions whose media is also elsewhere, a line each; that may be missing here |
//!
//! Nothing else is needed to read a reel, and once its journal is sealed neither file ever changes, so it can be copied, linked
//! or sent away as it is. A part is handed to the kernel as soon as it is published: a killed server loses what it was
//! just about to write. Every two seconds all that was written is synced: a loss of power costs that and the sync's own time.
//! [`Archive::open`] cuts off what a crash left half written and seals it.
//!
//! Publishing never waits: the packager's window is the queue. A disk that is late by less than the window (30 s) costs nothing,
//! one that is later costs a counted hole, which playlists show as a discontinuity.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn run(window: Arc<packager::Window>, now: std::time::SystemTime) -> Result<(), archive::Error> {
//! use archive::{Archive, Kind, SessionName, Settings};
//! let stop = tokio_util::sync::CancellationToken::new();
//! let archive = Archive::open("data/archive".as_ref(), Settings::default())?; // blocks, as the others without `async` do
//! tokio::spawn(archive.clone().run(stop.clone()));
//! let recorder = archive.recorder("demo", window)?;
//! let timeline = recorder.timeline();
//! recorder.run(stop).await;
//! let vod = timeline.media_playlist("source", timeline.span(), Kind::Vod);
//! archive.sweep(now, &[]);
//! # Ok(()) }
//! ```
//!
//! Invariants: no byte of a sealed reel changes; what the journal lists was written before it; no descriptor is synced again after
//! that failed once; a number has the same place in the playlists of all renditions, for good.

mod archive;
mod catalog;
mod chunks;
mod deck;
mod disk;
mod inspection;
mod journal;
#[cfg(test)]
#[path = "../tests/kit/mod.rs"]
mod kit;
#[cfg(test)]
mod lab;
mod listing;
mod name;
mod pictures;
mod record;
mod recorder;
mod recovery;
mod reel;
mod scan;
mod segment;
mod stored;
mod sweep;
mod tape;
mod timeline;
mod volume;

pub use archive::{Archive, ReelFacts, ReelFile, Usage};
pub use chunks::Chunk;
pub use inspection::{Condition, Inspected, Inspection, Shelved};
pub use journal::{Init, Journal, Line, Unreadable};
pub use name::{ReelName, SessionName};
pub use packager::vod::Kind;
pub use pictures::Picture;
pub use record::Head;
pub use recorder::{Pause, Recorder, State, Taken};
pub use recovery::{JOURNAL, media_file};
pub use segment::{Segment, date, millis};
pub use stored::Unstored;
pub use sweep::{Kept, Swept};
pub use timeline::{Place, Timeline};
pub use volume::{Policy, Settings};

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong. A disk's faults while recording are not here: they pause the recorder, see [`State`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's.
    #[error("{name:?} can't be the name of a stream or session; use 1 to 64 letters, digits, - and _")]
    Name {
        /// What was given, cut to 64 characters.
        name: String,
    },
    /// The machine's; worth another try when its cause is gone.
    #[error("{} can't be {doing}; look at the disk and at who owns the folder", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `made`, …
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A reel that another program changed or a newer server wrote. It is left as it is.
    #[error("the reel {} can't be read; move it away if nothing else can read it", path.display())]
    Unreadable {
        /// Its folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Unreadable,
    },
    /// The caller's: a session has one recorder at a time.
    #[error("the session {0} is being recorded already; end that recorder first")]
    Recording(SessionName),
    /// The caller's, or it was swept meanwhile.
    #[error("the session {session} has no finished reel {reel}; ask for its reels again")]
    NoReel {
        /// The session.
        session: SessionName,
        /// The reel.
        reel: ReelName,
    },
}

/// Makes an error of the disk, to be used with `map_err`.
fn error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { path, doing, source }
}

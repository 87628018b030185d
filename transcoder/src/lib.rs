//! The parent side of the encoding worker: which rungs a source gets, and the life of the sandboxed process that makes
//! them.
//!
//! One [`Transcoder`] per session feeds one `weir worker ladder` process over a socketpair and hands back its units.
//! It restarts a worker that dies or hangs, primed from the last IDR kept, and gives up with a reason after five restarts
//! in a minute (`restarts.rs`). One that comes near its memory limit is replaced while it works (`succession.rs`), without a gap. A worker that
//! can't keep up is relieved of its largest rung until it has had room for a minute. A [`TestCard`] runs `weir worker testcard` and
//! hands out what a publisher would send; [`slate::Slates`] makes what is shown while a publisher is away.
//! This crate decodes nothing, names no GStreamer and opens no network socket; what a worker says is checked field by field.
//!
//! ```no_run
//! # async fn example(video: std::sync::Arc<media::VideoConfig>, rungs: Vec<media::Rung>) {
//! use transcoder::{Output, Transcoder, TranscoderConfig};
//! let config = TranscoderConfig { rungs, video: Some(video), ..TranscoderConfig::new("demo") };
//! let (transcoder, mut output) = Transcoder::spawn(config, |_rendition| None);
//! // transcoder.boundary(…), transcoder.unit(…)
//! while let Some(Output::Unit { rendition, unit }) = output.recv().await {
//!     println!("{rendition} {:?}", unit.pts);
//! }
//! # }
//! ```

mod budget;
mod burst;
mod gate;
mod intake;
mod ladder;
mod load;
mod memory;
mod restarts;
mod run;
pub mod slate;
mod succession;
mod testcard;
mod transcoder;

pub use budget::{Budget, Share};
pub use ladder::{Ladder, SourceShape, Step};
pub use testcard::{TestCard, TestCardConfig};
pub use transcoder::{Output, Transcoder, TranscoderConfig};

/// What can go wrong before or while a worker runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator's ladder text has a step that can't be read. The operator's fault.
    #[error("ladder step {step:?} can't be used: {why}")]
    Ladder {
        /// The step as written.
        step: String,
        /// What to write instead.
        why: String,
    },
    /// The worker process could not be started. The machine's fault; retried with a pause.
    #[error("the worker {exe} could not be started")]
    Spawn {
        /// The executable.
        exe: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The worker said something the protocol forbids; it is killed and started again.
    #[error("the worker broke its protocol")]
    Wire(#[from] media::wire::WireError),
}

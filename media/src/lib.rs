//! The language of the house: media time, access units, codec configurations and the [`Feed`] that carries them.
//!
//! Every other crate speaks in these types; this one imports no house crate, opens no socket and no file, and reads
//! no clock. Bytes that come from strangers (parameter sets, decoder records, NAL units) are parsed here in safe Rust,
//! before any C code sees them.
//!
//! ```
//! use media::MediaTime;
//! assert_eq!(MediaTime::from_millis(33).ticks(), 2970);
//! ```

pub mod aac;
mod bits;
pub mod captions;
pub mod feed;
pub mod h264;
pub mod hevc;
pub mod nal;
mod rung;
pub mod silence;
pub mod still;
mod time;
mod unit;
pub mod wire;

pub use feed::{Feed, FeedEnd, FeedItem, FeedReader};
pub use rung::{FrameRate, Rung};
pub use time::MediaTime;
pub use unit::{AccessUnit, Announced, AudioCodec, AudioConfig, ColorInfo, Config, Track, VideoCodec, VideoConfig};

/// Why bytes from outside could not be read as what they claimed to be. Always the publisher's fault; never retried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end before the structure they announce.
    #[error("{what} is cut short")]
    Truncated {
        /// The structure that was being read.
        what: &'static str,
    },
    /// A field holds a value its specification forbids.
    #[error("{what} is malformed: {detail}")]
    Malformed {
        /// The structure that was being read.
        what: &'static str,
        /// The field and what is wrong with it.
        detail: String,
    },
    /// Legal, but something this server does not take.
    #[error("{what} is not supported: {detail}")]
    Unsupported {
        /// The structure that was being read.
        what: &'static str,
        /// What was found.
        detail: String,
    },
}

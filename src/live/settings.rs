use media::wire::EncoderChoice;
use std::time::Duration;
use transcoder::Ladder;

/// The operator's choices for every session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rungs for streams that name none of their own.
    pub ladder: Ladder,
    /// Which H.264 encoder.
    pub encoder: EncoderChoice,
    /// Time between thumbnails; `None` for none.
    pub thumb_every: Option<Duration>,
}

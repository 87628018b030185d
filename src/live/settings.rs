use ingest::health::Limits;
use ingest::session::{Rules, Takeover};
use media::wire::EncoderChoice;
use std::time::Duration;
use store::{Latency, StreamSettings};
use transcoder::slate::Slates;
use transcoder::{Budget, Ladder};

/// The operator's choices for every session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rungs for streams that name none of their own.
    pub ladder: Ladder,
    /// Which H.264 encoder.
    pub encoder: EncoderChoice,
    /// Time between thumbnails; `None` for none.
    pub thumb_every: Option<Duration>,
    /// What this machine can encode.
    pub budget: Budget,
    /// Streams that may be live at once; the test card's is one while there is room for it.
    pub streams_max: usize,
    /// The most memory a session's worker may hold, bytes.
    pub worker_memory_max: u64,
    /// What becomes of a session when its publisher vanishes or another one comes.
    pub rules: Rules,
    /// From where on a streamer is told that something is wrong.
    pub health: Limits,
    /// What makes slates, so many at once as the machine has cores for.
    pub slates: Slates,
}

impl Settings {
    /// From where on the streamer of a stream is told.
    pub fn health_of(&self, stream: &StreamSettings) -> Limits {
        let limits = self.health.clone();
        match stream.latency {
            Latency::Low => limits,
            // A picture's time more or less is nothing to players that are ten seconds behind.
            Latency::Standard => Limits { b_frames: u32::MAX, ..limits },
        }
    }

    /// The rules of a stream, where it has its own.
    pub fn rules_of(&self, stream: &StreamSettings) -> Rules {
        let takeover = stream.takeover.map(|takeover| match takeover {
            store::Takeover::Newest => Takeover::Newest,
            store::Takeover::Reject => Takeover::Reject,
        });
        Rules {
            window: stream.reconnect_window_s.map_or(self.rules.window, |s| Duration::from_secs(s.into())),
            takeover: takeover.unwrap_or(self.rules.takeover),
            ..self.rules
        }
    }
}

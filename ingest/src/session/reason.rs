use crate::Refusal;

/// Why a publisher is refused or sent away; [`Reason::refusal`] is what its screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A newer one took over.
    TakenOver,
    /// Another one is live and the stream's rule is to keep it.
    Busy,
    /// Encoders have been taking the stream from each other; the one that is live keeps it.
    Frozen {
        /// Whole seconds until another may take over, at least 1.
        seconds: u64,
    },
    /// An operator stopped the stream.
    Stopped {
        /// Whole seconds until it takes publishers again, at least 1.
        seconds: u64,
    },
    /// The key was revoked, rotated away or has expired, or the stream was removed.
    KeyEnded,
    /// What only fills a stream, the test card or a replay, met a publisher, or another stream needs its place.
    StandsBack,
    /// A show needs the place of the rehearsal.
    RehearsalStandsBack,
    /// The rehearsal has lasted as long as one may.
    RehearsalOver,
    /// As many streams are live as the server takes.
    Full {
        /// Streams that are live.
        live: usize,
        /// The most there may be.
        most: usize,
    },
    /// The stream must be re-encoded, and the processors are planned on by others.
    Crowded,
    /// The session could not be opened; the server's log says why.
    Failed,
}

impl Reason {
    /// The status and the sentence for the encoder.
    pub fn refusal(self) -> Refusal {
        let bad_name = "NetStream.Publish.BadName";
        match self {
            Self::TakenOver => Refusal::new(
                bad_name,
                "Another encoder started with this stream's key and took over; use one encoder per key.",
            ),
            Self::Busy => Refusal::new(
                bad_name,
                "Another encoder is live with this stream's key; stop that one first, or use one encoder per key.",
            ),
            Self::Frozen { seconds } => Refusal::new(
                bad_name,
                format!(
                    "Encoders are taking this stream from each other, so the one that is live keeps it for {seconds} s; stop all but one."
                ),
            ),
            Self::Stopped { seconds } => Refusal::new(
                bad_name,
                format!(
                    "The operator stopped this stream; start again in {seconds} s, or when the operator allows it (weir stream allow)."
                ),
            ),
            Self::KeyEnded => {
                Refusal::new(bad_name, "This stream key is no longer valid; ask the operator for the key in use now.")
            }
            Self::StandsBack => {
                Refusal::new(bad_name, "A publisher has or needs the place, and what only fills a stream stands back.")
            }
            Self::RehearsalStandsBack => Refusal::new(
                bad_name,
                "A live stream needs the place of this rehearsal, which is over; start it again later, or go live without test=1.",
            ),
            Self::RehearsalOver => Refusal::new(
                bad_name,
                "The rehearsal has lasted ten minutes and is over; take test=1 off the stream key to go live.",
            ),
            Self::Full { live, most } => Refusal::new(
                "NetStream.Publish.Failed",
                format!(
                    "The server is at capacity ({live} of {most} streams are live); start again when one has ended."
                ),
            ),
            Self::Crowded => Refusal::new(
                "NetStream.Publish.Failed",
                "The server is at capacity: this stream must be re-encoded and other streams take the processors; send H.264 with a keyframe interval of 2 s, or start again when one has ended.",
            ),
            Self::Failed => Refusal::new(
                "NetStream.Publish.Failed",
                "The server could not start this stream; try again in a moment, and tell the operator if it stays so.",
            ),
        }
    }

    /// A bounded label for counters.
    pub fn label(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Busy => "busy",
            Self::Frozen { .. } => "frozen",
            Self::Stopped { .. } => "stopped",
            Self::KeyEnded => "key_ended",
            Self::StandsBack => "stands_back",
            Self::RehearsalStandsBack => "rehearsal",
            Self::RehearsalOver => "rehearsal_over",
            Self::Full { .. } => "full",
            Self::Crowded => "crowded",
            Self::Failed => "failed",
        }
    }
}

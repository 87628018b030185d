use media::{AudioConfig, FrameRate, Rung, VideoConfig};
use std::sync::Arc;
use std::time::SystemTime;

/// What a source was seen to be; found by the [`crate::Prober`].
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// The video track, if there is one.
    pub video: Option<VideoFacts>,
    /// The audio track, if there is one.
    pub audio: Option<AudioFacts>,
}

/// A source's video track.
#[derive(Debug, Clone)]
pub struct VideoFacts {
    /// Its configuration.
    pub config: Arc<VideoConfig>,
    /// Its measured frame rate, snapped to the usual ones.
    pub frame_rate: FrameRate,
    /// Bits per second over the probe, which holds a key frame and so is rather high. 0 when unknown.
    pub bitrate_bps: u32,
    /// Whether it may be repackaged without re-encoding; else one plain sentence for the log and the health page, with
    /// the encoder setting that cures it.
    pub passthrough: Result<(), String>,
}

/// A source's audio track.
#[derive(Debug, Clone)]
pub struct AudioFacts {
    /// Its configuration.
    pub config: Arc<AudioConfig>,
    /// AAC-LC, mono or stereo: it is taken as it is. Else it must be encoded.
    pub passthrough: bool,
}

/// Everything that is fixed for a session when it starts.
#[derive(Debug, Clone)]
pub struct SessionPlan {
    /// The stream's public name, for logs.
    pub stream: String,
    /// `ID-EPOCH`, URL-safe: letters, digits, `-` and `_`.
    pub session: String,
    /// After a restart of the server: the boot epoch that goes on with the session. It stands in front of every name of
    /// media (`EPOCH-MSN.m4s`), since the numbers the dead server used last may not all have been noted.
    pub run: Option<u64>,
    /// The first media sequence number; above all numbers this session's name has used before.
    pub first_msn: u64,
    /// Discontinuities before that number, in a session that goes on after a restart of the server.
    pub discontinuities: u64,
    /// EXT-X-TARGETDURATION in seconds: 4, or 2 when the key's last session kept its keyframe interval at 2 s or less.
    /// Other values are taken as the nearer of these.
    pub target_s: u8,
    /// Playlists list parts, and how near to the live edge players may come; else whole segments alone.
    pub low_latency: bool,
    /// What the prober found.
    pub facts: SourceFacts,
    /// The source's video is repackaged as rendition `source`; when false and there is video, `source` is not made unless
    /// it is among `rungs`.
    pub passthrough: bool,
    /// The encoded video rungs, highest first. When passthrough is off, one of them is the top rung that stands for the
    /// source (by convention named `source`).
    pub rungs: Vec<Rung>,
    /// The audio is encoded and comes through [`crate::Packager::encoded`] as `audio`.
    pub audio_encoded: bool,
    /// The wall clock at the first media, or at [`crate::Packager::resume`]: the one anchor of EXT-X-PROGRAM-DATE-TIME.
    pub wall_start: SystemTime,
}

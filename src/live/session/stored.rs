//! What is kept of a running session in the database, so that a new start of the server can go on with it.

use media::{AudioCodec, AudioConfig, FrameRate, Rung, VideoCodec, h264, hevc};
use packager::{AudioFacts, SourceFacts, VideoFacts};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A session's plan as JSON. What cannot be read is no session to go on with: a newer server may write another shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// When the session began, milliseconds since 1970.
    pub since_ms: u64,
    /// EXT-X-TARGETDURATION.
    pub target_s: u8,
    /// The source's video was still repackaged.
    pub passthrough: bool,
    pub audio_encoded: bool,
    rungs: Vec<StoredRung>,
    video: Option<StoredVideo>,
    audio: Option<StoredAudio>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredRung {
    name: String,
    size: (u32, u32),
    frame_rate: (u32, u32),
    bitrate_bps: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredVideo {
    hevc: bool,
    /// The decoder configuration record.
    record: Vec<u8>,
    frame_rate: (u32, u32),
    bitrate_bps: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StoredAudio {
    opus: bool,
    record: Vec<u8>,
    sample_rate: u32,
    channels: u8,
    object_type: u8,
    frame_samples: u32,
}

impl StoredPlan {
    /// The plan of a session that began at `since`, as it stands now.
    pub fn new(
        since: SystemTime,
        target_s: u8,
        facts: &SourceFacts,
        passthrough: bool,
        rungs: &[Rung],
        audio_encoded: bool,
    ) -> Self {
        let rate = |rate: FrameRate| (rate.num, rate.den);
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            target_s,
            passthrough,
            audio_encoded,
            rungs: rungs
                .iter()
                .map(|rung| StoredRung {
                    name: rung.name.clone(),
                    size: (rung.width, rung.height),
                    frame_rate: rate(rung.frame_rate),
                    bitrate_bps: rung.bitrate_bps,
                })
                .collect(),
            video: facts.video.as_ref().map(|video| StoredVideo {
                hevc: video.config.codec == VideoCodec::Hevc,
                record: video.config.record.to_vec(),
                frame_rate: rate(video.frame_rate),
                bitrate_bps: video.bitrate_bps,
            }),
            audio: facts.audio.as_ref().map(|audio| StoredAudio {
                opus: audio.config.codec == AudioCodec::Opus,
                record: audio.config.record.to_vec(),
                sample_rate: audio.config.sample_rate,
                channels: audio.config.channels,
                object_type: audio.config.object_type,
                frame_samples: audio.config.frame_samples,
            }),
        }
    }

    /// As the database keeps it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// What [`StoredPlan::to_text`] wrote, if it is that.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// When the session began.
    pub fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.since_ms)
    }

    /// The encoded rungs, highest first.
    pub fn rungs(&self) -> Vec<Rung> {
        let rung = |stored: &StoredRung| Rung {
            name: stored.name.clone(),
            width: stored.size.0,
            height: stored.size.1,
            frame_rate: FrameRate { num: stored.frame_rate.0, den: stored.frame_rate.1 },
            bitrate_bps: stored.bitrate_bps,
        };
        self.rungs.iter().map(rung).collect()
    }

    /// What the source was; `None` when a record in it can't be read.
    pub fn facts(&self) -> Option<SourceFacts> {
        let video = match &self.video {
            None => None,
            Some(video) => {
                let record = video.record.clone().into();
                let config = if video.hevc { hevc::parse_config(&record) } else { h264::parse_config(&record) };
                Some(VideoFacts {
                    config: Arc::new(config.ok()?),
                    frame_rate: FrameRate { num: video.frame_rate.0, den: video.frame_rate.1.max(1) },
                    bitrate_bps: video.bitrate_bps,
                    passthrough: Ok(()),
                })
            }
        };
        let audio = self.audio.as_ref().map(|audio| {
            let config = AudioConfig {
                codec: if audio.opus { AudioCodec::Opus } else { AudioCodec::Aac },
                record: audio.record.clone().into(),
                sample_rate: audio.sample_rate.max(1),
                channels: audio.channels,
                object_type: audio.object_type,
                frame_samples: audio.frame_samples,
            };
            AudioFacts { passthrough: config.is_passthrough(), config: Arc::new(config) }
        });
        Some(SourceFacts { video, audio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_the_database() {
        // 640x360 High, written by x264.
        let record = [
            1, 100, 0, 30, 255, 225, 0, 26, 103, 100, 0, 30, 172, 217, 64, 160, 47, 249, 112, 17, 0, 0, 3, 0, 1, 0, 0,
            3, 0, 60, 15, 22, 45, 150, 1, 0, 6, 104, 235, 227, 203, 34, 192, 253, 248, 248, 0,
        ];
        let config = Arc::new(h264::parse_config(&bytes::Bytes::copy_from_slice(&record)).unwrap());
        let frame_rate = FrameRate { num: 30_000, den: 1001 };
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            record: bytes::Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        };
        let facts = SourceFacts {
            video: Some(VideoFacts { config, frame_rate, bitrate_bps: 900_000, passthrough: Ok(()) }),
            audio: Some(AudioFacts { config: Arc::new(audio), passthrough: true }),
        };
        let rung = Rung { name: "180p".into(), width: 320, height: 180, frame_rate, bitrate_bps: 200_000 };
        let since = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let plan = StoredPlan::new(since, 2, &facts, true, std::slice::from_ref(&rung), false);
        let read = StoredPlan::parse(&plan.to_text()).unwrap();
        assert_eq!((&read, read.since(), read.rungs()), (&plan, since, vec![rung]));
        let again = read.facts().unwrap();
        assert_eq!(again.video.unwrap().config, facts.video.unwrap().config);
        assert_eq!(again.audio.unwrap().config, facts.audio.unwrap().config);
    }

    #[test]
    fn another_servers_plan_is_no_plan() {
        assert_eq!(StoredPlan::parse("{}"), None);
        assert_eq!(StoredPlan::parse(""), None);
    }
}

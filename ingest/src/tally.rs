use metrics::counter;

/// What became of one publisher's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes received, RTMP overhead included.
    pub bytes: u64,
    /// Pictures handed on.
    pub video_units: u64,
    /// Audio frames handed on.
    pub audio_units: u64,
    /// Units that came before their decoder configuration.
    pub without_config: u64,
    /// Pictures before the first keyframe, or after a change of configuration without one.
    pub without_keyframe: u64,
    /// Units with NAL lengths, headers or configurations that lie.
    pub damaged: u64,
    /// Video messages without a picture in them.
    pub empty: u64,
    /// Times the publisher's clock was rebased.
    pub breaks: u64,
    /// Times audio was re-anchored to its stamps.
    pub reanchored: u64,
}

impl Tally {
    /// Units that were not handed on.
    pub fn dropped(&self) -> u64 {
        self.without_config + self.without_keyframe + self.damaged + self.empty
    }

    /// Adds what is new since `before` to the process's counters.
    pub(crate) fn publish_since(&self, before: &Self) {
        counter!("weir_ingest_received_bytes_total").increment(self.bytes - before.bytes);
        counter!("weir_ingest_units_total", "track" => "video").increment(self.video_units - before.video_units);
        counter!("weir_ingest_units_total", "track" => "audio").increment(self.audio_units - before.audio_units);
        for (cause, count) in [
            ("no_configuration", self.without_config - before.without_config),
            ("no_keyframe", self.without_keyframe - before.without_keyframe),
            ("damaged", self.damaged - before.damaged),
            ("empty", self.empty - before.empty),
        ] {
            if count > 0 {
                counter!("weir_ingest_dropped_units_total", "cause" => cause).increment(count);
            }
        }
        counter!("weir_ingest_clock_rebases_total").increment(self.breaks - before.breaks);
        counter!("weir_ingest_audio_reanchors_total").increment(self.reanchored - before.reanchored);
    }
}

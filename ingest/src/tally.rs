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
    /// Units whose time was given to something else, such as silence.
    pub overlapping: u64,
    /// Units that came too far ahead of real time.
    pub burst: u64,
    /// Silent audio frames made for a sound that is missing.
    pub silent_units: u64,
    /// Times the publisher's clock was rebased.
    pub breaks: u64,
    /// Times audio was re-anchored to its stamps.
    pub reanchored: u64,
    /// Faults of the publisher's clock that were mended: jumps, skew, stamps that stand still or run away.
    pub clock_faults: u64,
}

impl Tally {
    /// Units that were not handed on.
    pub fn dropped(&self) -> u64 {
        self.without_config + self.without_keyframe + self.damaged + self.empty + self.overlapping + self.burst
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
            ("overlapping", self.overlapping - before.overlapping),
            ("burst", self.burst - before.burst),
        ] {
            if count > 0 {
                counter!("weir_ingest_dropped_units_total", "cause" => cause).increment(count);
            }
        }
        counter!("weir_ingest_clock_rebases_total").increment(self.breaks - before.breaks);
        counter!("weir_ingest_silent_units_total").increment(self.silent_units - before.silent_units);
        counter!("weir_ingest_clock_faults_total").increment(self.clock_faults - before.clock_faults);
        counter!("weir_ingest_audio_reanchors_total").increment(self.reanchored - before.reanchored);
    }
}

use crate::cmaf::{fragment, init};
use bytes::Bytes;
use media::{AccessUnit, Config, MediaTime, Track};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// One partial segment: a CMAF chunk (`moof` and `mdat`) in one contiguous buffer, about a third of a second.
#[derive(Debug, Clone)]
pub struct Part {
    /// The chunk; empty for a gap. The payload was copied here once, from the units it is made of: one buffer can be
    /// sent with one write to any number of viewers and archived as it is, which a list of slices can't.
    pub data: Bytes,
    /// Where it begins on the session's timeline (decode time).
    pub start: MediaTime,
    /// Its length as listed, above zero.
    pub duration: MediaTime,
    /// It begins with an IDR picture, or is audio.
    pub independent: bool,
    /// There is no media for this interval in this rendition (listed as GAP=YES).
    pub gap: bool,
}

/// One whole segment of one rendition.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// Its parts, in order; concatenated they are the segment's bytes.
    pub parts: Arc<[Part]>,
    /// Where it begins on the session's timeline.
    pub start: MediaTime,
    /// Its length as listed: the sum of its parts'.
    pub duration: MediaTime,
    /// When it begins by the wall clock: its EXT-X-PROGRAM-DATE-TIME, which is cut to whole milliseconds.
    pub wall: SystemTime,
    /// The timeline, the encoding or the configuration breaks before it.
    pub discontinuity: bool,
    /// Which init section it needs, if the rendition had one by then; see [`crate::Rendition::init`].
    pub init: Option<u32>,
    /// Listed with EXT-X-GAP: some or all of its media is missing.
    pub gap: bool,
    pub(crate) ts: Arc<OnceLock<Option<Bytes>>>,
}

impl Segment {
    /// Bytes of the whole segment.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|p| p.data.len()).sum()
    }

    /// There are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time just after its last media.
    pub fn end(&self) -> MediaTime {
        self.start + self.duration
    }

    /// What is in it, in decode order. `config` is what its init section was made of.
    pub(crate) fn units(&self, config: &Config) -> Vec<AccessUnit> {
        let track = if matches!(config, Config::Video(_)) { Track::Video } else { Track::Audio };
        let time = |units| MediaTime::from_units(units, init::timescale(config));
        let samples = self.parts.iter().flat_map(|part| fragment::read(track, &part.data));
        let units = samples.map(|sample| AccessUnit {
            config: config.clone(),
            dts: time(sample.decode_time),
            pts: time(sample.presentation_time),
            sync: sample.sync,
            data: sample.data,
        });
        units.collect()
    }
}

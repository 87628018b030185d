//! Lanes: what turns one rendition's units into parts and segments on the session's grid. One per rendition, written by
//! the [`crate::Packager`] alone.

mod audio;
mod video;
mod writer;

pub(crate) use audio::{AudioLane, frame_samples};
pub(crate) use video::{STAMP_JITTER, VideoLane};
pub(crate) use writer::Writer;

use media::MediaTime;

/// The spacing of parts inside a segment: part k covers [k * part, (k + 1) * part) from the segment's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartGrid {
    pub part: MediaTime,
}

impl PartGrid {
    /// The part a time `into` the segment lies in. Times up to `early` before a part's start belong to it.
    pub fn index(&self, into: MediaTime, early: MediaTime) -> i64 {
        (into + early).ticks().max(0) / self.part.ticks()
    }

    /// Where part `index` begins, from the segment's start.
    pub fn start(&self, index: i64) -> MediaTime {
        MediaTime::from_ticks(self.part.ticks() * index)
    }
}

/// What happened to units that could not be published; counted, never silent.
pub(crate) fn dropped(reason: &'static str) {
    metrics::counter!("weir_packager_dropped_units_total", "reason" => reason).increment(1);
}

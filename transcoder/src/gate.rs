//! The [`Gate`]: nothing a worker says about a rung is published before it passed here. Pure.

use bytes::Bytes;
use media::{AccessUnit, Config, FrameRate, MediaTime, Rung, VideoConfig, h264, nal};
use std::sync::Arc;

/// Why a picture was held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It comes before the first picture wanted, or after one that did not align and before the next that does.
    Unwanted,
    /// An IDR where no boundary is, none where one is, or a stamp that is no slot.
    Misaligned,
    /// It is not what a worker may send: no configuration, damaged units, stamps out of order.
    Broken,
}

impl Refusal {
    /// For the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unwanted => "unwanted",
            Self::Misaligned => "misaligned",
            Self::Broken => "broken",
        }
    }
}

/// One rung's state; outlives workers, so that equal parameter sets stay the same `Arc` over a restart.
#[derive(Debug)]
pub(crate) struct Gate {
    rung: Rung,
    config: Option<Arc<VideoConfig>>,
    from: Option<MediaTime>,
    /// The next picture is the first of an encoder and may be an IDR anywhere.
    is_first: bool,
    /// Closed after a misaligned picture until one aligns.
    is_closed: bool,
    last_dts: Option<MediaTime>,
    newest: Option<MediaTime>,
}

impl Gate {
    pub fn new(rung: Rung) -> Self {
        Self { rung, config: None, from: None, is_first: true, is_closed: false, last_dts: None, newest: None }
    }

    /// A new worker or encoder begins; pictures before `from` are not wanted.
    pub fn restart(&mut self, from: Option<MediaTime>) {
        self.from = from;
        self.is_first = true;
        self.is_closed = false;
    }

    /// The slot after the newest picture passed. Pictures before it that had not come yet when a worker died are lost:
    /// at most the B-frames of one group, and nothing is published twice.
    pub fn next_slot(&self) -> Option<MediaTime> {
        self.newest.map(|newest| newest + MediaTime::from_ticks(1))
    }

    /// Takes parameter sets. `false` when they can't be read or are of another picture than the rung's.
    pub fn configure(&mut self, record: &Bytes) -> bool {
        let Ok(config) = h264::parse_config(record) else { return false };
        if (config.width, config.height) != (self.rung.width, self.rung.height)
            || config.nal_length_size != 4
            || config.bit_depth != 8
            || !config.is_420
        {
            return false;
        }
        if self.config.as_ref().is_none_or(|known| known.record != config.record) {
            self.config = Some(Arc::new(config));
        }
        self.is_first = true;
        true
    }

    /// Takes a picture; `plan` gives the boundaries, newest first.
    ///
    /// # Errors
    /// Why it must not be published.
    pub fn pass(
        &mut self,
        plan: impl Iterator<Item = MediaTime>,
        dts: MediaTime,
        pts: MediaTime,
        sync: bool,
        data: Bytes,
    ) -> Result<AccessUnit, Refusal> {
        let config = self.config.clone().ok_or(Refusal::Broken)?;
        let mut units = 0;
        for unit in nal::units(&data, 4) {
            units += 1;
            unit.map_err(|_| Refusal::Broken)?;
        }
        if units == 0 || dts > pts || sync != h264::is_idr(&data, 4) {
            return Err(Refusal::Broken);
        }
        if self.from.is_some_and(|from| pts < from) {
            return Err(Refusal::Unwanted);
        }
        let mut plan = plan;
        let segment = plan.find(|at| *at <= pts);
        let is_boundary = segment == Some(pts);
        let on_slot = segment.is_some_and(|at| is_slot(self.rung.frame_rate, pts - at));
        let aligned = on_slot && if sync { is_boundary || self.is_first } else { !is_boundary && !self.is_first };
        if !aligned {
            let known = self.is_closed;
            self.is_closed = true;
            return Err(if known { Refusal::Unwanted } else { Refusal::Misaligned });
        }
        if self.is_closed && !sync {
            return Err(Refusal::Unwanted);
        }
        self.is_closed = false;
        // A new encoder's first pictures have decode times before those published last, as it has its own reorder delay.
        let dts = self.last_dts.map_or(dts, |last| dts.max(last + MediaTime::from_ticks(1)));
        if dts > pts {
            self.is_closed = true;
            return Err(Refusal::Broken);
        }
        self.is_first = false;
        self.last_dts = Some(dts);
        self.newest = self.newest.max(Some(pts));
        Ok(AccessUnit { config: Config::Video(config), dts, pts, sync, data })
    }
}

fn is_slot(rate: FrameRate, offset: MediaTime) -> bool {
    rate.time_of(rate.frames_in(offset)) == offset
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: FrameRate = FrameRate { num: 30, den: 1 };

    fn gate() -> Gate {
        let rung = Rung { name: "360p".to_owned(), width: 640, height: 360, frame_rate: RATE, bitrate_bps: 600_000 };
        let mut gate = Gate::new(rung);
        // 640x360 High, written by x264.
        let record: &[u8] = &[
            1, 100, 0, 30, 255, 225, 0, 26, 103, 100, 0, 30, 172, 217, 64, 160, 47, 249, 112, 17, 0, 0, 3, 0, 1, 0, 0,
            3, 0, 60, 15, 22, 45, 150, 1, 0, 6, 104, 235, 227, 203, 34, 192, 253, 248, 248, 0,
        ];
        assert!(gate.configure(&Bytes::copy_from_slice(record)), "a 640x360 record");
        gate
    }

    fn unit(idr: bool) -> Bytes {
        Bytes::copy_from_slice(&[0, 0, 0, 2, if idr { 0x65 } else { 0x41 }, 0x88])
    }

    fn pass(gate: &mut Gate, slot: i64, idr: bool) -> Result<(), Refusal> {
        let pts = MediaTime::from_millis(10_000) + RATE.time_of(slot);
        let plan = [60i64, 0].map(|slot| MediaTime::from_millis(10_000) + RATE.time_of(slot));
        gate.pass(plan.into_iter(), pts, pts, idr, unit(idr)).map(drop)
    }

    #[test]
    fn aligned_pictures_pass() {
        let mut gate = gate();
        assert!((0..120).all(|k| pass(&mut gate, k, k % 60 == 0).is_ok()));
    }

    #[test]
    fn a_keyframe_outside_the_plan_closes_the_rung_until_the_next_boundary() {
        let mut gate = gate();
        assert_eq!(pass(&mut gate, 0, true), Ok(()));
        assert_eq!(pass(&mut gate, 1, true), Err(Refusal::Misaligned));
        assert_eq!(pass(&mut gate, 2, false), Err(Refusal::Unwanted));
        assert_eq!(pass(&mut gate, 60, true), Ok(()));
    }

    #[test]
    fn a_boundary_without_keyframe_is_not_published() {
        let mut gate = gate();
        assert_eq!(pass(&mut gate, 0, true), Ok(()));
        assert_eq!(pass(&mut gate, 60, false), Err(Refusal::Misaligned));
    }

    #[test]
    fn a_new_worker_may_begin_inside_a_segment() {
        let mut gate = gate();
        assert_eq!(pass(&mut gate, 0, true), Ok(()));
        gate.restart(Some(MediaTime::from_millis(10_000) + RATE.time_of(5)));
        assert_eq!(pass(&mut gate, 4, true), Err(Refusal::Unwanted));
        assert_eq!(pass(&mut gate, 5, true), Ok(()));
        assert_eq!(pass(&mut gate, 6, false), Ok(()));
    }

    #[test]
    fn stamps_between_slots_are_held_back() {
        let mut gate = gate();
        let pts = MediaTime::from_ticks(900_001);
        let plan = [MediaTime::from_ticks(900_000)];
        assert_eq!(gate.pass(plan.into_iter(), pts, pts, true, unit(true)).map(drop), Err(Refusal::Misaligned));
    }

    #[test]
    fn lies_about_the_picture_are_broken() {
        let mut gate = gate();
        let pts = MediaTime::from_ticks(900_000);
        let refused = |gate: &mut Gate, dts: i64, sync: bool, data: &[u8]| {
            gate.pass([pts].into_iter(), MediaTime::from_ticks(dts), pts, sync, Bytes::copy_from_slice(data)).map(drop)
        };
        assert_eq!(refused(&mut gate, 900_001, true, &unit(true)), Err(Refusal::Broken));
        assert_eq!(refused(&mut gate, 900_000, false, &unit(true)), Err(Refusal::Broken));
        assert_eq!(refused(&mut gate, 900_000, true, &[0, 0, 0, 9, 0x65]), Err(Refusal::Broken));
    }
}

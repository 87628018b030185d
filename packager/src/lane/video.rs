use super::{PartGrid, Writer, dropped};
use crate::cmaf::fragment::Sample;
use crate::plan::{Plan, Planned};
use bytes::Bytes;
use media::{AccessUnit, Config, FrameRate, MediaTime};

/// Stamps in whole milliseconds put a picture this far from its slot, and the next IDR this far from the end of a part.
const STAMP_ERROR: MediaTime = MediaTime::from_ticks(100);
/// How much longer than the part grid says a part can be for that: its end, and the slots' lead.
pub(crate) const STAMP_JITTER: MediaTime = MediaTime::from_ticks(235);
/// Segments touch though a picture is missing between them, but not one that lasts longer than this.
const JOINED_MAX: MediaTime = MediaTime::from_millis(400);
/// Pictures that come faster than the frame rate get slots of their own up to so far ahead of their time; then they share
/// one, or the segment would become longer than its media.
const CROWDED: MediaTime = MediaTime::from_millis(100);
/// The most pictures H.264 and HEVC can reorder.
const REORDER_MAX: i64 = 16;

/// One video rendition: passthrough of the source, or an encoded rung.
///
/// Decode times are made anew. The IDR's is its presentation time. With r pictures of reordering, the next r pictures are
/// squeezed into the first frame, and the i-th picture after the IDR is decoded in slot i - r of the constant frame rate.
/// Presentation times stay exact, by composition offsets, of which none is below zero: libavformat moves a whole track by
/// the lowest negative offset it meets (measured with ffmpeg 5.1: sound 67 ms early with x264's default B-frames), which is
/// why decode times are not simply shifted by r frames. So parts have the same length always, each holds all pictures shown
/// in its interval, one is complete when its last slot is filled, without waiting for the next picture, and stamps in whole
/// milliseconds do no harm. A picture the source left out leaves its slot empty; the one before it lasts longer.
#[derive(Debug)]
pub(crate) struct VideoLane {
    pub writer: Writer,
    /// Its units come from an encoder of ours and must be on the grid to the tick.
    pub encoded: bool,
    /// A changed configuration waits for a boundary with a discontinuity.
    pub wants_discontinuity: bool,
    rate: FrameRate,
    frame: MediaTime,
    open: Option<Open>,
    pending: Vec<Pending>,
    /// The part `pending` belongs to.
    part: i64,
    /// How long the segment before was: a part that would end there waits for one more picture, which may be the IDR that
    /// ends the segment. Else the preload hint would promise a part that never comes.
    last_length: Option<MediaTime>,
    newest_pts: Option<MediaTime>,
    /// The last segment ended as planned; what comes next must be the IDR of the next.
    aligned: bool,
    /// Gaps were listed for what did not come, and nothing came since.
    given_up: bool,
}

#[derive(Debug, Clone)]
struct Open {
    msn: u64,
    base: MediaTime,
    /// Where it is listed to begin, within a frame of `base`.
    began: MediaTime,
    /// What makes a decode time of the source one of this segment.
    shift: MediaTime,
    /// The newest picture's number, counted from the IDR in decode order, with those that were left out.
    slot: i64,
    reorder: i64,
    /// Decode slots after the IDR begin this much early, so that none is after its picture's inexact stamp.
    lead: MediaTime,
}

#[derive(Debug)]
struct Pending {
    at: MediaTime,
    pts: MediaTime,
    sync: bool,
    data: Bytes,
}

impl VideoLane {
    pub fn new(writer: Writer, rate: FrameRate, encoded: bool) -> Self {
        Self {
            writer,
            encoded,
            wants_discontinuity: false,
            rate,
            frame: rate.time_of(1),
            open: None,
            pending: Vec::new(),
            part: 0,
            last_length: None,
            newest_pts: None,
            aligned: false,
            given_up: false,
        }
    }

    /// Takes the next unit in decode order.
    pub fn push(&mut self, unit: &AccessUnit, plan: &Plan) {
        let after = self.open.as_ref().map_or(self.writer.next_msn, |o| o.msn + 1);
        if let Some(planned) = plan.starting_at(unit.pts).filter(|p| unit.sync && p.msn >= after) {
            return self.enter(unit, *planned, plan);
        }
        let Some(open) = &self.open else {
            if self.encoded && self.aligned && plan.get(self.writer.next_msn).is_some_and(|p| unit.pts >= p.start) {
                self.misaligned();
            }
            return dropped("no_keyframe");
        };
        // Passthrough goes by decode order: when it is withdrawn, pictures shown after the cut may be needed before it.
        let place = if self.encoded { unit.pts } else { unit.dts + open.shift };
        if let Some(end) = plan.get(open.msn).and_then(|p| p.end).filter(|end| place >= *end) {
            self.finish_segment(end, self.encoded);
            if self.encoded {
                self.misaligned();
            }
            return dropped("after_segment");
        }
        if unit.pts < open.base {
            return dropped("before_keyframe");
        }
        if !self.writer.continues(&unit.config) {
            self.wants_discontinuity = true;
            return dropped("changed_configuration");
        }
        let mut slot = self.rate.frames_in(unit.dts + open.shift - open.base);
        let mut shift = open.shift;
        if unit.sync {
            // Another encoder's decode times may stand in another relation to its presentation times.
            slot = self.rate.frames_in(unit.pts - open.base);
            shift = open.base + self.rate.time_of(slot) - unit.dts;
        }
        let slot =
            if open.slot + 1 > slot + self.rate.frames_in(CROWDED) { open.slot } else { slot.max(open.slot + 1) };
        // A segment never becomes longer than the plan may still make it.
        let is_open = plan.get(open.msn).is_some_and(|p| p.end.is_none());
        let is_ahead = self.encoded && unit.pts > plan.settled + self.frame;
        if is_open && (is_ahead || open.base + self.rate.time_of(slot + 1) > open.began + plan.longest) {
            return dropped("beyond_plan");
        }
        self.place(slot, shift, unit, plan);
    }

    /// Starts the planned segment with its IDR.
    fn enter(&mut self, unit: &AccessUnit, planned: Planned, plan: &Plan) {
        if let Some(open) = &self.open {
            let end = plan.get(open.msn).and_then(|p| p.end).unwrap_or(planned.start);
            self.finish_segment(end, false);
        }
        let is_new = !self.writer.continues(&unit.config);
        if is_new && self.writer.config().is_some() && !planned.discontinuity {
            self.wants_discontinuity = true;
            self.aligned = false;
            return dropped("changed_configuration");
        }
        self.fill_gaps(plan, planned.msn);
        if self.writer.next_msn != planned.msn {
            return dropped("unknown_segment");
        }
        if is_new {
            self.writer.set_config(&unit.config);
            self.wants_discontinuity = false;
        }
        self.given_up = false;
        let start = self.joined(planned.start);
        self.writer.begin(&planned, start);
        self.part = 0;
        let shift = planned.start - unit.dts;
        let reorder = self.rate.frames_in(shift).clamp(0, REORDER_MAX);
        let lead = if self.encoded { MediaTime::ZERO } else { STAMP_ERROR };
        self.open = Some(Open { msn: planned.msn, base: planned.start, began: start, shift, slot: -1, reorder, lead });
        self.place(0, shift, unit, plan);
    }

    /// A segment begins where the one before ended, if that is within a frame of the plan; the difference is absorbed by
    /// the first picture's duration.
    fn joined(&self, planned: MediaTime) -> MediaTime {
        self.writer.end().filter(|end| *end > planned || *end + self.slack() >= planned).unwrap_or(planned)
    }

    fn place(&mut self, slot: i64, shift: MediaTime, unit: &AccessUnit, plan: &Plan) {
        let Some(open) = &mut self.open else { return };
        (open.slot, open.shift) = (slot, shift);
        let open = open.clone();
        let part = self.part_of(&open, slot);
        if part > self.part && !self.pending.is_empty() {
            // The last picture before a hole lasts until the media goes on.
            self.flush_across(&open, self.part_start(&open, part));
        }
        let mut at = self.decode_time(&open, slot);
        if let Some(last) = self.pending.last() {
            at = at.max(last.at + MediaTime::from_ticks(1));
        } else {
            self.part = part;
            // A segment begins where the one before ended, which is no hole.
            let tolerance = if slot == 0 { self.slack() } else { self.half_frame() };
            self.writer.gap_until(self.part_start(&open, part), tolerance);
            at = self.writer.end().unwrap_or(at);
        }
        self.pending.push(Pending { at, pts: unit.pts, sync: unit.sync, data: unit.data.clone() });
        self.newest_pts = self.newest_pts.max(Some(unit.pts));
        let is_last = |end: MediaTime| open.base + self.rate.time_of(slot + 1) + self.half_frame() >= end;
        if let Some(end) = plan.get(open.msn).and_then(|p| p.end).filter(|end| is_last(*end)) {
            return self.finish_segment(end, false);
        }
        let next = self.decode_time(&open, slot + 1);
        let expected_end = |length: MediaTime| (open.base + length - next).abs() <= self.half_frame();
        // With reordering the last slots of a segment stay empty, and a part there needs this picture.
        let is_full = open.reorder == 0 && self.part_of(&open, slot + 1) > self.part;
        if is_full && self.last_length.is_some_and(|l| !expected_end(l)) {
            self.flush(next, next);
        }
    }

    /// Publishes what is pending when the media goes on at `end`, which may lie parts later: squeezing the first pictures left the
    /// last slots empty, or pictures are missing. A part without any would be a gap, which players treat as a fault. So the
    /// newest pictures are held back, one for each such part: as late as they may be decoded for an empty slot, and shown as much
    /// later where pictures are missing. What can't be filled like this is listed as gaps by the caller; a rest of less than a
    /// picture is no part, and what of it is beyond the longest part is left to the first picture of the next segment.
    fn flush_across(&mut self, open: &Open, end: MediaTime) {
        // More than one would change places with those they are shown before.
        let most = if open.reorder > 0 { 1 } else { usize::MAX };
        loop {
            let part_end = self.part_start(open, self.part + 1);
            // Rests that were left to this segment so far.
            let rest = self.writer.end().map_or(MediaTime::ZERO, |end| self.part_start(open, self.part) - end);
            let slack = self.slack() - rest.max(MediaTime::ZERO);
            let missing = (self.part + 1..).take_while(|part| self.part_start(open, *part) + slack < end).count();
            let held = missing.min(self.pending.len().saturating_sub(1)).min(most);
            if held == 0 {
                let last = self.pending.last().map_or(end, |last| last.at + MediaTime::from_ticks(1));
                let until = end.max(last);
                return self.flush(if missing == 0 { until } else { part_end }, until);
            }
            let newest = self.pending.iter().map(|picture| picture.pts).max().unwrap_or(part_end);
            let mut later = self.pending.split_off(self.pending.len() - held);
            let first = later.iter().map(|picture| picture.pts).min().unwrap_or(part_end);
            let is_slot = newest + self.half_frame() >= part_end;
            let room = (end - newest - self.half_frame()).max(MediaTime::ZERO);
            let delay = if is_slot { MediaTime::ZERO } else { (part_end - first).min(room) };
            for picture in self.pending.iter_mut().chain(&mut later).filter(|picture| picture.pts >= first) {
                picture.pts += delay;
            }
            let mut at = (first + delay).min(part_end);
            for picture in &mut later {
                picture.at = picture.at.max(at);
                at = picture.at + MediaTime::from_ticks(1);
            }
            self.flush(part_end, later[0].at);
            self.pending = later;
            self.part += 1;
        }
    }

    /// Publishes what is pending as a part listed until `declared`, whose last picture lasts until `until`, or as long as the part
    /// when these are the same.
    fn flush(&mut self, declared: MediaTime, until: MediaTime) {
        let Some(first) = self.pending.first().map(|p| p.at) else { return };
        let longest = self.writer.part_end_max().filter(|_| until == declared);
        let until = longest.map_or(until, |longest| until.min(longest));
        let mut samples = Vec::with_capacity(self.pending.len());
        let mut pending = self.pending.drain(..).peekable();
        while let Some(picture) = pending.next() {
            let end = pending.peek().map_or(until, |next| next.at);
            samples.push(Sample {
                data: picture.data,
                duration: (end - picture.at).ticks().clamp(1, i64::from(u32::MAX)) as u32,
                offset: (picture.pts - picture.at).ticks() as i32,
                sync: picture.sync,
            });
        }
        drop(pending);
        self.writer.publish(first.ticks().max(0) as u64, &samples, declared);
    }

    /// Closes the open segment, which the plan ends at `end`. When its rest is `lost`, that becomes gaps; else a hole is
    /// filled by the picture before it.
    fn finish_segment(&mut self, end: MediaTime, lost: bool) {
        let Some(open) = self.open.take() else { return };
        // A tail shorter than a part is shown by the picture before it: no reason to lose the segment.
        let lost = lost && open.base + self.rate.time_of(open.slot + 1) + self.grid().part < end;
        if let Some(last) = self.pending.last().map(|p| p.at).filter(|_| lost) {
            let part_end = self.part_start(&open, self.part + 1);
            let next = self.decode_time(&open, open.slot + 1).max(last + MediaTime::from_ticks(1));
            self.flush(part_end.min(end), next);
        } else if !self.pending.is_empty() {
            self.flush_across(&open, end);
        }
        self.writer.gap_until(end, self.slack());
        self.writer.close(lost);
        self.last_length = Some(end - open.base);
        self.aligned = !lost;
    }

    /// Lists every planned segment before `msn` that was missed as a gap.
    fn fill_gaps(&mut self, plan: &Plan, msn: u64) {
        while self.writer.next_msn < msn {
            let Some((planned, end)) = plan.get(self.writer.next_msn).and_then(|p| Some((*p, p.end?))) else { break };
            self.writer.gap_segment(&planned, end);
        }
    }

    /// Gives up on everything before the plan's open segment that did not come.
    pub fn give_up(&mut self, plan: &Plan) {
        if let Some(end) = self.open.as_ref().and_then(|o| plan.get(o.msn)?.end) {
            self.finish_segment(end, true);
        }
        if let (None, Some(newest)) = (&self.open, plan.open()) {
            self.fill_gaps(plan, newest.msn);
            self.aligned = false;
            self.given_up = true;
        }
    }

    /// Publishes what is there, as nothing will come any more. The plan is finished; what is missing to its end is a gap.
    pub fn finish(&mut self, plan: &Plan) {
        if let Some(open) = &self.open {
            self.finish_segment(open.base + self.rate.time_of(open.slot + 1), false);
        }
        if let Some(last) = plan.open().filter(|_| self.writer.end().is_some()) {
            self.fill_gaps(plan, last.msn + 1);
        }
    }

    /// The first presentation time that was not published and will not be out of what is held.
    pub fn frontier(&self) -> Option<MediaTime> {
        let (newest, open) = (self.newest_pts?, self.open.as_ref()?);
        Some(open.base + self.rate.time_of(self.rate.frames_in(newest - open.base) + 1))
    }

    /// How far it has come: nothing before this time is missing.
    pub fn progress(&self) -> Option<MediaTime> {
        self.pending.last().map(|p| p.at).max(self.writer.end())
    }

    /// It is listed as gaps until something comes again.
    pub fn given_up(&self) -> bool {
        self.given_up
    }

    /// The number of the segment in progress.
    pub fn open_msn(&self) -> Option<u64> {
        self.open.as_ref().map(|o| o.msn)
    }

    /// The newest configuration.
    pub fn config(&self) -> Option<&std::sync::Arc<media::VideoConfig>> {
        match self.writer.config() {
            Some(Config::Video(config)) => Some(config),
            _ => None,
        }
    }

    /// The constant frame rate of its slots.
    pub fn rate(&self) -> FrameRate {
        self.rate
    }

    fn misaligned(&mut self) {
        self.aligned = false;
        metrics::counter!("weir_rung_misaligned_total", "rendition" => self.writer.rendition.id().to_owned())
            .increment(1);
        tracing::warn!(
            rendition = self.writer.rendition.id(),
            msn = self.writer.next_msn,
            "rung missed its boundary and is not published until the next"
        );
    }

    /// What may be missing between two segments: a picture.
    fn slack(&self) -> MediaTime {
        self.frame.min(JOINED_MAX)
    }

    fn half_frame(&self) -> MediaTime {
        MediaTime::from_ticks(self.frame.ticks() / 2)
    }

    fn grid(&self) -> PartGrid {
        self.writer.grid
    }

    /// When the picture of a slot is decoded.
    fn decode_time(&self, open: &Open, slot: i64) -> MediaTime {
        if slot <= open.reorder {
            return open.base + MediaTime::from_ticks(self.frame.ticks() * slot / (open.reorder + 1));
        }
        open.base + self.rate.time_of(slot - open.reorder) - open.lead
    }

    /// The part a slot lies in. A quarter of a frame absorbs the lead and the rounding to ticks.
    fn part_of(&self, open: &Open, slot: i64) -> i64 {
        self.grid().index(self.decode_time(open, slot) - open.base, MediaTime::from_ticks(self.frame.ticks() / 4))
    }

    /// The time of the first slot of a part.
    fn part_start(&self, open: &Open, part: i64) -> MediaTime {
        let mut slot = self.rate.frames_in(self.grid().start(part)) + open.reorder;
        while slot > 0 && self.part_of(open, slot - 1) >= part {
            slot -= 1;
        }
        while self.part_of(open, slot) < part {
            slot += 1;
        }
        self.decode_time(open, slot)
    }
}

use super::{Writer, dropped};
use crate::cmaf::fragment::Sample;
use crate::plan::{Plan, Planned};
use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, MediaTime};
use std::collections::VecDeque;

/// Frames that may wait for the plan: ten seconds of them. The cutter gives up on the video after two.
const WAITING_MAX: usize = 512;
/// A stamp this near to the sample count is the sample count's; ingest rounds stamps and re-anchors at 20 ms.
const SLACK_MS: i64 = 10;

/// The audio rendition. It runs on its sample count: each frame begins where the one before ended, and only a stamp more
/// than 10 ms off moves it, by stretching the frame before, or by leaving out a frame.
#[derive(Debug)]
pub(crate) struct AudioLane {
    pub writer: Writer,
    /// Its frames come from an encoder of ours, later than the plan.
    pub encoded: bool,
    /// A changed configuration waits for a boundary with a discontinuity.
    pub wants_discontinuity: bool,
    waiting: VecDeque<AccessUnit>,
    open: Option<Open>,
    /// The sample the next frame is expected at.
    next: Option<i64>,
    pending: Vec<(i64, Bytes)>,
    part: i64,
    last_length: Option<MediaTime>,
    newest: Option<MediaTime>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    msn: u64,
    base: MediaTime,
}

impl AudioLane {
    pub fn new(writer: Writer, encoded: bool) -> Self {
        Self {
            writer,
            encoded,
            wants_discontinuity: false,
            waiting: VecDeque::new(),
            open: None,
            next: None,
            pending: Vec::new(),
            part: 0,
            last_length: None,
            newest: None,
        }
    }

    /// Takes the next frame. It waits here while the segment it belongs to is not settled.
    pub fn push(&mut self, unit: &AccessUnit, plan: &Plan) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            dropped("audio_queue_full");
        }
        self.newest = self.newest.max(Some(unit.pts));
        self.waiting.push_back(unit.clone());
        self.follow(plan);
    }

    /// Places what the plan allows to place by now.
    pub fn follow(&mut self, plan: &Plan) {
        while let Some(unit) = self.waiting.pop_front() {
            if !self.take(&unit, plan) {
                self.waiting.push_front(unit);
                break;
            }
        }
        self.finish_if_complete(plan);
    }

    /// Places one frame; false when it must wait.
    fn take(&mut self, unit: &AccessUnit, plan: &Plan) -> bool {
        let Some(audio) = unit.audio() else { return true };
        let (rate, frame) = (audio.sample_rate, frame_samples(audio));
        let is_new = !self.writer.continues(&unit.config);
        let stamp = samples_at(unit.pts, rate);
        let slack = i64::from(rate) * SLACK_MS / 1000;
        let start = match self.next.filter(|_| !is_new) {
            Some(next) if (stamp - next).abs() <= slack => next,
            Some(next) if stamp < next => {
                dropped("audio_overlap");
                return true;
            }
            // Nothing is left to stretch: this frame is, when the next one comes.
            Some(next) if self.pending.is_empty() && stamp - next <= 2 * frame => next,
            _ => stamp,
        };
        let at = MediaTime::from_units(start, rate);
        if !plan.is_settled(at) {
            return false;
        }
        let Some(planned) = plan.containing(at).copied() else {
            dropped("outside_timeline");
            return true;
        };
        let is_open = self.open.is_some_and(|o| o.msn == planned.msn);
        if planned.msn < self.writer.next_msn {
            dropped("late");
            return true;
        }
        if is_new && self.writer.config().is_some() && (is_open || !planned.discontinuity) {
            // The last frames before a boundary come after it was planned.
            self.wants_discontinuity |= !plan.breaks_after(planned.msn);
            dropped("changed_configuration");
            return true;
        }
        if !is_open && self.is_remnant(&planned, at) {
            dropped("before_segment");
            return true;
        }
        if !is_open {
            self.enter(&planned, at, is_new.then_some(&unit.config), plan);
        }
        self.place(start, rate, frame, unit, &planned);
        true
    }

    /// Behind a hole, less than a part of sound before the end of a segment is none: the segment would be listed with all its
    /// length as sound, and hls.js 1.7 waits for ever for the pictures beside it. An encoder that comes back sends sound a
    /// frame before its first picture, with which the next segment begins.
    fn is_remnant(&self, planned: &Planned, at: MediaTime) -> bool {
        // What is pending was heard as well: the segment before is finished only when this frame enters.
        let Some(heard) = self.next_time().max(self.writer.end()).map(|end| end.max(planned.start)) else {
            return false;
        };
        at - heard > self.frame_time() && planned.end.is_some_and(|end| end - at < self.writer.grid.part)
    }

    fn enter(&mut self, planned: &Planned, at: MediaTime, config: Option<&Config>, plan: &Plan) {
        if let Some(end) = self.open.and_then(|o| plan.get(o.msn)?.end) {
            self.finish_segment(end, false);
        }
        self.fill_gaps(plan, planned.msn);
        if let Some(config) = config {
            self.writer.set_config(config);
            self.wants_discontinuity = false;
        }
        let frame = self.frame_time();
        // Sound that begins later than its first frame could begins a listed length that is on the grid all the same.
        let first = if at - planned.start <= frame && !planned.discontinuity { at } else { planned.start };
        let joined =
            self.writer.end().filter(|end| !planned.discontinuity && (*end - first).abs() <= frame).unwrap_or(first);
        self.writer.begin(planned, joined);
        self.open = Some(Open { msn: planned.msn, base: planned.start });
        self.part = 0;
    }

    fn place(&mut self, start: i64, rate: u32, frame: i64, unit: &AccessUnit, planned: &Planned) {
        let at = MediaTime::from_units(start, rate);
        let base = planned.start;
        let frame_time = MediaTime::from_units(frame, rate);
        let part = self.writer.grid.index(at - base, MediaTime::ZERO);
        if part > self.part && !self.pending.is_empty() {
            let part_end = base + self.writer.grid.start(self.part + 1);
            // Where the sound jumps by little, the part lasts as long as its media, and at most as long as a part may.
            let declared = if at - part_end <= frame_time + frame_time { at } else { part_end };
            self.flush(declared, start);
        }
        if self.pending.is_empty() {
            self.part = part;
            self.writer.gap_until(base + self.writer.grid.start(part), frame_time);
        }
        self.pending.push((start, unit.data.clone()));
        self.next = Some(start + frame);
        // From the sample, as two rounded times added may be a tick off.
        let next = MediaTime::from_units(start + frame, rate);
        let part_end = base + self.writer.grid.start(part + 1);
        if let Some(end) = planned.end.filter(|end| next >= *end) {
            return self.finish_segment(end, false);
        }
        // Where the segment may end, the part waits for the plan, as in the video lane.
        let expected_end = |length: MediaTime| (base + length - part_end).abs() <= frame_time;
        if next >= part_end && self.last_length.is_some_and(|l| !expected_end(l)) {
            self.flush(next, start + frame);
        }
    }

    /// Publishes what is pending as a part listed until `declared`, whose last frame lasts until sample `until`.
    fn flush(&mut self, declared: MediaTime, until: i64) {
        let Some(first) = self.pending.first().map(|p| p.0) else { return };
        let mut samples = Vec::with_capacity(self.pending.len());
        let mut pending = self.pending.drain(..).peekable();
        while let Some((start, data)) = pending.next() {
            let end = pending.peek().map_or(until, |next| next.0);
            samples.push(Sample {
                data,
                duration: (end - start).clamp(1, i64::from(u32::MAX)) as u32,
                offset: 0,
                sync: true,
            });
        }
        drop(pending);
        self.writer.publish(first.max(0) as u64, &samples, declared);
    }

    fn finish_if_complete(&mut self, plan: &Plan) {
        let Some(end) = self.open.and_then(|o| plan.get(o.msn)?.end) else { return };
        if self.next_time().is_some_and(|next| next >= end) {
            self.finish_segment(end, false);
        }
    }

    fn finish_segment(&mut self, end: MediaTime, lost: bool) {
        let Some(open) = self.open.take() else { return };
        let (next, frame) = (self.next_time().unwrap_or(end), self.frame_time());
        let missing = next + frame < end;
        let part_end = open.base + self.writer.grid.start(self.part + 1);
        self.flush(if missing { part_end.min(end) } else { next }, self.next.unwrap_or_default());
        if missing {
            self.writer.gap_until(end, frame);
        }
        // A tail shorter than a part is a gap in the part alone: no reason to lose the segment.
        self.writer.close(lost && next + self.writer.grid.part < end);
        self.last_length = Some(end - open.base);
    }

    fn fill_gaps(&mut self, plan: &Plan, msn: u64) {
        while self.writer.next_msn < msn {
            let Some((planned, end)) = plan.get(self.writer.next_msn).and_then(|p| Some((*p, p.end?))) else { break };
            self.writer.gap_segment(&planned, end);
        }
    }

    /// Gives up on everything before the plan's open segment that did not come.
    pub fn give_up(&mut self, plan: &Plan) {
        if let Some(end) = self.open.and_then(|o| plan.get(o.msn)?.end) {
            self.finish_segment(end, true);
        }
        if let (None, Some(newest)) = (self.open, plan.open()) {
            self.fill_gaps(plan, newest.msn);
        }
    }

    /// Publishes what is there, as nothing will come any more. The plan is finished, so nothing has to wait, and what is
    /// missing to its end is a gap.
    pub fn finish(&mut self, plan: &Plan) {
        self.follow(plan);
        if self.open.take().is_some() {
            let next = self.next_time().unwrap_or_default();
            self.flush(next, self.next.unwrap_or_default());
            self.writer.close(false);
        }
        if let Some(last) = plan.open().filter(|_| self.writer.end().is_some()) {
            self.fill_gaps(plan, last.msn + 1);
        }
    }

    /// The first time that was not taken yet.
    pub fn frontier(&self) -> Option<MediaTime> {
        self.newest.map(|n| n + self.frame_time())
    }

    /// How far it has come: nothing before this time is missing.
    pub fn progress(&self) -> Option<MediaTime> {
        self.pending.last().and_then(|_| self.next_time()).max(self.writer.end())
    }

    /// The newest configuration.
    pub fn config(&self) -> Option<&std::sync::Arc<AudioConfig>> {
        match self.writer.config() {
            Some(Config::Audio(config)) => Some(config),
            _ => None,
        }
    }

    fn next_time(&self) -> Option<MediaTime> {
        Some(MediaTime::from_units(self.next?, self.config()?.sample_rate))
    }

    fn frame_time(&self) -> MediaTime {
        self.config().map_or(MediaTime::ZERO, |c| MediaTime::from_units(frame_samples(c), c.sample_rate))
    }
}

/// Samples in a frame; AAC's 1,024 when the configuration does not say.
pub(crate) fn frame_samples(audio: &AudioConfig) -> i64 {
    if audio.frame_samples == 0 { 1024 } else { i64::from(audio.frame_samples) }
}

/// The sample at a time, to the nearest.
fn samples_at(time: MediaTime, rate: u32) -> i64 {
    let scaled = i128::from(time.ticks()) * i128::from(rate);
    let half = i128::from(MediaTime::HZ) / 2 * scaled.signum();
    ((scaled + half) / i128::from(MediaTime::HZ)) as i64
}

//! The cutter decides where segments begin, for all renditions at once. Pure: units and times in, decisions out.

use crate::lane::PartGrid;
use crate::parts::PartRule;
use crate::plan::Plan;
use crate::wall::Wall;
use media::{AccessUnit, AudioConfig, FrameRate, MediaTime, VideoConfig};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A key frame sooner than this after the last cut does not cut, unless it must.
const SEGMENT_MIN: MediaTime = MediaTime::from_millis(1000);
/// The length of a segment when the source's key frames do not decide it.
const SEGMENT: MediaTime = MediaTime::from_millis(2000);
/// For a target of 2 s: the longest wait for a key frame. For 4 s it is half a second below the target.
const FORCED_SHORT: MediaTime = MediaTime::from_millis(2400);
/// EXTINF must round to the target at most; an audio frame (46 ms at 22,050 Hz) may be added to a segment.
const OVER_TARGET_MAX: MediaTime = MediaTime::from_millis(450);
/// A segment may begin this much before its plan: where the one before ended, a picture early.
const JOINED_MAX: MediaTime = MediaTime::from_millis(400);
/// Audio waits this long for the video before it goes on alone.
const VIDEO_WAIT: MediaTime = MediaTime::from_millis(2000);
/// While the video is away, boundaries follow the audio this far behind, so that returning video is not too late for
/// sound that came a little earlier.
const AWAY_SLACK: MediaTime = MediaTime::from_millis(500);
/// Nothing at all came for so long: time goes on in gaps. A network that stalls for less delivers late, and nothing is
/// lost.
const SILENCE: Duration = Duration::from_secs(4);
/// A jump forward longer than this is left out of the playlists instead of being filled with gaps.
const HOLE_MAX: MediaTime = MediaTime::from_millis(20_000);
/// A frame time this far from the usual one is irregular: 15 % of a part of a third of a second. One picture left out of 24
/// a second is not.
pub(crate) const IRREGULAR: MediaTime = MediaTime::from_millis(50);
/// So many irregular frame times in `IRREGULAR_WITHIN` end passthrough.
const IRREGULAR_MAX: usize = 3;
const IRREGULAR_WITHIN: MediaTime = MediaTime::from_millis(10_000);
/// So many frame times in a row far below the frame rate mean that the rate has changed.
const FASTER_MAX: u32 = 30;

/// What the transcoding worker must know before the unit that was being looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// A segment begins: every rung starts an IDR with exactly this presentation time.
    Boundary {
        /// Its media sequence number, to be persisted before it is published.
        msn: u64,
        /// The presentation time.
        at: MediaTime,
        /// All renditions are marked with a discontinuity here.
        discontinuity: bool,
    },
    /// The source is repackaged until `at`; from there on `source` is to be encoded like a rung. A boundary with a
    /// discontinuity at the same time follows.
    Withdraw {
        /// The first presentation time to encode.
        at: MediaTime,
        /// Why, in one plain sentence with the encoder setting that cures it.
        reason: String,
    },
}

/// What the cutter says of one unit.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub cues: Vec<Cue>,
    /// The unit can't be shown: it depends on what is missing, or lies before what is settled.
    pub unusable: bool,
}

#[derive(Debug)]
pub(crate) struct Cutter {
    pub plan: Plan,
    next_msn: u64,
    grid: FrameRate,
    target: MediaTime,
    has_video: bool,
    passthrough: bool,
    /// The time of a picture of the source.
    usual: MediaTime,
    /// The next video IDR must begin a segment with a discontinuity.
    broken: bool,
    /// What comes is a slate's and says nothing of the publisher.
    slate: bool,
    /// What follows the break is on the same timeline and, unless its configuration says otherwise, the same encoding.
    rejoins: bool,
    /// The next boundary, whatever makes it, gets a discontinuity.
    mark_next: bool,
    awaiting_sync: bool,
    /// The session is one of a server that died: where its first segment may begin, until it does.
    resumed: Option<MediaTime>,
    withdrawing: Option<String>,
    /// The clock is not the video's: it stopped while audio went on, or everything did.
    stalled: bool,
    /// Pictures come of a slate, now or in a moment, so sound waits for them.
    awaits_slate: bool,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    newest_video: Option<MediaTime>,
    first_audio: Option<MediaTime>,
    newest_audio: Option<MediaTime>,
    last_dts: Option<MediaTime>,
    irregular: VecDeque<MediaTime>,
    faster: u32,
    last_idr: Option<MediaTime>,
    longest_gop: Option<MediaTime>,
    clock: Option<(Instant, MediaTime)>,
    wall: Wall,
}

impl Cutter {
    /// `grid` is the frame rate all rungs share or are multiples of; `parts` says how long parts are; `source` is the frame
    /// rate of a source that is passed through.
    pub fn new(
        first_msn: u64,
        target: MediaTime,
        grid: FrameRate,
        parts: PartRule,
        has_video: bool,
        source: Option<FrameRate>,
    ) -> Self {
        Self {
            plan: Plan::new(parts, target + OVER_TARGET_MAX - grid.time_of(1).min(JOINED_MAX)),
            next_msn: first_msn,
            grid,
            target,
            has_video,
            passthrough: source.is_some(),
            usual: source.unwrap_or(grid).time_of(1),
            broken: false,
            slate: false,
            rejoins: false,
            mark_next: false,
            awaiting_sync: false,
            resumed: None,
            withdrawing: None,
            stalled: false,
            awaits_slate: false,
            video: None,
            audio: None,
            newest_video: None,
            first_audio: None,
            newest_audio: None,
            last_dts: None,
            irregular: VecDeque::new(),
            faster: 0,
            last_idr: None,
            longest_gop: None,
            clock: None,
            wall: Wall::default(),
        }
    }

    /// Looks at the next picture, in decode order.
    pub fn video(&mut self, unit: &AccessUnit, now: Instant) -> Decision {
        let Some(config) = unit.video() else { return Decision::default() };
        let pts = unit.pts;
        if self.video.as_ref().is_some_and(|old| !same_video(old, config)) {
            (self.broken, self.rejoins) = (true, false);
            self.awaiting_sync = true;
        }
        if unit.sync {
            self.video = Some(Arc::clone(config));
        }
        self.observe(unit);
        let mut cues = Vec::new();
        if self.plan.open().is_none() {
            if !unit.sync {
                return Decision { cues, unusable: true };
            }
            self.cut(pts, pts, false, &mut cues);
        } else if !self.video_cut(unit, &mut cues) {
            return Decision { cues, unusable: true };
        }
        self.newest_video = self.newest_video.max(Some(pts));
        self.plan.settled = self.plan.settled.max(pts);
        self.set_clock(pts, now);
        Decision { cues, unusable: false }
    }

    /// Cuts before a picture if it is time; false when the picture is unusable.
    fn video_cut(&mut self, unit: &AccessUnit, cues: &mut Vec<Cue>) -> bool {
        let pts = unit.pts;
        let must = self.broken || self.stalled;
        if must && !(unit.sync && pts > self.plan.settled) {
            self.awaiting_sync = true;
        }
        if self.awaiting_sync && !(unit.sync && (!must || pts > self.plan.settled)) {
            return false;
        }
        self.awaiting_sync = false;
        self.fill_before(pts, cues);
        let start = self.open_start();
        if unit.sync && pts > start && pts > self.plan.settled {
            let since = pts - start;
            if must || (self.passthrough && since >= SEGMENT_MIN) {
                let end = if since > self.plan.longest {
                    self.media_end().clamp(start + self.frame(), start + self.plan.longest)
                } else {
                    pts
                };
                self.cut(end, pts, (must && !self.rejoins) || end < pts, cues);
                (self.broken, self.stalled, self.rejoins) = (false, false, false);
                return true;
            }
        }
        if self.passthrough {
            let forced = self.forced_at();
            if pts >= forced {
                let gop = self.last_idr.map_or(0.0, |idr| (pts - idr).as_secs_f64());
                self.withdrawing.get_or_insert_with(|| {
                    format!("No key frame came for {gop:.1} s, so the source is re-encoded; set the keyframe interval of your encoder to 2 s.")
                });
                self.cut(forced, forced, true, cues);
            }
        }
        if !self.passthrough {
            self.grid_cuts(pts, cues);
        }
        true
    }

    /// Looks at the next audio frame.
    pub fn audio(&mut self, unit: &AccessUnit, now: Instant) -> Decision {
        let Some(config) = unit.audio() else { return Decision::default() };
        let pts = unit.pts;
        let changed = self.audio.as_ref().is_some_and(|old| old != config);
        self.audio = Some(Arc::clone(config));
        self.mark_next |= changed;
        let mut cues = Vec::new();
        if self.has_video {
            self.newest_audio = self.newest_audio.max(Some(pts));
            let first = *self.first_audio.get_or_insert(pts);
            if pts - self.newest_video.unwrap_or(first) > VIDEO_WAIT && !self.awaits_slate {
                self.stalled = true;
                self.awaiting_sync = true;
            }
            if self.stalled {
                if self.plan.open().is_none() {
                    self.cut(first, first, false, &mut cues);
                }
                self.away_cuts(pts - AWAY_SLACK, &mut cues);
            }
            self.set_clock(pts, now);
            return Decision { cues, unusable: false };
        }
        if self.plan.open().is_none() {
            self.cut(pts, pts, false, &mut cues);
        } else {
            if pts <= self.plan.settled && (self.broken || self.stalled) {
                return Decision { cues, unusable: true };
            }
            self.fill_before(pts, &mut cues);
            let start = self.open_start();
            if self.broken || self.stalled || (changed && pts > start) {
                let end = if pts - start > self.plan.longest {
                    self.media_end().clamp(start + self.frame(), start + SEGMENT)
                } else {
                    pts
                };
                self.cut(end, pts, !self.rejoins || changed || end < pts, &mut cues);
                (self.broken, self.stalled, self.rejoins) = (false, false, false);
            }
            self.grid_cuts(pts, &mut cues);
        }
        self.newest_audio = self.newest_audio.max(Some(pts));
        self.plan.settled = self.plan.settled.max(pts);
        self.set_clock(pts, now);
        Decision { cues, unusable: false }
    }

    /// What follows does not go on with the media before it.
    pub fn break_(&mut self) {
        if self.plan.open().is_some() {
            self.broken = true;
            self.awaiting_sync = self.has_video;
        }
        self.rejoins = false;
        self.last_dts = None;
        // The time between two publishers is nobody's keyframe interval.
        self.last_idr = None;
    }

    /// What follows goes on with the timeline after [`Cutter::resume_at`]. It needs a discontinuity only if it is encoded
    /// otherwise than what was before.
    pub fn rejoin(&mut self) {
        self.break_();
        self.rejoins = self.broken;
    }

    /// Whether a slate is shown or on its way, whose pictures sound waits for.
    pub fn await_slate(&mut self, awaits: bool) {
        self.awaits_slate = awaits;
    }

    /// What follows is a slate's, or the publisher's again.
    pub fn slate(&mut self, begins: bool) {
        self.break_();
        self.slate = begins;
    }

    /// The first segment begins at `at` or later, with a discontinuity: nobody knows how well this clock goes on with the one
    /// before.
    pub fn resume(&mut self, at: MediaTime, now: Instant) {
        self.resumed = Some(at);
        self.plan.settled = at - MediaTime::from_ticks(1);
        self.clock = Some((now, at));
        self.awaiting_sync = self.has_video;
    }

    /// The next boundary gets a discontinuity.
    pub fn mark_next(&mut self) {
        self.mark_next = true;
    }

    /// Leaves passthrough at the next boundary.
    pub fn withdraw(&mut self, reason: String) {
        if self.passthrough {
            self.withdrawing.get_or_insert(reason);
        }
    }

    /// Lets time go on when nothing comes; at once when the publisher is known to be `away`.
    pub fn tick(&mut self, now: Instant, away: bool) -> Vec<Cue> {
        let mut cues = Vec::new();
        if let Some(at) = self.resumed.filter(|_| away) {
            self.cut(at, at, true, &mut cues);
        }
        let Some((at, _)) = self.clock.filter(|_| self.plan.open().is_some()) else { return cues };
        let silence = now.saturating_duration_since(at);
        if away || silence > SILENCE {
            self.stalled = true;
            self.awaiting_sync = self.has_video;
            self.away_cuts(self.wall_time(now), &mut cues);
        }
        cues
    }

    /// The media time that goes with `now`, after everything that is settled: where returning media is to begin.
    pub fn resume_at(&self, now: Instant) -> MediaTime {
        // Gaps end where the clock is; a picture's time behind them at each return would add up.
        let shown = self.newest_video.max(self.newest_audio).unwrap_or_default() + self.frame();
        self.wall_time(now).max(shown).max(self.plan.settled + MediaTime::from_ticks(1))
    }

    /// Where media begins that goes on behind what came last, or behind the gaps since: at the end of a part, as the rest of one
    /// would hold no picture.
    pub fn goes_on_at(&self) -> MediaTime {
        let end = self.media_end().max(self.plan.settled + MediaTime::from_ticks(1));
        let Some(open) = self.plan.open().filter(|_| self.has_video) else { return end };
        let grid = PartGrid { part: open.part };
        let full = grid.index(end - open.start - MediaTime::from_ticks(self.frame().ticks() / 4), MediaTime::ZERO);
        let at = open.start + grid.start(full + 1);
        if at > self.plan.settled && at - open.start <= self.plan.longest { at } else { end }
    }

    /// Nothing comes any more; the open segment ends with its media.
    pub fn finish(&mut self) {
        // While a key frame is waited for, sound has gone on without boundaries.
        let end = self.media_end().max(self.head() + self.frame()).min(self.open_start() + self.plan.longest);
        self.plan.settled = end;
        self.plan.finish(end);
    }

    /// The source is still repackaged.
    pub fn passthrough(&self) -> bool {
        self.passthrough
    }

    /// The video's clock is not to be followed: it stopped.
    pub fn stalled(&self) -> bool {
        self.stalled
    }

    /// The newest time of any track, or of the wall clock when everything stopped.
    pub fn head(&self) -> MediaTime {
        self.newest_video.max(self.newest_audio).unwrap_or_default().max(self.plan.settled)
    }

    /// The newest presentation time of the video.
    pub fn newest_video(&self) -> Option<MediaTime> {
        self.newest_video
    }

    /// The longest time between two key frames, as far as it is known.
    pub fn keyframe_interval(&self) -> Option<Duration> {
        let running = self.newest_video.zip(self.last_idr).map(|(newest, idr)| newest - idr);
        // A running interval says something only when it is already longer than what is asked for.
        let running = running.filter(|r| *r > SEGMENT);
        self.longest_gop.max(running).map(MediaTime::to_duration)
    }

    /// Boundaries on the grid, up to `pts`.
    fn grid_cuts(&mut self, pts: MediaTime, cues: &mut Vec<Cue>) {
        if pts - self.open_start() > HOLE_MAX {
            let end = self.open_start() + self.segment();
            self.cut(end, pts, true, cues);
        }
        while pts >= self.open_start() + self.segment() {
            let at = self.open_start() + self.segment();
            self.cut(at, at, false, cues);
        }
    }

    /// Who rejoins, but shows its first picture later than a segment can last, leaves gaps up to it instead of a hole.
    fn fill_before(&mut self, pts: MediaTime, cues: &mut Vec<Cue>) {
        if self.rejoins && pts - self.open_start() > self.plan.longest {
            self.away_cuts(pts - MediaTime::from_ticks(1), cues);
        }
    }

    /// Boundaries while the video, or everything, is away: first where the media ended, then every two seconds.
    fn away_cuts(&mut self, until: MediaTime, cues: &mut Vec<Cue>) {
        let at = until - self.segment();
        if at - self.open_start() > HOLE_MAX {
            // This process itself was stopped: the time is left out, as more segments than the plan holds would be lost.
            self.cut(self.open_start() + self.segment(), at, true, cues);
        }
        loop {
            let start = self.open_start();
            let natural = start + self.segment();
            let media_end = self.newest_video.map_or(start, |_| self.media_end());
            let at = if media_end > start && media_end <= start + self.plan.longest { media_end } else { natural };
            if at > until {
                break;
            }
            // Settled time can't be cut any more.
            let at = at.max(self.plan.settled + MediaTime::from_ticks(1));
            self.cut(at, at, false, cues);
        }
        self.plan.settled = self.plan.settled.max(until);
    }

    fn cut(&mut self, end: MediaTime, start: MediaTime, discontinuity: bool, cues: &mut Vec<Cue>) {
        let is_first = self.plan.open().is_none();
        let withdrawing = self.withdrawing.take_if(|_| !is_first);
        let discontinuity = if is_first {
            self.resumed.take().is_some()
        } else {
            discontinuity || self.mark_next || withdrawing.is_some()
        };
        self.mark_next = false;
        if let Some(reason) = withdrawing {
            self.passthrough = false;
            cues.push(Cue::Withdraw { at: start, reason });
        }
        let late = self.wall.cut();
        self.plan.cut(self.next_msn, end, start, discontinuity, late);
        cues.push(Cue::Boundary { msn: self.next_msn, at: start, discontinuity });
        self.next_msn += 1;
    }

    /// Measures key frame intervals and frame times.
    fn observe(&mut self, unit: &AccessUnit) {
        if self.slate {
            return;
        }
        if unit.sync {
            if let Some(gop) = self.last_idr.map(|last| unit.pts - last) {
                self.longest_gop = self.longest_gop.max(Some(gop));
            }
            self.last_idr = Some(unit.pts);
        }
        let Some(step) = self.last_dts.replace(unit.dts).map(|last| unit.dts - last) else { return };
        if !self.passthrough {
            return;
        }
        self.faster = if step.ticks() * 5 < self.usual.ticks() * 3 { self.faster + 1 } else { 0 };
        if (step - self.usual).abs() > IRREGULAR {
            self.irregular.push_back(unit.dts);
        }
        while self.irregular.front().is_some_and(|at| unit.dts - *at > IRREGULAR_WITHIN) {
            self.irregular.pop_front();
        }
        if self.irregular.len() >= IRREGULAR_MAX || self.faster >= FASTER_MAX {
            self.withdraw(
                "The frame times of the source are irregular, so it is re-encoded at a constant rate; choose a constant frame rate (CFR) in your encoder, and a bit rate your upload can carry.".to_owned(),
            );
        }
    }

    /// The media time that belongs to `now`.
    pub fn wall_time(&self, now: Instant) -> MediaTime {
        self.clock.map_or(MediaTime::ZERO, |(at, time)| time + MediaTime::from(now.saturating_duration_since(at)))
    }

    fn set_clock(&mut self, pts: MediaTime, now: Instant) {
        self.wall.look(pts, now);
        if self.clock.is_none_or(|(_, newest)| pts > newest) {
            self.clock = Some((now, pts));
        }
    }

    fn open_start(&self) -> MediaTime {
        self.plan.open().map_or(MediaTime::ZERO, |o| o.start)
    }

    fn frame(&self) -> MediaTime {
        self.grid.time_of(1)
    }

    /// The end of the newest media of the track that makes the plan.
    fn media_end(&self) -> MediaTime {
        let newest = if self.has_video { self.newest_video } else { self.newest_audio };
        newest.map_or(self.plan.settled, |n| n + self.frame())
    }

    fn segment(&self) -> MediaTime {
        self.grid.time_of(self.grid.frames_in(SEGMENT).max(1))
    }

    /// Where the open segment is cut when no key frame comes.
    fn forced_at(&self) -> MediaTime {
        let limit = if self.target <= SEGMENT { FORCED_SHORT } else { self.target - MediaTime::from_millis(500) };
        let limit = limit.min(self.plan.longest);
        let mut frames = self.grid.frames_in(limit).max(1);
        if self.grid.time_of(frames) > limit && frames > 1 {
            frames -= 1;
        }
        self.open_start() + self.grid.time_of(frames)
    }
}

fn same_video(a: &Arc<VideoConfig>, b: &Arc<VideoConfig>) -> bool {
    Arc::ptr_eq(a, b) || (a.codec == b.codec && a.record == b.record)
}

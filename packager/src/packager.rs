use crate::coding::{AudioCoding, VideoCoding};
use crate::cutter::{Cue, Cutter};
use crate::lane::{AudioLane, VideoLane, Writer, dropped};
use crate::multivariant::{self, Audio, Declared, Variant};
use crate::parts::PartRule;
use crate::playlist::{self, Header};
use crate::rendition::Rendition;
use crate::shelf::{Edge, Shelf};
use crate::{Index, SessionPlan, Window};
use media::{AccessUnit, FrameRate, MediaTime, Track, VideoCodec};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The grid of a session without video: thirds of a second.
const AUDIO_ONLY_GRID: FrameRate = FrameRate { num: 30, den: 1 };
/// An encoded rendition this far behind the plan gets gaps.
const ENCODED_LAG_MAX: MediaTime = MediaTime::from_millis(8_000);
/// The same for one that got gaps already, which must go on steadily; while the source's video is away, when nothing is in
/// the worker but what it holds; and for passed-through audio behind the video.
const MISSING_LAG_MAX: MediaTime = MediaTime::from_millis(2_500);
/// A rendition whose newest segments are so many gaps is not offered to whoever comes now: libavformat 59 asks for gaps, and waits
/// for media of every rendition before it plays one.
const BARREN: usize = 3;
/// How long the multivariant playlist waits for renditions that have no media yet.
const APPEAR_WITHIN: Duration = Duration::from_millis(2_500);
const AUDIO_GUESS_BPS: f64 = 140_000.0;

/// Where the units of rendition `source` come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feeding {
    Passthrough,
    /// Passthrough ends with the segment of this number.
    Retiring(u64),
    Encoded,
}

/// The write side of one session: takes units in decode order, cuts them into the grid of segments and parts, and shows
/// the result in its [`Window`]. Owned by one task; no method blocks, waits or reads a clock.
#[derive(Debug)]
pub struct Packager {
    plan: SessionPlan,
    header: Header,
    cutter: Cutter,
    video: Vec<(VideoLane, Declared)>,
    /// Renditions that were told to rest, and have not come back.
    resting: BTreeSet<String>,
    audio: Option<(AudioLane, Declared)>,
    feeding: Feeding,
    window: Arc<Window>,
    first_media: Option<Instant>,
    is_late: bool,
    shown: bool,
    captions: bool,
    anchored: bool,
    away: bool,
    /// The pictures that come are of another codec than the rendition that is passed through.
    stands_in: bool,
    ended: bool,
}

impl Packager {
    /// Starts a session with an empty window.
    pub fn new(plan: SessionPlan) -> (Self, Arc<Window>) {
        let target = MediaTime::from_millis(if plan.target_s <= 2 { 2000 } else { 4000 });
        let facts = plan.facts.video.as_ref();
        let source_rate = facts.map(|v| v.frame_rate).filter(|_| plan.passthrough);
        let rates = plan.rungs.iter().map(|r| r.frame_rate).chain(source_rate);
        let grid = rates.clone().min_by(|a, b| a.as_f64().total_cmp(&b.as_f64())).unwrap_or(AUDIO_ONLY_GRID);
        let parts = PartRule::new(grid, rates, &plan);
        let header = Header { target, part_target: parts.target, lists_parts: plan.low_latency };
        let window = Arc::new(Window::new(plan.session.clone(), plan.run));
        let has_video = facts.is_some();
        let cutter = Cutter::new(plan.first_msn, target, grid, parts, has_video, source_rate);
        let writer = |id: &str, track, rate| {
            let base = plan.run.map_or_else(|| format!("{id}/"), |run| format!("{id}/{run}-"));
            let empty = Shelf { discontinuities: plan.discontinuities, ..Shelf::default() };
            let (first, ts) = (
                playlist::render(&header, &base, &empty, plan.first_msn, &[]),
                playlist::render_ts(&header, &base, &empty, plan.first_msn, None),
            );
            let rendition =
                Arc::new(Rendition::new(id.to_owned(), base, track, rate, plan.first_msn, empty, (first, ts)));
            window.add(Arc::clone(&rendition));
            Writer::new(rendition, plan.first_msn, &header)
        };
        let mut video = Vec::new();
        if let Some(facts) = facts.filter(|_| plan.passthrough) {
            let usual = multivariant::usual_bps(&facts.config, facts.frame_rate);
            let guess = Declared::guessed(f64::from(facts.bitrate_bps), usual);
            let writer = writer("source", Track::Video, Some(facts.frame_rate));
            video.push((VideoLane::new(writer, facts.frame_rate, false), guess));
        }
        for rung in plan.rungs.iter().filter(|r| has_video && !(plan.passthrough && r.name == "source")) {
            let told = Declared::told(f64::from(rung.bitrate_bps));
            let writer = writer(&rung.name, Track::Video, Some(rung.frame_rate));
            video.push((VideoLane::new(writer, rung.frame_rate, true), told));
        }
        let audio = plan.facts.audio.as_ref().map(|_| {
            let writer = writer("audio", Track::Audio, None);
            (AudioLane::new(writer, plan.audio_encoded), Declared::guessed(AUDIO_GUESS_BPS, 0.0))
        });
        if let Some((audio, _)) = &audio {
            video.iter().for_each(|(lane, _)| lane.writer.rendition.mux_with(&audio.writer.rendition));
        }
        let feeding = if plan.passthrough { Feeding::Passthrough } else { Feeding::Encoded };
        let packager = Self {
            header,
            cutter,
            video,
            resting: BTreeSet::new(),
            audio,
            feeding,
            window: Arc::clone(&window),
            first_media: None,
            is_late: false,
            shown: false,
            captions: false,
            anchored: false,
            away: false,
            stands_in: false,
            ended: false,
            plan,
        };
        (packager, window)
    }

    /// Takes the next unit of the source, in the order it came. The cues returned must reach the worker before this unit
    /// does. `now` must not go back.
    pub fn source(&mut self, unit: &AccessUnit, now: Instant) -> Vec<Cue> {
        if self.ended || !self.expects(unit.track()) {
            dropped("unexpected_track");
            return Vec::new();
        }
        if !self.plan.audio_encoded && unit.audio().is_some_and(|audio| !audio.is_passthrough()) {
            // Sound that changed to what players don't take, in a session without an encoder for it.
            dropped("needs_encoding");
            return Vec::new();
        }
        self.first_media.get_or_insert(now);
        self.away = false;
        let decision = match unit.track() {
            Track::Video => self.cutter.video(unit, now),
            Track::Audio => self.cutter.audio(unit, now),
        };
        self.planned(&decision.cues);
        match unit.track() {
            _ if decision.unusable => dropped("unusable"),
            Track::Video => self.pass_through(unit),
            Track::Audio if !self.plan.audio_encoded => {
                if let Some((lane, _)) = &mut self.audio {
                    lane.push(unit, &self.cutter.plan);
                }
            }
            Track::Audio => {}
        }
        self.settle(Some(now));
        decision.cues
    }

    /// What follows from the source does not go on with the media before it: a discontinuity stands at its next key frame.
    pub fn break_(&mut self) {
        self.cutter.break_();
    }

    /// What follows from the source is a publisher's that came back or took over, placed at [`Packager::resume_at`]. A
    /// discontinuity stands there only if it is encoded otherwise than what was before.
    pub fn rejoin(&mut self) {
        self.cutter.rejoin();
    }

    /// Goes on with a session of a server that died: its first segment begins at `at` or later, which was at `now`, is the media
    /// time that belongs to [`SessionPlan::wall_start`] and lies after everything published before. Call it once, before
    /// anything else; then come units, of a slate ([`Packager::begin_slate`]) or of the publisher, or [`Packager::away`] lists gaps.
    pub fn resume(&mut self, at: MediaTime, now: Instant) {
        self.first_media = Some(now);
        self.anchor(at);
        self.cutter.resume(at, now);
    }

    /// The publisher is gone for now. Until units come again, [`Packager::tick`] lets time go on in gaps.
    pub fn away(&mut self) {
        self.away = true;
    }

    /// Takes a unit of a rung, of `source` once it is encoded, or of `audio` when that is encoded. Units of renditions
    /// the plan does not have, or that are too late, are dropped and counted.
    pub fn encoded(&mut self, rendition: &str, unit: AccessUnit) {
        if self.ended {
            return dropped("ended");
        }
        if unit.track() == Track::Audio {
            match &mut self.audio {
                Some((lane, _)) if lane.encoded && rendition == "audio" => lane.push(&unit, &self.cutter.plan),
                _ => dropped("unknown_rendition"),
            }
            return self.settle(None);
        }
        if rendition == "source" && matches!(self.feeding, Feeding::Retiring(_)) {
            self.feed_encoded();
        }
        self.resting.remove(rendition);
        match self.video.iter_mut().find(|(l, _)| l.encoded && l.writer.rendition.id() == rendition) {
            Some((lane, _)) => lane.push(&unit, &self.cutter.plan),
            None => dropped("unknown_rendition"),
        }
        self.settle(None);
    }

    /// A rendition of the worker's will have no media for now: what it misses is listed as gaps without waiting for it, and who
    /// comes meanwhile is not offered it.
    pub fn rest(&mut self, rendition: &str) {
        let lane = self.video.iter_mut().find(|(l, _)| l.encoded && l.writer.rendition.id() == rendition);
        if let Some((lane, _)) = lane.filter(|_| !self.ended) {
            lane.give_up(&self.cutter.plan);
            self.resting.insert(rendition.to_owned());
            self.settle(None);
            self.show_indexes();
        }
    }

    /// Looks at the clock: gaps for what is too late or away, and the multivariant playlists' deadline. Call it about ten
    /// times a second. The cues go to the worker.
    pub fn tick(&mut self, now: Instant) -> Vec<Cue> {
        if self.ended {
            return Vec::new();
        }
        let cues = self.cutter.tick(now, self.away);
        self.planned(&cues);
        self.settle(Some(now));
        cues
    }

    /// The first presentation time of an encoded rendition that is not published and not held here, where a restarted
    /// worker goes on. `None` when that is the next boundary.
    pub fn frontier(&self, rendition: &str) -> Option<MediaTime> {
        let lane = self.video.iter().find(|(l, _)| l.writer.rendition.id() == rendition);
        match (lane, &self.audio) {
            (Some((lane, _)), _) => lane.frontier(),
            (None, Some((lane, _))) if rendition == "audio" => lane.frontier(),
            _ => None,
        }
    }

    /// The media time the units of a returning publisher are to begin at: the wall clock's, after everything published.
    pub fn resume_at(&self, now: Instant) -> MediaTime {
        self.cutter.resume_at(now)
    }

    /// Whether a slate is shown, or about to be, for pictures that don't come: sound waits for it, as players end at gaps. The
    /// caller says so as time passes, and bounds how long.
    pub fn await_slate(&mut self, awaits: bool) {
        self.cutter.await_slate(awaits);
    }

    /// What follows is a slate's: where its media is to begin, right behind what came last or behind the gaps since, and the
    /// session's time at `now`. A discontinuity stands there, and another at the first keyframe after
    /// [`Packager::end_slate`].
    pub fn begin_slate(&mut self, now: Instant) -> (MediaTime, MediaTime) {
        self.cutter.slate(true);
        (self.cutter.goes_on_at(), self.cutter.wall_time(now))
    }

    /// What follows is the publisher's again.
    pub fn end_slate(&mut self) {
        self.cutter.slate(false);
    }

    /// Leaves passthrough at the next boundary, for a reason found elsewhere: one plain sentence with its cure.
    pub fn withdraw(&mut self, reason: String) {
        self.cutter.withdraw(reason);
    }

    /// The source's video is still repackaged.
    pub fn passes_through(&self) -> bool {
        self.cutter.passthrough()
    }

    /// Closed captions were seen in the pictures; the multivariant playlists say so from now on.
    pub fn captions(&mut self, seen: bool) {
        if self.captions != seen {
            self.captions = seen;
            self.show_indexes();
        }
    }

    /// The longest time between two key frames of the source so far, to be remembered for the key's next session.
    pub fn keyframe_interval(&self) -> Option<Duration> {
        self.cutter.keyframe_interval()
    }

    /// Ends the session: closes parts and segments and puts EXT-X-ENDLIST into all playlists, which answers every waiter.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.cutter.finish();
        for (lane, declared) in &mut self.video {
            lane.finish(&self.cutter.plan);
            declared.settle(&lane.writer.meter);
        }
        if let Some((lane, declared)) = &mut self.audio {
            lane.finish(&self.cutter.plan);
            declared.settle(&lane.writer.meter);
        }
        for rendition in self.window.renditions() {
            rendition.shelf().ended = true;
        }
        for writer in self.writers() {
            (writer.dirty, writer.closed) = (true, true);
        }
        self.is_late = true;
        self.render();
    }

    fn expects(&self, track: Track) -> bool {
        match track {
            Track::Video => self.plan.facts.video.is_some(),
            Track::Audio => self.plan.facts.audio.is_some(),
        }
    }

    /// Follows new boundaries: the first anchors the wall clock, a withdrawal retires passthrough.
    fn planned(&mut self, cues: &[Cue]) {
        for cue in cues {
            match cue {
                Cue::Boundary { at, .. } if !self.anchored => {
                    self.anchor(*at);
                }
                Cue::Boundary { msn, .. } if self.feeding == Feeding::Passthrough && !self.cutter.passthrough() => {
                    self.feeding = Feeding::Retiring(msn - 1);
                }
                Cue::Boundary { .. } | Cue::Withdraw { .. } => {}
            }
        }
    }

    fn anchor(&mut self, at: MediaTime) {
        self.anchored = true;
        let wall = self.plan.wall_start;
        self.writers().for_each(|w| w.anchor(at, wall));
    }

    fn pass_through(&mut self, unit: &AccessUnit) {
        let Some((lane, _)) = self.video.first_mut().filter(|_| self.feeding != Feeding::Encoded) else { return };
        // A slate is H.264; a rendition of HEVC has gaps meanwhile, as players don't change between the two in one playlist.
        let codec = |config: &media::VideoConfig| config.codec;
        let own = self.plan.facts.video.as_ref().map(|video| codec(&video.config));
        self.stands_in = unit.video().map(|video| codec(video)) != own;
        match self.feeding {
            _ if self.stands_in => {}
            Feeding::Retiring(last) if lane.open_msn() != Some(last) => self.feed_encoded(),
            _ => lane.push(unit, &self.cutter.plan),
        }
    }

    /// From now on `source` is fed by the worker.
    fn feed_encoded(&mut self) {
        self.feeding = Feeding::Encoded;
        if let Some((lane, _)) = self.video.first_mut() {
            lane.encoded = true;
        }
    }

    /// After any change: audio follows the plan, what is too late becomes gaps, and what changed is rendered.
    fn settle(&mut self, now: Option<Instant>) {
        let (plan, head) = (&self.cutter.plan, self.cutter.head());
        let stalled = self.cutter.stalled();
        let mut marks = false;
        for (lane, _) in &mut self.video {
            let lag_max = match (lane.encoded, stalled) {
                (true, false) if !lane.given_up() => Some(ENCODED_LAG_MAX),
                (true, _) => Some(MISSING_LAG_MAX),
                (false, true) => Some(MediaTime::ZERO),
                (false, false) if self.stands_in => Some(MediaTime::ZERO),
                (false, false) => None,
            };
            let reached = lane.progress().or_else(|| plan.first_start());
            if lag_max.zip(reached).is_some_and(|(max, reached)| head - reached > max) {
                lane.give_up(plan);
            }
            marks |= std::mem::take(&mut lane.wants_discontinuity);
        }
        if let Some((lane, _)) = &mut self.audio {
            lane.follow(plan);
            let newest = if self.plan.facts.video.is_some() && !stalled {
                self.cutter.newest_video().unwrap_or(head)
            } else {
                head
            };
            // While the publisher is away nothing is on its way but what the worker holds.
            let lag_max = if lane.encoded && !self.away { ENCODED_LAG_MAX } else { MISSING_LAG_MAX };
            let reached = lane.progress().or_else(|| plan.first_start());
            if reached.is_some_and(|reached| newest - reached > lag_max) {
                lane.give_up(plan);
            }
            marks |= std::mem::take(&mut lane.wants_discontinuity);
        }
        if marks {
            self.cutter.mark_next();
        }
        if let (Some(now), Some(first)) = (now, self.first_media) {
            self.is_late |= now.saturating_duration_since(first) >= APPEAR_WITHIN;
        }
        self.render();
    }

    /// Renders the playlists of what changed, once per change.
    fn render(&mut self) {
        let lists_parts = self.header.lists_parts;
        let (mut closed, mut grown) = (false, false);
        let changed: Vec<_> = self
            .writers()
            .filter_map(|w| {
                let (part, whole) = (std::mem::take(&mut w.dirty), std::mem::take(&mut w.closed));
                closed |= whole;
                grown |= whole || part;
                (whole || part && lists_parts).then(|| (Arc::clone(&w.rendition), w.next_msn))
            })
            .collect();
        if !changed.is_empty() {
            let edges: Vec<(String, Option<Edge>)> =
                self.window.renditions().iter().map(|r| (r.id().to_owned(), r.edge())).collect();
            let render = |rendition: &Rendition, next_msn: u64| {
                let others: Vec<_> = edges.iter().filter(|(id, _)| id != rendition.id()).cloned().collect();
                playlist::render(&self.header, rendition.base(), &rendition.shelf(), next_msn, &others)
            };
            for (rendition, next_msn) in &changed {
                rendition.show(render(rendition, *next_msn));
            }
            // Between two parts of its own a rendition's reports of the others grow old; over the start of a segment
            // that would send a player to a segment that is whole, so they are written anew then.
            if lists_parts && changed.iter().any(|(r, _)| r.edge().is_some_and(|edge| edge.part == 0)) {
                let is_changed = |id: &str| changed.iter().any(|(r, _)| r.id() == id);
                let quiet = self.video.iter().map(|(l, _)| &l.writer).chain(self.audio.iter().map(|(l, _)| &l.writer));
                for writer in quiet.filter(|w| !is_changed(w.rendition.id()) && w.rendition.edge().is_some()) {
                    writer.rendition.refresh(render(&writer.rendition, writer.next_msn));
                }
            }
        }
        if grown {
            self.window.changed();
        }
        if closed {
            self.show_ts();
        }
        if closed && !self.ended {
            self.video.iter_mut().for_each(|(lane, declared)| declared.update(&lane.writer.meter));
            self.audio.iter_mut().for_each(|(lane, declared)| declared.update(&lane.writer.meter));
        }
        if closed || !self.shown {
            self.show_indexes();
        }
    }

    fn show_ts(&self) {
        let last = |r: &Rendition| r.shelf().segments.back().map(|l| l.segment.msn);
        let audio = self.audio.as_ref().map(|(lane, _)| &lane.writer);
        let audio_last = audio.map(|a| last(&a.rendition));
        for (lane, _) in self.video.iter().filter(|(l, _)| l.config().is_some_and(|c| c.codec == VideoCodec::H264)) {
            let rendition = &lane.writer.rendition;
            let until = if self.ended {
                last(rendition)
            } else {
                audio_last.map_or(last(rendition), |a| a.min(last(rendition)))
            };
            let next_msn = lane.writer.next_msn;
            rendition.show_ts(playlist::render_ts(&self.header, rendition.base(), &rendition.shelf(), next_msn, until));
        }
        if let Some(audio) = audio.filter(|_| self.video.is_empty()) {
            // Asked before the shelf is locked for the render: the lock is not reentrant.
            let (rendition, until) = (&audio.rendition, last(&audio.rendition));
            let (base, shelf) = (rendition.base(), rendition.shelf());
            let shown = playlist::render_ts(&self.header, base, &shelf, audio.next_msn, until);
            drop(shelf);
            rendition.show_ts(shown);
        }
    }

    /// Shows the multivariant playlists once every rendition has media, or with those that have it when time is up.
    fn show_indexes(&mut self) {
        let has_media = |writer: &Writer| writer.config().is_some() && writer.rendition.edge().is_some();
        let ready = self.video.iter().all(|(l, _)| has_media(&l.writer))
            && self.audio.iter().all(|(l, _)| has_media(&l.writer));
        if !self.shown && !ready && !self.is_late {
            return;
        }
        let audio = self.audio.as_ref().filter(|(l, _)| has_media(&l.writer)).and_then(|(lane, declared)| {
            let coding = AudioCoding::new(lane.config()?);
            Some(Audio { id: lane.writer.rendition.id().to_owned(), coding, declared: *declared })
        });
        let variants = |codec| -> Vec<Variant> {
            // HEVC that is no longer passed through has no successor: an H.264 rung of its size is there already.
            let retired = codec == VideoCodec::Hevc && self.feeding != Feeding::Passthrough;
            let of = |(l, _): &&(VideoLane, Declared)| {
                has_media(&l.writer) && !retired && l.config().is_some_and(|c| c.codec == codec)
            };
            let lanes = || self.video.iter().filter(of);
            let rests = |(l, _): &(VideoLane, Declared)| self.resting.contains(l.writer.rendition.id());
            let all_rest = lanes().all(rests);
            // What was missing while another one had media.
            let is_barren = |(l, _): &(VideoLane, Declared)| {
                let gaps = barren(&l.writer.rendition.shelf());
                gaps.is_some_and(|gaps| lanes().any(|(l, _)| has_media_in(&l.writer.rendition.shelf(), &gaps)))
            };
            lanes()
                .filter(|&lane| !is_barren(lane) && (all_rest || !rests(lane)))
                .filter_map(|(lane, declared)| {
                    let coding = VideoCoding::new(lane.config()?, lane.rate());
                    Some(Variant { id: lane.writer.rendition.id().to_owned(), coding, declared: *declared })
                })
                .collect()
        };
        let (h264, hevc) = (variants(VideoCodec::H264), variants(VideoCodec::Hevc));
        // Sound alone is a variant only in a session without pictures.
        let alone = self.video.is_empty();
        let folder = format!("{}/", self.plan.session);
        let text = |variants: &[Variant], ts| {
            let listed = !variants.is_empty() || alone;
            listed.then(|| multivariant::render(&folder, variants, audio.as_ref(), Some(self.captions), ts)).flatten()
        };
        let (index, ts) = (text(&h264, false), text(&h264, true));
        let hevc = if hevc.is_empty() { None } else { text(&hevc, false) };
        self.shown = self.shown || index.is_some() || hevc.is_some();
        self.window.show(Index::H264, index);
        self.window.show(Index::Hevc, hevc);
        self.window.show(Index::Ts, ts);
    }

    fn writers(&mut self) -> impl Iterator<Item = &mut Writer> {
        let video = self.video.iter_mut().map(|(l, _)| &mut l.writer);
        video.chain(self.audio.iter_mut().map(|(l, _)| &mut l.writer))
    }
}

/// The numbers of the newest segments, when nothing but gaps has come lately.
fn barren(shelf: &Shelf) -> Option<[u64; BARREN]> {
    let mut numbers = [0; BARREN];
    let mut newest = shelf.segments.iter().rev();
    for number in &mut numbers {
        *number = newest.next().filter(|listed| listed.segment.gap)?.segment.msn;
    }
    Some(numbers)
}

/// Whether a rendition had media when another one had not: else the publisher was away, and all are as good.
fn has_media_in(shelf: &Shelf, numbers: &[u64; BARREN]) -> bool {
    let has = |number: &u64| shelf.segments.iter().any(|l| l.segment.msn == *number && !l.segment.gap);
    numbers.iter().all(has)
}

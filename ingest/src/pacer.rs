//! The [`Pacer`]: holds back media that comes faster than real time.

use media::{AccessUnit, FeedItem, MediaTime, Track};
use std::collections::VecDeque;
use std::time::Instant;

/// Where an audio-only stream is cut when the oldest second of it is thrown away.
const AUDIO_GROUP: MediaTime = MediaTime::from_millis(1000);
/// What goes on behind thrown away media stands this far behind what was given: about a frame.
const STEP: MediaTime = MediaTime::from_millis(33);

/// How far media may be ahead of real time before it is held back. Less would delay an encoder that sends its first group
/// of pictures at once.
const LEAD: MediaTime = MediaTime::from_millis(2000);
/// What waits is given this share faster than real time, which decoders take: eight seconds are caught up with in 24.
const HURRY: i64 = 4;
/// While nothing waits, what counts as real time follows the media by this share of time; crystals are far better.
const FOLLOWS: i64 = 200;

/// A queue between a publisher and its feed. An encoder that reconnects may send twenty seconds in one (RELIABILITY
/// A13): the decoders behind the feed get two of them at once and the rest a quarter faster than real time, until what
/// comes is what is given. When more waits than may, the oldest group of pictures goes, counted, and what follows moves
/// up to its place; with no later one to go on from, only bytes count. Pure; times are passed in and must not go back.
#[derive(Debug)]
pub(crate) struct Pacer {
    queue: VecDeque<FeedItem>,
    /// Metadata passes what waits.
    announced: Option<FeedItem>,
    bytes: usize,
    bytes_max: usize,
    span_max: MediaTime,
    pace: Option<Pace>,
    has_video: bool,
    has_audio: bool,
    /// The newest presentation time given, and the newest decode time of sound.
    given: MediaTime,
    given_sound: MediaTime,
}

/// What counts as real time.
#[derive(Debug, Clone, Copy)]
struct Pace {
    at: Instant,
    /// The media time that is due at `at`.
    front: MediaTime,
    /// How much of it was made up by hurrying; never more than may wait.
    gained: MediaTime,
}

/// What was thrown away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thrown {
    pub units: u64,
    /// How far everything behind it moves up.
    pub span: MediaTime,
    /// No key frame is left to go on from.
    pub needs_keyframe: bool,
}

impl Pacer {
    /// A pacer that holds at most `span_max` of media and `bytes_max` of payload.
    pub fn new(span_max: MediaTime, bytes_max: usize) -> Self {
        let (given, given_sound) = (MediaTime::ZERO, MediaTime::ZERO);
        let (queue, announced, pace, has_video, has_audio) = (VecDeque::new(), None, None, false, false);
        Self { queue, announced, bytes: 0, bytes_max, span_max, pace, has_video, has_audio, given, given_sound }
    }

    /// Takes an item that came at `now`. Of metadata that was not given yet only the newest is kept.
    pub fn push(&mut self, item: FeedItem, now: Instant) {
        self.advance(now);
        if let Some(unit) = unit(&item) {
            let has = if unit.track() == Track::Video { &mut self.has_video } else { &mut self.has_audio };
            let is_first = !std::mem::replace(has, true);
            let pace = self.pace.get_or_insert(Pace { at: now, front: unit.dts, gained: MediaTime::ZERO });
            // Of two tracks the earlier one says what is due: the other one lags. In a burst neither does.
            if is_first && self.queue.is_empty() {
                pace.front = pace.front.max(unit.dts);
            }
        }
        if matches!(item, FeedItem::Announced(_)) {
            self.announced = Some(item);
            return;
        }
        self.bytes += size(&item);
        self.queue.push_back(item);
    }

    /// Gives what is due by `now`.
    pub fn release(&mut self, now: Instant, mut give: impl FnMut(FeedItem)) {
        self.advance(now);
        self.announced.take().into_iter().for_each(&mut give);
        let due = self.pace.map(|pace| pace.front + LEAD);
        while !self.queue.is_empty() && self.next_unit().zip(due).is_none_or(|(unit, due)| unit.dts <= due) {
            self.pop().into_iter().for_each(&mut give);
        }
    }

    /// When something is due again, seen from `now`, or a little earlier; `None` when nothing waits.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let (unit, pace) = self.next_unit().zip(self.pace)?;
        let front = pace.front + MediaTime::from(now.saturating_duration_since(pace.at));
        let wait = (unit.dts - LEAD - front).max(MediaTime::ZERO);
        Some(now + MediaTime::from_ticks(wait.ticks() * HURRY / (HURRY + 1)).to_duration())
    }

    /// Throws away all that waits; how many units.
    pub fn clear(&mut self) -> u64 {
        self.bytes = 0;
        self.queue.drain(..).filter(|item| unit(item).is_some()).count() as u64
    }

    fn advance(&mut self, now: Instant) {
        let (waits, given, gained_max) = (!self.queue.is_empty(), self.given, self.span_max);
        let Some(pace) = &mut self.pace else { return };
        let elapsed = MediaTime::from(now.saturating_duration_since(pace.at));
        pace.at = now;
        pace.front += elapsed;
        let share = |of: i64| MediaTime::from_ticks(elapsed.ticks() / of);
        let hurry = if waits { share(HURRY).min(gained_max - pace.gained) } else { MediaTime::ZERO };
        pace.gained += hurry;
        let follow = share(FOLLOWS).min(given - pace.front).max(MediaTime::ZERO);
        pace.front += hurry.max(follow);
    }

    /// The oldest unit, which everything before it waits for.
    fn next_unit(&self) -> Option<&AccessUnit> {
        self.queue.iter().find_map(unit)
    }

    fn pop(&mut self) -> Option<FeedItem> {
        let item = self.queue.pop_front()?;
        self.bytes -= size(&item);
        if let Some(unit) = unit(&item) {
            self.given = self.given.max(unit.pts);
            if unit.track() == Track::Audio {
                self.given_sound = self.given_sound.max(unit.dts);
            }
        }
        Some(item)
    }

    /// Throws away the oldest groups of pictures while more waits than may.
    pub fn trim(&mut self) -> Option<Thrown> {
        let newest = self.queue.back().and_then(unit).map(|unit| unit.dts);
        let mut units = 0;
        while self.is_full() {
            let to = match self.next_group() {
                Some(to) => to,
                None if self.bytes > self.bytes_max => self.queue.len(),
                None => break,
            };
            for item in self.queue.drain(..to) {
                self.bytes -= size(&item);
                units += u64::from(unit(&item).is_some());
            }
        }
        if units == 0 {
            return None;
        }
        let first = self.queue.iter().find_map(unit).map(|u| u.dts);
        let target = self.given + STEP;
        let span = first.or(newest).map_or(MediaTime::ZERO, |first| (first - target).max(MediaTime::ZERO));
        let given_sound = self.given_sound;
        let mut bytes = 0;
        self.queue.retain_mut(|item| {
            let FeedItem::Unit(unit) = item else { return true };
            unit.dts -= span;
            unit.pts -= span;
            let stays = unit.track() == Track::Video || unit.dts > given_sound;
            units += u64::from(!stays);
            bytes += if stays { unit.data.len() } else { 0 };
            stays
        });
        self.bytes = bytes;
        self.queue.push_front(FeedItem::Break);
        Some(Thrown { units, span, needs_keyframe: first.is_none() })
    }

    fn is_full(&self) -> bool {
        let mut units = self.queue.iter().filter_map(unit);
        let span = units.next().zip(units.next_back()).map(|(first, last)| last.dts - first.dts);
        self.bytes > self.bytes_max || span.is_some_and(|span| span > self.span_max)
    }

    /// Where the group behind the oldest begins, if it waits already.
    fn next_group(&self) -> Option<usize> {
        let is_video = |item: &FeedItem| unit(item).is_some_and(|u| u.track() == Track::Video);
        let has_video = self.queue.iter().any(is_video);
        let oldest = self.queue.iter().find_map(unit).map(|u| u.dts);
        let begins = |item: &FeedItem| match unit(item) {
            Some(unit) if has_video => unit.track() == Track::Video && unit.sync,
            Some(unit) => oldest.is_some_and(|oldest| unit.dts - oldest >= AUDIO_GROUP),
            None => false,
        };
        let first = self.queue.iter().position(|item| unit(item).is_some()).unwrap_or(0);
        let next = self.queue.iter().skip(first + 1).position(begins);
        next.map(|next| first + 1 + next)
    }
}

fn unit(item: &FeedItem) -> Option<&AccessUnit> {
    if let FeedItem::Unit(unit) = item { Some(unit) } else { None }
}

fn size(item: &FeedItem) -> usize {
    unit(item).map_or(0, |unit| unit.data.len())
}

//! The [`Pacer`]: holds back media that comes faster than real time.

use media::{AccessUnit, FeedItem, MediaTime, Track};
use std::collections::VecDeque;

/// Where an audio-only stream is cut when the oldest second of it is thrown away.
const AUDIO_GROUP: MediaTime = MediaTime::from_millis(1000);
/// What goes on behind thrown away media stands this far behind what was given: about a frame.
const STEP: MediaTime = MediaTime::from_millis(33);

/// A queue between a publisher and its feed. An encoder that reconnects may send twenty seconds in one (RELIABILITY
/// A13): the decoders behind the feed get them at the speed of real time, and when more waits than may, the oldest group
/// of pictures goes, counted, and what follows moves up to its place. Pure; who owns it says what is due.
#[derive(Debug)]
pub(crate) struct Pacer {
    queue: VecDeque<FeedItem>,
    bytes: usize,
    bytes_max: usize,
    span_max: MediaTime,
    /// The newest presentation time given, and the newest decode time of sound.
    given: MediaTime,
    given_sound: MediaTime,
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
        Self { queue: VecDeque::new(), bytes: 0, bytes_max, span_max, given, given_sound }
    }

    pub fn push(&mut self, item: FeedItem) {
        self.bytes += size(&item);
        self.queue.push_back(item);
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The oldest unit, which everything before it waits for.
    pub fn next_unit(&self) -> Option<&AccessUnit> {
        self.queue.iter().find_map(unit)
    }

    pub fn pop(&mut self) -> Option<FeedItem> {
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
        if !self.is_full() {
            return None;
        }
        let mut units = 0;
        while self.is_full() {
            let to = self.next_group();
            for item in self.queue.drain(..to) {
                self.bytes -= size(&item);
                units += u64::from(unit(&item).is_some());
            }
            if to == 0 {
                break;
            }
        }
        let first = self.queue.iter().find_map(unit).map(|u| u.dts);
        let target = self.given + STEP;
        let span = first.map_or(MediaTime::ZERO, |first| (first - target).max(MediaTime::ZERO));
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

    /// Where the group behind the oldest begins; the end of the queue when there is none.
    fn next_group(&self) -> usize {
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
        next.map_or(self.queue.len(), |next| first + 1 + next)
    }
}

fn unit(item: &FeedItem) -> Option<&AccessUnit> {
    if let FeedItem::Unit(unit) = item { Some(unit) } else { None }
}

fn size(item: &FeedItem) -> usize {
    unit(item).map_or(0, |unit| unit.data.len())
}

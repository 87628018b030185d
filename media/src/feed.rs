//! The [`Feed`]: one writer, many readers, a bounded ring of access units in memory.
//!
//! The writer never waits. A reader that falls behind the ring loses whole groups of pictures: it goes on at the next
//! sync picture still held, and is told how many units it lost.

use crate::{AccessUnit, Announced, Track};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What a feed carries, in the order the publisher sent it.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// The publisher's metadata; may come again.
    Announced(Announced),
    /// A coded picture or audio frame.
    Unit(AccessUnit),
    /// The publisher's clock jumped or its stamps were rebased: what follows goes on with the session's timeline, but
    /// not with the media before it. The packager marks a discontinuity at the next sync picture.
    Break,
    /// The reader was late; `units` were skipped and the next video unit is a sync picture.
    Lost {
        /// Units skipped.
        units: u64,
    },
}

/// How a feed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedEnd {
    /// The publisher said goodbye, or an operator stopped it.
    Finished,
    /// The connection went away without a word.
    Lost,
}

/// The writing end; dropping it without [`Feed::finish`] ends the feed as [`FeedEnd::Lost`].
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

/// A place in a feed to read from. Cloning gives an independent reader at the same place.
#[derive(Debug, Clone)]
pub struct FeedReader {
    shared: Arc<Shared>,
    next: u64,
    lost_until_sync: u64,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    changed: Notify,
}

/// `items[0]` has number `first`. Held only for pushes and single reads, never across an await.
#[derive(Debug)]
struct Ring {
    items: VecDeque<FeedItem>,
    first: u64,
    bytes: usize,
    units_max: usize,
    bytes_max: usize,
    last_sync: Option<u64>,
    has_video: bool,
    end: Option<FeedEnd>,
}

impl Shared {
    /// A panic while holding the lock can't leave a half-made change (each is a few moves), so poison is ignored.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// A feed that holds at most `units_max` units and `bytes_max` bytes of payload; the oldest go first.
    pub fn new(units_max: usize, bytes_max: usize) -> Self {
        let ring = Ring {
            items: VecDeque::new(),
            first: 0,
            bytes: 0,
            units_max,
            bytes_max,
            last_sync: None,
            has_video: false,
            end: None,
        };
        Self { shared: Arc::new(Shared { ring: Mutex::new(ring), changed: Notify::new() }) }
    }

    /// Adds an item and wakes the readers. Never waits.
    pub fn push(&self, item: FeedItem) {
        {
            let mut ring = self.shared.ring();
            if let FeedItem::Unit(unit) = &item {
                ring.bytes += unit.data.len();
                if unit.track() == Track::Video {
                    ring.has_video = true;
                    if unit.sync {
                        ring.last_sync = Some(ring.first + ring.items.len() as u64);
                    }
                }
            }
            ring.items.push_back(item);
            while ring.items.len() > ring.units_max || ring.bytes > ring.bytes_max {
                if let Some(FeedItem::Unit(unit)) = ring.items.pop_front() {
                    ring.bytes -= unit.data.len();
                }
                ring.first += 1;
            }
        }
        self.shared.changed.notify_waiters();
    }

    /// Ends the feed; readers get what is left and then the end.
    pub fn finish(self, end: FeedEnd) {
        self.shared.ring().end = Some(end);
        self.shared.changed.notify_waiters();
    }

    /// A reader of everything from the oldest unit held.
    pub fn subscribe(&self) -> FeedReader {
        let next = self.shared.ring().first;
        FeedReader { shared: Arc::clone(&self.shared), next, lost_until_sync: 0 }
    }

    /// A reader that starts at the newest sync picture, or at the live edge when there is none.
    pub fn subscribe_at_sync(&self) -> FeedReader {
        let mut reader = self.subscribe();
        reader.seek_to_sync();
        reader
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.ring().end.get_or_insert(FeedEnd::Lost);
        self.shared.changed.notify_waiters();
    }
}

impl FeedReader {
    /// The next item, waiting for it. Cancel safe: an item is taken only when it is returned.
    ///
    /// # Errors
    /// How the feed ended, once everything held was read; again on every later call.
    pub async fn next(&mut self) -> Result<FeedItem, FeedEnd> {
        let shared = Arc::clone(&self.shared);
        loop {
            let changed = shared.changed.notified();
            if let Some(answer) = self.try_next() {
                return answer;
            }
            changed.await;
        }
    }

    /// The next item if one is there; `None` when the reader is at the live edge.
    pub fn try_next(&mut self) -> Option<Result<FeedItem, FeedEnd>> {
        let shared = Arc::clone(&self.shared);
        let ring = shared.ring();
        if self.next < ring.first {
            self.skip_to_sync(&ring);
        }
        let index = usize::try_from(self.next - ring.first).unwrap_or(usize::MAX);
        if self.lost_until_sync > 0 && (index < ring.items.len() || ring.end.is_some()) {
            return Some(Ok(FeedItem::Lost { units: std::mem::take(&mut self.lost_until_sync) }));
        }
        match ring.items.get(index) {
            Some(item) => {
                self.next += 1;
                Some(Ok(item.clone()))
            }
            None => ring.end.map(Err),
        }
    }

    /// Goes back to the newest sync picture, or to the live edge when there is none; what was lost before is not told of.
    pub fn seek_to_sync(&mut self) {
        let shared = Arc::clone(&self.shared);
        let ring = shared.ring();
        self.next = ring.last_sync.filter(|n| *n >= ring.first).unwrap_or(ring.first + ring.items.len() as u64);
        self.lost_until_sync = 0;
    }

    fn skip_to_sync(&mut self, ring: &Ring) {
        let is_entry = |item: &FeedItem| match item {
            FeedItem::Unit(unit) => !ring.has_video || (unit.track() == Track::Video && unit.sync),
            _ => false,
        };
        let offset = ring.items.iter().position(is_entry).unwrap_or(ring.items.len());
        let to = ring.first + offset as u64;
        self.lost_until_sync += to - self.next;
        self.next = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioCodec, AudioConfig, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};
    use bytes::Bytes;

    fn picture(n: i64, sync: bool) -> FeedItem {
        let config = VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::new(),
            nal_length_size: 4,
            width: 16,
            height: 16,
            sample_aspect: (1, 1),
            codecs: String::new(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo::UNSPECIFIED,
        };
        let at = MediaTime::from_millis(n);
        FeedItem::Unit(AccessUnit {
            config: Config::Video(Arc::new(config)),
            dts: at,
            pts: at,
            sync,
            data: Bytes::from_static(&[0; 10]),
        })
    }

    fn sound() -> FeedItem {
        let config = AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::new(),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        };
        FeedItem::Unit(AccessUnit {
            config: Config::Audio(Arc::new(config)),
            dts: MediaTime::ZERO,
            pts: MediaTime::ZERO,
            sync: true,
            data: Bytes::new(),
        })
    }

    #[test]
    fn late_reader_resumes_at_keyframe() {
        let feed = Feed::new(8, 1 << 20);
        let mut reader = feed.subscribe();
        for n in 0..20 {
            feed.push(picture(n, n % 5 == 0));
        }
        assert!(matches!(reader.try_next(), Some(Ok(FeedItem::Lost { units: 15 }))));
        let Some(Ok(FeedItem::Unit(unit))) = reader.try_next() else { panic!("a unit") };
        assert!(unit.sync);
        assert_eq!(unit.pts.as_millis(), 15);
    }

    #[test]
    fn a_reader_goes_back_to_the_newest_keyframe() {
        let feed = Feed::new(100, 1 << 20);
        let mut reader = feed.subscribe();
        for n in 0..9 {
            feed.push(picture(n, n % 4 == 0));
        }
        while reader.try_next().is_some() {}
        for n in 9..11 {
            feed.push(picture(n, false));
        }
        reader.seek_to_sync();
        let Some(Ok(FeedItem::Unit(unit))) = reader.try_next() else { panic!("a unit") };
        assert_eq!((unit.pts.as_millis(), unit.sync), (8, true));
    }

    #[test]
    fn audio_only_reader_resumes_at_once() {
        let feed = Feed::new(4, 1 << 20);
        let mut reader = feed.subscribe();
        for _ in 0..6 {
            feed.push(sound());
        }
        assert!(matches!(reader.try_next(), Some(Ok(FeedItem::Lost { units: 2 }))));
        assert!(matches!(reader.try_next(), Some(Ok(FeedItem::Unit(_)))));
    }

    #[test]
    fn bytes_bound_the_ring_too() {
        let feed = Feed::new(1000, 35);
        for n in 0..10 {
            feed.push(picture(n, true));
        }
        let mut reader = feed.subscribe();
        assert!(std::iter::from_fn(|| reader.try_next()).count() <= 3);
    }

    #[tokio::test]
    async fn readers_learn_how_it_ended() {
        let feed = Feed::new(8, 1 << 20);
        let (mut one, mut other) = (feed.subscribe(), feed.subscribe());
        feed.push(picture(0, true));
        feed.finish(FeedEnd::Finished);
        assert!(matches!(one.next().await, Ok(FeedItem::Unit(_))));
        assert!(matches!(one.next().await, Err(FeedEnd::Finished)));
        drop(one);
        assert!(other.next().await.is_ok());
        let dropped = Feed::new(8, 1 << 20);
        let mut reader = dropped.subscribe();
        drop(dropped);
        assert!(matches!(reader.next().await, Err(FeedEnd::Lost)));
    }
}

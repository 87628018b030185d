use media::MediaTime;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Stands for no init section; generations are far below.
const NO_INIT: u64 = u64::MAX;

/// One recorded segment of one rendition: 48 bytes, as a session keeps all of them in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Media sequence number, the one it had live.
    pub msn: u64,
    /// Where it begins on the session's timeline.
    pub start: MediaTime,
    /// When it begins by the wall clock (EXT-X-PROGRAM-DATE-TIME), milliseconds since 1970.
    pub wall_ms: i64,
    init: u64,
    duration: u32,
    /// Where its bytes begin in its reel's file of the rendition.
    pub offset: u32,
    /// How many there are; 0 for a gap without any.
    pub length: u32,
    /// The timeline, the encoding or the configuration breaks before it.
    pub discontinuity: bool,
    /// Some or all of its media is missing.
    pub gap: bool,
}

impl Segment {
    /// One that begins at `offset` and has no part yet.
    pub(crate) fn new(msn: u64, start: MediaTime, wall_ms: i64, discontinuity: bool, init: Option<u64>) -> Self {
        let init = init.unwrap_or(NO_INIT);
        Self { msn, start, wall_ms, init, duration: 0, offset: 0, length: 0, discontinuity, gap: false }
    }

    /// Its length, which is that of its parts.
    pub fn duration(&self) -> MediaTime {
        MediaTime::from_ticks(self.duration.into())
    }

    /// The init section it needs; see [`crate::Timeline::init`].
    pub fn init(&self) -> Option<u64> {
        (self.init != NO_INIT).then_some(self.init)
    }

    /// When it begins by the wall clock.
    pub fn wall(&self) -> SystemTime {
        date(self.wall_ms)
    }

    /// When it ends by the wall clock, milliseconds since 1970.
    pub(crate) fn until_wall_ms(&self) -> i64 {
        self.wall_ms.saturating_add(self.duration().as_millis())
    }

    /// Makes it longer by a part; false when that can't be.
    pub(crate) fn grow(&mut self, bytes: u32, duration: MediaTime) -> bool {
        let ticks = u32::try_from(duration.ticks()).ok().and_then(|ticks| self.duration.checked_add(ticks));
        let (Some(length), Some(ticks)) = (self.length.checked_add(bytes), ticks) else { return false };
        (self.length, self.duration) = (length, ticks);
        true
    }
}

/// Milliseconds since 1970 as a date; before it is 1970.
pub fn date(wall_ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(wall_ms.try_into().unwrap_or(0))
}

/// A date as milliseconds since 1970.
pub fn millis(wall: SystemTime) -> i64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

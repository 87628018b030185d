use super::PartGrid;
use crate::Part;
use crate::bandwidth::Meter;
use crate::cmaf::{fragment, init};
use crate::plan::Planned;
use crate::playlist::Header;
use crate::rendition::Rendition;
use crate::shelf::Init;
use media::{Config, MediaTime, Track};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What rounds a time up to a whole millisecond when it is cut to one.
const ALMOST_A_MILLISECOND: Duration = Duration::from_nanos(999_999);

/// The write side of one rendition: puts parts and segments on its shelf, fills what is missing with gaps, and remembers
/// whether its playlist must be rendered again.
#[derive(Debug)]
pub(crate) struct Writer {
    pub rendition: Arc<Rendition>,
    /// The parts of the segment in progress.
    pub grid: PartGrid,
    pub meter: Meter,
    /// A part or segment was added since the last render.
    pub dirty: bool,
    /// A segment was closed since the last render.
    pub closed: bool,
    /// The number the next segment gets.
    pub next_msn: u64,
    /// PART-TARGET: no part is listed as longer. What is cut off its length belongs to the next one's.
    part_max: MediaTime,
    anchor: (MediaTime, SystemTime),
    config: Option<Config>,
    sequence: u32,
    open: Option<OpenSegment>,
    end: Option<MediaTime>,
}

#[derive(Debug)]
struct OpenSegment {
    base: MediaTime,
    bytes: usize,
    media: bool,
}

impl Writer {
    /// A writer whose first segment is `first_msn`. The anchor is set with [`Writer::anchor`] before anything else.
    pub fn new(rendition: Arc<Rendition>, first_msn: u64, header: &Header) -> Self {
        Self {
            rendition,
            grid: PartGrid { part: header.part_target },
            meter: Meter::new(header.target),
            dirty: false,
            closed: false,
            next_msn: first_msn,
            part_max: header.part_target,
            anchor: (MediaTime::ZERO, SystemTime::UNIX_EPOCH),
            config: None,
            sequence: 0,
            open: None,
            end: None,
        }
    }

    /// Says which wall-clock time belongs to which media time, for EXT-X-PROGRAM-DATE-TIME.
    pub fn anchor(&mut self, at: MediaTime, wall: SystemTime) {
        self.anchor = (at, wall);
    }

    /// The configuration of the newest init section.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Whether units of `config` can go on in the current init section.
    pub fn continues(&self, config: &Config) -> bool {
        match (&self.config, config) {
            (Some(Config::Video(a)), Config::Video(b)) => {
                Arc::ptr_eq(a, b) || (a.record == b.record && a.codec == b.codec)
            }
            (Some(Config::Audio(a)), Config::Audio(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }

    /// Segments begun from now on need the init section of this configuration.
    pub fn set_config(&mut self, config: &Config) {
        self.config = Some(config.clone());
        self.rendition.shelf().use_init(Init { data: init::write(config), config: config.clone() });
    }

    /// The time just after the newest part, whatever its segment; `None` before the first.
    pub fn end(&self) -> Option<MediaTime> {
        self.end
    }

    /// Where a part that begins now ends at the latest.
    pub fn part_end_max(&self) -> Option<MediaTime> {
        self.end.map(|end| end + self.part_max)
    }

    /// Begins the next segment at `start`, which is near `planned.start`.
    pub fn begin(&mut self, planned: &Planned, start: MediaTime) {
        debug_assert_eq!(planned.msn, self.next_msn);
        let since = start - self.anchor.0 + planned.late;
        let wall = if since >= MediaTime::ZERO {
            self.anchor.1 + since.to_duration()
        } else {
            self.anchor.1 - (-since).to_duration()
        };
        // Dates have whole milliseconds: pictures round up, sound down. hls.js 1.7 places the sound by the difference of the two,
        // and waits for ever when that puts the end of its first segment a hair after what it has loaded.
        let wall = if self.rendition.track() == Track::Video { wall + ALMOST_A_MILLISECOND } else { wall };
        self.rendition.shelf().begin(planned.msn, start, planned.discontinuity, wall);
        self.grid = PartGrid { part: planned.part };
        self.open = Some(OpenSegment { base: planned.start, bytes: 0, media: false });
        self.end = Some(start);
    }

    /// Publishes a part that lasts until `end`, with samples in the track's timescale.
    pub fn publish(&mut self, decode_time: u64, samples: &[fragment::Sample], end: MediaTime) {
        let (Some(open), Some(start)) = (&mut self.open, self.end) else { return };
        let track = self.rendition.track();
        self.sequence = self.sequence.wrapping_add(1);
        let data = fragment::write(track, self.sequence, decode_time, samples);
        open.bytes += data.len();
        open.media = true;
        let independent = track == Track::Audio || samples.first().is_some_and(|s| s.sync);
        let end = end.clamp(start + MediaTime::from_ticks(1), start + self.part_max);
        self.push(Part { data, start, duration: end - start, independent, gap: false });
    }

    /// Lists gaps on the part grid until `end`. What is left below `tolerance` is not worth a part.
    pub fn gap_until(&mut self, end: MediaTime, tolerance: MediaTime) {
        let Some(base) = self.open.as_ref().map(|o| o.base) else { return };
        while let Some(start) = self.end.filter(|start| *start + tolerance < end) {
            let index = self.grid.index(start - base, tolerance);
            let mut until = (base + self.grid.start(index + 1)).min(end).min(start + self.part_max);
            if until + tolerance >= end && end - start <= self.part_max {
                until = end;
            }
            metrics::counter!("weir_packager_gap_parts_total").increment(1);
            self.push(Part {
                data: bytes::Bytes::new(),
                start,
                duration: until - start,
                independent: false,
                gap: true,
            });
        }
    }

    /// Closes the segment. It is listed as a gap when `lost` says that its end is missing, or when it has no media at all.
    pub fn close(&mut self, lost: bool) {
        let Some(open) = self.open.take() else { return };
        let gap = lost || !open.media;
        if gap {
            metrics::counter!("weir_packager_gap_segments_total").increment(1);
        }
        let duration = self.rendition.shelf().close(self.rendition.base(), gap).map(|s| s.duration);
        if let Some(duration) = duration {
            self.meter.segment(open.bytes, duration, gap);
            self.next_msn += 1;
            (self.dirty, self.closed) = (true, true);
        }
    }

    /// Lists the whole of `planned`, whose end is known, as a gap.
    pub fn gap_segment(&mut self, planned: &Planned, end: MediaTime) {
        self.begin(planned, planned.start);
        self.gap_until(end, MediaTime::ZERO);
        self.close(true);
    }

    fn push(&mut self, part: Part) {
        self.end = Some(part.start + part.duration);
        self.rendition.shelf().push(self.rendition.base(), part);
        self.dirty = true;
    }
}

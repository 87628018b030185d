//! How long, how large and when: what a run of segments amounts to.

use archive::{Segment, Timeline};
use media::{MediaTime, Track};
use std::ops::Range;
use std::time::Duration;
use store::Measured;

/// The sound belongs to every recording.
pub const SOUND: &str = "audio";

/// A last segment that is so short may be left out.
const CRUMB: MediaTime = MediaTime::from_millis(100);

/// What the segments of a span are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long it is to watch.
    pub duration: MediaTime,
    bytes: u64,
    /// When its last segment ends, milliseconds since 1970; `None` when there is none.
    pub ended_ms: Option<i64>,
}

impl Extent {
    /// Of the segments in `span`: as long as they are in the rendition that leads, as large as they are in those named and in the sound.
    pub fn of(timeline: &Timeline, span: Range<u64>, renditions: &[String]) -> Self {
        let led = lead(timeline, &span);
        let sum = |segments: &[Segment]| segments.iter().map(|segment| u64::from(segment.length)).sum::<u64>();
        let kept = renditions.iter().map(String::as_str).filter(|id| *id != SOUND).chain([SOUND]);
        Self {
            duration: length(&led),
            bytes: kept.map(|id| sum(&timeline.segments(id, span.clone()))).sum(),
            ended_ms: led.last().map(|segment| segment.wall_ms + segment.duration().as_millis()),
        }
    }

    /// As the database keeps it.
    pub fn measured(&self) -> Measured {
        Measured { duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(0), size_bytes: self.bytes }
    }
}

/// Of the renditions that are wanted those that there are; when there is none of them, the first that there is.
pub fn kept(timeline: &Timeline, wanted: &[String]) -> Vec<String> {
    let pictures = timeline.renditions().into_iter().filter(|(_, track)| *track == Track::Video);
    let pictures: Vec<String> = pictures.map(|(id, _)| id).collect();
    let there: Vec<String> = wanted.iter().filter(|id| pictures.contains(id)).cloned().collect();
    match there.is_empty() {
        true => vec![pictures.into_iter().next().unwrap_or_else(|| SOUND.to_owned())],
        false => there,
    }
}

/// When a segment begins, milliseconds since 1970; `None` when it is not known.
pub fn wall_ms(timeline: &Timeline, msn: u64) -> Option<i64> {
    timeline.renditions().iter().find_map(|(id, _)| timeline.segment(id, msn)).map(|segment| segment.wall_ms)
}

/// The whole segments in which a piece lies, in time from the start of `whole`. `None` when it lies outside.
pub fn cut(timeline: &Timeline, whole: Range<u64>, from: Duration, until: Duration) -> Option<Range<u64>> {
    let (from, until) = (MediaTime::from(from), MediaTime::from(until));
    let mut at = MediaTime::ZERO;
    let mut span: Option<Range<u64>> = None;
    for segment in lead(timeline, &whole) {
        let end = at + segment.duration();
        if end > from && at < until {
            let first = span.map_or(segment.msn, |span| span.start);
            span = Some(first..segment.msn + 1);
        }
        at = end;
    }
    span.filter(|_| from < at)
}

/// Where a recording ends that was written up to `span`: without a last picture or two that came when the sound had ended, or the other
/// way round. Shaka 5.2 gives up a rendition whose last entry is a gap.
pub fn end(timeline: &Timeline, span: &Range<u64>) -> u64 {
    let Some(last) = lead(timeline, span).last().copied().filter(|last| last.duration() < CRUMB) else {
        return span.end;
    };
    let lacks = |(id, _): &(String, Track)| {
        let has_media = |msn| timeline.segment(id, msn).is_some_and(|segment| segment.length > 0);
        last.msn > span.start && has_media(last.msn - 1) && !has_media(last.msn)
    };
    if timeline.renditions().iter().any(lacks) { last.msn } else { span.end }
}

/// How long segments are together.
pub fn length<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> MediaTime {
    segments.into_iter().fold(MediaTime::ZERO, |sum, segment| sum + segment.duration())
}

/// The segments of the first rendition of pictures that has any there, else of the sound.
pub fn lead(timeline: &Timeline, span: &Range<u64>) -> Vec<Segment> {
    let mut renditions = timeline.renditions();
    renditions.sort_by_key(|(_, track)| *track == Track::Audio);
    let mut found = renditions.iter().map(|(id, _)| timeline.segments(id, span.clone()));
    found.find(|segments| !segments.is_empty()).unwrap_or_default()
}

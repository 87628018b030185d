//! Which picture shows which time of a recording: WebVTT for seek bars, and the one for lists. Each picture is a sheet of its own, as
//! they were taken while the stream was live: nothing is decoded here.

use super::measure;
use archive::{Picture, Segment, Timeline};
use media::MediaTime;
use std::fmt::Write as _;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Pictures of a storyboard: one each ten seconds for two hours. Of a longer recording they stand further apart.
const PICTURES_MAX: usize = 720;
/// The size of a JPEG stands in its first few hundred bytes.
const HEAD_BYTES: usize = 2 << 10;
/// Where the picture for lists is taken: a tenth into the recording, and no later than this.
const COVER_LATEST: MediaTime = MediaTime::from_millis(60_000);

/// Pictures with the time of the recording they show, in order.
pub fn placed(timeline: &Timeline, span: &Range<u64>, pictures: Vec<Picture>) -> Vec<(MediaTime, Picture)> {
    let mut begins = MediaTime::ZERO;
    let places: Vec<(MediaTime, Segment)> = measure::lead(timeline, span)
        .into_iter()
        .map(|segment| {
            let at = begins;
            begins += segment.duration();
            (at, segment)
        })
        .collect();
    let place = |picture: &Picture| {
        let after = places.partition_point(|(_, segment)| segment.wall_ms <= picture.wall_ms);
        let (at, segment) = places.get(after.checked_sub(1)?)?;
        let into = MediaTime::from_millis(picture.wall_ms - segment.wall_ms);
        (into < segment.duration()).then(|| *at + into)
    };
    pictures.into_iter().filter_map(|picture| Some((place(&picture)?, picture))).collect()
}

/// The time that the picture for lists shows, by the segments of a recording: `wanted`, or a while into it.
pub fn cover(lead: &[Segment], wanted: Option<MediaTime>) -> MediaTime {
    let length = measure::length(lead);
    wanted.unwrap_or_else(|| MediaTime::from_ticks(length.ticks() / 10).min(COVER_LATEST)).min(length)
}

/// The first picture from a time on, else the last.
pub fn nearest(placed: &[(MediaTime, Picture)], at: MediaTime) -> Option<&Picture> {
    let after = placed.partition_point(|(time, _)| *time < at).min(placed.len().checked_sub(1)?);
    Some(&placed[after].1)
}

/// The WebVTT; `None` without a picture. Reads the head of a picture of each file. Blocks on the disk.
pub fn text(placed: &[(MediaTime, Picture)], length: MediaTime) -> Option<String> {
    let step = placed.len().div_ceil(PICTURES_MAX).max(1);
    let chosen: Vec<&(MediaTime, Picture)> = placed.iter().step_by(step).collect();
    let mut text = String::from("WEBVTT\n");
    let mut known: Option<(&Path, (usize, usize))> = None;
    for (at, (time, picture)) in chosen.iter().enumerate() {
        let (width, height) = match known.filter(|(path, _)| *path == picture.path) {
            Some((_, size)) => size,
            None => {
                let Some(size) = size(picture) else { continue };
                known = Some((&picture.path, size));
                size
            }
        };
        // The first one stands for what is before it too.
        let from = if at == 0 { MediaTime::ZERO } else { *time };
        let until = chosen.get(at + 1).map_or(length.max(*time), |(next, _)| *next);
        if from < until {
            let (from, until, name) = (Stamp(from), Stamp(until), picture.wall_ms);
            let _ = write!(text, "\n{from} --> {until}\nstoryboard-{name}.jpg#xywh=0,0,{width},{height}\n");
        }
    }
    text.contains("-->").then_some(text)
}

/// Width and height of a picture. Reads its head; blocks on the disk.
pub fn size(picture: &Picture) -> Option<(usize, usize)> {
    let mut head = vec![0; HEAD_BYTES.min(usize::try_from(picture.range.end - picture.range.start).ok()?)];
    File::open(&picture.path).ok()?.read_exact_at(&mut head, picture.range.start).ok()?;
    let size = imagesize::blob_size(&head).ok()?;
    Some((size.width, size.height))
}

/// A time as WebVTT writes it.
pub struct Stamp(pub MediaTime);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.as_millis();
        write!(f, "{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> (MediaTime, Picture) {
        let picture = Picture { wall_ms: 1_000 * seconds, path: "p".into(), range: 0..1 };
        (MediaTime::from_millis(1_000 * seconds), picture)
    }

    #[test]
    fn a_picture_from_a_time_on_is_shown_else_the_last() {
        let all: Vec<_> = (0..200).map(|n| at(5 * n)).collect();
        let shown = |all: &[_], at_ms| nearest(all, MediaTime::from_millis(at_ms)).map(|picture| picture.wall_ms);
        assert_eq!(shown(&all, 60_000), Some(60_000));
        assert_eq!(shown(&all, 12_000), Some(15_000));
        assert_eq!(shown(&all[..1], 12_000), Some(0));
        assert_eq!(shown(&[], 0), None);
    }

    #[test]
    fn times_are_written_as_webvtt_has_them() {
        assert_eq!(Stamp(MediaTime::from_millis(3_723_004)).to_string(), "01:02:03.004");
        assert_eq!(Stamp(MediaTime::from_millis(360_000_000)).to_string(), "100:00:00.000");
    }

    #[test]
    fn pictures_that_can_not_be_read_are_no_storyboard() {
        assert_eq!(text(&[at(0), at(5)], MediaTime::from_millis(9_000)), None);
    }
}

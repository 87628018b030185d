//! A recording's media to be played again, segment by segment, from the archive or the vault.

use super::measure::SOUND;
use super::{Recordings, warehouse};
use archive::{Segment, Timeline};
use bytes::{Bytes, BytesMut};
use media::{MediaTime, Track};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;
use store::Recording;

/// A rendition that has a fifth less than the fullest one is not what was seen.
const NEARLY_ALL: (usize, usize) = (4, 5);
/// Many times the longest target duration.
const SEGMENT_MAX: MediaTime = MediaTime::from_millis(60_000);
/// Ten seconds at 50 Mbit/s.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Neighbours lie nearer than this, or something is missing between them.
const APART_MAX: MediaTime = MediaTime::from_millis(100);

/// What there is to play of a recording that has ended. It holds no media.
#[derive(Debug, PartialEq, Eq)]
pub struct Footage {
    stream: String,
    session: String,
    /// The rendition that is played; that of the sound when there are no pictures.
    pub lead: String,
    /// It has pictures.
    pub has_pictures: bool,
    /// It has sound.
    pub has_sound: bool,
    /// In order, without those that the lead has no media for.
    pub scenes: Vec<Scene>,
}

/// One segment of the lead, and the sound beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    /// Its number.
    pub msn: u64,
    /// Where it begins and ends on the recorded session's timeline.
    pub start: MediaTime,
    /// See `start`.
    pub end: MediaTime,
    /// It does not go on with the scene before.
    pub is_break: bool,
    /// The init section of its pictures, if it has some.
    pub pictures: Option<u64>,
    /// The same of its sound.
    pub sound: Option<u64>,
}

impl Footage {
    /// The longest scene, in which the longest time between two key frames lies; `None` without pictures.
    pub fn longest(&self) -> Option<Duration> {
        let lengths = self.scenes.iter().filter(|scene| scene.pictures.is_some()).map(|scene| scene.end - scene.start);
        lengths.max().map(MediaTime::to_duration)
    }

    fn of(timeline: &Timeline, span: &Range<u64>, kept: &[String]) -> Option<Self> {
        let has_media =
            |segment: &Segment| segment.length > 0 && segment.init().is_some() && segment.duration() <= SEGMENT_MAX;
        let media =
            |id: &str| -> Vec<Segment> { timeline.segments(id, span.clone()).into_iter().filter(has_media).collect() };
        let renditions = timeline.renditions();
        let pictures = renditions.iter().filter(|(id, track)| *track == Track::Video && kept.contains(id));
        let pictures = pictures.map(|(id, _)| (id.as_str(), media(id))).filter(|(_, found)| !found.is_empty());
        let sound = media(SOUND);
        let lead = lead(pictures.collect());
        let has_pictures = lead.is_some();
        let (id, segments) = lead.unwrap_or_else(|| (SOUND, sound.clone()));
        let inits: HashMap<u64, u64> = sound.iter().filter_map(|found| Some((found.msn, found.init()?))).collect();
        let mut before: Option<&Segment> = None;
        let scenes = segments.iter().map(|segment| {
            let goes_on = before.is_some_and(|before| {
                before.msn + 1 == segment.msn && (segment.start - before.start - before.duration()).abs() <= APART_MAX
            });
            let is_break = segment.discontinuity || before.is_some() && !goes_on;
            before = Some(segment);
            Scene {
                msn: segment.msn,
                start: segment.start,
                end: segment.start + segment.duration(),
                is_break,
                pictures: segment.init().filter(|_| has_pictures),
                sound: inits.get(&segment.msn).copied(),
            }
        });
        let scenes: Vec<Scene> = scenes.collect();
        Some(Self {
            stream: timeline.session().stream().to_owned(),
            session: timeline.session().session().to_owned(),
            lead: id.to_owned(),
            has_pictures,
            has_sound: scenes.iter().any(|scene| scene.sound.is_some()),
            scenes,
        })
        .filter(|footage| !footage.scenes.is_empty())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the segment is gone")
}

/// The first that has nearly as much as any: the source, unless it was given up on the way.
fn lead<T>(renditions: Vec<(&str, Vec<T>)>) -> Option<(&str, Vec<T>)> {
    let most = renditions.iter().map(|(_, found)| found.len()).max()?;
    renditions.into_iter().find(|(_, found)| found.len() * NEARLY_ALL.1 >= most * NEARLY_ALL.0)
}

impl Recordings {
    /// What there is to play of a recording that has ended; `None` when that is nothing. It may read the disk.
    pub async fn footage(&self, recording: &Recording) -> Option<Footage> {
        let timeline = self.timeline(&recording.stream, &recording.session).await?;
        Footage::of(&timeline, &(recording.from_msn..recording.until_msn?), &recording.renditions)
    }

    /// An init section, as [`Scene`] names it. It may read the disk.
    pub async fn footage_init(&self, footage: &Footage, rendition: &str, generation: u64) -> Option<Bytes> {
        let timeline = self.timeline(&footage.stream, &footage.session).await?;
        timeline.init(rendition, generation).map(|init| init.data)
    }

    /// The bytes of a segment, wherever they are now. It waits for the disk or the vault, which gives up by itself.
    ///
    /// # Errors
    /// When they can't be read, are gone, or are more than any segment has.
    pub async fn footage_segment(&self, footage: &Footage, rendition: &str, msn: u64) -> io::Result<Bytes> {
        let timeline = self.timeline(&footage.stream, &footage.session).await.ok_or_else(gone)?;
        self.media(&timeline, rendition, msn).await
    }

    /// The same of a timeline.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn media(&self, timeline: &Timeline, rendition: &str, msn: u64) -> io::Result<Bytes> {
        let place = timeline.place(rendition, msn).ok_or_else(gone)?;
        let length = place.range.end - place.range.start;
        if length > SEGMENT_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the segment is too large to be one"));
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        if place.is_local {
            let read = move || {
                let mut bytes = vec![0; length];
                File::open(&place.path)?.read_exact_at(&mut bytes, place.range.start)?;
                Ok(Bytes::from(bytes))
            };
            return tokio::task::spawn_blocking(read).await?;
        }
        let warehouse = self.warehouse.as_ref().ok_or_else(gone)?;
        let key = warehouse::media_key(timeline.session(), place.reel, rendition).map_err(io::Error::other)?;
        let mut chunks = warehouse.vault().get_range(&key, place.range).await.map_err(io::Error::other)?;
        let mut bytes = BytesMut::with_capacity(length);
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(io::Error::other)?);
        }
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rendition_that_is_there_nearly_all_the_time_is_played() {
        let of = |counts: &[(&'static str, usize)]| {
            lead(counts.iter().map(|(id, count)| (*id, vec![(); *count])).collect()).map(|(id, _)| id)
        };
        assert_eq!(of(&[("source", 99), ("720p", 100)]), Some("source"));
        assert_eq!(of(&[("source", 10), ("720p", 100), ("480p", 100)]), Some("720p"));
        assert_eq!(of(&[]), None);
    }
}

//! [`FilmPackager`]: a file's pictures and sound as segments, for the archive.

use crate::Window;
use crate::cmaf::fragment::Sample;
use crate::lane::Writer;
use crate::plan::Planned;
use crate::playlist::{self, Header};
use crate::rendition::Rendition;
use crate::shelf::Shelf;
use bytes::Bytes;
use media::{AccessUnit, AudioConfig, Config, FrameRate, MediaTime, Track, VideoConfig, silence};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

/// A key frame sooner than this after the last cut does not cut: as long as segments of a live stream usually are.
const SEGMENT_MIN: MediaTime = MediaTime::from_millis(2_000);
/// The length of a segment without pictures.
const SOUND_SEGMENT: MediaTime = MediaTime::from_millis(4_000);
/// Chunks last about so long, as who replays a recording reads it chunk by chunk.
const CHUNK: MediaTime = MediaTime::from_millis(1_000);
/// No part is cut to a length: nobody lists them.
const PART_MAX: MediaTime = MediaTime::from_millis(3_600_000);
/// Sound this near to its sample count is there.
const SLACK_MS: i64 = 10;
/// A frame of sound that ends so soon after the start was there for the decoder alone.
const PRIMING: MediaTime = MediaTime::from_millis(1);

/// What a film is made of; at least one of the two.
#[derive(Debug, Clone)]
pub struct FilmTracks {
    /// How its pictures are coded, and about how many there are a second.
    pub pictures: Option<(Arc<VideoConfig>, FrameRate)>,
    /// How its sound is coded.
    pub sound: Option<Arc<AudioConfig>>,
}

/// Where a film is cut into segments: all begin with a key frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// When it begins and ends.
    pub span: Range<MediaTime>,
    /// Which pictures, in decode order; none when there are none at all.
    pub pictures: Range<usize>,
}

/// Cuts a film whose pictures are shown at these times, each with whether it is a key frame; in decode order, a key frame first. It ends at
/// `end`. Without pictures it is cut from `start` on.
pub fn cuts(pictures: &[(MediaTime, bool)], start: MediaTime, end: MediaTime) -> Vec<Cut> {
    let mut found: Vec<Cut> = Vec::new();
    let mut add = |at: MediaTime, first: usize| {
        if let Some(open) = found.last_mut() {
            (open.span.end, open.pictures.end) = (at, first);
        }
        found.push(Cut { span: at..at, pictures: first..first });
    };
    if pictures.is_empty() {
        let mut at = start;
        while at < end {
            add(at, 0);
            at += SOUND_SEGMENT;
        }
    }
    let mut since: Option<MediaTime> = None;
    for (number, (pts, _)) in pictures.iter().enumerate().filter(|(_, (_, sync))| *sync) {
        if since.is_none_or(|since| *pts >= since + SEGMENT_MIN) {
            add(*pts, number);
            since = Some(*pts);
        }
    }
    if let Some(last) = found.last_mut() {
        (last.span.end, last.pictures.end) = (end.max(last.span.start + MediaTime::from_ticks(1)), pictures.len());
    }
    found
}

/// The write side of a recording that is made of a whole film, not in real time: takes one segment after the other and shows it in
/// a [`Window`] that only a recorder reads. It writes the same boxes as [`crate::Packager`]. That one puts pictures on slots of a
/// constant rate, as players at the live edge need equal parts; here every picture keeps the time the file gives it, whatever the
/// frame rate does. Blocks on nothing and reads no clock.
#[derive(Debug)]
pub struct FilmPackager {
    window: Arc<Window>,
    pictures: Option<Writer>,
    sound: Option<Sound>,
    next_msn: u64,
}

#[derive(Debug)]
struct Sound {
    writer: Writer,
    config: Arc<AudioConfig>,
    /// Frames that belong to a later segment.
    waiting: VecDeque<AccessUnit>,
    /// The sample the next frame begins at.
    next: Option<i64>,
}

impl FilmPackager {
    /// Begins session `session`, in which the longest segment has `longest`. The media time zero was at `wall_start`.
    pub fn new(session: String, tracks: FilmTracks, longest: MediaTime, wall_start: SystemTime) -> Self {
        let seconds = (longest.ticks() + MediaTime::HZ - 1) / MediaTime::HZ;
        let target = MediaTime::from_millis(seconds.max(2) * 1_000);
        let header = Header { target, part_target: PART_MAX, lists_parts: false };
        let window = Arc::new(Window::new(session, None));
        let writer = |id: &str, track, rate, config: Config| {
            let (base, shelf) = (format!("{id}/"), Shelf::default());
            let first = playlist::render(&header, &base, &shelf, 0, &[]);
            let ts = playlist::render_ts(&header, &base, &shelf, 0, None);
            let rendition = Arc::new(Rendition::new(id.to_owned(), base, track, rate, 0, shelf, (first, ts)));
            window.add(Arc::clone(&rendition));
            let mut writer = Writer::new(rendition, 0, &header);
            writer.anchor(MediaTime::ZERO, wall_start);
            writer.set_config(&config);
            writer
        };
        let pictures =
            tracks.pictures.map(|(config, rate)| writer("source", Track::Video, Some(rate), Config::Video(config)));
        let sound = tracks.sound.map(|config| Sound {
            writer: writer("audio", Track::Audio, None, Config::Audio(Arc::clone(&config))),
            config,
            waiting: VecDeque::new(),
            next: None,
        });
        Self { window, pictures, sound, next_msn: 0 }
    }

    /// What the recorder is to follow. It holds what was not [forgotten](Self::forget).
    pub fn window(&self) -> Arc<Window> {
        Arc::clone(&self.window)
    }

    /// Adds the segment of a [`Cut`] with its pictures in decode order, a key frame first, and with all frames of sound that begin before
    /// its end and were not given before; more do no harm. Missing sound is silence.
    pub fn add(&mut self, span: Range<MediaTime>, pictures: &[AccessUnit], sound: Vec<AccessUnit>) {
        let msn = self.next_msn;
        self.next_msn += 1;
        let planned = Planned {
            msn,
            start: span.start,
            end: Some(span.end),
            discontinuity: false,
            part: PART_MAX,
            late: MediaTime::ZERO,
        };
        if let Some(writer) = &mut self.pictures {
            writer.begin(&planned, span.start);
            write_pictures(writer, &span, pictures);
            writer.close(false);
        }
        if let Some(lane) = &mut self.sound {
            lane.waiting.extend(sound);
            lane.write(&planned, &span);
        }
    }

    /// Lets go of what the recorder has written.
    pub fn forget(&mut self) {
        for rendition in self.window.renditions() {
            let mut shelf = rendition.shelf();
            shelf.segments.clear();
            shelf.listed = 0;
        }
    }
}

fn write_pictures(writer: &mut Writer, span: &Range<MediaTime>, pictures: &[AccessUnit]) {
    // What would be shown before the key frame can't be decoded.
    let pictures: Vec<&AccessUnit> = pictures.iter().filter(|picture| picture.pts >= span.start).collect();
    let times = decode_times(&pictures.iter().map(|picture| picture.pts).collect::<Vec<_>>());
    let end = span.end.max(times.last().map_or(span.start, |last| *last + MediaTime::from_ticks(1)));
    let mut samples = Vec::new();
    let mut begun = None;
    for (number, (picture, at)) in pictures.iter().zip(&times).enumerate() {
        let next = times.get(number + 1).copied().unwrap_or(end);
        let first = *begun.get_or_insert(*at);
        samples.push(Sample {
            data: picture.data.clone(),
            duration: (next - *at).ticks().clamp(1, i64::from(u32::MAX)) as u32,
            offset: (picture.pts - *at).ticks().clamp(0, i64::from(i32::MAX)) as i32,
            sync: picture.sync,
        });
        if next - first >= CHUNK || number + 1 == pictures.len() {
            writer.publish(first.ticks().max(0) as u64, &samples, next);
            samples.clear();
            begun = None;
        }
    }
}

/// Decode times of a group of pictures that are shown at these times, in decode order. The first is its presentation time, they rise,
/// and none is later than its presentation. As in the live lanes the pictures that are reordered are squeezed in behind the first
/// one, since offsets below zero make libavformat move the whole track.
fn decode_times(shown: &[MediaTime]) -> Vec<MediaTime> {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|number| shown[*number]);
    // How many places before its turn a picture must be decoded at most.
    let reorder = order.iter().enumerate().map(|(rank, number)| number.saturating_sub(rank)).max().unwrap_or(0);
    let sorted = |rank: usize| shown[order[rank]];
    let mut times: Vec<MediaTime> = Vec::with_capacity(shown.len());
    for number in 0..shown.len() {
        let at = if number > reorder {
            sorted(number - reorder)
        } else {
            let step = sorted(1.min(shown.len() - 1)) - sorted(0);
            sorted(0) + MediaTime::from_ticks(step.ticks() * number as i64 / (reorder as i64 + 1))
        };
        times.push(times.last().map_or(at, |last| at.max(*last + MediaTime::from_ticks(1))));
    }
    times
}

impl Sound {
    /// Writes what begins before the end of a segment.
    fn write(&mut self, planned: &Planned, span: &Range<MediaTime>) {
        let rate = self.config.sample_rate;
        let (data, length) = match silence::frame(&self.config) {
            Some((data, length)) => (Some(data), i64::from(length)),
            None => (None, i64::from(self.config.frame_samples.max(1))),
        };
        let frame = MediaTime::from_units(length, rate);
        let end = samples(span.end, rate);
        let mut frames: Vec<(i64, Bytes)> = Vec::new();
        let mut next = self.next.unwrap_or_else(|| {
            while self.waiting.pop_front_if(|unit| unit.pts + frame < span.start + PRIMING).is_some() {}
            let first = self.waiting.front().map(|unit| unit.pts);
            // Sound that begins a frame or more behind the pictures has silence before it.
            samples(first.filter(|first| *first < span.start + frame).unwrap_or(span.start), rate)
        });
        let silent = |next: &mut i64, until: i64, frames: &mut Vec<(i64, Bytes)>| {
            let Some(data) = &data else { return };
            while *next + length / 2 < until {
                frames.push((*next, data.clone()));
                *next += length;
            }
        };
        while next < end
            && let Some(unit) = self.waiting.pop_front_if(|unit| samples(unit.pts, rate) < end)
        {
            let at = samples(unit.pts, rate);
            let slack = i64::from(rate) * SLACK_MS / 1_000;
            if at + slack.max(length / 2) < next {
                metrics::counter!("weir_import_dropped_total", "reason" => "overlapping_sound").increment(1);
                continue;
            }
            silent(&mut next, at, &mut frames);
            frames.push((next, unit.data));
            next += length;
        }
        silent(&mut next, end, &mut frames);
        self.next = Some(next);
        let writer = &mut self.writer;
        let Some((first, _)) = frames.first() else { return writer.gap_segment(planned, span.end) };
        writer.begin(planned, MediaTime::from_units(*first, rate));
        let chunk = (samples(CHUNK, rate) / length).max(1) as usize;
        for frames in frames.chunks(chunk) {
            let (first, end) = (frames[0].0, frames[frames.len() - 1].0 + length);
            let samples: Vec<Sample> = frames
                .iter()
                .map(|(_, data)| Sample { data: data.clone(), duration: length as u32, offset: 0, sync: true })
                .collect();
            writer.publish(first.max(0) as u64, &samples, MediaTime::from_units(end, rate));
        }
        writer.close(false);
    }
}

/// A time as a count of samples.
fn samples(time: MediaTime, rate: u32) -> i64 {
    let scaled = i128::from(time.ticks()) * i128::from(rate) * 2 + i128::from(MediaTime::HZ);
    scaled.div_euclid(i128::from(MediaTime::HZ) * 2) as i64
}

#[cfg(test)]
mod tests;

//! When what was recorded is to be sent again: the scenes of a recording on a publisher's timeline. It reads no clock and no disk.

use media::{AccessUnit, AudioConfig, Config, FeedItem, MediaTime, silence};
use packager::Respacer;
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a publisher's timeline begins (`ingest::Normaliser`).
pub const BEGIN: MediaTime = MediaTime::from_millis(10_000);
/// The last of a scene waits for the next one, whose pictures may have to be sent earlier than its sound. More than any stream
/// reorders.
const HELD: MediaTime = MediaTime::from_millis(1_000);
/// Neighbours lie nearer than this, or something is missing between them.
const APART_MAX: MediaTime = MediaTime::from_millis(100);
/// A scene that comes so late is caught up with; one that comes later makes a break, as the viewers' time has gone on.
const LATE_MAX: MediaTime = MediaTime::from_millis(500);

/// One scene, read.
#[derive(Debug, Default)]
pub struct Film {
    /// Where it begins and ends on the recorded session's timeline.
    pub start: MediaTime,
    /// See `start`.
    pub end: MediaTime,
    /// It does not go on with the one before.
    pub is_break: bool,
    /// In decode order, with recorded times, from a key frame on.
    pub pictures: Vec<AccessUnit>,
    /// The same of the sound.
    pub sound: Vec<AccessUnit>,
}

/// Puts one scene behind the other. What is missing between two is left out, with a discontinuity: nobody wants to watch a
/// hole. Inside a scene, of a few seconds, time passes as it was recorded, and missing sound is silence.
#[derive(Debug)]
pub struct Projector {
    /// Makes a recorded time one of the stream's; `None` before the first scene.
    shift: Option<MediaTime>,
    /// Where the newest scene ends.
    end: MediaTime,
    respacer: Respacer,
    /// The sound's configuration, once there is one, and until when it was given.
    audio: Option<Arc<AudioConfig>>,
    heard: MediaTime,
    /// Of the newest scene, in no order.
    held: Vec<AccessUnit>,
    /// In order, each with the time it is due.
    ready: VecDeque<(MediaTime, FeedItem)>,
}

impl Projector {
    /// One for a recording whose sound is coded so; `None` for one without.
    pub fn new(audio: Option<Arc<AudioConfig>>) -> Self {
        Self {
            shift: None,
            end: BEGIN,
            respacer: Respacer::default(),
            audio,
            heard: BEGIN,
            held: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// Takes the next scene; `now` is the stream's time at which it came.
    pub fn load(&mut self, mut film: Film, now: MediaTime) {
        let is_late = now > self.end + LATE_MAX;
        let begin = if is_late { now } else { self.end };
        if is_late {
            self.heard = now;
        }
        match self.shift {
            None => self.shift = Some(begin - film.start),
            // Exactly where it was, so that roundings do not add up.
            Some(shift) if !film.is_break && !is_late && (film.start + shift - begin).abs() <= APART_MAX => {}
            Some(_) => {
                self.shift = Some(begin - film.start);
                self.settle(None);
                self.ready.push_back((MediaTime::ZERO, FeedItem::Break));
            }
        }
        let shift = self.shift.unwrap_or_default();
        self.end = film.end + shift;
        for unit in film.pictures.iter_mut().chain(&mut film.sound) {
            unit.pts += shift;
            unit.dts += shift;
        }
        self.respacer.respace(&mut film.pictures);
        self.held.append(&mut film.pictures);
        self.hear(film.sound);
        self.settle(Some(self.end - HELD));
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        self.settle(None);
    }

    /// The next item and the stream's time at which it is due, as far as it is known. Times do not go back, but for what is due at
    /// once.
    pub fn next(&mut self) -> Option<(MediaTime, FeedItem)> {
        self.ready.pop_front()
    }

    /// Takes sound, with silence where it is missing by half a frame or more.
    fn hear(&mut self, sound: Vec<AccessUnit>) {
        for unit in sound {
            self.fill(unit.pts);
            self.audio = unit.audio().cloned().or(self.audio.take());
            self.heard = unit.pts + self.frame();
            self.held.push(unit);
        }
        // The last two frames are left to the next scene, whose sound may begin before it.
        self.fill(self.end - self.frame() - self.frame());
    }

    /// Fills what is missing before a time.
    fn fill(&mut self, until: MediaTime) {
        let Some(audio) = self.audio.clone() else { return };
        let Some((data, _)) = silence::frame(&audio) else { return };
        let frame = self.frame();
        while frame > MediaTime::ZERO && self.heard + MediaTime::from_ticks(frame.ticks() / 2) <= until {
            let (config, at) = (Config::Audio(Arc::clone(&audio)), self.heard);
            self.held.push(AccessUnit { config, dts: at, pts: at, sync: true, data: data.clone() });
            self.heard += frame;
        }
    }

    fn frame(&self) -> MediaTime {
        let length = |audio: &Arc<AudioConfig>| {
            let (_, samples) = silence::frame(audio)?;
            Some(MediaTime::from_units(samples.into(), audio.sample_rate))
        };
        self.audio.as_ref().and_then(length).unwrap_or_default()
    }

    /// Puts in order what is to be sent before a time; all of it without one.
    fn settle(&mut self, before: Option<MediaTime>) {
        self.held.sort_by_key(|unit| unit.dts);
        let count = before.map_or(self.held.len(), |before| self.held.partition_point(|unit| unit.dts < before));
        self.ready.extend(self.held.drain(..count).map(|unit| (unit.dts, FeedItem::Unit(unit))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{AudioCodec, ColorInfo, Track, VideoCodec, VideoConfig};

    const FRAME_MS: i64 = 40;

    fn ms(at: i64) -> MediaTime {
        MediaTime::from_millis(at)
    }

    /// 50 frames a second.
    fn audio() -> Arc<AudioConfig> {
        Arc::new(AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::new(),
            sample_rate: 51_200,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        })
    }

    fn unit(config: Config, at: MediaTime, sync: bool) -> AccessUnit {
        AccessUnit { config, dts: at, pts: at, sync, data: Bytes::from_static(b"media") }
    }

    /// Two seconds from `start_ms` on, with sound or without.
    fn film(start_ms: i64, has_sound: bool) -> Film {
        let video = Config::Video(Arc::new(VideoConfig {
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
        }));
        let pictures = (0..50).map(|n| unit(video.clone(), ms(start_ms + n * FRAME_MS), n == 0));
        let sound = (0..100).map(|n| unit(Config::Audio(audio()), ms(start_ms + n * 20), true));
        Film {
            start: ms(start_ms),
            end: ms(start_ms + 2_000),
            is_break: false,
            pictures: pictures.collect(),
            sound: sound.take(if has_sound { 100 } else { 0 }).collect(),
        }
    }

    /// What comes out when everything is there in time: stamps in milliseconds of pictures, of sound (negative: silence), and of what
    /// was sent before each break.
    fn play(films: Vec<Film>) -> (Vec<i64>, Vec<i64>, Vec<usize>) {
        let mut projector = Projector::new(Some(audio()));
        for film in films {
            projector.load(film, BEGIN);
        }
        projector.finish();
        let (mut pictures, mut sound, mut breaks, mut newest) = (Vec::new(), Vec::new(), Vec::new(), MediaTime::ZERO);
        while let Some((due, item)) = projector.next() {
            match item {
                FeedItem::Unit(unit) => {
                    assert!(due >= newest, "{due:?} behind {newest:?}");
                    newest = due;
                    match unit.track() {
                        Track::Video => pictures.push(unit.pts.as_millis()),
                        Track::Audio if &*unit.data == b"media" => sound.push(unit.pts.as_millis()),
                        Track::Audio => sound.push(-unit.pts.as_millis()),
                    }
                }
                _ => breaks.push(pictures.len()),
            }
        }
        (pictures, sound, breaks)
    }

    fn steps(from: i64, count: i64, step: i64) -> Vec<i64> {
        (0..count).map(|n| from + n * step).collect()
    }

    #[test]
    fn scenes_follow_each_other_from_the_beginning_of_a_publishers_timeline() {
        let (pictures, sound, breaks) = play(vec![film(500_000, true), film(502_000, true)]);
        assert_eq!(pictures, steps(10_000, 100, FRAME_MS));
        assert_eq!(sound, steps(10_000, 200, 20));
        assert!(breaks.is_empty(), "{breaks:?}");
    }

    #[test]
    fn what_was_not_recorded_is_left_out_with_a_break() {
        let (pictures, sound, breaks) = play(vec![film(500_000, true), Film { is_break: true, ..film(900_000, true) }]);
        assert_eq!(pictures, steps(10_000, 100, FRAME_MS), "stamps go on");
        assert_eq!(sound, steps(10_000, 200, 20));
        assert_eq!(breaks, [50], "between the two");
        // The same when time went back, as it does where a replay begins anew.
        assert_eq!(play(vec![film(500_000, true), film(100_000, true)]).2, [50]);
    }

    #[test]
    fn missing_sound_is_silence() {
        let (pictures, sound, breaks) = play(vec![film(0, true), film(2_000, false), film(4_000, true)]);
        assert_eq!(pictures.len(), 150);
        assert_eq!(sound.iter().map(|at| at.abs()).collect::<Vec<_>>(), steps(10_000, 300, 20));
        assert!(sound[..100].iter().chain(&sound[200..]).all(|at| *at > 0), "{sound:?}");
        assert!(sound[100..200].iter().all(|at| *at < 0), "{sound:?}");
        assert!(breaks.is_empty(), "{breaks:?}");
        let (_, sound, _) = play(vec![film(0, false)]);
        assert_eq!(sound.len(), 98, "from the start, but for what the next scene decides");
    }

    #[test]
    fn a_scene_that_comes_late_is_shown_when_it_is_there() {
        let mut projector = Projector::new(None);
        projector.load(film(0, false), BEGIN);
        projector.load(film(2_000, false), ms(12_400));
        projector.load(film(4_000, false), ms(17_000));
        projector.finish();
        let mut stamps = Vec::new();
        let mut breaks = Vec::new();
        while let Some((_, item)) = projector.next() {
            match item {
                FeedItem::Unit(unit) => stamps.push(unit.pts.as_millis()),
                _ => breaks.push(stamps.len()),
            }
        }
        let wanted: Vec<i64> = steps(10_000, 100, FRAME_MS).into_iter().chain(steps(17_000, 50, FRAME_MS)).collect();
        assert_eq!(stamps, wanted);
        assert_eq!(breaks, [100]);
    }

    #[test]
    fn nothing_is_given_that_the_next_scene_may_come_before() {
        let mut projector = Projector::new(None);
        projector.load(film(0, true), BEGIN);
        let mut newest = MediaTime::ZERO;
        while let Some((due, _)) = projector.next() {
            newest = due;
        }
        assert!(newest < ms(11_000), "{newest:?}");
    }
}

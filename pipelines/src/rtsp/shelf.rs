//! What a reader that comes begins with, and who reads. Pure but for the readers' graphs: knows no clock and no socket.

use super::Counters;
use super::reader::Reader;
use crate::launch;
use bytes::Bytes;
use media::{AudioCodec, AudioConfig, MediaTime, Track, VideoCodec, VideoConfig};
use std::collections::VecDeque;

/// What is held back to the newest IDR at most; a group of pictures that is longer is not held, and readers wait for the next.
const UNITS_MAX: usize = 4_000;
const BYTES_MAX: usize = 24 << 20;
/// How much of a stream without pictures is held.
const SOUND_HELD: MediaTime = MediaTime::from_millis(1_000);

/// One unit of the stream; the payload is shared with all graphs.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub track: Track,
    pub dts: MediaTime,
    pub pts: MediaTime,
    /// A reader may begin here.
    pub sync: bool,
    pub data: Bytes,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    /// From the newest IDR on, or the last of the sound where there are no pictures.
    held: VecDeque<Unit>,
    bytes: usize,
    readers: Vec<Reader>,
}

impl Shelf {
    /// The pictures that follow need this. True when readers can't go on with it, and were ended: their graphs are for another codec.
    pub(super) fn video(&mut self, config: VideoConfig) -> bool {
        let is_other = self.video.as_ref().is_none_or(|known| known.codec != config.codec);
        self.video = Some(config);
        // What is held was made with another.
        self.forget();
        self.changed(is_other)
    }

    /// The sound that follows needs this. True as for pictures; RTP names the configuration of sound at the start alone.
    pub(super) fn audio(&mut self, config: AudioConfig) -> bool {
        let is_other = self.audio.as_ref() != Some(&config);
        self.audio = Some(config);
        self.changed(is_other)
    }

    fn changed(&mut self, is_other: bool) -> bool {
        if is_other {
            self.end();
        }
        for reader in &self.readers {
            reader.configure(self.video.as_ref(), self.audio.as_ref());
        }
        is_other
    }

    /// Holds a unit and gives it to every reader. Waits for none.
    pub(super) fn unit(&mut self, unit: Unit, counters: &Counters) {
        let begins = match (unit.track, &self.video) {
            (Track::Video, _) => unit.sync,
            (Track::Audio, Some(_)) => false,
            (Track::Audio, None) => true,
        };
        let unit = Unit { sync: begins, ..unit };
        if begins && self.video.is_some() {
            self.forget();
        }
        // Before its first IDR a stream has nothing that can be shown.
        if begins || !self.held.is_empty() {
            self.bytes += unit.data.len();
            self.held.push_back(unit.clone());
        }
        self.trim();
        self.readers.retain_mut(|reader| reader.give(&unit, counters));
    }

    /// One more reader, which is given what is held.
    pub(super) fn seat(&mut self, mut reader: Reader, counters: &Counters) {
        reader.configure(self.video.as_ref(), self.audio.as_ref());
        reader.begin_with(self.bytes);
        for unit in &self.held {
            reader.give(unit, counters);
        }
        self.readers.push(reader);
    }

    /// The time from the first unit held to the last.
    pub(super) fn span(&self) -> MediaTime {
        match (self.held.front(), self.held.back()) {
            (Some(first), Some(last)) => last.dts - first.dts,
            _ => MediaTime::ZERO,
        }
    }

    /// Nothing more will come for those who read now.
    pub(super) fn end(&mut self) {
        self.readers.drain(..).for_each(Reader::end);
    }

    /// The graph of a reader, as the library wants it; `None` before anything is known of the stream.
    pub(super) fn launch(&self) -> Option<String> {
        let video = self.video.as_ref().map(|config| match config.codec {
            VideoCodec::H264 => (include_str!("../../launch/rtsp-video.launch"), "rtph264pay"),
            VideoCodec::Hevc => (include_str!("../../launch/rtsp-video.launch"), "rtph265pay"),
        });
        let audio = self.audio.as_ref().map(|config| match config.codec {
            AudioCodec::Aac => (include_str!("../../launch/rtsp-audio.launch"), "rtpmp4gpay"),
            AudioCodec::Opus => (include_str!("../../launch/rtsp-audio.launch"), "rtpopuspay"),
        });
        let tracks = [video, audio].into_iter().flatten().enumerate();
        let texts = tracks.map(|(n, (text, element))| format!("{}pay{n}", launch::plain(text, element)));
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| format!("( {} )", texts.join(" ")))
    }

    fn forget(&mut self) {
        self.held.clear();
        self.bytes = 0;
    }

    fn trim(&mut self) {
        if self.video.is_none() {
            while self.span() > SOUND_HELD
                && let Some(unit) = self.held.pop_front()
            {
                self.bytes -= unit.data.len();
            }
        } else if self.held.len() > UNITS_MAX || self.bytes > BYTES_MAX {
            self.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::ColorInfo;

    fn video(codec: VideoCodec) -> VideoConfig {
        VideoConfig {
            codec,
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
        }
    }

    fn sound() -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::new(),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        }
    }

    fn unit(track: Track, ms: i64, sync: bool, size: usize) -> Unit {
        let at = MediaTime::from_millis(ms);
        Unit { track, dts: at, pts: at, sync, data: vec![0; size].into() }
    }

    #[test]
    fn what_is_held_begins_with_the_newest_keyframe_and_is_bounded() {
        let (mut shelf, counters) = (Shelf::default(), Counters::default());
        shelf.video(video(VideoCodec::H264));
        shelf.unit(unit(Track::Audio, 0, true, 10), &counters);
        shelf.unit(unit(Track::Video, 10, false, 10), &counters);
        assert!(shelf.held.is_empty(), "nothing of it can be shown");
        for ms in (1_000..4_500).step_by(100) {
            shelf.unit(unit(Track::Video, ms, ms % 1_000 == 0, 10), &counters);
            shelf.unit(unit(Track::Audio, ms, true, 10), &counters);
        }
        assert_eq!(shelf.held.front().map(|unit| (unit.track, unit.dts.as_millis())), Some((Track::Video, 4_000)));
        assert_eq!((shelf.held.len(), shelf.bytes, shelf.span().as_millis()), (10, 100, 400));
        for ms in 5_000..5_100 {
            shelf.unit(unit(Track::Video, ms, false, 1 << 20), &counters);
            assert!(shelf.bytes <= BYTES_MAX);
        }
        assert!(shelf.held.is_empty(), "nothing is held of a group that is too large");
    }

    #[test]
    fn of_sound_alone_the_last_second_is_held() {
        let (mut shelf, counters) = (Shelf::default(), Counters::default());
        shelf.audio(sound());
        (0..5_000).step_by(20).for_each(|ms| shelf.unit(unit(Track::Audio, ms, true, 10), &counters));
        assert_eq!((shelf.held.len(), shelf.span().as_millis()), (51, 1_000));
    }

    #[test]
    fn the_graph_has_the_tracks_there_are() {
        let mut shelf = Shelf::default();
        assert_eq!(shelf.launch(), None);
        shelf.audio(sound());
        let text = shelf.launch().expect("a track");
        assert!(text.contains("rtpmp4gpay pt=97 name=pay0") && !text.contains("video"), "{text}");
        shelf.video(video(VideoCodec::Hevc));
        let text = shelf.launch().expect("tracks");
        assert!(text.contains("rtph265pay config-interval=-1 pt=96 name=pay0"), "{text}");
        assert!(text.contains("name=pay1") && text.starts_with("( ") && text.ends_with(" )"), "{text}");
    }
}

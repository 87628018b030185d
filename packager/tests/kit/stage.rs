//! A made-up source of 30 pictures a second with sound, and the packager it feeds.

use super::{Clock, Listed, judge, plan};
use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, VideoCodec, VideoConfig};
use packager::{AudioFacts, Cue, Index, Packager, Rendition, SourceFacts, VideoFacts, Window};
use std::sync::Arc;
use std::time::Instant;

pub const RATE: FrameRate = FrameRate { num: 30, den: 1 };

pub fn video_config(profile: u8, codec: VideoCodec) -> Arc<VideoConfig> {
    Arc::new(VideoConfig {
        codec,
        record: Bytes::from(vec![1, 0x64, profile, 31, 0xff, 0xe0, 0]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        codecs: if codec == VideoCodec::H264 { "avc1.64001f".into() } else { "hvc1.1.6.L93.B0".into() },
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: Some(30.0),
        color: ColorInfo::UNSPECIFIED,
    })
}

pub fn sound() -> Arc<AudioConfig> {
    Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    })
}

pub fn picture(config: &Arc<VideoConfig>, at: MediaTime, sync: bool) -> AccessUnit {
    AccessUnit {
        config: Config::Video(Arc::clone(config)),
        dts: at,
        pts: at,
        sync,
        data: Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]),
    }
}

pub fn frame(at: MediaTime) -> AccessUnit {
    AccessUnit { config: Config::Audio(sound()), dts: at, pts: at, sync: true, data: Bytes::from_static(&[1, 2, 3, 4]) }
}

/// A source of 30 frames per second with sound, and the packager it feeds.
pub struct Stage {
    pub packager: Packager,
    pub window: Arc<Window>,
    pub clock: Clock,
    pub config: Arc<VideoConfig>,
    pub frame: i64,
    pub sounds: i64,
    pub cues: Vec<Cue>,
}

pub const START: MediaTime = MediaTime::from_millis(10_000);

impl Stage {
    pub fn new(change: impl FnOnce(&mut packager::SessionPlan)) -> Self {
        let config = video_config(0, VideoCodec::H264);
        let facts = SourceFacts {
            video: Some(VideoFacts {
                config: Arc::clone(&config),
                frame_rate: RATE,
                bitrate_bps: 1_000_000,
                passthrough: Ok(()),
            }),
            audio: Some(AudioFacts { config: sound(), passthrough: true }),
        };
        let mut plan = plan(facts);
        change(&mut plan);
        let (packager, window) = Packager::new(plan);
        let mut clock = Clock::new();
        clock.at(START);
        Self { packager, window, clock, config, frame: 0, sounds: 0, cues: vec![] }
    }

    pub fn now(&mut self) -> Instant {
        self.clock.at(START + RATE.time_of(self.frame))
    }

    /// Sends `frames` pictures, each `key`-th an IDR, and the sound before each.
    pub fn send(&mut self, frames: i64, key: i64, with_sound: bool) {
        for _ in 0..frames {
            let at = START + RATE.time_of(self.frame);
            self.sound_until(at, with_sound);
            let now = self.clock.at(at);
            let unit = picture(&self.config, at, self.frame % key == 0);
            self.cues.extend(self.packager.source(&unit, now));
            self.frame += 1;
        }
    }

    pub fn sound_until(&mut self, until: MediaTime, really: bool) {
        loop {
            let at = START + MediaTime::from_units(self.sounds * 1024, 48_000);
            if at > until {
                break;
            }
            self.sounds += 1;
            if really {
                let now = self.clock.at(at);
                self.cues.extend(self.packager.source(&frame(at), now));
            }
        }
    }

    pub fn rendition(&self, id: &str) -> Arc<Rendition> {
        self.window.rendition(id).unwrap()
    }

    /// What is listed, with the segment that is complete and listed by its parts alone until there is a part of the next.
    pub fn listed(&self, id: &str) -> Listed {
        let rendition = self.rendition(id);
        let mut listed = judge(rendition.playlist().borrow().full.text());
        let msn = listed.first_msn + listed.segments.len() as u64;
        if let Some(segment) = rendition.segment(msn).filter(|_| !listed.ended) {
            let mut complete = std::mem::take(&mut listed.open);
            (complete.uri, complete.duration) = (format!("{id}/{msn}.m4s"), segment.duration.as_secs_f64());
            listed.segments.push(complete);
        }
        listed
    }

    /// The playlist of a rendition as it stands.
    pub fn text(&self, id: &str) -> String {
        let playlist = self.rendition(id).playlist().borrow().clone();
        String::from_utf8(playlist.full.text().to_vec()).unwrap()
    }

    pub fn index(&self, kind: Index) -> Option<String> {
        let document = self.window.index(kind).borrow().clone();
        document.map(|d| String::from_utf8(d.text().to_vec()).unwrap())
    }

    pub fn boundaries(&self) -> Vec<(u64, MediaTime, bool)> {
        let of = |c: &Cue| match c {
            Cue::Boundary { msn, at, discontinuity } => Some((*msn, *at, *discontinuity)),
            Cue::Withdraw { .. } => None,
        };
        self.cues.iter().filter_map(of).collect()
    }

    /// A whole segment of the rung at the newest boundary but one.
    pub fn encode(&mut self, id: &str, config: &Arc<VideoConfig>, from: MediaTime, until: MediaTime) {
        for slot in 0..RATE.frames_in(until - from) {
            self.packager.encoded(id, picture(config, from + RATE.time_of(slot), slot == 0));
        }
    }
}

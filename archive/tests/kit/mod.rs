//! What the archive's tests share: a made-up session, and a reader of playlists.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use bytes::Bytes;
use media::{
    AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, Rung, VideoCodec, VideoConfig,
};
use packager::{AudioFacts, Packager, SessionPlan, SourceFacts, VideoFacts, Window};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const RATE: FrameRate = FrameRate { num: 30, den: 1 };
/// Where a session's timeline begins.
pub const START: MediaTime = MediaTime::from_millis(10_000);
/// When it began by the wall clock.
pub fn wall_start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A source of 30 pictures a second with sound, a key frame every two seconds, and the packager it feeds.
pub struct Stage {
    pub packager: Packager,
    pub window: Arc<Window>,
    pub config: Arc<VideoConfig>,
    /// Bytes of a picture.
    pub picture_bytes: usize,
    begin: Instant,
    frame: i64,
    sounds: i64,
}

impl Stage {
    pub fn new(change: impl FnOnce(&mut SessionPlan)) -> Self {
        let config = video_config(0);
        let facts = SourceFacts {
            video: Some(VideoFacts {
                config: Arc::clone(&config),
                frame_rate: RATE,
                bitrate_bps: 1_000_000,
                passthrough: Ok(()),
            }),
            audio: Some(AudioFacts { config: sound_config(), passthrough: true }),
        };
        let mut plan = SessionPlan {
            stream: "show".into(),
            session: "18c-1".into(),
            run: None,
            first_msn: 7,
            discontinuities: 0,
            target_s: 2,
            low_latency: true,
            facts,
            passthrough: true,
            rungs: vec![],
            audio_encoded: false,
            wall_start: wall_start(),
        };
        change(&mut plan);
        let (packager, window) = Packager::new(plan);
        Self { packager, window, config, picture_bytes: 60, begin: Instant::now(), frame: 0, sounds: 0 }
    }

    /// Sends so many seconds of both tracks.
    pub fn play(&mut self, seconds: i64) {
        self.play_frames(seconds * 30);
    }

    /// Sends so many pictures and the sound beside them.
    pub fn play_frames(&mut self, frames: i64) {
        for _ in 0..frames {
            let at = START + RATE.time_of(self.frame);
            while sound_at(self.sounds) <= at {
                let unit = sound(sound_at(self.sounds), self.sounds);
                self.packager.source(&unit, self.begin + (unit.pts - START).to_duration());
                self.sounds += 1;
            }
            let unit = self.picture(self.frame);
            self.packager.source(&unit, self.now());
            self.frame += 1;
        }
    }

    /// How many segments of two seconds are whole.
    pub fn segments_whole(&self) -> u64 {
        (self.frame / 60) as u64
    }

    /// The moment of the next picture.
    pub fn now(&self) -> Instant {
        self.begin + RATE.time_of(self.frame).to_duration()
    }

    /// The moment of the next picture by the wall clock.
    pub fn wall(&self) -> SystemTime {
        wall_start() + RATE.time_of(self.frame).to_duration()
    }

    /// Gives the pictures from one time of the source to another to a rung, in seconds.
    pub fn encode(&mut self, rung: &str, seconds: std::ops::Range<i64>) {
        for frame in seconds.start * 30..seconds.end * 30 {
            let unit = self.picture(frame);
            self.packager.encoded(rung, unit);
        }
    }

    fn picture(&self, frame: i64) -> AccessUnit {
        let at = START + RATE.time_of(frame);
        let length = self.picture_bytes as u32 - 4;
        let fill = std::iter::repeat_n(frame as u8, self.picture_bytes - 5);
        let data = length.to_be_bytes().into_iter().chain([0x65]).chain(fill).collect();
        AccessUnit { config: Config::Video(Arc::clone(&self.config)), dts: at, pts: at, sync: frame % 60 == 0, data }
    }
}

fn sound_at(number: i64) -> MediaTime {
    START + MediaTime::from_units(number * 1024, 48_000)
}

fn sound(at: MediaTime, number: i64) -> AccessUnit {
    let data = Bytes::from(vec![number as u8; 20]);
    AccessUnit { config: Config::Audio(sound_config()), dts: at, pts: at, sync: true, data }
}

pub fn video_config(profile: u8) -> Arc<VideoConfig> {
    Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from(vec![1, 0x64, profile, 31, 0xff, 0xe0, 0]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        codecs: "avc1.64001f".into(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: Some(30.0),
        color: ColorInfo::UNSPECIFIED,
    })
}

fn sound_config() -> Arc<AudioConfig> {
    Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    })
}

pub fn rung(name: &str) -> Rung {
    Rung { name: name.into(), width: 640, height: 360, frame_rate: RATE, bitrate_bps: 500_000 }
}

/// The bytes of a segment in the window.
pub fn served(window: &Window, rendition: &str, msn: u64) -> Option<Vec<u8>> {
    let segment = window.rendition(rendition)?.segment(msn)?;
    Some(segment.parts.iter().flat_map(|part| part.data.to_vec()).collect())
}

/// A range of a file.
pub fn read_range(path: &Path, range: &std::ops::Range<u64>) -> Vec<u8> {
    let file = std::fs::read(path).unwrap();
    file[range.start as usize..range.end as usize].to_vec()
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a media playlist says, read by quick-m3u8.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Listed {
    pub target: u64,
    pub sequence: u64,
    pub discontinuity_sequence: u64,
    pub kind: Option<String>,
    pub ended: bool,
    pub entries: Vec<ListedEntry>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct ListedEntry {
    pub uri: String,
    pub duration: f64,
    pub discontinuity: bool,
    pub gap: bool,
    pub date: bool,
    /// The init section in force.
    pub init: Option<String>,
}

/// Reads a media playlist with a foreign parser, and holds it to what every one of ours keeps.
pub fn read_playlist(text: &str) -> Listed {
    use quick_m3u8::config::ParsingOptionsBuilder;
    use quick_m3u8::tag::{KnownTag, hls};
    use quick_m3u8::{HlsLine, Reader};
    let mut reader = Reader::from_str(text, ParsingOptionsBuilder::new().with_parsing_for_all_tags().build());
    let (mut out, mut current, mut init) = (Listed::default(), ListedEntry::default(), None);
    while let Some(line) = reader.read_line().unwrap_or_else(|e| panic!("{e:?} in\n{text}")) {
        match line {
            HlsLine::Uri(uri) => {
                (current.uri, current.init) = (uri.into_owned(), init.clone());
                out.entries.push(std::mem::take(&mut current));
            }
            HlsLine::UnknownTag(tag) => panic!("unknown tag {tag:?}"),
            HlsLine::KnownTag(KnownTag::Hls(tag)) => match tag {
                hls::Tag::Targetduration(t) => out.target = t.target_duration(),
                hls::Tag::MediaSequence(t) => out.sequence = t.media_sequence(),
                hls::Tag::DiscontinuitySequence(t) => out.discontinuity_sequence = t.discontinuity_sequence(),
                hls::Tag::PlaylistType(_) => {
                    let word = if text.contains("TYPE:VOD") { "VOD" } else { "EVENT" };
                    out.kind = Some(word.to_owned());
                }
                hls::Tag::Endlist(_) => out.ended = true,
                hls::Tag::Discontinuity(_) => current.discontinuity = true,
                hls::Tag::Map(t) => init = Some(t.uri().to_owned()),
                hls::Tag::Gap(_) => current.gap = true,
                hls::Tag::ProgramDateTime(_) => current.date = true,
                hls::Tag::Inf(t) => current.duration = t.duration(),
                _ => {}
            },
            _ => {}
        }
    }
    for (at, entry) in out.entries.iter().enumerate() {
        assert!(entry.duration > 0.0 && entry.duration.round() as u64 <= out.target, "{entry:?} in\n{text}");
        assert!(entry.gap || entry.init.is_some(), "{entry:?} in\n{text}");
        assert_eq!(entry.date, at == 0 || out.kind.is_none(), "{entry:?} in\n{text}");
    }
    out
}

//! A live session without an encoder: pictures and sound with made-up payloads, pushed through a real packager.
#![allow(dead_code, reason = "each test binary uses its share")]

use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, Config, FrameRate, MediaTime, h264};
use origin::Catalog;
use packager::{AudioFacts, Packager, Playlist, Rendition, SessionPlan, SourceFacts, VideoFacts, Window};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const RATE: FrameRate = FrameRate { num: 30, den: 1 };
const FRAMES_PER_SEGMENT: i64 = 60;
const AUDIO_HZ: u32 = 48_000;
const AUDIO_SAMPLES: i64 = 1024;
/// `avcC` of x264's main profile at 320x180, 30 fps.
const RECORD: &[u8] =
    b"\x01\x4d\x40\x0d\xff\xe1\x00\x19\x67\x4d\x40\x0d\xec\xa0\xa0\xcf\xcf\x80\x88\x00\x00\x03\x00\x08\x00\
    \x00\x03\x01\xe0\x78\xa1\x4c\xb0\x01\x00\x05\x68\xeb\xe3\xcb\x20";

/// The write side of a session named `s-1` with the renditions `source` and `audio`, target duration 2 s.
pub struct Show {
    packager: Packager,
    pub window: Arc<Window>,
    video: Config,
    audio: Config,
    begin: Instant,
    pictures: i64,
    sounds: i64,
    picture_bytes: usize,
}

impl Show {
    pub fn new(picture_bytes: usize) -> Show {
        let video = Arc::new(h264::parse_config(&Bytes::from_static(RECORD)).expect("a record made by x264"));
        let audio = Arc::new(AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: AUDIO_HZ,
            channels: 2,
            object_type: 2,
            frame_samples: AUDIO_SAMPLES as u32,
        });
        let (packager, window) = Packager::new(SessionPlan {
            stream: "demo".to_owned(),
            session: "s-1".to_owned(),
            run: None,
            first_msn: 0,
            discontinuities: 0,
            target_s: 2,
            low_latency: true,
            facts: SourceFacts {
                video: Some(VideoFacts {
                    config: Arc::clone(&video),
                    frame_rate: RATE,
                    bitrate_bps: (picture_bytes * 8 * 30) as u32,
                    passthrough: Ok(()),
                }),
                audio: Some(AudioFacts { config: Arc::clone(&audio), passthrough: true }),
            },
            passthrough: true,
            rungs: Vec::new(),
            audio_encoded: false,
            wall_start: SystemTime::now(),
        });
        let (video, audio) = (Config::Video(video), Config::Audio(audio));
        Show { packager, window, video, audio, begin: Instant::now(), pictures: 0, sounds: 0, picture_bytes }
    }

    /// Pushes one picture, after the sound up to it.
    pub fn picture(&mut self) {
        let start = MediaTime::from_millis(10_000);
        let pts = start + RATE.time_of(self.pictures);
        let now = self.begin + RATE.time_of(self.pictures).to_duration();
        loop {
            let pts_sound = start + MediaTime::from_units(self.sounds * AUDIO_SAMPLES, AUDIO_HZ);
            if pts_sound > pts {
                break;
            }
            let data = Bytes::from(vec![self.sounds as u8; 340]);
            let unit = AccessUnit { config: self.audio.clone(), dts: pts_sound, pts: pts_sound, sync: true, data };
            self.packager.source(&unit, now);
            self.sounds += 1;
        }
        let sync = self.pictures % FRAMES_PER_SEGMENT == 0;
        let mut data = vec![0; self.picture_bytes.max(16)];
        let nal = (data.len() - 4) as u32;
        data[..4].copy_from_slice(&nal.to_be_bytes());
        data[4] = if sync { 0x65 } else { 0x41 };
        data[5..].fill(self.pictures as u8 | 1);
        let unit = AccessUnit { config: self.video.clone(), dts: pts, pts, sync, data: data.into() };
        self.packager.source(&unit, now);
        self.pictures += 1;
    }

    /// Pushes pictures until `enough` of the source's playlist.
    pub fn until(&mut self, enough: impl Fn(&Playlist) -> bool) {
        for _ in 0..10_000 {
            if enough(&self.playlist()) {
                return;
            }
            self.picture();
        }
        panic!("it never came: {:?}", self.playlist());
    }

    /// Pushes pictures until part `part` of segment `msn` is the next one to appear.
    pub fn until_next(&mut self, msn: u64, part: u32) {
        self.until(|playlist| playlist.next_part == Some((msn, part)));
    }

    /// Ends the session.
    pub fn finish(&mut self) {
        self.packager.finish();
    }

    pub fn source(&self) -> Arc<Rendition> {
        self.window.rendition("source").expect("the plan has it")
    }

    pub fn playlist(&self) -> Arc<Playlist> {
        Arc::clone(&self.source().playlist().borrow())
    }

    /// The time one picture takes.
    pub fn pace() -> Duration {
        RATE.time_of(1).to_duration()
    }

    pub fn catalog(&self) -> Arc<OneStream> {
        Arc::new(OneStream(Arc::clone(&self.window)))
    }
}

/// The one ticket that opens, and for how long.
pub const TICKET: &str = "Good-1";
pub const TICKET_LASTS: Duration = Duration::from_millis(5_900);

/// A catalog whose one stream is called `demo`: who shows no ticket may watch it, and who shows [`TICKET`].
pub struct OneStream(pub Arc<Window>);

impl Catalog for OneStream {
    fn window(&self, stream: &str) -> Option<Arc<Window>> {
        (stream == "demo").then(|| Arc::clone(&self.0))
    }

    fn admits(&self, _stream: &str, ticket: Option<&str>) -> bool {
        ticket.is_none_or(|ticket| ticket == TICKET)
    }

    fn lasts(&self, _ticket: &str) -> Duration {
        TICKET_LASTS
    }

    fn thumb(&self, stream: &str) -> Option<Bytes> {
        (stream == "demo").then(|| Bytes::from_static(b"\xff\xd8 not really a picture"))
    }
}

//! Writes the copy: headers, units, silence, in the order and with the stamps a server expects. Pure; the bytes come out of the
//! [`Publisher`].

use crate::queue::Next;
use crate::silence::Silence;
use media::{AccessUnit, Announced, AudioConfig, Config, MediaTime, Track, VideoConfig};
use rtmp::client::Publisher;
use std::sync::Arc;

/// What a session sends, as far as it is known when its media begins.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its pictures.
    pub video: Option<Arc<VideoConfig>>,
    /// Its sound.
    pub audio: Option<Arc<AudioConfig>>,
    /// What the publisher says of it.
    pub announced: Announced,
}

/// The copy on one connection: begins with the first unit, which gets stamp 0.
pub(crate) struct Copyist {
    publisher: Publisher,
    source: Source,
    silence: Option<Silence>,
    /// Decode time of the first unit, and of the newest one of each track.
    base: Option<MediaTime>,
    newest: [Option<MediaTime>; 2],
    /// The configurations the server has.
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
}

impl Copyist {
    /// Over a publisher whose server has let it in. With `silence` the copy has silence in place of a sound that the source has
    /// not.
    pub fn new(publisher: Publisher, source: Source, silence: bool) -> Self {
        let silence = (silence && source.audio.is_none()).then(Silence::new);
        Self { publisher, source, silence, base: None, newest: [None; 2], video: None, audio: None }
    }

    /// The connection's other half: what comes from the server, what goes to it.
    pub fn publisher(&mut self) -> &mut Publisher {
        &mut self.publisher
    }

    /// Writes a unit, and what must go before it.
    ///
    /// # Errors
    /// [`rtmp::Error::NotPublishing`].
    pub fn write(&mut self, next: Next) -> Result<(), rtmp::Error> {
        let Next { unit, begins } = next;
        if self.base.is_none() {
            self.begin(&unit)?;
        } else if begins {
            (self.video, self.audio) = (None, None);
        }
        match (&mut self.silence, unit.track()) {
            // A sound that was not there in the beginning, and which silence stands for since.
            (Some(_), Track::Audio) => Ok(()),
            (Some(_), Track::Video) => {
                let at = unit.dts;
                self.put(unit)?;
                while let Some(frame) = self.silence.as_mut().and_then(|silence| silence.due(at)) {
                    self.put(frame)?;
                }
                Ok(())
            }
            (None, _) => self.put(unit),
        }
    }

    /// Metadata and the configurations of all tracks, so that a server knows what will come.
    fn begin(&mut self, first: &AccessUnit) -> Result<(), rtmp::Error> {
        let at = first.dts;
        self.base = Some(at);
        self.video = first.video().or(self.source.video.as_ref()).cloned();
        self.audio = match &self.silence {
            Some(silence) => Some(Arc::clone(silence.config())),
            None => first.audio().or(self.source.audio.as_ref()).cloned(),
        };
        self.publisher.send_metadata(self.video.as_deref(), self.audio.as_deref(), &self.source.announced)?;
        if let Some(video) = &self.video {
            self.publisher.send_video_config(video, at)?;
        }
        if let Some(audio) = &self.audio {
            self.publisher.send_audio_config(audio, at)?;
        }
        Ok(())
    }

    fn put(&mut self, unit: AccessUnit) -> Result<(), rtmp::Error> {
        let newest = &mut self.newest[usize::from(unit.track() == Track::Audio)];
        // Sound of before the first picture, and what a source has sent twice: a server takes stamps that go on only.
        if Some(unit.dts) < self.base || Some(unit.dts) < *newest {
            return Ok(());
        }
        *newest = Some(unit.dts);
        match &unit.config {
            Config::Video(config) => {
                if !self.video.as_ref().is_some_and(|known| same(known, config)) {
                    self.publisher.send_video_config(config, unit.dts)?;
                }
                self.video = Some(Arc::clone(config));
            }
            Config::Audio(config) => {
                if !self.audio.as_ref().is_some_and(|known| same(known, config)) {
                    self.publisher.send_audio_config(config, unit.dts)?;
                }
                self.audio = Some(Arc::clone(config));
            }
        }
        self.publisher.send_unit(&unit)
    }
}

/// Configurations are shared by the units between two changes, so most need no look inside.
fn same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{AudioCodec, ColorInfo, VideoCodec};
    use rtmp::client::Target;
    use rtmp::flv::{self, AudioPacket, VideoPacket};
    use rtmp::{Event, ServerSession};
    use std::sync::OnceLock;

    pub(crate) fn video_config(record: &'static [u8]) -> Arc<VideoConfig> {
        Arc::new(VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::from_static(record),
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
        })
    }

    pub(crate) fn audio_config() -> Arc<AudioConfig> {
        static CONFIG: OnceLock<Arc<AudioConfig>> = OnceLock::new();
        Arc::clone(CONFIG.get_or_init(|| {
            Arc::new(AudioConfig {
                codec: AudioCodec::Aac,
                record: Bytes::from_static(&[0x12, 0x10]),
                sample_rate: 44_100,
                channels: 2,
                object_type: 2,
                frame_samples: 1024,
            })
        }))
    }

    pub(crate) fn picture(ms: i64, sync: bool, bytes: usize) -> AccessUnit {
        static CONFIG: OnceLock<Arc<VideoConfig>> = OnceLock::new();
        let config = Arc::clone(CONFIG.get_or_init(|| video_config(&[1])));
        let at = MediaTime::from_millis(ms);
        AccessUnit { config: Config::Video(config), dts: at, pts: at, sync, data: Bytes::from(vec![1; bytes.max(1)]) }
    }

    pub(crate) fn sound(ms: i64) -> AccessUnit {
        let at = MediaTime::from_millis(ms);
        let config = Config::Audio(audio_config());
        AccessUnit { config, dts: at, pts: at, sync: true, data: Bytes::from_static(&[2]) }
    }

    fn publishing() -> (Publisher, ServerSession) {
        let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "KEY".into() };
        let (mut publisher, mut server) = (Publisher::new(target).unwrap(), ServerSession::new());
        while !publisher.is_publishing() {
            server.input(&publisher.take_output()).unwrap();
            if let Some(Event::PublishRequested(_)) = server.next_event() {
                server.accept_publish().unwrap();
            }
            publisher.input(&server.take_output()).unwrap();
        }
        (publisher, server)
    }

    /// What a server reads: `V`ideo or `A`udio, `!` for a configuration, and the stamp.
    fn read(copyist: &mut Copyist, server: &mut ServerSession) -> Vec<String> {
        server.input(&copyist.publisher().take_output()).unwrap();
        let mut seen = Vec::new();
        while let Some(event) = server.next_event() {
            match event {
                Event::Video { timestamp, payload } => seen.push(match flv::parse_video(&payload).unwrap() {
                    VideoPacket::Config { record, .. } => format!("V!{}@{timestamp}", record[0]),
                    _ => format!("V@{timestamp}"),
                }),
                Event::Audio { timestamp, payload } => seen.push(match flv::parse_audio(&payload).unwrap() {
                    AudioPacket::Config { .. } => format!("A!@{timestamp}"),
                    _ => format!("A@{timestamp}"),
                }),
                _ => {}
            }
        }
        seen
    }

    fn source(audio: bool) -> Source {
        Source { video: Some(video_config(&[1])), audio: audio.then(audio_config), announced: Announced::default() }
    }

    fn write(copyist: &mut Copyist, unit: AccessUnit, begins: bool) {
        copyist.write(Next { unit, begins }).unwrap();
    }

    #[test]
    fn headers_go_first_and_stamps_begin_at_zero() {
        let (publisher, mut server) = publishing();
        let mut copyist = Copyist::new(publisher, source(true), false);
        write(&mut copyist, picture(70_000, true, 9), true);
        for ms in [69_990, 70_010] {
            write(&mut copyist, sound(ms), false);
        }
        write(&mut copyist, picture(70_040, false, 9), false);
        let seen = read(&mut copyist, &mut server);
        assert_eq!(seen, ["V!1@0", "A!@0", "V@0", "A@10", "V@40"], "sound of before the picture is left out");
    }

    #[test]
    fn headers_come_again_behind_a_drop_and_when_they_change() {
        let (publisher, mut server) = publishing();
        let mut copyist = Copyist::new(publisher, source(true), false);
        write(&mut copyist, picture(0, true, 9), true);
        read(&mut copyist, &mut server);
        write(&mut copyist, picture(4_000, true, 9), true);
        write(&mut copyist, sound(4_010), false);
        assert_eq!(read(&mut copyist, &mut server), ["V!1@4000", "V@4000", "A!@4010", "A@4010"]);
        let other = AccessUnit { config: Config::Video(video_config(&[7])), ..picture(6_000, true, 9) };
        write(&mut copyist, other, false);
        assert_eq!(read(&mut copyist, &mut server), ["V!7@6000", "V@6000"]);
    }

    #[test]
    fn stamps_never_go_back() {
        let (publisher, mut server) = publishing();
        let mut copyist = Copyist::new(publisher, source(true), false);
        for ms in [1_000, 1_040, 1_020, 1_080] {
            write(&mut copyist, picture(ms, ms == 1_000, 9), ms == 1_000);
        }
        let seen = read(&mut copyist, &mut server);
        assert_eq!(seen.iter().filter(|s| s.starts_with("V@")).collect::<Vec<_>>(), ["V@0", "V@40", "V@80"]);
    }

    #[test]
    fn a_source_without_sound_gets_silence_when_that_is_wanted() {
        let (publisher, mut server) = publishing();
        let mut copyist = Copyist::new(publisher, source(false), true);
        for n in 0..3 {
            write(&mut copyist, picture(5_000 + n * 40, n == 0, 9), n == 0);
        }
        write(&mut copyist, sound(5_100), false);
        let seen = read(&mut copyist, &mut server);
        assert_eq!(seen, ["V!1@0", "A!@0", "V@0", "A@0", "V@40", "A@21", "V@80", "A@43", "A@64"], "and no other sound");
    }

    #[test]
    fn without_that_wish_there_is_none() {
        let (publisher, mut server) = publishing();
        let mut copyist = Copyist::new(publisher, source(false), false);
        write(&mut copyist, picture(5_000, true, 9), true);
        assert_eq!(read(&mut copyist, &mut server), ["V!1@0", "V@0"]);
    }
}

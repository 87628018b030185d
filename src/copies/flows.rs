//! What a session has for copies: what its publisher sends, and the renditions somebody wants instead.

use media::{AccessUnit, AudioConfig, Feed, FeedItem, FeedReader, Track, VideoConfig};
use restream::{Interleaver, Source};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What outlets may go back to, to begin with a keyframe. The payload is the source feed's, so it is held once.
const UNITS_MAX: usize = 2_000;
const BYTES_MAX: usize = 16 << 20;
/// What the packager calls encoded sound.
const SOUND: &str = "audio";

/// What a session may give to copies.
#[derive(Debug, Clone)]
pub struct Offer {
    /// As its publisher sends it.
    pub source: Source,
    /// The renditions it encodes.
    pub rungs: Vec<media::Rung>,
    /// Its sound is encoded anew, as the publisher's is of a kind that few take.
    pub is_sound_encoded: bool,
}

/// What of a session a target gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// What the publisher sends.
    Source,
    /// An encoded rendition, by its name.
    Rung(String),
}

/// The feeds of one session. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Flows {
    offer: Offer,
    source: Feed,
    /// Renditions that somebody wants. Held for a unit or a look.
    rungs: Mutex<Vec<RungFlow>>,
}

/// A rendition and the sound that goes with it.
#[derive(Debug)]
struct RungFlow {
    name: String,
    interleaver: Interleaver,
    feed: Feed,
    /// Known with the first units; both are when the first picture is in the feed, if there is sound at all.
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    has_begun: bool,
}

impl Offer {
    /// What a target gets that wants `rendition` (empty: what the publisher sends): that one; without it, for a name such as
    /// `720p`, the source if its picture is no higher, or the highest rendition that is lower.
    ///
    /// # Errors
    /// That there is none, with cause and cure.
    pub fn pick(&self, rendition: &str) -> Result<Pick, String> {
        let Some(video) = self.source.video.as_ref().filter(|_| !rendition.is_empty()) else { return Ok(Pick::Source) };
        if self.rungs.iter().any(|rung| rung.name == rendition) {
            return Ok(Pick::Rung(rendition.to_owned()));
        }
        let height_max = rendition.strip_suffix('p').and_then(|height| height.parse::<u32>().ok());
        if height_max.is_some_and(|max| video.height <= max) {
            return Ok(Pick::Source);
        }
        let lower = self.rungs.iter().filter(|rung| height_max.is_some_and(|max| rung.height <= max));
        match lower.max_by_key(|rung| rung.height) {
            Some(rung) => Ok(Pick::Rung(rung.name.clone())),
            None => Err(format!(
                "this stream has no rendition {rendition} now; let its ladder make one, or copy another or the source"
            )),
        }
    }
}

impl Flows {
    pub fn new(offer: Offer) -> Self {
        Self { offer, source: Feed::new(UNITS_MAX, BYTES_MAX), rungs: Mutex::default() }
    }

    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// A reader of what was picked, at its newest keyframe, and what it begins with. `None` for a rendition that has nothing yet;
    /// from now on it is kept.
    pub fn reader(&self, pick: &Pick) -> Option<(FeedReader, Source)> {
        let name = match pick {
            Pick::Source => return Some((self.source.subscribe_at_sync(), self.offer.source.clone())),
            Pick::Rung(name) => name,
        };
        let mut rungs = self.rungs();
        let Some(flow) = rungs.iter().find(|flow| flow.name == *name) else {
            rungs.push(RungFlow::new(name));
            return None;
        };
        if !flow.has_begun {
            return None;
        }
        let announced = media::Announced { encoder: self.offer.source.announced.encoder.clone(), ..Default::default() };
        let source = Source { video: flow.video.clone(), audio: flow.audio.clone(), announced };
        Some((flow.feed.subscribe_at_sync(), source))
    }

    pub fn push(&self, item: FeedItem) {
        self.source.push(item);
    }

    /// Sound that is not encoded goes with each rendition as it is. True as [`Flows::encoded`].
    pub fn published(&self, unit: &AccessUnit) -> bool {
        unit.track() == Track::Audio && !self.offer.is_sound_encoded && self.encoded(SOUND, unit)
    }

    /// True when a rendition has its first picture with this.
    pub fn encoded(&self, rendition: &str, unit: &AccessUnit) -> bool {
        let mut begun = false;
        for flow in self.rungs().iter_mut().filter(|flow| flow.name == rendition || rendition == SOUND) {
            begun |= flow.push(unit);
        }
        begun
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn rungs(&self) -> MutexGuard<'_, Vec<RungFlow>> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RungFlow {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interleaver: Interleaver::default(),
            feed: Feed::new(UNITS_MAX, BYTES_MAX),
            video: None,
            audio: None,
            has_begun: false,
        }
    }

    /// True when the first picture comes out.
    fn push(&mut self, unit: &AccessUnit) -> bool {
        if let Some(audio) = unit.audio() {
            self.audio = Some(Arc::clone(audio));
        }
        self.interleaver.push(unit.clone());
        let had_begun = self.has_begun;
        while let Some(unit) = self.interleaver.pop() {
            if let Some(video) = unit.video() {
                self.video = Some(Arc::clone(video));
                self.has_begun |= unit.sync;
            }
            self.feed.push(FeedItem::Unit(unit));
        }
        self.has_begun != had_begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{AudioCodec, ColorInfo, Config, FrameRate, MediaTime, Rung, VideoCodec};

    fn video(height: u32) -> Arc<VideoConfig> {
        Arc::new(VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::from_static(&[1]),
            nal_length_size: 4,
            width: height * 16 / 9,
            height,
            sample_aspect: (1, 1),
            codecs: String::new(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo::UNSPECIFIED,
        })
    }

    fn audio() -> Arc<AudioConfig> {
        let (record, frame_samples) = (Bytes::from_static(&[0x11, 0x90]), 1024);
        let codec = AudioCodec::Aac;
        Arc::new(AudioConfig { codec, record, sample_rate: 48_000, channels: 2, object_type: 2, frame_samples })
    }

    fn offer(height: u32, rungs: &[u32]) -> Offer {
        let rung = |height: &u32| Rung {
            name: format!("{height}p"),
            width: height * 16 / 9,
            height: *height,
            frame_rate: FrameRate { num: 25, den: 1 },
            bitrate_bps: 1_000_000,
        };
        let source = Source { video: Some(video(height)), audio: Some(audio()), ..Source::default() };
        Offer { source, rungs: rungs.iter().map(rung).collect(), is_sound_encoded: false }
    }

    fn unit(config: Config, ms: i64, sync: bool) -> AccessUnit {
        let at = MediaTime::from_millis(ms);
        AccessUnit { config, dts: at, pts: at, sync, data: Bytes::from_static(&[7]) }
    }

    #[test]
    fn a_target_gets_what_it_wants_or_the_next_lower_one() {
        let rung = |name: &str| Ok(Pick::Rung(name.into()));
        let full = offer(1080, &[720, 480]);
        assert_eq!(full.pick(""), Ok(Pick::Source));
        assert_eq!(full.pick("720p"), rung("720p"));
        assert_eq!(full.pick("600p"), rung("480p"));
        assert_eq!(full.pick("1080p"), Ok(Pick::Source), "it is no higher");
        assert_eq!(offer(480, &[360]).pick("720p"), Ok(Pick::Source));
        assert!(full.pick("240p").unwrap_err().contains("no rendition 240p"));
        assert!(full.pick("mobile").is_err());
        let radio = Offer { source: Source { audio: Some(audio()), ..Source::default() }, ..offer(1080, &[]) };
        assert_eq!(radio.pick("720p"), Ok(Pick::Source), "without a picture there is only one");
    }

    #[test]
    fn a_rendition_is_kept_from_when_it_is_wanted_and_goes_with_the_sound() {
        let flows = Flows::new(offer(1080, &[720]));
        let pick = Pick::Rung("720p".into());
        let (picture, sound) = (Config::Video(video(720)), Config::Audio(audio()));
        assert!(!flows.published(&unit(sound.clone(), 0, true)));
        assert!(flows.reader(&pick).is_none(), "nothing yet");
        flows.published(&unit(sound.clone(), 40, true));
        assert!(!flows.encoded("480p", &unit(picture.clone(), 0, true)), "another one");
        assert!(flows.encoded("720p", &unit(picture.clone(), 30, true)), "the first picture");
        assert!(!flows.encoded("720p", &unit(picture, 70, false)));
        assert!(!flows.published(&unit(sound, 80, true)));
        let (mut reader, source) = flows.reader(&pick).unwrap();
        assert_eq!((source.video.unwrap().height, source.audio.unwrap().sample_rate), (720, 48_000));
        let mut seen = Vec::new();
        while let Some(Ok(FeedItem::Unit(unit))) = reader.try_next() {
            seen.push(unit.dts.as_millis());
        }
        assert_eq!(seen, [30, 40, 70]);
    }
}

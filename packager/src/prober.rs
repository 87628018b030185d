use crate::cutter::IRREGULAR;
use crate::session::{AudioFacts, SourceFacts, VideoFacts};
use media::{AccessUnit, Announced, AudioConfig, FeedItem, FrameRate, MediaTime, Track, VideoCodec, VideoConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frame times that are enough to know the frame rate, when a parameter set or the metadata announce the same one.
const STEPS_AGREED: usize = 6;
/// Frame times that are enough without that.
const STEPS_ALONE: usize = 15;
/// The probe ends so long after the first media, with what is known.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// Pictures that were announced are waited for so long: encoders that connect in the middle of a group send none until their
/// next keyframe, and ingest closes one without a keyframe after 15 s.
const PICTURES_WITHIN: Duration = Duration::from_secs(16);
/// Items kept for the packager; a source that sends more within the probe is taken as it is by then.
const ITEMS_MAX: usize = 4096;
/// An announced mean rate below this share of the measured one means a variable frame rate.
const LEFT_OUT: f64 = 0.8;
/// An announced frame rate this near to the measured one (as a share of it) is the better of the two: stamps are whole
/// milliseconds.
const AGREES: f64 = 0.01;
const IRREGULAR_MAX: usize = 2;
const FALLBACK_RATE: FrameRate = FrameRate { num: 30, den: 1 };

/// Looks at the beginning of a source until it is known what it is. It keeps everything it is given, so that nothing is
/// lost: give the items to the [`crate::Packager`] afterwards.
#[derive(Debug, Default)]
pub struct Prober {
    items: Vec<FeedItem>,
    announced: Announced,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    is_patient: bool,
    first: Option<Instant>,
    /// When the first picture came, if none was there after [`PROBE_MAX`].
    first_picture: Option<Instant>,
    key_seen: bool,
    /// Decode times and sizes of the pictures since the first key frame.
    pictures: Vec<(MediaTime, usize)>,
}

impl Prober {
    /// A prober that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One for the beginning of a session: announced pictures are waited for until their first keyframe.
    pub fn patient() -> Self {
        Self { is_patient: true, ..Self::default() }
    }

    /// Takes the next item of the feed; the facts once they are known. Don't push after that.
    pub fn push(&mut self, item: FeedItem, now: Instant) -> Option<SourceFacts> {
        match &item {
            FeedItem::Announced(announced) => self.announced = announced.clone(),
            FeedItem::Unit(unit) => {
                let first = *self.first.get_or_insert(now);
                if self.video.is_none() && unit.video().is_some() && now.saturating_duration_since(first) > PROBE_MAX {
                    self.first_picture = Some(now);
                }
                self.look(unit);
            }
            FeedItem::Break | FeedItem::Lost { .. } => {
                self.pictures.clear();
                self.key_seen = false;
            }
        }
        self.items.push(item);
        self.facts(now)
    }

    /// The facts when time is up; call it about ten times a second while nothing comes. `None` before the first media.
    pub fn tick(&mut self, now: Instant) -> Option<SourceFacts> {
        self.facts(now)
    }

    /// Everything pushed so far, in order.
    pub fn into_items(self) -> Vec<FeedItem> {
        self.items
    }

    fn look(&mut self, unit: &AccessUnit) {
        match unit.track() {
            Track::Audio => self.audio = unit.audio().cloned(),
            Track::Video => {
                if self.video.as_ref().is_some_and(|old| unit.video().is_some_and(|new| old.record != new.record)) {
                    self.pictures.clear();
                    self.key_seen = false;
                }
                self.video = unit.video().cloned();
                self.key_seen |= unit.sync;
                if self.key_seen {
                    self.pictures.push((unit.dts, unit.data.len()));
                }
            }
        }
    }

    fn facts(&self, now: Instant) -> Option<SourceFacts> {
        let since = now.saturating_duration_since(self.first_picture.or(self.first)?);
        let patience = match (&self.video, self.announced.video) {
            (None, Some(true)) if self.is_patient => PICTURES_WITHIN,
            _ => PROBE_MAX,
        };
        let is_late = since >= patience || self.items.len() >= ITEMS_MAX;
        let steps = self.pictures.len().saturating_sub(1);
        let has_rate = steps >= STEPS_ALONE
            || (steps >= STEPS_AGREED && self.measured().is_some_and(|fps| self.agreed(fps).is_some()));
        let complete = match (&self.video, &self.audio) {
            (Some(_), Some(_)) => has_rate,
            // A track the metadata rules out need not be waited for.
            (Some(_), None) => has_rate && self.announced.audio == Some(false),
            (None, Some(_)) => self.announced.video == Some(false),
            (None, None) => false,
        };
        if !(complete || is_late) {
            return None;
        }
        Some(SourceFacts {
            video: self.video.as_ref().map(|config| self.video_facts(config)),
            audio: self
                .audio
                .as_ref()
                .map(|config| AudioFacts { config: Arc::clone(config), passthrough: config.is_passthrough() }),
        })
    }

    fn video_facts(&self, config: &Arc<VideoConfig>) -> VideoFacts {
        let measured = self.measured();
        let frame_rate = match measured {
            Some(fps) => self.agreed(fps).or_else(|| FrameRate::nearest(fps)),
            None => self.claims().find_map(FrameRate::nearest),
        };
        let bytes: usize = self.pictures.iter().map(|p| p.1).sum();
        let seconds = self.pictures.len() as f64 / frame_rate.unwrap_or(FALLBACK_RATE).as_f64();
        VideoFacts {
            config: Arc::clone(config),
            frame_rate: frame_rate.unwrap_or(FALLBACK_RATE),
            bitrate_bps: if seconds > 0.0 { (bytes as f64 * 8.0 / seconds) as u32 } else { 0 },
            passthrough: self.eligible(config),
        }
    }

    /// Whether the video may be repackaged as it is.
    fn eligible(&self, config: &VideoConfig) -> Result<(), String> {
        let refuse = |what: &str, cure: &str| Err(format!("The source {what}, so it is re-encoded; {cure}."));
        if config.bit_depth != 8 || !config.is_420 {
            return refuse(
                "is not 8-bit 4:2:0 video, which players can't show",
                "choose colour format NV12 or I420 in your encoder",
            );
        }
        if config.is_interlaced && config.codec == VideoCodec::H264 {
            return refuse("is interlaced", "choose progressive video in your encoder");
        }
        if self.irregular() >= IRREGULAR_MAX || self.leaves_out_pictures() {
            return refuse("has irregular frame times", "choose a constant frame rate (CFR) in your encoder");
        }
        Ok(())
    }

    /// The metadata gives a mean rate well below the usual frame time: pictures are left out now and then, if not yet.
    fn leaves_out_pictures(&self) -> bool {
        let mean = self.announced.frame_rate.filter(|fps| *fps >= 1.0);
        mean.zip(self.measured()).is_some_and(|(mean, usual)| mean < usual * LEFT_OUT)
    }

    fn irregular(&self) -> usize {
        let Some(usual) = self.median() else { return 0 };
        self.steps().filter(|s| (*s - usual).abs() > IRREGULAR).count()
    }

    fn steps(&self) -> impl Iterator<Item = MediaTime> {
        self.pictures.windows(2).map(|w| w[1].0 - w[0].0)
    }

    fn median(&self) -> Option<MediaTime> {
        let mut steps: Vec<_> = self.steps().filter(|s| *s > MediaTime::ZERO).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied()
    }

    /// Frames per second: the mean of the usual frame times, as stamps in milliseconds make each of them inexact and a
    /// picture left out says nothing about the rate.
    fn measured(&self) -> Option<f64> {
        let median = self.median()?;
        let usual = |s: &MediaTime| s.ticks() * 2 > median.ticks() && s.ticks() * 2 < median.ticks() * 3;
        let (sum, count) =
            self.steps().filter(usual).fold((MediaTime::ZERO, 0), |(sum, count), s| (sum + s, count + 1));
        (count > 0).then(|| f64::from(count) / sum.as_secs_f64())
    }

    /// What the parameter sets and the metadata say.
    fn claims(&self) -> impl Iterator<Item = f64> {
        [self.video.as_ref().and_then(|v| v.frame_rate), self.announced.frame_rate].into_iter().flatten()
    }

    fn agreed(&self, measured: f64) -> Option<FrameRate> {
        self.claims().find(|claim| (claim / measured - 1.0).abs() < AGREES).and_then(FrameRate::nearest)
    }
}

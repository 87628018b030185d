use crate::pacer::Pacer;
use crate::silence::{Hole, Silence};
use crate::tally::Tally;
use crate::{ClockFault, Limits, Normaliser, opus};
use bytes::Bytes;
use media::{
    AccessUnit, AudioCodec, AudioConfig, Config, FeedItem, MediaTime, ParseError, VideoCodec, VideoConfig, aac, h264,
    hevc,
};
use rtmp::Event;
use rtmp::flv::{self, AudioPacket, FlvError, VideoPacket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Turns the media events of one RTMP session into feed items: reads configurations, checks each unit once, puts it on the
/// session's timeline, fills in silence for missing sound, and holds back what comes faster than real time. Pure; no bytes
/// that lie about their lengths get past it.
///
/// A configuration that repeats is ignored; a changed one makes the units behind it carry the new one, and pictures are
/// dropped until the next keyframe. Parameter sets inside pictures are left as they are.
#[derive(Debug)]
pub struct Intake {
    normaliser: Normaliser,
    silence: Silence,
    pacer: Pacer,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    needs_keyframe: bool,
    /// The key frame that pictures need was thrown away here, so its lack is not the publisher's fault.
    has_thrown: bool,
    /// Why the last unreadable configuration was unreadable, for the publisher's screen.
    video_config_error: Option<ParseError>,
    audio_config_error: Option<ParseError>,
    video_waits_since: Option<Instant>,
    audio_waits_since: Option<Instant>,
    keyframe_waits_since: Option<Instant>,
    last_media: Instant,
    fault: Option<ClockFault>,
    tally: Tally,
    configuration_deadline: Duration,
    keyframe_deadline: Duration,
}

/// Why the media of a publisher can't be used; always the publisher's fault. The texts are for the encoder's screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaFault {
    /// A codec we do not take.
    #[error("{0}")]
    Codec(#[from] FlvError),
    /// A configuration of a taken codec that we do not take.
    #[error("{0}; choose another setting in the encoder")]
    Configuration(ParseError),
    /// Frames without their configuration.
    #[error(
        "No {codec} decoder configuration was received within {seconds} s{because}; check the encoder, or restart its stream"
    )]
    NoConfiguration {
        /// H.264, HEVC, AAC or Opus.
        codec: &'static str,
        /// The limit.
        seconds: u64,
        /// Empty, or what was wrong with the one that came.
        because: String,
    },
    /// Pictures without a keyframe.
    #[error(
        "No keyframe (IDR) was received within {seconds} s; set a keyframe interval of 2 s in the encoder and turn intra refresh off"
    )]
    NoKeyframe {
        /// The limit.
        seconds: u64,
    },
}

impl Intake {
    /// An intake for a publisher that was just accepted.
    pub fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            normaliser: Normaliser::new(),
            silence: Silence::default(),
            pacer: Pacer::new(limits.burst_max.into(), limits.burst_bytes_max),
            video: None,
            audio: None,
            needs_keyframe: true,
            has_thrown: false,
            video_config_error: None,
            audio_config_error: None,
            video_waits_since: None,
            audio_waits_since: None,
            keyframe_waits_since: None,
            last_media: now,
            fault: None,
            tally: Tally::default(),
            configuration_deadline: limits.configuration_deadline,
            keyframe_deadline: limits.keyframe_deadline,
        }
    }

    /// Takes one event that came at `now`, which must not go back; `give` gets what is due by then, which may be nothing.
    /// Events that are not media do nothing.
    ///
    /// # Errors
    /// When the publisher's media can't be used; it is to be closed with the text.
    pub fn take(&mut self, event: Event, now: Instant, give: impl FnMut(FeedItem)) -> Result<(), MediaFault> {
        let taken = self.read(event, now);
        if let Some(thrown) = self.pacer.trim() {
            self.tally.burst += thrown.units;
            self.tally.breaks += 1;
            self.needs_keyframe |= thrown.needs_keyframe;
            self.has_thrown |= thrown.needs_keyframe;
            self.normaliser.pull_back(thrown.span);
            self.silence.forget();
        }
        self.release(now, give);
        taken
    }

    /// Gives what was held back and is due by `now`.
    pub fn release(&mut self, now: Instant, give: impl FnMut(FeedItem)) {
        self.pacer.release(now, give);
    }

    /// When [`Intake::release`] has something to give again, seen from `now`, or a little earlier; `None` when nothing is held
    /// back.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.pacer.due(now)
    }

    /// Throws away, counted, what is still held back: nobody waits for it any more.
    pub fn finish(&mut self) {
        self.tally.burst += self.pacer.clear();
    }

    fn read(&mut self, event: Event, now: Instant) -> Result<(), MediaFault> {
        match event {
            Event::Metadata(announced) => {
                self.silence.announce(announced.audio);
                self.pacer.push(FeedItem::Announced(announced), now);
            }
            Event::Video { timestamp, payload } => match flv::parse_video(&payload) {
                Ok(VideoPacket::Config { codec, record }) => self.video_config(codec, record, now)?,
                Ok(VideoPacket::Frame { codec, composition_ms, data }) => {
                    self.picture(codec, timestamp, composition_ms, data, now)?
                }
                Ok(VideoPacket::End | VideoPacket::Ignored) => {}
                Err(FlvError::Truncated(_)) => self.tally.damaged += 1,
                Err(fault) => return Err(fault.into()),
            },
            Event::Audio { timestamp, payload } => match flv::parse_audio(&payload) {
                Ok(AudioPacket::Config { codec, record }) => self.audio_config(codec, record, now)?,
                Ok(AudioPacket::Frame { codec, data }) => self.sound(codec, timestamp, data, now)?,
                Ok(AudioPacket::End | AudioPacket::Ignored) => {}
                Err(FlvError::Truncated(_)) => self.tally.damaged += 1,
                Err(fault) => return Err(fault.into()),
            },
            Event::PublishRequested(_) | Event::Unpublished | Event::PlayRequested(_) | Event::PlayStopped => {}
        }
        Ok(())
    }

    /// When a frame or a configuration came last; the time of creation before the first.
    pub fn last_media(&self) -> Instant {
        self.last_media
    }

    /// What was found wrong with the publisher's clock since this was asked last.
    pub fn take_fault(&mut self) -> Option<ClockFault> {
        self.fault.take()
    }

    /// The counts so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn add_bytes(&mut self, bytes: usize) {
        self.tally.bytes += bytes as u64;
    }

    /// The configurations in force, for the log.
    pub(crate) fn configs(&self) -> (Option<&VideoConfig>, Option<&AudioConfig>) {
        (self.video.as_deref(), self.audio.as_deref())
    }

    fn video_config(&mut self, codec: VideoCodec, record: Bytes, now: Instant) -> Result<(), MediaFault> {
        self.last_media = now;
        if self.video.as_ref().is_some_and(|v| v.codec == codec && v.record == record) {
            return Ok(());
        }
        let parsed = match codec {
            VideoCodec::H264 => h264::parse_config(&record),
            VideoCodec::Hevc => hevc::parse_config(&record),
        };
        match parsed {
            Ok(config) => {
                self.video = Some(Arc::new(config));
                self.video_waits_since = None;
                self.needs_keyframe = true;
            }
            Err(fault @ ParseError::Unsupported { .. }) => return Err(MediaFault::Configuration(fault)),
            // A damaged repetition must not end a show that runs; a first one ends at the deadline, with this reason.
            Err(fault) => {
                self.tally.damaged += 1;
                self.video_config_error = Some(fault);
            }
        }
        Ok(())
    }

    fn audio_config(&mut self, codec: AudioCodec, record: Bytes, now: Instant) -> Result<(), MediaFault> {
        self.last_media = now;
        if self.audio.as_ref().is_some_and(|a| a.codec == codec && a.record == record) {
            return Ok(());
        }
        let parsed = match codec {
            AudioCodec::Aac => aac::parse_config(&record),
            AudioCodec::Opus => Ok(opus::config(record)),
        };
        match parsed {
            Ok(config) => {
                self.audio = Some(Arc::new(config));
                self.audio_waits_since = None;
            }
            Err(fault @ ParseError::Unsupported { .. }) => return Err(MediaFault::Configuration(fault)),
            Err(fault) => {
                self.tally.damaged += 1;
                self.audio_config_error = Some(fault);
            }
        }
        Ok(())
    }

    fn picture(
        &mut self,
        codec: VideoCodec,
        timestamp: u32,
        composition_ms: i32,
        data: Bytes,
        now: Instant,
    ) -> Result<(), MediaFault> {
        self.last_media = now;
        let Some(config) = self.video.clone().filter(|v| v.codec == codec) else {
            self.tally.without_config += 1;
            let since = *self.video_waits_since.get_or_insert(now);
            let name = if codec == VideoCodec::H264 { "H.264" } else { "HEVC" };
            return self.check_configuration(since, now, name, self.video_config_error.as_ref());
        };
        let sync = match survey(&data, codec, config.nal_length_size) {
            Survey::Picture { sync } => sync,
            Survey::NoPicture => {
                self.tally.empty += 1;
                return Ok(());
            }
            Survey::Damaged => {
                self.tally.damaged += 1;
                return Ok(());
            }
        };
        if self.needs_keyframe && !sync {
            self.tally.without_keyframe += 1;
            if self.has_thrown {
                return Ok(());
            }
            let since = *self.keyframe_waits_since.get_or_insert(now);
            if now.duration_since(since) >= self.keyframe_deadline {
                return Err(MediaFault::NoKeyframe { seconds: self.keyframe_deadline.as_secs() });
            }
            return Ok(());
        }
        self.needs_keyframe = false;
        self.has_thrown = false;
        self.keyframe_waits_since = None;
        let placed = self.normaliser.video(timestamp, composition_ms, now);
        self.note_fault();
        let Some(placed) = placed else {
            self.tally.overlapping += 1;
            (self.needs_keyframe, self.has_thrown) = (true, true);
            return Ok(());
        };
        self.tally.video_units += 1;
        self.note_break(placed.is_break, now);
        if let Some(hole) = self.silence.picture(placed.dts, now, self.audio.as_ref()) {
            self.fill_behind(&hole, now);
        }
        let config = Config::Video(config);
        self.pacer.push(FeedItem::Unit(AccessUnit { config, dts: placed.dts, pts: placed.pts, sync, data }), now);
        Ok(())
    }

    fn sound(&mut self, codec: AudioCodec, timestamp: u32, data: Bytes, now: Instant) -> Result<(), MediaFault> {
        self.last_media = now;
        let Some(config) = self.audio.clone().filter(|a| a.codec == codec) else {
            self.tally.without_config += 1;
            let since = *self.audio_waits_since.get_or_insert(now);
            // A show with a picture goes on without sound rather than not at all.
            if self.video.is_some() {
                return Ok(());
            }
            let name = if codec == AudioCodec::Aac { "AAC" } else { "Opus" };
            return self.check_configuration(since, now, name, self.audio_config_error.as_ref());
        };
        let samples = if codec == AudioCodec::Aac { Some(config.frame_samples) } else { opus::samples(&data) };
        let Some(samples) = samples else {
            self.tally.damaged += 1;
            return Ok(());
        };
        let placed = self.normaliser.audio(timestamp, samples, config.sample_rate, now);
        self.tally.reanchored = self.normaliser.reanchored();
        self.note_fault();
        let Some(placed) = placed else {
            self.tally.overlapping += 1;
            self.silence.heard();
            return Ok(());
        };
        self.tally.audio_units += 1;
        self.note_break(placed.is_break, now);
        let end = placed.dts + MediaTime::from_units(i64::from(samples), config.sample_rate);
        if let Some(hole) = self.silence.sound(placed.dts, end, &config) {
            self.fill_before(&hole, now);
        }
        let config = Config::Audio(config);
        self.pacer.push(FeedItem::Unit(AccessUnit { config, dts: placed.dts, pts: placed.pts, sync: true, data }), now);
        Ok(())
    }

    /// Makes the span silent behind the sound so far.
    fn fill_behind(&mut self, hole: &Hole, now: Instant) {
        let rate = hole.config.sample_rate;
        while let Some(at) = self.normaliser.silence(hole.from, hole.until, hole.samples, rate) {
            self.tally.silent_units += 1;
            self.silence.given(at + MediaTime::from_units(i64::from(hole.samples), rate));
            self.pacer.push(FeedItem::Unit(hole.unit(at)), now);
        }
    }

    /// Makes the span silent before a frame that has its place already.
    fn fill_before(&mut self, hole: &Hole, now: Instant) {
        let time = |frames: i64| MediaTime::from_units(frames * i64::from(hole.samples), hole.config.sample_rate);
        for at in (0..).map(|n| hole.from + time(n)).take_while(|at| *at + time(1) <= hole.until) {
            self.tally.silent_units += 1;
            self.pacer.push(FeedItem::Unit(hole.unit(at)), now);
        }
    }

    fn note_break(&mut self, is_break: bool, now: Instant) {
        if is_break {
            self.tally.breaks += 1;
            self.silence.forget();
            self.pacer.push(FeedItem::Break, now);
        }
    }

    fn note_fault(&mut self) {
        if let Some(fault) = self.normaliser.take_fault() {
            self.tally.clock_faults += 1;
            self.fault = Some(fault);
        }
    }

    fn check_configuration(
        &self,
        since: Instant,
        now: Instant,
        codec: &'static str,
        error: Option<&ParseError>,
    ) -> Result<(), MediaFault> {
        if now.duration_since(since) < self.configuration_deadline {
            return Ok(());
        }
        let because = error.map(|e| format!(" ({e})")).unwrap_or_default();
        Err(MediaFault::NoConfiguration { codec, seconds: self.configuration_deadline.as_secs(), because })
    }
}

enum Survey {
    Picture { sync: bool },
    NoPicture,
    Damaged,
}

/// Walks the NAL units once: their lengths must fill the unit exactly, and the first slice says whether it is an IDR.
fn survey(data: &[u8], codec: VideoCodec, length_size: u8) -> Survey {
    let length_size = usize::from(length_size);
    let mut rest = data;
    let mut sync = None;
    while !rest.is_empty() {
        let Some((length, after)) = rest.split_at_checked(length_size) else { return Survey::Damaged };
        let length = length.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let Some((nal, after)) = after.split_at_checked(length) else { return Survey::Damaged };
        rest = after;
        if sync.is_none() && !nal.is_empty() {
            sync = match codec {
                VideoCodec::H264 => {
                    Some(h264::nal_type(nal)).filter(|t| (1..=h264::NAL_IDR).contains(t)).map(|t| t == h264::NAL_IDR)
                }
                // 0 to 31 are slices, 19 and 20 IDR (ITU-T H.265, table 7-1).
                VideoCodec::Hevc => Some(hevc::nal_type(nal)).filter(|t| *t < 32).map(|t| matches!(t, 19 | 20)),
            };
        }
    }
    sync.map_or(Survey::NoPicture, |sync| Survey::Picture { sync })
}

#[cfg(test)]
mod tests;

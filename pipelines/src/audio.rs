//! Audio that can't be passed through: decoded, made stereo at 48 kHz, and encoded to AAC-LC with true stamps.

use crate::counters::Counters;
use crate::launch::{Graph, clock_time, running_time};
use crate::{Error, plugins};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::AppSinkCallbacks;
use media::{AudioCodec, AudioConfig, MediaTime};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Samples per second of everything encoded here.
pub(crate) const RATE: u32 = 48_000;
/// Samples in an AAC frame.
const FRAME: u64 = 1024;
/// AudioSpecificConfig of AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3, 1.6.2.1). Written by us, as `avenc_aac` appends an SBR
/// extension that some players take for HE-AAC.
pub(crate) const CONFIG: [u8; 2] = [0x11, 0x90];
/// The best encoder first.
const ENCODERS: [&str; 2] = ["avenc_aac", "voaacenc"];
/// Drift between stamps and samples that is let be; ffmpeg's and GStreamer's default resync is twice as much.
const DRIFT_MAX: MediaTime = MediaTime::from_millis(20);
/// A hole up to this long becomes silence, a longer one stays a hole in the stamps.
const SILENCE_MAX: MediaTime = MediaTime::from_millis(2_000);
/// A graph that does not empty itself in this time is given up.
const DRAIN_WAIT: Duration = Duration::from_secs(2);
/// What is taken off when the priming can't be measured: ffmpeg's encoder has one frame.
const PRIMING_ASSUMED: i64 = 1024;

/// One interleaved stereo sample pair as `f32`, little-endian.
const PAIR: usize = 8;

/// Which sample of the encoder's input stands at which time.
#[derive(Debug, Default)]
struct SampleClock {
    /// (first sample, its time), newest last.
    anchors: VecDeque<(u64, MediaTime)>,
    samples: u64,
}

/// What to do with some decoded samples before they are encoded.
#[derive(Debug, PartialEq, Eq)]
struct Fit {
    silence: u64,
    skip: u64,
}

impl SampleClock {
    /// Takes `count` samples that claim to start at `pts`.
    fn take(&mut self, pts: MediaTime, count: u64) -> Fit {
        let Some((first, at)) = self.anchors.back().copied() else {
            self.anchors.push_back((0, pts));
            self.samples = count;
            return Fit { silence: 0, skip: 0 };
        };
        let expected = at + samples_time(self.samples - first);
        let drift = pts - expected;
        let mut fit = Fit { silence: 0, skip: 0 };
        if drift.abs() > DRIFT_MAX {
            let samples = (i128::from(drift.abs().ticks()) * i128::from(RATE) / i128::from(MediaTime::HZ)) as u64;
            if drift < MediaTime::ZERO {
                fit.skip = samples.min(count);
            } else if drift <= SILENCE_MAX {
                fit.silence = samples;
            } else {
                self.anchors.push_back((self.samples, pts));
                if self.anchors.len() > 16 {
                    self.anchors.pop_front();
                }
            }
        }
        self.samples += count + fit.silence - fit.skip;
        fit
    }

    /// Time of a sample; those before the first count back from it.
    fn time_of(&self, sample: i64) -> Option<MediaTime> {
        let anchor = self
            .anchors
            .iter()
            .rev()
            .find(|(first, _)| i64::try_from(*first).is_ok_and(|first| first <= sample))
            .or(self.anchors.front());
        anchor.map(|(first, at)| *at + MediaTime::from_units(sample - i64::try_from(*first).unwrap_or(0), RATE))
    }
}

fn samples_time(count: u64) -> MediaTime {
    MediaTime::from_units(i64::try_from(count).unwrap_or(i64::MAX), RATE)
}

/// Encodes 48 kHz stereo to AAC-LC.
#[derive(Debug)]
pub(crate) struct AudioEncoder {
    graph: Graph,
    /// In a mutex only because the decoder's thread shares the encoder.
    drained: Mutex<Receiver<()>>,
    clock: Arc<Mutex<SampleClock>>,
}

impl AudioEncoder {
    /// Starts one at this bit rate. `give` gets each frame with the time of its first sample, priming taken off.
    ///
    /// # Errors
    /// When no AAC encoder is there or none starts.
    pub fn start(bitrate_bps: u32, give: impl Fn(MediaTime, Bytes) + Send + 'static) -> Result<Self, Error> {
        let element = ENCODERS
            .into_iter()
            .find(|e| plugins::has(e))
            .ok_or_else(|| Error::Element { element: ENCODERS[0].to_owned() })?;
        let priming = measure_priming(element).unwrap_or(PRIMING_ASSUMED);
        Self::start_with(element, bitrate_bps, priming, give)
    }

    fn start_with(
        element: &str,
        bitrate_bps: u32,
        priming: i64,
        give: impl Fn(MediaTime, Bytes) + Send + 'static,
    ) -> Result<Self, Error> {
        let graph = Graph::parse(include_str!("../launch/audio-encode.launch"), element)?;
        graph.set("encoder", "bitrate", &bitrate_bps.to_string());
        graph.input.set_caps(Some(&pcm_caps()));
        let clock = Arc::new(Mutex::new(SampleClock::default()));
        let times = Arc::clone(&clock);
        let (ended, drained) = sync_channel(1);
        let mut frames = 0i64;
        graph.output.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let start = frames * FRAME as i64 - priming;
                    frames += 1;
                    let pts = times.lock().unwrap_or_else(PoisonError::into_inner).time_of(start);
                    if let (Some(pts), Some(Ok(data))) = (pts, sample.buffer().map(gst::BufferRef::map_readable)) {
                        give(pts, Bytes::copy_from_slice(data.as_slice()));
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .eos(move |_| {
                    let _waiting = ended.try_send(());
                })
                .build(),
        );
        graph.play(|_| {})?;
        Ok(Self { graph, drained: Mutex::new(drained), clock })
    }

    /// Gives it interleaved stereo `f32` samples that start at `pts`; blocks while it is busy. `false` when it has failed.
    pub fn push(&self, pts: MediaTime, pcm: &[u8]) -> bool {
        let (fit, at) = {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            let at = clock.samples;
            (clock.take(pts, (pcm.len() / PAIR) as u64), at)
        };
        let mut data = vec![0u8; fit.silence as usize * PAIR];
        data.extend_from_slice(pcm.get(fit.skip as usize * PAIR..).unwrap_or_default());
        if data.is_empty() {
            return true;
        }
        let mut buffer = gst::Buffer::from_mut_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            // The encoder's own stamps count samples from zero; the clock gives them their time.
            buffer.set_pts(clock_time(samples_time(at)));
        }
        self.graph.input.push_buffer(buffer).is_ok()
    }

    /// Takes everything out of it and stops it.
    pub fn drain(self) {
        if self.graph.input.end_of_stream().is_ok() {
            let _late = self.drained.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(DRAIN_WAIT);
        }
    }
}

fn pcm_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("rate", RATE as i32)
        .field("channels", 2i32)
        .field("channel-mask", gst::Bitmask::new(3))
        .build()
}

/// Decodes any AAC or Opus to 48 kHz stereo and encodes it anew.
#[derive(Debug)]
pub(crate) struct AudioTranscoder {
    graph: Graph,
    drained: Receiver<()>,
    encoder: Arc<AudioEncoder>,
}

impl AudioTranscoder {
    /// Starts a decoder for this configuration in front of an encoder.
    ///
    /// # Errors
    /// When an element is missing or does not start.
    pub fn start(config: &AudioConfig, encoder: Arc<AudioEncoder>, counters: Arc<Counters>) -> Result<Self, Error> {
        let element = if config.codec == AudioCodec::Aac { "avdec_aac" } else { "opusdec" };
        if !plugins::has(element) {
            return Err(Error::Element { element: element.to_owned() });
        }
        let graph = Graph::parse(include_str!("../launch/audio-decode.launch"), element)?;
        graph.input.set_caps(Some(&coded_caps(config)));
        let (ended, drained) = sync_channel(1);
        let target = Arc::clone(&encoder);
        graph.output.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
                    let pts = running_time(sample.segment(), buffer.pts());
                    match (pts, buffer.map_readable()) {
                        (Some(pts), Ok(pcm)) if target.push(pts, &pcm) => Ok(gst::FlowSuccess::Ok),
                        (Some(_), Ok(_)) => Err(gst::FlowError::Error),
                        _ => {
                            counters.add_damaged();
                            Ok(gst::FlowSuccess::Ok)
                        }
                    }
                })
                .eos(move |_| {
                    let _waiting = ended.try_send(());
                })
                .build(),
        );
        graph.play(|_| {})?;
        Ok(Self { graph, drained, encoder })
    }

    /// Gives it one coded frame; blocks while it is busy. `false` when it has failed.
    pub fn push(&self, pts: MediaTime, data: Bytes) -> bool {
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock_time(pts));
        }
        self.graph.input.push_buffer(buffer).is_ok()
    }

    /// Takes everything out of the decoder and gives the encoder back.
    pub fn drain(self) -> Arc<AudioEncoder> {
        if self.graph.input.end_of_stream().is_ok() {
            let _late = self.drained.recv_timeout(DRAIN_WAIT);
        }
        self.encoder
    }
}

fn coded_caps(config: &AudioConfig) -> gst::Caps {
    match config.codec {
        AudioCodec::Aac => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("rate", config.sample_rate as i32)
            .field("channels", i32::from(config.channels))
            .field("codec_data", gst::Buffer::from_slice(config.record.clone()))
            .build(),
        // Mapping family 0 (RFC 7845, 5.1.1.1): mono or stereo in one stream.
        AudioCodec::Opus => gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .field("rate", RATE as i32)
            .field("channels", i32::from(config.channels.min(2)))
            .build(),
    }
}

/// Samples an encoder puts before the first one it was given, measured by coding a click and looking where it comes
/// out. `None` when it does not come out.
fn measure_priming(element: &str) -> Option<i64> {
    const CLICK: usize = 6000;
    const LENGTH: usize = 16 * FRAME as usize;
    let frames = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&frames);
    let encoder = AudioEncoder::start_with(element, 256_000, 0, move |_, data| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(data)
    })
    .ok()?;
    let mut pcm = vec![0u8; LENGTH * PAIR];
    for channel in 0..2 {
        let at = CLICK * PAIR + channel * 4;
        pcm[at..at + 4].copy_from_slice(&0.9f32.to_le_bytes());
    }
    encoder.push(MediaTime::ZERO, &pcm);
    encoder.drain();
    let config = AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&CONFIG),
        sample_rate: RATE,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    };
    let graph = Graph::parse(include_str!("../launch/audio-decode.launch"), "avdec_aac").ok()?;
    graph.input.set_caps(Some(&coded_caps(&config)));
    graph.play(|_| {}).ok()?;
    let frames = std::mem::take(&mut *frames.lock().unwrap_or_else(PoisonError::into_inner));
    let reader = std::thread::spawn({
        let output = graph.output.clone();
        move || {
            let (mut loudest, mut at, mut samples) = (0.0f32, None, 0i64);
            while let Some(sample) = output.try_pull_sample(gst::ClockTime::from_seconds(1)) {
                let Some(Ok(data)) = sample.buffer().map(gst::BufferRef::map_readable) else { break };
                for pair in data.chunks_exact(PAIR) {
                    let level = f32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]).abs();
                    if level > loudest {
                        (loudest, at) = (level, Some(samples));
                    }
                    samples += 1;
                }
            }
            at.filter(|_| loudest > 0.1)
        }
    });
    for (n, data) in frames.into_iter().enumerate() {
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock_time(samples_time(n as u64 * FRAME)));
        }
        graph.input.push_buffer(buffer).ok()?;
    }
    graph.input.end_of_stream().ok()?;
    let found = reader.join().ok()??;
    Some(found - CLICK as i64).filter(|priming| (0..=4 * FRAME as i64).contains(priming))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: MediaTime = MediaTime::from_millis(10_000);

    #[test]
    fn steady_samples_keep_their_time() {
        let mut clock = SampleClock::default();
        for n in 0..100 {
            let jitter = MediaTime::from_millis(n % 3);
            assert_eq!(clock.take(AT + samples_time(n as u64 * 1024) + jitter, 1024), Fit { silence: 0, skip: 0 });
        }
        assert_eq!(clock.time_of(48_000), Some(AT + MediaTime::from_millis(1000)));
        assert_eq!(clock.time_of(-1024), Some(AT + MediaTime::from_units(-1024, RATE)));
    }

    #[test]
    fn a_short_hole_becomes_silence() {
        let mut clock = SampleClock::default();
        clock.take(AT, 4800);
        assert_eq!(clock.take(AT + MediaTime::from_millis(300), 4800), Fit { silence: 9600, skip: 0 });
        assert_eq!(clock.time_of(14_400), Some(AT + MediaTime::from_millis(300)));
    }

    #[test]
    fn an_overlap_is_skipped() {
        let mut clock = SampleClock::default();
        clock.take(AT, 4800);
        assert_eq!(clock.take(AT + MediaTime::from_millis(50), 4800), Fit { silence: 0, skip: 2400 });
    }

    #[test]
    fn a_long_hole_stays_a_hole() {
        let mut clock = SampleClock::default();
        clock.take(AT, 4800);
        assert_eq!(clock.take(AT + MediaTime::from_millis(9000), 4800), Fit { silence: 0, skip: 0 });
        assert_eq!(clock.time_of(4800), Some(AT + MediaTime::from_millis(9000)));
        assert_eq!(clock.time_of(4799), Some(AT + MediaTime::from_units(4799, RATE)));
    }
}

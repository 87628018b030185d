//! The multivariant playlists, and the bandwidths they declare.

use crate::bandwidth::Meter;
use crate::coding::{AudioCoding, VideoCoding};
use m3u8_rs::{
    AlternativeMedia, AlternativeMediaType, ClosedCaptionGroupId, InstreamId, MasterPlaylist, QuotedOrUnquoted,
    Resolution, VariantStream,
};
use media::{FrameRate, MediaTime, VideoConfig};
use std::collections::HashMap;

/// A declared peak is this much above the measured one, so that it stays an upper bound while the content changes, and
/// within the 25 % Apple's rules allow for live (1.27).
const PEAK_HEADROOM: f64 = 1.15;
const AVERAGE_HEADROOM: f64 = 1.08;
/// As much more when nothing was measured yet, falling to nothing within `SETTLED`: a variable bit rate shows its peak late
/// (a film trailer had twice its first five seconds' rate half a minute on).
const EARLY_HEADROOM: f64 = 0.6;
const SETTLED: MediaTime = MediaTime::from_millis(60_000);
/// A measurement this long replaces what was known beforehand.
const MEASURED: MediaTime = MediaTime::from_millis(5_000);
/// A measured rate may come this near to the declared one before that is raised.
const NEAR: f64 = 1.02;
/// A declared rate this far from what would be declared now is declared anew.
const STALE: f64 = 0.05;
/// Bits per pixel of ordinary H.264: 1.9 Mb/s for 1280x720 at 30 frames per second.
const USUAL_BITS_PER_PIXEL: f64 = 0.07;
/// An encoder at a low load may stay far below its target; a declared peak beyond this is misleading (3 is a fault).
const HINT_MAX: f64 = 2.5;

const AUDIO_GROUP: &str = "audio";
const CAPTIONS_GROUP: &str = "cc";

/// What a playlist says of a rendition's bit rate: never below what was measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Declared {
    /// What an encoder may use, though it may not have yet.
    told_bps: f64,
    /// An encoder of ours was told so; else it is what is usual for the picture size, believed only at first.
    is_rung: bool,
    peak_bps: f64,
    average_bps: f64,
}

impl Declared {
    /// For a source, whose bit rate was guessed from a short probe, and from what is usual.
    pub fn guessed(bps: f64, usual_bps: f64) -> Self {
        let peak_bps = (bps * (1.0 + EARLY_HEADROOM)).max(usual_bps.min(bps * HINT_MAX));
        Self { told_bps: usual_bps, is_rung: false, peak_bps, average_bps: bps.max(peak_bps / 2.0) }
    }

    /// For a rung, whose encoder was told its bit rate.
    pub fn told(bps: f64) -> Self {
        Self { told_bps: bps * PEAK_HEADROOM, is_rung: true, peak_bps: bps * PEAK_HEADROOM, average_bps: bps }
    }

    /// For what is recorded: exactly what was measured.
    pub fn measured(peak_bps: f64, average_bps: f64) -> Self {
        Self { peak_bps: peak_bps.max(average_bps), average_bps, ..Self::default() }
    }

    /// Takes a measurement into account.
    pub fn update(&mut self, meter: &Meter) {
        let (peak, average) = (meter.peak_bps(), meter.average_bps());
        let early = EARLY_HEADROOM * (1.0 - meter.length().as_secs_f64() / SETTLED.as_secs_f64()).max(0.0);
        let told = if self.is_rung || early > 0.0 { self.told_bps } else { 0.0 };
        let mut wanted_peak = (peak * (PEAK_HEADROOM + early)).max(told.min(peak * HINT_MAX));
        let mut wanted_average = average * (AVERAGE_HEADROOM + early);
        if meter.length() < MEASURED {
            wanted_peak = wanted_peak.max(self.peak_bps);
            wanted_average = wanted_average.max(self.average_bps);
        }
        let renew = |declared: &mut f64, measured: f64, wanted: f64| {
            if measured * NEAR > *declared || (wanted - *declared).abs() > *declared * STALE {
                *declared = wanted;
            }
        };
        renew(&mut self.peak_bps, peak, wanted_peak);
        renew(&mut self.average_bps, average, wanted_average);
        self.average_bps = self.average_bps.min(self.peak_bps);
    }

    /// What was really there, for a playlist that has ended.
    pub fn settle(&mut self, meter: &Meter) {
        if meter.average_bps() > 0.0 {
            *self = Self::measured(meter.peak_bps(), meter.average_bps());
        }
    }

    /// The two rates in whole bits per second: BANDWIDTH and AVERAGE-BANDWIDTH.
    fn rates(self, more: Self, overhead: impl Fn(f64) -> f64) -> (u64, u64) {
        let sum = |a: f64, b: f64| overhead(a + b).ceil().max(1.0) as u64;
        let peak = sum(self.peak_bps, more.peak_bps);
        (peak, sum(self.average_bps, more.average_bps).min(peak))
    }
}

/// What encoders usually make of such pictures, in bits per second.
pub(crate) fn usual_bps(config: &VideoConfig, rate: FrameRate) -> f64 {
    f64::from(config.width) * f64::from(config.height) * rate.as_f64() * USUAL_BITS_PER_PIXEL
}

/// A video variant as the playlist describes it.
#[derive(Debug)]
pub(crate) struct Variant {
    pub id: String,
    pub coding: VideoCoding,
    pub declared: Declared,
}

/// The audio rendition.
#[derive(Debug)]
pub(crate) struct Audio {
    pub id: String,
    pub coding: AudioCoding,
    pub declared: Declared,
}

/// Writes a multivariant playlist; `None` when there is nothing to list. `folder` stands in front of the URIs. Nothing is said of
/// captions while nobody knows whether there are any. With `ts`, audio is muxed into the variants.
pub(crate) fn render(
    folder: &str,
    variants: &[Variant],
    audio: Option<&Audio>,
    captions: Option<bool>,
    ts: bool,
) -> Option<String> {
    let suffix = if ts { "ts.m3u8" } else { "m3u8" };
    let uri = |id: &str| format!("{folder}{id}.{suffix}");
    let mut list =
        MasterPlaylist { version: Some(if ts { 3 } else { 6 }), independent_segments: true, ..Default::default() };
    let grouped = !ts && !variants.is_empty();
    if let Some(audio) = audio.filter(|_| grouped) {
        list.alternatives.push(AlternativeMedia {
            media_type: AlternativeMediaType::Audio,
            uri: Some(uri(&audio.id)),
            group_id: AUDIO_GROUP.into(),
            language: Some("und".into()),
            name: "Main".into(),
            default: true,
            autoselect: true,
            channels: Some(audio.coding.channels.to_string()),
            ..Default::default()
        });
    }
    if captions == Some(true) && !variants.is_empty() {
        list.alternatives.push(AlternativeMedia {
            media_type: AlternativeMediaType::ClosedCaptions,
            group_id: CAPTIONS_GROUP.into(),
            language: Some("und".into()),
            name: "Captions".into(),
            default: true,
            autoselect: true,
            instream_id: Some(InstreamId::CC(1)),
            ..Default::default()
        });
    }
    for variant in variants {
        let audio_rate = audio.map_or(Declared::default(), |a| a.declared);
        let fps = variant.coding.frame_rate.as_f64();
        let (bandwidth, average) = variant.declared.rates(audio_rate, |bps| if ts { ts_rate(bps, fps) } else { bps });
        let codecs = [Some(variant.coding.codecs.clone()), audio.map(|a| a.coding.codecs.clone())];
        list.variants.push(VariantStream {
            uri: uri(&variant.id),
            bandwidth,
            average_bandwidth: Some(average),
            codecs: Some(codecs.into_iter().flatten().collect::<Vec<_>>().join(",")),
            resolution: Some(Resolution { width: variant.coding.width.into(), height: variant.coding.height.into() }),
            frame_rate: Some((fps * 1000.0).round() / 1000.0),
            audio: audio.filter(|_| grouped).map(|_| AUDIO_GROUP.into()),
            closed_captions: captions.map(|seen| match seen {
                true => ClosedCaptionGroupId::GroupId(CAPTIONS_GROUP.into()),
                false => ClosedCaptionGroupId::None,
            }),
            other_attributes: Some(HashMap::from([(
                "VIDEO-RANGE".into(),
                QuotedOrUnquoted::Unquoted(video_range(&variant.coding).into()),
            )])),
            ..Default::default()
        });
    }
    if let Some(audio) = audio.filter(|_| variants.is_empty()) {
        let frames = f64::from(audio.coding.sample_rate) / 1024.0;
        let (bandwidth, average) =
            audio.declared.rates(Declared::default(), |bps| if ts { ts_rate(bps, frames / 6.0) } else { bps });
        list.variants.push(VariantStream {
            uri: uri(&audio.id),
            bandwidth,
            average_bandwidth: Some(average),
            codecs: Some(audio.coding.codecs.clone()),
            ..Default::default()
        });
    }
    if list.variants.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(1024);
    list.write_to(&mut out).expect("a Vec takes any number of bytes");
    Some(String::from_utf8(out).expect("names and numbers are UTF-8"))
}

/// What MPEG-TS makes of a bit rate: 4 bytes in 188, half a packet of stuffing and a header per PES packet, PAT and PMT 16
/// times a segment, ADTS headers.
fn ts_rate(bps: f64, pes_per_second: f64) -> f64 {
    bps * (188.0 / 184.0) + 8.0 * (pes_per_second * 117.0 + 6.0 * 140.0 + 48.0 * 7.0 + 16.0 * 188.0)
}

/// VIDEO-RANGE from the transfer characteristics of ITU-T H.273.
fn video_range(coding: &VideoCoding) -> &'static str {
    match coding.transfer {
        16 => "PQ",
        18 => "HLG",
        _ => "SDR",
    }
}

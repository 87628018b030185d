//! One reader's graph: its two sources, how far it is behind, and what is left out when that is too far.

use super::shelf::Unit;
use super::{Counters, Shared};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use gstreamer_rtsp_server::RTSPMedia;
use gstreamer_rtsp_server::prelude::*;
use media::{AudioCodec, AudioConfig, MediaTime, Track, VideoCodec, VideoConfig};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What may wait in a reader's graph beside the group of pictures it began with: then whole groups are left out, to the next IDR
/// that finds less than half of it. At 6 Mbit/s it is ten seconds.
const WAITING_MAX: u64 = 8 << 20;
/// Sinks would hold a picture back to its time on the graph's clock. All of them are to leave at once, as they are live, so their
/// time is moved far into the past.
const OFFSET_NANOS: i64 = -24 * 3_600 * 1_000_000_000;
/// Bytes of a packet at most. A reader may ask for others (Blocksize), but of very small ones a picture is a hundred thousand.
const PACKET_BYTES: u32 = 1_400;
const PACKET_BYTES_ASKED: std::ops::RangeInclusive<u32> = 500..=1_500;
/// What the packers are called in the graph.
const PACKERS: [&str; 2] = ["pay0", "pay1"];
/// The sinks the library makes for TCP and for UDP.
const SINKS: [&str; 2] = ["appsink", "multiudpsink"];

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    video: Option<AppSrc>,
    audio: Option<AppSrc>,
    /// The first decode time it got, which is zero for it.
    zero: Option<MediaTime>,
    /// What it began with, bytes, which may wait beside the usual.
    begun_with: u64,
    /// It has to begin at an entry, as it has just come or was left behind.
    is_out: bool,
    /// The newest decode times it got, of pictures and of sound.
    newest: [Option<MediaTime>; 2],
}

/// Puts the sources into a graph the library has just made for a reader, with what the shelf holds. Called from the thread of its
/// connection.
pub(super) fn furnish(shared: &Arc<Shared>, media: &RTSPMedia) {
    let Ok(bin) = media.element().downcast::<gst::Bin>() else { return };
    for packer in PACKERS.iter().filter_map(|name| bin.by_name(name)) {
        packer.connect_notify(Some("mtu"), |packer, _| {
            if !PACKET_BYTES_ASKED.contains(&packer.property::<u32>("mtu")) {
                packer.set_property("mtu", PACKET_BYTES);
            }
        });
    }
    let source = |name: &str| bin.by_name(name).and_then(|element| element.downcast::<AppSrc>().ok());
    let reader = Reader {
        video: source("video"),
        audio: source("audio"),
        zero: None,
        begun_with: 0,
        is_out: true,
        newest: [None; 2],
    };
    let pipeline = bin.parent().and_then(|parent| parent.downcast::<gst::Pipeline>().ok());
    let mut shelf = shared.shelf();
    if let Some(pipeline) = pipeline {
        // The stamps of a reader begin at the IDR behind it, so its clock began as long ago: sender reports tie stamps to clocks.
        let clock = gst::SystemClock::obtain();
        let behind = gst::ClockTime::from_nseconds(shelf.span().as_nanos().max(0).unsigned_abs());
        pipeline.use_clock(Some(&clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(clock.time().saturating_sub(behind));
        pipeline.connect_deep_element_added(|_, _, element| {
            if element.factory().is_some_and(|factory| SINKS.contains(&factory.name().as_str())) {
                element.set_property("ts-offset", OFFSET_NANOS);
            }
        });
    }
    shelf.seat(reader, &shared.counters);
}

impl Reader {
    /// What follows is of these configurations.
    pub(super) fn configure(&self, video: Option<&VideoConfig>, audio: Option<&AudioConfig>) {
        if let (Some(source), Some(config)) = (&self.video, video) {
            source.set_caps(Some(&video_caps(config)));
        }
        if let (Some(source), Some(config)) = (&self.audio, audio) {
            source.set_caps(Some(&audio_caps(config)));
        }
    }

    /// Gives it a unit, or counts it as lost where too many wait. Never blocks. `false` when its graph is gone.
    pub(super) fn give(&mut self, unit: &Unit, counters: &Counters) -> bool {
        let (source, newest) = match unit.track {
            Track::Video => (&self.video, 0),
            Track::Audio => (&self.audio, 1),
        };
        let Some(source) = source else { return true };
        let waiting = self.waiting();
        if self.is_out {
            let has_room = self.zero.is_none() || waiting < WAITING_MAX / 2;
            if !unit.sync || !has_room {
                counters.units_lost.fetch_add(u64::from(self.zero.is_some()), Relaxed);
                return true;
            }
            self.is_out = false;
        } else if waiting > WAITING_MAX + self.begun_with {
            self.is_out = true;
            counters.units_lost.fetch_add(1, Relaxed);
            return true;
        }
        let zero = *self.zero.get_or_insert(unit.dts);
        if unit.dts < self.newest[newest].unwrap_or(zero) {
            // Sound of before its first picture; a stamp that goes back would end the process (an assertion of the library's).
            counters.units_lost.fetch_add(u64::from(self.newest[newest].is_some()), Relaxed);
            return true;
        }
        self.newest[newest] = Some(unit.dts);
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_dts(stamp(unit.dts - zero));
            buffer.set_pts(stamp(unit.pts - zero));
            if !unit.sync && unit.track == Track::Video {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        counters.bytes_out.fetch_add(unit.data.len() as u64, Relaxed);
        source.push_buffer(buffer).is_ok()
    }

    /// It begins with so many bytes at once.
    pub(super) fn begin_with(&mut self, bytes: usize) {
        self.begun_with = bytes as u64;
    }

    /// Payload bytes that wait in its graph's sources.
    fn waiting(&self) -> u64 {
        [&self.video, &self.audio].into_iter().flatten().map(|source| source.current_level_bytes()).sum()
    }

    /// It has everything now; over UDP it is told so.
    pub(super) fn end(self) {
        for source in [self.video, self.audio].into_iter().flatten() {
            let _gone = source.end_of_stream();
        }
    }
}

fn stamp(time: MediaTime) -> Option<gst::ClockTime> {
    u64::try_from(time.as_nanos()).ok().map(gst::ClockTime::from_nseconds)
}

fn video_caps(config: &VideoConfig) -> gst::Caps {
    let (media_type, format) = match config.codec {
        VideoCodec::H264 => ("video/x-h264", "avc"),
        VideoCodec::Hevc => ("video/x-h265", "hvc1"),
    };
    gst::Caps::builder(media_type)
        .field("stream-format", format)
        .field("alignment", "au")
        .field("codec_data", gst::Buffer::from_slice(config.record.clone()))
        .field("width", config.width as i32)
        .field("height", config.height as i32)
        .build()
}

fn audio_caps(config: &AudioConfig) -> gst::Caps {
    let channels = i32::from(config.channels);
    match config.codec {
        AudioCodec::Aac => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("codec_data", gst::Buffer::from_slice(config.record.clone()))
            .field("rate", config.sample_rate as i32)
            .field("channels", channels)
            .build(),
        AudioCodec::Opus => gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .field("rate", 48_000i32)
            .field("channels", channels)
            .build(),
    }
}

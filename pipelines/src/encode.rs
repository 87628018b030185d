//! One rung's encoder: I420 pictures on slots in, H.264 access units out, an IDR exactly where asked.

use crate::launch::{Graph, clock_time, duration, running_time};
use crate::{Error, cost, plugins};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSinkCallbacks;
use gstreamer_video::{
    DownstreamForceKeyUnitEvent, VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoFormat,
    VideoInfo, VideoTransferFunction,
};
use media::wire::EncoderChoice;
use media::{ColorInfo, FrameRate, MediaTime, Rung, h264};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An encoder that does not empty itself in this time is given up.
const DRAIN_WAIT: Duration = Duration::from_secs(5);
/// Luma samples a second one thread of x264 veryfast encodes in real time with room to spare (854x480 at 60 fps). More threads
/// than needed gain nothing, as several rungs fill the cores anyway, and each costs a picture of delay and about 30 MB;
/// x264's own choice goes by the cores, which is 48 threads on a large machine.
const THREAD_SAMPLES: f64 = 25e6;
const THREADS_MAX: f64 = 6.0;
/// How to encode, apart from the rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// A graph text with `{element}`.
    pub graph: &'static str,
    /// The encoder element.
    pub element: String,
}

impl Recipe {
    /// The recipe for an element.
    pub fn of(element: &str) -> Self {
        let graph = if element == "x264enc" {
            include_str!("../launch/encode-x264.launch")
        } else {
            include_str!("../launch/encode-other.launch")
        };
        Self { graph, element: element.to_owned() }
    }

    /// The recipes to try for a choice, best first. The last ones are what a rung falls back to.
    pub fn candidates(choice: &EncoderChoice) -> Vec<Self> {
        let hardware = plugins::HARDWARE.iter().flat_map(|plugin| plugin.elements).copied();
        let mut names: Vec<&str> = match choice {
            EncoderChoice::Auto => hardware.collect(),
            EncoderChoice::X264 => Vec::new(),
            EncoderChoice::OpenH264 => vec!["openh264enc"],
            EncoderChoice::Element(name) => vec![name],
        };
        for fallback in ["x264enc", "openh264enc"] {
            if !names.contains(&fallback) {
                names.push(fallback);
            }
        }
        names.into_iter().filter(|name| plugins::has(name)).map(Self::of).collect()
    }
}

/// The caps of a rung's raw pictures. Colour is always written out: players guess by size, and a small rung of a large
/// source would be guessed wrong.
pub(crate) fn raw_info(rung: &Rung, rate: FrameRate, color: ColorInfo, source_height: u32) -> Result<VideoInfo, Error> {
    let fraction = gst::Fraction::new(i32::try_from(rate.num).unwrap_or(30), i32::try_from(rate.den).unwrap_or(1));
    VideoInfo::builder(VideoFormat::I420, rung.width, rung.height)
        .fps(fraction)
        .par(gst::Fraction::new(1, 1))
        .colorimetry(&colorimetry(color, source_height))
        .build()
        .map_err(|_| Error::Graph { graph: rung.name.clone(), detail: "a size that is not a picture".to_owned() })
}

fn colorimetry(color: ColorInfo, source_height: u32) -> VideoColorimetry {
    // What players assume of a source that says nothing (BT.601 for standard definition).
    let assumed: u32 = if source_height > 576 { 1 } else { 6 };
    let said = |code: u8| if matches!(code, 0 | 2) { assumed } else { u32::from(code) };
    let range = if color.full_range { VideoColorRange::Range0_255 } else { VideoColorRange::Range16_235 };
    VideoColorimetry::new(
        range,
        VideoColorMatrix::from_iso(said(color.matrix)),
        VideoTransferFunction::from_iso(said(color.transfer)),
        VideoColorPrimaries::from_iso(said(color.primaries)),
    )
}

/// The slot a raw picture is for, written into its buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub pts: MediaTime,
    pub frame_time: MediaTime,
    /// An IDR is wanted.
    pub idr: bool,
}

impl Stamp {
    /// Writes it, with all that was there before gone.
    pub fn write(self, buffer: &mut gst::BufferRef) {
        buffer.set_pts(clock_time(self.pts));
        buffer.set_dts(None);
        buffer.set_duration(duration(self.frame_time));
        buffer.unset_flags(
            gst::BufferFlags::MARKER
                | gst::BufferFlags::DISCONT
                | gst::BufferFlags::CORRUPTED
                | gst::BufferFlags::DELTA_UNIT,
        );
        if self.idr {
            buffer.set_flags(gst::BufferFlags::MARKER);
        }
    }

    /// The same pixels with this stamp, sharing memory.
    pub fn on(self, buffer: &gst::Buffer) -> gst::Buffer {
        let mut buffer = buffer.copy();
        self.write(buffer.make_mut());
        buffer
    }
}

/// What an encoder gives, from a thread of GStreamer's.
#[derive(Debug)]
pub(crate) enum Encoded {
    /// Parameter sets; before the first unit and when they change.
    Config(Bytes),
    /// One coded picture.
    Unit { pts: MediaTime, dts: MediaTime, sync: bool, data: Bytes },
    /// The encoder gave up.
    Failed(String),
}

/// A running encoder of one rung.
#[derive(Debug)]
pub(crate) struct Encoder {
    graph: Graph,
    drained: Receiver<()>,
}

impl Encoder {
    /// Starts one; `give` may block.
    ///
    /// # Errors
    /// When an element is missing or does not start.
    pub fn start(
        recipe: &Recipe,
        rung: &Rung,
        info: &VideoInfo,
        give: impl Fn(Encoded) + Send + Sync + Clone + 'static,
    ) -> Result<Self, Error> {
        if !plugins::has(&recipe.element) {
            return Err(Error::Element { element: recipe.element.clone() });
        }
        let graph = Graph::parse(recipe.graph, &recipe.element)?;
        tune(&graph, &recipe.element, rung, info);
        let caps = info.to_caps().map_err(|_| Error::Graph {
            graph: rung.name.clone(),
            detail: "a picture format without caps".to_owned(),
        })?;
        graph.input.set_caps(Some(&caps));
        let encoder = graph.element("encoder").and_then(|e| e.static_pad("sink"));
        if let Some(pad) = encoder {
            // The request must stand right before its buffer. The marker flag says which buffers; never the encoder's first,
            // which is an IDR anyway.
            let is_first = AtomicBool::new(true);
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, probe| {
                let is_first = is_first.swap(false, Ordering::Relaxed);
                let marked = probe.buffer().filter(|b| !is_first && b.flags().contains(gst::BufferFlags::MARKER));
                let Some(buffer) = marked else { return gst::PadProbeReturn::Ok };
                let event = DownstreamForceKeyUnitEvent::builder()
                    .timestamp(buffer.pts())
                    .running_time(buffer.pts())
                    .all_headers(false)
                    .build();
                pad.send_event(event);
                gst::PadProbeReturn::Ok
            });
        }
        let (ended, drained) = sync_channel(1);
        let deliver = give.clone();
        let mut decoding = Decoding::new(info);
        let mut known: Option<gst::Caps> = None;
        graph.output.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let (Some(caps), true) = (sample.caps_owned(), known.as_deref() != sample.caps()) {
                        if let Some(record) = record_of(&caps) {
                            deliver(Encoded::Config(record));
                        }
                        known = Some(caps);
                    }
                    if let Some(unit) = unit_of(&sample, &mut decoding) {
                        deliver(unit);
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .eos(move |_| {
                    let _waiting = ended.try_send(());
                })
                .build(),
        );
        graph.play(move |detail| give(Encoded::Failed(detail)))?;
        Ok(Self { graph, drained })
    }

    /// Gives it a picture with its [`Stamp`]; blocks while it is busy. The first picture becomes an IDR in any case.
    /// `false` when it has failed.
    pub fn push(&self, picture: gst::Buffer) -> bool {
        self.graph.input.push_buffer(picture).is_ok()
    }

    /// Takes everything out of it and stops it.
    pub fn drain(self) {
        if self.graph.input.end_of_stream().is_ok() {
            let _late = self.drained.recv_timeout(DRAIN_WAIT);
        }
    }
}

fn tune(graph: &Graph, element: &str, rung: &Rung, info: &VideoInfo) {
    let kilobits = rung.bitrate_bps.div_ceil(1000).to_string();
    match element {
        "x264enc" => {
            let rate = f64::from(info.fps().numer()) / f64::from(info.fps().denom().max(1));
            let samples = f64::from(rung.width) * f64::from(rung.height) * rate;
            graph.set("encoder", "threads", &(samples / THREAD_SAMPLES).ceil().clamp(1.0, THREADS_MAX).to_string());
            graph.set("encoder", "bitrate", &kilobits);
            if cost::is_large(samples, cost::cores()) {
                graph.set("encoder", "speed-preset", "superfast");
            }
        }
        "openh264enc" => {
            graph.set("encoder", "bitrate", &rung.bitrate_bps.to_string());
            graph.set("encoder", "max-bitrate", &(rung.bitrate_bps / 10 * 11).to_string());
            graph.set("encoder", "rate-control", "bitrate");
            graph.set("encoder", "gop-size", "100000");
            graph.set("encoder", "scene-change-detection", "false");
            graph.set("encoder", "enable-frame-skip", "false");
            graph.set("encoder", "complexity", "medium");
        }
        // Hardware: all of these take kilobits; properties an element does not have are left out.
        _ => {
            for (property, value) in [
                ("bitrate", kilobits.as_str()),
                ("key-int-max", "1024"),
                ("gop-size", "100000"),
                ("b-frames", "0"),
                ("bframes", "0"),
                ("aud", "false"),
            ] {
                graph.set("encoder", property, value);
            }
        }
    }
}

/// The decoder configuration record, written anew so that it has one SPS, one PPS and 4-byte lengths.
fn record_of(caps: &gst::CapsRef) -> Option<Bytes> {
    let buffer = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let data = Bytes::copy_from_slice(buffer.map_readable().ok()?.as_slice());
    let sets = h264::parameter_sets(&data).ok().filter(|sets| sets.nal_length_size == 4)?;
    h264::build_config(sets.sps.first()?, sets.pps.first()?)
}

/// Decode times without the holes of presentation. x264 takes them from the pictures some places before, so the first after a
/// pause would be decoded where the pause began, and whoever counts on from there sees ten seconds of pictures in two.
#[derive(Debug)]
struct Decoding {
    frame: MediaTime,
    /// How much earlier than presented the first picture, an IDR, is decoded: the reordering of this encoder.
    depth: Option<MediaTime>,
    last: Option<MediaTime>,
}

impl Decoding {
    fn new(info: &VideoInfo) -> Self {
        let rate = |part: i32| u32::try_from(part).unwrap_or(1).max(1);
        let rate = FrameRate { num: rate(info.fps().numer()), den: rate(info.fps().denom()) };
        Self { frame: rate.time_of(1), depth: None, last: None }
    }

    /// The decode time of the next unit, of which the encoder says `dts`. Those after an IDR behind a pause follow it a frame
    /// apart, until the encoder's own are as late.
    fn time(&mut self, pts: MediaTime, dts: MediaTime, sync: bool) -> MediaTime {
        let depth = *self.depth.get_or_insert(pts - dts);
        // A frame time that is no whole number of ticks is a tick shorter now and then.
        let next = self.last.map_or(dts, |last| last + self.frame - MediaTime::from_ticks(1));
        let dts = dts.max(if sync { pts - depth } else { next }).min(pts);
        self.last = Some(dts);
        dts
    }
}

fn unit_of(sample: &gst::Sample, decoding: &mut Decoding) -> Option<Encoded> {
    let buffer = sample.buffer()?;
    let segment = sample.segment();
    let pts = running_time(segment, buffer.pts())?;
    let dts = running_time(segment, buffer.dts()).unwrap_or(pts).min(pts);
    let data = Bytes::copy_from_slice(buffer.map_readable().ok()?.as_slice());
    let sync = h264::is_idr(&data, 4);
    Some(Encoded::Unit { pts, dts: decoding.time(pts, dts, sync), sync, data })
}

/// Pictures of a trial; the IDR is asked for in the middle.
const TRIAL_PICTURES: i64 = 24;
const TRIAL_IDR: i64 = 12;

/// Encodes a few grey pictures and looks whether the encoder keeps its promises: an IDR at exactly the time asked and
/// nowhere else, output in presentation order, one set of parameters.
///
/// # Errors
/// What it did wrong.
pub(crate) fn trial(recipe: &Recipe) -> Result<(), Error> {
    let fault = |detail: &str| Error::Trial { element: recipe.element.clone(), detail: detail.to_owned() };
    let rate = FrameRate { num: 30, den: 1 };
    let rung = Rung { name: "trial".to_owned(), width: 640, height: 360, frame_rate: rate, bitrate_bps: 500_000 };
    let info = raw_info(&rung, rate, ColorInfo::UNSPECIFIED, 360)?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let encoder = Encoder::start(recipe, &rung, &info, move |encoded| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(encoded)
    })?;
    let start = MediaTime::from_millis(10_000);
    for k in 0..TRIAL_PICTURES {
        let picture = gst::Buffer::from_mut_slice(vec![(100 + k) as u8; info.size()]);
        let stamp = Stamp { pts: start + rate.time_of(k), frame_time: rate.time_of(1), idr: k == TRIAL_IDR };
        if !encoder.push(stamp.on(&picture)) {
            return Err(fault("it stopped"));
        }
    }
    encoder.drain();
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let mut sets = Vec::new();
    let mut units = Vec::new();
    for encoded in seen {
        match encoded {
            Encoded::Config(record) => sets.push(record),
            Encoded::Unit { pts, sync, .. } => units.push((pts, sync)),
            Encoded::Failed(detail) => return Err(fault(&detail)),
        }
    }
    let want: Vec<_> = (0..TRIAL_PICTURES).map(|k| (start + rate.time_of(k), k == 0 || k == TRIAL_IDR)).collect();
    sets.dedup();
    if recipe.element != "x264enc" && units != want {
        return Err(fault("its pictures are not the ones asked for, or its IDR is elsewhere"));
    }
    if sets.len() == 1 { Ok(()) } else { Err(fault("its parameter sets change")) }
}

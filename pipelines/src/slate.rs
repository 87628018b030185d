//! The worker that makes a slate: the last picture of some source units, or an image, encoded once as one group of pictures
//! that stands still and can be shown again and again. Without a rung it makes a JPEG of the image instead, which is all
//! that is ever kept of what a stranger uploads. It lives for some tenths of a second.

use crate::counters::Counters;
use crate::decode::{Decoded, Decoder};
use crate::encode::{Encoded, Encoder, Recipe, Stamp, raw_info};
use crate::launch::Graph;
use crate::link::{self, Inbox, Outbox};
use crate::picture::{Picture, Scaler};
use crate::thumb::Thumbnailer;
use crate::{Error, plugins, sandbox};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video::{VideoFormat, VideoInfo};
use media::still::{self, Kind};
use media::wire::{FromWorker, Setup, ToWorker, VERSION};
use media::{ColorInfo, FrameRate, MediaTime, Rung, Track, VideoConfig};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Length of the group: a usual segment.
const LENGTH: MediaTime = MediaTime::from_millis(2_000);
/// Longer sides tried for the JPEG of a large image; the first that gives no more than [`JPEG_MAX`] is taken.
const SIDES: [u32; 2] = [1920, 1280];
/// Longest JPEG the wire takes.
const JPEG_MAX: usize = 1 << 20;
/// Decoding one still image takes at most this.
const STILL_WAIT: gst::ClockTime = gst::ClockTime::from_seconds(5);
const BT709: ColorInfo = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false };

/// Runs until the slate is made, or the server closes the link.
pub(crate) fn run(sandbox: &sandbox::Status, plugin_folder: &Path) -> Result<(), Error> {
    let counters = Arc::new(Counters::default());
    let (mut inbox, outbox, postman) = link::open(move || counters.stats())?;
    let Some(ToWorker::Setup(setup)) = inbox.next()? else { return Err(Error::NoSetup) };
    plugins::load(plugin_folder, false)?;
    outbox.give(FromWorker::Ready { version: VERSION, sandbox: sandbox.to_string() });
    let Some(source) = Source::read(&mut inbox)? else { return Ok(()) };
    let made = match setup.rungs.first() {
        Some(rung) => group(&setup, &rung.rung, &source, &outbox),
        None => jpeg(&source).map(|data| outbox.give(FromWorker::Thumb { data })),
    };
    if let Err(e) = made {
        outbox.give(FromWorker::Unable { text: link::printable(&e.to_string()) });
    }
    outbox.give(FromWorker::Finished);
    postman.wait();
    Ok(())
}

/// What the slate is made of.
#[derive(Default)]
struct Source {
    config: Option<VideoConfig>,
    still: Option<Bytes>,
    /// The last picture decoded, and the last that was not damaged.
    last: Option<Picture>,
}

impl Source {
    /// Reads until the server says that this is all; `None` when it went away.
    fn read(inbox: &mut Inbox) -> Result<Option<Self>, Error> {
        let mut source = Self::default();
        let shown: Arc<Mutex<Option<(Picture, bool)>>> = Arc::default();
        let mut decoder: Option<Decoder> = None;
        while let Some(message) = inbox.next()? {
            match message {
                ToWorker::Video(config) => source.config = Some(config),
                ToWorker::Unit { track: Track::Video, dts, pts, sync, data } => {
                    let Some(config) = &source.config else { continue };
                    if decoder.is_none() {
                        let shown = Arc::clone(&shown);
                        decoder = Some(Decoder::start(config, move |decoded| {
                            let Decoded::Picture { picture, damaged, .. } = decoded else { return };
                            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                            if !damaged || shown.as_ref().is_none_or(|(_, was_damaged)| *was_damaged) {
                                *shown = Some((picture, damaged));
                            }
                        })?);
                    }
                    // One that gave up has shown what it could.
                    let _taken = decoder.as_ref().is_some_and(|decoder| decoder.push(pts, dts, sync, data));
                }
                ToWorker::Still { data } => source.still = Some(data),
                ToWorker::Finish => {
                    if let Some(decoder) = decoder.take() {
                        decoder.drain();
                    }
                    source.last =
                        shown.lock().unwrap_or_else(PoisonError::into_inner).take().map(|(picture, _)| picture);
                    return Ok(Some(source));
                }
                ToWorker::Setup(_) => return Err(Error::NoSetup),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The picture to show, in this matrix and range where it is an image.
    fn picture(&self, like: &VideoInfo) -> Result<Picture, Error> {
        match (&self.still, &self.last) {
            (Some(data), _) => decode(data, like),
            (None, Some(picture)) => Ok(picture.clone()),
            (None, None) => Err(fault("no picture could be decoded")),
        }
    }
}

fn fault(detail: &str) -> Error {
    Error::Graph { graph: "slate".to_owned(), detail: detail.to_owned() }
}

/// Encodes the group: an IDR and pictures that repeat it, from time zero on.
fn group(setup: &Setup, rung: &Rung, source: &Source, outbox: &Outbox) -> Result<(), Error> {
    let rate = setup.frame_rate;
    let (color, height, aspect) = match &source.config {
        Some(config) => (config.color, config.height, config.sample_aspect),
        None => (BT709, rung.height, (1, 1)),
    };
    let square = raw_info(rung, rate, color, height)?;
    let samples = gst::Fraction::new(i32::from(aspect.0.max(1)), i32::from(aspect.1.max(1)));
    let info = VideoInfo::builder_from_info(&square).par(samples).build().map_err(|_| fault("an impossible aspect"))?;
    let mut picture = source.picture(&info)?;
    // The scaler counts samples, and these need not be square.
    picture.aspect *= f64::from(aspect.1.max(1)) / f64::from(aspect.0.max(1));
    let stamp = |k: i64| Stamp { pts: rate.time_of(k), frame_time: rate.time_of(1), idr: k == 0 };
    let mut scaler = Scaler::new(info.clone())?;
    let fits = (picture.info.width(), picture.info.height()) == (info.width(), info.height()) && scaler.fills(&picture);
    let buffer = if fits { picture.buffer } else { scaler.scale(&picture, stamp(0))?.buffer };

    let failed = Arc::new(AtomicBool::new(false));
    let (pictures, broke) = (outbox.clone(), Arc::clone(&failed));
    let encoder = Encoder::start(&recipe(), rung, &info, move |encoded| match encoded {
        Encoded::Config(record) => pictures.give(FromWorker::RungConfig { rung: 0, record }),
        Encoded::Unit { pts, dts, sync, data } => pictures.give(FromWorker::Picture { rung: 0, dts, pts, sync, data }),
        Encoded::Failed(detail) => {
            broke.store(true, Ordering::Relaxed);
            pictures.notice(&detail);
        }
    })?;
    let taken = (0..length(rate)).all(|k| encoder.push(stamp(k).on(&buffer)));
    encoder.drain();
    if taken && !failed.load(Ordering::Relaxed) { Ok(()) } else { Err(fault("the encoder stopped")) }
}

/// Pictures of the group: at least two, so that no IDR follows another one of the same number (ITU-T H.264, 7.4.3).
fn length(rate: FrameRate) -> i64 {
    rate.frames_in(LENGTH).max(2)
}

fn recipe() -> Recipe {
    if plugins::has("x264enc") {
        Recipe { graph: include_str!("../launch/encode-slate.launch"), element: "x264enc".to_owned() }
    } else {
        Recipe::of("openh264enc")
    }
}

/// The image as a JPEG of ours, made smaller where it is larger than any slate needs.
fn jpeg(source: &Source) -> Result<Bytes, Error> {
    let rate = FrameRate { num: 1, den: 1 };
    let rung = Rung { name: "still".to_owned(), width: 16, height: 16, frame_rate: rate, bitrate_bps: 1 };
    let picture = source.picture(&raw_info(&rung, rate, BT709, rung.height)?)?;
    let own = (picture.info.width().max(picture.info.height()) / 2 * 2).max(64);
    for side in SIDES {
        let data = Thumbnailer::new(picture.aspect, false, side.min(own))?.jpeg(&picture)?;
        if data.len() <= JPEG_MAX {
            return Ok(data);
        }
    }
    Err(fault("the image has too much detail"))
}

/// Decodes a still image to the matrix and range of `like`.
fn decode(data: &Bytes, like: &VideoInfo) -> Result<Picture, Error> {
    let still = still::read(data).map_err(|e| fault(&e.to_string()))?;
    let (element, media_type) = match still.kind {
        Kind::Jpeg => ("jpegdec", "image/jpeg"),
        Kind::Png => ("pngdec", "image/png"),
    };
    if !plugins::has(element) {
        return Err(Error::Element { element: element.to_owned() });
    }
    let graph = Graph::parse(include_str!("../launch/still.launch"), element)?;
    graph.input.set_caps(Some(&gst::Caps::builder(media_type).field("framerate", gst::Fraction::new(0, 1)).build()));
    let wanted = gst::Caps::builder("video/x-raw")
        .field("format", VideoFormat::I420.to_str())
        .field("colorimetry", like.colorimetry().to_string())
        .build();
    if let Some(format) = graph.element("format") {
        gst::prelude::ObjectExt::set_property(&format, "caps", wanted);
    }
    graph.play(|_| {})?;
    let mut buffer = gst::Buffer::from_slice(data.clone());
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    graph.input.push_buffer(buffer).map_err(|_| fault("the image is damaged"))?;
    let _ended = graph.input.end_of_stream();
    let sample = graph.output.try_pull_sample(STILL_WAIT).ok_or_else(|| fault("the image can't be decoded"))?;
    let (Some(caps), Some(buffer)) = (sample.caps(), sample.buffer_owned()) else {
        return Err(fault("the image can't be decoded"));
    };
    let info = VideoInfo::from_caps(caps).map_err(|_| fault("the image has no size"))?;
    // What it said in its header is what memory was planned on.
    if (info.width(), info.height()) != (still.width, still.height) {
        return Err(fault("the image is not of the size it says"));
    }
    Ok(Picture::decoded(buffer, info))
}

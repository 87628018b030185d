//! One source's decoder: access units in, I420 pictures out.

use crate::launch::{Graph, clock_time, running_time};
use crate::picture::Picture;
use crate::{Error, plugins};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSinkCallbacks;
use gstreamer_video::{VideoInfo, VideoMeta};
use media::{MediaTime, VideoCodec, VideoConfig};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Above this many luma samples a second (1080p60 has 124 million) one thread may not keep up; below it a second one
/// costs 6 % more CPU and a picture of delay.
const ONE_THREAD_SAMPLES: f64 = 140e6;
/// A decoder that does not empty itself in this time is given up.
const DRAIN_WAIT: Duration = Duration::from_secs(3);

/// What a decoder gives, from a thread of GStreamer's.
pub(crate) enum Decoded {
    /// A picture, in presentation order.
    Picture {
        /// The stamp of the unit it was coded in.
        pts: MediaTime,
        /// The decoder knows that it is damaged.
        damaged: bool,
        /// The pixels.
        picture: Picture,
    },
    /// The decoder gave up.
    Failed(String),
}

/// A running decoder for one configuration.
#[derive(Debug)]
pub(crate) struct Decoder {
    graph: Graph,
    drained: Receiver<()>,
}

impl Decoder {
    /// Starts one. `give` may block; it must not call back.
    ///
    /// # Errors
    /// When the element is missing or does not start.
    pub fn start(config: &VideoConfig, give: impl Fn(Decoded) + Send + Sync + Clone + 'static) -> Result<Self, Error> {
        let (element, media_type, format) = match config.codec {
            VideoCodec::H264 => ("avdec_h264", "video/x-h264", "avc"),
            VideoCodec::Hevc => ("avdec_h265", "video/x-h265", "hvc1"),
        };
        if !plugins::has(element) {
            return Err(Error::Element { element: element.to_owned() });
        }
        let text = if config.is_interlaced {
            include_str!("../launch/decode-interlaced.launch")
        } else {
            include_str!("../launch/decode.launch")
        };
        let graph = Graph::parse(text, element)?;
        let rate = config.frame_rate.unwrap_or(30.0).clamp(1.0, 240.0);
        let busy = f64::from(config.width) * f64::from(config.height) * rate > ONE_THREAD_SAMPLES;
        graph.set("decoder", "max-threads", if busy { "2" } else { "1" });
        let caps = gst::Caps::builder(media_type)
            .field("stream-format", format)
            .field("alignment", "au")
            .field("codec_data", gst::Buffer::from_slice(config.record.clone()))
            .field("width", config.width as i32)
            .field("height", config.height as i32)
            .field(
                "pixel-aspect-ratio",
                gst::Fraction::new(i32::from(config.sample_aspect.0), i32::from(config.sample_aspect.1)),
            )
            .build();
        graph.input.set_caps(Some(&caps));
        // Without this the decoder copies each picture into unpadded memory.
        if let Some(pad) = graph.output.static_pad("sink") {
            pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
                match info.query_mut().map(gst::QueryRef::view_mut) {
                    Some(gst::QueryViewMut::Allocation(query)) => {
                        query.add_allocation_meta::<VideoMeta>(None);
                        gst::PadProbeReturn::Handled
                    }
                    _ => gst::PadProbeReturn::Ok,
                }
            });
        }
        let (ended, drained) = sync_channel(1);
        let mut known: Option<(gst::Caps, VideoInfo)> = None;
        let deliver = give.clone();
        graph.output.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer_owned()) else {
                        return Ok(gst::FlowSuccess::Ok);
                    };
                    if known.as_ref().is_none_or(|(old, _)| *old != caps) {
                        known = VideoInfo::from_caps(&caps).ok().map(|info| (caps, info));
                    }
                    let pts = running_time(sample.segment(), buffer.pts());
                    if let (Some((_, info)), Some(pts)) = (&known, pts) {
                        let damaged = buffer.flags().contains(gst::BufferFlags::CORRUPTED);
                        deliver(Decoded::Picture { pts, damaged, picture: Picture::decoded(buffer, info.clone()) });
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .eos(move |_| {
                    let _waiting = ended.try_send(());
                })
                .build(),
        );
        graph.play(move |detail| give(Decoded::Failed(detail)))?;
        Ok(Self { graph, drained })
    }

    /// Gives it one unit; blocks while it is busy. `false` when it has failed.
    pub fn push(&self, pts: MediaTime, dts: MediaTime, sync: bool, data: Bytes) -> bool {
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock_time(pts));
            buffer.set_dts(clock_time(dts));
            if !sync {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.graph.input.push_buffer(buffer).is_ok()
    }

    /// Takes everything out of it and stops it.
    pub fn drain(self) {
        if self.graph.input.end_of_stream().is_ok() {
            let _late = self.drained.recv_timeout(DRAIN_WAIT);
        }
    }
}

//! Thumbnails, and the slates people upload: one picture to JPEG.

use crate::encode::Stamp;
use crate::launch::Graph;
use crate::picture::{Picture, Scaler, fit};
use crate::{Error, plugins};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video::{VideoFormat, VideoFrameRef, VideoInfo};
use media::MediaTime;

/// Width of a thumbnail, or height when the picture stands upright.
pub(crate) const LONG_SIDE: u32 = 640;
/// A JPEG encoder needs milliseconds.
const WAIT: gst::ClockTime = gst::ClockTime::from_mseconds(1000);

/// Makes thumbnails of pictures of one shape.
#[derive(Debug)]
pub(crate) struct Thumbnailer {
    graph: Graph,
    scaler: Scaler,
    info: VideoInfo,
    levels: [[u8; 256]; 2],
}

impl Thumbnailer {
    /// For pictures of this shape, width to height, made `long_side` samples long.
    ///
    /// # Errors
    /// When `jpegenc` is missing or does not start.
    pub fn new(aspect: f64, full_range: bool, long_side: u32) -> Result<Self, Error> {
        if !plugins::has("jpegenc") {
            return Err(Error::Element { element: "jpegenc".to_owned() });
        }
        let (width, height) = if aspect >= 1.0 {
            (long_side, short_side(long_side, aspect))
        } else {
            (short_side(long_side, 1.0 / aspect), long_side)
        };
        let info = VideoInfo::builder(VideoFormat::I420, width, height)
            .fps(gst::Fraction::new(1, 1))
            .build()
            .map_err(|_| Error::Graph { graph: "thumbnail".to_owned(), detail: "an odd size".to_owned() })?;
        let graph = Graph::parse(include_str!("../launch/thumb.launch"), "jpegenc")?;
        graph.input.set_caps(info.to_caps().ok().as_ref());
        graph.play(|_| {})?;
        // JPEG has no video range: 16..235 (luma) and 16..240 (chroma) are stretched to all of a byte.
        let stretch = |low: f64, span: f64, centre: f64| {
            std::array::from_fn(|v| {
                if full_range {
                    v as u8
                } else {
                    ((v as f64 - low) * 255.0 / span + centre).round().clamp(0.0, 255.0) as u8
                }
            })
        };
        Ok(Self {
            graph,
            scaler: Scaler::new(info.clone())?,
            info,
            levels: [stretch(16.0, 219.0, 0.0), stretch(128.0, 224.0, 128.0)],
        })
    }

    /// Whether pictures of this shape fit without bars.
    pub fn suits(&self, aspect: f64) -> bool {
        let content = fit(aspect, self.info.width(), self.info.height());
        content.width == self.info.width() && content.height == self.info.height()
    }

    /// The JPEG of a picture; blocks for some milliseconds.
    ///
    /// # Errors
    /// When scaling or encoding fails.
    pub fn jpeg(&mut self, picture: &Picture) -> Result<Bytes, Error> {
        let fault = |detail: &str| Error::Graph { graph: "thumbnail".to_owned(), detail: detail.to_owned() };
        let stamp = Stamp { pts: MediaTime::ZERO, frame_time: MediaTime::from_millis(1000), idr: false };
        let mut small = self.scaler.scale(picture, stamp)?.buffer;
        {
            let buffer = small.get_mut().ok_or_else(|| fault("a shared buffer"))?;
            let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, &self.info)
                .map_err(|_| fault("a buffer that can't be written"))?;
            for (plane, levels) in [(0, &self.levels[0]), (1, &self.levels[1]), (2, &self.levels[1])] {
                let data = frame.plane_data_mut(plane).map_err(|_| fault("no plane"))?;
                data.iter_mut().for_each(|v| *v = levels[usize::from(*v)]);
            }
        }
        self.graph.input.push_buffer(small).map_err(|_| fault("jpegenc stopped"))?;
        let sample = self.graph.output.try_pull_sample(WAIT).ok_or_else(|| fault("jpegenc is stuck"))?;
        let buffer = sample.buffer().ok_or_else(|| fault("jpegenc gave nothing"))?;
        Ok(Bytes::copy_from_slice(buffer.map_readable().map_err(|_| fault("a buffer that can't be read"))?.as_slice()))
    }
}

fn short_side(long_side: u32, aspect: f64) -> u32 {
    ((f64::from(long_side) / aspect / 2.0).round() as u32 * 2).clamp(64, long_side)
}

//! Graphs as text from `launch/`, with typed values put in: the one way pipelines are made here.

use crate::Error;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};

/// A pipeline with one `appsrc name=in` and one `appsink name=out`.
#[derive(Debug)]
pub(crate) struct Graph {
    pub pipeline: gst::Pipeline,
    pub input: AppSrc,
    pub output: AppSink,
}

impl Graph {
    /// Makes the graph of `text`, which is what `gst-launch-1.0` takes; comment lines begin with `#`. `{element}` stands
    /// for the one name that is chosen at run time.
    ///
    /// # Errors
    /// When an element is missing or the text can't be linked: this machine's fault or ours.
    pub fn parse(text: &str, element: &str) -> Result<Self, Error> {
        let plain = plain(text, element);
        let graph = |e: gst::glib::Error| Error::Graph { graph: plain.clone(), detail: e.to_string() };
        let pipeline = gst::parse::launch(&plain).map_err(graph)?;
        let missing = |name: &str| Error::Graph { graph: plain.clone(), detail: format!("no element is named {name}") };
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| missing("pipeline"))?;
        let find = |name: &str| pipeline.by_name(name).ok_or_else(|| missing(name));
        let input = find("in")?.downcast::<AppSrc>().map_err(|_| missing("in"))?;
        let output = find("out")?.downcast::<AppSink>().map_err(|_| missing("out"))?;
        Ok(Self { pipeline, input, output })
    }

    /// The element named so in the text.
    pub fn element(&self, name: &str) -> Option<gst::Element> {
        self.pipeline.by_name(name)
    }

    /// Sets a property of a named element when both exist; `value` as it stands in a launch text.
    pub fn set(&self, name: &str, property: &str, value: &str) {
        if let Some(element) = self.element(name).filter(|e| e.find_property(property).is_some()) {
            element.set_property_from_str(property, value);
        }
    }

    /// Starts it. `failed` is called, from a thread of GStreamer's, with each error on the bus.
    pub fn play(&self, failed: impl Fn(String) + Send + Sync + 'static) -> Result<(), Error> {
        if let Some(bus) = self.pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                if let gst::MessageView::Error(error) = message.view() {
                    failed(format!(
                        "{} ({})",
                        error.error(),
                        error.src().map(|s| s.name().to_string()).unwrap_or_default()
                    ));
                }
                gst::BusSyncReply::Drop
            });
        }
        let state = |_| Error::Graph { graph: self.pipeline.name().to_string(), detail: "it did not start".to_owned() };
        self.pipeline.set_state(gst::State::Playing).map_err(state)?;
        Ok(())
    }
}

/// The text without comments, on one line, with the element's name put in.
pub(crate) fn plain(text: &str, element: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    lines.join(" ").replace("{element}", element)
}

impl Drop for Graph {
    /// May block for as long as an element does; the parent kills a worker that hangs here.
    fn drop(&mut self) {
        let _state = self.pipeline.set_state(gst::State::Null);
    }
}

/// Added to every stamp inside GStreamer. x264enc moves stamps below 1000 h up to there, and until its first output the
/// base class of 1.22 notes requests for keyframes at the moved time and then refuses all later ones; stamps that are
/// beyond 1000 h already stay as they are. It also keeps decode times before the first picture above zero.
const ORIGIN_NANOS: i64 = 2_000 * 3_600 * 1_000_000_000;

/// Stamp of a buffer on the running time of its segment, as elements may move stamps and segment together.
pub(crate) fn running_time(segment: Option<&gst::Segment>, stamp: Option<gst::ClockTime>) -> Option<media::MediaTime> {
    let segment = segment?.downcast_ref::<gst::format::Time>()?;
    let nanos = match segment.to_running_time_full(stamp)? {
        gst::Signed::Positive(time) => i64::try_from(time.nseconds()).ok()?,
        gst::Signed::Negative(time) => -i64::try_from(time.nseconds()).ok()?,
    };
    Some(media::MediaTime::from_nanos(nanos - ORIGIN_NANOS))
}

/// The stamp GStreamer gets for a time on the session's timeline; `None` for times of another century.
pub(crate) fn clock_time(time: media::MediaTime) -> Option<gst::ClockTime> {
    u64::try_from(time.as_nanos().checked_add(ORIGIN_NANOS)?).ok().map(gst::ClockTime::from_nseconds)
}

/// A span of time as GStreamer has it.
pub(crate) fn duration(span: media::MediaTime) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(span.as_nanos().max(0).unsigned_abs())
}

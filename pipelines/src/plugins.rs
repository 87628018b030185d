//! Which GStreamer plugins a worker loads: these files and no others. No registry is read, written or scanned.

use crate::Error;
use gstreamer as gst;
use std::path::{Path, PathBuf};

/// One plugin file, what it gives, and where to get it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plugin {
    /// `libgst{file}.so`.
    pub file: &'static str,
    /// The elements we use of it.
    pub elements: &'static [&'static str],
    /// The Debian package that holds it.
    pub package: &'static str,
    /// What can't be done without it.
    pub purpose: &'static str,
    /// The server can't make a ladder without it.
    pub required: bool,
}

const fn plugin(
    file: &'static str,
    elements: &'static [&'static str],
    package: &'static str,
    purpose: &'static str,
    required: bool,
) -> Plugin {
    Plugin { file, elements, package, purpose, required }
}

/// Everything a worker without a hardware encoder may load.
pub(crate) const PLUGINS: &[Plugin] = &[
    plugin("coreelements", &["capsfilter"], "libgstreamer1.0-0", "any pipeline", true),
    plugin("app", &["appsrc", "appsink"], "gstreamer1.0-plugins-base", "any pipeline", true),
    plugin(
        "videoconvertscale",
        &["videoconvert"],
        "gstreamer1.0-plugins-base",
        "pictures that are not 8-bit 4:2:0",
        true,
    ),
    plugin("audioconvert", &["audioconvert"], "gstreamer1.0-plugins-base", "audio that is not stereo", true),
    plugin("audioresample", &["audioresample"], "gstreamer1.0-plugins-base", "audio that is not at 48 kHz", true),
    plugin("opus", &["opusdec"], "gstreamer1.0-plugins-base", "Opus audio", true),
    plugin(
        "libav",
        &["avdec_h264", "avdec_h265", "avdec_aac", "avenc_aac"],
        "gstreamer1.0-libav",
        "decoding H.264, HEVC and AAC, encoding AAC",
        true,
    ),
    plugin("x264", &["x264enc"], "gstreamer1.0-plugins-ugly", "encoding H.264 (x264)", true),
    plugin("jpeg", &["jpegenc", "jpegdec"], "gstreamer1.0-plugins-good", "thumbnails and slates", true),
    plugin("png", &["pngdec"], "gstreamer1.0-plugins-good", "slates that are uploaded as PNG", false),
    plugin("deinterlace", &["deinterlace"], "gstreamer1.0-plugins-good", "interlaced sources", true),
    plugin("videoparsersbad", &["h264parse"], "gstreamer1.0-plugins-bad", "encoders other than x264", false),
    plugin("openh264", &["openh264enc"], "gstreamer1.0-plugins-bad", "encoding H.264 when x264 fails", false),
];

/// Plugins with hardware encoders, best first; loaded only when an operator asks for one.
pub(crate) const HARDWARE: &[Plugin] = &[
    plugin("nvcodec", &["nvh264enc"], "gstreamer1.0-plugins-bad", "NVIDIA", false),
    plugin("va", &["vah264enc", "vah264lpenc"], "gstreamer1.0-plugins-bad", "VA-API", false),
    plugin("qsv", &["qsvh264enc"], "gstreamer1.0-plugins-bad", "Intel Quick Sync", false),
    plugin("video4linux2", &["v4l2h264enc"], "gstreamer1.0-plugins-good", "V4L2", false),
];

/// What a worker that serves RTSP loads, and nothing beside. Its elements are looked for by the library that it is written with.
pub(crate) const RTSP: &[Plugin] = &[
    plugin("coreelements", &["tee", "queue", "funnel"], "libgstreamer1.0-0", "any pipeline", true),
    plugin("app", &["appsrc", "appsink"], "gstreamer1.0-plugins-base", "any pipeline", true),
    plugin("rtp", RTP, "gstreamer1.0-plugins-good", "RTSP", false),
    plugin("rtpmanager", &["rtpbin"], "gstreamer1.0-plugins-good", "RTSP", false),
    plugin("udp", &["udpsrc", "multiudpsink"], "gstreamer1.0-plugins-good", "RTSP over UDP", false),
];
const RTP: &[&str] = &["rtph264pay", "rtph265pay", "rtpmp4gpay", "rtpopuspay"];

/// Where the plugin files are: the operator's `GST_PLUGIN_SYSTEM_PATH_1_0` if set, else beside the GStreamer library
/// this process has loaded. Must be asked before the sandbox stands, as it reads `/proc/self/maps`.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(set) = std::env::var_os("GST_PLUGIN_SYSTEM_PATH_1_0").filter(|set| !set.is_empty()) {
        return std::env::split_paths(&set).next();
    }
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let library = maps
        .lines()
        .find_map(|line| line.find('/').map(|at| &line[at..]).filter(|path| path.contains("/libgstreamer-1.0.so")))?;
    Some(Path::new(library).parent()?.join("gstreamer-1.0"))
}

/// Starts GStreamer without a registry and loads [`PLUGINS`] from `folder`, and [`HARDWARE`] when asked for. A plugin
/// that isn't there is no error; using it is.
///
/// # Errors
/// When GStreamer itself does not start.
pub(crate) fn load(folder: &Path, hardware: bool) -> Result<(), Error> {
    load_these(folder, PLUGINS.iter().chain(if hardware { HARDWARE } else { &[] }))
}

/// The same for [`RTSP`].
pub(crate) fn load_rtsp(folder: &Path) -> Result<(), Error> {
    load_these(folder, RTSP.iter())
}

fn load_these<'a>(folder: &Path, plugins: impl Iterator<Item = &'a Plugin>) -> Result<(), Error> {
    gst::init().map_err(|e| Error::Graph { graph: "GStreamer".to_owned(), detail: e.to_string() })?;
    for plugin in plugins {
        let _absent = gst::Plugin::load_file(folder.join(format!("libgst{}.so", plugin.file)));
    }
    Ok(())
}

/// Whether an element can be made.
pub(crate) fn has(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

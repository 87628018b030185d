//! What this machine has for media work, for `weir check`.

use crate::plugins::{self, HARDWARE, PLUGINS, Plugin};
use crate::{Error, cost, sandbox};
use gstreamer as gst;
use std::path::Path;
use std::process::{Command, Stdio};

/// One element the server may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// It was found and can be made.
    pub present: bool,
    /// No ladder without it.
    pub required: bool,
    /// The Debian package to install for it.
    pub package: String,
    /// What it is for.
    pub purpose: String,
}

/// What [`check`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// GStreamer's version as it says itself.
    pub gstreamer: String,
    /// The distribution's revision of the packages, which says more about fixed faults than the version does; empty
    /// where there is no `dpkg`.
    pub packages: Vec<String>,
    /// Needed and optional elements.
    pub elements: Vec<Element>,
    /// What holds workers in, in one line.
    pub sandbox: String,
    /// Luma samples x264 veryfast encodes per second of processor time, measured; [`cost::USUAL_SPEED`] without x264.
    pub speed: f64,
}

impl Report {
    /// One sentence naming what is missing and how to get it; `None` when everything required is there.
    pub fn complaint(&self) -> Option<String> {
        let missing: Vec<&Element> = self.elements.iter().filter(|e| e.required && !e.present).collect();
        let first = missing.first()?;
        let mut packages: Vec<&str> = missing.iter().map(|e| e.package.as_str()).collect();
        packages.sort_unstable();
        packages.dedup();
        let packages = packages.join(" ");
        let rest = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        Some(format!("GStreamer element {} ({}){rest} is missing: apt install {packages}", first.name, first.purpose))
    }
}

/// Asks a worker (`exe worker check`, sandboxed as any) what it can do. Blocks for some tenths of a second.
///
/// # Errors
/// When the worker can't be started or does not answer: GStreamer itself is missing or broken.
pub fn check(exe: &Path) -> Result<Report, Error> {
    let output = Command::new(exe)
        .args(["worker", "check"])
        .env("GST_REGISTRY_DISABLE", "yes")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Link { source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut report = Report {
        gstreamer: String::new(),
        packages: packages(),
        elements: Vec::new(),
        sandbox: String::new(),
        speed: cost::USUAL_SPEED,
    };
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("gstreamer", version)) => report.gstreamer = version.to_owned(),
            Some(("speed", samples)) => report.speed = samples.parse().unwrap_or(cost::USUAL_SPEED),
            Some(("sandbox", status)) => report.sandbox = status.to_owned(),
            Some((word @ ("present" | "missing"), name)) => report.elements.extend(known(name, word == "present")),
            _ => {}
        }
    }
    if report.gstreamer.is_empty() {
        let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Graph { graph: "the media worker".to_owned(), detail });
    }
    Ok(report)
}

/// What the worker of [`check`] does.
pub(crate) fn run(sandbox: &sandbox::Status, folder: &Path) -> Result<(), Error> {
    plugins::load(folder, true)?;
    println!("gstreamer {}", gst::version_string());
    println!("sandbox {sandbox}");
    if let Some(speed) = cost::measure() {
        println!("speed {speed:.0}");
    }
    for name in PLUGINS.iter().chain(HARDWARE).flat_map(|plugin| plugin.elements) {
        println!("{} {name}", if plugins::has(name) { "present" } else { "missing" });
    }
    Ok(())
}

fn known(name: &str, present: bool) -> Option<Element> {
    let plugin: &Plugin = PLUGINS.iter().chain(HARDWARE).find(|plugin| plugin.elements.contains(&name))?;
    Some(Element {
        name: name.to_owned(),
        present,
        required: plugin.required,
        package: plugin.package.to_owned(),
        purpose: plugin.purpose.to_owned(),
    })
}

fn packages() -> Vec<String> {
    let names = [
        "libgstreamer1.0-0",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-ugly",
        "gstreamer1.0-libav",
    ];
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${Version}\\n"])
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.map(|out| String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()).unwrap_or_default()
}

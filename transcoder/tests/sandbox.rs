//! What a worker may not do, tried by a worker.

use std::collections::BTreeMap;
use std::process::Command;

fn tried(profile: &str) -> BTreeMap<String, bool> {
    let output = Command::new(env!("CARGO_BIN_EXE_weir-worker"))
        .args(["worker", profile])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("our own executable");
    let text = String::from_utf8(output.stdout).expect("plain words");
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(act, answer)| (act.to_owned(), answer == "possible"))
        .collect()
}

#[test]
fn nothing_forbidden_works_inside() {
    let (outside, inside) = (tried("sandbox-test-open"), tried("sandbox-test"));
    assert!(outside.len() >= 20, "{outside:?}");
    assert_eq!(outside.keys().collect::<Vec<_>>(), inside.keys().collect::<Vec<_>>());
    let possible: Vec<_> = inside.iter().filter(|(_, possible)| **possible).collect();
    assert!(possible.is_empty(), "inside the sandbox: {possible:?}");
    // Refusals prove something only where the same act works outside; without root some never do.
    let works = outside.values().filter(|possible| **possible).count();
    let least = if rustix::process::geteuid().is_root() { 20 } else { 12 };
    assert!(works >= least, "outside only {works} of {} acts work: {outside:?}", outside.len());
}

#[test]
fn a_worker_that_serves_readers_can_make_udp_sockets_and_nothing_more() {
    let (outside, inside) = (tried("sandbox-test-open"), tried("sandbox-test-rtsp"));
    assert_eq!(outside.keys().collect::<Vec<_>>(), inside.keys().collect::<Vec<_>>());
    let possible: Vec<&str> = inside.iter().filter(|(_, possible)| **possible).map(|(act, _)| act.as_str()).collect();
    assert_eq!(possible, ["open a UDP socket", "open an IPv6 socket"]);
}

#[test]
fn the_report_names_what_is_there() {
    let report =
        pipelines::check(std::path::Path::new(env!("CARGO_BIN_EXE_weir-worker"))).expect("GStreamer is installed");
    assert!(report.gstreamer.contains("GStreamer 1."), "{}", report.gstreamer);
    assert_eq!(report.complaint(), None);
    assert!(report.sandbox.contains("landlock"), "{}", report.sandbox);
    let without = pipelines::Report {
        elements: report
            .elements
            .into_iter()
            .map(|e| pipelines::Element { present: e.name != "x264enc", ..e })
            .collect(),
        ..report
    };
    assert_eq!(
        without.complaint().as_deref(),
        Some("GStreamer element x264enc (encoding H.264 (x264)) is missing: apt install gstreamer1.0-plugins-ugly")
    );
}

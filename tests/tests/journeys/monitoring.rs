//! What operators point at the server: Prometheus with our alerts, Grafana with our dashboard, a scene switcher.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tests::{Clip, Publisher, Server, eventually, tool, workspace_dir};

/// Runs promtool in the folder of the alerts and gives what it said, and whether it was content.
#[track_caller]
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(tool("promtool"));
    command.args(arguments).current_dir(workspace_dir().join("deploy/prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("promtool runs");
    process.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let out = process.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.success(), said)
}

fn read(path: &str) -> String {
    let file: PathBuf = workspace_dir().join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The metrics a text names, histograms without their endings.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let names = words.filter(|word| word.starts_with("weir_") && word.len() > "weir_".len());
    let base = |name: &str| {
        ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

#[test]
fn prometheus_takes_the_alerts_and_each_rings_when_it_should() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let (is_content, said) = promtool(&arguments, "");
        assert!(is_content && said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let known = metrics_in(&read("docs/metrics.md"));
    for file in ["deploy/prometheus/alerts.yml", "deploy/grafana/weir.json"] {
        let unknown: Vec<String> = metrics_in(&read(file)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}, which docs/metrics.md does not know");
    }
}

#[test]
fn prometheus_and_a_scene_switcher_read_a_live_server() {
    let server = Server::start();
    let stream = server.add_stream("show");
    assert!(server.weir(&["stream", "set", "show", "--ladder", "none"]).status.success());
    let token =
        server.ask("GET", "/api/v1/streams/show/dock")["path"].as_str().expect("a path").replace("/dock/show?", "");
    let switcher = || server.get(&format!("/api/v1/streams/show/nginx-rtmp.xml?{token}")).ok().expect("an answer");
    // What NOALBS takes for a stream that is off: none of its name.
    assert!(!switcher().contains("<stream>"), "{}", switcher());
    let _publisher = Publisher::push(&Clip { gop: 60, ..Clip::default() }, &server.publish_url(&stream));
    server.play("show");
    let xml = eventually("the bit rate", || Some(switcher()).filter(|xml| !xml.contains("<bw_video>0</bw_video>")));
    let bits = xml.split_once("<bw_video>").and_then(|(_, rest)| rest.split_once('<')).expect("a rate").0;
    assert!((100_000..2_000_000).contains(&bits.parse::<u64>().expect("a number")), "{xml}");
    assert!(xml.contains("<name>show</name>") && xml.contains("<active/>"), "{xml}");

    let shown = server.get("/metrics").ok().expect("metrics");
    let (_, said) = promtool(&["check", "metrics"], &shown);
    // Counters hold whole numbers, and whole seconds of processor time would be too few.
    let odd: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("weir_transcoder_cpu_milliseconds_total ")).collect();
    assert!(odd.is_empty(), "promtool finds {odd:?}");
    for name in metrics_in(&shown) {
        assert!(shown.contains(&format!("# HELP {name} ")), "{name} is explained");
    }
}

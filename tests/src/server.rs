//! The real server, started as a person starts it.

use crate::hls::{self, Media, Multivariant};
use crate::http::{self, Response};
use crate::process::{Process, children_of, run, signal, target_dir, tool};
use crate::recording::Recording;
use crate::wait::{eventually, eventually_within};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// From the start of the program to its ports being open: key and certificate are made on the first start.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A stream that `weir stream add` made.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The public name.
    pub name: String,
    /// The secret key.
    pub key: String,
}

/// A running server with its own data directory, on free ports of loopback. Dropping it kills it and its data.
pub struct Server {
    process: Process,
    dir: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    files_max: Option<u32>,
    /// Where HTTP answers.
    pub http: SocketAddr,
    /// Where HTTPS answers.
    pub https: SocketAddr,
    /// Where RTMP is taken.
    pub rtmp: SocketAddr,
    /// Where RTMPS is taken.
    pub rtmps: SocketAddr,
}

/// The program under test.
///
/// # Panics
/// When it was not built.
pub fn weir_exe() -> PathBuf {
    if let Some(path) = std::env::var_os("WEIR_TEST_EXE") {
        return PathBuf::from(path);
    }
    let exe = target_dir().join("debug/weir");
    assert!(exe.exists(), "{} is missing; run: cargo build --bin weir", exe.display());
    exe
}

impl Server {
    /// Starts it without the test card.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&["--no-demo"])
    }

    /// Starts it with further arguments of `weir serve`.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_configured("", arguments)
    }

    /// Starts it with the text of a `weir.toml` and further arguments.
    ///
    /// # Panics
    /// When it has not opened its ports within 20 s, with what it said.
    #[track_caller]
    pub fn start_configured(config: &str, arguments: &[&str]) -> Self {
        Self::start_within(&[], config, arguments)
    }

    /// The same with variables of its environment.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn start_within(environment: &[(&str, &str)], config: &str, arguments: &[&str]) -> Self {
        Self::prepare(config, arguments, environment, None)
    }

    /// Starts it without the test card on a machine that lets it have no more than `files_max` open files, with the text of a `weir.toml`.
    ///
    /// # Panics
    /// As [`Self::start_configured`].
    #[track_caller]
    pub fn start_with_files(files_max: u32, config: &str) -> Self {
        Self::prepare(config, &["--no-demo"], &[], Some(files_max))
    }

    #[track_caller]
    fn prepare(config: &str, arguments: &[&str], environment: &[(&str, &str)], files_max: Option<u32>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let mut arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        if !config.is_empty() {
            let file = dir.path().join("weir.toml");
            std::fs::write(&file, config).expect("the temporary folder can be written");
            arguments.splice(0..0, ["--config".to_owned(), file.display().to_string()]);
        }
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::launch(dir, arguments, environment, files_max)
    }

    #[track_caller]
    fn launch(
        dir: TempDir,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        files_max: Option<u32>,
    ) -> Self {
        let data = dir.path().join("data");
        let facts = data.join("run.json");
        let _ = std::fs::remove_file(&facts);
        let mut process = Process::start("weir serve", {
            let mut command = serve_command(&data, &arguments, files_max);
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            command
        });
        let id = process.id();
        let start = Instant::now();
        let found = loop {
            let read = std::fs::read_to_string(&facts).ok();
            let read = read.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(facts) = read.filter(|facts| facts["pid"] == id) {
                break facts;
            }
            let in_time = start.elapsed() < START_PATIENCE;
            assert!(in_time && process.is_running(), "the server did not start; it said:\n{}", process.said());
            std::thread::sleep(Duration::from_millis(20));
        };
        let address = |name: &str| {
            let text = found[name].as_str().unwrap_or_default().to_owned();
            text.parse().unwrap_or_else(|_| panic!("run.json names no {name} address: {found}"))
        };
        let (http, https, rtmp, rtmps) = (address("http"), address("https"), address("rtmp"), address("rtmps"));
        Self { process, dir, arguments, environment, files_max, http, https, rtmp, rtmps }
    }

    /// Where a door that is not always open is, such as `rtsp`; empty when it is closed.
    ///
    /// # Panics
    /// When the server's `run.json` can't be read.
    pub fn door(&self, name: &str) -> String {
        let facts = std::fs::read_to_string(self.data_dir().join("run.json")).expect("the server wrote it");
        let facts: Value = serde_json::from_str(&facts).expect("JSON");
        facts[name].as_str().unwrap_or_default().to_owned()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The server's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything it printed and logged so far.
    pub fn log(&self) -> String {
        self.process.said()
    }

    /// Runs a verb of the command line on this server's data directory.
    pub fn weir(&self, words: &[&str]) -> Output {
        let data = self.data_dir().display().to_string();
        run(weir_exe(), words.iter().copied().chain(["--data-dir", &data]))
    }

    /// [`Server::weir`] with `--json`, and what it printed as JSON.
    ///
    /// # Panics
    /// When it ends with an error or prints something else.
    #[track_caller]
    pub fn weir_json(&self, words: &[&str]) -> Value {
        let out = self.weir(&[words, &["--json"]].concat());
        let (said, complaint) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "weir {words:?} ended with {}:\n{said}{complaint}", out.status);
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("weir {words:?} --json printed no JSON ({e}):\n{said}"))
    }

    /// Adds a stream on the command line and gives its key.
    #[track_caller]
    pub fn add_stream(&self, name: &str) -> Stream {
        let made = self.weir_json(&["stream", "add", name]);
        let field = |field: &str| made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned();
        Stream { name: field("name"), key: field("key") }
    }

    /// Where an encoder pushes: server and key in one address.
    pub fn publish_url(&self, stream: &Stream) -> String {
        format!("rtmp://{}/live/{}", self.rtmp, stream.key)
    }

    /// The same over TLS.
    pub fn publish_url_tls(&self, stream: &Stream) -> String {
        format!("rtmps://{}/live/{}", self.rtmps, stream.key)
    }

    /// The whole address of a path on the plain port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// The token of its API.
    ///
    /// # Panics
    /// When it was not kept.
    #[track_caller]
    pub fn api_token(&self) -> String {
        let kept = std::fs::read_to_string(self.data_dir().join("api-token")).expect("the token is kept");
        kept.trim().to_owned()
    }

    /// Asks the API as its operator.
    ///
    /// # Panics
    /// When the answer is not 200 or 201 with JSON.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str) -> Value {
        let answer = self.request(method, path, "");
        assert!(matches!(answer.status, 200 | 201), "{method} {path}: {}", answer.text());
        serde_json::from_str(&answer.text()).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Tells the API something as its operator; the answer, whatever it is, null when it has no body.
    ///
    /// # Panics
    /// When the connection breaks.
    #[track_caller]
    pub fn tell(&self, method: &str, path: &str, body: &str) -> Value {
        serde_json::from_str(&self.request(method, path, body).text()).unwrap_or_default()
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, body: &str) -> Response {
        let bearer = format!("Bearer {}", self.api_token());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = http::request(self.http, method, path, &headers, body.as_bytes());
        answer.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// GET over plain HTTP.
    ///
    /// # Panics
    /// When the connection breaks.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        http::get(self.http, path).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// The same with header fields.
    ///
    /// # Panics
    /// When the connection breaks.
    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        http::request(self.http, "GET", path, headers, b"").unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// Waits until the stream can be played and gives its multivariant playlist.
    #[track_caller]
    pub fn play(&self, name: &str) -> Multivariant {
        self.playlist(&format!("/live/{name}/index.m3u8"))
    }

    /// Waits until the playlist at `path` is there and gives it as a multivariant.
    #[track_caller]
    pub fn playlist(&self, path: &str) -> Multivariant {
        hls::multivariant(&eventually(&format!("{path} is served"), || self.get(path).ok()))
    }

    /// The paths of the video variants of `index.m3u8`, in its order.
    pub fn variants(&self, name: &str) -> Vec<String> {
        let base = format!("/live/{name}/index.m3u8");
        self.play(name).variants.iter().map(|variant| hls::resolve(&base, &variant["URI"])).collect()
    }

    /// The path of the audio rendition of `index.m3u8`, if it has one.
    pub fn audio(&self, name: &str) -> Option<String> {
        let base = format!("/live/{name}/index.m3u8");
        let all = self.play(name).media;
        all.iter()
            .find(|media| media["TYPE"] == "AUDIO")
            .and_then(|media| media.get("URI"))
            .map(|uri| hls::resolve(&base, uri))
    }

    /// The media playlist at `path`.
    ///
    /// # Panics
    /// When it is not served.
    #[track_caller]
    pub fn media(&self, path: &str) -> Media {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        hls::media(&answer.text())
    }

    /// Follows the media playlist at `path` until `count` whole segments were fetched, and saves them.
    ///
    /// # Panics
    /// When they do not come, or one cannot be fetched while it is listed.
    #[track_caller]
    pub fn record(&self, path: &str, count: usize) -> Recording {
        let mut recording = Recording::new();
        let mut next = None;
        let patience = Duration::from_secs(20 + 5 * count as u64);
        eventually_within(&format!("{count} segments of {path}"), patience, || {
            let list = self.get(path).ok().map(|text| hls::media(&text))?;
            let fresh: Vec<_> = list.complete().filter(|s| next.is_none_or(|next| s.number >= next)).cloned().collect();
            for segment in fresh {
                next = Some(segment.number + 1);
                if recording.count() < count {
                    recording.add(self, path, segment);
                }
            }
            (recording.count() >= count || list.ended).then_some(())
        });
        assert_eq!(recording.count(), count, "{path} ended early");
        recording
    }

    /// The sum of all samples of a metric, whatever their labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let samples = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The ids of its worker processes.
    pub fn workers(&self) -> Vec<u32> {
        children_of(self.id(), "worker")
    }

    /// Memory the server's own process holds now, in bytes; workers not included.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
    }

    /// How many files and sockets the server has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// Kills one process by its id, without a goodbye.
    pub fn kill(&self, id: u32) {
        signal(id, "KILL");
    }

    /// Asks it to end and measures how long that takes.
    ///
    /// # Panics
    /// When it still runs after 20 s.
    #[track_caller]
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.process.signal("TERM");
        let status = self.process.expect_end(Duration::from_secs(20));
        (status, start.elapsed())
    }

    /// Kills it (`SIGKILL`) unless it has ended already, and starts it again on the same data directory.
    #[track_caller]
    pub fn start_again(self) -> Self {
        self.start_again_with(&[])
    }

    /// The same with further variables of its environment, which stay.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn start_again_with(self, more: &[(&str, &str)]) -> Self {
        let Self { process, dir, arguments, mut environment, files_max, .. } = self;
        drop(process);
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::launch(dir, arguments, environment, files_max)
    }
}

/// `weir serve` on free ports of loopback.
fn serve_command(data: &Path, arguments: &[String], files_max: Option<u32>) -> Command {
    let mut command = match files_max {
        None => Command::new(weir_exe()),
        // It becomes the server, so the process id is the server's.
        Some(most) => {
            let mut command = Command::new(tool("prlimit"));
            command.arg(format!("--nofile={most}:{most}")).arg(weir_exe());
            command
        }
    };
    // What the developer has set for a server of theirs must not change this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
        command.env_remove(name);
    }
    command.arg("serve").arg("--data-dir").arg(data);
    for listener in ["http", "https", "rtmp", "rtmps"] {
        let flag = format!("--{listener}");
        if !arguments.contains(&flag) {
            command.args([flag.as_str(), "127.0.0.1:0"]);
        }
    }
    command.args(arguments);
    command
}

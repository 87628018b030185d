//! Programs that a journey starts: found, run, watched, ended by their own id.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A long-running child. Its output is collected; dropping it kills it.
pub struct Process {
    child: Child,
    name: String,
    said: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

/// The most of a child's output that is kept, in bytes; a journey's server writes far less.
const SAID_MAX: usize = 4 << 20;

impl Process {
    /// Starts `command` with both outputs collected line by line.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[track_caller]
    pub fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} cannot be started ({command:?}): {e}"));
        let said = Arc::new(Mutex::new(String::new()));
        let mut readers = Vec::new();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        readers.extend(out.map(|pipe| collect(pipe, said.clone())));
        readers.extend(err.map(|pipe| collect(pipe, said.clone())));
        Self { child, name: name.to_owned(), said, readers }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far, both outputs mixed.
    pub fn said(&self) -> String {
        self.said.lock().expect("a collector does not panic").clone()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for its end; `None` when it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                // The pipes end with the process, so the last words are all there.
                for reader in self.readers.drain(..) {
                    let _ = reader.join();
                }
                return Some(status);
            }
            if start.elapsed() > patience {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `patience`, with what it said.
    #[track_caller]
    pub fn expect_end(&mut self, patience: Duration) -> ExitStatus {
        match self.wait(patience) {
            Some(status) => status,
            None => panic!("{} still runs after {patience:?}; it said:\n{}", self.name, self.said()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let tail = said.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
            eprintln!("---- the end of what {} said ----\n{}", self.name, &said[tail..]);
        }
    }
}

fn collect(pipe: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let mut all = said.lock().expect("a collector does not panic");
            if all.len() < SAID_MAX {
                all.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    })
}

/// Sends a signal to one process by its id.
pub(crate) fn signal(id: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status();
}

/// The ids of the direct children of a process whose command line contains `word`.
pub fn children_of(parent: u32, word: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for id in entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()) {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // "id (name) state parent …": the name may hold spaces and brackets, so read behind the last bracket.
        let Some(rest) = stat.rsplit(')').next() else { continue };
        let mut fields = rest.split_whitespace();
        let (state, father) = (fields.next(), fields.next().and_then(|f| f.parse::<u32>().ok()));
        let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if father == Some(parent) && state != Some("Z") && words.contains(word) {
            found.push(id);
        }
    }
    found.sort_unstable();
    found
}

/// Runs a program to its end and gives everything it printed.
///
/// # Panics
/// When it cannot be started.
#[track_caller]
pub fn run<I: AsRef<OsStr>>(program: impl AsRef<Path>, args: impl IntoIterator<Item = I>) -> Output {
    let program = program.as_ref();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command.output().unwrap_or_else(|e| panic!("{} cannot be run: {e}", program.display()))
}

/// [`run`], and its standard output as text.
///
/// # Panics
/// When it cannot be started or ends with an error; the panic holds its error output.
#[track_caller]
pub fn run_ok<I: AsRef<OsStr>>(program: impl AsRef<Path>, args: impl IntoIterator<Item = I>) -> String {
    let program = program.as_ref();
    let output = run(program, args);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} ended with {}:\n{complaint}", program.display(), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that `scripts/install test` provides.
///
/// # Panics
/// When it is not on the path.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin")];
    std::env::split_paths(&dirs)
        .chain(sbin)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; run: scripts/install test"))
}

/// A newer ffmpeg than Debian 12's, able to write Enhanced FLV; installed from PyPI by `scripts/install test`.
///
/// # Panics
/// When it is not there.
#[track_caller]
pub fn modern_ffmpeg() -> PathBuf {
    let python = target_dir().join("venv/bin/python");
    assert!(python.exists(), "the newer ffmpeg is missing; run: scripts/install test");
    let path = run_ok(python, ["-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]);
    PathBuf::from(path.trim())
}

/// The folder cargo builds into, found from where this very program lies (`target/debug/deps/NAME` or
/// `target/release/NAME`).
///
/// # Panics
/// When the running program has no path.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    let profile = |dir: &Path| dir.ends_with("debug") || dir.ends_with("release");
    let found = exe.ancestors().find(|dir| profile(dir)).and_then(Path::parent);
    found.expect("cargo runs tests inside its target directory").to_owned()
}

/// The root of the checkout.
pub fn workspace_dir() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests folder lies in the checkout").to_owned()
}

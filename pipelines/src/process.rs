//! Starting a worker: one socketpair as its standard input, nothing else of ours. One that serves readers has a second one as
//! its standard output, on which it is handed their connections.

use crate::handover::{self, Handover};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A worker that was started.
#[derive(Debug)]
pub struct Worker {
    /// The process; whoever has it must wait for it. Its standard error is piped.
    pub child: Child,
    /// Our end of the link, blocking.
    pub link: UnixStream,
}

type Answer = SyncSender<io::Result<Worker>>;
/// A command, what its standard output is, and where the worker goes.
type Order = (Command, Stdio, Answer);

/// Starts `exe worker PROFILE MIB`; `memory_max` is what it is to stay below, bytes. Blocks for the milliseconds that takes.
///
/// The child has an environment of nothing but where plugins are, its own process group, and is killed when this process
/// dies: the kernel ties that to the thread that started it, so one thread that never ends starts all workers.
///
/// # Errors
/// When the executable can't be started.
pub fn spawn(exe: &Path, profile: &str, memory_max: u64) -> io::Result<Worker> {
    launch(exe, profile, memory_max, Stdio::null())
}

/// The same of a worker that serves RTSP, over UDP too with `datagrams`; connections are handed to it by what comes with it.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_rtsp(exe: &Path, datagrams: bool, memory_max: u64) -> io::Result<(Worker, Handover)> {
    let (ours, theirs) = handover::pair()?;
    let profile = if datagrams { "rtsp-udp" } else { "rtsp" };
    Ok((launch(exe, profile, memory_max, Stdio::from(theirs))?, ours))
}

fn launch(exe: &Path, profile: &str, memory_max: u64, output: Stdio) -> io::Result<Worker> {
    static STARTER: OnceLock<Mutex<SyncSender<Order>>> = OnceLock::new();
    let mut command = Command::new(exe);
    let memory_mib = (memory_max >> 20).max(1).to_string();
    command.args(["worker", profile, &memory_mib]).current_dir("/").env_clear().process_group(0);
    for (name, value) in [
        ("GST_REGISTRY_DISABLE", "yes"),
        ("GST_REGISTRY_FORK", "no"),
        ("GIO_MODULE_DIR", "/nonexistent"),
        ("LC_ALL", "C.UTF-8"),
        ("MALLOC_ARENA_MAX", "2"),
    ] {
        command.env(name, value);
    }
    for kept in ["GST_PLUGIN_SYSTEM_PATH_1_0", "GST_DEBUG", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    let starter = STARTER.get_or_init(|| {
        let (queue, orders) = sync_channel::<Order>(1);
        let work = move || {
            for (command, output, answer) in orders {
                let _impatient = answer.send(start(command, output));
            }
        };
        std::thread::Builder::new()
            .name("worker-starter".to_owned())
            .spawn(work)
            .expect("a process that can't start one thread can't serve");
        Mutex::new(queue)
    });
    let (answer, started) = sync_channel(1);
    starter
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, output, answer))
        .map_err(|_| io::ErrorKind::BrokenPipe)?;
    started.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
}

fn start(mut command: Command, output: Stdio) -> io::Result<Worker> {
    let (link, theirs) = UnixStream::pair()?;
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(output).stderr(Stdio::piped());
    Ok(Worker { child: command.spawn()?, link })
}

//! GStreamer, and the sandbox it must stay in.
//!
//! The only crate that names gstreamer, and the only one with `unsafe`. The server calls [`spawn`] and [`check`]; the
//! process that [`spawn`] starts calls [`worker_main`], which locks itself up before it starts a thread or touches
//! GStreamer, and then talks `media::wire` over its standard input. Nothing in the server process decodes a picture.
//!
//! ```no_run
//! // what `weir worker PROFILE` does
//! let _code: std::process::ExitCode = pipelines::worker_main("ladder", Some(1_024));
//! ```

mod audio;
pub mod cost;
mod counters;
mod decode;
mod encode;
mod handover;
mod ladder;
mod launch;
mod link;
mod picture;
mod plugins;
mod probe;
mod process;
mod retimer;
mod rtsp;
pub mod sandbox;
mod slate;
mod stage;
mod testcard;
mod thumb;

pub use handover::Handover;
pub use probe::{Element, Report, check};
pub use process::{Worker, spawn, spawn_rtsp};

use std::process::ExitCode;

/// What stops a worker, or the search for one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An element is not installed, or none of its kind works. The operator's to cure.
    #[error("GStreamer has no {element}")]
    Element {
        /// Its name.
        element: String,
    },
    /// A graph can't be made or does not run.
    #[error("{graph}: {detail}")]
    Graph {
        /// Which.
        graph: String,
        /// What GStreamer said.
        detail: String,
    },
    /// An encoder broke a promise in its trial.
    #[error("encoder {element} is not used: {detail}")]
    Trial {
        /// The element.
        element: String,
        /// What it did.
        detail: String,
    },
    /// The link to the server broke, or there is none.
    #[error("the link to the server")]
    Link {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server sent something else where its setup belongs. Ours.
    #[error("the setup did not come first, or came twice")]
    NoSetup,
    /// The server sent something that can't be read. Ours.
    #[error(transparent)]
    Wire(#[from] media::wire::WireError),
    /// The GStreamer library or its plugin folder was not found.
    #[error("the folder of GStreamer's plugins was not found")]
    NoPlugins,
}

/// The main function of a worker process. Profiles: `ladder`, `ladder-hardware` (device nodes of encoders stay open),
/// `testcard`, `slate` (these talk on standard input), `rtsp` and `rtsp-udp` (these are handed connections on standard output too; the
/// second may send datagrams), `check` (prints what is installed), `sandbox-test`, `sandbox-test-rtsp` and `sandbox-test-open` (print
/// what is possible inside the sandbox, inside that of `rtsp-udp`, and outside).
///
/// `memory_mib` is what the server will let it hold (1 GiB by default); the kernel refuses it a good deal more than that.
///
/// Must be called before the process has a second thread: the sandbox binds the calling thread and what it starts.
pub fn worker_main(profile: &str, memory_mib: Option<u64>) -> ExitCode {
    // An unwinding panic inside a callback of GStreamer's would leave the pipeline hanging; the server starts another.
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        std::process::abort();
    }));
    let folder = plugins::folder();
    if profile == "sandbox-test-open" {
        sandbox::trial::run();
        return ExitCode::SUCCESS;
    }
    let memory = memory_mib.unwrap_or(sandbox::MEMORY_MIB);
    let needs = match profile {
        "ladder-hardware" => sandbox::Needs::Devices,
        "rtsp" => sandbox::Needs::Readers { datagrams: false },
        "rtsp-udp" | "sandbox-test-rtsp" => sandbox::Needs::Readers { datagrams: true },
        _ => sandbox::Needs::Nothing,
    };
    let status = sandbox::enter(folder.as_deref(), needs, memory);
    let folder = folder.ok_or(Error::NoPlugins);
    let done = match profile {
        "ladder" | "ladder-hardware" => folder.and_then(|folder| ladder::run(&status, &folder)),
        "testcard" => folder.and_then(|folder| testcard::run(&status, &folder)),
        "slate" => folder.and_then(|folder| slate::run(&status, &folder)),
        "rtsp" | "rtsp-udp" => folder.and_then(|folder| rtsp::run(&status, &folder)),
        "check" => folder.and_then(|folder| probe::run(&status, &folder)),
        "sandbox-test" | "sandbox-test-rtsp" => {
            sandbox::trial::run();
            Ok(())
        }
        other => {
            eprintln!("no worker has the profile {other}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let cause = std::error::Error::source(&e).map(|source| format!(": {source}")).unwrap_or_default();
            eprintln!("{e}{cause}");
            ExitCode::FAILURE
        }
    }
}

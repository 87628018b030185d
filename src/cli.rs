//! The command line: what may be typed, and who does it.
//!
//! Every verb works on a data directory, whether or not a server runs on it; the database carries changes to the server. Replays and
//! imports alone are asked of the server that runs there, as nobody else can play or write.
//! What a command prints goes to standard output, as text or with `--json` as one JSON value; anything wrong is one
//! sentence on standard error and exit status 1.

mod check;
mod database;
mod demo;
mod output;
mod recording;
mod replay;
mod secrets;
mod stream;
mod target;

use crate::config::{Config, Listen, Overrides};
use crate::logging;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Weir: takes a live stream from OBS and serves it to any HLS player.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, max_term_width = 100)]
pub struct Command {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Place {
    /// Configuration file [default: ./weir.toml, or weir.toml in the data directory, when there is one]
    #[arg(long, global = true, value_name = "FILE", env = "WEIR_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything Weir keeps [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where to listen: ADDRESS:PORT, a port alone, or off.
#[derive(Debug, Default, Args)]
struct Listeners {
    /// HLS, API and pages [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<Listen>,
    /// The same with TLS [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS")]
    https: Option<Listen>,
    /// RTMP [default: 0.0.0.0:1935]
    #[arg(long, value_name = "ADDRESS")]
    rtmp: Option<Listen>,
    /// RTMPS [default: 0.0.0.0:1936]
    #[arg(long, value_name = "ADDRESS")]
    rtmps: Option<Listen>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until SIGTERM or SIGINT.
    Serve {
        #[command(flatten)]
        listeners: Listeners,
        /// Leave out the test card on the stream demo.
        #[arg(long)]
        no_demo: bool,
    },
    /// Tell whether this machine is ready: configuration, ports, disk, database, certificates, GStreamer, sandbox.
    Check {
        #[command(flatten)]
        listeners: Listeners,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Add, list, change and remove streams and their keys.
    #[command(subcommand)]
    Stream(stream::Verb),
    /// List, import, change, verify, export and delete recordings.
    #[command(subcommand)]
    Recording(recording::Verb),
    /// Send copies of a stream to other servers.
    #[command(subcommand)]
    Target(target::Verb),
    /// Change the master key that seals the keys of targets.
    #[command(subcommand)]
    Secrets(secrets::Verb),
    /// Replay a recording to a stream of the running server, as if it were live.
    Replay(replay::Arguments),
    /// Push the built-in test card to a server until interrupted.
    Demo(demo::Arguments),
    /// Runs one sandboxed media worker; started by the server.
    #[command(hide = true)]
    Worker {
        /// Which one.
        profile: String,
        /// MiB it is to stay below.
        memory_mib: Option<u64>,
    },
}

/// Work on disks that nobody waits for any more has so long to end.
const LEFT_BEHIND: Duration = Duration::from_millis(250);

/// Does what the command line says; what it returns is the process's exit status.
///
/// # Errors
/// What went wrong, for people.
pub fn run(command: Command) -> anyhow::Result<std::process::ExitCode> {
    // Before any thread is started: the worker locks itself up first.
    if let Verb::Worker { profile, memory_mib } = &command.verb {
        return Ok(pipelines::worker_main(profile, *memory_mib));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(command.act());
    // A disk that hangs holds nobody up any more.
    runtime.shutdown_timeout(LEFT_BEHIND);
    done
}

/// Lets the process open as many files as it is allowed at all: each viewer takes one, and soft limits are often 1,024.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

impl Command {
    async fn act(self) -> anyhow::Result<std::process::ExitCode> {
        let overrides = self.overrides();
        match self.verb {
            Verb::Serve { .. } => {
                let config = Config::load(&overrides)?;
                logging::start(&config.log)?;
                raise_open_files();
                crate::serve::run(config).await?;
            }
            Verb::Check { json, .. } => return check::run(&overrides, json).await,
            Verb::Stream(verb) => stream::run(&Config::load(&overrides)?, verb).await?,
            Verb::Recording(verb) => return recording::run(&Config::load(&overrides)?, verb).await,
            Verb::Target(verb) => target::run(&Config::load(&overrides)?, verb).await?,
            Verb::Secrets(verb) => secrets::run(&Config::load(&overrides)?, verb).await?,
            Verb::Replay(arguments) => replay::run(&Config::load(&overrides)?, arguments).await?,
            Verb::Demo(arguments) => {
                let config = Config::load(&overrides)?;
                logging::start(&config.log)?;
                demo::run(&config, arguments).await?;
            }
            Verb::Worker { .. } => unreachable!("workers never come to the runtime"),
        }
        Ok(std::process::ExitCode::SUCCESS)
    }

    fn overrides(&self) -> Overrides {
        let none = Listeners::default();
        let (listeners, no_demo) = match &self.verb {
            Verb::Serve { listeners, no_demo } => (listeners, *no_demo),
            Verb::Check { listeners, .. } => (listeners, false),
            Verb::Stream(_)
            | Verb::Recording(_)
            | Verb::Replay(_)
            | Verb::Target(_)
            | Verb::Secrets(_)
            | Verb::Demo(_)
            | Verb::Worker { .. } => (&none, false),
        };
        Overrides {
            file: self.place.config.clone(),
            data_dir: self.place.data_dir.clone(),
            http: listeners.http,
            https: listeners.https,
            rtmp: listeners.rtmp,
            rtmps: listeners.rtmps,
            demo: no_demo.then_some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn flags_of_every_verb_may_stand_after_it() {
        let typed = ["weir", "serve", "--http", "127.0.0.1:0", "--rtmps", "off", "--data-dir", "/d", "--no-demo"];
        let overrides = Command::try_parse_from(typed).unwrap().overrides();
        assert_eq!(overrides.http.unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(
            (overrides.rtmps, overrides.demo, overrides.data_dir),
            (Some(Listen::Off), Some(false), Some("/d".into()))
        );
        let refused = Command::try_parse_from(["weir", "serve", "--http", "here"]).unwrap_err().to_string();
        assert!(refused.contains("no address to listen on"), "{refused}");
    }
}

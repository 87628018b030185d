//! Logs to standard error, one line per event, as text or JSON.
//!
//! Lines are written at once and kept nowhere, so a slow terminal slows the writer and memory stays bounded. Standard
//! output is left to what a command prints.

use crate::config::{LogConfig, LogFormat};
use anyhow::{Context as _, anyhow};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts logging for the life of the process.
///
/// # Errors
/// When the level does not read, or logging was started before.
pub fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = check_level(&config.level)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = match config.format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("logging is not started: {error}"))
}

/// The filter of a level such as `info` or `info,ingest=debug`. The database driver's chatter is kept to warnings
/// unless it is asked for by name.
///
/// # Errors
/// When a directive is none.
pub fn check_level(level: &str) -> anyhow::Result<EnvFilter> {
    let quiet = if level.contains("sqlx") { level.to_owned() } else { format!("{level},sqlx=warn") };
    EnvFilter::try_new(quiet)
        .with_context(|| format!("log.level is {level:?}; it takes error, warn, info, debug or trace"))
}

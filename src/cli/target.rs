//! `weir target …`: where copies of a stream go, on the database itself. A running server follows what is changed here.

use super::database;
use super::output::Output;
use crate::config::Config;
use crate::copies::{Where, asked, master_key, rendition, rendition_said};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use restream::{TargetKey, TargetUrl, inside};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use store::{Actor, MasterKey, NewTarget, Store, Target, TargetAct, now_ms};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a target: a server that gets a copy of a stream whenever it is live.
    Add(Add),
    /// Show all targets, without their keys.
    List {
        /// Of this stream only.
        #[arg(long)]
        stream: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Knock at a target: connect and say hello, without its key and without publishing.
    Check {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Send a target its copy again.
    Start {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Send a target no copy until it is started.
    Stop {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Give a target another key.
    SetKey {
        /// Its id.
        id: String,
        /// File that holds the key; - for standard input.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a target and its key.
    Remove {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// Which stream.
    stream: String,
    /// Address of a server, rtmp://HOST/APPLICATION or rtmps://…, without the key.
    #[arg(required_unless_present = "preset", conflicts_with = "preset")]
    url: Option<String>,
    /// A service instead: youtube, youtube-backup, twitch, facebook or kick.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// One of the service's servers by its short name, such as fra02 of Twitch's.
    #[arg(long, requires = "preset", value_name = "NAME")]
    ingest: Option<String>,
    /// File that holds the key; - for standard input. A key on the command line would be seen by others.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// Send it this encoded rendition, such as 720p, instead of the source.
    #[arg(long, value_name = "NAME")]
    rendition: Option<String>,
    /// Add silence to a source without sound.
    #[arg(long)]
    silence: bool,
    /// Send it HEVC, though it is not known to take that.
    #[arg(long)]
    hevc: bool,
    /// Send it nothing until it is started.
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    output: Output,
}

/// Does one verb and prints what came of it.
///
/// # Errors
/// What went wrong, for people.
pub async fn run(config: &Config, verb: Verb) -> anyhow::Result<()> {
    let store = database::open(config).await?;
    let master = master_key::load(&config.data_dir, store.master_key_in_use().await?.as_deref())?;
    let done = act(config, &store, &master, verb).await;
    store.close().await;
    done
}

async fn act(config: &Config, store: &Store, master: &MasterKey, verb: Verb) -> anyhow::Result<()> {
    let (act, output) = match verb {
        Verb::List { stream, output } => return list(store, stream.as_deref(), &output).await,
        Verb::Check { id, output } => return check(config, &store.target(&id).await?, master, &output).await,
        Verb::Add(add) => (TargetAct::Add(new(config, master, &add).await?), add.output),
        Verb::Start { id, output } => (TargetAct::Start { id }, output),
        Verb::Stop { id, output } => (TargetAct::Stop { id }, output),
        Verb::SetKey { id, key_file, output } => {
            let key = TargetKey::parse(&read_key(&key_file)?)?;
            (TargetAct::SetKey { key: master.seal(&id, key.reveal())?, id }, output)
        }
        Verb::Remove { id, output } => (TargetAct::Remove { id }, output),
    };
    let target = store.perform_on_target(&Actor::Cli, &act, now_ms()).await?;
    if output.json {
        println!("{}", describe(&target))
    } else {
        println!("{}", line(&target))
    }
    Ok(())
}

async fn new(config: &Config, master: &MasterKey, add: &Add) -> anyhow::Result<NewTarget> {
    let service = add.preset.as_deref().unwrap_or_default();
    let asked = asked(&Where { service, ingest: add.ingest.as_deref(), url: add.url.as_deref() })?;
    let row = asked.row(&add.stream, add.name.as_deref(), &read_key(&add.key_file)?, master)?;
    let settings = config.restream.settings()?;
    let allow_private = match inside(&asked.url, &settings).await {
        Some((address, why)) if !settings.allow_private => {
            eprintln!(
                "note: {} is at {address}, {why}; this target may go there, as you are at the machine itself",
                asked.url.host()
            );
            true
        }
        _ => false,
    };
    let rendition = rendition(add.rendition.as_deref());
    Ok(NewTarget { rendition, silence: add.silence, hevc: add.hevc, allow_private, wanted: !add.paused, ..row })
}

/// The key in a file, or what is typed or piped in.
fn read_key(file: &Path) -> anyhow::Result<String> {
    /// More than any key has.
    const BYTES_MAX: u64 = 4096;
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("the key file {} cannot be read", file.display()))?;
    Ok(text)
}

async fn list(store: &Store, stream: Option<&str>, output: &Output) -> anyhow::Result<()> {
    let mut all = store.targets().await?;
    all.retain(|target| stream.is_none_or(|stream| target.stream == stream));
    if output.json {
        println!("{}", Value::from(all.iter().map(describe).collect::<Vec<_>>()));
    } else if all.is_empty() {
        println!("There is no target; weir target add STREAM --preset youtube --key-file FILE adds one.");
    } else {
        all.iter().for_each(|target| println!("{}", line(target)));
    }
    Ok(())
}

async fn check(config: &Config, target: &Target, master: &MasterKey, output: &Output) -> anyhow::Result<()> {
    let key = TargetKey::parse(&master.open(&target.id, &target.key)?)?;
    let knocked = restream::Target {
        allow_private: target.allow_private,
        ..restream::Target::new(TargetUrl::parse(&target.url)?, key)
    };
    let checked = restream::check(&knocked, &config.restream.settings()?).await;
    match (&checked, output.json) {
        (Ok(checked), true) => println!(
            "{}",
            json!({ "ok": true, "address": checked.address.map(|a| a.to_string()), "taken_ms": checked.taken.as_millis() as u64 })
        ),
        (Err(fault), true) => {
            println!("{}", json!({ "ok": false, "fault": { "code": fault.code(), "message": fault.to_string() } }));
        }
        (Ok(checked), false) => {
            println!(
                "{} answers in {} ms; whether the key is right shows when a stream begins.",
                target.url,
                checked.taken.as_millis()
            );
        }
        (Err(_), false) => {}
    }
    if !output.json {
        checked?;
    }
    Ok(())
}

/// One line for people.
fn line(target: &Target) -> String {
    let state = if target.wanted { "started" } else { "stopped" };
    let inside = if target.allow_private { "  (may go inside)" } else { "" };
    let rendition = rendition_said(&target.rendition);
    format!("{}  {}  {state}  {rendition}  {}  {}{inside}", target.id, target.stream, target.url, target.name)
}

/// A target as the command line's JSON shows it; the API has its own shape. The key is in neither.
fn describe(target: &Target) -> Value {
    json!({
        "id": target.id,
        "stream": target.stream,
        "name": target.name,
        "service": target.service,
        "url": target.url,
        "rendition": rendition_said(&target.rendition),
        "silence": target.silence,
        "hevc": target.hevc,
        "allow_private": target.allow_private,
        "wanted": target.wanted,
        "created_ms": target.created_ms,
    })
}

//! `weir recording …`: what is kept of past sessions, on the database itself. A running server follows what is changed here.

mod files;
mod import;

use super::database;
use super::output::Output;
use crate::config::Config;
use crate::recordings::Form;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{
    Actor, Order, Recording, RecordingAct, RecordingPatch, Search, Store, Visibility, now_ms, read_chapters,
    write_chapters,
};

/// Rows asked for at a time.
const ROWS: u32 = 100;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show all recordings, the newest first.
    List {
        /// Of this stream only.
        #[arg(long)]
        stream: Option<String>,
        /// What is in the trash instead.
        #[arg(long)]
        trash: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Show one recording.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Say something else of a recording.
    Set {
        /// Its id.
        id: String,
        /// New title, at most 200 characters.
        #[arg(long)]
        title: Option<String>,
        /// Who may see it.
        #[arg(long, value_name = "public|unlisted|private")]
        visibility: Option<Visibility>,
        #[command(flatten)]
        output: Output,
    },
    /// Show the chapters of a recording, or set them.
    Chapters {
        /// Its id.
        id: String,
        /// A file with all chapters, a line each: "12:34 Title", or "1:02:03 Title"; - reads standard input, an empty one removes them.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Put a recording in the trash; restore takes it back.
    Trash {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take a recording from the trash.
    Restore {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Read all of a recording and compare it with the checksums of when it was written; exit status 1 when something is wrong.
    Verify {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Write a recording as files that other programs open.
    Export {
        /// Its id.
        id: String,
        /// The folder to write, which must not be there yet or be empty.
        directory: PathBuf,
        /// A folder with playlists and segments, or MP4 files.
        #[arg(long = "as", value_name = "hls|mp4", default_value = "hls")]
        form: Form,
        #[command(flatten)]
        output: Output,
    },
    /// Make a recording of an MP4 file, through the server that runs on the data directory.
    Import(import::Arguments),
    /// Delete a recording for good. The server removes its bytes, unless a clip has them too.
    Delete {
        /// Its id.
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

/// Does one verb and prints what came of it.
///
/// # Errors
/// What went wrong, for people.
pub async fn run(config: &Config, verb: Verb) -> anyhow::Result<ExitCode> {
    if let Verb::Import(arguments) = verb {
        return import::run(config, arguments).await;
    }
    let store = database::open(config).await?;
    let done = act(config, &store, verb).await;
    store.close().await;
    done
}

async fn act(config: &Config, store: &Store, verb: Verb) -> anyhow::Result<ExitCode> {
    let (act, output) = match verb {
        Verb::List { stream, trash, output } => {
            list(store, stream, trash, &output).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Show { id, output } => {
            tell(&find(store, &id).await?, &output);
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Verify { id, output } => {
            let is_good = files::show_verdict(config, &find(store, &id).await?, output.json).await?;
            return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Export { id, directory, form, output } => {
            files::write(config, &find(store, &id).await?, form, &directory, output.json).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Set { id, title, visibility, output } => {
            let patch = RecordingPatch { title, visibility, ..RecordingPatch::default() };
            if patch.is_empty() {
                bail!("nothing to change; give --title or --visibility");
            }
            (RecordingAct::Edit { id, patch }, output)
        }
        Verb::Chapters { id, file: None, output } => {
            tell_chapters(&find(store, &id).await?, &output);
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Chapters { id, file: Some(file), output } => {
            let chapters = Some(read_chapters(&read_text(&file)?)?);
            let act = RecordingAct::Edit { id, patch: RecordingPatch { chapters, ..RecordingPatch::default() } };
            tell_chapters(&store.perform_on_recording(&Actor::Cli, &act, now_ms()).await?, &output);
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Import(_) => unreachable!("it is asked of the server"),
        Verb::Trash { id, output } => (RecordingAct::Trash { id }, output),
        Verb::Restore { id, output } => (RecordingAct::Restore { id }, output),
        Verb::Delete { id, output } => (RecordingAct::Delete { id, due: None }, output),
    };
    let recording = store.perform_on_recording(&Actor::Cli, &act, now_ms()).await?;
    tell(&recording, &output);
    Ok(ExitCode::SUCCESS)
}

async fn find(store: &Store, id: &str) -> anyhow::Result<Recording> {
    let Some(recording) = store.recording(id).await? else { bail!("there is no recording {id:?}") };
    Ok(recording)
}

async fn list(store: &Store, stream: Option<String>, trashed: bool, output: &Output) -> anyhow::Result<()> {
    let search = Search { stream, trashed, ..Search::default() };
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.recordings(&search, Order::default(), cursor.as_deref(), ROWS).await?;
        all.extend(page.recordings);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if output.json {
        println!("{}", Value::from(all.iter().map(describe).collect::<Vec<_>>()));
    } else if all.is_empty() {
        println!("There is no recording; weir stream set NAME --record always keeps each session of a stream.");
    } else {
        all.iter().for_each(|recording| println!("{}", line(recording)));
    }
    Ok(())
}

fn tell(recording: &Recording, output: &Output) {
    if output.json { println!("{}", describe(recording)) } else { println!("{}", line(recording)) }
}

/// The text of a file, or of standard input.
fn read_text(file: &Path) -> anyhow::Result<String> {
    /// A hundred chapters fit many times over.
    const BYTES_MAX: u64 = 64 << 10;
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("{} can't be read", file.display()))?;
    if text.len() as u64 > BYTES_MAX {
        bail!("{} is longer than {} KiB", file.display(), BYTES_MAX >> 10);
    }
    Ok(text)
}

fn tell_chapters(recording: &Recording, output: &Output) {
    if output.json {
        println!("{}", describe(recording))
    } else {
        print!("{}", write_chapters(&recording.details.chapters))
    }
}

/// One line for people.
fn line(recording: &Recording) -> String {
    let seconds = recording.duration_ms / 1_000;
    let length = format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let title = if recording.details.title.is_empty() { &recording.stream } else { &recording.details.title };
    format!(
        "{}  {length}  {} MiB  {}  {}  {title}",
        recording.id,
        recording.size_bytes >> 20,
        recording.status.as_str(),
        recording.details.visibility.as_str()
    )
}

/// A recording as the command line's JSON shows it; the API has its own shape.
fn describe(recording: &Recording) -> Value {
    json!({
        "id": recording.id,
        "stream": recording.stream,
        "title": recording.details.title,
        "description": recording.details.description,
        "tags": recording.details.tags,
        "visibility": recording.details.visibility.as_str(),
        "status": recording.status.as_str(),
        "reason": recording.reason,
        "started_ms": recording.started_ms,
        "ended_ms": recording.ended_ms,
        "duration_ms": recording.duration_ms,
        "size_bytes": recording.size_bytes,
        "renditions": recording.renditions,
        "clip_of": recording.clip_of,
        "chapters": recording.details.chapters.iter().map(|chapter| json!({ "at_ms": chapter.at_ms, "title": chapter.title })).collect::<Vec<_>>(),
        "trashed_ms": recording.trashed_ms,
    })
}

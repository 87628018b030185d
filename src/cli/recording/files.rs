//! `weir recording verify` and `export`: what reads the archive itself. Both work beside a server and without one.

use crate::config::Config;
use crate::recordings::{Copied, Form, Here, MediaVerdict, ReelVerdict, Verdict, export, verify};
use serde_json::{Value, json};
use std::path::Path;
use store::Recording;
use vault::Vault;

/// The vault as the server has it.
async fn vault(config: &Config) -> anyhow::Result<Option<Vault>> {
    Ok(match config.vault.settings(&config.data_dir)? {
        Some((settings, _)) => Some(Vault::open(settings).await?),
        None => None,
    })
}

/// Prints how a recording is; whether all of it is as it should be.
pub async fn show_verdict(config: &Config, recording: &Recording, json: bool) -> anyhow::Result<bool> {
    let vault = vault(config).await?;
    let verdict = verify(&config.archive_dir(), vault.as_ref(), recording).await?;
    if json {
        println!("{}", describe(recording, &verdict));
    } else {
        verdict.reels.iter().for_each(tell);
        for lost in &verdict.lost {
            println!("segments {} to {}: LOST, their reel is not here", lost.start, lost.end - 1);
        }
        if verdict.unlisted_bytes > 0 {
            println!("{} bytes of the recording are in no journal: LOST", verdict.unlisted_bytes);
        }
        let word = if verdict.is_good() { "as it was written" } else { "NOT as it was written" };
        println!("{} is {word}", recording.id);
    }
    Ok(verdict.is_good())
}

/// Writes a recording into a folder and tells of it.
pub async fn write(config: &Config, recording: &Recording, form: Form, to: &Path, json: bool) -> anyhow::Result<()> {
    let vault = vault(config).await?;
    let begins = |bytes: u64, free: u64| {
        eprintln!("writing {} MiB to {}; {} MiB are free there", bytes.div_ceil(1 << 20), to.display(), free >> 20);
    };
    let done = export((&config.archive_dir(), vault.as_ref()), recording, form, to, begins).await?;
    if json {
        println!("{}", json!({ "folder": done.folder, "files": done.files, "bytes": done.bytes }));
    } else {
        println!("{} files in {}", done.files, done.folder.display());
    }
    Ok(())
}

/// A line for each rendition of a reel, and one for what is wrong with its journal.
fn tell(reel: &ReelVerdict) {
    if let Some(why) = &reel.journal {
        println!("{}: journal DAMAGED: {why}", reel.name);
    }
    if let Copied::Wrong(why) | Copied::Unknown(why) = &reel.journal_copy {
        println!("{}: journal in the vault: {why}", reel.name);
    }
    for media in &reel.media {
        let here = match &media.here {
            Here::Whole => "whole".to_owned(),
            Here::Missing if media.copy == Copied::Whole => "only in the vault".to_owned(),
            Here::Missing if reel.stored.contains(&media.rendition) && media.copy == Copied::No => {
                "MISSING here; it is in a vault, and none is set".to_owned()
            }
            Here::Missing => "MISSING".to_owned(),
            Here::Damaged(segments) => format!("DAMAGED in {}", numbers(segments)),
            Here::Unreadable(why) => format!("UNREADABLE: {why}"),
        };
        let copy = match &media.copy {
            Copied::No => String::new(),
            Copied::Whole => "; whole in the vault".to_owned(),
            Copied::Wrong(why) => format!("; WRONG in the vault: {why}"),
            Copied::Unknown(why) => format!("; the vault can't be asked: {why}"),
        };
        println!("{} {}: {here}{copy}", reel.name, media.rendition);
    }
}

fn numbers(segments: &[u64]) -> String {
    /// More than these say nothing to a reader.
    const SHOWN: usize = 8;
    let shown: Vec<String> = segments.iter().take(SHOWN).map(u64::to_string).collect();
    let more = segments.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("segment {}{more}", shown.join(", "))
}

fn describe(recording: &Recording, verdict: &Verdict) -> Value {
    json!({
        "id": recording.id,
        "good": verdict.is_good(),
        "lost": verdict.lost.iter().map(|lost| json!({ "from_msn": lost.start, "until_msn": lost.end })).collect::<Vec<_>>(),
        "unlisted_bytes": verdict.unlisted_bytes,
        "reels": verdict.reels.iter().map(describe_reel).collect::<Vec<_>>(),
    })
}

fn describe_reel(reel: &ReelVerdict) -> Value {
    json!({
        "reel": reel.name.to_string(),
        "until_msn": reel.until_msn,
        "stored": reel.stored,
        "journal": reel.journal,
        "journal_vault": word(&reel.journal_copy).0,
        "media": reel.media.iter().map(describe_media).collect::<Vec<_>>(),
    })
}

fn describe_media(media: &MediaVerdict) -> Value {
    let (here, segments, why) = match &media.here {
        Here::Whole => ("whole", &[][..], None),
        Here::Missing => ("missing", &[][..], None),
        Here::Damaged(segments) => ("damaged", segments.as_slice(), None),
        Here::Unreadable(why) => ("unreadable", &[][..], Some(why)),
    };
    let (copy, copy_why) = word(&media.copy);
    json!({
        "rendition": media.rendition,
        "bytes": media.bytes,
        "here": here,
        "damaged_segments": segments,
        "vault": copy,
        "why": why.or(copy_why),
    })
}

/// A copy's word for programs; null when nobody was asked.
fn word(copy: &Copied) -> (Option<&'static str>, Option<&String>) {
    match copy {
        Copied::No => (None, None),
        Copied::Whole => (Some("whole"), None),
        Copied::Wrong(why) => (Some("wrong"), Some(why)),
        Copied::Unknown(why) => (Some("unknown"), Some(why)),
    }
}

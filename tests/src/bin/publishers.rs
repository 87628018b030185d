//! Many light RTMP publishers in one process, each sending the same FLV file in real time, over and over.
//!
//! `publishers HOST:PORT APP NAMES FLV SECONDS`: NAMES is a file with one publish name (or key) per line, one publisher
//! each; their phases are spread over two seconds. Prints one JSON object: how many connected, how many were dropped and
//! why, the megabytes sent, and how late the latest send was in milliseconds. Ends with status 1 when one was dropped.

use anyhow::{Context as _, bail};
use std::process::ExitCode;
use std::time::Duration;
use tests::flv::{self, Tag};
use tests::push::Push;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What one publisher did.
#[derive(Default)]
struct Deed {
    connected: bool,
    bytes: u64,
    late: Duration,
    dropped: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, app, names, file, seconds] = words.as_slice() else {
        bail!("usage: publishers HOST:PORT APP NAMES FLV SECONDS");
    };
    let span = Duration::from_secs_f64(seconds.parse().context("SECONDS is a number")?);
    let names = std::fs::read_to_string(names).with_context(|| format!("{names} cannot be read"))?;
    let names: Vec<&str> = names.lines().filter(|line| !line.is_empty()).collect();
    let tags = flv::tags(&std::fs::read(file).with_context(|| format!("{file} cannot be read"))?);
    // They live as long as the program, so every publisher may borrow them.
    let tags: &'static [Tag] = Vec::leak(tags);
    let start = Instant::now() + Duration::from_secs(1);
    let mut publishers = JoinSet::new();
    for (index, name) in names.iter().enumerate() {
        let phase = Duration::from_secs(2) * index as u32 / names.len() as u32;
        publishers.spawn(publish(address.clone(), app.clone(), (*name).to_owned(), tags, start + phase, start + span));
    }
    let mut all = Deed::default();
    let (mut connected, mut dropped) = (0, Vec::new());
    while let Some(deed) = publishers.join_next().await {
        let deed = deed.context("a publisher does not panic")?;
        connected += u32::from(deed.connected);
        all.bytes += deed.bytes;
        all.late = all.late.max(deed.late);
        dropped.extend(deed.dropped);
    }
    let megabytes = all.bytes as f64 / 1e6;
    let report = serde_json::json!({
        "asked": names.len(), "connected": connected, "dropped": dropped, "sent_mb": megabytes,
        "worst_late_ms": all.late.as_millis() as u64,
    });
    println!("{report}");
    Ok(if dropped.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn publish(address: String, app: String, name: String, tags: &[Tag], start: Instant, end: Instant) -> Deed {
    let mut deed = Deed::default();
    match Push::start(&address, &app, &name).await {
        Ok(push) => {
            deed.connected = true;
            if let Err(error) = send(push, tags, start, end, &mut deed).await {
                deed.dropped = Some(error.to_string());
            }
        }
        Err(error) => deed.dropped = Some(error.to_string()),
    }
    deed
}

async fn send(mut push: Push, tags: &[Tag], start: Instant, end: Instant, deed: &mut Deed) -> std::io::Result<()> {
    for header in tags.iter().filter(|tag| tag.is_header()) {
        push.send(header.kind, 0, &header.body).await?;
    }
    let media: Vec<&Tag> = tags.iter().filter(|tag| !tag.is_header()).collect();
    let (first, last) = (media.first().map_or(0, |t| t.stamp), media.last().map_or(0, |t| t.stamp));
    // One frame time more than the last stamp, so that the next round does not begin on top of it.
    let round = last - first + 33;
    for lap in 0.. {
        for tag in &media {
            let stamp = lap * round + (tag.stamp - first);
            let due = start + Duration::from_millis(u64::from(stamp));
            if due > end {
                return Ok(());
            }
            tokio::time::sleep_until(due).await;
            deed.late = deed.late.max(due.elapsed());
            push.send(tag.kind, stamp, &tag.body).await?;
            deed.bytes += tag.body.len() as u64;
        }
    }
    Ok(())
}

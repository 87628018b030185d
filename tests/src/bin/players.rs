//! One RTMP publisher and many players of it in one process, so that both ends of each picture's way have one clock.
//!
//! `players HOST:PORT APP KEY NAME FLV COUNT SECONDS`: publishes FLV in real time over and over to APP/KEY, and plays
//! APP/NAME COUNT times. Most players throw away what they get; the last [`WITNESSES`], which come one after the other beside all
//! the others, read it. Prints `begin` and `end` around the SECONDS in which bytes are counted, then one JSON object: how many
//! play, what failed, the bytes received, how long each witness waited for its first picture from its connect on, and how old
//! pictures were when they were there, in milliseconds. Ends with status 1 when a player failed.

use anyhow::{Context as _, bail};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::Player;
use tests::flv::{self, Tag};
use tests::push::Push;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Players that read what they get.
const WITNESSES: usize = 6;
/// Between two of them: no whole part of usual keyframe intervals, so that they come at different places between two keyframes.
const APART: Duration = Duration::from_millis(730);
/// A stream is there so long after its publisher.
const PATIENCE: Duration = Duration::from_secs(10);
const BUFFER: usize = 256 << 10;

/// When each picture was sent.
type Sent = Mutex<HashMap<u64, Instant>>;

/// What all players have together.
#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    /// Of witnesses.
    delays_ms: Mutex<Vec<f64>>,
    firsts_ms: Mutex<Vec<f64>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, app, key, name, file, count, seconds] = words.as_slice() else {
        bail!("usage: players HOST:PORT APP KEY NAME FLV COUNT SECONDS");
    };
    let (count, span): (usize, f64) = (count.parse()?, seconds.parse()?);
    let tags = flv::tags(&std::fs::read(file).with_context(|| format!("{file} cannot be read"))?);
    let (sent, seen) = (Arc::new(Sent::default()), Arc::new(Seen::default()));
    let push = Push::start(address, app, key).await.context("the publisher was refused")?;
    let publishing = tokio::spawn(publish(push, tags, Arc::clone(&sent)));
    wait_live(address, app, name).await?;
    let mut players = JoinSet::new();
    let crowd = count.saturating_sub(WITNESSES);
    for _ in 0..crowd {
        let player = Player::start(address, app, name, None).await.context("a player was refused")?;
        let seen = Arc::clone(&seen);
        players.spawn(async move { take(player, &seen).await.map_err(|error| error.to_string()) });
    }
    for _ in crowd..count {
        sleep(APART).await;
        let began = Instant::now();
        let player = Player::start(address, app, name, None).await.context("a witness was refused")?;
        let (sent, seen) = (Arc::clone(&sent), Arc::clone(&seen));
        players.spawn(async move { witness(player, began, &sent, &seen).await.map_err(|error| error.to_string()) });
    }
    sleep(Duration::from_secs(2)).await;
    seen.delays_ms.lock().expect("nobody panics").clear();
    println!("begin");
    let before = seen.bytes.load(Ordering::Relaxed);
    sleep(Duration::from_secs_f64(span)).await;
    let bytes = seen.bytes.load(Ordering::Relaxed) - before;
    println!("end");
    let mut failed = Vec::new();
    while let Some(ended) = players.try_join_next() {
        failed.push(ended.context("a player does not panic")?.err().unwrap_or_else(|| "closed".to_owned()));
    }
    let is_publishing = !publishing.is_finished();
    let (mut delays, mut firsts) = (
        std::mem::take(&mut *seen.delays_ms.lock().expect("nobody panics")),
        std::mem::take(&mut *seen.firsts_ms.lock().expect("nobody panics")),
    );
    delays.sort_by(f64::total_cmp);
    firsts.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied();
    let report = serde_json::json!({
        "players": players.len(), "failed": failed, "publishing": is_publishing, "bytes": bytes,
        "first_ms": firsts, "delay_p50_ms": at(&delays, 0.5), "delay_p99_ms": at(&delays, 0.99), "delays": delays.len(),
    });
    println!("{report}");
    Ok(if failed.is_empty() && is_publishing { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks until the stream can be played and gives pictures.
async fn wait_live(address: &str, app: &str, name: &str) -> anyhow::Result<()> {
    let live = async {
        loop {
            if let Ok(mut player) = Player::start(address, app, name, None).await {
                while let Ok((kind, body)) = player.message().await {
                    if kind == 9 && body.get(1) == Some(&1) {
                        return;
                    }
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, live).await.context("the stream was not there in time")
}

async fn publish(mut push: Push, tags: Vec<Tag>, sent: Arc<Sent>) -> std::io::Result<()> {
    for header in tags.iter().filter(|tag| tag.is_header()) {
        push.send(header.kind, 0, &header.body).await?;
    }
    let media: Vec<&Tag> = tags.iter().filter(|tag| !tag.is_header()).collect();
    let (first, last) = (media.first().map_or(0, |t| t.stamp), media.last().map_or(0, |t| t.stamp));
    // One frame time more than the last stamp, so that the next round does not begin on top of it.
    let round = last - first + 33;
    let start = Instant::now();
    for lap in 0.. {
        for tag in &media {
            let stamp = lap * round + (tag.stamp - first);
            sleep_until(start + Duration::from_millis(u64::from(stamp))).await;
            if tag.kind == 9 {
                sent.lock().expect("nobody panics").insert(name_of(&tag.body), Instant::now());
            }
            push.send(tag.kind, stamp, &tag.body).await?;
        }
    }
    Ok(())
}

/// Names a picture by what is in it; the film is longer than a picture is on its way.
fn name_of(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body[body.len().saturating_sub(256)..].hash(&mut hasher);
    body.len().hash(&mut hasher);
    hasher.finish()
}

async fn take(mut player: Player, seen: &Seen) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match player.skip(&mut buffer).await? {
            0 => return Ok(()),
            count => seen.bytes.fetch_add(count as u64, Ordering::Relaxed),
        };
    }
}

async fn witness(mut player: Player, began: Instant, sent: &Sent, seen: &Seen) -> std::io::Result<()> {
    let mut is_first = true;
    loop {
        let (kind, body) = player.message().await?;
        seen.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        if kind != 9 || body.get(1) != Some(&1) {
            continue;
        }
        if std::mem::take(&mut is_first) {
            assert_eq!(body[0] >> 4, 1, "a player begins with a keyframe");
            seen.firsts_ms.lock().expect("nobody panics").push(began.elapsed().as_secs_f64() * 1e3);
        }
        if let Some(at) = sent.lock().expect("nobody panics").get(&name_of(&body)) {
            seen.delays_ms.lock().expect("nobody panics").push(at.elapsed().as_secs_f64() * 1e3);
        }
    }
}

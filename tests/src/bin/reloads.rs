//! Many players that wait for the same part: how long from the first answer to the last?
//!
//! `reloads HOST:PORT PLAYLIST COUNT ROUNDS`: PLAYLIST is the path of a live media playlist. Each round asks it once, then
//! COUNT kept-alive connections ask for the part after the newest one and are held until it is there. Prints one JSON
//! object with the spread of each round in milliseconds (first answer to last), the median and the worst of them, and how
//! many answers did not hold the part. Ends with status 1 when one did not.

use anyhow::{Context as _, bail};
use std::process::ExitCode;
use std::sync::Arc;
use tests::{Connection, hls};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, playlist, count, rounds] = words.as_slice() else {
        bail!("usage: reloads HOST:PORT PLAYLIST COUNT ROUNDS");
    };
    let (count, rounds): (usize, usize) = (count.parse()?, rounds.parse()?);
    let mut witness = Connection::open(address).await?;
    let mut waiting = Vec::new();
    for _ in 0..count {
        waiting.push(Connection::open(address).await?);
    }
    let (mut spreads, mut wrong) = (Vec::new(), 0);
    for _ in 0..rounds {
        let (_, text) = witness.get(playlist).await?;
        let list = hls::media(&String::from_utf8_lossy(&text));
        let (number, parts) = list.newest().context("the playlist lists parts")?;
        // One part further than the next, so that two thousand requests are all there before it is.
        let (number, parts) = match list.segments.last().map(|segment| segment.parts.len()) {
            Some(0) | None => (number, parts + 1),
            Some(_) => (number, parts + 2),
        };
        let path = format!("{playlist}?_HLS_msn={number}&_HLS_part={parts}");
        let ready = Arc::new(Barrier::new(count));
        let mut requests = JoinSet::new();
        for mut connection in waiting.drain(..) {
            let (path, ready) = (path.clone(), Arc::clone(&ready));
            requests.spawn(async move {
                connection.ask(&path).await?;
                ready.wait().await;
                let (status, text) = connection.answer().await?;
                anyhow::Ok((connection, Instant::now(), status, text))
            });
        }
        let (mut times, mut answers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        while let Some(answer) = requests.join_next().await {
            let (connection, at, status, text) = answer.context("a player does not panic")??;
            waiting.push(connection);
            times.push(at);
            answers.push((status, text));
        }
        // Read only now, so that looking at one answer does not delay the next.
        let holds = |(status, text): &(u16, Vec<u8>)| {
            *status == 200 && hls::media(&String::from_utf8_lossy(text)).newest() > Some((number, parts))
        };
        wrong += answers.iter().filter(|answer| !holds(answer)).count();
        let first = times.iter().min().context("at least one player")?;
        let spread = times.iter().max().context("at least one player")?.duration_since(*first);
        spreads.push(spread.as_secs_f64() * 1_000.0);
    }
    spreads.sort_by(f64::total_cmp);
    let report = serde_json::json!({
        "players": count, "rounds": rounds, "median_ms": spreads[rounds / 2], "worst_ms": spreads[rounds - 1], "wrong": wrong,
    });
    println!("{report}");
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

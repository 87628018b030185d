//! Plays seeds: `simulator --seeds 10000`, or one with its story: `simulator --seed 4711`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Failures shown before it stops looking for more.
const SHOWN_MAX: usize = 5;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    // A panic is a failure with its seed; its own words are in it.
    std::panic::set_hook(Box::new(|_| {}));
    match (value("--seed"), value("--seeds")) {
        (Some(seed), None) => one(seed),
        (None, Some(count)) => many(count, value("--from").unwrap_or(0)),
        _ => {
            eprintln!("usage: simulator --seeds COUNT [--from FIRST] | --seed SEED");
            ExitCode::from(2)
        }
    }
}

fn one(seed: u64) -> ExitCode {
    match simulator::run(seed) {
        Ok(story) => {
            println!("{:#?}\nseed {seed} keeps all promises: {story:?}", simulator::Script::new(seed));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(count: u64, from: u64) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let found: Vec<_> = std::thread::scope(|scope| {
        let next = &next;
        let tasks: Vec<_> = (0..threads).map(|_| scope.spawn(move || share(next, from + count))).collect();
        tasks.into_iter().flat_map(|task| task.join().unwrap_or_default()).collect()
    });
    let (stories, failures): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    for failure in failures.iter().filter_map(|f| f.as_ref().err()).take(SHOWN_MAX) {
        println!("{failure}\n");
    }
    let stories: Vec<_> = stories.into_iter().flatten().collect();
    let segments: u64 = stories.iter().map(|s| s.segments).sum();
    let closed = stories.iter().filter(|s| s.closed.is_some()).count();
    println!(
        "{} seeds kept all promises, {} did not ({segments} segments, {closed} publishers closed, {} s)",
        stories.len(),
        failures.len(),
        began.elapsed().as_secs()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays seeds until `end` or until it has found enough.
fn share(next: &AtomicU64, end: u64) -> Vec<Result<simulator::Story, Box<simulator::Failure>>> {
    let mut all = Vec::new();
    let mut failures = 0;
    while failures < SHOWN_MAX {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        let played = simulator::run(seed);
        failures += usize::from(played.is_err());
        all.push(played);
    }
    all
}

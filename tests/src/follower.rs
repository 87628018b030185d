//! A low-latency player's eye on one media playlist: it asks for the next part again and again, holds each answer to the
//! protocol's promises, and keeps what it was told of each segment.

use crate::hls::{self, Segment};
use crate::http::get;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No request is held longer than this (DESIGN 8.6), and a loaded machine adds a moment.
const ANSWERED_WITHIN: Duration = Duration::from_millis(8_000 + 1_000);
/// PROGRAM-DATE-TIME has whole milliseconds, and EXTINF ten microseconds.
const DATE_SLACK_MS: f64 = 40.0;

/// What a playlist said so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Whole segments by media sequence number, as they were listed first.
    pub segments: BTreeMap<u64, Segment>,
    /// EXT-X-ENDLIST came.
    pub ended: bool,
    /// Requests answered.
    pub answers: u32,
    /// The longest wait for an answer.
    pub longest_wait: Duration,
    /// What was not as promised.
    pub faults: Vec<String>,
}

impl Seen {
    /// The numbers of segments that begin with a discontinuity.
    pub fn discontinuities(&self) -> Vec<u64> {
        self.segments.values().filter(|s| s.discontinuity).map(|s| s.number).collect()
    }

    /// The numbers of gaps.
    pub fn gaps(&self) -> Vec<u64> {
        self.segments.values().filter(|s| s.gap).map(|s| s.number).collect()
    }

    /// Whether a whole segment with media is listed after number `number`.
    pub fn has_media_after(&self, number: u64) -> bool {
        self.segments.range(number + 1..).any(|(_, s)| !s.gap)
    }

    /// The newest number.
    pub fn newest(&self) -> Option<u64> {
        self.segments.keys().next_back().copied()
    }

    /// Every promise was kept: numbers without a hole, each segment dated where the one before ended.
    ///
    /// # Panics
    /// With what was broken.
    #[track_caller]
    pub fn expect_continuous(&self) {
        assert!(self.faults.is_empty(), "{:?}", self.faults);
        let segments: Vec<_> = self.segments.values().collect();
        assert!(segments.len() > 1, "{segments:?}");
        for pair in segments.windows(2) {
            let [before, after] = pair else { unreachable!("windows of two") };
            assert_eq!(after.number, before.number + 1, "numbers have no hole");
            let wall = |s: &Segment| s.wall.as_deref().map(hls::wall_ms).expect("each segment is dated") as f64;
            let step_ms = wall(after) - wall(before);
            let off_ms = step_ms - before.duration * 1_000.0;
            assert!(off_ms.abs() <= DATE_SLACK_MS, "dates go with durations: {off_ms} ms off\n{before:?}\n{after:?}");
        }
    }
}

/// A running follower. Dropping it stops it.
pub struct Follower {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Follows the playlist at `path` until it ends or this is dropped.
    ///
    /// # Panics
    /// When no thread can be made.
    pub fn start(address: SocketAddr, path: &str) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (stopped, told, path) = (Arc::clone(&stop), Arc::clone(&seen), path.to_owned());
        let work = move || {
            let mut next = None;
            while !stopped.load(Ordering::Relaxed) {
                let asked = match next {
                    None => path.clone(),
                    Some((number, part)) => format!("{path}?_HLS_msn={number}&_HLS_part={part}"),
                };
                let start = Instant::now();
                let answer = get(address, &asked);
                let waited = start.elapsed();
                let mut seen = told.lock().expect("nobody panics with it");
                seen.longest_wait = seen.longest_wait.max(waited);
                if waited > ANSWERED_WITHIN {
                    seen.faults.push(format!("{asked} was held for {waited:?}"));
                }
                match answer {
                    Ok(answer) if answer.status == 200 => {
                        let list = hls::media(&answer.text());
                        seen.answers += 1;
                        let is_behind =
                            next.is_some_and(|(number, _)| list.newest().is_some_and(|(newest, _)| newest < number));
                        if is_behind && !list.ended {
                            seen.faults.push(format!("{asked} was answered with {:?}", list.newest()));
                        }
                        for segment in list.complete() {
                            seen.segments.entry(segment.number).or_insert_with(|| segment.clone());
                        }
                        seen.ended = list.ended;
                        if list.ended {
                            return;
                        }
                        next = following(&list);
                    }
                    // The protocol lets a server that waited too long say so; a player asks again.
                    Ok(answer) if answer.status == 503 => seen.faults.push(format!("{asked} answered 503")),
                    Ok(answer) => {
                        seen.faults.push(format!("{asked} answered {}: {}", answer.status, answer.text()));
                        drop(seen);
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    Err(error) => {
                        seen.faults.push(format!("{asked}: {error}"));
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("follower".to_owned()).spawn(work).expect("a thread");
        Self { stop, seen, thread: Some(thread) }
    }

    /// What it saw so far.
    ///
    /// # Panics
    /// When its thread panicked.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("the follower does not panic").clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The part the preload hint promises: what a player asks for next.
fn following(list: &hls::Media) -> Option<(u64, u64)> {
    let name = list.hint.as_deref()?.rsplit('/').next()?.strip_suffix(".m4s")?;
    // After a restart of the server its boot epoch stands in front.
    let name = name.split_once('-').map_or(name, |(_, name)| name);
    let (number, part) = name.split_once('.')?;
    Some((number.parse().ok()?, part.parse().ok()?))
}

//! Viewers who play a live rendition as a low-latency player does, and notice every stall.

use crate::connection::Connection;
use crate::hls;
use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A number of viewers of one rendition, in a thread of their own. Dropping it ends them.
pub struct Audience {
    leave: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<anyhow::Result<Watched>>>>,
}

/// What one viewer saw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watched {
    /// Media played, in seconds.
    pub seconds: f64,
    /// How often there was nothing left to show.
    pub stalls: u32,
    /// The longest wait for a next part.
    pub longest_wait: Duration,
}

impl Audience {
    /// Starts `count` viewers of the media playlist at `path`. Each fetches every part as soon as it is there, over one
    /// connection, and plays `behind` what it has fetched.
    ///
    /// # Panics
    /// When no thread can be made.
    pub fn start(server: SocketAddr, path: &str, count: usize, behind: Duration) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let (left, path) = (Arc::clone(&leave), path.to_owned());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let mut viewers = JoinSet::new();
                for _ in 0..count {
                    viewers.spawn(watch(server, path.clone(), behind, Arc::clone(&left)));
                }
                viewers.join_all().await
            })
        };
        let thread = std::thread::Builder::new().name("audience".to_owned()).spawn(work).expect("a thread");
        Self { leave, thread: Some(thread) }
    }

    /// Lets them stop and gives what each saw.
    ///
    /// # Panics
    /// When one was disconnected, refused, or missed a part.
    #[track_caller]
    pub fn leave(mut self) -> Vec<Watched> {
        self.leave.store(true, Ordering::Relaxed);
        let seen = self.thread.take().expect("taken once, here").join().expect("viewers do not panic");
        seen.into_iter().map(|viewer| viewer.unwrap_or_else(|e| panic!("a viewer was disturbed: {e:#}"))).collect()
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn watch(server: SocketAddr, path: String, behind: Duration, leave: Arc<AtomicBool>) -> anyhow::Result<Watched> {
    let mut connection = Connection::open(&server.to_string()).await?;
    let (mut next, mut query) = (None, String::new());
    let (mut seen, mut has, mut began, mut last) = (Watched::default(), 0.0, None, Instant::now());
    while !leave.load(Ordering::Relaxed) {
        let (status, text) = connection.get(&format!("{path}{query}")).await.context("a playlist")?;
        let text = String::from_utf8_lossy(&text);
        if status != 200 {
            bail!("{path}{query} answered {status}: {text}");
        }
        let list = hls::media(&text);
        let newest = list.newest().context("a live playlist lists something")?;
        let from = *next.get_or_insert(newest);
        for segment in list.segments.iter().filter(|segment| segment.number >= from.0) {
            let first = if segment.number == from.0 { from.1 } else { 0 };
            for part in segment.parts.iter().skip(first) {
                let (status, body) = connection.get(&hls::resolve(&path, &part.uri)).await.context("a part")?;
                if status != 200 || body.is_empty() {
                    bail!("{} answered {status}", part.uri);
                }
                has += part.duration;
            }
        }
        next = Some(newest);
        if newest > from {
            seen.longest_wait = seen.longest_wait.max(last.elapsed());
            last = Instant::now();
        }
        // A player shows what it has from `behind` after its first part on.
        let began = began.get_or_insert_with(|| Instant::now() + behind);
        let due = Instant::now().saturating_duration_since(*began).as_secs_f64();
        if due > has {
            seen.stalls += 1;
            *began += Duration::from_secs_f64(due - has);
        }
        seen.seconds = has;
        query = format!("?_HLS_msn={}&_HLS_part={}", newest.0, newest.1);
    }
    Ok(seen)
}

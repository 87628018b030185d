//! A simulator of the pure cores together: a made-up encoder, RTMP client bytes, a faulty network, the server's RTMP
//! session, the intake with its normaliser, the prober, the cutter and the window, on a virtual clock.
//!
//! One seed is one run of the same bytes at the same moments, on every machine: nothing here opens a socket, starts a
//! thread, sleeps or asks for randomness. [`run`] plays a seed and judges every playlist as it changes; what it finds
//! wrong comes back with the seed and the faults that were played. `make sim SEEDS=10000` plays many, `make sim
//! SEED=4711` one, with its story.
//!
//! It is not a load test and not a test of sockets; journeys do that. [`roof`] is the place where a session outlives its
//! connection: what the server's roof does with a publisher's feed is done there.
//!
//! ```
//! let story = simulator::run(1).unwrap_or_else(|failure| panic!("{failure}"));
//! assert!(story.segments > 0);
//! ```

mod encoder;
mod judge;
mod line;
mod link;
mod random;
pub mod roof;
mod script;
mod worker;

pub use judge::Judge;
pub use random::Random;
pub use roof::Roof;
pub use script::Script;

use bytes::{Bytes, BytesMut};
use line::Line;
use media::FeedItem;
use script::{Parting, Turn};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The virtual clock goes on in steps of this many milliseconds, finer than a picture at 60 a second.
const STEP_MS: u64 = 10;
/// How often the server looks at the clock when nothing comes.
const TICK_MS: u64 = 100;
/// A server that died is up again after this.
const DOWN_MS: u64 = 2_000;

/// What happened in a run that kept all promises.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Story {
    /// Segments that were listed, over all renditions.
    pub segments: u64,
    /// Discontinuities among them.
    pub discontinuities: u64,
    /// Why the publisher was closed, if it was.
    pub closed: Option<String>,
}

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// Which promise, and how.
    pub what: String,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// What was played.
    pub script: Script,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at {} ms: {}", self.seed, self.at_ms, self.what)?;
        writeln!(f, "replay it with: make sim SEED={}", self.seed)?;
        write!(f, "{:#?}", self.script)
    }
}

/// Plays a seed.
///
/// # Errors
/// The first promise that was broken; a panic of the code under test is one.
pub fn run(seed: u64) -> Result<Story, Box<Failure>> {
    let script = Script::new(seed);
    let mut at_ms = 0;
    let played = catch_unwind(AssertUnwindSafe(|| play(seed, &script, &mut at_ms)));
    let what = match played {
        Ok(Ok(story)) => return Ok(story),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            format!("it panicked: {}", text.unwrap_or_default())
        }
    };
    Err(Box::new(Failure { seed, what, at_ms, script }))
}

fn play(seed: u64, script: &Script, at_ms: &mut u64) -> Result<Story, String> {
    let start = Instant::now();
    let time = |ms: u64| start + Duration::from_millis(ms);
    let mut roof = Roof::new(script);
    let mut judge = Judge::new(script);
    let mut turns: VecDeque<Turn> = script.turns.iter().copied().collect();
    // Connections in the order they came; the newest whose media came has the stream.
    let mut lines = vec![Caller::new(0, Line::new(script, seed, 0, 0, start)?)];
    let (mut made, mut owner, mut generation) = (1, 0, 0);
    // When the next publisher connects, and when the server is up again.
    let (mut next, mut up): (Option<u64>, Option<u64>) = (None, None);
    let mut closed = None;
    while *at_ms < script.lasts_ms && closed.is_none() && !roof.is_over() {
        let (now_ms, now) = (*at_ms, time(*at_ms));
        if next.is_none()
            && let Some(turn) = turns.pop_front_if(|turn| turn.at_ms <= now_ms)
        {
            let newest = lines.last_mut().map(|caller| &mut caller.line);
            generation = newest.as_ref().map_or(generation, |line| line.generation()) + u8::from(turn.is_other);
            match (turn.parting, newest) {
                (Parting::Closed | Parting::Reset, Some(line)) => line.hang_up(turn.parting == Parting::Reset),
                (Parting::Mute, Some(line)) => line.fall_silent(),
                (Parting::Restart, _) => {
                    lines.clear();
                    up = Some(now_ms + DOWN_MS);
                }
                (Parting::Takeover, _) | (_, None) => {}
            }
            next = Some(now_ms + turn.away_ms + up.map_or(0, |_| DOWN_MS + STEP_MS));
        }
        if up.take_if(|at| *at <= now_ms).is_some() {
            roof.restart(now, now_ms);
            judge.restarted();
        }
        if next.take_if(|at| *at <= now_ms).is_some() {
            lines.push(Caller::new(made, Line::new(script, seed, made, generation, now)?));
            made += 1;
        }
        for Caller { id, line, early } in &mut lines {
            line.step(now, now_ms, &mut |item| {
                if *id > owner && !matches!(item, FeedItem::Unit(_)) {
                    early.push(item);
                    return;
                }
                if *id > owner {
                    owner = *id;
                    roof.arrive(now);
                    early.drain(..).for_each(|item| roof.item(item, now));
                }
                if *id == owner {
                    roof.item(item, now);
                }
            })?;
        }
        // Who was replaced is sent away; who left is gone when what it sent was played.
        lines.retain(|Caller { id, line, .. }| {
            let is_over = line.is_over(now);
            if is_over && *id == owner {
                roof.away();
            }
            if *id >= owner && closed.is_none() {
                closed = line.closed().map(str::to_owned);
            }
            *id >= owner && !is_over
        });
        if up.is_none() && now_ms.is_multiple_of(TICK_MS) {
            roof.tick(now, now_ms);
            judge.look(&roof, now_ms)?;
        }
        *at_ms += STEP_MS;
    }
    // What was held back is played to its end.
    while let Some(Caller { line, .. }) =
        lines.last_mut().filter(|caller| caller.id == owner && caller.line.is_ahead(time(*at_ms)) && !roof.is_over())
    {
        *at_ms += STEP_MS;
        let now = time(*at_ms);
        line.release(now, &mut |item| roof.item(item, now));
        if at_ms.is_multiple_of(TICK_MS) {
            roof.tick(now, *at_ms);
            judge.look(&roof, *at_ms)?;
        }
    }
    roof.finish();
    judge.close(&roof, lines.last().map(|caller| caller.line.tally()), closed.as_deref(), *at_ms)?;
    Ok(Story { closed, ..judge.story() })
}

/// A publisher's connection and its place in the order of all.
struct Caller {
    id: usize,
    line: Line,
    /// What came before its media.
    early: Vec<FeedItem>,
}

impl Caller {
    fn new(id: usize, line: Line) -> Self {
        Self { id, line, early: Vec::new() }
    }
}

/// One RTMP message as bytes; the client's own chunk size is 60,000 behind its first commands.
fn message(kind: u8, chunk_stream: u8, stamp: u32, payload: Vec<u8>) -> Bytes {
    let mut out = BytesMut::new();
    let mut writer = rtmp::chunk::ChunkWriter::new();
    writer.set_chunk_size(&mut out, 60_000);
    let message = rtmp::chunk::Message { kind, stream: 1, timestamp: stamp, payload: payload.into() };
    writer.write(&mut out, chunk_stream, &message);
    out.freeze()
}

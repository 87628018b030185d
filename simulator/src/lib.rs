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
use encoder::Encoder;
use ingest::{Intake, Limits};
use link::Link;
use rtmp::client::{Publisher, Target};
use rtmp::{Event, ServerSession};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The virtual clock goes on in steps of this many milliseconds, finer than a picture at 60 a second.
const STEP_MS: u64 = 10;
/// How often the server looks at the clock when nothing comes.
const TICK_MS: u64 = 100;

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
    let mut encoder = Encoder::new(script);
    let mut link = Link::new(script, Random::new(seed ^ 0x6c69_6e6b));
    let mut server = Server::new(start);
    let mut roof = Roof::new(script);
    let mut judge = Judge::new(script);
    let mut client = client()?;
    while *at_ms < script.lasts_ms && server.closed.is_none() {
        let now_ms = *at_ms;
        let now = start + Duration::from_millis(now_ms);
        link.send(&client.take_output(), now_ms);
        if client.is_publishing() {
            link.send(&encoder.emit(now_ms), now_ms);
        }
        for bytes in link.deliver(now_ms) {
            server.input(&bytes, now, &mut roof);
        }
        server.release(now, &mut roof);
        client.input(&server.session.take_output()).map_err(|e| format!("the client could not read: {e}"))?;
        if now_ms.is_multiple_of(TICK_MS) {
            roof.tick(now, now_ms);
            judge.look(&roof, now_ms)?;
        }
        *at_ms += STEP_MS;
    }
    // What was held back is played to its end.
    while server.intake.due(start + Duration::from_millis(*at_ms)).is_some() {
        *at_ms += STEP_MS;
        let now = start + Duration::from_millis(*at_ms);
        server.release(now, &mut roof);
        if at_ms.is_multiple_of(TICK_MS) {
            roof.tick(now, *at_ms);
            judge.look(&roof, *at_ms)?;
        }
    }
    roof.finish();
    judge.close(&roof, server.intake.tally(), server.closed.as_deref(), *at_ms)?;
    Ok(Story { closed: server.closed, ..judge.story() })
}

fn client() -> Result<Publisher, String> {
    let target = Target { app: "live".into(), tc_url: "rtmp://virtual/live".into(), name: "KEY".into() };
    Publisher::new(target).map_err(|e| e.to_string())
}

/// The server's side of one connection: what `ingest`'s run loop does, without its sockets.
struct Server {
    session: ServerSession,
    intake: Intake,
    closed: Option<String>,
}

impl Server {
    fn new(start: Instant) -> Self {
        Self { session: ServerSession::new(), intake: Intake::new(&Limits::default(), start), closed: None }
    }

    fn input(&mut self, bytes: &[u8], now: Instant, roof: &mut Roof) {
        let read = self.session.input(bytes);
        self.drain(now, roof);
        if let Err(error) = read {
            self.closed.get_or_insert(error.to_string());
        }
    }

    fn drain(&mut self, now: Instant, roof: &mut Roof) {
        while let Some(event) = self.session.next_event() {
            match event {
                Event::PublishRequested(_) => {
                    if let Err(error) = self.session.accept_publish() {
                        self.closed.get_or_insert(error.to_string());
                    }
                }
                Event::Unpublished => {
                    self.closed.get_or_insert("goodbye".to_owned());
                }
                media => {
                    if let Err(fault) = self.intake.take(media, now, |item| roof.item(item, now)) {
                        self.closed.get_or_insert(fault.to_string());
                    }
                }
            }
        }
    }

    fn release(&mut self, now: Instant, roof: &mut Roof) {
        self.intake.release(now, |item| roof.item(item, now));
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

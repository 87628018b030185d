//! What a session gives to readers, and how one is put to it.

use crate::seats::Seat;
use crate::{Refusal, Settings, worker};
use media::wire::NewReader;
use media::{AccessUnit, Feed, FeedItem, FeedReader, Track};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// What is held of a rendition, so that a worker begins at the newest keyframe. The payload of the source is the publisher's own.
const UNITS_MAX: usize = 2_000;
const BYTES_MAX: usize = 12 << 20;
/// Readers that may wait for a worker that starts.
const JOINING_MAX: usize = 64;
/// Readers of one worker: what its limits on threads and memory have room for.
const READERS_MAX: usize = 32;
/// More failures of a stream's workers than this within [`SPAN`], and nobody is let to another one for now.
const FAILURES_MAX: usize = 5;
const SPAN: Duration = Duration::from_secs(60);

/// The giving end of what the readers of one session get. Dropping it tells them that the stream is over.
#[derive(Debug)]
pub struct Broadcast {
    source: Output,
    rungs: Vec<(String, Output)>,
}

#[derive(Debug)]
struct Output {
    feed: Feed,
    tracks: Arc<Tracks>,
}

/// What one session has for readers. Cheap to clone; keeps nothing alive.
#[derive(Debug, Clone)]
pub struct Listing {
    source: Arc<Channel>,
    rungs: Arc<[Arc<Channel>]>,
}

/// A rendition that may be read. It is taken before anybody judges whether the reader may, so that one who was judged just before a
/// [`Listing::send_away`] goes with the others.
#[derive(Debug, Clone)]
pub struct Tuner {
    channel: Arc<Channel>,
    sent_away: CancellationToken,
}

/// Which kinds of track have come.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    video: AtomicBool,
    audio: AtomicBool,
}

/// What workers are started with.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) settings: Settings,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// One rendition and its worker, if it has one.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) house: Arc<House>,
    pub(crate) stream: String,
    pub(crate) rung: Option<String>,
    pub(crate) tracks: Arc<Tracks>,
    /// How many read it now.
    pub(crate) readers: AtomicUsize,
    /// Where a worker begins to read.
    pub(crate) reader: FeedReader,
    /// Held for a look or a change, never across an await.
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    joins: Option<mpsc::Sender<Join>>,
    failures: VecDeque<Instant>,
    /// Ends the worker and the readers that are there now.
    present: CancellationToken,
    /// What a worker said that can't do its work here.
    unable: Option<String>,
}

/// A reader on its way to a worker.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) interleaved: bool,
    pub(crate) head: bytes::Bytes,
    pub(crate) connection: OwnedFd,
    pub(crate) seat: Seat,
    pub(crate) sent_away: CancellationToken,
}

impl Join {
    /// Its message to the worker, and what stays here.
    pub(crate) fn split(self, number: u64) -> (NewReader, OwnedFd, Seat) {
        let Self { address, port, path, interleaved, head, connection, seat, sent_away: _ } = self;
        (NewReader { number, address, port, path, interleaved, head }, connection, seat)
    }
}

impl Tracks {
    fn note(&self, track: Track) {
        match track {
            Track::Video => self.video.store(true, Ordering::Relaxed),
            Track::Audio => self.audio.store(true, Ordering::Relaxed),
        }
    }

    /// Video, audio.
    pub(crate) fn known(&self) -> (bool, bool) {
        (self.video.load(Ordering::Relaxed), self.audio.load(Ordering::Relaxed))
    }
}

impl Output {
    fn push(&self, unit: &AccessUnit) {
        self.tracks.note(unit.track());
        self.feed.push(FeedItem::Unit(unit.clone()));
    }
}

/// Both ends of what the readers of one session get.
pub(crate) fn open(house: &Arc<House>, stream: &str, rungs: &[&str]) -> (Broadcast, Listing) {
    let make = |rung: Option<&str>| {
        let output = Output { feed: Feed::new(UNITS_MAX, BYTES_MAX), tracks: Arc::default() };
        let channel = Channel {
            house: Arc::clone(house),
            stream: stream.to_owned(),
            rung: rung.map(str::to_owned),
            tracks: Arc::clone(&output.tracks),
            readers: AtomicUsize::new(0),
            reader: output.feed.subscribe(),
            slot: Mutex::default(),
        };
        (output, Arc::new(channel))
    };
    let (source, source_channel) = make(None);
    let (mut outputs, mut channels) = (Vec::new(), Vec::new());
    for rung in rungs {
        let (output, channel) = make(Some(rung));
        outputs.push(((*rung).to_owned(), output));
        channels.push(channel);
    }
    (Broadcast { source, rungs: outputs }, Listing { source: source_channel, rungs: channels.into() })
}

impl Broadcast {
    /// The publisher's next unit.
    pub fn unit(&self, unit: &AccessUnit) {
        self.source.push(unit);
    }

    /// The next picture of a rung, which it must have been made with; others are passed over.
    pub fn picture(&self, rung: &str, unit: &AccessUnit) {
        if let Some((_, output)) = self.rungs.iter().find(|(name, _)| name == rung) {
            output.push(unit);
        }
    }

    /// The next sound that goes with every rung.
    pub fn sound(&self, unit: &AccessUnit) {
        self.rungs.iter().for_each(|(_, output)| output.push(unit));
    }
}

impl Listing {
    /// The source, or a rung by its name; `None` when there is none.
    pub fn tuner(&self, rung: Option<&str>) -> Option<Tuner> {
        let channel = match rung {
            None => Some(&self.source),
            Some(name) => self.rungs.iter().find(|channel| channel.rung.as_deref() == Some(name)),
        };
        channel.map(|channel| Tuner { channel: Arc::clone(channel), sent_away: channel.slot().present.clone() })
    }

    /// Cuts everybody who reads it or is about to: the stream is not for them any more. Who comes afterwards may stay.
    pub fn send_away(&self) {
        for channel in [&self.source].into_iter().chain(self.rungs.iter()) {
            std::mem::take(&mut channel.slot().present).cancel();
        }
    }

    /// How many read the source or a rung now.
    pub fn readers(&self) -> usize {
        let all = [&self.source].into_iter().chain(self.rungs.iter());
        all.map(|channel| channel.readers.load(Ordering::Relaxed)).sum()
    }
}

impl Tuner {
    /// Whether a reader would be let to a worker.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.channel.readers.load(Ordering::Relaxed) >= READERS_MAX {
            let text = format!(
                "{READERS_MAX} read this already, and no more may; take another rung, or rtmp://HOST/live/NAME"
            );
            return Err(Refusal::new(453, "stream_cap", text));
        }
        self.channel.slot().check()
    }

    /// For the reader that was given it.
    pub(crate) fn sent_away(&self) -> CancellationToken {
        self.sent_away.clone()
    }

    /// Puts a reader to the rendition's worker, which is started if there is none.
    pub(crate) fn join(&self, join: Join) -> Result<(), Refusal> {
        Arc::clone(&self.channel).join(join)
    }
}

impl Slot {
    /// Workers that fail again and again are not started for every reader that asks.
    fn check(&mut self) -> Result<(), Refusal> {
        let now = Instant::now();
        self.failures.retain(|at| now.saturating_duration_since(*at) < SPAN);
        if self.failures.len() < FAILURES_MAX {
            return Ok(());
        }
        let why = self.unable.as_deref().unwrap_or("the process that serves it fails again and again");
        let text = format!("The stream can't be played over RTSP now: {why}; try again in a minute");
        Err(Refusal::new(503, "worker", text))
    }
}

impl Channel {
    pub(crate) fn join(self: Arc<Self>, mut join: Join) -> Result<(), Refusal> {
        if join.sent_away.is_cancelled() {
            return Err(Refusal::not_live());
        }
        let mut slot = self.slot();
        if let Some(joins) = &slot.joins {
            match joins.try_send(join) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let text = "Too many readers come at once; play the stream again in a moment";
                    return Err(Refusal::new(503, "crowd", text));
                }
                Err(mpsc::error::TrySendError::Closed(back)) => join = back,
            }
        }
        slot.check()?;
        let (joins, given) = mpsc::channel(JOINING_MAX);
        // The channel was just made, so there is room.
        let _room = joins.try_send(join);
        slot.joins = Some(joins);
        let sent_away = slot.present.clone();
        drop(slot);
        let span = tracing::info_span!(parent: None, "rtsp", stream = self.stream, rung = self.rung);
        let house = Arc::clone(&self.house);
        house.tasks.spawn(worker::run(self, given, sent_away).instrument(span));
        Ok(())
    }

    /// A worker ended, well or not. Readers that came too late for it are put to the next one.
    pub(crate) fn ended(self: Arc<Self>, mut joins: mpsc::Receiver<Join>, fault: Option<Option<String>>) {
        let waiting: Vec<Join> = {
            let mut slot = self.slot();
            slot.joins = None;
            if let Some(unable) = fault {
                slot.failures.push_back(Instant::now());
                slot.unable = unable;
            }
            std::iter::from_fn(|| joins.try_recv().ok()).collect()
        };
        for join in waiting {
            // Who can't be served is closed, and told nothing: its request was taken already.
            let _closed = Arc::clone(&self).join(join);
        }
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

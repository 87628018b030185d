//! What a session gives to readers, and how one is put to it.

use crate::seats::Seat;
use crate::{REFUSED, Refusal, Settings, worker};
use media::wire::NewReader;
use media::{AccessUnit, Feed, FeedItem, FeedReader, Track};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
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
/// Readers of one worker, those that wait for it included: what its limits on threads and memory have room for.
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
    /// How many [`Reservation`]s there are.
    readers: AtomicUsize,
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
    pub(crate) stay: Stay,
    pub(crate) sent_away: CancellationToken,
}

/// What a reader holds from the judgement on until the worker is through with it.
#[derive(Debug)]
pub(crate) struct Stay {
    _seat: Option<Seat>,
    _reservation: Reservation,
}

impl Stay {
    /// Its places in the house and with the worker. One whose connection is not the worker's own keeps the first for as long as that.
    pub(crate) fn new(seat: Option<Seat>, reservation: Reservation) -> Self {
        Self { _seat: seat, _reservation: reservation }
    }
}

/// One of the places that a rendition's worker has, whether it runs already or not; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reservation(Arc<Channel>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Join {
    /// Its message to the worker, and what stays here.
    pub(crate) fn split(self, number: u64) -> (NewReader, OwnedFd, Stay) {
        let Self { address, port, path, interleaved, head, connection, stay, sent_away: _ } = self;
        (NewReader { number, address, port, path, interleaved, head }, connection, stay)
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

    /// How many read the source or a rung now, or are about to.
    pub fn readers(&self) -> usize {
        let all = [&self.source].into_iter().chain(self.rungs.iter());
        all.map(|channel| channel.readers.load(Ordering::Relaxed)).sum()
    }
}

impl Tuner {
    /// A place with the worker. Those who wait for one that starts hold theirs too, or all who come meanwhile would get in.
    pub(crate) fn reserve(&self) -> Result<Reservation, Refusal> {
        self.channel.slot().check()?;
        let more = |taken: usize| (taken < READERS_MAX).then_some(taken + 1);
        match self.channel.readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Reservation(Arc::clone(&self.channel))),
            Err(_) => {
                let text = format!(
                    "{READERS_MAX} read this already, and no more may; take another rung, or rtmp://HOST/live/NAME"
                );
                Err(Refusal::new(453, "stream_cap", text))
            }
        }
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
        // Sending away holds the slot too: whoever it missed here is in a queue that it ends.
        let mut slot = self.slot();
        if join.sent_away.is_cancelled() {
            return Err(Refusal::not_live());
        }
        if self.house.stop.is_cancelled() {
            return Err(Refusal::stopping());
        }
        if let Some(joins) = &slot.joins {
            match joins.try_send(join) {
                Ok(()) => return Ok(()),
                // Each holds a reservation, so it has room.
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let text = "Too many readers come at once; play the stream again in a moment";
                    return Err(Refusal::new(503, "crowd", text));
                }
                Err(mpsc::error::TrySendError::Closed(back)) => join = back,
            }
        }
        slot.check()?;
        let (joins, given) = mpsc::channel(READERS_MAX);
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
            let peer = SocketAddr::new(join.address, join.port);
            // Who can't be served is closed, and told nothing: its request was taken already.
            if let Err(refusal) = Arc::clone(&self).join(join) {
                REFUSED.turn_away(refusal.cause, &peer, &refusal.text, Instant::now());
            }
        }
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seats::Seats;
    use crate::{Limits, Rtsp};
    use std::net::Ipv4Addr;

    fn listing() -> (Broadcast, Listing, CancellationToken) {
        let stop = CancellationToken::new();
        let (broadcast, listing) =
            Rtsp::new(Settings::new(Limits::default()), stop.clone()).broadcast("show", &["720p"]);
        (broadcast, listing, stop)
    }

    /// A reader that was let in.
    fn join(tuner: &Tuner) -> Join {
        let seat = Seats::new(1, 1).take(IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("a seat");
        let (connection, _other_end) = std::os::unix::net::UnixStream::pair().expect("a socket");
        Join {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 1,
            path: "/show".to_owned(),
            interleaved: true,
            head: bytes::Bytes::new(),
            connection: connection.into(),
            stay: Stay::new(Some(seat), tuner.reserve().expect("a place")),
            sent_away: tuner.sent_away(),
        }
    }

    #[test]
    fn as_many_as_one_worker_serves_are_let_in_before_it_runs() {
        let (_broadcast, listing, _stop) = listing();
        let tuner = listing.tuner(None).expect("the source");
        let mut held: Vec<Reservation> = (0..READERS_MAX).map(|_| tuner.reserve().expect("a place")).collect();
        let refusal = tuner.reserve().expect_err("full");
        assert_eq!((refusal.status, refusal.cause), (453, "stream_cap"));
        assert_eq!(listing.readers(), READERS_MAX);
        let _rung = listing.tuner(Some("720p")).expect("a rung").reserve().expect("it has a worker of its own");
        held.pop();
        held.push(tuner.reserve().expect("who leaves gives the place back"));
        assert_eq!(listing.readers(), READERS_MAX + 1);
    }

    #[test]
    fn who_was_sent_away_while_it_waited_is_put_to_no_other_worker() {
        let (_broadcast, listing, _stop) = listing();
        let tuner = listing.tuner(None).expect("the source");
        let (joins, given) = mpsc::channel(READERS_MAX);
        tuner.channel.slot().joins = Some(joins);
        tuner.join(join(&tuner)).expect("it waits for the worker");
        listing.send_away();
        // Without a runtime a worker that is started would panic.
        Arc::clone(&tuner.channel).ended(given, None);
        assert_eq!(tuner.join(join(&tuner)), Err(Refusal::not_live()));
        assert_eq!(listing.readers(), 0);
    }

    #[test]
    fn no_worker_is_started_while_the_server_stops() {
        let (_broadcast, listing, stop) = listing();
        let tuner = listing.tuner(None).expect("the source");
        let (joins, given) = mpsc::channel(READERS_MAX);
        tuner.channel.slot().joins = Some(joins);
        tuner.join(join(&tuner)).expect("it waits for the worker");
        stop.cancel();
        Arc::clone(&tuner.channel).ended(given, None);
        assert!(tuner.channel.slot().joins.is_none() && listing.readers() == 0);
    }
}

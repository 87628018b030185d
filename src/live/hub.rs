//! Who is live: the one table of streams with their keepers, publishers and sessions, read by the origin, the API and
//! the doorman.
//!
//! It holds no media and makes no decision about one. Every change of who publishes goes through a stream's
//! [`Keeper`] under the table's lock, so that what was decided is what is done.

use super::journal::Journal;
use super::rehearsal;
use super::session::{Arrival, Facts, Health};
use crate::api::LogKind;
use bytes::Bytes;
use ingest::Refusal;
use ingest::session::{Begun, Caller, Decision, Departure, Keeper, PublisherId, Reason, Rules, State};
use packager::Window;
use playout::Tuner;
use rtspout::Listing;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long an ended session can still be fetched, so that viewers see its last seconds and its end.
const KEEP_ENDED: Duration = Duration::from_secs(60);
/// Publishers that may wait for their session's task; it takes one in well under a second.
const ARRIVALS_MAX: usize = 4;

/// Someone who asks to publish a stream, with a good key.
#[derive(Debug)]
pub struct Candidate {
    /// Where it comes from.
    pub peer: IpAddr,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
    /// Public id of the key it came with; `None` for what only fills the stream and anyone with a key may replace.
    pub key_id: Option<String>,
    /// What it is there for.
    pub rank: Rank,
    /// The stream's rules.
    pub rules: Rules,
    /// Streams that may be live at once.
    pub streams_max: usize,
}

/// What a publisher is there for. Where places are short, a higher one gets the place of a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The built-in test card.
    Card,
    /// A rehearsal.
    Rehearsal,
    /// A recording that is replayed.
    Replay,
    /// A show.
    Show,
}

impl Rank {
    /// It only fills a stream: whoever has a key takes its place, and it takes nobody's.
    fn gives_way(self) -> bool {
        matches!(self, Self::Card | Self::Replay)
    }
}

/// The renditions a session does without, by name.
#[derive(Debug, Clone, Default)]
pub struct Shortage {
    /// Left out from the start.
    pub withheld: Vec<String>,
    /// Listed, but not encoded now: their playlists list gaps.
    pub resting: BTreeSet<String>,
}

/// One live run of a stream, as the readers of the hub see it.
#[derive(Debug)]
pub struct Live {
    /// Where its playlists and bytes are.
    pub window: Arc<Window>,
    /// When its first media came.
    pub since: SystemTime,
    /// What is known of its source.
    pub facts: Mutex<Facts>,
    /// The newest picture, a JPEG.
    pub thumb: Mutex<Option<Bytes>>,
    /// Captions were seen in its pictures.
    pub captions: AtomicBool,
    /// What this machine has no room for.
    pub shortage: Mutex<Shortage>,
    /// What players over RTMP get; `None` when they get nothing of it.
    pub tuner: Option<Tuner>,
    /// The same for readers over RTSP.
    pub listing: Option<Listing>,
    /// Whether it took a ticket to watch when that was last looked at.
    pub was_private: AtomicBool,
    /// A slate stands in for the publisher, or is about to.
    pub slate: AtomicBool,
    /// What the publisher's encoder calls itself.
    pub encoder: Mutex<Option<String>>,
    /// How its publisher is doing; `None` before the first look.
    pub health: Mutex<Option<Health>>,
    /// When it ended, if it did.
    pub ended: Mutex<Option<Instant>>,
}

impl Live {
    /// A session that begins to be shown, to viewers, to players and to readers.
    pub fn new(
        window: Arc<Window>,
        since: SystemTime,
        facts: Facts,
        (tuner, listing): (Option<Tuner>, Option<Listing>),
    ) -> Self {
        Self {
            window,
            since,
            facts: Mutex::new(facts),
            thumb: Mutex::default(),
            captions: AtomicBool::new(false),
            shortage: Mutex::default(),
            tuner,
            listing,
            was_private: AtomicBool::new(false),
            slate: AtomicBool::new(false),
            encoder: Mutex::default(),
            health: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// What is known of its source now.
    pub fn facts(&self) -> Facts {
        *lock(&self.facts)
    }

    /// The newest picture, if one was made.
    pub fn thumb(&self) -> Option<Bytes> {
        lock(&self.thumb).clone()
    }

    /// Whether captions were seen in its pictures.
    pub fn has_captions(&self) -> bool {
        self.captions.load(Ordering::Relaxed)
    }

    /// What it does without now.
    pub fn shortage(&self) -> Shortage {
        lock(&self.shortage).clone()
    }

    /// Whether a slate stands in for the publisher, or is about to.
    pub fn has_slate(&self) -> bool {
        self.slate.load(Ordering::Relaxed)
    }

    /// What the publisher's encoder calls itself.
    pub fn encoder(&self) -> Option<String> {
        lock(&self.encoder).clone()
    }

    /// How its publisher is doing, once that was looked at.
    pub fn health(&self) -> Option<Health> {
        lock(&self.health).clone()
    }

    /// Whether it still runs.
    pub fn is_live(&self) -> bool {
        lock(&self.ended).is_none()
    }
}

/// Where a session's task learns what the hub decides for it.
#[derive(Debug)]
pub struct Post {
    /// Publishers whose media is the session's from now on; each replaces the one before.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// The session is over.
    pub end: CancellationToken,
}

#[derive(Debug, Default)]
struct Stream {
    keeper: Keeper,
    publisher: Option<Publisher>,
    /// There while the keeper has a session.
    running: Option<Running>,
    /// Newest last; at most two: the one that runs and the one before it.
    sessions: Vec<Arc<Live>>,
    last_gone: Option<Instant>,
    journal: Arc<Journal>,
}

/// The publisher the keeper has.
#[derive(Debug)]
struct Publisher {
    dismiss: oneshot::Sender<Refusal>,
    key_id: Option<String>,
    rank: Rank,
    /// Of its network, as it was last.
    round_trip: Option<Duration>,
}

/// The task of the session the keeper has.
#[derive(Debug)]
struct Running {
    arrivals: mpsc::Sender<Arrival>,
    end: CancellationToken,
}

impl Stream {
    fn run(&mut self) -> Post {
        let (arrivals, given) = mpsc::channel(ARRIVALS_MAX);
        let end = CancellationToken::new();
        self.running = Some(Running { arrivals, end: end.clone() });
        Post { arrivals: given, end }
    }

    fn refused(&self, reason: &Reason) {
        self.journal
            .note(LogKind::Warning, format!("A publisher with a good key was refused: {}", reason.refusal().text));
    }

    /// Does what the keeper decided.
    fn obey(&mut self, name: &str, decisions: Vec<Decision>) {
        for decision in decisions {
            match decision {
                Decision::Dismiss(id, reason) => {
                    metrics::counter!("weir_session_dismissed_total", "reason" => reason.label()).increment(1);
                    tracing::info!(stream = name, publisher = id.0, reason = reason.label(), "publisher sent away");
                    self.journal
                        .note(LogKind::Warning, format!("The publisher was sent away: {}", reason.refusal().text));
                    self.last_gone = Some(Instant::now());
                    // One that has gone by itself meanwhile needs no word.
                    let _gone = self.publisher.take().map(|p| p.dismiss.send(reason.refusal()));
                }
                Decision::End => {
                    if let Some(running) = self.running.take() {
                        running.end.cancel();
                    }
                }
            }
        }
    }
}

/// The table. Cheap to clone by `Arc`; its lock is held for look-ups and a keeper's decision, never across an await.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    streams: HashMap<String, Stream>,
    /// They outlive the entries above.
    journals: HashMap<String, Arc<Journal>>,
    admissions: u64,
}

impl Table {
    fn stream(&mut self, name: &str) -> &mut Stream {
        let Self { streams, journals, .. } = self;
        streams.entry(name.to_owned()).or_insert_with(|| {
            let journal = Arc::clone(journals.entry(name.to_owned()).or_default());
            Stream { journal, ..Stream::default() }
        })
    }

    /// Streams but this one that have a publisher or a session that waits for one.
    fn others(&self, name: &str) -> usize {
        let is_live = |stream: &Stream| stream.publisher.is_some() || stream.running.is_some();
        self.streams.iter().filter(|(other, stream)| *other != name && is_live(stream)).count()
    }

    /// Streams but this one whose publishers stand back for one of this rank.
    fn lower(&self, name: &str, rank: Rank) -> impl Iterator<Item = (Rank, &str)> {
        let ranked = self.streams.iter().filter(move |(other, _)| *other != name);
        let ranked = ranked.filter_map(|(other, stream)| Some((stream.publisher.as_ref()?.rank, other.as_str())));
        ranked.filter(move |(other, _)| *other < rank)
    }

    /// Sends the lowest of the others away, if it is below `rank`; its place is free from now on.
    fn make_room(&mut self, name: &str, rank: Rank) {
        let lowest = self.lower(name, rank).min().map(|(rank, other)| (rank, other.to_owned()));
        let Some((lowest, other)) = lowest else { return };
        let reason = if lowest.gives_way() { Reason::StandsBack } else { Reason::RehearsalStandsBack };
        let entry = self.stream(&other);
        let decisions = entry.keeper.close(reason);
        entry.obey(&other, decisions);
    }
}

/// A panic can't leave these short sections half done, so poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Makes the candidate the stream's publisher, if its keeper agrees; the one before is sent away. What is received is
    /// the reason when that happens to this one. Where streams are as many as may be, one of a lower rank makes room.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(
        &self,
        stream: &str,
        candidate: Candidate,
    ) -> Result<(PublisherId, oneshot::Receiver<Refusal>), Reason> {
        let Candidate { peer, encoder, key_id, rank, rules, streams_max } = candidate;
        let mut table = lock(&self.streams);
        let others = table.others(stream);
        let live = others - table.lower(stream, rank).count();
        if live >= streams_max {
            let reason = Reason::Full { live, most: streams_max };
            metrics::counter!("weir_session_refused_total", "reason" => reason.label()).increment(1);
            table.stream(stream).refused(&reason);
            return Err(reason);
        }
        table.admissions += 1;
        let id = PublisherId(table.admissions);
        let entry = table.stream(stream);
        let who = match (rank, &encoder) {
            (Rank::Card, _) => "The test card".to_owned(),
            (Rank::Replay, Some(replay)) => format!("A {replay}"),
            (_, Some(encoder)) => format!("{encoder} at {peer}"),
            (_, None) => format!("An encoder at {peer}"),
        };
        let caller = Caller { id, peer, encoder, gives_way: rank.gives_way() };
        let was_frozen = entry.keeper.frozen_until().is_some();
        let decided = entry.keeper.knock(caller, rules, Instant::now());
        if !was_frozen && entry.keeper.frozen_until().is_some() {
            metrics::counter!("weir_session_frozen_total").increment(1);
            tracing::warn!(
                stream,
                "encoders take this stream from each other; it stays with the one it has for a minute. Use one encoder per key, or rotate the key"
            );
        }
        let decisions = decided.inspect_err(|reason| {
            metrics::counter!("weir_session_refused_total", "reason" => reason.label()).increment(1);
            // Who asked for a replay is told, and nobody misses the test card.
            if !rank.gives_way() {
                entry.refused(reason);
            }
        })?;
        entry.obey(stream, decisions);
        entry.journal.note(LogKind::Info, format!("{who} connected."));
        let (dismiss, dismissal) = oneshot::channel();
        entry.publisher = Some(Publisher { dismiss, key_id, rank, round_trip: None });
        if others >= streams_max {
            table.make_room(stream, rank);
        }
        Ok((id, dismissal))
    }

    /// Whether one more stream may be live.
    pub fn has_room(&self, stream: &str, streams_max: usize) -> bool {
        lock(&self.streams).others(stream) < streams_max
    }

    /// Sends the lowest of the other publishers away, if it is below this stream's.
    pub fn make_room(&self, stream: &str) {
        let mut table = lock(&self.streams);
        let rank = table.stream(stream).publisher.as_ref().map_or(Rank::Show, |publisher| publisher.rank);
        table.make_room(stream, rank);
    }

    /// How long the network takes to a publisher and back.
    pub fn round_trip(&self, stream: &str, id: PublisherId, taken: Duration) {
        let mut table = lock(&self.streams);
        let Some(entry) = table.streams.get_mut(stream) else { return };
        if entry.keeper.publisher() == Some(id)
            && let Some(publisher) = &mut entry.publisher
        {
            publisher.round_trip = Some(taken);
        }
    }

    /// What [`Hub::round_trip`] was told last of the publisher that is there now.
    pub fn last_round_trip(&self, stream: &str) -> Option<Duration> {
        lock(&self.streams).streams.get(stream)?.publisher.as_ref()?.round_trip
    }

    /// The first media of a publisher came. With `Some` a session begins, whose task the caller starts; else the session
    /// that runs has been given the publisher, or nobody wants it any more.
    pub fn begin(&self, stream: &str, arrival: Arrival) -> Option<(Post, Arrival)> {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        match entry.keeper.begin(arrival.id, Instant::now()) {
            Begun::New => Some((entry.run(), arrival)),
            Begun::Joined => {
                let is_taken = entry.running.as_ref().is_some_and(|r| r.arrivals.try_send(arrival).is_ok());
                if !is_taken {
                    metrics::counter!("weir_session_stuck_total").increment(1);
                    tracing::error!(stream, "the session takes no publisher; it is ended, and a new one may begin");
                    let decisions = entry.keeper.close(Reason::Failed);
                    entry.obey(stream, decisions);
                }
                None
            }
            Begun::Late => None,
        }
    }

    /// The media of this publisher needs a new session. `None` when it is not the stream's publisher any more.
    pub fn renew(&self, stream: &str, id: PublisherId) -> Option<Post> {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        entry.keeper.renew(id).then(|| entry.run())
    }

    /// A session of a server that died waits for its publisher until `until`.
    pub fn restore(&self, stream: &str, rules: Rules, until: Instant) -> Post {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        entry.keeper.restore(rules, until);
        entry.run()
    }

    /// When media of a session's publisher came last.
    pub fn heard(&self, stream: &str, id: PublisherId, at: Instant) {
        if let Some(entry) = lock(&self.streams).streams.get_mut(stream) {
            entry.keeper.heard(id, at);
        }
    }

    /// A publisher's connection is over.
    pub fn left(&self, stream: &str, id: PublisherId, how: Departure) {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        if entry.keeper.publisher() == Some(id) {
            (entry.publisher, entry.last_gone) = (None, Some(Instant::now()));
        }
        let decisions = entry.keeper.left(id, how, Instant::now());
        entry.obey(stream, decisions);
    }

    /// Stops the stream for `hold`, as an operator did; `false` when nobody was live.
    pub fn stop(&self, stream: &str, hold: Duration) -> bool {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        let decisions = entry.keeper.stop(hold, Instant::now());
        let was_live = !decisions.is_empty();
        entry.obey(stream, decisions);
        was_live
    }

    /// An operator's stop is over.
    pub fn allow(&self, stream: &str) {
        if let Some(entry) = lock(&self.streams).streams.get_mut(stream) {
            entry.keeper.allow();
        }
    }

    /// Whether an operator's stop holds.
    pub fn is_stopped(&self, stream: &str) -> bool {
        lock(&self.streams).streams.get(stream).is_some_and(|entry| entry.keeper.held_until().is_some())
    }

    /// Sends the publisher away and ends the session; `false` when there was neither.
    pub fn close(&self, stream: &str, reason: Reason) -> bool {
        let mut table = lock(&self.streams);
        let Some(entry) = table.streams.get_mut(stream) else { return false };
        let decisions = entry.keeper.close(reason);
        let was_live = !decisions.is_empty();
        entry.obey(stream, decisions);
        was_live
    }

    /// Lets time pass for every stream. Call it about ten times a second.
    pub fn tick(&self, now: Instant) {
        for (name, entry) in &mut lock(&self.streams).streams {
            let before = entry.keeper.state();
            let decisions = entry.keeper.tick(now);
            if before == State::Live && entry.keeper.state() == State::Stalled {
                metrics::counter!("weir_session_stalls_total").increment(1);
                tracing::warn!(stream = name, "the publisher has sent nothing for 6 s");
                entry.journal.note(LogKind::Warning, "The publisher is connected and has sent nothing for 6 s.");
            }
            entry.obey(name, decisions);
        }
    }

    /// A session has its window; it is the one shown from now on.
    pub fn show(&self, stream: &str, live: Arc<Live>) {
        let mut table = lock(&self.streams);
        let entry = table.stream(stream);
        if entry.sessions.len() > 1 {
            entry.sessions.remove(0);
        }
        entry.sessions.push(live);
    }

    /// A session is over: what it published stays for [`KEEP_ENDED`].
    pub fn end(&self, live: &Live) {
        lock(&live.ended).get_or_insert_with(Instant::now);
    }

    /// Forgets ended sessions whose time is over and streams without any.
    pub fn sweep(&self, now: Instant) {
        let over = |live: &Live| lock(&live.ended).is_some_and(|at| now.saturating_duration_since(at) > KEEP_ENDED);
        let mut table = lock(&self.streams);
        let Table { streams, journals, .. } = &mut *table;
        let now_ms = store::now_ms();
        journals.retain(|name, journal| journal.forget(now_ms) || streams.contains_key(name));
        streams.retain(|_, entry| {
            entry.sessions.retain(|live| !over(live));
            entry.publisher.is_some()
                || entry.running.is_some()
                || entry.keeper.held_until().is_some()
                || !entry.sessions.is_empty()
                || entry.last_gone.is_some_and(|at| now.saturating_duration_since(at) < KEEP_ENDED)
        });
    }

    /// The newest session of a stream, running or just ended.
    pub fn newest(&self, stream: &str) -> Option<Arc<Live>> {
        lock(&self.streams).streams.get(stream)?.sessions.last().cloned()
    }

    /// The session of that name, running or just ended.
    pub fn session(&self, stream: &str, session: &str) -> Option<Arc<Live>> {
        let table = lock(&self.streams);
        table.streams.get(stream)?.sessions.iter().find(|l| l.window.session() == session).cloned()
    }

    /// What the stream went through; `None` when nothing is remembered of it.
    pub fn journal(&self, stream: &str) -> Option<Arc<Journal>> {
        lock(&self.streams).journals.get(stream).cloned()
    }

    /// The same for a session to write into.
    pub fn open_journal(&self, stream: &str) -> Arc<Journal> {
        Arc::clone(&lock(&self.streams).stream(stream).journal)
    }

    /// Every stream whose session is on now, by name; rehearsals are none.
    pub fn live(&self) -> Vec<(String, Arc<Live>, State)> {
        let table = lock(&self.streams);
        let on = |entry: &Stream| Some((entry.sessions.last().filter(|l| l.is_live())?.clone(), entry.keeper.state()));
        let mut all: Vec<_> = table
            .streams
            .iter()
            .filter(|(name, _)| rehearsal::stream_of(name).is_none())
            .filter_map(|(name, entry)| on(entry).map(|(live, state)| (name.clone(), live, state)))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// One of them.
    pub fn live_one(&self, stream: &str) -> Option<(Arc<Live>, State)> {
        let table = lock(&self.streams);
        let entry = table.streams.get(stream)?;
        Some((entry.sessions.last().filter(|live| live.is_live())?.clone(), entry.keeper.state()))
    }

    /// The streams that have a publisher or a session, and the publisher's key.
    pub fn busy(&self) -> Vec<(String, Option<String>)> {
        let table = lock(&self.streams);
        let is_busy = |(_, s): &(&String, &Stream)| s.publisher.is_some() || s.running.is_some();
        let key_id = |s: &Stream| s.publisher.as_ref().and_then(|p| p.key_id.clone());
        table.streams.iter().filter(is_busy).map(|(name, s)| (name.clone(), key_id(s))).collect()
    }

    /// How long a stream has been without a publisher and without a session that waits for one; `None` while it has
    /// either, for ever when it never had.
    pub fn idle(&self, stream: &str) -> Option<Duration> {
        match lock(&self.streams).streams.get(stream) {
            None => Some(Duration::MAX),
            Some(entry) if entry.publisher.is_some() || entry.running.is_some() => None,
            Some(entry) => Some(entry.last_gone.map_or(Duration::MAX, |at| at.elapsed())),
        }
    }
}

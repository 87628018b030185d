//! Recordings that are replayed: a publisher inside the server, whose media was recorded.
//!
//! A replay takes a place on a stream as an encoder does, and from there on nobody knows the difference: prober, ladder, packager,
//! recorder and slate see a feed. It fills a stream that is idle, so it takes nobody's place and gives way to whoever has a key; the
//! session of either is its own. It is in memory alone: it ends with the server.

mod projector;
mod reader;

use super::Context;
use super::hub::{Candidate, Rank};
use super::session::{self, Arrival, Pass};
use super::stop_left;
use crate::api::{LogKind, ReplayFacts, ReplayRefused};
use crate::recordings::Footage;
use ingest::session::{Departure, PublisherId, Reason, Rules};
use ingest::{Limits, Refusal};
use media::{Announced, Feed, FeedEnd, FeedItem};
use projector::{BEGIN, Projector};
use reader::Reader;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Actor, RecordingAct, RecordingStatus, Visibility, now_ms};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

/// Scenes read ahead of the one that is played: some seconds for a slow store.
const READ_AHEAD: usize = 1;

/// The replays that run, by stream. Held for a look or a change, never across an await.
#[derive(Debug, Default)]
pub struct Replays {
    running: Mutex<BTreeMap<String, Running>>,
}

#[derive(Debug, Clone)]
struct Running {
    id: PublisherId,
    facts: ReplayFacts,
}

impl Replays {
    /// Those that run, by the names of their streams.
    pub fn list(&self) -> Vec<ReplayFacts> {
        self.running().values().map(|running| running.facts.clone()).collect()
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to replay a recording to a stream. It reads the disk, and asks the database.
///
/// # Errors
/// Why not; then nothing was changed.
pub async fn start(
    context: &Arc<Context>,
    actor: &Actor,
    recording: &str,
    stream: &str,
    loops: bool,
) -> Result<ReplayFacts, ReplayRefused> {
    if context.stop.is_cancelled() {
        return Err(ReplayRefused::Closing);
    }
    let act = RecordingAct::Replay { id: recording.to_owned(), to: stream.to_owned(), loops };
    let Some(found) = context.store.stream(stream).await? else {
        return Err(store::Error::NoSuchStream { name: stream.chars().take(80).collect() }.into());
    };
    if let Some(hold) = stop_left(found.stopped_until_ms) {
        return Err(ReplayRefused::Stream(Reason::Stopped { seconds: hold.as_secs().max(1) }));
    }
    let row = context.store.recording(recording).await?;
    let footage = match &row {
        Some(row) => context.recordings.footage(row).await,
        None => None,
    };
    let encoder = format!("replay of the recording {recording}");
    let rules = Rules { window: Duration::ZERO, ..context.settings.rules_of(&found.settings) };
    let candidate = Candidate {
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        encoder: Some(encoder.clone()),
        key_id: None,
        rank: Rank::Replay,
        rules,
        streams_max: context.settings.streams_max,
    };
    let (id, dismissal) = context.hub.admit(stream, candidate).map_err(|reason| match reason {
        Reason::StandsBack => ReplayRefused::Busy,
        other => ReplayRefused::Stream(other),
    })?;
    let facts = ReplayFacts { recording: recording.to_owned(), stream: stream.to_owned(), loops, since_ms: now_ms() };
    let running = Running { id, facts: facts.clone() };
    context.replays.running().insert(stream.to_owned(), running);
    // From here on it has the place, and loses it when this goes.
    let place = Place { context: Arc::clone(context), stream: stream.to_owned(), id, how: Departure::Closing };
    // What else is wrong with a recording the act knows.
    if footage.is_none() && row.is_some_and(|row| row.status == RecordingStatus::Available) {
        return Err(ReplayRefused::Empty);
    }
    context.store.perform_on_recording(actor, &act, facts.since_ms).await?;
    let footage = footage.ok_or(ReplayRefused::Empty)?;
    let feed = Feed::new(Limits::default().feed_units_max, Limits::default().feed_bytes_max);
    let pass = Pass::Replay { keyframe_interval: footage.longest() };
    let arrival = Arrival { id, reader: feed.subscribe(), pass, encoder: Some(encoder), rules };
    let span = tracing::info_span!(parent: None, "replay", stream, recording);
    let recording = recording.to_owned();
    let replay = Replay {
        context: Arc::clone(context),
        recording,
        footage: Arc::new(footage),
        loops,
        feed,
        arrival: Some(arrival),
    };
    context.tasks.spawn(replay.run(place, dismissal).instrument(span));
    Ok(facts)
}

/// A replay's place on its stream; dropping it frees that, panics included.
struct Place {
    context: Arc<Context>,
    stream: String,
    id: PublisherId,
    how: Departure,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.context.replays.running();
        if running.get(&self.stream).is_some_and(|running| running.id == self.id) {
            running.remove(&self.stream);
        }
        drop(running);
        self.context.hub.left(&self.stream, self.id, self.how);
    }
}

/// How a replay ended.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("the recording is over")]
    Over,
    #[error("{}", .0.text)]
    Dismissed(Refusal),
    #[error("its recording is private, and the stream is not")]
    Exposed,
    #[error("the server stops")]
    Closing,
    #[error("too much of the recording could not be read")]
    Unreadable,
}

/// How often that is asked when nothing is known to have changed.
const EXPOSED_EVERY: Duration = Duration::from_secs(5);

/// Ends when the recording is private and the stream is not, or not any more: who watches that would see it without a ticket.
async fn exposed(context: Arc<Context>, recording: String, stream: String) {
    let mut changes = context.store.changes();
    loop {
        changes.mark_unchanged();
        if !context.office.is_private(&stream) {
            let found = context.store.recording(&recording).await;
            // While the database is away it is as it was; it is asked again.
            if found.is_ok_and(|found| found.is_some_and(|found| found.details.visibility == Visibility::Private)) {
                return;
            }
        }
        // Asked again without a change too, in case the database was away.
        if let Ok(Err(_)) = timeout(EXPOSED_EVERY, changes.changed()).await {
            return std::future::pending().await;
        }
    }
}

struct Replay {
    context: Arc<Context>,
    /// Which recording.
    recording: String,
    footage: Arc<Footage>,
    loops: bool,
    feed: Feed,
    /// Until the first unit is in the feed.
    arrival: Option<Arrival>,
}

impl Replay {
    async fn run(mut self, mut place: Place, dismissal: oneshot::Receiver<Refusal>) {
        tracing::info!(scenes = self.footage.scenes.len(), rendition = self.footage.lead, "a recording is replayed");
        let server = self.context.stop.clone();
        let dismissed = async move {
            match dismissal.await {
                Ok(refusal) => refusal,
                Err(_) => std::future::pending().await,
            }
        };
        let exposed = exposed(Arc::clone(&self.context), self.recording.clone(), place.stream.clone());
        let ending = tokio::select! {
            ending = self.play(&place.stream) => ending,
            refusal = dismissed => Ending::Dismissed(refusal),
            () = exposed => Ending::Exposed,
            () = server.cancelled() => Ending::Closing,
        };
        tracing::info!(reason = %ending, "the replay ended");
        let journal = self.context.hub.open_journal(&place.stream);
        let kind = if matches!(ending, Ending::Unreadable) { LogKind::Bad } else { LogKind::Info };
        journal.note(kind, format!("The replay ended: {}.", ending.to_string().trim_end_matches('.')));
        place.how = if matches!(ending, Ending::Closing) { Departure::Closing } else { Departure::Goodbye };
        // The place first: the session ends with its replay and does not wait for another publisher.
        drop(place);
        self.feed.finish(FeedEnd::Finished);
    }

    /// Plays to the end, for ever if so wanted.
    async fn play(&mut self, stream: &str) -> Ending {
        let (loaded, mut films) = mpsc::channel(READ_AHEAD);
        let reader = Reader::new(Arc::clone(&self.context), Arc::clone(&self.footage));
        let audio = reader.first_sound().await;
        let reading = reader.run(self.loops, loaded);
        let showing = async {
            self.feed.push(FeedItem::Announced(Announced {
                video: Some(self.footage.has_pictures),
                audio: Some(self.footage.has_sound),
                // Players and other servers are told of this; which recording it is, is the operator's.
                ..Announced::default()
            }));
            let (mut projector, began) = (Projector::new(audio), Instant::now());
            let mut is_over = false;
            while !is_over {
                match films.recv().await {
                    Some(film) => projector.load(film, BEGIN + began.elapsed().into()),
                    None => {
                        projector.finish();
                        is_over = true;
                    }
                }
                while let Some((due, item)) = projector.next() {
                    tokio::time::sleep_until(began + (due - BEGIN).to_duration()).await;
                    let is_unit = matches!(item, FeedItem::Unit(_));
                    self.feed.push(item);
                    if let Some(arrival) = self.arrival.take_if(|_| is_unit) {
                        session::arrive(&self.context, stream, arrival);
                    }
                }
            }
        };
        // Showing ends when reading has, and with it the channel.
        let (read, ()) = tokio::join!(reading, showing);
        read
    }
}

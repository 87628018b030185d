//! One connection's life: the stranger's part, media, goodbye. One task, one reused read buffer.

use crate::census::Ticket;
use crate::door::REFUSED;
use crate::intake::{Intake, MediaFault};
use crate::session::{Departure, PublisherId};
use crate::stranger::{self, Deadlines, Entry};
use crate::{Admission, Doors, Ingest, PlayerLine, Refusal, Sink, Stream};
use gatehouse::round_trip;
use media::{Feed, FeedEnd, FeedReader};
use metrics::{Gauge, counter, gauge};
use rtmp::{Event, ServerSession};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A keyframe in a few reads.
const PUBLISHER_BUFFER: usize = 64 << 10;
/// Our answers are small: a peer that does not take them for this long is not there.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// After a refusal the peer may read it before the socket closes: closing with unread input would reset the connection
/// and destroy the text on its way.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 << 20;
const LINGER_BUFFER: usize = 4 << 10;
/// How often silence is looked for and counters are published.
const TICK: Duration = Duration::from_secs(1);
/// How often the round trip is asked for, in ticks.
const ROUND_TRIP_EVERY: u32 = 5;

/// A connection that was let in.
pub(crate) struct Visitor {
    pub(crate) peer: SocketAddr,
    pub(crate) ticket: Ticket,
    pub(crate) stop: CancellationToken,
    pub(crate) accepted: Instant,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ending {
    #[error("the publisher said goodbye")]
    Unpublished,
    #[error("the publisher closed the connection without a goodbye")]
    Hangup,
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("it sent {0}")]
    Protocol(#[from] rtmp::Error),
    #[error("{0}")]
    Media(#[from] MediaFault),
    #[error("{what} took longer than {seconds} s")]
    Late { what: &'static str, seconds: u64 },
    #[error("no audio or video came for {seconds} s")]
    Idle { seconds: u64 },
    #[error("dismissed: {}", .0.text)]
    Dismissed(Refusal),
    #[error("refused: {}", .0.text)]
    Refused(Refusal),
    #[error("may not play: {}", .0.text)]
    NotPlayed(Refusal),
    #[error("the server stops")]
    Stopping,
    #[error("it showed no key, and another connection needed its place")]
    MadeRoom,
}

impl Ending {
    /// A bounded label for counters.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unpublished => "goodbye",
            Self::Hangup => "hangup",
            Self::Io(_) => "io",
            Self::Protocol(_) => "protocol",
            Self::Media(_) => "media",
            Self::Late { .. } => "late",
            Self::Idle { .. } => "idle",
            Self::Dismissed(_) => "dismissed",
            Self::Refused(refusal) if refusal.is_failed_key => "key",
            Self::Refused(_) => "refused",
            Self::NotPlayed(_) => "player",
            Self::Stopping => "stopping",
            Self::MadeRoom => "made_room",
        }
    }

    /// What to tell the peer, if it is still there to hear it.
    fn farewell(&self) -> Option<Refusal> {
        let failed = |text: String| Some(Refusal::new("NetStream.Publish.Failed", text));
        match self {
            Self::Unpublished | Self::Hangup | Self::Io(_) => None,
            Self::Dismissed(refusal) | Self::Refused(refusal) | Self::NotPlayed(refusal) => Some(refusal.clone()),
            Self::Media(fault) => Some(Refusal::new("NetStream.Publish.Rejected", fault.to_string())),
            Self::Protocol(error) => failed(format!("The server could not read the connection: {error}")),
            Self::Late { .. } | Self::MadeRoom => {
                failed(format!("Closed, because {self}; start the stream right after connecting."))
            }
            Self::Idle { .. } => {
                failed(format!("Closed, because {self}; check the encoder and the network, then start again."))
            }
            Self::Stopping => failed("The server is stopping; start the stream again in a minute.".to_owned()),
        }
    }

    /// What the roof is told of it.
    fn departure(&self) -> Departure {
        match self {
            Self::Unpublished => Departure::Goodbye,
            Self::Stopping => Departure::Closing,
            _ => Departure::Lost,
        }
    }

    /// How the feed ends: a wish, or an accident after which the publisher may come back.
    fn feed_end(&self) -> FeedEnd {
        match self {
            Self::Unpublished | Self::Dismissed(_) | Self::Stopping => FeedEnd::Finished,
            _ => FeedEnd::Lost,
        }
    }
}

pub(crate) async fn run<D: Doors>(
    ingest: Arc<Ingest<D>>,
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    visitor: Visitor,
) {
    let _open = Held::new(gauge!("weir_ingest_connections"));
    let deadlines = Deadlines::new(&ingest.limits, visitor.accepted);
    let local = socket.local_addr().ok();
    match tls {
        None => talk(&ingest, Line::new(socket, local), visitor, deadlines, false).await,
        Some(config) => {
            let (peer, handshake) = (visitor.peer, TlsAcceptor::from(config).accept(socket));
            let (cause, reason) = tokio::select! {
                done = timeout_at(deadlines.handshake, handshake) => match done {
                    Ok(Ok(stream)) => {
                        return talk(&ingest, Line::new(stream, local), visitor, deadlines, true).await;
                    }
                    Ok(Err(error)) => ("tls", error.to_string()),
                    Err(_) => ("late", "the TLS handshake took too long".to_owned()),
                },
                () = visitor.ticket.must_leave() => (Ending::MadeRoom.label(), Ending::MadeRoom.to_string()),
                () = visitor.stop.cancelled() => return,
            };
            REFUSED.turn_away(cause, &peer, &reason, std::time::Instant::now());
        }
    }
}

/// Adds one to a gauge for as long as it lives, panics included.
struct Held(Gauge);

impl Held {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A socket and the session that speaks on it.
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    pub(crate) session: ServerSession,
    /// Our end of the TCP connection.
    local: Option<SocketAddr>,
    /// An answer was on its way when the connection had to end: nothing can be said after half a message.
    is_cut: bool,
}

impl<S> Line<S> {
    fn new(stream: S, local: Option<SocketAddr>) -> Self {
        Self { stream, session: ServerSession::new(), local, is_cut: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(crate) async fn flush(&mut self) -> Result<(), Ending> {
        let out = self.session.take_output();
        if out.is_empty() {
            return Ok(());
        }
        self.is_cut = true;
        match timeout(WRITE_DEADLINE, async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await
        })
        .await
        {
            Ok(done) => done?,
            Err(_) => return Err(Ending::Late { what: "taking our answer", seconds: WRITE_DEADLINE.as_secs() }),
        }
        self.is_cut = false;
        Ok(())
    }

    /// Says why; false when the peer is not there to hear it.
    pub(crate) async fn say(&mut self, ending: &Ending) -> bool {
        if let Some(refusal) = ending.farewell() {
            self.session.refuse(refusal.code, &refusal.text);
        }
        !self.is_cut && self.flush().await.is_ok()
    }

    /// Lets the peer read what was said, for a second at most; then the socket is to be dropped.
    pub(crate) async fn linger(&mut self, ending: &Ending) {
        // After its own goodbye the peer closes first: GStreamer's rtmp2sink takes our end as an error.
        let is_polite = matches!(ending, Ending::Unpublished);
        if !is_polite && self.stream.shutdown().await.is_err() {
            return;
        }
        let mut discarded = 0;
        let mut buffer = [0; LINGER_BUFFER];
        let drain = async {
            while let Ok(n @ 1..) = self.stream.read(&mut buffer).await {
                discarded += n;
                if discarded > LINGER_BYTES {
                    break;
                }
            }
        };
        // Either way the socket closes now.
        let _read_or_late = timeout(LINGER, drain).await;
        if is_polite {
            // A TLS close notice; whether it still arrives changes nothing.
            let _sent = self.stream.shutdown().await;
        }
    }
}

async fn talk<D: Doors, S: Stream + 'static>(
    ingest: &Ingest<D>,
    mut line: Line<S>,
    visitor: Visitor,
    deadlines: Deadlines,
    tls: bool,
) {
    let Visitor { peer, ticket, stop, .. } = visitor;
    let admission = tokio::select! {
        answer = stranger::admission(ingest, &mut line, peer, &deadlines, tls) => answer,
        () = ticket.must_leave() => Err(Ending::MadeRoom),
        () = stop.cancelled() => Err(Ending::Stopping),
    };
    match admission {
        Ok(Entry::Player(usher)) => {
            drop(ticket);
            let line = PlayerLine { stream: Box::new(line.stream), session: line.session, stop };
            // A task of its own, outside this one's span: entering it at each step would cost a player half of what a write does.
            let playing = AbortOnDropHandle::new(tokio::spawn(usher(line)));
            if let Err(error) = playing.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        Ok(Entry::Publisher(admission, place)) => {
            drop(ticket);
            let ending = publish(ingest, &mut line, peer, admission, place, &stop).await;
            if line.say(&ending).await {
                line.linger(&ending).await;
            }
        }
        Err(ending) => stranger::see_out(ingest, line, &ending, peer, &deadlines, ticket).await,
    }
}

/// An admitted publisher's place on its stream; dropping it tells the roof that it is free, panics included.
pub(crate) struct Place<'a, D: Doors> {
    pub(crate) doors: &'a D,
    pub(crate) stream: String,
    pub(crate) id: PublisherId,
    pub(crate) how: Departure,
}

impl<D: Doors> Drop for Place<'_, D> {
    fn drop(&mut self) {
        self.doors.left(&self.stream, self.id, self.how);
    }
}

/// A publisher's media from the first byte behind the yes to its end.
async fn publish<D: Doors, S: AsyncRead + AsyncWrite + Unpin>(
    ingest: &Ingest<D>,
    line: &mut Line<S>,
    peer: SocketAddr,
    admission: Admission,
    mut place: Place<'_, D>,
    stop: &CancellationToken,
) -> Ending {
    let Admission { stream, dismissal, sink, .. } = admission;
    tracing::Span::current().record("stream", stream.as_str());
    tracing::info!("publisher accepted");
    let _publishing = Held::new(gauge!("weir_ingest_publishers"));
    let began = Instant::now();
    let feed = Feed::new(ingest.limits.feed_units_max, ingest.limits.feed_bytes_max);
    let mut outlet = Outlet { first: Some((feed.subscribe(), sink)), feed };
    let mut intake = Intake::new(&ingest.limits, began.into_std());
    let local = line.local;
    let measure = || {
        if let Some(Ok(taken)) = local.map(|local| round_trip(local, peer)) {
            place.doors.round_trip(&place.stream, place.id, taken);
        }
    };
    let ending = receive(ingest.limits.idle, line, dismissal, stop, &mut intake, &mut outlet, measure).await;
    outlet.feed.finish(ending.feed_end());
    place.how = ending.departure();
    drop(place);
    counter!("weir_ingest_publishers_ended_total", "reason" => ending.label()).increment(1);
    let tally = intake.tally();
    let (video, audio) = intake.configs();
    tracing::info!(
        reason = %ending,
        seconds = began.elapsed().as_secs(),
        bytes = tally.bytes,
        video = video.map(|v| v.codecs.as_str()),
        audio = audio.map(|a| a.codecs()),
        video_units = tally.video_units,
        audio_units = tally.audio_units,
        dropped = tally.dropped(),
        clock_rebases = tally.breaks,
        audio_reanchors = tally.reanchored,
        "publisher left"
    );
    ending
}

/// Where units go, and who is to be told when the first is there.
struct Outlet {
    feed: Feed,
    first: Option<(FeedReader, Sink)>,
}

impl Outlet {
    fn give(&mut self, item: media::FeedItem) {
        let is_unit = matches!(item, media::FeedItem::Unit(_));
        self.feed.push(item);
        if is_unit && let Some((reader, sink)) = self.first.take() {
            sink(reader);
        }
    }
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    idle: Duration,
    line: &mut Line<S>,
    dismissal: oneshot::Receiver<Refusal>,
    stop: &CancellationToken,
    intake: &mut Intake,
    outlet: &mut Outlet,
    measure: impl Fn(),
) -> Ending {
    let mut ticks = 0_u32;
    let mut buffer = vec![0; PUBLISHER_BUFFER];
    let mut published = intake.tally().clone();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Waited for across all reads, so each is registered once. A roof that drops its sender has nothing to say.
    let dismissed = async move {
        match dismissal.await {
            Ok(refusal) => refusal,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::pin!(dismissed);
    let stopped = stop.cancelled();
    tokio::pin!(stopped);
    // What came together with the publish command is already in the session.
    let mut ending = drain(line, intake, outlet);
    let mut said = Vec::new();
    while ending.is_none() {
        let due = intake.due(std::time::Instant::now());
        // read, the sleep and tick are cancel safe.
        ending = tokio::select! {
            read = line.stream.read(&mut buffer) => match read {
                Ok(0) => Some(Ending::Hangup),
                Ok(n) => {
                    intake.add_bytes(n);
                    let input = line.session.input(&buffer[..n]);
                    // Messages before a malformed one still count.
                    drain(line, intake, outlet).or_else(|| input.err().map(Ending::Protocol))
                }
                Err(error) => Some(error.into()),
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(std::time::Instant::now).into()), if due.is_some() => {
                intake.release(std::time::Instant::now(), |item| outlet.give(item));
                None
            }
            refusal = &mut dismissed => Some(Ending::Dismissed(refusal)),
            () = &mut stopped => Some(Ending::Stopping),
            now = tick.tick() => {
                if ticks.is_multiple_of(ROUND_TRIP_EVERY) {
                    measure();
                }
                ticks = ticks.wrapping_add(1);
                intake.tally().publish_since(&published);
                published = intake.tally().clone();
                let silent = now.into_std().saturating_duration_since(intake.last_media());
                (silent >= idle).then_some(Ending::Idle { seconds: idle.as_secs() })
            }
        };
        // Each kind once: a clock that is wrong is wrong all the time, and the counter has the rest.
        if let Some(fault) = intake.take_fault().filter(|fault| !said.contains(fault)) {
            tracing::warn!(%fault, "the publisher's time stamps were mended");
            said.push(fault);
        }
        if ending.is_none() {
            ending = tokio::select! {
                flushed = line.flush() => flushed.err(),
                refusal = &mut dismissed => Some(Ending::Dismissed(refusal)),
                () = &mut stopped => Some(Ending::Stopping),
            };
        }
    }
    let mut ending = ending.unwrap_or(Ending::Hangup);
    // Who has sent everything and left is played to the end, unless somebody else is to have the stream.
    while matches!(ending, Ending::Unpublished | Ending::Hangup | Ending::Io(_))
        && let Some(due) = intake.due(std::time::Instant::now())
    {
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {
                intake.release(std::time::Instant::now(), |item| outlet.give(item));
            }
            refusal = &mut dismissed => ending = Ending::Dismissed(refusal),
            () = &mut stopped => ending = Ending::Stopping,
        }
    }
    intake.finish();
    intake.tally().publish_since(&published);
    ending
}

/// Moves the session's events into the feed.
fn drain<S>(line: &mut Line<S>, intake: &mut Intake, outlet: &mut Outlet) -> Option<Ending> {
    let mut now = None;
    while let Some(event) = line.session.next_event() {
        if matches!(event, Event::Unpublished) {
            return Some(Ending::Unpublished);
        }
        let now = *now.get_or_insert_with(std::time::Instant::now);
        if let Err(fault) = intake.take(event, now, |item| outlet.give(item)) {
            return Some(fault.into());
        }
    }
    None
}

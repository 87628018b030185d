//! A connection before it may publish or play: handshake, its request, the roof's answer, and the way out for whoever gets a no.
//!
//! All of it lies under absolute deadlines from accept. The last of them is the moment the socket is gone: what is to be
//! said to a stranger is said before it.

use crate::census::Ticket;
use crate::connection::{Ending, Line, Place};
use crate::door::REFUSED;
use crate::session::Departure;
use crate::{Admission, Doors, Ingest, Limits, PlayRequest, PublishRequest, Refusal, Usher};
use metrics::counter;
use rtmp::{Event, Play, Publish};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout_at};

/// A stranger's commands fit in less.
const BUFFER: usize = 4 << 10;
/// Kept from the end of the publish deadline for the answer and its reading.
const FAREWELL: Duration = Duration::from_secs(1);

/// When what must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    accepted: Instant,
    /// The handshakes, TLS and RTMP.
    pub(crate) handshake: Instant,
    /// The roof's answer to a request.
    publish: Instant,
    /// The connection, unless it was admitted.
    gone: Instant,
}

impl Deadlines {
    pub(crate) fn new(limits: &Limits, accepted: Instant) -> Self {
        let gone = accepted + limits.publish_deadline;
        let publish = gone - FAREWELL.min(limits.publish_deadline / 10);
        Self { accepted, handshake: publish.min(accepted + limits.handshake_deadline), publish, gone }
    }

    fn late(&self, what: &'static str, at: Instant) -> Ending {
        // A deadline of tenths of a second is shown as the second it is part of.
        let seconds = at.duration_since(self.accepted).as_secs_f64().ceil() as u64;
        Ending::Late { what, seconds }
    }
}

/// What a connection was let in for.
pub(crate) enum Entry<'a, D: Doors> {
    /// To publish, on this place.
    Publisher(Admission, Place<'a, D>),
    /// To play; its session still waits for the yes.
    Player(Usher),
}

/// What a connection asks for.
enum Wish {
    Publish(Publish),
    Play(Play),
}

/// Everything up to the roof's yes.
pub(crate) async fn admission<'a, D: Doors, S: AsyncRead + AsyncWrite + Unpin>(
    ingest: &'a Ingest<D>,
    line: &mut Line<S>,
    peer: SocketAddr,
    deadlines: &Deadlines,
    tls: bool,
) -> Result<Entry<'a, D>, Ending> {
    let publish = match wish(line, deadlines).await? {
        Wish::Publish(publish) => publish,
        Wish::Play(Play { app, name, query }) => {
            let request = PlayRequest { app, name, query, peer, tls };
            return match timeout_at(deadlines.publish, ingest.doors.play(request)).await {
                Ok(Ok(usher)) => Ok(Entry::Player(usher)),
                Ok(Err(refusal)) => Err(Ending::NotPlayed(refusal)),
                Err(_) => Err(Ending::Refused(Refusal::new(
                    "NetStream.Play.Failed",
                    "The server could not look the stream up in time; play it again.",
                ))),
            };
        }
    };
    let request = PublishRequest {
        app: publish.app,
        name: publish.name,
        query: publish.query,
        peer,
        tls,
        encoder: publish.encoder,
    };
    match timeout_at(deadlines.publish, ingest.doors.admit(request)).await {
        Ok(Ok(admission)) => {
            let stream = admission.stream.clone();
            let place = Place { doors: &ingest.doors, stream, id: admission.id, how: Departure::Lost };
            line.session.accept_publish()?;
            line.flush().await?;
            Ok(Entry::Publisher(admission, place))
        }
        Ok(Err(refusal)) => Err(Ending::Refused(refusal)),
        Err(_) => Err(Ending::Refused(Refusal::new(
            "NetStream.Publish.Failed",
            "The server could not check the stream key in time; start the stream again.",
        ))),
    }
}

async fn wish<S: AsyncRead + AsyncWrite + Unpin>(line: &mut Line<S>, deadlines: &Deadlines) -> Result<Wish, Ending> {
    let mut buffer = [0; BUFFER];
    loop {
        let (what, at) = match line.session.is_handshaken() {
            false => ("the handshake", deadlines.handshake),
            true => ("asking to publish or to play", deadlines.publish),
        };
        let step = async {
            let read = line.stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(Ending::Hangup);
            }
            let input = line.session.input(&buffer[..read]);
            line.flush().await?;
            Ok(input?)
        };
        timeout_at(at, step).await.map_err(|_| deadlines.late(what, at))??;
        match line.session.next_event() {
            Some(Event::PublishRequested(publish)) => return Ok(Wish::Publish(publish)),
            Some(Event::PlayRequested(play)) => return Ok(Wish::Play(play)),
            _ => {}
        }
    }
}

/// Counts the refusal, says it, late if keys were guessed, and lets the peer read it. Ends early when somebody else needs
/// the place, and at the last deadline in any case.
pub(crate) async fn see_out<D, S: AsyncRead + AsyncWrite + Unpin>(
    ingest: &Ingest<D>,
    mut line: Line<S>,
    ending: &Ending,
    peer: SocketAddr,
    deadlines: &Deadlines,
    ticket: Ticket,
) {
    let now = Instant::now();
    ticket.refused();
    if !matches!(ending, Ending::NotPlayed(_)) {
        REFUSED.turn_away(ending.label(), &peer, ending, now.into_std());
    }
    let is_guess = matches!(ending, Ending::Refused(refusal) if refusal.is_failed_key);
    let words = async {
        if is_guess && ingest.census.failed_key(peer.ip(), now.into_std()) {
            counter!("weir_ingest_tarpit_total").increment(1);
            let until = deadlines.publish.min(now + ingest.limits.tarpit);
            tokio::select! {
                () = sleep_until(until) => {}
                () = ticket.must_leave() => {}
            }
        }
        if line.say(ending).await {
            tokio::select! {
                () = line.linger(ending) => {}
                () = ticket.must_leave() => {}
            }
        }
    };
    // Either way the socket closes now.
    let _said_or_late = timeout_at(deadlines.gone, words).await;
}

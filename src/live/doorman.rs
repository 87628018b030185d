//! Who may publish where: takes the key out of a publish request, asks the store, and takes the stream in the hub. And who may
//! play what: streams by their public names, without a look at keys, so that nothing can be learnt of one.

use super::Context;
use super::hub::{Candidate, Rank};
use super::rehearsal;
use super::session::{self, Arrival, Pass};
use ingest::session::{Departure, PublisherId, Reason};
use ingest::{Admission, Doors, PlayRequest, PlayerLine, PublishRequest, Refusal, Usher};
use playout::{REFUSED, Seat, Tuned};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{KeyMatch, STOP_HOLD, StreamKey, now_ms};

/// The application of every URL: `rtmp://HOST/live`.
const APP: &str = "live";

/// Implements [`Doors`] for ingest.
pub struct Doorman {
    context: Arc<Context>,
}

/// What a publish request names: `live` + KEY, or `live` + `NAME?key=KEY`; either with `test=1` in the query.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    stream: Option<&'a str>,
    key: &'a str,
    is_rehearsal: bool,
}

impl Doorman {
    /// A doorman for this server.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn find(&self, named: &Named<'_>) -> Result<Found, Refusal> {
        if let Some(card) = &self.context.test_card
            && named.stream.is_none_or(|n| n == card.stream)
            && card.key_matches(named.key)
        {
            return Ok(Found::TestCard(card.stream.clone()));
        }
        match self.context.store.verify_key(named.stream, named.key, now_ms()).await {
            Ok(Some(found)) => Ok(Found::Key(Box::new(found))),
            Ok(None) => Err(Refusal::bad_key()),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a publisher's key could not be looked up");
                Err(Refusal::new(
                    "NetStream.Publish.Failed",
                    "The server's database does not answer, so the key could not be checked; try again in a moment.",
                ))
            }
        }
    }

    /// The stream a player asks for and a seat for it; else a label for counters and what to say.
    fn seat(&self, request: &PlayRequest) -> Result<(Tuned, Seat), (&'static str, Refusal)> {
        let refuse = |cause, code, text: &str| Err((cause, Refusal::new(code, text)));
        if request.app != APP {
            return Err(("app", no_application()));
        }
        if self.context.stop.is_cancelled() {
            let text = "The server is shutting down; play the stream again in a minute.";
            return refuse("stopping", "NetStream.Play.Failed", text);
        }
        let Some(playout) = &self.context.playout else {
            let text = "This server gives streams as HLS alone; open http://HOST:8080/watch/NAME or /live/NAME/index.m3u8 instead, or set playout.rtmp = true.";
            return refuse("off", "NetStream.Play.Failed", text);
        };
        // A stream that nobody may play, such as a rehearsal or a private one, answers as one that is not there.
        let text = "No stream of that name is live here; check the name (the stream's own, not its key), or play it again when it has begun. \
            Private streams are not played over RTMP: open the link their streamer gives out.";
        let live = self.context.hub.live_one(&request.name);
        // Taken before the judgement, so that whoever closes the stream after it ends this player too.
        let Some(tuned) = live.and_then(|(live, _)| Some(live.tuner.as_ref()?.tune())) else {
            return refuse("not_live", "NetStream.Play.StreamNotFound", text);
        };
        if !self.context.office.is_open(&request.name) {
            // Counted as one that is not there: anybody may read the counters.
            return refuse("not_live", "NetStream.Play.StreamNotFound", text);
        }
        match playout.seat(request.peer.ip()) {
            Ok(seat) => Ok((tuned, seat)),
            Err(full) => {
                refuse(full.label(), "NetStream.Play.Failed", &format!("The stream can't be played now: {full}."))
            }
        }
    }
}

/// The answer to any application but ours.
fn no_application() -> Refusal {
    let text = format!("There is no application of that name here; set the server URL to rtmp://HOST/{APP}.");
    Refusal::new("NetConnection.Connect.InvalidApp", text)
}

enum Found {
    TestCard(String),
    Key(Box<KeyMatch>),
}

impl Doors for Doorman {
    async fn admit(&self, request: PublishRequest) -> Result<Admission, Refusal> {
        if request.app != APP {
            return Err(no_application());
        }
        if self.context.stop.is_cancelled() {
            return Err(Refusal::new(
                "NetStream.Publish.Failed",
                "The server is shutting down; connect again in a moment.",
            ));
        }
        let named = name(&request.name, &request.query);
        let (stream, key, rank) = match self.find(&named).await? {
            Found::TestCard(stream) => (stream, None, Rank::Card),
            Found::Key(found) if named.is_rehearsal => {
                (rehearsal::name_of(&found.stream.name), Some(found), Rank::Rehearsal)
            }
            Found::Key(found) => (found.stream.name.clone(), Some(found), Rank::Show),
        };
        let mut rules = match &key {
            Some(key) => self.context.settings.rules_of(&key.stream.settings),
            None => self.context.settings.rules,
        };
        // The database knows of a stop before the hub does when it was made by another process, or before a restart.
        let stopped_for = key.as_ref().and_then(|key| stop_left(key.stream.stopped_until_ms));
        if let Some(hold) = stopped_for {
            if rank == Rank::Rehearsal {
                return Err(Reason::Stopped { seconds: hold.as_secs().max(1) }.refusal());
            }
            self.context.hub.stop(&stream, hold);
        }
        if rank == Rank::Rehearsal {
            // Nobody misses it while it is away.
            rules.window = Duration::ZERO;
        }
        let candidate = Candidate {
            peer: request.peer.ip(),
            encoder: request.encoder.clone(),
            key_id: key.as_ref().map(|k| k.key_id.clone()),
            rank,
            rules,
            streams_max: self.context.settings.streams_max,
        };
        let (id, dismissal) = self.context.hub.admit(&stream, candidate).map_err(Reason::refusal)?;
        let (context, name, encoder) = (Arc::clone(&self.context), stream.clone(), request.encoder);
        let pass = key.map_or(Pass::Card, Pass::Key);
        let sink = move |reader| session::arrive(&context, &name, Arrival { id, reader, pass, encoder, rules });
        Ok(Admission { stream, id, dismissal, sink: Box::new(sink) })
    }

    async fn play(&self, request: PlayRequest) -> Result<Usher, Refusal> {
        let (tuned, seat) = self.seat(&request).map_err(|(cause, refusal)| {
            REFUSED.turn_away(cause, &request.peer, &refusal.text, Instant::now());
            refusal
        })?;
        // The name is a live stream's, so it is no secret.
        let span =
            tracing::info_span!(parent: None, "player", peer = %request.peer, tls = request.tls, stream = request.name);
        Ok(Box::new(move |PlayerLine { stream, session, stop }| {
            Box::pin(async move { seat.play(stream, session, &tuned, stop, &span).await })
        }))
    }

    fn left(&self, stream: &str, id: PublisherId, how: Departure) {
        self.context.hub.left(stream, id, how);
    }

    fn round_trip(&self, stream: &str, id: PublisherId, taken: Duration) {
        self.context.hub.round_trip(stream, id, taken);
    }
}

/// How long an operator's stop holds from now on, if it does.
pub fn stop_left(stopped_until_ms: Option<i64>) -> Option<Duration> {
    let left_ms = u64::try_from(stopped_until_ms? - now_ms()).ok().filter(|left| *left > 0)?;
    // More than a whole hold is left only of an old one, on a clock that was set back since.
    Some(Duration::from_millis(left_ms)).filter(|left| *left <= STOP_HOLD)
}

/// Takes the stream's name and the key out of what the encoder sent. With a `key` in the query the name is the stream's;
/// else the name is the key.
fn name<'a>(name: &'a str, query: &'a str) -> Named<'a> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("key="));
    let is_rehearsal = query.split('&').any(|pair| pair == "test=1");
    match key {
        Some(key) => Named { stream: Some(name), key, is_rehearsal },
        None => Named { stream: None, key: name, is_rehearsal },
    }
}

/// The built-in test card's own way in: a key that lives only in this process's memory.
#[derive(Debug)]
pub struct TestCardPass {
    /// The stream it may publish to.
    pub stream: String,
    key: StreamKey,
}

impl TestCardPass {
    /// A pass with a new random key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(stream: &str) -> Result<Self, store::Error> {
        Ok(Self { stream: stream.to_owned(), key: StreamKey::generate()? })
    }

    /// The key to publish with.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    fn key_matches(&self, presented: &str) -> bool {
        StreamKey::parse(presented).is_some_and(|key| key.is_same(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_give_a_key_are_read() {
        let named = |stream, key| Named { stream, key, is_rehearsal: false };
        assert_eq!(name("wk_a_b", ""), named(None, "wk_a_b"));
        assert_eq!(name("demo", "x=1&key=wk_a_b"), named(Some("demo"), "wk_a_b"));
        assert_eq!(name("demo", "token=1"), named(None, "demo"));
    }

    #[test]
    fn a_rehearsal_is_asked_for_in_the_query() {
        assert!(name("wk_a_b", "test=1").is_rehearsal && name("demo", "key=wk_a_b&test=1").is_rehearsal);
        assert!(!name("wk_a_b", "test=0").is_rehearsal && !name("wk_a_b", "contest=1").is_rehearsal);
    }
}

//! Who may publish where: takes the key out of a publish request, asks the store, and takes the stream in the hub.

use super::Context;
use super::hub::{Candidate, Rank};
use super::rehearsal;
use super::session::{self, Arrival};
use ingest::session::{Departure, PublisherId, Reason};
use ingest::{Admission, Doors, PublishRequest, Refusal};
use std::sync::Arc;
use std::time::Duration;
use store::{KeyMatch, STOP_HOLD, StreamKey, now_ms};

/// The application of every publish URL: `rtmp://HOST/live`.
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
}

enum Found {
    TestCard(String),
    Key(Box<KeyMatch>),
}

impl Doors for Doorman {
    async fn admit(&self, request: PublishRequest) -> Result<Admission, Refusal> {
        if request.app != APP {
            let text = format!("There is no application of that name here; set the server URL to rtmp://HOST/{APP}.");
            return Err(Refusal::new("NetConnection.Connect.InvalidApp", text));
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
        let sink = move |reader| session::arrive(&context, &name, Arrival { id, reader, key, encoder, rules });
        Ok(Admission { stream, id, dismissal, sink: Box::new(sink) })
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

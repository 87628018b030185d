//! Who may publish where: takes the key out of a publish request, asks the store, and takes the stream in the hub.

use super::Context;
use super::hub::Hub;
use super::session::{self, Origin};
use ingest::{Admission, Doors, PublishRequest, Refusal};
use std::sync::Arc;
use store::{KeyMatch, StreamKey, now_ms};
use tokio::sync::oneshot;

/// The application of every publish URL: `rtmp://HOST/live`.
const APP: &str = "live";

/// Implements [`Doors`] for ingest.
pub struct Doorman {
    context: Arc<Context>,
}

/// What a publish request names: `live` + KEY, or `live` + `NAME?key=KEY`.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    stream: Option<&'a str>,
    key: &'a str,
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
        let (stream, key) = match self.find(&named).await? {
            Found::TestCard(stream) => (stream, None),
            Found::Key(found) => (found.stream.name.clone(), Some(found)),
        };
        let key_id = key.as_ref().map(|k| k.key_id.clone());
        let publisher = self.context.hub.admit(&stream, key_id).ok_or_else(|| {
            Refusal::new("NetStream.Publish.BadName", "The stream has a publisher; the test card stands back.")
        })?;
        let (dismiss, dismissal) = oneshot::channel();
        let watcher =
            Watcher { hub: Arc::clone(&self.context.hub), stream: stream.clone(), admission: publisher.admission };
        let origin =
            Origin { stream: stream.clone(), admission: publisher.admission, key, encoder: request.encoder.clone() };
        let context = Arc::clone(&self.context);
        self.context.tasks.spawn(watcher.run(publisher.stop, dismiss));
        Ok(Admission { stream, dismissal, sink: Box::new(move |reader| session::start(context, origin, reader)) })
    }
}

/// Waits for the end of one publisher's connection, and closes it when the hub says so.
struct Watcher {
    hub: Arc<Hub>,
    stream: String,
    admission: u64,
}

impl Watcher {
    async fn run(self, stop: tokio_util::sync::CancellationToken, mut dismiss: oneshot::Sender<Refusal>) {
        tokio::select! {
            () = dismiss.closed() => {}
            () = stop.cancelled() => {
                let replaced = self.hub.publisher(&self.stream).is_some_and(|p| p.admission != self.admission);
                let text = if replaced {
                    "Another encoder started with this stream's key and took over; use one encoder per key."
                } else {
                    "The operator stopped this stream or its key is no longer valid; ask for the key in use now."
                };
                if dismiss.send(Refusal::new("NetStream.Publish.BadName", text)).is_err() {
                    tracing::debug!(stream = self.stream, "the publisher was gone before it was told to stop");
                }
            }
        }
        self.hub.gone(&self.stream, self.admission);
    }
}

/// Takes the stream's name and the key out of what the encoder sent. With a `key` in the query the name is the stream's;
/// else the name is the key.
fn name<'a>(name: &'a str, query: &'a str) -> Named<'a> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("key="));
    match key {
        Some(key) => Named { stream: Some(name), key },
        None => Named { stream: None, key: name },
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
        assert_eq!(name("wk_a_b", ""), Named { stream: None, key: "wk_a_b" });
        assert_eq!(name("demo", "x=1&key=wk_a_b"), Named { stream: Some("demo"), key: "wk_a_b" });
        assert_eq!(name("demo", "token=1"), Named { stream: None, key: "demo" });
    }
}

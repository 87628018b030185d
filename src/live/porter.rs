//! Who may read what over RTSP: streams by their public names. [`Porter::may_read`] is the one place that decides about a viewer.

use super::Context;
use rtspout::{Credentials, Doors, Pass, PlayRequest, Refusal, Tuner};
use std::sync::Arc;
use store::{ApiToken, PlaybackScope, is_same_secret, now_ms};

/// Implements [`Doors`] for RTSP.
pub struct Porter {
    context: Arc<Context>,
    /// What the keys of tokens are made of.
    token: ApiToken,
    /// Names and passwords; none: who shows nothing may read what is public.
    users: Vec<(String, String)>,
}

impl Porter {
    /// A porter for this server.
    pub fn new(context: Arc<Context>, token: ApiToken, users: Vec<(String, String)>) -> Self {
        Self { context, token, users }
    }

    /// Whether a viewer who shows this may read this stream.
    async fn may_read(&self, stream: &str, pass: Option<&Pass>) -> Result<bool, Refusal> {
        let is_public = self.users.is_empty();
        match pass {
            None => Ok(is_public),
            Some(Pass::Password(credentials)) => Ok(is_public || self.knows(credentials)),
            // A link that is over says so, though the stream might be read without one.
            Some(Pass::Token(token)) => {
                let keys = self.context.store.playback_keys(&self.token).await.map_err(|error| {
                    tracing::error!(error = &error as &dyn std::error::Error, "a reader's token could not be checked");
                    let text = "The server's database does not answer, so the token could not be checked; try again in a moment";
                    Refusal::new(503, "database", text)
                })?;
                Ok(keys.verify(token, PlaybackScope::Live(stream), now_ms()).is_ok())
            }
        }
    }

    /// Every entry is compared, so that the time taken tells nothing of which names there are.
    fn knows(&self, shown: &Credentials) -> bool {
        let fits = |(name, password): &(String, String)| {
            is_same_secret(name, &shown.user) & is_same_secret(password, &shown.password)
        };
        self.users.iter().fold(false, |known, user| known | fits(user))
    }
}

impl Doors for Porter {
    async fn play(&self, request: PlayRequest) -> Result<Tuner, Refusal> {
        if self.context.stop.is_cancelled() {
            let text = "The server is shutting down; play the stream again in a minute";
            return Err(Refusal::new(503, "stopping", text));
        }
        // Before it is looked for, so that nobody learns which streams there are.
        if !self.may_read(&request.stream, request.pass.as_ref()).await? {
            return Err(Refusal::who_are_you());
        }
        // A stream that nobody may play, such as a rehearsal, answers as one that is not there.
        let live = self.context.hub.live_one(&request.stream).map(|(live, _)| live);
        let listing = live.as_ref().and_then(|live| live.listing.as_ref());
        listing.and_then(|listing| listing.tuner(request.rung.as_deref())).ok_or_else(Refusal::not_live)
    }
}

//! Who may read what over RTSP: streams by their public names. [`Porter::may_read`] is the one place that decides about a reader; what it
//! says of private streams is the [`BoxOffice`](crate::box_office::BoxOffice)'s word.

use super::Context;
use rtspout::{Credentials, Doors, Pass, PlayRequest, Refusal, Tuner};
use std::sync::Arc;
use store::is_same_secret;

/// Implements [`Doors`] for RTSP.
pub struct Porter {
    context: Arc<Context>,
    /// Names and passwords; none: who shows nothing may read what is not private.
    users: Vec<(String, String)>,
}

impl Porter {
    /// A porter for this server.
    pub fn new(context: Arc<Context>, users: Vec<(String, String)>) -> Self {
        Self { context, users }
    }

    /// Whether a reader who shows this may read this stream. The operator's users may read every one, who has a ticket that one.
    fn may_read(&self, stream: &str, pass: Option<&Pass>) -> Result<(), Refusal> {
        let office = &self.context.office;
        let is_let_in = match pass {
            Some(Pass::Password(credentials)) if self.knows(credentials) => true,
            // A link that is over says so, though the stream might be read without one.
            Some(Pass::Token(token)) => office.opens_stream(stream, token),
            // Where no passwords are, one that is shown counts for nothing.
            None | Some(Pass::Password(_)) if self.users.is_empty() => {
                // It answers as one that is not there.
                return if office.may_watch(stream, None) { Ok(()) } else { Err(Refusal::not_live()) };
            }
            None | Some(Pass::Password(_)) => false,
        };
        if is_let_in { Ok(()) } else { Err(Refusal::who_are_you()) }
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
            return Err(Refusal::stopping());
        }
        // A stream that nobody may play, such as a rehearsal, answers as one that is not there. Taken before the judgement, so that whoever
        // closes the stream after it cuts this reader too; told after it, so that nobody learns which streams there are.
        let live = self.context.hub.live_one(&request.stream).map(|(live, _)| live);
        let listing = live.as_ref().and_then(|live| live.listing.as_ref());
        let tuner = listing.and_then(|listing| listing.tuner(request.rung.as_deref()));
        self.may_read(&request.stream, request.pass.as_ref())?;
        tuner.ok_or_else(Refusal::not_live)
    }
}

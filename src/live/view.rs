//! The hub as the origin and the API ask for it.

use super::Context;
use super::hub::Live;
use super::rehearsal;
use super::replay;
use crate::api::{
    LiveHealth, LiveRehearsal, LiveRendition, LiveState, LiveStream, LiveView, LogRow, ReplayFacts, ReplayRefused,
    Sample,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use ingest::health::Verdict;
use ingest::session::{Reason, State};
use media::Track;
use origin::{Audience, Catalog};
use packager::Window;
use playout::{Playout, Tuner};
use rtspout::Listing;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use store::{Actor, ApiToken};

/// Answers from memory; never waits.
pub struct View {
    context: Arc<Context>,
    /// What the addresses of previews are made of.
    token: ApiToken,
    audience: Audience,
}

impl View {
    /// The view of this server.
    pub fn new(context: Arc<Context>, token: ApiToken) -> Self {
        Self { context, token, audience: Audience::default() }
    }

    /// The hub's name for what a viewer asked for: a stream, or the rehearsal of one whose address it knows.
    fn resolve<'a>(&self, asked: &'a str) -> Option<Cow<'a, str>> {
        match rehearsal::preview(asked) {
            None => Some(Cow::Borrowed(asked)),
            Some((stream, token)) => {
                self.token.preview_matches(stream, token).then(|| Cow::Owned(rehearsal::name_of(stream)))
            }
        }
    }
}

impl Catalog for View {
    fn window(&self, stream: &str) -> Option<Arc<Window>> {
        Some(Arc::clone(&self.context.hub.newest(&self.resolve(stream)?)?.window))
    }

    fn session(&self, stream: &str, session: &str) -> Option<Arc<Window>> {
        Some(Arc::clone(&self.context.hub.session(&self.resolve(stream)?, session)?.window))
    }

    fn admits(&self, stream: &str, ticket: Option<&str>) -> bool {
        // A rehearsal's address holds its own secret, which was looked at by `resolve`.
        match rehearsal::preview(stream) {
            Some(_) => self.resolve(stream).is_some(),
            None => self.context.office.may_watch(stream, ticket),
        }
    }

    fn lasts(&self, ticket: &str) -> Duration {
        self.context.office.lasts(ticket)
    }

    fn thumb(&self, stream: &str) -> Option<Bytes> {
        self.context.hub.newest(&self.resolve(stream)?)?.thumb()
    }

    fn audience(&self) -> Option<&Audience> {
        Some(&self.audience)
    }
}

impl LiveView for View {
    fn streams(&self) -> Vec<LiveStream> {
        let live = self.context.hub.live();
        live.iter().map(|(name, live, state)| self.describe(name, live, *state)).collect()
    }

    fn stream(&self, name: &str) -> Option<LiveStream> {
        let (live, state) = self.context.hub.live_one(&self.resolve(name)?)?;
        Some(self.describe(name, &live, state))
    }

    fn round_trip(&self, name: &str) -> Option<Duration> {
        self.context.hub.last_round_trip(name)
    }

    fn rehearsal(&self, name: &str) -> Option<LiveRehearsal> {
        let place = rehearsal::name_of(name);
        let trial = self.context.hub.journal(&place)?.trial()?;
        let preview = rehearsal::preview_name(name, &self.token.preview(name));
        let live = self.context.hub.live_one(&place).map(|(live, state)| self.describe(&preview, &live, state));
        Some(LiveRehearsal { live, health: self.health(&place), trial, longest: rehearsal::LONGEST, preview })
    }

    fn health(&self, name: &str) -> Option<LiveHealth> {
        let live = self.context.hub.newest(name).filter(|live| live.is_live())?;
        let health = live.health()?;
        let session = live.window.session().to_owned();
        Some(LiveHealth { session, measured: health.measured, report: health.report })
    }

    fn samples(&self, name: &str, after_ms: i64) -> Vec<Sample> {
        self.context.hub.journal(name).map_or_else(Vec::new, |journal| journal.samples(after_ms))
    }

    fn log(&self, name: &str, after: u64) -> Vec<LogRow> {
        self.context.hub.journal(name).map_or_else(Vec::new, |journal| journal.rows(after))
    }

    fn is_closing(&self) -> bool {
        self.context.stop.is_cancelled()
    }

    fn stop(&self, name: &str, hold: Option<Duration>) -> bool {
        match hold {
            Some(hold) => self.context.hub.stop(name, hold),
            None => self.context.hub.close(name, Reason::KeyEnded),
        }
    }

    fn allow(&self, name: &str) {
        self.context.hub.allow(name);
    }

    fn replay<'a>(
        &'a self,
        actor: &'a Actor,
        recording: &'a str,
        to: &'a str,
        loops: bool,
    ) -> BoxFuture<'a, Result<ReplayFacts, ReplayRefused>> {
        Box::pin(replay::start(&self.context, actor, recording, to, loops))
    }

    fn replays(&self) -> Vec<ReplayFacts> {
        self.context.replays.list()
    }
}

impl View {
    /// How many watch anything now.
    pub fn viewers(&self) -> u64 {
        let players = self.context.playout.as_ref().map_or(0, Playout::players);
        let readers = self.context.rtsp.as_ref().map_or(0, |rtsp| rtsp.readers());
        self.audience.all(Instant::now()) + (players + readers) as u64
    }

    fn describe(&self, name: &str, live: &Live, state: State) -> LiveStream {
        let (facts, shortage) = (live.facts(), live.shortage());
        let readers = live.listing.as_ref().map_or(0, Listing::readers);
        let players = live.tuner.as_ref().map_or(0, Tuner::players) + readers;
        let video = live.window.renditions().into_iter().filter(|rendition| rendition.track() == Track::Video);
        let since = live.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        LiveStream {
            name: name.to_owned(),
            state: match state {
                State::Stalled => LiveState::Stalled,
                State::Reconnecting => LiveState::Reconnecting,
                State::Live | State::Waiting | State::Ended => LiveState::Live,
            },
            since_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            session: live.window.session().to_owned(),
            width: facts.size.map(|s| s.0),
            height: facts.size.map(|s| s.1),
            fps: facts.frame_rate.map(media::FrameRate::as_f64),
            slate: live.has_slate(),
            captions: live.has_captions(),
            viewers: Some(self.audience.of(name, Instant::now()) + players as u64),
            thumb: live.thumb().is_some(),
            rewinds: self.context.recordings.rewinds(name, live.window.session()),
            renditions: video
                .map(|rendition| {
                    let resting = shortage.resting.contains(rendition.id());
                    LiveRendition { name: rendition.id().to_owned(), resting }
                })
                .collect(),
            withheld: shortage.withheld,
            verdict: live.health().map_or(Verdict::NoData, |health| health.report.verdict),
            encoder: live.encoder(),
        }
    }
}

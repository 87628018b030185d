//! The public questions: what is live, and whether one stream is.

use super::Api;
use super::error::{ApiError, Query};
use super::follow::{LogRow, Sample};
use super::replays::{ReplayFacts, ReplayRefused};
use super::shapes::{LiveList, LiveShape, Problem};
use super::tickets::Presented;
use crate::box_office::Denied;
use axum::Json;
use axum::extract::{Path, State};
use futures_util::future::BoxFuture;
use ingest::health::{Measured, Report, Trial, Verdict};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Actor, Store, now_ms};
use tokio::sync::watch;
use utoipa::ToSchema;

/// What the API asks of the live side. Answers come from memory and block on nothing.
pub trait LiveView: Send + Sync + 'static {
    /// Every stream that is live, by name.
    fn streams(&self) -> Vec<LiveStream>;

    /// One of them.
    fn stream(&self, name: &str) -> Option<LiveStream> {
        self.streams().into_iter().find(|s| s.name == name)
    }

    /// How the publisher of a stream that is live is doing; `None` when it is not live, or was not looked at yet.
    fn health(&self, name: &str) -> Option<LiveHealth>;

    /// How long the network takes to a stream's publisher and back; `None` without one, or when it is not known.
    fn round_trip(&self, name: &str) -> Option<Duration>;

    /// A stream's newest rehearsal, which may still be on.
    fn rehearsal(&self, name: &str) -> Option<LiveRehearsal>;

    /// What was measured after `after_ms`, oldest first.
    fn samples(&self, name: &str, after_ms: i64) -> Vec<Sample>;

    /// What happened after the row with number `after`, oldest first.
    fn log(&self, name: &str, after: u64) -> Vec<LogRow>;

    /// The server is going down.
    fn is_closing(&self) -> bool;

    /// Sends the stream's publisher away and ends its session; false when there is neither. With `hold` nobody is
    /// admitted for so long, or until [`LiveView::allow`].
    fn stop(&self, name: &str, hold: Option<Duration>) -> bool;

    /// Publishers are admitted again.
    fn allow(&self, name: &str);

    /// Begins to replay a recording to a stream, in a loop or once. It reads the disk, and asks the database.
    fn replay<'a>(
        &'a self,
        actor: &'a Actor,
        recording: &'a str,
        to: &'a str,
        loops: bool,
    ) -> BoxFuture<'a, Result<ReplayFacts, ReplayRefused>>;

    /// The replays that run, by the names of their streams.
    fn replays(&self) -> Vec<ReplayFacts>;
}

/// How the publisher of a live stream is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveHealth {
    /// The session's name, as in its playlists' URLs.
    pub session: String,
    /// The numbers of the last ten seconds.
    pub measured: Measured,
    /// What they mean.
    pub report: Report,
}

/// A publisher that tries its settings before a show.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRehearsal {
    /// It, while it is on.
    pub live: Option<LiveStream>,
    /// How its publisher is doing.
    pub health: Option<LiveHealth>,
    /// What was found in its first minute.
    pub trial: Trial,
    /// It ends by itself then.
    pub longest: Duration,
    /// What its preview is called in addresses, in the place of a stream's name. Whoever knows it may watch.
    pub preview: String,
}

/// A stream that is live.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStream {
    /// Public name.
    pub name: String,
    /// What a viewer can expect.
    pub state: LiveState,
    /// When its first media came, milliseconds since 1970.
    pub since_ms: i64,
    /// The session's name, as in its playlists' URLs.
    pub session: String,
    /// Source picture in luma samples; `None` without video.
    pub width: Option<u32>,
    /// See `width`.
    pub height: Option<u32>,
    /// Frames per second of the source.
    pub fps: Option<f64>,
    /// A slate stands in for the publisher, or is about to.
    pub slate: bool,
    /// Whether captions are declared.
    pub captions: bool,
    /// Players counted, when they are.
    pub viewers: Option<u64>,
    /// Whether `/live/NAME/thumb.jpg` has a picture.
    pub thumb: bool,
    /// Whether there is something below `/rewind/NAME/`.
    pub rewinds: bool,
    /// Its pictures' renditions, highest first.
    pub renditions: Vec<LiveRendition>,
    /// Names of renditions that this machine had no room for when the session began.
    pub withheld: Vec<String>,
    /// How its publisher is doing, in a word.
    pub verdict: Verdict,
    /// What its encoder calls itself.
    pub encoder: Option<String>,
}

/// One rendition of a stream's pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveRendition {
    /// `source`, or such as `720p`; also the name of its playlist.
    pub name: String,
    /// It is not encoded now, as the machine is too slow for all; its playlist lists gaps until it is again.
    pub resting: bool,
}

/// What a viewer can expect of a stream that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LiveState {
    /// Pictures come.
    Live,
    /// The publisher is connected and has sent nothing for more than 6 s.
    Stalled,
    /// The publisher lost its connection and may come back to this session.
    Reconnecting,
}

/// Streams' titles, read anew when the store changed: the public questions come too often to ask the database each time.
pub struct Titles {
    changes: watch::Receiver<u64>,
    /// Held for a clone of the `Arc`, never across an await.
    read: Mutex<Option<Read>>,
}

/// Titles by name, and the revision they were read at.
#[derive(Clone)]
struct Read {
    at: u64,
    titles: Arc<HashMap<String, String>>,
}

impl Titles {
    pub fn new(store: &Store) -> Self {
        Self { changes: store.changes(), read: Mutex::default() }
    }

    /// Titles by name. When the database does not answer, as they last were.
    async fn get(&self, store: &Store) -> Arc<HashMap<String, String>> {
        let revision = *self.changes.borrow();
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stale = match known {
            Some(read) if read.at == revision => return read.titles,
            Some(read) => read.titles,
            None => Arc::default(),
        };
        let Ok(streams) = store.streams().await else { return stale };
        let titles: Arc<HashMap<_, _>> = Arc::new(streams.into_iter().map(|s| (s.name, s.settings.title)).collect());
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Read { at: revision, titles: Arc::clone(&titles) });
        titles
    }
}

impl Api {
    /// The title of a stream, which need not be live and may have an empty one; `None` when there is none of this name.
    pub(super) async fn title(&self, name: &str) -> Option<String> {
        self.titles.get(&self.store).await.get(name).cloned()
    }
}

impl Api {
    /// Whether the asker may see what there is of a stream, live or not; the ticket it takes, if it takes one.
    pub(super) fn watched<'a>(&self, name: &str, shown: &'a Presented) -> Result<Option<&'a str>, ApiError> {
        // The address of a rehearsal's preview holds its own secret.
        if is_preview(name) {
            return Ok(None);
        }
        let ticket = shown.ticket.as_deref();
        self.office.judge(name, ticket).map_err(|denied| match denied {
            Denied::Closed => not_live(),
            Denied::Ticket(why) => ApiError::bad_ticket(why),
        })?;
        Ok(ticket.filter(|_| self.office.is_private(name)))
    }
}

fn not_live() -> ApiError {
    ApiError::not_found("not_live", "No stream of this name is live now.".into())
}

/// What is live
///
/// Streams that everybody may see.
#[utoipa::path(get, path = "/api/v1/live", tag = "live", responses((status = 200, body = LiveList)))]
pub async fn list(State(api): State<Arc<Api>>) -> Json<LiveList> {
    let titles = api.titles.get(&api.store).await;
    let now_ms = now_ms();
    let title = |name: &str| titles.get(name).map_or("", String::as_str).to_owned();
    let streams = api
        .live
        .streams()
        .into_iter()
        .filter(|s| api.office.lists(&s.name))
        .map(|s| {
            let title = title(&s.name);
            LiveShape::new(s, &title, None, now_ms)
        })
        .collect();
    Json(LiveList { streams, ingest: api.ingest.clone(), now_ms })
}

/// Whether a stream is live
///
/// A stream that is not live, one that is private and one that does not exist get the same answer. With a ticket that is no good it
/// is 403, whatever the stream.
#[utoipa::path(get, path = "/api/v1/live/{name}", tag = "live",
    params(("name" = String, Path, description = "Public name"), Presented),
    responses((status = 200, body = LiveShape), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Query(shown): Query<Presented>,
) -> Result<Json<LiveShape>, ApiError> {
    let ticket = api.watched(&name, &shown)?;
    let live = api.live.stream(&name).ok_or_else(not_live)?;
    let titles = api.titles.get(&api.store).await;
    // The preview of a rehearsal has a secret in its name, which is nothing to be shown.
    let title = if is_preview(&name) { "Rehearsal" } else { titles.get(&name).map_or("", String::as_str) };
    Ok(Json(LiveShape::new(live, title, ticket, now_ms())))
}

/// No stream's name has this mark.
fn is_preview(name: &str) -> bool {
    name.contains('~')
}

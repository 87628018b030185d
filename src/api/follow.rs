//! One stream as the dashboard and the dock follow it: numbers now, numbers of the last ten minutes, what happened, and all of it
//! as it goes on.

use super::Api;
use super::error::ApiError;
use super::gate::Pass;
use super::health::{HealthShape, VerdictShape};
use super::live::LiveState;
use super::rehearsal::RehearsalShape;
use super::shapes::Problem;
use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Error, now_ms};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

/// How often followers are told.
const EVERY: Duration = Duration::from_secs(1);
/// Followers come again after this long, and show then that they still may.
const FOLLOWED_FOR: Duration = Duration::from_secs(15 * 60);
/// Whether they still may is looked at this often besides.
const RECHECK_EVERY: u32 = 3;
/// Followers at a time, of all streams: the operator's pages, and docks, which take none of the operator's places.
const FOLLOWERS_MAX: usize = 200;

static PAGES: AtomicUsize = AtomicUsize::new(0);
static DOCKS: AtomicUsize = AtomicUsize::new(0);

/// What a stream's publisher sent at one moment, over the ten seconds before it. Null: nothing came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Of the pictures.
    pub video_kbps: Option<f64>,
    /// Of the sound.
    pub audio_kbps: Option<f64>,
    /// Pictures a second.
    pub fps: Option<f64>,
    /// Seconds between keyframes.
    pub keyframe_s: Option<f64>,
    /// Seconds of media that arrive each second.
    pub pace: Option<f64>,
    /// Milliseconds the encoding is behind.
    pub lag_ms: Option<f64>,
    /// Loudness of the sound, dB below full scale.
    pub level_db: Option<f64>,
}

/// Samples of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// Time between two of them.
    pub step_ms: u64,
    /// Oldest first, of the last ten minutes.
    pub samples: Vec<Sample>,
}

/// How a line of a stream's log is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// As it should be.
    Info,
    /// Worth a look.
    Warning,
    /// Viewers noticed.
    Bad,
}

/// Something that happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogRow {
    /// Its number, from 1.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// How it is meant.
    pub kind: LogKind,
    /// One sentence.
    pub message: String,
}

/// What happened to a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct Log {
    /// Oldest first: the last 200 of a day.
    pub rows: Vec<LogRow>,
}

/// Whether there is something to play.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatsState {
    /// Nothing.
    Off,
    /// Pictures come.
    Live,
    /// The publisher is connected and sends nothing.
    Stalled,
    /// The publisher was lost and may come back.
    Reconnecting,
}

/// A stream in a few numbers that keep their names. Null: not known, or not live.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    /// Public name.
    pub stream: String,
    /// Whether it is live.
    pub state: StatsState,
    /// Its health in a word.
    pub verdict: VerdictShape,
    /// When the session began, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Whole seconds since then.
    pub uptime_s: Option<i64>,
    /// Of pictures and sound together as they arrive.
    pub bitrate_kbps: Option<f64>,
    /// See [`Sample::video_kbps`].
    pub video_kbps: Option<f64>,
    /// See [`Sample::audio_kbps`].
    pub audio_kbps: Option<f64>,
    /// See [`Sample::fps`].
    pub fps: Option<f64>,
    /// See [`Sample::keyframe_s`].
    pub keyframe_s: Option<f64>,
    /// See [`Sample::lag_ms`].
    pub lag_ms: Option<f64>,
    /// Milliseconds that the network takes to the publisher and back.
    pub rtt_ms: Option<f64>,
    /// Times the publisher was lost in the last ten minutes.
    pub losses: u32,
    /// Players, when they are counted.
    pub viewers: Option<u64>,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
}

impl Api {
    pub(super) async fn must_exist(&self, name: &str) -> Result<(), ApiError> {
        match self.store.stream(name).await? {
            Some(_) => Ok(()),
            None => Err(Error::NoSuchStream { name: name.to_owned() }.into()),
        }
    }

    pub(super) fn stats(&self, name: &str) -> Stats {
        let (live, health, now_ms) = (self.live.stream(name), self.live.health(name), now_ms());
        let sample = live.as_ref().and_then(|_| self.live.samples(name, now_ms - 3_000).pop());
        let rates = sample.map(|s| (s.video_kbps, s.audio_kbps));
        Stats {
            stream: name.to_owned(),
            state: match live.as_ref().map(|live| live.state) {
                None => StatsState::Off,
                Some(LiveState::Live) => StatsState::Live,
                Some(LiveState::Stalled) => StatsState::Stalled,
                Some(LiveState::Reconnecting) => StatsState::Reconnecting,
            },
            since_ms: live.as_ref().map(|live| live.since_ms),
            uptime_s: live.as_ref().map(|live| (now_ms - live.since_ms).max(0) / 1_000),
            bitrate_kbps: rates.filter(|r| *r != (None, None)).map(|(v, a)| v.unwrap_or(0.0) + a.unwrap_or(0.0)),
            video_kbps: sample.and_then(|s| s.video_kbps),
            audio_kbps: sample.and_then(|s| s.audio_kbps),
            fps: sample.and_then(|s| s.fps),
            keyframe_s: sample.and_then(|s| s.keyframe_s),
            lag_ms: sample.and_then(|s| s.lag_ms),
            rtt_ms: self.live.round_trip(name).map(|taken| (taken.as_secs_f64() * 1e4).round() / 10.0),
            losses: health.as_ref().map_or(0, |health| health.measured.losses),
            viewers: live.as_ref().and_then(|live| live.viewers),
            encoder: live.and_then(|live| live.encoder),
            verdict: health.map_or(VerdictShape::NoData, |health| health.report.verdict.into()),
        }
    }
}

/// A stream in a few numbers
///
/// For scene switchers and scripts; a name is never changed, and never means another thing.
#[utoipa::path(get, path = "/api/v1/streams/{name}/stats", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Stats), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn stats(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<Stats>, ApiError> {
    api.must_exist(&name).await?;
    Ok(Json(api.stats(&name)))
}

/// The last ten minutes in numbers
#[utoipa::path(get, path = "/api/v1/streams/{name}/history", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = History), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn history(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<History>, ApiError> {
    api.must_exist(&name).await?;
    Ok(Json(History { step_ms: EVERY.as_millis() as u64, samples: api.live.samples(&name, 0) }))
}

/// What happened to a stream
#[utoipa::path(get, path = "/api/v1/streams/{name}/log", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, body = Log), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn log(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Json<Log>, ApiError> {
    api.must_exist(&name).await?;
    Ok(Json(Log { rows: api.live.log(&name, 0) }))
}

/// Follow a stream
///
/// Server-Sent Events: `health` (at first and when it changed), `stats` (each second), `sample` (each second while it is live),
/// `rehearsal` (at first and when it changed) and `log` (as it happens; to the operator alone), each with the JSON of the routes of those names. It ends after a quarter of an hour; come again then.
#[utoipa::path(get, path = "/api/v1/streams/{name}/events", tag = "streams", security(("token" = [])),
    params(("name" = String, Path, description = "Public name")),
    responses((status = 200, content_type = "text/event-stream"), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn events(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Extension(pass): Extension<Pass>,
) -> Result<impl IntoResponse, ApiError> {
    api.must_exist(&name).await?;
    let places = if matches!(pass, Pass::Dock) { &DOCKS } else { &PAGES };
    let place = Place::take(places).ok_or_else(|| {
        let message = "Too many pages follow streams now; close some and try again.";
        ApiError::unavailable("too_many_followers", message.into())
    })?;
    let events = stream::unfold(Follower::new(api, name, pass, place), async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().text("ping"));
    // nginx would collect events before it passes them on.
    Ok(([("x-accel-buffering", "no")], events))
}

/// One of [`FOLLOWERS_MAX`].
struct Place(&'static AtomicUsize);

impl Place {
    fn take(places: &'static AtomicUsize) -> Option<Self> {
        let taken = places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < FOLLOWERS_MAX).then_some(n + 1));
        taken.ok().map(|_| Self(places)).or_else(|| {
            metrics::counter!("weir_api_refused_total", "cause" => "followers").increment(1);
            None
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a follower of a stream is.
struct Follower {
    api: Arc<Api>,
    name: String,
    pass: Pass,
    _place: Place,
    tick: Interval,
    ticks: u32,
    until: Instant,
    /// What is to be told before the next look.
    queue: VecDeque<Event>,
    /// The health and the rehearsal as they were told last.
    health: String,
    rehearsal: String,
    sample_ms: i64,
    row: u64,
}

impl Follower {
    fn new(api: Arc<Api>, name: String, pass: Pass, place: Place) -> Self {
        let row = api.live.log(&name, 0).last().map_or(0, |row| row.seq);
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let until = Instant::now() + FOLLOWED_FOR;
        Self {
            api,
            name,
            pass,
            _place: place,
            tick,
            ticks: 0,
            until,
            queue: VecDeque::new(),
            health: String::new(),
            rehearsal: String::new(),
            sample_ms: now_ms(),
            row,
        }
    }

    /// Cancel safe: what was looked at is in the queue.
    async fn next(&mut self) -> Option<Event> {
        while self.queue.is_empty() {
            if Instant::now() >= self.until || self.api.live.is_closing() {
                return None;
            }
            self.tick.tick().await;
            self.ticks = self.ticks.wrapping_add(1);
            if self.ticks.is_multiple_of(RECHECK_EVERY) && !self.still_may().await {
                return None;
            }
            self.look();
        }
        self.queue.pop_front()
    }

    /// The stream is there, and the browser is still signed in. While the database does not answer nothing is known to have changed.
    async fn still_may(&self) -> bool {
        let is_there = self.api.store.stream(&self.name).await.map_or(true, |stream| stream.is_some());
        let is_let_in = match &self.pass {
            Pass::Token | Pass::Dock => true,
            Pass::Browser(secret) => {
                self.api.store.is_signed_in(secret, self.api.gate.token(), now_ms()).await.unwrap_or(true)
            }
        };
        is_there && is_let_in
    }

    fn look(&mut self) {
        // Rows hold addresses of publishers, which are the operator's to see.
        let rows = if matches!(self.pass, Pass::Dock) { Vec::new() } else { self.api.live.log(&self.name, self.row) };
        for row in rows {
            self.row = row.seq;
            self.push("log", &row);
        }
        let health = HealthShape::new(&self.name, self.api.live.health(&self.name));
        tell_change(&mut self.queue, &mut self.health, "health", &health);
        let rehearsal = RehearsalShape::new(&self.name, self.api.live.rehearsal(&self.name));
        tell_change(&mut self.queue, &mut self.rehearsal, "rehearsal", &rehearsal);
        for sample in self.api.live.samples(&self.name, self.sample_ms) {
            self.sample_ms = sample.at_ms;
            self.push("sample", &sample);
        }
        let stats = self.api.stats(&self.name);
        self.push("stats", &stats);
    }

    fn push(&mut self, name: &str, shape: &impl Serialize) {
        if let Ok(event) = Event::default().event(name).json_data(shape) {
            self.queue.push_back(event);
        }
    }
}

/// Tells what is not as it was told last.
fn tell_change(queue: &mut VecDeque<Event>, told: &mut String, name: &str, shape: &impl Serialize) {
    let text = serde_json::to_string(shape).unwrap_or_default();
    if text != *told {
        queue.push_back(Event::default().event(name).data(&text));
        *told = text;
    }
}

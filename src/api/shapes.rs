//! What goes over the wire; the core types keep their own shape.

use super::health::VerdictShape;
use super::live::{LiveRendition, LiveState, LiveStream};
use super::recordings::RecordingShape;
use serde::{Deserialize, Serialize};
use store::{AuditRow, KeyInfo, Latency, Record, RecordingRulesPatch, Slate, Stream, Takeover, Visibility};
use utoipa::{IntoParams, ToSchema};

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A word for programs.
    #[schema(example = "no_such_stream")]
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyShape {
    /// Public id, the 8 characters after `wk_`.
    pub id: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// When it stops by itself, milliseconds since 1970; null: never.
    pub expires_ms: Option<i64>,
}

/// A stream as the operator sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamShape {
    /// Public name, part of every URL.
    pub name: String,
    /// Shown on the watch page.
    pub title: String,
    /// Wanted rungs such as `720p:2800k,480p:1200k`, or `none`; null: the server's default.
    pub ladder: Option<String>,
    /// Whether the source is repackaged without encoding when it can be.
    pub passthrough: bool,
    /// Seconds a session waits for a publisher that vanished; null: the server's default.
    pub reconnect_window_s: Option<u32>,
    /// Who wins when two encoders present a good key; null: the server's default.
    pub takeover: Option<TakeoverShape>,
    /// What viewers see while the publisher is away.
    pub slate: SlateShape,
    /// There is an image for it; see `PUT /api/v1/streams/{name}/slate`.
    pub slate_image: bool,
    /// What its playlists offer, from its next session on.
    pub latency: LatencyShape,
    /// Who may watch it; see `POST /api/v1/streams/{name}/tickets`.
    pub visibility: VisibilityShape,
    /// When its sessions are recorded.
    pub record: RecordShape,
    /// The pictures recordings keep; sound belongs to all.
    pub record_renditions: Vec<String>,
    /// Who may see new recordings: `public`, `unlisted` or `private`. They let no more people in than the stream does when they begin.
    pub record_visibility: &'static str,
    /// Days recordings are kept; null: for ever.
    pub keep_days: Option<u32>,
    /// Bytes of recordings that are kept, the newest one whatever its size; null: all.
    pub keep_bytes: Option<u64>,
    /// Recordings that are kept; null: all.
    pub keep_count: Option<u32>,
    /// What is being recorded now; null when nothing is.
    pub recording: Option<RecordingShape>,
    /// An operator stopped it until then, milliseconds since 1970; null when it takes publishers.
    pub stopped_until_ms: Option<i64>,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// Keys that were not revoked, oldest first.
    pub keys: Vec<KeyShape>,
    /// What is on now, null when nothing is.
    pub live: Option<LiveShape>,
    /// The new key, only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Who wins when two encoders present a good key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TakeoverShape {
    /// The newest.
    Newest,
    /// The one that is live, unless it fell silent.
    Reject,
}

impl From<Takeover> for TakeoverShape {
    fn from(takeover: Takeover) -> Self {
        match takeover {
            Takeover::Newest => Self::Newest,
            Takeover::Reject => Self::Reject,
        }
    }
}

impl From<TakeoverShape> for Takeover {
    fn from(takeover: TakeoverShape) -> Self {
        match takeover {
            TakeoverShape::Newest => Self::Newest,
            TakeoverShape::Reject => Self::Reject,
        }
    }
}

/// What viewers see while the publisher is away.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlateShape {
    /// The last picture.
    Last,
    /// The stream's own image.
    Image,
    /// Nothing: gaps.
    Off,
}

impl From<Slate> for SlateShape {
    fn from(slate: Slate) -> Self {
        match slate {
            Slate::Last => Self::Last,
            Slate::Image => Self::Image,
            Slate::Off => Self::Off,
        }
    }
}

impl From<SlateShape> for Slate {
    fn from(slate: SlateShape) -> Self {
        match slate {
            SlateShape::Last => Self::Last,
            SlateShape::Image => Self::Image,
            SlateShape::Off => Self::Off,
        }
    }
}

/// What a stream's playlists offer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LatencyShape {
    /// Parts of segments: one to three seconds behind.
    Low,
    /// Whole segments: three target durations behind, and steadier on poor lines.
    Standard,
}

impl From<Latency> for LatencyShape {
    fn from(latency: Latency) -> Self {
        match latency {
            Latency::Low => Self::Low,
            Latency::Standard => Self::Standard,
        }
    }
}

impl From<LatencyShape> for Latency {
    fn from(latency: LatencyShape) -> Self {
        match latency {
            LatencyShape::Low => Self::Low,
            LatencyShape::Standard => Self::Standard,
        }
    }
}

/// Who may watch a stream.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VisibilityShape {
    /// Everybody, and it is listed.
    Public,
    /// Everybody who knows its address.
    Unlisted,
    /// Whoever has a ticket.
    Private,
}

impl From<Visibility> for VisibilityShape {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Unlisted => Self::Unlisted,
            Visibility::Private => Self::Private,
        }
    }
}

impl From<VisibilityShape> for Visibility {
    fn from(visibility: VisibilityShape) -> Self {
        match visibility {
            VisibilityShape::Public => Self::Public,
            VisibilityShape::Unlisted => Self::Unlisted,
            VisibilityShape::Private => Self::Private,
        }
    }
}

/// When a stream's sessions are recorded.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordShape {
    /// Each of them, from its first segment.
    Always,
    /// None.
    Never,
    /// When somebody asks.
    Request,
}

impl From<Record> for RecordShape {
    fn from(record: Record) -> Self {
        match record {
            Record::Always => Self::Always,
            Record::Never => Self::Never,
            Record::Request => Self::Request,
        }
    }
}

impl From<RecordShape> for Record {
    fn from(record: RecordShape) -> Self {
        match record {
            RecordShape::Always => Self::Always,
            RecordShape::Never => Self::Never,
            RecordShape::Request => Self::Request,
        }
    }
}

/// What is kept of a stream; what is left out stays as it is, and as it is by default for a new one.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct KeepingChange {
    /// `never` by default. It counts at once, also in the middle of a live.
    #[serde(default)]
    pub record: Option<RecordShape>,
    /// 1 to 8 names as in playlists; `source` and `720p` by default. When a session has none of them, its first is kept.
    #[serde(default)]
    pub record_renditions: Option<Vec<String>>,
    /// `public`, the default, `unlisted` or `private`; of new recordings.
    #[serde(default)]
    pub record_visibility: Option<String>,
    /// 1 to 36,500; null: for ever, the default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub keep_days: Option<Option<u32>>,
    /// From 1; null: all, the default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub keep_bytes: Option<Option<u64>>,
    /// From 1; null: all, the default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub keep_count: Option<Option<u32>>,
}

impl KeepingChange {
    /// # Errors
    /// When the visibility is none.
    pub fn patch(self) -> Result<RecordingRulesPatch, store::Error> {
        Ok(RecordingRulesPatch {
            record: self.record.map(Record::from),
            renditions: self.record_renditions,
            visibility: self.record_visibility.as_deref().map(str::parse).transpose()?,
            days_max: self.keep_days,
            bytes_max: self.keep_bytes,
            count_max: self.keep_count,
        })
    }
}

/// Tells a value that is null (the server's default) from one that is left out (no change).
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Where a stream's dock is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dock {
    /// Path and query of its page on this server.
    pub path: String,
}

/// All streams.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamList {
    /// By name.
    pub streams: Vec<StreamShape>,
}

/// A stream to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStream {
    /// 1 to 63 of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit.
    pub name: String,
    /// At most 200 characters.
    #[serde(default)]
    pub title: String,
    /// See [`StreamShape::ladder`].
    #[serde(default)]
    pub ladder: Option<String>,
    /// True when left out.
    #[serde(default)]
    pub passthrough: Option<bool>,
    /// 0 to 300; the server's default when left out.
    #[serde(default)]
    pub reconnect_window_s: Option<u32>,
    /// The server's default when left out.
    #[serde(default)]
    pub takeover: Option<TakeoverShape>,
    /// `last` when left out; `image` needs an image, which is sent later.
    #[serde(default)]
    pub slate: Option<SlateShape>,
    /// `low` when left out.
    #[serde(default)]
    pub latency: Option<LatencyShape>,
    /// `public` when left out.
    #[serde(default)]
    pub visibility: Option<VisibilityShape>,
    /// What is kept of it.
    #[serde(flatten)]
    pub keeping: KeepingChange,
}

/// Settings to change; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamChange {
    /// At most 200 characters.
    #[serde(default)]
    pub title: Option<String>,
    /// Rungs, `none`, or `default` for the server's.
    #[serde(default)]
    pub ladder: Option<String>,
    /// Whether the source may be repackaged without encoding.
    #[serde(default)]
    pub passthrough: Option<bool>,
    /// 0 to 300, or null for the server's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub reconnect_window_s: Option<Option<u32>>,
    /// Or null for the server's default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<TakeoverShape>)]
    pub takeover: Option<Option<TakeoverShape>>,
    /// Counts from the next time the publisher is away.
    #[serde(default)]
    pub slate: Option<SlateShape>,
    /// Counts from the next session on.
    #[serde(default)]
    pub latency: Option<LatencyShape>,
    /// Counts at once, in the middle of a live too; what is being recorded lets no more people in than it.
    #[serde(default)]
    pub visibility: Option<VisibilityShape>,
    /// What is kept of it.
    #[serde(flatten)]
    pub keeping: KeepingChange,
}

/// How to rotate; an empty object keeps the key before until the next rotation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Seconds the newest key before still works; 0 stops it, and an encoder that uses it, at once.
    #[serde(default)]
    pub overlap_s: Option<u32>,
}

/// What a stop did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stopped {
    /// False when nobody was live.
    pub stopped: bool,
    /// Nobody may publish until then, milliseconds since 1970.
    pub stopped_until_ms: Option<i64>,
}

/// Which audit rows.
#[derive(Debug, Deserialize, IntoParams)]
pub struct AuditQuery {
    /// Rows with numbers above this, the first of them; left out: the newest.
    #[serde(default)]
    pub after: Option<i64>,
    /// Rows with numbers below this, the last of them.
    #[serde(default)]
    pub before: Option<i64>,
    /// At most this many, 1 to 1000; 100 when left out.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Changes that were made.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// Oldest first.
    pub rows: Vec<AuditShape>,
}

/// One change that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditShape {
    /// Its number, from 1.
    pub seq: i64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// `cli`, `api ADDRESS` or `server`.
    pub actor: String,
    /// Such as `stream.add`.
    pub act: String,
    /// The stream's name.
    pub target: String,
    /// Ids and values.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// A stream that is live, as anyone may see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveShape {
    /// Public name.
    pub name: String,
    /// Shown to viewers; empty when the streamer gave none.
    pub title: String,
    /// Whether pictures come now, or a viewer waits for the publisher.
    pub state: LiveState,
    /// When this session began, milliseconds since 1970.
    pub since_ms: i64,
    /// This run of the stream; another one has other playlists.
    pub session: String,
    /// Source picture in pixels, null without video.
    pub width: Option<u32>,
    /// See `width`.
    pub height: Option<u32>,
    /// Frames per second of the source.
    pub fps: Option<f64>,
    /// A slate stands in for the publisher, or will within a second: there is a picture to play, and it is not the publisher's.
    pub slate: bool,
    /// Whether there are captions in the picture.
    pub captions: bool,
    /// Players that asked for a playlist lately, null when it is not counted.
    pub viewers: Option<u64>,
    /// Path of the newest picture, null when none is made.
    pub thumb: Option<String>,
    /// Path of the playlist of what can be rewound to, null when nothing can.
    pub rewind: Option<String>,
    /// Its pictures' renditions, highest first; empty without video.
    pub renditions: Vec<LiveRendition>,
    /// Renditions that this machine had no room for when the session began.
    #[schema(example = json!(["720p"]))]
    pub withheld: Vec<String>,
    /// How its publisher is doing; told to the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictShape>,
    /// Path of the playlist.
    pub hls: String,
    /// Path of the watch page.
    pub watch: String,
    /// The server's clock at this answer, milliseconds since 1970.
    pub now_ms: i64,
}

/// Everything that is live.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveList {
    /// By name.
    pub streams: Vec<LiveShape>,
    /// Where encoders push to.
    pub ingest: IngestAddresses,
    /// The server's clock at this answer, milliseconds since 1970.
    pub now_ms: i64,
}

/// Where encoders push to: what goes into OBS's field "Server".
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct IngestAddresses {
    /// `rtmp://HOST/live`, null when it is off.
    pub rtmp: Option<String>,
    /// `rtmps://HOST:1936/live`, null when it is off.
    pub rtmps: Option<String>,
}

/// Paths of a stream for who has this ticket: of its media, and of its page.
pub fn live_paths(name: &str, ticket: Option<&str>) -> (String, String) {
    let base = ticket_base(ticket);
    (format!("{base}/live/{name}"), format!("{base}/watch/{name}"))
}

/// What stands in front of the paths of who has this ticket.
fn ticket_base(ticket: Option<&str>) -> String {
    ticket.map(|ticket| format!("/p/{ticket}")).unwrap_or_default()
}

impl LiveShape {
    /// For who has this ticket.
    pub fn new(live: LiveStream, title: &str, ticket: Option<&str>, now_ms: i64) -> Self {
        let (media, watch) = live_paths(&live.name, ticket);
        Self {
            title: title.to_owned(),
            state: live.state,
            since_ms: live.since_ms,
            session: live.session,
            width: live.width,
            height: live.height,
            fps: live.fps,
            slate: live.slate,
            captions: live.captions,
            viewers: live.viewers,
            thumb: live.thumb.then(|| format!("{media}/thumb.jpg")),
            rewind: live.rewinds.then(|| format!("{}/rewind/{}/index.m3u8", ticket_base(ticket), live.name)),
            renditions: live.renditions,
            withheld: live.withheld,
            verdict: None,
            hls: format!("{media}/index.m3u8"),
            watch,
            now_ms,
            name: live.name,
        }
    }
}

impl StreamShape {
    pub fn new(
        stream: Stream,
        (live, recording): (Option<LiveShape>, Option<RecordingShape>),
        key: Option<String>,
        now_ms: i64,
    ) -> Self {
        let rules = stream.settings.recording;
        Self {
            name: stream.name,
            title: stream.settings.title,
            ladder: stream.settings.ladder,
            passthrough: stream.settings.passthrough,
            reconnect_window_s: stream.settings.reconnect_window_s,
            takeover: stream.settings.takeover.map(TakeoverShape::from),
            slate: stream.settings.slate.into(),
            slate_image: stream.has_slate_image,
            latency: stream.settings.latency.into(),
            visibility: stream.settings.visibility.into(),
            record: rules.record.into(),
            record_renditions: rules.renditions,
            record_visibility: rules.visibility.as_str(),
            keep_days: rules.retention.days_max,
            keep_bytes: rules.retention.bytes_max,
            keep_count: rules.retention.count_max,
            recording,
            stopped_until_ms: stream.stopped_until_ms.filter(|until| *until > now_ms),
            created_ms: stream.created_ms,
            keys: stream.keys.into_iter().map(KeyShape::from).collect(),
            live,
            key,
        }
    }
}

impl From<KeyInfo> for KeyShape {
    fn from(key: KeyInfo) -> Self {
        Self { id: key.id, created_ms: key.created_ms, expires_ms: key.expires_ms }
    }
}

impl From<AuditRow> for AuditShape {
    fn from(row: AuditRow) -> Self {
        let detail = serde_json::from_str(&row.detail).unwrap_or(serde_json::Value::Null);
        Self { seq: row.seq, at_ms: row.at_ms, actor: row.actor, act: row.act, target: row.target, detail }
    }
}

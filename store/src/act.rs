//! What an operator may do to a stream and its keys, each an [`Act`] with its audit row.

use crate::change::Change;
use crate::database::Argument;
use crate::stream::{read_key, read_stream, stream_columns};
use crate::{Actor, Error, Slate, Store, Stream, StreamKey, StreamPatch, StreamSettings, Takeover, check_name, slate};
use serde_json::{Value, json};
use std::time::Duration;

/// One change an operator may make. Whoever can open the database or holds the API token may make all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A new stream with a first key.
    AddStream {
        /// Its public name; see [`check_name`].
        name: String,
        /// Its settings.
        settings: StreamSettings,
    },
    /// Other settings for a stream.
    SetStream {
        /// Which stream.
        name: String,
        /// What to change.
        patch: StreamPatch,
    },
    /// An image to be seen while the publisher is away; it is shown from the next time on.
    SetSlate {
        /// Which stream.
        name: String,
        /// A JPEG of the server's own making, at most 1 MiB.
        image: Vec<u8>,
    },
    /// The image goes; the last picture is shown again.
    RemoveSlate {
        /// Which stream.
        name: String,
    },
    /// A stream and its keys go; its audit rows stay.
    RemoveStream {
        /// Which stream.
        name: String,
    },
    /// A new key. At most the newest of the keys before stays beside it.
    RotateKey {
        /// Which stream.
        name: String,
        /// What becomes of the key before.
        previous: Previous,
    },
    /// A key stops working now.
    RevokeKey {
        /// Which stream.
        name: String,
        /// The key's public id.
        key_id: String,
    },
    /// The stream takes no publisher for [`STOP_HOLD`]. Sending away the one it has is the running server's.
    StopStream {
        /// Which stream.
        name: String,
    },
    /// The stream takes publishers again.
    AllowStream {
        /// Which stream.
        name: String,
    },
}

/// How long an operator's stop holds, unless the stream is allowed before: an encoder that reconnects by itself must not
/// undo it (RELIABILITY A6).
pub const STOP_HOLD: Duration = Duration::from_secs(60);

/// What becomes of the newest key before a rotation. Older ones are revoked in any case: two are active at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// It works until the next rotation, so that an encoder that is live can change at leisure.
    Keep,
    /// It works for this long.
    ExpireAfter(Duration),
    /// It stops working now.
    Revoke,
}

/// What a change did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The stream after the change; for a removal, as it was.
    pub stream: Stream,
    /// The new key, in clear for the only time.
    pub key: Option<StreamKey>,
    /// The change's number, one higher than the change before.
    pub revision: u64,
}

impl Act {
    fn word(&self) -> &'static str {
        match self {
            Self::AddStream { .. } => "stream.add",
            Self::SetStream { .. } => "stream.set",
            Self::SetSlate { .. } => "slate.set",
            Self::RemoveSlate { .. } => "slate.remove",
            Self::RemoveStream { .. } => "stream.remove",
            Self::RotateKey { .. } => "key.rotate",
            Self::RevokeKey { .. } => "key.revoke",
            Self::StopStream { .. } => "stream.stop",
            Self::AllowStream { .. } => "stream.allow",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::AddStream { name, .. }
            | Self::SetStream { name, .. }
            | Self::SetSlate { name, .. }
            | Self::RemoveSlate { name }
            | Self::RemoveStream { name }
            | Self::RotateKey { name, .. }
            | Self::RevokeKey { name, .. }
            | Self::StopStream { name }
            | Self::AllowStream { name } => name,
        }
    }
}

impl Store {
    /// Makes one change at `now_ms` (milliseconds since 1970) and writes its audit row, both or neither. Waits up to 5 s
    /// for another process's change to end.
    ///
    /// # Errors
    /// With [`crate::Fault::Caller`] when the change cannot be made (nothing was changed), else when the database did
    /// not answer: whether the change was made is then not known, which only a lost connection to Postgres can bring.
    pub async fn perform(&self, actor: &Actor, act: &Act, now_ms: i64) -> Result<Outcome, Error> {
        let mut change = self.begin_change(now_ms).await?;
        let (stream, key, detail) = change.make(act).await?;
        let revision = self.keep_change(change, actor, act.word(), act.name(), &detail).await?;
        Ok(Outcome { stream, key, revision })
    }
}

impl Change {
    async fn make(&mut self, act: &Act) -> Result<(Stream, Option<StreamKey>, Value), Error> {
        match act {
            Act::AddStream { name, settings } => {
                let key = self.add(name, settings).await?;
                let stream = self.stream(name).await?;
                self.seen = Some((name.clone(), Some(settings.visibility)));
                let detail = json!({ "stream": stream.id, "key": key.id(), "settings": describe(settings) });
                Ok((stream, Some(key), detail))
            }
            Act::SetStream { name, patch } => {
                let before = self.stream(name).await?;
                let mut settings = before.settings.clone();
                patch.apply(&mut settings);
                if settings.slate == Slate::Image && !before.has_slate_image {
                    return Err(slate::no_image(name));
                }
                self.write_settings(&before.id, &settings).await?;
                let mut detail =
                    json!({ "stream": before.id, "before": describe(&before.settings), "after": describe(&settings) });
                if settings.visibility != before.settings.visibility {
                    // What is being recorded shows the live, and afterwards what it was.
                    detail["recordings"] = self.tighten_recordings(name, settings.visibility).await?.into();
                    self.seen = Some((name.clone(), Some(settings.visibility)));
                }
                Ok((self.stream(name).await?, None, detail))
            }
            Act::SetSlate { name, image } => {
                let text = slate::to_text(image)?;
                let before = self.stream(name).await?;
                self.remove_slate(&before.id).await?;
                const INSERT: &str = "insert into stream_slates (stream_id, image, set_ms) values ($1, $2, $3)";
                let values = [before.id.as_str().into(), text.as_str().into(), self.now_ms.into()];
                self.transaction.execute("keep the image", INSERT, &values).await?;
                self.write_settings(&before.id, &StreamSettings { slate: Slate::Image, ..before.settings }).await?;
                let detail = json!({ "stream": before.id, "bytes": image.len() });
                Ok((self.stream(name).await?, None, detail))
            }
            Act::RemoveSlate { name } => {
                let before = self.stream(name).await?;
                self.remove_slate(&before.id).await?;
                if before.settings.slate == Slate::Image {
                    self.write_settings(&before.id, &StreamSettings { slate: Slate::Last, ..before.settings }).await?;
                }
                Ok((self.stream(name).await?, None, json!({ "stream": before.id })))
            }
            Act::RemoveStream { name } => {
                let stream = self.stream(name).await?;
                self.remove_slate(&stream.id).await?;
                self.remove_targets(&stream.id).await?;
                self.transaction
                    .execute(
                        "remove the stream",
                        "delete from stream_keys where stream_id = $1",
                        &[stream.id.as_str().into()],
                    )
                    .await?;
                self.transaction
                    .execute("remove the stream", "delete from streams where id = $1", &[stream.id.as_str().into()])
                    .await?;
                self.seen = Some((name.clone(), None));
                let detail = json!({ "stream": stream.id });
                Ok((stream, None, detail))
            }
            Act::RotateKey { name, previous } => {
                let before = self.stream(name).await?;
                self.retire(&before, *previous).await?;
                let key = self.add_key(&before.id).await?;
                let after = self.stream(name).await?;
                let kept: Vec<Value> = after
                    .keys
                    .iter()
                    .filter(|k| k.id != key.id())
                    .map(|k| json!({ "key": k.id, "expires_ms": k.expires_ms }))
                    .collect();
                let detail = json!({ "stream": before.id, "key": key.id(), "kept": kept });
                Ok((after, Some(key), detail))
            }
            Act::RevokeKey { name, key_id } => {
                let stream = self.stream(name).await?;
                if !stream.keys.iter().any(|k| k.id == *key_id && k.is_active(self.now_ms)) {
                    return Err(Error::NoSuchKey { name: name.clone(), key_id: key_id.chars().take(16).collect() });
                }
                self.revoke(key_id).await?;
                Ok((self.stream(name).await?, None, json!({ "stream": stream.id, "key": key_id })))
            }
            Act::StopStream { name } => {
                let hold_ms = i64::try_from(STOP_HOLD.as_millis()).unwrap_or(i64::MAX);
                let stream = self.hold(name, Some(self.now_ms.saturating_add(hold_ms))).await?;
                let detail = json!({ "stream": stream.id, "stopped_until_ms": stream.stopped_until_ms });
                Ok((stream, None, detail))
            }
            Act::AllowStream { name } => {
                let stream = self.hold(name, None).await?;
                let detail = json!({ "stream": stream.id });
                Ok((stream, None, detail))
            }
        }
    }

    async fn add(&mut self, name: &str, settings: &StreamSettings) -> Result<StreamKey, Error> {
        check_name(name)?;
        settings.check()?;
        if settings.slate == Slate::Image {
            return Err(slate::no_image(name));
        }
        match self.stream(name).await {
            Ok(_) => return Err(Error::StreamExists { name: name.into() }),
            Err(Error::NoSuchStream { .. }) => {}
            Err(other) => return Err(other),
        }
        let id = uuid::Uuid::now_v7().to_string();
        let values: [Argument; 4] = [id.as_str().into(), name.into(), "".into(), self.now_ms.into()];
        const INSERT: &str = "insert into streams (id, name, title, created_ms, passthrough, next_msn) \
            values ($1, $2, $3, $4, 1, 0)";
        self.transaction.execute("add the stream", INSERT, &values).await?;
        self.write_settings(&id, settings).await?;
        self.add_key(&id).await
    }

    async fn add_key(&mut self, stream_id: &str) -> Result<StreamKey, Error> {
        let key = StreamKey::generate()?;
        const INSERT: &str = "insert into stream_keys (id, stream_id, hash, created_ms) values ($1, $2, $3, $4)";
        let values = [key.id().into(), stream_id.into(), key.hash().as_str().into(), self.now_ms.into()];
        self.transaction.execute("add the key", INSERT, &values).await?;
        Ok(key)
    }

    /// Revokes or limits the keys before a rotation.
    async fn retire(&mut self, stream: &Stream, previous: Previous) -> Result<(), Error> {
        let mut newest_first = stream.keys.iter().rev().filter(|k| k.is_active(self.now_ms));
        let newest = newest_first.next().cloned();
        let older: Vec<String> = newest_first.map(|k| k.id.clone()).collect();
        for id in older {
            self.revoke(&id).await?;
        }
        let Some(newest) = newest else { return Ok(()) };
        match previous {
            Previous::Keep => Ok(()),
            Previous::Revoke => self.revoke(&newest.id).await,
            Previous::ExpireAfter(overlap) => {
                let overlap_ms = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
                let at_ms = self.now_ms.saturating_add(overlap_ms).min(newest.expires_ms.unwrap_or(i64::MAX));
                const UPDATE: &str = "update stream_keys set expires_ms = $2 where id = $1";
                self.transaction.execute("limit the key", UPDATE, &[newest.id.as_str().into(), at_ms.into()]).await?;
                Ok(())
            }
        }
    }

    async fn revoke(&mut self, key_id: &str) -> Result<(), Error> {
        const UPDATE: &str = "update stream_keys set revoked_ms = $2 where id = $1 and revoked_ms is null";
        self.transaction.execute("revoke the key", UPDATE, &[key_id.into(), self.now_ms.into()]).await?;
        Ok(())
    }

    async fn hold(&mut self, name: &str, until_ms: Option<i64>) -> Result<Stream, Error> {
        const UPDATE: &str = "update streams set stopped_until_ms = $2 where id = $1";
        let stream = self.stream(name).await?;
        self.transaction.execute("stop the stream", UPDATE, &[stream.id.as_str().into(), until_ms.into()]).await?;
        self.stream(name).await
    }

    async fn remove_slate(&mut self, stream_id: &str) -> Result<(), Error> {
        const DELETE: &str = "delete from stream_slates where stream_id = $1";
        self.transaction.execute("remove the image", DELETE, &[stream_id.into()]).await?;
        Ok(())
    }

    async fn write_settings(&mut self, stream_id: &str, settings: &StreamSettings) -> Result<(), Error> {
        settings.check()?;
        let own: [Argument; 9] = [
            stream_id.into(),
            settings.title.as_str().into(),
            settings.ladder.as_deref().into(),
            i64::from(settings.passthrough).into(),
            settings.reconnect_window_s.map(i64::from).into(),
            settings.takeover.map(Takeover::as_str).into(),
            settings.slate.as_str().into(),
            settings.latency.as_str().into(),
            settings.visibility.as_str().into(),
        ];
        const UPDATE: &str = "update streams set title = $2, ladder = $3, passthrough = $4, reconnect_window_s = $5, \
            takeover = $6, slate = $7, latency = $8, visibility = $9, record = $10, record_renditions = $11, \
            record_visibility = $12, keep_days = $13, keep_bytes = $14, keep_count = $15 where id = $1";
        let values: Vec<Argument> = own.into_iter().chain(settings.recording.values()).collect();
        self.transaction.execute("change the stream", UPDATE, &values).await?;
        Ok(())
    }

    pub(crate) async fn stream(&mut self, name: &str) -> Result<Stream, Error> {
        const STREAM: &str = concat!("select ", stream_columns!(), " from streams s where s.name = $1");
        const KEYS: &str = "select id, created_ms, expires_ms, keyframe_interval_ms from stream_keys \
            where stream_id = $1 and revoked_ms is null order by created_ms, id";
        let rows = self.transaction.fetch("read the stream", STREAM, &[name.into()]).await?;
        let row = rows.first().ok_or_else(|| Error::NoSuchStream { name: name.chars().take(80).collect() })?;
        let mut stream = read_stream(row)?;
        let rows = self.transaction.fetch("read the keys", KEYS, &[stream.id.as_str().into()]).await?;
        stream.keys = rows.iter().map(|row| read_key(row, 0)).collect::<Result<_, _>>()?;
        Ok(stream)
    }
}

fn describe(settings: &StreamSettings) -> Value {
    json!({
        "title": settings.title,
        "ladder": settings.ladder,
        "passthrough": settings.passthrough,
        "reconnect_window_s": settings.reconnect_window_s,
        "takeover": settings.takeover.map(Takeover::as_str),
        "slate": settings.slate.as_str(),
        "latency": settings.latency.as_str(),
        "visibility": settings.visibility.as_str(),
        "recording": settings.recording.describe(),
    })
}

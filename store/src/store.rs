use crate::database::Database;
use crate::ledger::Ledger;
use crate::stream::{STREAM_COLUMNS, read_key, read_stream, stream_columns};
use crate::viewing::Viewing;
use crate::{Error, KeyInfo, Location, Stream, StreamKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often a running server looks for changes other processes made: a change shows well within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);
/// How long a publisher's key may wait for the database before the remembered keys decide.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(2);
/// Most keys remembered for the time the database is away.
const KEYS_MAX: i64 = 10_000;
/// SHA-256 of no key at all, compared with when no key was found, so that the answer takes the same time.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The open database. Clones are cheap and share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    revision: watch::Sender<u64>,
    /// Keys as last read, for the time the database is away. Held for the length of a map access, never across an await.
    remembered: Mutex<Remembered>,
    ledger: Ledger,
    viewing: Viewing,
}

/// Keys by public id, and the revision they were read at.
#[derive(Default)]
struct Remembered {
    at: Option<u64>,
    keys: HashMap<String, StoredKey>,
}

/// A key with what it opens, as stored.
#[derive(Clone)]
struct StoredKey {
    hash: String,
    info: KeyInfo,
    stream: Stream,
}

/// What a good key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMatch {
    /// The stream it publishes to; its `keys` are left empty.
    pub stream: Stream,
    /// The key's public id.
    pub key_id: String,
    /// Longest distance of keyframes seen in the key's last session; `None` before its first.
    pub keyframe_interval: Option<Duration>,
}

impl Store {
    /// Opens the database, makes it when it is an absent SQLite file, and brings it up to date. The folder of a SQLite
    /// file must be there. Starts no task.
    ///
    /// # Errors
    /// [`Error::Open`] when it cannot be reached, read or written; [`Error::TooNew`].
    pub async fn open(location: &Location) -> Result<Self, Error> {
        let database = Database::open(location).await?;
        let (revision, remembered, ledger) = (watch::Sender::new(0), Mutex::default(), Ledger::default());
        let viewing = Viewing::default();
        let store = Self { inner: Arc::new(Inner { database, revision, remembered, ledger, viewing }) };
        store.look().await?;
        Ok(store)
    }

    /// Ends every connection; later calls fail. On SQLite it folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.inner.database.close().await;
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    pub(crate) fn viewing(&self) -> &Viewing {
        &self.inner.viewing
    }

    /// The first free sequence number of a stream as it was when the keys were last read; what was used by this process since
    /// is in the ledger.
    pub(crate) fn recall_number(&self, stream_id: &str) -> Option<u64> {
        let of = |key: &StoredKey| (key.stream.id == stream_id).then_some(key.stream.next_msn);
        self.remembered(|remembered| remembered.keys.values().find_map(of))
    }

    /// Tells watchers of a change this process made.
    pub(crate) fn announce(&self, revision: u64) {
        self.inner.revision.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
    }

    /// Sees the number of the newest change, whoever made it; marked changed at each. Changes by other processes show
    /// only while [`Store::follow`] runs.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.revision.subscribe()
    }

    /// Looks every 300 ms for changes other processes made, until `stop`. A database that is away is warned of once and
    /// counted; the remembered keys keep working meanwhile.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut away = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FOLLOW_EVERY) => {}
            }
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            match looked {
                Ok(()) if away => {
                    tracing::info!("the database is back");
                    away = false;
                }
                Ok(()) => {}
                Err(error) => {
                    metrics::counter!("weir_store_errors_total").increment(1);
                    if !away {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the database is away; streams that are live go on, known keys keep working"
                        );
                    }
                    away = true;
                }
            }
        }
    }

    /// Reads the revision, and the keys and who may watch what when it moved.
    async fn look(&self) -> Result<(), Error> {
        let rows = self.database().fetch("read the revision", "select number from revision where id = 1", &[]).await?;
        let row = rows.first().ok_or_else(|| Error::Unreadable { what: "the table revision is empty".into() })?;
        let number = u64::try_from(row.int(0)?).unwrap_or(0);
        if self.remembered(|remembered| remembered.at != Some(number)) {
            self.viewing().replace(number, self.read_visibilities().await?);
            let keys = self.read_keys().await?;
            self.ledger().forget_others(&keys.values().map(|key| key.stream.id.as_str()).collect());
            self.remembered(|remembered| *remembered = Remembered { at: Some(number), keys });
            // Also when a later change of our own was told of already: those who looked then did not see this one.
            self.inner.revision.send_modify(|known| *known = number.max(*known));
        }
        Ok(())
    }

    fn remembered<T>(&self, with: impl FnOnce(&mut Remembered) -> T) -> T {
        with(&mut self.inner.remembered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All streams by name, with their keys.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn streams(&self) -> Result<Vec<Stream>, Error> {
        const STREAMS: &str = concat!("select ", stream_columns!(), " from streams s order by s.name");
        const KEYS: &str = "select id, created_ms, expires_ms, keyframe_interval_ms, stream_id from stream_keys \
            where revoked_ms is null order by created_ms, id";
        let rows = self.database().fetch("list the streams", STREAMS, &[]).await?;
        let mut streams = rows.iter().map(read_stream).collect::<Result<Vec<_>, _>>()?;
        let mut keys: HashMap<String, Vec<KeyInfo>> = HashMap::new();
        for row in self.database().fetch("list the keys", KEYS, &[]).await? {
            keys.entry(row.text(4)?).or_default().push(read_key(&row, 0)?);
        }
        for stream in &mut streams {
            stream.keys = keys.remove(&stream.id).unwrap_or_default();
        }
        Ok(streams)
    }

    /// The stream of this name with its keys, if there is one.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn stream(&self, name: &str) -> Result<Option<Stream>, Error> {
        const STREAM: &str = concat!("select ", stream_columns!(), " from streams s where s.name = $1");
        const KEYS: &str = "select id, created_ms, expires_ms, keyframe_interval_ms from stream_keys \
            where stream_id = $1 and revoked_ms is null order by created_ms, id";
        let rows = self.database().fetch("read the stream", STREAM, &[name.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut stream = read_stream(row)?;
        let rows = self.database().fetch("read the keys", KEYS, &[stream.id.as_str().into()]).await?;
        stream.keys = rows.iter().map(|row| read_key(row, 0)).collect::<Result<_, _>>()?;
        Ok(Some(stream))
    }

    /// Whether `presented` is a working key, and of which stream. `name` is the stream the publisher named beside it, if
    /// it did; a key of another stream is then no good. Unknown, wrong, expired and revoked keys get the same answer,
    /// after the same comparison. When the database does not answer within 2 s the keys as last seen decide.
    ///
    /// # Errors
    /// When the database did not answer and the key was not seen before: nobody can tell whether it is good.
    pub async fn verify_key(
        &self,
        name: Option<&str>,
        presented: &str,
        now_ms: i64,
    ) -> Result<Option<KeyMatch>, Error> {
        let Some(key) = StreamKey::parse(presented) else { return Ok(None) };
        let stored = match tokio::time::timeout(VERIFY_TIMEOUT, self.read_key(key.id())).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => self.recall(key.id(), Some(error))?,
            Err(_) => self.recall(key.id(), None)?,
        };
        let hash = stored.as_ref().map_or(NO_HASH, |s| s.hash.as_str());
        let equal = key.matches(hash);
        let found = stored.filter(|s| equal && s.info.is_active(now_ms) && name.is_none_or(|n| n == s.stream.name));
        Ok(found.map(|s| KeyMatch {
            keyframe_interval: self
                .ledger()
                .interval_ms(&s.info.id)
                .or(s.info.keyframe_interval_ms)
                .map(|ms| Duration::from_millis(ms.into())),
            stream: s.stream,
            key_id: s.info.id,
        }))
    }

    /// The key as last seen, when the database does not answer.
    fn recall(&self, key_id: &str, error: Option<Error>) -> Result<Option<StoredKey>, Error> {
        metrics::counter!("weir_store_errors_total").increment(1);
        let stored = self.remembered(|remembered| remembered.keys.get(key_id).cloned());
        match (stored, error) {
            (Some(stored), _) => Ok(Some(stored)),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::Unavailable { doing: "look up the key", source: "no answer within 2 s".into() }),
        }
    }

    async fn read_key(&self, key_id: &str) -> Result<Option<StoredKey>, Error> {
        const KEY: &str = concat!(
            "select ",
            stream_columns!(),
            ", k.id, k.created_ms, k.expires_ms, k.keyframe_interval_ms, k.hash \
            from stream_keys k join streams s on s.id = k.stream_id where k.id = $1 and k.revoked_ms is null"
        );
        let rows = self.database().fetch("look up the key", KEY, &[key_id.into()]).await?;
        rows.first().map(StoredKey::read).transpose()
    }

    async fn read_keys(&self) -> Result<HashMap<String, StoredKey>, Error> {
        const KEYS: &str = concat!(
            "select ",
            stream_columns!(),
            ", k.id, k.created_ms, k.expires_ms, k.keyframe_interval_ms, k.hash \
            from stream_keys k join streams s on s.id = k.stream_id where k.revoked_ms is null order by k.created_ms desc limit $1"
        );
        let rows = self.database().fetch("read the keys", KEYS, &[KEYS_MAX.into()]).await?;
        rows.iter().map(|row| StoredKey::read(row).map(|key| (key.info.id.clone(), key))).collect()
    }

    /// Whether the key still works: not revoked, not expired, its stream still there. A publisher whose key stopped
    /// working is to be sent away; ask after each [`Store::changes`] and now and then for expiry.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn key_works(&self, key_id: &str, now_ms: i64) -> Result<bool, Error> {
        Ok(self.read_key(key_id).await?.is_some_and(|key| key.info.is_active(now_ms)))
    }

    /// Remembers for the key's next session how far apart its encoder sets keyframes, milliseconds. No audit row: it is
    /// an observation, not an act. [`Store::write_notes`] writes it.
    pub fn remember_keyframe_interval(&self, key_id: &str, interval_ms: u32) {
        self.ledger().remember(key_id, interval_ms);
    }

    /// Whether no server was ever started on this database.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn is_new(&self) -> Result<bool, Error> {
        Ok(self.database().fetch("look for a start", "select epoch from boots limit 1", &[]).await?.is_empty())
    }

    /// Counts a start of the server: 1, 2, 3, … for the life of the database. Names made with it are never made again.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn next_epoch(&self, now_ms: i64) -> Result<u64, Error> {
        const INSERT: &str =
            "insert into boots (epoch, at_ms) select coalesce(max(epoch), 0) + 1, $1 from boots returning epoch";
        let mut transaction = self.database().begin().await?;
        let rows = transaction.fetch("count the start", INSERT, &[now_ms.into()]).await?;
        let row = rows.first().ok_or_else(|| Error::Unreadable { what: "no epoch came back".into() })?;
        let epoch = u64::try_from(row.int(0)?).unwrap_or(0);
        transaction.commit().await?;
        Ok(epoch)
    }
}

impl StoredKey {
    fn read(row: &crate::database::Row) -> Result<Self, Error> {
        Ok(Self {
            stream: read_stream(row)?,
            info: read_key(row, STREAM_COLUMNS)?,
            hash: row.text(STREAM_COLUMNS + 4)?,
        })
    }
}

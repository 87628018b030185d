//! What a first start leaves in the data directory, and what later starts find there: the stream `demo`, its key in
//! `first-key` until it is rotated, and the API's token in `api-token`, both files 0600.

use crate::config::Config;
use crate::data_dir::write_private;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use store::{Act, Actor, ApiToken, Error, Store, StreamKey, StreamSettings, now_ms};

/// The stream a first start makes.
pub const DEMO_STREAM: &str = "demo";
const DEMO_TITLE: &str = "Demo";
const KEY_FILE: &str = "first-key";
const TOKEN_FILE: &str = "api-token";

/// What a start found or made.
#[derive(Debug)]
pub struct Start {
    /// How many starts this database has seen, this one counted; part of every session's name.
    pub epoch: u64,
    /// When this start was, milliseconds since 1970.
    pub at_ms: i64,
    /// The API's token.
    pub token: ApiToken,
    /// Where the token lies.
    pub token_file: PathBuf,
    /// The demo stream's key, in clear, when this start made it: to be printed this once.
    pub new_key: Option<StreamKey>,
    /// The file with the demo stream's first key, while that key is still the newest.
    pub key_file: Option<PathBuf>,
}

/// Does a first start's work when the database never saw a server, and counts the start. Blocks shortly on small files.
///
/// # Errors
/// When the database does not answer or a file cannot be written or read.
pub async fn bootstrap(config: &Config, store: &Store) -> anyhow::Result<Start> {
    let token_file = config.data_dir.join(TOKEN_FILE);
    let token = token(&token_file)?;
    let new_key = if store.is_new().await? { demo_stream(config, store).await? } else { None };
    let at_ms = now_ms();
    let epoch = store.next_epoch(at_ms).await?;
    forget_rotated_key(&config.data_dir, store).await?;
    let key_file = config.data_dir.join(KEY_FILE);
    Ok(Start { epoch, at_ms, token, token_file, new_key, key_file: key_file.exists().then_some(key_file) })
}

async fn demo_stream(config: &Config, store: &Store) -> anyhow::Result<Option<StreamKey>> {
    let settings = StreamSettings { title: DEMO_TITLE.into(), ..StreamSettings::default() };
    match store.perform(&Actor::Server, &Act::AddStream { name: DEMO_STREAM.into(), settings }, now_ms()).await {
        Ok(made) => {
            let key = made.key.context("a new stream comes with a key")?;
            write_private(&config.data_dir.join(KEY_FILE), format!("{}\n", key.reveal()).as_bytes())?;
            Ok(Some(key))
        }
        // The operator added a stream of this name before the first start.
        Err(Error::StreamExists { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn token(file: &Path) -> anyhow::Result<ApiToken> {
    match std::fs::read_to_string(file) {
        Ok(text) => ApiToken::parse(&text).with_context(|| {
            format!("the file {} holds no API token; remove it to have a new one made", file.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let token = ApiToken::generate()?;
            write_private(file, format!("{}\n", token.reveal()).as_bytes())?;
            Ok(token)
        }
        Err(error) => Err(error).with_context(|| format!("the file {} cannot be read", file.display())),
    }
}

/// The API's token of a data directory that a server was started on.
///
/// # Errors
/// When it can't be read, naming the file.
pub fn read_token(data_dir: &Path) -> anyhow::Result<ApiToken> {
    let file = data_dir.join(TOKEN_FILE);
    let text = std::fs::read_to_string(&file);
    let text = text.with_context(|| format!("the file {} cannot be read", file.display()))?;
    ApiToken::parse(&text).with_context(|| format!("the file {} holds no API token", file.display()))
}

/// The key in the data directory's `first-key`, if it is there and reads as one.
pub fn read_first_key(data_dir: &Path) -> Option<StreamKey> {
    StreamKey::parse(&std::fs::read_to_string(data_dir.join(KEY_FILE)).ok()?)
}

/// Removes `first-key` once its key is no longer the demo stream's newest. Call it after keys changed.
///
/// # Errors
/// When the database does not answer or the file cannot be removed.
pub async fn forget_rotated_key(data_dir: &Path, store: &Store) -> anyhow::Result<()> {
    let Some(key) = read_first_key(data_dir) else { return Ok(()) };
    let stream = store.stream(DEMO_STREAM).await?;
    let newest = stream.as_ref().and_then(|s| s.keys.last());
    if newest.is_none_or(|newest| newest.id != key.id()) {
        let file = data_dir.join(KEY_FILE);
        std::fs::remove_file(&file).with_context(|| format!("the file {} cannot be removed", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Location, Previous};

    async fn start(dir: &Path) -> (Store, Start) {
        let config = Config { data_dir: dir.to_owned(), ..Config::default() };
        let store = Store::open(&Location::in_dir(dir)).await.unwrap();
        let start = bootstrap(&config, &store).await.unwrap();
        (store, start)
    }

    #[tokio::test]
    async fn the_first_start_shows_the_key_and_later_ones_name_the_file_until_it_is_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let (store, first) = start(dir.path()).await;
        let key = first.new_key.unwrap();
        assert!(read_first_key(dir.path()).unwrap().is_same(&key));
        assert!(store.verify_key(Some(DEMO_STREAM), key.reveal(), now_ms()).await.unwrap().is_some());

        let (store, second) = start(dir.path()).await;
        assert!(second.new_key.is_none() && second.key_file.is_some());
        assert_eq!((first.epoch, second.epoch), (1, 2));
        assert_eq!(first.token.reveal(), second.token.reveal());

        let rotate = Act::RotateKey { name: DEMO_STREAM.into(), previous: Previous::Keep };
        store.perform(&Actor::Cli, &rotate, now_ms() + 1).await.unwrap();
        forget_rotated_key(dir.path(), &store).await.unwrap();
        assert!(read_first_key(dir.path()).is_none());
        assert!(start(dir.path()).await.1.key_file.is_none());
    }

    #[tokio::test]
    async fn streams_added_before_the_first_start_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::in_dir(dir.path())).await.unwrap();
        store
            .perform(
                &Actor::Cli,
                &Act::AddStream { name: DEMO_STREAM.into(), settings: StreamSettings::default() },
                now_ms(),
            )
            .await
            .unwrap();
        let (_, first) = start(dir.path()).await;
        assert!(first.new_key.is_none() && first.key_file.is_none());
    }
}

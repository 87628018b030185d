use crate::dice::Dice;
use crate::directory::{self, Directory};
use crate::s3::S3;
use crate::{Chunks, Config, Digest, Error, Key, Object, Page, Receipt, Source, meter};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// Objects that are deleted at once.
const DELETE_AT_ONCE: usize = 8;
/// What [`Vault::check`] writes and reads.
const PROBE: &[u8] = b"Weir looks whether it may write, read, list and delete here.\n";

/// An open vault. Clones share it.
///
/// Everything waits for as long as bytes move and for a bounded time when they do not; dropping a future ends the work, except
/// that an object may then be there or not. A failing network or store is tried three times within some seconds.
#[derive(Debug, Clone)]
pub struct Vault {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Directory(Arc<Directory>),
    S3(Arc<S3>),
}

impl Vault {
    /// Opens a vault. A directory is made and swept of what a dead process left half done; a bucket is not asked yet, see
    /// [`Vault::check`].
    ///
    /// # Errors
    /// [`Error::BadSetting`], or [`Error::Folder`] when the directory or the folder for notes cannot be used.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let kind = match config {
            Config::Directory { path } => {
                let opened = path.clone();
                let opened = spawn_blocking(move || Directory::open(opened)).await;
                let opened = opened.unwrap_or_else(|e| Err(directory::trouble(&path, "opened", io::Error::other(e))));
                Kind::Directory(Arc::new(opened?))
            }
            Config::S3(config) => Kind::S3(Arc::new(S3::open(*config).await?)),
        };
        Ok(Self { kind })
    }

    /// Puts bytes of a local file and makes sure that they arrived. What had the key before is replaced. A directory takes a
    /// whole file as a hard link if it can, and knows no content types.
    ///
    /// # Errors
    /// See [`Error`]; whatever it is, the local file must be kept. The object may be there or not.
    pub async fn put_file(&self, key: &Key, content_type: &str, source: &Source) -> Result<Receipt, Error> {
        let digest = source.digest;
        match &self.kind {
            Kind::Directory(directory) => {
                let (name, source) = (key.clone(), source.clone());
                local(directory, "put", move |directory| directory.put_file(&name, &source)).await?;
                meter::sent(digest.size_bytes);
            }
            Kind::S3(s3) => s3.put_file(key, content_type, source).await?,
        }
        Ok(Receipt { key: key.clone(), digest })
    }

    /// Puts bytes that are in memory and makes sure that they arrived, as [`Vault::put_file`]; for small things.
    ///
    /// # Errors
    /// As there.
    pub async fn put_bytes(&self, key: &Key, content_type: &str, bytes: Bytes) -> Result<Receipt, Error> {
        let digest = Digest::of(&bytes);
        match &self.kind {
            Kind::Directory(directory) => {
                let name = key.clone();
                local(directory, "put", move |directory| directory.put_bytes(&name, &bytes)).await?;
                meter::sent(digest.size_bytes);
            }
            Kind::S3(s3) => s3.put_bytes(key, content_type, bytes).await?,
        }
        Ok(Receipt { key: key.clone(), digest })
    }

    /// Looks whether an object that was put before, perhaps by a process that died before it had its receipt, holds this.
    /// Reads it where the store knows no checksum of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Mismatch`] when it holds something else.
    pub async fn verify(&self, key: &Key, digest: Digest) -> Result<Receipt, Error> {
        match &self.kind {
            Kind::Directory(directory) => {
                let name = key.clone();
                local(directory, "head", move |directory| directory.verify(&name, digest)).await?;
            }
            Kind::S3(s3) => s3.verify(key, digest).await?,
        }
        Ok(Receipt { key: key.clone(), digest })
    }

    /// The bytes of an object in a range, which may end behind the object's end.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OutOfRange`] when it begins there. What goes wrong later comes in the stream, behind a
    /// few tries to go on where it broke.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Chunks, Error> {
        if range.is_empty() {
            return Ok(Chunks::channel().1);
        }
        match &self.kind {
            Kind::Directory(directory) => {
                let name = key.clone();
                let opened = local(directory, "get", move |directory| directory.open_range(&name, range));
                let (file, path, range) = opened.await?;
                Ok(directory::chunks(file, path, range))
            }
            Kind::S3(s3) => s3.read(key, range).await,
        }
    }

    /// What is known of an object; `None` when it is not there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn head(&self, key: &Key) -> Result<Option<Object>, Error> {
        match &self.kind {
            Kind::Directory(directory) => {
                let name = key.clone();
                local(directory, "head", move |directory| directory.head(&name)).await
            }
            Kind::S3(s3) => s3.head(key).await,
        }
    }

    /// Some of the objects below a key (`rec/7` holds `rec/7/a`, not `rec/70`), or of all. `after` is [`Page::next`] of the page
    /// before.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, below: Option<&Key>, after: Option<&str>) -> Result<Page, Error> {
        match &self.kind {
            Kind::Directory(directory) => {
                let (below, after) = (below.cloned(), after.map(str::to_owned));
                local(directory, "list", move |directory| directory.list(below.as_ref(), after.as_deref())).await
            }
            Kind::S3(s3) => s3.list(below, after).await,
        }
    }

    /// Deletes an object. One that is not there is deleted already.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match &self.kind {
            Kind::Directory(directory) => {
                let name = key.clone();
                local(directory, "delete", move |directory| directory.delete(&name)).await
            }
            Kind::S3(s3) => s3.delete(key).await,
        }
    }

    /// Deletes everything below a key, as [`Vault::list`] finds it; how many objects.
    ///
    /// # Errors
    /// The first one; some may be deleted then.
    pub async fn delete_below(&self, below: &Key) -> Result<u64, Error> {
        let (mut deleted, mut after) = (0, None);
        loop {
            let page = self.list(Some(below), after.as_deref()).await?;
            deleted += page.objects.len() as u64;
            let deleting = stream::iter(page.objects).map(|object| async move { self.delete(&object.key).await });
            deleting.buffer_unordered(DELETE_AT_ONCE).try_collect::<()>().await?;
            after = page.next;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// An address at which anybody may read the object for so long, a week at most; `None` from a directory. Whether the object
    /// is there is not looked at.
    ///
    /// # Errors
    /// [`Error::NoCredentials`].
    pub async fn signed_url(&self, key: &Key, valid_for: Duration) -> Result<Option<String>, Error> {
        match &self.kind {
            Kind::Directory(_) => Ok(None),
            Kind::S3(s3) => s3.signed_url(key, valid_for).await.map(Some),
        }
    }

    /// Ends uploads that nobody goes on with: at once those of a dead process that used the same folder for notes, and those
    /// the store says began a day before `now`. To be called at the start and now and then; how many.
    ///
    /// # Errors
    /// The first one; the rest waits for the next call.
    pub async fn abort_orphans(&self, now: SystemTime) -> Result<u64, Error> {
        match &self.kind {
            Kind::Directory(_) => Ok(0),
            Kind::S3(s3) => s3.abort_orphans(now).await,
        }
    }

    /// Tries out whether the vault may write, read, list and delete, with a small object below `weir-check/`.
    ///
    /// # Errors
    /// The first thing that does not work; its message names the cause and the cure.
    pub async fn check(&self) -> Result<(), Error> {
        let folder = Key::new("weir-check")?;
        let key = Key::new(format!("{folder}/{:016x}", Dice::default().roll()))?;
        self.put_bytes(&key, "text/plain", Bytes::from_static(PROBE)).await?;
        let (mut found, mut chunks) = (Digest::default(), self.get_range(&key, 0..PROBE.len() as u64).await?);
        while let Some(chunk) = chunks.next().await {
            found = found.and(&chunk?);
        }
        found.compare(Digest::of(PROBE), key.as_str())?;
        self.list(Some(&folder), None).await?;
        self.delete(&key).await
    }
}

/// Does something with a folder, off the runtime's threads, and counts it.
async fn local<T: Send + 'static>(
    directory: &Arc<Directory>,
    operation: &'static str,
    act: impl FnOnce(&Directory) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (shared, began) = (Arc::clone(directory), Instant::now());
    let done = spawn_blocking(move || act(&shared)).await;
    let result = done.unwrap_or_else(|e| Err(directory::trouble(directory.path(), "used", io::Error::other(e))));
    meter::request(operation, &result, began.elapsed());
    result
}

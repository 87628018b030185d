//! The vault in a bucket of Amazon S3 or of whatever speaks its protocol. Everything that names the SDK is in this folder.
//!
//! The SDK signs, sends and parses one request at a time. When to try again, how long a transfer may stand still and whether
//! an object is what was sent is decided here, as the SDK's own answers are too patient for a recording (a byte a second is
//! progress to it) or not independent of the request itself (a checksum it computed and sent is no proof of what was stored).

mod body;
mod fault;
mod notes;
mod put;
mod read;
mod uploads;

use crate::dice::Dice;
use crate::pace::Pace;
use crate::transfer::{ANSWER, Transfer};
use crate::{Encryption, Error, Key, Object, Page, S3Config, meter};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use fault::Asked;
use gatehouse::Backoff;
use notes::Notes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

const CONNECT: Duration = Duration::from_secs(5);
/// How often one request is made before its failure is the caller's to deal with.
const ATTEMPTS: u32 = 3;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(300), longest: Duration::from_secs(5) };
/// A store that wants to be left alone for longer is left to the caller.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// S3 signs addresses for seven days at most.
const SIGNED_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An open bucket.
#[derive(Debug)]
pub(crate) struct S3 {
    client: Client,
    bucket: String,
    /// In front of every key; ends with a slash unless it is empty.
    prefix: String,
    endpoint: String,
    storage_class: Option<StorageClass>,
    encryption: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    pace: Arc<Pace>,
    notes: Arc<Notes>,
    dice: Dice,
}

impl S3 {
    /// Prepares a client; asks the store nothing yet.
    pub async fn open(config: S3Config) -> Result<Self, Error> {
        config.check()?;
        let region = Region::new(config.region.clone());
        let mut builder = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .force_path_style(config.path_style)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // Checksums are ours, in headers that servers which know none of them ignore; the SDK's come as trailers.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(url) = &config.endpoint {
            builder = builder.endpoint_url(url);
        }
        let builder = match &config.credentials {
            Some(keys) => {
                let secret = keys.secret_access_key.reveal();
                builder.credentials_provider(Credentials::new(&keys.access_key_id, secret, None, None, "vault"))
            }
            None => builder.credentials_provider(DefaultCredentialsChain::builder().region(region).build().await),
        };
        let (encryption, kms_key_id) = match config.encryption {
            Encryption::BucketDefault => (None, None),
            Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms(key_id) => (Some(ServerSideEncryption::AwsKms), Some(key_id)),
        };
        let notes = Notes::open(config.notes).await?;
        Ok(Self {
            client: Client::from_conf(builder.build()),
            bucket: config.bucket,
            prefix: if config.prefix.is_empty() { String::new() } else { format!("{}/", config.prefix) },
            endpoint: config.endpoint.unwrap_or_else(|| format!("Amazon S3 in {}", config.region)),
            storage_class: config.storage_class.as_deref().map(StorageClass::from),
            encryption,
            kms_key_id,
            pace: Arc::new(Pace::new(config.upload_bps_max)),
            notes: Arc::new(notes),
            dice: Dice::default(),
        })
    }

    /// What is known of an object.
    pub async fn head(&self, key: &Key) -> Result<Option<Object>, Error> {
        match self.look(&self.path(key)).await {
            Ok(found) => Ok(Some(Object { key: key.clone(), size_bytes: found.size_bytes, modified: found.modified })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of what is below a key, behind `after`.
    pub async fn list(&self, below: Option<&Key>, after: Option<&str>) -> Result<Page, Error> {
        let prefix = below.map_or_else(|| self.prefix.clone(), |key| format!("{}/", self.path(key)));
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let asked = self.asked("list objects", &prefix);
        let listed = self.call("list", asked, ANSWER, |_| {
            let page_max = i32::try_from(Page::OBJECTS_MAX).unwrap_or(i32::MAX);
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix).max_keys(page_max);
            request.set_start_after(after.clone()).send()
        });
        let listed = listed.await?;
        let found = listed.contents.unwrap_or_default();
        let short = |key: &str| key.strip_prefix(&self.prefix).map(str::to_owned);
        let last = found.last().and_then(|object| short(object.key.as_deref()?));
        let objects = found.into_iter().filter_map(|object| {
            let key = Key::new(short(object.key.as_deref()?)?).ok()?;
            let size_bytes = u64::try_from(object.size.unwrap_or(0)).unwrap_or(0);
            let modified = object.last_modified.and_then(|at| SystemTime::try_from(at).ok());
            Some(Object { key, size_bytes, modified })
        });
        Ok(Page { objects: objects.collect(), next: last.filter(|_| listed.is_truncated == Some(true)) })
    }

    /// Removes an object. Nothing there is no error.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        let path = self.path(key);
        let asked = self.asked("delete an object", &path);
        let request = |_| self.client.delete_object().bucket(&self.bucket).key(&path).send();
        match self.call("delete", asked, ANSWER, request).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An address that anybody may read the object at, for so long (a week at most). Asks the store nothing.
    pub async fn signed_url(&self, key: &Key, valid_for: Duration) -> Result<String, Error> {
        let path = self.path(key);
        let valid = PresigningConfig::expires_in(valid_for.clamp(Duration::from_secs(1), SIGNED_MAX));
        let valid = valid.expect("it lies between a second and a week");
        let signed = self.client.get_object().bucket(&self.bucket).key(&path).presigned(valid).await;
        let signed = signed.map_err(|error| self.asked("sign an address", &path).error(error))?;
        Ok(signed.uri().to_owned())
    }

    fn path(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn asked<'a>(&'a self, doing: &'static str, key: &'a str) -> Asked<'a> {
        Asked { doing, key, bucket: &self.bucket, endpoint: &self.endpoint }
    }

    /// Makes a request, a few times if the store or the network fails, each time as `attempt` makes it for a new transfer.
    /// Whatever the operator has to mend is not asked again.
    async fn call<T, E, F>(
        &self,
        operation: &'static str,
        asked: Asked<'_>,
        answer: Duration,
        attempt: impl Fn(Arc<Transfer>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut failures = 0;
        loop {
            let (transfer, began) = (Arc::new(Transfer::default()), Instant::now());
            let result = match transfer.watch(answer, attempt(Arc::clone(&transfer))).await {
                Ok(answered) => answered.map_err(|error| transfer.take_error().unwrap_or_else(|| asked.error(error))),
                Err(still) => Err(Error::Stalled { doing: asked.doing, still_s: still.as_secs() }),
            };
            meter::request(operation, &result, began.elapsed());
            meter::sent(transfer.bytes());
            failures += 1;
            let Some(pause) = result.as_ref().err().and_then(|error| self.pause(error, failures)) else {
                return result;
            };
            meter::retry(operation);
            sleep(pause).await;
        }
    }

    /// How long to wait before the same is asked again behind so many failures; `None`: not here.
    fn pause(&self, error: &Error, failures: u32) -> Option<Duration> {
        let pause = BACKOFF.pause(failures, self.dice.roll());
        let pause = error.retry_after().map_or(pause, |wanted| wanted.max(pause));
        (error.is_retryable() && failures < ATTEMPTS && pause <= WAIT_MAX).then_some(pause)
    }
}

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked cannot be done, with this object or at all; other objects are not concerned.
    Caller,
    /// Somebody has to change a setting, a permission, a disk or a clock; until then nothing works.
    Operator,
    /// The store or the way to it; it works again by itself.
    Store,
}

/// Why the vault did not do what it was asked. Each message names cause and cure; none holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No name for an object.
    #[error("{key:?} is no key: {why}; use parts between slashes, as in rec/7f3a/0.m4s")]
    BadKey {
        /// Its beginning.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A setting with a value it cannot have.
    #[error("{setting}: {why}")]
    BadSetting {
        /// The setting's name in [`crate::S3Config`].
        setting: &'static str,
        /// What is wrong, and what would be right.
        why: &'static str,
    },
    /// There is no such object.
    #[error("there is no object {key:?}")]
    NotFound {
        /// Its key, with the prefix.
        key: String,
    },
    /// The range begins behind the object's end, or ends before its start.
    #[error("the object {key:?} does not have the bytes {first} to {last}")]
    OutOfRange {
        /// Its key.
        key: String,
        /// The first byte asked for.
        first: u64,
        /// The one behind the last.
        last: u64,
    },
    /// The local file could not be read.
    #[error("the file {path} could not be read for the vault; see that it is there and readable")]
    Source {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The local file does not hold what its writer says it wrote.
    #[error("the file {path} no longer holds what was written to it; its disk or memory is damaged")]
    SourceDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The store holds something else than what was sent.
    #[error(
        "the store holds other bytes than were sent as {key:?}: {what}; look at proxies and disks between here and there"
    )]
    Mismatch {
        /// The object's key, with the prefix.
        key: String,
        /// What differs.
        what: String,
    },
    /// A folder of the directory vault could not be used.
    #[error("{path} could not be {done}: {cure}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What was tried, as a participle.
        done: &'static str,
        /// What to do about it.
        cure: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No space is left for the directory vault.
    #[error("the disk of {path} is full; make room there or put the vault elsewhere")]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The bucket is not there.
    #[error("there is no bucket {bucket:?} at {endpoint}; create it, or mend the bucket, region or endpoint setting")]
    NoSuchBucket {
        /// Its name.
        bucket: String,
        /// Where.
        endpoint: String,
    },
    /// The store knows who asks, or does not, and says no.
    #[error("the store refused to {doing}: {code}; {cure}")]
    Denied {
        /// What was asked, as a verb phrase.
        doing: &'static str,
        /// The store's word for it, or its HTTP status.
        code: String,
        /// What to do about it.
        cure: &'static str,
    },
    /// No keys for the store were found.
    #[error(
        "no credentials for the store were found; give access_key_id and secret_access_key, AWS_… variables, a profile or a role"
    )]
    NoCredentials {
        /// What the SDK said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This machine's clock and the store's are too far apart for a signature to hold.
    #[error("the store refused a request because of this machine's clock, which is {off}; set the clock, best by NTP")]
    ClockSkew {
        /// In words: how far off, or what the store's clock says.
        off: String,
        /// Seconds this machine is ahead of the store (negative: behind), if the store told both times.
        ahead_s: Option<i64>,
    },
    /// The store asks for fewer requests.
    #[error("the store asks to slow down ({code})")]
    SlowDown {
        /// Its word for it.
        code: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The store failed.
    #[error("the store failed to {doing}: status {status} {code}")]
    Failed {
        /// What was asked, as a verb phrase.
        doing: &'static str,
        /// HTTP status.
        status: u16,
        /// Its word for it, if any.
        code: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The store understood, and does not do it.
    #[error(
        "the store does not {doing}: status {status} {code}, {message}; look at the storage class, encryption and region settings"
    )]
    Refused {
        /// What was asked, as a verb phrase.
        doing: &'static str,
        /// HTTP status.
        status: u16,
        /// Its word for it, if any.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// No connection, or one that broke.
    #[error("the store at {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// The innermost cause.
        reason: String,
    },
    /// Nobody can tell whether the store is who it should be.
    #[error(
        "the TLS certificate of {endpoint} is not accepted: {reason}; use the name it was made for, and have its issuer among the system's authorities (SSL_CERT_FILE)"
    )]
    Tls {
        /// Where.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A transfer that stood still was cut.
    #[error("the store stopped in the middle: to {doing}, next to nothing moved for {still_s} s")]
    Stalled {
        /// What was asked, as a verb phrase.
        doing: &'static str,
        /// For how long, in seconds.
        still_s: u64,
    },
}

impl Error {
    /// Whose fault it is; see [`Fault`].
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadKey { .. }
            | Self::NotFound { .. }
            | Self::OutOfRange { .. }
            | Self::Source { .. }
            | Self::SourceDamaged { .. } => Fault::Caller,
            Self::BadSetting { .. }
            | Self::Folder { .. }
            | Self::DiskFull { .. }
            | Self::NoSuchBucket { .. }
            | Self::Denied { .. }
            | Self::NoCredentials { .. }
            | Self::ClockSkew { .. }
            | Self::Refused { .. }
            | Self::Tls { .. } => Fault::Operator,
            Self::Mismatch { .. }
            | Self::SlowDown { .. }
            | Self::Failed { .. }
            | Self::Unreachable { .. }
            | Self::Stalled { .. } => Fault::Store,
        }
    }

    /// Whether the same may work in a moment without anybody doing anything. The vault has tried a few times already.
    pub fn is_retryable(&self) -> bool {
        self.fault() == Fault::Store
    }

    /// When the store wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::SlowDown { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The label of its kind in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::BadKey { .. } | Self::BadSetting { .. } | Self::OutOfRange { .. } => "bad_request",
            Self::NotFound { .. } => "not_found",
            Self::Source { .. } | Self::SourceDamaged { .. } => "bad_source",
            Self::Mismatch { .. } => "mismatch",
            Self::Folder { .. } => "bad_folder",
            Self::DiskFull { .. } => "disk_full",
            Self::NoSuchBucket { .. } => "no_such_bucket",
            Self::Denied { .. } | Self::NoCredentials { .. } => "denied",
            Self::ClockSkew { .. } => "clock_skew",
            Self::SlowDown { .. } => "slow_down",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "bad_certificate",
            Self::Stalled { .. } => "stalled",
        }
    }
}

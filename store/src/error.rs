/// Who can put a store error right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request names something that is not there, is there already, or is malformed; asking again gives the same.
    Caller,
    /// The database is away, full or locked; asking again later may work.
    Database,
    /// The database holds what this program cannot read; somebody must look.
    Data,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database address is none this program understands.
    #[error(
        "the database address {address:?} is not understood; use postgres://user@host/name, sqlite:/path/to/file, or leave it empty for a file in the data directory"
    )]
    BadLocation {
        /// The address, without a password.
        address: String,
    },
    /// The database could not be opened.
    #[error("the database {database} could not be opened")]
    Open {
        /// Path or address, without a password.
        database: String,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database was written by a newer version; migrations only go forward.
    #[error(
        "the database {database} was written by a newer Weir; run that version, or restore a backup made before it"
    )]
    TooNew {
        /// Path or address, without a password.
        database: String,
    },
    /// A query was not answered: the database is away, locked for longer than 5 s, full or read-only.
    #[error("the database did not {doing}")]
    Unavailable {
        /// What was asked, as a verb phrase.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value is not what this program writes.
    #[error("the database holds a value Weir did not write: {what}")]
    Unreadable {
        /// The column and the value.
        what: String,
    },
    /// The operating system gave no random bytes.
    #[error("the system's random number source gave nothing")]
    NoRandomness,
    /// A stream name outside `[a-z0-9][a-z0-9_-]{0,62}`.
    #[error("{name:?} is no stream name; use 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit")]
    BadName {
        /// What was given.
        name: String,
    },
    /// A setting with a value it cannot have.
    #[error("{setting}: {why}")]
    BadSetting {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// No stream has this name.
    #[error("there is no stream named {name:?}")]
    NoSuchStream {
        /// What was asked for.
        name: String,
    },
    /// A stream of this name is there already.
    #[error("there is already a stream named {name:?}")]
    StreamExists {
        /// The name.
        name: String,
    },
    /// No recording has this id, or it was deleted for good.
    #[error("there is no recording {id:?}")]
    NoSuchRecording {
        /// What was asked for.
        id: String,
    },
    /// The session is being recorded already.
    #[error("the stream {name:?} is being recorded already; stop that recording first")]
    RecordedAlready {
        /// The stream.
        name: String,
    },
    /// The recording is in no state for what was asked.
    #[error("the recording {id} {why}")]
    NotNow {
        /// The recording.
        id: String,
        /// What it is, and what to do first, as a verb phrase.
        why: &'static str,
    },
    /// A cursor that no list gave, or one of another order.
    #[error("the cursor belongs to no list of this order; begin with the first page")]
    BadCursor,
    /// The stream has no usable key of this id.
    #[error("the stream {name:?} has no active key {key_id:?}")]
    NoSuchKey {
        /// The stream.
        name: String,
        /// The key's public id.
        key_id: String,
    },
    /// No target has this id.
    #[error("there is no target {id:?}")]
    NoSuchTarget {
        /// What was asked for.
        id: String,
    },
    /// What is sealed was sealed with a master key that is not at hand.
    #[error(
        "keys of targets are sealed with the master key {key_id}, which is another one than this; use the file master-key of the server that sealed them, or remove the targets"
    )]
    OtherMasterKey {
        /// The id of the one that is needed.
        key_id: String,
    },
}

impl Error {
    /// Who can put it right; see [`Fault`].
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadLocation { .. }
            | Self::BadName { .. }
            | Self::BadSetting { .. }
            | Self::NoSuchStream { .. }
            | Self::StreamExists { .. }
            | Self::NoSuchRecording { .. }
            | Self::RecordedAlready { .. }
            | Self::NotNow { .. }
            | Self::BadCursor
            | Self::NoSuchTarget { .. }
            | Self::OtherMasterKey { .. }
            | Self::NoSuchKey { .. } => Fault::Caller,
            Self::Open { .. } | Self::Unavailable { .. } | Self::NoRandomness => Fault::Database,
            Self::TooNew { .. } | Self::Unreadable { .. } => Fault::Data,
        }
    }
}

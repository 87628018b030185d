//! The one door for every change that somebody decides: it gets its number first and its audit row last, in one transaction
//! with what it does. Acts of every kind go through here; what the server merely notes does not.

use crate::audit::{self, AuditRow};
use crate::database::Transaction;
use crate::{Error, Store, Visibility};
use serde_json::Value;

/// Who makes a change, as the audit row will say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The command line on the machine that holds the data directory.
    Cli,
    /// The API with the operator's token; the address it came from.
    Api(String),
    /// The server itself: at its first start, or by a rule somebody set.
    Server,
}

impl Actor {
    fn name(&self) -> String {
        match self {
            Self::Cli => "cli".into(),
            Self::Api(from) => format!("api {from}"),
            Self::Server => "server".into(),
        }
    }
}

/// One change being made inside its transaction; dropped before [`Store::keep_change`], it leaves nothing.
pub(crate) struct Change {
    pub(crate) transaction: Transaction,
    /// When it is made, milliseconds since 1970.
    pub(crate) now_ms: i64,
    seq: i64,
    /// The audit chain's last hash.
    head: String,
    /// The stream whose visibility is another one when this is kept; `None`: it is gone.
    pub(crate) seen: Option<(String, Option<Visibility>)>,
}

impl Store {
    /// Waits up to 5 s for another process's change to end.
    pub(crate) async fn begin_change(&self, now_ms: i64) -> Result<Change, Error> {
        let mut transaction = self.database().begin().await?;
        // First, because this row keeps changes in one line on Postgres too: seq and the chain have no gap.
        let (seq, head) = audit::take_number(&mut transaction).await?;
        Ok(Change { transaction, now_ms, seq, head, seen: None })
    }

    /// Writes the audit row, commits both, tells watchers; gives the change's number.
    pub(crate) async fn keep_change(
        &self,
        mut change: Change,
        actor: &Actor,
        act: &str,
        target: &str,
        detail: &Value,
    ) -> Result<u64, Error> {
        let row = AuditRow {
            seq: change.seq,
            at_ms: change.now_ms,
            actor: actor.name(),
            act: act.into(),
            target: target.into(),
            detail: detail.to_string(),
        };
        audit::append(&mut change.transaction, &row, &change.head).await?;
        change.transaction.commit().await?;
        let revision = u64::try_from(row.seq).unwrap_or(0);
        // Before anybody is told of the change, so that who is told finds it.
        if let Some((stream, visibility)) = change.seen {
            self.viewing().set(revision, stream, visibility);
        }
        self.announce(revision);
        Ok(revision)
    }
}

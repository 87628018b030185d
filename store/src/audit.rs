//! The audit chain: each row's hash covers the row before's, so a row that was changed or taken out later shows.

use crate::database::{Row, Transaction};
use crate::secret::hash_text;
use crate::{Error, Store};
use std::fmt::Write as _;

/// Rows read at a time when the chain is checked.
const PAGE: i64 = 1_000;

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When, milliseconds since 1970 by the clock of the machine that made it.
    pub at_ms: i64,
    /// Who: `cli`, `api ADDRESS` or `server`.
    pub actor: String,
    /// What, such as `stream.add`.
    pub act: String,
    /// The stream's name.
    pub target: String,
    /// JSON with ids and values, never a secret.
    pub detail: String,
}

/// What a check of the chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows that are in order.
    pub rows: u64,
    /// The first row that is not what was written, or is missing.
    pub broken_at: Option<i64>,
}

impl AuditRow {
    /// SHA-256 over the hash before and every field, each with its length in front so that no two rows read the same.
    fn hash(&self, head: &str) -> String {
        let mut text = String::new();
        let (seq, at_ms) = (self.seq.to_string(), self.at_ms.to_string());
        for field in [head, &seq, &at_ms, &self.actor, &self.act, &self.target, &self.detail] {
            let _ = write!(text, "{}:{field}", field.len());
        }
        hash_text(&text)
    }

    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            seq: row.int(0)?,
            at_ms: row.int(1)?,
            actor: row.text(2)?,
            act: row.text(3)?,
            target: row.text(4)?,
            detail: row.text(5)?,
        })
    }
}

/// Takes the next change number; its row stays locked till the transaction ends. Also the chain's last hash.
pub(crate) async fn take_number(transaction: &mut Transaction) -> Result<(i64, String), Error> {
    const TAKE: &str = "update revision set number = number + 1 where id = 1 returning number, head";
    let rows = transaction.fetch("number the change", TAKE, &[]).await?;
    let row = rows.first().ok_or_else(|| Error::Unreadable { what: "the table revision is empty".into() })?;
    Ok((row.int(0)?, row.text(1)?))
}

/// Writes the row and makes it the chain's end.
pub(crate) async fn append(transaction: &mut Transaction, row: &AuditRow, head: &str) -> Result<(), Error> {
    const INSERT: &str =
        "insert into audit (seq, at_ms, actor, act, target, detail, hash) values ($1, $2, $3, $4, $5, $6, $7)";
    let hash = row.hash(head);
    let values = [
        row.seq.into(),
        row.at_ms.into(),
        row.actor.as_str().into(),
        row.act.as_str().into(),
        row.target.as_str().into(),
        row.detail.as_str().into(),
        hash.as_str().into(),
    ];
    transaction.execute("write the audit row", INSERT, &values).await?;
    transaction
        .execute("write the audit row", "update revision set head = $1 where id = 1", &[hash.as_str().into()])
        .await?;
    Ok(())
}

impl Store {
    /// Changes with numbers above `after`, oldest first, at most `limit` (1 to 1,000).
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn audit(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, Error> {
        let rows = self.audit_page(after, i64::from(limit).clamp(1, PAGE)).await?;
        Ok(rows.into_iter().map(|(row, _)| row).collect())
    }

    /// The newest changes, or with `before` the newest of those with numbers below it; oldest first, at most `limit` (1 to 1,000).
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn audit_newest(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, Error> {
        const NEWEST: &str =
            "select seq, at_ms, actor, act, target, detail from audit where seq < $1 order by seq desc limit $2";
        let arguments = [before.unwrap_or(i64::MAX).into(), i64::from(limit).clamp(1, PAGE).into()];
        let rows = self.database().fetch("read the newest audit rows", NEWEST, &arguments).await?;
        rows.iter().rev().map(AuditRow::read).collect()
    }

    /// Follows the whole chain. Takes time in proportion to the number of changes ever made.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn check_audit(&self) -> Result<AuditCheck, Error> {
        // The end first: a change made while the chain is read only adds rows beyond it.
        let ends = self
            .database()
            .fetch("read the chain's end", "select number, head from revision where id = 1", &[])
            .await?;
        let end = ends.first().ok_or_else(|| Error::Unreadable { what: "the table revision is empty".into() })?;
        let (last, wanted) = (end.int(0)?, end.text(1)?);
        let (mut head, mut seq) = (String::new(), 0);
        while seq < last {
            let page = self.audit_page(seq, PAGE).await?;
            let broken = AuditCheck { rows: u64::try_from(seq).unwrap_or(0), broken_at: Some(seq + 1) };
            if page.is_empty() {
                return Ok(broken);
            }
            for (row, hash) in page.into_iter().take_while(|(row, _)| row.seq <= last) {
                if row.seq != seq + 1 || row.hash(&head) != hash {
                    return Ok(AuditCheck { rows: u64::try_from(seq).unwrap_or(0), broken_at: Some(seq + 1) });
                }
                (seq, head) = (row.seq, hash);
            }
            if head.is_empty() {
                return Ok(broken);
            }
        }
        let broken_at = (head != wanted).then_some(last);
        Ok(AuditCheck { rows: u64::try_from(last).unwrap_or(0), broken_at })
    }

    async fn audit_page(&self, after: i64, limit: i64) -> Result<Vec<(AuditRow, String)>, Error> {
        const PAGE: &str =
            "select seq, at_ms, actor, act, target, detail, hash from audit where seq > $1 order by seq limit $2";
        let rows = self.database().fetch("read the audit rows", PAGE, &[after.into(), limit.into()]).await?;
        rows.iter().map(|row| Ok((AuditRow::read(row)?, row.text(6)?))).collect()
    }
}

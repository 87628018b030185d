//! Where copies of a stream go: the rows, and what people may do to them.

use crate::change::Change;
use crate::database::{Argument, Row, Transaction};
use crate::{Actor, Error, MasterKey, Sealed, Store};
use serde_json::{Value, json};

/// Longest name, characters.
const NAME_CHARS_MAX: usize = 60;
/// Longest address, bytes.
const URL_BYTES_MAX: usize = 400;
/// Longest name of a rendition, bytes.
const RENDITION_BYTES_MAX: usize = 32;
/// Targets of one stream; each costs its bitrate.
const TARGETS_MAX: i64 = 20;

/// A server that gets a copy of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// UUIDv7.
    pub id: String,
    /// The stream's public name.
    pub stream: String,
    /// For people.
    pub name: String,
    /// Which of the services the caller knows, or `custom`.
    pub service: String,
    /// Its address, without the key.
    pub url: String,
    /// Its key; [`MasterKey::open`](crate::MasterKey::open) with the id of the target.
    pub key: Sealed,
    /// The encoded rendition it gets, such as `720p`; empty: what the publisher sends.
    pub rendition: String,
    /// A source without sound gets silence.
    pub silence: bool,
    /// It takes HEVC.
    pub hevc: bool,
    /// It may be at an address inside.
    pub allow_private: bool,
    /// It gets a copy; else somebody stopped it.
    pub wanted: bool,
    /// When it was added, milliseconds since 1970.
    pub created_ms: i64,
    /// When it was changed last.
    pub updated_ms: i64,
}

/// A target to be added. The caller has checked address and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    /// From [`new_target_id`]; the key is sealed for it.
    pub id: String,
    /// The stream's public name.
    pub stream: String,
    /// 1 to 60 characters, for people.
    pub name: String,
    /// Which service.
    pub service: String,
    /// Its address, at most 400 bytes.
    pub url: String,
    /// Its key.
    pub key: Sealed,
    /// The encoded rendition it gets, such as `720p`: lower-case letters, digits and `-`, at most 32; empty: what the publisher
    /// sends.
    pub rendition: String,
    /// A source without sound gets silence.
    pub silence: bool,
    /// It takes HEVC.
    pub hevc: bool,
    /// It may be at an address inside.
    pub allow_private: bool,
    /// It gets a copy at once.
    pub wanted: bool,
}

/// One change somebody may make to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAct {
    /// A new one.
    Add(NewTarget),
    /// It gets a copy, from now on.
    Start {
        /// Which target.
        id: String,
    },
    /// It gets none.
    Stop {
        /// Which target.
        id: String,
    },
    /// It has another key.
    SetKey {
        /// Which target.
        id: String,
        /// The key.
        key: Sealed,
    },
    /// It goes, and its key with it.
    Remove {
        /// Which target.
        id: String,
    },
}

/// An id for a new target.
pub fn new_target_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

impl TargetAct {
    fn word(&self) -> &'static str {
        match self {
            Self::Add(_) => "target.add",
            Self::Start { .. } => "target.start",
            Self::Stop { .. } => "target.stop",
            Self::SetKey { .. } => "target.key",
            Self::Remove { .. } => "target.remove",
        }
    }
}

/// The columns [`read`] wants, in its order.
macro_rules! columns {
    () => {
        "t.id, s.name, t.name, t.service, t.url, t.sealed_key, t.master_key, t.silence, t.hevc, t.allow_private, t.wanted, \
        t.created_ms, t.updated_ms, t.rendition from targets t join streams s on s.id = t.stream_id"
    };
}

const TARGETS: &str = concat!("select ", columns!(), " order by t.created_ms, t.id");
const IN_USE: &str = "select master_key from targets order by created_ms, id limit 1";

fn read(row: &Row) -> Result<Target, Error> {
    Ok(Target {
        id: row.text(0)?,
        stream: row.text(1)?,
        name: row.text(2)?,
        service: row.text(3)?,
        url: row.text(4)?,
        key: Sealed { text: row.text(5)?, key_id: row.text(6)? },
        silence: row.int(7)? != 0,
        hevc: row.int(8)? != 0,
        allow_private: row.int(9)? != 0,
        wanted: row.int(10)? != 0,
        created_ms: row.int(11)?,
        updated_ms: row.int(12)?,
        rendition: row.text(13)?,
    })
}

async fn existing(transaction: &mut Transaction, id: &str) -> Result<Target, Error> {
    const TARGET: &str = concat!("select ", columns!(), " where t.id = $1");
    let rows = transaction.fetch("read the target", TARGET, &[id.into()]).await?;
    rows.first().map(read).transpose()?.ok_or_else(|| no_such(id))
}

fn no_such(id: &str) -> Error {
    Error::NoSuchTarget { id: id.chars().take(80).collect() }
}

impl Store {
    /// All targets of all streams, the oldest first.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn targets(&self) -> Result<Vec<Target>, Error> {
        let rows = self.database().fetch("list the targets", TARGETS, &[]).await?;
        rows.iter().map(read).collect()
    }

    /// The target of this id.
    ///
    /// # Errors
    /// [`Error::NoSuchTarget`], or when the database did not answer.
    pub async fn target(&self, id: &str) -> Result<Target, Error> {
        const TARGET: &str = concat!("select ", columns!(), " where t.id = $1");
        let rows = self.database().fetch("read the target", TARGET, &[id.into()]).await?;
        rows.first().map(read).transpose()?.ok_or_else(|| no_such(id))
    }

    /// The id of the master key that the targets' keys are sealed with; `None` without targets.
    ///
    /// # Errors
    /// When the database did not answer.
    pub async fn master_key_in_use(&self) -> Result<Option<String>, Error> {
        let rows = self.database().fetch("read the master key's id", IN_USE, &[]).await?;
        rows.first().map(|row| row.text(0)).transpose()
    }

    /// Seals the keys of all targets with `new` in place of `old`, and writes the audit row; gives how many those are. A copy that
    /// runs goes on. Otherwise as [`Store::perform`].
    ///
    /// # Errors
    /// As [`MasterKey::open`], by which nothing was changed, or when the database did not answer.
    pub async fn reseal(&self, actor: &Actor, old: &MasterKey, new: &MasterKey, now_ms: i64) -> Result<usize, Error> {
        const SET: &str = "update targets set sealed_key = $2, master_key = $3 where id = $1";
        let mut change = self.begin_change(now_ms).await?;
        let rows = change.transaction.fetch("list the targets", TARGETS, &[]).await?;
        for row in &rows {
            let target = read(row)?;
            let sealed = new.seal(&target.id, &old.open(&target.id, &target.key)?)?;
            let values = [target.id.as_str().into(), sealed.text.as_str().into(), sealed.key_id.as_str().into()];
            change.transaction.execute("seal the target's key", SET, &values).await?;
        }
        let detail = json!({ "targets": rows.len(), "from": old.id(), "to": new.id() });
        self.keep_change(change, actor, "secrets.rotate", "", &detail).await?;
        Ok(rows.len())
    }

    /// Makes one change to a target at `now_ms` (milliseconds since 1970) and writes its audit row, both or neither; gives the
    /// target as it is then, and one that was removed as it was. Otherwise as [`Store::perform`].
    ///
    /// # Errors
    /// With [`crate::Fault::Caller`] when the change cannot be made (nothing was changed), else when the database did not answer.
    pub async fn perform_on_target(&self, actor: &Actor, act: &TargetAct, now_ms: i64) -> Result<Target, Error> {
        let mut change = self.begin_change(now_ms).await?;
        let (target, detail) = change.make_on_target(act).await?;
        self.keep_change(change, actor, act.word(), &target.stream, &detail).await?;
        Ok(target)
    }
}

impl Change {
    async fn make_on_target(&mut self, act: &TargetAct) -> Result<(Target, Value), Error> {
        match act {
            TargetAct::Add(new) => {
                self.add_target(new).await?;
                let target = existing(&mut self.transaction, &new.id).await?;
                let detail = json!({
                    "target": target.id, "name": target.name, "service": target.service, "url": target.url,
                    "rendition": target.rendition, "silence": target.silence, "hevc": target.hevc, "allow_private": target.allow_private,
                    "wanted": target.wanted,
                });
                Ok((target, detail))
            }
            TargetAct::Start { id } => self.want(id, true).await,
            TargetAct::Stop { id } => self.want(id, false).await,
            TargetAct::SetKey { id, key } => {
                const SET: &str = "update targets set sealed_key = $2, master_key = $3, updated_ms = $4 where id = $1";
                existing(&mut self.transaction, id).await?;
                self.same_master_key(key, id).await?;
                let values =
                    [id.as_str().into(), key.text.as_str().into(), key.key_id.as_str().into(), self.now_ms.into()];
                self.transaction.execute("change the target's key", SET, &values).await?;
                Ok((existing(&mut self.transaction, id).await?, json!({ "target": id })))
            }
            TargetAct::Remove { id } => {
                const REMOVE: &str = "delete from targets where id = $1";
                let target = existing(&mut self.transaction, id).await?;
                self.transaction.execute("remove the target", REMOVE, &[id.as_str().into()]).await?;
                let detail = json!({ "target": id, "name": target.name, "url": target.url });
                Ok((target, detail))
            }
        }
    }

    async fn add_target(&mut self, new: &NewTarget) -> Result<(), Error> {
        let bad = |setting, why: &str| Err(Error::BadSetting { setting, why: why.into() });
        let characters = new.name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&characters) || new.name.chars().any(char::is_control) {
            return bad("name", "not of 1 to 60 characters in one line");
        }
        if new.url.len() > URL_BYTES_MAX {
            return bad("url", "longer than 400 bytes");
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if new.rendition.len() > RENDITION_BYTES_MAX || !new.rendition.chars().all(is_plain) {
            return bad("rendition", "no name of a rendition such as 720p, or source");
        }
        let stream = self.stream(&new.stream).await?;
        const COUNT: &str = "select count(*) from targets where stream_id = $1";
        let rows = self.transaction.fetch("count the targets", COUNT, &[stream.id.as_str().into()]).await?;
        if rows.first().map_or(Ok(0), |row| row.int(0))? >= TARGETS_MAX {
            return bad("targets", "the stream has 20 already; remove one first");
        }
        self.same_master_key(&new.key, &new.id).await?;
        const INSERT: &str = "insert into targets (id, stream_id, name, service, url, sealed_key, master_key, silence, hevc, \
            allow_private, wanted, created_ms, updated_ms, rendition) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)";
        let values: [Argument; 13] = [
            new.id.as_str().into(),
            stream.id.as_str().into(),
            new.name.as_str().into(),
            new.service.as_str().into(),
            new.url.as_str().into(),
            new.key.text.as_str().into(),
            new.key.key_id.as_str().into(),
            i64::from(new.silence).into(),
            i64::from(new.hevc).into(),
            i64::from(new.allow_private).into(),
            i64::from(new.wanted).into(),
            self.now_ms.into(),
            new.rendition.as_str().into(),
        ];
        self.transaction.execute("add the target", INSERT, &values).await?;
        Ok(())
    }

    pub(crate) async fn remove_targets(&mut self, stream_id: &str) -> Result<(), Error> {
        const REMOVE: &str = "delete from targets where stream_id = $1";
        self.transaction.execute("remove the targets", REMOVE, &[stream_id.into()]).await?;
        Ok(())
    }

    /// A key that was sealed with another master key than the others' could not be opened by whoever opens those.
    async fn same_master_key(&mut self, key: &Sealed, id: &str) -> Result<(), Error> {
        const OTHER: &str = "select master_key from targets where master_key <> $1 and id <> $2 limit 1";
        let values = [key.key_id.as_str().into(), id.into()];
        let rows = self.transaction.fetch("look at the master key", OTHER, &values).await?;
        match rows.first() {
            Some(row) => Err(Error::OtherMasterKey { key_id: row.text(0)? }),
            None => Ok(()),
        }
    }

    async fn want(&mut self, id: &str, wanted: bool) -> Result<(Target, Value), Error> {
        const WANT: &str = "update targets set wanted = $2, updated_ms = $3 where id = $1";
        existing(&mut self.transaction, id).await?;
        let values = [id.into(), i64::from(wanted).into(), self.now_ms.into()];
        self.transaction.execute("change the target", WANT, &values).await?;
        let target = existing(&mut self.transaction, id).await?;
        let detail = json!({ "target": id, "name": target.name });
        Ok((target, detail))
    }
}

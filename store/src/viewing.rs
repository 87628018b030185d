//! Who may watch which stream, as it is known without asking the database: every request of a viewer asks.

use crate::change::Change;
use crate::{Error, Store, Visibility};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The visibility of each stream. Its lock is held for a look into a map or its exchange.
#[derive(Debug, Default)]
pub(crate) struct Viewing {
    seen: RwLock<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The newest change that was in what was read.
    read_at: u64,
    by_name: HashMap<String, Known>,
}

/// What a change of this number made of a stream; nothing when it removed it.
#[derive(Debug, Clone, Copy)]
struct Known {
    at: u64,
    visibility: Option<Visibility>,
}

impl Viewing {
    /// Takes what was read when the newest change was `at`; what later changes made stays.
    pub(crate) fn replace(&self, at: u64, by_name: HashMap<String, Visibility>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if at < seen.read_at {
            return;
        }
        let read = by_name.into_iter().map(|(name, visibility)| (name, Known { at, visibility: Some(visibility) }));
        let mut known: HashMap<String, Known> = read.collect();
        known.extend(seen.by_name.drain().filter(|(_, known)| known.at > at));
        *seen = Seen { read_at: at, by_name: known };
    }

    /// A change of this number set a stream's visibility, or removed the stream.
    pub(crate) fn set(&self, at: u64, stream: String, visibility: Option<Visibility>) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        // One that comes late is in what was read since, or undone by a later one of the same stream.
        let newest = seen.by_name.get(&stream).map_or(seen.read_at, |known| known.at);
        if at >= newest {
            seen.by_name.insert(stream, Known { at, visibility });
        }
    }

    fn get(&self, stream: &str) -> Option<Visibility> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).by_name.get(stream)?.visibility
    }
}

impl Store {
    /// Who may watch a stream; `None` when there is none of this name. It knows of this process's own changes when they return and
    /// of others' within a second ([`Store::follow`]), asks no database and waits for nothing. While the database is away it is as
    /// it was last.
    pub fn visibility(&self, stream: &str) -> Option<Visibility> {
        self.viewing().get(stream)
    }

    pub(crate) async fn read_visibilities(&self) -> Result<HashMap<String, Visibility>, Error> {
        const ALL: &str = "select name, visibility from streams";
        let rows = self.database().fetch("read who may watch what", ALL, &[]).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.word(1).unwrap_or(Visibility::Private)))).collect()
    }
}

impl Change {
    /// The stream's recordings that run, and the imports that are being made, let no more people in than it does from now on; gives
    /// their ids.
    pub(crate) async fn tighten_recordings(
        &mut self,
        stream: &str,
        visibility: Visibility,
    ) -> Result<Vec<String>, Error> {
        const RUNNING: &str = "select id, visibility from recordings where stream = $1 \
            and (status = 'recording' or status = 'processing' and until_msn is null)";
        const TIGHTEN: &str = "update recordings set visibility = $2, updated_ms = $3 where id = $1";
        let mut tightened = Vec::new();
        for row in self.transaction.fetch("look for running recordings", RUNNING, &[stream.into()]).await? {
            let id = row.text(0)?;
            if row.word::<Visibility>(1).is_ok_and(|open| open < visibility) {
                let values = [id.as_str().into(), visibility.as_str().into(), self.now_ms.into()];
                self.transaction.execute("close the recording", TIGHTEN, &values).await?;
                tightened.push(id);
            }
        }
        Ok(tightened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_does_not_undo_it() {
        let viewing = Viewing::default();
        let read = |visibility| HashMap::from([("show".to_owned(), visibility)]);
        viewing.replace(1, read(Visibility::Public));
        viewing.set(3, "show".into(), Some(Visibility::Private));
        viewing.replace(2, read(Visibility::Public));
        assert_eq!(viewing.get("show"), Some(Visibility::Private));
        viewing.replace(4, read(Visibility::Unlisted));
        viewing.set(3, "show".into(), Some(Visibility::Private));
        assert_eq!(viewing.get("show"), Some(Visibility::Unlisted));
        viewing.set(6, "other".into(), Some(Visibility::Public));
        viewing.set(5, "show".into(), None);
        assert_eq!(viewing.get("show"), None, "a change of another stream's that was told of first hides nothing");
        viewing.replace(5, HashMap::new());
        assert_eq!((viewing.get("show"), viewing.get("other")), (None, Some(Visibility::Public)));
        viewing.replace(6, HashMap::new());
        assert_eq!(viewing.get("other"), None);
    }
}

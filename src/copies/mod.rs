//! Copies at the roof: which targets get one, and how it goes.
//!
//! The `store` knows targets, the `restream` crate runs an outlet for one of them and one session; this joins the two. A session that
//! begins takes a [`Tap`], into which it puts what its publisher sends; for each target of its stream that is wanted an outlet reads
//! from there. Whether somebody adds, stops or removes a target by the API or on the command line, it is the database that tells.

pub mod master_key;
mod tap;
mod view;
mod wanted;

pub use tap::Tap;
pub use wanted::{Where, asked};

use media::Feed;
use restream::{Outlet, Settings, Source, Status, Target, TargetKey, TargetUrl};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use store::{MasterKey, Store};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The database is asked again so often, should a change have been missed while it was away.
const REFRESH: Duration = Duration::from_secs(30);
/// A target's outlet waits for the one before it to say goodbye, but no longer: services take a key once at a time.
const SUCCESSION: Duration = Duration::from_secs(5);

/// See the module.
pub struct Copies {
    store: Store,
    /// Else why there is none; then no key can be read, and the rest of the server goes on.
    key: Result<MasterKey, String>,
    settings: Arc<Settings>,
    /// Held for a look or a change, never across an await.
    table: Mutex<Table>,
    /// A session began or ended.
    work: Arc<Notify>,
    stop: CancellationToken,
    /// Outlets, waited for at shutdown.
    tasks: TaskTracker,
}

#[derive(Default)]
struct Table {
    /// As last read.
    targets: Vec<store::Target>,
    /// Sessions by stream.
    live: HashMap<String, Session>,
    /// The newest outlet of each target, at work or not.
    outlets: HashMap<String, Running>,
    /// Targets that can't be used as they are kept, and why.
    broken: HashMap<String, String>,
}

/// A session that may be copied.
struct Session {
    id: String,
    feed: Weak<Feed>,
    source: Source,
}

/// An outlet that was started.
struct Running {
    session: String,
    /// Of the row it was made of.
    updated_ms: i64,
    stop: CancellationToken,
    done: CancellationToken,
    status: watch::Receiver<Status>,
}

impl Copies {
    /// Over an open store. `stop` ends it; `tasks` are waited for at the end of the server.
    pub fn new(
        store: Store,
        key: Result<MasterKey, String>,
        settings: Settings,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let (table, work) = (Mutex::default(), Arc::default());
        Self { store, key, settings: Arc::new(settings), table, work, stop, tasks }
    }

    /// A session begins: what is put into the tap goes to the targets of its stream. It ends with the tap.
    pub fn follow(&self, stream: &str, session: &str, source: Source) -> Tap {
        let tap = Tap::new(Arc::clone(&self.work));
        let session = Session { id: session.to_owned(), feed: tap.feed(), source };
        self.table().live.insert(stream.to_owned(), session);
        self.work.notify_one();
        tap
    }

    /// Starts and stops outlets as sessions and targets come and go, until the server stops.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.store.changes();
        let mut refresh = tokio::time::interval(REFRESH);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = refresh.tick() => self.read().await,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.read().await;
                }
                () = self.work.notified() => {}
            }
            self.settle();
        }
    }

    /// Reads the targets. While the database is away those read last stay.
    async fn read(&self) {
        match self.store.targets().await {
            Ok(targets) => self.table().targets = targets,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "targets can't be read now; copies go on as they are"
                );
            }
        }
    }

    /// Makes what runs what is wanted.
    fn settle(&self) {
        let mut table = self.table();
        let Table { targets, live, outlets, broken } = &mut *table;
        live.retain(|_, session| session.feed.strong_count() > 0);
        outlets.retain(|id, running| {
            let is_known = targets.iter().any(|target| target.id == *id);
            if !is_known {
                running.stop.cancel();
            }
            is_known
        });
        let known = std::mem::take(broken);
        for row in targets.iter() {
            let session = live.get(&row.stream).filter(|_| row.wanted);
            let fits = |running: &Running| {
                session.is_some_and(|session| session.id == running.session) && running.updated_ms == row.updated_ms
            };
            let before = outlets.get(&row.id);
            if before.is_some_and(fits) {
                continue;
            }
            if let Some(before) = before {
                // A session that is over is told by its feed, and what waits of it is still sent.
                let is_over = row.wanted && session.is_none() && before.updated_ms == row.updated_ms;
                if !is_over {
                    before.stop.cancel();
                }
            }
            let Some((session, feed)) = session.and_then(|session| Some((session, session.feed.upgrade()?))) else {
                continue;
            };
            match self.target(row) {
                Ok(target) => {
                    let after = before.map(|before| before.done.clone());
                    let running = self.start(row, target, session, &feed, after);
                    outlets.insert(row.id.clone(), running);
                }
                Err(reason) => {
                    if known.get(&row.id) != Some(&reason) {
                        tracing::error!(target_id = row.id, stream = row.stream, reason, "a target can't be used");
                    }
                    broken.insert(row.id.clone(), reason);
                }
            }
        }
    }

    /// What an outlet needs of a row.
    fn target(&self, row: &store::Target) -> Result<Target, String> {
        let url = TargetUrl::parse(&row.url).map_err(|error| error.to_string())?;
        let key =
            self.key.as_ref().map_err(Clone::clone)?.open(&row.id, &row.key).map_err(|error| error.to_string())?;
        let key = TargetKey::parse(&key).map_err(|error| error.to_string())?;
        let preset = restream::preset(&row.service).or(restream::preset("custom"));
        let known = Target::new(url, key);
        let mut rules = preset.map_or(known.rules, |preset| preset.rules);
        rules.takes_hevc |= row.hevc;
        Ok(Target {
            rules,
            silence: row.silence,
            allow_private: row.allow_private,
            service: preset.map_or(known.service, |preset| preset.id),
            ..known
        })
    }

    fn start(
        &self,
        row: &store::Target,
        target: Target,
        session: &Session,
        feed: &Feed,
        after: Option<CancellationToken>,
    ) -> Running {
        let reader = feed.subscribe_at_sync();
        let (outlet, status) = Outlet::new(target, session.source.clone(), reader, Arc::clone(&self.settings));
        let (stop, done) = (self.stop.child_token(), CancellationToken::new());
        let span = tracing::info_span!(parent: None, "copy", stream = row.stream, target_id = row.id, name = row.name);
        let (stopped, over) = (stop.clone(), done.clone().drop_guard());
        let work = async move {
            if let Some(after) = after {
                let _waited = tokio::time::timeout(SUCCESSION, after.cancelled()).await;
            }
            outlet.run(stopped).await;
        };
        self.tasks.spawn(async move {
            let _over = over;
            if let Err(error) = tokio::spawn(work.instrument(span)).await
                && error.is_panic()
            {
                metrics::counter!("weir_restream_panics_total").increment(1);
                tracing::error!(%error, "a copy's task panicked; it begins again when its target or its session changes");
            }
        });
        Running { session: session.id.clone(), updated_ms: row.updated_ms, stop, done, status }
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

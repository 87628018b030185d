//! Copies at the roof: which targets get one, and how it goes.
//!
//! The `store` knows targets, the `restream` crate runs an outlet for one of them and one session; this joins the two. A session that
//! begins takes a [`Tap`], into which it puts what its publisher sends; for each target of its stream that is wanted an outlet reads
//! from there. Whether somebody adds, stops or removes a target by the API or on the command line, it is the database that tells.

mod flows;
pub mod master_key;
mod tap;
mod view;
mod wanted;

pub use flows::Offer;
pub use tap::Tap;
pub use wanted::{Where, asked, rendition, rendition_said};

use flows::Flows;
use master_key::Keyring;
use restream::{Outlet, Settings, Status, Target, TargetKey, TargetUrl};
use std::collections::HashMap;
use std::path::Path;
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
    settings: Arc<Settings>,
    /// Held for a look or a change, never across an await.
    table: Mutex<Table>,
    /// A session began or ended.
    work: Arc<Notify>,
    stop: CancellationToken,
    /// Outlets, waited for at shutdown.
    tasks: TaskTracker,
}

struct Table {
    keyring: Keyring,
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
    flows: Weak<Flows>,
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
    /// Over an open store, with the master key of the data directory. `stop` ends it; `tasks` are waited for at the end of the server.
    pub async fn open(
        store: Store,
        data_dir: &Path,
        settings: Settings,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let targets = store.targets().await.unwrap_or_default();
        let table = Mutex::new(Table {
            keyring: Keyring::open(data_dir, in_use(&targets)),
            targets,
            live: HashMap::new(),
            outlets: HashMap::new(),
            broken: HashMap::new(),
        });
        Self { store, settings: Arc::new(settings), table, work: Arc::default(), stop, tasks }
    }

    /// A session begins: what is put into the tap goes to the targets of its stream. It ends with the tap.
    pub fn follow(&self, stream: &str, session: &str, offer: Offer) -> Tap {
        let tap = Tap::new(Flows::new(offer), Arc::clone(&self.work));
        let session = Session { id: session.to_owned(), flows: tap.flows() };
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
            Ok(targets) => {
                let mut table = self.table();
                table.keyring.follow(in_use(&targets));
                table.targets = targets;
            }
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
        let Table { keyring, targets, live, outlets, broken } = &mut *table;
        live.retain(|_, session| session.flows.strong_count() > 0);
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
            // One that is done although its session is not has panicked, and begins again.
            let fits = |running: &Running| {
                session.is_some_and(|session| session.id == running.session)
                    && running.updated_ms == row.updated_ms
                    && !running.done.is_cancelled()
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
            let Some((session, flows)) = session.and_then(|session| Some((session, session.flows.upgrade()?))) else {
                continue;
            };
            let found =
                described(row, keyring.key()).and_then(|target| Ok((target, flows.offer().pick(&row.rendition)?)));
            match found {
                Ok((target, pick)) => {
                    // A rendition that has nothing yet tells when it has.
                    let Some((reader, source)) = flows.reader(&pick) else { continue };
                    let after = before.map(|before| before.done.clone());
                    let outlet = Outlet::new(target, source, reader, Arc::clone(&self.settings));
                    outlets.insert(row.id.clone(), self.start(row, outlet, session, after));
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

    fn start(
        &self,
        row: &store::Target,
        (outlet, status): (Outlet, watch::Receiver<Status>),
        session: &Session,
        after: Option<CancellationToken>,
    ) -> Running {
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
                tracing::error!(%error, "a copy's task panicked; it begins again in half a minute");
            }
        });
        Running { session: session.id.clone(), updated_ms: row.updated_ms, stop, done, status }
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the master key that the targets' keys are sealed with.
fn in_use(targets: &[store::Target]) -> Option<&str> {
    targets.first().map(|target| target.key.master_key_id())
}

/// What an outlet needs of a row, or why it can't be had.
fn described(row: &store::Target, master: Result<&MasterKey, &str>) -> Result<Target, String> {
    let url = TargetUrl::parse(&row.url).map_err(|error| error.to_string())?;
    let key = master?.open(&row.id, &row.key).map_err(|error| error.to_string())?;
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

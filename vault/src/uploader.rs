use crate::gate::Gate;
use crate::{Error, Fault, Key, Receipt, Source, Standing, Vault};
use futures_util::future::join_all;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the gauges of what waits are set.
const GAUGE_EVERY: Duration = Duration::from_secs(5);

/// One object to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in the vault.
    pub key: Key,
    /// Its media type, `video/mp4`.
    pub content_type: String,
    /// Its bytes, which must stay as they are until the job is done.
    pub source: Source,
}

/// What has not been put yet, jobs in work included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// Objects.
    pub jobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How old the oldest of it is, or how much media it is: whatever the caller promises something about.
    pub age: Duration,
}

/// Where jobs come from and where they go, for an [`Uploader`]. Whoever implements it keeps what is to be put on a disk of its
/// own, so that a new process begins with what is left.
pub trait Jobs: Send + Sync + 'static {
    /// Waits for the next job. Several may wait at once; a job is given to one of them. A wait that is dropped loses none.
    fn next(&self) -> impl Future<Output = Job> + Send;

    /// The object is in the vault; the local copy may go.
    fn done(&self, job: Job, receipt: Receipt) -> impl Future<Output = ()> + Send;

    /// The object cannot be put as it is, whatever the store does: its file is gone or damaged. It is not tried again, and
    /// should not be given again before something has changed.
    fn failed(&self, job: Job, error: Error) -> impl Future<Output = ()> + Send;

    /// What waits. Asked every few seconds; must not block.
    fn backlog(&self) -> Backlog;
}

/// Puts one job after the other into a vault, some at once, for as long as it takes: while the store is away jobs in work are
/// kept and tried again, first after a second, then ever more rarely up to once a minute, by one at a time; when it is back all
/// go on at full speed. No job is ever dropped.
#[derive(Debug)]
pub struct Uploader<J> {
    vault: Vault,
    jobs: Arc<J>,
    at_once: usize,
    gate: Gate,
}

impl<J: Jobs> Uploader<J> {
    /// How many jobs are in work at once unless somebody knows better: enough to fill a line over its latency.
    pub const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

    /// Starts nothing; see [`Uploader::run`].
    pub fn new(vault: Vault, jobs: Arc<J>, at_once: NonZeroUsize) -> Self {
        Self { vault, jobs, at_once: at_once.get(), gate: Gate::new() }
    }

    /// How it is doing, now and whenever that changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.gate.standing()
    }

    /// Works until `stop`. Jobs in work are cut off then: their objects are not there or replaced by the next try.
    pub async fn run(self, stop: CancellationToken) {
        let workers = join_all((0..self.at_once).map(|_| self.work()));
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.show() => {}
            _ = workers => {}
        }
    }

    async fn work(&self) {
        loop {
            let job = self.jobs.next().await;
            match self.put(&job).await {
                Ok(receipt) => self.jobs.done(job, receipt).await,
                Err(error) => {
                    metrics::counter!("weir_vault_jobs_failed_total").increment(1);
                    tracing::error!(key = %job.key, %error, "an object cannot be put into the vault");
                    self.jobs.failed(job, error).await;
                }
            }
        }
    }

    /// Tries until it works, or cannot.
    async fn put(&self, job: &Job) -> Result<Receipt, Error> {
        loop {
            let turn = self.gate.enter().await;
            let error = match self.vault.put_file(&job.key, &job.content_type, &job.source).await {
                Ok(receipt) => {
                    self.gate.opened();
                    return Ok(receipt);
                }
                Err(error) if error.fault() == Fault::Caller => return Err(error),
                Err(error) => error,
            };
            if self.gate.failed(&turn, &error, Instant::now()) {
                metrics::counter!("weir_vault_pauses_total", "reason" => error.outcome()).increment(1);
                tracing::warn!(key = %job.key, %error, "the vault takes nothing; what is to be put is kept");
            }
        }
    }

    async fn show(&self) {
        let mut tick = interval(GAUGE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let standing = self.standing();
        loop {
            tick.tick().await;
            let (backlog, standing) = (self.jobs.backlog(), standing.borrow().clone());
            metrics::gauge!("weir_vault_backlog_jobs").set(backlog.jobs as f64);
            metrics::gauge!("weir_vault_backlog_bytes").set(backlog.bytes as f64);
            metrics::gauge!("weir_vault_backlog_seconds").set(backlog.age.as_secs_f64());
            let is = |is: bool| f64::from(u8::from(is));
            metrics::gauge!("weir_vault_retrying").set(is(matches!(standing, Standing::Retrying { .. })));
            metrics::gauge!("weir_vault_blocked").set(is(matches!(standing, Standing::Blocked { .. })));
        }
    }
}

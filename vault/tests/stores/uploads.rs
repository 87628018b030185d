//! Work that goes on over outages and deaths.

use crate::kit::proxy::Fault;
use crate::kit::store::{Skills, Store};
use crate::kit::{PATIENCE, Scene, key, noise, source};
use metrics::{SharedString, Unit};
use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vault::{Backlog, Digest, Error, Job, Jobs, Key, Receipt, Source, Standing, Uploader, Vault};

/// Longer than an upload in parts may take before anybody may end it.
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 3600);

/// A spool in memory.
struct Spool {
    waiting: Mutex<Vec<Job>>,
    /// Bytes of every job that has not ended.
    left: Mutex<BTreeMap<Key, u64>>,
    ended: watch::Sender<BTreeMap<Key, Result<Receipt, String>>>,
}

impl Spool {
    fn new(jobs: Vec<Job>) -> Arc<Self> {
        let left = jobs.iter().map(|job| (job.key.clone(), job.source.digest.size_bytes)).collect();
        Arc::new(Self { waiting: Mutex::new(jobs), left: Mutex::new(left), ended: watch::Sender::default() })
    }

    fn end(&self, key: Key, how: Result<Receipt, String>) {
        self.left.lock().unwrap().remove(&key);
        self.ended.send_modify(|ended| drop(ended.insert(key, how)));
    }

    /// Waits until so many jobs have ended.
    async fn ended(&self, jobs: usize) -> BTreeMap<Key, Result<Receipt, String>> {
        let mut ended = self.ended.subscribe();
        let all = timeout(PATIENCE, ended.wait_for(|ended| ended.len() >= jobs)).await;
        all.expect("they end").unwrap().clone()
    }
}

impl Jobs for Spool {
    async fn next(&self) -> Job {
        let job = self.waiting.lock().unwrap().pop();
        match job {
            Some(job) => job,
            None => std::future::pending().await,
        }
    }

    async fn done(&self, job: Job, receipt: Receipt) {
        self.end(job.key, Ok(receipt));
    }

    async fn failed(&self, job: Job, error: Error) {
        self.end(job.key, Err(error.to_string()));
    }

    fn backlog(&self) -> Backlog {
        let left = self.left.lock().unwrap();
        Backlog { jobs: left.len() as u64, bytes: left.values().sum(), age: Duration::from_secs(2) }
    }
}

fn job(name: &str, source: Source) -> Job {
    Job { key: key(name), content_type: "video/mp4".into(), source }
}

struct Running {
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(vault: Vault, spool: &Arc<Spool>) -> Self {
        let uploader = Uploader::new(vault, Arc::clone(spool), Uploader::<Spool>::AT_ONCE);
        let (standing, stop) = (uploader.standing(), CancellationToken::new());
        let task = tokio::spawn(uploader.run(stop.clone()));
        Self { standing, stop, task }
    }

    async fn until(&mut self, is: impl Fn(&Standing) -> bool) -> Standing {
        timeout(PATIENCE, self.standing.wait_for(|standing| is(standing))).await.expect("it comes").unwrap().clone()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn every_byte_arrives_after_an_outage() {
    let scene = Scene::start().await;
    let names: Vec<String> = (0..40).map(|n| format!("rec/{n}.m4s")).collect();
    let jobs = names.iter().enumerate();
    let jobs: Vec<Job> =
        jobs.map(|(n, name)| job(name, source(scene.folder.path(), &n.to_string(), &noise(50_000 + n)))).collect();
    let spool = Spool::new(jobs);
    scene.proxy.set(Fault::Refuse);
    let mut running = Running::start(scene.vault().await, &spool);
    let standing = running.until(|standing| *standing != Standing::Healthy).await;
    assert!(matches!(standing, Standing::Retrying { .. }), "{standing:?}");
    assert!(spool.ended.borrow().is_empty());

    scene.proxy.set(Fault::None);
    let ended = spool.ended(40).await;
    running.until(|standing| *standing == Standing::Healthy).await;
    for (n, name) in names.iter().enumerate() {
        let bytes = noise(50_000 + n);
        assert_eq!(ended[&key(name)].as_ref().unwrap().digest(), Digest::of(&bytes));
        assert_eq!(scene.stored(&key(name)), bytes, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_done_fails_and_waits_is_counted() {
    let recorder = DebuggingRecorder::new();
    let _here = metrics::set_default_local_recorder(&recorder);
    let scene = Scene::start().await;
    let spool = Spool::new((0..8).map(|n| job(&format!("rec/{n}"), scene.source("file", 1000))).collect());
    scene.proxy.set(Fault::Answer(403, "AccessDenied", ""));
    let mut running = Running::start(scene.vault().await, &spool);
    running.until(|standing| *standing != Standing::Healthy).await;
    running.stop().await;
    scene.proxy.set(Fault::None);
    scene.vault().await.put_file(&key("rec/0"), "video/mp4", &scene.source("file", 1000)).await.unwrap();

    let shown: BTreeMap<String, DebugValue> =
        recorder.snapshotter().snapshot().into_vec().into_iter().map(named).collect();
    let counter = |name: &str| match shown.get(name) {
        Some(DebugValue::Counter(count)) => *count,
        other => panic!("{name} is {other:?} in {shown:?}"),
    };
    assert_eq!(counter("weir_vault_requests_total operation=put outcome=ok"), 1);
    assert_eq!(counter("weir_vault_requests_total operation=head outcome=ok"), 1);
    assert!((1..=4).contains(&counter("weir_vault_requests_total operation=put outcome=denied")));
    assert_eq!(counter("weir_vault_pauses_total reason=denied"), 1);
    assert!(counter("weir_vault_bytes_total direction=in") >= 1000);
    assert_eq!(shown["weir_vault_backlog_jobs"], DebugValue::Gauge(8.0.into()));
    assert_eq!(shown["weir_vault_backlog_bytes"], DebugValue::Gauge(8000.0.into()));
    assert_eq!(shown["weir_vault_backlog_seconds"], DebugValue::Gauge(2.0.into()));
}

/// A metric as `name label=value`.
fn named((key, _, _, value): (CompositeKey, Option<Unit>, Option<SharedString>, DebugValue)) -> (String, DebugValue) {
    let labels = key.key().labels().map(|label| format!(" {}={}", label.key(), label.value()));
    (format!("{}{}", key.key().name(), labels.collect::<String>()), value)
}

#[tokio::test]
async fn a_damaged_file_is_given_back_and_holds_up_nobody() {
    let scene = Scene::start().await;
    let good = scene.source("file", 1000);
    let bad = Source { digest: Digest { crc32: 1, ..good.digest }, ..good.clone() };
    let spool = Spool::new(vec![job("rec/good", good.clone()), job("rec/bad", bad), job("rec/fine", good)]);
    let running = Running::start(scene.vault().await, &spool);
    let ended = spool.ended(3).await;
    assert!(ended[&key("rec/good")].is_ok() && ended[&key("rec/fine")].is_ok());
    assert!(ended[&key("rec/bad")].as_ref().unwrap_err().contains("no longer holds"), "{ended:?}");
    assert_eq!(*running.standing.borrow(), Standing::Healthy);
    running.stop().await;
}

#[tokio::test]
async fn what_somebody_must_mend_is_said_and_not_asked_again_and_again() {
    let scene = Scene::start().await;
    let jobs = (0..10).map(|n| job(&format!("rec/{n}"), scene.source("file", 1000))).collect();
    let spool = Spool::new(jobs);
    scene.proxy.set(Fault::Answer(403, "AccessDenied", ""));
    let mut running = Running::start(scene.vault().await, &spool);
    let Standing::Blocked { reason, .. } = running.until(|standing| *standing != Standing::Healthy).await else {
        panic!("not blocked");
    };
    assert!(reason.contains("AccessDenied"), "{reason}");
    running.stop().await;
    // Those that were under way at once, and no more.
    assert!(scene.proxy.requests() <= 4, "{} requests", scene.proxy.requests());
    assert!(spool.ended.borrow().is_empty());
}

/// Begins an upload in parts and drops it when some of it has come, as a process that dies does.
async fn die_in_the_middle(scene: &Scene) {
    let vault = scene.vault().await;
    let file = scene.source("large", 80 << 20);
    let putting = async { vault.put_file(&key("rec/large.mp4"), "video/mp4", &file).await };
    let some_came = async {
        while scene.store.parts() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        put = putting => panic!("it ended: {put:?}"),
        some = timeout(PATIENCE, some_came) => some.expect("a part comes"),
    }
    assert_eq!(scene.store.uploads(), 1);
}

#[tokio::test]
async fn an_upload_in_parts_whose_process_died_leaves_nothing_behind() {
    // Without the store's help: by the note alone.
    let scene = Scene::start_with(Store::start_with(Skills { checksums: true, lists_uploads: false }).await).await;
    die_in_the_middle(&scene).await;
    let vault = scene.vault().await;
    assert_eq!(vault.abort_orphans(SystemTime::now()).await.unwrap(), 1);
    assert_eq!(scene.store.uploads(), 0);
    assert_eq!(vault.abort_orphans(SystemTime::now()).await.unwrap(), 0, "the note is gone");
    let file = Source { path: scene.folder.path().join("large"), ..scene.source("large", 80 << 20) };
    vault.put_file(&key("rec/large.mp4"), "video/mp4", &file).await.unwrap();
}

#[tokio::test]
async fn a_day_old_upload_of_a_lost_node_is_ended_and_a_younger_one_is_not() {
    let scene = Scene::start().await;
    die_in_the_middle(&scene).await;
    std::fs::remove_dir_all(scene.folder.path().join("notes")).unwrap();
    let vault = scene.vault().await;
    assert_eq!(vault.abort_orphans(SystemTime::now()).await.unwrap(), 0);
    assert_eq!(scene.store.uploads(), 1);
    assert_eq!(vault.abort_orphans(SystemTime::now() + TWO_DAYS).await.unwrap(), 1);
    assert_eq!(scene.store.uploads(), 0);
}

#[tokio::test]
async fn an_upload_that_is_under_way_is_no_orphan() {
    let scene = Scene::start().await;
    let (vault, object, file) = (scene.vault().await, key("rec/large.mp4"), scene.source("large", 80 << 20));
    let putting = vault.put_file(&object, "video/mp4", &file);
    let sweeping = async {
        while scene.store.parts() == 0 {
            tokio::task::yield_now().await;
        }
        vault.abort_orphans(SystemTime::now() + TWO_DAYS).await
    };
    let (put, swept) = tokio::join!(putting, sweeping);
    assert_eq!(swept.unwrap(), 0);
    assert_eq!(put.unwrap().digest(), file.digest);
}

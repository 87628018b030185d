//! `weir serve`: binds the doors, joins the rooms, says where everything is, and takes it all down again.

use crate::api::{self, Api, Warning};
use crate::box_office::BoxOffice;
use crate::config::{Config, Listen};
use crate::copies::Copies;
use crate::first_start::{self, Start};
use crate::live::{self, Context, Doorman, Hub, Porter, Replays, Settings, TestCardPass, View};
use crate::recordings::{Recordings, Studio, take_care};
use crate::uploads::Uploads;
use crate::usage::Meter;
use crate::{data_dir, demo, descriptors, explained, machine, pages, tls};
use anyhow::{Context as _, bail};
use archive::Archive;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use ingest::Ingest;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use origin::Web;
use playout::Playout;
use rtspout::Rtsp;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transcoder::Budget;
use transcoder::slate::Slates;
use vault::Vault;

/// Sessions have this long to close their playlists after a signal, a second of it behind their workers; the whole shutdown stays under
/// 10 s.
const DRAIN: Duration = live::DRAIN.saturating_add(Duration::from_secs(1));
/// What the database has not taken by then is lost with this process.
const SETTLE: Duration = Duration::from_secs(1);
/// Then the HTTP side, whose viewers still fetch the ends of playlists.
const DRAIN_HTTP: Duration = Duration::from_millis(1_500);
/// Then the disk, for the last of the recordings.
const DRAIN_DISK: Duration = Duration::from_secs(1);
/// And the database, to fold its log.
const CLOSE: Duration = Duration::from_millis(500);
/// Buckets of every histogram of seconds.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// One sentence about what keeps it from starting: a port taken, no disk, no encoder, a bad certificate.
pub async fn run(config: Config) -> anyhow::Result<()> {
    data_dir::prepare(&config.data_dir)?;
    let claim = data_dir::claim(&config.data_dir)?;
    let doors = Doors::bind(&config).await?;
    // A missing decoder or encoder is found now, not when the first streamer comes.
    let machine = machine::require_media(config.encoder()).await?;
    let cores = pipelines::cost::cores();
    let budget = Budget::new(cores, machine.speed);
    tracing::info!(cores, speed = machine.speed as u64, "samples a core encodes in a second, measured");
    let metrics = install_metrics()?;
    let store = Store::open(&config.location()?).await.context("the database can't be opened")?;
    let start = first_start::bootstrap(&config, &store).await?;
    let certificates = tls::Certificates::load(&config)?;
    let meter = Arc::new(Meter::new(config.data_dir.clone()));
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let archive = open_archive(&config).await?;
    let office = Arc::new(BoxOffice::open(store.clone(), start.token.clone()).await?);
    let (keep, rules) = ((store.clone(), Arc::clone(&office)), config.archive.rules());
    let mut recordings = Recordings::new(archive.clone(), keep, rules, stop.clone(), tasks.clone());
    let stop_archive = CancellationToken::new();
    let mut copies = None;
    if let Some((settings, place)) = config.vault.settings(&config.data_dir)? {
        let vault = Vault::open(settings).await.context("the vault can't be opened")?;
        let (with_vault, uploader) = recordings.with_vault(vault.clone(), place);
        recordings = with_vault;
        tokio::spawn(look_after(vault, stop_archive.clone()));
        copies = Some(tokio::spawn(uploader.run(stop_archive.clone())));
    }
    let (mut ingest_limits, mut web_limits) = (config.ingest_limits(), config.web_limits());
    let mut playout_limits = config.playout.limits();
    let mut rtsp_settings = config.rtsp.settings();
    let rtsp_limits = rtsp_settings.as_mut().map(|settings| &mut settings.limits);
    descriptors::fit(&mut ingest_limits, playout_limits.as_mut(), rtsp_limits, &mut web_limits);
    let outlets = config.restream.settings()?;
    let copies_to_others = Copies::open(store.clone(), &config.data_dir, outlets, stop.clone(), tasks.clone()).await;
    let uploads = open_uploads(&config, (archive.clone(), store.clone(), start.epoch)).await?;
    let context = Arc::new(Context {
        copies: Arc::new(copies_to_others),
        hub: Arc::new(Hub::default()),
        playout: playout_limits.map(Playout::new),
        rtsp: rtsp_settings.map(|settings| Arc::new(Rtsp::new(settings, stop.clone()))),
        epoch: start.epoch,
        settings: Settings {
            ladder: config.ladder(),
            encoder: config.encoder(),
            thumb_every: config.thumb_every(),
            budget,
            streams_max: config.transcode.streams_max as usize,
            worker_memory_max: u64::from(config.transcode.worker_memory_mib) << 20,
            rules: config.session_rules(),
            health: config.health.clone(),
            slates: Slates::new(cores),
        },
        test_card: config.demo.then(|| TestCardPass::new(demo::STREAM)).transpose()?,
        store,
        office,
        replays: Replays::default(),
        recordings: Arc::new(recordings),
        stop: stop.clone(),
        tasks,
    });
    let syncs = tokio::spawn(archive.run(stop_archive.clone()));
    let server = Server { config, doors, context, uploads, certificates, metrics, machine, meter };
    server.run(&start, (ingest_limits, web_limits), stop).await?;
    stop_archive.cancel();
    if tokio::time::timeout(DRAIN_DISK, syncs).await.is_err() {
        tracing::warn!("the disk did not take the rest of the recordings in time; the next start mends them");
    }
    if let Some(copies) = copies {
        // What was on its way is sent again by the next start.
        let _cut_off = copies.await;
    }
    drop(claim);
    Ok(())
}

/// Says at the start what is wrong with the vault, and ends uploads that died with a server, now and once a day.
async fn look_after(vault: Vault, stop: CancellationToken) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    if let Err(error) = vault.check().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the vault does not work; recordings stay here until it does"
        );
    }
    loop {
        let now = archive::date(store::now_ms());
        match vault.abort_orphans(now).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "uploads that nobody went on with were ended"),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "uploads of the past can't be looked for now")
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(DAY) => {}
        }
    }
}

/// Opens the archive, which cuts off what a crash left half written: a minute of each session that was live.
async fn open_archive(config: &Config) -> anyhow::Result<Archive> {
    let (folder, settings) = (config.archive_dir(), config.archive.settings());
    let name = folder.display().to_string();
    tokio::task::spawn_blocking(move || Archive::open(&folder, settings))
        .await?
        .with_context(|| format!("recordings can't be kept in {name}; name another folder as archive.folder"))
}

/// Opens the folder of uploads, also when no more are taken: those in it go on to their end.
async fn open_uploads(config: &Config, with: (Archive, Store, u64)) -> anyhow::Result<Arc<Uploads>> {
    let (folder, limits) = (config.archive_dir().join(".uploads"), config.archive.uploads());
    let opened = tokio::task::spawn_blocking(move || Uploads::open(folder, limits, with)).await?;
    Ok(Arc::new(opened.context("the folder of uploads, .uploads in that of recordings, can't be read")?))
}

struct Server {
    config: Config,
    doors: Doors,
    context: Arc<Context>,
    uploads: Arc<Uploads>,
    certificates: tls::Certificates,
    metrics: PrometheusHandle,
    machine: pipelines::Report,
    meter: Arc<Meter>,
}

impl Server {
    async fn run(
        self,
        start: &Start,
        (ingest_limits, web_limits): (ingest::Limits, origin::Limits),
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let addresses = self.doors.addresses()?;
        let context = Arc::clone(&self.context);
        // The HTTP side outlives the sessions, so that viewers get the ends of their playlists.
        let stop_http = CancellationToken::new();
        let background = TaskTracker::new();
        let view = Arc::new(View::new(Arc::clone(&context), start.token.clone()));
        let router = self.router(&view, &addresses, start);
        let web = Arc::new(Web::new(router, web_limits));
        let ingest = Arc::new(Ingest::new(Doorman::new(Arc::clone(&context)), ingest_limits));
        let Doors { http, https, rtmp, rtmps, rtsp, rtsps } = self.doors;
        // Before any door is served, so that viewers find their playlists and publishers their sessions.
        context.recordings.settle().await;
        context.restore_sessions().await;
        if let Some(listener) = http {
            background.spawn(Arc::clone(&web).serve(listener, None, stop_http.clone()));
        }
        if let Some(listener) = https {
            background.spawn(web.serve(listener, Some(self.certificates.https()), stop_http.clone()));
        }
        if let Some(listener) = rtmp {
            background.spawn(Arc::clone(&ingest).serve(listener, None, stop.clone()));
        }
        if let Some(listener) = rtmps {
            background.spawn(Arc::clone(&ingest).serve(listener, Some(self.certificates.rtmps()), stop.clone()));
        }
        if let Some(readers) = &context.rtsp {
            let porter = Porter::new(Arc::clone(&context), self.config.rtsp.users());
            let porter = Arc::new(porter);
            if let Some(listener) = rtsp {
                background.spawn(Arc::clone(readers).serve(listener, None, Arc::clone(&porter)));
            }
            if let Some(listener) = rtsps {
                background.spawn(Arc::clone(readers).serve(listener, Some(self.certificates.rtmps()), porter));
            }
        }
        {
            let (store, stop) = (context.store.clone(), stop_http.clone());
            background.spawn(async move { store.follow(stop).await });
            let (store, stop) = (context.store.clone(), stop_http.clone());
            background.spawn(async move { store.write_notes(stop).await });
        }
        background.spawn(take_care(Arc::clone(&context.recordings)));
        let settings = &context.settings;
        let studio = Studio { every: settings.thumb_every, memory_max: settings.worker_memory_max };
        context.tasks.spawn(self.uploads.run(Arc::clone(&context.recordings), studio, stop.clone()));
        background.spawn(Arc::clone(&context.copies).run());
        background.spawn(Arc::clone(&context).watch_changes());
        background.spawn(Arc::clone(&context).keep_time());
        background.spawn(self.certificates.follow(stop_http.clone()));
        background.spawn(metrics_upkeep(self.metrics, self.meter, Arc::clone(&context), view, stop_http.clone()));
        if let Some(rtmp) = addresses.rtmp {
            background.spawn(demo::run(Arc::clone(&context), loopback(rtmp)));
        }
        write_run_file(&self.config.data_dir, &addresses)?;
        announce(&self.config, &addresses, start);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), epoch = context.epoch, "weir is up");

        wait_for_signal().await?;
        tracing::info!("going down: publishers are told, playlists are closed");
        stop.cancel();
        context.tasks.close();
        if tokio::time::timeout(DRAIN, context.tasks.wait()).await.is_err() {
            tracing::warn!("some sessions did not close in time");
        }
        if !context.store.settle(SETTLE).await {
            tracing::warn!("the database does not answer; the ends of sessions were not noted");
        }
        stop_http.cancel();
        background.close();
        if tokio::time::timeout(DRAIN_HTTP, background.wait()).await.is_err() {
            tracing::info!("some viewers were still connected");
        }
        // What it does not get done the next start does.
        if tokio::time::timeout(CLOSE, context.store.close()).await.is_err() {
            tracing::warn!("the database was not closed in time");
        }
        remove_run_file(&self.config.data_dir);
        tracing::info!("weir is down");
        Ok(())
    }

    /// What the server page tells.
    fn facts(&self, addresses: &Addresses, started_ms: i64) -> api::Facts {
        let (config, settings) = (&self.config, &self.context.settings);
        let mut warnings = Vec::new();
        if addresses.rtmp.is_some_and(|rtmp| !rtmp.ip().is_loopback()) {
            let message = "RTMP carries stream keys in clear; give encoders the rtmps:// address, or turn it off with --rtmp off.";
            warnings.push(Warning::new("rtmp_in_clear", message));
        }
        if self.machine.sandbox.contains("absent") {
            let message = format!(
                "This machine cannot hold media workers in as it should ({}); use a kernel of 5.13 or newer with Landlock.",
                self.machine.sandbox
            );
            warnings.push(Warning::new("sandbox", message));
        }
        api::Facts {
            started_ms,
            streams_max: settings.streams_max,
            budget: settings.budget.clone(),
            meter: Arc::clone(&self.meter),
            gstreamer: self.machine.gstreamer.clone(),
            encoder: config.transcode.encoder.clone(),
            data_dir: config.data_dir.display().to_string(),
            https: addresses.https.map(|https| format!("https://{}:{}", config.host(), https.port())),
            warnings,
        }
    }

    /// HLS, API, pages, metrics and health on one port.
    fn router(&self, view: &Arc<View>, addresses: &Addresses, start: &Start) -> Router {
        let live = Arc::clone(view) as Arc<dyn api::LiveView>;
        let archive = Arc::clone(&self.context.recordings) as Arc<dyn api::Archive>;
        let api = Api::new(
            self.context.store.clone(),
            live,
            archive,
            (start.token.clone(), Arc::clone(&self.context.office)),
            self.facts(addresses, start.at_ms),
        )
        .with_data_dir(self.config.data_dir.clone())
        .with_slates(self.context.settings.slates.clone())
        .with_outlets(Arc::clone(&self.context.copies) as Arc<dyn api::Outlets>)
        .with_uploads(Arc::clone(&self.uploads))
        .with_ingest(ingest_addresses(&self.config, addresses));
        let metrics = self.metrics.clone();
        let store = self.context.store.clone();
        let stop = self.context.stop.clone();
        origin::router(Arc::clone(view))
            .merge(origin::vod_router(Arc::clone(&self.context.recordings)))
            .merge(api::router(api))
            .merge(pages::router(&self.config.embed_parents()))
            .route("/metrics", get(move || async move { metrics.render() }))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(move || ready(store, stop)))
            .fallback(pages::not_found)
    }
}

/// 200 when new publishers are taken and the database answers; 503 with the reason while not.
async fn ready(store: Store, stop: CancellationToken) -> (StatusCode, &'static str) {
    const LONG: Duration = Duration::from_secs(2);
    if stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is going down\n");
    }
    match tokio::time::timeout(LONG, store.streams()).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}

/// The listeners, bound before anything else starts so that a taken port is the first thing said.
struct Doors {
    http: Option<TcpListener>,
    https: Option<TcpListener>,
    rtmp: Option<TcpListener>,
    rtmps: Option<TcpListener>,
    rtsp: Option<TcpListener>,
    rtsps: Option<TcpListener>,
}

/// Where the listeners really are; also the content of `DATA/run.json`.
#[derive(Debug, Clone, Serialize)]
struct Addresses {
    pid: u32,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
    rtmp: Option<SocketAddr>,
    rtmps: Option<SocketAddr>,
    rtsp: Option<SocketAddr>,
    rtsps: Option<SocketAddr>,
}

impl Doors {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let [rtsp, rtsps] = config.rtsp.listens();
        let doors = Self {
            http: bind("http", config.http).await?,
            https: bind("https", config.https).await?,
            rtmp: bind("rtmp", config.rtmp).await?,
            rtmps: bind("rtmps", config.rtmps).await?,
            rtsp: bind("rtsp.listen", rtsp).await?,
            rtsps: bind("rtsp.tls_listen", rtsps).await?,
        };
        if doors.http.is_none() && doors.https.is_none() {
            bail!("both http and https are off, so nobody could watch; give one of them an address");
        }
        Ok(doors)
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        let of = |door: &Option<TcpListener>| door.as_ref().map(TcpListener::local_addr).transpose();
        Ok(Addresses {
            pid: std::process::id(),
            http: of(&self.http)?,
            https: of(&self.https)?,
            rtmp: of(&self.rtmp)?,
            rtmps: of(&self.rtmps)?,
            rtsp: of(&self.rtsp)?,
            rtsps: of(&self.rtsps)?,
        })
    }
}

async fn bind(name: &str, listen: Listen) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = listen.address() else { return Ok(None) };
    // Keys of a section have no flag.
    let setting = if name.contains('.') { name.to_owned() } else { format!("--{name} ADDRESS:PORT") };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "the {name} port {} is taken by another program; stop it or choose another with {setting}",
                address.port()
            )
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!(
                "this user may not listen on the {name} port {}; choose one above 1023 with {setting}",
                address.port()
            )
        }
        Err(error) => Err(error)
            .with_context(|| format!("can't listen on {address} for {name}; choose another address with {setting}")),
    }
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    explained::describe_metrics();
    Ok(handle)
}

/// Gauges that only a look can tell, and the upkeep of histograms.
async fn metrics_upkeep(
    metrics: PrometheusHandle,
    meter: Arc<Meter>,
    context: Arc<Context>,
    view: Arc<View>,
    stop: CancellationToken,
) {
    let mut every = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {
                let meter = Arc::clone(&meter);
                // Reads of /proc, which a machine in distress may keep waiting.
                let _panicked = tokio::task::spawn_blocking(move || meter.look()).await;
                metrics::gauge!("weir_streams_live").set(context.hub.live().len() as f64);
                metrics::gauge!("weir_viewers").set(view.viewers() as f64);
                metrics.run_upkeep();
            }
        }
    }
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A listener on every address is reached over loopback.
fn loopback(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

fn run_file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("run.json")
}

/// For scripts: which ports a server started with port 0 has, and its process id. Appears when all doors are open.
fn write_run_file(data_dir: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let path = run_file(data_dir);
    let fresh = path.with_extension("json.new");
    std::fs::write(&fresh, serde_json::to_vec_pretty(addresses)?)
        .and_then(|()| std::fs::rename(&fresh, &path))
        .with_context(|| format!("{} can't be written", path.display()))
}

fn remove_run_file(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(run_file(data_dir)) {
        tracing::debug!(%error, "the run file was not there");
    }
}

/// What goes into an encoder's server field.
fn ingest_addresses(config: &Config, addresses: &Addresses) -> api::IngestAddresses {
    let host = config.host();
    let port =
        |address: SocketAddr| if address.port() == 1935 { String::new() } else { format!(":{}", address.port()) };
    api::IngestAddresses {
        rtmp: addresses.rtmp.map(|a| format!("rtmp://{host}{}/live", port(a))),
        rtmps: addresses.rtmps.map(|a| format!("rtmps://{host}:{}/live", a.port())),
    }
}

/// The few lines a person needs, on standard output.
fn announce(config: &Config, addresses: &Addresses, start: &Start) {
    let host = config.host();
    println!();
    println!("  Weir is up.");
    println!();
    let ingest = ingest_addresses(config, addresses);
    if let Some(rtmp) = ingest.rtmp {
        println!("  OBS server      {rtmp}");
    }
    if let Some(rtmps) = ingest.rtmps {
        println!("  or, encrypted   {rtmps}");
    }
    match (&start.new_key, &start.key_file) {
        (Some(key), _) => println!("  OBS stream key  {}", key.reveal()),
        (None, Some(file)) => println!("  OBS stream key  in {}", file.display()),
        (None, None) => println!("  OBS stream key  make one with: weir stream rotate-key {}", demo::STREAM),
    }
    match (addresses.http, addresses.https) {
        (Some(http), _) => println!("  Watch           http://{host}:{}/watch/{}", http.port(), demo::STREAM),
        (None, Some(https)) => println!("  Watch           https://{host}:{}/watch/{}", https.port(), demo::STREAM),
        (None, None) => {}
    }
    // From elsewhere a sign-in works over TLS alone; on the machine itself there is no need for it.
    let is_local = config.public_host.is_empty();
    match (addresses.http, addresses.https) {
        (Some(http), https) if is_local || https.is_none() => {
            println!("  Dashboard       http://{host}:{}/dashboard", http.port());
        }
        (_, Some(https)) => println!("  Dashboard       https://{host}:{}/dashboard", https.port()),
        (_, None) => {}
    }
    if let Some(rtsp) = addresses.rtsp {
        println!("  RTSP            rtsp://{host}:{}/{}", rtsp.port(), demo::STREAM);
    }
    println!("  API token       in {}", start.token_file.display());
    println!("  Data            in {}", config.data_dir.display());
    println!();
}

//! What the operator may set, in one place: defaults, then `weir.toml`, then `WEIR_…`, then flags; later wins.
//!
//! The file is the one `--config` (or `WEIR_CONFIG`) names, else `./weir.toml`, else `weir.toml` in the data directory,
//! else none. Environment names are the keys in capitals, sections joined by two underscores: `WEIR_HTTP`,
//! `WEIR_TRANSCODE__LADDER`. A key nobody knows is refused with the nearest one that is known. `weir.example.toml` shows
//! every key with its default, unit and reason; a test holds the two together.

mod archive;
mod environment;
mod explain;
mod health;
mod listen;
mod playout;
mod restream;
mod rtsp;
mod vault;

pub use archive::{ArchiveConfig, WhenFull};
pub use listen::Listen;
pub use playout::PlayoutConfig;
pub use restream::RestreamConfig;
pub use rtsp::RtspConfig;
pub use vault::VaultConfig;

use anyhow::{Context as _, bail};
use environment::Environment;
use explain::{explain, refuse_unknown};
use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use ingest::health::Limits;
use media::wire::EncoderChoice;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Location;
use transcoder::Ladder;

/// Everything that can be set. Field docs are short here; `weir.example.toml` holds the reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder for everything Weir keeps.
    pub data_dir: PathBuf,
    /// Database address; empty: `weir.db` in the data directory. May hold a password, so it is never printed as it is.
    pub database: String,
    /// Host name printed in addresses; empty: `localhost`.
    pub public_host: String,
    /// Whether the built-in test card is live on the stream `demo` while nobody else is.
    #[serde(deserialize_with = "flag")]
    pub demo: bool,
    /// HLS, API and pages in clear.
    pub http: Listen,
    /// The same with TLS.
    pub https: Listen,
    /// Ingest in clear.
    pub rtmp: Listen,
    /// Ingest with TLS.
    pub rtmps: Listen,
    /// Certificates.
    pub tls: TlsConfig,
    /// What publishers may do.
    pub ingest: IngestConfig,
    /// What players over RTMP may do.
    pub playout: PlayoutConfig,
    /// The HTTP side's limits.
    pub web: WebConfig,
    /// The ladder.
    pub transcode: TranscodeConfig,
    /// Rewind and recordings.
    pub archive: ArchiveConfig,
    /// Where recordings are copied to.
    pub vault: VaultConfig,
    /// Copies for other servers.
    pub restream: RestreamConfig,
    /// Players and studio tools that take RTSP.
    pub rtsp: RtspConfig,
    /// From where on a streamer is told that something is wrong.
    pub health: Limits,
    /// Logs.
    pub log: LogConfig,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM certificate chain; empty: a self-made one.
    pub cert: PathBuf,
    /// PEM private key that goes with it.
    pub key: PathBuf,
    /// More names and addresses for the self-made certificate.
    pub names: Vec<String>,
}

/// `[ingest]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// Connections without a key yet, whole server, 1 to 100,000.
    pub unauthenticated_max: u32,
    /// Connections without a key yet, per IPv4 address or IPv6 /64, 1 to 100,000.
    pub unauthenticated_per_address_max: u32,
    /// Seconds a connection has from accept to publish, 1 to 60.
    pub publish_timeout_s: u32,
    /// Seconds without a byte after which a publisher is dropped, 5 to 300.
    pub silence_timeout_s: u32,
    /// Seconds a session waits for a publisher that vanished, 0 to 300.
    pub reconnect_window_s: u32,
    /// Seconds a session waits for a publisher that said goodbye, 0 to 300.
    pub goodbye_window_s: u32,
    /// Who wins when two publishers present a good key.
    pub takeover: Takeover,
}

/// Who wins when two publishers present a good key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// The newest.
    Newest,
    /// The one that is live, unless it fell silent.
    Reject,
}

/// `[web]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Connections, HTTP and HTTPS together, 16 to 1,000,000.
    pub connections_max: u32,
    /// Connections per IPv4 address or IPv6 /64, 1 to 1,000,000; trusted proxies are not counted.
    pub connections_per_address_max: u32,
    /// Seconds for a request's header, 1 to 60.
    pub header_timeout_s: u32,
    /// Seconds a response may make no progress, 5 to 300.
    pub write_timeout_s: u32,
    /// Seconds an idle connection is kept, 1 to 600.
    pub idle_timeout_s: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Sites whose pages may embed players, as origins; empty: all.
    pub embed_parents: Vec<String>,
}

/// `[transcode]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TranscodeConfig {
    /// Rungs beside the source, as [`transcoder::Ladder`] reads them.
    pub ladder: String,
    /// `x264`, `openh264`, `auto` (hardware when a trial encode passes) or a GStreamer element's name.
    pub encoder: String,
    /// Seconds between thumbnails, 1 to 60; 0: none.
    pub thumbnail_s: u32,
    /// Streams live at once, 1 to 10,000.
    pub streams_max: u32,
    /// The most memory a stream's worker may hold, MiB, 64 to 65,536.
    pub worker_memory_mib: u32,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// One line of text or one JSON object per event.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,ingest=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            database: String::new(),
            public_host: String::new(),
            demo: true,
            http: Listen::everywhere(8080),
            https: Listen::everywhere(8443),
            rtmp: Listen::everywhere(1935),
            rtmps: Listen::everywhere(1936),
            tls: TlsConfig::default(),
            ingest: IngestConfig::default(),
            playout: PlayoutConfig::default(),
            web: WebConfig::default(),
            transcode: TranscodeConfig::default(),
            archive: ArchiveConfig::default(),
            vault: VaultConfig::default(),
            restream: RestreamConfig::default(),
            rtsp: RtspConfig::default(),
            health: Limits::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { cert: PathBuf::new(), key: PathBuf::new(), names: Vec::new() }
    }
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            unauthenticated_max: 1_024,
            unauthenticated_per_address_max: 20,
            publish_timeout_s: 10,
            silence_timeout_s: 15,
            reconnect_window_s: 60,
            goodbye_window_s: 3,
            takeover: Takeover::Newest,
        }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 256,
            header_timeout_s: 10,
            write_timeout_s: 30,
            idle_timeout_s: 60,
            trusted_proxies: Vec::new(),
            embed_parents: Vec::new(),
        }
    }
}

impl Default for TranscodeConfig {
    fn default() -> Self {
        Self {
            ladder: "720p:2800k,480p:1200k,360p:600k".into(),
            encoder: "x264".into(),
            thumbnail_s: 5,
            streams_max: 200,
            worker_memory_mib: 1_024,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// What the command line set; `None` leaves a key to the environment, the file and the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// The file to read instead of looking for one.
    pub file: Option<PathBuf>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--http`
    pub http: Option<Listen>,
    /// `--https`
    pub https: Option<Listen>,
    /// `--rtmp`
    pub rtmp: Option<Listen>,
    /// `--rtmps`
    pub rtmps: Option<Listen>,
    /// `--no-demo` gives `false`.
    pub demo: Option<bool>,
}

impl Config {
    /// Reads file, environment and `overrides` over the defaults and checks every value. Blocks on reading the file.
    ///
    /// # Errors
    /// One sentence naming where the value came from, the key, and what would be right.
    pub fn load(overrides: &Overrides) -> anyhow::Result<Self> {
        Self::load_from(overrides, Path::new(""), Environment::of_process())
    }

    /// As [`Config::load`], with `here` for the folder the process stands in.
    fn load_from(overrides: &Overrides, here: &Path, environment: Environment) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = find_file(overrides, here, &environment)? {
            figment = figment.merge(Toml::file_exact(file));
        }
        let figment = figment.merge(environment).merge(Serialized::defaults(overrides.dict()));
        refuse_unknown(&figment)?;
        let config: Self = figment.extract().map_err(explain)?;
        config.check()?;
        Ok(config)
    }

    /// Where the database is.
    ///
    /// # Errors
    /// When `database` is no address.
    pub fn location(&self) -> anyhow::Result<Location> {
        Ok(Location::parse(&self.database, &self.data_dir)?)
    }

    /// Where recordings are written.
    pub fn archive_dir(&self) -> PathBuf {
        if self.archive.folder.as_os_str().is_empty() {
            self.data_dir.join("archive")
        } else {
            self.archive.folder.clone()
        }
    }

    /// The host name for printed addresses.
    pub fn host(&self) -> &str {
        if self.public_host.is_empty() { "localhost" } else { &self.public_host }
    }

    /// The default ladder, parsed.
    pub fn ladder(&self) -> Ladder {
        self.transcode.ladder.parse().expect("Config::load refuses a ladder that does not parse")
    }

    /// Which encoder the workers use.
    pub fn encoder(&self) -> EncoderChoice {
        self.transcode.encoder.parse().expect("Config::load refuses an encoder that does not parse")
    }

    /// Time between thumbnails, `None` for none.
    pub fn thumb_every(&self) -> Option<Duration> {
        (self.transcode.thumbnail_s > 0).then(|| seconds(self.transcode.thumbnail_s))
    }

    /// The bounds of the RTMP doors.
    pub fn ingest_limits(&self) -> ingest::Limits {
        ingest::Limits {
            publish_deadline: seconds(self.ingest.publish_timeout_s),
            idle: seconds(self.ingest.silence_timeout_s),
            unauthenticated_per_address: self.ingest.unauthenticated_per_address_max,
            unauthenticated_total: self.ingest.unauthenticated_max,
            ..ingest::Limits::default()
        }
    }

    /// What becomes of a stream without rules of its own when its publisher vanishes or another one comes.
    pub fn session_rules(&self) -> ingest::session::Rules {
        ingest::session::Rules {
            window: seconds(self.ingest.reconnect_window_s),
            goodbye: seconds(self.ingest.goodbye_window_s),
            takeover: match self.ingest.takeover {
                Takeover::Newest => ingest::session::Takeover::Newest,
                Takeover::Reject => ingest::session::Takeover::Reject,
            },
        }
    }

    /// The bounds of the HTTP listeners.
    pub fn web_limits(&self) -> origin::Limits {
        let proxies = self.web.trusted_proxies.iter();
        origin::Limits {
            connections_max: self.web.connections_max as usize,
            connections_per_address_max: self.web.connections_per_address_max as usize,
            trusted_proxies: proxies
                .map(|n| n.parse().expect("Config::load refuses a network that does not parse"))
                .collect(),
            header_deadline: seconds(self.web.header_timeout_s),
            idle_max: seconds(self.web.idle_timeout_s),
            progress_deadline: seconds(self.web.write_timeout_s),
            upload_bytes_max: crate::api::IMAGE_BYTES_MAX as u64,
            ..origin::Limits::default()
        }
    }

    /// The sites whose pages may embed players, as a header takes them; none: all.
    pub fn embed_parents(&self) -> Vec<String> {
        store::clean_embed_parents(&self.web.embed_parents).expect("Config::load refuses a site that is none")
    }

    /// Holds every value against its range, so that no other place has to.
    fn check(&self) -> anyhow::Result<()> {
        let in_range = |key: &str, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(anyhow::anyhow!("{key} is {value}; it takes {low} to {high}"))
            }
        };
        in_range("ingest.unauthenticated_max", self.ingest.unauthenticated_max, 1, 100_000)?;
        in_range("ingest.unauthenticated_per_address_max", self.ingest.unauthenticated_per_address_max, 1, 100_000)?;
        in_range("ingest.publish_timeout_s", self.ingest.publish_timeout_s, 1, 60)?;
        in_range("ingest.silence_timeout_s", self.ingest.silence_timeout_s, 5, 300)?;
        in_range("ingest.reconnect_window_s", self.ingest.reconnect_window_s, 0, 300)?;
        in_range("ingest.goodbye_window_s", self.ingest.goodbye_window_s, 0, 300)?;
        in_range("playout.players_max", self.playout.players_max, 1, 100_000)?;
        in_range("playout.players_per_address_max", self.playout.players_per_address_max, 1, 100_000)?;
        in_range("web.connections_max", self.web.connections_max, 16, 1_000_000)?;
        in_range("web.connections_per_address_max", self.web.connections_per_address_max, 1, 1_000_000)?;
        in_range("web.header_timeout_s", self.web.header_timeout_s, 1, 60)?;
        in_range("web.write_timeout_s", self.web.write_timeout_s, 5, 300)?;
        in_range("web.idle_timeout_s", self.web.idle_timeout_s, 1, 600)?;
        in_range("transcode.thumbnail_s", self.transcode.thumbnail_s, 0, 60)?;
        in_range("transcode.streams_max", self.transcode.streams_max, 1, 10_000)?;
        in_range("transcode.worker_memory_mib", self.transcode.worker_memory_mib, 64, 65_536)?;
        in_range("archive.rewind_s", self.archive.rewind_s, 0, 86_400)?;
        in_range("archive.quota_gib", self.archive.quota_gib, 0, 10_000_000)?;
        in_range("archive.reserve_mib", self.archive.reserve_mib, 64, 1_048_576)?;
        in_range("archive.trash_days", self.archive.trash_days, 0, 365)?;
        in_range("archive.upload_max_gib", self.archive.upload_max_gib, 0, 1_000)?;
        in_range("archive.uploads_max", self.archive.uploads_max, 1, 100)?;
        in_range("archive.upload_hours", self.archive.upload_hours, 1, 720)?;
        in_range("vault.upload_mbps", self.vault.upload_mbps, 0, 1_000_000)?;
        let has_vault = self.vault.settings(&self.data_dir)?.is_some();
        if self.archive.when_full == WhenFull::DeleteOldest && !has_vault {
            bail!(
                "archive.when_full is \"delete_oldest\", which deletes what is copied elsewhere; set vault.kind as well"
            );
        }
        in_range("rtsp.readers_max", self.rtsp.readers_max, 1, 10_000)?;
        in_range("rtsp.readers_per_address_max", self.rtsp.readers_per_address_max, 1, 10_000)?;
        in_range("rtsp.worker_memory_mib", self.rtsp.worker_memory_mib, 64, 65_536)?;
        self.rtsp.check()?;
        health::check(&self.health)?;
        ladder_text(&self.transcode.ladder).context("transcode.ladder")?;
        if self.transcode.encoder.parse::<EncoderChoice>().is_err() {
            bail!(
                "transcode.encoder is {:?}; it takes x264, openh264, auto or the name of a GStreamer element",
                self.transcode.encoder
            );
        }
        for network in &self.web.trusted_proxies {
            network.parse::<origin::Network>().context("web.trusted_proxies")?;
        }
        store::clean_embed_parents(&self.web.embed_parents).context("web.embed_parents")?;
        if self.data_dir.as_os_str().is_empty() {
            bail!("data_dir is empty; name a folder");
        }
        let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
        if !self.public_host.bytes().all(host) {
            bail!("public_host is {:?}; give a bare host name such as live.example.org", self.public_host);
        }
        if self.tls.cert.as_os_str().is_empty() != self.tls.key.as_os_str().is_empty() {
            bail!("tls.cert and tls.key go together; set both or neither");
        }
        crate::logging::check_level(&self.log.level)?;
        self.location()?;
        Ok(())
    }
}

/// A bool, or 0 and 1 as environments have it (`WEIR_DEMO=0`).
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "true or false")]
    enum Given {
        Bool(bool),
        Number(u8),
    }
    match Given::deserialize(deserializer)? {
        Given::Bool(value) => Ok(value),
        Given::Number(number @ 0..=1) => Ok(number == 1),
        Given::Number(number) => Err(serde::de::Error::custom(format!("{number} is neither true nor false"))),
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// A ladder as the operator wrote it, checked and in its normal form: `720p:2800k,480p:1200k`, or `none`.
///
/// # Errors
/// One sentence naming the step that is wrong and what would be right.
pub fn ladder_text(text: &str) -> anyhow::Result<String> {
    let ladder: Ladder = text.parse()?;
    Ok(if ladder.steps().is_empty() { "none".to_owned() } else { ladder.to_string() })
}

impl Overrides {
    fn dict(&self) -> Dict {
        let mut dict = Dict::new();
        if let Some(dir) = &self.data_dir {
            dict.insert("data_dir".into(), Value::from(dir.to_string_lossy().into_owned()));
        }
        for (key, listen) in
            [("http", &self.http), ("https", &self.https), ("rtmp", &self.rtmp), ("rtmps", &self.rtmps)]
        {
            if let Some(listen) = listen {
                dict.insert(key.into(), Value::from(listen.to_string()));
            }
        }
        if let Some(demo) = self.demo {
            dict.insert("demo".into(), Value::from(demo));
        }
        dict
    }
}

fn find_file(overrides: &Overrides, here: &Path, environment: &Environment) -> anyhow::Result<Option<PathBuf>> {
    if let Some(file) = &overrides.file {
        // Opened rather than looked at, so that a file that may not be read is told from one that is not there.
        std::fs::File::open(file)
            .with_context(|| format!("the configuration file {} cannot be read", file.display()))?;
        return Ok(Some(file.clone()));
    }
    let file = here.join("weir.toml");
    if file.is_file() {
        return Ok(Some(file));
    }
    let from_environment = || environment.get("data_dir").map(PathBuf::from);
    let data_dir = overrides.data_dir.clone().or_else(from_environment).unwrap_or_else(|| Config::default().data_dir);
    let beside_data = here.join(data_dir).join("weir.toml");
    Ok(beside_data.is_file().then_some(beside_data))
}

#[cfg(test)]
mod tests;

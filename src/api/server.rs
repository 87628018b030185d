//! The machine and this server on it, for the server page.

use super::Api;
use super::archive::Storage;
use super::shapes::{IngestAddresses, Problem};
use crate::usage::Meter;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use store::now_ms;
use transcoder::Budget;
use utoipa::ToSchema;

/// Below this a disk is warned of.
const DISK_LOW: u64 = 1 << 30;

/// What is known of this server from its start on, and where the rest is asked.
pub struct Facts {
    /// Milliseconds since 1970.
    pub started_ms: i64,
    /// Streams that may be live at once.
    pub streams_max: usize,
    /// What may be planned on for encoding.
    pub budget: Budget,
    /// What is taken of the machine.
    pub meter: Arc<Meter>,
    /// GStreamer's version.
    pub gstreamer: String,
    /// The H.264 encoder that was chosen.
    pub encoder: String,
    /// Where everything lies.
    pub data_dir: String,
    /// Address of the pages over TLS.
    pub https: Option<String>,
    /// What the operator should know, as it was at the start.
    pub warnings: Vec<Warning>,
}

/// Something the operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// A word for programs.
    #[schema(example = "rtmp_in_clear")]
    pub code: String,
    /// Cause and cure in one sentence.
    pub message: String,
}

impl Warning {
    /// One of this kind.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// This server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerShape {
    /// Of Weir.
    pub version: &'static str,
    /// Milliseconds since 1970.
    pub started_ms: i64,
    /// The server's clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Streams that are live.
    pub live: usize,
    /// Streams that may be.
    pub streams_max: usize,
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// What is planned on for encoding.
    pub budget: BudgetShape,
    /// The data directory's disk; null when it can't be looked at.
    pub disk: Option<Disk>,
    /// Where recordings are.
    pub storage: Storage,
    /// GStreamer's version.
    pub gstreamer: String,
    /// The H.264 encoder that was chosen.
    pub encoder: String,
    /// Where encoders push to.
    pub ingest: IngestAddresses,
    /// Address of the pages over TLS, null when there is none.
    pub https: Option<String>,
    /// Where everything lies.
    pub data_dir: String,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// Processors.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cpu {
    /// How many there are.
    pub cores: usize,
    /// How many of them the server and its workers keep busy.
    pub used: f64,
}

/// Memory in bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Memory {
    /// The server and its workers.
    pub used_bytes: u64,
    /// The machine.
    pub total_bytes: u64,
    /// What could still be had.
    pub available_bytes: u64,
}

/// Cores for encoding.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetShape {
    /// What may be planned on.
    pub cores: f64,
    /// What streams are planned to take.
    pub planned: f64,
    /// What is left.
    pub free: f64,
    /// Luma samples a core encodes in a second, measured at the start.
    pub samples_per_s: f64,
}

/// A disk.
#[derive(Debug, Serialize, ToSchema)]
pub struct Disk {
    /// The folder on it.
    pub path: String,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes it has.
    pub total_bytes: u64,
}

/// What is wrong where recordings are, with its cure.
fn storage_warnings(storage: &Storage) -> Vec<Warning> {
    let paused = storage.paused.map(|why| {
        let said = match why {
            "quota" => "Recording is paused, as the archive is as large as it may be; delete recordings or raise archive.quota_gib.",
            "disk_full" => "Recording is paused, as its disk is full; make room, or give archive.folder another disk.",
            _ => "Recording is paused, as its disk fails; look at the log and at the disk.",
        };
        Warning::new("recording_paused", said)
    });
    let copies = storage.copies.as_ref().and_then(|copies| {
        let reason = copies.reason.as_ref()?;
        let waits = copies.backlog_bytes >> 20;
        Some(Warning::new("vault_away", format!("{} takes no copies, {waits} MiB wait: {reason}.", copies.place)))
    });
    paused.into_iter().chain(copies).collect()
}

/// This server
#[utoipa::path(get, path = "/api/v1/server", tag = "server", security(("token" = [])),
    responses((status = 200, body = ServerShape), (status = 401, body = Problem)))]
pub async fn show(State(api): State<Arc<Api>>) -> Json<ServerShape> {
    let facts = &api.facts;
    let usage = facts.meter.usage();
    let disk = usage.disk;
    let mut warnings = facts.warnings.clone();
    if let Some((free, _)) = disk.filter(|(free, _)| *free < DISK_LOW) {
        let said = format!("{} MiB are free on the disk of {}; make room.", free >> 20, facts.data_dir);
        warnings.push(Warning::new("disk_low", said));
    }
    let storage = api.archive.storage();
    warnings.extend(storage_warnings(&storage));
    let round = |cores: f64| (cores * 1e3).round() / 1e3;
    Json(ServerShape {
        version: env!("CARGO_PKG_VERSION"),
        started_ms: facts.started_ms,
        now_ms: now_ms(),
        live: api.live.streams().len(),
        streams_max: facts.streams_max,
        cpu: Cpu { cores: facts.budget.cores(), used: round(usage.cores) },
        memory: Memory {
            used_bytes: usage.memory,
            total_bytes: usage.memory_total,
            available_bytes: usage.memory_available,
        },
        budget: BudgetShape {
            cores: round(facts.budget.total()),
            planned: round(facts.budget.planned()),
            free: round((facts.budget.total() - facts.budget.planned()).max(0.0)),
            samples_per_s: facts.budget.speed().round(),
        },
        disk: disk.map(|(free_bytes, total_bytes)| Disk { path: facts.data_dir.clone(), free_bytes, total_bytes }),
        storage,
        gstreamer: facts.gstreamer.clone(),
        encoder: facts.encoder.clone(),
        ingest: api.ingest.clone(),
        https: facts.https.clone(),
        data_dir: facts.data_dir.clone(),
        warnings,
    })
}

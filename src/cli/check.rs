//! `weir check`: whether this machine is ready, in plain sentences, without changing anything but an empty data directory.

use crate::config::{Config, Listen, Overrides};
use crate::{data_dir, machine, tls};
use serde::Serialize;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use store::{Location, Store, now_ms};

/// 2026-01-01: a clock before it was never set, and certificates and playlists would carry its error.
const CLOCK_MS_MIN: i64 = 1_767_225_600_000;
/// A viewer or publisher takes one file, a session some ten.
const OPEN_FILES_WANTED: u64 = 4_096;
/// Below this a warning: logs and the database grow slowly, but not into a full disk.
const FREE_BYTES_WANTED: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Note,
    /// Weir will not start or not do its work.
    Fault,
}

#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    verdict: Verdict,
    sentence: String,
}

fn finding(subject: &'static str, verdict: Verdict, sentence: impl Into<String>) -> Finding {
    Finding { subject, verdict, sentence: sentence.into() }
}

/// Looks at everything and prints what it found; the status is 1 when anything is at fault.
///
/// # Errors
/// Only when printing itself fails; faults are findings.
pub async fn run(overrides: &Overrides, json: bool) -> anyhow::Result<ExitCode> {
    let findings = match Config::load(overrides) {
        Ok(config) => look(&config).await,
        Err(error) => vec![finding("configuration", Verdict::Fault, format!("{error:#}"))],
    };
    let faults = findings.iter().filter(|f| f.verdict == Verdict::Fault).count();
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(
                &json!({ "ok": faults == 0, "version": env!("CARGO_PKG_VERSION"), "findings": findings })
            )?
        );
    } else {
        for Finding { subject, verdict, sentence } in &findings {
            let mark = match verdict {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Fault => "FAULT",
            };
            println!("{mark:<6} {subject:<14} {sentence}");
        }
        let summary = match faults {
            0 => "This machine is ready.".to_owned(),
            1 => "One fault stands in the way.".to_owned(),
            n => format!("{n} faults stand in the way."),
        };
        println!("{summary}");
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![finding("configuration", Verdict::Ok, "Every key is known and in its range.")];
    let disk = disk(&config.data_dir);
    let usable = disk.verdict != Verdict::Fault;
    findings.push(disk);
    if usable {
        findings.push(database(config).await);
    }
    // While a server of this directory runs, its ports are taken by right.
    let served = usable && data_dir::claim(&config.data_dir).is_err();
    for (subject, listen) in
        [("http", config.http), ("https", config.https), ("rtmp", config.rtmp), ("rtmps", config.rtmps)]
    {
        findings.push(port(subject, listen, served));
    }
    let [rtsp, rtsps] = config.rtsp.listens();
    findings.push(port("rtsp.listen", rtsp, served));
    findings.push(port("rtsp.tls_listen", rtsps, served));
    findings.push(certificate(config));
    if let Err(error) = config.restream.settings() {
        findings.push(finding("copies", Verdict::Fault, format!("{error:#}.")));
    }
    findings.extend(media(config).await);
    findings.push(clock(now_ms()));
    findings.push(open_files());
    findings
}

fn disk(dir: &Path) -> Finding {
    const SUBJECT: &str = "data directory";
    let free = data_dir::prepare(dir).and_then(|()| data_dir::free_bytes(dir));
    match free {
        Err(error) => finding(SUBJECT, Verdict::Fault, format!("{error:#}.")),
        Ok(free) if free < FREE_BYTES_WANTED => finding(
            SUBJECT,
            Verdict::Note,
            format!("{} can be written, but only {} MiB are free.", dir.display(), free >> 20),
        ),
        Ok(free) => {
            finding(SUBJECT, Verdict::Ok, format!("{} can be written and has {} GiB free.", dir.display(), free >> 30))
        }
    }
}

async fn database(config: &Config) -> Finding {
    const SUBJECT: &str = "database";
    let location = match config.location() {
        Ok(location) => location,
        Err(error) => return finding(SUBJECT, Verdict::Fault, format!("{error:#}.")),
    };
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        return finding(SUBJECT, Verdict::Ok, format!("{} will be made at the first start.", path.display()));
    }
    let looked = async {
        let store = Store::open(&location).await?;
        let (streams, audit) = (store.streams().await?.len(), store.check_audit().await?);
        store.close().await;
        Ok::<_, store::Error>((streams, audit))
    };
    match looked.await {
        Err(error) => finding(SUBJECT, Verdict::Fault, format!("{:#}.", anyhow::Error::from(error))),
        Ok((_, audit)) if audit.broken_at.is_some() => {
            let row = audit.broken_at.unwrap_or_default();
            finding(
                SUBJECT,
                Verdict::Note,
                format!(
                    "{location} answers, but its audit row {row} was changed or removed by something else than Weir."
                ),
            )
        }
        Ok((streams, audit)) => finding(
            SUBJECT,
            Verdict::Ok,
            format!("{location} answers: {streams} streams, {} changes in an unbroken audit chain.", audit.rows),
        ),
    }
}

fn port(subject: &'static str, listen: Listen, served: bool) -> Finding {
    let Some(address) = listen.address() else { return finding(subject, Verdict::Note, "It is off.") };
    if address.port() == 0 {
        return finding(subject, Verdict::Ok, format!("Any free port of {} will be taken.", address.ip()));
    }
    match TcpListener::bind(address) {
        Ok(_) => finding(subject, Verdict::Ok, format!("{address} is free.")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && served => {
            finding(subject, Verdict::Ok, format!("{address} is in use; a Weir serves this data directory."))
        }
        Err(error) => finding(subject, Verdict::Fault, port_sentence(subject, address, &error)),
    }
}

fn port_sentence(name: &str, address: SocketAddr, error: &std::io::Error) -> String {
    // Keys of a section have no flag.
    let setting = if name.contains('.') { name.to_owned() } else { format!("--{name}") };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program; stop it or choose another with {setting}.")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("This user may not listen on {address}; choose a port above 1023 with {setting}.")
        }
        _ => format!("Nothing can listen on {address} ({error}); choose another address with {setting}."),
    }
}

fn certificate(config: &Config) -> Finding {
    const SUBJECT: &str = "certificate";
    let given = !config.tls.cert.as_os_str().is_empty();
    match tls::check(config) {
        Err(error) => finding(SUBJECT, Verdict::Fault, format!("{error:#}.")),
        Ok(Some(cert)) if given => {
            finding(SUBJECT, Verdict::Ok, format!("{} and its key go together.", cert.display()))
        }
        Ok(Some(cert)) => finding(
            SUBJECT,
            Verdict::Note,
            format!("{} is self-made; viewers' browsers will warn of it. Set tls.cert and tls.key.", cert.display()),
        ),
        Ok(None) => finding(
            SUBJECT,
            Verdict::Note,
            "One will be made at the first start; viewers' browsers will warn of it. Set tls.cert and tls.key.",
        ),
    }
}

async fn media(config: &Config) -> Vec<Finding> {
    let report = match machine::require_media(config.encoder()).await {
        Err(error) => return vec![finding("gstreamer", Verdict::Fault, format!("{error:#}."))],
        Ok(report) => report,
    };
    // The distribution's revision says more than the version: it carries the fixes of later ones.
    let packages =
        report.packages.iter().find(|p| p.starts_with("libgstreamer")).map(|p| format!(" ({p})")).unwrap_or_default();
    let mut findings = vec![finding(
        "gstreamer",
        Verdict::Ok,
        format!("{}{packages} has everything needed to decode and encode with {}.", report.gstreamer, config.encoder()),
    )];
    let optional: Vec<&str> = report.elements.iter().filter(|e| !e.present).map(|e| e.name.as_str()).collect();
    if !optional.is_empty() {
        findings.push(finding(
            "encoders",
            Verdict::Note,
            format!("Not here, and not needed: {}.", optional.join(", ")),
        ));
    }
    let weak = report.sandbox.contains("absent") || report.sandbox.contains("partial");
    let verdict = if weak { Verdict::Note } else { Verdict::Ok };
    findings.push(finding("sandbox", verdict, format!("Media workers run with {}.", report.sandbox)));
    findings
}

fn clock(now_ms: i64) -> Finding {
    if now_ms < CLOCK_MS_MIN {
        return finding(
            "clock",
            Verdict::Fault,
            "The machine's clock stands before 2026; set it, for certificates and playlists carry its time.",
        );
    }
    finding("clock", Verdict::Ok, "The machine's clock is set.")
}

fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // The server raises its soft limit to the hard one, so that is the one that counts.
    match limit.maximum {
        Some(most) if most < OPEN_FILES_WANTED => finding(
            "open files",
            Verdict::Note,
            format!(
                "At most {most} files and connections may be open; {OPEN_FILES_WANTED} or more suit a server (ulimit -n)."
            ),
        ),
        Some(most) => finding("open files", Verdict::Ok, format!("Up to {most} files and connections may be open.")),
        None => finding("open files", Verdict::Ok, "Any number of files and connections may be open."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_a_fault_unless_our_own_server_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::At(taken.local_addr().unwrap());
        let found = port("rtmp", listen, false);
        assert_eq!(found.verdict, Verdict::Fault);
        assert!(found.sentence.contains("--rtmp"), "{}", found.sentence);
        assert_eq!(port("rtmp", listen, true).verdict, Verdict::Ok);
        drop(taken);
        assert_eq!(port("rtmp", listen, false).verdict, Verdict::Ok);
    }

    #[test]
    fn a_clock_that_was_never_set_is_a_fault() {
        assert_eq!((clock(0).verdict, clock(CLOCK_MS_MIN).verdict), (Verdict::Fault, Verdict::Ok));
    }

    #[tokio::test]
    async fn an_empty_folder_is_ready_for_its_first_start() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        assert_ne!(disk(&config.data_dir).verdict, Verdict::Fault);
        let found = database(&config).await;
        assert_eq!(found.verdict, Verdict::Ok, "{}", found.sentence);
        assert_eq!(certificate(&config).verdict, Verdict::Note);
        assert!(!config.data_dir.join("weir.db").exists(), "a look makes no database");
    }
}

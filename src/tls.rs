//! Certificates: given files, or a self-made pair in the data directory; read again when they change.
//!
//! Two configurations come out of one pair: HTTPS offers HTTP/2 and HTTP/1.1 by ALPN, RTMPS offers nothing, since
//! encoders send no protocol name. Listeners watch them; a connection keeps what it began with.

use crate::config::Config;
use crate::data_dir;
use anyhow::{Context as _, bail};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at: an `acme` client's renewal is in use within seconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate in use, and where it comes from.
pub struct Certificates {
    files: Files,
    stamp: Stamp,
    https: watch::Sender<Arc<ServerConfig>>,
    rtmps: watch::Sender<Arc<ServerConfig>>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
    self_made: bool,
}

/// When the two files were last written and how long they are; a change of any is a reason to read them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

struct Pair {
    https: Arc<ServerConfig>,
    rtmps: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the pair the configuration names. Without one it makes `tls/cert.pem` and `tls/key.pem` (0600) in the data
    /// directory for `localhost`, this machine's name, the public host and `tls.names`, at the first start and whenever
    /// those names change. Blocks on files.
    ///
    /// # Errors
    /// One sentence naming the file that cannot be read, is no PEM, or does not go with the other.
    pub fn load(config: &Config) -> anyhow::Result<Self> {
        let files = Files::of(config);
        if files.self_made {
            make_if_needed(&files, &names(config))?;
        }
        let stamp = files.stamp();
        let pair = files.read()?;
        Ok(Self { files, stamp, https: watch::Sender::new(pair.https), rtmps: watch::Sender::new(pair.rtmps) })
    }

    /// For the HTTPS listener.
    pub fn https(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.https.subscribe()
    }

    /// For the RTMPS listener.
    pub fn rtmps(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.rtmps.subscribe()
    }

    /// Looks every 2 s whether the files changed, until `stop`. A new pair is used from the next connection on; one that
    /// cannot be used is warned of once, and the one in use stays.
    pub async fn follow(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // A look is two stats; only a change reads files, so this holds a runtime thread for microseconds.
            self.look();
        }
    }

    fn look(&mut self) {
        let stamp = self.files.stamp();
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        match self.files.read() {
            Ok(pair) => {
                self.https.send_replace(pair.https);
                self.rtmps.send_replace(pair.rtmps);
                tracing::info!(cert = %self.files.cert.display(), "a new certificate is in use");
            }
            Err(error) => {
                metrics::counter!("weir_tls_reload_errors_total").increment(1);
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the new certificate cannot be used; the one before stays in use"
                );
            }
        }
    }
}

/// Whether the pair the configuration names can be used; `Ok(None)` when it is to be self-made and is not there yet. Makes
/// nothing.
///
/// # Errors
/// As [`Certificates::load`].
pub fn check(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let files = Files::of(config);
    if files.self_made && !files.cert.exists() {
        return Ok(None);
    }
    files.read()?;
    Ok(Some(files.cert))
}

impl Files {
    fn of(config: &Config) -> Self {
        if config.tls.cert.as_os_str().is_empty() {
            let dir = config.data_dir.join("tls");
            return Self { cert: dir.join("cert.pem"), key: dir.join("key.pem"), self_made: true };
        }
        Self { cert: config.tls.cert.clone(), key: config.tls.key.clone(), self_made: false }
    }

    fn stamp(&self) -> Stamp {
        let of = |path: &Path| std::fs::metadata(path).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        Stamp([of(&self.cert), of(&self.key)])
    }

    fn read(&self) -> anyhow::Result<Pair> {
        let (cert, key) = (self.cert.display(), self.key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect)
            .with_context(|| format!("the certificate {cert} cannot be read"))?;
        if chain.is_empty() {
            bail!("the file {cert} holds no certificate in PEM");
        }
        let secret =
            PrivateKeyDer::from_pem_file(&self.key).with_context(|| format!("the private key {key} cannot be read"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = builder.with_no_client_auth().with_single_cert(chain, secret);
        let rtmps = config.with_context(|| format!("the certificate {cert} and the key {key} do not go together"))?;
        let mut https = rtmps.clone();
        https.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Pair { https: Arc::new(https), rtmps: Arc::new(rtmps) })
    }
}

fn names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_str().unwrap_or_default();
    let given = config.tls.names.iter().map(String::as_str);
    for name in [machine, config.public_host.as_str()].into_iter().chain(given) {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if !name.is_empty() && !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Makes the pair unless it is there and for these names, which are noted beside it.
fn make_if_needed(files: &Files, names: &[String]) -> anyhow::Result<()> {
    let note = files.cert.with_file_name("names");
    let wanted = names.join("\n");
    let noted = std::fs::read_to_string(&note).unwrap_or_default();
    if files.cert.exists() && files.key.exists() && noted == wanted {
        return Ok(());
    }
    let made = rcgen::generate_simple_self_signed(names)
        .with_context(|| format!("no certificate can be made for the names {}", names.join(", ")))?;
    let folder = files.cert.parent().context("a certificate lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    data_dir::write_private(&files.key, made.signing_key.serialize_pem().as_bytes())?;
    data_dir::write_private(&files.cert, made.cert.pem().as_bytes())?;
    data_dir::write_private(&note, wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn config(dir: &Path) -> Config {
        Config { data_dir: dir.to_owned(), ..Config::default() }
    }

    #[test]
    fn a_first_start_makes_a_private_pair_and_later_ones_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Certificates::load(&config(dir.path())).unwrap();
        let key = dir.path().join("tls/key.pem");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(first.https().borrow().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert!(first.rtmps().borrow().alpn_protocols.is_empty());
        let made = std::fs::read(&key).unwrap();
        Certificates::load(&config(dir.path())).unwrap();
        assert_eq!(std::fs::read(&key).unwrap(), made);
        let renamed = Config { public_host: "live.example.org".into(), ..config(dir.path()) };
        Certificates::load(&renamed).unwrap();
        assert_ne!(std::fs::read(&key).unwrap(), made, "another name needs another certificate");
    }

    #[test]
    fn a_bad_pair_keeps_the_old_and_a_good_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut certificates = Certificates::load(&config(dir.path())).unwrap();
        let mut https = certificates.https();
        https.borrow_and_update();
        let key = dir.path().join("tls/key.pem");
        std::fs::write(&key, "not a key").unwrap();
        certificates.look();
        assert!(!https.has_changed().unwrap());

        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        certificates.look();
        assert!(!https.has_changed().unwrap(), "half of a new pair is not used");
        std::fs::write(dir.path().join("tls/cert.pem"), made.cert.pem()).unwrap();
        certificates.look();
        assert!(https.has_changed().unwrap());
    }

    #[test]
    fn a_given_file_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        (config.tls.cert, config.tls.key) = ("/nonexistent/c.pem".into(), "/nonexistent/k.pem".into());
        let refused = Certificates::load(&config).err().expect("there is no such file");
        assert!(format!("{refused:#}").contains("/nonexistent/c.pem"), "{refused:#}");
    }
}

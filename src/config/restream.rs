//! `[restream]`: copies for other servers.

use anyhow::{Context as _, anyhow};
use restream::{Settings, Timings, tls_config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[restream]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestreamConfig {
    /// Copies may go to addresses that only this machine or its network can reach.
    pub allow_private: bool,
    /// PEM file with authorities that are trusted besides the system's; empty: none.
    pub extra_ca: PathBuf,
}

impl RestreamConfig {
    /// As outlets take it. Blocks on the system's certificates.
    ///
    /// # Errors
    /// When the file can't be read or holds no certificate.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let file = self.extra_ca.display();
        let mut extra = Vec::new();
        if !self.extra_ca.as_os_str().is_empty() {
            let found = CertificateDer::pem_file_iter(&self.extra_ca)
                .with_context(|| format!("restream.extra_ca: the file {file} cannot be read"))?;
            for certificate in found {
                extra.push(certificate.with_context(|| format!("restream.extra_ca: {file} is no PEM file"))?);
            }
            if extra.is_empty() {
                return Err(anyhow!("restream.extra_ca: the file {file} holds no certificate"));
            }
        }
        let tls = tls_config(extra).context("restream.extra_ca: a certificate in it can't be used")?;
        Ok(Settings { allow_private: self.allow_private, tls, timings: Timings::default() })
    }
}

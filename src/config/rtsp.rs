//! `[rtsp]`: streams for players and studio tools that take RTSP.

use super::Listen;
use anyhow::bail;
use rtspout::{Limits, Settings};
use serde::{Deserialize, Serialize};

/// `[rtsp]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RtspConfig {
    /// Whether live streams are served over RTSP.
    #[serde(deserialize_with = "super::flag")]
    pub enabled: bool,
    /// RTSP in clear.
    pub listen: Listen,
    /// RTSPS.
    pub tls_listen: Listen,
    /// Whether readers may have media over UDP.
    #[serde(deserialize_with = "super::flag")]
    pub udp: bool,
    /// Who may read, as `NAME:PASSWORD`; empty: everybody. Secrets, so they are never printed.
    pub users: Vec<String>,
    /// Readers altogether, 1 to 10,000.
    pub readers_max: u32,
    /// Readers per IPv4 address or IPv6 /64, 1 to 10,000; this machine itself is not counted.
    pub readers_per_address_max: u32,
    /// The most memory the process that serves one stream may hold, MiB, 64 to 65,536.
    pub worker_memory_mib: u32,
}

impl Default for RtspConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: Listen::everywhere(8554),
            tls_listen: Listen::Off,
            udp: true,
            users: Vec::new(),
            readers_max: 200,
            readers_per_address_max: 20,
            worker_memory_mib: 512,
        }
    }
}

/// The users' passwords are left out.
impl std::fmt::Debug for RtspConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { enabled, listen, tls_listen, udp, users, .. } = self;
        let mut shown = f.debug_struct("RtspConfig");
        shown.field("enabled", enabled).field("listen", listen).field("tls_listen", tls_listen).field("udp", udp);
        shown.field("users", &users.len()).finish_non_exhaustive()
    }
}

impl RtspConfig {
    /// How it is served; `None` when it is not.
    pub fn settings(&self) -> Option<Settings> {
        let limits = Limits {
            readers: self.readers_max as usize,
            readers_per_address: self.readers_per_address_max as usize,
            ..Limits::default()
        };
        let memory_max = u64::from(self.worker_memory_mib) << 20;
        self.enabled.then(|| Settings { udp: self.udp, memory_max, ..Settings::new(limits) })
    }

    /// Where it listens in clear and with TLS.
    pub fn listens(&self) -> [Listen; 2] {
        if self.enabled { [self.listen, self.tls_listen] } else { [Listen::Off; 2] }
    }

    /// Names and passwords.
    pub fn users(&self) -> Vec<(String, String)> {
        let pairs = self.users.iter().filter_map(|user| user.split_once(':'));
        pairs.map(|(name, password)| (name.to_owned(), password.to_owned())).collect()
    }

    /// Whether every user can be one.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (number, user) in (1..).zip(&self.users) {
            let Some((name, password)) = user.split_once(':') else {
                bail!("rtsp.users: entry {number} has no colon; write each as NAME:PASSWORD");
            };
            if name.is_empty() || password.len() < 8 {
                bail!("rtsp.users: entry {number} needs a name and a password of at least 8 characters");
            }
        }
        if self.enabled && self.listens().iter().all(|listen| *listen == Listen::Off) {
            bail!("rtsp.enabled is true, but rtsp.listen and rtsp.tls_listen are off; give one of them an address");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_and_passwords_which_are_not_shown() {
        let with = |user: &str| RtspConfig { users: vec![user.to_owned()], ..RtspConfig::default() };
        assert!(with("obs:correct horse:battery").check().is_ok());
        assert_eq!(with("obs:a:bcdefgh").users(), [("obs".to_owned(), "a:bcdefgh".to_owned())]);
        for wrong in ["obs", "obs:short", ":longenough"] {
            let said = with(wrong).check().unwrap_err().to_string();
            assert!(said.contains("rtsp.users") && !said.contains(wrong), "{said}");
        }
        assert!(!format!("{:?}", with("obs:correct horse")).contains("horse"));
    }
}

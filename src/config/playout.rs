use serde::{Deserialize, Serialize};

/// `[playout]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlayoutConfig {
    /// Whether live streams are played over RTMP and RTMPS.
    #[serde(deserialize_with = "super::flag")]
    pub rtmp: bool,
    /// Players altogether, 1 to 100,000.
    pub players_max: u32,
    /// Players per IPv4 address or IPv6 /64, 1 to 100,000; this machine itself is not counted.
    pub players_per_address_max: u32,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self { rtmp: true, players_max: 1_000, players_per_address_max: 50 }
    }
}

impl PlayoutConfig {
    /// The bounds of the way out; `None` when there is none.
    pub fn limits(&self) -> Option<playout::Limits> {
        self.rtmp.then(|| playout::Limits {
            players: self.players_max as usize,
            players_per_address: self.players_per_address_max as usize,
            ..playout::Limits::default()
        })
    }
}

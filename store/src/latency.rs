//! How near to the live edge a stream's players may come.

use crate::Error;

/// What a stream's playlists offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Latency {
    /// Parts of a fifth of a second: one to three seconds behind.
    #[default]
    Low,
    /// Whole segments alone: three target durations behind, with as much time for a poor line to recover.
    Standard,
}

impl Latency {
    /// `low` or `standard`, as it is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Standard => "standard",
        }
    }
}

impl std::str::FromStr for Latency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "low" => Ok(Self::Low),
            "standard" => Ok(Self::Standard),
            _ => Err(Error::BadSetting { setting: "latency", why: "neither low nor standard".into() }),
        }
    }
}

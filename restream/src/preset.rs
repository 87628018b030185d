//! The services people send copies to: their addresses and what they take, as data with its source.

use crate::{BadTarget, TargetUrl};
use std::time::Duration;

/// What a server takes. Beyond a limit nothing is refused: the streamer is told, since services often take more than they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Highest bitrate of picture and sound, bits a second.
    pub bitrate_max_bps: Option<u64>,
    /// Longest distance of keyframes.
    pub keyframe_max: Option<Duration>,
    /// A stream without sound does not go live there.
    pub needs_audio: bool,
    /// HEVC is taken, as Enhanced RTMP.
    pub takes_hevc: bool,
    /// Opus is taken, as Enhanced RTMP.
    pub takes_opus: bool,
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// How it is typed.
    pub id: &'static str,
    /// How it is called.
    pub name: &'static str,
    /// Its address. Empty: the operator gives it.
    pub url: &'static str,
    /// Its address where one of its servers is chosen, whose short name `{ingest}` stands for. Empty: there is no choice.
    pub choice: &'static str,
    /// What it takes.
    pub rules: Rules,
    /// Where that is said.
    pub source: &'static str,
}

/// RTMP as everybody takes it.
const PLAIN: Rules =
    Rules { bitrate_max_bps: None, keyframe_max: None, needs_audio: false, takes_hevc: false, takes_opus: false };

const YOUTUBE: Rules = Rules {
    bitrate_max_bps: Some(51_000_000),
    keyframe_max: Some(Duration::from_secs(4)),
    needs_audio: true,
    takes_hevc: true,
    takes_opus: false,
};

const YOUTUBE_SOURCE: &str = "support.google.com/youtube/answer/2853702 (keyframes, sound); obs-studio rtmp-services services.json v5 (addresses, codecs, 51 Mb/s)";

/// Any other server.
pub(crate) const CUSTOM: Preset =
    Preset { id: "custom", name: "Another RTMP server", url: "", choice: "", rules: PLAIN, source: "the operator" };

/// Every service known. `custom` is the last.
pub const PRESETS: &[Preset] = &[
    Preset {
        id: "youtube",
        name: "YouTube",
        url: "rtmps://a.rtmps.youtube.com:443/live2",
        choice: "",
        rules: YOUTUBE,
        source: YOUTUBE_SOURCE,
    },
    Preset {
        id: "youtube-backup",
        name: "YouTube (backup server)",
        url: "rtmps://b.rtmps.youtube.com:443/live2?backup=1",
        choice: "",
        rules: YOUTUBE,
        source: YOUTUBE_SOURCE,
    },
    Preset {
        id: "twitch",
        name: "Twitch",
        url: "rtmps://ingest.global-contribute.live-video.net:443/app",
        choice: "rtmps://{ingest}.contribute.live-video.net:443/app",
        rules: Rules { bitrate_max_bps: Some(6_320_000), keyframe_max: Some(Duration::from_secs(2)), ..PLAIN },
        source: "dev.twitch.tv/docs/video-broadcast and ingest.twitch.tv/ingests (addresses); obs-studio services.json v5 (H.264, 6,000 and 320 kb/s, keyframes)",
    },
    Preset {
        id: "facebook",
        name: "Facebook Live",
        url: "rtmps://live-api-s.facebook.com:443/rtmp",
        choice: "",
        rules: Rules {
            bitrate_max_bps: Some(9_128_000),
            keyframe_max: Some(Duration::from_secs(2)),
            needs_audio: true,
            ..PLAIN
        },
        source: "obs-studio services.json v5 (address, 9,000 and 128 kb/s, keyframes)",
    },
    Preset {
        id: "kick",
        name: "Kick",
        url: "rtmps://fa723fc1b171.global-contribute.live-video.net:443/app",
        choice: "",
        rules: Rules { bitrate_max_bps: Some(8_500_000), keyframe_max: Some(Duration::from_secs(2)), ..PLAIN },
        source: "the address Kick shows to its streamers; Amazon IVS, which it runs on (H.264, 8.5 Mb/s, keyframes)",
    },
    CUSTOM,
];

/// The service of this id.
pub fn preset(id: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.id == id)
}

impl Preset {
    /// Its address, at the server of this short name where it has a choice.
    ///
    /// # Errors
    /// [`BadTarget::Ingest`] for what is no short name, or where there is no choice; [`BadTarget::Url`] for `custom`, which has
    /// no address of its own.
    pub fn address(&self, ingest: Option<&str>) -> Result<TargetUrl, BadTarget> {
        let is_short = |name: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
            (1..=40).contains(&name.len()) && name.bytes().all(plain)
        };
        match ingest {
            None => TargetUrl::parse(self.url),
            Some(given) if !self.choice.is_empty() && is_short(given) => {
                TargetUrl::parse(&self.choice.replace("{ingest}", given))
            }
            Some(given) => Err(BadTarget::Ingest(given.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_but_custom_has_an_address_over_tls() {
        for preset in PRESETS.iter().filter(|preset| preset.id != "custom") {
            let url = preset.address(None).unwrap();
            assert!(url.is_tls() && url.port() == 443, "{}: {url}", preset.id);
        }
        assert!(preset("custom").unwrap().address(None).is_err());
        assert!(preset("myspace").is_none());
    }

    #[test]
    fn twitch_has_a_choice_of_servers() {
        let twitch = preset("twitch").unwrap();
        assert_eq!(twitch.address(None).unwrap().host(), "ingest.global-contribute.live-video.net");
        assert_eq!(twitch.address(Some("fra02")).unwrap().host(), "fra02.contribute.live-video.net");
        for ingest in ["", "a/b", "evil.example/x?", "a@b", "FRA"] {
            assert!(twitch.address(Some(ingest)).is_err(), "{ingest}");
        }
        assert!(preset("youtube").unwrap().address(Some("fra02")).is_err());
    }

    #[test]
    fn ids_are_words_and_differ() {
        let ids: std::collections::BTreeSet<&str> = PRESETS.iter().map(|preset| preset.id).collect();
        assert_eq!(ids.len(), PRESETS.len());
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }
}

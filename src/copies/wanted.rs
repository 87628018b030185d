use anyhow::{Context as _, bail};
use restream::{Preset, TargetKey, TargetUrl, preset};
use store::{MasterKey, NewTarget, new_target_id};

/// What people call what the publisher sends.
const SOURCE: &str = "source";

/// Where somebody wants a copy.
#[derive(Debug, Default)]
pub struct Where<'a> {
    /// The service; empty: `custom`.
    pub service: &'a str,
    /// The short name of one of its servers.
    pub ingest: Option<&'a str>,
    /// The address of a custom server.
    pub url: Option<&'a str>,
}

/// Where that is.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The service.
    pub preset: &'static Preset,
    /// The address.
    pub url: TargetUrl,
}

/// Reads what was asked for.
///
/// # Errors
/// What is wrong with it, as a clause.
pub fn asked(wanted: &Where<'_>) -> anyhow::Result<Asked> {
    let service = if wanted.service.is_empty() { "custom" } else { wanted.service };
    let Some(preset) = preset(service) else {
        let known: Vec<&str> = restream::PRESETS.iter().map(|preset| preset.id).collect();
        bail!("there is no service {:?}; it takes {}", service.chars().take(40).collect::<String>(), known.join(", "));
    };
    let url = match (wanted.url, preset.url) {
        (Some(_), own) if !own.is_empty() => {
            bail!("{} has an address of its own; give none, or take the service custom", preset.name)
        }
        (None, "") => bail!("a custom target needs an address, such as rtmps://HOST/APPLICATION"),
        (Some(_), _) if wanted.ingest.is_some() => bail!("an ingest is one of a service's; give an address alone"),
        (Some(url), _) => TargetUrl::parse(url)?,
        (None, _) => preset.address(wanted.ingest)?,
    };
    Ok(Asked { preset, url })
}

/// What somebody calls a rendition, as a row keeps it: `source` is what the publisher sends.
pub fn rendition(asked: Option<&str>) -> String {
    asked.filter(|name| *name != SOURCE).unwrap_or_default().to_owned()
}

/// A row's rendition, as people are told of it.
pub fn rendition_said(row: &str) -> &str {
    if row.is_empty() { SOURCE } else { row }
}

impl Asked {
    /// A row for it, with its key sealed.
    ///
    /// # Errors
    /// When the key can't be one.
    pub fn row(&self, stream: &str, name: Option<&str>, key: &str, master: &MasterKey) -> anyhow::Result<NewTarget> {
        let key = TargetKey::parse(key)?;
        let id = new_target_id();
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        // For a server of one's own its host says more than the service's name.
        let usual = if self.preset.url.is_empty() { self.url.host() } else { self.preset.name };
        Ok(NewTarget {
            key: master.seal(&id, key.reveal()).context("the key can't be sealed")?,
            id,
            stream: stream.to_owned(),
            name: name.unwrap_or(usual).chars().take(60).collect(),
            service: self.preset.id.to_owned(),
            url: self.url.to_string(),
            rendition: String::new(),
            silence: false,
            hevc: false,
            allow_private: false,
            wanted: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, ingest: Option<&str>, url: Option<&str>) -> String {
        match asked(&Where { service, ingest, url }) {
            Ok(asked) => asked.url.to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_service_or_an_address_is_asked_for() {
        assert_eq!(check("youtube", None, None), "rtmps://a.rtmps.youtube.com/live2");
        assert_eq!(check("twitch", Some("fra02"), None), "rtmps://fra02.contribute.live-video.net/app");
        assert_eq!(check("", None, Some("rtmp://h/live")), "rtmp://h/live");
        assert!(check("myspace", None, None).contains("it takes youtube, youtube-backup, twitch"));
        assert!(check("youtube", None, Some("rtmp://h/live")).contains("an address of its own"));
        assert!(check("custom", None, None).contains("needs an address"));
        assert!(check("custom", Some("fra02"), Some("rtmp://h/live")).contains("ingest"));
        assert!(check("custom", None, Some("http://h")).contains("rtmp://"));
    }

    #[test]
    fn a_row_has_a_name_for_people_and_its_key_sealed() {
        let master = MasterKey::generate().unwrap();
        let url = Some("rtmp://h.example/live");
        let row = asked(&Where { url, ..Where::default() }).unwrap().row("show", None, " live_1\n", &master).unwrap();
        assert_eq!((row.name.as_str(), row.service.as_str()), ("h.example", "custom"));
        assert_eq!(master.open(&row.id, &row.key).unwrap(), "live_1");
        assert!(!format!("{row:?}").contains("live_1"));
        let youtube = asked(&Where { service: "youtube", ..Where::default() }).unwrap();
        assert_eq!(youtube.row("show", Some(" "), "k", &master).unwrap().name, "YouTube");
        assert!(youtube.row("show", None, "two words", &master).is_err());
    }
}

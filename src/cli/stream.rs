//! `weir stream …`: the same acts as the API's, on the database itself.

use super::database;
use super::output::Output;
use crate::config::{Config, ladder_text};
use crate::{data_dir, first_start};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Duration;
use store::{
    Act, Actor, Latency, Outcome, Previous, Record, RecordingRules, RecordingRulesPatch, STOP_HOLD, Slate, Store,
    Stream, StreamPatch, StreamSettings, Takeover, Visibility, now_ms,
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Add a stream and print its key, the only time it is shown.
    Add {
        /// Public name: a-z, 0-9, '-' and '_', 1 to 63 of them.
        name: String,
        /// Shown on the watch page.
        #[arg(long, default_value = "")]
        title: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        output: Output,
    },
    /// Show one stream and what is set on it.
    Show {
        /// Which stream.
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// List all streams; keys by their public ids.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Change a stream's settings; they count from its next session on.
    Set {
        /// Which stream.
        name: String,
        /// Shown on the watch page.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        output: Output,
    },
    /// Make a new key; the newest one before it stays good until the next rotation.
    RotateKey {
        /// Which stream.
        name: String,
        /// Let the key before work only for so long, such as 30s, 10m or 24h.
        #[arg(long, value_parser = duration, value_name = "TIME")]
        overlap: Option<Duration>,
        /// Let the key before stop at once, and with it an encoder that uses it.
        #[arg(long, conflicts_with = "overlap")]
        revoke_old: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Let one key stop at once.
    RevokeKey {
        /// Which stream.
        name: String,
        /// The key's public id, the 8 characters after wk_.
        key_id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Send a stream's encoder away and let nobody publish for 60 s, or until it is allowed.
    Stop {
        /// Which stream.
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Let a stopped stream be published again at once.
    Allow {
        /// Which stream.
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a stream and its keys.
    Remove {
        /// Which stream.
        name: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// Encoded rungs such as 720p:2800k,480p:1200k; none for the source alone; default for the server's.
    #[arg(long)]
    ladder: Option<String>,
    /// Whether the source is repackaged without encoding when it can be.
    #[arg(long, value_name = "true|false")]
    passthrough: Option<bool>,
    /// Seconds a session waits for an encoder that vanished, 0 to 300; default for the server's.
    #[arg(long, value_name = "SECONDS|default", value_parser = or_default::<u32>)]
    reconnect_window: Option<OrDefault<u32>>,
    /// Who wins when two encoders present a good key; default for the server's.
    #[arg(long, value_name = "newest|reject|default", value_parser = or_default::<Takeover>)]
    takeover: Option<OrDefault<Takeover>>,
    /// What viewers see while the encoder is away: the last picture, the stream's own image (sent with PUT
    /// /api/v1/streams/NAME/slate), or nothing.
    #[arg(long, value_name = "last|image|off")]
    slate: Option<Slate>,
    /// How near to the live edge players may come: parts of segments, or whole segments for poor lines.
    #[arg(long, value_name = "low|standard")]
    latency: Option<Latency>,
    /// Who may watch: everybody, who knows the address, or who has a link made on the dashboard; it counts at once.
    #[arg(long, value_name = "public|unlisted|private")]
    visibility: Option<Visibility>,
    #[command(flatten)]
    keeping: Keeping,
}

/// What is kept of a stream; it counts at once, also in the middle of a live.
#[derive(Debug, Args)]
struct Keeping {
    /// Record each session from its first segment, none, or when somebody asks.
    #[arg(long, value_name = "always|never|request")]
    record: Option<Record>,
    /// Renditions that recordings keep, such as source,720p; sound belongs to all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    record_renditions: Option<Vec<String>>,
    /// Who may see new recordings.
    #[arg(long, value_name = "public|unlisted|private")]
    record_visibility: Option<Visibility>,
    /// Days recordings are kept, 1 to 36500; default for ever.
    #[arg(long, value_name = "DAYS|default", value_parser = or_default::<u32>)]
    keep_days: Option<OrDefault<u32>>,
    /// GiB of recordings that are kept, the newest one whatever its size; default for all.
    #[arg(long, value_name = "GIB|default", value_parser = or_default::<u32>)]
    keep_gib: Option<OrDefault<u32>>,
    /// Recordings that are kept; default for all.
    #[arg(long, value_name = "COUNT|default", value_parser = or_default::<u32>)]
    keep_count: Option<OrDefault<u32>>,
}

impl Keeping {
    fn patch(self) -> RecordingRulesPatch {
        RecordingRulesPatch {
            record: self.record,
            renditions: self.record_renditions,
            visibility: self.record_visibility,
            days_max: self.keep_days.map(|days| days.0),
            bytes_max: self.keep_gib.map(|gib| gib.0.map(|gib| u64::from(gib) << 30)),
            count_max: self.keep_count.map(|count| count.0),
        }
    }
}

/// A value of the stream's own, or the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OrDefault<T>(Option<T>);

fn or_default<T: std::str::FromStr>(text: &str) -> Result<OrDefault<T>, T::Err> {
    if text == "default" { Ok(OrDefault(None)) } else { text.parse().map(|value| OrDefault(Some(value))) }
}

impl Settings {
    /// `Some(None)`: back to the server's ladder.
    fn ladder(&self) -> anyhow::Result<Option<Option<String>>> {
        match self.ladder.as_deref() {
            None => Ok(None),
            Some("default") => Ok(Some(None)),
            Some(text) => Ok(Some(Some(ladder_text(text).context("--ladder")?))),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write a number with s, m or h, such as 10m");
    let (number, factor) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u32>().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(seconds) * factor))
}

/// Does one verb and prints what came of it.
///
/// # Errors
/// What went wrong, for people.
pub async fn run(config: &Config, verb: Verb) -> anyhow::Result<()> {
    let store = match verb {
        Verb::Add { .. } => {
            data_dir::prepare(&config.data_dir)?;
            Store::open(&config.location()?).await?
        }
        _ => database::open(config).await?,
    };
    let done = act(config, &store, verb).await;
    store.close().await;
    done
}

async fn act(config: &Config, store: &Store, verb: Verb) -> anyhow::Result<()> {
    let (act, output) = match verb {
        Verb::List { output } => return list(store, &output).await,
        Verb::Show { name, output } => return show(store, name, &output).await,
        Verb::Add { name, title, settings, output } => {
            let ladder = settings.ladder()?.flatten();
            let mut recording = RecordingRules::default();
            settings.keeping.patch().apply(&mut recording);
            let settings = StreamSettings {
                title,
                ladder,
                passthrough: settings.passthrough.unwrap_or(true),
                reconnect_window_s: settings.reconnect_window.and_then(|window| window.0),
                takeover: settings.takeover.and_then(|takeover| takeover.0),
                slate: settings.slate.unwrap_or_default(),
                latency: settings.latency.unwrap_or_default(),
                visibility: settings.visibility.unwrap_or_default(),
                recording,
            };
            (Act::AddStream { name, settings }, output)
        }
        Verb::Set { name, title, settings, output } => {
            let patch = StreamPatch {
                title,
                ladder: settings.ladder()?,
                passthrough: settings.passthrough,
                reconnect_window_s: settings.reconnect_window.map(|window| window.0),
                takeover: settings.takeover.map(|takeover| takeover.0),
                slate: settings.slate,
                latency: settings.latency,
                visibility: settings.visibility,
                recording: settings.keeping.patch(),
            };
            if patch.is_empty() {
                bail!(
                    "nothing to change; give --title, --ladder, --passthrough, --reconnect-window, --takeover, --slate, --latency, \
                    --visibility, --record or another of weir help stream set"
                );
            }
            (Act::SetStream { name, patch }, output)
        }
        Verb::RotateKey { name, overlap, revoke_old, output } => {
            let previous = match overlap {
                Some(overlap) => Previous::ExpireAfter(overlap),
                None if revoke_old => Previous::Revoke,
                None => Previous::Keep,
            };
            (Act::RotateKey { name, previous }, output)
        }
        Verb::RevokeKey { name, key_id, output } => (Act::RevokeKey { name, key_id }, output),
        Verb::Stop { name, output } => (Act::StopStream { name }, output),
        Verb::Allow { name, output } => (Act::AllowStream { name }, output),
        Verb::Remove { name, output } => (Act::RemoveStream { name }, output),
    };
    let outcome = store.perform(&Actor::Cli, &act, now_ms()).await?;
    first_start::forget_rotated_key(&config.data_dir, store).await?;
    if output.json {
        println!("{}", describe_outcome(&act, &outcome));
    } else {
        print!("{}", tell(config, &act, &outcome));
    }
    Ok(())
}

fn describe_outcome(act: &Act, outcome: &Outcome) -> Value {
    let mut value = describe(&outcome.stream);
    if let Some(key) = &outcome.key {
        value["key"] = json!(key.reveal());
    }
    if matches!(act, Act::RemoveStream { .. }) {
        value["removed"] = json!(true);
    }
    value
}

/// A stream as the command line's JSON shows it; the API has its own shape.
fn describe(stream: &Stream) -> Value {
    let keys: Vec<Value> = stream
        .keys
        .iter()
        .map(|k| json!({ "id": k.id, "created_ms": k.created_ms, "expires_ms": k.expires_ms }))
        .collect();
    json!({
        "name": stream.name,
        "title": stream.settings.title,
        "ladder": stream.settings.ladder,
        "passthrough": stream.settings.passthrough,
        "reconnect_window_s": stream.settings.reconnect_window_s,
        "takeover": stream.settings.takeover.map(Takeover::as_str),
        "slate": stream.settings.slate.as_str(),
        "slate_image": stream.has_slate_image,
        "latency": stream.settings.latency.as_str(),
        "visibility": stream.settings.visibility.as_str(),
        "record": stream.settings.recording.record.as_str(),
        "record_renditions": stream.settings.recording.renditions,
        "record_visibility": stream.settings.recording.visibility.as_str(),
        "keep_days": stream.settings.recording.retention.days_max,
        "keep_bytes": stream.settings.recording.retention.bytes_max,
        "keep_count": stream.settings.recording.retention.count_max,
        "stopped_until_ms": stream.stopped_until_ms.filter(|until| *until > now_ms()),
        "created_ms": stream.created_ms,
        "keys": keys,
    })
}

/// Where an encoder is to push, as OBS asks for it.
fn server_url(config: &Config) -> String {
    let running = data_dir::running_rtmp(&config.data_dir);
    match running.or(config.rtmp.address()).map(|a| a.port()) {
        None | Some(0 | 1935) => format!("rtmp://{}/live", config.host()),
        Some(port) => format!("rtmp://{}:{port}/live", config.host()),
    }
}

fn tell(config: &Config, act: &Act, outcome: &Outcome) -> String {
    let name = &outcome.stream.name;
    match (act, &outcome.key) {
        (Act::AddStream { .. }, Some(key)) => format!(
            "stream {name} added\nserver      {}\nstream key  {}\nThe key is not shown again; make a new one with: weir stream rotate-key {name}\n",
            server_url(config),
            key.reveal()
        ),
        (Act::RotateKey { previous, .. }, Some(key)) => {
            let before = match previous {
                Previous::Keep => "The newest key before it works until the next rotation.".to_owned(),
                Previous::ExpireAfter(overlap) => {
                    format!("The newest key before it works for {} s more.", overlap.as_secs())
                }
                Previous::Revoke => "Every key before it has stopped.".to_owned(),
            };
            format!("stream key  {}\n{before}\n", key.reveal())
        }
        (Act::RemoveStream { .. }, _) => format!("stream {name} removed\n"),
        (Act::RevokeKey { key_id, .. }, _) => format!("the key {key_id} of {name} has stopped\n"),
        (Act::StopStream { .. }, _) => format!(
            "stream {name} stopped for {} s; before that, let it be published again with: weir stream allow {name}\n",
            STOP_HOLD.as_secs()
        ),
        (Act::AllowStream { .. }, _) => format!("stream {name} may be published\n"),
        _ => format!(
            "stream {name} changed; it counts from the next session on, who may watch and what is recorded from now on\n"
        ),
    }
}

async fn list(store: &Store, output: &Output) -> anyhow::Result<()> {
    let streams = store.streams().await?;
    if output.json {
        println!("{}", json!({ "streams": streams.iter().map(describe).collect::<Vec<_>>() }));
        return Ok(());
    }
    if streams.is_empty() {
        println!("no streams; add one with: weir stream add NAME");
        return Ok(());
    }
    println!("{:<24} {:<20} {:<10} {:<32} TITLE", "NAME", "KEYS", "VISIBILITY", "LADDER");
    for stream in streams {
        let keys: Vec<&str> = stream.keys.iter().filter(|k| k.is_active(now_ms())).map(|k| k.id.as_str()).collect();
        let ladder = stream.settings.ladder.as_deref().unwrap_or("default");
        let visibility = stream.settings.visibility.as_str();
        println!(
            "{:<24} {:<20} {:<10} {:<32} {}",
            stream.name,
            keys.join(" "),
            visibility,
            ladder,
            stream.settings.title
        );
    }
    Ok(())
}

async fn show(store: &Store, name: String, output: &Output) -> anyhow::Result<()> {
    let stream = store.stream(&name).await?.ok_or(store::Error::NoSuchStream { name })?;
    let value = describe(&stream);
    if output.json {
        println!("{value}");
        return Ok(());
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        println!("{key:<20} {}", said(value));
    }
    Ok(())
}

/// A value of [`describe`] for people.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(|one| said(one.get("id").unwrap_or(one))).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!((duration("30s"), duration("10m")), (Ok(Duration::from_secs(30)), Ok(Duration::from_secs(600))));
        assert!(duration("10").is_err() && duration("-1s").is_err() && duration("").is_err() && duration("é").is_err());
    }

    #[test]
    fn a_setting_may_be_the_servers() {
        assert_eq!(or_default::<u32>("90").unwrap(), OrDefault(Some(90)));
        assert_eq!(or_default::<Takeover>("default").unwrap(), OrDefault(None));
        assert!(or_default::<Takeover>("oldest").is_err() && or_default::<u32>("-1").is_err());
    }

    #[test]
    fn a_new_stream_is_one_object_with_name_and_key() {
        let key = store::StreamKey::generate().unwrap();
        let settings = StreamSettings::default();
        let stream = Stream {
            id: "i".into(),
            name: "show".into(),
            created_ms: 1,
            settings: settings.clone(),
            has_slate_image: false,
            next_msn: 0,
            session: None,
            stopped_until_ms: None,
            keys: vec![],
        };
        let act = Act::AddStream { name: "show".into(), settings };
        let outcome = Outcome { stream, key: Some(key.clone()), revision: 1 };
        let value = describe_outcome(&act, &outcome);
        assert_eq!((value["name"].as_str(), value["key"].as_str()), (Some("show"), Some(key.reveal())));
        assert!(tell(&Config::default(), &act, &outcome).contains("rtmp://localhost/live"));
    }
}

//! `weir demo`: the built-in test card, pushed by hand to this machine's server or any other.

use crate::config::Config;
use crate::{data_dir, first_start};
use anyhow::{Context as _, bail};
use clap::Args;
use rtmp::client::Target;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use store::StreamKey;
use tokio_util::sync::CancellationToken;

const RTMP_PORT: u16 = 1935;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Server to push to [default: the RTMP address of the configuration, on this machine]
    #[arg(long, value_name = "rtmp://HOST[:PORT]/APP")]
    to: Option<String>,
    /// Stream key, or NAME?key=KEY; better in the environment than on the command line, which others can read
    /// [default: the one in the data directory's first-key]
    #[arg(long, env = "WEIR_DEMO_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Pushes until the server ends it, the time is over, or SIGINT.
///
/// # Errors
/// When there is no key, the server can't be reached, or it refuses.
pub async fn run(config: &Config, arguments: Arguments) -> anyhow::Result<()> {
    let (host, app) = match &arguments.to {
        Some(url) => parts(url)?,
        None => (here(config)?.to_string(), "live".to_owned()),
    };
    let name = match arguments.key {
        Some(key) => key,
        None => {
            first_start::read_first_key(&config.data_dir).map(|key: StreamKey| key.reveal().to_owned()).with_context(
                || format!("there is no first-key in {}; give a stream's key with --key", config.data_dir.display()),
            )?
        }
    };
    let address = tokio::net::lookup_host(&host).await.with_context(|| format!("{host} is not found"))?.next();
    let address = address.with_context(|| format!("{host} has no address"))?;
    let target = Target { app: app.clone(), tc_url: format!("rtmp://{host}/{app}"), name };
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let seconds = arguments.seconds;
    let waiter = tokio::spawn(async move {
        let over = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(std::time::Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = over => {}
        }
        ending.cancel();
    });
    println!("pushing the test card to rtmp://{host}/{app}; stop with Ctrl-C");
    let pushed = crate::demo::push(address, target, "weir demo", stop).await;
    waiter.abort();
    pushed
}

/// This machine's own RTMP listener: where the server that runs on the data directory says it is, else where the
/// configuration puts it.
fn here(config: &Config) -> anyhow::Result<SocketAddr> {
    let Some(mut address) = data_dir::running_rtmp(&config.data_dir).or(config.rtmp.address()) else {
        bail!("RTMP is off in the configuration; give a server with --to")
    };
    if address.port() == 0 {
        bail!("no server runs on the data directory {}; start it, or give one with --to", config.data_dir.display());
    }
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(address)
}

/// `HOST:PORT` and application of an RTMP URL.
fn parts(url: &str) -> anyhow::Result<(String, String)> {
    let wrong = || format!("{url:?} is no server URL; write rtmp://HOST/live");
    let rest = url.strip_prefix("rtmp://").with_context(wrong)?;
    let (host, app) = rest.split_once('/').with_context(wrong)?;
    if host.is_empty() || app.is_empty() {
        bail!(wrong());
    }
    let bare = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    let host = if bare.contains(':') { host.to_owned() } else { format!("{host}:{RTMP_PORT}") };
    Ok((host, app.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_urls_are_taken_apart() {
        let read = |url| parts(url).map(|(host, app)| format!("{host} {app}")).unwrap_or_default();
        assert_eq!(read("rtmp://example.org/live"), "example.org:1935 live");
        assert_eq!(read("rtmp://[::1]:19350/live/"), "[::1]:19350 live");
        assert_eq!(read("rtmp://[::1]/live"), "[::1]:1935 live");
        assert_eq!((read("http://example.org/live"), read("rtmp://example.org")), (String::new(), String::new()));
    }
}

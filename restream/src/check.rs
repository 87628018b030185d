use crate::line::{Goal, dial, publisher, reach};
use crate::{Fault, Settings, Target};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// What a server answered that was knocked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// How long name service, connection, TLS and RTMP took together.
    pub taken: Duration,
}

/// Knocks at a target: name service, address, connection, TLS, RTMP handshake and `connect`. It neither sends the key nor
/// publishes; whether the key is right shows only when a stream begins. Takes no longer than the deadlines of `settings` together.
///
/// # Errors
/// What is wrong, as cause and cure.
pub async fn check(target: &Target, settings: &Settings) -> Result<Checked, Fault> {
    let begun = Instant::now();
    let mut line = dial(target, settings).await?;
    let mut publisher = publisher(target)?;
    reach(&mut *line.wire, &mut publisher, Goal::Connected, target, settings.timings.answer).await?;
    let taken = begun.elapsed();
    // A server that is slow to hear that we go is as good as one that hears it.
    let _told = tokio::time::timeout(settings.timings.goodbye, line.wire.shutdown()).await;
    Ok(Checked { address: line.ends.map(|(_, peer)| peer), taken })
}

//! A live session without an encoder, in real time, on one address: what load is measured against.
//!
//! `cargo run -p origin --example standin -- [ADDRESS] [BYTES]` serves `/live/demo/index.m3u8` on ADDRESS
//! (127.0.0.1:8080) with pictures of BYTES bytes (20,000: parts of about 200 KB), 30 a second, until it is interrupted.
//! The pictures mean nothing, so players cannot show them; load generators and protocol checks do not mind.

use origin::{Limits, Web};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

#[path = "../tests/kit/show.rs"]
mod show;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let picture_bytes = arguments.next().map_or(Ok(20_000), |bytes| bytes.parse())?;
    let mut show = show::Show::new(picture_bytes);
    // Begin with a full window, as if it had been live for a minute.
    show.until_next(30, 0);

    let listener = TcpListener::bind(&address).await?;
    println!("http://{}/live/demo/index.m3u8", listener.local_addr()?);
    let router = origin::router(show.catalog());
    let stop = CancellationToken::new();
    let server = tokio::spawn(Arc::new(Web::new(router, Limits::default())).serve(listener, None, stop.clone()));

    let mut clock = interval(show::Show::pace());
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = clock.tick() => show.picture(),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break;
            }
        }
    }
    show.finish();
    stop.cancel();
    server.await?;
    Ok(())
}

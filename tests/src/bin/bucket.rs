//! A bucket of a real S3 server (s3s-fs) behind a network with faults, for measurements.
//!
//! `bucket`: makes a folder below the system's temporary one and serves it on a free port of loopback. Prints one JSON object:
//! where to ask, the bucket, its folder and the keys. From then on each line of standard input is what happens to requests:
//! `none` (nothing), `refuse` (connections are closed), `stall` (64 KiB of an upload are taken, and nothing more happens), `503`
//! (every request is answered so) or `cut` (uploads break off behind 256 KiB). Each is answered by the name of what ended and
//! by how many requests came while it lasted, as JSON. At the end of its input it removes the folder and ends.

#[path = "../../../vault/tests/stores/kit/proxy.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the vault's own tests, which use all of it")]
mod proxy;
#[path = "../../../vault/tests/stores/kit/store.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the vault's own tests, which use all of it")]
mod store;

use anyhow::bail;
use proxy::{Fault, Proxy};
use serde_json::json;
use std::io::stdin;
use store::{ACCESS_KEY, BUCKET, SECRET_KEY, Store};

/// Some of an upload, so that it is cut in its middle.
const CUT_BYTES: usize = 256 << 10;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = runtime.block_on(Store::start());
    let proxy = runtime.block_on(Proxy::start(store.address));
    let facts = json!({
        "endpoint": format!("http://{}", proxy.address), "bucket": BUCKET, "folder": store.path(""),
        "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
    });
    println!("{facts}");
    let (mut name, mut requests) = ("none".to_owned(), 0);
    for line in stdin().lines() {
        let next = line?;
        proxy.set(fault(&next)?);
        let all = proxy.requests();
        println!("{}", json!({ "ended": name, "requests": all - requests }));
        (name, requests) = (next, all);
    }
    Ok(())
}

fn fault(name: &str) -> anyhow::Result<Fault> {
    Ok(match name {
        "none" => Fault::None,
        "refuse" => Fault::Refuse,
        "stall" => Fault::StallUpload,
        "503" => Fault::Answer(503, "SlowDown", ""),
        "cut" => Fault::CutUpload(CUT_BYTES),
        _ => bail!("{name:?} is none of none, refuse, stall, 503, cut"),
    })
}

//! The database that commands work on.

use crate::config::Config;
use anyhow::bail;
use store::{Location, Store};

/// Opens it; a command makes none.
///
/// # Errors
/// When there is none, or it can't be opened.
pub async fn open(config: &Config) -> anyhow::Result<Store> {
    let location = config.location()?;
    if let Location::Sqlite(file) = &location
        && !file.exists()
    {
        bail!("there is no database {}; give the server's folder with --data-dir", file.display());
    }
    Ok(Store::open(&location).await?)
}

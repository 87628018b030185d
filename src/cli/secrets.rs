//! `weir secrets …`: the master key that seals what the database must keep and may not show.

use super::database;
use super::output::Output;
use crate::config::Config;
use crate::copies::master_key;
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a new master key and seal all secrets with it. A running server takes it by itself; backups of the database from before
    /// still need the old one, so keep that with them.
    Rotate {
        #[command(flatten)]
        output: Output,
    },
}

/// Does one verb and prints what came of it.
///
/// # Errors
/// What went wrong, for people.
pub async fn run(config: &Config, verb: Verb) -> anyhow::Result<()> {
    let store = database::open(config).await?;
    let Verb::Rotate { output } = verb;
    let rotated = master_key::rotate(&config.data_dir, &store).await;
    store.close().await;
    let rotated = rotated?;
    if output.json {
        println!("{}", json!({ "from": rotated.from, "to": rotated.to, "targets": rotated.targets }));
    } else {
        let (targets, to) = (rotated.targets, rotated.to);
        println!(
            "The keys of {targets} targets are sealed with a new master key, {to}; back the file master-key up anew."
        );
    }
    Ok(())
}

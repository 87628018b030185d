//! Weir: takes a live stream from OBS by RTMP, makes an adaptive ladder of it and serves it to any HLS player.
//!
//! This crate is the roof: it reads the command line and the configuration, joins the rooms (`ingest`, `transcoder`,
//! `origin`) with what they need, and takes everything down again. It holds no rule about media. ARCHITECTURE.md has the map.

mod api;
mod cli;
mod config;
mod data_dir;
mod demo;
mod descriptors;
mod experience;
mod explained;
mod first_start;
mod live;
mod logging;
mod machine;
mod pages;
mod serve;
mod tls;
mod usage;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Command::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

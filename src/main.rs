//! Weir: takes a live stream from OBS by RTMP, makes an adaptive ladder of it and serves it to any HLS player.
//!
//! This crate is the roof: it reads the command line and the configuration, joins the rooms (`ingest`, `transcoder`,
//! `origin`) with what they need, and takes everything down again. It holds no rule about media. ARCHITECTURE.md has the map.

mod api;
mod box_office;
mod cli;
mod config;
mod copies;
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
mod recordings;
mod serve;
mod site;
mod tls;
mod uploads;
mod usage;

use clap::Parser as _;
use std::process::ExitCode;

/// A server lives for weeks and allocates parts of every size on every thread: glibc's arenas are left with holes
/// that grow by megabytes an hour (ACCEPTANCE.md, soak), jemalloc's size classes are not.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::run(cli::Command::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}

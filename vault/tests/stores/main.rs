//! The vault against a real S3 server (s3s-fs, in this process, over HTTP with real signatures), a proxy that misbehaves, and a
//! directory that is killed.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod both;
mod bucket;
mod faults;
mod killed;
mod kit;
mod uploads;

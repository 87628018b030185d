//! The media worker without the server around it: what `weir worker PROFILE` runs, as an executable of its own, so that
//! this crate's tests and benches need no server.
//!
//! usage: `weir-worker worker PROFILE [MEMORY_MIB]`

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("worker"), Some(profile)) => {
            pipelines::worker_main(&profile, arguments.next().and_then(|mib| mib.parse().ok()))
        }
        _ => {
            eprintln!("usage: weir-worker worker PROFILE [MEMORY_MIB]");
            ExitCode::from(2)
        }
    }
}

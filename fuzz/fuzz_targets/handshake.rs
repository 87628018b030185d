//! Any bytes as what a client sends first. The first byte says how the input is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtmp::ServerSession;

fuzz_target!(|data: &[u8]| {
    let Some((&split, data)) = data.split_first() else { return };
    let mut session = ServerSession::new();
    for piece in data.chunks(16 * (usize::from(split) + 1)) {
        if session.input(piece).is_err() {
            return;
        }
        session.take_output();
    }
});

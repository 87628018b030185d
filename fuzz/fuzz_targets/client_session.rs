//! Anything a far server may answer our own publisher with, behind a handshake. The first byte says how the input is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtmp::client::{Publisher, Target};

/// S0, an S1 without digest, and any S2.
const HANDSHAKE: [u8; 3073] = {
    let mut bytes = [0; 3073];
    bytes[0] = 3;
    bytes
};

fuzz_target!(|data: &[u8]| {
    let Some((&split, data)) = data.split_first() else { return };
    let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), name: "key".into() };
    let mut publisher = Publisher::new(target).expect("a random part");
    publisher.input(&HANDSHAKE).expect("a simple handshake");
    for piece in data.chunks(usize::from(split) + 1) {
        if publisher.input(piece).is_err() {
            return;
        }
        while publisher.next_event().is_some() {}
        publisher.take_output();
    }
});

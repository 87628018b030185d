//! Anything behind a handshake; whatever asks to publish or to play may. The first byte says how the input is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtmp::{Event, ServerSession};

/// C0, a C1 without digest, and any C2.
const HANDSHAKE: [u8; 3073] = {
    let mut bytes = [0; 3073];
    bytes[0] = 3;
    bytes
};

fuzz_target!(|data: &[u8]| {
    let Some((&split, data)) = data.split_first() else { return };
    let mut session = ServerSession::new();
    session.input(&HANDSHAKE).expect("a simple handshake");
    for piece in data.chunks(usize::from(split) + 1) {
        if session.input(piece).is_err() {
            session.refuse("NetStream.Publish.Failed", "malformed");
            break;
        }
        while let Some(event) = session.next_event() {
            let accepted = match event {
                Event::PublishRequested(_) => session.accept_publish(),
                Event::PlayRequested(_) => session.accept_play(),
                _ => Ok(()),
            };
            if accepted.is_err() {
                return;
            }
        }
        session.take_output();
    }
    session.end_play("over");
});

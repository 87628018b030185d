//! Any bytes, read whole and byte by byte: no panic, and the same messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtmp::chunk::{ChunkReader, Message};

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Message>, rtmp::Error> {
    let mut reader = ChunkReader::new();
    let mut messages = Vec::new();
    for mut piece in pieces {
        while let Some(message) = reader.read(&mut piece)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(read(std::iter::once(data)), read(data.chunks(1)));
});

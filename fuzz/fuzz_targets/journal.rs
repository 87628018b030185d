//! Any bytes as a reel's journal; then the same cut into bodies, each with the frame that fits it, so that the fields are reached.
#![no_main]

use archive::Journal;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8; 8] = b"WEIRREL\x01";

/// Each body's first byte says how long it is.
fn framed(mut data: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    while let Some((&length, rest)) = data.split_first() {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(length)));
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(crc32fast::hash(body).to_le_bytes());
        out.extend(body);
        data = rest;
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let _answer = Journal::read(Bytes::copy_from_slice(data));
    let framed = framed(data);
    let Ok(whole) = Journal::read(framed.clone().into()) else { return };
    for line in &whole.lines {
        assert!(line.segments.windows(2).all(|pair| pair[0].msn + 1 == pair[1].msn));
        let behind = |s: &archive::Segment| u64::from(s.offset) + u64::from(s.length) <= u64::from(line.bytes);
        assert!(line.segments.iter().all(behind));
    }
    // What is cut off is a beginning of the whole.
    let cut = framed.len() - framed.len().min(9);
    if let Ok(less) = Journal::read(framed[..cut].to_vec().into()) {
        for (less, whole) in less.lines.iter().zip(&whole.lines) {
            assert!(whole.segments.starts_with(&less.segments));
        }
    }
});

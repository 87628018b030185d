//! Any bytes as an H.264 decoder configuration record.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _answer = media::h264::parse_config(&Bytes::copy_from_slice(data));
});

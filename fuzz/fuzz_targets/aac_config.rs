//! Any bytes as an AudioSpecificConfig.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _answer = media::aac::parse_config(&Bytes::copy_from_slice(data));
});

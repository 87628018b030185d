//! Any bytes as the payload of a video and of an audio message.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rtmp::flv;

fuzz_target!(|data: &[u8]| {
    let payload = Bytes::copy_from_slice(data);
    let _answers = (flv::parse_video(&payload), flv::parse_audio(&payload));
});

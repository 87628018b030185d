//! Any bytes as an image that an operator sends.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _answer = media::still::read(data);
});

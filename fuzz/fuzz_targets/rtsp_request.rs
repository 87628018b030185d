//! Any bytes as the first request of a reader over RTSP. The module is taken from its folder as it is: it is private there, and needs
//! nothing else of it.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../rtspout/src/request.rs"]
mod request;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some((request, used))) = request::Request::parse(data) {
        assert!(used <= data.len() && used <= request::HEAD_MAX);
        if let Some(path) = request.path {
            assert!(path.mount.starts_with('/') && path.mount.contains(&path.stream));
        }
    }
});

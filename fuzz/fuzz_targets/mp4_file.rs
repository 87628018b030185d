//! Any bytes as an uploaded MP4 file: what is found in it lies in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(contents) = demuxer::open(data) else { return };
    for index in [contents.pictures, contents.sound].into_iter().flatten() {
        assert!(!index.samples.is_empty());
        assert!(index.samples.len() <= data.len(), "every sample has a byte");
        let lies_in_it = |at: u64, bytes: u32| bytes > 0 && at + u64::from(bytes) <= data.len() as u64;
        assert!(index.samples.iter().all(|sample| lies_in_it(sample.at, sample.bytes)));
    }
});

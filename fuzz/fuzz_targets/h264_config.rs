//! Any bytes as an H.264 decoder configuration record, and, cut in two by the first byte, as the parameter sets of which one
//! is made.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::h264;

fuzz_target!(|data: &[u8]| {
    let record = Bytes::copy_from_slice(data);
    let _answers = (h264::parse_config(&record), h264::parameter_sets(&record));
    let Some((&at, rest)) = data.split_first() else { return };
    let (sps, pps) = rest.split_at(rest.len().min(usize::from(at)));
    if let Some(made) = h264::build_config(sps, pps) {
        let sets = h264::parameter_sets(&made);
        assert!(pps.is_empty() || sets.is_ok_and(|sets| sets.sps == [sps] && sets.pps == [pps]));
    }
});

//! Any bytes as the NAL units of a picture; the first two say which codec it is and how long the length fields are.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::{VideoCodec, captions, h264, hevc, nal};

fuzz_target!(|data: &[u8]| {
    let [codec, length, rest @ ..] = data else { return };
    let codec = if codec & 1 == 0 { VideoCodec::H264 } else { VideoCodec::Hevc };
    let length_size = [1, 2, 4][usize::from(length % 3)];
    let data = Bytes::copy_from_slice(rest);
    let units: Vec<_> = nal::units(&data, length_size).map_while(Result::ok).collect();
    assert!(units.iter().map(|unit| unit.len() + usize::from(length_size)).sum::<usize>() <= data.len());
    let _syncs = (h264::is_idr(&data, length_size), hevc::is_idr(&data, length_size));
    let found = captions::extract(&data, codec, length_size);
    assert_eq!(captions::has_captions(&data, codec, length_size), !found.is_empty());
    for unit in units {
        // The first is the coded form, the second what a decoder sees.
        assert_eq!(nal::unescape(&nal::escape(&unit)), &unit[..]);
    }
});

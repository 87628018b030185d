//! Any bytes as AMF0; what was read can be written and read again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rtmp::amf0;

fuzz_target!(|data: &[u8]| {
    let Ok(values) = amf0::read_all(data) else { return };
    let mut out = BytesMut::new();
    values.iter().for_each(|v| amf0::write(&mut out, v));
    // Lossy text may grow past the limit on the way; NaN has no equal, so texts are compared.
    if let Ok(again) = amf0::read_all(&out) {
        assert_eq!(format!("{values:?}"), format!("{again:?}"));
    }
});

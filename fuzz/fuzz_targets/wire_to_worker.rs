//! Any bytes as a message to a worker; what was read is written and read again alike.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use media::wire::ToWorker;

fn written(message: &ToWorker) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze().slice(4..)
}

fuzz_target!(|data: &[u8]| {
    // Bytes are compared, as a rate that is no number equals nothing.
    if let Ok(message) = ToWorker::decode(Bytes::copy_from_slice(data)) {
        let bytes = written(&message);
        let again = ToWorker::decode(bytes.clone()).expect("what was written can be read");
        assert_eq!(bytes, written(&again));
    }
});

//! Any bytes as a message from a worker, which is an attacker once its decoder was broken; what was read is written and read
//! again alike.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use media::wire::FromWorker;

fn written(message: &FromWorker) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze().slice(4..)
}

fuzz_target!(|data: &[u8]| {
    // Bytes are compared, as a rate that is no number equals nothing.
    if let Ok(message) = FromWorker::decode(Bytes::copy_from_slice(data)) {
        let bytes = written(&message);
        let again = FromWorker::decode(bytes.clone()).expect("what was written can be read");
        assert_eq!(bytes, written(&again));
    }
});

use super::*;
use crate::Error;
use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

fn message(kind: u8, timestamp: u32, payload: &[u8]) -> Message {
    Message { kind, stream: 1, timestamp, payload: Bytes::copy_from_slice(payload) }
}

fn read_all(reader: &mut ChunkReader, mut bytes: &[u8]) -> Result<Vec<Message>, Error> {
    let mut all = Vec::new();
    while let Some(message) = reader.read(&mut bytes)? {
        all.push(message);
    }
    assert!(bytes.is_empty());
    Ok(all)
}

fn check(bytes: &[u8], expected: &[Message]) {
    for split in [1, 2, 3, 7, bytes.len().max(1)] {
        let mut reader = ChunkReader::new();
        reader.trust();
        let got: Vec<_> =
            bytes.chunks(split).flat_map(|piece| read_all(&mut reader, piece).expect("legal chunks")).collect();
        assert_eq!(got, expected, "split in pieces of {split}");
    }
}

fn fails(bytes: &[u8]) -> Error {
    read_all(&mut ChunkReader::new(), bytes).expect_err("a refusal")
}

fn fmt0(id: u8, timestamp: u32, length: usize, kind: u8) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_u8(id);
    out.put_uint(u64::from(timestamp.min(0xff_ffff)), 3);
    out.put_uint(length as u64, 3);
    out.put_u8(kind);
    out.put_u32_le(1);
    if timestamp >= 0xff_ffff {
        out.put_u32(timestamp);
    }
    out
}

#[test]
fn interleaved_messages_are_kept_apart() {
    let mut bytes = fmt0(4, 10, 200, 9);
    bytes.put_slice(&[1; 128]);
    bytes.unsplit(fmt0(5, 11, 130, 8));
    bytes.put_slice(&[2; 128]);
    bytes.put_u8(0xc4);
    bytes.put_slice(&[1; 72]);
    bytes.put_u8(0xc5);
    bytes.put_slice(&[2; 2]);
    check(&bytes, &[message(9, 10, &[1; 200]), message(8, 11, &[2; 130])]);
}

#[test]
fn deltas_add_up() {
    let mut bytes = fmt0(4, 1000, 1, 9);
    bytes.put_u8(1);
    bytes.put_slice(&[0x44, 0, 0, 33, 0, 0, 2, 8, 2, 2]); // fmt 1
    bytes.put_slice(&[0x84, 0, 0, 7, 3, 3]); // fmt 2
    bytes.put_slice(&[0xc4, 4, 4]); // fmt 3 begins a message: same delta
    check(
        &bytes,
        &[message(9, 1000, &[1]), message(8, 1033, &[2, 2]), message(8, 1040, &[3, 3]), message(8, 1047, &[4, 4])],
    );
}

#[test]
fn format_3_after_format_0_repeats_the_stamp_when_that_is_plausible() {
    let mut bytes = fmt0(4, 40, 1, 9);
    bytes.put_slice(&[1, 0xc4, 2]);
    check(&bytes, &[message(9, 40, &[1]), message(9, 80, &[2])]);
    let mut bytes = fmt0(4, 3_600_000, 1, 9);
    bytes.put_slice(&[1, 0xc4, 2]);
    check(&bytes, &[message(9, 3_600_000, &[1]), message(9, 3_600_000, &[2])]);
}

#[test]
fn extended_timestamps_work_with_and_without_repetition() {
    for repeats in [true, false] {
        let at = 0x0123_4567;
        let mut bytes = fmt0(4, at, 300, 9);
        for n in 0..3 {
            if n > 0 {
                bytes.put_u8(0xc4);
                if repeats {
                    bytes.put_u32(at);
                }
            }
            bytes.put_slice(&[7; 128][..if n == 2 { 44 } else { 128 }]);
        }
        check(&bytes, &[message(9, at, &[7; 300])]);
    }
}

#[test]
fn extended_deltas_may_be_small_and_wrap() {
    let mut bytes = fmt0(4, u32::MAX - 5, 1, 9);
    bytes.put_u8(1);
    bytes.put_slice(&[0x84, 0xff, 0xff, 0xff, 0, 0, 0, 16, 2]); // fmt 2, extended delta of 16
    check(&bytes, &[message(9, u32::MAX - 5, &[1]), message(9, 10, &[2])]);
}

#[test]
fn chunk_stream_ids_reach_65599() {
    for (basic, id) in [(vec![0, 0], 64), (vec![0, 255], 319), (vec![1, 255, 255], 65_599)] {
        let mut bytes = BytesMut::from(&basic[..]);
        bytes.put_slice(&fmt0(3, 5, 1, 9)[1..]);
        bytes.put_u8(9);
        check(&bytes, &[message(9, 5, &[9])]);
        assert!(id >= 64);
    }
}

#[test]
fn a_chunk_size_of_one_works() {
    let mut bytes = BytesMut::new();
    let mut writer = ChunkWriter::new();
    writer.set_chunk_size(&mut bytes, 1);
    let sent = message(9, 1, &[5; 1000]);
    writer.write(&mut bytes, 6, &sent);
    check(&bytes, &[sent]);
}

#[test]
fn chunk_sizes_are_clamped_or_refused() {
    let set = |size: u32| {
        let mut bytes = fmt0(2, 0, 4, 1);
        bytes.put_u32(size);
        bytes
    };
    assert_eq!(fails(&set(0)), Error::ChunkSize(0));
    assert_eq!(fails(&set(0x8000_0001)), Error::ChunkSize(0x8000_0001));
    let mut bytes = set(128 << 20);
    bytes.unsplit(fmt0(4, 0, 1000, 9));
    bytes.put_slice(&[1; 1000]);
    check(&bytes, &[message(9, 0, &[1; 1000])]);
}

#[test]
fn abort_discards_a_partial_message() {
    let mut bytes = fmt0(4, 0, 200, 9);
    bytes.put_slice(&[1; 128]);
    bytes.unsplit(fmt0(2, 0, 4, 2));
    bytes.put_u32(4);
    bytes.unsplit(fmt0(4, 7, 3, 9));
    bytes.put_slice(&[2; 3]);
    check(&bytes, &[message(9, 7, &[2; 3])]);
}

#[test]
fn messages_without_payload_are_given() {
    check(&fmt0(4, 3, 0, 9), &[message(9, 3, &[])]);
}

#[test]
fn limits_hold() {
    assert_eq!(fails(&fmt0(4, 0, 9 << 20, 9)), Error::MessageTooLarge { bytes: 9 << 20 });
    assert_eq!(fails(&[0xc4]), Error::MissingHeader { chunk_stream: 4 });
    let mut interrupted = fmt0(4, 0, 200, 9);
    interrupted.put_slice(&[0; 128]);
    interrupted.unsplit(fmt0(4, 0, 100, 9));
    assert_eq!(fails(&interrupted), Error::InterruptedMessage { chunk_stream: 4 });
    let mut flood = BytesMut::new();
    for n in 0..70u8 {
        flood.put_slice(&[0, n]);
        flood.put_slice(&fmt0(3, 0, 200, 9)[1..]);
        flood.put_slice(&[0; 128]);
    }
    assert!(matches!(fails(&flood), Error::TooManyChunkStreams { limit: 64, .. }));
    let mut many = BytesMut::new();
    for n in 0..1100u16 {
        many.put_u8(1);
        many.put_u16_le(n);
        many.put_slice(&fmt0(3, 0, 0, 9)[1..]);
    }
    assert!(matches!(fails(&many), Error::TooManyChunkStreams { limit: 64, .. }));
    let mut trusting = ChunkReader::new();
    trusting.trust();
    let refused = read_all(&mut trusting, &many).expect_err("a refusal");
    assert!(matches!(refused, Error::TooManyChunkStreams { limit: 1024, .. }));
}

#[test]
fn messages_that_can_mean_nothing_or_never_be_complete_are_not_waited_for() {
    assert_eq!(fails(b"GET / HTTP/1.1"), Error::OddMessage { kind: b'T', bytes: 0x2f_2048 });
    assert_eq!(fails(&fmt0(4, 0, 70_000, 9)), Error::TooMuchPartialData { limit: PARTIAL_BYTES_STRANGER });
}

#[test]
fn one_second_of_five_megabits_in_chunks_of_one_byte_takes_far_less_than_a_second() {
    let mut bytes = BytesMut::new();
    let mut writer = ChunkWriter::new();
    writer.set_chunk_size(&mut bytes, 1);
    // Thirty pictures and their sound, as one stream carries them.
    for n in 0..30 {
        writer.write(&mut bytes, 6, &message(9, n * 33, &[5; 20_000]));
        writer.write(&mut bytes, 4, &message(8, n * 33, &[6; 833]));
    }
    let mut reader = ChunkReader::new();
    reader.trust();
    let began = std::time::Instant::now();
    let read: usize =
        bytes.chunks(64 << 10).map(|piece| read_all(&mut reader, piece).expect("legal chunks").len()).sum();
    assert_eq!(read, 60);
    assert!(began.elapsed().as_secs_f64() < 1.0, "{:?}", began.elapsed());
}

#[test]
fn a_stranger_may_leave_only_64_kib_unfinished() {
    let mut bytes = BytesMut::new();
    let mut writer = ChunkWriter::new();
    writer.set_chunk_size(&mut bytes, 65_536);
    writer.write(&mut bytes, 4, &message(9, 0, &vec![0; 70_000]));
    assert!(matches!(fails(&bytes), Error::TooMuchPartialData { limit: PARTIAL_BYTES_STRANGER }));
    check(&bytes, &[message(9, 0, &vec![0; 70_000])]);
}

/// Messages with every header form our writer does not use: compressed headers, several chunk streams, interleaving.
fn any_stream() -> impl Strategy<Value = (Vec<u8>, Vec<Message>)> {
    let one = (0u8..4, 2u8..6, 0u32..60_000, proptest::collection::vec(any::<u8>(), 0..400));
    proptest::collection::vec(one, 1..20).prop_map(|list| {
        let mut bytes = BytesMut::new();
        let mut last: std::collections::HashMap<u8, (u32, u32, usize)> = Default::default();
        let mut sent = Vec::new();
        for (format, id, step, payload) in list {
            let known = last.get(&id).copied();
            let (mut timestamp, mut delta) = (step, step);
            match (format, known) {
                (1, Some((at, ..))) => {
                    timestamp = at + step;
                    bytes.put_u8(0x40 | id);
                    bytes.put_uint(u64::from(step), 3);
                    bytes.put_uint(payload.len() as u64, 3);
                    bytes.put_u8(9);
                }
                (2, Some((at, _, length))) if length == payload.len() => {
                    timestamp = at + step;
                    bytes.put_u8(0x80 | id);
                    bytes.put_uint(u64::from(step), 3);
                }
                (3, Some((at, before, length))) if length == payload.len() => {
                    timestamp = at + before;
                    delta = before;
                    bytes.put_u8(0xc0 | id);
                }
                _ => {
                    bytes.put_slice(&fmt0(id, step, payload.len(), 9));
                    delta = if step > 10_000 { 0 } else { step };
                }
            }
            last.insert(id, (timestamp, delta, payload.len()));
            for (n, chunk) in payload.chunks(128).enumerate() {
                if n > 0 {
                    bytes.put_u8(0xc0 | id);
                }
                bytes.put_slice(chunk);
            }
            sent.push(message(9, timestamp, &payload));
        }
        (bytes.to_vec(), sent)
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages((bytes, sent) in any_stream(), cuts in proptest::collection::vec(1usize..50, 1..8)) {
        let mut reader = ChunkReader::new();
        let (mut rest, mut got, mut n) = (&bytes[..], Vec::new(), 0);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts[n % cuts.len()].min(rest.len()));
            got.extend(read_all(&mut reader, piece).expect("legal chunks"));
            (rest, n) = (after, n + 1);
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!(reader.partial_counts(), (0, 0));
    }

    #[test]
    fn memory_grows_with_what_was_received_and_not_with_what_was_announced(
        lengths in proptest::collection::vec((0u32..70_000, 0usize..200), 1..300),
        size in 1u32..0x7fff_ffff,
    ) {
        let mut bytes = fmt0(2, 0, 4, 1);
        bytes.put_u32(size);
        for (n, (length, sent)) in lengths.into_iter().enumerate() {
            bytes.put_slice(&[0, n as u8]);
            bytes.put_slice(&fmt0(3, 0, length as usize, 9)[1..]);
            bytes.put_slice(&vec![1; sent.min(length as usize)]);
        }
        let mut reader = ChunkReader::new();
        let _answer = read_all(&mut reader, &bytes);
        // Buffers double as they grow; two times 64 KiB is what all of them begin with and the chunk streams' own share.
        prop_assert!(reader.held_bytes() <= 2 * bytes.len() + (128 << 10), "{} for {}", reader.held_bytes(), bytes.len());
    }

    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(prop_oneof![0u8..8, Just(0xc3), any::<u8>()], 0..600)) {
        let mut reader = ChunkReader::new();
        let whole = read_all(&mut reader, &bytes);
        let mut other = ChunkReader::new();
        let single: Result<Vec<_>, _> = bytes.chunks(1).map(|b| read_all(&mut other, b)).collect();
        prop_assert_eq!(whole, single.map(|v| v.concat()));
    }
}

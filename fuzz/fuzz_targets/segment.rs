//! Any bytes as an init section and as a recorded segment; then the same as the numbers of chunks whose boxes fit, so that these are
//! reached.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::{AccessUnit, MediaTime};
use packager::{Respacer, Unpacker, transport_stream};
use std::sync::LazyLock;

/// High profile, 1280x720, as x264 has it.
const AVCC: [u8; 47] = [
    1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0, 0, 3, 0,
    0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0,
];
static VIDEO: LazyLock<Unpacker> = LazyLock::new(|| Unpacker::new(&init().into()).expect("an init section of ours"));

fn boxed(kind: &[u8; 4], body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// What is read of an init section, and zeros.
fn init() -> Vec<u8> {
    let entry = boxed(b"avc1", &[&[0; 78], &boxed(b"avcC", &[&AVCC])]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &entry]);
    let minf = boxed(b"minf", &[&boxed(b"vmhd", &[&[0; 12]]), &boxed(b"dinf", &[]), &boxed(b"stbl", &[&stsd])]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), b"vide", &[0; 13]]);
    let mdia = boxed(b"mdia", &[&boxed(b"mdhd", &[&words(&[0, 0, 0, 90_000, 0, 0])]), &hdlr, &minf]);
    let trak = boxed(b"trak", &[&boxed(b"tkhd", &[&words(&[3]), &[0; 80]]), &mdia]);
    boxed(b"moov", &[&trak])
}

/// Six bytes a sample: size, duration and flags, offset; so many samples a chunk as the first byte says.
fn framed(data: &[u8]) -> Vec<u8> {
    let Some((&count, rest)) = data.split_first() else { return Vec::new() };
    let mut out = Vec::new();
    for chunk in rest.chunks(6 * (usize::from(count) + 1)) {
        let samples: Vec<[u32; 4]> = chunk
            .chunks_exact(6)
            .map(|b| {
                let flags = if b[1] & 1 == 0 { 0x0200_0000 } else { 0x0101_0000 };
                let offset = i32::from(i16::from_be_bytes([b[4], b[5]])) * 32;
                [b[0].into(), u32::from(b[2]) << 8 | u32::from(b[3]), flags, offset as u32]
            })
            .collect();
        let trun =
            words(&[0x0100_0f01, samples.len() as u32, 8 + 16 + 8 + 16 + 20 + 20 + 16 * samples.len() as u32 + 8]);
        let traf = [
            boxed(b"tfhd", &[&words(&[0x02_0000, 1])]),
            boxed(b"tfdt", &[&words(&[0x0100_0000, 0, out.len() as u32])]),
            boxed(b"trun", &[&trun, &words(&samples.concat())]),
        ];
        let mfhd = boxed(b"mfhd", &[&words(&[0, 1])]);
        out.extend(boxed(b"moof", &[&mfhd, &boxed(b"traf", &[&traf.concat()])]));
        let bytes: u32 = samples.iter().map(|sample| sample[0]).sum();
        out.extend(boxed(b"mdat", &[&vec![0; bytes as usize]]));
    }
    out
}

fn check(segment: Bytes) {
    let Ok(mut units) = VIDEO.units(&segment) else { return };
    assert!(units.first().is_none_or(|first| first.sync));
    assert!(units.iter().map(|unit| unit.data.len()).sum::<usize>() < segment.len().max(1));
    let muxed = transport_stream(&units, &[], MediaTime::from_millis(2_000));
    assert!(muxed.is_none_or(|bytes| bytes.len() % 188 == 0));
    Respacer::default().respace(&mut units);
    let is_in_time = |unit: &AccessUnit| unit.dts <= unit.pts;
    assert!(units.iter().all(is_in_time));
}

fuzz_target!(|data: &[u8]| {
    let _answer = Unpacker::new(&Bytes::copy_from_slice(data));
    check(Bytes::copy_from_slice(data));
    check(framed(data).into());
});

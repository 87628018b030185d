//! Closed captions (CEA-608 and CEA-708) in SEI messages: ITU-T T.35 payloads of ATSC A/53 part 4, `GA94` with type 3.
//!
//! Re-encoding loses what stands in the coded pictures, so the payloads are taken out of the source's access units and
//! put into those of the encoded renditions, unread: this module knows where caption data is, not what it says.

use crate::{VideoCodec, h264, hevc, nal};
use bytes::{BufMut, Bytes, BytesMut};

/// SEI payload type `user_data_registered_itu_t_t35` (ITU-T H.264, D.1.6).
const SEI_T35: usize = 4;
/// Country code of the United States, provider code of ATSC, `GA94`, user data type 3 (cc_data).
const CC_DATA: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];
/// Caption payloads of one picture; a legal one has one of at most about 100 bytes.
const PAYLOADS_MAX: usize = 8;
/// Longest caption payload.
const PAYLOAD_MAX: usize = 1024;

/// The caption payloads of an access unit, in order, each from the country code on. At most 8 of at most 1,024 bytes;
/// more, and what is malformed, is left out. Allocates only when there are captions or other SEI messages.
pub fn extract(data: &Bytes, codec: VideoCodec, nal_length_size: u8) -> Vec<Bytes> {
    let mut found = Vec::new();
    for unit in nal::units(data, nal_length_size).map_while(Result::ok) {
        let header = match codec {
            VideoCodec::H264 if h264::nal_type(&unit) == h264::NAL_SEI => 1,
            VideoCodec::Hevc if hevc::nal_type(&unit) == hevc::NAL_SEI_PREFIX => 2,
            // Captions stand before the first slice.
            VideoCodec::H264 if (1..=h264::NAL_IDR).contains(&h264::nal_type(&unit)) => break,
            VideoCodec::Hevc if hevc::nal_type(&unit) < 32 => break,
            _ => continue,
        };
        let rbsp = nal::unescape(unit.get(header..).unwrap_or_default());
        messages(&rbsp, |kind, payload| {
            if kind == SEI_T35
                && payload.starts_with(&CC_DATA)
                && payload.len() <= PAYLOAD_MAX
                && found.len() < PAYLOADS_MAX
            {
                found.push(Bytes::copy_from_slice(payload));
            }
        });
    }
    found
}

/// Whether an access unit carries captions.
pub fn has_captions(data: &Bytes, codec: VideoCodec, nal_length_size: u8) -> bool {
    !extract(data, codec, nal_length_size).is_empty()
}

/// An H.264 SEI NAL unit, header included, that carries these payloads of [`extract`].
pub fn sei(payloads: &[Bytes]) -> Bytes {
    let mut rbsp = Vec::new();
    for payload in payloads {
        rbsp.push(SEI_T35 as u8);
        rbsp.extend(std::iter::repeat_n(255, payload.len() / 255));
        rbsp.push((payload.len() % 255) as u8);
        rbsp.extend_from_slice(payload);
    }
    rbsp.push(0x80);
    let mut unit = vec![h264::NAL_SEI];
    unit.extend(nal::escape(&rbsp));
    unit.into()
}

/// The H.264 access unit `data` (4-byte NAL lengths) with these payloads before its first slice; as it is when there
/// are none. Copies the unit.
pub fn insert(data: Bytes, payloads: &[Bytes]) -> Bytes {
    if payloads.is_empty() {
        return data;
    }
    let slice =
        nal::units(&data, 4).map_while(Result::ok).find(|unit| (1..=h264::NAL_IDR).contains(&h264::nal_type(unit)));
    // Units share the memory of `data`, so the distance of their addresses is the place of the slice in it.
    let before = slice.map_or(data.len(), |unit| unit.as_ptr().addr() - data.as_ptr().addr() - 4);
    let sei = sei(payloads);
    let mut out = BytesMut::with_capacity(data.len() + 4 + sei.len());
    out.put_slice(&data[..before]);
    out.put_u32(u32::try_from(sei.len()).unwrap_or(u32::MAX));
    out.put_slice(&sei);
    out.put_slice(&data[before..]);
    out.freeze()
}

/// Calls `each` with type and payload of every whole SEI message (ITU-T H.264, 7.3.2.3.1).
fn messages(rbsp: &[u8], mut each: impl FnMut(usize, &[u8])) {
    let mut rest = rbsp;
    // A message has at least a type and a size byte; what is left at the end is the trailing bit.
    while rest.len() > 2 {
        let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) else { return };
        let Some((payload, after)) = rest.split_at_checked(size) else { return };
        each(kind, payload);
        rest = after;
    }
}

/// A number as a run of 255s and a last byte.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value += usize::from(byte);
        if byte != 255 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload(cc: &[u8]) -> Bytes {
        [&CC_DATA[..], cc].concat().into()
    }

    fn unit(nals: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        for nal in nals {
            out.put_u32(nal.len() as u32);
            out.put_slice(nal);
        }
        out.freeze()
    }

    #[test]
    fn captions_go_before_the_first_slice() {
        let data = unit(&[&[h264::NAL_SPS, 1], &[h264::NAL_IDR, 9, 9]]);
        let out = insert(data, &[payload(&[0xc1, 0xff])]);
        let kinds: Vec<_> = nal::units(&out, 4).map(|n| h264::nal_type(&n.expect("whole units"))).collect();
        assert_eq!(kinds, [h264::NAL_SPS, h264::NAL_SEI, h264::NAL_IDR]);
        assert!(has_captions(&out, VideoCodec::H264, 4));
    }

    #[test]
    fn captions_of_hevc_are_found() {
        let sei = sei(&[payload(&[1, 2, 3])]);
        let prefix = [&[hevc::NAL_SEI_PREFIX << 1, 1], &sei[1..]].concat();
        let data = unit(&[&prefix, &[1 << 1, 1, 7]]);
        assert_eq!(extract(&data, VideoCodec::Hevc, 4), [payload(&[1, 2, 3])]);
    }

    #[test]
    fn other_user_data_is_not_taken() {
        let other = Bytes::from_static(&[0xb5, 0x00, 0x31, b'D', b'T', b'G', b'1', 0]);
        let data = unit(&[&sei(&[other]), &[h264::NAL_IDR, 1]]);
        assert!(!has_captions(&data, VideoCodec::H264, 4));
    }

    proptest! {
        #[test]
        fn payloads_survive_the_way_through_a_unit(cc in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..600), 0..4)) {
            let payloads: Vec<Bytes> = cc.iter().map(|cc| payload(cc)).collect();
            let data = insert(unit(&[&[h264::NAL_IDR, 1, 2]]), &payloads);
            prop_assert_eq!(extract(&data, VideoCodec::H264, 4), payloads);
        }

        #[test]
        fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..256), hevc: bool) {
            let codec = if hevc { VideoCodec::Hevc } else { VideoCodec::H264 };
            let _answer = extract(&unit(&[&data]), codec, 4);
            let _answer = insert(Bytes::from(data), &[payload(&[])]);
        }
    }
}

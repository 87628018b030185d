//! Finding boxes in bytes from a disk (ISO/IEC 14496-12, 4.2). Damaged bytes give `None`, never a panic.

/// Size and kind.
const HEADER: usize = 8;

/// The first box of `kind` among the boxes in `data`, with its header. `None` when there is none, or when a box before it
/// is damaged; 64-bit sizes and boxes without end are none of ours.
pub(crate) fn find<'a>(mut data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    loop {
        let (whole, behind) = split(data)?;
        if whole[4..HEADER] == *kind {
            return Some(whole);
        }
        data = behind;
    }
}

/// The first box with its header, and what stands behind it. `None` when it is damaged.
pub(crate) fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = word(data, 0)? as usize;
    data.split_at_checked(size).filter(|(whole, _)| whole.len() >= HEADER)
}

/// What stands in the first box of `kind` behind its header.
pub(crate) fn body<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    Some(&find(data, kind)?[HEADER..])
}

/// What stands in the first full box of `kind` behind version and flags, when these are as given.
pub(crate) fn full_body<'a>(data: &'a [u8], kind: &[u8; 4], version: u8, flags: u32) -> Option<&'a [u8]> {
    let (found, rest) = body(data, kind)?.split_first_chunk()?;
    (u32::from_be_bytes(*found) == u32::from(version) << 24 | flags).then_some(rest)
}

/// The 32-bit number at a place.
pub(crate) fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmaf::{put_box, put_full_box};
    use proptest::prelude::*;

    #[test]
    fn boxes_are_found_by_their_kind() {
        let mut data = Vec::new();
        put_box(&mut data, b"free", |out| out.extend([1; 5]));
        put_full_box(&mut data, b"tfdt", 1, 2, |out| out.extend([7; 8]));
        assert_eq!(body(&data, b"free"), Some(&[1; 5][..]));
        assert_eq!(full_body(&data, b"tfdt", 1, 2), Some(&[7; 8][..]));
        assert_eq!(full_body(&data, b"tfdt", 0, 2), None, "another version is another box");
        assert_eq!(find(&data, b"trun"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched_to_their_end(data: Vec<u8>) {
            let _ = full_body(&data, b"trun", 0, 0);
        }

        #[test]
        fn boxes_of_any_size_are_searched_to_their_end(sizes in prop::collection::vec(0u32..40, 0..8)) {
            let data: Vec<u8> = sizes.iter().flat_map(|s| [&s.to_be_bytes()[..], b"free", &[0; 9]].concat()).collect();
            prop_assert_eq!(find(&data, b"trun"), None);
        }
    }
}

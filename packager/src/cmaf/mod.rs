//! CMAF (ISO/IEC 23000-19) boxes, written by hand.
//!
//! mp4-atom could write them; it re-encodes the decoder configuration from the fields it knows, while a player must get
//! the very record the encoder sent, and it must encode a `moof` twice to learn its size. It reads ours back in tests.

pub(crate) mod boxes;
pub(crate) mod fragment;
pub(crate) mod init;
pub(crate) mod moof;

/// No rotation and no scaling, as `mvhd` and `tkhd` say it.
pub(crate) const UNITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Appends a box: its size, `kind`, and what `body` appends.
pub(crate) fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out);
    let size = u32::try_from(out.len() - at).expect("boxes other than mdat are small");
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a full box: as [`put_box`], with version and flags.
pub(crate) fn put_full_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        out.extend((u32::from(version) << 24 | flags).to_be_bytes());
        body(out);
    });
}

/// Appends 32-bit numbers.
pub(crate) fn put_words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| out.extend(v.to_be_bytes()));
}

/// Appends 16-bit numbers.
pub(crate) fn put_halves(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| out.extend(v.to_be_bytes()));
}

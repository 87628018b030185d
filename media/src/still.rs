//! What a still image says of itself: its kind and size, from the header alone, so that nobody decodes a picture whose size
//! would be the end of it. No pixel is read here.

/// Longest side of an image that is taken, in samples.
pub const SIDE_MAX: u32 = 8_192;
/// Samples of an image that is taken: a camera's 24 megapixels, not a bomb of 64.
pub const AREA_MAX: u32 = 25_000_000;

/// A kind of image that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG (W3C, third edition).
    Png,
}

/// A still image's kind and size in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Still {
    /// How it is coded.
    pub kind: Kind,
    /// 1 to [`SIDE_MAX`].
    pub width: u32,
    /// 1 to [`SIDE_MAX`].
    pub height: u32,
}

/// Why an image is not taken. Always the fault of whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// Neither of the kinds.
    #[error("it is neither a JPEG nor a PNG")]
    Kind,
    /// The header ends before it says the size, or says an impossible one.
    #[error("its header is damaged")]
    Damaged,
    /// Too many samples.
    #[error("{width}x{height} is too large; at most {SIDE_MAX} on a side and 25 megapixels")]
    Large {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
}

/// Reads the header of an image.
///
/// # Errors
/// Why it is not taken.
pub fn read(data: &[u8]) -> Result<Still, StillError> {
    let (kind, size) = if data.starts_with(b"\x89PNG\r\n\x1a\n") {
        (Kind::Png, png_size(data))
    } else if data.starts_with(&[0xff, 0xd8, 0xff]) {
        (Kind::Jpeg, jpeg_size(data))
    } else {
        return Err(StillError::Kind);
    };
    let (width, height) = size.filter(|(w, h)| *w > 0 && *h > 0).ok_or(StillError::Damaged)?;
    if width > SIDE_MAX || height > SIDE_MAX || width * height > AREA_MAX {
        return Err(StillError::Large { width, height });
    }
    Ok(Still { kind, width, height })
}

/// IHDR is the first chunk (5.6), its size the first of its fields (11.2.1).
fn png_size(data: &[u8]) -> Option<(u32, u32)> {
    let field = |at: usize| Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?));
    (data.get(12..16)? == b"IHDR").then_some(())?;
    Some((field(16)?, field(20)?))
}

/// The frame header (B.2.2), behind segments that say their length (B.1.1.4).
fn jpeg_size(data: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?)));
    let mut at = 2;
    loop {
        (*data.get(at)? == 0xff).then_some(())?;
        match *data.get(at + 1)? {
            // A fill byte before a marker.
            0xff => at += 1,
            // SOF0 to SOF15 but DHT, JPG and DAC.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Some((number(at + 7)?, number(at + 5)?)),
            // Markers that stand alone, and those behind which there is no frame header.
            0x01 | 0xd0..=0xda => return None,
            _ => at += 2 + usize::try_from(number(at + 2)?).ok().filter(|length| *length >= 2)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut data = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        data.extend(width.to_be_bytes());
        data.extend(height.to_be_bytes());
        data
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        // An APP0 segment, a fill byte, a progressive frame header.
        let mut data = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc2, 0, 17, 8];
        data.extend(height.to_be_bytes());
        data.extend(width.to_be_bytes());
        data
    }

    #[test]
    fn kinds_and_sizes_are_read() {
        assert_eq!(read(&png(640, 360)), Ok(Still { kind: Kind::Png, width: 640, height: 360 }));
        assert_eq!(read(&jpeg(1280, 721)), Ok(Still { kind: Kind::Jpeg, width: 1280, height: 721 }));
    }

    #[test]
    fn what_is_too_large_or_nothing_is_refused() {
        assert_eq!(read(&png(60_000, 60_000)), Err(StillError::Large { width: 60_000, height: 60_000 }));
        assert!(matches!(read(&jpeg(8_000, 8_000)), Err(StillError::Large { .. })));
        assert_eq!(read(&png(0, 9)), Err(StillError::Damaged));
        assert_eq!(read(&png(9, 9)[..20]), Err(StillError::Damaged));
        assert_eq!(read(&[0xff, 0xd8, 0xff, 0xda, 0, 8]), Err(StillError::Damaged), "no frame header");
        assert_eq!(read(&[0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0]), Err(StillError::Damaged), "a segment without length");
        assert_eq!(read(b"GIF89a"), Err(StillError::Kind));
        assert_eq!(read(b""), Err(StillError::Kind));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(kind in 0u8..3, data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = match kind { 0 => png(1, 1)[..12].to_vec(), 1 => vec![0xff, 0xd8, 0xff], _ => Vec::new() };
            bytes.extend(data);
            if let Ok(still) = read(&bytes) {
                prop_assert!(still.width <= SIDE_MAX && still.height <= SIDE_MAX);
            }
        }
    }
}

//! Reads FLV files into tags, for the clients that send tags unrepaired.

/// One tag of an FLV file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// 8 audio, 9 video, 18 script data.
    pub kind: u8,
    /// Milliseconds.
    pub stamp: u32,
    /// The tag's body.
    pub body: Vec<u8>,
}

impl Tag {
    /// Whether it is a codec configuration or metadata rather than media.
    pub fn is_header(&self) -> bool {
        match (self.kind, self.body.as_slice()) {
            (18, _) => true,
            (9, [flags, kind, ..]) => (flags & 0x80 == 0 && flags & 15 == 7 && *kind == 0) || (flags & 0x8f == 0x80),
            (8, [flags, kind, ..]) => flags >> 4 == 10 && *kind == 0,
            _ => false,
        }
    }
}

/// Splits a whole FLV file into its tags; a tag that is cut at the end is left out.
pub fn tags(file: &[u8]) -> Vec<Tag> {
    let big = |bytes: &[u8]| bytes.iter().fold(0usize, |sum, &byte| sum << 8 | byte as usize);
    let mut at = file.get(5..9).map_or(0, big) + 4;
    let mut all = Vec::new();
    while let Some(head) = file.get(at..at + 11) {
        let size = big(&head[1..4]);
        let Some(body) = file.get(at + 11..at + 11 + size) else { break };
        let stamp = big(&head[4..7]) as u32 | u32::from(head[7]) << 24;
        all.push(Tag { kind: head[0] & 31, stamp, body: body.to_vec() });
        at += 11 + size + 4;
    }
    all
}

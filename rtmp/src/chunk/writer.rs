use super::{Message, kind};
use bytes::{BufMut, Bytes, BytesMut};

/// Writes messages as chunks. Every message begins with a full header (fmt 0), which every peer reads alike; the few
/// bytes that compressed headers save are not worth a state.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkWriter {
    /// A writer with the initial chunk size of 128.
    pub fn new() -> Self {
        Self { chunk_size: 128 }
    }

    /// Announces and uses a new chunk size, 1 to 16,777,215 bytes.
    pub fn set_chunk_size(&mut self, out: &mut BytesMut, size: u32) {
        let size = size.clamp(1, super::CHUNK_SIZE_MAX);
        let payload = Bytes::copy_from_slice(&size.to_be_bytes());
        self.write(out, 2, &Message { kind: kind::SET_CHUNK_SIZE, stream: 0, timestamp: 0, payload });
        self.chunk_size = size as usize;
    }

    /// Appends one message on chunk stream `id`, 2 to 63. Copies the payload, whose length must fit 24 bits (longer
    /// ones are cut, but nothing in the house makes them).
    pub fn write(&self, out: &mut BytesMut, id: u8, message: &Message) {
        let payload = &message.payload[..message.payload.len().min(0xff_ffff)];
        let id = id.clamp(2, 63);
        let extended = message.timestamp >= 0xff_ffff;
        out.reserve(payload.len() + 16 + payload.len() / self.chunk_size * 5);
        out.put_u8(id);
        out.put_uint(u64::from(message.timestamp.min(0xff_ffff)), 3);
        out.put_uint(payload.len() as u64, 3);
        out.put_u8(message.kind);
        out.put_u32_le(message.stream);
        if extended {
            out.put_u32(message.timestamp);
        }
        for (n, chunk) in payload.chunks(self.chunk_size).enumerate() {
            if n > 0 {
                out.put_u8(0xc0 | id);
                if extended {
                    out.put_u32(message.timestamp);
                }
            }
            out.put_slice(chunk);
        }
    }
}

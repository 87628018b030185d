//! The RTMP handshake, simple and digest, both ends. A thin bound around rml_rtmp's: it is fed exactly the bytes of
//! C0, C1 and C2 (or S0, S1, S2), never what follows, so its own buffer can't grow.

use crate::Error;
use bytes::BytesMut;
use rml_rtmp::handshake::{Handshake as Inner, HandshakeProcessResult, PeerType};

/// C0 (1 byte), C1 and C2 (1,536 each); the server's bytes have the same sizes.
const BYTES: usize = 1 + 2 * PACKET;
const PACKET: usize = 1536;

pub(crate) struct Handshake {
    inner: Inner,
    received: usize,
    /// Held back so that S0, S1 and S2 leave in one write: some clients wait for them in one read.
    answer: Vec<u8>,
}

impl Handshake {
    pub(crate) fn server() -> Self {
        Self { inner: Inner::new(PeerType::Server), received: 0, answer: Vec::new() }
    }

    /// The client end; `out` gets C0 and C1.
    pub(crate) fn client(out: &mut BytesMut) -> Result<Self, Error> {
        let mut inner = Inner::new(PeerType::Client);
        out.extend_from_slice(&inner.generate_outbound_p0_and_p1().map_err(|e| Error::Handshake(e.to_string()))?);
        Ok(Self { inner, received: 0, answer: Vec::new() })
    }

    /// Takes its bytes off the front of `input`; true when the handshake is over.
    pub(crate) fn read(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<bool, Error> {
        if self.received == 0
            && let Some(&version) = input.first()
            && version != 3
        {
            return Err(Error::NotRtmp { version });
        }
        let (mine, rest) = input.split_at(input.len().min(BYTES - self.received));
        *input = rest;
        self.received += mine.len();
        let over = match self.inner.process_bytes(mine).map_err(|e| Error::Handshake(e.to_string()))? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                self.answer.extend(response_bytes);
                false
            }
            HandshakeProcessResult::Completed { response_bytes, .. } => {
                self.answer.extend(response_bytes);
                true
            }
        };
        if self.received > PACKET {
            out.extend_from_slice(&std::mem::take(&mut self.answer));
        }
        Ok(over)
    }
}

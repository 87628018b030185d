//! A segment's body: the shared bytes of its parts, one after the other, never joined.

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use packager::Part;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes `first..=last` of the concatenation of parts.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: Arc<[Part]>,
    /// The part to send from next.
    next: usize,
    /// Bytes of that part to leave out at its front.
    skip: usize,
    /// Bytes still to send.
    left: usize,
}

impl Parts {
    /// `last` must be at least `first` and inside the segment.
    pub(crate) fn new(parts: Arc<[Part]>, first: usize, last: usize) -> Parts {
        let (mut next, mut skip) = (0, first);
        while parts.get(next).is_some_and(|part| part.data.len() <= skip) {
            skip -= parts[next].data.len();
            next += 1;
        }
        Parts { parts, next, skip, left: last - first + 1 }
    }
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.left > 0 {
            let Some(part) = self.parts.get(self.next) else { break };
            let end = part.data.len().min(self.skip + self.left);
            let bytes = part.data.slice(self.skip..end);
            self.next += 1;
            self.skip = 0;
            self.left -= bytes.len();
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::BodyExt;
    use media::MediaTime;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_slice_is_the_slice_of_the_whole(sizes in proptest::collection::vec(0usize..6, 1..6), first: usize, size: usize) {
            let whole: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|byte| byte as u8).collect();
            prop_assume!(!whole.is_empty());
            let first = first % whole.len();
            let size = 1 + size % (whole.len() - first);
            let mut at = 0;
            let parts: Arc<[Part]> = sizes.iter().map(|size| {
                let data = Bytes::copy_from_slice(&whole[at..at + size]);
                at += size;
                Part { data, start: MediaTime::ZERO, duration: MediaTime::ZERO, independent: false, gap: false }
            }).collect();
            let body = Parts::new(parts, first, first + size - 1);
            prop_assert_eq!(body.size_hint().exact(), Some(size as u64));
            let sent = body.collect().now_or_never().unwrap().unwrap().to_bytes();
            prop_assert_eq!(&sent[..], &whole[first..first + size]);
        }
    }
}

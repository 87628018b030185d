//! How busy one connection is, so that its owner can tell idle from stalled from waiting for good reason.

use crate::gate::Share;
use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Shared by a connection's loop and its requests. Only counts and times, each right on its own, so all accesses are
/// relaxed: the loop looks seconds later.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Requests whose response is not sent to the end.
    in_flight: AtomicU32,
    /// Response bodies that have handed out bytes and were not asked for more since: the transport holds them back.
    held_back: AtomicU32,
    /// The socket takes no more bytes for now. The socket's own deadline watches over that.
    blocked: AtomicBool,
    /// Bytes came since the connection was ready for requests.
    heard: AtomicBool,
    /// Requests so far.
    served: AtomicU64,
    /// When anything happened last, in milliseconds since `opened`.
    last_ms: AtomicU64,
}

/// What to do with a connection, judged at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again in this time.
    Fine(Duration),
    /// Nobody asks for anything: close politely.
    Idle,
    /// The peer does not take what it asked for: drop.
    Stalled,
}

impl Activity {
    pub(crate) fn new() -> Arc<Activity> {
        Arc::new(Activity {
            opened: Instant::now(),
            in_flight: AtomicU32::new(0),
            held_back: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            heard: AtomicBool::new(false),
            served: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
        })
    }

    /// A request begins; the returned value ends it when dropped.
    pub(crate) fn begin(self: &Arc<Activity>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.served.fetch_add(1, Relaxed);
        self.touch();
        InFlight { activity: Arc::clone(self), held_back: false }
    }

    /// Judges the connection: `fresh` is how long it may live without a first request, `idle` without a further one,
    /// `patience` how long a response may be held back.
    pub(crate) fn verdict(&self, fresh: Duration, idle: Duration, patience: Duration) -> Verdict {
        let quiet = self.opened.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Relaxed)));
        let judge = |bound: Duration, at: Verdict| match bound.checked_sub(quiet) {
            Some(left) if !left.is_zero() => Verdict::Fine(left),
            _ => at,
        };
        if self.blocked.load(Relaxed) {
            // Also when no request is left: its last bytes are still on their way.
            Verdict::Fine(patience)
        } else if self.in_flight.load(Relaxed) == 0 {
            let never = self.served.load(Relaxed) == 0;
            judge(if never { fresh } else { idle }, Verdict::Idle)
        } else if self.held_back.load(Relaxed) > 0 {
            judge(patience, Verdict::Stalled)
        } else {
            Verdict::Fine(patience)
        }
    }

    /// The socket begins or ceases to hold bytes back.
    pub(crate) fn blocks(&self, blocked: bool) {
        self.blocked.store(blocked, Relaxed);
        self.touch();
    }

    /// Bytes came.
    pub(crate) fn hear(&self) {
        self.heard.store(true, Relaxed);
    }

    /// What was heard so far was the TLS handshake.
    pub(crate) fn forget_heard(&self) {
        self.heard.store(false, Relaxed);
    }

    /// Something was sent that never became a request.
    pub(crate) fn is_dripping(&self) -> bool {
        self.heard.load(Relaxed) && self.served.load(Relaxed) == 0
    }

    fn touch(&self) {
        let now = self.opened.elapsed().as_millis();
        self.last_ms.store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }
}

/// One request, from its head to the last byte of its response.
#[derive(Debug)]
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    held_back: bool,
}

impl InFlight {
    fn asked(&mut self) {
        if std::mem::take(&mut self.held_back) {
            self.activity.held_back.fetch_sub(1, Relaxed);
        }
        self.activity.touch();
    }

    fn handed_out(&mut self) {
        self.held_back = true;
        self.activity.held_back.fetch_add(1, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.asked();
        self.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A response body that reports to the [`Activity`] of its connection.
pub(crate) struct Reported {
    body: Body,
    /// HTTP/2 only: the end is told only when asked, and HTTP/2 asks only when its flow control has taken everything
    /// before. Else a peer with a closed window would look like one that has got it all.
    late_end: bool,
    request: InFlight,
    _share: Option<Share>,
}

impl Reported {
    pub(crate) fn new(body: Body, http2: bool, mut request: InFlight, share: Option<Share>) -> Reported {
        let late_end = http2 && !body.is_end_stream();
        if late_end {
            // HTTP/2 does not ask for the first bytes either before the peer's window takes some.
            request.handed_out();
        }
        Reported { body, late_end, request, _share: share }
    }
}

impl HttpBody for Reported {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.request.asked();
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) {
            self.request.handed_out();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        !self.late_end && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);
    const PATIENCE: Duration = Duration::from_secs(30);

    fn verdict(activity: &Activity) -> Verdict {
        activity.verdict(FRESH, IDLE, PATIENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle_soon() {
        let activity = Activity::new();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(verdict(&activity), Verdict::Fine(Duration::from_secs(6)));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(verdict(&activity), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_its_answer_is_fine() {
        let activity = Activity::new();
        let request = activity.begin();
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(verdict(&activity), Verdict::Fine(PATIENCE));
        drop(request);
        assert_eq!(verdict(&activity), Verdict::Fine(IDLE));
        tokio::time::advance(IDLE).await;
        assert_eq!(verdict(&activity), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_bytes_on_their_way_are_waited_for() {
        let activity = Activity::new();
        drop(activity.begin());
        activity.blocks(true);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(verdict(&activity), Verdict::Fine(PATIENCE));
        activity.blocks(false);
        assert_eq!(verdict(&activity), Verdict::Fine(IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_nobody_takes_are_a_stall() {
        let activity = Activity::new();
        let mut body = Reported::new(Body::from("some bytes"), true, activity.begin(), None);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(!body.is_end_stream());
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(verdict(&activity), Verdict::Fine(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(verdict(&activity), Verdict::Stalled);
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)));
        assert_eq!(verdict(&activity), Verdict::Fine(PATIENCE));
    }
}

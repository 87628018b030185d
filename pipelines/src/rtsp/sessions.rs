//! The session of a connection: one at a time, each connection's apart from all others', and over with it.
//!
//! The library keeps a session and its graph for a minute after the last request, and makes another of each for who sets up without naming
//! one. ffmpeg does that once: it goes over to TCP when no datagrams come.
//!
//! All that ends a session happens in the thread of its connection. In a pool that connections share the library tells every one of them of
//! each session that is over, and one that is being closed then makes it abort the process.

use gstreamer_rtsp_server as server;
use server::glib;
use server::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The one there is, and the next while the reader goes over to that.
const SESSIONS_MAX: u32 = 2;
/// How often it is looked at, seconds. A reader over UDP that is gone says nothing.
const LOOK_EVERY_S: u32 = 2;
/// A connection whose session is over is closed after this many seconds.
const AFTER_SESSION_S: i32 = 5;

/// Bounds what a connection that has just come will have.
pub(super) fn bound(client: &server::RTSPClient) {
    let pool = server::RTSPSessionPool::new();
    pool.set_max_sessions(SESSIONS_MAX);
    client.set_session_pool(Some(&pool));
    client.set_post_session_timeout(AFTER_SESSION_S);
    let is_watched = AtomicBool::new(false);
    client.connect_setup_request(move |_, context| {
        let now = context.session();
        for earlier in pool.filter(None).iter().filter(|session| Some(*session) != now) {
            end(earlier, &pool);
        }
        // A session may hold more than one stream, such as the same one with a query, each with a graph. The newest comes first.
        if let Some(session) = now {
            let mut is_earlier = false;
            stop(session, || std::mem::replace(&mut is_earlier, true));
        }
        if !is_watched.swap(true, Relaxed) {
            watch(&pool);
        }
    });
}

/// Ends a session and its graphs.
fn end(session: &server::RTSPSession, pool: &server::RTSPSessionPool) {
    stop(session, || true);
    let _gone = pool.remove(session);
}

/// Ends some of the graphs of a session; it is asked of each.
fn stop(session: &server::RTSPSession, mut is_over: impl FnMut() -> bool) {
    let mut stop = |_: &server::RTSPSession, media: &server::RTSPSessionMedia| {
        if !is_over() {
            return server::RTSPFilterResult::Keep;
        }
        let _ended = media.set_state(gstreamer::State::Null);
        server::RTSPFilterResult::Remove
    };
    session.filter(Some(&mut stop));
}

/// Has the thread of the connection, which calls this, end sessions that time out, for as long as it lives.
fn watch(pool: &server::RTSPSessionPool) {
    let pool = pool.downgrade();
    let look = move || match pool.upgrade() {
        Some(pool) => {
            pool.cleanup();
            glib::ControlFlow::Continue
        }
        None => glib::ControlFlow::Break,
    };
    let source = glib::timeout_source_new_seconds(LOOK_EVERY_S, Some("sessions"), glib::Priority::DEFAULT, look);
    source.attach(glib::main_current_source().and_then(|current| current.context()).as_ref());
}

//! Everything under `/live/`: asks whether the asker may watch, looks the object up, waits where the protocol says so, and answers.

use crate::Catalog;
use crate::cache::Keep;
use crate::directives::Directives;
use crate::edge::{Edge, Owed};
use crate::meter::{Cause, Kind, Meter};
use crate::path::{Asset, Family, Object, ticketed};
use crate::reply::{self, Reply, Wish};
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use futures_util::future::{Either, Ready, ready};
use media::Track;
use packager::{Document, Index, Playlist, Rendition, Window};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a request is held for something that does not come. No answer takes longer than 8 s; the rest is for the
/// way through a proxy.
const HOLD_MAX: Duration = Duration::from_millis(7_500);

/// The HLS origin as a service: cheap to clone, never back-pressured.
pub(crate) struct Live<C> {
    catalog: Arc<C>,
    meter: Arc<Meter>,
}

impl<C> Clone for Live<C> {
    fn clone(&self) -> Live<C> {
        Live { catalog: Arc::clone(&self.catalog), meter: Arc::clone(&self.meter) }
    }
}

/// An answer that is there, or one that has to wait. Only the second costs an allocation for its state.
type Answer = Either<Ready<Reply>, Pin<Box<dyn Future<Output = Reply> + Send>>>;

impl<C: Catalog> Live<C> {
    pub(crate) fn new(catalog: Arc<C>) -> Live<C> {
        Live { catalog, meter: Arc::new(Meter::new()) }
    }

    fn answer(&self, request: &Request<Body>) -> (Kind, Answer) {
        let method = request.method();
        if method == Method::OPTIONS {
            return (Kind::Other, now(reply::preflight()));
        }
        let head = method == Method::HEAD;
        if method != Method::GET && !head {
            self.meter.refused(Cause::Method);
            let sentence = "Only GET, HEAD and OPTIONS are possible here.";
            return (Kind::Other, now(reply::refusal(head, StatusCode::METHOD_NOT_ALLOWED, Keep::Refusal, sentence)));
        }
        let wish = Wish::of(method, request.headers());
        let asked = ticketed(request.uri().path()).and_then(|(ticket, path)| Some((ticket, Asset::parse(path)?)));
        let Some((ticket, asset)) = asked else {
            return (Kind::Other, now(missing(&wish, "There is nothing of this name.")));
        };
        // Who may not watch gets to the end of nothing below, and hears what a stream that is not live answers.
        let may_watch = self.catalog.admits(asset.stream(), ticket);
        let wish = wish.within(ticket.map(|ticket| self.catalog.lasts(ticket)));
        match asset {
            Asset::Thumb { stream } => {
                let jpeg = may_watch.then(|| self.catalog.thumb(stream)).flatten();
                (Kind::Thumb, now(jpeg.map_or_else(|| missing(&wish, NOT_LIVE), |jpeg| reply::thumb(&wish, jpeg))))
            }
            Asset::Multivariant { stream, kind } => {
                let window = may_watch.then(|| self.catalog.window(stream)).flatten();
                (Kind::Multivariant, self.multivariant(wish, window, kind))
            }
            Asset::Session { stream, session, rendition, run, object } => {
                let window = may_watch.then(|| self.catalog.session(stream, session)).flatten();
                let has_run = |window: &Arc<Window>| is_playlist(object) || window.run() == run;
                let found = window.map(|window| (has_run(&window), window.rendition(rendition)));
                let Some((has_run, Some(rendition))) = found else {
                    return (kind(object), now(missing(&wish, "There is no such session or rendition.")));
                };
                if !has_run {
                    return (kind(object), now(missing(&wish, NOT_HELD)));
                }
                if let (true, Some(audience)) = (is_playlist(object), self.catalog.audience()) {
                    audience.asked(stream, request, rendition.playlist().borrow().target, Instant::now());
                }
                (kind(object), self.object(wish, &rendition, object, request.uri().query()))
            }
        }
    }

    fn multivariant(&self, wish: Wish, window: Option<Arc<Window>>, family: Family) -> Answer {
        let Some(window) = window else { return now(missing(&wish, NOT_LIVE)) };
        let index = match family {
            Family::H264 => Index::H264,
            Family::Hevc => Index::Hevc,
            Family::Ts => Index::Ts,
        };
        let shown = window.index(index);
        if let Some(document) = shown.borrow().as_deref() {
            return now(reply::playlist(&wish, document, Keep::Multivariant));
        }
        // The stream has begun, its tracks are not known yet: that takes two seconds at most, so a player that is early
        // is better held than sent away.
        let waiting = self.meter.waiting();
        Either::Right(Box::pin(async move {
            let document = first_shown(&window, shown).await;
            drop(waiting);
            match document {
                Some(document) => reply::playlist(&wish, &document, Keep::Multivariant),
                None => missing(&wish, "This stream has no such variants."),
            }
        }))
    }

    fn object(&self, wish: Wish, rendition: &Arc<Rendition>, object: Object, query: Option<&str>) -> Answer {
        let kind = match rendition.track() {
            Track::Video => "video/mp4",
            Track::Audio => "audio/mp4",
        };
        let reply = match object {
            Object::Playlist => return self.playlist(wish, rendition.playlist(), query),
            Object::TsPlaylist => return self.playlist(wish, rendition.ts_playlist(), query),
            Object::Part(msn, part) => return self.part(wish, rendition, (msn, part), kind),
            Object::Init(generation) => {
                rendition.init(generation).map(|bytes| reply::media(&wish, bytes, kind, (generation.into(), 0)))
            }
            Object::Segment(msn) => rendition.segment(msn).map(|segment| reply::segment(&wish, &segment, kind)),
            // Muxing is a memory copy of about a millisecond, done once per segment: too short to move off the runtime.
            Object::TsSegment(msn) => {
                rendition.ts_segment(msn).map(|bytes| reply::media(&wish, bytes, "video/mp2t", (msn, 0)))
            }
        };
        now(reply.unwrap_or_else(|| missing(&wish, NOT_HELD)))
    }

    fn playlist(&self, wish: Wish, mut shown: watch::Receiver<Arc<Playlist>>, query: Option<&str>) -> Answer {
        let current = Arc::clone(&shown.borrow_and_update());
        let directives = match Directives::parse(query) {
            Ok(directives) => directives,
            // After the end they are to be ignored, readable or not.
            Err(_) if current.ended => Directives::default(),
            Err(malformed) => {
                self.meter.refused(Cause::Directives);
                return now(reply::refusal(
                    wish.head(),
                    StatusCode::BAD_REQUEST,
                    Keep::Refusal,
                    &malformed.to_string(),
                ));
            }
        };
        let skip = directives.skip;
        match Edge::from(&*current).owes(directives.until) {
            Owed::Now(keep) => now(render(&wish, &current, skip, keep)),
            Owed::TooFar => {
                self.meter.refused(Cause::TooFar);
                let sentence = "_HLS_msn or _HLS_part is too far in the future.";
                now(reply::refusal(wish.head(), StatusCode::BAD_REQUEST, Keep::Refusal, sentence))
            }
            Owed::Wait => {
                let waiting = self.meter.waiting();
                let meter = Arc::clone(&self.meter);
                Either::Right(Box::pin(async move {
                    let owed = |playlist: &Playlist| Edge::from(playlist).owes(directives.until);
                    let held = hold(&mut shown, |playlist| matches!(owed(playlist), Owed::Now(_))).await;
                    drop(waiting);
                    match held.map(|playlist| (owed(&playlist), playlist)) {
                        Some((Owed::Now(keep), playlist)) => render(&wish, &playlist, skip, keep),
                        _ if directives.until.is_none() => render(&wish, &shown.borrow(), skip, Keep::Live),
                        _ => too_long(&wish, &meter),
                    }
                }))
            }
        }
    }

    fn part(&self, wish: Wish, rendition: &Arc<Rendition>, (msn, part): (u64, u32), kind: &'static str) -> Answer {
        let find = move |rendition: &Rendition, wish: &Wish| {
            rendition.part(msn, part).map(|bytes| reply::media(wish, bytes, kind, (msn, part)))
        };
        if let Some(reply) = find(rendition, &wish) {
            return now(reply);
        }
        let mut shown = rendition.playlist();
        if !Edge::from(&**shown.borrow_and_update()).hints(msn, part) {
            // It may have come between the two looks, which the hint has then left behind.
            return now(find(rendition, &wish).unwrap_or_else(|| missing(&wish, NOT_HELD)));
        }
        let waiting = self.meter.waiting();
        let (meter, rendition) = (Arc::clone(&self.meter), Arc::clone(rendition));
        Either::Right(Box::pin(async move {
            let held = hold(&mut shown, |playlist| !Edge::from(playlist).hints(msn, part)).await;
            drop(waiting);
            match (find(&rendition, &wish), held) {
                (Some(reply), _) => reply,
                // The segment ended before this part, or the stream did.
                (None, Some(_)) => missing(&wish, NOT_HELD),
                (None, None) => too_long(&wish, &meter),
            }
        }))
    }
}

const NOT_LIVE: &str = "This stream is not live.";
const NOT_HELD: &str = "This is not here: it is too old, or not made yet.";

fn is_playlist(object: Object) -> bool {
    matches!(object, Object::Playlist | Object::TsPlaylist)
}

fn kind(object: Object) -> Kind {
    match object {
        Object::Playlist | Object::TsPlaylist => Kind::Playlist,
        Object::Init(_) => Kind::Init,
        Object::Segment(_) => Kind::Segment,
        Object::Part(..) => Kind::Part,
        Object::TsSegment(_) => Kind::Ts,
    }
}

fn now(reply: Reply) -> Answer {
    Either::Left(ready(reply))
}

fn render(wish: &Wish, playlist: &Playlist, skip: bool, keep: Keep) -> Reply {
    let delta = playlist.delta.as_ref().filter(|_| skip && !playlist.ended);
    reply::playlist(wish, delta.unwrap_or(&playlist.full), keep)
}

fn missing(wish: &Wish, sentence: &str) -> Reply {
    reply::refusal(wish.head(), StatusCode::NOT_FOUND, Keep::NotFound, sentence)
}

fn too_long(wish: &Wish, meter: &Meter) -> Reply {
    meter.refused(Cause::HeldTooLong);
    reply::refusal(wish.head(), StatusCode::SERVICE_UNAVAILABLE, Keep::Refusal, "This did not come in time; ask again.")
}

/// Waits for a playlist that satisfies `enough`. `None` when it does not come in time, or can no longer come because the
/// session is gone. A change wakes all its waiters at once, and the lock inside the watch is held for one comparison.
async fn hold(
    shown: &mut watch::Receiver<Arc<Playlist>>,
    mut enough: impl FnMut(&Playlist) -> bool,
) -> Option<Arc<Playlist>> {
    match timeout(HOLD_MAX, shown.wait_for(|playlist| enough(playlist))).await {
        Ok(Ok(playlist)) => Some(Arc::clone(&playlist)),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Waits for a multivariant playlist, until it is clear that the session has none of this family: the packager shows
/// all families it has together, so one that is still missing when another is there will not come.
async fn first_shown(window: &Window, mut shown: watch::Receiver<Option<Arc<Document>>>) -> Option<Arc<Document>> {
    let mut all = [Index::H264, Index::Hevc, Index::Ts].map(|index| window.index(index));
    let [h264, hevc, ts] = &mut all;
    let any = async {
        tokio::select! {
            _ = h264.wait_for(Option::is_some) => {}
            _ = hevc.wait_for(Option::is_some) => {}
            _ = ts.wait_for(Option::is_some) => {}
        }
        // The families are shown one after the other within microseconds; this lets the last one through.
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let wanted = async { shown.wait_for(Option::is_some).await.ok().and_then(|document| document.clone()) };
    let found = timeout(HOLD_MAX, async {
        tokio::select! {
            biased;
            document = wanted => document,
            () = any => None,
        }
    });
    found.await.ok().flatten()
}

impl<C: Catalog> tower::Service<Request<Body>> for Live<C> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let (kind, answer) = self.answer(&request);
        Answering { answer, kind, meter: Arc::clone(&self.meter) }
    }
}

/// An answer on its way, counted when it is there.
pub(crate) struct Answering {
    answer: Answer,
    kind: Kind,
    meter: Arc<Meter>,
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.answer).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Reply { response, bytes }) => {
                self.meter.answered(self.kind, response.status(), bytes);
                Poll::Ready(Ok(response))
            }
        }
    }
}

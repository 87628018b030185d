//! What the origin itself costs per request, without sockets: routing, directives, headers, body.

use axum::body::Body;
use axum::http::Request;
use divan::{Bencher, black_box};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use tower::Service;

#[path = "../tests/kit/show.rs"]
mod show;

fn main() {
    divan::main();
}

/// Each object a viewer asks for, answered at once, body drained.
#[divan::bench(args = [
    "/live/demo/index.m3u8",
    "/live/demo/s-1/source.m3u8",
    "/live/demo/s-1/source.m3u8?_HLS_msn=5&_HLS_part=1",
    "/live/demo/s-1/source/5.0.m4s",
    "/live/demo/s-1/source/4.m4s",
    "/live/demo/s-1/source/init-0.mp4",
    "/live/demo/s-1/source/99999.m4s",
])]
fn answer(bencher: Bencher<'_, '_>, path: &str) {
    let mut show = show::Show::new(20_000);
    show.until_next(5, 2);
    let mut router = origin::router(show.catalog());
    let request = || {
        let request = Request::get(path).header("host", "live.example").header("accept-encoding", "gzip, deflate, br");
        request
            .header("user-agent", "Mozilla/5.0")
            .header("accept", "*/*")
            .body(Body::empty())
            .expect("a valid request")
    };
    bencher.with_inputs(request).bench_local_values(|request| {
        let response = router.call(black_box(request)).now_or_never().expect("it is there").expect("it cannot fail");
        response.into_body().collect().now_or_never().expect("it is there").expect("it cannot fail")
    });
}

//! Files that are sent by tus.

use super::*;
use crate::uploads::{Limits, Uploads};
use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream;
use std::path::Path;

/// Uploads of at most a mebibyte.
pub fn open(folder: &Path, store: &Store) -> Arc<Uploads> {
    let settings = ::archive::Settings { reserve_bytes: 0, ..::archive::Settings::default() };
    let archive = ::archive::Archive::open(&folder.join("archive"), settings).unwrap();
    let limits = Limits { bytes_max: 1 << 20, uploads_max: 4, idle_max: Duration::from_secs(3_600) };
    Arc::new(Uploads::open(folder.join("uploads"), limits, (archive, store.clone(), 1)).unwrap())
}

async fn tus(bed: &Bed, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Response {
    let mut request = Request::builder().method(method).uri(path).header("tus-resumable", "1.0.0");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let bearer = format!("Bearer {}", bed.token.reveal());
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    bed.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
}

async fn announce(bed: &Bed, metadata: &str) -> Response {
    let headers = [("upload-length", "100"), ("upload-metadata", metadata)];
    tus(bed, "POST", "/api/v1/uploads", &headers, Body::empty()).await
}

fn said<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_piece_that_stands_still_is_to_be_sent_again() {
    let bed = Bed::new().await;
    let made = announce(&bed, "").await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let address = said(&made, "location").to_owned();
    let stalled = Err(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let body = Body::from_stream(stream::iter([Ok(Bytes::from_static(b"\0\0\0\x0cftypisom")), stalled]));
    let headers = [("upload-offset", "0"), ("content-type", "application/offset+octet-stream")];
    let broke_off = tus(&bed, "PATCH", &address, &headers, body).await;
    assert_eq!(broke_off.status(), StatusCode::SERVICE_UNAVAILABLE, "a status that clients try again at");
    let known = tus(&bed, "HEAD", &address, &[], Body::empty()).await;
    assert_eq!((known.status(), said(&known, "upload-offset")), (StatusCode::OK, "12"));
}

#[tokio::test]
async fn every_answer_speaks_the_protocol_and_tells_what_was_said() {
    let bed = Bed::new().await;
    let metadata = "filename ZmlsbS5tcDQ=,is_confidential";
    let made = announce(&bed, metadata).await;
    let address = said(&made, "location").to_owned();
    let known = tus(&bed, "HEAD", &address, &[], Body::empty()).await;
    assert_eq!((known.status(), said(&known, "upload-metadata")), (StatusCode::OK, metadata));
    assert_eq!(said(&announce(&bed, &format!("title {}", "QUFB".repeat(3_000))).await, "location"), "", "too long");
    for (token, status) in [("Bearer wrong", StatusCode::UNAUTHORIZED), ("", StatusCode::UNAUTHORIZED)] {
        let refused = tus(&bed, "HEAD", &address, &[("authorization", token)], Body::empty()).await;
        assert_eq!((refused.status(), said(&refused, "tus-resumable")), (status, "1.0.0"));
    }
}

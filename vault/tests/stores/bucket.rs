//! What only a bucket does: parts, signatures, checksums.

use crate::kit::store::{Skills, Store};
use crate::kit::{Scene, key, noise, open, read, source};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use vault::{Digest, Error, Fault, Secret};

/// More than one request carries, and no whole number of parts.
const LARGE: usize = 68 << 20;

#[tokio::test]
async fn a_large_file_goes_in_parts_and_is_read_back_where_nobody_knows_its_checksum() {
    for checksums in [true, false] {
        let scene = Scene::start_with(Store::start_with(Skills { checksums, lists_uploads: true }).await).await;
        let vault = scene.vault().await;
        let (object, file) = (key("rec/large.mp4"), scene.source("file", LARGE));
        let receipt = vault.put_file(&object, "video/mp4", &file).await.unwrap();
        assert_eq!(receipt.digest(), file.digest);
        assert_eq!(Digest::of(&scene.stored(&object)), file.digest);
        assert_eq!((scene.store.uploads(), scene.store.parts()), (0, 0));
        assert_eq!(std::fs::read_dir(scene.folder.path().join("notes")).unwrap().count(), 0);
        let tail = LARGE as u64 - 9;
        assert_eq!(read(&vault, &object, tail..u64::MAX / 2).await.unwrap(), noise(LARGE)[LARGE - 9..]);
    }
}

#[tokio::test]
async fn a_large_file_that_is_damaged_is_not_put_together() {
    let scene = Scene::start().await;
    let vault = scene.vault().await;
    let mut file = scene.source("file", LARGE);
    file.digest.crc32 ^= 1;
    let error = vault.put_file(&key("rec/large.mp4"), "video/mp4", &file).await.unwrap_err();
    assert!(matches!(error, Error::SourceDamaged { .. }), "{error}");
    assert_eq!((scene.store.uploads(), scene.store.parts()), (0, 0));
    assert_eq!(vault.head(&key("rec/large.mp4")).await.unwrap(), None);
}

#[tokio::test]
async fn a_signed_address_works_for_anybody_and_another_one_does_not() {
    let scene = Scene::start().await;
    let vault = scene.vault().await;
    let (object, other) = (key("rec/größe 1.mp4"), key("rec/2.mp4"));
    for object in [&object, &other] {
        vault
            .put_file(object, "video/mp4", &source(scene.folder.path(), "file", object.as_str().as_bytes()))
            .await
            .unwrap();
    }
    let url = vault.signed_url(&object, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(get(&url).await, (StatusCode::OK, object.as_str().as_bytes().to_vec()));
    // It ends with the signature.
    let path = Uri::try_from(&url).unwrap().path().to_owned();
    for tampered in [
        url.replace(&path, "/recordings/weir/node-1/rec/2.mp4"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=86400"),
        format!("{}{}", &url[..url.len() - 1], if url.ends_with('0') { '1' } else { '0' }),
        url.split('?').next().unwrap().to_owned(),
    ] {
        assert_ne!(tampered, url);
        assert_eq!(get(&tampered).await.0, StatusCode::FORBIDDEN, "{tampered}");
    }
}

#[tokio::test]
async fn wrong_keys_are_told_apart_and_asked_for_once() {
    let scene = Scene::start().await;
    let mut config = scene.config();
    let keys = config.credentials.as_mut().unwrap();
    keys.secret_access_key = Secret::new("not-it");
    let error = open(config.clone()).await.check().await.unwrap_err();
    assert!(error.to_string().contains("the secret access key is wrong"), "{error}");
    assert_eq!((error.fault(), error.is_retryable(), scene.proxy.requests()), (Fault::Operator, false, 1));

    config.credentials.as_mut().unwrap().access_key_id = "AKIDSOMEBODY".into();
    let error = open(config).await.check().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && scene.proxy.requests() == 2, "{error}");
}

#[tokio::test]
async fn uploads_keep_to_their_cap() {
    let scene = Scene::start().await;
    let mut config = scene.config();
    config.upload_bps_max = Some(8_000_000);
    let (vault, began) = (open(config).await, Instant::now());
    vault.put_file(&key("rec/1"), "video/mp4", &scene.source("file", 1_000_000)).await.unwrap();
    // A second's worth, of which the last chunk does not wait for its own time.
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
}

/// As a browser would.
async fn get(url: &str) -> (StatusCode, Vec<u8>) {
    let uri: Uri = url.parse().unwrap();
    let authority = uri.authority().unwrap().clone();
    let socket = TcpStream::connect(authority.as_str()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let target = uri.path_and_query().unwrap().as_str();
    let request = Request::get(target).header("host", authority.as_str()).body(Empty::<&[u8]>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

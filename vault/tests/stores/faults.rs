//! Networks and stores on their bad days.

use crate::kit::proxy::{Fault, SKEW};
use crate::kit::store::{Skills, Store};
use crate::kit::{Scene, key, noise, open, read, source};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use vault::{Digest, Error};

const SMALL: usize = 300_000;
/// A file above what one request carries.
const LARGE: usize = 68 << 20;

#[tokio::test]
async fn a_byte_flipped_on_the_way_is_caught_although_the_answer_is_200() {
    for checksums in [true, false] {
        let scene = Scene::start_with(Store::start_with(Skills { checksums, lists_uploads: true }).await).await;
        let vault = scene.vault().await;
        let (object, file) = (key("rec/1.m4s"), scene.source("file", SMALL));
        scene.proxy.set(Fault::Flip);
        let error = vault.put_file(&object, "video/mp4", &file).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }) && error.is_retryable(), "{error}");
        assert_ne!(Digest::of(&scene.stored(&object)), file.digest, "the store did take it");
        // Nothing else gives a receipt for it either.
        assert!(matches!(vault.verify(&object, file.digest).await, Err(Error::Mismatch { .. })));

        scene.proxy.set(Fault::None);
        assert_eq!(vault.put_file(&object, "video/mp4", &file).await.unwrap().digest(), file.digest);
    }
}

#[tokio::test]
async fn a_byte_flipped_in_a_part_is_caught() {
    let scene = Scene::start().await;
    let vault = scene.vault().await;
    scene.proxy.set_times(Fault::Flip, 1);
    let error = vault.put_file(&key("rec/1.mp4"), "video/mp4", &scene.source("file", LARGE)).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_about_another_version_proves_nothing_and_the_object_is_read() {
    let scene = Scene::start().await;
    let (vault, file) = (scene.vault().await, scene.source("file", SMALL));
    scene.proxy.set(Fault::WrongEtag);
    vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap();
    // PUT, HEAD, GET.
    assert_eq!(scene.proxy.requests(), 3);
}

#[tokio::test]
async fn an_upload_cut_in_the_middle_is_made_again() {
    let scene = Scene::start().await;
    let vault = scene.vault().await;
    scene.proxy.set_times(Fault::CutUpload(100_000), 2);
    let file = scene.source("file", SMALL);
    vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap();
    assert_eq!(Digest::of(&scene.stored(&key("rec/1"))), file.digest);

    // Of a large object only the part.
    let before = scene.proxy.uploaded();
    scene.proxy.set_times(Fault::CutUpload(1 << 20), 1);
    let large = scene.source("large", LARGE);
    vault.put_file(&key("rec/large"), "video/mp4", &large).await.unwrap();
    let wasted = scene.proxy.uploaded() - before - LARGE as u64;
    assert!(wasted < 4 << 20, "{wasted} bytes were sent twice");
}

#[tokio::test]
async fn a_download_cut_in_the_middle_goes_on_where_it_was() {
    let scene = Scene::start().await;
    let (vault, bytes) = (scene.vault().await, noise(SMALL));
    vault.put_file(&key("rec/1"), "video/mp4", &source(scene.folder.path(), "file", &bytes)).await.unwrap();
    scene.proxy.set_times(Fault::CutDownload(100_000), 3);
    assert_eq!(read(&vault, &key("rec/1"), 1..u64::MAX / 2).await.unwrap(), bytes[1..]);
    // But not for ever.
    scene.proxy.set(Fault::CutDownload(0));
    let error = read(&vault, &key("rec/1"), 0..9).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_store_that_asks_for_less_is_asked_a_few_times_and_then_left_to_the_caller() {
    let scene = Scene::start().await;
    let (vault, file) = (scene.vault().await, scene.source("file", SMALL));
    scene.proxy.set_times(Fault::Answer(503, "SlowDown", ""), 2);
    vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap();

    let before = scene.proxy.requests();
    scene.proxy.set(Fault::Answer(503, "SlowDown", ""));
    let error = vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap_err();
    assert!(matches!(error, Error::SlowDown { .. }) && error.is_retryable(), "{error}");
    assert_eq!((error.retry_after(), scene.proxy.requests() - before), (Some(Duration::from_secs(1)), 3));
}

#[tokio::test]
async fn what_the_operator_must_mend_is_asked_for_once_and_told_with_its_cure() {
    let scene = Scene::start().await;
    let (vault, file) = (scene.vault().await, scene.source("file", SMALL));
    for (status, code, says) in [
        (403, "AccessDenied", "allow it s3:PutObject"),
        (403, "InvalidAccessKeyId", "it does not know the access key id"),
        (404, "NoSuchBucket", "there is no bucket \"recordings\""),
        (403, "RequestTimeTooSkewed", "this machine's clock, which is 1200 s behind the store's"),
        (400, "InvalidStorageClass", "look at the storage class"),
    ] {
        let before = scene.proxy.requests();
        scene.proxy.set(Fault::Answer(status, code, SKEW));
        let error = vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap_err();
        assert!(error.to_string().contains(says) && !error.is_retryable(), "{error}");
        assert_eq!(scene.proxy.requests() - before, 1, "{code} was asked again");
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_named_with_its_address() {
    let scene = Scene::start().await;
    let mut config = scene.config();
    // A port that was free a moment ago, and nobody listens at.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    config.endpoint = Some(format!("http://{free}"));
    let error = open(config).await.check().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&free.to_string()) && error.to_string().contains("refused"), "{error}");

    let mut config = scene.config();
    config.endpoint = Some("http://store.invalid:9000".into());
    let error = open(config).await.check().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused_by_name() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = acceptor.accept(socket).await;
        }
    });
    let scene = Scene::start().await;
    let mut config = scene.config();
    config.endpoint = Some(format!("https://localhost:{port}"));
    let error = open(config).await.check().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    server.abort();
}

/// Takes as long as a transfer may stand still.
#[tokio::test]
async fn a_transfer_that_stands_still_is_cut_and_made_again() {
    let upload = async {
        let scene = Scene::start().await;
        let vault = scene.vault().await;
        scene.proxy.set_times(Fault::StallUpload, 1);
        let file = scene.source("file", 32 << 20);
        vault.put_file(&key("rec/1"), "video/mp4", &file).await.unwrap();
        assert_eq!(Digest::of(&scene.stored(&key("rec/1"))), file.digest);
    };
    let download = async {
        let scene = Scene::start().await;
        let (vault, bytes) = (scene.vault().await, noise(SMALL));
        vault.put_file(&key("rec/1"), "video/mp4", &source(scene.folder.path(), "file", &bytes)).await.unwrap();
        scene.proxy.set_times(Fault::StallDownload, 1);
        assert_eq!(read(&vault, &key("rec/1"), 0..u64::MAX / 2).await.unwrap(), bytes);
    };
    tokio::join!(upload, download);
}

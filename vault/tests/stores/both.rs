//! What holds for every vault, whatever it is made of.

use crate::kit::{Scene, key, noise, open, read, source};
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;
use vault::{Config, Digest, Error, Fault, Page, Source, Vault};

async fn directory(folder: &Path) -> Vault {
    Vault::open(Config::Directory { path: folder.join("vault") }).await.unwrap()
}

/// Runs what should hold with a directory and with a bucket.
async fn check<F: Future<Output = ()>>(holds: impl Fn(Vault, std::path::PathBuf) -> F) {
    let folder = tempfile::tempdir().unwrap();
    holds(directory(folder.path()).await, folder.path().to_owned()).await;
    let scene = Scene::start().await;
    holds(scene.vault().await, scene.folder.path().to_owned()).await;
}

#[tokio::test]
async fn what_was_put_is_what_is_got() {
    check(|vault, folder| async move {
        let bytes = noise(700_000);
        let (whole, part) = (key("rec/7/whole.mp4"), key("rec/7/part.mp4"));
        let file = source(&folder, "file", &bytes);
        let receipt = vault.put_file(&whole, "video/mp4", &file).await.unwrap();
        assert_eq!((receipt.key(), receipt.digest()), (&whole, Digest::of(&bytes)));

        let middle = Source { offset: 1000, digest: Digest::of(&bytes[1000..301_000]), ..file };
        vault.put_file(&part, "video/mp4", &middle).await.unwrap();
        assert_eq!(read(&vault, &whole, 0..u64::MAX / 2).await.unwrap(), bytes);
        assert_eq!(read(&vault, &whole, 5..400_005).await.unwrap(), bytes[5..400_005]);
        assert_eq!(read(&vault, &part, 0..300_000).await.unwrap(), bytes[1000..301_000]);
        assert_eq!(read(&vault, &part, 9..9).await.unwrap(), b"");

        let known = vault.head(&whole).await.unwrap().unwrap();
        assert_eq!((known.size_bytes, known.modified.is_some()), (700_000, true));
        assert_eq!(vault.verify(&whole, Digest::of(&bytes)).await.unwrap(), receipt);
        let wrong = Digest { crc32: 7, ..Digest::of(&bytes) };
        assert!(matches!(vault.verify(&whole, wrong).await, Err(Error::Mismatch { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_put_again_holds_what_came_last() {
    check(|vault, folder| async move {
        let object = key("rec/index.json");
        let file = source(&folder, "file", b"from a file");
        for _ in 0..2 {
            vault.put_file(&object, "application/json", &file).await.unwrap();
            assert_eq!(read(&vault, &object, 0..99).await.unwrap(), b"from a file");
        }
        vault.put_bytes(&object, "application/json", Bytes::from_static(b"")).await.unwrap();
        assert_eq!(vault.head(&object).await.unwrap().unwrap().size_bytes, 0);
        vault.put_bytes(&object, "application/json", Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(read(&vault, &object, 0..99).await.unwrap(), b"{}");
        assert_eq!(std::fs::read(&file.path).unwrap(), b"from a file", "the source stays as it was");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_the_askers_to_deal_with() {
    check(|vault, _| async move {
        let object = key("rec/none");
        assert_eq!(vault.head(&object).await.unwrap(), None);
        let missing = read(&vault, &object, 0..9).await.unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }) && missing.fault() == Fault::Caller, "{missing}");
        assert!(matches!(vault.verify(&object, Digest::of(b"x")).await, Err(Error::NotFound { .. })));
        vault.delete(&object).await.unwrap();

        vault.put_bytes(&object, "text/plain", Bytes::from_static(b"0123")).await.unwrap();
        let behind = read(&vault, &object, 4..9).await.unwrap_err();
        assert!(matches!(behind, Error::OutOfRange { first: 4, last: 9, .. }), "{behind}");
        assert_eq!(vault.list(Some(&key("no/such")), None).await.unwrap(), Page::default());
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_gone_or_damaged_is_not_put() {
    check(|vault, folder| async move {
        let object = key("rec/1");
        let good = source(&folder, "file", b"0123456789");
        let gone = Source { path: folder.join("gone"), ..good.clone() };
        let short = Source { digest: Digest::of(b"0123456789ab"), ..good.clone() };
        let damaged = Source { digest: Digest::of(b"0123456780"), ..good.clone() };
        let link = folder.join("link");
        std::os::unix::fs::symlink(&good.path, &link).unwrap();
        let link = Source { path: link, ..good };
        for (bad, says) in [(gone, "gone"), (short, "no longer holds"), (damaged, "no longer holds"), (link, "link")] {
            let error = vault.put_file(&object, "text/plain", &bad).await.unwrap_err();
            assert!(error.to_string().contains(says) && error.fault() == Fault::Caller, "{error}");
        }
        assert_eq!(vault.head(&object).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn listing_and_deleting_below_a_key_leave_its_namesakes_alone() {
    check(|vault, _| async move {
        let names = ["rec/7-b", "rec/7/a-b", "rec/7/a/1", "rec/7/z", "rec/70", "rec/8/x", "rec/9"];
        for name in names {
            vault.put_bytes(&key(name), "text/plain", Bytes::from_static(b"x")).await.unwrap();
        }
        let below = async |name: Option<&str>| {
            let page = vault.list(name.map(key).as_ref(), None).await.unwrap();
            page.objects.iter().map(|object| object.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(below(None).await, names);
        assert_eq!(below(Some("rec/7")).await, ["rec/7/a-b", "rec/7/a/1", "rec/7/z"]);
        assert_eq!(vault.delete_below(&key("rec/7")).await.unwrap(), 3);
        assert_eq!(below(None).await, ["rec/7-b", "rec/70", "rec/8/x", "rec/9"]);
        assert_eq!(vault.delete_below(&key("rec/7")).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn many_objects_come_page_by_page_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("vault");
    for group in 0..11 {
        std::fs::create_dir_all(root.join(format!("rec/{group}"))).unwrap();
        for number in 0..100 {
            std::fs::write(root.join(format!("rec/{group}/{number}")), b"").unwrap();
        }
    }
    let vault = directory(folder.path()).await;
    let first = vault.list(None, None).await.unwrap();
    let second = vault.list(None, first.next.as_deref()).await.unwrap();
    assert_eq!((first.objects.len(), second.objects.len(), &second.next), (1000, 100, &None));
    let all: Vec<&str> = first.objects.iter().chain(&second.objects).map(|object| object.key.as_str()).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(vault.delete_below(&key("rec")).await.unwrap(), 1100);
    assert!(!root.join("rec").exists(), "empty folders go with their objects");
}

#[tokio::test]
async fn a_working_vault_passes_its_check_and_keeps_nothing_of_it() {
    check(|vault, _| async move {
        vault.check().await.unwrap();
        assert_eq!(vault.list(None, None).await.unwrap(), Page::default());
    })
    .await;
}

#[tokio::test]
async fn only_a_bucket_signs_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let vault = directory(folder.path()).await;
    assert_eq!(vault.signed_url(&key("rec/1"), Duration::from_secs(60)).await.unwrap(), None);
}

#[tokio::test]
async fn settings_no_store_can_have_are_refused_before_anything_is_asked() {
    let scene = Scene::start().await;
    let mut config = scene.config();
    config.region = String::new();
    let refused = Vault::open(Config::S3(Box::new(config))).await.unwrap_err();
    assert!(refused.to_string().starts_with("region"), "{refused}");
    // With keys of the wrong kind it opens, and the check says so.
    let mut config = scene.config();
    config.bucket = "nowhere".into();
    let missing = open(config).await.check().await.unwrap_err();
    assert!(matches!(missing, Error::NoSuchBucket { .. }), "{missing}");
}

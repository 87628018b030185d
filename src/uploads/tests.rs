use super::*;
use archive::Settings;
use futures_util::stream;
use store::{Act, Actor, Location, StreamPatch, StreamSettings};
use tempfile::TempDir;

const MP4: &[u8] = b"\0\0\0\x0cftypisom and more of it";

struct Bed {
    folder: TempDir,
    archive: Archive,
    store: Store,
}

impl Bed {
    async fn new(quota_bytes: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { quota_bytes, reserve_bytes: 0, ..Settings::default() };
        let archive = Archive::open(&folder.path().join("archive"), settings).unwrap();
        let store = Store::open(&Location::parse("", folder.path()).unwrap()).await.unwrap();
        Self { folder, archive, store }
    }

    fn open(&self, limits: Limits) -> Arc<Uploads> {
        let folder = self.folder.path().join("uploads");
        Arc::new(Uploads::open(folder, limits, (self.archive.clone(), self.store.clone(), 1)).unwrap())
    }
}

const LIMITS: Limits = Limits { bytes_max: 1 << 20, uploads_max: 2, idle_max: Duration::from_secs(3_600) };

fn wish(size: u64) -> Wish {
    let (stream, actor) = ("uploads".to_owned(), "127.0.0.1".to_owned());
    Wish { size, title: "A film".into(), stream, visibility: None, actor, metadata: "title QSBmaWxt".into() }
}

fn pieces(data: &[u8]) -> impl Stream<Item = Result<Bytes, ()>> + Send + use<> {
    stream::iter([Ok(Bytes::copy_from_slice(data))])
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(LIMITS);
    let id = uploads.create(wish(MP4.len() as u64)).await.unwrap().id;
    assert_eq!(uploads.append(&id, 0, pieces(&MP4[..10])).await.unwrap().offset, 10);
    let broken = stream::iter([Ok(Bytes::from_static(&MP4[10..15])), Err(())]);
    assert!(matches!(uploads.append(&id, 10, broken).await, Err(Refused::BrokeOff)));
    assert_eq!(uploads.show(&id).unwrap().offset, 15, "what came before it broke off is kept");
    drop(uploads);
    let uploads = bed.open(LIMITS);
    let facts = uploads.show(&id).unwrap();
    assert_eq!((facts.offset, facts.title.as_str(), facts.metadata.as_str()), (15, "A film", "title QSBmaWxt"));
    assert!(matches!(uploads.append(&id, 10, pieces(b"x")).await, Err(Refused::Elsewhere { at: 15 })));
    let whole = uploads.append(&id, 15, pieces(&MP4[15..])).await.unwrap();
    assert_eq!((whole.offset, whole.expires_ms), (MP4.len() as u64, None));
    let media = std::fs::read(bed.folder.path().join(format!("uploads/{id}.part"))).unwrap();
    assert_eq!(media, MP4);
    let row = bed.store.recording(&id).await.unwrap().expect("its recording");
    assert!(row.is_import());
    assert!(matches!(uploads.remove(&id).await, Err(Refused::Whole)));
}

#[tokio::test]
async fn a_file_whose_request_breaks_off_behind_its_last_byte_is_whole_and_has_its_recording() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(LIMITS);
    let id = uploads.create(wish(MP4.len() as u64)).await.unwrap().id;
    let broken = stream::iter([Ok(Bytes::from_static(MP4)), Err(())]);
    assert!(matches!(uploads.append(&id, 0, broken).await, Err(Refused::BrokeOff)));
    assert_eq!(uploads.show(&id).unwrap().expires_ms, None, "it is whole");
    assert!(bed.store.recording(&id).await.unwrap().expect("its recording").is_import());
}

#[tokio::test]
async fn a_file_for_a_stream_that_is_closed_or_gone_becomes_no_more_open_than_that_was() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(Limits { uploads_max: 4, ..LIMITS });
    let add = async |name: &str| {
        let act = Act::AddStream { name: name.into(), settings: StreamSettings::default() };
        bed.store.perform(&Actor::Server, &act, now_ms()).await.unwrap();
    };
    let close = async |name: &str| {
        let patch = StreamPatch { visibility: Some(Visibility::Private), ..StreamPatch::default() };
        let act = Act::SetStream { name: name.into(), patch };
        bed.store.perform(&Actor::Server, &act, now_ms()).await.unwrap();
    };
    let send = async |stream: &str, chosen: Option<Visibility>| {
        let asked = Wish { stream: stream.into(), visibility: chosen, ..wish(MP4.len() as u64) };
        uploads.create(asked).await.unwrap().id
    };
    let seen = async |id: &str| bed.store.recording(id).await.unwrap().expect("its recording").details.visibility;
    add("board").await;
    close("board").await;
    let (gone, chosen) = (send("board", None).await, send("board", Some(Visibility::Public)).await);
    let remove = Act::RemoveStream { name: "board".into() };
    bed.store.perform(&Actor::Server, &remove, now_ms()).await.unwrap();
    for id in [&gone, &chosen] {
        uploads.append(id, 0, pieces(MP4)).await.unwrap();
    }
    assert_eq!((seen(&gone).await, seen(&chosen).await), (Visibility::Private, Visibility::Public));
    // One that waits for its import while its stream is closed.
    add("open").await;
    let waits = send("open", None).await;
    uploads.append(&waits, 0, pieces(MP4)).await.unwrap();
    assert_eq!(seen(&waits).await, Visibility::Public);
    close("open").await;
    assert_eq!(seen(&waits).await, Visibility::Private);
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_writes() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(LIMITS);
    let id = uploads.create(wish(64)).await.unwrap().id;
    let (sender, first) = tokio::sync::mpsc::channel::<Result<Bytes, ()>>(1);
    let first = stream::unfold(first, |mut first| async move { Some((first.recv().await?, first)) });
    let writer = tokio::spawn({
        let (uploads, id) = (Arc::clone(&uploads), id.clone());
        async move { uploads.append(&id, 0, first).await.map(|facts| facts.offset) }
    });
    // The second one can only be sent when the first is taken, and that is when the writer writes.
    for _ in 0..3 {
        sender.send(Ok(Bytes::from_static(&MP4[..16]))).await.unwrap();
    }
    assert!(matches!(uploads.append(&id, 0, pieces(MP4)).await, Err(Refused::Busy)));
    assert!(matches!(uploads.remove(&id).await, Err(Refused::Busy)));
    drop(sender);
    assert_eq!(writer.await.unwrap().unwrap(), 48);
}

/// As a connection over which HTTP/2 resets the stream: the handler is dropped, and only then the body breaks off.
#[tokio::test]
async fn what_came_is_kept_when_nobody_waits_for_the_answer_any_more() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(LIMITS);
    let id = uploads.create(wish(64)).await.unwrap().id;
    let (sender, body) = tokio::sync::mpsc::channel::<Result<Bytes, ()>>(1);
    let body = stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    let handler = tokio::spawn({
        let (uploads, id) = (Arc::clone(&uploads), id.clone());
        async move { uploads.append(&id, 0, body).await.map(|facts| facts.offset) }
    });
    for _ in 0..3 {
        sender.send(Ok(Bytes::from_static(&MP4[..16]))).await.unwrap();
    }
    handler.abort();
    assert!(handler.await.unwrap_err().is_cancelled());
    assert!(matches!(uploads.append(&id, 0, pieces(MP4)).await, Err(Refused::Busy)), "it is written to the end first");
    sender.send(Err(())).await.expect("somebody who still reads the body");
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while let Err(Refused::Busy) = uploads.append(&id, 1, pieces(MP4)).await {
            tokio::task::yield_now().await;
        }
    });
    ended.await.expect("the pen to be free");
    assert_eq!(uploads.show(&id).unwrap().offset, 48);
    assert_eq!(std::fs::metadata(bed.folder.path().join(format!("uploads/{id}.part"))).unwrap().len(), 48);
}

#[tokio::test]
async fn limits_are_told_in_words() {
    let bed = Bed::new(Some(1 << 20)).await;
    let uploads = bed.open(LIMITS);
    let large = uploads.create(wish(10 << 30)).await.unwrap_err().to_string();
    assert!(large.starts_with("The file has 10737418240 bytes, and at most 1048576 are taken"), "{large}");
    assert!(matches!(uploads.create(wish(0)).await, Err(Refused::Empty)));
    let much = uploads.create(wish(600 << 10)).await.unwrap_err();
    assert!(matches!(much, Refused::NoRoom { needed: 2 }), "the file and the recording are over the quota: {much}");
    let id = uploads.create(wish(100)).await.unwrap().id;
    assert_eq!(bed.archive.usage().bytes, 100, "it counts from the start");
    let other = uploads.create(wish(100)).await.unwrap().id;
    assert!(matches!(uploads.create(wish(100)).await, Err(Refused::TooMany { most: 2 })));
    let long = [MP4, &[0; 100]].concat();
    assert!(matches!(uploads.append(&id, 0, pieces(&long)).await, Err(Refused::Longer)));
    uploads.remove(&id).await.unwrap();
    assert_eq!(bed.archive.usage().bytes, 100, "the other one");
    assert!(matches!(uploads.show(&id), Err(Refused::Unknown)));
    assert_eq!(std::fs::read_dir(bed.folder.path().join("uploads")).unwrap().count(), 2);
    assert!(matches!(uploads.append(&other, 0, pieces(b"Dear diary")).await, Err(Refused::NotMp4)));
    assert_eq!(bed.archive.usage().bytes, 0, "what is no film is not kept");
    assert_eq!(std::fs::read_dir(bed.folder.path().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_that_was_imported_is_still_told_of_for_a_while() {
    let bed = Bed::new(None).await;
    let limits = Limits { uploads_max: 200, ..LIMITS };
    let uploads = bed.open(limits);
    let mut ids = Vec::new();
    for _ in 0..=ENDED_MAX {
        let id = uploads.create(wish(MP4.len() as u64)).await.unwrap().id;
        let facts = uploads.append(&id, 0, pieces(MP4)).await.unwrap();
        uploads.remember(facts.clone());
        uploads.discard(&uploads.find(&id).unwrap()).await.unwrap();
        assert_eq!(uploads.show(&id).unwrap(), facts, "as the answer that was lost had it");
        ids.push(id);
    }
    assert!(matches!(uploads.show(&ids[0]), Err(Refused::Unknown)), "not for ever");
    assert!(uploads.show(&ids[1]).is_ok() && uploads.list().is_empty());
}

#[tokio::test]
async fn room_is_asked_for_all_files_and_the_largest_once_more() {
    let bed = Bed::new(Some(1 << 20)).await;
    let uploads = bed.open(LIMITS);
    uploads.create(wish(400 << 10)).await.unwrap();
    let much = uploads.create(wish(230 << 10)).await.unwrap_err();
    assert!(matches!(much, Refused::NoRoom { needed: 1 }), "400, 230 and 400 KiB are over the quota: {much}");
    uploads.create(wish(220 << 10)).await.unwrap();
}

#[tokio::test]
async fn what_is_whole_is_not_given_up_and_what_is_written_to_is_not_either() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(Limits { uploads_max: 3, idle_max: Duration::ZERO, ..LIMITS });
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(uploads.create(wish(MP4.len() as u64)).await.unwrap().id);
    }
    uploads.append(&ids[0], 0, pieces(MP4)).await.unwrap();
    let pen = Arc::clone(&uploads.find(&ids[1]).unwrap().pen).try_lock_owned().unwrap();
    uploads.give_up().await;
    assert_eq!(ids.iter().map(|id| uploads.show(id).is_ok()).collect::<Vec<_>>(), [true, true, false]);
    drop(pen);
    uploads.give_up().await;
    assert!(matches!(uploads.show(&ids[1]), Err(Refused::Unknown)));
}

#[tokio::test]
async fn what_is_on_its_way_goes_on_when_no_more_is_taken_and_ends_when_it_did_before_a_restart() {
    let bed = Bed::new(None).await;
    let uploads = bed.open(LIMITS);
    let [old, young] =
        [uploads.create(wish(64)).await.unwrap().id, uploads.create(wish(MP4.len() as u64)).await.unwrap().id];
    uploads.append(&old, 0, pieces(MP4)).await.unwrap();
    uploads.append(&young, 0, pieces(&MP4[..10])).await.unwrap();
    drop(uploads);
    let media = std::fs::File::options().write(true).open(bed.folder.path().join(format!("uploads/{old}.part")));
    media.unwrap().set_modified(std::time::SystemTime::now() - 2 * LIMITS.idle_max).unwrap();
    let uploads = bed.open(Limits { bytes_max: 0, ..LIMITS });
    assert!(matches!(uploads.create(wish(64)).await, Err(Refused::Closed)));
    assert!(uploads.show(&old).unwrap().expires_ms.unwrap() < now_ms(), "a start is no byte that came");
    uploads.give_up().await;
    assert!(matches!(uploads.show(&old), Err(Refused::Unknown)));
    let whole = uploads.append(&young, 10, pieces(&MP4[10..])).await.unwrap();
    assert_eq!(whole.expires_ms, None, "the other one is taken to its end");
    uploads.give_up().await;
    assert_eq!(uploads.list().len(), 1);
}

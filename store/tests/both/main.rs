//! Every query of the store on SQLite and on Postgres: each behaviour is written once and run on both.

// An `unwrap` that fails is a test that fails; clippy knows that only inside the test functions themselves.
#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;
mod keeping;
mod library;
mod playback;
mod recordings;
mod targets;
mod viewing;

use bed::Bed;
use std::time::Duration;
use store::{
    Act, Actor, ApiToken, Error, Fault, Latency, Outcome, Previous, RecordingRules, STOP_HOLD, SessionNote, Slate,
    Store, Stream, StreamPatch, StreamSettings, Takeover, Visibility,
};
use tokio_util::sync::CancellationToken;

const NOW_MS: i64 = 1_800_000_000_000;

on_both!(
    a_new_stream_is_listed_with_one_key,
    names_taken_or_malformed_change_nothing,
    an_image_is_shown_from_its_upload_until_its_removal,
    a_key_opens_its_own_stream_alone,
    every_bad_key_gets_the_same_answer,
    rotation_leaves_two_keys_at_most,
    a_rotated_key_can_end_now_or_later,
    a_revoked_key_is_no_key,
    settings_change_one_by_one,
    a_removed_stream_takes_its_keys_and_leaves_its_trace,
    epochs_count_up_over_restarts,
    sequence_numbers_never_go_back,
    an_open_session_is_found_with_its_last_note,
    a_late_note_of_an_old_session_changes_nothing_of_a_new_one,
    a_stop_holds_for_a_minute_or_until_allowed,
    the_keyframe_interval_is_remembered_per_key,
    the_audit_chain_shows_a_changed_row,
    the_audit_chain_shows_a_missing_end,
    changes_of_another_process_show_within_a_second,
    changes_from_many_hands_make_one_chain,
    the_newest_changes_are_read_page_by_page,
    a_sign_in_is_good_until_it_is_idle_old_or_signed_out,
    another_api_token_ends_every_sign_in,
    the_sign_in_used_longest_ago_makes_room,
    two_first_starts_at_once_both_succeed,
    known_keys_work_while_the_database_is_away,
    sessions_begin_and_end_while_the_database_is_away_and_no_number_comes_twice,
    a_newer_database_is_refused,
);

async fn perform(store: &Store, act: Act) -> Result<Outcome, Error> {
    store.perform(&Actor::Cli, &act, NOW_MS).await
}

async fn add(store: &Store, name: &str) -> (Stream, String) {
    let made = perform(store, Act::AddStream { name: name.into(), settings: StreamSettings::default() }).await.unwrap();
    (made.stream, made.key.unwrap().reveal().to_owned())
}

async fn rotate(store: &Store, name: &str, previous: Previous) -> String {
    perform(store, Act::RotateKey { name: name.into(), previous }).await.unwrap().key.unwrap().reveal().to_owned()
}

async fn opens(store: &Store, key: &str, now_ms: i64) -> Option<String> {
    store.verify_key(None, key, now_ms).await.unwrap().map(|m| m.stream.name)
}

async fn a_new_stream_is_listed_with_one_key(bed: Bed) {
    let store = bed.open().await;
    let settings = StreamSettings {
        title: "Grüße, 'world'".into(),
        ladder: Some("480p:900k".into()),
        passthrough: false,
        reconnect_window_s: Some(0),
        takeover: Some(Takeover::Reject),
        slate: Slate::Off,
        latency: Latency::Standard,
        visibility: Visibility::Unlisted,
        recording: RecordingRules::default(),
    };
    let made = perform(&store, Act::AddStream { name: "stage".into(), settings: settings.clone() }).await.unwrap();
    add(&store, "alley").await;

    let listed = store.streams().await.unwrap();
    assert_eq!(listed.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["alley", "stage"]);
    assert_eq!(listed[1], made.stream);
    assert_eq!((&listed[1].settings, listed[1].created_ms, listed[1].next_msn), (&settings, NOW_MS, 0));
    assert_eq!(listed[1].keys.len(), 1);
    assert_eq!(listed[1].keys[0].id, made.key.unwrap().id());
    assert_eq!(store.stream("stage").await.unwrap().as_ref(), Some(&listed[1]));
    assert_eq!(store.stream("nobody").await.unwrap(), None);
}

async fn names_taken_or_malformed_change_nothing(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    for name in ["stage", "Stage", "", "../etc"] {
        let refused = perform(&store, Act::AddStream { name: name.into(), settings: StreamSettings::default() })
            .await
            .unwrap_err();
        assert_eq!(refused.fault(), Fault::Caller, "{name:?}: {refused}");
    }
    let settings = StreamSettings { title: "x".repeat(201), ..StreamSettings::default() };
    let refused = perform(&store, Act::AddStream { name: "other".into(), settings }).await.unwrap_err();
    assert!(matches!(refused, Error::BadSetting { setting: "title", .. }), "{refused}");
    let settings = StreamSettings { reconnect_window_s: Some(301), ..StreamSettings::default() };
    let refused = perform(&store, Act::AddStream { name: "other".into(), settings }).await.unwrap_err();
    assert!(matches!(refused, Error::BadSetting { setting: "reconnect_window_s", .. }), "{refused}");
    assert_eq!(store.streams().await.unwrap().len(), 1);
    assert_eq!(store.audit(0, 100).await.unwrap().len(), 1);
}

async fn an_image_is_shown_from_its_upload_until_its_removal(bed: Bed) {
    let store = bed.open().await;
    let (stage, _) = add(&store, "stage").await;
    add(&store, "alley").await;
    assert_eq!((stage.settings.slate, stage.has_slate_image), (Slate::Last, false));
    let set = async |slate| {
        let patch = StreamPatch { slate: Some(slate), ..StreamPatch::default() };
        perform(&store, Act::SetStream { name: "stage".into(), patch }).await.map(|made| made.stream)
    };
    let refused = set(Slate::Image).await.unwrap_err();
    assert!(matches!(&refused, Error::BadSetting { setting: "slate", why } if why.contains("PUT")), "{refused}");
    let image = |image: Vec<u8>| perform(&store, Act::SetSlate { name: "stage".into(), image });
    for bad in [b"GIF89a".to_vec(), [[0xff, 0xd8].as_slice(), &[0; 1 << 20]].concat()] {
        assert_eq!(image(bad).await.unwrap_err().fault(), Fault::Caller);
    }
    for picture in [[0xff, 0xd8, 0, 255], [0xff, 0xd8, 7, 7]] {
        let after = image(picture.to_vec()).await.unwrap().stream;
        assert_eq!((after.settings.slate, after.has_slate_image), (Slate::Image, true));
        assert_eq!(store.slate_image("stage").await.unwrap(), Some(picture.to_vec()));
    }
    assert_eq!(set(Slate::Off).await.unwrap().settings.slate, Slate::Off);
    assert_eq!(set(Slate::Image).await.unwrap().settings.slate, Slate::Image);
    assert_eq!(store.slate_image("alley").await.unwrap(), None);
    let after = perform(&store, Act::RemoveSlate { name: "stage".into() }).await.unwrap().stream;
    assert_eq!((after.settings.slate, after.has_slate_image), (Slate::Last, false));
    assert_eq!(store.slate_image("stage").await.unwrap(), None);
    image(vec![0xff, 0xd8]).await.unwrap();
    perform(&store, Act::RemoveStream { name: "stage".into() }).await.unwrap();
    add(&store, "stage").await;
    assert_eq!(store.slate_image("stage").await.unwrap(), None, "a new stream of that name has no image");
}

async fn a_key_opens_its_own_stream_alone(bed: Bed) {
    let store = bed.open().await;
    let (stage, key) = add(&store, "stage").await;
    let (_, other) = add(&store, "alley").await;
    let found = store.verify_key(Some("stage"), &key, NOW_MS).await.unwrap().unwrap();
    assert_eq!((found.stream.id, found.key_id), (stage.id, stage.keys[0].id.clone()));
    assert_eq!(store.verify_key(Some("stage"), &other, NOW_MS).await.unwrap(), None);
    assert_eq!(opens(&store, &other, NOW_MS).await.as_deref(), Some("alley"));
}

async fn every_bad_key_gets_the_same_answer(bed: Bed) {
    let store = bed.open().await;
    let (_, key) = add(&store, "stage").await;
    let stranger = store::StreamKey::generate().unwrap();
    let wrong_secret = format!("{}{}", &key[..12], &stranger.reveal()[12..]);
    for bad in [stranger.reveal(), &wrong_secret, "", "stage", "wk_' or 1=1 --", &key[..43]] {
        assert_eq!(store.verify_key(None, bad, NOW_MS).await.unwrap(), None, "{bad:?}");
    }
}

async fn rotation_leaves_two_keys_at_most(bed: Bed) {
    let store = bed.open().await;
    let (_, first) = add(&store, "stage").await;
    let second = rotate(&store, "stage", Previous::Keep).await;
    assert!(opens(&store, &first, NOW_MS).await.is_some() && opens(&store, &second, NOW_MS).await.is_some());
    let third = store
        .perform(&Actor::Cli, &Act::RotateKey { name: "stage".into(), previous: Previous::Keep }, NOW_MS + 1)
        .await
        .unwrap();
    let third = third.key.unwrap();
    assert_eq!(store.stream("stage").await.unwrap().unwrap().keys.len(), 2);
    assert!(opens(&store, third.reveal(), NOW_MS + 1).await.is_some());
    let left = [opens(&store, &first, NOW_MS + 1).await, opens(&store, &second, NOW_MS + 1).await];
    assert_eq!(left.iter().flatten().count(), 1, "one of the two older keys was revoked: {left:?}");
}

async fn a_rotated_key_can_end_now_or_later(bed: Bed) {
    let store = bed.open().await;
    let (_, first) = add(&store, "stage").await;
    let second = rotate(&store, "stage", Previous::Revoke).await;
    assert_eq!(opens(&store, &first, NOW_MS).await, None);
    let third = rotate(&store, "stage", Previous::ExpireAfter(Duration::from_secs(60))).await;
    assert!(opens(&store, &second, NOW_MS + 59_999).await.is_some());
    assert_eq!(opens(&store, &second, NOW_MS + 60_000).await, None);
    assert!(opens(&store, &third, NOW_MS + 60_000).await.is_some());
}

async fn a_revoked_key_is_no_key(bed: Bed) {
    let store = bed.open().await;
    let (stream, key) = add(&store, "stage").await;
    let key_id = stream.keys[0].id.clone();
    assert!(store.key_works(&key_id, NOW_MS).await.unwrap());
    let revoke = Act::RevokeKey { name: "stage".into(), key_id: key_id.clone() };
    assert!(perform(&store, revoke.clone()).await.unwrap().stream.keys.is_empty());
    assert_eq!(opens(&store, &key, NOW_MS).await, None);
    assert!(!store.key_works(&key_id, NOW_MS).await.unwrap());
    assert!(matches!(perform(&store, revoke).await.unwrap_err(), Error::NoSuchKey { .. }));
}

async fn settings_change_one_by_one(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    let set =
        async |patch| perform(&store, Act::SetStream { name: "stage".into(), patch }).await.unwrap().stream.settings;
    let titled =
        set(StreamPatch { title: Some("Evening".into()), ladder: Some(Some("none".into())), ..StreamPatch::default() })
            .await;
    assert_eq!((titled.title.as_str(), titled.ladder.as_deref(), titled.passthrough), ("Evening", Some("none"), true));
    let back = set(StreamPatch { ladder: Some(None), passthrough: Some(false), ..StreamPatch::default() }).await;
    assert_eq!(back, StreamSettings { title: "Evening".into(), passthrough: false, ..StreamSettings::default() });
    let window = set(StreamPatch { reconnect_window_s: Some(Some(5)), ..StreamPatch::default() }).await;
    assert_eq!((window.reconnect_window_s, window.takeover), (Some(5), None));
    let takeover = set(StreamPatch { takeover: Some(Some(Takeover::Reject)), ..StreamPatch::default() }).await;
    assert_eq!((takeover.reconnect_window_s, takeover.takeover), (Some(5), Some(Takeover::Reject)));
    let both = StreamPatch { reconnect_window_s: Some(None), takeover: Some(None), ..StreamPatch::default() };
    assert_eq!(set(both).await, back);
    let missing =
        perform(&store, Act::SetStream { name: "nobody".into(), patch: StreamPatch::default() }).await.unwrap_err();
    assert!(matches!(missing, Error::NoSuchStream { .. }), "{missing}");
}

async fn a_removed_stream_takes_its_keys_and_leaves_its_trace(bed: Bed) {
    let store = bed.open().await;
    let (_, key) = add(&store, "stage").await;
    perform(&store, Act::StopStream { name: "stage".into() }).await.unwrap();
    perform(&store, Act::RemoveStream { name: "stage".into() }).await.unwrap();
    assert_eq!((opens(&store, &key, NOW_MS).await, store.streams().await.unwrap()), (None, vec![]));
    let (_, again) = add(&store, "stage").await;
    assert_eq!(
        (opens(&store, &key, NOW_MS).await, opens(&store, &again, NOW_MS).await.as_deref()),
        (None, Some("stage"))
    );
    let acts: Vec<String> = store.audit(0, 100).await.unwrap().into_iter().map(|row| row.act).collect();
    assert_eq!(acts, ["stream.add", "stream.stop", "stream.remove", "stream.add"]);
}

async fn epochs_count_up_over_restarts(bed: Bed) {
    for expected in 1..=3 {
        let store = bed.open().await;
        assert_eq!(store.is_new().await.unwrap(), expected == 1);
        assert_eq!(store.next_epoch(NOW_MS).await.unwrap(), expected);
        store.close().await;
    }
}

fn note(stream: &Stream, session: &str, next_msn: u64) -> SessionNote {
    SessionNote {
        stream_id: stream.id.clone(),
        session: session.into(),
        next_msn,
        discontinuities: next_msn / 2,
        seen_ms: NOW_MS + next_msn as i64,
        plan: Some(format!("plan at {next_msn}")),
    }
}

async fn sequence_numbers_never_go_back(bed: Bed) {
    let store = bed.open().await;
    let (stream, _) = add(&store, "stage").await;
    assert_eq!(store.open_session(&stream.id, "s1", NOW_MS).await.unwrap(), 0);
    store.note_session(&note(&stream, "s1", 7));
    store.note_session(&SessionNote { seen_ms: NOW_MS + 9, ..note(&stream, "s1", 3) });
    settled(&store).await;
    store.close().await;

    let store = bed.open().await;
    let found = store.stream("stage").await.unwrap().unwrap();
    let session = found.session.unwrap();
    assert_eq!((found.next_msn, session.id.as_str(), session.seen_ms), (7, "s1", NOW_MS + 9));
    store.close_session(&stream.id, "s1", 0);
    settled(&store).await;
    assert_eq!(store.stream("stage").await.unwrap().unwrap().session, None);
    assert_eq!(store.open_session(&stream.id, "s2", NOW_MS).await.unwrap(), 7);
    assert!(store.open_session("nobody", "s3", NOW_MS).await.is_err());
}

async fn an_open_session_is_found_with_its_last_note(bed: Bed) {
    let store = bed.open().await;
    let (stage, _) = add(&store, "stage").await;
    let (alley, _) = add(&store, "alley").await;
    store.open_session(&stage.id, "s1", NOW_MS).await.unwrap();
    store.note_session(&note(&stage, "s1", 6));
    store.note_session(&note(&stage, "s1", 8));
    store.open_session(&alley.id, "a1", NOW_MS).await.unwrap();
    settled(&store).await;
    store.close().await;

    let store = bed.open().await;
    let open = store.open_sessions().await.unwrap();
    assert_eq!(open.iter().map(|o| o.stream.name.as_str()).collect::<Vec<_>>(), ["alley", "stage"]);
    assert_eq!((open[0].note.plan.as_deref(), open[0].note.seen_ms), (None, NOW_MS), "opened and never noted");
    assert_eq!(open[1].note, note(&stage, "s1", 8));
    store.close_session(&stage.id, "s1", 0);
    settled(&store).await;
    assert_eq!(store.open_sessions().await.unwrap().len(), 1);
}

async fn a_late_note_of_an_old_session_changes_nothing_of_a_new_one(bed: Bed) {
    let store = bed.open().await;
    let (stage, _) = add(&store, "stage").await;
    store.open_session(&stage.id, "s1", NOW_MS).await.unwrap();
    store.note_session(&note(&stage, "s1", 4));
    assert_eq!(store.open_session(&stage.id, "s2", NOW_MS).await.unwrap(), 4);
    store.note_session(&note(&stage, "s1", 6));
    store.close_session(&stage.id, "s1", 0);
    settled(&store).await;
    let open = store.open_sessions().await.unwrap().remove(0).note;
    assert_eq!((open.session.as_str(), open.plan, open.discontinuities, open.seen_ms), ("s2", None, 0, NOW_MS));
    assert_eq!(open.next_msn, 6, "a number in use stays in use, whoever used it");
}

async fn a_stop_holds_for_a_minute_or_until_allowed(bed: Bed) {
    let store = bed.open().await;
    let (_, key) = add(&store, "stage").await;
    let stopped = perform(&store, Act::StopStream { name: "stage".into() }).await.unwrap().stream;
    assert_eq!(stopped.stopped_until_ms, Some(NOW_MS + STOP_HOLD.as_millis() as i64));
    let found = store.verify_key(None, &key, NOW_MS).await.unwrap().unwrap();
    assert_eq!(found.stream.stopped_until_ms, stopped.stopped_until_ms, "the door sees it with the key");
    let allowed = perform(&store, Act::AllowStream { name: "stage".into() }).await.unwrap().stream;
    assert_eq!(allowed.stopped_until_ms, None);
    let missing = perform(&store, Act::AllowStream { name: "nobody".into() }).await.unwrap_err();
    assert!(matches!(missing, Error::NoSuchStream { .. }), "{missing}");
    let acts: Vec<String> = store.audit(0, 100).await.unwrap().into_iter().map(|row| row.act).collect();
    assert_eq!(acts, ["stream.add", "stream.stop", "stream.allow"]);
}

async fn the_keyframe_interval_is_remembered_per_key(bed: Bed) {
    let store = bed.open().await;
    let (stream, first) = add(&store, "stage").await;
    let second = rotate(&store, "stage", Previous::Keep).await;
    store.remember_keyframe_interval(&stream.keys[0].id, 8_333);
    let interval = async |key| store.verify_key(None, key, NOW_MS).await.unwrap().unwrap().keyframe_interval;
    assert_eq!((interval(&first).await, interval(&second).await), (Some(Duration::from_millis(8_333)), None));
    settled(&store).await;
    let store = bed.open().await;
    let interval = async |key| store.verify_key(None, key, NOW_MS).await.unwrap().unwrap().keyframe_interval;
    assert_eq!((interval(&first).await, interval(&second).await), (Some(Duration::from_millis(8_333)), None));
}

/// Has everything written that was noted.
async fn settled(store: &Store) {
    let stop = CancellationToken::new();
    let writing = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move { store.write_notes(stop).await }
    });
    assert!(store.settle(Duration::from_secs(30)).await, "the database takes notes");
    stop.cancel();
    writing.await.unwrap();
}

async fn three_changes(bed: &Bed) -> Store {
    let store = bed.open().await;
    add(&store, "stage").await;
    rotate(&store, "stage", Previous::Keep).await;
    store.perform(&Actor::Api("192.0.2.1".into()), &Act::RemoveStream { name: "stage".into() }, NOW_MS).await.unwrap();
    let check = store.check_audit().await.unwrap();
    assert_eq!((check.rows, check.broken_at), (3, None));
    store
}

async fn the_newest_changes_are_read_page_by_page(bed: Bed) {
    let store = three_changes(&bed).await;
    let numbers = async |before, limit| {
        let rows = store.audit_newest(before, limit).await.unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(None, 2).await, [2, 3]);
    assert_eq!(numbers(Some(2), 2).await, [1]);
    assert_eq!(numbers(Some(1), 2).await, [0; 0]);
}

const DAY_MS: i64 = 24 * 3_600_000;

async fn a_sign_in_is_good_until_it_is_idle_old_or_signed_out(bed: Bed) {
    let (store, token) = (bed.open().await, ApiToken::generate().unwrap());
    let secret = store.sign_in(&token, NOW_MS).await.unwrap();
    let is_good = async |given: &str, at_ms| store.is_signed_in(given, &token, at_ms).await.unwrap();
    assert!(is_good(secret.reveal(), NOW_MS).await);
    assert!(!is_good("ws_", NOW_MS).await && !is_good(token.reveal(), NOW_MS).await);
    // Each use within two weeks keeps it, but not for ever.
    for week in 1..=12 {
        assert!(is_good(secret.reveal(), NOW_MS + week * 7 * DAY_MS).await, "week {week}");
    }
    assert!(!is_good(secret.reveal(), NOW_MS + 91 * DAY_MS).await, "too old");
    let idle = store.sign_in(&token, NOW_MS).await.unwrap();
    assert!(!is_good(idle.reveal(), NOW_MS + 15 * DAY_MS).await, "idle");
    let left = store.sign_in(&token, NOW_MS).await.unwrap();
    store.sign_out(left.reveal(), &token).await.unwrap();
    assert!(!is_good(left.reveal(), NOW_MS).await, "signed out");
}

async fn another_api_token_ends_every_sign_in(bed: Bed) {
    let (store, token) = (bed.open().await, ApiToken::generate().unwrap());
    let secret = store.sign_in(&token, NOW_MS).await.unwrap();
    let other = ApiToken::generate().unwrap();
    assert!(!store.is_signed_in(secret.reveal(), &other, NOW_MS).await.unwrap());
    assert!(store.is_signed_in(secret.reveal(), &token, NOW_MS).await.unwrap());
}

async fn the_sign_in_used_longest_ago_makes_room(bed: Bed) {
    let (store, token) = (bed.open().await, ApiToken::generate().unwrap());
    let first = store.sign_in(&token, NOW_MS).await.unwrap();
    let second = store.sign_in(&token, NOW_MS + 1).await.unwrap();
    for n in 0..999 {
        store.sign_in(&token, NOW_MS + 2 + n).await.unwrap();
    }
    assert!(!store.is_signed_in(first.reveal(), &token, NOW_MS + 2_000).await.unwrap());
    assert!(store.is_signed_in(second.reveal(), &token, NOW_MS + 2_000).await.unwrap());
}

async fn the_audit_chain_shows_a_changed_row(bed: Bed) {
    let store = three_changes(&bed).await;
    bed.tamper("update audit set actor = 'somebody' where seq = 2").await;
    assert_eq!(store.check_audit().await.unwrap().broken_at, Some(2));
}

async fn the_audit_chain_shows_a_missing_end(bed: Bed) {
    let store = three_changes(&bed).await;
    bed.tamper("delete from audit where seq = 3").await;
    assert_eq!(store.check_audit().await.unwrap().broken_at, Some(3));
}

async fn changes_of_another_process_show_within_a_second(bed: Bed) {
    let (server, command_line) = (bed.open().await, bed.open().await);
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { server.follow(stop).await }
    });
    let mut changes = server.changes();
    changes.borrow_and_update();
    add(&command_line, "stage").await;
    tokio::time::timeout(Duration::from_secs(1), changes.changed()).await.expect("seen within a second").unwrap();
    assert_eq!(*changes.borrow_and_update(), 1);
    add(&server, "alley").await;
    assert_eq!(*changes.borrow_and_update(), 2, "its own change is known at once");
    stop.cancel();
    following.await.unwrap();
}

async fn changes_from_many_hands_make_one_chain(bed: Bed) {
    let mut hands = tokio::task::JoinSet::new();
    for hand in 0..4 {
        let store = bed.open().await;
        hands.spawn(async move {
            for n in 0..5 {
                add(&store, &format!("s{hand}-{n}")).await;
            }
        });
    }
    while let Some(done) = hands.join_next().await {
        done.unwrap();
    }
    let check = bed.open().await.check_audit().await.unwrap();
    assert_eq!((check.rows, check.broken_at), (20, None));
}

async fn two_first_starts_at_once_both_succeed(bed: Bed) {
    let (a, b, c) = tokio::join!(Store::open(&bed.location), Store::open(&bed.location), Store::open(&bed.location));
    add(&a.unwrap(), "stage").await;
    assert_eq!(b.unwrap().streams().await.unwrap().len(), 1);
    assert_eq!(c.unwrap().next_epoch(NOW_MS).await.unwrap(), 1);
}

async fn known_keys_work_while_the_database_is_away(bed: Bed) {
    let (_, key) = add(&bed.open().await, "stage").await;
    let server = bed.open().await;
    server.close().await;
    assert_eq!(opens(&server, &key, NOW_MS).await.as_deref(), Some("stage"));
    let stranger = store::StreamKey::generate().unwrap();
    assert_eq!(server.verify_key(None, stranger.reveal(), NOW_MS).await.unwrap_err().fault(), Fault::Database);
}

async fn sessions_begin_and_end_while_the_database_is_away_and_no_number_comes_twice(bed: Bed) {
    let (stage, _) = add(&bed.open().await, "stage").await;
    let store = bed.open().await;
    assert_eq!(store.open_session(&stage.id, "s1", NOW_MS).await.unwrap(), 0);
    store.note_session(&note(&stage, "s1", 7));
    settled(&store).await;
    store.close().await;
    store.note_session(&note(&stage, "s1", 11));
    store.close_session(&stage.id, "s1", 11);
    assert_eq!(store.open_session(&stage.id, "s2", NOW_MS).await.unwrap(), 11, "not the 7 the database has");
    store.note_session(&note(&stage, "s2", 13));
    assert!(!store.settle(Duration::from_millis(1)).await, "a database that is away has nothing");
    assert_eq!(store.open_session("nobody", "s3", NOW_MS).await.unwrap_err().fault(), Fault::Database);
}

async fn a_newer_database_is_refused(bed: Bed) {
    bed.open().await.close().await;
    bed.tamper("update _sqlx_migrations set version = 9999 where version = 1").await;
    let refused = Store::open(&bed.location).await.err().expect("a newer database is not opened");
    assert!(matches!(refused, Error::TooNew { .. }), "{refused}");
}

/// The two questions a publisher's admission asks, while another process holds the only write lock SQLite has.
#[tokio::test]
async fn keys_are_checked_while_another_process_writes() {
    use sqlx::ConnectOptions as _;
    let bed = Bed::sqlite();
    let store = bed.open().await;
    let (_, key) = add(&store, "stage").await;
    let store::Location::Sqlite(path) = &bed.location else { unreachable!("the bed is SQLite") };
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    let began = std::time::Instant::now();
    assert_eq!(opens(&store, &key, NOW_MS).await.as_deref(), Some("stage"));
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_noted_while_another_process_wrote_is_in_the_database_afterwards() {
    use sqlx::ConnectOptions as _;
    let bed = Bed::sqlite();
    let store = bed.open().await;
    let (stage, _) = add(&store, "stage").await;
    let store::Location::Sqlite(path) = &bed.location else { unreachable!("the bed is SQLite") };
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    let began = std::time::Instant::now();
    store.open_session(&stage.id, "s1", NOW_MS).await.unwrap();
    store.note_session(&note(&stage, "s1", 7));
    store.close_session(&stage.id, "s1", 7);
    assert_eq!(store.open_session(&stage.id, "s2", NOW_MS).await.unwrap(), 7);
    store.note_session(&note(&stage, "s2", 9));
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    settled(&store).await;
    let open = bed.open().await.open_sessions().await.unwrap();
    assert_eq!(open.into_iter().map(|open| open.note).collect::<Vec<_>>(), [note(&stage, "s2", 9)]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let location = store::Location::in_dir(std::path::Path::new("/nonexistent/weir"));
    let refused = Store::open(&location).await.err().expect("no folder, no database").to_string();
    assert!(refused.contains("/nonexistent/weir/weir.db"), "{refused}");
}

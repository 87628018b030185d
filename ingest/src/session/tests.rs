use super::*;
use proptest::prelude::*;
use std::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn caller(id: u64) -> Caller {
    let from = [10, 0, 0, id as u8];
    Caller { id: PublisherId(id), peer: from.into(), encoder: Some(format!("encoder {id}")), gives_way: false }
}

fn card(id: u64) -> Caller {
    Caller { gives_way: true, ..caller(id) }
}

/// A keeper whose publisher 1 is live.
fn live(rules: Rules, now: Instant) -> Keeper {
    let mut keeper = Keeper::new();
    assert_eq!(keeper.knock(caller(1), rules, now), Ok(vec![]));
    assert_eq!(keeper.state(), State::Waiting);
    assert_eq!(keeper.begin(PublisherId(1), now), Begun::New);
    assert_eq!(keeper.state(), State::Live);
    keeper
}

fn taken_over(id: u64) -> Result<Vec<Decision>, Reason> {
    Ok(vec![Decision::Dismiss(PublisherId(id), Reason::TakenOver)])
}

#[test]
fn a_publisher_that_vanished_has_its_window() {
    let start = Instant::now();
    let mut keeper = live(Rules::default(), start);
    assert_eq!(keeper.left(PublisherId(1), Departure::Lost, start), []);
    assert_eq!(keeper.tick(start + 59 * SECOND), []);
    assert_eq!(keeper.state(), State::Reconnecting);
    assert_eq!(keeper.tick(start + 60 * SECOND), [Decision::End]);
    assert_eq!(keeper.state(), State::Ended);
}

#[test]
fn a_goodbye_ends_the_session_after_a_moment() {
    let start = Instant::now();
    let mut keeper = live(Rules::default(), start);
    assert_eq!(keeper.left(PublisherId(1), Departure::Goodbye, start), []);
    assert_eq!(keeper.tick(start + 3 * SECOND), [Decision::End]);
    // Without a window there is no moment either.
    let mut keeper = live(Rules { window: Duration::ZERO, ..Rules::default() }, start);
    assert_eq!(keeper.left(PublisherId(1), Departure::Goodbye, start), [Decision::End]);
}

#[test]
fn silence_is_a_stall_after_six_seconds_and_media_ends_it() {
    let start = Instant::now();
    let mut keeper = live(Rules::default(), start);
    keeper.tick(start + 6 * SECOND);
    assert_eq!(keeper.state(), State::Live);
    keeper.tick(start + 6 * SECOND + Duration::from_millis(1));
    assert_eq!(keeper.state(), State::Stalled);
    keeper.heard(PublisherId(1), start + 7 * SECOND);
    assert_eq!(keeper.state(), State::Live);
}

#[test]
fn the_newest_takes_over_and_the_session_goes_on() {
    let start = Instant::now();
    let mut keeper = live(Rules::default(), start);
    assert_eq!(keeper.knock(caller(2), Rules::default(), start + SECOND), taken_over(1));
    assert_eq!(keeper.begin(PublisherId(2), start + SECOND), Begun::Joined);
    assert_eq!(keeper.begin(PublisherId(1), start + SECOND), Begun::Late);
    assert_eq!(keeper.left(PublisherId(1), Departure::Lost, start + 2 * SECOND), []);
    assert_eq!(keeper.state(), State::Live);
}

#[test]
fn reject_keeps_a_healthy_publisher_and_no_other() {
    let rules = Rules { takeover: Takeover::Reject, ..Rules::default() };
    let start = Instant::now();
    assert_eq!(live(rules, start).knock(caller(2), rules, start + SECOND), Err(Reason::Busy));
    assert_eq!(live(rules, start).knock(caller(2), rules, start + 3 * SECOND), taken_over(1), "it was silent");
    let twin = Caller { id: PublisherId(2), ..caller(1) };
    assert_eq!(live(rules, start).knock(twin.clone(), rules, start + SECOND), taken_over(1), "it is the same encoder");
    let nameless = Caller { encoder: None, ..twin };
    assert_eq!(live(rules, start).knock(nameless, rules, start + SECOND), Err(Reason::Busy));
}

#[test]
fn encoders_that_fight_freeze_the_stream_to_the_one_it_has() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = live(rules, start);
    let mut now = start;
    for id in 2..=4 {
        now += SECOND;
        assert_eq!(keeper.knock(caller(id), rules, now), taken_over(id - 1));
        keeper.begin(PublisherId(id), now);
    }
    now += SECOND;
    assert_eq!(keeper.knock(caller(5), rules, now), Err(Reason::Frozen { seconds: 60 }));
    keeper.heard(PublisherId(4), now + 30 * SECOND);
    assert_eq!(keeper.knock(caller(6), rules, now + 30 * SECOND), Err(Reason::Frozen { seconds: 30 }));
    keeper.heard(PublisherId(4), now + 60 * SECOND);
    assert_eq!(keeper.knock(caller(7), rules, now + 60 * SECOND), taken_over(4));
}

#[test]
fn a_freeze_ends_with_the_publisher_it_is_for() {
    let (start, rules) = (Instant::now(), Rules::default());
    let frozen = || {
        let mut keeper = live(rules, start);
        for id in 2..=5 {
            // The last one is refused, which is what freezes.
            let _refused = keeper.knock(caller(id), rules, start + SECOND);
        }
        assert!(keeper.frozen_until().is_some());
        keeper
    };
    assert_eq!(frozen().knock(caller(6), rules, start + 4 * SECOND), taken_over(4), "a silent one is not kept");
    let mut keeper = frozen();
    keeper.left(PublisherId(4), Departure::Lost, start + 2 * SECOND);
    assert_eq!(keeper.knock(caller(6), rules, start + 2 * SECOND), Ok(vec![]));
}

#[test]
fn an_encoder_on_a_poor_line_is_no_fighter() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = live(rules, start);
    for id in 2..=20 {
        // It went silent without the server noticing, and comes again.
        let now = start + (3 * id) as u32 * SECOND;
        assert_eq!(keeper.knock(caller(id), rules, now), taken_over(id - 1));
        assert_eq!(keeper.begin(PublisherId(id), now), Begun::Joined);
    }
}

#[test]
fn an_operators_stop_holds_until_it_is_over_or_allowed() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = live(rules, start);
    let stopped = Reason::Stopped { seconds: 60 };
    assert_eq!(keeper.stop(60 * SECOND, start), [Decision::Dismiss(PublisherId(1), stopped), Decision::End]);
    assert_eq!(keeper.knock(caller(2), rules, start), Err(stopped));
    assert_eq!(
        keeper.knock(caller(2), rules, start + 59 * SECOND + SECOND / 2),
        Err(Reason::Stopped { seconds: 1 }),
        "waiting as long as was said is long enough"
    );
    assert_eq!(keeper.knock(caller(2), rules, start + 60 * SECOND), Ok(vec![]));
    keeper.stop(60 * SECOND, start + 60 * SECOND);
    keeper.allow();
    assert_eq!(keeper.knock(caller(3), rules, start + 61 * SECOND), Ok(vec![]));
}

#[test]
fn the_test_card_gives_way_and_holds_no_window() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = Keeper::new();
    assert_eq!(keeper.knock(card(1), rules, start), Ok(vec![]));
    keeper.begin(PublisherId(1), start);
    let decisions = keeper.knock(caller(2), rules, start).unwrap();
    assert_eq!(decisions, [Decision::Dismiss(PublisherId(1), Reason::StandsBack), Decision::End]);
    assert_eq!(keeper.begin(PublisherId(2), start), Begun::New, "a person's show is not the card's");
    assert_eq!(keeper.knock(card(3), rules, start), Err(Reason::StandsBack));
    keeper.left(PublisherId(2), Departure::Lost, start);
    assert_eq!(keeper.knock(card(4), rules, start), Err(Reason::StandsBack), "the window is the person's");
    keeper.tick(start + 60 * SECOND);
    assert_eq!(keeper.knock(card(5), rules, start + 60 * SECOND), Ok(vec![]));
    keeper.begin(PublisherId(5), start + 60 * SECOND);
    assert_eq!(keeper.left(PublisherId(5), Departure::Lost, start + 61 * SECOND), [Decision::End]);
}

#[test]
fn a_publisher_without_media_does_not_hold_a_session_open() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = live(rules, start);
    keeper.left(PublisherId(1), Departure::Lost, start);
    keeper.knock(caller(2), rules, start + 50 * SECOND).unwrap();
    assert_eq!(keeper.tick(start + 60 * SECOND), [Decision::End]);
    assert_eq!(keeper.begin(PublisherId(2), start + 61 * SECOND), Begun::New);
}

#[test]
fn a_restored_session_waits_for_its_publisher() {
    let (start, rules) = (Instant::now(), Rules::default());
    let mut keeper = Keeper::new();
    keeper.restore(rules, start + 20 * SECOND);
    assert_eq!(keeper.state(), State::Reconnecting);
    keeper.knock(caller(1), rules, start + SECOND).unwrap();
    assert_eq!(keeper.begin(PublisherId(1), start + SECOND), Begun::Joined);
    let mut keeper = Keeper::new();
    keeper.restore(rules, start + 20 * SECOND);
    assert_eq!(keeper.tick(start + 20 * SECOND), [Decision::End]);
}

proptest! {
    #[test]
    fn seconds_told_are_never_too_few(hold_ms in 1u64..60_000, after_ms in 0u64..60_000) {
        let (start, rules) = (Instant::now(), Rules::default());
        let mut keeper = Keeper::new();
        keeper.stop(Duration::from_millis(hold_ms), start);
        let now = start + Duration::from_millis(after_ms);
        if let Err(Reason::Stopped { seconds }) = keeper.knock(caller(1), rules, now) {
            prop_assert!(keeper.knock(caller(1), rules, now + seconds as u32 * SECOND).is_ok());
            prop_assert!(Duration::from_secs(seconds) < Duration::from_millis(hold_ms) + SECOND);
        } else {
            prop_assert!(after_ms >= hold_ms);
        }
    }
}

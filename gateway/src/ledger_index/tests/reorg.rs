//! Steps from one branch of the chain to another, and their undos.

use ashya_contracts::LedgerEvent;
use ashya_protocol::Wei;

use super::{ALICE, BASE, CAMERA, FEED, OWNER, history, index, opened, set, subscribed};
use crate::access::Access;
use crate::ledger_index::Delta;

#[test]
fn a_step_back_restores_what_was() {
    let events = history();
    let blocks: Vec<_> = (1..).zip(events.chunks(2)).collect();
    for fork in 0..=blocks.len() {
        let index = index();
        index.step([], blocks[..fork].iter().copied());
        let expected = index.snapshot();
        let watcher = index.changes_for(FEED, ALICE);
        let stepped = index.step([], blocks[fork..].iter().copied());
        let undone = index.step(stepped.undos.iter().rev(), []);
        assert_eq!(index.snapshot(), expected, "back to {fork}");
        assert_eq!(
            undone.changed.subscriptions.len(),
            stepped.changed.subscriptions.len()
        );
        drop(watcher);
    }
}

#[test]
fn a_payment_that_both_branches_hold_wakes_nobody() {
    let index = index();
    index.apply(&[opened(FEED), set(CAMERA, 5, 1)]);
    let paid = [subscribed(ALICE, 10, 100)];
    let stepped = index.step([], [(2, &paid[..])]);
    let alice = index.changes_for(FEED, ALICE);
    let block = || index.subscriptions_of(ALICE)[0].block;
    assert_eq!(block(), 2);
    let again = index.step(&stepped.undos, [(2, &[][..]), (3, &paid[..])]);
    assert!(!alice.has_changed().unwrap());
    assert_eq!(block(), 3);
    assert_eq!(again.undos.len(), 2);
    index.step(again.undos.iter().rev(), []);
    assert!(alice.has_changed().unwrap(), "taken back for good");
    assert_eq!(index.access(FEED, ALICE, BASE + 50), Access::Denied);
}

#[test]
fn a_step_that_says_nothing_changes_nothing() {
    let index = index();
    for (name, event, is_empty) in [
        (
            "a withdrawal",
            LedgerEvent::Withdrawn {
                feed: FEED,
                payout: OWNER,
                amount: Wei::new(1),
            },
            true,
        ),
        ("an opening", opened(FEED), false),
        ("a payment", subscribed(ALICE, 10, 100), false),
    ] {
        let stepped = index.step([], [(1, &[event][..])]);
        assert_eq!(stepped.changed.is_empty(), is_empty, "{name}");
    }
}

#[test]
fn an_undo_has_a_json_form() {
    let index = index();
    let events = history();
    let stepped = index.step([], [(1, &events[..])]);
    for delta in [&stepped.undos[0], &stepped.changed] {
        let json = serde_json::to_vec(delta).unwrap();
        assert_eq!(serde_json::from_slice::<Delta>(&json).unwrap(), *delta);
    }
}

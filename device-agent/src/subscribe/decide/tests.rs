use ashya_protocol::{Address, FeedId};
use proptest::prelude::*;

use super::*;

const PRICE: Wei = Wei::new(1_000);
const FEE: Wei = Wei::new(50_000);
const LISTING: Hash = Hash::new([1; 32]);
const TERMS: Terms = Terms {
    term: 600,
    max_price: PRICE,
    listing: None,
};
/// The feed was opened at Unix second 0, so feed time and Unix time are one.
const CLOCK: FeedClock = FeedClock {
    base: 0,
    paused_at: None,
    paused_total: 0,
    paused_by: None,
    retires_at: None,
};
const NOW: u64 = 10_000;

fn standing(left: u128) -> Standing {
    Standing {
        left: Wei::new(left),
        hoped: Wei::new(left),
        honoured: true,
    }
}

fn view(held: Option<SubscriptionRecord>) -> ChainView {
    ChainView {
        now: NOW,
        price: PRICE,
        listing: LISTING,
        clock: CLOCK,
        held,
        fee: FEE,
    }
}

fn held(start: u64, expiry: u64) -> Option<SubscriptionRecord> {
    Some(SubscriptionRecord {
        price: PRICE,
        start,
        expiry,
    })
}

fn waits(reason: Waiting) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::Wait { reason: found, .. } if *found == reason)
}

fn buys(wanted: u64) -> impl Fn(&Action) -> bool {
    move |action| {
        *action
            == Action::Subscribe {
                seconds: wanted,
                price: PRICE,
                listing: LISTING,
            }
    }
}

fn extends(wanted: u64) -> impl Fn(&Action) -> bool {
    move |action| {
        *action
            == Action::Extend {
                seconds: wanted,
                price: PRICE,
            }
    }
}

type Judge = Box<dyn Fn(&Action) -> bool>;

const RICH: u128 = 1_000_000_000;
const HONEST: Word = Word::Asks(None);

#[test]
fn without_a_subscription() {
    let paused = FeedClock {
        paused_at: Some(NOW - 5),
        ..CLOCK
    };
    let retiring = FeedClock {
        retires_at: Some(NOW + 500),
        ..CLOCK
    };
    let price = Lie::Price {
        offered: Wei::new(1),
        ledger: PRICE,
    };
    let ledger = Lie::Ledger {
        offered: Address::ZERO,
        ours: Address::new([1; 20]),
    };
    let open = view(None);
    let rows: Vec<(&str, ChainView, u128, Word, Judge)> = vec![
        ("it is asked for", open, RICH, HONEST, Box::new(buys(600))),
        (
            "one is over",
            view(held(1, NOW)),
            RICH,
            HONEST,
            Box::new(buys(600)),
        ),
        (
            "the last step is shorter",
            open,
            50_000 + 90_500,
            HONEST,
            Box::new(buys(90)),
        ),
        (
            "a minute is the least",
            open,
            50_000 + 60_000,
            HONEST,
            Box::new(buys(60)),
        ),
        (
            "less than a minute",
            open,
            50_000 + 59_999,
            HONEST,
            Box::new(
                |action| matches!(action, Action::Stop(Stop::BudgetSpent { needed, .. }) if needed.get() == 110_000),
            ),
        ),
        (
            "not even the gas",
            open,
            49_999,
            Word::Away,
            Box::new(|action| matches!(action, Action::Stop(Stop::BudgetSpent { .. }))),
        ),
        (
            "without a budget a gift is watched",
            open,
            0,
            Word::Watching,
            Box::new(waits(Waiting::Free)),
        ),
        (
            "nobody is there",
            open,
            RICH,
            Word::Away,
            Box::new(waits(Waiting::GatewayAway)),
        ),
        (
            "the gateway does not know of the resume",
            open,
            RICH,
            Word::Closed,
            Box::new(waits(Waiting::GatewayBehind)),
        ),
        (
            "paused",
            ChainView {
                clock: paused,
                ..open
            },
            RICH,
            HONEST,
            Box::new(waits(Waiting::Paused)),
        ),
        (
            "retired",
            ChainView {
                clock: retiring,
                ..open
            },
            RICH,
            HONEST,
            Box::new(|action| *action == Action::Stop(Stop::Retired)),
        ),
        (
            "too dear",
            ChainView {
                price: Wei::new(1_001),
                ..open
            },
            RICH,
            HONEST,
            Box::new(|action| matches!(action, Action::Stop(Stop::PriceAboveMax { .. }))),
        ),
        (
            "another price than the chain's",
            open,
            RICH,
            Word::Asks(Some((price, 0))),
            Box::new(waits(Waiting::GatewayBehind)),
        ),
        (
            "for long",
            open,
            RICH,
            Word::Asks(Some((price, DOUBT_SECONDS))),
            Box::new(move |action| *action == Action::Stop(Stop::Lied(price))),
        ),
        (
            "another contract",
            open,
            RICH,
            Word::Asks(Some((ledger, 0))),
            Box::new(move |action| *action == Action::Stop(Stop::Lied(ledger))),
        ),
    ];
    for (name, view, left, word, judge) in rows {
        let action = decide(TERMS, standing(left), &view, word);
        assert!(judge(&action), "{name}: {action:?}");
    }
}

#[test]
fn with_a_subscription() {
    let paused = FeedClock {
        paused_at: Some(NOW),
        ..CLOCK
    };
    let retiring = FeedClock {
        retires_at: Some(NOW + 500),
        ..CLOCK
    };
    // A third of ten minutes before the end.
    let near = view(held(NOW - 400, NOW + 200));
    let far = view(held(NOW, NOW + 201));
    let feed = Lie::Feed {
        offered: FeedId::new([0; 32]),
    };
    let rows: Vec<(&str, ChainView, u128, Word, Judge)> = vec![
        (
            "time is left",
            far,
            RICH,
            Word::Watching,
            Box::new(|action| {
                *action
                    == Action::Wait {
                        reason: Waiting::Paid,
                        seconds: 1,
                    }
            }),
        ),
        (
            "the end is near",
            near,
            RICH,
            Word::Watching,
            Box::new(extends(600)),
        ),
        (
            "for the last money",
            near,
            50_000 + 61_000,
            Word::Watching,
            Box::new(extends(61)),
        ),
        (
            "without money",
            near,
            50_000 + 59_000,
            Word::Watching,
            Box::new(waits(Waiting::BudgetSpent)),
        ),
        (
            "nobody is there",
            near,
            RICH,
            Word::Away,
            Box::new(waits(Waiting::GatewayAway)),
        ),
        (
            "the gateway does not know",
            near,
            RICH,
            HONEST,
            Box::new(waits(Waiting::GatewayBehind)),
        ),
        (
            "paused",
            ChainView {
                clock: paused,
                ..near
            },
            RICH,
            Word::Watching,
            Box::new(waits(Waiting::Paused)),
        ),
        (
            "retiring",
            ChainView {
                clock: retiring,
                ..near
            },
            RICH,
            Word::Watching,
            Box::new(waits(Waiting::Retiring)),
        ),
        (
            "the price fell",
            ChainView {
                price: Wei::new(999),
                ..near
            },
            RICH,
            Word::Watching,
            Box::new(waits(Waiting::PriceChanged)),
        ),
        (
            "another feed is offered",
            near,
            RICH,
            Word::Asks(Some((feed, 0))),
            Box::new(move |action| *action == Action::Stop(Stop::Lied(feed))),
        ),
    ];
    for (name, view, left, word, judge) in rows {
        let action = decide(TERMS, standing(left), &view, word);
        assert!(judge(&action), "{name}: {action:?}");
    }
}

#[test]
fn a_listing_that_was_named_is_the_only_one_that_is_bought() {
    let read = Hash::new([2; 32]);
    for (listing, expected) in [
        (Some(LISTING), None),
        (None, None),
        (
            Some(read),
            Some(Stop::ListingChanged {
                found: LISTING,
                read,
            }),
        ),
    ] {
        let terms = Terms { listing, ..TERMS };
        let action = decide(terms, standing(RICH), &view(None), HONEST);
        let stop = match action {
            Action::Stop(stop) => Some(stop),
            _ => None,
        };
        assert_eq!(stop, expected);
    }
}

#[test]
fn a_gateway_that_does_not_honour_a_payment_gets_no_second_one() {
    let unhonoured = Standing {
        honoured: false,
        ..standing(RICH)
    };
    for (name, age, length, word, stops) in [
        ("a moment ago", 10, 600, HONEST, false),
        ("for minutes", 181, 600, HONEST, true),
        ("half of a short one", 31, 60, HONEST, true),
        ("while it is away", 181, 600, Word::Away, false),
        (
            "while it calls the feed closed",
            10,
            600,
            Word::Closed,
            false,
        ),
        ("which it is not", 181, 600, Word::Closed, true),
        ("and then it does", 181, 600, Word::Watching, false),
    ] {
        let start = NOW - age;
        let action = decide(TERMS, unhonoured, &view(held(start, start + length)), word);
        assert_eq!(
            action == Action::Stop(Stop::NotHonoured),
            stops,
            "{name}: {action:?}"
        );
    }
}

#[test]
fn nothing_is_extended_beyond_what_the_ledger_allows() {
    let year = Terms {
        term: MAX_SUBSCRIPTION_SECONDS,
        ..TERMS
    };
    let near = view(held(0, NOW + 300));
    let action = decide(year, standing(u128::MAX), &near, Word::Watching);
    assert!(
        extends(MAX_SUBSCRIPTION_SECONDS - 300)(&action),
        "{action:?}"
    );
}

proptest! {
    /// Whatever the chain and the gateway say, what is bought fits the budget, the price, and the ledger's rules.
    #[test]
    fn what_is_bought_is_allowed(
        left in 0..2_000_000_u128, fee in 0..100_000_u128, price in 1..3_000_u128, bought in 1..3_000_u128,
        start in 0..NOW, length in 0..20_000_u64, term in 60..5_000_u64, word in 0..4_u8, honoured: bool,
        pause in proptest::option::of(0..NOW), retire in proptest::option::of(0..20_000_u64),
    ) {
        let terms = Terms { term, ..TERMS };
        let record = SubscriptionRecord { price: Wei::new(bought), start, expiry: start + length };
        let clock = FeedClock { paused_at: pause, retires_at: retire, ..CLOCK };
        let view = ChainView { price: Wei::new(price), fee: Wei::new(fee), clock, ..view(Some(record)) };
        let word = [Word::Away, Word::Watching, HONEST, Word::Closed][usize::from(word)];
        let standing = Standing { honoured, ..standing(left) };
        let live = record.expiry > clock.feed_time(NOW);
        match decide(terms, standing, &view, word) {
            Action::Subscribe { seconds, price: paid, .. } => {
                prop_assert!(!live && word == HONEST && pause.is_none() && retire.is_none());
                prop_assert!((60..=term).contains(&seconds) && paid.get() == price && price <= 1_000);
                prop_assert!(price * u128::from(seconds) + fee <= left);
            }
            Action::Extend { seconds, price: paid } => {
                prop_assert!(live && word == Word::Watching && pause.is_none() && retire.is_none());
                prop_assert!((60..=term).contains(&seconds) && paid.get() == price && bought == price && price <= 1_000);
                prop_assert!(price * u128::from(seconds) + fee <= left);
            }
            Action::Wait { .. } | Action::Stop(_) => {}
        }
    }
}

use ashya_contracts::{Receipt, Settled};
use proptest::prelude::*;

use super::*;

const BUDGET: Wei = Wei::new(1_000_000);

fn transaction(nonce: u64, value: u128, most_fee: u128) -> SignedTransaction {
    let json = serde_json::json!({
        "hash": Hash::new([u8::try_from(nonce).unwrap(); 32]),
        "nonce": nonce,
        "value": value.to_string(),
        "mostFee": most_fee.to_string(),
        "raw": "0x00",
    });
    serde_json::from_value(json).unwrap()
}

fn settled(nonce: u64, block: u64, fee: u128, passed: bool) -> Fate {
    Fate::Settled(Settled {
        receipt: Receipt {
            transaction: Hash::new([u8::try_from(nonce).unwrap(); 32]),
            block,
            gas_used: 1,
            fee: Wei::new(fee),
        },
        passed,
        subscription: None,
    })
}

fn hash(nonce: u64) -> Hash {
    Hash::new([u8::try_from(nonce).unwrap(); 32])
}

const MINUTE: Purpose = Purpose::Subscribe { seconds: 60 };

#[test]
fn what_may_still_be_mined_counts_in_full() {
    let mut purse = Purse::default();
    assert!(purse.is_fresh());
    purse
        .enter(BUDGET, MINUTE, transaction(4, 600_000, 100_000))
        .unwrap();
    assert_eq!(purse.left(BUDGET), Wei::new(300_000));
    assert!(purse.open().is_some() && purse.next_nonce() == 5);
    let refused = purse.enter(BUDGET, MINUTE, transaction(5, 250_000, 50_001));
    assert!(refused.is_err());

    assert!(matches!(
        purse.learn(hash(4), settled(4, 10, 40_000, true)),
        Change::Mined(_)
    ));
    assert_eq!(purse.spent(), Wei::new(640_000));
    assert_eq!(purse.left(BUDGET), Wei::new(300_000), "it is not final");
    assert_eq!(
        purse.learn(hash(4), settled(4, 10, 40_000, true)),
        Change::None
    );
    // A reorganisation takes it back, and may bring it again at another price of gas.
    assert_eq!(purse.learn(hash(4), Fate::Open), Change::Undone);
    assert_eq!(purse.spent(), Wei::default());
    purse.learn(hash(4), settled(4, 11, 70_000, true));
    purse.close(10);
    assert_eq!(purse.sent().len(), 1);
    purse.close(11);
    assert_eq!(
        (purse.sent().len(), purse.committed()),
        (0, Wei::new(670_000))
    );
    assert_eq!(
        purse.learn(hash(4), Fate::Open),
        Change::None,
        "it is final"
    );
}

#[test]
fn what_was_refused_costs_its_gas_and_what_was_displaced_nothing() {
    let mut purse = Purse::default();
    purse
        .enter(BUDGET, MINUTE, transaction(0, 600_000, 100_000))
        .unwrap();
    purse.learn(hash(0), settled(0, 1, 30_000, false));
    assert_eq!(purse.spent(), Wei::new(30_000));
    assert_eq!(purse.committed(), Wei::new(700_000), "it may pass yet");
    purse.close(1);
    assert_eq!(purse.committed(), Wei::new(30_000));
    purse
        .enter(BUDGET, MINUTE, transaction(1, 600_000, 100_000))
        .unwrap();
    assert_eq!(purse.learn(hash(1), Fate::Displaced), Change::Displaced);
    assert_eq!(purse.committed(), Wei::new(30_000));
    assert!(!purse.is_fresh());
}

#[test]
fn a_refund_counts_once_it_is_final() {
    let mut purse = Purse::default();
    purse
        .enter(BUDGET, MINUTE, transaction(0, 600_000, 100_000))
        .unwrap();
    purse.learn(hash(0), settled(0, 1, 10_000, true));
    let held = SubscriptionRecord {
        price: Wei::new(1_000),
        start: 100,
        expiry: 700,
    };
    // It brings money back, so that no budget forbids it.
    let cancel = transaction(1, 0, 900_000);
    purse
        .enter(BUDGET, Purpose::Cancel { held }, cancel)
        .unwrap();
    let ended = SubscriptionRecord {
        expiry: 200,
        ..held
    };
    let Fate::Settled(settled) = settled(1, 2, 20_000, true) else {
        unreachable!()
    };
    let fate = Fate::Settled(Settled {
        subscription: Some(ended),
        ..settled
    });
    let Change::Mined(mined) = purse.learn(hash(1), fate) else {
        panic!("it was mined")
    };
    assert_eq!(mined.refund, Wei::new(500_000));
    assert_eq!(purse.spent(), Wei::new(130_000));
    assert_eq!(purse.committed(), Wei::new(1_600_000));
    purse.close(2);
    assert_eq!(purse.committed(), Wei::new(130_000));
}

#[test]
fn the_books_are_read_as_they_were_written() {
    let mut purse = Purse::default();
    purse.enter(BUDGET, MINUTE, transaction(7, 1, 2)).unwrap();
    purse
        .enter(
            BUDGET,
            Purpose::Extend { seconds: 90 },
            transaction(8, 3, 4),
        )
        .unwrap();
    purse.learn(hash(7), settled(7, 3, 2, true));
    let text = serde_json::to_string(&purse).unwrap();
    assert_eq!(serde_json::from_str::<Purse>(&text).unwrap(), purse);
    assert!(serde_json::from_str::<Purse>(r#"{"spent":"0"}"#).is_err());
}

/// A step of the world.
#[derive(Debug, Clone)]
enum Step {
    /// The buyer tries to send something.
    Pay { value: u128, most_fee: u128 },
    /// A block takes the oldest open transaction, at some share of its highest fee.
    Mine { percent: u128, passed: bool },
    /// The newest blocks are undone.
    Reorg { depth: usize },
    /// Blocks up to some distance from the newest are final.
    Finalize { behind: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..400_000_u128, 0..80_000_u128).prop_map(|(value, most_fee)| Step::Pay { value, most_fee }),
        3 => (0..=100_u128, proptest::bool::weighted(0.8)).prop_map(|(percent, passed)| Step::Mine { percent, passed }),
        1 => (1..4_usize).prop_map(|depth| Step::Reorg { depth }),
        1 => (0..3_u64).prop_map(|behind| Step::Finalize { behind }),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// However blocks come, go and come again: what has left the wallet never exceeds the budget, and the books never
    /// say less than that.
    #[test]
    fn no_history_spends_more_than_the_budget(steps in steps()) {
        let mut purse = Purse::default();
        // What the chain holds, a block each: number, value and fee of what was mined.
        let mut chain: Vec<(u64, u128, u128)> = Vec::new();
        let mut all: Vec<SignedTransaction> = Vec::new();
        let mut final_blocks = 0;
        for step in steps {
            match step {
                Step::Pay { value, most_fee } if purse.open().is_none() => {
                    let next = transaction(purse.next_nonce(), value, most_fee);
                    if purse.enter(BUDGET, MINUTE, next.clone()).is_ok() {
                        all.push(next);
                    }
                }
                Step::Mine { percent, passed } if chain.len() < all.len() => {
                    let next = &all[chain.len()];
                    let fee = next.most_fee.get() * percent / 100;
                    chain.push((next.nonce, if passed { next.value.get() } else { 0 }, fee));
                }
                Step::Reorg { depth } => {
                    let kept = chain.len().saturating_sub(depth).max(final_blocks);
                    chain.truncate(kept);
                }
                Step::Finalize { behind } => {
                    let behind = usize::try_from(behind).unwrap();
                    final_blocks = final_blocks.max(chain.len().saturating_sub(behind));
                }
                Step::Pay { .. } | Step::Mine { .. } => {}
            }
            for (index, next) in all.iter().enumerate() {
                let fate = match chain.get(index) {
                    None => Fate::Open,
                    Some((nonce, value, fee)) => {
                        let passed = *value == next.value.get();
                        settled(*nonce, u64::try_from(index).unwrap() + 1, *fee, passed)
                    }
                };
                purse.learn(next.hash, fate);
            }
            purse.close(u64::try_from(final_blocks).unwrap());
            let gone: u128 = chain.iter().map(|(_, value, fee)| value + fee).sum();
            // Whatever is open may be mined at its highest fee.
            let may_go: u128 = all[chain.len()..].iter().map(|next| next.value.get() + next.most_fee.get()).sum();
            prop_assert!(gone + may_go <= BUDGET.get(), "{gone} + {may_go}");
            prop_assert!(purse.committed().get() >= gone + may_go);
        }
    }
}

use super::*;

fn wallet(number: u64) -> Address {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

fn key(feed: u8, beneficiary: u64, payer: u64) -> SubscriptionKey {
    SubscriptionKey {
        feed: FeedId::new([feed; 32]),
        beneficiary: wallet(beneficiary),
        payer: wallet(payer),
    }
}

fn record(price: u128) -> SubscriptionRecord {
    SubscriptionRecord {
        price: Wei::new(price),
        start: 1,
        expiry: u64::MAX,
        cancelled: price % 2 == 1,
        block: 77,
        past: if price == 3 {
            vec![(2, 5), (7, 9)]
        } else {
            Vec::new()
        },
    }
}

#[test]
fn what_is_set_is_found_from_every_side() {
    let mut subscriptions = Subscriptions::default();
    let largest = (1 << 96) - 1;
    let all = [
        (key(1, 1, 1), record(largest)),
        (key(1, 1, 2), record(2)),
        (key(2, 1, 2), record(3)),
        (key(1, 2, 1), record(u128::from(u64::MAX))),
        (key(1, 3, 3), record(5)),
    ];
    for (key, record) in &all {
        subscriptions.set(key, Some(record.clone()));
    }
    assert_eq!(subscriptions.all(), BTreeMap::from(all.clone()));
    for (key, record) in &all {
        assert_eq!(subscriptions.get(key).as_ref(), Some(record));
    }
    for number in 1..5 {
        let concerned = all
            .iter()
            .filter(|(key, _)| [key.beneficiary, key.payer].contains(&wallet(number)));
        let mut concerned: Vec<_> = concerned.cloned().collect();
        concerned.sort_by_key(|(key, _)| *key);
        assert_eq!(
            subscriptions.of_wallet(wallet(number)),
            concerned,
            "{number}"
        );
    }
    let held = |feed, wallet_number| {
        let feed = FeedId::new([feed; 32]);
        subscriptions.of(feed, wallet(wallet_number)).count()
    };
    assert_eq!(
        [held(1, 1), held(2, 1), held(2, 3), held(9, 1), held(1, 9)],
        [2, 1, 0, 0, 0]
    );
    for (key, _) in &all {
        subscriptions.set(key, None);
        assert_eq!(subscriptions.get(key), None);
    }
    assert!(subscriptions.all().is_empty() && subscriptions.of_wallet(wallet(1)).is_empty());
}

#[test]
fn only_what_ended_last_and_was_cut_short_has_to_be_looked_for() {
    use LastExpiry::{At, Until};
    let mut subscriptions = Subscriptions::default();
    let (feed, other) = (FeedId::new([1; 32]), FeedId::new([2; 32]));
    for (what, payer, expiry, expected) in [
        ("the first", 1, Some(100), At(100)),
        ("an earlier one", 2, Some(60), At(100)),
        ("the earlier one is extended", 2, Some(80), At(100)),
        ("the earlier one is cancelled", 2, Some(70), At(100)),
        ("a later one", 3, Some(300), At(300)),
        ("the last is cancelled", 3, Some(90), Until(300)),
        ("another is extended", 1, Some(200), Until(300)),
        ("the last is cancelled again", 3, Some(85), Until(300)),
        ("one ends as late", 4, Some(300), At(300)),
        ("it is undone", 4, None, Until(300)),
        ("one ends later", 5, Some(400), At(400)),
        ("it is cancelled", 5, Some(95), Until(400)),
    ] {
        let record = expiry.map(|expiry| SubscriptionRecord {
            expiry,
            ..record(2)
        });
        subscriptions.set(&key(1, 9, payer), record);
        assert_eq!(subscriptions.last_expiry(feed), expected, "{what}");
    }
    assert_eq!(subscriptions.last_expiry(other), At(0));
    subscriptions.set(&key(2, 9, 1), Some(record(2)));
    for _ in 0..2 {
        subscriptions.find_last_expiries();
        assert_eq!(subscriptions.last_expiry(feed), At(200));
        assert_eq!(subscriptions.last_expiry(other), At(u64::MAX));
    }
}

/// Resident bytes of this process.
#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// In a process of its own, so that no other test shares the memory.
#[cfg(target_os = "linux")]
#[test]
fn a_million_subscriptions_take_less_than_200_bytes_each() {
    const COUNT: u64 = 1_000_000;
    const CHILD: &str = "ASHYA_TEST_SUBSCRIPTION_MEMORY";
    const NAME: &str =
        "ledger_index::subscriptions::tests::a_million_subscriptions_take_less_than_200_bytes_each";
    let Ok(kind) = std::env::var(CHILD) else {
        for kind in ["own", "gift"] {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", NAME, "--nocapture"])
                .env(CHILD, kind)
                .output()
                .unwrap();
            let output = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(child.status.success(), "{output}");
            print!("{output}");
        }
        return;
    };
    let before = resident_bytes();
    let mut subscriptions = Subscriptions::default();
    for number in 0..COUNT {
        // The worst cases: nobody pays twice, and no two wallets are the same.
        let payer = if kind == "own" {
            number
        } else {
            COUNT + number
        };
        let key = key((number % 100) as u8, number, payer);
        subscriptions.set(&key, Some(record(number.into())));
    }
    let each = (resident_bytes() - before) as f64 / COUNT as f64;
    println!("{kind}: {each:.1} bytes a subscription");
    assert!(each < 200.0, "{each}");
    assert_eq!(subscriptions.of_wallet(wallet(COUNT - 1)).len(), 1);
}

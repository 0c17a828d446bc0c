use ashya_protocol::Address;

use crate::answer::Refusal;
use crate::call::{Call, Operation};
use crate::chain::Question;
use crate::model::{Feed, Model};
use crate::words::{Word, join, select};

/// Something that the chain is asked, and what the model says to it.
pub(crate) struct Expectation {
    pub(crate) about: String,
    pub(crate) question: Question,
    /// The data of an answer, or of an error.
    pub(crate) answer: Result<Vec<u8>, Vec<u8>>,
}

/// The feed of an operation, the subscription of it, and everybody whose money it may move.
pub(crate) fn touched(model: &Model, operation: &Operation) -> Vec<Expectation> {
    let id = operation.call.feed();
    let mut wallets = vec![model.domain.ledger, operation.sender];
    let mut expected = Vec::new();
    match model.feeds.get(&id) {
        Some(feed) => {
            wallets.push(feed.payout);
            expected.extend(of_feed(model, feed));
            let latest = feed.subscriptions.last();
            let key = match operation.call {
                Call::Subscribe { beneficiary, .. }
                | Call::Extend { beneficiary, .. }
                | Call::Cancel { beneficiary, .. } => Some((operation.sender, beneficiary)),
                _ => latest.map(|s| (s.payer, s.beneficiary)),
            };
            expected.extend(key.map(|(payer, beneficiary)| of_key(feed, payer, beneficiary)));
        }
        None => {
            let unknown = Err(Refusal::FeedUnknown(id).encode());
            for view in ["feedOf", "clockOf", "withdrawableOf"] {
                expected.push(Expectation {
                    about: format!("{view} {id}"),
                    question: Question::Call(select(&format!("{view}(bytes32)"), &[id.into()])),
                    answer: unknown.clone(),
                });
            }
        }
    }
    if let Call::Cancel { to, .. } = operation.call {
        wallets.push(to);
    }
    wallets.sort_unstable();
    wallets.dedup();
    expected.extend(wallets.into_iter().map(|who| of_wallet(model, who)));
    expected
}

/// All feeds, all subscriptions and all wallets.
pub(crate) fn everything(model: &Model) -> Vec<Expectation> {
    let mut expected = Vec::new();
    for feed in model.feeds.values() {
        expected.extend(of_feed(model, feed));
        let mut keys: Vec<_> = feed
            .subscriptions
            .iter()
            .map(|s| (s.payer, s.beneficiary))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let subscriptions = keys
            .into_iter()
            .map(|(payer, beneficiary)| of_key(feed, payer, beneficiary));
        expected.extend(subscriptions);
    }
    let wallets = model.wallets.keys().copied();
    let wallets = wallets.chain([model.domain.ledger]);
    expected.extend(wallets.map(|who| of_wallet(model, who)));
    expected
}

fn of_feed(model: &Model, feed: &Feed) -> [Expectation; 3] {
    let takeable = vec![Word::from(model.takeable(feed))];
    [
        ("feedOf", feed.terms()),
        ("clockOf", feed.clock(model.now)),
        ("withdrawableOf", takeable),
    ]
    .map(|(view, words)| Expectation {
        about: format!("{view} {}", feed.id),
        question: Question::Call(select(&format!("{view}(bytes32)"), &[feed.id.into()])),
        answer: Ok(join(&words)),
    })
}

fn of_key(feed: &Feed, payer: Address, beneficiary: Address) -> Expectation {
    let arguments = [feed.id.into(), payer.into(), beneficiary.into()];
    let view = "subscriptionOf(bytes32,address,address)";
    Expectation {
        about: format!("subscriptionOf {} {payer} {beneficiary}", feed.id),
        question: Question::Call(select(view, &arguments)),
        answer: Ok(join(&feed.subscription(payer, beneficiary))),
    }
}

fn of_wallet(model: &Model, who: Address) -> Expectation {
    let wei = if who == model.domain.ledger {
        model.held()
    } else {
        model.wallets.get(&who).copied().unwrap_or(0)
    };
    Expectation {
        about: format!("balance of {who}"),
        question: Question::Balance(who),
        answer: Ok(join(&[wei.into()])),
    }
}

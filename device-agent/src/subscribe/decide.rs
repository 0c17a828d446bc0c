//! What to do next with the money: a pure function of what is on the chain, in the purse, and said by the gateway.

use std::fmt;

use ashya_contracts::{FeedClock, SubscriptionRecord, show_eth};
use ashya_protocol::limits::{MAX_SUBSCRIPTION_SECONDS, MIN_SUBSCRIPTION_SECONDS};
use ashya_protocol::{Hash, Wei};

use super::offer::Lie;

/// The shortest and the longest time before the end at which more is bought: a few blocks of the main chain, and enough
/// for a gateway or a node to be restarted meanwhile.
const LEAST_MARGIN: u64 = 30;
const MOST_MARGIN: u64 = 300;
/// How long the word of a gateway may differ from the chain, in seconds: it, or our node, may be some blocks behind.
pub(crate) const DOUBT_SECONDS: u64 = 30;
/// How long a gateway may take to honour a payment, in seconds of feed time; half of what was bought where that is less.
const HONOUR_SECONDS: u64 = 180;

/// What the buyer has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Seconds that are bought at a time.
    pub(crate) term: u64,
    /// Most wei per second.
    pub(crate) max_price: Wei,
    /// The listing that was read, where the buyer names one.
    pub(crate) listing: Option<Hash>,
}

/// What is on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainView {
    /// Unix seconds by the chain's clock.
    pub(crate) now: u64,
    /// Wei per second for new subscriptions.
    pub(crate) price: Wei,
    /// Hash of the feed's listing.
    pub(crate) listing: Hash,
    /// The feed's clock.
    pub(crate) clock: FeedClock,
    /// Our subscription, live or over.
    pub(crate) held: Option<SubscriptionRecord>,
    /// Most that the gas of a payment costs now.
    pub(crate) fee: Wei,
}

/// What the gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing: it cannot be reached.
    Away,
    /// That the feed is ours to watch.
    Watching,
    /// That it has to be paid. A word that differs from the chain, and for how many seconds it has.
    Asks(Option<(Lie, u64)>),
    /// That it is not ours to watch, and that nobody can buy it: it is paused or retired.
    Closed,
}

/// What the buyer has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What is left of the budget, whatever becomes of what was sent.
    pub(crate) left: Wei,
    /// What is left of it if the chain stays as it is.
    pub(crate) hoped: Wei,
    /// Whether the gateway has let us watch since the last purchase, or nothing was bought yet.
    pub(crate) honoured: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Buy a subscription that begins now.
    Subscribe {
        seconds: u64,
        price: Wei,
        listing: Hash,
    },
    /// Add to the one that is live.
    Extend { seconds: u64, price: Wei },
    /// Nothing; look again after so many seconds at the latest.
    Wait { reason: Waiting, seconds: u64 },
    /// Nothing more, for good.
    Stop(Stop),
}

/// Why nothing is paid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// There is time left.
    Paid,
    /// Watching costs nothing: it is our own feed, or somebody else pays.
    Free,
    /// The feed's clock stands still, and with it what it costs.
    Paused,
    /// Nobody is there who could serve what is bought.
    GatewayAway,
    /// The gateway has not seen our payment yet, or the chain's newest blocks.
    GatewayBehind,
    /// The rest of the budget buys no more; what is paid is watched to its end.
    BudgetSpent,
    /// What is left depends on blocks that are not final.
    NotFinal,
    /// The price has changed: the subscription ends, then there may be another.
    PriceChanged,
    /// The feed ends for good.
    Retiring,
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The rest of the budget buys not even a minute.
    BudgetSpent { left: Wei, needed: Wei },
    /// The price is above the highest.
    PriceAboveMax { price: Wei, max_price: Wei },
    /// The feed holds something else than what was read.
    ListingChanged { found: Hash, read: Hash },
    /// The feed has ended for good.
    Retired,
    /// The gateway's word is not what the chain says.
    Lied(Lie),
    /// The gateway does not serve what was paid for.
    NotHonoured,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BudgetSpent { left, needed } => write!(
                f,
                "the budget is spent: {} are left, and the shortest time costs {} with its gas. A higher --budget goes on",
                show_eth(*left),
                show_eth(*needed)
            ),
            Self::PriceAboveMax { price, max_price } => write!(
                f,
                "the feed costs {price} wei per second now, more than the {max_price} that are allowed; --max-price \
                 {price} would buy it"
            ),
            Self::ListingChanged { found, read } => write!(
                f,
                "the feed's listing is {found} now, not {read} as --listing has it: read it anew at the gateway"
            ),
            Self::Retired => f.write_str("the feed was retired: nothing of it is sold any more"),
            Self::Lied(lie) => {
                write!(f, "the gateway is not to be trusted: {lie}. Nothing was paid for its word")
            }
            Self::NotHonoured => f.write_str(
                "the gateway does not serve what was paid for: --cancel brings the rest of the money back",
            ),
        }
    }
}

/// What to do next.
pub(crate) fn decide(terms: Terms, standing: Standing, view: &ChainView, word: Word) -> Action {
    let feed_time = view.clock.feed_time(view.now);
    match view.held.filter(|held| held.expiry > feed_time) {
        Some(held) => while_live(terms, standing, view, word, held, feed_time),
        None => while_none(terms, standing, view, word),
    }
}

fn while_live(
    terms: Terms,
    standing: Standing,
    view: &ChainView,
    word: Word,
    held: SubscriptionRecord,
    feed_time: u64,
) -> Action {
    let wait = |reason, seconds| Action::Wait { reason, seconds };
    if let Word::Asks(_) | Word::Closed = word {
        return match word {
            Word::Asks(Some((lie, _))) if lie.is_final() => Action::Stop(Stop::Lied(lie)),
            _ if !standing.honoured && feed_time.saturating_sub(held.start) > patience(held) => {
                Action::Stop(Stop::NotHonoured)
            }
            _ => wait(Waiting::GatewayBehind, 1),
        };
    }
    let remaining = held.expiry - feed_time;
    let clock = &view.clock;
    if clock.paused_at.is_some() {
        return wait(Waiting::Paused, MOST_MARGIN);
    }
    let margin = margin(terms.term);
    if remaining > margin {
        return wait(Waiting::Paid, remaining - margin);
    }
    if clock.retires_at.is_some() {
        return wait(Waiting::Retiring, remaining);
    }
    // An extension at another price is refused, and one above the highest is not wanted.
    if held.price != view.price || view.price > terms.max_price {
        return wait(Waiting::PriceChanged, remaining);
    }
    if word == Word::Away {
        return wait(Waiting::GatewayAway, remaining);
    }
    let most = terms
        .term
        .min(MAX_SUBSCRIPTION_SECONDS - remaining.min(MAX_SUBSCRIPTION_SECONDS));
    match affordable(standing.left, view.fee, view.price, most) {
        Some(seconds) => Action::Extend {
            seconds,
            price: view.price,
        },
        None => wait(Waiting::BudgetSpent, remaining),
    }
}

fn while_none(terms: Terms, standing: Standing, view: &ChainView, word: Word) -> Action {
    let wait = |reason, seconds| Action::Wait { reason, seconds };
    if word == Word::Watching {
        return wait(Waiting::Free, MOST_MARGIN);
    }
    if let Word::Asks(Some((lie, seconds))) = word {
        return if lie.is_final() || seconds >= DOUBT_SECONDS {
            Action::Stop(Stop::Lied(lie))
        } else {
            wait(Waiting::GatewayBehind, 1)
        };
    }
    if view.clock.retires_at.is_some() {
        return Action::Stop(Stop::Retired);
    }
    if let Some(read) = terms.listing.filter(|read| *read != view.listing) {
        let found = view.listing;
        return Action::Stop(Stop::ListingChanged { found, read });
    }
    if view.price > terms.max_price {
        let (price, max_price) = (view.price, terms.max_price);
        return Action::Stop(Stop::PriceAboveMax { price, max_price });
    }
    let buys = |money| affordable(money, view.fee, view.price, terms.term);
    let Some(seconds) = buys(standing.left) else {
        if buys(standing.hoped).is_some() {
            return wait(Waiting::NotFinal, MOST_MARGIN);
        }
        let least = view.price.checked_mul(MIN_SUBSCRIPTION_SECONDS);
        let needed = least.unwrap_or(Wei::new(u128::MAX)).get();
        return Action::Stop(Stop::BudgetSpent {
            left: standing.left,
            needed: Wei::new(needed.saturating_add(view.fee.get())),
        });
    };
    if view.clock.paused_at.is_some() {
        return wait(Waiting::Paused, MOST_MARGIN);
    }
    match word {
        Word::Away => return wait(Waiting::GatewayAway, MOST_MARGIN),
        Word::Closed => return wait(Waiting::GatewayBehind, 1),
        Word::Watching | Word::Asks(_) => {}
    }
    Action::Subscribe {
        seconds,
        price: view.price,
        listing: view.listing,
    }
}

/// Seconds of feed time in which the gateway has to honour a purchase.
fn patience(held: SubscriptionRecord) -> u64 {
    HONOUR_SECONDS.min(held.expiry.saturating_sub(held.start) / 2)
}

/// Seconds before the end at which more is bought.
fn margin(term: u64) -> u64 {
    (term / 3).clamp(LEAST_MARGIN, MOST_MARGIN)
}

/// How many seconds the money buys beside the gas, `wanted` at most; `None` when it buys less than the ledger's minimum.
fn affordable(left: Wei, fee: Wei, price: Wei, wanted: u64) -> Option<u64> {
    let seconds = left
        .get()
        .checked_sub(fee.get())?
        .checked_div(price.get())?;
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).min(wanted);
    (seconds >= MIN_SUBSCRIPTION_SECONDS).then_some(seconds)
}

#[cfg(test)]
mod tests;
